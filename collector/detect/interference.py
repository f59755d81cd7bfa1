"""Jammed, spoofed, frozen, without a fix: what the sky and the receiver tell (DETECTION section 7.5).

Law: one code, GNSS_INTERFERENCE, and the class as its value. Nothing here silences zones or route: raw fixes go on, and say which class ran.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from collector.detect import Fix, Hit, Phase, Place, place_in, place_out, whole
from collector.detect.geo import BoolArray, IntArray
from collector.detect.geo.index import box_around
from collector.detect.geo.measure import distance_m, to_edges_m
from collector.detect.geo.passing import holds
from collector.detect.rules import Rules
from wire.columns import Event
from wire.records import EventKind, FixFlag

CODE = "GNSS_INTERFERENCE"
JAMMING, SPOOFING = "jamming", "spoofing"
TIME_JUMP, FROZEN, OUTLIERS, NO_FIX = "time_jump", "frozen", "outliers", "no_fix"
SPEED = "speed"  # GNSS against the odometer: told as spoofing

NO_FIX_STATE, FIX_STATE = 2, 3  # of a `gnss` event
STEPPED = 2  # `what` of a `clock` event
GNSS_QUALITY = 3
JAMMED_STATES, SPOOFED_STATES = (2, 3), (2, 3)
DAY_MS = 86_400_000
SUDDEN_MS = 10_000
FALL_CDB, NEAR_MARK_CDB = 800, 300
STRONG_MIN, SATS_MIN = 4, 6
FLAT_STD_CDB = 250
FAST_CM_S = 200  # a frozen place is one at which the unit says that it drives
TUNNEL_M, TUNNEL_MS = 500.0, 60_000
ODO_MS = (5_000, 60_000)  # legs of the odometer that are compared
SPEED_OFF_M_S, SPEED_OFF_SHARE = 5.0, 0.3
CLOCK_BACK_MS, CLOCK_AHEAD_MS = 1_000, 30_000
RECENT_MAX = 12

# class: how long it must last before it is told, how long it must be good before it has ended, and in how many fixes
LASTS = {
    JAMMING: (10_000, 60_000, 0),
    SPOOFING: (10_000, 60_000, 0),
    SPEED: (60_000, 60_000, 0),
    TIME_JUMP: (0, 60_000, 3),
    FROZEN: (60_000, 0, 10),
    OUTLIERS: (0, 600_000, 0),
    NO_FIX: (600_000, 0, 0),
}
BY_ROW = frozenset({TIME_JUMP, FROZEN})  # counted in fixes, so each fix is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One class that may be, or is."""

    name: str
    seq: int  # of the record that began it
    since_ms: int
    told: bool = False
    good_ms: int | None = None  # since when nothing speaks for it
    count: int = 0  # fixes that bore it out
    by_flag: bool = False  # said by flags of fixes: a fix without them speaks against it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sky:
    """What a `gnss` event said."""

    t_ms: int
    cn0: int | None
    strong: int | None
    fixed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    runs: tuple[Run, ...] = ()  # by name
    cn0_mark: tuple[int, int] | None = None  # the strongest of the last day, and when
    std_mark: tuple[int, int] | None = None
    recent: tuple[Sky, ...] = ()
    odo: tuple[int, int, Place] | None = None  # time, metres, place
    outliers_ms: tuple[int, ...] = ()
    tunnel_ms: int | None = None  # when it was last inside of one
    in_tunnel: bool = False
    antenna_seq: int | None = None  # DEVICE_FAULT antenna runs
    antenna_n: int = 0


@dataclass(slots=True, kw_only=True)
class _Work:
    rules: Rules
    place: Place | None
    hits: list[Hit] = field(default_factory=list)


def quiet(state: State) -> bool:
    """Nothing runs that the next fix would count or speak against."""
    return not any(run.name in BY_ROW or run.by_flag or run.name == NO_FIX for run in state.runs)


def due_ms(state: State) -> int | None:
    """When time alone confirms or ends something, proved by the next fix."""
    dues = [due for run in state.runs if (due := _due_ms(run)) is not None]
    return min(dues, default=None)


def running(state: State) -> tuple[str, ...]:
    """The classes that were told and have not ended."""
    return tuple(_value(run.name) for run in state.runs if run.told)


