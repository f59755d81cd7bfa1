"""Orders over real processes: agent, broker, and the witness's lock on a pty (EDGE section 6; pitfall 28)."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.simulator import Simulator
from tests.live.agent_world import UNIT, Agent, Collector, gps_link, seal_link, until, world
from wire import Refused
from wire.batch import read_body, read_payload
from wire.envelope import Aad, kid_of, open_envelope
from wire.orders import Order, OrderKind, OrderResult, make
from wire.records import Datum, EventKind, SealBit
from wire.topics import Down

pytestmark = pytest.mark.live

SEAL = "8000620011"
PASSWORD = "12#aAM"
MOVEMENT = "27UZ0001"
HERE = (41_3000000, 69_2500000)  # where the witness stands without a track
SCENARIO = f"""
scenario = {{{{ name = "orders", seed = 7, start = {{start}}, end_s = 3600 }}}}
receiver = {{{{ fix_after_s = 1, noise_m = 0, ubx = true }}}}
seal = {{{{ id = "{SEAL}", armed = true, dynamic = false, password = "{{password}}", interval_s = 20 }}}}
"""
KILLED = -9


def square(lat_e7: int, lon_e7: int, half: int = 20_000) -> tuple[int, ...]:
    """About 200 m from the middle to each side."""
    north, east = lat_e7 + half, lon_e7 + half
    south, west = lat_e7 - half, lon_e7 - half
    return (south, west, south, east, north, east, north, west)


class Site:
    """One unit with its lock, and the centre that signs its orders."""

    def __init__(self, agent: Agent, collector: Collector, hardware: Simulator) -> None:
        self.agent = agent
        self.collector = collector
        self.hardware = hardware
        self.counter = 0

    def order(
        self,
        kind: int = OrderKind.UNLOCK,
        *,
        seal: str = SEAL,
        movement: str = MOVEMENT,
        area: tuple[int, ...] = square(*HERE),
        counter: int | None = None,
        not_before_s: float = -60,
        not_after_s: float = 600,
    ) -> bytes:
        """An order with the next counter, signed; what to say once more if it is to be repeated."""
        if counter is None:
            self.counter += 1
            counter = self.counter
        now_ms = time.time_ns() // 1_000_000
        data: tuple[Datum, ...] = (seal, "officer-7", movement)
        key = self.collector.order_key
        order = Order(
            unit_id=UNIT,
            counter=counter,
            kind=kind,
            issued_ms=now_ms,
            not_before_ms=now_ms + round(not_before_s * 1000),
            not_after_ms=now_ms + round(not_after_s * 1000),
            order_id=os.urandom(16),
            data=(*data, area) if kind == OrderKind.UNLOCK else data,
        )
        message = make(order, kid_of(self.collector.public(key)), key.sign)
        self.say(message)
        return message

    def say(self, message: bytes) -> None:
        self.collector._say(Down.ORDER, message)

    def events(self, kind: EventKind) -> list[tuple[Datum, ...]]:
        """All events of a kind that the centre holds, in chain order."""
        found = []
        with self.collector._lock:
            envelopes = [self.collector.envelopes[key] for key in sorted(self.collector.envelopes)]
        for envelope in envelopes:
            opened = open_envelope(envelope, Aad.BATCH)
            assert not isinstance(opened, Refused)
            header = read_payload(opened.payload)
            assert not isinstance(header, Refused)
            body = read_body(header)
            assert not isinstance(body, Refused)
            found += [event.data for event in body.events if event.kind == kind]
        return found

    def results(self) -> list[tuple[object, object]]:
        """(result, detail) of every order_result."""
        return [(data[3], data[4]) for data in self.events(EventKind.ORDER_RESULT)]

    def openings(self) -> int:
        """How often the lock has said that a password opened it."""
        sources = [
            data
            for data in self.events(EventKind.ACCESS)
            if data[2] == "static_password" and data[4]
        ]
        return len(sources)

    def says_open(self) -> bool:
        """Whether the lock's newest report says that it is not locked."""
        _, _, known, true, *_ = self.events(EventKind.SEAL)[-1]
        assert isinstance(known, int)
        assert isinstance(true, int)
        return known & ~true & SealBit.LOCKED == SealBit.LOCKED

    def jammed(self) -> bool:
        """Whether the receiver has reported jamming."""
        state = self.events(EventKind.GNSS)[-1][9]
        return isinstance(state, int) and state >= 2

    def expect(self, count: int, seconds: float = 20) -> tuple[object, object]:
        """The newest result, as soon as there are so many."""
        until(lambda: len(self.results()) >= count, seconds, f"{count} results")
        assert len(self.results()) == count, self.results()
        return self.results()[-1]

    def ready(self) -> None:
        """The unit knows time and place, and its lock."""
        until(
            lambda: (
                (status := self.agent.status()).get("time_quality") == "gnss"
                and status.get("uplink") == "flowing"
                and status.get("lat_e7") is not None
            ),
            40,
            "time and place",
        )
        until(lambda: self.events(EventKind.SEAL), 40, "the lock has reported")


