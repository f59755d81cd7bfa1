"""What is installed beside the program: units of systemd, hooks of updaters (EDGE sections 9 and 10)."""

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.vitals import Limits

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SYSTEMD = CONFIGS / "systemd"
HOOKS = sorted(path for path in (CONFIGS / "update").rglob("*") if path.is_file())


class Unit(configparser.RawConfigParser):
    """An INI file whose keys may be said again."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, delimiters="=")
        self.text = (SYSTEMD / name).read_text(encoding="utf-8")
        self.read_string(self.text)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


AGENT = Unit("plomba-agent.service")["Service"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("WatchdogSec", "60"),
        ("Restart", "always"),
        ("RestartSec", "2"),
        ("TimeoutStopSec", "10"),
        ("MemoryMax", "96M"),
        ("OOMScoreAdjust", "-500"),
        ("User", "plomba"),
        ("SupplementaryGroups", "dialout gpio"),
        ("StateDirectory", "plomba"),
        ("RuntimeDirectory", "plomba"),
        ("RuntimeDirectoryPreserve", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("DevicePolicy", "closed"),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
    ],
)
def test_the_units_service_is_the_papers(key: str, value: str) -> None:
    assert AGENT[key] == value


def test_the_service_never_gives_up_and_may_touch_its_ports_only() -> None:
    unit = Unit("plomba-agent.service")
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    for node in ("ttyUSB", "ttyACM", "ttyAMA", "gpiochip"):
        assert f"DeviceAllow=char-{node} rw\n" in unit.text


def test_systemd_waits_for_four_meals_of_the_keeper() -> None:
    assert int(AGENT["WatchdogSec"]) * 1000 == 4 * Limits().feed_ms


@pytest.mark.parametrize("name", ["plomba-agent", "plomba-collector"])
def test_the_user_of_a_service_is_made_and_may_ask_the_clock(name: str) -> None:
    service = Unit(f"{name}.service")["Service"]
    made = (SYSTEMD / "plomba.sysusers.conf").read_text(encoding="utf-8")
    assert f"\nu {service['User']}  -  " in made
    assert service["SystemCallFilter"] == "@system-service adjtimex clock_adjtime"
    assert "ProtectClock" not in service


# hooks


@pytest.mark.parametrize("hook", HOOKS, ids=lambda path: path.name)
def test_hooks_are_clean_shell_and_may_be_run(hook: Path) -> None:
    assert os.access(hook, os.X_OK)
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("shellcheck is not installed: apt-get install shellcheck")
    done = subprocess.run([checker, str(hook)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


class Board:
    """A board with an agent that answers `code`, and an updater and a reboot that only note what they are told."""

    def __init__(self, folder: Path, code: int) -> None:
        self.folder = folder
        self.said = folder / "said"
        (folder / "os-release").write_text("VERSION=7\n")
        self.code(code)
        for name in ("rauc", "reboot"):
            self._program(name, "exit 0")

    def code(self, code: int) -> None:
        self._program("agent", f"exit {code}")

    def _program(self, name: str, end: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >>{self.said}\n{end}\n')
        path.chmod(0o755)

    def run(self, hook: str) -> tuple[int, list[str]]:
        self.said.write_text("")
        environ = {
            "PATH": os.environ["PATH"],
            "PLOMBA_AGENT": str(self.folder / "agent"),
            "PLOMBA_CONFIG": "unit.toml",
            "PLOMBA_UPDATE_STATE": str(self.folder / "state"),
            "PLOMBA_OS_RELEASE": str(self.folder / "os-release"),
            "PLOMBA_WAIT_S": "1",
            "RAUC": str(self.folder / "rauc"),
            "REBOOT": str(self.folder / "reboot"),
        }
        done = subprocess.run(
            [str(CONFIGS / "update" / hook)], env=environ, capture_output=True, check=False
        )
        return done.returncode, self.said.read_text().splitlines()


@pytest.mark.parametrize(
    ("hook", "question", "refusal"),
    [
        ("rauc/pre-install", "agent check --may-update unit.toml", 1),
        ("mender/Download_Enter_50_plomba", "agent check --may-update unit.toml", 21),
        ("mender/ArtifactCommit_Enter_50_plomba", "agent check --live --wait 1 unit.toml", 1),
    ],
)
def test_an_updater_asks_the_unit_and_obeys(
    tmp_path: Path, hook: str, question: str, refusal: int
) -> None:
    board = Board(tmp_path, 0)
    assert board.run(hook) == (0, [question])
    for code in (1, 5, 6):
        board.code(code)
        assert board.run(hook) == (refusal, [question])


def test_a_new_image_must_prove_itself_once_and_an_old_one_needs_no_network(
    tmp_path: Path,
) -> None:
    question = "agent check --live --wait 1 unit.toml"
    board = Board(tmp_path, 5)
    assert board.run("rauc/mark-good") == (0, [question, "rauc status mark-bad", "reboot"])
    board.code(0)
    assert board.run("rauc/mark-good") == (0, [question, "rauc status mark-good"])
    board.code(5)
    assert board.run("rauc/mark-good") == (0, ["rauc status mark-good"])
    (tmp_path / "os-release").write_text("VERSION=8\n")
    assert board.run("rauc/mark-good")[1][-1] == "reboot"