def broken(state: State) -> State:
    """A hole in the chain drops what was only a candidate."""
    return replace(state, runs=tuple(run for run in state.runs if run.told), odo=None)


def screen(
    *, lat_e7: IntArray, lon_e7: IntArray, prev_lat: IntArray, prev_lon: IntArray,
    speed_cm_s: IntArray, flags: IntArray,
) -> BoolArray:  # fmt: skip
    """Fixes that bear the receiver's own warning, or stand still while they say that they drive."""
    still = (lat_e7 == prev_lat) & (lon_e7 == prev_lon) & (speed_cm_s > FAST_CM_S)
    marked: BoolArray = still | ((flags & (FixFlag.JAMMING | FixFlag.SPOOFING)) != 0)
    return marked


def step_fix(rules: Rules, state: State, fix: Fix) -> tuple[State, tuple[Hit, ...]]:
    """One good fix."""
    place, prev = fix.place, fix.prev
    work = _Work(rules=rules, place=place)
    still = (
        prev is not None
        and not fix.broken
        and (prev.lat_e7, prev.lon_e7) == (place.lat_e7, place.lon_e7)
        and fix.speed_cm_s is not None
        and fix.speed_cm_s > FAST_CM_S
    )
    state = _dues(work, state, place.t_ms)
    state = _say(work, state, FROZEN, still, place.t_ms, place.seq)
    state = _say(work, state, NO_FIX, False, place.t_ms, place.seq)
    for name, bit in ((JAMMING, FixFlag.JAMMING), (SPOOFING, FixFlag.SPOOFING)):
        flagged = bool(fix.flags & bit)
        run = _run(state, name)
        if flagged and not (name == JAMMING and _explained(work, state, place.t_ms)):
            state = _say(work, state, name, True, place.t_ms, place.seq, by_flag=True)
        elif run is not None and run.by_flag:
            state = _say(work, state, name, False, place.t_ms, place.seq)
    jump = _run(state, TIME_JUMP)
    if jump is not None and not jump.told:
        state = _put(state, replace(jump, count=jump.count + 1))
    return _dues(work, state, place.t_ms), tuple(work.hits)


def step_event(
    rules: Rules, state: State, event: Event, near: Callable[[int], Place | None]
) -> tuple[State, tuple[Hit, ...]]:
    """One event of the unit; those of other kinds only prove that time has passed."""
    if event.kind not in (EventKind.GNSS, EventKind.ODOMETER, EventKind.CLOCK):
        return state, ()
    work = _Work(rules=rules, place=near(event.t_ms))
    state = _dues(work, state, event.t_ms)
    match event.kind:
        case EventKind.GNSS:
            state = _sky(work, state, event)
        case EventKind.ODOMETER:
            state = _odometer(work, state, event)
        case _:
            state = _clock(work, state, event)
    return _dues(work, state, event.t_ms), tuple(work.hits)


def outlier(rules: Rules, state: State, place: Place) -> tuple[State, tuple[Hit, ...]]:
    """The gate has put one fix aside: three within ten minutes are a class of their own."""
    work = _Work(rules=rules, place=place)
    lasts_ms = LASTS[OUTLIERS][1]
    recent = [one for one in state.outliers_ms if place.t_ms - one <= lasts_ms]
    state = replace(state, outliers_ms=(*recent, place.t_ms)[-3:])
    if len(recent) + 1 >= 3:
        run = _run(state, OUTLIERS)
        state = _say(work, state, OUTLIERS, True, place.t_ms, place.seq)
        again = _run(state, OUTLIERS)
        assert again is not None
        # good from here on, unless another comes
        state = _put(state, replace(again, good_ms=place.t_ms))
        if run is None:
            state = _dues(work, state, place.t_ms)
    return state, tuple(work.hits)


def passed_tunnel(state: State, t_ms: int, *, inside: bool) -> State:
    """The unit has come into a tunnel or out of it."""
    return replace(state, in_tunnel=inside, tunnel_ms=t_ms)


