"""Ports as trucks have them: unplugged, wrong rate, noise, held by others (DEVICES section 7)."""

import fcntl
import os
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.agent_world import Agent, Pty, free_port, gps_link, nmea_words, until

pytestmark = pytest.mark.live


@pytest.fixture
def gps(tmp_path: Path) -> Iterator[Pty]:
    pty = Pty(tmp_path / "gps")
    yield pty
    pty.unplug()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path / "unit", free_port(), gps_link(tmp_path / "gps"))
    agent.enrol()
    yield agent
    agent.kill()


def in_state(agent: Agent, *states: str) -> None:
    until(lambda: agent.link_state("gps") in states, 30, f"{states}")


def records(agent: Agent) -> int:
    return int(str(agent.status().get("records", 0)))


def test_e13_a_receiver_that_vanishes_is_missed_and_heard_when_it_is_back(
    agent: Agent, gps: Pty
) -> None:
    agent.start()
    in_state(agent, "absent")
    for _ in range(2):
        gps.plug_in()
        gps.talk(nmea_words())
        in_state(agent, "fix")
        gps.unplug()
        in_state(agent, "absent")
    assert agent.term()[0] == 0


def test_e13_noise_is_told_and_good_sentences_end_it(agent: Agent, gps: Pty) -> None:
    gps.plug_in()
    agent.start()
    gps.talk(lambda: os.urandom(60))
    in_state(agent, "hunting", "noise")
    before = records(agent)
    gps.fall_silent()
    gps.talk(nmea_words())
    in_state(agent, "fix")
    assert records(agent) > before


def test_e13_a_mute_receiver_is_told_from_a_missing_one(agent: Agent, gps: Pty) -> None:
    gps.plug_in()
    agent.start()
    in_state(agent, "mute")
    gps.talk(nmea_words())
    in_state(agent, "fix")


def test_e13_the_right_rate_is_found_and_remembered(agent: Agent, gps: Pty) -> None:
    gps.plug_in()
    words = nmea_words()

    def at_38400_only() -> bytes:
        # A pty carries any rate; the device behind this one is understood at its own only.
        rate = termios.tcgetattr(gps._slave)[5]
        return words() if rate == termios.B38400 else os.urandom(40)

    agent.start()
    gps.talk(at_38400_only)
    in_state(agent, "fix")
    links = agent.status()["links"]
    assert isinstance(links, list)
    assert links[0]["baud"] == 38_400
    until(lambda: agent.status().get("up_s") in range(31, 60), 60, "rates are remembered")
    agent.kill()
    agent.start()
    in_state(agent, "fix")
    links = agent.status()["links"]
    assert isinstance(links, list)
    assert links[0]["counters"].get("rates_tried", 0) == 0


def test_e13_a_port_that_another_program_holds_is_busy_until_it_lets_go(
    agent: Agent, gps: Pty
) -> None:
    gps.plug_in()
    holder = os.open(gps.name, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    agent.start()
    in_state(agent, "busy")
    links = agent.status()["links"]
    assert isinstance(links, list)
    assert str(os.getpid()) in links[0]["detail"]
    gps.talk(nmea_words())
    os.close(holder)
    in_state(agent, "fix")


def test_e13_an_open_port_keeps_other_programs_out(agent: Agent, gps: Pty) -> None:
    gps.plug_in()
    gps.talk(nmea_words())
    agent.start()
    in_state(agent, "fix")
    other = os.open(gps.name, os.O_RDWR | os.O_NOCTTY)  # root may; gpsd as another user may not
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    exclusive = bytearray(4)
    fcntl.ioctl(other, 0x80045440, exclusive)  # TIOCGEXCL
    assert struct.unpack("i", exclusive)[0] == 1
    os.close(other)


def test_e30_a_flood_is_bounded_and_does_not_hurt(agent: Agent, gps: Pty) -> None:
    gps.plug_in()
    agent.start()
    gps.talk(lambda: os.urandom(4_000), 0.004)  # a megabyte a second
    until(lambda: "flood_bytes_dropped" in str(agent.status().get("links")), 30, "bounded")
    assert int(str(agent.status()["lag_ms_max"])) < 1_000
    code, seconds = agent.term()
    assert code == 0
    assert seconds < 5
