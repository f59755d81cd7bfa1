"""The sample scenarios drive where their comments say, on the map that lies beside them."""

import json
from itertools import pairwise
from math import cos, hypot, radians
from pathlib import Path

from firmware_sim.scenario import Scenario, read_scenario
from firmware_sim.world import World
from tests.firmware_sim.acting import SAMPLES

MAP = Path(__file__).resolve().parents[2] / "configs" / "zones" / "uz_demo.geojson"
DEGREE_M = 111_195

Line = list[list[float]]


def shape(name: str) -> Line:
    features = json.loads(MAP.read_text(encoding="utf-8"))["features"]
    [geometry] = [each["geometry"] for each in features if each["properties"]["id"] == name]
    line: Line = geometry["coordinates"]
    return line if geometry["type"] == "LineString" else geometry["coordinates"][0]


def places(name: str) -> list[tuple[float, float]]:
    """Longitude and latitude, each second of the play."""
    path = SAMPLES / f"{name}.toml"
    play = read_scenario(path.read_text(encoding="utf-8"), path.parent)
    assert isinstance(play, Scenario)
    moments = map(World(play.track).at, range(0, play.end_ms, 1000))
    return [(moment.lon, moment.lat) for moment in moments]


def off_m(place: tuple[float, float], line: Line) -> float:
    scale = cos(radians(place[1])) * DEGREE_M
    flat = [((x - place[0]) * scale, (y - place[1]) * DEGREE_M) for x, y in line]
    return min(to_segment_m(*ends) for ends in pairwise(flat))


def to_segment_m(begin: tuple[float, float], end: tuple[float, float]) -> float:
    x, y = end[0] - begin[0], end[1] - begin[1]
    share = -(begin[0] * x + begin[1] * y) / (x * x + y * y)
    share = min(max(share, 0.0), 1.0)
    return hypot(begin[0] + share * x, begin[1] + share * y)


def inside(place: tuple[float, float], ring: Line) -> bool:
    within = False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > place[1]) != (y2 > place[1]):
            within ^= place[0] < x1 + (x2 - x1) * (place[1] - y1) / (y2 - y1)
    return within


def test_the_cut_truck_keeps_its_route() -> None:
    route = shape("R1-YALLAMA-TASHKENT")
    assert max(off_m(place, route) for place in places("cut")) < 20


def test_the_detour_is_far_and_long_enough_for_the_default_rules() -> None:
    route = shape("R1-YALLAMA-TASHKENT")
    off = [off_m(place, route) for place in places("leaves-route")]
    far = [second for second, metres in enumerate(off) if metres > 550]
    assert far == list(range(far[0], far[-1] + 1))
    assert far[-1] - far[0] > 180
    assert max(off[:140]) < 20
    assert max(off[430:]) < 20


def test_the_depot_is_entered_once_and_left() -> None:
    depot, route = shape("F-GULISTON-DEPOT"), shape("R3-ALAT-BUKHARA-TASHKENT")
    drive = places("forbidden-zone")
    within = [second for second, place in enumerate(drive) if inside(place, depot)]
    assert within == list(range(within[0], within[-1] + 1))
    assert within[-1] - within[0] > 100
    assert max(off_m(place, route) for place in drive) < 250
    assert len(drive) - within[-1] > 60


def test_the_border_run_rests_in_the_lorry_park() -> None:
    park, drive = shape("S-CHINOZ"), places("border-run")
    assert sum(inside(place, park) for place in drive) > 890
