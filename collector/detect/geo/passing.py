"""What a way does to a zone: when it is inside, how deep, how far away (DETECTION sections 4 and 7.1).

Law: ends are decided in integers; between two crossings GEOS says on which side the middle lies. The zone is closed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely

from collector.detect.geo import BoolArray, FloatArray, IntArray, Zone
from collector.detect.geo.index import ZoneIndex, box_around, meets
from collector.detect.geo.measure import (
    HALF_TURN_E7,
    distance_m,
    scale,
    to_edges_m,
)

REACH_M = 400.0  # no threshold asks whether an edge is farther away than this
SAME = 1e-9  # two crossings nearer than this share of the segment are one: an edge's end is the next one's begin
FEW_EDGES = 512  # up to so many all are asked at once; else those of the cells around
SAMPLES = 17  # places on a chord at which its depth is taken first
HALVINGS = 7  # and how often the steps between them are halved where it may be deeper
DEPTH_M = 1.0  # nearer nobody asks
TURN = 2 * HALF_TURN_E7

Point = tuple[int, int]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """From a fix to the next: straight, or along the corners of a route. x, y in e7 degrees."""

    points: tuple[Point, ...]
    shares: tuple[float, ...]  # of the length at each point: 0 .. 1
    length_m: float

    def at(self, share: float) -> tuple[float, float]:
        """The place at this share of the length."""
        for index in range(1, len(self.points)):
            if share <= self.shares[index] or index == len(self.points) - 1:
                span = self.shares[index] - self.shares[index - 1]
                part = (share - self.shares[index - 1]) / span if span > 0 else 0.0
                (x1, y1), (x2, y2) = self.points[index - 1], self.points[index]
                return x1 + part * (x2 - x1), y1 + part * (y2 - y1)
        return self.points[0]


def straight(a: Point, b: Point) -> Way:
    """The chord of two fixes; over 180 degrees it goes the short way, with longitudes beyond 180."""
    (ax, ay), (bx, by) = a, b
    if bx - ax > HALF_TURN_E7:
        bx -= TURN
    elif ax - bx > HALF_TURN_E7:
        bx += TURN
    return Way(points=((ax, ay), (bx, by)), shares=(0.0, 1.0), length_m=distance_m(ax, ay, bx, by))


def by_corners(points: Sequence[Point]) -> Way:
    """The way over these points, which do not cross 180 degrees."""
    sums = [0.0]
    for (ax, ay), (bx, by) in pairwise(points):
        sums.append(sums[-1] + distance_m(ax, ay, bx, by))
    total = sums[-1]
    shares = tuple(length / total if total > 0 else 0.0 for length in sums)
    return Way(points=tuple(points), shares=(*shares[:-1], 1.0), length_m=total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """The edges of one zone that each step of a way meets; steps over 180 degrees are two."""

    edges: dict[int, list[tuple[int, int, int, int]]]


def zones_met(index: ZoneIndex, way: Way) -> dict[int, Met]:
    """The zones whose boundary the way meets, with the edges that it meets."""
    met: dict[int, Met] = {}
    for step, (a, b) in enumerate(_steps(way)):
        near = _edges_of_box(index, a, b)
        if len(near) == 0:
            continue
        for at in near[_boxes_meet(index, near, a, b)].tolist():
            x1, y1, x2, y2 = index.edges[at].tolist()
            if _meet(a, b, (x1, y1), (x2, y2)):
                zone = met.setdefault(int(index.zone_of[at]), Met(edges={}))
                zone.edges.setdefault(step, []).append((x1, y1, x2, y2))
    return met


def spans_inside(zone: Zone, way: Way, met: Met) -> list[Span]:
    """The closed spans of the way, as shares of its length, that lie in the zone; a touch is a span of no length."""
    spans: list[Span] = []
    number = 0
    for step, ((ax, ay), (bx, by)) in enumerate(pairwise(way.points)):
        begin, end = way.shares[step], way.shares[step + 1]
        for shift in _shifts(ax, bx):
            a, b = (ax + shift, ay), (bx + shift, by)
            for least, most in _segment_spans(zone, a, b, met.edges.get(number, [])):
                spans.append((begin + least * (end - begin), begin + most * (end - begin)))
            number += 1
    return _merged(spans)


def holds(zone: Zone, x: int, y: int) -> bool:
    """Whether the zone holds a place; its boundary is part of it."""
    least_x, least_y, most_x, most_y = zone.bounds
    if not (least_x <= x <= most_x and least_y <= y <= most_y):
        return False
    return bool(shapely.intersects_xy(zone.shape, x, y))


def edge_m(index: ZoneIndex, number: int, x: float, y: float, reach_m: float = REACH_M) -> float:
    """Metres to the zone's boundary; inf if it is farther than `reach_m`."""
    zone = index.zones[number]
    if len(zone.edges) <= FEW_EDGES:
        away = to_edges_m(x, y, zone.edges)
        return away if away <= reach_m else math.inf
    near = index.edges_near(*box_around(round(x), round(y), reach_m))
    away = to_edges_m(x, y, index.edges[near[index.zone_of[near] == number]])
    return away if away <= reach_m else math.inf


