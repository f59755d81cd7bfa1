"""The line in hostile weather, row by row of EDGE section 11: real agents, real brokers, and a relay that makes the weather."""

import os
import random
import sqlite3
import time
from pathlib import Path

import pytest

from bench.accounts import read_findings
from bench.relay import CALM, Relay, Weather
from bench.relay_mqtt import Kind
from bench.site import Site, free_ports
from tests.live.agent_world import UNIT, Collector, Lock, seal_link, until
from tests.live.e_world import (
    SEAL_ID,
    CutLock,
    Ear,
    alarm,
    drive,
    fill_outbox,
    long_batch,
    world,
)
from wire.canon import Encodable, encode
from wire.envelope import Aad, kid_of, seal
from wire.orders import OrderKind
from wire.receipts import Receipt, make as make_receipt
from wire.topics import Down, down

pytestmark = pytest.mark.live

WINDOW, EARLY, SPARE = 16, 8, 4  # EDGE section 8: a client never holds more than these together
HOURS = 72.0


def test_e02_what_a_broker_acknowledged_and_lost_is_sent_again(tmp_path: Path) -> None:
    with world(tmp_path) as (agent, broker, collector, _, ear):
        collector.stop()  # nobody reads; the broker acknowledges everything
        fill_outbox(agent.folder / "state", UNIT, drive(6), hours=1)
        agent.start()
        until(lambda: ear.counts()[Kind.PUBACK] >= 4, 20, "the broker acknowledges")
        assert len(ear.published("/batch")) >= 2
        assert agent.status()["covered"] == 0
        broker.stop()
        broker.start()  # without any store: what it had is gone
        collector.start()
        until(lambda: collector.batches >= 7, 30, "everything comes again")
        until(lambda: agent.status().get("batches_waiting") in {0, 1}, 10, "and is receipted")
        assert collector.faults == []


def test_e06_an_alarm_overtakes_its_backlog(tmp_path: Path) -> None:
    check_e06(tmp_path, batches=400)


def check_e06(tmp_path: Path, *, batches: int) -> None:
    """So many batches of the last three days wait when the rope is cut; then the network is back."""
    mqtt_port, api_port, road_port = free_ports(3, random.Random(str(tmp_path)))
    site = Site(folder=tmp_path, mqtt_port=mqtt_port, api_port=api_port)
    ear = Ear()
    relay = Relay(port=road_port, broker_port=mqtt_port, hear=ear)
    lock = CutLock(tmp_path / "seal")
    lock.plug_in()
    try:
        site.start_collector()
        site.wait_for_collector()
        unit = site.make_unit(
            UNIT,
            gps=tmp_path / "no-gps",
            seal=lock.name,
            seal_id=SEAL_ID,
            broker_port=relay.port,
        )
        fill_outbox(unit.folder / "state", UNIT, drive(batches), hours=HOURS)
        relay.set(Weather(name="no network", refuses=True))
        site.start_unit(unit)
        lock.work()
        until(lambda: lock.acked, 20, "the lock is heard")
        lock.cut()
        until(lambda: lock.acked, 10, "the cut is committed")
        relay.set(CALM)
        until(lambda: ear.first(Kind.SUBACK, up=False), 60, "connected")
        connected_s = ear.first(Kind.CONNACK, up=False)
        subscribed_s = ear.first(Kind.SUBACK, up=False)
        assert connected_s is not None
        assert subscribed_s is not None
        until(lambda: ear.first(Kind.PUBLISH, up=True, lane="/early"), 10, "the early copy")
        early_s = ear.first(Kind.PUBLISH, up=True, lane="/early")
        assert early_s is not None
        assert early_s - subscribed_s <= 0.3
        with sqlite3.connect(f"file:{site.store}?mode=ro", uri=True) as base:
            until(lambda: base.execute("SELECT count(*) FROM alert").fetchone()[0], 10, "alert")
        base.close()
        assert time.monotonic() - connected_s <= 3
        status = site.status_of(unit)
        assert status is not None
        assert int(str(status["batches_waiting"])) > batches // 4  # nothing waited for the backlog
        cuts = [one for one in read_findings(site.store) if one.code == "SEAL_OPEN_UNAUTHORISED"]
        assert len(cuts) == 1
    finally:
        site.end()
        lock.unplug()
        relay.close()


