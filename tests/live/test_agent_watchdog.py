"""Each part of the unit frozen in turn: the watchdog is not fed any more (EDGE section 9, pitfall 31)."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.live.agent_world import Agent, Pty, free_port, gps_link, nmea_words, until

pytestmark = pytest.mark.live

WATCHDOG_S = 12  # a fifth of the minute that systemd gives; the keeper's own limits shrink with it
STARVED_S = WATCHDOG_S * 75 / 60  # the row says 75 s
BUSY_S = 4.0  # this machine does other things too
PARTS = (
    *("outbox", "facts", "store", "orders", "line", "watch"),
    *("config", "pulse", "question", "loop", "serial"),
)
NAMES = {"outbox": "writer", "serial": "link gps", "pulse": "", "loop": ""}  # in the log's reason
SCRIPT = Path(__file__).with_name("frozen_agent.py")


@dataclass
class Victim:
    """An agent under a service manager that only listens."""

    part: str
    agent: Agent
    gps: Pty
    manager: socket.socket
    process: subprocess.Popen[bytes] | None = None
    said: list[tuple[float, bytes]] = field(default_factory=list)

    def start(self) -> None:
        environ = {
            **os.environ,
            "NOTIFY_SOCKET": str(self.agent.folder / "notify"),
            "WATCHDOG_USEC": str(WATCHDOG_S * 1_000_000),
            "PYTHONPATH": str(SCRIPT.parents[2]),
        }
        with self.agent.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), self.part, "--config", str(self.agent.config)],
                stderr=log,
                env=environ,
            )

    def listen(self) -> None:
        while True:
            try:
                self.said.append((time.monotonic(), self.manager.recv(100)))
            except BlockingIOError:
                return

    @property
    def meals(self) -> int:
        return [words for _, words in self.said].count(b"WATCHDOG=1")

    def reasons(self) -> list[str]:
        return [
            str(event["why"])
            for event in self.agent.events()
            if event["event"] == "watchdog_not_fed"
        ]


def made(folder: Path, part: str) -> Victim:
    """One of them; all have the same identity, for an enrolment each takes longer than the frost."""
    gps = Pty(folder / f"{part}-gps")
    agent = Agent(folder / part, free_port(), gps_link(gps.name), '[status]\nlisten = ""\n')
    identity = folder / "identity"
    if not identity.exists():
        agent.enrol()
        shutil.copytree(agent.folder / "state" / "identity", identity)
    else:
        shutil.copytree(identity, agent.folder / "state" / "identity")
    gps.plug_in()
    gps.talk(nmea_words(), 0.5)
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(agent.folder / "notify"))
    manager.setblocking(False)
    return Victim(part=part, agent=agent, gps=gps, manager=manager)


def all_fed(victims: dict[str, Victim]) -> bool:
    for victim in victims.values():
        victim.listen()
    return all(victim.meals >= 3 for victim in victims.values())


def watch(victims: dict[str, Victim], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for victim in victims.values():
            victim.listen()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def starved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Victim], float]]:
    """All victims at once: each fed while it lives, then frozen; and when the frost came."""
    folder = tmp_path_factory.mktemp("frost")
    victims = {part: made(folder, part) for part in PARTS}
    try:
        for victim in victims.values():
            victim.start()
        until(lambda: all_fed(victims), 90, "each is fed three times")
        frost = time.monotonic()
        for victim in victims.values():
            assert victim.process is not None
            assert victim.part not in " ".join(victim.reasons())
            victim.process.send_signal(signal.SIGUSR2)
        watch(victims, STARVED_S + BUSY_S + WATCHDOG_S / 2)
        yield victims, frost
    finally:
        for victim in victims.values():
            if victim.process is not None:
                victim.process.kill()
                victim.process.wait()
            victim.gps.unplug()
            victim.manager.close()


@pytest.mark.parametrize("part", PARTS)
def test_e31_a_frozen_part_is_not_fed_within_the_time(
    starved: tuple[dict[str, Victim], float], part: str
) -> None:
    victims, frost = starved
    victim = victims[part]
    assert victim.said[0][1] == b"READY=1"
    last = max(at for at, words in victim.said if words == b"WATCHDOG=1")
    assert last - frost <= STARVED_S + BUSY_S
    name = NAMES.get(part, f"task {part}")
    if name:  # who sleeps himself tells nothing
        assert name in " ".join(victim.reasons())


def test_hup_with_a_bad_file_changes_nothing_and_with_a_good_one_leaves_cleanly(
    tmp_path: Path,
) -> None:
    agent = Agent(tmp_path / "unit", free_port(), more='[status]\nlisten = ""\n')
    agent.enrol()
    agent.start()
    until(lambda: agent.status().get("uplink") == "down")
    good = agent.config.read_text()
    agent.config.write_text(good + "[nonsense]\n")
    os.kill(agent.pid, signal.SIGHUP)
    until(lambda: "config_refused" in agent.log.read_text())
    agent.config.write_text(good)
    assert agent.status()["uplink"] == "down"
    os.kill(agent.pid, signal.SIGHUP)
    assert agent.wait(10) == 0
    names = [event["event"] for event in agent.events()]
    assert names[-3:] == ["config_good", "stopping", "stopped"]


def test_usr1_tells_stacks_and_counters(tmp_path: Path) -> None:
    gps = Pty(tmp_path / "gps")
    gps.plug_in()
    agent = Agent(tmp_path / "unit", free_port(), gps_link(gps.name), '[status]\nlisten = ""\n')
    agent.enrol()
    agent.start()
    until(lambda: agent.status().get("uplink") == "down")
    os.kill(agent.pid, signal.SIGUSR1)
    until(lambda: '"counters"' in agent.log.read_text())
    told = [event for event in agent.events() if event["event"] == "stack"]
    who = {str(event.get("thread") or event.get("task")) for event in told}
    assert {"MainThread", "serial[gps]", "facts", "line", "outbox", "pulse"} <= who
    (counters,) = [event for event in agent.events() if event["event"] == "counters"]
    assert "facts_total" in json.dumps(counters)
    agent.kill()
    gps.unplug()