def depth_m(index: ZoneIndex, number: int, way: Way, span: Span) -> float:
    """The greatest distance to the boundary on this span, up to REACH_M; a metre less at most where that is worth a search.

    Between two places it cannot grow by more than the way between them: where that could still be more than the best so far, the
    middle is asked as well. Sixteen even steps alone were up to a tenth of the span short.
    """
    least, most = span
    shares = [least + (most - least) * sample / (SAMPLES - 1) for sample in range(SAMPLES)]
    depths = [_depth_at(index, number, way, share) for share in shares]
    for _ in range(HALVINGS):
        enough = max(depths) + DEPTH_M
        if enough > REACH_M:
            break
        finer_shares, finer_depths = shares[:1], depths[:1]
        for (low, shallow), (high, deep) in pairwise(zip(shares, depths, strict=True)):
            if (shallow + deep + (high - low) * way.length_m) / 2 > enough:
                middle = (low + high) / 2
                finer_shares.append(middle)
                finer_depths.append(_depth_at(index, number, way, middle))
            finer_shares.append(high)
            finer_depths.append(deep)
        if len(finer_shares) == len(shares):
            break
        shares, depths = finer_shares, finer_depths
    return max(depths)


def _depth_at(index: ZoneIndex, number: int, way: Way, share: float) -> float:
    x, y = way.at(share)
    return min(edge_m(index, number, _turned(x), y), REACH_M)


def detour_m(zone: Zone, a: Point, b: Point) -> float:
    """The shortest way from A over the zone to B, in metres; straight if that meets it."""
    (ax, ay), (bx, by) = straight(a, b).points
    k_lon, k_lat = scale((ay + by) / 2)
    edges = zone.edges
    if meets(ax, ay, bx, by, edges).any() or holds(zone, ax, ay):
        return distance_m(ax, ay, bx, by)
    scaling = np.array([k_lon, k_lat])
    c = (edges[:, :2] - np.array([ax, ay])) * scaling
    d = (edges[:, 2:] - np.array([ax, ay])) * scaling
    to_b = np.array([bx - ax, by - ay]) * scaling
    return float(_least_sum(c, d, to_b).min())


def _least_sum(c: FloatArray, d: FloatArray, to_b: FloatArray) -> FloatArray:
    """Least |PA| + |PB| over P on each edge C-D, A in the origin: convex along an edge, so thirds are cut off."""
    low, high = np.zeros(len(c)), np.ones(len(c))
    for _ in range(40):  # (2/3)^40 of an edge: under a millimetre on 5 km
        left, right = low + (high - low) / 3, high - (high - low) / 3
        better = _sum_at(c, d, to_b, left) <= _sum_at(c, d, to_b, right)
        high = np.where(better, right, high)
        low = np.where(better, low, left)
    return _sum_at(c, d, to_b, (low + high) / 2)


def _sum_at(c: FloatArray, d: FloatArray, to_b: FloatArray, share: FloatArray) -> FloatArray:
    p = c + share[:, None] * (d - c)
    total: FloatArray = np.hypot(p[:, 0], p[:, 1]) + np.hypot(p[:, 0] - to_b[0], p[:, 1] - to_b[1])
    return total


