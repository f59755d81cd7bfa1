"""A trip from the receiver's pty to the centre's store, over real processes: every position as it was said, every alert once.

The trip is played five times as fast as it was driven. Its times are moved to begin when its zone and its road have been drawn, for
rules hold from then on; so at its end the receiver is less than two minutes ahead of the centre, as much as is believed. A unit
takes two fixes a second from a receiver and a hundred at once, so these 140 are all taken.
"""

import csv
import gzip
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from devices import Fix
from devices.nmea import NmeaReader
from firmware_sim.scenario import Scenario, read_scenario
from firmware_sim.stage import Bytes, Stage
from tests.live.site_world import SEAL_ID, World, world
from tests.shared_data import shared
from wire.columns import Body
from wire.records import EventKind, FixFlag

pytestmark = pytest.mark.live

UNIT = "truck-1"
RATE = 5
FIXES = 140
TURN = 70  # here the prescribed road goes another way
ZONE = 35  # round this fix lies the forbidden zone
HALF_WIDTH_M, ALERT_M = 50, 150
RULES = "deviation_s = 30\n"  # a trip of 140 s cannot wait for 120; all else is as built in
CORNERS = 24
STEP_E7 = 5  # half a step of grain 1 (WIRE section 5)
TRIPS = ("winding_road", "car")
VECTORS = Path(__file__).parents[1] / "vectors" / "tracks"

