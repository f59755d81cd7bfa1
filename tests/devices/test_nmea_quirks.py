"""What real receivers were seen to do, a test each (DEVICES section 3.9)."""

from datetime import date

import pytest

from devices import FixKind, NoFixReason, TimeQuality
from devices.nmea import NmeaReader
from tests.devices.nmea_lines import (
    NOT_BEFORE,
    counted,
    fixes,
    gga,
    gll,
    gns,
    line,
    lines,
    no_fixes,
    odds,
    read,
    rmc,
)


def test_blank_rmc_before_the_first_fix_is_a_receiver_without_a_fix() -> None:
    facts = read(lines("GPRMC,,V,,,,,,,,,,N", "GPGGA,,,,,,0,00,99.99,,,,,,", "GPVTG,,,,,,,,,N"))
    (blank,) = no_fixes(facts)
    assert (blank.reason, blank.time_ms) == (NoFixReason.VOID, None)
    assert fixes(facts) == []


def test_a_longitude_with_an_empty_quality_while_rmc_says_void() -> None:
    facts = read(
        lines("GPGGA,050010.00,,,06914.50000,E,,00,,,M,,M,,", "GPRMC,050010.00,V,,,,,,,010327,,,N")
    )
    assert fixes(facts) == []
    assert [fact.reason for fact in no_fixes(facts)] == [NoFixReason.VOID]


def test_quality_1_with_no_satellite_for_minutes_is_no_fix() -> None:
    bodies = [gga(time=f"05{minute:02d}10.00", sats="00") for minute in range(5)]
    facts = read(lines(*bodies))
    assert fixes(facts) == []
    assert [fact.reason for fact in no_fixes(facts)] == [NoFixReason.TOO_FEW_SATS] * 5


def test_after_the_rollover_of_2019_the_year_is_minus_one_and_then_1999() -> None:
    """Telit HE910, just after 6 April 2019."""
    data = lines(
        "GPRMC,000231.099,A,4829.0005,N,00022.0015,E,0.15,212.28,2208-1,,,A",
        "GPRMC,000231.42,A,4829.0005,N,00022.0016,E,0.16,212.28,220899,,,A",
    )
    minus_one, after = fixes(read(data, NmeaReader(date(2009, 5, 21))))
    assert (minus_one.time_ms, minus_one.time_quality) == (None, TimeQuality.TOD)
    assert (after.time_ms, after.time_quality) == (1_554_595_351_420, TimeQuality.ROLLED)


def test_gll_with_three_decimals_beside_gga_with_two_makes_two_harmless_epochs() -> None:
    found = fixes(read(lines(gga(time="050010.48"), gll(time="050010.487"))))
    assert [fix.said_by for fix in found] == [("GGA",), ("GLL",)]
    assert len({(fix.lat_e7, fix.lon_e7) for fix in found}) == 1


def test_two_receivers_on_one_bus_one_second_apart_both_count() -> None:
    bodies = []
    for second in range(10, 15):
        bodies += [rmc(time=f"0500{second}.00"), rmc(time=f"0500{second - 1:02d}.00")]
    reader = NmeaReader(NOT_BEFORE)
    assert len(fixes(read(lines(*bodies), reader))) == 10
    assert reader.counters["time_backward"] == 5


def test_rmc_gll_and_gga_in_turn_one_a_second_are_a_fix_each() -> None:
    bodies = [rmc(time="050010"), gll(time="050011"), gga(time="050012"), rmc(time="050013")]
    found = fixes(read(lines(*bodies)))
    assert [fix.said_by for fix in found] == [("RMC",), ("GLL",), ("GGA",), ("RMC",)]
    assert [fix.time_ms is not None for fix in found] == [True] * 4


def test_gptxt_without_a_checksum_is_refused_and_shown() -> None:
    reader = NmeaReader(NOT_BEFORE)
    facts = read(b"$GPTXT,01,01,02,ANTSTATUS=OPEN\r\n" + line(rmc()), reader)
    assert [odd.reason for odd in odds(facts)] == ["no_checksum"]
    assert len(fixes(facts)) == 1


def test_a_checksum_in_lower_case_is_a_checksum() -> None:
    upper = line(gga(sats="10"))  # *4D
    lower = upper[:-4] + upper[-4:].lower()
    assert lower != upper
    assert len(fixes(read(lower))) == 1


def test_a_simulator_says_void_and_quality_8() -> None:
    """Garmin GPSmap 76S in its simulator mode: never a fix, whatever the other sentences claim."""
    facts = read(lines(rmc(status="V")[:-1] + "S", gga(quality="8"), gll(status="V", mode="S")))
    assert [fact.reason for fact in no_fixes(facts)] == [NoFixReason.CONTRADICTION]
    assert fixes(read(line(gga(quality="8"))))[0].kind is FixKind.SIMULATED


