"""Which day it is: rollover, midnight, leap second (DEVICES section 3.7)."""

from datetime import UTC, date, datetime

import pytest

from devices import Fix, TimeQuality
from devices.nmea import NmeaReader
from tests.devices.nmea_lines import counted, fixes, gga, lines, no_fixes, read, rmc

TWENTY_SIX = date(2026, 1, 1)
GNSS, ROLLED, TOD, NONE = TimeQuality.GNSS, TimeQuality.ROLLED, TimeQuality.TOD, TimeQuality.NONE


def told(*bodies: str, not_before: date = TWENTY_SIX) -> list[Fix]:
    return fixes(read(lines(*bodies), NmeaReader(not_before)))


def iso(fix: Fix) -> str | None:
    if fix.time_ms is None:
        return None
    return datetime.fromtimestamp(fix.time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("day", "expected", "quality"),
    [
        ("010126", "2026-01-01 05:00:10", GNSS),
        ("010327", "2027-03-01 05:00:10", GNSS),
        ("311225", "2045-08-16 05:00:10", ROLLED),  # a day before not_before: 1024 weeks on
        ("220899", "2038-11-21 05:00:10", ROLLED),  # 2048 weeks on
        ("170507", "2026-12-31 05:00:10", ROLLED),
        ("160845", "2045-08-16 05:00:10", GNSS),  # the last day of the window
        ("170845", None, TOD),  # 1024 weeks after it: cannot be
        ("311279", None, TOD),
        ("060180", None, TOD),  # still too early after 2048 weeks
    ],
)
def test_dates_are_put_right_by_whole_rollovers_or_not_believed(
    day: str, expected: str | None, quality: TimeQuality
) -> None:
    (fix,) = told(rmc(day=day))
    assert (iso(fix), fix.time_quality, fix.tod_ms) == (expected, quality, 18_010_000)


def test_rolled_and_unbelievable_dates_are_counted() -> None:
    reader = NmeaReader(TWENTY_SIX)
    read(lines(rmc(day="170507"), rmc("050011.00", day="311279"), rmc("050012.00")), reader)
    assert (reader.counters["rolled"], reader.counters["bad_date"]) == (1, 1)


def test_without_any_date_there_is_a_time_of_day_only() -> None:
    (fix,) = told(gga())
    assert (fix.time_ms, fix.tod_ms, fix.time_quality) == (None, 18_010_000, TOD)


def test_without_any_time_there_is_none() -> None:
    (fix,) = told(rmc(time=""))
    assert (fix.time_ms, fix.tod_ms, fix.time_quality) == (None, None, NONE)


def test_zda_gives_the_date_too() -> None:
    (fix,) = told("GPZDA,050010.00,01,03,2027,00,00", gga())
    assert iso(fix) == "2027-03-01 05:00:10"


@pytest.mark.parametrize("day", ["32,03,2027", "1,3,2027", "01,03,27", "01,,2027", "aa,03,2027"])
def test_a_zda_without_a_real_day_gives_none(day: str) -> None:
    zda = f"GPZDA,050010.00,{day},00,00"
    (fix,) = told(zda, gga())
    assert fix.time_ms is None
    assert counted(zda, gga()) == {"bad_field": 1, "bad_date": 1, "fixes": 1}


def test_a_void_rmc_gives_no_date() -> None:
    reader = NmeaReader(TWENTY_SIX)
    facts = read(lines(rmc(status="V"), gga(time="050011.00")), reader)
    assert [fact.time_ms for fact in no_fixes(facts)] == [None]
    assert [fix.time_ms for fix in fixes(facts)] == [None]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["235959.00", "000000.00", "000001.00"], ["03-01 23:59:59", "03-02 00:00:00", "03-02 00:00:01"]),
        (["000000.00", "235959.00"], ["03-01 00:00:00", "02-28 23:59:59"]),  # a clock that steps back
        (["100000.00", "215959.00"], ["03-01 10:00:00", "03-01 21:59:59"]),
        (["060000.00", "130000.00", "200000.00", "030000.00", "100000.00"],
         ["03-01 06:00:00", "03-01 13:00:00", "03-01 20:00:00", "03-02 03:00:00", "03-02 10:00:00"]),
    ],
)  # fmt: skip
def test_an_epoch_without_a_date_takes_the_last_one_over_midnight(
    times: list[str], expected: list[str]
) -> None:
    first, *rest = times
    found = told(rmc(time=first), *(gga(time=each) for each in rest))
    assert [iso(fix) for fix in found] == [f"2027-{each}" for each in expected]


def test_a_rolled_date_stays_rolled_for_those_that_take_it() -> None:
    found = told(rmc(day="170507"), gga(time="050011.00"), rmc("050012.00"), gga(time="050013.00"))
    assert [fix.time_quality for fix in found] == [ROLLED, ROLLED, GNSS, GNSS]


def test_an_unbelievable_date_is_not_replaced_by_the_one_before() -> None:
    found = told(rmc(), rmc("050011.00", day="311279"), gga(time="050012.00"))
    assert [iso(fix) for fix in found] == ["2027-03-01 05:00:10", None, "2027-03-01 05:00:12"]


def test_the_leap_second_is_the_last_millisecond_before_midnight() -> None:
    (leap, after) = told(rmc(time="235960.00"), gga(time="000000.00"))
    assert leap.time_ms is not None
    assert after.time_ms == leap.time_ms + 1


def test_a_clock_that_steps_back_is_still_a_clock() -> None:
    reader = NmeaReader(TWENTY_SIX)
    facts = read(lines(rmc(), rmc("050009.00"), rmc("050010.00")), reader)
    assert len(fixes(facts)) == 3
    assert reader.counters["time_backward"] == 1


def test_a_date_that_steps_back_counts_at_the_same_time_of_day() -> None:
    reader = NmeaReader(TWENTY_SIX)
    read(lines(rmc(), rmc("050011.00", day="280227")), reader)
    assert reader.counters["time_backward"] == 1


def test_midnight_without_a_date_is_no_step_back() -> None:
    assert "time_backward" not in counted(gga(time="235959.00"), gga(time="000000.00"))
    assert counted(gga(time="000000.00"), gga(time="235959.00"))["time_backward"] == 1
