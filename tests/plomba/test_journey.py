"""Journeys and plates from the command line: all lines of a file or none, numbers in their normal form."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plomba import exits
from plomba.__main__ import app

KEY = "07" * 32
run = CliRunner()


def said(data: Path, *words: str, exit_code: int = exits.OK) -> str:
    done = run.invoke(app, [*words, "--data", str(data)])
    assert done.exit_code == exit_code, done.output
    return done.output


@pytest.fixture
def data(tmp_path: Path) -> Path:
    said(tmp_path, "unit", "add", "uz-0042", "--public-key", KEY)
    return tmp_path


def listed(data: Path, *words: str) -> list[dict[str, object]]:
    out = said(data, "journey", "list", "--json", *words)
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def test_a_journey_is_put_on_a_unit_with_its_numbers(data: Path) -> None:
    said(
        data,
        *("journey", "add", "uz-0042", "26UZ000001726001J6", "--plate", "01 а 123 вс"),
        *("--container", "msku 907032-3", "--seal", "uz-000123"),
        *("--limit", "2026-12-01T00:00:00+05:00"),
    )
    [row] = listed(data)
    assert (row["plate"], row["containers"], row["seals"]) == (
        "01A123BC",
        ["MSKU9070323"],
        ["UZ-000123"],
    )
    assert row["limit"] == "2026-11-30T19:00:00.000Z"


def test_a_wrong_check_digit_is_told_and_kept(data: Path) -> None:
    out = said(data, "journey", "add", "uz-0042", "J1", "--container", "MSKU9070324")
    assert "check digit" in out
    assert listed(data)[0]["containers"] == ["MSKU9070324"]


def test_a_file_is_taken_whole_or_not_at_all(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "journeys.csv"
    file.write_text("journey,unit,plate,seals\nJ1,uz-0042,01A123BC,UZ-1;UZ-22; UZ-333\n")
    said(data, "journey", "import", str(file))
    assert listed(data)[0]["seals"] == ["UZ-1", "UZ-22", "UZ-333"]
    file.write_text("journey,unit\nJ2,uz-0042\nJ3,uz-0099\n")
    out = said(data, "journey", "import", str(file), exit_code=exits.NOT_FOUND)
    assert f"{file}:3" in out
    assert [row["journey"] for row in listed(data, "--all")] == ["J1"]
    for text in ("unit\nuz-0042\n", "journey,unit,since\nJ,uz-0042,monday\n", "journey,unit,x\n"):
        file.write_text(text)
        said(data, "journey", "import", str(file), exit_code=exits.BAD)


def test_no_cell_is_dropped_and_no_heading_is_said_twice(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "journeys.csv"
    file.write_text("journey,unit,containers\nJ1,uz-0042,MSKU9070323,CSQU3054383\n")
    out = said(data, "journey", "import", str(file), exit_code=exits.BAD)
    assert f"{file}:2: more cells" in out
    file.write_text("journey,unit,seals,seals\nJ1,uz-0042,UZ-1,UZ-2\n")
    said(data, "journey", "import", str(file), exit_code=exits.BAD)
    assert listed(data, "--all") == []


def test_a_state_in_which_nobody_watches_is_told(data: Path) -> None:
    out = said(data, "journey", "add", "uz-0042", "J1", "--state", "in-transit")
    assert "uz-0042 is not watched on J1" in out
    for state in ("in_transit", "Transit", "cleared"):
        assert "watched" not in said(data, "journey", "add", "uz-0042", "J2", "--state", state)


def test_what_was_written_is_said_to_programs(data: Path) -> None:
    out = said(data, "journey", "add", "uz-0042", "J1", "--seal", "uz-1", "--json")
    assert json.loads(out)["seals"] == ["UZ-1"]
    for words, told in (
        (("plate", "uz-0042", "01 A 123 BC"), {"plate": "01A123BC"}),
        (("stop", "uz-0042", "--reason", "tip"), {"stop": True}),
        (("go", "uz-0042", "--reason", "looked at"), {"stop": False}),
    ):
        out = said(data, "unit", *words, "--json")
        assert json.loads(out) == {"unit": "uz-0042", **told}


def test_a_truck_is_stopped_and_let_go_with_a_reason(data: Path) -> None:
    said(data, "unit", "stop", "uz-0042", "--reason", "tip from the post")
    said(data, "unit", "stop", "uz-0042", "--reason", "again", exit_code=exits.FAILED)
    said(data, "unit", "go", "uz-0042", "--reason", "looked at")
    said(data, "unit", "go", "uz-0042", "--reason", "again", exit_code=exits.FAILED)
    said(data, "unit", "stop", "uz-0099", "--reason", "x", exit_code=exits.NOT_FOUND)
    said(data, "unit", "stop", "uz-0042", "--reason", " ", exit_code=exits.USAGE)


def test_a_plate_is_read_before_it_is_kept(data: Path) -> None:
    assert "01A123BC" in said(data, "unit", "plate", "uz-0042", "01 A 123 BC")
    said(data, "unit", "plate", "uz-0042", "01Ж123BC", exit_code=exits.BAD)
    said(data, "unit", "plate", "uz-0099", "01A123BC", exit_code=exits.NOT_FOUND)


def test_reports_of_officers_are_shown(data: Path) -> None:
    assert said(data, "unit", "checks", "uz-0042", "--json") == ""
    said(data, "unit", "checks", "uz-0099", exit_code=exits.NOT_FOUND)
