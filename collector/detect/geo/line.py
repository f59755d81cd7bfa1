"""Places along a route: nearest segment, distance to it, metres from the begin (DETECTION section 7.2).

Law: the same numbers one by one and as columns: elementwise IEEE operations in the same order, no sums, so no two machines and
no two paths differ by a bit.
"""

import math
import zlib
from dataclasses import dataclass

import numpy as np
import shapely

from collector.detect.geo import BoolArray, FloatArray, IntArray, RouteLine
from collector.detect.geo.measure import distance_m, scale, scales

CHUNK = 32  # segments whose bounds are asked together before each is
TWIN_GAP_M = 500.0
AGAINST_M = 300.0  # over half of TWIN_GAP_M: where a turn of the route begins to be a twin, direction decides


@dataclass(frozen=True, slots=True, kw_only=True)
class Along:
    """Where a place lies along a route."""

    s_m: float
    d_m: float
    segment: int


def prepare_line(
    *,
    id: str,  # noqa: A002 - the trade's word for it
    points: IntArray,
    half_width_m: float = 150.0,
    alert_m: float = 500.0,
    legal_m: float = 50_000.0,
    plan_kmh: float = 60.0,
    name: str | None = None,
    unit: str | None = None,
    begins: str | None = None,
    ends: str | None = None,
    stops: tuple[str, ...] = (),
    checkpoints: tuple[str, ...] = (),
    valid_from_ms: int | None = None,
    valid_to_ms: int | None = None,
) -> RouteLine:
    """A line of two points or more, none repeated behind itself, made ready to be measured along."""
    x0, y0 = points[:-1, 0].astype(np.float64), points[:-1, 1].astype(np.float64)
    x1, y1 = points[1:, 0].astype(np.float64), points[1:, 1].astype(np.float64)
    kx, ky = scales((y0 + y1) / 2)
    ux, uy = (x1 - x0) * kx, (y1 - y0) * ky
    len_m = np.sqrt(ux * ux + uy * uy)
    assert len_m.min() > 0, "repeated points are dropped before"
    behind = np.cumsum(len_m)
    s0_m = np.concatenate([np.zeros(1), behind[:-1]])
    return RouteLine(
        id=id,
        points=points,
        x0=x0,
        y0=y0,
        kx=kx,
        ky=ky,
        ux=ux,
        uy=uy,
        len_m=len_m,
        inv_m2=1.0 / (len_m * len_m),
        s0_m=s0_m,
        total_m=float(behind[-1]),
        twin=_twins(points, s0_m, len_m, 2 * half_width_m),
        chunk_bounds=_chunk_bounds(x0, y0, x1, y1),
        mark=zlib.crc32(points.tobytes() + repr((half_width_m, stops, begins, ends)).encode()),
        name=name,
        unit=unit,
        half_width_m=half_width_m,
        alert_m=alert_m,
        legal_m=legal_m,
        plan_kmh=plan_kmh,
        begins=begins,
        ends=ends,
        stops=stops,
        checkpoints=checkpoints,
        valid_from_ms=valid_from_ms,
        valid_to_ms=valid_to_ms,
    )


def segments_between(line: RouteLine, least_m: float, most_m: float) -> tuple[int, int]:
    """First and one behind the last segment that touch this stretch of the route; never none."""
    first = int(line.s0_m.searchsorted(least_m, "right")) - 1
    behind = int(line.s0_m.searchsorted(most_m, "right"))
    first = min(max(first, 0), len(line.len_m) - 1)
    return first, max(behind, first + 1)


def project(line: RouteLine, x: float, y: float, first: int, behind: int) -> Along:
    """The nearest place on segments first .. behind - 1; of equal ones the first."""
    square, segment, s_m = _nearest(line, x, y, first, behind)
    return Along(s_m=s_m, d_m=math.sqrt(square), segment=segment)


def project_twin(
    line: RouteLine,
    x: float,
    y: float,
    first: int,
    behind: int,
    expected_m: float,
    heading: tuple[float, float] | None = None,
) -> Along:
    """Where the route runs beside itself: least distance plus half of the way from where the unit should be.

    `heading` (e7 degrees east and north, as far as it has moved): a part that leads the other way counts as AGAINST_M farther,
    so that a unit which turns where the route turns goes on along it, and is not taken to drive back.
    """
    span = slice(first, behind)
    ux, uy = line.ux[span], line.uy[span]
    px = (x - line.x0[span]) * line.kx[span]
    py = (y - line.y0[span]) * line.ky[span]
    along = np.minimum(np.maximum((px * ux + py * uy) * line.inv_m2[span], 0.0), 1.0)
    qx = px - along * ux
    qy = py - along * uy
    away = np.sqrt(qx * qx + qy * qy)
    s = line.s0_m[span] + along * line.len_m[span]
    cost = away + 0.5 * np.abs(s - expected_m)
    if heading is not None:
        forth = heading[0] * line.kx[span] * ux + heading[1] * line.ky[span] * uy
        cost = np.where(forth < 0, cost + AGAINST_M, cost)
    best = int(cost.argmin())
    return Along(s_m=float(s[best]), d_m=float(away[best]), segment=first + best)