def _segment_spans(
    zone: Zone, a: Point, b: Point, edges: Sequence[tuple[int, int, int, int]]
) -> list[Span]:
    (ax, ay), (bx, by) = a, b
    cuts, on_line = _cuts(a, b, edges)
    stops = [0.0, *_apart(cuts), 1.0]
    middles = [(least + most) / 2 for least, most in pairwise(stops)]
    inside = shapely.intersects_xy(
        zone.shape,
        [ax, bx, *(ax + share * (bx - ax) for share in middles)],
        [ay, by, *(ay + share * (by - ay) for share in middles)],
    ).tolist()
    spans = [
        (least, most)
        for (least, most), middle, held in zip(pairwise(stops), middles, inside[2:], strict=True)
        if held or any(low <= middle <= high for low, high in on_line)
    ]
    spans += [
        (share, share) for share in stops[1:-1]
    ]  # where it only touches: the boundary is the zone's
    spans += [(end, end) for end, held in zip((0.0, 1.0), inside[:2], strict=True) if held]
    return _merged(spans)


def _cuts(
    a: Point, b: Point, edges: Sequence[tuple[int, int, int, int]]
) -> tuple[list[float], list[Span]]:
    """Shares of A-B at which it meets these edges, and the spans that lie on one."""
    (ax, ay), (bx, by) = a, b
    if a == b:
        return [], []
    cuts: list[float] = []
    on_line: list[Span] = []
    square = (bx - ax) ** 2 + (by - ay) ** 2
    for x1, y1, x2, y2 in edges:
        a_side = (x2 - x1) * (ay - y1) - (y2 - y1) * (ax - x1)
        b_side = (x2 - x1) * (by - y1) - (y2 - y1) * (bx - x1)
        if a_side != b_side:
            cuts.append(a_side / (a_side - b_side))
            continue
        one = ((x1 - ax) * (bx - ax) + (y1 - ay) * (by - ay)) / square
        two = ((x2 - ax) * (bx - ax) + (y2 - ay) * (by - ay)) / square
        least, most = max(0.0, min(one, two)), min(1.0, max(one, two))
        on_line.append((least, most))
        cuts += [least, most]
    return cuts, on_line


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether closed segments A-B and C-D meet, by the signs of four cross products; `index.meets` for one."""
    c_side, d_side = _side(a, b, c), _side(a, b, d)
    a_side, b_side = _side(c, d, a), _side(c, d, b)
    if c_side == d_side == a_side == b_side == 0:
        return all(
            max(a[axis], b[axis]) >= min(c[axis], d[axis])
            and min(a[axis], b[axis]) <= max(c[axis], d[axis])
            for axis in (0, 1)
        )
    return c_side * d_side <= 0 and a_side * b_side <= 0


def _side(a: Point, b: Point, p: Point) -> int:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def _boxes_meet(index: ZoneIndex, near: IntArray, a: Point, b: Point) -> BoolArray:
    """Which edges' boxes meet the box of A-B: few of the thirty in a cell."""
    left, right = min(a[0], b[0]), max(a[0], b[0])
    low, high = min(a[1], b[1]), max(a[1], b[1])
    boxes = index.boxes[near]
    met: BoolArray = (
        (boxes[:, 0] <= right)
        & (boxes[:, 2] >= left)
        & (boxes[:, 1] <= high)
        & (boxes[:, 3] >= low)
    )
    return met


def _apart(cuts: list[float]) -> list[float]:
    """Sorted, what is the same said once, ends of the segment left out."""
    kept: list[float] = []
    for share in sorted(cuts):
        if share > SAME and share < 1 - SAME and (not kept or share - kept[-1] > SAME):
            kept.append(share)
    return kept


def _merged(spans: list[Span]) -> list[Span]:
    """Spans that meet become one."""
    merged: list[Span] = []
    for least, most in sorted(spans):
        if merged and least <= merged[-1][1] + SAME:
            merged[-1] = (merged[-1][0], max(most, merged[-1][1]))
        else:
            merged.append((least, most))
    return merged


def _steps(way: Way) -> list[tuple[Point, Point]]:
    steps: list[tuple[Point, Point]] = []
    for (ax, ay), (bx, by) in pairwise(way.points):
        steps += [((ax + shift, ay), (bx + shift, by)) for shift in _shifts(ax, bx)]
    return steps


def _shifts(ax: int, bx: int) -> tuple[int, ...]:
    """A way over 180 degrees is tested twice, once on each side of the map."""
    if max(ax, bx) > HALF_TURN_E7:
        return (0, -TURN)
    if min(ax, bx) < -HALF_TURN_E7:
        return (0, TURN)
    return (0,)


def _turned(x: float) -> float:
    return x - TURN if x > HALF_TURN_E7 else x + TURN if x < -HALF_TURN_E7 else x


def _edges_of_box(index: ZoneIndex, a: Point, b: Point) -> IntArray:
    return index.edges_near(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
