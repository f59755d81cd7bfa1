"""EDGE section 2, the profile table: which fixes are kept, and the promises about those that are not."""

import csv
import gzip
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from math import atan2, degrees, hypot

import pytest
from hypothesis import given, settings, strategies as st

from agent import Kept
from agent.recorder.core import Recorder
from agent.recorder.facts import Stop
from agent.recorder.plane import Point, metres, off_line_m, reckoned_off_m
from agent.recorder.settings import Profile, RecorderSettings
from devices import Fix, FixKind
from tests.agent.facts import UTC, at, events, fix_at, fixes
from tests.shared_data import shared
from wire.records import EventKind, FixFlag, FixRecord, WireFixKind

SLACK_M = 0.02  # the plane is laid round another point than the one that the recorder took


def drive(
    one: Recorder, seconds: int, *, speed_m_s: float, begin_s: int = 0, north_m: float = 0.0
) -> list[Kept]:
    """Northwards at 1 Hz."""
    kept: list[Kept] = []
    for second in range(begin_s, begin_s + seconds):
        fix = fix_at(
            second * 1_000,
            north_m=north_m + (second - begin_s) * speed_m_s,
            speed_cm_s=round(speed_m_s * 100),
        )
        kept += one.take(fix, at(second * 1_000), "gps")
    return kept


def recorder(*, sealed: bool = False, pressure: int = 0) -> Recorder:
    one = Recorder(RecorderSettings())
    one.armed({"seal"} if sealed else ())
    one.pressure(pressure)
    return one


@pytest.mark.parametrize(
    ("sealed", "pressure", "speed_m_s", "every_s"),
    [
        (True, 0, 10.0, 1),
        (False, 0, 10.0, 15),
        (False, 0, 20.0, 13),  # 250 m come first
        (True, 1, 10.0, 5),
        (False, 1, 10.0, 5),
        (True, 2, 10.0, 30),
        (True, 3, 10.0, 60),
        (True, 0, 0.0, 10),
        (False, 0, 0.0, 60),
        (True, 1, 0.0, 60),
        (True, 2, 0.0, 120),
    ],
)
def test_a_straight_and_even_way_is_kept_as_often_as_its_profile_says(
    *, sealed: bool, pressure: int, speed_m_s: float, every_s: int
) -> None:
    one = recorder(sealed=sealed, pressure=pressure)
    drive(one, 200, speed_m_s=speed_m_s)
    times = [
        record.t_ms
        for record in fixes(
            drive(one, 600, speed_m_s=speed_m_s, begin_s=200, north_m=200 * speed_m_s)
        )
    ]
    steps = {after - before for before, after in pairwise(times)}
    assert steps == {every_s * 1_000}


@pytest.mark.parametrize(
    ("second", "changed"),
    [
        ("turn", {"course_cdeg": 2_600}),
        ("speed", {"speed_cm_s": 1_600}),
        ("kind", {"kind": FixKind.DGNSS}),
        ("gap", {"late_ms": 6_000}),
    ],
)
def test_each_column_keeps_by_itself(second: str, changed: dict[str, object]) -> None:
    one = recorder()
    drive(one, 20, speed_m_s=10.0)
    late_ms = changed.pop("late_ms", 0)
    assert isinstance(late_ms, int)
    now = 20_000 + late_ms
    arguments = {"north_m": now / 100, "speed_cm_s": 1_000, **changed}
    kept = fixes(one.take(fix_at(now, **arguments), at(now), "gps"))  # type: ignore[arg-type]  # a row of the table
    assert kept[-1].t_ms == UTC + now, second


def test_when_the_newest_fix_breaks_the_line_the_one_before_is_kept() -> None:
    one = recorder()
    drive(one, 18, speed_m_s=10.0)  # motion begins at 2 s, so 17 s is kept
    assert one.take(fix_at(18_000, north_m=180, speed_cm_s=1_000), at(18_000), "gps") == []
    off = fix_at(19_000, north_m=190, east_m=14, speed_cm_s=1_000)
    assert [record.t_ms for record in fixes(one.take(off, at(19_000), "gps"))] == [UTC + 18_000]


def test_the_last_fix_before_a_gap_is_kept_even_if_nothing_comes_after_it() -> None:
    one = recorder()
    drive(one, 19, speed_m_s=10.0)
    assert one.next_deadline() == 18_000 + 5_001
    assert [record.t_ms for record in fixes(one.wake(at(23_001)))] == [UTC + 18_000]


