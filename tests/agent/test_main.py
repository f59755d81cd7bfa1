"""The command line of the unit: exits, words on the right channel, and what the program says of its version."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import agent
from agent import words
from agent.__main__ import main
from agent.app.check import Finding, Level, verdict
from agent.app.kill import parse_kill_at
from agent.app.opening import VERSION

ROOT = Path(__file__).parents[2]
A, B = "11" * 32, "22" * 32


def enrol(state: Path, unit: str = "desk-1", receipt: str = A, order: str = B, *more: str) -> int:
    return main(
        [
            *("identity", "--unit", unit, "--state", str(state)),
            *("--receipt-key", receipt, "--order-key", order, *more),
        ]
    )


def test_an_identity_by_hand_prints_what_the_collector_must_be_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enrol(tmp_path, "desk-1", A, B, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["unit"] == "desk-1"
    assert len(said["public_key"]) == 64
    assert len(said["fingerprint"].split()) == 4
    assert enrol(tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "made once" in captured.err


@pytest.mark.parametrize(
    ("unit", "receipt", "order", "word"),
    [
        ("X", A, B, "--unit"),
        ("desk-1", "11", B, "--receipt-key"),
        ("desk-1", A, "zz" * 32, "--order-key"),
        ("desk-1", A, A, "another key"),
    ],
)
def test_a_wrong_word_is_a_matter_of_usage(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    unit: str,
    receipt: str,
    order: str,
    word: str,
) -> None:
    assert enrol(tmp_path, unit, receipt, order) == 2
    assert word in capsys.readouterr().err
    assert not (tmp_path / "identity").exists()


def test_a_bad_config_tells_all_its_faults_and_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "unit.toml"
    path.write_text('[unit]\nid = "X"\n')
    assert main(["--config", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "unit.id" in captured.err
    assert "uplink" in captured.err


def test_without_an_identity_it_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "unit.toml"
    path.write_text(
        f'[unit]\nid = "desk-1"\nstate_dir = "{tmp_path}"\n[uplink]\nservers = ["mqtt://127.0.0.1"]\n'
    )
    assert main(["--config", str(path)]) == 1
    assert "plomba-agent identity" in capsys.readouterr().err
    enrol(tmp_path)
    (tmp_path / "identity" / "evidence.pem").chmod(0o644)
    assert main(["--config", str(path)]) == 1
    assert "others can read" in capsys.readouterr().err


def test_nobody_answers_is_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "unit.toml"
    path.write_text(
        f'[unit]\nid = "desk-1"\nrun_dir = "{tmp_path}"\n[uplink]\nservers = ["mqtt://127.0.0.1"]\n'
    )
    assert main(["status", "--config", str(path)]) == 5
    assert "is the agent running" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--kill-at", "x:1"], ["fly"], ["check"]])
def test_wrong_arguments_end_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_help_names_the_commands_and_hides_the_drill(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("check", "identity", "status", "exits:"))
    assert "kill-at" not in said


def test_check_reads_the_config_first_and_tells_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "unit.toml"
    path.write_text('[unit]\nid = "X"\n')
    assert main(["check", str(path), "--json"]) == 6
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["detail"] for one in said} == {"unit.id", "uplink"}
    assert all(one["hint"] for one in said)


def finding(level: Level, name: str) -> Finding:
    return Finding(level=level, name=name, detail="")


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([], 0),
        ([finding(Level.OK, "disk")], 0),
        ([finding(Level.WARN, "disk")], 1),
        ([finding(Level.BAD, "broker x:1"), finding(Level.WARN, "disk")], 5),
        ([finding(Level.BAD, "broker x:1"), finding(Level.BAD, "disk")], 6),
    ],
)
def test_the_worst_line_rules(findings: list[Finding], code: int) -> None:
    assert verdict(findings) == code


def test_the_program_knows_its_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


@pytest.mark.parametrize("text", ["", "x", "x:", "x:0", ":1", "x:-1"])
def test_a_kill_point_is_a_name_and_a_number(text: str) -> None:
    with pytest.raises(ValueError, match="NAME:K"):
        parse_kill_at(text)


def test_a_kill_point_counts_only_its_own_name() -> None:
    kill = parse_kill_at("store:begin:3")
    for name in ("ack", "store:begin", "publish", "store:begin"):
        kill(name)
    assert kill.left == 1


def test_help_waits_for_nothing_that_only_a_running_unit_needs() -> None:
    words = "import sys; from agent.__main__ import _parser; _parser().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    heavy = {"asyncio", "cryptography", "msgspec", "paho", "serial", "sqlite3", "ssl"}
    heavy |= {"agent.words", "dataclasses", "inspect", "typing"}  # together a fifth of it
    assert not heavy & set(done.stdout.split())


def test_the_words_of_the_house_are_made_when_one_is_asked_for_and_no_other_name_is() -> None:
    assert agent.Moment is words.Moment
    assert sorted(agent.__all__) == sorted(
        name
        for name, what in vars(words).items()
        if getattr(what, "__module__", "") == "agent.words"
    )
    with pytest.raises(AttributeError, match="no attribute 'Moments'"):
        _ = agent.Moments  # type: ignore[attr-defined]  # that is the test
