"""A tick: screen columns, step the rows that matter (DETECTION section 2).

Law: screening never hides a finding: `run(screen=every_row) == run()`, findings and packed states. A dull row leaves a quiet state
as it is; what every row changes (last good fix, progress) is kept here, for all rows alike, in the `Frame`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from collector.detect import (
    PRIORITIES,
    Finding,
    Fix,
    Hit,
    Level,
    Place,
    Settled,
    SettledAs,
    Signal,
    finding_key,
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
from collector.detect.geo import BoolArray, IntArray, RouteLine
from collector.detect.geo.index import touched
from collector.detect.geo.line import Along, Whole, project_many
from collector.detect.geo.lines import MARK_M, Progress, follow
from collector.detect.geo.measure import HALF_TURN_E7, distances_m
from collector.detect.rules import Journey, Rulebook, Rules
from collector.detect.track import UNKNOWN, Batch, Track, decode
from wire import MisuseError, Refused
from wire.canon import decode as read, encode
from wire.columns import Event
from wire.records import EventKind

BLOB_BYTES_MAX = (
    4_096  # a unit's state is read and written with every tick that holds a batch of it
)
BLOB_VERSION = 2
BLOB_VERSIONS = (1, 2)  # what is still read: version 1 knew neither stops nor speed
CHAINS_MAX = 8  # of a unit whose findings may still be running
MARKS_MAX = 16
SEQ_BITS = 42  # wire.LIM: above them stands which of the unit's chains a record belongs to
NEVER_MS = 1 << 62
RESCREEN_ROWS = 48  # so many rows are screened anew in the time in which they would be stepped

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
OPENINGS = frozenset({"SEAL_OPENED", "SEAL_OPEN_UNAUTHORISED", "DOOR_OPEN_UNAUTHORISED"})
PLACED = ("ZONE_", "ROUTE_", "FORBIDDEN_ZONE", "LEGAL_ROUTE")  # findings that stand on places
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
    signals: tuple[Signal, ...]
    next_due_ms: int | None  # when the watch wants a TimePassed; None: the usual 10 s will do
    rows: int = 0
    stepped: int = 0  # of them, for whoever measures


def marked_rows(mask: BitArray) -> BitArray:
    """The usual screening: what a screen has marked."""
    return mask


def every_row(mask: BitArray) -> BitArray:
    """No screening: every row concerns everybody. The oracle of law 2."""
    return np.full(len(mask), ALL, np.uint8)


def run(rules: Rulebook, states: States, tick: Tick, *, screen: Screening = marked_rows) -> Result:
    """What the tick's facts mean. Pure; `states` lacks units never heard of."""
    assert rules.versions, "a rulebook without a version judges nothing"
    pieces: dict[str, list[Piece]] = {}
    early: list[Finding] = []
    for item in tick.items:
        match item:
            case Batch():
                pieces.setdefault(item.unit, []).append(restate.restated(item))
            case ChainHole() | Heard():
                pieces.setdefault(item.unit, []).append(item)
            case EarlyCopy():
                early += judge(rules, item.batch)
            case TimePassed():
                pass  # the watch comes behind all rows
    track = decode(piece for some in pieces.values() for piece in some if isinstance(piece, Batch))
    columns = _columns(rules, states, track)
    bits = screen(columns.mask)
    after: dict[str, UnitState] = {}
    findings: list[Finding] = early
    settled: list[Settled] = []
    signals: list[Signal] = []
    stepped = 0
    number_of = {unit: number for number, unit in enumerate(track.units)}
    for unit, some in pieces.items():
        number = number_of.get(unit)
        passed = None if number is None else _passed_by(columns, bits, number, states, some)
        if passed is not None:
            after[unit] = passed
            continue
        walk = _Walk(rules, columns, bits, screen, unit, number, states.get(unit, FRESH))
        walk.go(some)
        after[unit] = walk.state()
        findings += walk.findings
        settled += walk.settled
        signals += walk.signals
        stepped += walk.stepped
    findings += _watch(rules, states, after, tick)
    return Result(
        states=after,
        findings=tuple(findings),
        settled=tuple(settled),
        signals=tuple(signals),
        next_due_ms=None,
        rows=len(track),
        stepped=stepped,
    )


def _watch(
    book: Rulebook,
    states: States,
    after: dict[str, UnitState],
    tick: Tick,
) -> list[Finding]:
    """Silence and deadlines: how much time has passed, behind all rows of the tick. Writes `after`."""
    findings: list[Finding] = []
    for item in tick.items:
        if isinstance(item, TimePassed):
            for unit in sorted(states.keys() | after.keys()):
                state = after.get(unit) or states[unit]
                watch, hits = _time_passed(book, unit, state, item)
                if watch is not state.watch:
                    after[unit] = replace(state, watch=watch)
                findings += [_watched(book, unit, state, hit, item.now_ms) for hit in hits]
    return findings


def _time_passed(
    book: Rulebook, unit: str, state: UnitState, item: TimePassed
) -> tuple[WatchState, tuple[Hit, ...]]:
    watch, journey = state.watch, book.journey(unit, item.now_ms)
    rules = book.at(item.now_ms)
    th = rules.thresholds
    quiet_ms = item.now_ms - max(watch.heard_ms, item.since_ms)
    on_time = quiet_ms <= (2 * th.period_s + th.period_grace_s) * 1_000
    no_limit = watch.journey is None and (journey is None or journey.limit_ms is None)
    if watch.lost is None and no_limit and (on_time or watch.heard_ms == 0):
        return watch, ()  # as for nearly all, each ten seconds
    line = book.route(unit, item.now_ms, rules)
    frame, eta_ms = state.frame, None
    if line is not None and state.route.route == line.id:
        eta_ms = route.eta_ms(line, frame.top_m, frame.marks, item.now_ms)
    around = silence.Around(
        rules=rules,
        journey=journey,
        place=frame.prev,
        sealed=all(seal.life is seals.Life.SEALED for seal in state.seals.seals),
        jammed=interference.JAMMING in interference.running(state.sky),
        arrived=line is not None and state.route.mode is route.Mode.DONE,
        eta_ms=eta_ms,
    )
    return silence.tick(around, watch, now_ms=item.now_ms, since_ms=item.since_ms)


def _watched(book: Rulebook, unit: str, state: UnitState, hit: Hit, now_ms: int) -> Finding:
    """A finding that no record began: of a deadline it is the journey's, of silence the last record's."""
    if hit.code in silence.DEADLINES:
        return _finding(unit, None, None, hit, now_ms, None, book)
    frame = state.frame
    known = (hit.origin_seq >> SEQ_BITS) - frame.chains_before
    chain = frame.chains[known] if 0 <= known < len(frame.chains) else bytes(16)
    seq = hit.origin_seq & ((1 << SEQ_BITS) - 1)
    return _finding(unit, chain, seq, hit, now_ms, None, book)


