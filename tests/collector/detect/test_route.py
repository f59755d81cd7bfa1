"""The route: progress, departures, coming back (DETECTION section 7.2; hard cases 10, 11, 18)."""

import math
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from collector.detect import Finding
from collector.detect.engine import FRESH, Tick, every_row
from collector.detect.engine.blob import pack, unpack
from collector.detect.engine.run import run
from collector.detect.geo.line import (
    points_between,
    project,
    project_all,
    project_many,
    segments_between,
)
from collector.detect.geo.lines import AHEAD_M, BEHIND_M, FAST_M_S, MARK_M, follow, surely_off
from collector.detect.route import Mode
from collector.detect.route.progress import eta_ms
from collector.detect.rules import Journey, Rulebook, build
from tests.collector.detect.worlds import (
    BEGIN_MS,
    At,
    Run,
    Unit,
    Xy,
    blobs,
    book_of,
    codes,
    line,
    place,
    play,
    shapes_of,
    square,
    told,
)

STRAIGHT = [(1_000.0 * n, 0.0) for n in range(61)]  # a parallel: one long edge would bulge by 60 m


def along(points: list[Xy], s_m: float, aside_m: float = 0.0) -> Xy:
    """The place after so many metres of a line, so far to the left of it."""
    for (x1, y1), (x2, y2) in pairwise(points):
        length = math.hypot(x2 - x1, y2 - y1)
        if s_m <= length or (x2, y2) == points[-1]:
            east, north = (x2 - x1) / length, (y2 - y1) / length
            return x1 + s_m * east - aside_m * north, y1 + s_m * north + aside_m * east
        s_m -= length
    raise AssertionError("the line has an end")


def total(points: list[Xy]) -> float:
    return sum(math.dist(one, other) for one, other in pairwise(points))


def drive(
    points: list[Xy],
    *legs: tuple[float, float, float],
    every_s: float = 5.0,
    speed: float = 20.0,
    seed: int = 1,
    zones: tuple[dict[str, object], ...] = (),
    **properties: object,
) -> Run:
    """Legs of (from s, to s, aside), driven along the line one behind the other."""
    random, t = Random(seed), 0.0
    rows: list[At] = []
    for from_m, to_m, aside_m in legs:
        count = max(1, int(abs(to_m - from_m) / (speed * every_s)))
        for number in range(count):
            x, y = along(points, from_m + (to_m - from_m) * number / count, aside_m)
            rows.append(At(t_s=t, x_m=x + random.gauss(0, 3), y_m=y + random.gauss(0, 3)))
            t += every_s
    book = book_of(line("r", points, **properties), *zones, route="r")
    unit = Unit()
    items = [unit.batch(*rows[begin : begin + 60]) for begin in range(0, len(rows), 60)]
    seen = play(book, items)
    assert told(seen) == told(play(book, items, screen=every_row))
    return seen


def route_codes(run_: Run) -> list[str]:
    return [code for code in codes(run_) if "ROUTE" in code]


def one(run_: Run, code: str) -> Finding:
    (found,) = [finding for finding in run_.findings if finding.code == code]
    return found


def test_a_lorry_that_follows_its_route_joins_and_arrives() -> None:
    seen = drive(STRAIGHT, (0, 60_000, 0))
    assert route_codes(seen) == ["ROUTE_JOINED", "ROUTE_DONE"]
    assert seen.states["u"].route.mode is Mode.DONE


def test_a_departure_is_told_where_the_distance_passed_the_half_width() -> None:
    seen = drive(STRAIGHT, (0, 10_000, 0), (10_000, 14_000, 160), (14_000, 16_000, 400))
    left = one(seen, "ROUTE_LEFT")
    assert left.at_ms - BEGIN_MS == pytest.approx(500_000, abs=6_000)
    assert route_codes(seen)[:2] == ["ROUTE_JOINED", "ROUTE_LEFT"]
    assert 140 < float(str(left.value)) < 420


