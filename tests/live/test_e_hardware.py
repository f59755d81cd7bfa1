"""The unit's hardware in hostile weather, row by row of EDGE section 11: lines that vanish, garble and flood, and deaths in the worst moment."""

import os
import random
import time
from pathlib import Path

import pytest

from bench.accounts import body_of, held_of
from bench.drill.issuer import Truck
from tests.live.agent_world import UNIT, Collector, Pty, gps_link, nmea_words, seal_link, until
from tests.live.e_world import drive, fill_outbox, world
from wire.records import EventKind

pytestmark = pytest.mark.live

DEATHS = 6


def settled(collector: Collector) -> list[bytes]:
    return [
        collector.envelopes[chain, number]
        for chain, heads in list(collector.heads.items())
        for number in range(len(heads))
    ]


def frames(collector: Collector) -> list[bytes]:
    """The device's own bytes in every seal and access event that was settled, in order."""
    found = []
    for envelope in settled(collector):
        for event in body_of(held_of(UNIT, envelope).envelope).events:
            if event.kind in (EventKind.SEAL, EventKind.ACCESS):
                found += [value for value in event.data[9:10] if isinstance(value, bytes)]
    return found


def test_e13_a_line_that_vanishes_and_returns_is_told_in_records(tmp_path: Path) -> None:
    gps, lock = Pty(tmp_path / "gps"), Pty(tmp_path / "seal")
    links = gps_link(gps.name) + seal_link(lock.name)
    with world(tmp_path, links=links) as (agent, _, collector, _, _):
        fill_outbox(agent.folder / "state", UNIT, drive(1, 5), hours=1)
        gps.plug_in()
        lock.plug_in()
        gps.talk(nmea_words(), 1.0)
        agent.start()
        until(lambda: agent.link_state("gps") == "fix", 30, "a fix")
        gps.unplug()
        lock.unplug()
        until(lambda: agent.link_state("gps") == "absent", 10, "it is missed")
        gps.plug_in()
        gps.talk(lambda: os.urandom(60))
        until(lambda: agent.link_state("gps") in {"noise", "hunting"}, 30, "it talks rubbish")
        gps.fall_silent()
        gps.talk(nmea_words(), 1.0)
        until(lambda: agent.link_state("gps") == "fix", 30, "it is back")
        time.sleep(1)  # a state is a record when it has held for 100 ms
        assert agent.term()[0] == 0
        until(lambda: (told(collector) or [0])[-1] >= 2, 10, "the states are records")
        states = told(collector)
        assert 0 in states  # absent
        assert states[-1] >= 2  # and a fix in the end
        assert EventKind.LINK in kinds(collector)  # the seal's port
        assert collector.faults == []
        gps.unplug()


def told(collector: Collector) -> list[int]:
    """The receiver's states, as `gnss` records say them."""
    return [
        int(event.data[0])
        for envelope in settled(collector)
        for event in body_of(envelope).events
        if event.kind == EventKind.GNSS and isinstance(event.data[0], int)
    ]


def kinds(collector: Collector) -> set[int]:
    return {event.kind for one in settled(collector) for event in body_of(one).events}


def test_e15_e25_killed_within_100_ms_of_an_event_what_the_seal_was_told_is_at_the_collector(
    tmp_path: Path,
) -> None:
    rng = random.Random(15)
    truck = Truck(0, tmp_path)
    links = gps_link(truck.gps) + seal_link(truck.seal)
    ledger = truck.ledger
    with world(tmp_path, links=links) as (agent, _, collector, _, _):
        fill_outbox(agent.folder / "state", UNIT, drive(1, 5), hours=1)
        truck.start()
        try:
            for _ in range(DEATHS):
                owed, issued = len(ledger.owed), len(ledger.issued)
                agent.start()
                until(lambda n=owed: len(ledger.owed) > n, 20, "the lock is heard")  # type: ignore[misc]  # a default binds the loop's value
                until(lambda n=issued: len(ledger.issued) > n, 10, "its next word")  # type: ignore[misc]  # as above
                time.sleep(rng.uniform(0.0, 0.1))
                agent.kill()
            agent.start()
            owed = len(ledger.owed)
            until(lambda: len(ledger.owed) > owed, 20, "the lock is heard")
            truck.quiet.set()
            until(lambda: len(ledger.issued) == len(ledger.owed), 10, "the last word")
            until(lambda: set(ledger.owed) <= set(frames(collector)), 20, "what was promised")
        finally:
            truck.stop()
        stored = frames(collector)
        assert len(stored) == len(set(stored))  # a repeat after a crash makes no second record
        assert set(stored) <= set(ledger.issued)
        assert len(ledger.owed) > DEATHS
        assert collector.faults == []


def test_e30_a_flooding_port_starves_no_other(tmp_path: Path) -> None:
    gps, lock = Pty(tmp_path / "gps"), Pty(tmp_path / "seal")
    gps.plug_in()
    lock.plug_in()
    links = gps_link(gps.name) + seal_link(lock.name)
    with world(tmp_path, links=links) as (agent, _, collector, _, _):
        fill_outbox(agent.folder / "state", UNIT, drive(1, 5), hours=1)
        agent.start()
        lock.talk(lambda: os.urandom(4_000), 0.004)  # a megabyte a second
        gps.talk(nmea_words(), 1.0)
        until(lambda: "flood_bytes_dropped" in str(agent.status().get("links")), 30, "bounded")
        until(lambda: agent.link_state("gps") == "fix", 30, "the receiver is heard beside it")
        before = collector.batches
        until(lambda: collector.batches >= before + 3, 20, "and its fixes are delivered")
        status = agent.status()
        assert int(str(status["facts_waiting"])) < 1_024
        assert int(str(status["lag_ms_max"])) < 1_000
        assert collector.faults == []
        gps.unplug()
        lock.unplug()
