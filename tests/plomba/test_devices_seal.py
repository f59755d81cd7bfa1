"""`plomba devices seal`: one JSON line a frame, with every key of DEVICES section 4.1."""

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from plomba.devices_seal import EVENT_KEYS, KEYS, Protocol, hex_lines, seal
from tests.devices.seal_cases import FILES, Case, cases, data_of, differences

APP = Typer()
APP.command()(seal)
RUNNER = CliRunner()


def lines_of(data: bytes, protocol: str = "jt701") -> list[dict[str, object]]:
    return list(hex_lines(Protocol(protocol), [data.hex().encode()]))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_every_frame_gives_its_line(case: Case) -> None:
    lines = lines_of(case.data, case.protocol)
    assert differences(case.expect, lines) == []
    for line in lines:
        assert tuple(line) == KEYS
        if isinstance(event := line["event"], dict):
            assert tuple(event) == EVENT_KEYS
        if line["error"] is not None:
            said = {key for key in line if line[key] is not None}
            assert said == {"protocol", "error"}


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_file_of_hex_lines_is_answered_line_by_line(tmp_path: Path, protocol: Protocol) -> None:
    wanted = cases(*FILES, protocol=protocol.value)
    file = tmp_path / "seals.hex"
    file.write_text("# seals\n\n" + "".join(f"{case.data.hex()}\n" for case in wanted))
    result = RUNNER.invoke(APP, ["--protocol", protocol.value, "--hex", str(file)])
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert differences([expect for case in wanted for expect in case.expect], lines) == []


def test_a_stream_is_read_as_one(tmp_path: Path) -> None:
    wanted = [case for case in cases("jt701", "jt701_made") if len(case.expect) == 1]
    file = tmp_path / "seal.bin"
    file.write_bytes(b"\r\n".join(case.data for case in wanted) + data_of("bad-00"))
    result = RUNNER.invoke(APP, ["--protocol", "jt701", str(file)])
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines.pop()["error"] == "truncated"
    assert differences([case.expect[0] for case in wanted], lines) == []


def test_standard_input_is_a_file_too() -> None:
    result = RUNNER.invoke(APP, ["--protocol", "jt701", "-"], input=data_of("jt701-m00"))
    assert json.loads(result.stdout)["seal_id"] == "8000620011"


@pytest.mark.parametrize("text", ["zz", "0", "ffff", "0d0a", "2"])
def test_no_line_is_without_an_answer(tmp_path: Path, text: str) -> None:
    file = tmp_path / "seals.hex"
    file.write_text(f"{text}\n")
    result = RUNNER.invoke(APP, ["--protocol", "eseal", "--hex", str(file)])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["error"] == "malformed"


@pytest.mark.parametrize(("arguments", "code"), [
    (["--protocol", "jt701", "no-such-file"], 3),
    (["--protocol", "jt808", "no-such-file"], 3),
    (["--protocol", "jt999", "no-such-file"], 2),
    (["no-such-file"], 2),
    (["--protocol", "jt701"], 2),
    (["--protocol", "jt701", "--utc-offset", "900", "no-such-file"], 2),
])  # fmt: skip
def test_exits_say_what_was_wrong(arguments: list[str], code: int) -> None:
    result = RUNNER.invoke(APP, arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr


def test_an_offset_is_refused_aloud_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "seal.bin"
    file.write_bytes(data_of("jt701-m00"))
    result = RUNNER.invoke(APP, ["--protocol", "jt701", "--utc-offset", "480", str(file)])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["time"] == "2021-04-18T16:22:59Z"
    assert "--utc-offset" in result.stderr


def test_a_password_answer_shows_no_password() -> None:
    [line] = lines_of(b"(8000620011,P44,1,113271)")
    assert line["answer"] == {"command": "P44", "values": None}
    assert "113271" not in json.dumps(line)


@pytest.mark.parametrize(("waker", "wake", "wake_raw"), [
    (0, "restart", None), (3, "cover", None), (0x43, "cover", None), (9, "sms", None), (12, None, 12),
])  # fmt: skip
def test_what_woke_the_lock(waker: int, wake: str | None, wake_raw: int | None) -> None:
    data = bytearray(data_of("jt701-m00"))
    data[45] = waker
    [line] = lines_of(bytes(data))
    assert (line["wake"], line["wake_raw"]) == (wake, wake_raw)


def test_an_unknown_source_is_shown_as_it_came() -> None:
    [line] = lines_of(data_of("jt701-m01").replace(b",1,1,0008627839", b",9,1,0008627839"))
    event = line["event"]
    assert isinstance(event, dict)
    assert (event["source"], event["type_raw"], event["opened"]) == (None, 9, None)
