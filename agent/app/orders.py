"""What the centre orders, from the message to the port and to the record (EDGE section 6).

Law: who carries an order proves nothing. What is not certainly ours is only counted; what is ours ends in one result. Nothing is
said to a seal before it is committed, and nothing is said twice.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from agent import Moment, Quality
from agent.app.contacts import Contacts
from agent.io.serial_port import SerialPort
from agent.orders.steward import Steward
from agent.orders.words import Say, Scene, Step
from agent.recorder.facts import ConfigDone, OrderDone, SealSilence
from devices import Fact, SealAnswer, SealEvent, SealReport, SealSecret
from wire import Reason, Refused
from wire.orders import Order, OrderKind, PlaceKnown, UnitState, genuine, refusal
from wire.topics import Down

WAITING_MAX = 16  # genuine orders that nobody has judged yet; the centre says them again
CONFIGS_TOLD_MAX = 64


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


Act = Resend | Report | NewConfig | ConfigDone


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a message at the door. An order of kinds 1 to 3 is then judged in its turn and ends in a record."""

    refused: Reason | None = None  # it is not ours, or says nothing: only counted
    act: Act | None = None  # what the line does at once


@dataclass(frozen=True, slots=True, kw_only=True)
class SealLine:
    """The port behind which a seal is."""

    port: SerialPort
    protocol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The unit, here and now."""

    moment: Moment
    place: PlaceKnown | None
    moving: bool
    config_version: int
    door_closed: bool  # orders given before this start are not believed (EDGE section 6)


class Keeping(Protocol):
    """The way of a fact, as far as orders go it."""

    def moment(self) -> Moment: ...

    async def record(self, fact: OrderDone, memory: Mapping[str, bytes | None]) -> None:
        """Store the record with what belongs to it, in one transaction, however long it takes."""

    async def note(self, fact: SealEvent) -> None:
        """Record it as if a device had said it."""

    async def remember(self, memory: Mapping[str, bytes | None]) -> bool:
        """The same without a record; False: nothing has happened."""


class Orders:
    """`take` from any carrier; `work` and `hear` in the one task that stores."""

    def __init__(
        self,
        *,
        unit_id: str,
        order_keys: Mapping[bytes, bytes],
        steward: Steward,
        lines: Mapping[str, SealLine],
        contacts: Contacts,
        seals: frozenset[str],
        around: Callable[[], Surroundings],
        armed: Callable[[frozenset[str]], None],
        nudge: Callable[[], None],
        at: Callable[[str], None],
    ) -> None:
        """`armed`: these seals are armed now; `nudge`: there is work."""
        self.counters: Counter[str] = Counter()
        self._unit_id = unit_id
        self._order_keys = order_keys
        self._steward = steward
        self._lines = lines
        self._contacts = contacts
        self._seals = seals
        self._around = around
        self._armed = armed
        self._nudge = nudge
        self._at = at
        self._waiting: deque[Order] = deque()
        self._configs_told: deque[bytes] = deque(maxlen=CONFIGS_TOLD_MAX)
        self._trusted_ms: int | None = None  # the first trusted time of this start
        armed(frozenset(steward.book.armed))

    @property
    def acting(self) -> bool:
        """Whether a seal has been told something and has not yet done it."""
        return self._steward.book.acting is not None

    # the door

    def take(self, message: bytes, what: Down = Down.ORDER) -> Taken:
        """One envelope from any carrier. What this answers is no result: that is a record, once it is known."""
        order = genuine(message, order_keys=self._order_keys, unit_id=self._unit_id)
        if isinstance(order, Refused):
            self.counters[order.reason.value] += 1
            return Taken(refused=order.reason)
        if order.kind in {OrderKind.REPORT_NOW, OrderKind.RESEND_FROM, OrderKind.SET_CONFIG}:
            return self._at_once(order, what)
        if len(self._waiting) >= WAITING_MAX:
            self.counters["not_heard_out"] += 1
            return Taken()
        self._waiting.append(order)
        self._nudge()
        return Taken()

    def _at_once(self, order: Order, what: Down) -> Taken:
        """Kinds that no seal hears, and that no `order_result` ends (WIRE section 14)."""
        refused = refusal(order, topic_what=what, state=self._state(order, self._look()))
        if refused is not None:
            self.counters[refused.reason.value] += 1
            return Taken(refused=refused.reason, act=self._config_refused(order, refused.reason))
        self.counters[OrderKind(order.kind).name.lower()] += 1
        match order.kind, order.data:
            case OrderKind.RESEND_FROM, (bytes(chain_id), int(batch_no)):
                return Taken(act=Resend(chain_id=chain_id, batch_no=batch_no))
            case OrderKind.REPORT_NOW, (int(how), bytes(nonce)):
                return Taken(act=Report(nonce=nonce, whole=how == 1))
            case OrderKind.SET_CONFIG, (int(version), bytes(text)):
                return Taken(act=NewConfig(version=version, text=text))
            case _:
                return Taken()

    def _config_refused(self, order: Order, reason: Reason) -> ConfigDone | None:
        version = order.data[0] if order.data else None
        if order.kind != OrderKind.SET_CONFIG or reason is Reason.REPLAYED:
            return None
        if not isinstance(version, int) or order.order_id in self._configs_told:
            return None
        self._configs_told.append(order.order_id)
        return ConfigDone(version=version, result=1)

    # the turn

    async def work(self, way: Keeping) -> None:
        """Judge what waits, and look at the time."""
        moment = way.moment()
        self._note_trust(moment)
        while self._waiting:
            order = self._waiting.popleft()
            await self._judge(order, way)
        acting = self._steward.book.acting
        line = None if acting is None else self._lines.get(acting.seal_id)
        step = self._steward.wake(moment, None if line is None else line.protocol)
        await self._carry_out(step, way)

    async def hear(self, fact: Fact | SealSilence, way: Keeping) -> None:
        """What a seal has said; its own record is in the open batch already."""
        if isinstance(fact, SealSilence):
            if fact.silent:
                self._steward.silent(fact.seal_id)
        elif isinstance(fact, SealAnswer | SealReport | SealEvent):
            moment = way.moment()
            await self._carry_out(self._steward.hear(fact, moment), way)
            if self.idle:  # one thing at a time is asked of a seal
                await self._contacts.hear(fact.seal_id, fact, moment.mono_ms, way)

    def secret(self, fact: SealSecret) -> bool:
        """A one-time password, for memory only. True: its seal may be told that we have it."""
        kept = fact.seal_id in self._seals and self._steward.secret(fact)
        self.counters["secrets_kept" if kept else "secrets_dropped"] += 1
        return kept

    def next_deadline(self) -> int | None:
        """When `work` wants to be called, in mono_ms."""
        return self._steward.next_deadline()

    @property
    def idle(self) -> bool:
        """Whether no order is under way or waits."""
        return self._steward.book.acting is None and not self._waiting

    async def _judge(self, order: Order, way: Keeping) -> None:
        around = self._look()
        refused = refusal(order, topic_what=Down.ORDER, state=self._state(order, around))
        reason = None if refused is None else refused.reason
        step = self._steward.take(order, reason, self._scene(order, reason, around))
        self._at("order:judged")
        await self._carry_out(step, way)

    async def _carry_out(self, step: Step | None, way: Keeping) -> None:
        """Commit, and only then act."""
        if step is None:
            return
        if step.ended is not None:
            self._at("order:ended")
            done = OrderDone(
                order_id=step.ended.order_id,
                kind=step.ended.kind,
                counter=step.ended.counter,
                result=step.ended.result,
                detail=step.ended.detail,
            )
            await way.record(done, step.memory)
            self.counters["results"] += 1
        elif step.memory and not await way.remember(step.memory):
            self.counters["not_committed"] += 1  # nothing has happened: the centre says it again
            return
        self._steward.committed(step, way.moment())
        self._armed(frozenset(step.after.armed))
        if step.say is not None:
            if step.say.acts:
                self._at("order:committed")
            self._say(step.say)

    def _say(self, say: Say) -> None:
        line = self._lines.get(say.seal_id)
        if line is None:
            self.counters["no_line"] += 1
            return
        self.counters["acts" if say.acts else "asks"] += 1
        if say.acts:
            line.port.order(say.order, lambda: self._at("order:said"))
        else:
            line.port.order(say.order)

    # here and now

    def _look(self) -> Surroundings:
        around = self._around()
        self._note_trust(around.moment)
        return around

    def _note_trust(self, moment: Moment) -> None:
        if self._trusted_ms is None and moment.quality >= Quality.NTP:
            self._trusted_ms = moment.utc_ms

    def _state(self, order: Order, around: Surroundings) -> UnitState:
        closed = around.door_closed or self._steward.book.damaged
        seal_id = order.data[0] if order.data else None
        movement = self._steward.book.armed.get(seal_id) if isinstance(seal_id, str) else None
        return UnitState(
            unit_id=self._unit_id,
            now_ms=around.moment.utc_ms,
            time_quality=int(around.moment.quality),
            counter=self._steward.book.counter,
            config_version=around.config_version,
            movement=movement,
            seals=self._seals,
            place=around.place,
            issued_from_ms=(self._trusted_ms or 0) if closed else 0,
        )

    def _scene(self, order: Order, reason: Reason | None, around: Surroundings) -> Scene:
        if reason is not None or order.kind != OrderKind.UNLOCK:
            return Scene(moment=around.moment)
        seal_id = str(order.data[0])
        line = self._lines.get(seal_id)
        password, why = self._contacts.password(seal_id)
        return Scene(
            moment=around.moment,
            moving=around.moving,
            protocol=None if line is None else line.protocol,
            line_down=line is not None and not line.port.is_open,
            password=password,
            no_password=why,
            busy=self._contacts.busy(seal_id),
        )
