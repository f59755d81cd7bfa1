"""What real receivers were seen to do, a test each (DEVICES section 3.9)."""

from datetime import date

from devices import FixKind, NoFixReason, TimeQuality
from devices.nmea import NmeaReader
from tests.devices.nmea_lines import (
    NOT_BEFORE,
    counted,
    fixes,
    gga,
    gll,
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
