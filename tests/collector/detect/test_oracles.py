"""Our geometry beside S2 and MEOS, who reckon otherwise: on the sphere, and along sequences of time (DETECTION section 13).

The oracles are the extra `oracles`; without them these tests are skipped.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from types import ModuleType

import numpy as np
import pytest
import shapely

from collector.detect.geo import IntArray, Zone
from collector.detect.geo.index import build_index
from collector.detect.geo.measure import to_edges_m
from collector.detect.geo.passing import Met, holds, spans_inside, straight, zones_met
from tests.collector.detect.worlds import (
    BEGIN_MS,
    At,
    Unit,
    Xy,
    book_of,
    place,
    play,
    polygon,
    shapes_of,
)

POINTS = 100_000  # a shape
NEAR = 0.4  # of them lie within some tens of metres of an edge
EDGE_M = 1.0
Moment = tuple[int, int, int]  # time, x, y


@pytest.fixture(scope="module")
def s2() -> ModuleType:
    module: ModuleType = pytest.importorskip("spherely", reason="the extra `oracles` is missing")
    return module


@pytest.fixture(scope="module")
def meos() -> Iterator[ModuleType]:
    module: ModuleType = pytest.importorskip("pymeos", reason="the extra `oracles` is missing")
    module.pymeos_initialize()
    yield module
    module.pymeos_finalize()


def star(random: Random, corners: int, reach_m: float) -> list[Xy]:
    turn = 2 * math.pi / corners
    reach = [reach_m * random.uniform(0.4, 1.0) for _ in range(corners)]
    return [(far * math.cos(turn * n), far * math.sin(turn * n)) for n, far in enumerate(reach)]


SHAPES: dict[str, list[list[Xy]]] = {
    "a yard": [star(Random(1), 9, 300)],
    "a town of 128 corners": [star(Random(2), 128, 15_000)],
    "a hole": [star(Random(3), 12, 4_000), [(500, 500), (500, -400), (-450, -500), (-500, 400)]],
    "edges of a hundred kilometres": [[(-60e3, -40e3), (60e3, -45e3), (55e3, 50e3), (-50e3, 42e3)]],
}


@pytest.mark.parametrize("name", SHAPES)
def test_inside_for_us_is_inside_for_s2_but_within_a_metre_of_an_edge(
    s2: ModuleType, name: str
) -> None:
    (zone,) = shapes_of(polygon("z", *SHAPES[name])).zones
    drawn = [
        [(lon / 1e7, lat / 1e7) for lat, lon in (place(*xy) for xy in ring)]
        for ring in SHAPES[name]
    ]
    theirs = s2.create_polygon(drawn[0], holes=drawn[1:] or None)
    s2.prepare(theirs)
    x, y = places_around(zone)
    ours = shapely.intersects_xy(zone.shape, x, y)
    said = s2.intersects(theirs, s2.points(x / 1e7, y / 1e7))
    assert 0.2 < ours.mean() < 0.8
    for at in np.flatnonzero(ours != said).tolist():
        assert to_edges_m(float(x[at]), float(y[at]), zone.edges) < EDGE_M
    few = range(0, POINTS, 997)
    assert [holds(zone, int(x[at]), int(y[at])) for at in few] == ours[few].tolist()


def test_a_long_edge_drawn_straight_is_where_s2_would_notice(s2: ModuleType) -> None:
    """The question above can be answered wrongly: the same corners, edges straight in degrees."""
    ring = SHAPES["edges of a hundred kilometres"][0]
    (zone,) = shapes_of(polygon("z", ring, edges="straight")).zones
    x, y = places_around(zone)
    theirs = s2.create_polygon([(lon / 1e7, lat / 1e7) for lat, lon in (place(*xy) for xy in ring)])
    differs = shapely.intersects_xy(zone.shape, x, y) != s2.intersects(
        theirs, s2.points(x / 1e7, y / 1e7)
    )
    worst = max(
        to_edges_m(float(x[at]), float(y[at]), zone.edges) for at in np.flatnonzero(differs)
    )
    assert worst > 10 * EDGE_M


def places_around(zone: Zone) -> tuple[IntArray, IntArray]:
    """In and around its box; of a part of them each lies some metres beside an edge."""
    chance = np.random.default_rng(7)
    left, low, right, high = zone.bounds
    x = chance.integers(left - (right - left) // 20, right + (right - left) // 20, POINTS)
    y = chance.integers(low - (high - low) // 20, high + (high - low) // 20, POINTS)
    near = int(POINTS * NEAR)
    edges = zone.edges[chance.integers(0, len(zone.edges), near)]
    share = chance.random(near)
    metres = chance.normal(0, 15, (2, near))  # some 90 e7 degrees each
    x[:near] = edges[:, 0] + share * (edges[:, 2] - edges[:, 0]) + metres[0] * 119
    y[:near] = edges[:, 1] + share * (edges[:, 3] - edges[:, 1]) + metres[1] * 90
    return x, y


@pytest.mark.parametrize("seed", range(12))
def test_crossings_for_us_are_crossings_for_meos_to_the_millisecond(
    meos: ModuleType, seed: int
) -> None:
    random = Random(seed)
    feature = polygon("z", star(random, random.randint(3, 12), 900))
    (zone,) = shapes_of(feature).zones
    rows = zigzag(random)
    fixes = [moment(row) for row in rows]
    theirs = times_of_meos(meos, zone, fixes)
    ours = times_of_ours(zone, fixes)
    assert len(ours) == len(theirs) > 0
    assert all(abs(one - other) <= 1 for one, other in zip(ours, theirs, strict=True))
    crossed = [one.at_ms for one in play(book_of(feature), [Unit().batch(*rows)]).findings if one.code == "ZONE_CROSSED"]  # fmt: skip
    assert crossed
    assert all(min(abs(at_ms - other) for other in theirs) <= 1 for at_ms in crossed)


def moment(row: At) -> Moment:
    lat, lon = place(row.x_m, row.y_m)
    return BEGIN_MS + round(1_000 * row.t_s), lon, lat


def zigzag(random: Random) -> list[At]:
    """To and fro over the middle, never standing."""
    t, x, y = 0.0, -1_500.0, random.uniform(-300, 300)
    rows: list[At] = []
    for _ in range(6):
        every, speed = random.choice((1, 5, 10)), random.uniform(6, 24)
        heading = math.atan2(-y, -x) + random.uniform(-0.4, 0.4)
        for _ in range(int(2_600 / speed / every)):
            t, x, y = (
                t + every,
                x + speed * every * math.cos(heading),
                y + speed * every * math.sin(heading),
            )
            rows.append(At(t_s=t, x_m=x + random.gauss(0, 2), y_m=y + random.gauss(0, 2)))
    return rows


def times_of_meos(meos: ModuleType, zone: Zone, fixes: list[Moment]) -> list[float]:
    """When the linear sequence enters and leaves the zone. MEOS gets our integers and keeps microseconds."""
    said = ", ".join(f"POINT({x} {y})@{np.datetime64(t_ms, 'ms')}+00" for t_ms, x, y in fixes)
    inside = meos.TGeomPointSeq(f"[{said}]").at(zone.shape)
    spans = (
        []
        if inside is None
        else [(one.start_timestamp(), one.end_timestamp()) for one in inside.sequences()]
    )
    return without_ends([1_000 * when.timestamp() for span in spans for when in span], fixes)


def times_of_ours(zone: Zone, fixes: list[Moment]) -> list[float]:
    index = build_index([zone])
    times: list[float] = []
    for (t0_ms, *a), (t1_ms, *b) in pairwise(fixes):
        way = straight((a[0], a[1]), (b[0], b[1]))
        for span in spans_inside(zone, way, zones_met(index, way).get(0, Met(edges={}))):
            times += [t0_ms + round(share * (t1_ms - t0_ms)) for share in span]
    times = without_ends(times, fixes)
    # a span that goes on behind a fix is one: its end and the next one's begin fall away together
    return [at for at in times if times.count(at) == 1]


def without_ends(times: list[float], fixes: list[Moment]) -> list[float]:
    return [at for at in times if abs(at - fixes[0][0]) > 0.5 and abs(at - fixes[-1][0]) > 0.5]