def project_all(line: RouteLine, x: float, y: float) -> Along:
    """The nearest place on the whole route, by the bounds of its chunks first."""
    segments = len(line.len_m)
    if segments <= 4 * CHUNK:
        return _corrected(line, x, y, project(line, x, y, 0, segments))
    k_lon, k_lat = scale(y)
    bounds = line.chunk_bounds
    dx = np.maximum(np.maximum(bounds[:, 0] - x, x - bounds[:, 2]), 0.0) * k_lon
    dy = np.maximum(np.maximum(bounds[:, 1] - y, y - bounds[:, 3]), 0.0) * k_lat
    least = dx * dx + dy * dy
    nearest = int(least.argmin())
    best = _chunk(line, x, y, nearest)
    # the scale of latitude changes by under 1 % within 50 km, of longitude by under 2 %: 10 % is room enough
    for chunk in np.flatnonzero(least * 0.81 <= best[0]).tolist():
        if chunk != nearest:
            best = min(best, _chunk(line, x, y, chunk))
    square, segment, s_m = best
    return _corrected(line, x, y, Along(s_m=s_m, d_m=math.sqrt(square), segment=segment))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Whole:
    """`project_all` of many places, as arrays; not yet corrected for what is far away."""

    s_m: FloatArray
    d_m: FloatArray
    segment: IntArray

    def at(self, line: RouteLine, number: int, x: float, y: float) -> Along:
        """What `project_all` says of this place."""
        along = Along(
            s_m=float(self.s_m[number]),
            d_m=float(self.d_m[number]),
            segment=int(self.segment[number]),
        )
        return _corrected(line, x, y, along)


def project_many(line: RouteLine, x: IntArray, y: IntArray) -> Whole:
    """`project_all` of many places at once, to the bit: for units that are long off their route."""
    bounds = line.chunk_bounds
    k_lon, k_lat = scales(y.astype(np.float64))
    dx = np.maximum(np.maximum(bounds[:, 0] - x[:, None], x[:, None] - bounds[:, 2]), 0.0)
    dy = np.maximum(np.maximum(bounds[:, 1] - y[:, None], y[:, None] - bounds[:, 3]), 0.0)
    least = (dx * k_lon[:, None]) ** 2 + (dy * k_lat[:, None]) ** 2
    rows = np.arange(len(x))
    nearest = least.argmin(axis=1)
    _, square, _ = _in_chunks(line, x, y, nearest)
    # a little more room than project_all takes: what is asked too much is farther away
    row, chunk = np.nonzero(least * 0.8 <= square[:, None])
    missing = np.setdiff1d(rows, row)
    row, chunk = np.concatenate([row, missing]), np.concatenate([chunk, nearest[missing]])
    order = np.lexsort((chunk, row))
    row, chunk = row[order], chunk[order]
    s_m, square, segment = _in_chunks(line, x[row], y[row], chunk)
    begins = np.searchsorted(row, rows)
    best = np.minimum.reduceat(square, begins)
    first = np.flatnonzero(square == best[row])
    first = first[np.searchsorted(row[first], rows)]
    return Whole(s_m=s_m[first], d_m=np.sqrt(square[first]), segment=segment[first])


