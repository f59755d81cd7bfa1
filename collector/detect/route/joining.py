"""Before the unit has joined its route."""

from dataclasses import replace

import numpy as np
import shapely

from collector.detect.geo import BoolArray, IntArray, RouteLine
from collector.detect.geo.measure import to_edges_m
from collector.detect.geo.passing import FEW_EDGES, holds
from collector.detect.route import NEAR_FIXES, Mode, Off, State
from collector.detect.route.arrival import arrive
from collector.detect.route.progress import joining_s_m
from collector.detect.route.work import Work, allowed, nearer
from collector.detect.rules import Rules

FROM_M = 2_000.0  # outside `from` without having joined
BEFORE_S_MAX = 1_800


def may_join(rules: Rules, line: RouteLine, inside: frozenset[str]) -> bool:
    """Whether any fix would count as on the route: the distance counts as 0 where the unit is."""
    return allowed(rules, line, inside)


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


def before_joining(work: Work, state: State) -> State:
    """Not joined yet."""
    place, th, line = work.fix.place, work.th, work.line
    all_of_it = work.on_all()
    if work.counted(all_of_it.d_m) <= line.half_width_m / 2 and place.sharp:
        near = nearer(state.near, place)
        if near.count < NEAR_FIXES:
            return replace(state, near=near)
        s_m = joining_s_m(work, all_of_it)
        work.tell("ROUTE_JOINED", near.place, value=float(s_m))
        work.top_m = s_m
        at_end = s_m >= line.total_m - th.done_m
        joined = replace(state, mode=Mode.ON, near=None, at_end=at_end)
        return arrive(work, joined, s_m, all_of_it.d_m)
    if state.near is not None:
        state = replace(state, near=None)
    waited_s = (place.t_ms - state.first_ms) / 1_000
    far = place.sharp and _far_from_begin(work)
    if not far and waited_s < BEFORE_S_MAX:
        return state
    work.tell("ROUTE_LEFT", place, value=round(all_of_it.d_m, 1))
    work.top_m = 0
    left = Off(seq=place.seq, left_ms=place.t_ms, s_m=0, max_d_m=round(all_of_it.d_m))
    return replace(state, mode=Mode.OFF, off=left)


def _far_from_begin(work: Work) -> bool:
    begin = work.line.begins
    zone = work.rules.zones.get(begin) if begin is not None else None
    if zone is None or holds(zone, *work.xy):
        return False
    return to_edges_m(*work.xy, zone.edges) > FROM_M
