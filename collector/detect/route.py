"""Progress along the prescribed route, and departures from it (DETECTION section 7.2).

Law: progress is the farthest sure place, in whole metres; it comes from outside with the fix, so a row that goes on along the
route changes nothing here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
import shapely

from collector.detect import Fix, Hit, Phase, Place
from collector.detect.geo import BoolArray, IntArray, RouteLine
from collector.detect.geo.line import (
    Along,
    points_between,
    project,
    project_all,
    project_twin,
    segments_between,
)
from collector.detect.geo.lines import AHEAD_M, BEHIND_M, FAST_M_S, MARK_M
from collector.detect.geo.measure import distance_m, to_edges_m
from collector.detect.geo.passing import FEW_EDGES, Way, by_corners, holds
from collector.detect.rules import Rules, Thresholds

POSTS = ("border_post", "inland_post")  # zones in which a lorry is always allowed
HEADING_M = 5.0  # who has moved less has no direction
FALL_M = 100  # less of it is noise
AGREE_M = 50.0  # besides what a lorry can drive and what the fix may be off
NEAR_FIXES = 2
BACK_FIXES, BACK_S, BACK_M_S = 3, 30, 2.0
FROM_M = 2_000.0  # outside `from` without having joined
BEFORE_S_MAX = 1_800
LEGAL_FIXES, LEGAL_ON_FIXES = 2, 3
DRIVE_M_S = 25.0  # 90 km/h
ETA_MS = 900_000
BY_ROUTE_MS = 20_000  # over a shorter time the chord is the road


class Mode(IntEnum):
    BEFORE = 0
    ON = 1
    LEAVING = 2
    BACK = 3
    OFF = 4
    DONE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Fixes that may begin (again) to follow the route."""

    place: Place  # of the first
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """Where and when the distance passed the half width, and the fixes that confirm it."""

    place: Place
    count: int = 0
    since_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """Fixes that lie behind the progress."""

    place: Place
    s_m: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Fixes that lie on another part of the route."""

    s_m: int
    t_ms: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """Driving against the route."""

    seq: int
    low_m: int
    wrong: bool = False  # ROUTE_WRONG_WAY runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Off:
    """Away from the route."""

    seq: int
    left_ms: int
    s_m: int
    driven_dm: int = 0
    max_d_m: int = 0
    moving_ms: int = 0
    far: int = 0
    far_place: Place | None = None
    said: int = 0  # findings of ROUTE_DEVIATION
    said_d_m: int = 0
    legal_far: int = 0
    visited: int = 0  # bits of the route's checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalAlert:
    """LEGAL_ROUTE_DEVIATION runs until three fixes lie on the route."""

    seq: int
    on: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    route: str | None = None
    mark: int = 0  # of the route's shape: another one is another line
    mode: Mode = Mode.BEFORE
    first_ms: int = 0
    at_end: bool = False  # joined where the route ends: being there is no arrival
    s_m: int | None = None  # kept where the route runs beside itself, and while BACK
    near: Near | None = None
    over: Over | None = None
    fall: Fall | None = None
    elsewhere: Elsewhere | None = None
    back: Back | None = None
    off: Off | None = None
    legal: LegalAlert | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    state: State
    top_m: int
    hits: tuple[Hit, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Work:
    """One fix while it is judged."""

    rules: Rules
    line: RouteLine
    fix: Fix
    top_m: int
    allowed: bool  # in a zone where distance counts as 0
    inside: frozenset[str]
    standing: bool
    whole: Along | None
    hits: list[Hit] = field(default_factory=list)

    @property
    def th(self) -> Thresholds:
        return self.rules.thresholds

    @property
    def xy(self) -> tuple[int, int]:
        return self.fix.place.lon_e7, self.fix.place.lat_e7

    def on_all(self) -> Along:
        """The nearest place on the whole route."""
        if self.whole is None:
            self.whole = project_all(self.line, *self.xy)
        return self.whole

    def counted(self, d_m: float) -> float:
        return 0.0 if self.allowed else d_m

    def tell(
        self,
        code: str,
        place: Place,
        *,
        seq: int | None = None,
        phase: Phase = Phase.POINT,
        n: int = 0,
        value: float | None = None,
        data: dict[str, object] | None = None,
    ) -> None:
        self.hits.append(
            Hit(
                code=code,
                at_ms=place.t_ms,
                origin_seq=place.seq if seq is None else seq,
                subject=self.line.id,
                phase=phase,
                n=n,
                lat_e7=place.lat_e7,
                lon_e7=place.lon_e7,
                route=self.line.id,
                value=value,
                data=data or {},
            )
        )


def quiet(state: State) -> bool:
    """On the route, not joined yet or done, with nothing open that the next fix would count."""
    if state.route is None or state.mode is Mode.DONE:
        return True
    if state.mode is Mode.BEFORE:
        return state.near is None
    return state.mode is Mode.ON and (
        not state.at_end
        and state.s_m is None
        and state.over is None
        and state.fall is None
        and state.elsewhere is None
        and state.back is None
        and state.legal is None
    )


def broken(state: State) -> State:
    """A hole in the chain drops what was only a candidate."""
    mode = state.mode
    if mode is Mode.LEAVING:
        mode = Mode.ON if state.back is None else Mode.BACK
    return replace(state, mode=mode, near=None, over=None, fall=None, elsewhere=None)


def eta_ms(line: RouteLine, top_m: int, marks: Sequence[tuple[int, int]], now_ms: int) -> int:
    """When the unit will arrive, from its plan and its marks (number, time) of the last 15 minutes."""
    recent = [(number, t_ms) for number, t_ms in marks if now_ms - t_ms <= ETA_MS]
    speed_m_s = 0.0
    if len(recent) >= 2 and recent[-1][1] > recent[0][1]:
        way_m = (recent[-1][0] - recent[0][0]) * MARK_M
        speed_m_s = way_m * 1_000 / (recent[-1][1] - recent[0][1])
    mixed_m_s = 0.7 * line.plan_kmh / 3.6 + 0.3 * speed_m_s
    return now_ms + round(max(0.0, line.total_m - top_m) / mixed_m_s * 1_000)


def followed(state: State) -> bool:
    """Whether the screen should follow the unit along its route."""
    return state.route is not None and state.mode is Mode.ON


def waits(state: State) -> bool:
    """Whether the screen should look for the unit's joining."""
    return state.route is not None and state.mode is Mode.BEFORE and state.near is None