def pack(state: State) -> tuple[object, ...]:
    odo = state.odo
    return (
        tuple(
            (run.name, run.seq, run.since_ms, int(run.told), run.good_ms, run.count, int(run.by_flag))
            for run in state.runs
        ),
        state.cn0_mark,
        state.std_mark,
        tuple((sky.t_ms, sky.cn0, sky.strong, int(sky.fixed)) for sky in state.recent),
        None if odo is None else (odo[0], odo[1], place_out(odo[2])),
        state.outliers_ms,
        state.tunnel_ms,
        int(state.in_tunnel),
        state.antenna_seq,
        state.antenna_n,
    )  # fmt: skip


def unpack(packed: list[list[list[object]]]) -> State:
    runs, cn0, std, recent, odo, outliers, tunnel_ms, in_tunnel, antenna, antenna_n = packed
    return State(
        runs=tuple(
            Run(
                name=str(name),
                seq=whole(seq),
                since_ms=whole(since_ms),
                told=bool(told),
                good_ms=_maybe(good_ms),
                count=whole(count),
                by_flag=bool(by_flag),
            )
            for name, seq, since_ms, told, good_ms, count, by_flag in runs
        ),
        cn0_mark=_pair(cn0),
        std_mark=_pair(std),
        recent=tuple(
            Sky(t_ms=whole(t_ms), cn0=_maybe(cn0_), strong=_maybe(strong), fixed=bool(fixed))
            for t_ms, cn0_, strong, fixed in recent
        ),
        odo=_odo_in(odo),
        outliers_ms=tuple(whole(t_ms) for t_ms in outliers),
        tunnel_ms=_maybe(tunnel_ms),
        in_tunnel=bool(in_tunnel),
        antenna_seq=_maybe(antenna),
        antenna_n=whole(antenna_n),
    )


# the evidence


def _sky(work: _Work, state: State, event: Event) -> State:
    """Kind 11. What is shorter or of other types than the wire says is not used."""
    numbers = [value if isinstance(value, int) else None for value in event.data]
    if len(numbers) < 13:
        return state
    state_no, tracked, used = numbers[0], numbers[3], numbers[4]
    cn0, std, strong = numbers[5], numbers[6], numbers[7]
    jam, spoof = numbers[9], numbers[11]
    t_ms = event.t_ms
    now = Sky(t_ms=t_ms, cn0=cn0, strong=strong, fixed=state_no == FIX_STATE)
    jammed = (
        jam in JAMMED_STATES
        or _fell(state, now)
        or (state_no == NO_FIX_STATE and _lost(state, now))
    )
    known = jam is not None or cn0 is not None or state_no is not None
    was = _run(state, JAMMING)
    if was is not None and not was.by_flag and jam not in JAMMED_STATES and _weak(state, now):
        jammed = True  # it lasts as long as the sky stays as weak
    if jammed and not _explained(work, state, t_ms):
        state = _say(work, state, JAMMING, True, t_ms, event.seq)
    elif known and was is not None and not was.by_flag:
        state = _say(work, state, JAMMING, False, t_ms, event.seq)
    flat = std is not None and std < FLAT_STD_CDB and (used or tracked or 0) >= SATS_MIN
    flat = flat and state.std_mark is not None and std is not None and 2 * std < state.std_mark[0]
    if spoof in SPOOFED_STATES or flat:
        state = _say(work, state, SPOOFING, True, t_ms, event.seq)
    elif (spoof is not None or std is not None) and not _by_flag(state, SPOOFING):
        state = _say(work, state, SPOOFING, False, t_ms, event.seq)
    if state_no == FIX_STATE:
        state = _say(work, state, NO_FIX, False, t_ms, event.seq)
    if _run(state, JAMMING) is None and _run(state, SPOOFING) is None:
        state = replace(
            state,
            cn0_mark=_marked(state.cn0_mark, cn0, t_ms),
            std_mark=_marked(state.std_mark, std, t_ms),
        )
    state = _antenna(work, state, event)
    recent = [sky for sky in state.recent if t_ms - sky.t_ms <= SUDDEN_MS]
    if not recent:
        recent = list(state.recent[-1:])
    return replace(state, recent=(*recent, now)[-RECENT_MAX:])


def _fell(state: State, now: Sky) -> bool:
    """By 8 dB from near the unit's mark, and not bit by bit."""
    if state.cn0_mark is None or now.cn0 is None:
        return False
    mark = state.cn0_mark[0]
    if now.cn0 > mark - FALL_CDB:
        return False
    return any(
        sky.cn0 is not None and sky.cn0 >= mark - NEAR_MARK_CDB for sky in _before(state, now)
    )


