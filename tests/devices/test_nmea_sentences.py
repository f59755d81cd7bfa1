"""pynmea2's traps, and what our own layer makes of each (DEVICES section 3.3), field by field (3.6)."""

import pynmea2
import pytest

from devices import FixKind, NoFixReason
from devices.nmea.fields import half_up, read_date, read_number, read_place, read_time
from devices.nmea.sentences import read as read_sentence
from tests.devices.nmea_lines import (
    PLACE,
    counted,
    fixes,
    gga,
    gll,
    gns,
    line,
    lines,
    no_fixes,
    one_fix,
    read,
    rmc,
)

BLANK = ",,,"


# The traps


def test_trap_a_blank_place_is_no_place_and_never_null_island() -> None:
    body = gga(place=BLANK)
    assert pynmea2.parse(line(body).decode()).latitude == 0.0  # the trap
    told = read(line(body))
    assert fixes(told) == []
    assert [fact.reason for fact in no_fixes(told)] == [NoFixReason.NO_POSITION]


@pytest.mark.parametrize(
    "half", ["4118.10100,N,,", ",,06914.50000,E", "4118.10100,,06914.50000,E", ",N,,E"]
)
def test_trap_half_a_place_is_no_place(half: str) -> None:
    assert fixes(read(line(rmc(place=half)))) == []


def test_trap_a_missing_checksum_is_refused_before_pynmea2_sees_it() -> None:
    bare = "$" + rmc()
    assert pynmea2.parse(bare).status == "A"  # the trap
    assert fixes(read(bare.encode() + b"\r\n")) == []


def test_trap_a_date_that_will_not_convert_is_no_date() -> None:
    body = rmc(day="2208-1")
    assert pynmea2.parse(line(body).decode()).datestamp == "2208-1"  # the trap: text
    fix = one_fix(body)
    assert (fix.time_ms, fix.tod_ms) == (None, 18_010_000)
    assert counted(body) == {"bad_field": 1, "bad_date": 1, "fixes": 1}


def test_trap_second_60_is_the_last_millisecond_of_its_minute() -> None:
    body = rmc(time="235960.00")
    assert isinstance(pynmea2.parse(line(body).decode()).timestamp, str)  # the trap
    assert one_fix(body).tod_ms == 86_399_999


def test_trap_a_number_that_will_not_convert_is_none() -> None:
    body = gga().replace("455.1", "45x.1")
    assert pynmea2.parse(line(body).decode()).altitude == "45x.1"  # the trap
    assert one_fix(body).alt_dm is None
    assert counted(body) == {"bad_field": 1, "fixes": 1}


@pytest.mark.parametrize(
    "place",
    [
        "41x8.10100,N,06914.50000,E",
        "4160.00000,N,06914.50000,E",  # minutes end at 59.99
        "9000.00001,N,06914.50000,E",
        "36000.0000,N,72000.0000,E",  # tn200, before its first fix
        "4118.10100,N,18000.00001,E",
        "4118.10100,X,06914.50000,E",
        "4118.10100,N,06914.50000,N",
        "418.10100,N,06914.50000,E",
        "-118.10100,N,06914.50000,E",
        "4118.1.100,N,06914.50000,E",
    ],
)
def test_trap_a_malformed_place_refuses_the_sentence(place: str) -> None:
    assert counted(rmc(place=place)) == {"bad_field": 1}


@pytest.mark.parametrize("time", ["240000.00", "056000", "050061", "0500", "05:00:10", "050010.x"])
def test_a_wrong_time_refuses_the_sentence(time: str) -> None:
    assert counted(rmc(time=time)) == {"bad_field": 1}


@pytest.mark.parametrize(
    "body", [rmc(status="X"), gll(status="1"), gga(quality="9"), gga(quality="A")]
)
def test_a_wrong_status_refuses_the_sentence(body: str) -> None:
    assert counted(body) == {"bad_field": 1}


def test_trap_pynmea2_refuses_a_star_in_the_text_and_we_count_it() -> None:
    assert counted("GPTXT,01,01,02,a*b") == {"bad_field": 1}


@pytest.mark.parametrize(
    ("day", "expected"),
    [("010327", (2027, 3, 1)), ("220899", (1999, 8, 22)), ("060180", (1980, 1, 6)), ("311279", (2079, 12, 31))],
)  # fmt: skip
def test_trap_years_from_80_are_19yy_and_no_earlier_ones(
    day: str, expected: tuple[int, int, int]
) -> None:
    read_day = read_date(day)
    assert read_day is not None
    assert (read_day.year, read_day.month, read_day.day) == expected


@pytest.mark.parametrize("day", ["", "310227", "2208-1", "01032027", "1327", "+10327", "000127"])
def test_a_date_has_six_digits_and_is_a_real_day(day: str) -> None:
    assert read_date(day) is None


