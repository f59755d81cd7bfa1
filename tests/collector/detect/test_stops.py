"""Stops and speed: what standing means, and what is too fast (DETECTION section 7.3; hard cases 34 and 35)."""

from collections.abc import Iterable
from dataclasses import replace

from collector.detect import Finding
from collector.detect.engine import every_row
from collector.detect.rules import Rulebook
from tests.collector.detect.worlds import At, Run, Unit, blobs, book_of, line, play, square, told

YARD = square("yard", 0, 0, 300, kind="stop", stop_s_max=2_400)
SWAP = square("swap", 10_000, 0, 300, kind="transfer")
SLOW = square("slow", 20_000, 0, 1_000, speed_kmh=30)
BOOK = book_of(YARD, SWAP, SLOW)


def tell(book: Rulebook, *rows: At) -> Run:
    """The same with every row stepped, and record by record."""
    seen = play(book, [Unit().batch(*rows)])
    assert told(seen) == told(play(book, [Unit().batch(*rows)], screen=every_row))
    unit = Unit()
    cut = play(book, [unit.batch(row) for row in rows], cut=1)
    assert told(seen) == told(cut)
    assert blobs(seen) == blobs(cut)
    return seen


def stand(from_s: float, for_s: float, x_m: float, y_m: float = 0, each_s: float = 30) -> list[At]:
    rows = int(for_s / each_s) + 1
    return [At(t_s=from_s + each_s * n, x_m=x_m, y_m=y_m, speed_m_s=0) for n in range(rows)]


def drive(
    from_s: float, x_m: float, to_m: float, m_s: float = 15, each_s: float = 30, y_m: float = 0
) -> list[At]:
    steps = int(abs(to_m - x_m) / (m_s * each_s))
    sign = 1 if to_m > x_m else -1
    return [
        At(t_s=from_s + each_s * n, x_m=x_m + sign * m_s * each_s * n, y_m=y_m, speed_m_s=m_s)
        for n in range(1, steps + 1)
    ]


def found(run_: Run, *codes: str) -> list[tuple[str, str, str | None, float | None]]:
    """Code, phase, priority, minutes."""
    return [(f.code, f.phase.value, _priority(f), _minutes(f)) for f in run_.findings if f.code in codes]  # fmt: skip


def _priority(finding: Finding) -> str | None:
    return None if finding.priority is None else finding.priority.value


def _minutes(finding: Finding) -> float | None:
    return finding.value / 60 if isinstance(finding.value, int | float) else None


def codes(run_: Run) -> list[str]:
    return [finding.code for finding in run_.findings]


def test_a_stop_that_nobody_planned_is_told_after_half_an_hour_and_is_worse_after_two() -> None:
    rows = [*stand(0, 8_000, 5_000), *drive(8_000, 5_000, 9_000)]
    seen = tell(BOOK, *rows)
    assert found(seen, "UNSCHEDULED_STOP") == [
        ("UNSCHEDULED_STOP", "begin", "P3", 30),
        ("UNSCHEDULED_STOP", "change", "P2", 120),
        ("UNSCHEDULED_STOP", "end", "P3", 8_030 / 60),
    ]
    begin = next(f for f in seen.findings if f.code == "UNSCHEDULED_STOP")
    assert begin.at_ms == next(f for f in seen.findings if f.code == "STOP_BEGAN").at_ms


def test_case_34_forty_minutes_in_an_allowed_stop_then_forty_beside_it() -> None:
    inside = tell(BOOK, *stand(0, 2_399, 0))
    assert found(inside, "UNSCHEDULED_STOP", "STOP_OVERSTAY") == []
    beside = [*stand(0, 2_370, 0), *drive(2_370, 0, 550), *stand(2_440, 2_400, 550)]
    assert [row[:2] for row in found(tell(BOOK, *beside), "UNSCHEDULED_STOP")] == [
        ("UNSCHEDULED_STOP", "begin")
    ]


def test_too_long_in_an_allowed_place_is_an_overstay() -> None:
    seen = tell(BOOK, *stand(0, 3_000, 0), *drive(3_000, 0, 4_000))
    assert [row[:3] for row in found(seen, "STOP_OVERSTAY", "UNSCHEDULED_STOP")] == [
        ("STOP_OVERSTAY", "begin", "P3"),
        ("STOP_OVERSTAY", "end", "P3"),
    ]
    begin = next(f for f in seen.findings if f.code == "STOP_OVERSTAY")
    assert begin.zone == "yard"
    assert begin.value == 2_400


def test_a_stop_where_cargo_changes_lorries_is_told_at_once() -> None:
    seen = tell(BOOK, *stand(0, 600, 10_000))
    assert found(seen, "UNSCHEDULED_STOP") == [("UNSCHEDULED_STOP", "begin", "P2", 5)]