def _lost(state: State, now: Sky) -> bool:
    """The fix was lost, with hardly a strong satellite left where there were enough ten seconds ago."""
    if now.strong is None or now.strong >= STRONG_MIN:
        return False
    return any(
        sky.fixed and sky.strong is not None and sky.strong >= STRONG_MIN
        for sky in _before(state, now)
    )


def _weak(state: State, now: Sky) -> bool:
    """As weak as when it was told."""
    by_cn0 = (
        state.cn0_mark is not None
        and now.cn0 is not None
        and now.cn0 <= state.cn0_mark[0] - FALL_CDB
    )
    return by_cn0 or (not now.fixed and now.strong is not None and now.strong < STRONG_MIN)


def _before(state: State, now: Sky) -> tuple[Sky, ...]:
    """What was said within the last ten seconds; the last word if nothing was."""
    recent = tuple(sky for sky in state.recent if now.t_ms - sky.t_ms <= SUDDEN_MS)
    return recent or state.recent[-1:]


def _explained(work: _Work, state: State, t_ms: int) -> bool:
    """A tunnel takes the sky away too."""
    if state.in_tunnel or (
        state.tunnel_ms is not None and 0 <= t_ms - state.tunnel_ms <= TUNNEL_MS
    ):
        return True
    place = work.place
    if place is None:
        return False
    box = box_around(place.lon_e7, place.lat_e7, TUNNEL_M)
    return any(
        holds(zone, place.lon_e7, place.lat_e7)
        or to_edges_m(place.lon_e7, place.lat_e7, zone.edges) <= TUNNEL_M
        for zone in work.rules.near(("tunnel",), box)
    )


def _odometer(work: _Work, state: State, event: Event) -> State:
    """Kind 20: the wheels' word against the satellites', leg by leg; and driving without a fix."""
    metres = event.data[0] if event.data else None
    if not isinstance(metres, int):
        return state
    t_ms, place, before = event.t_ms, work.place, state.odo
    if before is not None and metres > before[1] and (place is None or place.t_ms <= before[0]):
        state = _say(work, state, NO_FIX, True, before[0], event.seq)
    if place is None:
        return state
    if before is None or metres < before[1]:
        return replace(state, odo=(t_ms, metres, place))
    lasted_ms = place.t_ms - before[2].t_ms
    if lasted_ms < ODO_MS[0]:
        return state
    if lasted_ms <= ODO_MS[1] and t_ms > before[0]:
        wheels_m_s = (metres - before[1]) * 1_000 / (t_ms - before[0])
        way_m = distance_m(before[2].lon_e7, before[2].lat_e7, place.lon_e7, place.lat_e7)
        gnss_m_s = way_m * 1_000 / lasted_ms
        off_m_s = abs(wheels_m_s - gnss_m_s)
        differs = off_m_s > max(SPEED_OFF_M_S, SPEED_OFF_SHARE * wheels_m_s)
        state = _say(work, state, SPEED, differs, t_ms, event.seq)
    return replace(state, odo=(t_ms, metres, place))


def _clock(work: _Work, state: State, event: Event) -> State:
    """Kind 4: the receiver's time has jumped against the unit's own."""
    if len(event.data) < 4:
        return state
    what, before_ms, after_ms, quality = event.data[:4]
    if what != STEPPED or quality != GNSS_QUALITY:
        return state
    if not isinstance(before_ms, int) or not isinstance(after_ms, int):
        return state
    moved_ms = after_ms - before_ms
    if -CLOCK_BACK_MS <= moved_ms <= CLOCK_AHEAD_MS:
        return state
    state = _say(work, state, TIME_JUMP, True, event.t_ms, event.seq)
    run = _run(state, TIME_JUMP)
    assert run is not None
    return _put(state, replace(run, good_ms=event.t_ms))


