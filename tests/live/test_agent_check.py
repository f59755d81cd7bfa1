"""`plomba-agent check` on a real desk: what is good, what is missing, and what to do (EDGE section 13)."""

import json
from pathlib import Path

import pytest

from tests.live.agent_world import Agent, Pty, free_port, gps_link, nmea_words, until, world

pytestmark = pytest.mark.live


def check(agent: Agent, *more: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = agent.run("check", str(agent.config), "--json", *more)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {line["name"]: line for line in lines}


def test_a_desk_where_all_is_well(tmp_path: Path) -> None:
    gps = Pty(tmp_path / "gps")
    gps.plug_in()
    gps.talk(nmea_words(), 0.3)
    with world(tmp_path, links=gps_link(gps.name)) as (agent, broker, _):
        code, lines = check(agent)
        assert code in {0, 1}  # a store that is not there yet, a machine without NTP: warnings
        assert lines["link gps"]["level"] == "ok"
        assert lines[f"broker 127.0.0.1:{broker.port}"]["level"] == "ok"
        assert lines["identity"]["level"] == "ok"
        agent.start()
        until(lambda: agent.link_state("gps") == "fix", 20)
        code, lines = check(agent)
        assert lines["link gps"]["level"] == "ok"
        assert "the running agent" in lines["store"]["detail"]
    gps.unplug()


def test_each_thing_that_is_missing_is_named_with_its_hint(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "unit", free_port(), gps_link(tmp_path / "gps"))
    code, lines = check(agent)
    assert code == 6
    bad = {name.split(":")[0] for name, line in lines.items() if line["level"] == "bad"}
    assert bad == {"identity", "link gps", "broker 127.0.0.1"}
    assert all(line["hint"] for line in lines.values() if line["level"] != "ok")


def test_only_a_broker_that_is_away_is_unreachable_and_offline_leaves_it_alone(
    tmp_path: Path,
) -> None:
    agent = Agent(tmp_path / "unit", free_port())
    agent.enrol()
    code, lines = check(agent)
    assert code == 5
    broker = next(line for name, line in lines.items() if name.startswith("broker"))
    assert "is the broker running" in broker["hint"]
    assert check(agent, "--offline")[0] in {0, 1}


def test_a_mute_port_and_one_of_another_language_are_warnings(tmp_path: Path) -> None:
    gps = Pty(tmp_path / "gps")
    gps.plug_in()
    agent = Agent(tmp_path / "unit", free_port(), gps_link(tmp_path / "gps"))
    agent.enrol()
    assert "no byte" in check(agent, "--offline")[1]["link gps"]["detail"]
    gps.talk(lambda: b"\x00\x01\x02 noise")
    line = check(agent, "--offline")[1]["link gps"]
    assert (line["level"], "none of nmea" in line["detail"]) == ("warn", True)
    gps.unplug()


def test_check_changes_nothing(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "unit", free_port())
    agent.enrol()
    before = sorted(tmp_path.rglob("*"))
    check(agent)
    assert sorted(tmp_path.rglob("*")) == before
