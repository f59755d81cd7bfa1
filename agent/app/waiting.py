"""What is recorded and not committed yet: batches that wait in memory while the store is slow or hangs (EDGE section 4).

Law: pure; bounded. At the bound the cheap goes first, oldest first, as on a full disk; evidence never goes: then nothing more is heard.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from agent import Kept, Weight
from agent.sealer import OpenBatch

RECORDS_MAX = 4_096  # EDGE section 4: minutes of everything, some 3 MiB
BATCHES_MAX = 16  # as many as the writer's queue takes: then the sealer keeps its batch open
RUN_RECORDS_MAX = 64  # given up at once, as an eviction takes 64 rows

Cheap = Callable[[Kept], bool]
_CHEAP: tuple[
    Cheap, ...
] = (  # what goes first, as in `agent.outbox.forget`; evidence is not among it
    lambda one: one.weight == Weight.ROUTINE,
    lambda one: one.weight == Weight.EVENT and not one.urgent,
    lambda one: one.weight == Weight.EVENT,
)


@dataclass(slots=True, kw_only=True)
class Closed:
    """A batch that waits for its commit."""

    batch: OpenBatch
    through: int  # the number of its last record, counted over this start
    at_ms: int  # when it was closed
    is_held: bool = False  # its commit is under way: it stays as it is


class Waiting:
    """First in, first committed."""

    def __init__(self, records_max: int = RECORDS_MAX) -> None:
        self.records = 0
        self.dropped = 0  # ever
        self._records_max = records_max
        self._batches: deque[Closed] = deque()
        self._through = 0

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def has_room(self) -> bool:
        """False: all that waits is evidence, and more must not be heard."""
        return self.records < self._records_max

    @property
    def is_behind(self) -> bool:
        """Whether another batch would only be one more commit that is owed."""
        return len(self._batches) >= BATCHES_MAX

    @property
    def oldest_ms(self) -> int | None:
        """Since when the first one waits."""
        return self._batches[0].at_ms if self._batches else None

    def add(self, batch: OpenBatch, mono_ms: int) -> None:
        """One more; what is cheap goes if there are too many."""
        self._through += len(batch.kept)
        self._batches.append(Closed(batch=batch, through=self._through, at_ms=mono_ms))
        self.records += len(batch.kept)
        while self.records > self._records_max and self._drop_run():
            pass

    def hold_first(self) -> Closed | None:
        """The one to be committed now; nothing is taken from it any more."""
        if not self._batches:
            return None
        self._batches[0].is_held = True
        return self._batches[0]

    def done(self, closed: Closed) -> None:
        """It is committed, or given up."""
        assert self._batches[0] is closed, "in the order of hearing"
        self._batches.popleft()
        self.records -= len(closed.batch.kept)

    def _drop_run(self) -> bool:
        """Give up some of the cheapest records, the oldest of them; False if only evidence is left."""
        for is_cheap in _CHEAP:
            for closed in self._batches:
                if not closed.is_held and self._thin(closed, is_cheap):
                    return True
        return False

    def _thin(self, closed: Closed, is_cheap: Cheap) -> bool:
        over = min(self.records - self._records_max, RUN_RECORDS_MAX)
        kept: list[Kept] = []
        gone = 0
        for one in closed.batch.kept:
            if gone < over and is_cheap(one):
                gone += 1
            else:
                kept.append(one)
        if not gone:
            return False
        self.records -= gone
        self.dropped += gone
        if kept:
            closed.batch = replace(closed.batch, kept=tuple(kept))
        else:  # its number goes over to the next: what waited for it waits for that one
            self._batches.remove(closed)
        return True
