"""A tick: screen columns, step the rows that matter (DETECTION section 2).

Law: screening never hides a finding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from collector.detect import Finding, Place, Settled, Signal
from collector.detect.rules import Rulebook
from collector.detect.track import Batch, decode
from wire import MisuseError, Refused
from wire.canon import decode as read, encode

BLOB_BYTES_MAX = (
    4_096  # a unit's state is read and written with every tick that holds a batch of it
)
BLOB_VERSION = 1


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
    """The stored `Tick(now_ms)` of a partition: nothing else was heard until then."""

    now_ms: int


Item = Batch | EarlyCopy | ChainHole | Heard | TimePassed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What one transaction of the intake holds, in intake order. Batches are accepted ones, in chain order for each unit."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What the engine itself keeps of a unit: its place in the chain and its last good fix."""

    chain: bytes | None = None
    prev: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """All that is known of a unit between two ticks. Immutable; `pack` gives its blob."""

    frame: Frame = field(default_factory=Frame)


FRESH = UnitState()
States = Mapping[str, UnitState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the loop writes with the batches, in one transaction."""

    states: dict[str, UnitState]  # of every unit that had a batch or hole in the tick
    findings: tuple[Finding, ...]
    settled: tuple[Settled, ...]
    signals: tuple[Signal, ...]
    next_due_ms: int | None  # when the watch wants a TimePassed; None: the usual 10 s will do


def run(rules: Rulebook, states: States, tick: Tick) -> Result:
    """What the tick's facts mean. Pure; `states` lacks units never heard of."""
    assert rules.versions, "a rulebook without a version judges nothing"
    track = decode(item for item in tick.items if isinstance(item, Batch))
    after: dict[str, UnitState] = {}
    begin = 0
    for unit, end in zip(track.units, track.ends.tolist(), strict=True):
        chain = next(batch.chain for batch in reversed(track.batches) if batch.unit == unit)
        prev = states.get(unit, FRESH).frame.prev
        if end > begin:
            prev = Place(
                seq=int(track.seq[end - 1]),
                t_ms=int(track.t_ms[end - 1]),
                lat_e7=int(track.lat_e7[end - 1]),
                lon_e7=int(track.lon_e7[end - 1]),
                u_cm=1_000,
            )
        after[unit] = UnitState(frame=Frame(chain=chain, prev=prev))
        begin = end
    return Result(states=after, findings=(), settled=(), signals=(), next_due_ms=None)


def pack(state: UnitState) -> bytes:
    """The blob of a state; `unpack(pack(state)) == state`."""
    prev = state.frame.prev
    blob = encode(
        (
            BLOB_VERSION,
            state.frame.chain,
            None if prev is None else (prev.seq, prev.t_ms, prev.lat_e7, prev.lon_e7, prev.u_cm),
        )
    )
    assert len(blob) <= BLOB_BYTES_MAX, "a unit's state outgrew its row"
    return blob


def unpack(blob: bytes) -> UnitState:
    """The state that `pack` wrote. MisuseError for bytes that are no state of ours."""
    value = read(blob)
    if isinstance(value, Refused) or not isinstance(value, list) or value[:1] != [BLOB_VERSION]:
        raise MisuseError("these bytes are no state of a unit")
    _, chain, prev = value
    assert chain is None or isinstance(chain, bytes)
    if prev is None:
        return UnitState(frame=Frame(chain=chain))
    assert isinstance(prev, list)
    seq, t_ms, lat_e7, lon_e7, u_cm = (int(str(number)) for number in prev)
    place = Place(seq=seq, t_ms=t_ms, lat_e7=lat_e7, lon_e7=lon_e7, u_cm=u_cm)
    return UnitState(frame=Frame(chain=chain, prev=place))
