"""A fix that may be a hundred metres off confirms nothing (DETECTION section 1); and what the gate explains away, and what not."""

import pytest

from collector.detect.engine import every_row
from collector.detect.rules import Thresholds
from tests.collector.detect.worlds import At, Unit, book_of, codes, line, play, square

BLUNT = 60.0  # hdop: 540 m
AREA = square("z", 0, 0, 500, kind="forbidden", dwell_s=60)


def parked(*hdops: float, each_s: int = 10) -> list[At]:
    return [
        At(t_s=each_s * n, x_m=0, y_m=0, hdop=hdop, speed_m_s=0) for n, hdop in enumerate(hdops)
    ]


def told(rows: list[At], *features: dict[str, object], route: str | None = None) -> list[str]:
    book = book_of(*features, route=route)
    seen = play(book, [Unit().batch(*rows)])
    assert codes(play(book, [Unit().batch(*rows)], screen=every_row)) == codes(seen)
    return codes(seen)


def test_a_forbidden_zone_and_a_dwell_wait_for_a_fix_that_is_sharp() -> None:
    blunt = [BLUNT] * 12
    assert told(parked(*blunt), AREA) == ["ZONE_FOUND_INSIDE"]
    assert told(parked(*blunt, 1.0), AREA)[1:] == ["FORBIDDEN_ZONE.begin", "ZONE_DWELL"]


def test_a_stop_waits_for_a_fix_that_is_sharp() -> None:
    blunt = [BLUNT] * 60
    assert told(parked(*blunt)) == []
    assert told(parked(*blunt, 1.0)) == ["STOP_BEGAN"]


def test_neither_arrival_nor_a_wrong_start_is_proved_by_a_blunt_fix() -> None:
    road = line("r", [(0, 0), (20_000, 0)], **{"from": "home"})
    home = square("home", 0, 0, 300)
    way = [At(t_s=10 * n, x_m=150 * n, y_m=0, hdop=1.0) for n in range(130)]
    ends = [At(t_s=1_300 + n, x_m=19_800, y_m=0, hdop=BLUNT) for n in range(3)]
    assert "ROUTE_DONE" not in told([*way, *ends], road, home, route="r")
    sharp = At(t_s=1_310, x_m=19_850, y_m=0, hdop=1.0)
    assert told([*way, *ends, sharp], road, home, route="r")[-1:] == ["ROUTE_DONE"]
    aside = [At(t_s=0, x_m=0, y_m=0, hdop=1.0), At(t_s=200, x_m=0, y_m=2_500, hdop=BLUNT)]
    assert "ROUTE_LEFT" not in told(
        [*aside, At(t_s=400, x_m=0, y_m=0, hdop=1.0)], road, home, route="r"
    )


@pytest.mark.parametrize("jump_m", [700, 2_000, 3_000, 4_900, 8_000])
@pytest.mark.parametrize("east_m", [0, 14_000, 42_000])
def test_a_jump_near_a_full_degree_is_no_misread_place(jump_m: float, east_m: float) -> None:
    """There degrees and minutes differ by little: any reading of it would be near, and so it is already."""
    way = [At(t_s=n, x_m=east_m + 15 * n, y_m=0) for n in range(300)]
    away = [At(t_s=n, x_m=east_m + 15 * n, y_m=jump_m) for n in range(300, 420)]
    seen = play(book_of(), [Unit().batch(*way, *away)])
    assert [(f.code, f.value) for f in seen.findings] == [("GNSS_INTERFERENCE", "teleport")]
    assert seen.findings[0].confirmed_ms - seen.findings[0].at_ms == 2_000  # by three fixes


def test_weeks_that_roll_over_on_the_road_are_added_without_a_build_date() -> None:
    rolled = 619_315_200
    rows = [At(t_s=10 * n, x_m=150 * n - 3_000, y_m=0) for n in range(40)]
    late = [
        row if n < 15 or n >= 35 else At(t_s=row.t_s - rolled, x_m=row.x_m, y_m=0)
        for n, row in enumerate(rows)
    ]
    book = book_of(AREA, thresholds=Thresholds())
    seen, clean = play(book, [Unit().batch(*late)]), play(book, [Unit().batch(*rows)])
    assert codes(seen) == codes(clean)
    for one, other in zip(seen.findings, clean.findings, strict=True):
        assert (one.at_ms, one.confirmed_ms) == (other.at_ms, other.confirmed_ms)
    assert seen.findings[0].data["rollover"] == 1


def test_what_a_teleport_seems_to_enter_says_that_it_was_one() -> None:
    way = [At(t_s=10 * n, x_m=20_000 + 150 * n, y_m=0) for n in range(10)]
    inside = [At(t_s=100 + 10 * n, x_m=0, y_m=0) for n in range(5)]
    seen = play(book_of(AREA), [Unit().batch(*way, *inside)])
    entered = [found for found in seen.findings if found.zone == "z"]
    assert [found.code for found in entered] == ["ZONE_ENTERED", "FORBIDDEN_ZONE"]
    assert {str(found.data.get("gnss")) for found in entered} == {"['teleport']"}