Row = tuple[datetime, str, str]
Place = tuple[float, float]  # east and north in metres


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A trip that was played to its end, and what the centre made of it."""

    world: World
    rows: list[Row]
    said: list[Fix]  # as our reader understands the bytes that the receiver said
    chain: Body
    zone: list[Place]
    road: list[Place]

    def place(self, number: int) -> Place:
        return plane(self.rows[0], self.rows[number])

    def ms(self, number: int) -> int:
        return round(self.rows[number][0].timestamp() * 1000)


@pytest.fixture(scope="module", params=TRIPS)
def trip(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trip]:
    driven = ROWS[request.param]()
    places = [plane(driven[0], row) for row in driven]
    zone, road = zone_round(places), road_that_turns(places)
    folder = tmp_path_factory.mktemp("trip")
    with world(folder) as site:
        site.start_collector(RULES)
        site.draw(shapes_of(driven[0], zone, road))
        rows = moved_to_now(driven)
        write_trip(folder / "trip.csv", rows)
        unit = site.start_unit(UNIT, SCENARIO, rate=RATE)
        assert site.hardware is not None
        site.hardware.go()
        site.until(
            lambda: fixes_heard(site.status(unit)) == FIXES,
            what="the whole trip is heard",
            seconds=FIXES / RATE + 20,
        )
        site.settle(unit)
        site.close_units()
        yield Trip(
            world=site,
            rows=rows,
            said=what_was_said(folder),
            chain=site.chain(),
            zone=zone,
            road=road,
        )


def test_every_position_arrives_as_the_receiver_said_it(trip: Trip) -> None:
    """From the first report of the locked seal on, a fix of each second is kept: time to the millisecond, place to half a step."""
    fixes = trip.chain.fixes
    assert [fix.time_ms for fix in trip.said] == [trip.ms(number) for number in range(FIXES)]
    sealed_from = next(one.seq for one in trip.chain.events if one.kind == EventKind.SEAL)
    first_ms = next(
        t_ms for seq, t_ms in zip(fixes.seq, fixes.t_ms, strict=True) if seq > sealed_from
    )
    by_time = {fix.time_ms: fix for fix in trip.said}
    assert [t_ms for t_ms in fixes.t_ms if t_ms >= first_ms] == [
        fix.time_ms for fix in trip.said if fix.time_ms is not None and fix.time_ms >= first_ms
    ]
    assert FIXES - sum(t_ms >= first_ms for t_ms in fixes.t_ms) <= 4  # before the seal has spoken
    for number, t_ms in enumerate(fixes.t_ms):
        fix = by_time[t_ms]
        assert abs(fixes.lat_e7[number] - fix.lat_e7) <= STEP_E7
        assert abs(fixes.lon_e7[number] - fix.lon_e7) <= STEP_E7
        assert fixes.sats[number] == fix.sats
        assert not fixes.flags[number] & FixFlag.UNIT_CLOCK


def test_what_the_receiver_said_is_the_trip_itself(trip: Trip) -> None:
    """Our reader and the witness agree with the file, so that the test above compares with the road and not with itself."""
    for fix, (_, lat, lon) in zip(trip.said, trip.rows, strict=True):
        assert abs(fix.lat_e7 - float(lat) * 1e7) <= 1
        assert abs(fix.lon_e7 - float(lon) * 1e7) <= 1


def test_nothing_is_lost_and_nothing_is_there_twice(trip: Trip) -> None:
    accounts = trip.world.accounts()
    assert (accounts.lost, accounts.twice, accounts.differing, accounts.holes) == (0, 0, 0, 0)
    assert accounts.stored > 1


def test_a_forbidden_zone_on_the_trip_is_raised_once_when_it_was_entered(trip: Trip) -> None:
    found = [one for one in trip.world.findings() if one.code == "FORBIDDEN_ZONE"]
    assert [one.phase for one in found] == ["begin", "end"]
    inside = [is_inside(trip.place(number), trip.zone) for number in range(FIXES)]
    first, last = inside.index(True), FIXES - 1 - inside[::-1].index(True)
    assert trip.ms(first - 1) <= found[0].at_ms <= trip.ms(first)
    assert trip.ms(last) <= found[1].at_ms <= trip.ms(last + 1)


def test_a_road_that_was_left_is_a_record_and_then_one_alert(trip: Trip) -> None:
    left = [one for one in trip.world.findings("record") if one.code == "ROUTE_LEFT"]
    away_m = [to_road_m(trip.place(number), trip.road) for number in range(FIXES)]
    first = next(number for number in range(TURN, FIXES) if away_m[number] > HALF_WIDTH_M)
    assert len(left) == 1
    assert trip.ms(first - 1) <= left[0].at_ms <= trip.ms(first)
    deviation = [one for one in trip.world.findings() if one.code == "ROUTE_DEVIATION"]
    begun = [one for one in deviation if one.phase == "begin"]
    assert len(begun) == 1
    assert {one.phase for one in deviation} <= {"begin", "change"}
    assert left[0].at_ms <= begun[0].at_ms <= trip.ms(FIXES - 1)


def test_nothing_else_is_raised(trip: Trip) -> None:
    codes = {one.code for one in trip.world.findings()}
    assert codes == {"FORBIDDEN_ZONE", "ROUTE_DEVIATION"}


# The trip


SCENARIO = f"""
scenario = {{ name = "trip", seed = 5, end_s = {FIXES + 600} }}
track = {{ file = "trip.csv" }}
receiver = {{ exact = true, noise_m = 0 }}
seal = {{ id = "{SEAL_ID}", armed = true, dynamic = false }}
"""


def winding_road() -> list[Row]:
    with (VECTORS / "winding_road.csv").open() as file:
        return rows_of(file, None)


def car() -> list[Row]:
    """A real car in a town, 1 Hz, that does not stand for these seconds."""
    with gzip.open(shared("traces", "kubicka", "tracks.csv.gz"), "rt") as file:
        return rows_of(file, "00000029", skip=9)


ROWS = {"winding_road": winding_road, "car": car}


def rows_of(file: Iterator[str], unit: str | None, skip: int = 0) -> list[Row]:
    rows = [row for row in csv.DictReader(file) if unit is None or row["unit"] == unit]
    return [
        (datetime.fromisoformat(row["time"]), row["lat"], row["lon"])
        for row in rows[skip : skip + FIXES]
    ]


def moved_to_now(rows: list[Row]) -> list[Row]:
    """The same steps of time, from the next second on."""
    assert len(rows) == FIXES
    begins = datetime.fromtimestamp(int(time.time()) + 1, UTC)
    return [(when + (begins - rows[0][0]), lat, lon) for when, lat, lon in rows]


def write_trip(file: Path, rows: list[Row]) -> None:
    lines = [f"{when.isoformat(timespec='milliseconds')},{lat},{lon}" for when, lat, lon in rows]
    file.write_text("\n".join(["time,lat,lon", *lines]) + "\n")


def fixes_heard(status: dict[str, object]) -> int:
    """The receiver's fixes, as the agent's port counts them."""
    links = status["links"]
    assert isinstance(links, list)
    counters = next(link["counters"] for link in links if link["name"] == "gps")
    return int(counters.get("fixes", 0))


def what_was_said(folder: Path) -> list[Fix]:
    """The witness once more, without ptys: its bytes depend on scenario and seed alone."""
    scenario = read_scenario((folder / "scenario.toml").read_text(), folder)
    assert isinstance(scenario, Scenario)
    stage = Stage(scenario, start_ms=scenario.starts_ms(0))
    reader = NmeaReader(date(2026, 1, 1))
    facts = [
        fact
        for out in stage.advance((FIXES + 5) * 1000)
        if isinstance(out, Bytes) and out.device == "gps"
        for fact in reader.feed(out.data, out.at_ms)
    ]
    return [fact for fact in [*facts, *reader.close((FIXES + 5) * 1000)] if isinstance(fact, Fix)]


# A zone and a road drawn on it. A flat earth is enough for some kilometres


def plane(origin: Row, row: Row) -> Place:
    scale = math.cos(math.radians(float(origin[1])))
    return (
        (float(row[2]) - float(origin[2])) * 111_195 * scale,
        (float(row[1]) - float(origin[1])) * 111_195,
    )


def zone_round(places: Sequence[Place]) -> list[Place]:
    """A circle round the middle of the first half; the trip comes in once and goes out once."""
    east, north = places[ZONE]
    radius = math.dist(places[ZONE - 10], places[ZONE])
    corners = [
        (
            east + radius * math.cos(2 * math.pi * number / CORNERS),
            north + radius * math.sin(2 * math.pi * number / CORNERS),
        )
        for number in range(CORNERS)
    ]
    inside = [is_inside(place, corners) for place in places]
    assert sum(a != b for a, b in pairwise(inside)) == 2
    return corners


def road_that_turns(places: Sequence[Place]) -> list[Place]:
    """The trip's first half, then straight on to the side that it did not take."""
    here, before, after = places[TURN], places[TURN - 5], places[TURN + 25]
    ahead = (here[0] - before[0], here[1] - before[1])
    took_left = ahead[0] * (after[1] - here[1]) - ahead[1] * (after[0] - here[0]) > 0
    side = (ahead[1], -ahead[0]) if took_left else (-ahead[1], ahead[0])
    scale = 5_000 / math.hypot(*side)
    far = (here[0] + side[0] * scale, here[1] + side[1] * scale)
    return [*places[: TURN + 1 : 4], far]


