"""Jamming, spoofing and what looks like them (DETECTION section 7.5; hard cases 22 to 24)."""

from collector.detect.engine import every_row
from tests.collector.detect.worlds import (
    At,
    Run,
    Unit,
    blobs,
    book_of,
    event,
    play,
    sky,
    square,
    told,
)
from wire.columns import Event
from wire.records import EventKind, FixFlag

TUNNEL = square("tunnel", 5_000, 0, 400, kind="tunnel")
BOOK = book_of(TUNNEL, square("post", 20_000, 0, 500, kind="border_post"))
JAM = FixFlag.JAMMING | 1


def tell(*records: At | Event) -> Run:
    """The same with every row stepped, and record by record."""
    seen = play(BOOK, [Unit().batch(*records)])
    assert told(seen) == told(play(BOOK, [Unit().batch(*records)], screen=every_row))
    unit = Unit()
    cut = play(BOOK, [unit.batch(record) for record in records], cut=1)
    assert told(seen) == told(cut)
    assert blobs(seen) == blobs(cut)
    return seen


def classes(run_: Run) -> list[tuple[object, str, float]]:
    """Class, phase, second."""
    return [
        (f.value, f.phase.value, (f.at_ms - 1_795_330_000_000) / 1_000)
        for f in run_.findings
        if f.code == "GNSS_INTERFERENCE"
    ]


def road(
    from_s: float, to_s: float, each_s: float = 5, m_s: float = 15, flags: int = 1
) -> list[At]:
    steps = int((to_s - from_s) / each_s) + 1
    return [
        At(
            t_s=from_s + each_s * n,
            x_m=m_s * (from_s + each_s * n),
            y_m=0,
            speed_m_s=m_s,
            flags=flags,
        )
        for n in range(steps)
    ]


def mixed(*records: At | Event) -> list[At | Event]:
    """In the order of their times, fixes first."""
    begin = 1_795_330_000_000
    keyed = [
        (record.t_s if isinstance(record, At) else (record.t_ms - begin) / 1_000, at, record)
        for at, record in enumerate(records)
    ]
    return [record for _, _, record in sorted(keyed, key=lambda row: row[:2])]


def test_a_receiver_that_says_jammed_for_ten_seconds_is_jammed() -> None:
    seen = tell(*mixed(*road(0, 300), sky(60, jam=1), sky(100, jam=3), sky(160, jam=1)))
    assert classes(seen) == [("jamming", "begin", 100), ("jamming", "end", 160)]
    begin = next(f for f in seen.findings if f.code == "GNSS_INTERFERENCE")
    assert begin.priority is not None
    assert begin.priority.value == "P2"
    assert (begin.confirmed_ms - begin.at_ms) == 10_000


def test_a_flag_that_flaps_is_no_jammer() -> None:
    assert classes(tell(*mixed(*road(0, 300), sky(100, jam=3), sky(101, jam=1), sky(150, jam=1)))) == []  # fmt: skip


def test_the_sky_falls_at_once_and_a_fade_does_not() -> None:
    steady = [sky(t_s, cn0=4_500) for t_s in range(0, 100, 10)]
    fallen = [*steady, sky(104, cn0=2_300), *(sky(t_s, cn0=2_300) for t_s in range(110, 200, 10))]
    back = [sky(t_s, cn0=4_500) for t_s in range(200, 320, 10)]
    assert classes(tell(*mixed(*road(0, 320), *fallen, *back))) == [
        ("jamming", "begin", 104),
        ("jamming", "end", 200),
    ]
    fade = [sky(100 + 10 * n, cn0=4_500 - 200 * n) for n in range(12)]
    assert classes(tell(*mixed(*road(0, 320), *steady, *fade))) == []


def test_a_fix_lost_under_weak_satellites_while_messages_arrive_is_jamming() -> None:
    lost = [sky(t_s, state=2, cn0=None, strong=1) for t_s in range(105, 160, 10)]
    seen = tell(*mixed(*road(0, 100), sky(95, cn0=None), *lost, *road(300, 400), sky(300, cn0=None), sky(380, cn0=None)))  # fmt: skip
    assert classes(seen) == [("jamming", "begin", 105), ("jamming", "end", 300)]


def test_case_23_a_tunnel_is_no_jammer_and_a_jammer_at_its_mouth_is_one() -> None:
    """The tunnel lies between 4,600 and 5,400 m: seconds 307 to 360."""
    inside = [sky(t_s, jam=3) for t_s in (320, 340)]
    out = [sky(365, jam=1), sky(425, jam=1)]
    assert classes(tell(*mixed(*road(0, 300), *inside, *road(365, 600), *out))) == []
    mouth = [sky(t_s, jam=3) for t_s in (320, 340, 380, 425, 440, 470)]
    seen = tell(*mixed(*road(0, 300), *mouth, *road(365, 600), sky(520, jam=1)))
    assert [row[:2] for row in classes(seen)] == [("jamming", "begin"), ("jamming", "end")]
    assert classes(seen)[0][2] > 420  # a minute behind the tunnel


