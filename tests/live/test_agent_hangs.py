"""Whatever hangs, the loop goes on (EDGE pitfall 16), and the process ends when it is told to (pitfall 17)."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from agent.io.status import ask
from tests.live.agent_world import (
    Agent,
    Lock,
    Pty,
    free_port,
    gps_link,
    nmea_words,
    seal_link,
    until,
)

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


HANG_S = 3_600
WATCHDOG_US = 6_000_000  # a tenth of the minute: a store that is silent for three seconds is late


@contextlib.contextmanager
def fsync_hangs(pid: int) -> Iterator[None]:
    """The kernel itself holds up whoever asks for a sync; nobody else in that process waits."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    calls = "fsync,fdatasync"
    words = ("-f", "-qq", "-e", f"trace={calls}", "-e", f"inject={calls}:delay_enter={HANG_S}s")
    strace = subprocess.Popen(["strace", *words, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)
        if strace.poll() is not None:
            assert strace.stderr is not None
            pytest.skip(f"strace may not trace here: {strace.stderr.read().strip()}")
        yield
    finally:
        strace.kill()  # the kernel lets go of what it traced
        strace.wait()
        if strace.stderr is not None:
            strace.stderr.close()


def test_e16_an_fsync_that_hangs_presses_and_stops_no_fact_and_then_all_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", str(WATCHDOG_US))
    gps, lock = Pty(tmp_path / "gps"), Lock(tmp_path / "lock")
    for device in (gps, lock):
        device.plug_in()
    gps.talk(nmea_words(), 0.1)
    links = gps_link(gps.name) + seal_link(lock.name)
    agent = Agent(tmp_path / "unit", free_port(), links, '[status]\nlisten = ""\n')
    agent.enrol()
    agent.start()
    path = agent.folder / "run" / "status.sock"

    def numbers() -> dict[str, Any]:
        return ask(path, "/status.json") if path.exists() else {}

    try:
        lock.work()
        until(lambda: numbers().get("facts", 0) and numbers()["acks"] >= 2, 30, "it works")
        with fsync_hangs(agent.pid):
            until(lambda: numbers()["records_waiting"] > 0, 20, "a commit hangs")
            time.sleep(0.5)
            before = numbers()
            until(lambda: numbers()["pressure"] == 3, 20, "the store is late")
            until(lambda: numbers()["facts"] >= before["facts"] + 30, 20, "facts are heard")
            hung = numbers()
            assert hung["sealed"] == before["sealed"]
            assert hung["acks"] == before["acks"], "nothing is acknowledged that is not stored"
            assert hung["store"] == "silent"
            until(lambda: "writer" in str(numbers()["keeper"]), 20, "the watchdog is not fed")
        until(lambda: numbers()["records_waiting"] == 0, 30, "all that waited is stored")
        after = numbers()
        assert after["pressure"] == 0
        assert after["records_dropped"] == 0
        until(lambda: numbers()["acks"] > hung["acks"], 20, "the lock gets its acknowledgement")
        until(lambda: numbers()["keeper"] == "ok", 20, "the watchdog is fed again")
    finally:
        agent.kill()
        gps.unplug()
        lock.unplug()