def judge(rules: Rulebook, batch: Batch) -> tuple[Finding, ...]:
    """What a batch says alone, without state: opening, tamper, door, panic (DETECTION section 2, Early)."""
    return _alone(rules, restate.restated(batch))


def _alone(rules: Rulebook, batch: Batch) -> tuple[Finding, ...]:
    """The same of a batch whose times are restated."""
    came_ms = batch.received_ms if batch.early_ms is None else batch.early_ms
    places = [_place(row, row[0]) for row in batch.fixes[list(_ROW)].T.tolist() if row[2] or row[3]]
    state = seals.State()
    findings: list[Finding] = []
    for event in batch.events:
        before = [place for place in places if place.seq < event.seq]
        behind = [place for place in places if place.seq > event.seq]
        near = _near(rules, before[-1] if before else None, behind[0] if behind else None)
        context = seals.Context(
            unit=batch.unit, book=rules, near=near, came_ms=came_ms, assume_sealed=True
        )
        hits, state, _ = _judged(context, state, event)
        findings += [
            _finding(batch.unit, batch.chain, hit.origin_seq, hit, event.t_ms, came_ms, rules)
            for hit in hits
            if hit.code in seals.EARLY_CODES
        ]
    return tuple(findings)


def pack(state: UnitState) -> bytes:
    """The blob of a state; `unpack(pack(state)) == state`."""
    frame, prev = state.frame, state.frame.prev
    value: tuple[object, ...] = (
        BLOB_VERSION,
        frame.chains,
        frame.chains_before,
        None if prev is None else (prev.seq, prev.t_ms, prev.lat_e7, prev.lon_e7, prev.u_cm),
        int(frame.broken),
        frame.version,
        frame.top_m,
        frame.marks,
        gnss.pack(state.gate),
        motion.pack(state.motion),
        zones.pack(state.zones),
        route.pack(state.route),
        seals.pack(state.seals),
        None if frame.journey is None else (frame.journey[0], int(frame.journey[1])),
        None if state.stops == FRESH.stops else stops.pack(state.stops),
        None if state.speed == FRESH.speed else speed.pack(state.speed),
        None if frame.start is None else (frame.start.seq, frame.start.t_ms),
        None if state.watch == FRESH.watch else silence.pack(state.watch),
        None if state.sky == FRESH.sky else interference.pack(state.sky),
        None if state.tags == FRESH.tags else tags.pack(state.tags),
    )
    while value[-1] is None:  # what never ran costs nothing; `unpack` takes it as that
        value = value[:-1]
    blob = encode(value)  # type: ignore[arg-type]  # tuples of plain values all the way down: encode checks it
    assert len(blob) <= BLOB_BYTES_MAX, "a unit's state outgrew its row"
    return blob


def unpack(blob: bytes) -> UnitState:
    """The state that `pack` wrote. MisuseError for bytes that are no state of ours."""
    value = read(blob)
    if (
        isinstance(value, Refused)
        or not isinstance(value, list)
        or not value
        or value[0] not in BLOB_VERSIONS
    ):
        raise MisuseError("these bytes are no state of a unit")
    parts: list[list[list[list[int]]]] = value  # type: ignore[assignment]  # written by pack: each part's own unpack reads it
    _, chains, before, prev, broken, version, top_m, marks, *rest = parts
    gate, moved, zoned, routed, sealed, *more = rest
    journey, stopped, sped, start, watched, sky, tagged = [*more, *([None] * 7)][:7]
    frame = Frame(
        chains=tuple(chains),  # type: ignore[arg-type]  # see above
        chains_before=before,  # type: ignore[arg-type]  # see above
        prev=None if prev is None else Place(**dict(zip(_PLACE, prev, strict=True))),  # type: ignore[arg-type, redundant-expr]  # see above
        broken=bool(broken),
        version=None if version is None else (version[0], version[1]),  # type: ignore[arg-type, redundant-expr]  # see above
        top_m=top_m,  # type: ignore[arg-type]  # see above
        marks=tuple((number, t_ms) for number, t_ms in marks),  # type: ignore[misc]  # see above
        journey=None if journey is None else (str(journey[0]), bool(journey[1])),
        start=None if start is None else restate.Start(seq=start[0], t_ms=start[1]),  # type: ignore[arg-type]  # see above
    )
    return UnitState(
        frame=frame,
        gate=gnss.unpack(gate),
        motion=motion.unpack(moved),  # type: ignore[arg-type]  # see above
        zones=zones.unpack(zoned),  # type: ignore[arg-type]  # see above
        route=route.unpack(routed),  # type: ignore[arg-type]  # see above
        stops=stops.State() if stopped is None else stops.unpack(stopped),  # type: ignore[arg-type]  # see above
        speed=speed.State() if sped is None else speed.unpack(sped),  # type: ignore[arg-type]  # see above
        seals=seals.unpack(sealed),  # type: ignore[arg-type]  # see above
        watch=silence.State() if watched is None else silence.unpack(watched),  # type: ignore[arg-type]  # see above
        sky=interference.State() if sky is None else interference.unpack(sky),  # type: ignore[arg-type]  # see above
        tags=tags.State() if tagged is None else tags.unpack(tagged),  # type: ignore[arg-type]  # see above
    )


_PLACE = ("seq", "t_ms", "lat_e7", "lon_e7", "u_cm")
_ROW = (
    0,
    1,
    2,
    3,
    5,
    7,
    8,
    10,
)  # rows of a batch's block: seq, t, lat, lon, speed, hdop, err, flags


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The tick's rows as the screens see them."""

    track: Track
    starts: list[int]
    ends: list[int]
    mask: BitArray
    version: IntArray  # index into the rulebook's versions
    progress: Progress | None
    lasts: list[list[int]]  # the last row of each unit, as `_cells` has it
    routes: list[RouteLine | None]  # of each unit
    journeys: list[JourneyKey | None]  # of each unit, at its first row
    all_rows: list[bool]  # units whose every row must be stepped: their route changes in this tick


