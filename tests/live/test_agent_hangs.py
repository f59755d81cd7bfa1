"""Whatever hangs, the loop goes on (EDGE pitfall 16), and the process ends when it is told to (pitfall 17)."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from agent.io.status import ask
from tests.live.agent_world import Agent, Pty, free_port, gps_link, nmea_words, until

pytestmark = pytest.mark.live

SCRIPT = str(Path(__file__).with_name("frozen_agent.py"))
LOOKS = 30


class Hanging:
    """An agent of which one part hangs from a word on."""

    def __init__(self, folder: Path, part: str) -> None:
        self.gps = Pty(folder / "gps")
        self.gps.plug_in()
        self.gps.talk(nmea_words(), 0.2)
        link = gps_link(self.gps.name)
        self.agent = Agent(folder / "unit", free_port(), link, '[status]\nlisten = ""\n')
        self.agent.enrol()
        config = self.agent.config.read_text().replace("mqtt://127.0.0.1", "mqtt://localhost")
        self.agent.config.write_text(config)
        self.agent.start_as([SCRIPT, part])
        until(lambda: self.numbers().get("facts", 0), 30, "it hears its receiver")

    def numbers(self) -> dict[str, int]:
        path = self.agent.folder / "run" / "status.sock"
        return ask(path, "/status.json") if path.exists() else {}  # type: ignore[return-value]  # numbers are asked for

    def hang(self) -> None:
        os.kill(self.agent.pid, signal.SIGUSR2)

    def end(self) -> None:
        self.agent.kill()
        self.gps.unplug()


@pytest.fixture
def hanging(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hanging]:
    made = Hanging(tmp_path, request.param)
    yield made
    made.end()


@pytest.mark.parametrize("hanging", ["dns", "disk"], indirect=True)
def test_e16_a_name_server_that_hangs_and_a_disk_of_five_seconds_stop_no_fact(
    hanging: Hanging,
) -> None:
    hanging.hang()
    before = hanging.numbers()
    path = hanging.agent.folder / "run" / "status.sock"
    times = []
    for _ in range(LOOKS):  # the loop itself answers this one, and asks no disk
        began = time.monotonic()
        ask(path, "/outbox/stats")
        times.append(time.monotonic() - began)
        time.sleep(0.3)
    assert median(times) < 0.1
    after = hanging.numbers()
    assert after["facts"] - before["facts"] >= 5
    assert hanging.agent.link_state("gps") == "fix"


@pytest.mark.parametrize("hanging", ["dns", "disk", "sqlite", "serial"], indirect=True)
def test_e17_told_to_stop_it_ends_whatever_hangs(hanging: Hanging) -> None:
    hanging.hang()
    time.sleep(3)  # a commit, a dial, a read are under way
    code, seconds = hanging.agent.term()
    assert code == 0
    assert seconds < 5.5