def may_join(rules: Rules, line: RouteLine, inside: frozenset[str]) -> bool:
    """Whether any fix would count as on the route: the distance counts as 0 where the unit is."""
    return _allowed(rules, line, inside)


def still_before(
    rules: Rules, line: RouteLine, state: State, t_ms: IntArray, x: IntArray, y: IntArray
) -> BoolArray:
    """Of places off the route of a unit that waits: those that change nothing. A metre strict."""
    same: BoolArray = t_ms - state.first_ms < BEFORE_S_MAX * 1_000
    begin = line.begins
    zone = rules.zones.get(begin) if begin is not None else None
    if zone is None:
        return same
    near = shapely.intersects_xy(zone.shape, x, y)
    out = np.flatnonzero(same & ~near)
    if len(zone.edges) <= FEW_EDGES:
        for at in out.tolist():
            near[at] = to_edges_m(int(x[at]), int(y[at]), zone.edges) <= FROM_M - 1
    still: BoolArray = same & near
    return still


def step(
    rules: Rules,
    line: RouteLine | None,
    state: State,
    top_m: int,
    fix: Fix,
    *,
    inside: frozenset[str],
    standing: bool,
    whole: Along | None = None,
) -> Stepped:
    """One good fix against the route that the unit's journey prescribes now.

    `whole`: what `project_all` says of the fix, if it was asked already.
    """
    if line is None or state.route != line.id:
        ended = _end_all(state, fix)
        if line is None:
            return Stepped(state=State(), top_m=0, hits=ended)
        fresh = State(route=line.id, mark=line.mark, first_ms=fix.place.t_ms)
        after = step(rules, line, fresh, 0, fix, inside=inside, standing=standing)
        return replace(after, hits=(*ended, *after.hits))
    if state.mode is Mode.DONE:
        return Stepped(state=replace(state, mark=line.mark), top_m=top_m)
    work = _Work(
        rules=rules,
        line=line,
        fix=fix,
        top_m=top_m,
        allowed=_allowed(rules, line, inside),
        inside=inside,
        standing=standing,
        whole=whole,
    )
    if state.mark != line.mark:
        state = _edited(work, state)
    match state.mode:
        case Mode.BEFORE:
            state = _before(work, state)
        case Mode.OFF:
            state = _off(work, state)
        case _:
            state = _on(work, state)
    return Stepped(state=state, top_m=work.top_m, hits=tuple(work.hits))


