"""The one order that is under way: judged, committed, said once, followed to its end (EDGE section 6).

Law: every step is decided here and true only when the shell has committed it. Between the commit and the act lies nothing that
could be done twice.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from agent import Moment
from agent.orders.book import ARMED_MAX, CLOSED, DOOR, Acting, Book, Last, cells_of
from agent.orders.means import (
    NO_PASSWORD,
    Means,
    answer_of,
    closed_of,
    means_of,
    opened_by_us,
    wake_of,
)
from agent.orders.words import LIFE, Ended, Event, Say, Scene, State, Step
from devices import SealAnswer, SealEvent, SealReport, SealSecret
from wire import Reason
from wire.orders import Order, OrderKind, OrderResult

ACTING_MS = (
    60_000  # the answer comes within 10 s, the report of a lock that has just been turned at once
)
ASKING_MS = 120_000  # two intervals of a seal that reports every minute
REPEAT_MS = 25_000  # a seal repeats what was not acknowledged after 20 s: it may tell of an opening
WAKE_EVERY_MS = 30_000
EARLY_MS = 120_000  # what a seal says is as old as its clock says, give or take this
TOLD_MAX = 64  # orders whose refusal changed nothing: said again they are not told again
SEALS_MAX = 32

RESULTS = {
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
_BEFORE_THE_COUNTER = (Reason.UNKNOWN_ORDER, Reason.BAD_ORDER, Reason.REPLAYED)


@dataclass(slots=True)
class _Follow:
    """What has been heard of the order under way."""

    until_ms: int
    wake_ms: int | None = None  # when the seal is asked again
    answered: bool = False
    closed: bool | None = None  # by the newest report behind the act


@dataclass(slots=True, kw_only=True)
class _Lines:
    """What the seals said of late, in memory only."""

    closed: dict[str, bool] = field(default_factory=dict)
    ahead_ms: dict[str, int] = field(default_factory=dict)  # a seal's clock before ours
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


class Steward:
    """Orders of kinds 1 to 3. A step counts when it is handed back by `committed`."""

    def __init__(self, book: Book, *, mono_ms: int) -> None:
        """`book` as the store holds it: what was under way goes on as ASKING."""
        self.counters: Counter[str] = Counter()
        self.book = book
        self.state = State.IDLE
        self._told: deque[bytes] = deque(maxlen=TOLD_MAX)
        self._seen = _Lines()
        self._follow: _Follow | None = None
        if book.acting is not None:
            self.state = LIFE[State.ACTING][Event.STARTED]
            self._follow = _Follow(mono_ms + ASKING_MS, wake_ms=mono_ms)

    def take(self, order: Order, refused: Reason | None, scene: Scene) -> Step | None:
        """What follows from a genuine order of another kind than 4 to 6. None: it is known already."""
        if order.order_id in self._known():
            self.counters["repeated"] += 1
            return None
        if refused is not None:
            self.counters[refused.value] += 1
            return self._refused(order, RESULTS[refused], refused=refused)
        if self.state is not State.IDLE:
            return self._refused(order, OrderResult.BUSY, "another order", event=Event.BUSY)
        match order.kind:
            case OrderKind.DISARM:
                return self._disarm(order)
            case OrderKind.ARM:
                return self._arm(order, scene)
            case _:
                return self._unlock(order, scene)

    def secret(self, fact: SealSecret) -> bool:
        """Keep a one-time password in memory; False if it is none that could be said."""
        try:
            text = fact.secret.decode("ascii")
        except UnicodeDecodeError:
            return False
        if fact.seal_id not in self._seen.secrets and len(self._seen.secrets) >= SEALS_MAX:
            return False
        self._seen.secrets[fact.seal_id] = text
        return True

    def silent(self, seal_id: str) -> None:
        """What a silent seal said last says nothing of it now."""
        self._seen.closed.pop(seal_id, None)

    def hear(self, fact: SealAnswer | SealReport | SealEvent, moment: Moment) -> Step | None:
        """A seal's word: what it says of itself, and of the order under way."""
        if isinstance(fact, SealAnswer):
            return self._hear_answer(fact)
        is_news = self._is_news(fact)
        self._note(fact, moment)
        acting, follow, closed = self.book.acting, self._follow, closed_of(fact)
        if acting is None or follow is None or fact.seal_id != acting.seal_id:
            return None
        if closed is None or not is_news:
            return None
        if acting.kind == OrderKind.ARM:
            return self._hear_of_arming(acting, closed=closed)
        if isinstance(fact, SealEvent) and opened_by_us(fact):
            return self._end(acting, OrderResult.DONE)
        follow.closed = closed
        if not closed and (follow.answered or self.state is State.ASKING):
            return self._end(acting, OrderResult.DONE)
        if closed and self.state is State.ASKING:  # it may have been open, and locked itself again
            follow.until_ms = min(follow.until_ms, moment.mono_ms + REPEAT_MS)
        return None

    def wake(self, moment: Moment, protocol: str | None) -> Step | None:
        """Time has passed. `protocol`: of the line to the seal of the order under way."""
        acting, follow = self.book.acting, self._follow
        if acting is None or follow is None:
            return None
        if moment.mono_ms >= follow.until_ms:
            return self._time_is_over(acting, follow)
        if follow.wake_ms is None or moment.mono_ms < follow.wake_ms:
            return None
        follow.wake_ms = moment.mono_ms + WAKE_EVERY_MS
        order = wake_of(protocol)
        if order is None:
            return None
        say = Say(seal_id=acting.seal_id, order=order, acts=False)
        return Step(after=self.book, say=say)

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, in mono_ms."""
        follow = self._follow
        if follow is None:
            return None
        return follow.until_ms if follow.wake_ms is None else min(follow.until_ms, follow.wake_ms)

    def committed(self, step: Step, moment: Moment) -> None:
        """`step` is in the store: from here on it has happened."""
        before, self.book = self.book, step.after
        if step.ended is not None and step.after.last == before.last:
            self._told.append(step.ended.order_id)
        if step.after.acting == before.acting:
            return
        if step.after.acting is None:
            self.state = State.IDLE
            self._follow = None
            return
        assert before.acting is None
        self.state = LIFE[State.IDLE][Event.GOOD]
        wakes = step.say is None
        self._follow = _Follow(
            moment.mono_ms + ACTING_MS, wake_ms=moment.mono_ms if wakes else None
        )

    # the orders

    def _disarm(self, order: Order) -> Step:
        seal_id, _, _ = _names(order)
        armed = {seal: one for seal, one in self.book.armed.items() if seal != seal_id}
        return self._settled(order, armed)

    def _arm(self, order: Order, scene: Scene) -> Step:
        seal_id, _, movement = _names(order)
        armed = {**self.book.armed, seal_id: movement}
        if len(armed) > ARMED_MAX:
            return self._refused(order, OrderResult.FAILED, f"{ARMED_MAX} seals are armed")
        if self._seen.closed.get(seal_id):
            return self._settled(order, armed)
        return self._good(order, None, scene.moment)

    def _unlock(self, order: Order, scene: Scene) -> Step:
        seal_id, _, _ = _names(order)
        if scene.moving:
            return self._refused(order, OrderResult.BUSY, "moving")
        if scene.busy:
            return self._refused(order, OrderResult.BUSY, scene.busy)
        if scene.line_down:
            return self._refused(order, OrderResult.FAILED, "the line to this seal is down")
        one_time = self._seen.secrets.get(seal_id)
        means = means_of(scene.protocol, one_time=one_time, static=scene.password)
        if isinstance(means, str):
            why = scene.no_password if means == NO_PASSWORD and scene.no_password else means
            return self._refused(order, OrderResult.FAILED, why)
        return self._good(order, means, scene.moment)

    # the steps

    def _good(self, order: Order, means: Means | None, moment: Moment) -> Step:
        assert Event.GOOD in LIFE[self.state]
        seal_id, _, movement = _names(order)
        acting = Acting(
            order_id=order.order_id,
            kind=order.kind,
            counter=order.counter,
            seal_id=seal_id,
            movement=movement,
            began_utc_ms=moment.utc_ms,
        )
        after = replace(self._raised(order.counter), acting=acting)
        say = None if means is None else Say(seal_id=seal_id, order=means.order, acts=True)
        return Step(after=after, memory={**self._cells(after), DOOR: None}, say=say)

    def _settled(self, order: Order, armed: Mapping[str, str]) -> Step:
        """Done in the transaction that says so."""
        assert Event.SETTLED in LIFE[self.state]
        ended = _ended(order, OrderResult.DONE)
        after = replace(
            self._raised(order.counter), last=_last(ended), armed=MappingProxyType(dict(armed))
        )
        return Step(after=after, memory={**self._cells(after), DOOR: None}, ended=ended)

    def _refused(
        self,
        order: Order,
        result: OrderResult,
        detail: str = "",
        *,
        refused: Reason | None = None,
        event: Event = Event.REFUSED,
    ) -> Step:
        """It ends here. Its counter is used up: what was refused once is not carried out when it comes again."""
        assert event in LIFE[self.state]
        ended = _ended(order, result, detail)
        after = self.book
        if refused not in _BEFORE_THE_COUNTER:
            after = self._raised(order.counter)
            if self.state is State.IDLE:  # else the last one is still under way
                after = replace(after, last=_last(ended))
        memory = self._cells(after)
        if refused not in {*_BEFORE_THE_COUNTER, Reason.NO_TIME}:
            memory[DOOR] = None  # it was given after this start: counters rise from it
        return Step(after=after, memory=memory, ended=ended)

    def _end(self, acting: Acting, result: OrderResult, detail: str = "") -> Step:
        event = {OrderResult.DONE: Event.DONE, OrderResult.FAILED: Event.FAILED}.get(
            result, Event.SILENT
        )
        assert event in LIFE[self.state]
        ended = Ended(
            order_id=acting.order_id,
            kind=acting.kind,
            counter=acting.counter,
            result=int(result),
            detail="restart" if self.state is State.ASKING else detail,
        )
        after = replace(self.book, acting=None, last=_last(ended), damaged=False)
        if acting.kind == OrderKind.ARM and result is OrderResult.DONE:
            armed = {**self.book.armed, acting.seal_id: acting.movement}
            after = replace(after, armed=MappingProxyType(armed))
        return Step(after=after, memory=self._cells(after), ended=ended)

    # what the seal says

    def _hear_of_arming(self, acting: Acting, *, closed: bool) -> Step | None:
        if closed:
            return self._end(acting, OrderResult.DONE)
        return self._end(acting, OrderResult.FAILED) if self.state is State.ASKING else None

    def _hear_answer(self, fact: SealAnswer) -> Step | None:
        acting, follow, ok = self.book.acting, self._follow, answer_of(fact)
        if acting is None or follow is None or fact.seal_id != acting.seal_id:
            return None
        if ok is None or acting.kind != OrderKind.UNLOCK:
            return None
        if not ok:
            self._seen.secrets.pop(acting.seal_id, None)  # five wrong ones are an alarm
            return self._end(acting, OrderResult.FAILED, "refused by the seal")
        follow.answered = True
        return self._end(acting, OrderResult.DONE) if follow.closed is False else None

    def _is_news(self, fact: SealReport | SealEvent) -> bool:
        """Whether it speaks of what is behind the order: a seal that was not acknowledged tells of older states too.

        In the start in which the order was given a live report is news always: what is heard twice is dropped before.
        """
        acting = self.book.acting
        if acting is None or (isinstance(fact, SealReport) and self.state is State.ACTING):
            return True
        if fact.time_ms is None or (isinstance(fact, SealReport) and not fact.time_ok):
            return True
        ours_ms = fact.time_ms - self._seen.ahead_ms.get(fact.seal_id, 0)
        return ours_ms >= acting.began_utc_ms - EARLY_MS

    def _time_is_over(self, acting: Acting, follow: _Follow) -> Step:
        if acting.kind == OrderKind.ARM:
            open_ = self._seen.closed.get(acting.seal_id) is False
            result = OrderResult.FAILED if open_ else OrderResult.SEAL_SILENT
            return self._end(acting, result, "not locked" if open_ else "")
        if follow.closed and (follow.answered or self.state is State.ASKING):
            return self._end(acting, OrderResult.FAILED, "answered yes, stays locked")
        said = "no report" if follow.answered else "open, no answer"
        told = follow.answered or follow.closed is False
        return self._end(acting, OrderResult.SEAL_SILENT, said if told else "")

    def _note(self, fact: SealReport | SealEvent, moment: Moment) -> None:
        """The newest state of each seal, and how its clock goes."""
        seal_id, seen, closed = fact.seal_id, self._seen, closed_of(fact)
        if closed is not None:
            seen.closed.pop(seal_id, None)
            seen.closed[seal_id] = (
                closed  # at the end: who was heard longest ago is forgotten first
            )
            if len(seen.closed) > SEALS_MAX:
                oldest = next(iter(seen.closed))
                del seen.closed[oldest]
                seen.ahead_ms.pop(oldest, None)
        is_live = isinstance(fact, SealReport) and closed is not None and fact.time_ok
        if is_live and fact.time_ms is not None:
            seen.ahead_ms[seal_id] = fact.time_ms - moment.utc_ms

    # the book

    def _known(self) -> list[bytes]:
        known = [one.order_id for one in (self.book.last, self.book.acting) if one is not None]
        return [*known, *self._told]

    def _raised(self, counter: int) -> Book:
        assert counter > self.book.counter
        return replace(self.book, counter=counter, damaged=False)

    def _cells(self, after: Book) -> dict[str, bytes | None]:
        cells = cells_of(after, self.book)
        if self.book.damaged and cells:
            cells[DOOR] = CLOSED  # the damage is mended by writing over it; what it means stays
        return cells


def _names(order: Order) -> tuple[str, str, str]:
    seal_id, officer, movement = order.data[:3]
    assert isinstance(seal_id, str)
    assert isinstance(officer, str)
    assert isinstance(movement, str)
    return seal_id, officer, movement


def _ended(order: Order, result: OrderResult, detail: str = "") -> Ended:
    return Ended(
        order_id=order.order_id,
        kind=order.kind,
        counter=order.counter,
        result=int(result),
        detail=detail,
    )


def _last(ended: Ended) -> Last:
    return Last(order_id=ended.order_id, counter=ended.counter, result=ended.result)
