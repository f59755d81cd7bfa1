"""A tick: screen columns, step the rows that matter (DETECTION section 2). Here: the words that its rooms share.

Law: screening never hides a finding: `run(screen=every_row) == run()`, findings and packed states. A dull row leaves a quiet state
as it is; what every row changes (last good fix, progress) is kept here, for all rows alike, in the `Frame`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from collector.detect import (
    Finding,
    Place,
    Settled,
    gnss,
    interference,
    motion,
    restate,
    route,
    seals,
    silence,
    speed,
    stops,
    tags,
    zones,
)
from collector.detect.cross.known import NOTHING, Known, Word
from collector.detect.track import Batch

CHAINS_MAX = 8  # of a unit whose findings may still be running
MARKS_MAX = 16
SEQ_BITS = 42  # wire.LIM: above them stands which of the unit's chains a record belongs to
NEVER_MS = 1 << 62

GateState = gnss.State
MotionState = motion.State
ZoneState = zones.State
RouteState = route.State
StopState = stops.State
SpeedState = speed.State
WatchState = silence.State
SkyState = interference.State
TagState = tags.State
SealState = seals.State
BitArray = NDArray[np.uint8]  # for each row, whom it may concern
GATE, MOTION, ZONES, ROUTE, STOPS, SPEED, SEALS, SKY = (1 << bit for bit in range(8))
ALL = GATE | MOTION | ZONES | ROUTE | STOPS | SPEED | SEALS | SKY
Screening = Callable[[BitArray], BitArray]
JourneyKey = tuple[str, bool]  # id; whether it is on the road


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyCopy:
    """A batch that travelled ahead of the backlog: judged alone, at once, without state."""

    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHole:
    """Records that will not come: confessed as lost, or given up by a supervisor.

    Also stands between two chains after ChainBreak or RolledBack; then `first` and `last` are None.
    """

    unit: str
    chain: bytes
    first: int | None
    last: int | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Anything came from the unit."""

    unit: str
    received_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """The stored `Tick(now_ms)` of a partition: nothing else was heard until then, by a centre that has listened since `since_ms`."""

    now_ms: int
    since_ms: int = 0


Piece = Batch | ChainHole | Heard  # of one unit, in order
Item = Piece | EarlyCopy | TimePassed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What one transaction of the intake holds, in intake order. Batches are accepted ones, in chain order for each unit."""

    items: tuple[Item, ...]
    known: Known = NOTHING  # what several units have told together before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What the engine itself keeps of a unit: what every row may change."""

    chains: tuple[bytes, ...] = ()  # the newest last; at most CHAINS_MAX
    chains_before: int = 0  # how many were forgotten
    prev: Place | None = None  # the last good fix
    broken: bool = False  # a hole lies behind it
    version: tuple[int, int] | None = None  # of the rules that judged it: number, valid_from_ms
    top_m: int = 0  # progress along the route
    marks: tuple[tuple[int, int], ...] = ()  # (number, time) of the last full 2 km
    journey: JourneyKey | None = None  # that the last row was judged on
    start: restate.Start | None = None  # the newest one, while it has told no trusted time


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """All that is known of a unit between two ticks. Immutable; `pack` gives its blob."""

    frame: Frame = field(default_factory=Frame)
    gate: GateState = field(default_factory=GateState)
    motion: MotionState = field(default_factory=MotionState)
    zones: ZoneState = field(default_factory=ZoneState)
    route: RouteState = field(default_factory=RouteState)
    stops: StopState = field(default_factory=StopState)
    speed: SpeedState = field(default_factory=SpeedState)
    seals: SealState = field(default_factory=SealState)
    watch: WatchState = field(default_factory=WatchState)
    sky: SkyState = field(default_factory=SkyState)
    tags: TagState = field(default_factory=TagState)


FRESH = UnitState()
States = Mapping[str, UnitState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the loop writes with the batches, in one transaction."""

    states: dict[
        str, UnitState
    ]  # of every unit that had a batch or hole, was heard or has a watch that moved
    findings: tuple[Finding, ...]
    settled: tuple[Settled, ...]
    words: tuple[
        Word, ...
    ]  # what units had to tell one another: `known` holds what is left of them
    next_due_ms: int | None  # when the watch wants a TimePassed; None: the usual 10 s will do
    known: Known | None = None  # after it; None: as it was
    rows: int = 0
    stepped: int = 0  # of them, for whoever measures


def marked_rows(mask: BitArray) -> BitArray:
    """The usual screening: what a screen has marked."""
    return mask


def every_row(mask: BitArray) -> BitArray:
    """No screening: every row concerns everybody. The oracle of law 2."""
    return np.full(len(mask), ALL, np.uint8)