def _columns(book: Rulebook, states: States, track: Track) -> _Columns:
    """Every screen over the whole track. Generous: what is marked for nothing is only slow."""
    ends: list[int] = track.ends.tolist()
    starts = [0, *ends[:-1]] if ends else []
    rows = len(track)
    known = [states.get(unit, FRESH) for unit in track.units]
    version = _versions(book, track.t_ms)
    routes, journeys, all_rows = _routes(book, track, starts, ends, version)
    lasts: list[list[int]] = []
    if rows:
        behind = np.maximum(track.ends - 1, 0)
        lasts = np.stack([column[behind] for column in _cells(track)], axis=1).tolist()
    columns = _Columns(
        track=track,
        starts=starts,
        ends=ends,
        mask=np.zeros(rows, np.uint8),
        version=version,
        progress=None,
        lasts=lasts,
        routes=routes,
        journeys=journeys,
        all_rows=all_rows,
    )
    if rows == 0:
        return columns
    first = np.array([start for start, end in zip(starts, ends, strict=True) if start < end])
    prevs = [
        state.frame.prev
        for state, start, end in zip(known, starts, ends, strict=True)
        if start < end
    ]
    before = _before(track, first, prevs)
    dt_ms = track.t_ms - before[0]
    mask = columns.mask
    seen = [
        (state, journey)
        for state, journey, start, end in zip(known, journeys, starts, ends, strict=True)
        if start < end
    ]
    for at, (state, journey) in zip(first.tolist(), seen, strict=True):
        frame = state.frame
        if (
            frame.prev is None
            or frame.journey != journey
            or frame.version != _name_of(book, version[at])
        ):
            mask[at] = ALL
    if len(book.versions) > 1:
        mask[1:][version[1:] != version[:-1]] = ALL
    progress: Progress | None = None
    for number in np.unique(version).tolist():
        rules = book.versions[number]
        at = np.flatnonzero(version == number)
        whole = slice(None) if len(at) == rows else at
        progress_here = _screen_version(
            rules, known, columns, whole, tuple(column[whole] for column in before), dt_ms[whole]
        )
        if len(at) == rows:
            progress = progress_here
        elif progress_here is not None:
            progress = _spread(progress, progress_here, at, rows)
    return replace(columns, progress=progress)


def _versions(book: Rulebook, t_ms: IntArray) -> IntArray:
    begins = np.array([rules.valid_from_ms for rules in book.versions], np.int64)
    return np.maximum(begins.searchsorted(t_ms, "right") - 1, 0)


def _name_of(book: Rulebook, number: int) -> tuple[int, int]:
    rules = book.versions[number]
    return rules.version, rules.valid_from_ms


def _routes(
    book: Rulebook, track: Track, starts: list[int], ends: list[int], version: IntArray
) -> tuple[list[RouteLine | None], list[JourneyKey | None], list[bool]]:
    """Route and journey of each unit at its first row, and whether they are others at a later row."""
    routes: list[RouteLine | None] = []
    keys: list[JourneyKey | None] = []
    changing: list[bool] = []
    firsts = np.array([start for start, end in zip(starts, ends, strict=True) if start < end])
    limits: Iterator[tuple[int, int, int, int, int]] = iter(())
    if len(firsts):
        limits = zip(
            track.t_ms[firsts].tolist(),
            np.minimum.reduceat(track.t_ms, firsts).tolist(),
            np.maximum.reduceat(track.t_ms, firsts).tolist(),
            np.minimum.reduceat(version, firsts).tolist(),
            np.maximum.reduceat(version, firsts).tolist(),
            strict=True,
        )
    for unit, start, end in zip(track.units, starts, ends, strict=True):
        if start == end:
            routes.append(None)
            keys.append(None)
            changing.append(False)
            continue
        first_ms, least_ms, most_ms, oldest, newest = next(limits)
        journeys = book.journeys.get(unit, ())
        keys.append(_journey_key(book.journey(unit, first_ms)) if journeys else None)
        routes.append(book.route(unit, first_ms) if journeys else None)
        same = oldest == newest and (
            not journeys or book.journey(unit, least_ms) is book.journey(unit, most_ms)
        )
        changing.append(not same)
    return routes, keys, changing


def _journey_key(journey: Journey | None) -> JourneyKey | None:
    return None if journey is None else (journey.id, journey.in_transit)


def _before(
    track: Track, first: IntArray, prevs: Sequence[Place | None]
) -> tuple[IntArray, IntArray, IntArray]:
    """Time, latitude and longitude of the fix before each row; a unit's first row asks its state."""
    shifted: list[IntArray] = []
    for column, name in ((track.t_ms, "t_ms"), (track.lat_e7, "lat_e7"), (track.lon_e7, "lon_e7")):
        before = np.empty_like(column)
        before[1:] = column[:-1]
        own = column[first].tolist()
        before[first] = [
            value if prev is None else getattr(prev, name)
            for value, prev in zip(own, prevs, strict=True)
        ]
        shifted.append(before)
    return shifted[0], shifted[1], shifted[2]


def _screen_version(
    rules: Rules,
    known: list[UnitState],
    columns: _Columns,
    rows: slice | IntArray,
    before: tuple[IntArray, ...],
    dt_ms: IntArray,
) -> Progress | None:
    """The screens of one version over its rows; marks them in `columns.mask`."""
    track, th = columns.track, rules.thresholds
    unit, t_ms = track.unit[rows], track.t_ms[rows]
    lat, lon = track.lat_e7[rows], track.lon_e7[rows]
    prev_lat, prev_lon = before[1], before[2]
    received = np.array(
        [UNKNOWN if batch.received_ms is None else batch.received_ms for batch in track.batches]
    )[track.batch[rows]]
    moved_m = distances_m(prev_lon, prev_lat, lon, lat)
    odd = gnss.screen(
        th,
        moved_m=moved_m,
        dt_ms=dt_ms,
        u_cm=uncertainty_cm(track.err_cm[rows], track.hdop_centi[rows]),
        lat_e7=lat,
        lon_e7=lon,
        t_ms=t_ms,
        received_ms=received,
    )
    bits = np.where(odd, np.uint8(ALL), np.uint8(0))
    bits[t_ms >= _dues(rules, known)[unit]] = ALL
    bits[_motion_marks(rules, known, track, rows, moved_m, dt_ms)] |= MOTION
    too_fast = speed.screen(
        moved_m=moved_m,
        dt_ms=dt_ms,
        speed_cm_s=track.speed_cm_s[rows],
        limit_cm_s=np.array([_limit_cm_s(rules, state.zones) for state in known])[unit],
        running=np.array([state.speed.running for state in known])[unit],
    )
    bits[too_fast] |= SPEED
    odd_sky = interference.screen(
        lat_e7=lat,
        lon_e7=lon,
        prev_lat=prev_lat,
        prev_lon=prev_lon,
        speed_cm_s=track.speed_cm_s[rows],
        flags=track.flags[rows],
    )
    bits[odd_sky] |= SKY
    gap_ms = max(th.gap_s, 3 * th.interval_s) * 1_000
    at_zones = (dt_ms > gap_ms) | (np.abs(lon - prev_lon) > HALF_TURN_E7)
    asked = np.flatnonzero(~(at_zones | odd))
    if len(asked):
        allowed = _allowed(rules, track.units) if rules.for_units else None
        at_zones[asked] = touched(
            rules.index,
            prev_lon[asked],
            prev_lat[asked],
            lon[asked],
            lat[asked],
            allowed,
            unit[asked],
        )
    progress = _follow(rules, known, columns, unit, t_ms, dt_ms, lat, lon)
    if progress is not None:
        at_route, by_route = _route_marks(rules, known, columns, unit, dt_ms, progress)
        bits[at_route] |= ROUTE
        at_zones |= by_route
    bits[at_zones] |= ZONES
    columns.mask[rows] |= bits
    return progress


