"""`plomba devices nmea`: one JSON line a fix, with the keys and the precision of DEVICES section 3.12."""

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from plomba.devices_nmea import nmea, not_before_of
from tests.devices.nmea_lines import gga, line, lines, rmc

APP = Typer()
APP.command()(nmea)
RUNNER = CliRunner()
VECTORS = Path(__file__).parents[1] / "vectors" / "nmea"
KEYS = ["time", "lat", "lon", "alt_m", "speed_m_s", "course_deg", "hdop", "sats", "mode"]
VTG = "GPVTG,90.0,T,,M,,N,40.0,K,A"

Line = dict[str, object]


def told(data: bytes, *options: str) -> list[Line]:
    """The lines that the command prints for these bytes on standard input."""
    result = RUNNER.invoke(APP, ["-", "--json", *options], input=data)
    assert result.exit_code == 0, result.output
    return [json.loads(each) for each in result.stdout.splitlines()]


def test_a_fix_is_one_line_with_nine_keys() -> None:
    result = RUNNER.invoke(APP, ["-", "--json"], input=lines(rmc(), gga(), VTG))
    assert result.stdout == (
        '{"time":"2027-03-01T05:00:10.000Z","lat":41.3016833,"lon":69.2416667,"alt_m":455.1,'
        '"speed_m_s":11.1111,"course_deg":90.0,"hdop":0.9,"sats":8,"mode":3}\n'
    )


def test_all_nine_keys_always_and_null_where_there_is_nothing() -> None:
    (row,) = told(line("GPGLL,4118.10100,N,06914.50000,E,050010.487,A"))
    assert list(row) == KEYS
    assert {key for key in KEYS if row[key] is None} == {
        "time",
        "alt_m",
        "speed_m_s",
        "course_deg",
        "hdop",
        "sats",
    }
    assert row["mode"] == 2


def test_values_are_as_precise_as_the_sentence() -> None:
    body = gga().replace("455.1", "-0.123").replace("08,0.9", "08,0.876")
    speed = rmc().replace("21.60,90.0", "0.003,359.997")
    (row,) = told(lines(body, speed))
    assert (row["alt_m"], row["hdop"], row["course_deg"]) == (-0.123, 0.876, 359.997)
    assert row["speed_m_s"] == 0.0015


def test_a_course_of_360_is_north() -> None:
    (row,) = told(line(rmc().replace(",90.0,", ",360.0,")))
    assert row["course_deg"] == 0.0


def test_milliseconds_are_told() -> None:
    (row,) = told(line(rmc(time="050010.7")))
    assert row["time"] == "2027-03-01T05:00:10.700Z"


def test_comment_lines_are_skipped_even_if_they_hold_a_sentence() -> None:
    assert told(b"# " + line(rmc())) == []


def test_epochs_without_a_fix_come_with_all() -> None:
    data = lines(rmc(), rmc(time="050011.00", status="V"), "GPRMC,,V,,,,,,,,,,N")
    assert [row["mode"] for row in told(data)] == [2]
    assert told(data, "--all")[1:] == [
        dict.fromkeys(KEYS) | {"time": "2027-03-01T05:00:11.000Z", "mode": 1},
        dict.fromkeys(KEYS) | {"mode": 1},  # without its clock: an epoch of its own
    ]


def test_the_sky_comes_with_sky_at_the_pace_of_the_receiver() -> None:
    bodies = []
    for second in range(25):
        bodies += [rmc(time=f"0500{second:02d}.00"), "GPGSV,1,1,01,05,40,083,34"]
    data = lines(*bodies)
    assert all("sky" not in row for row in told(data))
    skies = [row for row in told(data, "--sky") if "sky" in row]
    assert [(row["sky"], row["in_view"], row["systems"]) for row in skies] == [
        (True, 1, [["GPS", 1, 1, 0]])
    ] * 3
    assert [str(row["time"])[17:19] for row in skies] == ["00", "11", "21"]


def test_the_date_of_the_capture_says_in_which_1024_weeks_it_lies() -> None:
    path = str(VECTORS / "april6_2019.log")
    result = RUNNER.invoke(APP, [path, "--json", "--date", "2019-3-14"])
    times = [json.loads(each)["time"] for each in result.stdout.splitlines()]
    assert times == [None, "2019-04-07T00:02:31.420Z"]


def test_without_a_date_the_days_are_those_since_2017() -> None:
    (old,) = told(line(rmc(day="311216")))
    (new,) = told(line(rmc(day="010117")))
    assert (str(old["time"])[:10], str(new["time"])[:10]) == ("2036-08-16", "2017-01-01")


@pytest.mark.parametrize(
    "text", ["2019-13-1", "2019-2-30", "yesterday", "19-3-14", "1979-12-31", ""]
)
def test_a_date_that_is_none_is_a_usage_error(text: str) -> None:
    assert not_before_of(text) is None
    result = RUNNER.invoke(APP, ["-", "--date", text], input=b"")
    assert result.exit_code == 2
    assert "--date" in result.stderr
    assert result.stdout == ""


def test_a_file_that_is_not_there_is_exit_3(tmp_path: Path) -> None:
    result = RUNNER.invoke(APP, [str(tmp_path / "nothing.nmea")])
    assert (result.exit_code, result.stdout) == (3, "")
    assert RUNNER.invoke(APP, [str(tmp_path)]).exit_code == 2


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.log")), ids=lambda path: path.stem)
def test_whatever_the_bytes_say_the_exit_is_0(path: Path) -> None:
    result = RUNNER.invoke(APP, [str(path), "--json", "--all", "--sky"])
    assert result.exit_code == 0
    for each in result.stdout.splitlines():
        row = json.loads(each)
        assert list(row) == KEYS or row["sky"] is True


def test_for_people_there_is_a_table_and_the_counters() -> None:
    result = RUNNER.invoke(APP, ["-", "--sky"], input=lines(rmc(), gga(), "GPGSV,1,1,00") + b"$x\n")
    assert result.exit_code == 0
    for word in ("2027-03-01T05:00:10.000Z", "41.3016833", "no_checksum", "in_view", "sentences"):
        assert word in result.stdout
