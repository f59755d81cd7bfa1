"""The table of the drill's faults: every group has some, every point of the rooms is in it, and nothing is left out in silence."""

import re
from pathlib import Path

import pytest

from bench.drill.faults import (
    GROUPS,
    OFTEN,
    chosen,
    points,
    skipped,
    table,
    usual_points,
)
from bench.drill.hands import PREPARED

AGENT = Path(__file__).resolve().parents[2] / "agent"


def test_every_group_has_faults_and_every_fault_a_group() -> None:
    assert {one.group for one in table(long_stop=True)} == set(GROUPS)
    names = [one.name for one in table(long_stop=True)]
    assert len(names) == len(set(names))


@pytest.mark.long
def test_every_named_point_of_the_agent_is_tried() -> None:
    said = {
        name
        for file in AGENT.rglob("*.py")
        for name in re.findall(r'at\("([a-z]+:?[a-z_]*)"\)', file.read_text(encoding="utf-8"))
    }
    assert {"ack", "publish", "puback", "receipt", "store:begin", "store:committed"} <= set(
        points()
    )
    assert said == set(points()) == {one.point for one in table() if one.point is not None}


def test_rare_points_have_a_scene_before_them() -> None:
    rare = {name.split(":")[0] + ":" for name in points() if not name.startswith(OFTEN)}
    assert rare - {"close:"} == set(PREPARED)  # a stop is a TERM


def test_a_short_drill_kills_only_where_a_unit_comes_by_within_seconds() -> None:
    assert {"ack", "publish", "store:inserted", "start:opened"} <= set(usual_points())
    assert not {"store:covered", "delete:before", "close:marked"} & set(usual_points())


def test_the_chosen_groups_and_no_others() -> None:
    assert {one.group for one in chosen(["stop", "clock"])} == {"stop", "clock"}
    with pytest.raises(ValueError, match="no such faults"):
        chosen(["weather"])


def test_what_cannot_be_made_here_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    reasons = skipped(table())
    assert all("root" in reasons[one.name] for one in table() if one.group == "disk")