def test_a_fuel_station_200_m_aside_for_ten_minutes_is_no_deviation() -> None:
    seen = drive(STRAIGHT, (0, 8_000, 0), (8_000, 9_200, 200), (9_200, 20_000, 0))
    assert route_codes(seen) == ["ROUTE_JOINED", "ROUTE_LEFT", "ROUTE_REJOINED"]
    data = one(seen, "ROUTE_REJOINED").data
    assert set(data) == {"driven_m", "max_d_m", "off_s", "s_left", "s_rejoined"}


def test_a_deviation_begins_when_far_for_long_grows_by_doubling_and_ends_on_the_route() -> None:
    seen = drive(
        STRAIGHT, (0, 8_000, 0), (8_000, 12_000, 700), (12_000, 14_000, 3_000), (14_000, 20_000, 0)
    )
    found = [finding for finding in seen.findings if finding.code == "ROUTE_DEVIATION"]
    assert [finding.phase.value for finding in found] == ["begin", "change", "end"]
    assert [finding.n for finding in found] == [0, 1, 2]
    assert len({finding.id for finding in found}) == 1
    assert "ROUTE_PART_SKIPPED" in route_codes(seen)


def test_a_legal_deviation_ends_after_three_fixes_on_the_route() -> None:
    seen = drive(STRAIGHT, (0, 3_000, 0), (3_000, 5_000, 1_500), (5_000, 9_000, 0), legal_m=1_000)
    found = [f for f in seen.findings if f.code == "LEGAL_ROUTE_DEVIATION"]
    assert [finding.phase.value for finding in found] == ["begin", "end"]


def test_case_11_left_and_rejoined_40_km_on_skips_that_part() -> None:
    seen = drive(STRAIGHT, (0, 10_000, 0), (10_000, 50_000, 5_000), (50_000, 59_000, 0), speed=25)
    skipped = one(seen, "ROUTE_PART_SKIPPED")
    assert float(str(skipped.value)) == pytest.approx(40_000, abs=500)
    assert skipped.priority is not None


def test_a_skipped_checkpoint_is_named_however_short_the_way_round() -> None:
    post = square("weigh", 20_000, 0, 200)
    seen = drive(
        STRAIGHT,
        (0, 19_200, 0),
        (19_200, 20_700, 1_000),
        (20_700, 30_000, 0),
        zones=(post,),
        checkpoints=["weigh"],
    )
    assert one(seen, "ROUTE_PART_SKIPPED").data["checkpoints"] == ["weigh"]


def test_an_allowed_stop_beside_the_route_is_no_departure() -> None:
    park = square("park", 10_000, 400, 150, kind="stop")
    seen = drive(
        STRAIGHT,
        (0, 10_000, 0),
        (9_900, 10_100, 400),
        (10_000, 20_000, 0),
        zones=(park,),
        stops=["park"],
    )
    assert "ROUTE_DEVIATION" not in route_codes(seen)


def test_case_10_driving_back_is_backward_then_wrong_way_until_500_m_forward() -> None:
    seen = drive(STRAIGHT, (0, 10_000, 0), (10_000, 7_000, 0), (7_000, 12_000, 0))
    assert route_codes(seen) == [
        "ROUTE_JOINED",
        "ROUTE_BACKWARD",
        "ROUTE_WRONG_WAY.begin",
        "ROUTE_WRONG_WAY.end",
    ]
    assert len({f.id for f in seen.findings if f.code == "ROUTE_WRONG_WAY"}) == 1


def test_case_10_a_route_begun_half_way_is_joined_there() -> None:
    seen = drive(STRAIGHT, (30_000, 40_000, 0))
    assert float(str(one(seen, "ROUTE_JOINED").value)) == pytest.approx(30_000, abs=150)


def test_case_10_a_route_driven_in_reverse_is_the_wrong_way_and_no_arrival() -> None:
    seen = drive(STRAIGHT, (60_000, 50_000, 0))
    assert route_codes(seen) == ["ROUTE_JOINED", "ROUTE_BACKWARD", "ROUTE_WRONG_WAY.begin"]


