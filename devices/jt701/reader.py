"""One lock's line: bytes in, facts out, orders and acknowledgements to say.

Law: a record is acknowledged after it is stored and not before. An order is said once; whether it was obeyed, the lock tells.
"""

from collections.abc import Iterable

from devices import Counters, Fact, SealAnswer, SealEvent, SealReport
from devices.conversation import Conversation, Remarks, Remembered, Sight
from devices.jt701.facts import facts_of, is_enrolment
from devices.jt701.frame import PROTOCOL, Frame, Kind, Refused
from devices.jt701.framing import Framer
from devices.jt701.orders import Order, SetTime, ask_of

FRAME_MS_MAX = 10_000  # a frame that pauses longer lost its end; a modem's worst repeat is shorter
_RECORDS = frozenset({Kind.REPORT, Kind.EVENT, Kind.PERIPHERAL, Kind.TRACKER})


class Jt701Reader:
    """Reads one line of JT701 and JT701D locks (`devices.Reader`).

    The shell stores a fact, writes its `ack` to the port and calls `acknowledged(fact)`. A frame that comes again before that is
    dropped; after it, it is dropped and acknowledged again through `take_bytes`. A shell that loses a fact says `forget(fact)`.
    """

    def __init__(self, *, seal_id: str | None = None) -> None:
        """`seal_id`: the lock that answers our orders; None takes an answer from any."""
        self.counters: Counters = Counters()
        self.wants_time = False  # the lock asked for the time (P22,2); an order SetTime clears it
        self._seal_id = seal_id
        self._heard_id = ""
        self._framer = Framer()
        self._frame_deadline_ms: int | None = None
        self._remarks = Remarks(protocol=PROTOCOL, counters=self.counters)
        self._remembered = Remembered()
        self._conversation = Conversation()

    def feed(self, data: bytes, now_ms: int) -> list[Fact]:
        """Facts that `data` completes. Never raises; any cutting of the bytes gives the same facts."""
        facts = self.wake(now_ms)
        if not data:
            return facts
        self.counters["bytes"] += len(data)
        facts += self._take(self._framer.feed(data), now_ms)
        self._frame_deadline_ms = now_ms + FRAME_MS_MAX if self._framer.is_waiting else None
        return facts

    def wake(self, now_ms: int) -> list[Fact]:
        """Ends waiting: for the rest of a frame, and for an answer."""
        facts: list[Fact] = []
        if self._frame_deadline_ms is not None and now_ms >= self._frame_deadline_ms:
            self._frame_deadline_ms = None
            facts += self._take(self._framer.flush(), now_ms)
        if (asked := self._conversation.expire(now_ms)) is not None:
            self.counters["unanswered"] += 1
            seal_id = self._seal_id or self._heard_id
            facts.append(SealAnswer(at_ms=now_ms, seal_id=seal_id, command=asked.command, ok=None))
        return facts

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, on the axis of `now_ms`."""
        deadlines = (self._frame_deadline_ms, self._conversation.deadline_ms)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def order(self, order: Order, now_ms: int) -> None:
        """Queue one order; MisuseError if it cannot be said in this protocol, or sixteen wait."""
        self._conversation.ask(ask_of(order), now_ms)
        if isinstance(order, SetTime):
            self.wants_time = False

    def take_bytes(self) -> bytes:
        """What to write to the lock now: acknowledgements of repeats, then the order that is due."""
        return self._conversation.take_acks() + self._conversation.take_order()

    def acknowledged(self, fact: Fact) -> None:
        """The transaction that holds `fact` is committed and its ack written."""
        if isinstance(fact, SealReport | SealEvent):
            self._remembered.acknowledged(fact.frame)

    def stored(self, frame: bytes) -> None:
        """An earlier run of this unit has committed `frame`: when it comes again it makes no second record, only its ack."""
        self._remembered.stored(frame)

    def forget(self, fact: Fact) -> None:
        """`fact` was not stored and never will be: its frame counts as new when it comes again."""
        if isinstance(fact, SealReport | SealEvent):
            self._remembered.forget(fact.frame)

    def _take(self, found: Iterable[Frame | Refused], now_ms: int) -> list[Fact]:
        facts: list[Fact] = []
        for frame in found:
            if isinstance(frame, Refused):
                facts += self._remarks.refuse(frame.reason.value, frame.sample, now_ms)
            else:
                facts += self._hear(frame, now_ms)
        self.counters["noise"] = self._framer.noise_bytes
        return facts

    def _hear(self, frame: Frame, now_ms: int) -> list[Fact]:
        self.counters["frames"] += 1
        self.counters[frame.kind.value] += 1
        self._heard_id = frame.seal_id
        if frame.kind in _RECORDS:
            sight = self._remembered.see(frame.raw)
            if sight is not Sight.NEW:
                self._repeat(frame, sight)
                return []
        self._follow(frame, now_ms)
        return facts_of(frame, now_ms)

    def _repeat(self, frame: Frame, sight: Sight) -> None:
        self.counters["repeated"] += 1
        if sight is not Sight.ACKNOWLEDGED or frame.ack is None:
            return
        if not self._conversation.acknowledge(frame.ack):
            self.counters["ack_dropped"] += 1

    def _follow(self, frame: Frame, now_ms: int) -> None:
        """What a frame means for the conversation."""
        if frame.kind is Kind.TIME_REQUEST:
            self.wants_time = True
        answer = frame.answer
        if answer is None or is_enrolment(answer):
            return
        is_ours = self._seal_id in {None, frame.seal_id}
        if not is_ours or not self._conversation.hear(answer.command, answer.values or (), now_ms):
            self.counters["unasked"] += 1
