"""Silence and deadlines, on ticks; panic (DETECTION sections 7.6 and 7.7).

Law: a tick proves that nothing was heard; it never proves a place. Silence is reckoned by receipt, and only while somebody listened: a
centre that was away has heard nothing of anybody.
"""

from dataclasses import dataclass, replace

from collector.detect import Gap, Hit, Phase, Place, Priority, whole
from collector.detect.geo.index import box_around
from collector.detect.geo.measure import to_edges_m
from collector.detect.rules import Journey, Rules
from wire.columns import Event
from wire.records import EventKind

BORDER_KINDS = ("territory", "border_post")
HEARD_STEP_MS = 30_000  # the grace of the limit
JAMMED_MS = 120_000  # interference so shortly before the silence explains it
BATTERY_LOW = 3  # source of a `power` event
POWER_LOST = 1  # cause of a `boot` event
POWER, JAMMING, COVERAGE, UNKNOWN = "power", "jamming", "coverage", "unknown"
OTHERS = 2  # units that were lost or jammed near by at the same time: that is a jammer
LOST_CODE = "CONTACT_LOST"
DEADLINES = frozenset({"TIME_LIMIT_RISK", "TIME_LIMIT_EXCEEDED"})
LEVELS = {3: Priority.P3, 2: Priority.P2, 1: Priority.P1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Along:
    """Where along a route the unit was when it was last heard."""

    route: str
    mark: int  # of the route's shape
    number: int  # of the last full 2 km


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A running CONTACT_LOST."""

    seq: int  # of the last record settled before it
    since_ms: int  # when the unit was last heard
    n: int
    level: int
    why: str
    near_border: bool
    along: Along | None = None  # None as well where the centre itself was away meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """Heard again after a silence; its first batch in order will tell why it was silent."""

    seq: int
    since_ms: int
    heard_ms: int
    why: str
    along: Along | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    heard_ms: int = 0  # receipt of the newest word; 0: never
    told_ms: int = 0  # event time of the newest settled record; 0: none yet
    seq: int = 0  # of the newest settled record
    out_of_power: bool = False  # its last word was of an empty battery or a stop
    jammed_ms: int | None = None  # event time of the newest interference
    lost: Lost | None = None
    back: Back | None = None
    risk_ms: int | None = None  # first tick at which it will be late
    risk_n: int = 0  # how often TIME_LIMIT_RISK was told of this journey
    risk_runs: bool = False
    exceeded: bool = False  # TIME_LIMIT_EXCEEDED runs
    exceeded_n: int = 0
    journey: str | None = None  # of which risk and excess speak


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the watch must not look up."""

    rules: Rules
    journey: Journey | None
    place: Place | None  # the last good fix
    sealed: bool  # no seal of it is anything but SEALED
    jammed: bool  # such a finding runs
    arrived: bool
    eta_ms: int | None
    others: int = 0  # units that were lost or jammed near by at the same time
    hole_s: float | None = (
        None  # so long the network is silent from here on, as far as earlier passages tell
    )
    along: Along | None = None


def note(state: State, event: Event) -> State:
    """What the unit's own records tell of why it may fall silent."""
    data = event.data
    match event.kind:
        case EventKind.POWER:
            return replace(state, out_of_power=bool(data) and data[0] == BATTERY_LOW)
        case EventKind.STOP:
            return replace(state, out_of_power=True)
        case EventKind.BOOT if state.out_of_power:
            return replace(state, out_of_power=False)
        case _:
            return state


def heard(state: State, received_ms: int) -> tuple[State, tuple[Hit, ...]]:
    """Anything came from the unit. What changes nothing else is kept to half a minute: no row is written for a hello."""
    lost = state.lost
    if lost is None and received_ms - state.heard_ms < HEARD_STEP_MS:
        return state, ()
    state = replace(state, heard_ms=max(state.heard_ms, received_ms), lost=None)
    if lost is None:
        return state, ()
    back = Back(
        seq=lost.seq,
        since_ms=lost.since_ms,
        heard_ms=received_ms,
        why=lost.why,
        along=lost.along,
    )
    ended = Hit(
        code=LOST_CODE,
        at_ms=received_ms,
        origin_seq=lost.seq,
        phase=Phase.END,
        n=lost.n,
        value=lost.why,
        data={"silent_s": (received_ms - lost.since_ms) / 1_000},
    )
    return replace(state, back=back), (ended,)


def restored(state: State, events: tuple[Event, ...]) -> tuple[State, tuple[Hit, ...], Gap | None]:
    """The first batch in order after a silence; its events tell what the silence was, as far as they do.

    The gap is what later passages are compared with, where nothing but the network explains it.
    """
    back = state.back
    if back is None:
        return state, (), None
    why, lasted_ms = _proved(events) or back.why, back.heard_ms - back.since_ms
    hit = Hit(
        code="CONTACT_RESTORED",
        at_ms=back.heard_ms,
        origin_seq=back.seq,
        value=lasted_ms / 1_000,
        data={"class": why},
    )
    gap = None
    if back.along is not None and why in (COVERAGE, UNKNOWN):
        gap = Gap(
            route=back.along.route,
            mark=back.along.mark,
            number=back.along.number,
            lasted_s=lasted_ms // 1_000,
        )
    return replace(state, back=None), (hit,), gap


def tick(
    around: Around, state: State, *, now_ms: int, since_ms: int
) -> tuple[State, tuple[Hit, ...]]:
    """Time has passed. `since_ms`: since when the centre has listened without a break."""
    hits: list[Hit] = []
    state = _silent(around, state, hits, now_ms, since_ms)
    return _deadline(around, state, hits, now_ms), tuple(hits)


def pack(state: State, fix_ms: int = 0) -> tuple[object, ...]:
    """`fix_ms`: of the last good fix. It is the newest record of nearly all units, and a difference is short."""
    lost, back = state.lost, state.back
    return (
        state.heard_ms,
        state.seq,
        int(state.out_of_power),
        state.jammed_ms,
        None
        if lost is None
        else (
            lost.seq,
            lost.since_ms,
            lost.n,
            lost.level,
            lost.why,
            int(lost.near_border),
            _along_out(lost.along),
        ),
        None
        if back is None
        else (back.seq, back.since_ms, back.heard_ms, back.why, _along_out(back.along)),
        None
        if state.journey is None
        else (
            state.journey,
            state.risk_ms,
            state.risk_n,
            int(state.risk_runs),
            int(state.exceeded),
            state.exceeded_n,
        ),
        state.told_ms - fix_ms,
    )


def unpack(packed: list[object], fix_ms: int = 0) -> State:
    heard_ms, seq, out_of_power, jammed_ms, lost, back, limit, *told = packed
    state = State(
        heard_ms=whole(heard_ms),
        told_ms=fix_ms + whole(told[0]) if told else 0,
        seq=whole(seq),
        out_of_power=bool(out_of_power),
        jammed_ms=None if jammed_ms is None else whole(jammed_ms),
        lost=_lost_in(lost),
        back=_back_in(back),
    )
    if limit is None:
        return state
    assert isinstance(limit, list)
    journey, risk_ms, risk_n, risk_runs, exceeded, exceeded_n = limit
    return replace(
        state,
        journey=str(journey),
        risk_ms=None if risk_ms is None else whole(risk_ms),
        risk_n=whole(risk_n),
        risk_runs=bool(risk_runs),
        exceeded=bool(exceeded),
        exceeded_n=whole(exceeded_n),
    )


def panic(event: Event, place: Place | None) -> Hit | None:
    """Kind 17: somebody asks for help. Needs no state, so an early copy says the same."""
    if event.kind != EventKind.PANIC:
        return None
    source = event.data[0] if event.data and isinstance(event.data[0], str) else None
    return Hit(
        code="DRIVER_DISTRESS",
        at_ms=event.t_ms,
        origin_seq=event.seq,
        lat_e7=None if place is None else place.lat_e7,
        lon_e7=None if place is None else place.lon_e7,
        value=source,
    )


def _silent(around: Around, state: State, hits: list[Hit], now_ms: int, since_ms: int) -> State:
    th, lost = around.rules.thresholds, state.lost
    watched = around.journey is not None and around.journey.in_transit
    if lost is not None and not watched:
        hits.append(_lost_hit(lost, around.place, Phase.END, lost.n, now_ms, now_ms))
        return replace(state, lost=None)
    if not watched or state.heard_ms == 0:
        return state
    silent_ms = now_ms - max(state.heard_ms, since_ms)
    if lost is None:
        if silent_ms <= 2 * th.period_s * 1_000 + th.period_grace_s * 1_000:
            return state
        begun = Lost(
            seq=state.seq,
            since_ms=state.heard_ms,
            n=1,
            level=3,
            why=_class(around, state, silent_ms),
            near_border=_near_border(around),
            along=around.along if state.heard_ms >= since_ms else None,
        )
        hits.append(_lost_hit(begun, around.place, Phase.BEGIN, 0, state.heard_ms, now_ms))
        return replace(state, lost=begun)
    level, why = lost.level, _class_now(around, state, lost.why, silent_ms)
    if lost.near_border or not around.sealed:
        level = 1
    elif silent_ms >= th.silent_p2_s * 1_000 and why != COVERAGE:
        level = min(level, 2)
    if (level, why) == (lost.level, lost.why):
        return state
    worse = replace(lost, level=level, why=why, n=lost.n + 1)
    hits.append(_lost_hit(worse, around.place, Phase.CHANGE, lost.n, now_ms, now_ms))
    return replace(state, lost=worse)


def _class(around: Around, state: State, silent_ms: int) -> str:
    """Why it may be silent: first that holds."""
    if state.out_of_power:
        return POWER
    if around.jammed or around.others >= OTHERS:
        return JAMMING
    last_ms = None if around.place is None else around.place.t_ms
    if state.jammed_ms is not None and (last_ms is None or last_ms - state.jammed_ms <= JAMMED_MS):
        return JAMMING
    if around.hole_s is not None and silent_ms < around.hole_s * 1_000:
        return COVERAGE
    return UNKNOWN


def _class_now(around: Around, state: State, before: str, silent_ms: int) -> str:
    """Others may fall silent as well, or a hole last too long. What is proved stays; what was no hole at first is none later."""
    if before in (POWER, JAMMING):
        return before
    why = _class(around, state, silent_ms)
    return UNKNOWN if why == COVERAGE and before == UNKNOWN else why


def _proved(events: tuple[Event, ...]) -> str | None:
    """What the unit's own records say of the time in which it was silent."""
    for event in events:
        data = event.data
        if event.kind == EventKind.BOOT and len(data) > 1 and data[1] == POWER_LOST:
            return POWER
        if event.kind == EventKind.STOP:
            return POWER
        if event.kind == EventKind.POWER and data and data[0] == BATTERY_LOW:
            return POWER
    return None


def _near_border(around: Around) -> bool:
    place = around.place
    if place is None:
        return False
    reach_m = around.rules.thresholds.border_m
    box = box_around(place.lon_e7, place.lat_e7, reach_m)
    return any(
        to_edges_m(place.lon_e7, place.lat_e7, zone.edges) < reach_m
        for zone in around.rules.near(BORDER_KINDS, box)
    )


def _lost_hit(
    lost: Lost, place: Place | None, phase: Phase, n: int, at_ms: int, now_ms: int
) -> Hit:
    return Hit(
        code=LOST_CODE,
        at_ms=at_ms,
        origin_seq=lost.seq,
        phase=phase,
        n=n,
        priority=LEVELS[lost.level],
        lat_e7=None if place is None else place.lat_e7,
        lon_e7=None if place is None else place.lon_e7,
        value=lost.why,
        data={"silent_s": (now_ms - lost.since_ms) / 1_000},
    )


def _deadline(around: Around, state: State, hits: list[Hit], now_ms: int) -> State:
    """TIME_LIMIT_RISK and TIME_LIMIT_EXCEEDED of the journey that the unit is on."""
    journey = around.journey
    name = None if journey is None else journey.id
    if state.journey is not None and state.journey != name:
        state = _over(around, state, hits, now_ms)
        state = replace(state, journey=None, risk_n=0, exceeded_n=0)
    if journey is None or journey.limit_ms is None:
        return state
    if around.arrived or not journey.in_transit:
        return state if state.journey is None else _over(around, state, hits, now_ms)
    state = replace(state, journey=journey.id)
    if now_ms > journey.limit_ms:
        if not state.exceeded:
            hit = _limit_hit(around, state, "TIME_LIMIT_EXCEEDED", Phase.BEGIN, journey.limit_ms)
            hits.append(hit)
            state = replace(state, exceeded=True, exceeded_n=state.exceeded_n + 1)
        return _no_risk(around, state, hits, now_ms)
    if state.exceeded:  # the limit was put off
        hits.append(_limit_hit(around, state, "TIME_LIMIT_EXCEEDED", Phase.END, now_ms))
        state = replace(state, exceeded=False, exceeded_n=state.exceeded_n + 1)
    return _risk(around, state, hits, now_ms, journey.limit_ms)


def _risk(around: Around, state: State, hits: list[Hit], now_ms: int, limit_ms: int) -> State:
    th, eta_ms = around.rules.thresholds, around.eta_ms
    if eta_ms is None:
        return state
    if state.risk_runs:
        if eta_ms <= limit_ms - th.limit_spare_s * 1_000:
            return _no_risk(around, state, hits, now_ms)
        return state
    if eta_ms <= limit_ms:
        return replace(state, risk_ms=None)
    if state.risk_ms is None:
        return replace(state, risk_ms=now_ms)
    if now_ms - state.risk_ms < th.limit_risk_s * 1_000:
        return state
    hit = _limit_hit(around, state, "TIME_LIMIT_RISK", Phase.BEGIN, state.risk_ms)
    late_s = (eta_ms - limit_ms) / 1_000
    hits.append(replace(hit, value=late_s))
    return replace(state, risk_runs=True, risk_n=state.risk_n + 1)


def _no_risk(around: Around, state: State, hits: list[Hit], now_ms: int) -> State:
    if state.risk_runs:
        hits.append(_limit_hit(around, state, "TIME_LIMIT_RISK", Phase.END, now_ms))
        state = replace(state, risk_n=state.risk_n + 1)
    return replace(state, risk_runs=False, risk_ms=None)


def _over(around: Around, state: State, hits: list[Hit], now_ms: int) -> State:
    """Arrived, or on another journey: what ran has ended."""
    state = _no_risk(around, state, hits, now_ms)
    if not state.exceeded:
        return state
    hits.append(_limit_hit(around, state, "TIME_LIMIT_EXCEEDED", Phase.END, now_ms))
    return replace(state, exceeded=False, exceeded_n=state.exceeded_n + 1)


def _limit_hit(around: Around, state: State, code: str, phase: Phase, at_ms: int) -> Hit:
    assert state.journey is not None
    place = around.place
    return Hit(
        code=code,
        at_ms=at_ms,
        origin_seq=0,
        subject=state.journey,
        phase=phase,
        n=state.risk_n if code == "TIME_LIMIT_RISK" else state.exceeded_n,
        lat_e7=None if place is None else place.lat_e7,
        lon_e7=None if place is None else place.lon_e7,
        data={"journey": state.journey},
    )


def _lost_in(packed: object) -> Lost | None:
    if packed is None:
        return None
    assert isinstance(packed, list)
    seq, since_ms, n, level, why, near_border, *along = packed
    return Lost(
        seq=whole(seq),
        since_ms=whole(since_ms),
        n=whole(n),
        level=whole(level),
        why=str(why),
        near_border=bool(near_border),
        along=_along_in(along),
    )


def _back_in(packed: object) -> Back | None:
    if packed is None:
        return None
    assert isinstance(packed, list)
    seq, since_ms, heard_ms, why, *along = packed
    return Back(
        seq=whole(seq),
        since_ms=whole(since_ms),
        heard_ms=whole(heard_ms),
        why=str(why),
        along=_along_in(along),
    )


def _along_out(along: Along | None) -> tuple[object, ...] | None:
    return None if along is None else (along.route, along.mark, along.number)


def _along_in(packed: list[object]) -> Along | None:
    """What stands behind the fields of before, if anything does."""
    if not packed or packed[0] is None:
        return None
    assert isinstance(packed[0], list)
    route, mark, number = packed[0]
    return Along(route=str(route), mark=whole(mark), number=whole(number))
