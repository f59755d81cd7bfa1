"""What a message is worth: signature, bounds, place in the chain (WIRE sections 8 and 9).

Law: any bytes get exactly one verdict, and order of arrival changes nothing.
"""

from dataclasses import dataclass, field
from enum import Enum

from wire import Reason
from wire.batch import Genesis

__all__ = [
    "PARKED_BATCHES_MAX",
    "PARKED_BYTES_MAX",
    "Arrival",
    "Chain",
    "Closed",
    "Confession",
    "Forked",
    "Hole",
    "Judged",
    "Missing",
    "Oddity",
    "Parked",
    "Settled",
    "Slot",
    "Step",
    "Verdict",
    "Why",
]

PARKED_BATCHES_MAX = 4_096  # a unit, WIRE section 9: 68 hours at one a minute
PARKED_BYTES_MAX = 64 << 20  # a unit, WIRE section 9


class Verdict(Enum):
    """Exactly five outcomes (WIRE section 9); REJECTED has a reason."""

    ACCEPTED = "Accepted"
    DUPLICATE = "Duplicate"
    GAP = "Gap"
    FORK = "Fork"
    REJECTED = "Rejected"


class Slot(Enum):
    """Where in the unit's history an accepted batch stands, and so who reads its records."""

    IN_ORDER = "in_order"  # stepped by the detectors
    HOLE = "hole"  # came after its hole was closed: stored, logged, shown, not judged again
    LATE_TAIL = "late_tail"  # of a closed chain, above its last number


class Why(Enum):
    """What closed a hole, if not its batches."""

    DROPPED = "dropped"  # the unit's signed record of loss
    OLDEST = "oldest"  # a hello that holds nothing so old
    SUPERVISOR = "supervisor"  # an act after 24 h


class Oddity(Enum):
    """What is wrong with a history: values of LOG_INTEGRITY, and LateTail, a record."""

    FORK = "Fork"
    CHAIN_BREAK = "ChainBreak"
    ROLLED_BACK = "RolledBack"
    LATE_TAIL = "LateTail"
    STORE_LOST = (
        "StoreLost"  # ours: a settled batch was gone from the store, and the unit sent it again
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Confession:
    """The unit's own word that batches of a chain will not come."""

    chain_id: bytes
    first_no: int
    last_no: int
    last_head: bytes | None
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What the place in a chain depends on, of a batch whose header and signature are sound."""

    chain_id: bytes
    batch_no: int
    head: bytes
    prev: bytes
    first_seq: int
    count: int
    sealed_ms: int
    time_quality: int
    boot_no: int
    sealed_mono_ms: int
    size_bytes: int  # of the envelope
    is_early: bool = False
    reason: Reason | None = None  # refused with its link kept
    genesis: Genesis | None = None  # of batch 0, if it could be read
    confessions: tuple[Confession, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """How far a chain is settled. It is closed by its successor."""

    chain_id: bytes
    ordinal: int  # chains of a unit in their succession: 0, 1, 2 ..
    through: int  # settled: the newest number taken in order or closed as a hole
    head: bytes | None  # of `through`; None right behind a hole whose end nobody named
    next_seq: int  # first_seq + count of the newest stored batch
    stored_no: int  # newest number that is really here, -1: none; what a receipt may name
    stored_head: bytes | None
    began_ms: int  # batch 0's sealed_ms and time_quality
    began_quality: int
    last_sealed_ms: int = 0  # of batch `stored_no`
    last_quality: int = 0
    last_boot_no: int = 0
    last_mono_ms: int = 0
    successor: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Numbers of a chain that were closed without their batches; what still comes must fit on both sides."""

    chain_id: bytes
    first_no: int
    last_no: int
    first_seq: int  # lowest that its records can have
    before: bytes | None  # head of first_no - 1
    after: bytes | None  # prev of last_no + 1
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What a unit owes: the collector asks for it from `first_no` on."""

    chain_id: bytes
    first_no: int
    last_no: int
    first_seq: int
    is_urged: bool  # not only early copies say so: it should have come by now
    is_promised: bool = False  # only a hello says so: it may be on its way


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The batch is part of the record from now on."""

    arrival: Arrival
    slot: Slot
    reason: Reason | None  # its records are not used
    was_parked: bool
    oddity: Oddity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """Ahead of its turn: stored, no receipt."""

    arrival: Arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """Another history under the same key: the envelope is kept as proof beside the one of `against`."""

    arrival: Arrival
    against: int  # the number in this chain (or the one before) that holds the other branch
    was_parked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A hole was closed without its batches, or a chain was broken off before `chain_id` (hole None)."""

    chain_id: bytes
    hole: Hole | None
    why: str


Step = Settled | Parked | Forked | Closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict on one batch, and all that follows from it, in order."""

    verdict: Verdict
    reason: Reason | None = None  # with REJECTED
    steps: tuple[Step, ...] = field(default=())