def test_case_35_a_queue_that_creeps_is_one_stop() -> None:
    """20 m each 2 min: it stands, moves up and stands again, for an hour, within 100 m of where it began."""
    rows: list[At] = []
    for move in range(5):
        rows += stand(move * 120, 90, 5_000 + 20 * move, each_s=30)
    rows += stand(600, 1_500, 5_100)
    seen = tell(BOOK, *rows)
    assert codes(seen).count("STOP_BEGAN") == 1
    assert [row[1] for row in found(seen, "UNSCHEDULED_STOP")] == ["begin"]


def test_two_standings_within_a_hundred_metres_and_two_minutes_are_one_stop() -> None:
    rows = [*stand(0, 1_200, 5_000), At(t_s=1_230, x_m=5_200, y_m=0, speed_m_s=7)]
    rows += stand(1_290, 900, 5_080)
    seen = tell(BOOK, *rows)
    assert codes(seen).count("STOP_BEGAN") == 1
    assert [row[1] for row in found(seen, "UNSCHEDULED_STOP")] == ["begin"]
    apart = [*stand(0, 1_200, 5_000), *drive(1_200, 5_000, 6_000), *stand(1_290, 900, 6_000)]
    seen = tell(BOOK, *apart)
    assert codes(seen).count("STOP_BEGAN") == 2
    assert found(seen, "UNSCHEDULED_STOP") == []


def test_a_unit_that_is_not_on_the_road_may_stand_where_it_likes() -> None:
    idle = {
        unit: tuple(replace(one, state="arrived") for one in some)
        for unit, some in BOOK.journeys.items()
    }
    assert (
        found(tell(replace(BOOK, journeys=idle), *stand(0, 8_000, 5_000)), "UNSCHEDULED_STOP") == []
    )


def test_a_journey_that_ends_during_a_stop_ends_the_alert() -> None:
    first = BOOK.journeys["u"][0]
    begin_ms = 1_795_330_000_000
    after = replace(first, id="k", state="arrived", since_ms=begin_ms + 4_000_000)
    book = replace(BOOK, journeys={"u": (first, after)})
    seen = tell(book, *stand(0, 6_000, 5_000))
    assert [row[1] for row in found(seen, "UNSCHEDULED_STOP")] == ["begin", "end"]


def test_the_stops_of_a_route_are_allowed() -> None:
    place = square("fuel", 5_000, 0, 200)
    road = line("road", [(0, 0), (40_000, 0)], stops=["fuel"])
    assert found(tell(book_of(place, road, route="road"), *stand(0, 4_000, 5_000)), "UNSCHEDULED_STOP") == []  # fmt: skip
    bare = book_of(place, line("road", [(0, 0), (40_000, 0)]), route="road")
    assert len(found(tell(bare, *stand(0, 4_000, 5_000)), "UNSCHEDULED_STOP")) == 1


def speeds(rows: Iterable[tuple[float, float | None]], x_m: float = 0) -> list[At]:
    """Second, m/s; a unit that drives as it says."""
    out: list[At] = []
    last_s = 0.0
    for t_s, m_s in rows:
        x_m += (m_s or 30) * (t_s - last_s)
        last_s = t_s
        out.append(At(t_s=t_s, x_m=x_m, y_m=0, speed_m_s=m_s))
    return out


def test_speed_counts_after_three_fixes_and_half_a_minute_and_ends_after_one() -> None:
    fast = speeds([(10 * n, 30) for n in range(10)] + [(100 + 10 * n, 20) for n in range(10)])
    seen = tell(BOOK, *fast)
    assert [(f.phase.value, f.value) for f in seen.findings if f.code == "SPEED_EXCESS"] == [
        ("begin", 30),
        ("end", 20),
    ]
    begin, end = (f for f in seen.findings if f.code == "SPEED_EXCESS")
    assert begin.id == end.id
    assert begin.level.value == "record"
    assert begin.data == {"limit_kmh": 100}
    short = speeds([(0, 20), (10, 30), (20, 30), (30, 20), (40, 30), (50, 20)])
    assert "SPEED_EXCESS" not in codes(tell(BOOK, *short))


def test_a_speed_that_was_not_said_is_asked_of_the_way() -> None:
    rows = speeds([(10 * n, None) for n in range(10)])
    assert "SPEED_EXCESS" in codes(tell(BOOK, *rows))


def test_a_zone_may_be_slower_than_the_road() -> None:
    rows = speeds([(10 * n, 15) for n in range(40)], x_m=18_000)
    seen = tell(BOOK, *rows)
    excess = [f for f in seen.findings if f.code == "SPEED_EXCESS"]
    assert [f.phase.value for f in excess] == ["begin", "end"]
    assert excess[0].data == {"limit_kmh": 40}
