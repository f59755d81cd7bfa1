"""One eSeal's line: bytes in, facts out, orders and acknowledgements to say.

Law: a record is acknowledged after it is stored and not before. An order is said once; whether it was obeyed, the seal tells.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from devices import Counters, Fact, SealAnswer, SealEvent, SealReport
from devices.conversation import Ask, Conversation, Remarks, Remembered, Sight
from devices.eseal.facts import facts_of
from devices.eseal.framing import Framer
from devices.eseal.message import PROTOCOL, Frame, Kind, Refused

# a message that pauses longer lost its end; a modem's worst repeat is shorter
FRAME_MS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteUnlock:
    """Open the lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerOff:
    """Switch the seal off."""


Order = RemoteUnlock | PowerOff


class EsealReader:
    """Reads one line of eSeals (`devices.Reader`).

    The shell stores the facts, writes an `ack` to the port and calls `acknowledged(fact)`. A message that comes again before that is
    dropped; after it, it is dropped and acknowledged again through `take_bytes`. A shell that loses a fact says `forget(fact)`.
    """

    def __init__(self, *, seal_id: str | None = None, config: str | None = None) -> None:
        """`config` answers a Startup, for instance "180,30,30,16,1"; without it a Startup gets no acknowledgement.

        `seal_id`: the seal that our orders are for; None speaks to the last one heard.
        """
        self.counters: Counters = Counters()
        self._seal_id = seal_id
        self._framer = Framer(config=config)
        self._frame_deadline_ms: int | None = None
        self._prefix: str | None = None  # of the seal that our orders are for
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
        """Ends waiting: for the rest of a message, and for an answer."""
        facts: list[Fact] = []
        if self._frame_deadline_ms is not None and now_ms >= self._frame_deadline_ms:
            self._frame_deadline_ms = None
            facts += self._take(self._framer.flush(), now_ms)
        if (asked := self._conversation.expire(now_ms)) is not None:
            self.counters["unanswered"] += 1
            seal_id = self._seal_id or (self._prefix or ",,").split(",")[2]
            facts.append(SealAnswer(at_ms=now_ms, seal_id=seal_id, command=asked.command, ok=None))
        return facts

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, on the axis of `now_ms`."""
        deadlines = (self._frame_deadline_ms, self._conversation.deadline_ms)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def order(self, order: Order, now_ms: int) -> None:
        """Queue one order; MisuseError if sixteen wait. It waits until the seal has told its prefix, ten seconds at most."""
        self._conversation.ask(_ask_of(order), now_ms)

    def take_bytes(self) -> bytes:
        """What to write to the seal now: acknowledgements of repeats, then the order that is due."""
        acks = self._conversation.take_acks()
        order = self._conversation.take_order() if self._prefix is not None else b""
        return acks + (f"{self._prefix},".encode("ascii") + order if order else b"")

    def acknowledged(self, fact: Fact) -> None:
        """The transaction that holds `fact` is committed and its ack written."""
        if isinstance(fact, SealReport) and fact.ack is not None:
            self._remembered.acknowledged(fact.frame)

    def stored(self, frame: bytes) -> None:
        """An earlier run of this unit has committed `frame`: when it comes again it makes no second record, only its ack."""
        self._remembered.stored(frame)

    def forget(self, fact: Fact) -> None:
        """`fact` was not stored and never will be: its message counts as new when it comes again."""
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
        is_ours = self._seal_id in {None, frame.seal_id}
        if is_ours:
            self._prefix = frame.prefix
        if frame.report is not None:
            sight = self._remembered.see(frame.raw)
            if sight is not Sight.NEW:
                self._repeat(frame, sight)
                return []
        if frame.kind is Kind.REPLY and not (
            is_ours and self._conversation.hear(frame.message, frame.values, now_ms)
        ):
            self.counters["unasked"] += 1
        return facts_of(frame, now_ms)

    def _repeat(self, frame: Frame, sight: Sight) -> None:
        self.counters["repeated"] += 1
        if sight is not Sight.ACKNOWLEDGED or frame.ack is None:
            return
        if not self._conversation.acknowledge(frame.ack):
            self.counters["ack_dropped"] += 1


def _ask_of(order: Order) -> Ask:
    match order:
        case RemoteUnlock():
            return Ask(command="RC-Unlock", data=b"RC-Unlock,E##\r\n")
        case PowerOff():
            return Ask(command="RC-Power Control", data=b"RC-Power Control,Power OFF,E##\r\n")
