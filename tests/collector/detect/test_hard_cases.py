"""The hard cases of DETECTION section 12 that belong to no single room, and that each of the forty has its test."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest

from bench.accuracy.truth import rows_of, shapes_of as shapes_in
from collector.detect.cross.known import NOTHING, changed, read
from collector.detect.engine import FRESH, ChainHole, EarlyCopy, Heard, Item, TimePassed, every_row
from collector.detect.engine.blob import pack, unpack
from collector.detect.geo import ImportFault, Shapes
from collector.detect.geo.geojson import read_zones
from collector.detect.geo.measure import distance_m
from collector.detect.motion import Mode as Motion
from collector.detect.rules import Journey, Rulebook, Thresholds, build
from plomba.replay import Plan, Replay, replay, rulebook
from tests.collector.detect.worlds import (
    BEGIN_MS,
    LAT_E7,
    LON_E7,
    At,
    Run,
    Unit,
    blobs,
    book_of,
    codes,
    event,
    line,
    play,
    polygon,
    seal,
    shapes_of,
    sky,
    square,
    together,
    told,
)
from tests.shared_data import shared
from wire.records import EventKind

TESTS = Path(__file__).resolve().parents[1]
CASES = 40
CASE = re.compile(r"^(?:async )?def test_case_(\d+)_", re.MULTILINE)
FORBIDDEN = square("z", 0, 0, 500, kind="forbidden")
ROLLOVER_S = 619_315_200


def test_each_of_the_forty_hard_cases_has_its_test() -> None:
    found = {
        int(number)
        for path in TESTS.rglob("test_*.py")
        for number in CASE.findall(path.read_text(encoding="utf-8"))
    }
    assert sorted(set(range(1, CASES + 1)) - found) == []
    assert max(found) == CASES


def over(
    x_m: float = -1_000, to_m: float = 1_500, *, t_s: float = 0, each_s: float = 10
) -> list[At]:
    """Eastward at 20 m/s, over the zone in the middle."""
    rows = int((to_m - x_m) / (20 * each_s)) + 1
    return [
        At(t_s=t_s + each_s * n, x_m=x_m + 20 * each_s * n, y_m=0, speed_m_s=20)
        for n in range(rows)
    ]


def of_zones(run_: Run) -> list[tuple[str, str | None, float]]:
    """Code, zone and second of what concerns zones."""
    return [
        (f.code, f.zone, round((f.at_ms - BEGIN_MS) / 1_000, 1))
        for f in run_.findings
        if "ZONE" in f.code and f.code != "ZONE_CROSSED"
    ]


# time


def test_case_7_a_visit_in_a_backlog_is_told_at_its_time_although_newer_fixes_came_early() -> None:
    unit = Unit()
    before, visit = unit.batch(*over(-1_000, -600), received_s=9_000), over(-600, 600, t_s=20)
    inside = unit.batch(*visit[:4], received_s=9_001)
    behind = unit.batch(*over(200, 1_500, t_s=60), received_s=9_002)
    panic = event(300, EventKind.PANIC, "button")
    newest = unit.batch(At(t_s=299, x_m=4_000, y_m=0), panic, received_s=9_003, early_s=310)
    early = EarlyCopy(batch=replace(newest, received_ms=newest.early_ms, early_ms=None))
    seen = play(book_of(FORBIDDEN), [early, before, inside, behind, newest], cut=1)
    assert of_zones(seen) == [
        ("ZONE_ENTERED", "z", 25.0),
        ("FORBIDDEN_ZONE", "z", 25.0),
        ("ZONE_EXITED", "z", 75.0),
        ("FORBIDDEN_ZONE", "z", 75.0),
    ]
    assert all(f.late for f in seen.findings if f.zone == "z")
    distress = [f for f in seen.findings if f.code == "DRIVER_DISTRESS"]
    assert len({f.id for f in distress}) == 1
    assert distress[0].late is False  # it travelled ahead
    straight = play(book_of(FORBIDDEN), [before, inside, behind, newest])
    assert of_zones(straight) == of_zones(seen)


def test_case_8_a_repeated_time_with_another_place_is_in_no_segment() -> None:
    rows = over()
    dirty: list[At] = []
    for row in rows:
        dirty += [row, replace(row, x_m=row.x_m + 700), row, replace(row, t_s=row.t_s - 1, y_m=900)]
    clean, dirt = (play(book_of(FORBIDDEN), [Unit().batch(*some)]) for some in (rows, dirty))
    assert of_zones(dirt) == of_zones(clean)
    assert [code for code in codes(dirt) if code not in codes(clean)] == []


def test_case_9_clocks_that_are_a_day_ahead_or_1024_weeks_behind() -> None:
    book = book_of(FORBIDDEN, thresholds=Thresholds(built_ms=BEGIN_MS - 86_400_000))
    ahead = [replace(row, t_s=row.t_s + 86_400) for row in over()]
    seen = play(book, [Unit().batch(*ahead, received_s=200)])
    assert codes(seen) == ["CLOCK_DRIFT.begin"]
    back = [replace(row, t_s=row.t_s - ROLLOVER_S) for row in over()]
    seen = play(book, [Unit().batch(*back, received_s=200)])
    assert of_zones(seen) == of_zones(play(book, [Unit().batch(*over(), received_s=200)]))
    assert {f.data.get("rollover") for f in seen.findings} == {1}
    assert "rollover" not in play(book, [Unit().batch(*over())]).findings[0].data


def test_case_9_a_leap_second_and_seconds_read_as_milliseconds() -> None:
    book = book_of(FORBIDDEN, thresholds=Thresholds(built_ms=BEGIN_MS - 86_400_000))
    rows = over(each_s=1)
    leap = [row if row.t_s <= 20 else replace(row, t_s=row.t_s - 1) for row in rows]  # 20 twice
    seen = play(book, [Unit().batch(*leap, received_s=200)])
    clean = play(book, [Unit().batch(*rows, received_s=200)])
    assert codes(seen) == codes(clean)
    seconds = [replace(row, t_s=-BEGIN_MS / 1_000 + BEGIN_MS / 1_000_000) for row in rows]
    seen = play(book, [Unit().batch(*seconds, received_s=200)])
    assert codes(seen) == ["CLOCK_DRIFT.begin"]  # once, however many there are


# shapes


def degrees(
    name: str, ring: Sequence[tuple[float, float]], **properties: object
) -> dict[str, object]:
    """A polygon of longitudes and latitudes."""
    return {
        "type": "Feature",
        "properties": {"id": name, **properties},
        "geometry": {"type": "Polygon", "coordinates": [[list(point) for point in ring]]},
    }


def test_case_12_of_a_100_km_edge_the_bulge_decides() -> None:
    """At 41 N the great circle between two places of one latitude, 100 km apart, runs 170 m north of the drawn line."""
    west, east, south, north = 69.0, 70.19, 41.0, 41.5
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    between = At(t_s=0, x_m=0, y_m=0, raw=(410_008_000, 695_950_000))  # 89 m north of the line
    for edges, inside in (("geodesic", []), ("straight", ["ZONE_FOUND_INSIDE"])):
        book = book_of(degrees("z", ring, edges=edges))
        assert codes(play(book, [Unit().batch(between)])) == inside


def test_case_13_in_an_index_of_49_000_vertices_a_crossing_is_found_where_it_is() -> None:
    corners = 49_000
    turns = [2 * math.pi * n / corners for n in range(corners)]
    wavy = [
        (
            (20_000 + 40 * math.sin(700 * a)) * math.cos(a),
            (20_000 + 40 * math.sin(700 * a)) * math.sin(a),
        )
        for a in turns
    ]
    near = square("near", 21_000, 0, 300)
    book = book_of(polygon("country", wavy), near)
    assert len(book.versions[0].zones["country"].edges) == corners
    rows = [At(t_s=n, x_m=19_000 + 20 * n, y_m=0, speed_m_s=20) for n in range(140)]
    seen = play(book, [Unit().batch(*rows)])
    assert [row[:2] for row in of_zones(seen)][:3] == [
        ("ZONE_FOUND_INSIDE", "country"),
        ("ZONE_EXITED", "country"),
        ("ZONE_ENTERED", "near"),
    ]
    (left,) = [row for row in of_zones(seen) if row[:2] == ("ZONE_EXITED", "country")]
    assert left[2] == pytest.approx(50, abs=0.2)  # the wave begins at its middle there
    assert told(seen) == told(play(book, [Unit().batch(*rows)], screen=every_row))


@pytest.mark.long
def test_case_13_real_borders_of_23_000_to_49_000_vertices_hold_their_capitals() -> None:
    path = shared("traces", "borders", "osm_tz_uz_neighbours_ODbL.geojson")
    drawn = json.loads(path.read_text(encoding="utf-8"))
    for feature in drawn["features"]:
        feature["properties"] = {"id": feature["properties"]["name"]}
    shapes = read_zones(drawn)
    assert isinstance(shapes, Shapes)
    assert max(len(zone.edges) for zone in shapes.zones) > 23_000
    book = Rulebook(versions=(build(shapes),))
    for home, lat, lon in (
        ("Uzbekistan", 41.3111, 69.2797),
        ("Tajikistan", 38.5598, 68.7870),
        ("Kyrgyzstan", 42.8746, 74.5698),
        ("Turkmenistan", 37.9601, 58.3261),
        ("Afghanistan", 34.5553, 69.2075),
    ):
        here = At(t_s=0, x_m=0, y_m=0, raw=(round(lat * 1e7), round(lon * 1e7)))
        (found,) = play(book, [Unit().batch(here)]).findings
        assert (found.code, found.zone) == ("ZONE_FOUND_INSIDE", home)


def test_case_14_a_pole_and_180_degrees_are_places_like_others() -> None:
    book = book_of(square("z", 0, 0, 500))
    for lat, lon in ((900_000_000, 0), (-900_000_000, 10), (0, 1_800_000_000), (1, -1_800_000_000)):
        rows = [At(t_s=10.0 * n, x_m=0, y_m=0, raw=(lat, lon)) for n in range(5)]
        assert codes(play(book, [Unit().batch(*rows)])) == []
    assert distance_m(1_800_000_000, 100_000_000, -1_800_000_000, 100_000_000) == 0
    both = [(0.0, 1_800_000_000), (10.0, -1_800_000_000), (20.0, -1_799_990_000)]
    rows = [At(t_s=t, x_m=0, y_m=0, raw=(100_000_000, lon)) for t, lon in both]
    assert codes(play(book, [Unit().batch(*rows)])) == []  # no jump round the world
    for ring in ([(179, 10), (-179, 10), (-179, 11), (179, 11), (179, 10)],):
        assert faults(degrees("z", ring)) == ["antimeridian"]
    circle = {
        "type": "Feature",
        "properties": {"id": "c", "radius_m": 1_000},
        "geometry": {"type": "Point", "coordinates": [10, 89.9999]},
    }
    assert faults(circle) == ["antimeridian"]


def faults(*features: object) -> list[str]:
    found = read_zones({"type": "FeatureCollection", "features": list(features)})
    return [] if isinstance(found, Shapes) else [fault.code for fault in found]


def warnings(*features: object) -> list[str]:
    found = read_zones({"type": "FeatureCollection", "features": list(features)})
    assert isinstance(found, Shapes)
    return [warning.code for warning in found.warnings]


def test_case_15_nan_nothing_swapped_and_no_altitude() -> None:
    for odd in (math.nan, math.inf, None, "69"):
        ring: list[tuple[object, float]] = [(odd, 41), (69.1, 41), (69.1, 41.1), (69, 41)]
        assert faults(degrees("z", ring)) == ["not_finite"]  # type: ignore[arg-type]  # that is what is tried
    book = book_of(FORBIDDEN)
    rows = over()
    assert all(row[4] == -1_000_000 for row in Unit().batch(*rows).fixes.T.tolist())  # no altitude
    zero = [one for row in rows for one in (row, replace(row, t_s=row.t_s + 1, raw=(0, 0)))]
    clean = play(book, [Unit().batch(*rows)])
    assert told_without_seq(play(book, [Unit().batch(*zero)])) == told_without_seq(clean)
    swapped = [
        one for row in rows for one in (row, replace(row, t_s=row.t_s + 1, raw=(LON_E7, LAT_E7)))
    ]
    seen = play(book, [Unit().batch(*swapped)])
    faulty = [f for f in seen.findings if f.code == "DEVICE_FAULT"]
    assert [(f.value, f.phase.value) for f in faulty] == [("swapped", "begin")]
    assert of_zones(seen) == of_zones(clean)


def told_without_seq(run_: Run) -> list[tuple[str, int, str]]:
    return [(f.code, f.at_ms, str(f.value)) for f in run_.findings]


def test_case_16_bow_ties_and_open_rings_are_refused_and_lesser_faults_are_put_right() -> None:
    tie = [(69.0, 41.0), (69.1, 41.1), (69.1, 41.0), (69.0, 41.1), (69.0, 41.0)]
    assert faults(degrees("z", tie)) == ["invalid"]
    assert faults(degrees("z", tie[:4])) == ["not_closed"]
    good = [(69.0, 41.0), (69.1, 41.0), (69.1, 41.1), (69.0, 41.1), (69.0, 41.0)]
    assert warnings(degrees("z", good)) == []
    assert warnings(degrees("z", good[::-1])) == ["orientation"]
    assert warnings(degrees("z", [good[0], good[0], *good[1:]])) == ["repeated_vertices"]
    one = read_zones({"type": "FeatureCollection", "features": [degrees("z", good)]})
    turned = read_zones({"type": "FeatureCollection", "features": [degrees("z", good[::-1])]})
    assert isinstance(one, Shapes)
    assert isinstance(turned, Shapes)
    assert one.zones[0].shape.normalize().equals(turned.zones[0].shape.normalize())
    (fault,) = read_zones({"type": "FeatureCollection", "features": [degrees("z", tie)]})  # type: ignore[misc]  # refused above
    assert isinstance(fault, ImportFault)
    assert fault.where == "69.0500000, 41.0500000"  # where it crosses itself


# places


def test_case_20_teleport_and_back_in_one_fix_is_one_outlier_and_no_visit() -> None:
    rows = over(-9_000, -5_000)
    away = replace(rows[10], x_m=0.0, y_m=0.0)
    seen = play(book_of(FORBIDDEN), [Unit().batch(*rows[:10], away, *rows[11:])])
    assert codes(seen) == ["FIX_OUTLIER"]
    assert seen.findings[0].seq == 10


@pytest.mark.long
def test_case_27_the_dirt_of_tracks_33_and_43_makes_nothing() -> None:
    """Steps of 135 m in a second, a break of four minutes, an hour on one spot 135 m beside the road."""
    folder = shared("traces", "kubicka")
    rows = [row for row in rows_of(folder / "tracks.csv.gz") if row.unit[-2:] in ("33", "43")]
    assert len(rows) == 8_166
    shapes = shapes_in(folder / "zones.geojson.gz", folder / "routes.geojson.gz")
    units = sorted({row.unit for row in rows})
    own = [row for row in shapes.routes if row.id in units or row.unit in units]
    book = rulebook(
        replace(shapes, routes=tuple(replace(r, unit=r.unit or r.id) for r in own)),
        None,
        [],
        units,
        None,
    )

    def found(**plan: object) -> Replay:
        return replay(book, rows, [], replace(Plan(), **plan))  # type: ignore[arg-type]  # fields of a plan

    seen = found()
    odd = {"GNSS_INTERFERENCE", "FIX_OUTLIER", "DEVICE_FAULT", "CLOCK_DRIFT"}
    assert not odd & {finding.code for finding in seen.findings}
    parked = [f for f in seen.findings if f.unit.endswith("33") and f.code == "STOP_BEGAN"]
    assert 1 <= len(parked) <= 4
    every = found(screen=every_row)
    assert every.findings == seen.findings == found(tick_batches=1, batch_rows=7).findings
    assert {u: pack(s) for u, s in every.states.items()} == {
        u: pack(s) for u, s in seen.states.items()
    }


# many


@pytest.mark.parametrize("units", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_case_25_all_units_return_at_once_with_eight_hours_each(units: int) -> None:
    """One fix in ten minutes; every tenth unit was in the forbidden zone meanwhile. All come in one order, and in another."""
    hours = [At(t_s=600.0 * n, x_m=-60_000 + 2_500 * n, y_m=0, speed_m_s=4) for n in range(48)]
    aside = [replace(row, y_m=9_000) for row in hours]
    straying = [
        replace(row, x_m=10.0 * n, y_m=0) if 20 <= n < 23 else row for n, row in enumerate(aside)
    ]
    batches: list[Item] = []
    for number in range(units):
        unit = Unit(name=f"u{number:05}", chain=number.to_bytes(16, "big"))
        rows = straying if number % 10 == 0 else aside
        batches += [
            unit.batch(*rows[:24], received_s=30_000),
            unit.batch(*rows[24:], received_s=30_001),
        ]
    names = tuple(f"u{number:05}" for number in range(units))
    book = book_of(FORBIDDEN, units=names)
    book = replace(
        book, journeys={name: (Journey(id=name, unit=name, since_ms=0),) for name in names}
    )
    seen = play(book, batches, cut=512)
    alerts = [f for f in seen.findings if f.code == "FORBIDDEN_ZONE"]
    assert len(alerts) == 2 * (units // 10)
    assert len({f.id for f in alerts}) == units // 10
    assert all(f.late and f.at_ms < BEGIN_MS + 18_000_000 for f in alerts)
    assert {f.unit for f in seen.findings if "ZONE" in f.code} == {f.unit for f in alerts}
    if units > 1_000:
        return
    by_turns = sorted(batches, key=lambda item: (item.first_seq, Random(item.unit).random()))  # type: ignore[union-attr]  # batches all
    assert told(play(book, by_turns, cut=512)) == told(seen)


# rules and ticks


def test_case_38_rules_that_are_committed_between_two_batches_judge_only_what_is_newer() -> None:
    old = build(shapes_of(square("old", 0, 0, 500, kind="forbidden")))
    new = build(
        shapes_of(square("new", 3_000, 0, 500, kind="forbidden")),
        version=2,
        valid_from_ms=BEGIN_MS + 140_000,
    )
    book = replace(book_of(FORBIDDEN), versions=(old, new))
    unit = Unit()
    both: list[Item] = [
        unit.batch(*over(-1_000, 1_700), received_s=1_000),
        unit.batch(*over(1_800, 4_400, t_s=140), received_s=1_000),
    ]
    again = [unit.batch(*over(-1_000, 1_500, t_s=4_000), received_s=5_000)]
    seen = play(book, [*both, *again])
    assert [row[1] for row in of_zones(seen) if row[0] == "FORBIDDEN_ZONE"] == [
        "old",
        "old",
        "new",
        "new",
    ]
    for cut in (1, 2):
        assert told(play(book, [*both, *again], cut=cut)) == told(seen)


def crowd() -> tuple[Rulebook, list[Item]]:
    """Several units, of which two share a journey and three are jammed; seals, holes, early copies, silence, time that passes."""
    random = Random(40)
    road = line("road", [(-20_000, 0), (20_000, 0)])
    book = book_of(FORBIDDEN, square("post", -9_000, 0, 400, kind="border_post", dwell_s=60), road)
    names = ("a", "b", "c", "d")
    ids = {"a": "j", "b": "j", "c": "c", "d": "d"}
    book = replace(
        book,
        journeys={n: (Journey(id=ids[n], unit=n, since_ms=0, route="road"),) for n in names},
    )
    items: list[Item] = []
    units = {name: Unit(name=name, chain=name.encode() * 16) for name in names}
    for minute in range(24):
        begin_s = 60.0 * minute
        for number, name in enumerate(names):
            if name == "d" and minute > 8:
                continue  # silent from then on
            stays = name == "b" and minute > 10
            rows = [
                At(
                    t_s=begin_s + 10 * n,
                    x_m=-10_000 + 15 * (600 if stays else begin_s + 10 * n) + random.gauss(0, 2),
                    y_m=50.0 * number + random.gauss(0, 2),
                    speed_m_s=0 if stays else 15,
                )
                for n in range(6)
            ]
            if minute == 7 and name != "d":
                more = [sky(begin_s + 51, jam=3), sky(begin_s + 58, jam=3)]
            elif minute == 13:
                more = [
                    seal(begin_s + 52, locked=False, rope_in=False),
                    event(begin_s + 53, EventKind.PANIC, "b"),
                ]
            else:
                more = [seal(begin_s + 52, locked=True, rope_in=True)]
            is_early = minute == 13 and name == "c"
            batch = units[name].batch(
                *rows, *more, received_s=begin_s + 62, early_s=begin_s + 55 if is_early else None
            )
            if is_early:
                items.append(
                    EarlyCopy(batch=replace(batch, received_ms=batch.early_ms, early_ms=None))
                )
            items += [Heard(unit=name, received_ms=BEGIN_MS + round((begin_s + 62) * 1_000)), batch]
            if minute == 15 and name == "c":
                items.append(ChainHole(unit="c", chain=b"c" * 16, first=0, last=1, why="dropped"))
        items.append(TimePassed(now_ms=BEGIN_MS + round((begin_s + 65) * 1_000), since_ms=0))
    return book, items


@pytest.mark.long
def test_case_40_the_same_tick_cut_in_any_number_of_pieces_is_the_same() -> None:
    """Ticks of the watch end a tick, as the intake makes them; what lies between them may be cut as one likes."""
    book, items = crowd()
    whole = cut_in(book, items, len(items))
    found = {f.code for f in whole.findings}
    assert {
        "UNIT_SEPARATED",
        "GNSS_INTERFERENCE",
        "CONTACT_LOST",
        "FORBIDDEN_ZONE",
        "DRIVER_DISTRESS",
    } <= found
    assert [f.value for f in whole.findings if f.unit == ""] == ["fleet"]
    assert len(whole.results) == 24
    for pieces in range(1, 10):
        seen = cut_in(book, items, pieces)
        assert told(seen) == told(whole)
        assert blobs(seen) == blobs(whole)
        assert together(seen) == together(whole)


def cut_in(book: Rulebook, items: Sequence[Item], most: int) -> Run:
    out = Run()
    part: list[Item] = []
    for item in items:
        part.append(item)
        if isinstance(item, TimePassed) or len(part) >= most:
            out.add(play(book, part, states=out.states, known=out.known))
            part = []
    return out


def test_case_18_a_restart_between_any_two_records_changes_nothing() -> None:
    """Gate, standing, stops, speed, sky, silence, seals, tags and the cross pass: every word of theirs over its bytes and back."""
    book, items = crowd()
    whole = cut_in(book, items, len(items))
    torn = Run()
    for item in items:
        states = {unit: unpack(pack(state)) for unit, state in torn.states.items()}
        rows = {key: row for key, row in changed(NOTHING, torn.known).items() if row}
        torn.add(play(book, [item], states=states, known=read(rows)))
    assert told(torn) == told(whole)
    assert blobs(torn) == blobs(whole)
    assert together(torn) == together(whole)


def test_case_18_standing_is_kept_in_each_of_its_modes() -> None:
    rows = [
        At(t_s=10.0 * n, x_m=x_m, y_m=0, speed_m_s=v)
        for n, (x_m, v) in enumerate(
            [(150.0 * n, 15) for n in range(5)]
            + [(600 + n % 2, 0) for n in range(40)]
            + [(670 + 2 * n, 2) for n in range(3)]
            + [(600, 0)] * 5
            + [(600 + 150 * n, 15) for n in range(1, 6)]
        )
    ]
    book = book_of(FORBIDDEN)
    unit = Unit()
    items = [unit.batch(row) for row in rows]
    seen = play(book, items, cut=1)
    modes = [state.motion.mode for result in seen.results for state in result.states.values()]
    assert set(modes) == set(Motion)
    for result in seen.results:
        assert all(unpack(pack(state)) == state for state in result.states.values())
    changes = sum(one is not other for one, other in pairwise(modes))
    assert changes >= 6
    assert FRESH.motion.mode is Motion.MOVING
    assert np.all(np.diff([row.t_s for row in rows]) > 0)