@pytest.mark.parametrize("every_s", [1.0, 5.0, 20.0])
def test_case_10_a_route_that_returns_on_itself_is_followed_out_and_back(every_s: float) -> None:
    there_and_back = [
        (0.0, 0.0),
        (12_000.0, 0.0),
        (12_000.0, 30.0),
        (500.0, 30.0),
        (500.0, 6_000.0),
    ]
    end = total(there_and_back)
    seen = drive(there_and_back, (0, end - 50, 0), (end - 50, end, 0), every_s=every_s)
    assert route_codes(seen) == ["ROUTE_JOINED", "ROUTE_DONE"]


def test_case_10_a_route_that_crosses_itself_is_followed_over_the_crossing() -> None:
    loop = [(0.0, 0.0), (8_000.0, 0.0), (8_000.0, 4_000.0), (4_000.0, 4_000.0), (4_000.0, -8_000.0)]
    seen = drive(loop, (0, total(loop), 0))
    assert route_codes(seen) == ["ROUTE_JOINED", "ROUTE_DONE"]


def test_case_10_who_turns_at_the_crossing_skips_the_loop() -> None:
    loop = [(0.0, 0.0), (8_000.0, 0.0), (8_000.0, 4_000.0), (4_000.0, 4_000.0), (4_000.0, -8_000.0)]
    short = [(0.0, 0.0), (4_000.0, 0.0), (4_000.0, -8_000.0)]
    rows: list[At] = []
    for number in range(100):
        x, y = along(short, number * 100.0)
        rows.append(At(t_s=5.0 * number, x_m=x, y_m=y))
    seen = play(book_of(line("r", loop), route="r"), [Unit().batch(*rows)])
    skipped = one(seen, "ROUTE_PART_SKIPPED")
    assert float(str(skipped.value)) == pytest.approx(16_000, abs=1_500)


def test_case_10_a_roundabout_makes_nothing() -> None:
    circle = [
        (5_000 + 40 * math.sin(a), 40 - 40 * math.cos(a)) for a in np.linspace(0, 1.9 * math.pi, 24)
    ]
    road = [(0.0, 0.0), *circle, (5_000.0, -6_000.0)]
    seen = drive(road, (0, total(road), 0), every_s=1)
    assert route_codes(seen) == ["ROUTE_JOINED", "ROUTE_DONE"]


def test_case_10_twenty_thousand_vertices_are_followed() -> None:
    random, x, y, heading = Random(3), 0.0, 0.0, 0.0
    points: list[Xy] = []
    for _ in range(20_000):
        points.append((x, y))
        heading += random.gauss(0, 0.02) - heading * 0.01
        x, y = x + 10 * math.cos(heading), y + 10 * math.sin(heading)
    seen = drive(points, (0, 30_000, 0), every_s=10)
    assert route_codes(seen) == ["ROUTE_JOINED"]


