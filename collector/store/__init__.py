"""Batches, heads, detector state, alerts: one interface over SQLite and, later, PostgreSQL.

Law: a tick is one transaction, and the fence on each unit's head is part of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from collector.desk import Word
from collector.detect import Finding
from collector.ingest import Arrival, Chain, Confession, Hole
from collector.ingest.pace import GapWatch
from collector.notify import Target
from wire.columns import Columns

__all__ = [
    "BatchRow",
    "CrossWrite",
    "Fence",
    "ForkRow",
    "GapCloseRow",
    "JourneyRow",
    "NowRow",
    "QuarantineRow",
    "RulesRow",
    "StoreError",
    "TickWrite",
    "TrackRow",
    "UnitLoad",
    "UnitRow",
    "UnitWrite",
]


class StoreError(Exception):
    """What an operator can act on: the sentence says how."""


# what a tick reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """What a unit's head must still be when the tick is committed."""

    rev: int
    chain_id: bytes  # empty: no chain yet
    batch_no: int
    head: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitLoad:
    """All that decides about a unit's next messages."""

    unit_no: int
    unit_id: str
    fence: Fence
    chains: tuple[Chain, ...]
    waiting: tuple[tuple[Arrival, int, int | None], ...]  # with rx_ms and early_ms
    confessions: tuple[Confession, ...]
    holes: tuple[Hole, ...]
    gap: GapWatch | None
    state: bytes | None
    now: "NowRow | None"


# what a tick writes


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """A batch as it stands in the record; `envelope` is what the unit signed."""

    unit_no: int
    chain: int  # ordinal of its chain
    batch_no: int
    head: bytes
    first_seq: int
    count: int
    sealed_ms: int
    rx_ms: int
    early_ms: int | None
    slot: str | None  # None: in its order
    reason: str | None
    t0_ms: int | None
    t1_ms: int | None
    min_lat_e7: int | None
    max_lat_e7: int | None
    min_lon_e7: int | None
    max_lon_e7: int | None
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkRow:
    """Proof of another history under the same key."""

    chain_id: bytes
    batch_no: int
    head: bytes
    against_no: int
    rx_ms: int
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NowRow:
    """Where a unit is, as far as it has said; place None until its first fix."""

    heard_ms: int
    owes: int
    t_ms: int | None = None
    lat_e7: int | None = None
    lon_e7: int | None = None
    speed_cm_s: int | None = None
    course_cdeg: int | None = None
    flags: int | None = None


@dataclass(slots=True, kw_only=True)
class UnitWrite:
    """What a tick changes of one unit. Filled by the tick, read by the store."""

    unit_no: int
    unit_id: str
    fence: Fence
    fence_after: Fence
    chains: list[Chain] = field(default_factory=list)
    batches: list[BatchRow] = field(default_factory=list)
    parked: list[tuple[Arrival, bytes, int, int | None]] = field(
        default_factory=list
    )  # with envelope, rx_ms, early_ms
    unparked: list[tuple[bytes, int]] = field(default_factory=list)
    confessions: list[Confession] | None = None  # all of them, if they changed
    holes: list[Hole] | None = None  # all of them, if they changed
    gap: GapWatch | None = None
    gap_changed: bool = False
    forks: list[ForkRow] = field(default_factory=list)
    state: bytes | None = None
    now: NowRow | None = None
    words: list[Word] = field(default_factory=list)  # of orders, as they were said
    gaps_closed: list[tuple[int, str]] = field(default_factory=list)  # number of the act, outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossWrite:
    """A row of what several units have told together."""

    key: str
    rev: int | None  # that the tick was judged against; None: there was none
    blob: bytes | None  # None: it goes


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRow:
    """A message that is worth nothing, with its reason."""

    rx_ms: int
    topic: str
    reason: str
    detail: str
    size_bytes: int
    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TickWrite:
    """Everything of one transaction."""

    now_ms: int
    time_passed: bool = False  # so rests of alerts may be over
    rules_version: int
    intake: tuple[tuple[str, tuple[object, ...]], ...]  # unit_id ("" for all) and the entry
    units: tuple[UnitWrite, ...]
    findings: tuple[Finding, ...]
    settled: tuple[tuple[str, bytes, str], ...]  # unit_id, finding id, word
    quarantine: tuple[QuarantineRow, ...]
    counters: dict[str, int]
    targets: tuple[Target, ...] = ()  # who is told of alerts
    crossed: tuple[CrossWrite, ...] = ()
    cross_revs: Mapping[str, int] = field(default_factory=dict)  # of all its rows, as it knew them


@dataclass(frozen=True, slots=True, kw_only=True)
class GapCloseRow:
    """A supervisor's act that no tick has carried out yet."""

    number: int
    unit_id: str
    chain_id: bytes
    first_no: int
    last_no: int


# what people read


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    """A unit, with what it last said."""

    unit_no: int
    unit_id: str
    enrolled_ms: int
    kid: bytes | None  # of its newest key that is not revoked
    chain_id: bytes | None
    batch_no: int  # settled, -1: none
    parked: int  # batches that wait for their turn
    gap_since_ms: int | None
    now: NowRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRow:
    """The fixes and events of one stored batch, decoded. `is_cut`: its records could not be read or are not used."""

    chain_id: bytes
    batch_no: int
    fixes: Columns
    is_used: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesRow:
    """One version of what the detectors run with, as it was imported."""

    version: int
    valid_from_ms: int
    zones: str  # GeoJSON
    routes: str
    thresholds: str  # TOML
    made_by: str = ""  # who imported or proposed it
    approved_by: str = ""  # "": nobody else, it came by the machine's own way


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyRow:
    """What a unit is on from `since_ms` until its next journey."""

    id: str
    unit_id: str
    since_ms: int
    state: str = "in_transit"
    sealed: bool = True
    seals: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    route: str | None = None
    limit_ms: int | None = None
    tractor: str = ""  # plates in their normal form
    trailer: str = ""
    containers: tuple[str, ...] = ()