def test_trap_a_truncated_gsv_is_counted_and_does_no_harm() -> None:
    body = "GPGSV,3"
    assert counted(body, rmc()) == {"bad_field": 1, "fixes": 1}


def test_trap_unknown_types_are_counted() -> None:
    with pytest.raises(pynmea2.ParseError):
        pynmea2.parse(line("GPXYZ,1").decode())  # the trap
    assert counted("GPXYZ,1", "GP", "", ",") == {"unknown": 4}


def test_trap_a_proprietary_name_that_ends_like_a_generic_one_is_not_it() -> None:
    assert counted("PGRMC,A,1,2,3", "PQGSV,1,1,00", "PRMC,1") == {"unknown": 3}


def test_an_encapsulated_sentence_is_never_taken_for_a_place() -> None:
    told = read(line(rmc()).replace(b"$", b"!"))
    assert fixes(told) == []


def test_a_sentence_cut_short_with_a_right_checksum_has_blank_fields() -> None:
    assert counted("GPRMC,050010.00,A") == {"no_fixes": 1}
    assert counted("GPGGA,") == {"no_fixes": 1}
    assert counted("GPVTG,", "GPZDA,", "GPGST,", "GPTXT,", "GPGLL,", "GNGNS,") == {"no_fixes": 1}
    assert counted("GPGGA") == {"bad_field": 1}


# Forms and ranges


@pytest.mark.parametrize(
    ("lat", "lat_e7"),
    [
        ("0000.0000,N", 0),
        ("0000.0000,S", 0),
        ("9000.0000,S", -900_000_000),
        ("4118.10100,N", 413_016_833),
        ("4134.49821229,N", 415_749_702),
        ("4118,N", 413_000_000),
        ("4118.,N", 413_000_000),
        ("3747.0873,S", -377_847_883),
    ],
)
def test_a_latitude_comes_from_its_digits_alone(lat: str, lat_e7: int) -> None:
    digits, north = lat.split(",")
    place = read_place(digits, north, "00000.0000", "E")
    assert place is not None
    assert (place.lat_e7, place.lon_e7) == (lat_e7, 0)


@pytest.mark.parametrize(
    ("time", "tod_ms"),
    [("", None), ("000000", 0), ("235959.999", 86_399_999), ("050010.1", 18_010_100), ("050010.1239", 18_010_123), ("050010.", 18_010_000)],
)  # fmt: skip
def test_a_time_is_milliseconds_of_its_day(time: str, tod_ms: int | None) -> None:
    assert read_time(time) == tod_ms


@pytest.mark.parametrize(
    ("text", "tenths"),
    [("455.1", 4551), ("-30.40", -304), ("+1", 10), (".5", 5), ("072.35", 724), ("-0.05", 0), ("7.", 70)],
)  # fmt: skip
def test_a_number_is_rounded_half_up(text: str, tenths: int) -> None:
    measure = read_number(text, low=-1_000, high=50_000, multiply=10)
    assert measure is not None
    assert (measure.scaled, measure.text) == (tenths, text)


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "1e3", "nan", "--1", "1.2.3", ".", "50000.1", "-1000.1"]
)
def test_what_is_no_number_in_range_is_none(text: str) -> None:
    assert read_number(text, low=-1_000, high=50_000, multiply=10) is None


def test_halves_go_up() -> None:
    assert [half_up(number, 2) for number in (-3, -1, 1, 3)] == [-1, 0, 1, 2]


@pytest.mark.parametrize(
    ("speed", "course", "expected"),
    [
        ("21.60", "90.0", (1111, 9000)),
        ("0.0", "0.0", (0, 0)),
        ("2000", "360.0", (102_889, 0)),
        ("2000.1", "360.1", (None, None)),
        ("-1", "-1", (None, None)),
        ("", "", (None, None)),
    ],
)
def test_speed_and_course_of_rmc(
    speed: str, course: str, expected: tuple[int | None, int | None]
) -> None:
    fix = one_fix(rmc().replace("21.60,90.0", f"{speed},{course}"))
    assert (fix.speed_cm_s, fix.course_cdeg) == expected