def _motion_marks(
    rules: Rules,
    known: list[UnitState],
    track: Track,
    rows: slice | IntArray,
    moved_m: np.ndarray[tuple[int], np.dtype[np.float64]],
    dt_ms: IntArray,
) -> BoolArray:
    unit = track.unit[rows]
    standing = np.array([state.motion.mode is motion.Mode.STANDING for state in known])
    marked_from = np.zeros(len(unit))
    if standing.any():
        anchors = [state.motion.anchor for state in known]
        at_lat = np.array([0 if anchor is None else anchor.lat_e7 for anchor in anchors])
        at_lon = np.array([0 if anchor is None else anchor.lon_e7 for anchor in anchors])
        some = np.flatnonzero(standing[unit])
        who = unit[some]
        marked_from[some] = distances_m(
            at_lon[who], at_lat[who], track.lon_e7[rows][some], track.lat_e7[rows][some]
        )
    return motion.screen(
        rules.thresholds,
        moved_m=moved_m,
        dt_ms=dt_ms,
        speed_cm_s=track.speed_cm_s[rows],
        is_standing=standing[unit],
        from_anchor_m=marked_from,
    )


def _limit_cm_s(rules: Rules, zoned: zones.State) -> int:
    """What is too fast where the unit is."""
    if not rules.slow or not zoned.visits:
        return speed.limit_cm_s(rules.thresholds, ())
    slow = zones.inside(zoned) & rules.slow
    return speed.limit_cm_s(rules.thresholds, [rules.zones[name] for name in slow])


def _dues(rules: Rules, known: list[UnitState]) -> IntArray:
    """When the first time of each unit runs out that a fix would prove."""
    return np.array([_due_ms(rules, state) for state in known], np.int64)


def _due_ms(rules: Rules, state: UnitState) -> int:
    moved, zoned, sealed = state.motion, state.zones, state.seals
    due_ms = state.stops.due_ms
    if moved.mode is motion.Mode.STANDING and not moved.stopped:
        due_ms = min(due_ms, motion.due_ms(rules.thresholds, moved) or NEVER_MS)
    if zoned.visits:
        due_ms = min(due_ms, zones.due_ms(rules, zoned) or NEVER_MS)
    if state.sky.runs:
        due_ms = min(due_ms, interference.due_ms(state.sky) or NEVER_MS)
    if sealed.seals:
        due_ms = min(due_ms, seals.due_ms(rules, sealed) or NEVER_MS)
    return due_ms


def _allowed(rules: Rules, units: Sequence[str]) -> BoolArray:
    """(units, zones): which zones concern which unit."""
    own = [zone.unit for zone in rules.index.zones]
    allowed = np.zeros((len(units), len(own)), np.bool_)
    number_of = {unit: number for number, unit in enumerate(units)}
    for number, name in enumerate(own):
        if name is None:
            allowed[:, number] = True
        elif name in number_of:
            allowed[number_of[name], number] = True
    return allowed


def _follow(
    rules: Rules,
    known: list[UnitState],
    columns: _Columns,
    unit: IntArray,
    t_ms: IntArray,
    dt_ms: IntArray,
    lat: IntArray,
    lon: IntArray,
) -> Progress | None:
    numbers = np.array(
        [
            rules.table.numbers.get(line.id, -1)
            if line is not None
            and route.followed(state.route)
            and state.route.route == line.id
            and state.route.mark == line.mark
            else -1
            for state, line in zip(known, columns.routes, strict=True)
        ],
        np.int64,
    )
    if not (numbers >= 0).any():
        return None
    prevs = [state.frame.prev for state in known]
    return follow(
        rules.table,
        route=numbers,
        top_m=np.array([state.frame.top_m for state in known]),
        anchor_ms=np.array([0 if prev is None else prev.t_ms for prev in prevs]),
        unit=unit,
        t_ms=t_ms,
        dt_ms=dt_ms,
        lat_e7=lat,
        lon_e7=lon,
    )


def _route_marks(
    rules: Rules,
    known: list[UnitState],
    columns: _Columns,
    unit: IntArray,
    dt_ms: IntArray,
    progress: Progress,
) -> tuple[BoolArray, BoolArray]:
    """What the route's screen marks, of units that are on it; and where the way along it may meet a zone."""
    table, lines = rules.table, columns.routes
    is_on = np.array([route.followed(state.route) for state in known])[unit]
    number = np.array([table.numbers.get(line.id, 0) if line else 0 for line in lines])[unit]
    odd = (
        ~progress.sure
        | (progress.d_m > table.half_width_m[number] / 2)
        | (progress.s_m < progress.top_before_m - route.FALL_M)
        | (progress.s_m >= table.total_m[number] - rules.thresholds.done_m)
    )
    # of a place that is not sure, nothing is known: not even that no zone is near
    long = (dt_ms >= route.BY_ROUTE_MS) & is_on
    by_route = long & odd
    long &= ~odd
    if long.any():  # the way along the route may meet a zone that the chord does not
        at = np.flatnonzero(long)
        base = table.base[number[at]]
        behind_m = np.maximum(progress.top_before_m[at] - route.FALL_M - 1, 0)
        low = table.axis.searchsorted(base + np.minimum(behind_m, progress.s_m[at]), "right") - 1
        high = np.maximum(
            table.axis.searchsorted(base + progress.top_before_m[at], "right") - 1,
            progress.segment[at],
        )
        by_route[at] = table.near_zone[high + 1] > table.near_zone[np.maximum(low, 0)]
    return is_on & odd, by_route


def _spread(so_far: Progress | None, here: Progress, at: IntArray, rows: int) -> Progress:
    """The progress of one version's rows, put where they stand in the track."""
    base = so_far or Progress(
        sure=np.zeros(rows, np.bool_),
        s_m=np.zeros(rows),
        d_m=np.full(rows, np.inf),
        segment=np.full(rows, -1, np.int64),
        top_before_m=np.full(rows, -1, np.int64),
        top_after_m=np.full(rows, -1, np.int64),
    )
    for name in ("sure", "s_m", "d_m", "segment", "top_before_m", "top_after_m"):
        getattr(base, name)[at] = getattr(here, name)
    return base


def uncertainty_cm(err_cm: IntArray, hdop_centi: IntArray) -> IntArray:
    """Uncertainty: max(3 m, 2 sigma); sigma by the receiver, else 4.5 m x HDOP, else 5 m (DETECTION section 1)."""
    twice = np.where(err_cm >= 0, 2 * err_cm, np.where(hdop_centi >= 0, 9 * hdop_centi, 1_000))
    return np.maximum(twice, 300)