def way_between(line: RouteLine, state: State, top_m: int, fix: Fix) -> Way | None:
    """The way along the route since the last fix, where both lie on it and a lorry can just have driven it."""
    if fix.prev is None or fix.broken or fix.dt_ms < BY_ROUTE_MS:
        return None
    if state.mode is Mode.DONE:
        return None
    a, b = fix.prev, fix.place
    if state.mode is Mode.ON and state.route == line.id and state.mark == line.mark:
        first, behind = _window(line, top_m, fix.dt_ms, state.s_m)
        if state.s_m is None:
            from_here = project(line, a.lon_e7, a.lat_e7, first, behind)
        else:
            from_here = project_twin(line, a.lon_e7, a.lat_e7, first, behind, state.s_m)
        to_here = _along(line, state, top_m, fix)
    else:
        ends = _plain_ends(line, a, b)
        if ends is None:
            return None
        from_here, to_here = ends
    if max(from_here.d_m, to_here.d_m) > line.half_width_m / 2:
        return None
    corners = points_between(line, from_here.s_m, to_here.s_m).tolist()
    way = by_corners([(a.lon_e7, a.lat_e7), *((x, y) for x, y in corners), (b.lon_e7, b.lat_e7)])
    chord_m = distance_m(a.lon_e7, a.lat_e7, b.lon_e7, b.lat_e7)
    # a car on a motorway is faster than 90 km/h, but there the road is hardly longer than its chord
    if way.length_m > max(DRIVE_M_S * fix.dt_ms / 1_000, 1.3 * chord_m + 2 * b.u_m):
        return None
    return way


def _plain_ends(line: RouteLine, a: Place, b: Place) -> tuple[Along, Along] | None:
    """Where two fixes of a unit lie that has not joined yet, or joins again: plain at one end at least, from which the other follows."""
    from_here = project_all(line, a.lon_e7, a.lat_e7)
    to_here = project_all(line, b.lon_e7, b.lat_e7)
    of_from, of_to = bool(line.twin[from_here.segment]), bool(line.twin[to_here.segment])
    if of_from and of_to:
        return None
    if of_from or of_to:
        moved_m = distance_m(a.lon_e7, a.lat_e7, b.lon_e7, b.lat_e7)
        heading, count = _heading(a, b, moved_m), len(line.len_m)
        if of_to:
            expected_m = from_here.s_m + moved_m
            to_here = project_twin(line, b.lon_e7, b.lat_e7, 0, count, expected_m, heading)
        else:
            expected_m = to_here.s_m - moved_m
            from_here = project_twin(line, a.lon_e7, a.lat_e7, 0, count, expected_m, heading)
    return from_here, to_here


def pack(state: State) -> tuple[object, ...]:
    near, over, fall, off = state.near, state.over, state.fall, state.off
    return (
        state.route,
        state.mark,
        int(state.mode),
        state.first_ms,
        int(state.at_end),
        state.s_m,
        None if near is None else (*_place_out(near.place), near.count),
        None if over is None else (*_place_out(over.place), over.count, over.since_ms),
        None if fall is None else (*_place_out(fall.place), fall.s_m, fall.count),
        None
        if state.elsewhere is None
        else (state.elsewhere.s_m, state.elsewhere.t_ms, state.elsewhere.count),
        None if state.back is None else (state.back.seq, state.back.low_m, int(state.back.wrong)),
        None
        if off is None
        else (
            off.seq,
            off.left_ms,
            off.s_m,
            off.driven_dm,
            off.max_d_m,
            off.moving_ms,
            off.far,
            None if off.far_place is None else _place_out(off.far_place),
            off.said,
            off.said_d_m,
            off.legal_far,
            off.visited,
        ),
        None if state.legal is None else (state.legal.seq, state.legal.on),
    )


def unpack(packed: list[object]) -> State:
    route, mark, mode, first_ms, at_end, s_m, near, over, fall, elsewhere, back, off, legal = packed
    return State(
        route=None if route is None else str(route),
        mark=_int(mark),
        mode=Mode(_int(mode)),
        first_ms=_int(first_ms),
        at_end=bool(at_end),
        s_m=None if s_m is None else _int(s_m),
        near=_near_in(near),
        over=_over_in(over),
        fall=_fall_in(fall),
        elsewhere=_elsewhere_in(elsewhere),
        back=_back_in(back),
        off=_off_in(off),
        legal=_legal_in(legal),
    )


def _before(work: _Work, state: State) -> State:
    """Not joined yet."""
    place, th, line = work.fix.place, work.th, work.line
    all_of_it = work.on_all()
    if work.counted(all_of_it.d_m) <= line.half_width_m / 2 and place.sharp:
        near = _nearer(state.near, place)
        if near.count < NEAR_FIXES:
            return replace(state, near=near)
        s_m = _joining_s_m(work, all_of_it)
        work.tell("ROUTE_JOINED", near.place, value=float(s_m))
        work.top_m = s_m
        at_end = s_m >= line.total_m - th.done_m
        joined = replace(state, mode=Mode.ON, near=None, at_end=at_end)
        return _done(work, joined, s_m, all_of_it.d_m)
    if state.near is not None:
        state = replace(state, near=None)
    waited_s = (place.t_ms - state.first_ms) / 1_000
    if not _far_from_begin(work) and waited_s < BEFORE_S_MAX:
        return state
    work.tell("ROUTE_LEFT", place, value=round(all_of_it.d_m, 1))
    work.top_m = 0
    left = Off(seq=place.seq, left_ms=place.t_ms, s_m=0, max_d_m=round(all_of_it.d_m))
    return replace(state, mode=Mode.OFF, off=left)