def shapes_of(origin: Row, zone: Sequence[Place], road: Sequence[Place]) -> dict[str, object]:
    scale = math.cos(math.radians(float(origin[1])))

    def degrees(place: Place) -> list[float]:
        return [
            round(float(origin[2]) + place[0] / (111_195 * scale), 7),
            round(float(origin[1]) + place[1] / 111_195, 7),
        ]

    ring = [degrees(place) for place in [*zone, zone[0]]]
    line = [degrees(place) for place in road]
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"id": "F1", "kind": "forbidden"},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            },
            {
                "type": "Feature",
                "properties": {
                    "id": "R1",
                    "kind": "route",
                    "unit": UNIT,
                    "half_width_m": HALF_WIDTH_M,
                    "alert_m": ALERT_M,
                },
                "geometry": {"type": "LineString", "coordinates": line},
            },
        ],
    }


def is_inside(place: Place, corners: Sequence[Place]) -> bool:
    """For a convex ring that runs anticlockwise."""
    east, north = place
    return all(
        (b[0] - a[0]) * (north - a[1]) - (b[1] - a[1]) * (east - a[0]) >= 0
        for a, b in pairwise([*corners, corners[0]])
    )


def to_road_m(place: Place, road: Sequence[Place]) -> float:
    return min(to_segment_m(place, a, b) for a, b in pairwise(road))


def to_segment_m(place: Place, a: Place, b: Place) -> float:
    ab = (b[0] - a[0], b[1] - a[1])
    ap = (place[0] - a[0], place[1] - a[1])
    length = ab[0] ** 2 + ab[1] ** 2
    share = 0.0 if length == 0 else max(0.0, min(1.0, (ap[0] * ab[0] + ap[1] * ab[1]) / length))
    return math.dist(place, (a[0] + share * ab[0], a[1] + share * ab[1]))
