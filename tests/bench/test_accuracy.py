"""What judges the detectors is held too: peers' rules, matching, and the page (DETECTION section 11)."""

from bench.accuracy.figures import _bent, _standing, _with_jumps
from bench.accuracy.peers import departures, flips, leaps, stays
from bench.accuracy.truth import Visit, behind_last_percent, compared, thinned, visits_seen
from collector.detect import Finding, Level, Phase, stamp
from collector.detect.geo import Shapes
from plomba.tracks import Row
from tests.collector.detect.worlds import line, place, shapes_of, square

T0_MS = 1_795_330_000_000


def rows(*points: tuple[float, float, float], unit: str = "u") -> list[Row]:
    """Second, metres east, metres north."""
    placed = [(t_s, place(x_m, y_m)) for t_s, x_m, y_m in points]
    return [
        Row(unit=unit, t_ms=T0_MS + round(t_s * 1_000), lat_e7=lat, lon_e7=lon)
        for t_s, (lat, lon) in placed
    ]


def yard() -> Shapes:
    return shapes_of(square("yard", 0, 0, 100))


def test_a_rule_of_membership_flips_on_one_sample() -> None:
    drive = rows((0, -300, 0), (10, 0, 0), (20, 300, 0), (30, 0, 0))
    found = flips(yard().zones, drive)
    assert found["u", "yard", "ZONE_ENTERED"] == [T0_MS + 10_000, T0_MS + 30_000]
    assert found["u", "yard", "ZONE_EXITED"] == [T0_MS + 20_000]
    assert stays(yard().zones, drive)["u", "yard"] == [
        (T0_MS + 10_000, T0_MS + 10_000),
        (T0_MS + 30_000, T0_MS + 30_000),
    ]


def test_a_corridor_by_so_many_samples_counts_departures() -> None:
    (road,) = shapes_of(line("road", [(0, 0), (10_000, 0)])).routes
    drive = rows(*((n, 100 * n, 60 if n in (3, 4, 8) else 0) for n in range(12)))
    assert departures(road, drive, width_m=50, samples=1) == 2
    assert departures(road, drive, width_m=50, samples=2) == 1
    assert departures(road, drive, width_m=50, samples=3) == 0


def test_a_filter_by_speed_counts_steps() -> None:
    assert leaps(rows((0, 0, 0), (1, 100, 0), (2, 110, 0)), speed_m_s=55) == 1


def test_transitions_are_matched_once_and_within_half_a_minute() -> None:
    key = ("u", "yard", "ZONE_ENTERED")
    found = compared({key: [0, 100_000]}, {key: [1_000, 2_000, 140_000]})
    assert found["truth"] == 2
    assert found["missed_percent"] == 50.0
    assert found["extra_percent"] == 100.0


def test_a_visit_is_seen_by_a_stay_or_thought_possible() -> None:
    def finding(code: str, t_s: int, window_s: tuple[int, int] | None = None) -> Finding:
        return Finding(
            id=bytes(16),
            n=0,
            code=code,
            level=Level.RECORD,
            priority=None,
            phase=Phase.POINT,
            unit="u",
            chain=None,
            seq=None,
            at_ms=T0_MS + t_s * 1_000,
            confirmed_ms=0,
            received_ms=None,
            late=None,
            zone="yard",
            data={}
            if window_s is None
            else {
                name: stamp(T0_MS + 1_000 * at_s)
                for name, at_s in zip(("t0", "t1"), window_s, strict=True)
            },
        )

    visits = [
        Visit(
            unit="u",
            zone="yard",
            entered_ms=T0_MS + begin * 1_000,
            exited_ms=T0_MS + (begin + 10) * 1_000,
            depth_m=depth,
        )
        for begin, depth in ((100, 50), (1_000, 10), (5_000, 50))
    ]
    said = [
        finding("ZONE_ENTERED", 101),
        finding("ZONE_EXITED", 108),
        finding("ZONE_POSSIBLE_VISIT", 1_005),
    ]
    assert visits_seen(visits, said) == {
        "confirmed_percent": 33.3,
        "no_visit_percent": 0.0,
        "possible_percent": 66.7,
        "deep_percent": 50.0,
        "window_percent": 66.7,
    }
    late = finding("ZONE_POSSIBLE_VISIT", 4_900, window_s=(4_880, 5_000))
    by_its_own_word = visits_seen(visits, [*said, late])
    assert (by_its_own_word["possible_percent"], by_its_own_word["window_percent"]) == (66.7, 100.0)


def test_a_visit_behind_the_last_row_is_nobodys_to_see() -> None:
    visit = Visit(unit="u", zone="yard", entered_ms=T0_MS + 11_000, exited_ms=None, depth_m=9)
    assert behind_last_percent([visit], rows((0, 0, 0), (10, 0, 0))) == 100.0
    assert behind_last_percent([visit], rows((0, 0, 0), (12, 0, 0))) == 0.0


def test_made_tracks_are_what_they_say() -> None:
    drive = rows(*((n, 20.0 * n, 0) for n in range(100)))
    put_in, moved = _with_jumps(drive)
    assert len(put_in) == 1
    assert sum(one.lat_e7 != other.lat_e7 for one, other in zip(drive, moved, strict=True)) > 40
    bent = _bent(drive, 50)
    assert bent[:51] == drive[:51]
    assert bent[99].lat_e7 != drive[99].lat_e7
    assert len(thinned(drive, 10)) == 10


def test_the_noise_of_a_parked_unit_repeats_under_its_seed() -> None:
    from random import Random  # noqa: PLC0415  # beside its only use

    one, other = (_standing(3_000, Random(7)) for _ in range(2))
    assert one == other
    assert len({(row.lat_e7, row.lon_e7) for row in one}) > 1_000
