"""One lock's line: bytes in, facts out, acknowledgements to say.

Law: a record is acknowledged after it is stored and not before.
"""

from collections.abc import Iterable

from devices import Counters, Fact, MisuseError, SealEvent, SealReport
from devices.conversation import Conversation, Remarks, Remembered, Sight
from devices.jt808.facts import facts_of
from devices.jt808.frame import PROTOCOL, Frame, Kind, Refused
from devices.jt808.framing import Framer

FRAME_MS_MAX = 10_000  # a frame that pauses longer lost its end; a modem's worst repeat is shorter
UTC_OFFSET_MIN = 480  # JT/T 808: the times of 0200 are Chinese ones


class Jt808Reader:
    """Reads one line of JT/T 808 locks (`devices.Reader`).

    The shell stores the facts, writes an `ack` to the port and calls `acknowledged(fact)`. A frame that comes again before that is
    dropped; after it, it is dropped and acknowledged again through `take_bytes`. A shell that loses a fact says `forget(fact)`.
    """

    def __init__(self, *, seal_id: str | None = None, utc_offset_min: int = UTC_OFFSET_MIN) -> None:
        """`seal_id`: the lock that we expect; another is heard as well and counted. `utc_offset_min`: of its clock, in 0200."""
        self.counters: Counters = Counters()
        self._seal_id = seal_id
        self._framer = Framer(utc_offset_min)
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
        facts += self._take(self._framer.cut(data), now_ms)
        self._frame_deadline_ms = now_ms + FRAME_MS_MAX if self._framer.is_waiting else None
        return facts

    def wake(self, now_ms: int) -> list[Fact]:
        """Ends waiting for the rest of a frame."""
        if self._frame_deadline_ms is None or now_ms < self._frame_deadline_ms:
            return []
        self._frame_deadline_ms = None
        return self._take(self._framer.flush(), now_ms)

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, on the axis of `now_ms`."""
        return self._frame_deadline_ms

    def order(self, order: object, now_ms: int) -> None:  # noqa: ARG002  # the shape of every reader
        """MisuseError: no order to these locks is published, and we invent none."""
        raise MisuseError(f"{type(order).__name__}: no order to a {PROTOCOL} lock is published")

    def take_bytes(self) -> bytes:
        """What to write to the lock now: acknowledgements of repeats."""
        return self._conversation.take_acks()

    def acknowledged(self, fact: Fact) -> None:
        """The transaction that holds `fact` is committed and its ack written."""
        if isinstance(fact, SealReport) and fact.ack is not None:
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
        if self._seal_id not in {None, frame.seal_id}:
            self.counters["other_seal"] += 1
        if frame.kind is Kind.REPLY:
            self.counters["unasked"] += 1  # we ask nothing
        if frame.kind is Kind.REPORT:
            sight = self._remembered.see(frame.raw)
            if sight is not Sight.NEW:
                self._repeat(frame, sight)
                return []
        return facts_of(frame, now_ms)

    def _repeat(self, frame: Frame, sight: Sight) -> None:
        self.counters["repeated"] += 1
        if sight is not Sight.ACKNOWLEDGED or frame.ack is None:
            return
        if not self._conversation.acknowledge(frame.ack):
            self.counters["ack_dropped"] += 1
