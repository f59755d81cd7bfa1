"""Zones: crossings at once, transitions when proved, at the time of the crossing (DETECTION section 7.1, hard cases of 12)."""

import math
from dataclasses import replace
from random import Random

import pytest

from collector.detect import Finding, Phase
from collector.detect.engine import ChainHole, UnitState
from collector.detect.engine.blob import pack, unpack
from collector.detect.rules import Rulebook, build
from collector.detect.zones import Side
from tests.collector.detect.worlds import (
    BEGIN_MS,
    CHAIN,
    At,
    Run,
    Unit,
    book_of,
    codes,
    place,
    play,
    polygon,
    shapes_of,
    square,
)

HERE = square("z", 0, 0, 500)
U_SHAPE = [(0, 0), (600, 0), (600, 600), (400, 600), (400, 200), (200, 200), (200, 600), (0, 600)]


def drive(
    *points: tuple[float, float, float], book: Rulebook | None = None, zone: object = None
) -> Run:
    """One unit through (seconds, x, y), one batch."""
    rules = book or book_of(HERE)
    return play(rules, [Unit().batch(*(At(t_s=t, x_m=x, y_m=y) for t, x, y in points))])


def straight(
    from_x: float,
    to_x: float,
    *,
    y: float = 0.0,
    speed: float = 20.0,
    every_s: float = 1.0,
    t: float = 0.0,
) -> list[tuple[float, float, float]]:
    count = int(abs(to_x - from_x) / (speed * every_s)) + 1
    step = math.copysign(speed * every_s, to_x - from_x)
    return [(t + number * every_s, from_x + number * step, y) for number in range(count)]


def zone_codes(run_: Run) -> list[str]:
    return [code for code in codes(run_) if "ZONE" in code]


def one(run_: Run, code: str) -> Finding:
    (found,) = [finding for finding in run_.findings if finding.code == code]
    return found


def test_a_visit_is_crossed_entered_and_left_at_the_times_of_its_crossings() -> None:
    seen = drive(*straight(-1_000, 1_500))
    assert zone_codes(seen) == ["ZONE_CROSSED", "ZONE_ENTERED", "ZONE_CROSSED", "ZONE_EXITED"]
    entered, left = one(seen, "ZONE_ENTERED"), one(seen, "ZONE_EXITED")
    assert entered.at_ms == pytest.approx(BEGIN_MS + 25_000, abs=10)
    assert left.at_ms == pytest.approx(BEGIN_MS + 75_000, abs=10)
    assert left.confirmed_ms > left.at_ms
    assert entered.zone == "z"
    assert entered.data.keys() == {"t0", "t1"}


def test_case_19_the_first_fix_inside_is_found_and_not_entered() -> None:
    seen = drive((0, 0, 0), (10, 10, 0), (20, 20, 0))
    assert zone_codes(seen) == ["ZONE_FOUND_INSIDE"]


def test_a_forbidden_zone_alerts_at_the_second_fix_inside() -> None:
    seen = drive(
        (0, 0, 0), (10, 10, 0), (20, 20, 0), book=book_of(square("z", 0, 0, 500, kind="forbidden"))
    )
    alert = one(seen, "FORBIDDEN_ZONE")
    assert (alert.value, alert.phase, alert.confirmed_ms) == (
        "found_inside",
        Phase.BEGIN,
        BEGIN_MS + 10_000,
    )


def test_a_forbidden_zone_runs_from_entry_to_exit_under_one_id() -> None:
    seen = drive(*straight(-1_000, 1_500), book=book_of(square("z", 0, 0, 500, kind="forbidden")))
    begin, end = [finding for finding in seen.findings if finding.code == "FORBIDDEN_ZONE"]
    assert (begin.phase, end.phase) == (Phase.BEGIN, Phase.END)
    assert (begin.id, begin.n, end.n) == (end.id, 0, 1)
    assert begin.priority is not None


def test_one_fix_inside_and_the_next_outside_is_a_possible_visit() -> None:
    seen = drive((0, -600, 0), (10, -495, 0), (20, -600, 50), (30, -700, 50))
    assert zone_codes(seen) == ["ZONE_CROSSED", "ZONE_POSSIBLE_VISIT"]


def test_one_deep_fix_inside_is_an_entry() -> None:
    seen = drive((0, -600, 0), (10, -470, 0), (20, -600, 50))
    assert "ZONE_ENTERED" in zone_codes(seen)


