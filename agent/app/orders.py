"""What the centre orders, as far as this version obeys: it reports, sends again and takes settings, and opens nothing (EDGE section 6).

Law: in doubt the seal stays shut. Every order that is genuinely ours ends in one result; what is not ours is only counted.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from agent.recorder import ConfigDone, OrderDone
from wire import Reason, Refused
from wire.orders import Order, OrderKind, OrderResult, RefusedOrder, UnitState, judge
from wire.topics import Down

RESULTS_MAX = 64  # the collector repeats an order every 30 s until its result: one order is remembered for long

_RESULTS = {
    Reason.UNKNOWN_ORDER: OrderResult.UNKNOWN_ORDER,
    Reason.BAD_ORDER: OrderResult.BAD_ORDER,
    Reason.REPLAYED: OrderResult.REPLAYED,
    Reason.NO_TIME: OrderResult.NO_TIME,
    Reason.TOO_EARLY: OrderResult.TOO_EARLY,
    Reason.EXPIRED: OrderResult.EXPIRED,
    Reason.UNKNOWN_SEAL: OrderResult.UNKNOWN_SEAL,
    Reason.WRONG_MOVEMENT: OrderResult.WRONG_MOVEMENT,
    Reason.NO_FIX: OrderResult.NO_FIX,
    Reason.OUTSIDE_AREA: OrderResult.OUTSIDE_AREA,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """Send this chain again from there."""

    chain_id: bytes
    batch_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Say hello with this nonce; `whole`: record the newest fix and the seals too."""

    nonce: bytes
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConfig:
    """Settings that the centre wants; what becomes of them is the affair of `versions`."""

    version: int
    text: bytes


Act = Resend | Report | NewConfig | OrderDone | ConfigDone


class Orders:
    """Judges what comes down and says what to do."""

    def __init__(self, order_keys: Mapping[bytes, bytes]) -> None:
        self.counters: Counter[str] = Counter()
        self._order_keys = order_keys
        self._told: deque[bytes] = deque(maxlen=RESULTS_MAX)

    def take(self, message: bytes, what: Down, state: UnitState) -> Act | None:
        """What follows from one message on `order` or `config`."""
        verdict = judge(message, topic_what=what, order_keys=self._order_keys, state=state)
        match verdict:
            case RefusedOrder(order=order, reason=reason):
                self.counters[reason.value] += 1
                return self._refuse(order, reason)
            case Refused(reason=reason):
                self.counters[reason.value] += 1
                return None
            case Order(kind=OrderKind.RESEND_FROM, data=(bytes(chain_id), int(batch_no))):
                self.counters["resend_from"] += 1
                return Resend(chain_id=chain_id, batch_no=batch_no)
            case Order(kind=OrderKind.REPORT_NOW, data=(int(what_now), bytes(nonce))):
                self.counters["report_now"] += 1
                return Report(nonce=nonce, whole=what_now == 1)
            case Order(kind=OrderKind.SET_CONFIG, data=(int(version), bytes(text))):
                self.counters["set_config"] += 1
                return NewConfig(version=version, text=text)
            case _:
                self.counters["not_carried_out"] += 1
                return self._decline(verdict)

    def _decline(self, order: Order) -> Act | None:
        """Good, and beyond this version: nothing is done, and that is said."""
        return self._done(order, OrderResult.FAILED, "this unit carries out no orders yet")

    def _refuse(self, order: Order, reason: Reason) -> Act | None:
        if order.kind in {OrderKind.REPORT_NOW, OrderKind.RESEND_FROM}:
            return None  # no result for these (WIRE section 14)
        if order.kind == OrderKind.SET_CONFIG:
            return None if reason is Reason.REPLAYED else self._config_refused(order)
        return self._done(order, _RESULTS[reason], "")

    def _done(self, order: Order, result: OrderResult, detail: str) -> OrderDone | None:
        if order.order_id in self._told:
            return None
        self._told.append(order.order_id)
        return OrderDone(
            order_id=order.order_id,
            kind=order.kind,
            counter=order.counter,
            result=int(result),
            detail=detail,
        )

    def _config_refused(self, order: Order) -> ConfigDone | None:
        version = order.data[0] if order.data else None
        if order.order_id in self._told or not isinstance(version, int):
            return None
        self._told.append(order.order_id)
        return ConfigDone(version=version, result=1)
