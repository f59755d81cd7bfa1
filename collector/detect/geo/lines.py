"""Many routes at once: where the rows of many units lie, each along its own (DETECTION section 7.2, the screen).

Law: a place that is called sure is the one that `line.project` finds in its window, bit by bit; of the others nothing is said.

Why it is so: a unit's place X on a segment that is no twin, at most one half width w away. Whatever else lies within w of the unit
lies within 2w of X, so (no twin) within 500 m of X's segment along the route. If the segments asked reach that far on both sides,
X is the nearest of the whole route, and of every window that holds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.detect.geo import BoolArray, FloatArray, IntArray, RouteLine
from collector.detect.geo.index import CELL_E7, ZoneIndex
from collector.detect.geo.line import CHUNK, TWIN_GAP_M
from collector.detect.geo.measure import scales

MARK_M = 2_000  # progress is kept in such steps; between them a state may forget it
BEHIND_M = 500.0
AHEAD_M = 2_500.0
FAST_M_S = 1.3 * 27.8  # no lorry goes faster along a route
ROOM_M = TWIN_GAP_M + 200.0
GAP_M = 1e7  # between two routes on the common axis: no window reaches over it
SPAN_MAX = 256  # segments asked for a slice of one unit; rows of one that needs more are stepped
SLICE_ROWS = 4_096  # rows asked together: temporaries stay in the cache
SLICE_LEAST, SLICE_MOST = 8, 64  # rows of one unit in a slice: its window grows with every one
PAIRS = 2_048  # rows and chunks of a route compared together, as above


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RouteTable:
    """The segments of all routes of a version, one behind the other."""

    numbers: dict[str, int]  # of the routes
    begins: IntArray  # (routes + 1,): each one's first segment
    axis: FloatArray  # where a segment begins on the common axis, rising
    base: FloatArray  # where a route begins on it
    total_m: FloatArray
    half_width_m: FloatArray
    x0: FloatArray
    y0: FloatArray
    kx: FloatArray
    ky: FloatArray
    ux: FloatArray
    uy: FloatArray
    len_m: FloatArray
    inv_m2: FloatArray
    s0_m: FloatArray
    twin: BoolArray
    near_zone: IntArray  # (segments + 1,): how many before have a zone's edge near by
    chunk_begins: IntArray  # (routes + 1,): each one's first chunk
    chunk_bounds: FloatArray  # (chunks, 4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Progress:
    """For each row: its place along its unit's route, where it is sure."""

    sure: BoolArray  # the place is within one half width and the only one
    s_m: FloatArray
    d_m: FloatArray
    segment: IntArray  # in the table; -1 where nothing was found
    top_before_m: IntArray  # the farthest sure place of the unit before this row
    top_after_m: IntArray


def build_table(routes: Sequence[RouteLine], index: ZoneIndex) -> RouteTable:
    """All routes side by side; which of their segments have a zone's edge within reach is found once."""
    counts = [len(route.len_m) for route in routes]
    begins = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    totals = np.array([route.total_m for route in routes])
    base = np.concatenate([[0.0], np.cumsum(totals + GAP_M)])[:-1] if routes else np.empty(0)
    s0_m = _joined([route.s0_m for route in routes])
    near = [_near_zones(route, index) for route in routes]
    return RouteTable(
        numbers={route.id: number for number, route in enumerate(routes)},
        begins=begins,
        axis=s0_m + np.repeat(base, counts),
        base=base,
        total_m=totals,
        half_width_m=np.array([route.half_width_m for route in routes]),
        x0=_joined([route.x0 for route in routes]),
        y0=_joined([route.y0 for route in routes]),
        kx=_joined([route.kx for route in routes]),
        ky=_joined([route.ky for route in routes]),
        ux=_joined([route.ux for route in routes]),
        uy=_joined([route.uy for route in routes]),
        len_m=_joined([route.len_m for route in routes]),
        inv_m2=_joined([route.inv_m2 for route in routes]),
        s0_m=s0_m,
        twin=np.concatenate([route.twin for route in routes]) if routes else np.empty(0, np.bool_),
        near_zone=np.concatenate([[0], np.cumsum(np.concatenate(near))]).astype(np.int64)
        if routes
        else np.zeros(1, np.int64),
        chunk_begins=np.cumsum([0, *(len(route.chunk_bounds) for route in routes)]),
        chunk_bounds=np.concatenate([np.empty((0, 4)), *(route.chunk_bounds for route in routes)]),
    )