def _in_chunks(
    line: RouteLine, x: IntArray, y: IntArray, chunk: IntArray
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Of each place the nearest segment in one chunk: place, squared distance, segment."""
    last = len(line.len_m) - 1
    at = np.minimum(
        chunk[:, None] * CHUNK + np.arange(CHUNK), last
    )  # the last segment again: no nearer
    ux, uy = line.ux[at], line.uy[at]
    px = (x[:, None] - line.x0[at]) * line.kx[at]
    py = (y[:, None] - line.y0[at]) * line.ky[at]
    along = np.minimum(np.maximum((px * ux + py * uy) * line.inv_m2[at], 0.0), 1.0)
    qx = px - along * ux
    qy = py - along * uy
    square = qx * qx + qy * qy
    best = square.argmin(axis=1)
    rows = np.arange(len(x))
    segment = at[rows, best]
    s_m = line.s0_m[segment] + along[rows, best] * line.len_m[segment]
    return s_m, square[rows, best], segment


def place_at(line: RouteLine, s_m: float) -> tuple[float, float]:
    """The place at this distance from the begin, e7 degrees."""
    segment, _ = segments_between(line, s_m, s_m)
    share = min(max((s_m - float(line.s0_m[segment])) / float(line.len_m[segment]), 0.0), 1.0)
    x0, y0 = line.points[segment].tolist()
    x1, y1 = line.points[segment + 1].tolist()
    return x0 + share * (x1 - x0), y0 + share * (y1 - y0)


def points_between(line: RouteLine, from_m: float, to_m: float) -> IntArray:
    """The corners of the route strictly between two places along it, in the order of travel."""
    least, most = min(from_m, to_m), max(from_m, to_m)
    begins = np.append(line.s0_m, line.total_m)
    first = int(begins.searchsorted(least, "right"))
    behind = int(begins.searchsorted(most, "left"))
    between = line.points[first:behind]
    return between if from_m <= to_m else between[::-1]


def _chunk(line: RouteLine, x: float, y: float, chunk: int) -> tuple[float, int, float]:
    first = chunk * CHUNK
    return _nearest(line, x, y, first, min(first + CHUNK, len(line.len_m)))


def _nearest(
    line: RouteLine, x: float, y: float, first: int, behind: int
) -> tuple[float, int, float]:
    """Squared distance, segment and place of the nearest of some segments."""
    span = slice(first, behind)
    ux, uy = line.ux[span], line.uy[span]
    px = (x - line.x0[span]) * line.kx[span]
    py = (y - line.y0[span]) * line.ky[span]
    along = np.minimum(np.maximum((px * ux + py * uy) * line.inv_m2[span], 0.0), 1.0)
    qx = px - along * ux
    qy = py - along * uy
    square = qx * qx + qy * qy
    best = int(square.argmin())
    segment = first + best
    s_m = line.s0_m[segment] + along[best] * line.len_m[segment]
    return float(square[best]), segment, float(s_m)


def _corrected(line: RouteLine, x: float, y: float, along: Along) -> Along:
    """Far away a segment's own scale is off by a percent: measure again at the latitude between."""
    if along.d_m < 1_000:
        return along
    at_x, at_y = place_at(line, along.s_m)
    return Along(s_m=along.s_m, d_m=distance_m(x, y, at_x, at_y), segment=along.segment)


def _chunk_bounds(x0: FloatArray, y0: FloatArray, x1: FloatArray, y1: FloatArray) -> FloatArray:
    begins = np.arange(0, len(x0), CHUNK)
    return np.stack(
        [
            np.minimum.reduceat(np.minimum(x0, x1), begins),
            np.minimum.reduceat(np.minimum(y0, y1), begins),
            np.maximum.reduceat(np.maximum(x0, x1), begins),
            np.maximum.reduceat(np.maximum(y0, y1), begins),
        ],
        axis=1,
    )


def _twins(points: IntArray, s0_m: FloatArray, len_m: FloatArray, near_m: float) -> BoolArray:
    """Segments that have another part of the route near by, over 500 m away along it."""
    twin = np.zeros(len(len_m), np.bool_)
    lines = shapely.linestrings(np.stack([points[:-1], points[1:]], axis=1).astype(np.float64))
    least_k = float(scales(np.abs(points[:, 1]).astype(np.float64))[0].min())
    reach = near_m / max(least_k, 1e-6)  # e7 degrees of longitude: the wider way, so none is missed
    low, left, high, right = (shapely.bounds(lines)[:, column] for column in (1, 0, 3, 2))
    boxes = shapely.box(left - reach, low - reach, right + reach, high + reach)
    i, j = shapely.STRtree(lines).query(boxes)
    later = s0_m[j] - (s0_m[i] + len_m[i]) > TWIN_GAP_M
    i, j = i[later], j[later]
    for begin in range(0, len(i), 200_000):  # by pieces: a dense route has millions of pairs
        a, b = i[begin : begin + 200_000], j[begin : begin + 200_000]
        near = _segments_m(points, a, b) <= near_m
        twin[a[near]] = True
        twin[b[near]] = True
    return twin


def _segments_m(points: IntArray, i: IntArray, j: IntArray) -> FloatArray:
    """Metres between pairs of segments that lie near by."""
    k_lon, k_lat = scales((points[i, 1] + points[j, 1]) / 2)
    frame = np.stack([k_lon, k_lat], axis=1)[:, None, :]
    origin = points[i][:, None, :]
    of_i = (np.stack([points[i], points[i + 1]], axis=1) - origin) * frame
    of_j = (np.stack([points[j], points[j + 1]], axis=1) - origin) * frame
    away: FloatArray = shapely.distance(shapely.linestrings(of_i), shapely.linestrings(of_j))
    return away
