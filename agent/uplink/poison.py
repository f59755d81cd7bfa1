"""One batch that nobody on the way can take must not block all the others (EDGE section 5, poison).

Three falls of the line within 60 s of sending the same oldest batch: it goes alone. A fourth: it is stuck, passed over, tried again
each hour, and never deleted.
"""

from dataclasses import dataclass
from enum import Enum

from agent import StoredBatch

FALL_WITHIN_MS = 60_000
FALLS_MAX = 3
RETRY_MS = 3_600_000
ALONE_MS_MAX = 30_000  # PUBACK came, receipt did not: the others have waited long enough
STUCK_MAX = 256  # a broker that takes nothing at all is a matter for people, not for a list


class Verdict(Enum):
    """What a fall of the line tells about the batch that was out."""

    CLEAR = "clear"
    ALONE = "alone"  # the next connection carries this one only
    STUCK = "stuck"  # the rule has run to its end just now


@dataclass(slots=True, kw_only=True)
class Stuck:
    """A batch that is passed over."""

    batch: StoredBatch
    retry_ms: int | None  # None: longer than any message may be; time will not heal it


class Poison:
    """Who is suspected, who goes alone, who is stuck."""

    def __init__(self) -> None:
        self.alone: StoredBatch | None = None
        self.stuck: dict[int, Stuck] = {}  # by pos
        self._alone_acked_ms: int | None = None
        self._suspect_pos: int | None = None
        self._falls = 0

    def fell(self, batch: StoredBatch | None, sent_ms: int, mono_ms: int) -> Verdict:
        """The line fell while `batch` was the oldest without PUBACK (None: nothing was out)."""
        alone, self.alone, self._alone_acked_ms = self.alone, None, None
        if batch is None or mono_ms - sent_ms > FALL_WITHIN_MS:
            return Verdict.CLEAR
        if batch.pos in self.stuck or (alone is not None and alone.pos == batch.pos):
            self._suspect_pos, self._falls = None, 0
            return self._stick(batch, mono_ms + RETRY_MS)
        if batch.pos != self._suspect_pos:
            self._suspect_pos, self._falls = batch.pos, 0
        self._falls += 1
        if self._falls < FALLS_MAX:
            return Verdict.CLEAR
        self.alone = batch
        return Verdict.ALONE

    def too_long(self, batch: StoredBatch) -> Verdict:
        """Nobody will ever take it: not even sent."""
        return self._stick(batch, None)

    def acked(self, pos: int, mono_ms: int) -> None:
        """A PUBACK: the way is open for this batch."""
        if pos == self._suspect_pos:
            self._suspect_pos, self._falls = None, 0
        if self.alone is not None and self.alone.pos == pos:
            self._alone_acked_ms = mono_ms
        stuck = self.stuck.get(pos)
        if stuck is not None and stuck.retry_ms is not None:
            del self.stuck[pos]

    def forget(self, pos: int) -> None:
        """Covered or gone: nothing is held against it any more."""
        self.stuck.pop(pos, None)
        if self.alone is not None and self.alone.pos == pos:
            self.alone, self._alone_acked_ms = None, None

    def wake(self, mono_ms: int) -> None:
        """Time has passed: who went alone long enough is let go."""
        deadline_ms = self.next_deadline()
        if deadline_ms is not None and mono_ms >= deadline_ms:
            self.alone, self._alone_acked_ms = None, None

    def next_deadline(self) -> int | None:
        return None if self._alone_acked_ms is None else self._alone_acked_ms + ALONE_MS_MAX

    def _stick(self, batch: StoredBatch, retry_ms: int | None) -> Verdict:
        if len(self.stuck) >= STUCK_MAX:
            self.stuck.pop(next(iter(self.stuck)))  # the oldest is simply tried again
        fresh = batch.pos not in self.stuck
        self.stuck[batch.pos] = Stuck(batch=batch, retry_ms=retry_ms)
        return Verdict.STUCK if fresh else Verdict.CLEAR
