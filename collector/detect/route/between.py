"""The way along the route between two fixes, for whoever asks what lies on it."""

from collector.detect import Fix, Place
from collector.detect.geo import RouteLine
from collector.detect.geo.line import Along, points_between, project, project_all, project_twin
from collector.detect.geo.lines import FAST_M_S
from collector.detect.geo.measure import distance_m
from collector.detect.geo.passing import Way, by_corners
from collector.detect.route import BY_ROUTE_MS, Mode, State
from collector.detect.route.progress import AGREE_M, heading_of, place_along, window

DRIVE_M_S = 25.0  # 90 km/h


def way_between(line: RouteLine, state: State, top_m: int, fix: Fix) -> Way | None:
    """The way along the route since the last fix, where both lie on it and a lorry can just have driven it."""
    if fix.prev is None or fix.broken or fix.dt_ms < BY_ROUTE_MS:
        return None
    a, b = fix.prev, fix.place
    if state.mode is Mode.ON and state.route == line.id and state.mark == line.mark:
        first, behind = window(line, top_m, fix.dt_ms, state.s_m)
        if state.s_m is None:
            from_here = project(line, a.lon_e7, a.lat_e7, first, behind)
        else:
            from_here = project_twin(line, a.lon_e7, a.lat_e7, first, behind, state.s_m)
        to_here = place_along(line, state, top_m, fix)
    else:
        ends = _plain_ends(line, a, b, fix.dt_ms)
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


def _plain_ends(line: RouteLine, a: Place, b: Place, dt_ms: int) -> tuple[Along, Along] | None:
    """Where two fixes of a unit lie that has not joined yet, joins again or has arrived: plain at one end at least, from which the other follows."""
    from_here = project_all(line, a.lon_e7, a.lat_e7)
    to_here = project_all(line, b.lon_e7, b.lat_e7)
    of_from, of_to = bool(line.twin[from_here.segment]), bool(line.twin[to_here.segment])
    if of_from and of_to:
        return None
    if of_from or of_to:
        moved_m = distance_m(a.lon_e7, a.lat_e7, b.lon_e7, b.lat_e7)
        heading, count = heading_of(a, b, moved_m), len(line.len_m)
        could_m = FAST_M_S * dt_ms / 1_000 + b.u_m + AGREE_M
        if of_to:
            expected_m = from_here.s_m + moved_m
            twin = project_twin(line, b.lon_e7, b.lat_e7, 0, count, expected_m, heading)
            to_here = _on_it(line, twin, to_here, expected_m, could_m)
        else:
            expected_m = to_here.s_m - moved_m
            twin = project_twin(line, a.lon_e7, a.lat_e7, 0, count, expected_m, heading)
            from_here = _on_it(line, twin, from_here, expected_m, could_m)
    return from_here, to_here


def _on_it(
    line: RouteLine, twin: Along, nearest: Along, expected_m: float, could_m: float
) -> Along:
    """The place that motion expects, unless it lies beside the route and the nearest one on it, where a lorry can be (as `place_along`)."""
    beside = twin.d_m > line.half_width_m / 2
    if beside and abs(nearest.s_m - expected_m) <= could_m:
        return nearest
    return twin