def _on(work: _Work, state: State) -> State:
    """ON, LEAVING or BACK: by the window around the progress."""
    line, place = work.line, work.fix.place
    along = _along(line, state, work.top_m, work.fix)
    twin = bool(line.twin[along.segment])
    width = line.half_width_m
    s_m = math.floor(along.s_m)
    if along.d_m > width / 2:
        elsewhere = _elsewhere(work, state, along)
        if elsewhere is not None and elsewhere.count >= work.th.left_fixes:
            return _moved(work, state, elsewhere)
        state = replace(state, elsewhere=elsewhere)
    elif state.elsewhere is not None:
        state = replace(state, elsewhere=None)
    kept = s_m if twin or state.mode is Mode.BACK or state.back is not None else None
    state = replace(state, s_m=kept)
    d_m = work.counted(along.d_m)
    state = _over(work, state, d_m)
    if state.mode is Mode.LEAVING:
        return _leaving(work, state, d_m, s_m)
    if along.d_m > width:
        return state
    if state.back is not None:
        state = _back(work, state, s_m)
    else:
        state = _falling(work, state, s_m)
        if state.back is None:
            work.top_m = max(work.top_m, s_m)
    if state.legal is not None and d_m <= width / 2:
        state = _legal_on(work, state, place)
    return _done(work, state, s_m, along.d_m)


def _along(line: RouteLine, state: State, top_m: int, fix: Fix) -> Along:
    """The nearest place in the window; where the route runs beside itself, the one that motion expects."""
    place, prev = fix.place, None if fix.broken else fix.prev
    dt_ms = 0 if prev is None else max(0, fix.dt_ms)
    first, behind = _window(line, top_m, dt_ms, state.s_m)
    x, y = place.lon_e7, place.lat_e7
    along = project(line, x, y, first, behind)
    if not line.twin[along.segment]:
        return along
    expected_m = float(top_m if state.s_m is None else state.s_m)
    if prev is None:
        return project_twin(line, x, y, first, behind, expected_m)
    if state.s_m is None:
        before = project(line, prev.lon_e7, prev.lat_e7, first, behind)
        if not line.twin[before.segment]:
            expected_m = before.s_m
    moved_m = distance_m(prev.lon_e7, prev.lat_e7, x, y)
    expected_m += -moved_m if state.back is not None else moved_m
    twin = project_twin(line, x, y, first, behind, expected_m, _heading(prev, place, moved_m))
    # the way along the route may be much longer than the chord: on it, where a lorry can be by now, is better than beside it
    could_m = FAST_M_S * dt_ms / 1_000 + place.u_m + AGREE_M
    for width_m in (line.half_width_m / 2, line.half_width_m):
        if twin.d_m <= width_m:
            return twin
        if along.d_m <= width_m and abs(along.s_m - expected_m) <= could_m:
            return along
    return twin


def _heading(prev: Place, place: Place, moved_m: float) -> tuple[float, float] | None:
    """Which way a unit drives, if it has moved enough to know."""
    if moved_m <= max(HEADING_M, place.u_m / 2):
        return None
    return place.lon_e7 - prev.lon_e7, place.lat_e7 - prev.lat_e7


def _window(line: RouteLine, top_m: int, dt_ms: int, s_m: int | None = None) -> tuple[int, int]:
    base_m = top_m // MARK_M * MARK_M if s_m is None else s_m
    return segments_between(line, base_m - BEHIND_M, base_m + AHEAD_M + FAST_M_S * dt_ms / 1_000)


def _elsewhere(work: _Work, state: State, along: Along) -> Elsewhere | None:
    """The whole route is asked; a nearer part counts after three fixes that agree."""
    line, place = work.line, work.fix.place
    whole = work.on_all()
    if whole.d_m > line.half_width_m / 2 or whole.d_m >= along.d_m or not place.sharp:
        return None
    s_m, before = math.floor(whole.s_m), state.elsewhere
    count = 1
    if before is not None:
        could_m = FAST_M_S * (place.t_ms - before.t_ms) / 1_000 + place.u_m + AGREE_M
        if abs(s_m - before.s_m) <= could_m:
            count = before.count + 1
    return Elsewhere(s_m=s_m, t_ms=place.t_ms, count=count)