@pytest.mark.parametrize("every_s", [1.0, 5.0, 10.0, 30.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_track_turned_off_by_30_degrees_is_left_in_time(every_s: float, seed: int) -> None:
    random, speed = Random(seed), 20.0
    turn_s = random.uniform(200, 400)
    rows: list[At] = []
    for number in range(int(900 / every_s)):
        t = number * every_s
        off = max(0.0, t - turn_s) * speed
        x = min(t, turn_s) * speed + off * math.cos(math.pi / 6)
        y = off * math.sin(math.pi / 6)
        rows.append(At(t_s=t, x_m=x + random.gauss(0, 3), y_m=y + random.gauss(0, 3)))
    seen = play(book_of(line("r", STRAIGHT), route="r"), [Unit().batch(*rows)])
    left = one(seen, "ROUTE_LEFT")
    over_s = turn_s + 150 / (speed * math.sin(math.pi / 6))
    assert abs((left.at_ms - BEGIN_MS) / 1_000 - over_s) <= every_s
    assert (left.confirmed_ms - BEGIN_MS) / 1_000 <= over_s + 30 + 3 * every_s


def test_an_unjoined_route_is_left_after_half_an_hour() -> None:
    rows = [At(t_s=60.0 * n, x_m=100.0 * n, y_m=3_000) for n in range(40)]
    seen = play(book_of(line("r", STRAIGHT), route="r"), [Unit().batch(*rows)])
    assert route_codes(seen)[0] == "ROUTE_LEFT"
    assert seen.findings[0].confirmed_ms == BEGIN_MS + 1_800_000


def test_a_lorry_that_waits_in_its_post_has_joined() -> None:
    post = square("post", 0, 0, 500, kind="border_post")
    rows = [At(t_s=60.0 * n, x_m=5.0 * (n % 2), y_m=200) for n in range(60)]
    book = book_of(line("r", STRAIGHT, **{"from": "post"}), post, route="r")
    assert route_codes(play(book, [Unit().batch(*rows)])) == ["ROUTE_JOINED"]


def test_an_edited_route_keeps_progress_where_the_unit_is_still_on_it() -> None:
    old = build(shapes_of(line("r", STRAIGHT)), version=1)
    bent = [(0.0, 0.0), (20_000.0, 0.0), (60_000.0, 20_000.0)]
    new = build(shapes_of(line("r", bent)), version=2, valid_from_ms=BEGIN_MS + 200_000)
    journey = Journey(id="j", unit="u", since_ms=0, route="r")
    book = Rulebook(versions=(old, new), journeys={"u": (journey,)})
    rows = [At(t_s=5.0 * n, x_m=100.0 * n, y_m=0) for n in range(100)]
    seen = play(book, [Unit().batch(*rows)])
    assert route_codes(seen) == ["ROUTE_JOINED"]
    assert seen.states["u"].frame.top_m == pytest.approx(9_900, abs=5)


def test_another_journey_ends_what_runs_on_the_old_route() -> None:
    rules = build(shapes_of(line("r", STRAIGHT), line("q", [(0.0, 9_000.0), (9_000.0, 9_000.0)])))
    journeys = (
        Journey(id="a", unit="u", since_ms=0, route="r"),
        Journey(id="b", unit="u", since_ms=BEGIN_MS + 400_000, route="q"),
    )
    book = Rulebook(versions=(rules,), journeys={"u": journeys})
    rows = [At(t_s=5.0 * n, x_m=100.0 * n, y_m=0 if n < 20 else 1_000) for n in range(100)]
    seen = play(book, [Unit().batch(*rows)])
    assert route_codes(seen)[-1] == "ROUTE_DEVIATION.end"


def test_marks_hold_the_times_of_the_last_kilometres() -> None:
    seen = drive(STRAIGHT, (0, 50_000, 0))
    marks = seen.states["u"].frame.marks
    assert len(marks) == 16
    assert [number for number, _ in marks] == list(range(9, 25))
    speeds = {MARK_M * 1_000 / (after - before) for (_, before), (_, after) in pairwise(marks)}
    assert all(speed == pytest.approx(20, abs=2) for speed in speeds)
    road = build(shapes_of(line("r", STRAIGHT))).routes["r"]
    now_ms = marks[-1][1]
    eta = eta_ms(road, 48_000, marks, now_ms)
    mixed_m_s = 0.7 * 60 / 3.6 + 0.3 * 20
    assert (eta - now_ms) / 1_000 == pytest.approx(12_000 / mixed_m_s, rel=0.02)


def test_case_18_every_mode_survives_its_blob() -> None:
    legs = [
        (0, 8_000, 0),
        (8_000, 5_000, 0),
        (5_000, 12_000, 0),
        (12_000, 12_300, 200),
        (12_300, 15_000, 700),
        (15_000, 60_000, 0),
    ]
    book = book_of(line("r", STRAIGHT), route="r")
    unit, t, modes = Unit(), 0.0, set()
    state = FRESH
    for from_m, to_m, aside_m in legs:
        count = int(abs(to_m - from_m) / 100)
        for number in range(count):
            x, y = along(STRAIGHT, from_m + (to_m - from_m) * number / count, aside_m)
            batch = unit.batch(At(t_s=t, x_m=x, y_m=y))
            state = run(book, {"u": state}, Tick(items=(batch,))).states["u"]
            assert unpack(pack(state)) == state
            modes.add(state.route.mode)
            t += 5
    assert modes == set(Mode)


WINDING = [(2_000.0 * n, 900.0 * math.sin(n) * (n % 3)) for n in range(30)] + [
    (58_000.0, 5_000.0),
    (40_000.0, 5_000.0),
    (20_000.0, 200.0),
]


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 1 << 30), st.sampled_from((1.0, 10.0, 60.0)), st.integers(1, 150))
def test_a_sure_place_of_the_columns_is_the_rows_place_to_the_bit(
    seed: int, every_s: float, count: int
) -> None:
    random = Random(seed)
    rules = build(shapes_of(line("r", WINDING), line("q", STRAIGHT)))
    road = rules.routes["r"]
    begin = random.uniform(0, road.total_m - 20_000)
    rows = [
        place(*along(WINDING, begin + 20.0 * every_s * n % 15_000, random.gauss(0, 40)))
        for n in range(count)
    ]
    lat = np.array([row[0] for row in rows])
    lon = np.array([row[1] for row in rows])
    t_ms = np.arange(count) * round(every_s * 1_000)
    seen = follow(
        rules.table,
        route=np.array([rules.table.numbers["r"]]),
        top_m=np.array([int(begin)]),
        anchor_ms=np.array([0]),
        unit=np.zeros(count, np.int64),
        t_ms=t_ms,
        dt_ms=np.diff(t_ms, prepend=0),
        lat_e7=lat,
        lon_e7=lon,
    )
    top_m = int(begin)
    for row in range(count):
        if not seen.sure[row]:
            break
        assert int(seen.top_before_m[row]) == top_m
        base = top_m // MARK_M * MARK_M
        dt_s = float(np.diff(t_ms, prepend=0)[row]) / 1_000
        first, behind = segments_between(road, base - BEHIND_M, base + AHEAD_M + FAST_M_S * dt_s)
        there = project(road, int(lon[row]), int(lat[row]), first, behind)
        assert (there.s_m, there.d_m) == (seen.s_m[row], seen.d_m[row])
        top_m = max(top_m, math.floor(there.s_m))
        assert int(seen.top_after_m[row]) == top_m


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 1 << 30), st.integers(1, 40))
def test_asking_many_places_of_the_whole_route_is_asking_one_by_one(seed: int, count: int) -> None:
    random = Random(seed)
    points = [(100.0 * n, 3_000.0 * math.sin(n / 7)) for n in range(700)]
    road = build(shapes_of(line("r", points))).routes["r"]
    places = [
        place(
            random.uniform(-5_000, 75_000), random.choice((500, 5_000, 80_000)) * random.gauss(0, 1)
        )
        for _ in range(count)
    ]
    lat, lon = (np.array(column) for column in zip(*places, strict=True))
    whole = project_many(road, lon, lat)
    for number in range(count):
        x, y = int(lon[number]), int(lat[number])
        assert whole.at(road, number, x, y) == project_all(road, x, y)
        everywhere = project(road, x, y, 0, len(road.len_m))
        if everywhere.d_m < 5_000:
            assert whole.at(road, number, x, y).segment == everywhere.segment


