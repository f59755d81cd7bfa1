"""Seals that dial in over real TCP, to a real collector: from the cut to the stored alert, and what a kill leaves."""

import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.accounts import Found, body_of, read_findings, read_store
from bench.simulator import Simulator
from bench.site import Site, free_ports, kill, run, tail
from devices.jt701 import Jt701Reader
from firmware_sim.seal_jt701d import Kind, Snapshot, Status, Wake, binary_frame, status_word
from wire.columns import Event
from wire.records import EventKind

pytestmark = pytest.mark.live

SEAL_ID = "8000620011"
UNIT = "gateway-1"
SCENARIO = """
scenario = {{ name = "dial", seed = 1, start = "now", end_s = 3600 }}
track = {{ points = [[41.0, 69.0], [41.3, 69.3]], speed_km_h = 60 }}
seal = {{ id = "{seal}", protocol = "{protocol}", armed = true, dynamic = false, interval_s = 2, dial = "127.0.0.1:{port}" }}
"""


class Centre:
    """One collector with a gateway."""

    def __init__(self, folder: Path) -> None:
        mqtt, api, self.port = free_ports(3, random.Random(str(folder)))
        self.site = Site(folder=folder, mqtt_port=mqtt, api_port=api)
        self.config = folder / "collector.toml"
        self.config.write_text(
            f'[gateway]\nlisten = "127.0.0.1:{self.port}"\nunit = "{UNIT}"\neseal_config = "180,30,30,16,1"\n'
        )
        self.simulators: list[Simulator] = []

    def start(self) -> None:
        self.site.start_collector(self.config)
        self.site.wait_for_collector()
        self.until(self._listens, what="the gateway listens")

    def enrol(self) -> None:
        data = ("--data", str(self.site.data_dir))
        told = run(
            "plomba", ["collector", "gateway", "--config", str(self.config), *data, "--json"]
        )
        own = json.loads(told)
        run("plomba", ["unit", "add", own["unit"], "--public-key", own["public_key"], *data])

    def seal(self, seal_id: str = SEAL_ID, protocol: str = "jt701") -> Simulator:
        folder = self.site.folder / f"seal-{len(self.simulators)}"
        folder.mkdir()
        file = folder / "scenario.toml"
        file.write_text(SCENARIO.format(seal=seal_id, port=self.port, protocol=protocol))
        self.simulators.append(Simulator(file, folder / "ports"))
        return self.simulators[-1]

    def events(self) -> list[Event]:
        """All that the store holds, in the gateway's order."""
        return [
            one for batch in read_store(self.site.store) for one in body_of(batch.envelope).events
        ]

    def fixes(self) -> int:
        return sum(len(body_of(batch.envelope).fixes) for batch in read_store(self.site.store))

    def frames(self) -> Counter[bytes]:
        """How often each frame of a seal is stored."""
        told = [one for one in self.events() if one.kind in (EventKind.SEAL, EventKind.ACCESS)]
        return Counter(one.data[9] for one in told if isinstance(one.data[9], bytes))

    def alerts(self, code: str) -> list[Found]:
        found = read_findings(self.site.store)
        return [
            one
            for one in found
            if one.level == "alert" and one.code == code and one.phase in ("begin", "point")
        ]

    def until(self, true: Callable[[], object], *, what: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"not within {seconds} s: {what}\n{self.log()}"
            time.sleep(0.05)

    def log(self) -> str:
        return tail(self.site.collector_log, 30)

    def close(self) -> None:
        for simulator in self.simulators:
            simulator.close()
        self.site.end()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    made = Centre(tmp_path)
    try:
        yield made
    finally:
        made.close()


def frame(serial: int, status: int | None = None, kind: Kind = Kind.LIVE) -> bytes:
    """A report of the seal, as the witness writes it."""
    sealed = status_word(rope_in=True, locked=True, cover_closed=True)
    return binary_frame(
        Snapshot(
            seal_id=SEAL_ID,
            unix_ms=time.time_ns() // 1_000_000_000 * 1000,
            lat=41.2,
            lon=69.2,
            fixed=True,
            speed_km_h=0.0,
            course_deg=0.0,
            mileage_km=7,
            sats=9,
            status=sealed if status is None else status,
            battery_percent=80,
            charging=False,
            wake=Wake.RTC,
        ),
        kind,
        serial,
    )


CUT = status_word(rope_in=False, locked=True, cover_closed=True, alarm=Status.CUT)


def dialled(centre: Centre) -> socket.socket:
    return socket.create_connection(("127.0.0.1", centre.port), timeout=20)


def told(line: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = line.recv(size - len(data))
        if not piece:
            break
        data += piece
    return data


def test_a_cut_of_a_seal_that_dials_in_is_one_alert(centre: Centre) -> None:
    centre.start()
    centre.enrol()
    seal = centre.seal()
    centre.until(lambda: len(centre.frames()) >= 2, what="the seal's reports are stored")
    begun = time.monotonic()
    seal.do("cut")
    centre.until(lambda: centre.alerts("SEAL_OPEN_UNAUTHORISED"), what="the alert is stored")
    took_s = time.monotonic() - begun
    print(f"cut to stored alert over TCP: {took_s:.2f} s")  # noqa: T201 - the figure
    time.sleep(3)  # levels after the edge, and whatever else might be told twice
    [alert] = centre.alerts("SEAL_OPEN_UNAUTHORISED")
    assert alert.unit == UNIT
    assert set(centre.frames().values()) == {1}
    assert centre.fixes() > 0
    assert {one.data[0] for one in centre.events() if one.kind == EventKind.SEAL} == {SEAL_ID}


def test_killed_between_frame_and_acknowledgement_it_stores_the_repeat_once(centre: Centre) -> None:
    """The frame is committed and its word never left; or it was not committed at all: either way there is one of it."""
    centre.start()
    centre.enrol()
    with dialled(centre) as line:
        line.sendall(frame(1))
        assert told(line, 9) == b"(P69,0,1)"
    alarm = frame(2, CUT, Kind.ALARM)
    for pause_s in (
        0.0,
        0.3,
    ):  # before the commit and behind it; each statement is tried in tests/collector
        with dialled(centre) as line:
            line.sendall(alarm)
            time.sleep(pause_s)
            assert kill(centre.site.collector)
        centre.start()
    with dialled(centre) as line:
        line.sendall(alarm)
        assert told(line, 9) == b"(P69,0,2)"
        line.sendall(alarm)
        assert told(line, 9) == b"(P69,0,2)"  # and once more on the same line
    centre.until(lambda: centre.alerts("SEAL_OPEN_UNAUTHORISED"), what="the alert is stored")
    assert centre.frames()[alarm] == 1
    assert len(centre.alerts("SEAL_OPEN_UNAUTHORISED")) == 1
    assert not centre.alerts("LOG_INTEGRITY")


def test_a_collector_that_lost_its_store_gets_everything_again(centre: Centre) -> None:
    centre.start()
    centre.enrol()
    with dialled(centre) as line:
        for serial in range(1, 6):
            line.sendall(frame(serial))
            assert told(line, 9) == b"(P69,0,%d)" % serial
    centre.until(lambda: len(centre.frames()) == 5, what="all are stored")
    before = centre.events()
    assert kill(centre.site.collector)
    for file in centre.site.data_dir.glob("collector.db*"):
        file.unlink()
    centre.start()
    with dialled(centre) as line:  # not enrolled: nothing is lost, nothing is stored yet
        line.sendall(frame(6))
        assert told(line, 9) == b"(P69,0,6)"
    centre.enrol()
    centre.until(lambda: len(centre.frames()) == 6, what="all are there again", seconds=60)
    after = centre.events()
    assert after[: len(before)] == before
    assert [one.seq for one in after] == sorted({one.seq for one in after})
    assert set(centre.frames().values()) == {1}


def test_a_stop_in_good_order_goes_on_with_the_same_chain(centre: Centre) -> None:
    centre.start()
    centre.enrol()
    with dialled(centre) as line:
        line.sendall(frame(1))
        assert told(line, 9) == b"(P69,0,1)"
    centre.site.end()
    centre.start()
    with dialled(centre) as line:
        line.sendall(frame(2))
        assert told(line, 9) == b"(P69,0,2)"
    centre.until(lambda: len(centre.frames()) == 2, what="both are stored")
    kinds = [one.kind for one in centre.events()]
    assert kinds.count(EventKind.GENESIS) == 1
    assert kinds.count(EventKind.BOOT) == 2
    assert kinds.count(EventKind.STOP) == 1
    boots = [one.data[3] for one in centre.events() if one.kind == EventKind.BOOT]
    assert boots == [0, 1]  # the second start knows that the stop was clean


def test_a24_hostile_lines_cost_a_connection_and_nothing_else(centre: Centre) -> None:
    centre.start()
    centre.enrol()
    lines = [
        b"\x00" * 5_000,
        b"$" + b"\xff" * 9_000,
        b"(" + b"a" * 9_000,
        b"GET / HTTP/1.1\r\n" * 40,
    ]
    for bad in lines:
        with dialled(centre) as line:
            line.settimeout(10)
            try:
                line.sendall(bad)
                assert told(line, 1) == b""
            except ConnectionError:
                pass  # closed while we spoke: the same answer
    flood = socket.create_connection(("127.0.0.1", centre.port), timeout=10)
    with flood:
        try:
            for _ in range(200):
                flood.sendall(b"7" * 65_536)
            raise AssertionError("it took 13 MB")
        except ConnectionError:
            pass
    with dialled(centre) as line:
        line.sendall(frame(1))
        assert told(line, 9) == b"(P69,0,1)"
    assert len(Jt701Reader().feed(frame(1), 0)) == 1


def test_two_seals_at_once_are_kept_apart_and_their_places_are_no_track(centre: Centre) -> None:
    centre.start()
    centre.enrol()
    one, other = centre.seal(), centre.seal("8000620012")
    centre.until(lambda: len(centre.frames()) >= 8, what="both report")
    fixes = centre.fixes()
    other.do("cut")
    centre.until(lambda: centre.alerts("SEAL_OPEN_UNAUTHORISED"), what="the alert is stored")
    time.sleep(2)
    assert len(centre.alerts("SEAL_OPEN_UNAUTHORISED")) == 1
    assert not centre.alerts("GNSS_INTERFERENCE")
    assert centre.fixes() == fixes
    one.do("cut")
    centre.until(
        lambda: len(centre.alerts("SEAL_OPEN_UNAUTHORISED")) == 2, what="the other's alert as well"
    )


def test_an_address_that_is_taken_is_named(centre: Centre) -> None:
    with socket.create_server(("127.0.0.1", centre.port)):
        centre.site.start_collector(centre.config)
        assert centre.site.collector is not None
        assert centre.site.collector.wait(60) == 1
    assert "gateway.listen" in centre.log()
    assert "choose another address" in centre.log()


def test_an_eseal_dials_in_on_the_same_port_and_is_told_apart(centre: Centre) -> None:
    centre.start()
    centre.enrol()
    seal = centre.seal("1234567", "eseal")
    centre.until(lambda: len(centre.frames()) >= 3, what="its reports are stored")
    seal.do("door", state="open")
    centre.until(lambda: centre.alerts("SEAL_OPEN_UNAUTHORISED"), what="the alert is stored")
    time.sleep(3)
    assert len(centre.alerts("SEAL_OPEN_UNAUTHORISED")) == 1
    assert set(centre.frames().values()) <= {1, 2}  # an event and a report may share a frame
    assert {one.data[1] for one in centre.events() if one.kind == EventKind.SEAL} == {"eseal"}
