"""What an updater is told: may the unit be stopped now, did it come up well (EDGE section 13)."""

import json
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.app.check import verdict
from agent.app.check_live import _link, _may_update, _store

STANDING: dict[str, object] = {
    "store": "ok",
    "commits": 9,
    "commit_errors": 0,
    "moving": False,
    "external_power": True,
    "order_acting": False,
    "urgent_age_s": None,
}


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({}, ""),
        ({"external_power": None}, ""),  # a unit without that input is updated too
        ({"urgent_age_s": 1_800}, ""),
        ({"moving": True}, "motion"),
        ({"moving": None}, "motion"),
        ({"external_power": False}, "power"),
        ({"order_acting": True}, "orders"),
        ({"urgent_age_s": 1_799}, "urgent"),
        ({"store": "full"}, "store"),
        ({"store": "spill"}, "store"),
        ({"commits": 0}, "store"),
    ],
)
def test_an_update_waits_for_each_of_these(more: dict[str, object], name: str) -> None:
    found = list(_may_update({**STANDING, **more}))
    bad = [finding for finding in found if finding.level.value == "bad"]
    assert [finding.name for finding in bad] == ([name] if name else [])
    assert all(finding.hint for finding in bad)
    assert verdict(found) == (6 if name else 0)


@pytest.mark.parametrize(
    ("state", "level"),
    [
        ("fix", "ok"),
        ("no_fix", "ok"),
        ("talking", "ok"),
        ("absent", "ok"),
        ("silent", "ok"),
        ("opening", "ok"),
        ("busy", "bad"),
        ("hunting", "bad"),
        ("noise", "bad"),
        ("mute", "bad"),
    ],
)
def test_links_talk_or_are_known_absent(state: str, level: str) -> None:
    link = {"name": "gps", "device": "/dev/gps", "state": state, "detail": ""}
    assert _link(link).level.value == level


def test_a_store_that_has_not_committed_does_not_write() -> None:
    assert _store({**STANDING, "commits": None}).level.value == "bad"


def config(folder: Path) -> str:
    path = folder / "unit.toml"
    path.write_text(
        f'[unit]\nid = "desk-1"\nrun_dir = "{folder}"\n[uplink]\nservers = ["mqtt://127.0.0.1"]\n'
    )
    return str(path)


@pytest.mark.parametrize("how", ["--live", "--may-update"])
def test_without_an_agent_nothing_is_good(
    tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", how, "--json", config(tmp_path)]) == 6
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["name"]) == ("bad", "agent")
    assert "is the agent running" in line["detail"]