def _antenna(work: _Work, state: State, event: Event) -> State:
    """DEVICE_FAULT while the receiver says that its antenna is cut or shorted."""
    said = event.data[8]
    if not isinstance(said, str) or said not in ("OK", "OPEN", "SHORT"):
        return state
    is_bad = said != "OK"
    if is_bad is (state.antenna_seq is not None):
        return state
    hit = Hit(
        code="DEVICE_FAULT",
        at_ms=event.t_ms,
        origin_seq=event.seq if state.antenna_seq is None else state.antenna_seq,
        subject="antenna",
        phase=Phase.BEGIN if is_bad else Phase.END,
        n=0 if is_bad else 1,
        lat_e7=None if work.place is None else work.place.lat_e7,
        lon_e7=None if work.place is None else work.place.lon_e7,
        value="antenna",
        data={"antenna": said},
    )
    work.hits.append(hit)
    return replace(state, antenna_seq=event.seq if is_bad else None)


# the life of a class


def _say(
    work: _Work,
    state: State,
    name: str,
    bad: bool,  # noqa: FBT001  # what the evidence says, right behind what it is of
    t_ms: int,
    seq: int,
    *,
    by_flag: bool = False,
) -> State:
    run = _run(state, name)
    if bad:
        if run is None:
            run = Run(name=name, seq=seq, since_ms=t_ms, by_flag=by_flag)
        counted = run.count + 1 if name == FROZEN else run.count
        return _dues(work, _put(state, replace(run, good_ms=None, count=counted)), t_ms)
    if run is None:
        return state
    if not run.told:
        return _drop(state, name)  # it did not last
    if run.good_ms is None:
        state = _put(state, replace(run, good_ms=t_ms))
    return _dues(work, state, t_ms)


def _dues(work: _Work, state: State, t_ms: int) -> State:
    """What `t_ms` confirms and ends."""
    for run in state.runs:
        lasts_ms, ends_ms, fixes = LASTS[run.name]
        if not run.told and t_ms - run.since_ms >= lasts_ms and run.count >= fixes:
            work.hits.append(_hit(work, run, Phase.BEGIN, run.since_ms))
            state = _put(state, replace(run, told=True))
        elif run.told and run.good_ms is not None and t_ms - run.good_ms >= ends_ms:
            work.hits.append(_hit(work, run, Phase.END, run.good_ms))
            state = _drop(state, run.name)
    return state


def _due_ms(run: Run) -> int | None:
    lasts_ms, ends_ms, fixes = LASTS[run.name]
    if not run.told:
        return run.since_ms + lasts_ms if run.count >= fixes else None
    return None if run.good_ms is None else run.good_ms + ends_ms


def _hit(work: _Work, run: Run, phase: Phase, at_ms: int) -> Hit:
    place, value = work.place, _value(run.name)
    return Hit(
        code=CODE,
        at_ms=at_ms,
        origin_seq=run.seq,
        subject=run.name,
        phase=phase,
        n=0 if phase is Phase.BEGIN else 1,
        lat_e7=None if place is None else place.lat_e7,
        lon_e7=None if place is None else place.lon_e7,
        value=value,
        data={"by": "odometer"} if run.name == SPEED else {},
    )


def _value(name: str) -> str:
    return SPOOFING if name == SPEED else name


def _run(state: State, name: str) -> Run | None:
    return next((run for run in state.runs if run.name == name), None)


def _by_flag(state: State, name: str) -> bool:
    run = _run(state, name)
    return run is not None and run.by_flag


def _put(state: State, run: Run) -> State:
    others = [other for other in state.runs if other.name != run.name]
    return replace(state, runs=tuple(sorted((*others, run), key=lambda one: one.name)))


def _drop(state: State, name: str) -> State:
    return replace(state, runs=tuple(run for run in state.runs if run.name != name))


def _marked(mark: tuple[int, int] | None, value: int | None, t_ms: int) -> tuple[int, int] | None:
    if value is None:
        return mark
    if mark is None or value >= mark[0] or t_ms - mark[1] > DAY_MS:
        return value, t_ms
    return mark


def _maybe(value: object) -> int | None:
    return None if value is None else whole(value)


def _pair(packed: object) -> tuple[int, int] | None:
    if packed is None:
        return None
    assert isinstance(packed, list)
    return whole(packed[0]), whole(packed[1])


def _odo_in(packed: object) -> tuple[int, int, Place] | None:
    if packed is None:
        return None
    assert isinstance(packed, list)
    place = place_in(packed[2])
    assert place is not None
    return whole(packed[0]), whole(packed[1]), place