def test_a_doubted_fix_is_flagged_and_never_dropped_but_at_most_one_a_second() -> None:
    one = recorder()
    drive(one, 3, speed_m_s=10.0)
    kept = one.take(fix_at(3_000, north_m=5_000), at(3_000), "gps")
    record = fixes(kept)[-1]
    assert record.flags & FixFlag.DOUBTED
    assert record.lat_e7 == pytest.approx(5_000 * 89.83, abs=10)
    for ms in range(3_100, 3_900, 100):
        far = fix_at(ms, north_m=(ms % 200) * 100)
        assert fixes(one.take(far, at(ms), "gps")) == []
    assert one.counters["fix_doubted_limited"] == 8


def test_manual_and_simulated_places_are_counted_and_no_evidence() -> None:
    one = recorder()
    for kind in (FixKind.MANUAL, FixKind.SIMULATED):
        assert fixes(one.take(fix_at(0, kind=kind), at(0), "gps")) == []
    assert (one.counters["fix_manual"], one.counters["fix_simulated"]) == (1, 1)


def test_nmea_numbers_the_two_kinds_of_rtk_the_other_way() -> None:
    for kind, number in (
        (FixKind.RTK_FIXED, WireFixKind.RTK_FIXED),
        (FixKind.RTK_FLOAT, WireFixKind.RTK_FLOAT),
        (FixKind.PPS, WireFixKind.PRECISE),
    ):
        (record,) = fixes(recorder().take(fix_at(0, kind=kind), at(0), "gps"))
        assert record.flags & 7 == number


def test_a_fix_without_a_date_is_stamped_by_the_unit_and_says_so() -> None:
    (record,) = fixes(recorder().take(fix_at(5_000, dated=False), at(5_000), "gps"))
    assert (record.t_ms, bool(record.flags & FixFlag.UNIT_CLOCK)) == (UTC + 5_000, True)


def test_motion_begins_with_three_fast_fixes_and_ends_after_a_minute_within_thirty_metres() -> None:
    one = recorder()
    assert one.moving is None
    kept = drive(one, 62, speed_m_s=0.0)
    assert [r.data for r in events(kept, EventKind.MOTION)] == [(0, 0)]
    kept = drive(one, 3, speed_m_s=5.0, begin_s=62)
    assert [r.data for r in events(kept, EventKind.MOTION)] == [(1, 0)]
    assert [r.t_ms for r in fixes(kept)] == [
        UTC + 63_000,
        UTC + 64_000,
    ]  # last of the stand, first of the way
    assert fixes(kept)[-1].flags & FixFlag.MOVING
    kept = drive(one, 59, speed_m_s=0.0, begin_s=65, north_m=15)
    assert events(kept, EventKind.MOTION) == []
    kept = drive(one, 10, speed_m_s=0.0, begin_s=124, north_m=15)
    assert [r.data for r in events(kept, EventKind.MOTION)] == [(0, 0)]


def test_creeping_away_from_the_anchor_is_motion() -> None:
    one = recorder()
    drive(one, 70, speed_m_s=0.0)
    kept = drive(one, 80, speed_m_s=0.5, begin_s=70)
    assert [r.data for r in events(kept, EventKind.MOTION)][:1] == [(1, 0)]


def test_a_fast_receiver_is_cut_to_what_the_profile_asks() -> None:
    one = recorder(sealed=True)
    kept = 0
    for tick in range(600):  # 10 Hz for a minute
        now = tick * 100
        fix = fix_at(now, north_m=tick * 1.0, speed_cm_s=1_000)
        kept += len(fixes(one.take(fix, at(now), "gps")))
    assert 60 <= kept <= 72


STEPS = st.tuples(
    st.sampled_from((1_000, 1_000, 1_000, 200, 5_000)),
    st.floats(-40, 40),
    st.floats(-40, 40),
    st.none() | st.integers(0, 4_000),
    st.none() | st.integers(0, 35_999),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=120), st.sampled_from((1, 2, 5, 10)))