def _cells(track: Track) -> tuple[IntArray, ...]:
    """The columns that a stepped row is made of, in the order of `_ROW`."""
    return (
        track.seq,
        track.t_ms,
        track.lat_e7,
        track.lon_e7,
        track.speed_cm_s,
        track.hdop_centi,
        track.err_cm,
        track.flags,
    )


def _place(row: Sequence[int], seq: int) -> Place:
    """Of a row of `_ROW`."""
    _, t_ms, lat_e7, lon_e7, _, hdop, err, _ = row
    twice = 2 * err if err >= 0 else 9 * hdop if hdop >= 0 else 1_000
    return Place(seq=seq, t_ms=t_ms, lat_e7=lat_e7, lon_e7=lon_e7, u_cm=max(twice, 300))


def _near(
    book: Rulebook, before: Place | None, behind: Place | None
) -> Callable[[int], Place | None]:
    """The fix before a time if it is good and near enough, else the one behind it in the same batch."""

    def near(t_ms: int) -> Place | None:
        most_ms = book.at(t_ms).thresholds.place_s * 1_000
        for place in (before, behind):
            if place is not None and place.sharp and abs(place.t_ms - t_ms) <= most_ms:
                return place
        return None

    return near


def _judged(
    context: seals.Context, state: seals.State, event: Event
) -> tuple[tuple[Hit, ...], seals.State, bool]:
    """What one event says; the same in an early copy and in order."""
    panic = silence.panic(event, context.near(event.t_ms))
    if panic is not None:
        return (panic,), state, False
    stepped = seals.step_event(context, state, event)
    if stepped is None:
        return (), state, False
    return stepped.hits, stepped.state, stepped.odd


def _finding(
    unit: str,
    chain: bytes | None,
    seq: int | None,
    hit: Hit,
    confirmed_ms: int,
    received_ms: int | None,
    book: Rulebook,
) -> Finding:
    priority = hit.priority or PRIORITIES.get(hit.code)
    # What no record began is named by its subject alone: whoever says it says it once (section 2, Ids)
    owner = "" if seq is None else unit
    key = finding_key(owner, chain, seq or 0, hit.code, hit.subject)
    late_ms = book.at(confirmed_ms).thresholds.late_s * 1_000
    return Finding(
        id=hashlib.sha256(key).digest()[:16],
        n=hit.n,
        code=hit.code,
        level=Level.RECORD if priority is None else Level.ALERT,
        priority=priority,
        phase=hit.phase,
        unit=unit,
        chain=chain,
        seq=seq,
        at_ms=hit.at_ms,
        confirmed_ms=confirmed_ms,
        received_ms=received_ms,
        late=None if received_ms is None else received_ms - confirmed_ms > late_ms,
        lat_e7=hit.lat_e7,
        lon_e7=hit.lon_e7,
        zone=hit.zone,
        route=hit.route,
        seal=hit.seal,
        value=hit.value,
        data=hit.data,
    )


def _named(book: Rulebook, version: tuple[int, int] | None) -> Rules | None:
    """The rules of a frame's version, if they are still in the book."""
    return next((old for old in book.versions if (old.version, old.valid_from_ms) == version), None)


def _basis(book: Rulebook, state: UnitState) -> tuple[object, ...]:
    """What of a state the screens have looked at, but for the progress."""
    standing = state.motion.mode is motion.Mode.STANDING
    rules = _named(book, state.frame.version) or book.versions[0]
    return (
        state.motion.anchor if standing else None,
        _due_ms(rules, state),
        _limit_cm_s(rules, state.zones),
        state.speed.running,
    )