def _moved(work: _Work, state: State, elsewhere: Elsewhere) -> State:
    """It is there: another place along the route, reached without having left it."""
    line, place, th = work.line, work.fix.place, work.th
    from_m, s_m = work.top_m, elsewhere.s_m
    work.top_m = s_m
    skipped = _skipped(line, from_m, s_m, 0)
    if s_m - from_m >= th.skipped_m or skipped:
        data: dict[str, object] = {"checkpoints": skipped, "s_left": from_m, "s_rejoined": s_m}
        work.tell("ROUTE_PART_SKIPPED", place, value=float(s_m - from_m), data=data)
    elif from_m - s_m >= th.backward_m:
        work.tell("ROUTE_BACKWARD", place, value=float(from_m - s_m))
    _end_wrong_way(work, state)
    return replace(
        state,
        mode=Mode.ON,
        elsewhere=None,
        over=None,
        fall=None,
        back=None,
        s_m=s_m if line.twin[_segment_at(line, s_m)] else None,
    )


def _over(work: _Work, state: State, d_m: float) -> State:
    """ON <-> LEAVING: the place where the distance passed the half width is kept."""
    width, place = work.line.half_width_m, work.fix.place
    if d_m <= width:
        mode = Mode.BACK if state.back is not None else Mode.ON
        return replace(state, over=None, mode=mode)
    over = state.over or Over(place=_passed(work, state, d_m))
    if state.mode is not Mode.LEAVING and d_m > width + place.u_m:
        return replace(state, over=over, mode=Mode.LEAVING, fall=None)
    return replace(state, over=over)


def _leaving(work: _Work, state: State, d_m: float, s_m: int) -> State:
    place, th, over = work.fix.place, work.th, state.over
    assert over is not None
    if not place.sharp:
        return state
    since_ms = over.since_ms if over.count else place.t_ms
    count = min(over.count + 1, th.left_fixes)
    long_enough = place.t_ms - since_ms >= th.left_s * 1_000
    far = d_m > 3 * work.line.half_width_m and state.elsewhere is None
    if not far and not (count >= th.left_fixes and long_enough):
        return replace(state, over=replace(over, count=count, since_ms=since_ms))
    work.tell("ROUTE_LEFT", over.place, value=round(d_m, 1))
    _end_wrong_way(work, state)
    if state.s_m is not None:
        work.top_m = state.s_m
    off = Off(
        seq=over.place.seq,
        left_ms=over.place.t_ms,
        s_m=min(work.top_m, s_m) if state.back is not None else work.top_m,
        max_d_m=round(d_m),
    )
    return replace(
        state,
        mode=Mode.OFF,
        off=off,
        over=None,
        s_m=None,
        fall=None,
        back=None,
        elsewhere=None,
        legal=None if state.legal is None else replace(state.legal, on=0),
    )


def _falling(work: _Work, state: State, s_m: int) -> State:
    """ON -> BACK."""
    place, th = work.fix.place, work.th
    fallen_m = work.top_m - s_m
    if fallen_m <= FALL_M or work.standing:
        return replace(state, fall=None)
    fall = state.fall or Fall(place=place, s_m=s_m, count=0)
    fall = replace(fall, count=min(fall.count + 1, BACK_FIXES))
    lasted_s = (place.t_ms - fall.place.t_ms) / 1_000
    proved = (
        fallen_m >= th.backward_m
        and fall.count >= BACK_FIXES
        and lasted_s >= BACK_S
        and (fall.s_m - s_m) / lasted_s > BACK_M_S
        and place.sharp
    )
    if not proved:
        return replace(state, fall=fall)
    work.tell("ROUTE_BACKWARD", fall.place, value=float(fallen_m))
    back = Back(seq=fall.place.seq, low_m=s_m)
    return replace(state, mode=Mode.BACK, fall=None, back=back, s_m=s_m)


def _back(work: _Work, state: State, s_m: int) -> State:
    """BACK -> BACK, ON."""
    back, place, th = state.back, work.fix.place, work.th
    assert back is not None
    low_m = min(back.low_m, s_m)
    if s_m - low_m >= th.forward_m:
        _end_wrong_way(work, state)
        work.top_m = s_m
        s_kept = s_m if work.line.twin[_segment_at(work.line, s_m)] else None
        return replace(state, mode=Mode.ON, back=None, s_m=s_kept)
    wrong = back.wrong
    if not wrong and work.top_m - s_m >= th.wrong_way_m:
        wrong = True
        work.tell(
            "ROUTE_WRONG_WAY",
            place,
            seq=back.seq,
            phase=Phase.BEGIN,
            value=float(work.top_m - s_m),
        )
    return replace(state, mode=Mode.BACK, back=replace(back, low_m=low_m, wrong=wrong), s_m=s_m)


