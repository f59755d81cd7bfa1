"""`plomba devices tags`: one JSON line a frame, with every key of DEVICES section 5."""

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from plomba.devices_tags import KEYS, hex_lines, tags

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "rfid" / "m100.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text().splitlines()]
SCAN_KEYS = ("scan", "first", "last", "dbm")
APP = Typer()
APP.command()(tags)
RUNNER = CliRunner()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_every_frame_gives_its_line(case: dict[str, str]) -> None:
    expect: dict[str, object] = case["expect"]  # type: ignore[assignment]  # one shape a line
    [line] = hex_lines([case["hex"].encode()])
    assert {key: line.get(key, "missing") for key in expect} == expect
    assert tuple(line) == (KEYS + SCAN_KEYS if expect.get("kind") == "scan" else KEYS)
    if line["error"] is not None:
        assert {key for key in line if line[key] is not None} == {"protocol", "error"}


def test_a_file_of_hex_lines_is_answered_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "tags.hex"
    file.write_text("# tags\n\n" + "".join(f"{case['hex']}\n" for case in CASES))
    result = RUNNER.invoke(APP, ["--protocol", "m100", "--hex", str(file)])
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["error"] for line in lines] == [case["expect"]["error"] for case in CASES]


def test_a_stream_is_read_as_one(tmp_path: Path) -> None:
    good = [case for case in CASES if case["expect"]["error"] is None]
    file = tmp_path / "tags.bin"
    file.write_bytes(
        b"".join(bytes.fromhex(case["hex"]) for case in good) + bytes.fromhex(CASES[0]["hex"])[:9]
    )
    result = RUNNER.invoke(APP, ["--protocol", "m100", str(file)])
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines.pop()["error"] == "truncated"
    assert [line["kind"] for line in lines] == [case["expect"]["kind"] for case in good]


def test_standard_input_is_a_file_too() -> None:
    result = RUNNER.invoke(APP, ["--protocol", "m100", "-"], input=bytes.fromhex(CASES[0]["hex"]))
    assert json.loads(result.stdout)["epc"] == "30751FEB705C5904E3D50D70"


@pytest.mark.parametrize("text", ["zz", "0", "ffff", "0d0a", "bb01ff0401", "я"])
def test_no_line_is_without_an_answer(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tags.hex"
    file.write_text(f"{text}\n")
    result = RUNNER.invoke(APP, ["--protocol", "m100", "--hex", str(file)])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["error"] == "malformed"


@pytest.mark.parametrize(("arguments", "code"), [
    (["--protocol", "m100", "no-such-file"], 3),
    (["--protocol", "llrp", "no-such-file"], 2),
    (["no-such-file"], 2),
    (["--protocol", "m100"], 2),
])  # fmt: skip
def test_exits_say_what_was_wrong(arguments: list[str], code: int) -> None:
    result = RUNNER.invoke(APP, arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr
