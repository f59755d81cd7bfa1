"""What the writer holds in memory of its store: chains, their heads, what waits and what is spare.

Law: a value. A transaction works on a book of its own; it counts only after the COMMIT. Nothing here reads or writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agent import StoredBatch
from agent.outbox.words import ChainReason, Previous
from wire.canon import decode

CHAINS_MAX = 16  # remembered after their rows are gone: an unclean start a day for two weeks
SEQ_UNKNOWN = -1  # of a chain that only the collector remembers, or with nothing sealed yet
HOLES_MAX = 256  # remembered a chain; evictions join their neighbours, so more would be strange


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One chain of ours, up to its newest batch."""

    id: int  # rising: the order of chains
    chain_id: bytes
    through: int  # covered by a receipt, as the store knows; -1: none
    last_no: int  # -1: nothing sealed yet
    last_seq: int  # -1: nothing sealed yet, or not known
    last_head: bytes  # h0 while nothing is sealed
    oldest: int  # lowest number kept
    gone: tuple[tuple[int, int], ...] = ()  # runs above `through` that are dropped and confessed

    def waiting(self, through: int) -> int:
        """How many batches above `through` are still kept."""
        floor = max(through, self.oldest - 1)
        missing = sum(max(0, last - max(first - 1, floor)) for first, last in self.gone)
        return max(0, self.last_no - floor - missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All of it."""

    chains: Mapping[int, Chain] = field(
        default_factory=dict
    )  # by id, rising; the last is the current one
    memory: Mapping[str, bytes] = field(default_factory=dict)
    urgent: tuple[StoredBatch, ...] = ()  # without receipt when they were listed, oldest first
    newest_pos: int = 0
    covered_pos: int = 0  # up to here every row is covered: spare
    spare_bytes: int = 0
    rows: int = 0
    chain_floor: int = (
        0  # chains that begin here have a higher id: those of a lost store come back below
    )
    stop_is_newest: bool = False  # the newest event of the newest batch is `stop`

    @property
    def current(self) -> Chain:
        """The chain that grows."""
        return self.chains[max(self.chains)]

    def with_chain(self, chain: Chain) -> "Book":
        """The same, with this chain as it is now."""
        return replace(self, chains={**self.chains, chain.id: chain})

    def by_id(self, chain_id: bytes) -> Chain | None:
        """The chain of that name, if we remember it."""
        for chain in self.chains.values():
            if chain.chain_id == chain_id:
                return chain
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """A new chain is to begin."""

    reason: ChainReason
    previous: Previous | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a start found in the store that it opened."""

    newest: Previous | None  # None: an empty store
    has_lived: bool  # a store has been here before
    same_boot: bool  # the process was started again, the operating system was not
    clean: bool  # `stop` is the newest event, and the marker names its batch
    same_key: bool  # the newest batch was signed by the key in force
    tip: Previous | None = (
        None  # of a store that is lost, if the run directory still knows its newest batch
    )


def choose_chain(found: Found) -> Begin | None:
    """Which chain a start goes on with: None for the one that is there (WIRE section 7, EDGE section 4).

    In doubt a new one: so a card that lies about fsync can never make an honest unit look like a forger.
    """
    if found.newest is None:
        reason = ChainReason.STORE_LOST if found.has_lived else ChainReason.ENROLLED
        return Begin(reason=reason, previous=found.tip)
    if not (found.same_boot or found.clean):
        return Begin(reason=ChainReason.UNCLEAN_START, previous=found.newest)
    if not found.same_key:  # a chain lives and dies with its key
        return Begin(reason=ChainReason.KEY_ROTATED, previous=found.newest)
    return None


def joined(gone: tuple[tuple[int, int], ...], first: int, last: int) -> tuple[tuple[int, int], ...]:
    """Runs of numbers, with one more; neighbours become one."""
    runs = sorted((*gone, (first, last)))
    out: list[tuple[int, int]] = []
    for begin, end in runs:
        if out and begin <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((begin, end))
    return tuple(out[-HOLES_MAX:])


def count_of(book: Book, name: str) -> int:
    """A number that the store counts for ever."""
    cell = book.memory.get(name)
    value = None if cell is None else decode(cell)
    return value if isinstance(value, int) else 0