def _off(work: _Work, state: State) -> State:
    """Away: how far and how long, until it is back."""
    line, fix, place, off = work.line, work.fix, work.fix.place, state.off
    assert off is not None
    whole = work.on_all()
    d_m = work.counted(whole.d_m)
    back = d_m < line.half_width_m / 2 and place.sharp
    off = _watched(work, off, whole.d_m, d_m, counts=not back and place.sharp)
    if back:
        near = _nearer(state.near, place)
        if near.count < NEAR_FIXES:
            return replace(state, off=off, near=near)
        return _rejoined(work, replace(state, off=off, near=near), whole)
    if off.legal_far >= LEGAL_FIXES and state.legal is None:
        work.tell(
            "LEGAL_ROUTE_DEVIATION", place, seq=off.seq, phase=Phase.BEGIN, value=round(d_m, 1)
        )
        state = replace(state, legal=LegalAlert(seq=off.seq))
    if fix.prev is None and state.near is None:
        return replace(state, off=off)
    return State(
        route=state.route,
        mark=state.mark,
        mode=Mode.OFF,
        first_ms=state.first_ms,
        off=off,
        legal=state.legal,
    )


def _watched(work: _Work, off: Off, away_m: float, d_m: float, *, counts: bool) -> Off:
    """What goes on while a unit is off: made in one piece, for every fix of such a unit comes here."""
    fix, place, line, th = work.fix, work.fix.place, work.line, work.th
    visited, driven_dm, moving_ms = off.visited, off.driven_dm, off.moving_ms
    for bit, name in enumerate(line.checkpoints):
        if name in work.inside:
            visited |= 1 << bit
    if fix.prev is not None and not fix.broken and not work.standing:
        moved_m = distance_m(fix.prev.lon_e7, fix.prev.lat_e7, *work.xy)
        driven_dm += round(moved_m * 10)
        moving_ms += fix.dt_ms
    far, far_place, said, said_d_m = off.far, off.far_place, off.said, off.said_d_m
    legal_far = off.legal_far
    if counts:
        legal_far = min(legal_far + 1, LEGAL_FIXES) if d_m > line.legal_m else 0
        begin: Place | None = None
        if said:
            if d_m >= 2 * said_d_m:
                _deviates(work, off, place, d_m, said)
                said, said_d_m = said + 1, round(d_m)
        elif d_m > line.alert_m + 2 * place.u_m:
            far, far_place = min(far + 1, th.deviation_fixes), far_place or place
            lasted_ms = place.t_ms - far_place.t_ms
            if far >= th.deviation_fixes and lasted_ms >= th.deviation_s * 1_000:
                begin = far_place
        else:
            far, far_place = 0, None
        if not said and begin is None and moving_ms >= th.deviation_off_s * 1_000 and d_m > 0:
            begin = place
        if begin is not None:
            _deviates(work, off, begin, d_m, 0)
            said, said_d_m = 1, max(round(d_m), round(line.half_width_m))
            far_place = None
    return Off(
        seq=off.seq,
        left_ms=off.left_ms,
        s_m=off.s_m,
        driven_dm=driven_dm,
        max_d_m=max(off.max_d_m, round(away_m)),
        moving_ms=moving_ms,
        far=far,
        far_place=far_place,
        said=said,
        said_d_m=said_d_m,
        legal_far=legal_far,
        visited=visited,
    )


def _deviates(work: _Work, off: Off, place: Place, d_m: float, n: int) -> None:
    """ROUTE_DEVIATION: far for long, or away for very long; `change` at each doubling."""
    phase = Phase.CHANGE if n else Phase.BEGIN
    work.tell("ROUTE_DEVIATION", place, seq=off.seq, phase=phase, n=n, value=round(d_m, 1))


def _rejoined(work: _Work, state: State, whole: Along) -> State:
    """OFF -> ON."""
    line, place, th, off, near = work.line, work.fix.place, work.th, state.off, state.near
    assert off is not None
    assert near is not None
    # in an allowed zone beside the route nobody has got on along it
    s_m = math.floor(whole.s_m) if whole.d_m <= line.half_width_m else off.s_m
    skipped_m = s_m - off.s_m
    data: dict[str, object] = {
        "driven_m": off.driven_dm // 10,
        "max_d_m": off.max_d_m,
        "off_s": (near.place.t_ms - off.left_ms) // 1_000,
        "s_left": off.s_m,
        "s_rejoined": s_m,
    }
    work.tell("ROUTE_REJOINED", near.place, value=float(skipped_m), data=data)
    if off.said:
        work.tell(
            "ROUTE_DEVIATION",
            near.place,
            seq=off.seq,
            phase=Phase.END,
            n=off.said,
            value=float(off.max_d_m),
        )
    missed = _skipped(line, off.s_m, s_m, off.visited)
    if skipped_m >= th.skipped_m or missed:
        work.tell(
            "ROUTE_PART_SKIPPED",
            near.place,
            value=float(skipped_m),
            data={"checkpoints": missed, "s_left": off.s_m, "s_rejoined": s_m},
        )
    work.top_m = s_m
    legal = None if state.legal is None else replace(state.legal, on=NEAR_FIXES)
    twin = bool(line.twin[whole.segment]) and whole.d_m <= line.half_width_m
    joined = replace(
        state,
        mode=Mode.ON,
        off=None,
        near=None,
        legal=legal,
        s_m=s_m if twin else None,
        at_end=s_m >= line.total_m - th.done_m and off.s_m == 0,
    )
    if joined.legal is not None and joined.legal.on >= LEGAL_ON_FIXES:
        joined = _legal_on(work, joined, place)
    return _done(work, joined, s_m, whole.d_m)