def test_case_1_parked_on_a_border_for_24_h_is_no_traffic() -> None:
    random = Random(7)
    x = y = 0.0
    decay = math.exp(-10 / 120)
    rows: list[tuple[float, float, float]] = []
    for number in range(8_640):
        x = decay * x + random.gauss(0, 5 * math.sqrt(1 - decay**2))
        y = decay * y + random.gauss(0, 5 * math.sqrt(1 - decay**2))
        burst = 40.0 if number % 360 in (100, 101, 102) else 0.0
        rows.append((number * 10, 500 + x + burst + random.gauss(0, 1), y + random.gauss(0, 1)))
    seen = zone_codes(drive(*rows))
    assert seen.count("ZONE_EXITED") + seen.count("ZONE_ENTERED") <= 1


@pytest.mark.parametrize(("aside_m", "visits"), [(10.0, 1), (-10.0, 0)])
def test_case_2_a_road_ten_metres_inside_or_outside(aside_m: float, visits: int) -> None:
    seen = zone_codes(drive(*straight(-1_000, 1_500, y=500 - aside_m)))
    assert (seen.count("ZONE_ENTERED"), seen.count("ZONE_EXITED")) == (visits, visits)


@pytest.mark.parametrize("every_s", [60, 120, 170])
def test_case_3_a_chord_over_a_zone_of_200_m_is_a_visit_when_it_is_deep(every_s: int) -> None:
    book = book_of(square("z", 0, 0, 100))
    half = 20.0 * every_s / 2
    deep = drive((0, -half - 500, 0), (30, -half, 0), (30 + every_s, half, 0), book=book)
    assert [
        finding.data.get("passed") for finding in deep.findings if "ENTERED" in finding.code
    ] == [True]
    shallow = drive((0, -half - 500, 95), (30, -half, 95), (30 + every_s, half, 95), book=book)
    assert zone_codes(shallow) == ["ZONE_POSSIBLE_VISIT"]


def test_case_3_over_a_gap_of_300_s_no_crossing_is_claimed_but_forbidden_zones_may_have_been_touched() -> (
    None
):
    forbidden = square("f", 0, 0, 100, kind="forbidden")
    area = square("a", 0, 0, 100)
    seen = drive((0, -3_500, 0), (30, -3_000, 0), (330, 3_000, 0), book=book_of(forbidden, area))
    assert zone_codes(seen) == ["ZONE_POSSIBLE_VISIT"]
    assert one(seen, "ZONE_POSSIBLE_VISIT").zone == "f"
    too_far = drive((0, -5_500, 0), (30, -5_000, 0), (330, 5_000, 0), book=book_of(forbidden))
    assert zone_codes(too_far) == []


def test_case_4_a_u_shaped_zone_gives_out_and_in_between_two_fixes_inside() -> None:
    book = book_of(polygon("u", U_SHAPE))
    seen = drive((0, 100, 100), (10, 100, 400), (20, 500, 400), (30, 500, 300), book=book)
    crossings = [finding.value for finding in seen.findings if finding.code == "ZONE_CROSSED"]
    assert crossings == ["out", "in"]
    assert "ZONE_EXITED" not in zone_codes(seen)
    numbers = [finding.n for finding in seen.findings if finding.code == "ZONE_CROSSED"]
    assert numbers == [0, 1]


def test_case_4_a_way_that_passes_one_leg_and_ends_in_the_other_enters_twice() -> None:
    book = book_of(polygon("u", U_SHAPE))
    seen = drive((0, -100, 400), (20, 500, 400), (21, 510, 400), book=book)
    entries = [finding for finding in seen.findings if finding.code == "ZONE_ENTERED"]
    assert [finding.n for finding in entries] == [0, 1]
    assert entries[0].at_ms < entries[1].at_ms


def test_case_5_a_hole_is_outside_and_its_edge_inside() -> None:
    ring = [(-500, -500), (500, -500), (500, 500), (-500, 500)]
    hole = [(-100, -100), (-100, 100), (100, 100), (100, -100)]
    book = book_of(polygon("z", ring, hole), square("enclave", 0, 0, 50))
    assert "enclave" in str([f.zone for f in drive((0, 0, 0), book=book).findings])
    assert zone_codes(drive((0, 80, 0), book=book)) == []
    on_edge = drive((0, 100, 0), book=book)
    assert [finding.zone for finding in on_edge.findings] == ["z"]