@pytest.mark.parametrize(
    ("vtg", "expected"),
    [
        ("180.0,T,,M,10.0,N,18.5,K,A", (514, 18000)),
        ("180.0,T,,M,,N,36.0,K,A", (1000, 18000)),  # km/h where there are no knots
        ("180.0,T,,M,10.0,N,18.5,K", (514, 18000)),  # before NMEA 2.3 there was no mode
        (",T,,M,,N,,K,A", (1111, 9000)),  # empty: RMC's word stays
        ("180.0,T,,M,10.0,N,18.5,K,N", (1111, 9000)),
        ("180.0,T,,M,10.0,N,18.5,K,E", (1111, 9000)),
        ("180.0,,,,10.0,,18.5,,A", (1111, 9000)),  # no unit, no value
    ],
)
def test_the_last_of_rmc_and_vtg_says_speed_and_course(vtg: str, expected: tuple[int, int]) -> None:
    fix = one_fix(rmc(), f"GPVTG,{vtg}")
    assert (fix.speed_cm_s, fix.course_cdeg) == expected
    before = one_fix(gga(), f"GPVTG,{vtg}", rmc())
    assert (before.speed_cm_s, before.course_cdeg) == (1111, 9000)


@pytest.mark.parametrize(
    ("hdop", "expected"),
    [("0.9", 90), ("0.00", None), ("99.0", None), ("99.99", None), ("98.99", 9899), ("", None)],
)
def test_hdop_that_says_nothing_is_none(hdop: str, expected: int | None) -> None:
    assert one_fix(gga().replace("08,0.9", f"08,{hdop}")).hdop_centi == expected


def test_hdop_comes_from_gsa_where_gga_has_none() -> None:
    gsa = "GPGSA,A,3,01,02,03,,,,,,,,,,1.8,1.1,1.5"
    assert one_fix(rmc(), gsa).hdop_centi == 110
    assert one_fix(gga(), gsa).hdop_centi == 90


def test_altitude_is_above_the_sea_in_metres_and_never_from_pgrmz() -> None:
    assert one_fix(gga()).alt_dm == 4551
    assert one_fix(gns()).alt_dm == 4551
    assert one_fix(gga().replace("455.1,M", "455.1,F")).alt_dm is None
    assert one_fix(rmc(), "PGRMZ,1493,f,3").alt_dm is None


def test_satellites_are_those_of_gga() -> None:
    assert one_fix(gga(sats="12")).sats == 12
    assert one_fix(rmc()).sats is None


def test_the_error_is_the_root_of_both_squares_of_gst() -> None:
    gst = "GPGST,050010.00,5.0,3.0,2.0,45.0,3.0,4.0,9.9"
    assert one_fix(rmc(), gst).err_cm == 500
    assert one_fix(rmc(), gst.replace("3.0,4.0", "3.0,")).err_cm is None
    assert one_fix(rmc(), gst.replace("3.0,4.0", "0.014,0.014")).err_cm == 2


@pytest.mark.parametrize(
    ("quality", "kind"),
    [
        ("1", FixKind.GNSS),
        ("2", FixKind.DGNSS),
        ("3", FixKind.PPS),
        ("4", FixKind.RTK_FIXED),
        ("5", FixKind.RTK_FLOAT),
        ("6", FixKind.DEAD_RECKONING),
        ("7", FixKind.MANUAL),
        ("8", FixKind.SIMULATED),
    ],
)
def test_gga_says_what_kind_of_fix_it_is(quality: str, kind: FixKind) -> None:
    assert one_fix(gga(quality=quality), rmc()).kind is kind


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("A", FixKind.GNSS),
        ("D", FixKind.DGNSS),
        ("P", FixKind.PRECISE),
        ("R", FixKind.RTK_FIXED),
        ("F", FixKind.RTK_FLOAT),
        ("E", FixKind.DEAD_RECKONING),
        ("M", FixKind.MANUAL),
        ("S", FixKind.SIMULATED),
        ("", FixKind.GNSS),
    ],
)
def test_without_gga_the_mode_letter_says_it(mode: str, kind: FixKind) -> None:
    assert one_fix(gll(mode=mode)).kind is kind
    assert one_fix(rmc()[:-1] + mode).kind is kind


def test_dead_reckoning_has_no_speed_of_rmc() -> None:
    assert one_fix(rmc()[:-1] + "E").speed_cm_s is None


def test_the_digits_of_the_chosen_fields_are_kept_as_they_stood() -> None:
    assert one_fix(rmc(), gga()).digits == {
        "lat": "4118.10100,N",
        "lon": "06914.50000,E",
        "alt_m": "455.1",
        "speed_kn": "21.60",
        "course_deg": "90.0",
        "hdop": "0.9",
    }


def test_a_sentence_read_alone_counts_its_wrong_fields() -> None:
    said = read_sentence("RMC", rmc().replace("21.60,90.0", "x,y").encode())
    assert said is not None
    assert said.bad_fields == 2
    assert counted(rmc().replace("21.60,90.0", "x,y")) == {"bad_field": 2, "fixes": 1}


def test_lines_of_these_tests_are_sound() -> None:
    assert fixes(read(lines(rmc(), gga(), gll(), gns())))[0].said_by == ("RMC", "GGA", "GNS", "GLL")
    assert PLACE in rmc()