def test_e32_no_dropped_fix_lies_outside_the_line_and_no_map_is_led_astray(
    steps: list[tuple[int, float, float, int | None, int | None]], line_m: int
) -> None:
    profile = Profile(time_s=15, line_m=line_m, ahead_m=25)
    one = Recorder(RecorderSettings(open_moving=profile, open_standing=profile))
    now, north_m, east_m = 0, 0.0, 0.0
    heard: list[Fix] = []
    kept: list[Kept] = []
    for step_ms, d_north, d_east, speed, course in steps:
        now += step_ms
        north_m += d_north
        east_m += d_east
        fix = fix_at(now, north_m=north_m, east_m=east_m, speed_cm_s=speed, course_cdeg=course)
        due = one.next_deadline()
        kept += one.wake(at(now)) if due is not None and due <= now else []
        kept += one.take(fix, at(now), "gps")
        heard.append(fix)
    kept += one.take(Stop(cause=1), at(now + 1), "unit")
    if one.counters["fix_limited"] or one.counters["fix_doubted_limited"]:
        return  # a flood is cut, and counted: it promises nothing
    check_promises(heard, fixes(kept), line_m=line_m, ahead_m=25)


def check_promises(
    heard: list[Fix], kept: list[FixRecord], *, line_m: float, ahead_m: float | None
) -> list[float]:
    """How far each dropped fix lies from its line; each within the promise."""
    offs: list[float] = []
    times = {record.t_ms for record in kept}
    after = 0
    for fix in heard:
        assert fix.time_ms is not None
        if fix.time_ms in times:
            continue
        while kept[after].t_ms < fix.time_ms:
            after += 1
        raw = Point(t_ms=fix.time_ms, lat_e7=fix.lat_e7, lon_e7=fix.lon_e7)
        before = kept[after - 1]
        off_m = off_line_m(point(before), point(kept[after]), raw)
        assert off_m <= line_m + SLACK_M
        offs.append(off_m)
        if ahead_m is not None:
            astray_m = reckoned_off_m(
                point(before), raw, speed_cm_s=before.speed_cm_s, course_cdeg=before.course_cdeg
            )
            assert astray_m <= ahead_m + SLACK_M
    return offs


def point(record: FixRecord) -> Point:
    return Point(t_ms=record.t_ms, lat_e7=record.lat_e7, lon_e7=record.lon_e7)


@pytest.mark.long
def test_on_real_drives_open_keeps_one_fix_of_eight_within_its_promises() -> None:
    heard_all = kept_all = 0
    offs: list[float] = []
    for track in real_tracks():
        profile = RecorderSettings().open_moving
        one = Recorder(RecorderSettings(open_standing=profile))
        kept: list[Kept] = []
        for fix in track:
            now = fix.at_ms - track[0].at_ms
            due = one.next_deadline()
            kept += one.wake(at(now)) if due is not None and due <= now else []
            kept += one.take(fix, at(now), "gps")
        kept += one.take(Stop(cause=1), at(track[-1].at_ms - track[0].at_ms), "unit")
        heard_all += len(track)
        kept_all += len(fixes(kept))
        offs += check_promises(track, fixes(kept), line_m=5, ahead_m=25)
    offs.sort()
    assert heard_all / kept_all > 6.5
    assert offs[len(offs) // 2] < 1.7
    assert offs[-1] <= 5 + SLACK_M


def real_tracks() -> list[list[Fix]]:
    """Ten of the kubicka drives; speed and course are those of the last second's way."""
    path = shared("traces", "kubicka", "tracks.csv.gz")
    rows: dict[str, list[Point]] = defaultdict(list)
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            stamp = datetime.fromisoformat(row["time"]).timestamp()
            rows[row["unit"]].append(
                Point(
                    t_ms=round(stamp * 1_000),
                    lat_e7=round(float(row["lat"]) * 1e7),
                    lon_e7=round(float(row["lon"]) * 1e7),
                )
            )
            if len(rows) > 10:
                break
    return [
        [moved(before, now) for before, now in pairwise(points)]
        for points in list(rows.values())[:10]
    ]


def moved(before: Point, now: Point) -> Fix:
    north, east = metres(before, now.lat_e7, now.lon_e7)
    passed_ms = max(now.t_ms - before.t_ms, 1)
    fix = fix_at(
        0,
        speed_cm_s=min(round(hypot(north, east) * 100_000 / passed_ms), 65_535),
        course_cdeg=round(degrees(atan2(east, north)) * 100) % 36_000,
        time_ms=now.t_ms,
    )
    fields = {name: getattr(fix, name) for name in fix.__dataclass_fields__}
    return Fix(**{**fields, "at_ms": now.t_ms, "lat_e7": now.lat_e7, "lon_e7": now.lon_e7})
