"""`plomba unit` without a collector: who may come in, and what is said when nobody answers."""

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from plomba import alert, unit
from plomba.centre import age, place

APP = Typer()
APP.command("add")(unit.add)
APP.command("list")(unit.list_units)
APP.command("show")(unit.show)
APP.command("track")(unit.track)
APP.command("alerts")(alert.list_alerts)
RUNNER = CliRunner()

KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"  # RFC 8032, 7.1, test 1


def add(tmp_path: Path, unit_id: str, key: str, *more: str) -> tuple[int, str, str]:
    result = RUNNER.invoke(
        APP, ["add", unit_id, "--public-key", key, "--data", str(tmp_path / "data"), *more]
    )
    return result.exit_code, result.stdout, result.stderr


def test_a_unit_is_added_and_its_fingerprint_is_shown_to_compare(tmp_path: Path) -> None:
    code, said, _ = add(tmp_path, "uz-0042", KEY)
    assert (code, said) == (0, "uz-0042 is number 1, fingerprint 21fe 31df a154 a261\n")
    code, said, _ = add(tmp_path, "uz-0043", KEY[:-2] + "00", "--json")
    assert code == 0
    row = json.loads(said)
    assert list(row) == ["unit", "number", "kid", "fingerprint"]
    assert row["kid"].startswith(row["fingerprint"].replace(" ", ""))


@pytest.mark.parametrize(
    ("unit_id", "key", "exit_code", "words"),
    [
        ("Uz 42", KEY, 2, "is no unit_id"),
        ("uz-0042", KEY[:-1], 2, "64 hex digits"),
        ("uz-0042", "x" * 64, 2, "64 hex digits"),
        ("uz-0042", "01" + "00" * 31, 1, "weak_key"),
        ("uz-0001", KEY[:-2] + "11", 1, "unit_taken"),
        ("uz-0042", KEY, 1, "kid_taken"),
    ],
)
def test_who_may_not_come_in_is_told_why(
    tmp_path: Path, unit_id: str, key: str, exit_code: int, words: str
) -> None:
    add(tmp_path, "uz-0001", KEY)
    code, said, why = add(tmp_path, unit_id, key)
    assert (code, said) == (exit_code, "")
    assert words in why


@pytest.mark.parametrize(
    "command", [["list"], ["show", "uz-0001"], ["track", "uz-0001"], ["alerts"]]
)
def test_without_a_collector_reading_says_what_to_do(tmp_path: Path, command: list[str]) -> None:
    result = RUNNER.invoke(APP, [*command, "--data", str(tmp_path)])
    assert result.exit_code == 5
    assert result.stdout == ""
    assert "plomba collector run --data" in result.stderr


def test_an_api_that_does_not_answer_is_said() -> None:
    result = RUNNER.invoke(APP, ["list", "--api", "http://127.0.0.1:1"])
    assert result.exit_code == 5
    assert "does not answer" in result.stderr


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, None), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d")],
)
def test_an_age_is_in_one_unit_and_unknown_is_none(seconds: int | None, words: str | None) -> None:
    assert age(seconds) == words


def test_half_a_place_is_no_place() -> None:
    assert place({"lat": 41.311081, "lon": 69.240562}) == "41.311081, 69.240562"
    assert place({"lat": 41.311081, "lon": None}) is None
    assert place({}) is None


def test_a_point_whose_time_was_told_anew_says_so() -> None:
    point: dict[str, object] = {
        "at": "2026-11-22T06:46:43.000Z",
        "said_at": "2026-01-26T06:46:43.000Z",
        "lat": 41.3,
        "lon": 69.2,
        "speed_m_s": None,
        "course_deg": None,
        "hdop": None,
        "sats": 9,
    }
    assert unit._point(point)[0] == "2026-11-22T06:46:43.000Z restated"
    assert unit._point(point | {"said_at": None})[0] == "2026-11-22T06:46:43.000Z"