@pytest.mark.parametrize("begin_m", [0, 50, 200, 400])
def test_a_spur_driven_between_two_fixes_is_followed_and_its_yard_visited(begin_m: int) -> None:
    """600 m of spur and a chord of 100 m: where motion expects the unit, it would be far beside the route."""
    spur = [(0.0, 0.0), (5_000.0, 0.0), (5_000.0, 290.0), (5_010.0, 290.0), (5_010.0, 0.0), (12_000.0, 0.0)]  # fmt: skip
    seen = drive(spur, (begin_m, total(spur), 0), every_s=60, speed=10)
    assert route_codes(seen) == ["ROUTE_JOINED"]
    assert all(result.states["u"].route.mode is Mode.ON for result in seen.results)
    yard = square("yard", 5_005, 250, 30)
    seen = drive(spur, (begin_m, total(spur), 0), every_s=60, speed=10, zones=(yard,))
    assert "ZONE_ENTERED" in codes(seen)


def test_who_stands_beside_an_earlier_part_of_the_route_has_not_left_it() -> None:
    """85 m from where the route has been, 115 m from where the unit should be; the half width is 100 m."""
    bend = [(-3_000.0, 0.0), (0.0, 0.0), (0.0, 200.0), (-600.0, 200.0), (-600.0, 4_000.0)]
    rows = [At(t_s=5.0 * n, x_m=-3_000 + 60.0 * n, y_m=0) for n in range(50)]
    rows += [At(t_s=250 + 5.0 * n, x_m=20.0 * n, y_m=20.0 * n) for n in range(1, 3)]
    rows += [At(t_s=260 + 15.0 * n, x_m=-160, y_m=85) for n in range(20)]
    book = book_of(line("r", bend, half_width_m=100), route="r")
    seen = play(book, [Unit().batch(*rows)])
    assert "ROUTE_LEFT" not in route_codes(seen)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 1 << 30), st.integers(1, 30), st.sampled_from((75.0, 500.0, 2_500.0)))
def test_who_is_surely_off_the_route_is_off_it_and_nearly_all_who_are_off_are_surely(
    seed: int, count: int, reach_m: float
) -> None:
    random = Random(seed)
    points = [(100.0 * n, 3_000.0 * math.sin(n / 7)) for n in range(700)]
    table = (rules := build(shapes_of(line("q", STRAIGHT), line("r", points)))).table
    who = [table.numbers["r"], -1, table.numbers["q"], table.numbers["r"]]
    unit = np.array(sorted(random.choices(range(4), k=count)))
    lines = [rules.routes["r"], None, rules.routes["q"], rules.routes["r"]]
    far = random.choice((100, 1_000, 9_000, 90_000))
    rows = [
        place(random.uniform(-5_000, 75_000), random.gauss(0, 1_000) + random.gauss(0, far))
        for _ in range(count)
    ]
    lat, lon = (np.array(column) for column in zip(*rows, strict=True))
    off = surely_off(
        table,
        route=np.array(who),
        reach_m=np.full(4, reach_m),
        unit=unit,
        lat_e7=lat,
        lon_e7=lon,
    )
    for row, (y, x) in enumerate(rows):
        road = lines[unit[row]]
        away_m = 0.0 if road is None else project_all(road, x, y).d_m
        if off[row]:
            assert away_m > reach_m
        else:
            assert away_m <= reach_m * 1.1 + 2


def test_a_unit_that_has_not_joined_is_stepped_no_more_than_another() -> None:
    rows = [At(t_s=float(n), x_m=20.0 * n, y_m=900 if n < 500 else 0) for n in range(600)]
    unit, book = Unit(), book_of(line("r", STRAIGHT), route="r")
    items = [unit.batch(*rows[begin : begin + 60]) for begin in range(0, 600, 60)]
    seen = play(book, items, cut=1)
    every = play(book, items, cut=1, screen=every_row)
    assert route_codes(seen) == route_codes(every) == ["ROUTE_JOINED"]
    assert blobs(seen) == blobs(every)
    assert (
        sum(result.stepped for result in seen.results) < 60
    )  # what is left of the tick in which it joins


def test_an_allowed_zone_that_is_touched_by_a_blurred_fix_is_joined_by_the_next_ones() -> None:
    """Where a unit is allowed distance counts as 0; the screen has to look again when that changes under its hands."""
    park = square("park", 2_000, 900, 300, kind="border_post")
    rows = [
        At(t_s=float(n), x_m=20.0 * n, y_m=900, hdop=30.0 if 80 <= n < 90 else None)
        for n in range(180)
    ]
    book, unit = book_of(line("r", STRAIGHT), park, route="r"), Unit()
    items = [unit.batch(*rows[:70]), unit.batch(*rows[70:130]), unit.batch(*rows[130:])]
    seen, every = play(book, items), play(book, items, screen=every_row)
    assert told(seen) == told(every)
    assert "ROUTE_JOINED" in route_codes(seen)


def test_the_corners_between_two_places_are_in_the_order_of_travel() -> None:
    road = build(shapes_of(line("r", WINDING))).routes["r"]
    forth, back = points_between(road, 1_000, 9_000), points_between(road, 9_000, 1_000)
    assert len(forth) > 2
    assert forth.tolist() == back[::-1].tolist()


def test_blobs_of_a_followed_unit_are_small() -> None:
    seen = drive(STRAIGHT, (0, 50_000, 0))
    assert len(blobs(seen)["u"]) < 300