def test_case_5_the_two_parts_of_a_zone_are_one_membership() -> None:
    part_1 = square("a", -400, 0, 100)["geometry"]
    part_2 = square("b", 400, 0, 100)["geometry"]
    assert isinstance(part_1, dict)
    assert isinstance(part_2, dict)
    both: dict[str, object] = {
        "type": "Feature",
        "properties": {"id": "z"},
        "geometry": {
            "type": "MultiPolygon",
            "coordinates": [part_1["coordinates"], part_2["coordinates"]],
        },
    }
    seen = drive(*straight(-1_000, 1_500, every_s=2), book=book_of(both))
    visits = zone_codes(seen)
    assert visits.count("ZONE_ENTERED") == visits.count("ZONE_EXITED") == 2


def test_case_6_a_way_that_grazes_a_corner_is_a_possible_visit_of_no_depth() -> None:
    lat, lon = place(-500, 500)
    rows = [
        At(t_s=10.0 * t, x_m=0, y_m=0, raw=(lat + 9_000 * t, lon + 9_000 * t))
        for t in (-3, -1, 1, 3)
    ]
    seen = play(book_of(HERE), [Unit().batch(*rows)])
    assert zone_codes(seen) == ["ZONE_POSSIBLE_VISIT"]
    assert one(seen, "ZONE_POSSIBLE_VISIT").value == 0.0


def test_case_6_a_way_along_an_edge_is_inside() -> None:
    seen = drive((0, -520, 500), (10, -400, 500), (20, -200, 500), (30, 0, 500), (40, 200, 500))
    assert zone_codes(seen) == ["ZONE_CROSSED", "ZONE_ENTERED"]


def test_case_17_a_zone_redrawn_around_a_unit_is_told_as_that() -> None:
    old = build(shapes_of(square("z", 0, 0, 500), square("gone", 0, 0, 400)), version=1)
    now = build(
        shapes_of(square("z", 0, 0, 600), square("new", 0, 0, 300, kind="forbidden")),
        version=2,
        valid_from_ms=BEGIN_MS + 15_000,
    )
    rows = [At(t_s=t, x_m=10 + t, y_m=0) for t in (0, 10, 20, 30)]
    seen = play(Rulebook(versions=(old, now)), [Unit().batch(*rows)])
    told = [(finding.code, finding.zone, finding.value) for finding in seen.findings]
    assert told == [
        ("ZONE_FOUND_INSIDE", "z", None),
        ("ZONE_FOUND_INSIDE", "gone", None),
        ("ZONE_REDEFINED", "gone", "outside"),
        ("ZONE_REDEFINED", "new", "inside"),
        ("FORBIDDEN_ZONE", "new", "found_inside"),
        ("ZONE_REDEFINED", "z", "inside"),
    ]


def test_a_dwell_is_told_once_a_visit_by_a_fix_that_is_still_inside() -> None:
    book = book_of(square("z", 0, 0, 500, dwell_s=60))
    rows = [(t, -1_000 + 20 * t, 0) for t in range(50)]
    rows += [(50 + t, 0, 0) for t in range(0, 600, 10)]
    seen = drive(*[(float(t), float(x), float(y)) for t, x, y in rows], book=book)
    dwell = one(seen, "ZONE_DWELL")
    assert 60 <= float(str(dwell.value)) < 75


def test_case_26_of_overlapping_zones_the_exit_stands_before_the_entry() -> None:
    book = book_of(square("a", -500, 0, 500), square("b", 500, 0, 500))
    seen = drive(*straight(-730, 900, every_s=5), book=book)
    crossed = [(f.zone, f.value) for f in seen.findings if f.code == "ZONE_CROSSED"]
    assert crossed == [("a", "out"), ("b", "in")]


def test_case_37_after_a_break_inside_a_zone_the_next_fix_decides() -> None:
    unit = Unit()
    before = unit.batch(*(At(t_s=t, x_m=0, y_m=10.0 * t) for t in range(3)))
    hole = ChainHole(unit="u", chain=CHAIN, first=3, last=9, why="dropped")
    unit.next_seq = 10
    outside = unit.batch(*(At(t_s=100 + t, x_m=900, y_m=20.0 * t) for t in range(3)))
    seen = play(book_of(HERE), [before, hole, outside])
    assert zone_codes(seen) == ["ZONE_FOUND_INSIDE", "ZONE_EXITED"]
    left = one(seen, "ZONE_EXITED")
    assert left.at_ms == BEGIN_MS + (2_000 + 100_000) // 2