def _legal_on(work: _Work, state: State, place: Place) -> State:
    legal = state.legal
    assert legal is not None
    if legal.on + 1 < LEGAL_ON_FIXES:
        return replace(state, legal=replace(legal, on=legal.on + 1))
    work.tell("LEGAL_ROUTE_DEVIATION", place, seq=legal.seq, phase=Phase.END, n=1)
    return replace(state, legal=None)


def _done(work: _Work, state: State, s_m: int, d_m: float) -> State:
    """ON -> DONE."""
    line, place, th = work.line, work.fix.place, work.th
    if state.mode not in (Mode.ON, Mode.BACK):
        return state
    near_end = s_m >= line.total_m - th.done_m and d_m <= line.half_width_m
    if state.at_end and not near_end:
        state = replace(state, at_end=False)
    arrived = line.ends is not None and line.ends != line.begins and line.ends in work.inside
    if not arrived and (state.at_end or not near_end):
        return state
    work.tell("ROUTE_DONE", place, value=float(s_m))
    _end_wrong_way(work, state)
    if state.legal is not None:
        work.tell("LEGAL_ROUTE_DEVIATION", place, seq=state.legal.seq, phase=Phase.END, n=1)
    return State(route=state.route, mark=state.mark, mode=Mode.DONE, first_ms=state.first_ms)


def _edited(work: _Work, state: State) -> State:
    """The line was changed: progress stays if the unit was on the new one, else it is joined anew."""
    line, fix = work.line, work.fix
    state = replace(state, mark=line.mark)
    if state.mode is Mode.BEFORE:
        return state
    seen = fix.prev or fix.place
    whole = project_all(line, seen.lon_e7, seen.lat_e7)
    if state.mode is Mode.OFF:
        assert state.off is not None
        return replace(state, off=replace(state.off, s_m=math.floor(whole.s_m)))
    _end_wrong_way(work, state)
    kept = State(
        route=line.id,
        mark=line.mark,
        mode=Mode.ON,
        first_ms=fix.place.t_ms,
        legal=state.legal,
    )
    if whole.d_m <= line.half_width_m:
        work.top_m = math.floor(whole.s_m)
        return kept
    work.top_m = 0
    return replace(kept, mode=Mode.BEFORE)


def _end_all(state: State, fix: Fix) -> tuple[Hit, ...]:
    """The journey prescribes this route no longer: what runs of it ends."""
    ends: list[tuple[str, int, int]] = []
    if state.off is not None and state.off.said:
        ends.append(("ROUTE_DEVIATION", state.off.seq, state.off.said))
    if state.back is not None and state.back.wrong:
        ends.append(("ROUTE_WRONG_WAY", state.back.seq, 1))
    if state.legal is not None:
        ends.append(("LEGAL_ROUTE_DEVIATION", state.legal.seq, 1))
    return tuple(
        Hit(
            code=code,
            at_ms=fix.place.t_ms,
            origin_seq=seq,
            subject=state.route or "",
            phase=Phase.END,
            n=n,
            lat_e7=fix.place.lat_e7,
            lon_e7=fix.place.lon_e7,
            route=state.route,
        )
        for code, seq, n in ends
    )


def _end_wrong_way(work: _Work, state: State) -> None:
    if state.back is not None and state.back.wrong:
        work.tell("ROUTE_WRONG_WAY", work.fix.place, seq=state.back.seq, phase=Phase.END, n=1)


def _passed(work: _Work, state: State, d_m: float) -> Place:
    """Where the distance passed the half width, between the last fix and this one."""
    fix, line, place = work.fix, work.line, work.fix.place
    if fix.prev is None or fix.broken:
        return place
    first, behind = _window(line, work.top_m, fix.dt_ms, state.s_m)
    before_m = project(line, fix.prev.lon_e7, fix.prev.lat_e7, first, behind).d_m
    width = line.half_width_m
    share = 1.0
    if before_m < width < d_m:
        share = (width - before_m) / (d_m - before_m)
    prev = fix.prev
    return Place(
        seq=place.seq,
        t_ms=prev.t_ms + round(share * fix.dt_ms),
        lat_e7=prev.lat_e7 + round(share * (place.lat_e7 - prev.lat_e7)),
        lon_e7=prev.lon_e7 + round(share * (place.lon_e7 - prev.lon_e7)),
        u_cm=place.u_cm,
    )


