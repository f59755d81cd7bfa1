"""What a newcomer runs first and what an auditor runs last: the demo, and the drill in short, as whole programs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.drill.run import Plan, run
from plomba.demo.incidents import SCRIPT, SCRIPT_S

pytestmark = pytest.mark.live

PLAYED_S = 60
assert PLAYED_S > SCRIPT_S


def test_the_demo_loses_nothing_and_raises_its_script_once(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "plomba", "demo", "--for", str(PLAYED_S), "--quiet"),
            *("--report", str(report), "--dir", str(tmp_path / "demo")),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    account = json.loads(report.read_text())
    assert (account["lost"], account["twice"], account["holes"]) == (0, 0, 0)
    assert account["stored_records"] > PLAYED_S
    raised = {(one["unit"], one["code"]): one["raised"] for one in account["alerts"]}
    assert raised == {(incident.unit, incident.code): 1 for incident in SCRIPT}
    assert left_behind(tmp_path) == []


def test_a_short_drill_is_sound(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    report = run(Plan(seconds=15, kills=12, units=2, seed=1), folder, lambda _text: None)
    assert report["sound"], json.dumps(report, indent=1)
    assert left_behind(folder) == []


def left_behind(folder: Path) -> list[str]:
    """Processes whose command line names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has just ended
            continue
        if str(folder) in words:
            found.append(words)
    return found
