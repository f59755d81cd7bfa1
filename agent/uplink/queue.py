"""What waits for a receipt, chain after chain: a short look ahead into the outbox, never the whole of it.

The outbox may hold 70 days; the unit's memory may not. So the queue holds the next rows only and asks for more by a wish.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent import StoredBatch
from agent.uplink.words import ChainLine, Fetch, Seek

AHEAD_ROWS_MAX = 128  # twice the widest window
AHEAD_ROWS_MIN = 64  # below it more are fetched, so that the lane never waits for the disk
HOLES_MAX = 4_096  # as many batches as the collector parks
CHAINS_MAX = 16  # as the outbox remembers (EDGE section 4)


@dataclass(slots=True, kw_only=True)
class Line:
    """One chain: what is held, what is covered, what the collector says that it has."""

    chain_id: bytes
    newest_no: int
    covered_no: int  # by a receipt; never goes back
    settled_no: int  # goes back when the collector asks again (a backup of yesterday)
    taken_no: int = -1  # the last that was taken from the queue
    behind: deque[int] = field(default_factory=deque)  # first numbers behind holes: dropped


class Queue:
    """The rows in order of sending, from the cursor on."""

    def __init__(self, lines: Iterable[ChainLine]) -> None:
        self.lines: dict[bytes, Line] = {}
        for line in lines:
            self.lines[line.chain_id] = Line(
                chain_id=line.chain_id,
                newest_no=line.newest_no,
                covered_no=line.covered_no,
                settled_no=line.covered_no,
            )
        self._ahead: deque[StoredBatch] = deque()
        self._last_pos = -1  # newest row that was looked at
        self._whole = False  # the look ahead reaches the newest row
        self._asked: Fetch | Seek | None = None
        self._seek: tuple[bytes, int] | None = None
        self._spare = False  # rows that a receipt covers are wanted again
        self._fetches = 0

    @property
    def current(self) -> Line | None:
        """The chain that grows: always the youngest."""
        return next(reversed(self.lines.values()), None)

    @property
    def loaded(self) -> bool:
        """Whether what stands next in line is known."""
        return bool(self._ahead) or (self._whole and self._asked is None)

    def rewind(self) -> None:
        """Nothing counts as sent: the cursor goes to the oldest row without receipt."""
        self._forget_ahead()
        for line in self.lines.values():
            line.settled_no = max(line.settled_no, line.covered_no)

    def seek(self, line: Line, batch_no: int) -> None:
        """The collector wants this batch (again)."""
        self._forget_ahead()
        line.settled_no = batch_no - 1
        self._seek, self._spare = (line.chain_id, batch_no), True

    def wish(self) -> Fetch | Seek | None:
        """Ask for rows if they run short; one question at a time."""
        if self._asked is not None or self._whole or len(self._ahead) >= AHEAD_ROWS_MIN:
            return None
        self._fetches += 1
        if self._seek is None:
            self._asked = Fetch(
                fetch=self._fetches,
                after_pos=self._last_pos,
                rows_max=AHEAD_ROWS_MAX,
                spare=self._spare,
            )
        else:
            chain_id, batch_no = self._seek
            self._asked = Seek(
                fetch=self._fetches, chain_id=chain_id, batch_no=batch_no, rows_max=AHEAD_ROWS_MAX
            )
        return self._asked

    def fetched(self, fetch: int, rows: Sequence[StoredBatch]) -> Line | None:
        """Take the answer; the chain of a `Seek` whose batch is not held any more, if it was one."""
        asked = self._asked
        if asked is None or asked.fetch != fetch:
            return None  # asked before the cursor was moved
        self._asked, self._seek = None, None
        self._ahead.extend(rows)
        if rows:
            self._last_pos = rows[-1].pos
        # A batch that was stored meanwhile may be missing here: then `stored` has bumped the count.
        self._whole = len(rows) < asked.rows_max and fetch == self._fetches
        if not isinstance(asked, Seek):
            return None
        held = bool(rows) and (rows[0].chain_id, rows[0].batch_no) == (
            asked.chain_id,
            asked.batch_no,
        )
        return None if held else self.lines.get(asked.chain_id)

    def stored(self, batch: StoredBatch) -> bool:
        """A batch was committed; True if it began a chain."""
        fresh = batch.chain_id not in self.lines
        line = self.lines.setdefault(
            batch.chain_id,
            Line(chain_id=batch.chain_id, newest_no=-1, covered_no=-1, settled_no=-1),
        )
        line.newest_no = max(line.newest_no, batch.batch_no)
        while len(self.lines) > CHAINS_MAX:
            del self.lines[next(iter(self.lines))]
        if self._asked is not None:
            self._fetches += 1  # its answer may be older than this row
        elif self._whole and batch.pos > self._last_pos:  # else a fetch has brought it already
            if len(self._ahead) < AHEAD_ROWS_MAX:
                self._ahead.append(batch)
                self._last_pos = batch.pos
            else:
                self._whole = False
        return fresh

    def front(self) -> StoredBatch | None:
        """The next row that the collector has not got."""
        while self._ahead and self.is_settled(self._ahead[0]):
            self._ahead.popleft()
        return self._ahead[0] if self._ahead else None

    def pop(self) -> StoredBatch:
        batch = self._ahead.popleft()
        line = self.lines.get(batch.chain_id)
        if line is not None:
            due_no = max(line.taken_no, line.settled_no) + 1
            if batch.batch_no > due_no and len(line.behind) < HOLES_MAX:
                line.behind.append(batch.batch_no)
            line.taken_no = batch.batch_no
        return batch

    def is_in_hole(self, line: Line, batch_no: int) -> bool:
        """Whether that batch was passed over on the way: it is not held any more, or it went already."""
        return bool(line.behind) and line.settled_no < batch_no <= line.taken_no

    def is_behind_hole(self, batch: StoredBatch) -> bool:
        """Whether no receipt can come for it yet: the collector parks it until it hears the confession."""
        line = self.lines.get(batch.chain_id)
        if line is None:
            return False
        while line.behind and line.behind[0] <= line.settled_no:
            line.behind.popleft()
        return bool(line.behind) and batch.batch_no >= line.behind[0]

    def next_in_line(self, rows: int) -> set[int]:
        """The positions that go in their turn at once, if `rows` may go."""
        positions: set[int] = set()
        for batch in self._ahead:
            if len(positions) >= rows:
                break
            if not self.is_settled(batch):
                positions.add(batch.pos)
        return positions

    def is_settled(self, batch: StoredBatch) -> bool:
        line = self.lines.get(batch.chain_id)
        return line is not None and batch.batch_no <= line.settled_no

    def is_covered(self, batch: StoredBatch) -> bool:
        line = self.lines.get(batch.chain_id)
        return line is not None and batch.batch_no <= line.covered_no

    def receipt(self, line: Line, through_no: int) -> bool:
        """The collector holds `line` up to here; True if that is news."""
        line.settled_no = max(line.settled_no, min(through_no, line.newest_no))
        news = line.covered_no < through_no <= line.newest_no
        if news:
            line.covered_no = through_no
        return news

    def waiting_lines(self) -> list[Line]:
        """Chains with batches without receipt, oldest first."""
        return [line for line in self.lines.values() if line.covered_no < line.newest_no]

    def _forget_ahead(self) -> None:
        self._ahead.clear()
        for line in self.lines.values():
            line.taken_no = -1
            line.behind.clear()
        self._last_pos, self._whole, self._asked, self._seek = -1, False, None, None
        self._spare = False
