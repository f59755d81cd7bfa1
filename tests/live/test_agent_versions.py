"""Settings by air over a real broker: a wrong broker comes back by itself, a good version stays (EDGE section 10, rows 18 and 29)."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.agent_world import UNIT, Agent, Collector, free_port, until, world
from wire import Refused
from wire.batch import read_body, read_payload
from wire.envelope import Aad, kid_of, open_envelope
from wire.orders import Order, OrderKind, make as make_order
from wire.records import EventKind
from wire.topics import Down, down

pytestmark = pytest.mark.live

PROBATION_MS = 6_000
ROOT = Path(__file__).parents[2]
PROGRAM = (
    "import sys; from agent.app.commands import run;"
    f" sys.exit(run(sys.argv[1], None, probation_ms={PROBATION_MS}))"
)


def start(agent: Agent, **environ: str) -> "subprocess.Popen[bytes]":
    """The agent with a probation that a test can wait for."""
    with agent.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(agent.config)],
            stderr=log,
            cwd=ROOT,
            env={**os.environ, **environ},
        )


def set_config(collector: Collector, version: int, text: str) -> None:
    """Retained, as the topic is."""
    order = Order(
        unit_id=UNIT,
        counter=0,
        kind=OrderKind.SET_CONFIG,
        issued_ms=1,
        not_before_ms=0,
        not_after_ms=0,
        order_id=os.urandom(16),
        data=(version, text.encode()),
    )
    key = collector.order_key
    message = make_order(order, kid_of(collector.public(key)), key.sign)
    assert collector._client is not None
    collector._client.publish(down(UNIT, Down.CONFIG), message, qos=1, retain=True)


def config_events(collector: Collector) -> list[tuple[object, ...]]:
    """Of everything that was settled."""
    found: list[tuple[object, ...]] = []
    for chain, heads in list(collector.heads.items()):
        for number in range(len(heads)):
            opened = open_envelope(collector.envelopes[chain, number], Aad.BATCH)
            assert not isinstance(opened, Refused)
            header = read_payload(opened.payload)
            assert not isinstance(header, Refused)
            body = read_body(header)
            assert not isinstance(body, Refused)
            found += [event.data for event in body.events if event.kind == EventKind.CONFIG]
    return found


def named(agent: Agent, name: str) -> int:
    return sum(event["event"] == name for event in agent.events())


def test_e18_a_wrong_broker_comes_back_by_itself_and_a_good_version_stays(tmp_path: Path) -> None:
    with world(tmp_path) as (agent, _, collector):
        process = start(agent)
        try:
            until(lambda: agent.status().get("uplink") == "flowing")
            set_config(collector, 1, f'[uplink]\nservers = ["mqtt://127.0.0.1:{free_port()}"]\n')
            until(lambda: named(agent, "config_on_probation") == 1)
            until(lambda: config_events(collector) == [(1, 2)], 60, "rolled back")
            until(lambda: agent.status().get("uplink") == "flowing")
            set_config(collector, 2, "[sealer]\nage_open_s = 2\n")
            until(lambda: config_events(collector) == [(1, 2), (2, 0)], 30, "taken")
            current = agent.folder / "state" / "config" / "current.toml"
            assert current.read_text() == "[sealer]\nage_open_s = 2\n"
            assert process.poll() is None  # one process through it all
            process.terminate()
            assert process.wait(10) == 0
            process = start(agent)
            until(lambda: agent.status().get("uplink") == "flowing")
            assert config_events(collector) == [
                (1, 2),
                (2, 0),
            ]  # the retained word says nothing new
            assert len(collector.heads) == 1  # one chain: every restart was clean
            assert collector.faults == []
        finally:
            process.kill()
            process.wait()


def test_e18_a_restart_inside_the_process_is_no_stop_to_systemd(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        world(tmp_path) as (agent, _, collector),
    ):
        manager.bind(str(path))
        manager.settimeout(30)
        process = start(agent, NOTIFY_SOCKET=str(path))
        try:
            assert manager.recv(100) == b"READY=1"
            until(lambda: agent.status().get("uplink") == "flowing")
            set_config(collector, 1, "[sealer]\nage_open_s = 2\n")
            until(lambda: agent.status().get("config_version") == 1)
            process.terminate()
            assert process.wait(10) == 0
            said = _drained(manager)
            assert [word for word in said if word != b"WATCHDOG=1"] == [b"READY=1", b"STOPPING=1"]
        finally:
            process.kill()
            process.wait()


def _drained(manager: socket.socket) -> list[bytes]:
    manager.setblocking(False)
    said = []
    with contextlib.suppress(BlockingIOError):
        while True:
            said.append(manager.recv(100))
    return said


def test_e29_killed_in_probation_it_starts_with_the_version_before(tmp_path: Path) -> None:
    with world(tmp_path) as (agent, _, collector):
        process = start(agent)
        try:
            until(lambda: agent.status().get("uplink") == "flowing")
            set_config(collector, 7, f'[uplink]\nservers = ["mqtt://127.0.0.1:{free_port()}"]\n')
            until(lambda: named(agent, "config_on_probation") == 1)
            process.kill()
            process.wait()
            process = start(agent)
            until(lambda: config_events(collector) == [(7, 2)], 30, "rolled back")
            until(lambda: agent.status().get("uplink") == "flowing")
            assert named(agent, "config_on_probation") == 1  # the next try comes in an hour
        finally:
            process.kill()
            process.wait()
