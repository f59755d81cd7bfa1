"""TERM in each state ends the unit in five seconds, with a clean chain; twice, at once (EDGE section 9)."""

import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.agent_world import Agent, Pty, free_port, gps_link, nmea_words, until, world

pytestmark = pytest.mark.live


def uplink(agent: Agent) -> str:
    return str(agent.status().get("uplink", ""))


def ends_well(agent: Agent) -> None:
    code, seconds = agent.term()
    assert code == 0
    assert seconds < 5
    assert [event["event"] for event in agent.events()][-1] == "stopped"


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as server:
        port = free_port()
        server.bind(("127.0.0.1", port))
        server.listen(8)
        yield port


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path / "unit", free_port())
    agent.enrol()
    yield agent
    agent.kill()


def test_while_down(agent: Agent) -> None:
    agent.start()
    until(lambda: uplink(agent) == "down")
    ends_well(agent)


def test_while_dialling(agent: Agent, deaf_port: int) -> None:
    config = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{deaf_port}", agent.config.read_text())
    agent.config.write_text(config)
    agent.start()
    until(lambda: uplink(agent) == "dialling")
    ends_well(agent)


def test_while_greeting_and_while_stalled(tmp_path: Path) -> None:
    with world(tmp_path) as (agent, _, collector):
        collector.answers = False
        for state in ("greeting", "stalled"):
            agent.start()
            until(lambda wanted=state: uplink(agent) == wanted, 60, state)  # type: ignore[misc]  # a default binds the loop's value
            ends_well(agent)


def test_while_flowing_and_the_next_start_goes_on_with_the_chain(tmp_path: Path) -> None:
    pty = Pty(tmp_path / "gps")
    pty.plug_in()
    pty.talk(nmea_words(), 0.3)
    with world(tmp_path, links=gps_link(pty.name)) as (agent, _, collector):
        for _ in range(2):
            agent.start()
            until(lambda: uplink(agent) == "flowing", 30)
            ends_well(agent)
        agent.start()
        until(lambda: uplink(agent) == "flowing", 30)
        until(lambda: agent.status().get("batches_waiting") in {0, 1}, 30)
        assert len(collector.heads) == 1
        assert collector.faults == []
    pty.unplug()


def test_while_the_broker_hangs(tmp_path: Path) -> None:
    with world(tmp_path) as (agent, broker, _):
        agent.start()
        until(lambda: uplink(agent) == "flowing", 30)
        broker.pause()
        ends_well(agent)
        broker.resume()


def test_a_second_term_ends_it_at_once(agent: Agent) -> None:
    agent.start()
    until(lambda: uplink(agent) == "down")
    assert agent._process is not None
    began = time.monotonic()
    agent._process.send_signal(signal.SIGTERM)
    agent._process.send_signal(signal.SIGTERM)
    assert agent.wait() in {0, 1}  # it may have been quicker than the second
    assert time.monotonic() - began < 2


def test_a_second_agent_on_the_same_store_is_turned_away(agent: Agent) -> None:
    agent.start()
    until(lambda: uplink(agent) == "down")
    second = agent.run("--config", str(agent.config))
    assert second.returncode == 1
    assert "another agent" in second.stderr
    ends_well(agent)
