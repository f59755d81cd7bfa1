"""What a unit hears besides receivers and JT701 seals: gpsd, an LLRP child, an M100 module, a JT808 lock.

The LLRP child that is killed here is a small program that prints the same lines; `test_llrp_child.py` tries the real one.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Event

import pytest

from agent.io.clock import Clock
from agent.io.foreign import ForeignSource
from agent.io.gpsd import gpsd_source
from agent.io.inbox import HeardFact, Inbox
from agent.io.llrp import llrp_source
from agent.io.words import PortSettings
from agent.recorder.facts import LinkState, PortState
from agent.recorder.settings import Role
from devices import Fix, NoFix, ReaderAnswer, TagRead
from tests.devices import jt808_frames as jt808
from tests.live.agent_world import Agent, Collector, Pty, free_port, nmea_words, until, world
from tests.live.sim_process import running
from tests.live.test_sim_gpsd import (
    GPSD,
    JAM_S,
    PLACE_DEG_MAX,
    START_MS,
    TABLES,
    VOID_S,
    ours,
)
from wire import Refused
from wire.batch import read_body, read_payload
from wire.envelope import Aad, open_envelope
from wire.records import EventKind

pytestmark = pytest.mark.live
needs_gpsd = pytest.mark.skipif(GPSD is None, reason="gpsd is not installed: apt-get install gpsd")
RATE, END_S = 10, 240
CHILD = """
import json, sys, time
print(json.dumps({"alive": True}), flush=True)
while True:
    print(json.dumps({"EPC": "3034257BF7194E4000001A85", "PeakRSSI": -52, "AntennaID": 1, "TagSeenCount": 2}), flush=True)
    time.sleep(0.05)