def test_two_sentences_run_together_are_refused() -> None:
    """Some Garmins do it with a valid checksum, once in about a thousand."""
    assert counted(rmc() + gga()) == {"too_long": 1}


@pytest.mark.parametrize("place", ["8960.0000,N,00000.0000,E", "36000.0000,N,72000.0000,E"])
@pytest.mark.parametrize("claims", [[gga()], [gga(), gll()]])
def test_a_void_receiver_is_believed_however_wild_the_place_it_prints(
    place: str, claims: list[str]
) -> None:
    """MediaTek 3301 and Globalsat TN-200, cold: their "no" is meant, whatever stands beside it."""
    void = rmc(status="V", place=place)
    facts = read(lines(void, *claims))
    assert [fact.reason for fact in no_fixes(facts)] == [NoFixReason.CONTRADICTION]
    assert fixes(facts) == []
    alone = read(lines(void, gga(quality="0", place=place), gll(status="V", place=place)))
    assert [fact.reason for fact in no_fixes(alone)] == [NoFixReason.VOID]
    assert counted(gns(modes="NN", place=place)) == {"bad_field": 1, "no_fixes": 1}


@pytest.mark.parametrize("body", [
    rmc(place="8960.0000,N,00000.0000,E"), gga(place="8960.0000,N,00000.0000,E"),
    gll(place="8960.0000,N,00000.0000,E"), gns(place="8960.0000,N,00000.0000,E"),
])  # fmt: skip
def test_a_wild_place_that_is_claimed_spoils_its_sentence(body: str) -> None:
    assert counted(body) == {"bad_field": 1}


def test_a_receiver_that_loses_its_clock_with_its_fix_takes_the_last_fix_back_no_more() -> None:
    """Seen in a capture at 1 Hz: in a file, or where bytes arrive late, nothing but the names tell the seconds apart."""
    blank = ["GPVTG,,T,,M,,N,,K,N", "GPRMC,,V,,,,,,,,,,N", "GPGGA,,,,,,0,,,,,,,,"]
    good = [rmc(time="050010"), gga(time="050010")]
    facts = read(lines(*good, *blank, *blank, *blank))
    assert [fix.said_by for fix in fixes(facts)] == [("RMC", "GGA")]
    assert [(fact.time_ms, fact.reason) for fact in no_fixes(facts)] == [
        (None, NoFixReason.VOID)
    ] * 3


def test_blank_sentences_of_several_talkers_are_one_instant() -> None:
    """SiRFstar V says GPGGA and GLGGA: only the same name again begins a new one."""
    blank = ["GPGGA,,,,,,0,,,,,,,,", "GLGGA,,,,,,0,,,,,,,,", "GNGLL,,,,,,V,N"]
    assert len(no_fixes(read(lines(*blank, *blank)))) == 2


@pytest.mark.parametrize(("bodies", "kind"), [
    ([gga(quality="1"), rmc()[:-1] + "E"], FixKind.DEAD_RECKONING),
    ([rmc()[:-1] + "E", gga(quality="2")], FixKind.DEAD_RECKONING),
    ([gga(quality="6"), rmc()], FixKind.DEAD_RECKONING),
    ([gga(quality="1"), gll(mode="M")], FixKind.MANUAL),
    ([gga(quality="1"), gll(mode="S"), rmc()[:-1] + "E"], FixKind.SIMULATED),
    ([gga(quality="7"), rmc()[:-1] + "D"], FixKind.MANUAL),
    ([gga(quality="1"), rmc()[:-1] + "D"], FixKind.GNSS),
    ([gga(quality="4"), rmc()], FixKind.RTK_FIXED),
])  # fmt: skip
def test_one_word_that_a_place_was_not_measured_outweighs_the_others(
    bodies: list[str], kind: FixKind
) -> None:
    [fix] = fixes(read(lines(*bodies)))
    assert fix.kind is kind


def test_a_deviation_of_thousands_of_km_is_none_and_no_wrong_field() -> None:
    """u-blox LEA-5Q before its first fix."""
    bodies = [rmc(time="001909.00"), "GPGST,001909.00,0.0000,,,,305944,305939,62296"]
    [fix] = fixes(read(lines(*bodies)))
    assert fix.err_cm is None
    assert counted(*bodies) == {"fixes": 1}
    assert counted(rmc(time="001909.00"), "GPGST,001909.00,0.0,,,,-1,1,1")["bad_field"] == 1