def test_a_territory_left_far_from_any_post_is_forbidden_until_the_unit_is_back() -> None:
    land = square("land", 0, 0, 5_000, kind="territory")
    post = square("post", 5_000, 0, 100, kind="border_post")
    rows = straight(4_000, 6_000, y=-4_000, every_s=5)
    back = straight(6_000, 4_000, y=-4_000, every_s=5, t=rows[-1][0] + 5)
    seen = drive(*rows, *back, book=book_of(land, post))
    alert = [(f.code, f.phase.value, f.value) for f in seen.findings if f.code == "FORBIDDEN_ZONE"]
    assert alert == [
        ("FORBIDDEN_ZONE", "begin", "left_territory"),
        ("FORBIDDEN_ZONE", "end", "left_territory"),
    ]
    at_the_post = drive(*straight(4_000, 6_000, every_s=5), book=book_of(land, post))
    assert "FORBIDDEN_ZONE" not in zone_codes(at_the_post)


def test_a_zone_of_another_unit_is_not_looked_at() -> None:
    mine, theirs = square("mine", 0, 0, 500, unit="u"), square("theirs", 0, 0, 500, unit="v")
    seen = drive(*straight(-1_000, 1_500), book=book_of(mine, theirs))
    assert {finding.zone for finding in seen.findings} == {"mine"}


def test_a_blurred_fix_confirms_nothing() -> None:
    rows = [At(t_s=t, x_m=-700 + 15.0 * t, y_m=0, hdop=30.0) for t in range(40)]
    seen = play(book_of(HERE), [Unit().batch(*rows)])
    assert zone_codes(seen) == ["ZONE_CROSSED"]


def test_a_gap_counts_as_unseen_and_the_exit_says_so() -> None:
    rows = [(0.0, 0.0, 0.0), (10.0, 50.0, 0.0), (610.0, 60.0, 0.0), (620.0, 300.0, 0.0)]
    seen = drive(*rows, *straight(420, 1_200, t=630))
    assert one(seen, "ZONE_EXITED").data["unseen_s"] == 600


def states_on_the_way() -> list[UnitState]:
    """A state of each kind, as a unit passes through a zone, row by row."""
    unit = Unit()
    found: list[UnitState] = []
    rows = [(-600.0, 0.0), (-498.0, 0.0), (-470.0, 0.0), (520.0, 0.0), (560.0, 0.0), (900.0, 0.0)]
    items = [unit.batch(At(t_s=10.0 * t, x_m=x, y_m=y)) for t, (x, y) in enumerate(rows)]
    for result in play(book_of(HERE), items, cut=1).results:
        found += result.states.values()
    return found


def test_case_18_a_restart_in_every_state_changes_nothing() -> None:
    states = states_on_the_way()
    sides = {visit.phase for state in states for visit in state.zones.visits}
    assert sides == set(Side)
    for state in states:
        assert unpack(pack(state)) == state


def test_more_than_64_zones_at_once_drop_the_oldest_with_a_record() -> None:
    book = book_of(*(square(f"z{number}", 0, 0, 300 + number) for number in range(70)))
    seen = drive((0, 0, 0), (10, 10, 0), book=book)
    assert len(seen.states["u"].zones.visits) <= 64
    assert "ZONE_DROPPED" in zone_codes(seen)
    assert len(pack(seen.states["u"])) <= 4_096


def test_case_14_the_antimeridian_is_crossed_inside_a_zone_of_two_halves() -> None:
    def half(name: str, west: float, east: float) -> list[list[list[float]]]:
        return [[[west, 9.99], [east, 9.99], [east, 10.01], [west, 10.01], [west, 9.99]]]

    zone: dict[str, object] = {
        "type": "Feature",
        "properties": {"id": "z"},
        "geometry": {
            "type": "MultiPolygon",
            "coordinates": [half("w", 179.98, 180.0), half("e", -180.0, -179.98)],
        },
    }
    lons = [179.97 + 0.001 * number for number in range(70)]
    rows = [
        At(
            t_s=5.0 * t,
            x_m=0,
            y_m=0,
            raw=(100_000_000, round((lon if lon <= 180 else lon - 360) * 1e7)),
        )
        for t, lon in enumerate(lons)
    ]
    seen = zone_codes(play(book_of(zone), [Unit().batch(*rows)]))
    assert seen == ["ZONE_CROSSED", "ZONE_ENTERED", "ZONE_CROSSED", "ZONE_EXITED"]


def test_a_visit_can_be_taken_apart_and_changed() -> None:
    (visit,) = drive((0, 0, 0)).states["u"].zones.visits
    assert replace(visit, dwelt=True).found