"""


class Gpsd:
    """Debian's gpsd on a receiver's pty: never writing, never hunting."""

    def __init__(self, folder: Path, receiver: str) -> None:
        self.port = free_port()
        self._command = [
            *(str(GPSD), "-N", "-n", "-b", "-S", str(self.port)),
            *("-F", str(folder / "gpsd.sock"), receiver),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


class Heard(Inbox):
    """What a source puts, without a loop that gets it."""

    def __init__(self) -> None:
        self.heard: list[HeardFact] = []

    def put(self, fact: HeardFact, stop: Event) -> None:  # noqa: ARG002  # no room is needed
        self.heard.append(fact)

    def release(self) -> None:
        pass

    def states(self) -> list[LinkState]:
        return [one.fact.state for one in self.heard if isinstance(one.fact, PortState)]

    def count(self, kind: type) -> int:
        return sum(isinstance(one.fact, kind) for one in self.heard)


@contextlib.contextmanager
def listening(source: ForeignSource) -> Iterator[ForeignSource]:
    source.start()
    try:
        yield source
    finally:
        source.stop()
        assert source.join(5), "its thread hangs"


def gps_of(port: int, heard: Heard) -> ForeignSource:
    settings = PortSettings(
        name="gps", device=f"127.0.0.1:{port}", protocol="gpsd", role=Role.GPS, baud=None
    )
    return gpsd_source(settings, ("127.0.0.1", port), clock=Clock(), inbox=heard, rng=Random(1))


def tags_of(command: list[str], heard: Heard, quiet_ms_max: int = 90_000) -> ForeignSource:
    settings = PortSettings(
        name="portal", device="test:5084", protocol="llrp", role=Role.RFID, baud=None
    )
    return llrp_source(
        settings,
        command,
        clock=Clock(),
        inbox=heard,
        rng=Random(1),
        quiet_ms_max=quiet_ms_max,
    )


def child_pids(marker: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if marker.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid()]


# -- gpsd


@needs_gpsd
def test_gpsds_socket_and_the_receivers_pty_give_the_same_fixes(tmp_path: Path) -> None:
    tables, heard = TABLES.replace("UBX", "false"), Heard()
    options = ("--rate", str(RATE), "--hold")
    with (
        running(tmp_path, tables, *options, end_s=END_S) as for_gpsd,
        running(tmp_path, tables, *options, end_s=END_S) as for_us,
    ):
        gpsd = Gpsd(tmp_path, for_gpsd.path("gps"))
        gpsd.start()
        try:
            with listening(gps_of(gpsd.port, heard)) as source:
                until(lambda: source.counters["opened"], what="gpsd listens")
                time.sleep(1)  # gpsd opens the pty when a client watches
                for_gpsd.tell(do="go")
                at_pty = ours(for_us)
                for_gpsd.end()
                time.sleep(1)
        finally:
            gpsd.end()
    at_socket = {
        fact.time_ms: (fact.lat_e7 / 1e7, fact.lon_e7 / 1e7)
        for fact in (one.fact for one in heard.heard)
        if isinstance(fact, Fix) and fact.time_ms is not None
    }
    seconds = {(time_ms - START_MS) / 1_000 for time_ms in at_socket}
    assert not seconds & {float(second) for second in (*VOID_S, *JAM_S)}
    assert len(at_socket) > 130
    assert set(at_socket) <= set(at_pty), "a fix that the receiver did not give"
    late = {(time_ms - START_MS) / 1_000 for time_ms in set(at_pty) - set(at_socket)}
    assert len(late) <= 3, late  # gpsd needs an epoch or two before it believes a fix again
    for time_ms, (lat, lon) in at_socket.items():
        here = at_pty[time_ms]
        assert max(abs(lat - here[0]), abs(lon - here[1])) <= PLACE_DEG_MAX
    assert heard.count(NoFix) > 20
    print(f"{len(at_socket)} fixes at the socket, {len(at_pty)} at the pty")  # noqa: T201 - the figure


@needs_gpsd
def test_a_gpsd_that_is_killed_is_absent_and_heard_when_it_is_back(tmp_path: Path) -> None:
    receiver, heard = Pty(tmp_path / "gps"), Heard()
    receiver.plug_in()
    receiver.talk(nmea_words())
    gpsd = Gpsd(tmp_path, os.path.realpath(receiver.name))
    try:
        with listening(gps_of(gpsd.port, heard)) as source:
            until(lambda: source.counters["not_opened"] >= 1, what="nobody listens")
            for _ in range(2):
                gpsd.start()
                until(lambda: source.view().state == "fix", 40, "a fix")
                gpsd.end()
                until(lambda: source.view().state == "absent", 10, "gpsd is gone")
    finally:
        gpsd.end()
        receiver.unplug()
    assert heard.states().count(LinkState.FIX) == 2


def test_a_gpsd_without_a_receiver_is_mute_and_says_so_once() -> None:
    heard = Heard()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        listening(gps_of(server.getsockname()[1], heard)) as source,
    ):
        for _ in range(2):
            client, _ = server.accept()
            with client:
                assert client.recv(100).startswith(b"?WATCH=")
                client.sendall(b'{"class":"VERSION","release":"3.22"}\n')
                client.settimeout(20)
                assert client.recv(100) == b""  # it is left after ten seconds without a word
        assert source.view().state == "mute"
        server.close()
        until(lambda: source.view().state == "absent", 30, "it is gone")
    assert heard.states() == [LinkState.OPENING, LinkState.MUTE, LinkState.ABSENT]


# -- LLRP


def test_a_child_that_is_killed_is_started_again_and_its_tags_are_back(tmp_path: Path) -> None:
    script, heard = tmp_path / "child.py", Heard()
    script.write_text(CHILD)
    with listening(tags_of([sys.executable, str(script)], heard)) as source:
        for round_ in range(1, 3):
            until(lambda: source.view().state == "talking", what="tags")
            before = heard.count(TagRead)
            until(lambda: heard.count(TagRead) > before, what="more tags")  # noqa: B023  # within the round
            [pid] = child_pids(str(script))
            os.kill(pid, signal.SIGKILL)
            until(lambda: source.counters["falls"] == round_, what="it is missed")  # noqa: B023  # as above
        until(lambda: source.view().state == "talking", what="back")
    assert heard.states()[:4] == [
        LinkState.OPENING,
        LinkState.TALKING,
        LinkState.ABSENT,
        LinkState.OPENING,
    ]
    assert child_pids(str(script)) == []  # a stop leaves none behind


def test_a_child_that_falls_silent_is_killed_and_started_again(tmp_path: Path) -> None:
    script, heard = tmp_path / "silent.py", Heard()
    script.write_text(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('{\"alive\":true}', flush=True)\ntime.sleep(600)\n"
    )
    with listening(tags_of([sys.executable, str(script)], heard, quiet_ms_max=1_500)) as source:
        until(lambda: source.counters["opened"] >= 2, 20, "another child")
        assert source.counters["quiet"] >= 1
        until(lambda: len(child_pids(str(script))) == 1, what="the first one is dead")
    assert child_pids(str(script)) == []


def test_a_child_that_cannot_work_is_a_fault_and_no_sign_of_life(tmp_path: Path) -> None:
    script, heard = tmp_path / "fault.py", Heard()
    script.write_text('print(\'{"fault":"no route to host"}\', flush=True)\n')
    with listening(tags_of([sys.executable, str(script)], heard)) as source:
        until(lambda: source.counters["falls"] >= 2, 20, "it is tried again")
        assert source.view().state == "absent"
    assert heard.states() == []
    faults = [one.fact for one in heard.heard if isinstance(one.fact, ReaderAnswer)]
    assert {fault.ok for fault in faults} == {False}


# -- serial sources, through the whole agent


def test_an_m100_module_is_started_and_its_tags_come_and_go_in_signed_events(
    tmp_path: Path,
) -> None:
    epc = "3034257BF7194E4000001A85"
    tag = f'epc = "{epc}", rssi_dbm = -52, read_rate = 0.9'
    with running(tmp_path, f"reader = {{ tags = [{{ {tag} }}] }}", end_s=600) as sim:
        links = (
            f'[links.tags]\ndevice = "{sim.path("rfid")}"\nprotocol = "m100"\nrole = "rfid"\n'
            'region = "europe"\npower_cdbm = 2000\n'
        )
        with world(tmp_path, links=links) as (agent, _, collector):
            agent.start()
            until(lambda: link(agent, "tags").get("state") == "talking", 30, "the module talks")
            until(lambda: tags_told(collector), 30, "a tag at the collector")
            assert tags_told(collector)[0][:5] == ["tags", 1, 0, [bytes.fromhex(epc)], []]
            until(lambda: links_told(collector)[-1:] == [(2, 1)], 30, "the reader talks")
            sim.tell(do="unplug", device="rfid")
            until(lambda: link(agent, "tags").get("state") == "absent", 30, "it is unplugged")
            until(lambda: links_told(collector)[-1:] == [(2, 0)], 30, "the reader is lost")
            assert collector.faults == []
            assert agent.term()[0] == 0


def events_told(collector: Collector, kind: EventKind) -> list[list[object]]:
    """What the unit signed of this kind, in the order of its batches."""
    found: list[list[object]] = []
    for key in sorted(collector.envelopes):
        opened = open_envelope(collector.envelopes[key], Aad.BATCH)
        assert not isinstance(opened, Refused)
        header = read_payload(opened.payload)
        assert not isinstance(header, Refused)
        body = read_body(header)
        assert not isinstance(body, Refused)
        found += [list(event.data) for event in body.events if event.kind == kind]
    return found


def tags_told(collector: Collector) -> list[list[object]]:
    return [
        [list(one) if isinstance(one, tuple | list) else one for one in data]
        for data in events_told(collector, EventKind.TAGS)
    ]


def links_told(collector: Collector) -> list[tuple[object, object]]:
    return [(data[0], data[1]) for data in events_told(collector, EventKind.LINK) if data[0] == 2]


def test_a_jt808_lock_on_a_pty_is_acknowledged_after_the_commit(tmp_path: Path) -> None:
    frame = bytes.fromhex(
        "7E020000290140009988770005000000000000000302765B69042086F201C70195005A261122181500600B00"
        "04003930303235343939697E"
    )
    ack = bytes.fromhex("7E8001000501400099887700000005020000A47E")
    ack_of_batch = bytes.fromhex("7E8001000501400099887700000009070400A97E")
    cut = jt808.tlv(0x60, b"\x00\x11\x01")
    lock = Pty(tmp_path / "lock")
    lock.plug_in()
    links = f'[links.seal]\ndevice = "{lock.name}"\nprotocol = "jt808"\nrole = "seal"\n'
    agent = Agent(tmp_path / "unit", free_port(), links)
    agent.enrol()
    agent.start()
    try:
        until(lambda: link(agent, "seal").get("state") == "opening", 30, "the port is open")
        lock.say(frame)
        hears(lock, ack)
        assert link(agent, "seal")["state"] == "talking"
        lock.say(frame)  # it missed our word
        hears(lock, ack)
        assert counters(agent, "seal")["repeated"] == 1
        before = int(str(agent.status()["records"]))
        lock.say(jt808.frame(0x0704, jt808.batch(jt808.place(cut), *[jt808.place()] * 9)))
        hears(lock, ack_of_batch)
        assert int(str(agent.status()["records"])) - before >= 11
        assert agent.term()[0] == 0
    finally:
        agent.kill()
        lock.unplug()


def hears(lock: Pty, word: bytes) -> None:
    said: list[bytes] = []

    def heard() -> bool:
        said.append(lock.heard())
        return word in b"".join(said)

    until(heard, 20, f"{word!r}")


def link(agent: Agent, name: str) -> dict[str, object]:
    links = agent.status().get("links", [])
    assert isinstance(links, list)
    return next((one for one in links if one["name"] == name), {})


def counters(agent: Agent, name: str) -> dict[str, int]:
    found = link(agent, name).get("counters", {})
    assert isinstance(found, dict)
    return found