def test_case_24_a_receiver_that_always_hears_all_alike_is_not_spoofed() -> None:
    flat = [sky(t_s, std=200) for t_s in range(0, 200, 10)]
    assert classes(tell(*mixed(*road(0, 200), *flat))) == []
    turned = [sky(t_s, std=600) for t_s in range(0, 100, 10)]
    turned += [sky(t_s, std=120) for t_s in range(100, 150, 10)]
    assert classes(tell(*mixed(*road(0, 200), *turned))) == [("spoofing", "begin", 100)]


def test_a_receiver_that_says_spoofed_is_believed_after_ten_seconds() -> None:
    seen = tell(*mixed(*road(0, 300), sky(100, spoof=2), sky(130, spoof=1)))
    assert classes(seen) == [("spoofing", "begin", 100), ("spoofing", "end", 130)]


def test_flags_of_fixes_count_as_well() -> None:
    seen = tell(*road(0, 100), *road(105, 150, flags=JAM), *road(155, 300))
    assert classes(seen) == [("jamming", "begin", 105), ("jamming", "end", 155)]


def test_case_22_a_slow_drag_off_while_the_odometer_tells_the_truth() -> None:
    """GNSS drifts off at 1 m/s from a lorry that drives 20 m/s."""
    honest = [event(t_s, EventKind.ODOMETER, 20 * t_s, "can") for t_s in range(0, 200, 10)]
    slow = [
        At(t_s=t_s, x_m=20 * min(t_s, 60) + 1.0 * max(0, t_s - 60), y_m=0, speed_m_s=1)
        for t_s in range(0, 200, 5)
    ]
    seen = tell(*mixed(*slow, *honest))
    assert [row[:2] for row in classes(seen)] == [("spoofing", "begin")]
    fair = [At(t_s=t_s, x_m=20 * t_s, y_m=0, speed_m_s=20) for t_s in range(0, 200, 5)]
    assert classes(tell(*mixed(*fair, *honest))) == []


def test_a_place_that_freezes_while_the_unit_drives_is_told_and_a_parked_one_is_not() -> None:
    frozen = [At(t_s=t_s, x_m=1_500, y_m=0, speed_m_s=15) for t_s in range(105, 200, 5)]
    seen = tell(*road(0, 100), *frozen, *road(210, 260))
    assert [row[:2] for row in classes(seen)] == [("frozen", "begin"), ("frozen", "end")]
    parked = [At(t_s=t_s, x_m=1_500, y_m=0, speed_m_s=0) for t_s in range(105, 400, 5)]
    assert classes(tell(*road(0, 100), *parked)) == []


def test_a_receivers_clock_that_jumps_back_is_told_after_three_fixes() -> None:
    jump = event(100, EventKind.CLOCK, 2, 1_795_330_100_000, 1_795_330_000_000, 3)
    seen = tell(*mixed(*road(0, 95), jump, *road(105, 300)))
    assert [row[:2] for row in classes(seen)] == [("time_jump", "begin"), ("time_jump", "end")]
    small = event(100, EventKind.CLOCK, 2, 1_795_330_100_000, 1_795_330_110_000, 3)
    assert classes(tell(*mixed(*road(0, 95), small, *road(105, 300)))) == []


def test_three_outliers_in_ten_minutes_are_a_class() -> None:
    rows: list[At] = []
    for row in road(0, 400):
        rows.append(row)
        if row.t_s in (100, 200, 300):
            rows.append(At(t_s=row.t_s + 2, x_m=row.x_m + 90_000, y_m=0))
    assert [row[0] for row in classes(tell(*rows))] == ["outliers"]


def test_driving_for_ten_minutes_without_a_fix_is_told() -> None:
    wheels = [event(t_s, EventKind.ODOMETER, 20 * t_s, "can") for t_s in range(0, 1_500, 60)]
    seen = tell(*mixed(*road(0, 300), *wheels, *road(1_500, 1_600)))
    assert [row[:2] for row in classes(seen)] == [("no_fix", "begin"), ("no_fix", "end")]


def test_an_antenna_that_is_cut_is_a_fault() -> None:
    seen = tell(*mixed(*road(0, 200), sky(50, antenna="OPEN"), sky(60, antenna="OPEN"), sky(90, antenna="OK")))  # fmt: skip
    faults = [(f.code, f.phase.value, f.value) for f in seen.findings if f.code == "DEVICE_FAULT"]
    assert faults == [("DEVICE_FAULT", "begin", "antenna"), ("DEVICE_FAULT", "end", "antenna")]


def test_interference_silences_no_zone_and_is_named_beside_it() -> None:
    seen = tell(*mixed(*road(0, 1_500, each_s=10), sky(1_000, jam=3)))
    entered = next(f for f in seen.findings if f.code == "ZONE_ENTERED" and f.zone == "post")
    assert entered.data["gnss"] == ["jamming"]
