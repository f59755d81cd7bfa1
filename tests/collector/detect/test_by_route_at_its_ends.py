"""The way along the route stands for the chord also where a unit has arrived, and where the route begins beside itself."""

from collector.detect.engine import every_row
from tests.collector.detect.worlds import At, Unit, book_of, codes, line, play, square

HOOK = line("r", [(0, 0), (6_000, 0), (6_000, 200), (5_940, 200)])  # done 300 m before its end
CORNER = square("z", 6_000, 200, 20)
LOOP = line("r", [(0, 0), (0, 400), (120, 400), (120, 0), (6_000, 0)])  # its begin lies near it
YARD = square("z", 0, 300, 20)


def along(*rows: At, feature: dict[str, object], zone: dict[str, object]) -> list[str]:
    book = book_of(feature, zone, route="r")
    seen = play(book, [Unit().batch(*rows)])
    unit = Unit()
    for other in (
        play(book, [Unit().batch(*rows)], screen=every_row),
        play(book, [unit.batch(row) for row in rows], cut=1),
    ):
        assert codes(other) == codes(seen)
    visits = [found for found in seen.findings if found.zone == "z"]
    assert all(found.data.get("by_route") for found in visits)
    return [found.code for found in visits]


def test_behind_the_arrival_the_route_still_stands_for_the_chord() -> None:
    way = [At(t_s=60 * n, x_m=600 * n, y_m=0) for n in range(11)]
    ends = [At(t_s=660, x_m=5_940, y_m=200), At(t_s=720, x_m=5_940, y_m=201)]
    assert along(*way, *ends, feature=HOOK, zone=CORNER) == ["ZONE_ENTERED", "ZONE_EXITED"]
    parked = [
        At(t_s=660 + 60 * n, x_m=5_999, y_m=1) for n in range(60)
    ]  # beyond what is rescreened
    late = [At(t_s=660 + 3_600, x_m=5_940, y_m=200)]
    assert along(*way, *parked, *late, feature=HOOK, zone=CORNER) == ["ZONE_ENTERED", "ZONE_EXITED"]


def test_where_the_route_begins_beside_itself_the_place_on_it_counts() -> None:
    way = [At(t_s=0, x_m=0, y_m=0), At(t_s=60, x_m=120, y_m=60), At(t_s=120, x_m=600, y_m=0)]
    assert along(*way, feature=LOOP, zone=YARD) == ["ZONE_ENTERED", "ZONE_EXITED"]