def follow(
    table: RouteTable,
    *,
    route: IntArray,  # (units,) number of the unit's route, -1: none to follow
    top_m: IntArray,  # (units,)
    anchor_ms: IntArray,  # (units,) time of the last good fix before the rows
    unit: IntArray,  # (rows,) grouped
    t_ms: IntArray,
    dt_ms: IntArray,  # since the row before; of the first: since the last good fix
    lat_e7: IntArray,
    lon_e7: IntArray,
) -> Progress:
    """The places of all rows along their routes, by slices of a few rows of every unit."""
    rows = len(unit)
    s_m, d_m = np.zeros(rows), np.full(rows, np.inf)
    segment = np.full(rows, -1, np.int64)
    found = np.zeros(rows, np.bool_)
    starts = np.searchsorted(unit, np.arange(len(route)))
    ends = np.append(starts[1:], rows)
    who = np.flatnonzero((route >= 0) & (ends > starts))
    anchor_s, anchor_t = top_m[who].astype(np.float64), anchor_ms[who]
    size = min(max(SLICE_LEAST, SLICE_ROWS // max(1, len(who))), SLICE_MOST)
    longest = int((ends - starts)[who].max(initial=0))
    for begin in range(0, longest, size):
        at = starts[who][:, None] + np.arange(begin, min(begin + size, longest))
        there = at < ends[who][:, None]
        going = there[:, 0]
        if not going.all():  # the shorter ones are over
            who, at, there = who[going], at[going], there[going]
            anchor_s, anchor_t = anchor_s[going], anchor_t[going]
        at = np.minimum(at, ends[who][:, None] - 1)
        waited_s = np.maximum(t_ms[at] - anchor_t[:, None], 0).max(axis=1) / 1_000
        least, most = anchor_s - ROOM_M, anchor_s + ROOM_M + FAST_M_S * waited_s
        s_m[at], d_m[at], segment[at], known = _nearest(
            table, route[who], lat_e7[at], lon_e7[at], least, most
        )
        found[at] = known
        last = at[:, -1]
        sure = found[last] & (d_m[last] <= table.half_width_m[route[who]])
        anchor_s = np.where(sure, s_m[last], anchor_s)
        anchor_t = np.where(sure, t_ms[last], anchor_t)
    width = table.half_width_m[np.maximum(route, 0)][unit] if len(table.half_width_m) else d_m
    seen = found & (d_m <= width)
    if seen.any():
        seen &= ~table.twin[np.maximum(segment, 0)]
    return _tops(s_m, d_m, segment, seen, unit, starts, top_m, dt_ms)


def surely_off(
    table: RouteTable,
    *,
    route: IntArray,  # (units,) number of the route that a unit is asked about, -1: none
    reach_m: FloatArray,  # (units,)
    unit: IntArray,  # (rows,) grouped
    lat_e7: IntArray,
    lon_e7: IntArray,
) -> BoolArray:
    """The rows whose place is farther than this from the whole of its unit's route; of none that is within is it said.

    By a unit's box and the boxes of the route's chunks first: most of a route is far away. A tenth of room for what the scale of
    another latitude makes of the boxes, a twentieth for what `line.project_all` corrects far away.
    """
    off = np.zeros(len(unit), np.bool_)
    starts = np.searchsorted(unit, np.arange(len(route)))
    ends = np.append(starts[1:], len(unit))
    who = np.flatnonzero((route >= 0) & (ends > starts))
    if len(who) == 0:
        return off
    begins = starts[np.flatnonzero(ends > starts)]
    at = np.searchsorted(begins, starts[who])
    least_x, most_x = (
        np.minimum.reduceat(lon_e7, begins)[at],
        np.maximum.reduceat(lon_e7, begins)[at],
    )
    least_y, most_y = (
        np.minimum.reduceat(lat_e7, begins)[at],
        np.maximum.reduceat(lat_e7, begins)[at],
    )
    first, behind = table.chunk_begins[route[who]], table.chunk_begins[route[who] + 1]
    number = np.repeat(np.arange(len(who)), behind - first)
    chunk = _counted(first, behind - first)
    bounds = table.chunk_bounds[chunk]
    k_lon, k_lat = (scale[number] for scale in scales((least_y + most_y) / 2))
    dx = np.maximum(bounds[:, 0] - most_x[number], least_x[number] - bounds[:, 2])
    dy = np.maximum(bounds[:, 1] - most_y[number], least_y[number] - bounds[:, 3])
    reach = reach_m[who][number]
    near = (np.maximum(dx, 0.0) * k_lon) ** 2 + (np.maximum(dy, 0.0) * k_lat) ** 2 <= (
        reach / 0.9
    ) ** 2
    number, chunk = number[near], chunk[near]
    rows = ends[who][number] - starts[who][number]
    row, chunk = _counted(starts[who][number], rows), np.repeat(chunk, rows)
    asked = (route >= 0)[unit]
    within = np.zeros(len(unit), np.bool_)
    for begin in range(0, len(row), PAIRS):
        span = slice(begin, begin + PAIRS)
        some = row[span]
        found = _within(
            table, route[unit[some]], chunk[span], lon_e7[some], lat_e7[some], reach_m[unit[some]]
        )
        within[some[found]] = True
    off[asked & ~within] = True
    return off


def _within(
    table: RouteTable,
    route: IntArray,
    chunk: IntArray,
    x: IntArray,
    y: IntArray,
    reach_m: FloatArray,
) -> BoolArray:
    """Whether each place lies that near to a segment of its chunk, or a little farther."""
    first = table.begins[route] + (chunk - table.chunk_begins[route]) * CHUNK
    # behind a route's end its last segment again: no nearer
    at = np.minimum(first[:, None] + np.arange(CHUNK), table.begins[route + 1][:, None] - 1)
    ux, uy = table.ux[at], table.uy[at]
    px = (x[:, None] - table.x0[at]) * table.kx[at]
    py = (y[:, None] - table.y0[at]) * table.ky[at]
    along = np.minimum(np.maximum((px * ux + py * uy) * table.inv_m2[at], 0.0), 1.0)
    px -= along * ux
    py -= along * uy
    near: BoolArray = (px * px + py * py).min(axis=1) <= (reach_m * 1.05 + 1) ** 2
    return near


def _counted(begins: IntArray, counts: IntArray) -> IntArray:
    """begin, begin + 1 .. of each, so many."""
    before = np.cumsum(counts) - counts
    numbers: IntArray = np.arange(int(counts.sum())) + np.repeat(begins - before, counts)
    return numbers


def _tops(
    s_m: FloatArray,
    d_m: FloatArray,
    segment: IntArray,
    seen: BoolArray,
    unit: IntArray,
    starts: IntArray,
    top_m: IntArray,
    dt_ms: IntArray,
) -> Progress:
    """The farthest place before and after each row; sure is only what lies in the row's own window."""
    far = 1 << 32  # more than any route is long: so units do not mix in one running maximum
    reached = np.where(seen, np.floor(s_m), -1).astype(np.int64)
    after = np.maximum.accumulate(np.maximum(reached, top_m[unit]) + unit * far) - unit * far
    before = np.empty_like(after)
    before[1:] = after[:-1]
    first = starts[starts < len(unit)]
    before[first] = top_m[unit[first]]
    mark = before // MARK_M * MARK_M
    window = (s_m >= mark - BEHIND_M) & (s_m <= mark + AHEAD_M + FAST_M_S * dt_ms / 1_000)
    out = seen & ~window
    if (
        out.any()
    ):  # what follows a place out of its window has a wrong top: nothing is sure from there on
        gone = np.cumsum(out)
        seen = seen & window & (gone - np.where(starts[unit] > 0, gone[starts[unit] - 1], 0) == 0)
    return Progress(
        sure=seen, s_m=s_m, d_m=d_m, segment=segment, top_before_m=before, top_after_m=after
    )


def _nearest(
    table: RouteTable,
    route: IntArray,  # (units,)
    lat_e7: IntArray,  # (units, rows)
    lon_e7: IntArray,
    least: FloatArray,  # (units,)
    most: FloatArray,
) -> tuple[FloatArray, FloatArray, IntArray, BoolArray]:
    """Place, distance and segment on the asked stretch, and whether enough of the route around was asked."""
    begin, end = table.begins[route], table.begins[route + 1]
    base, total = table.base[route], table.total_m[route]
    low = np.minimum(np.maximum(least, 0.0), total) + base
    high = np.minimum(most, total) + base
    first = np.maximum(table.axis.searchsorted(low, "right") - 2, begin)
    behind = np.minimum(table.axis.searchsorted(high, "right") + 1, end)
    narrow = behind - first <= SPAN_MAX
    behind = np.where(narrow, behind, first + 1)
    at = first[:, None] + np.arange(int((behind - first).max()))
    beyond = np.where(at >= behind[:, None], np.inf, 0.0)
    at = np.minimum(at, len(table.axis) - 1)
    ux, uy = table.ux[at][:, None, :], table.uy[at][:, None, :]
    # the same operations in the same order as line.project: the same bits
    px = (lon_e7[:, :, None] - table.x0[at][:, None, :]) * table.kx[at][:, None, :]
    py = (lat_e7[:, :, None] - table.y0[at][:, None, :]) * table.ky[at][:, None, :]
    along = (px * ux + py * uy) * table.inv_m2[at][:, None, :]
    np.maximum(along, 0.0, out=along)
    np.minimum(along, 1.0, out=along)
    px -= along * ux
    py -= along * uy
    px *= px
    py *= py
    px += py
    px += beyond[:, None, :]
    best = px.argmin(axis=2)
    unit, row = np.ogrid[: len(route), : lat_e7.shape[1]]
    segment = first[:, None] + best
    s_m = table.s0_m[segment] + along[unit, row, best] * table.len_m[segment]
    last = behind - 1
    room_behind = (first == begin)[:, None] | (
        table.s0_m[segment] - table.s0_m[first][:, None] >= TWIN_GAP_M
    )
    ahead_m = (table.s0_m[last] + table.len_m[last])[:, None] - (
        table.s0_m[segment] + table.len_m[segment]
    )
    room_ahead = (behind == end)[:, None] | (ahead_m >= TWIN_GAP_M)
    known: BoolArray = narrow[:, None] & room_behind & room_ahead
    return s_m, np.sqrt(px[unit, row, best]), segment, known


def _near_zones(route: RouteLine, index: ZoneIndex) -> BoolArray:
    """Segments with a zone's edge in the cells around: generous, never wrong the other way."""
    near = np.zeros(len(route.len_m), np.bool_)
    reach_y = (
        int(route.half_width_m / 2 / 0.0110) + 1
    )  # the least metres of one e7 degree, over 1 %
    widest = float((1 / np.maximum(route.kx, 1e-6)).max())
    reach_x = int(route.half_width_m / 2 * widest * 1.01) + 1
    ends_x, ends_y = route.points[:, 0], route.points[:, 1]
    left = (np.minimum(ends_x[:-1], ends_x[1:]) - reach_x) // CELL_E7
    right = (np.maximum(ends_x[:-1], ends_x[1:]) + reach_x) // CELL_E7
    low = (np.minimum(ends_y[:-1], ends_y[1:]) - reach_y) // CELL_E7
    high = (np.maximum(ends_y[:-1], ends_y[1:]) + reach_y) // CELL_E7
    for step_x in range(int((right - left).max()) + 1):
        for step_y in range(int((high - low).max()) + 1):
            asked = (left + step_x <= right) & (low + step_y <= high) & ~near
            near |= asked & (index.cells_at(left + step_x, low + step_y) >= 0)
    return near


def _joined(parts: Sequence[FloatArray]) -> FloatArray:
    return np.concatenate(parts) if parts else np.empty(0)
