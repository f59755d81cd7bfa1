"""The lane of the alarms: urgent batches that stand behind others, the newest first (WIRE section 10)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent import StoredBatch

EARLY_ROWS_MAX = 64  # the desk wants the state of now; older ones come in their turn
EARLY_FLIGHT_MAX = 8  # WIRE section 10
AGAIN_MS_FIRST = 60_000
AGAIN_MS_MAX = 600_000


@dataclass(slots=True, kw_only=True)
class EarlyRow:
    """An urgent batch without receipt, and when its copy may go again."""

    batch: StoredBatch
    due_ms: int
    again_ms: int = AGAIN_MS_FIRST


class EarlyLane:
    """At most 64 rows, by pos; the oldest fall out first (they still go in order)."""

    def __init__(self) -> None:
        self._rows: dict[int, EarlyRow] = {}  # rising pos: `stored` comes in order

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, batch: StoredBatch, mono_ms: int) -> None:
        self._rows[batch.pos] = EarlyRow(batch=batch, due_ms=mono_ms)
        if len(self._rows) > EARLY_ROWS_MAX:
            del self._rows[min(self._rows)]

    def connected(self, mono_ms: int) -> None:
        """A new connection: every copy may go once more."""
        for row in self._rows.values():
            row.due_ms, row.again_ms = mono_ms, AGAIN_MS_FIRST

    def sent(self, pos: int, mono_ms: int) -> None:
        row = self._rows.get(pos)
        if row is not None:
            row.due_ms = mono_ms + row.again_ms
            row.again_ms = min(2 * row.again_ms, AGAIN_MS_MAX)

    def forget(self, gone: Callable[[StoredBatch], bool]) -> None:
        """Drop what is covered or no longer kept."""
        for pos in [pos for pos, row in self._rows.items() if gone(row.batch)]:
            del self._rows[pos]

    def newest_first(self) -> Iterator[EarlyRow]:
        return iter(sorted(self._rows.values(), key=lambda row: -row.batch.pos))