def test_e07_a_batch_that_the_broker_cannot_take_does_not_stop_the_next(tmp_path: Path) -> None:
    rows = [*drive(2, 5), long_batch(), alarm(1), *drive(6, 5)]
    with world(tmp_path, broker_more="max_packet_size 1000") as (agent, _, collector, _, ear):
        fill_outbox(agent.folder / "state", UNIT, rows, hours=1)
        agent.start()
        # Batch 0 is genesis; 3 is the long one, 4 the alarm.
        until(lambda: ("early", 4) in arrived(collector.arrivals), 20, "the alarm passes")
        wanted = {(lane, number) for lane in ("batch",) for number in range(5, 11)}
        until(lambda: wanted <= set(arrived(collector.arrivals)), 80, "later batches pass")
        assert all(number != 3 for _, number in arrived(collector.arrivals))
        assert agent.status()["stuck"] == 1
        assert int(str(agent.status()["batches_waiting"])) >= 8  # parked over there, kept here
        assert max(len(payload) for payload in ear.published("/batch")) > 1_000
        assert collector.faults == []


def arrived(arrivals: list[tuple[str, bytes, int]]) -> list[tuple[str, int]]:
    return [(lane, number) for lane, _, number in list(arrivals)]


def test_e08_whatever_falls_each_record_arrives_and_none_twice(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "seal")
    lock.plug_in()
    weathers = (
        Weather(name="after PUBACK", drop_after=Kind.PUBACK, drop_after_n=2),
        Weather(name="bytes", drop_after_bytes=900),
    )
    with world(tmp_path, links=seal_link(lock.name)) as (agent, _, collector, relay, _):
        fill_outbox(agent.folder / "state", UNIT, drive(2, 5), hours=1)
        agent.start()
        lock.work()
        until(lambda: len(collector.cards()) >= 2, 30, "flows")
        for weather in weathers:
            relay.cut()
            relay.set(weather)
            until(lambda name=weather.name: relay.fallen[name], 30, weather.name)  # type: ignore[misc]  # a default binds the loop's value
        # The lock tells a card each half second at best; how many of them the falls above took is the machine's speed.
        until(lambda: len(lock.promised()) >= 8, 60, "enough is promised")
        relay.set(CALM)
        relay.cut()
        lock.fall_silent()
        until(lambda: lock.promised() <= collector.cards(), 30, "all that was promised")
        assert collector.faults == []  # a fork, an unsound batch
        arrivals = arrived(collector.arrivals)
        assert len(arrivals) > len(set(arrivals))  # it was tried: batches came twice over the wire
    (chain,) = collector.heads
    assert len(collector.heads[chain]) == len({no for _, no in collector.envelopes})
    lock.unplug()


def test_e09_never_more_is_out_than_window_and_early_lane(tmp_path: Path) -> None:
    rows = [row for one in drive(120, 5) for row in (one, alarm(one[0].record.t_ms))][:200]
    with world(tmp_path) as (agent, _, collector, relay, ear):
        fill_outbox(agent.folder / "state", UNIT, rows, hours=1)
        agent.start()
        until(lambda: collector.batches >= 60, 30, "the window is wide")
        assert ear.unacked_max <= WINDOW + EARLY + SPARE
        collector.answers = False  # no receipts; and after a reconnect no PUBACK either
        relay.set(Weather(name="no PUBACK", withholds=frozenset({Kind.PUBACK})))
        relay.cut()
        ear.forget()
        until(lambda: ear.counts()[Kind.SUBACK], 30, "connected again")
        time.sleep(3)
        assert 2 <= ear.unacked_max <= WINDOW + EARLY + SPARE
        assert len(set(ear.published("/batch"))) <= WINDOW
        assert len(set(ear.published("/early"))) <= EARLY


