"""What the outbox is told and what it tells: settings, states, troubles, and the named points of a transaction.

Law: vocabulary only.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum

At = Callable[[str], None]

KILL_POINTS = (  # where the harness may cut the power (EDGE section 12), in the order of a transaction's life
    "store:begin",
    "store:signed",
    "store:inserted",
    "store:covered",
    "store:committing",
    "store:committed",
    "delete:before",
    "delete:after",
    "evict:before",
    "evict:after",
    "word:begin",
    "word:rewritten",
    "word:committing",
    "word:committed",
    "aside:before",
    "aside:renamed",
    "aside:new",
    "spill:before",
    "spill:begun",
    "spill:moving",
    "spill:moved",
    "salvage:slice",
    "salvage:done",
    "start:opened",
    "start:checked",
    "close:marked",
    "close:checkpointed",
)


def no_op(_name: str) -> None:
    """Nobody wants to kill us here."""


class DeleteAfter(Enum):
    """What a batch waits for before it becomes spare (WIRE section 13)."""

    RECEIPT = "receipt"
    PROOF = "proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSettings:
    """`outbox` of the config."""

    bytes_max: int = 67_108_864
    headroom_bytes: int = 33_554_432  # free on the disk; below it a failed commit is near
    spare_bytes: int = 4_194_304  # covered rows that stay: about 9,000 batches
    delete_after: DeleteAfter = DeleteAfter.RECEIPT
    ballast_bytes: int = 2_097_152  # given up to get a full disk moving again


class Cause(IntEnum):
    """Why a start came; numbers of WIRE section 6, kind 2."""

    UNKNOWN = 0
    POWER = 1
    WATCHDOG = 2
    UPDATE = 3
    ORDERED = 4


class ChainReason(Enum):
    """Why a chain begins; numbers of WIRE section 7."""

    ENROLLED = 1
    UNCLEAN_START = 2
    STORE_LOST = 3
    ROLLED_BACK = 4
    KEY_ROTATED = 5
    ORDERED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """What we know of one of our chains: enough for its hello and for judging its receipts."""

    chain_id: bytes
    covered: int  # newest number that a receipt covers; -1: none
    batch_no: int  # the newest; -1: none yet
    seq: int  # its last record
    head: bytes
    oldest: int  # lowest number still kept, receipted or not; batch_no + 1 if none
    waiting: int  # batches without receipt
    current: bool
    at_home: bool  # waits for the collector's word: nothing of it may leave, not even its hello


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The newest batch of the chain before (WIRE section 7); `seq` None: not known."""

    chain_id: bytes
    batch_no: int
    head: bytes
    seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHome:
    """What waits for the collector's word (EDGE section 4). Batches from `from_pos` on stay at home."""

    from_pos: int
    unsaid_pos: int  # from here on nothing has ever left; what lies before may have, and waits for the time alone
    first_id: int  # chains from this one on are at home from their beginning
    tip: Previous  # the newest batch that has left the unit or may leave it: hello speaks of this one
    until_mono_ms: int  # nor do they leave before this: a lying card has flushed by then
    spoken: bool  # the word has come; only the time is missing
    starts: tuple[
        int, ...
    ] = ()  # first batches of the starts that wait: there a lost past may begin

    @property
    def ask_chain(self) -> bytes:
        """The chain that hello speaks of while the word is awaited."""
        return self.tip.chain_id

    def is_over(self, mono_ms: int) -> bool:
        """Whether everything may leave now."""
        return self.spoken and mono_ms >= self.until_mono_ms


class Word(Enum):
    """What the collector's word did."""

    NOT_ASKED = "not_asked"  # no chain waited for it
    NOT_YET = "not_yet"  # it speaks of a chain that was lost with its store, perhaps: wait on
    CONFIRMED = "confirmed"  # it knows nothing that we have forgotten: send
    FOUNDED_AGAIN = "founded_again"  # it knew more: the waiting batches have new numbers and heads


class Trouble(Enum):
    """What the shell should log, show and record as `health`."""

    DAMAGED = "damaged"  # the store was set aside; a new one and a new chain began
    ROW_BAD = "row_bad"  # a row failed its own signature; deleted and confessed
    HOLE = "hole"  # rows are missing; confessed
    EVICTED = "evicted"
    DISK_FULL = "disk_full"
    SPILL = "spill"  # the disk refuses: it goes on in the run directory
    DISK_BACK = "disk_back"
    SALVAGED = "salvaged"  # what could be read of a file that was set aside is back
    FOUNDED_AGAIN = "founded_again"
    CHAIN_BEGUN = "chain_begun"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One thing that happened to the store."""

    trouble: Trouble
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """The store in numbers, for the status page and `plomba-agent outbox stats`."""

    chains: tuple[ChainState, ...]
    rows: int
    waiting: int
    urgent: int
    bytes_used: int
    bytes_max: int
    spare_bytes: int
    pressure: int
    evicted_ever: int
    starts_ever: int
    aside_files: int
    ballast: bool
    spilled: bool  # in the run directory: the disk refuses
    salvaging: bool  # a file that was set aside is being read
    newest_pos: int
    commits: int  # of this process
    counters: dict[str, int] = field(default_factory=dict)


class OutboxError(Exception):
    """The store cannot do it now; what was handed in is still the caller's."""


class OutboxLockedError(OutboxError):
    """Another agent holds this store."""


class OutboxFullError(OutboxError):
    """No space, and nothing left that may be dropped."""

    def __init__(self, *, bytes_used: int, hint: str) -> None:
        super().__init__(f"outbox is full at {bytes_used} bytes: {hint}")
        self.bytes_used = bytes_used
        self.hint = hint


class OutboxDiskError(OutboxError):
    """The disk refuses: read-only, gone, or an I/O error. Try again later."""