def _passed_by(
    columns: _Columns,
    bits: BitArray,
    number: int,
    states: States,
    pieces: Sequence[Piece],
) -> UnitState | None:
    """The state of a unit of which every row is dull, as most are: what a `_Walk` would come to, sooner."""
    unit, start, end = columns.track.units[number], columns.starts[number], columns.ends[number]
    state = states.get(unit)
    if state is None or start == end or columns.all_rows[number] or bits[start:end].any():
        return None
    frame, line = state.frame, columns.routes[number]
    if frame.start is not None:
        return None
    last_seq, heard_ms = 0, state.watch.heard_ms
    for piece in pieces:
        if isinstance(piece, Heard):
            if piece.received_ms - heard_ms >= silence.HEARD_STEP_MS:
                heard_ms = piece.received_ms
            continue
        if isinstance(piece, ChainHole) or piece.events or piece.early_ms is not None:
            return None
        if piece.chain != frame.chains[-1]:
            return None
        last_seq = piece.first_seq + piece.count - 1
        heard_ms = max(heard_ms, piece.received_ms or 0)
    if (
        frame.broken
        or state.watch.lost is not None
        or state.watch.back is not None
        or not (
            gnss.quiet(state.gate)
            and motion.quiet(state.motion)
            and zones.quiet(state.zones, standing=motion.standing(state.motion))
            and route.quiet(state.route)
            and speed.quiet(state.speed)
            and interference.quiet(state.sky)
            and seals.quiet(state.seals)
        )
    ):
        return None
    if (line is None) is not (state.route.route is None):
        return None
    if line is not None and (state.route.route, state.route.mark) != (line.id, line.mark):
        return None
    top_m, marks = frame.top_m, frame.marks
    if columns.progress is not None and route.followed(state.route):
        after_m = columns.progress.top_after_m
        top_m = int(after_m[end - 1])
        for mark in range(frame.top_m // MARK_M + 1, top_m // MARK_M + 1):
            row = start + int(after_m[start:end].searchsorted(mark * MARK_M))
            marks = (*marks, (mark, int(columns.track.t_ms[row])))[-MARKS_MAX:]
    cells = columns.lasts[number]
    coded = (frame.chains_before + len(frame.chains) - 1) << SEQ_BITS | cells[0]
    return UnitState(
        frame=Frame(
            chains=frame.chains,
            chains_before=frame.chains_before,
            prev=_place(cells, coded),
            version=frame.version,
            top_m=top_m,
            marks=marks,
            journey=frame.journey,
        ),
        gate=state.gate,
        motion=state.motion,
        zones=state.zones,
        route=state.route,
        stops=state.stops,
        speed=state.speed,
        seals=state.seals,
        sky=state.sky,
        tags=state.tags,
        watch=replace(state.watch, heard_ms=heard_ms, seq=coded - cells[0] + last_seq),
    )


class _Walk:
    """One unit through the tick: its rows and its other facts, in chain order."""

    def __init__(
        self,
        book: Rulebook,
        columns: _Columns,
        bits: BitArray,
        screen: Screening,
        unit: str,
        number: int | None,
        state: UnitState,
    ) -> None:
        self.book, self.unit = book, unit
        self.track, self.columns, self.screen = columns.track, columns, screen
        self.bits = bits
        self.number = number
        self.begin = 0 if number is None else columns.starts[number]
        self.end = 0 if number is None else columns.ends[number]
        self.line = None if number is None else columns.routes[number]
        self.every = number is not None and columns.all_rows[number]
        self.lasts = columns.lasts
        self.shift = 0  # between a row of the track and of `columns`, which may have been made anew
        frame = state.frame
        self.chains, self.chains_before = frame.chains, frame.chains_before
        self.prev, self.broken, self.version = frame.prev, frame.broken, frame.version
        self.top_m, self.marks = frame.top_m, frame.marks
        self.gate, self.motion, self.zones = state.gate, state.motion, state.zones
        self.route, self.seals = state.route, state.seals
        self.stops, self.speed, self.watch = state.stops, state.speed, state.watch
        self.sky, self.tags = state.sky, state.tags
        self.journey, self.start = frame.journey, frame.start
        self.clean = True  # `prev` is the row before, as the screens took it
        self.stale = False  # the state has changed since it was screened
        self.basis: tuple[object, ...] | None = None
        self.screened = state
        self.batch: Batch | None = None
        self.findings: list[Finding] = []
        self.settled: list[Settled] = []
        self.signals: list[Signal] = []
        self.stepped = 0
        self.rows: list[list[int]] | None = None
        self.off_rows: tuple[RouteLine, int, Whole] | None = None

    def go(self, pieces: Iterable[Piece]) -> None:
        """All pieces, in order."""
        row = self.begin
        for piece in pieces:
            if isinstance(piece, ChainHole):
                self._hole()
                continue
            if isinstance(piece, Heard):
                self.watch, hits = silence.heard(self.watch, piece.received_ms)
                self.findings += [
                    _watched(self.book, self.unit, self.state(), hit, piece.received_ms)
                    for hit in hits
                ]
                continue
            self._enter(piece)
            end = row + piece.fixes.shape[1]
            found = len(self.findings)
            for event in piece.events:
                behind = row + int(self.track.seq[row:end].searchsorted(event.seq))
                self._rows(row, behind)
                self._event(event, behind, end)
                row = behind
            self._rows(row, end)
            row = end
            if piece.time_quality >= restate.TRUSTED:
                self.start = None  # what it says from here on needs no statement
            last = piece.first_seq + piece.count - 1
            self.watch, hits = silence.restored(self.watch, piece.events)
            self._tell(hits, self._newest_ms(piece))
            heard_ms = max(self.watch.heard_ms, piece.received_ms or 0)
            self.watch = replace(self.watch, seq=self._coded(last), heard_ms=heard_ms)
            if piece.early_ms is not None:
                self._settle(piece, self.findings[found:])

    def state(self) -> UnitState:
        return UnitState(
            frame=Frame(
                chains=self.chains,
                chains_before=self.chains_before,
                prev=self.prev,
                broken=self.broken,
                version=self.version,
                top_m=self.top_m,
                marks=self.marks,
                journey=self.journey,
                start=self.start,
            ),
            gate=self.gate,
            motion=self.motion,
            zones=self.zones,
            route=self.route,
            stops=self.stops,
            speed=self.speed,
            seals=self.seals,
            watch=self.watch,
            sky=self.sky,
            tags=self.tags,
        )

    def _newest_ms(self, batch: Batch) -> int:
        """Event time of a batch's newest record."""
        times = [event.t_ms for event in batch.events]
        return max([*times, *batch.fixes[1].tolist()], default=batch.sealed_ms)

    def _enter(self, batch: Batch) -> None:
        self.batch = batch
        if not self.chains or self.chains[-1] != batch.chain:
            dropped = max(0, len(self.chains) + 1 - CHAINS_MAX)
            self.chains = (*self.chains[dropped:], batch.chain)
            self.chains_before += dropped
        statement = None if self.start is None else restate.opening_statement(batch)
        if self.start is not None and statement is not None:
            self.stale = True
            self.seals = restate.moved(self.seals, self.start, statement)
            self.tags = restate.moved(self.tags, self.start, statement)
            self.sky = restate.moved(self.sky, self.start, statement)

    def _hole(self) -> None:
        """No segment across it; what was only a candidate is dropped."""
        self.broken = True
        self.start = None  # another start may lie in it
        self.gate = replace(self.gate, held=())
        self.motion = motion.broken(self.motion)
        self.zones = zones.broken(self.zones)
        self.route = route.broken(self.route)
        self.speed = speed.broken(self.speed)
        self.sky = interference.broken(self.sky)

    def _rows(self, row: int, end: int) -> None:
        """The rows up to `end`: dull ones at once, the others one by one, by whom they may concern."""
        while row < end:
            if not self._as_screened(row):
                self._step(row, ALL)
                row += 1
                continue
            restless = self._restless(row)
            if not restless:
                marked = self.bits[row - self.shift : end - self.shift]
                dull = int((marked != 0).argmax()) if marked.any() else end - row
                if dull:
                    self._skip(row, row + dull)
                    row += dull
                    continue
            self._step(row, restless | int(self.bits[row - self.shift]))
            row += 1

    def _restless(self, row: int) -> int:
        """Those that a row concerns also if no screen has marked it."""
        bits = 0
        if not gnss.quiet(self.gate):
            bits = GATE
        if not motion.quiet(self.motion):
            bits |= MOTION
        if not zones.quiet(self.zones, standing=motion.standing(self.motion)):
            bits |= ZONES
        if not route.quiet(self.route):
            bits |= ROUTE | self._long(row)
        elif not self._followed(row):
            if self.end - row >= RESCREEN_ROWS:
                self._screen_again(row)
            else:
                bits |= ROUTE | self._long(row)
        if not speed.quiet(self.speed):
            bits |= SPEED
        if not interference.quiet(self.sky):
            bits |= SKY
        if not seals.quiet(self.seals):
            bits |= SEALS
        return bits

    def _as_screened(self, row: int) -> bool:
        """Whether the screens took this row as we come to it: the same fix before it, the same state."""
        if self.every or not self.clean or self.broken or self.prev is None:
            return False
        if not self.stale:
            return True
        if self.basis is None:
            self.basis = _basis(self.book, self.screened)
        if _basis(self.book, self.state()) != self.basis:
            if self.end - row < RESCREEN_ROWS:
                return False
            self._screen_again(row)
        self.stale = False
        return True

    def _followed(self, row: int) -> bool:
        """Whether the screen followed the unit along the same route, from the same progress."""
        line, state = self.line, self.route
        if line is None or state.route != line.id or state.mark != line.mark:
            return line is None and state.route is None
        if state.mode is route.Mode.DONE:
            return True
        progress = self.columns.progress
        if progress is None or not route.followed(self.screened.route):
            return False
        return int(progress.top_before_m[row - self.shift]) == self.top_m

    def _long(self, row: int) -> int:
        """ZONES where the route may stand for the chord although no screen has asked along it."""
        assert self.prev is not None
        dt_ms = self._row(row)[1] - self.prev.t_ms
        return ZONES if dt_ms >= route.BY_ROUTE_MS else 0

    def _screen_again(self, row: int) -> None:
        """The unit's rows from here on, from the state as it is now."""
        rest = slice(row, self.end)
        track = self.track
        size = self.end - row
        alone = Track(
            units=(self.unit,),
            batches=track.batches,
            ends=np.array([size]),
            unit=np.zeros(size, np.int64),
            batch=track.batch[rest],
            seq=track.seq[rest],
            t_ms=track.t_ms[rest],
            lat_e7=track.lat_e7[rest],
            lon_e7=track.lon_e7[rest],
            speed_cm_s=track.speed_cm_s[rest],
            course_cdeg=track.course_cdeg[rest],
            hdop_centi=track.hdop_centi[rest],
            err_cm=track.err_cm[rest],
            sats=track.sats[rest],
            flags=track.flags[rest],
        )
        state = self.state()
        self.columns = _columns(self.book, {self.unit: state}, alone)
        self.bits, self.shift = self.screen(self.columns.mask), row
        self.line, self.every = self.columns.routes[0], self.columns.all_rows[0]
        self.screened, self.basis, self.stale = state, None, False

    def _skip(self, row: int, end: int) -> None:
        """Dull rows: only the frame goes on."""
        self._go_on(row, end)
        cells = self._row(end - 1)
        self.prev = _place(cells, self._coded(cells[0]))

    def _go_on(self, row: int, end: int) -> None:
        """Progress over rows that are dull for the route."""
        progress = self.columns.progress
        if progress is None or not route.followed(self.route):
            return
        begin, behind = row - self.shift, end - self.shift
        top_m = int(progress.top_after_m[behind - 1])
        if top_m // MARK_M > self.top_m // MARK_M:
            rising = progress.top_after_m[begin:behind]
            for mark in range(self.top_m // MARK_M + 1, top_m // MARK_M + 1):
                at = int(rising.searchsorted(mark * MARK_M))
                self._progress(mark * MARK_M, int(self.track.t_ms[row + at]))
        self.top_m = top_m

    def _progress(self, top_m: int, t_ms: int) -> None:
        if top_m // MARK_M > self.top_m // MARK_M:
            self.marks = (*self.marks, (top_m // MARK_M, t_ms))[-MARKS_MAX:]
        elif top_m < self.top_m:
            self.marks = ()
        self.top_m = top_m

    def _row(self, row: int) -> list[int]:
        if self.rows is None:
            if row == self.end - 1 and self.number is not None:  # all that a dull unit is asked for
                return self.lasts[self.number]
            span = slice(self.begin, self.end)
            self.rows = np.stack([column[span] for column in _cells(self.track)], axis=1).tolist()
        return self.rows[row - self.begin]

    def _coded(self, seq: int) -> int:
        """A seq that also knows its chain: findings may end in another one than they began in."""
        return (self.chains_before + len(self.chains) - 1) << SEQ_BITS | seq

    def _step(self, row: int, bits: int) -> None:
        self.stepped += 1
        cells = self._row(row)
        place = _place(cells, self._coded(cells[0]))
        rules = self.book.versions[int(self.columns.version[row - self.shift])]
        fix = Fix(
            place=place,
            speed_cm_s=None if cells[4] < 0 else cells[4],
            flags=cells[7],
            prev=self.prev,
            broken=self.broken,
        )
        whole = None
        if bits & ROUTE and self.route.mode in (route.Mode.OFF, route.Mode.BEFORE):
            whole = self._whole(row)
        if not bits & GATE:
            self._judge(rules, fix, place.t_ms, row, bits, whole)
            return
        assert self.batch is not None
        self.stale = True
        gated = gnss.step(rules.thresholds, self.gate, fix, self.batch.received_ms)
        self.gate = gated.state
        self._tell(gated.hits, place.t_ms)
        for hit in gated.hits:
            if hit.code == "FIX_OUTLIER":
                self.sky, more = interference.outlier(rules, self.sky, place)
                self._tell(more, place.t_ms)
        self.clean = len(gated.released) == 1 and gated.released[0] is fix
        for released in gated.released:
            self._judge(rules, released, place.t_ms, row, bits, whole if self.clean else None)

    def _whole(self, row: int) -> Along | None:
        """The nearest place on the whole route, asked for all rows that are left together."""
        if self.line is None or self.route.route != self.line.id:
            return None
        if self.off_rows is None or self.off_rows[0] is not self.line:
            rest = slice(row, self.end)
            lon, lat = self.track.lon_e7[rest], self.track.lat_e7[rest]
            self.off_rows = (self.line, row, project_many(self.line, lon, lat))
        line, begin, whole = self.off_rows
        cells = self._row(row)
        return whole.at(line, row - begin, cells[3], cells[2])

    def _judge(
        self,
        rules: Rules,
        fix: Fix,
        confirmed_ms: int,
        row: int,
        bits: int,
        whole: Along | None,
    ) -> None:
        """One good fix through motion, zones, route and seals, in this order."""
        if bits & MOTION:
            self.stale = True
            before, stop = motion.standing(self.motion), motion.stop_of(self.motion)
            self.motion, hits = motion.step(rules.thresholds, self.motion, fix)
            self._tell(hits, confirmed_ms)
            if motion.standing(self.motion) is not before:
                bits |= ZONES | ROUTE  # both look at it
            if motion.stop_of(self.motion) is not stop:
                bits |= STOPS
        standing = motion.standing(self.motion)
        journey = self.book.journey(self.unit, fix.place.t_ms)
        self.journey = _journey_key(journey)
        line = self.book.route(self.unit, fix.place.t_ms, rules)
        if bits & ZONES:
            before_inside = zones.inside(self.zones)
            self._judge_zones(rules, fix, confirmed_ms, line, standing=standing)
            now_inside = zones.inside(self.zones)
            if now_inside != before_inside:
                if (now_inside ^ before_inside) & rules.tunnels:
                    inside = bool(now_inside & rules.tunnels)
                    self.sky = interference.passed_tunnel(self.sky, fix.place.t_ms, inside=inside)
                bits |= ROUTE | STOPS | SPEED  # all three ask where the unit is allowed to be what
        if not bits & ROUTE:
            self._go_on(row, row + 1)
        elif line is not None or self.route.route is not None:
            routed = route.step(
                rules,
                line,
                self.route,
                self.top_m,
                fix,
                inside=zones.inside(self.zones),
                standing=standing,
                whole=whole,
            )
            self.route = routed.state
            self._progress(routed.top_m, fix.place.t_ms)
            self._tell(routed.hits, confirmed_ms)
        if bits & STOPS and (self.stops.goes_on or motion.stop_of(self.motion) is not None):
            self._judge_stop(rules, fix, confirmed_ms, line, journey)
        if bits & SKY:
            self.stale = True
            self.sky, hits = interference.step_fix(rules, self.sky, fix)
            self._tell(hits, confirmed_ms)
        if bits & SPEED:
            self.stale = True
            limit = _limit_cm_s(rules, self.zones)
            self.speed, hits = speed.step(rules.thresholds, self.speed, fix, limit)
            self._tell(hits, confirmed_ms)
        self.prev, self.broken = fix.place, False
        if bits & SEALS and self.seals.seals and not self._is_undated():
            self.stale = True
            context = self._context(fix.place, None)
            self.seals, hits = seals.step_fix(context, self.seals, fix.place)
            self._tell(hits, confirmed_ms)

    def _is_undated(self) -> bool:
        return self.start is not None and restate.is_undated(self.seals, self.start)

    def _judge_zones(
        self,
        rules: Rules,
        fix: Fix,
        confirmed_ms: int,
        line: RouteLine | None,
        *,
        standing: bool,
    ) -> None:
        self.stale = True
        here = (rules.version, rules.valid_from_ms)
        changed = None
        if self.version != here:
            changed = self._changed(rules) if self.version is not None else None
            self.version = here
        way = None if line is None else route.way_between(line, self.route, self.top_m, fix)
        zoned = zones.step(
            rules,
            self.zones,
            fix,
            unit=self.unit,
            standing=standing,
            route_way=way,
            changed=changed,
        )
        self.zones = zoned.state
        self._tell(zoned.hits, confirmed_ms)

    def _judge_stop(
        self,
        rules: Rules,
        fix: Fix,
        confirmed_ms: int,
        line: RouteLine | None,
        journey: Journey | None,
    ) -> None:
        self.stale = True
        last = self.motion.last
        around = stops.Around(
            rules=rules,
            stop=motion.stop_of(self.motion),
            left_ms=None if last is None else last.left_ms,
            inside=zones.inside(self.zones),
            line=line,
            journey=journey,
        )
        self.stops, hits = stops.step(around, self.stops, fix)
        self._tell(hits, confirmed_ms)

    def _changed(self, rules: Rules) -> frozenset[str]:
        """The zones in which this version differs from the unit's last one."""
        return rules.changed_since(_named(self.book, self.version))

    def _event(self, event: Event, row: int, end: int) -> None:
        self.stale = True
        behind = None
        if row < end:
            cells = self._row(row)
            if cells[2] or cells[3]:
                behind = _place(cells, self._coded(cells[0]))
        context = self._context(None if self.broken else self.prev, behind)
        coded = replace(event, seq=self._coded(event.seq))
        self._tell_time(coded)
        self.watch = silence.note(self.watch, event)
        self._event_of_sky_and_tags(coded)
        hits, self.seals, odd = _judged(context, self.seals, coded)
        self._tell(hits, event.t_ms)
        if odd:
            self._tell_odd(coded)

    def _tell_time(self, event: Event) -> None:
        """A start begins, or tells the time for the first time: then readers learn what was said in another."""
        if event.kind == EventKind.BOOT:
            self.start = restate.Start(seq=event.seq, t_ms=event.t_ms)
            return
        statement = restate.statement_of(event)
        if statement is None:
            return
        assert self.batch is not None
        judged = self.batch.first_seq
        begin = self._coded(judged) if self.start is None else self.start.seq
        self.start = None
        first = max(begin >> SEQ_BITS, self.chains_before)
        last = event.seq >> SEQ_BITS
        low = (1 << SEQ_BITS) - 1
        for ordinal in range(first, last + 1):
            here = ordinal == last
            hit = restate.hit_of(
                statement,
                event.seq,
                chain=self.chains[ordinal - self.chains_before],
                here=here,
                begin=begin & low if ordinal == begin >> SEQ_BITS else 0,
                end=(event.seq & low) - 1 if here else low,
                judged=judged if here else low,
            )
            self._tell((hit,), event.t_ms)

    def _event_of_sky_and_tags(self, event: Event) -> None:
        """What needs a place takes the one before: the one behind may come with another batch."""
        rules = self.book.at(event.t_ms)
        near = _near(self.book, None if self.broken else self.prev, None)
        self.sky, hits = interference.step_event(rules, self.sky, event, near)
        self._tell(hits, event.t_ms)
        if event.kind != EventKind.TAGS:
            return
        self.tags, hits, odd = tags.step(
            self.tags,
            event,
            self.book.journey(self.unit, event.t_ms),
            place=near(event.t_ms),
            moving=not motion.standing(self.motion),
        )
        self._tell(hits, event.t_ms)
        if odd:
            self._tell_odd(event)

    def _tell_odd(self, event: Event) -> None:
        kind = f"kind {event.kind}"
        hit = Hit(
            code="ODD_EVENT",
            at_ms=event.t_ms,
            origin_seq=event.seq,
            subject=kind,
            value=kind,
        )
        self._tell((hit,), event.t_ms)

    def _context(self, before: Place | None, behind: Place | None) -> seals.Context:
        batch = self.batch
        assert batch is not None
        return seals.Context(
            unit=self.unit,
            book=self.book,
            near=_near(self.book, before, behind),
            came_ms=batch.received_ms if batch.early_ms is None else batch.early_ms,
        )

    def _tell(self, hits: Iterable[Hit], confirmed_ms: int) -> None:
        assert self.batch is not None
        for hit in hits:
            ordinal = hit.origin_seq >> SEQ_BITS
            seq = hit.origin_seq & ((1 << SEQ_BITS) - 1)
            known = ordinal - self.chains_before
            chain = self.chains[known] if known >= 0 else bytes(16)
            if hit.code in OPENINGS:
                self.tags = tags.opened(self.tags, hit.at_ms)
            if self.sky.runs and hit.code.startswith(PLACED):
                ran = sorted(set(interference.running(self.sky)))
                hit = replace(hit, data={**hit.data, "gnss": ran}) if ran else hit  # noqa: PLW2901  # the same hit, saying more
            self.findings.append(
                _finding(
                    self.unit, chain, seq, hit, confirmed_ms, self.batch.received_ms, self.book
                )
            )
            if hit.value == "teleport" and hit.lat_e7 is not None and hit.lon_e7 is not None:
                self.signals.append(
                    Signal(
                        unit=self.unit,
                        kind="jumped",
                        t_ms=hit.at_ms,
                        lat_e7=hit.lat_e7,
                        lon_e7=hit.lon_e7,
                    )
                )

    def _settle(self, batch: Batch, found: Sequence[Finding]) -> None:
        """What became of the findings that the early copy of this batch had raised."""
        in_order = {finding.id: finding for finding in found if finding.n == 0}
        for early in _alone(self.book, batch):
            now = in_order.get(early.id)
            if now is None:
                outcome = SettledAs.WITHDRAWN
            elif replace(now, received_ms=early.received_ms, late=early.late) == early:
                outcome = SettledAs.CONFIRMED
            else:
                outcome = SettledAs.AMENDED
            self.settled.append(Settled(id=early.id, outcome=outcome, finding=now or early))