def test_e10_a_broker_that_accepts_and_drops_is_not_hammered(tmp_path: Path) -> None:
    with world(tmp_path) as (agent, _, collector, relay, _):
        fill_outbox(agent.folder / "state", UNIT, drive(2, 5), hours=1)
        agent.start()
        until(lambda: agent.status().get("uplink") == "flowing" and collector.batches, 20, "flows")
        relay.set(Weather(name="drops", drop_after=Kind.CONNACK))
        before = relay.links
        relay.cut()
        time.sleep(14)
        # Rung 3: up to 8 s, then 16, then 32. An eager client would have been here 14 times.
        assert relay.links - before <= 6
        assert int(str(agent.status()["rung"])) >= 4
        relay.set(CALM)


def test_e19_hostile_words_from_below_raise_nothing_and_delete_nothing(tmp_path: Path) -> None:
    rng = random.Random(19)
    with world(tmp_path) as (agent, _, collector, _, _):
        collector.answers = False
        fill_outbox(agent.folder / "state", UNIT, drive(20, 5), hours=1)
        agent.start()
        until(lambda: collector.hellos and collector.arrivals, 20, "connected")
        chain, waiting = collector.arrivals[0][1], agent.status()["batches_waiting"]
        stranger = collector.order_key  # a sound signature of the wrong hand
        words = Receipt(
            unit_id=UNIT, chain_id=chain, through_batch_no=10, head=bytes(32), received_ms=1
        )
        forged = make_receipt(words, kid_of(collector.public(stranger)), stranger.sign)
        genuine = make_receipt(
            words, kid_of(collector.public(collector.receipt_key)), stranger.sign
        )
        for what in Down:
            for payload in (
                b"",
                os.urandom(200),
                bytes(300_000),
                forged,
                genuine,
                forged[:-1],
                *(mutated(forged, rng) for _ in range(40)),
            ):
                say(collector, what, payload)
        odd: list[tuple[int, Encodable]] = [
            (99, ("nonsense",)),
            (6, (b"short", -1)),
            (3, ()),
            (2**31, b""),
        ]
        for kind, data in odd:
            say(collector, Down.ORDER, signed_order(collector, kind, data))
        collector.order(OrderKind.RESEND_FROM, (os.urandom(16), 2**31))
        collector.order(OrderKind.REPORT_NOW, (0, bytes(16)))
        until(lambda: collector.hellos[-1].hello.nonce == bytes(16), 20, "it still listens")
        status = agent.status()
        assert status["covered"] == 0
        assert int(str(status["batches_waiting"])) >= int(str(waiting))
        assert not status["distrusted"]
        collector.answers = True
        collector.order(OrderKind.RESEND_FROM, (chain, 0))
        until(lambda: collector.batches >= 21, 40, "and delivers everything")
        assert agent.term()[0] == 0
        names = {str(event["event"]) for event in agent.events()}
        assert not names & {"thread_died", "died", "outbox_damaged"}
        assert "Traceback" not in agent.log.read_text()
        assert collector.faults == []


def signed_order(collector: Collector, kind: int, data: Encodable) -> bytes:
    """By the right hand, of a kind and with data that no collector would send."""
    words = encode((1, UNIT, 7, kind, 1, 0, 4_000_000_000_000, bytes(16), data))
    key = collector.order_key
    return seal(words, Aad.ORDER, kid_of(collector.public(key)), key.sign)


def mutated(payload: bytes, rng: random.Random) -> bytes:
    data = bytearray(payload)
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randint(1, len(data))] if rng.random() < 0.3 else data)


def say(collector: Collector, what: Down, payload: bytes) -> None:
    assert collector._client is not None
    collector._client.publish(down(UNIT, what), payload, qos=0)