@contextlib.contextmanager
def site(folder: Path, password: str = PASSWORD, more: str = "") -> Iterator[Site]:
    secret = folder / "seal.secret"
    secret.write_text(password + "\n")
    secret.chmod(0o600)
    scenario = folder / "scenario.toml"
    start = datetime.fromtimestamp(int(time.time()), UTC)
    scenario.write_text(SCENARIO.format(start=start.isoformat(), password=password))
    hardware = Simulator(scenario, folder / "hardware")
    links = (
        gps_link(hardware.gps)
        + seal_link(hardware.seal)
        + f'seal_id = "{SEAL}"\n[seals.{SEAL}]\nsecret_file = "{secret}"\n{more}'
    )
    try:
        with world(folder, links=links) as (agent, _, collector):
            made = Site(agent, collector, hardware)
            yield made
            for name in (collector.faults, [PASSWORD] if PASSWORD in agent.log.read_text() else []):
                assert name == []
    finally:
        hardware.close()


def test_an_unlock_in_its_place_and_time_opens_the_lock_once(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.agent.start()
        here.ready()
        message = here.order()
        assert here.expect(1) == (OrderResult.DONE, "")
        until(lambda: here.openings() == 1, 5, "the lock's own word is a record")
        until(here.says_open, 30, "and its report: open")
        for _ in range(5):
            here.say(message)  # the centre has not heard yet
        time.sleep(2)
        assert here.results() == [(OrderResult.DONE, "")]
        assert here.openings() == 1


def test_what_is_not_for_here_and_now_is_refused_by_name(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.agent.start()
        here.ready()
        far = square(HERE[0] + 1_000_000, HERE[1])
        here.order(area=far)
        assert here.expect(1) == (OrderResult.OUTSIDE_AREA, "")
        here.order(not_before_s=300)
        assert here.expect(2) == (OrderResult.TOO_EARLY, "")
        here.order(not_after_s=-30)
        assert here.expect(3) == (OrderResult.EXPIRED, "")
        here.order(seal="7591225008")
        assert here.expect(4) == (OrderResult.UNKNOWN_SEAL, "")
        here.order(OrderKind.ARM)
        assert here.expect(5) == (OrderResult.DONE, "")
        here.order(movement="27UZ9999")
        assert here.expect(6) == (OrderResult.WRONG_MOVEMENT, "")
        here.order(counter=2)
        assert here.expect(7) == (OrderResult.REPLAYED, "")
        here.hardware.do("jam")
        until(here.jammed, 20, "the receiver reports it")
        here.order()
        assert here.expect(8) == (OrderResult.NO_FIX, "")
        assert here.openings() == 0
        here.order(OrderKind.DISARM)
        assert here.expect(9) == (OrderResult.DONE, "")


@pytest.mark.parametrize(
    ("point", "result", "openings"),
    [("order:committed", OrderResult.FAILED, 0), ("order:said", OrderResult.DONE, 1)],
)
def test_e28_a_unit_that_dies_over_an_order_repeats_nothing_and_asks(
    tmp_path: Path, point: str, result: OrderResult, openings: int
) -> None:
    with site(tmp_path) as here:
        here.agent.start("--kill-at", f"{point}:1")
        here.ready()
        message = here.order()
        assert here.agent.wait() == KILLED
        here.agent.start()
        until(lambda: here.agent.status().get("uplink") == "flowing", 40, "it flows again")
        for _ in range(3):
            here.say(message)
        assert here.expect(1, 150) == (result, "restart")
        time.sleep(25)  # a lock that was not acknowledged says it again after 20 s
        assert here.openings() == openings
        assert here.results() == [(result, "restart")]
        here.order()  # nothing is under way any more
        assert here.expect(2, 30)[0] == OrderResult.DONE
        until(lambda: here.openings() == openings + 1, 10, "opened by the second")


def test_a_first_contact_survives_a_kill_and_leaves_a_lock_that_this_unit_opens(
    tmp_path: Path,
) -> None:
    with site(tmp_path, "888888", "first_contact = true\n") as here:
        file = here.agent.folder / "state" / "seals" / f"{SEAL}.json"
        here.agent.start()
        until(file.exists, 60, "a password is kept, and said")
        here.agent.kill()
        here.agent.start()
        until(lambda: len(json.loads(file.read_text())["done"]) == 4, 180, "all four steps")
        kept = json.loads(file.read_text())
        assert file.stat().st_mode & 0o777 == 0o600
        assert (kept["next_password"], len(kept["password"]), kept["cards"]) == (None, 6, [])
        here.ready()
        here.order()
        assert here.expect(1) == (OrderResult.DONE, "")
        assert kept["password"] not in here.agent.log.read_text()
        assert all(
            kept["password"].encode() not in one for one in here.collector.envelopes.values()
        )