def _joining_s_m(work: _Work, whole: Along) -> int:
    """Where a unit joins: where the route passes twice, the earliest place that lies in its direction."""
    line, fix = work.line, work.fix
    if not line.twin[whole.segment] or whole.d_m > line.half_width_m / 2:
        return math.floor(whole.s_m)
    x, y = work.xy
    px, py = (x - line.x0) * line.kx, (y - line.y0) * line.ky
    along = np.clip((px * line.ux + py * line.uy) * line.inv_m2, 0.0, 1.0)
    away = np.hypot(px - along * line.ux, py - along * line.uy)
    fits = away <= line.half_width_m / 2
    if fix.prev is not None and not fix.broken:
        dx = (x - fix.prev.lon_e7) * line.kx
        dy = (y - fix.prev.lat_e7) * line.ky
        ahead = fits & (dx * line.ux + dy * line.uy > 0)
        moved_m = distance_m(fix.prev.lon_e7, fix.prev.lat_e7, x, y)
        if moved_m > 2 * fix.place.u_m and ahead.any():
            fits = ahead
    first = int(fits.argmax())
    return math.floor(float(line.s0_m[first] + along[first] * line.len_m[first]))


def _far_from_begin(work: _Work) -> bool:
    begin = work.line.begins
    zone = work.rules.zones.get(begin) if begin is not None else None
    if zone is None or holds(zone, *work.xy):
        return False
    return to_edges_m(*work.xy, zone.edges) > FROM_M


def _allowed(rules: Rules, line: RouteLine, inside: frozenset[str]) -> bool:
    for name in inside:
        if name in (line.begins, line.ends) or name in line.stops:
            return True
        zone = rules.zones.get(name)
        if zone is not None and zone.kind in POSTS:
            return True
    return False


def _skipped(line: RouteLine, from_m: int, to_m: int, visited: int) -> list[str]:
    """Checkpoints between two places along the route that were not visited meanwhile."""
    return [
        name
        for bit, (name, s_m) in enumerate(zip(line.checkpoints, line.checkpoint_s_m, strict=True))
        if from_m < s_m < to_m and not visited >> bit & 1
    ]


def _nearer(near: Near | None, place: Place) -> Near:
    return Near(place=place, count=1) if near is None else replace(near, count=near.count + 1)


def _segment_at(line: RouteLine, s_m: int) -> int:
    return segments_between(line, s_m, s_m)[0]


def _place_out(place: Place) -> tuple[int, ...]:
    return (place.seq, place.t_ms, place.lat_e7, place.lon_e7, place.u_cm)


def _place_in(row: list[int]) -> Place:
    seq, t_ms, lat_e7, lon_e7, u_cm = row
    return Place(seq=seq, t_ms=t_ms, lat_e7=lat_e7, lon_e7=lon_e7, u_cm=u_cm)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _row(packed: object) -> list[int]:
    assert isinstance(packed, list)
    return packed


def _near_in(packed: object) -> Near | None:
    if packed is None:
        return None
    *place, count = _row(packed)
    return Near(place=_place_in(place), count=count)


def _over_in(packed: object) -> Over | None:
    if packed is None:
        return None
    *place, count, since_ms = _row(packed)
    return Over(place=_place_in(place), count=count, since_ms=since_ms)


def _fall_in(packed: object) -> Fall | None:
    if packed is None:
        return None
    *place, s_m, count = _row(packed)
    return Fall(place=_place_in(place), s_m=s_m, count=count)


def _elsewhere_in(packed: object) -> Elsewhere | None:
    if packed is None:
        return None
    s_m, t_ms, count = _row(packed)
    return Elsewhere(s_m=s_m, t_ms=t_ms, count=count)


def _back_in(packed: object) -> Back | None:
    if packed is None:
        return None
    seq, low_m, wrong = _row(packed)
    return Back(seq=seq, low_m=low_m, wrong=bool(wrong))


def _legal_in(packed: object) -> LegalAlert | None:
    if packed is None:
        return None
    seq, on = _row(packed)
    return LegalAlert(seq=seq, on=on)


def _off_in(packed: object) -> Off | None:
    if packed is None:
        return None
    row = _row(packed)
    far_place: object = row[7]
    return Off(
        seq=row[0],
        left_ms=row[1],
        s_m=row[2],
        driven_dm=row[3],
        max_d_m=row[4],
        moving_ms=row[5],
        far=row[6],
        far_place=None if far_place is None else _place_in(_row(far_place)),
        said=row[8],
        said_d_m=row[9],
        legal_far=row[10],
        visited=row[11],
    )
