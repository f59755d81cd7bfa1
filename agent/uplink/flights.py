"""What is out: messages without PUBACK, and the batches of the window.

Law: it counts and forgets; who may go out is decided elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

from agent import StoredBatch
from agent.uplink.words import Lane

WINDOW_FIRST = 2
FLIGHT_BYTES_MAX = 262_144  # what a slow mobile line carries in a minute


@dataclass(slots=True, kw_only=True)
class Sent:
    """A message without PUBACK."""

    batch: StoredBatch | None  # None: state or hello
    lane: Lane
    at_ms: int


class Flights:
    """Of one connection: a new one begins with nothing out."""

    def __init__(self, window_max: int) -> None:
        self._window_max = window_max
        self._ticket = 0
        self._window = WINDOW_FIRST
        self._unacked: dict[int, Sent] = {}  # by ticket, in order of sending
        self._by_pos: dict[int, StoredBatch] = {}  # the window, in order of sending

    def __len__(self) -> int:
        """Batches of the window, early copies apart."""
        return len(self._by_pos)

    def __contains__(self, pos: object) -> bool:
        return pos in self._by_pos

    @property
    def unacked(self) -> list[Sent]:
        """In order of sending."""
        return list(self._unacked.values())

    @property
    def oldest_unacked(self) -> Sent | None:
        return next(iter(self._unacked.values()), None)

    @property
    def oldest(self) -> StoredBatch | None:
        return next(iter(self._by_pos.values()), None)

    @property
    def room(self) -> int:
        """How many batches the window still takes."""
        return self._window - len(self._by_pos)

    @property
    def early(self) -> int:
        """Early copies without PUBACK."""
        return sum(sent.lane is Lane.EARLY for sent in self._unacked.values())

    def has_room(self, batch: StoredBatch) -> bool:
        """Whether the window takes `batch` too; an empty one takes everything."""
        if not self._by_pos:
            return True
        out_bytes = sum(flight.size_bytes for flight in self._by_pos.values())
        return self.room > 0 and out_bytes + batch.size_bytes <= FLIGHT_BYTES_MAX

    def is_out(self, pos: int) -> bool:
        """On any lane."""
        return pos in self._by_pos or any(
            sent.batch is not None and sent.batch.pos == pos for sent in self._unacked.values()
        )

    def any(self, holds: Callable[[StoredBatch], bool]) -> bool:
        """Whether `holds` for a batch of the window."""
        return any(holds(batch) for batch in self._by_pos.values())

    def out(self, batch: StoredBatch | None, lane: Lane, mono_ms: int) -> int:
        """It goes: its ticket, under which the PUBACK will come."""
        self._ticket += 1
        self._unacked[self._ticket] = Sent(batch=batch, lane=lane, at_ms=mono_ms)
        if batch is not None and lane is not Lane.EARLY:
            self._by_pos[batch.pos] = batch
        return self._ticket

    def acked(self, ticket: int) -> Sent | None:
        """PUBACK. It proves nothing: the window is moved by receipts."""
        return self._unacked.pop(ticket, None)

    def pass_by(self, pos: int) -> None:
        """No receipt can come for it."""
        self._by_pos.pop(pos, None)

    def settle(self, is_settled: Callable[[StoredBatch], bool]) -> None:
        """Covered batches leave the window, and it grows by as many."""
        settled = [pos for pos, batch in self._by_pos.items() if is_settled(batch)]
        for pos in settled:
            del self._by_pos[pos]
        self._window = min(self._window + len(settled), self._window_max)

    def gone(self, pos: int) -> None:
        """The row is not there any more: nobody waits for it, on any lane."""
        self._by_pos.pop(pos, None)
        tickets = [
            ticket
            for ticket, sent in self._unacked.items()
            if sent.batch is not None and sent.batch.pos == pos
        ]
        for ticket in tickets:
            del self._unacked[ticket]

    def again(self) -> None:
        """The cursor moves: nothing of the window counts as sent."""
        self._by_pos.clear()

    def narrow(self) -> None:
        """Back to the first window: a new connection, or nobody answers."""
        self._window = WINDOW_FIRST

    def clear(self) -> None:
        """The connection is gone, and with it all that was out."""
        self._unacked.clear()
        self._by_pos.clear()
