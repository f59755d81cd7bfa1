"""The unit as a real process against real brokers: what it promises, kept (EDGE sections 1, 5 and 9)."""

import time
from pathlib import Path

import pytest

from tests.live.agent_world import (
    UNIT,
    Lock,
    Pty,
    gps_link,
    nmea_words,
    records_of,
    seal_link,
    until,
    world,
)
from wire.orders import OrderKind
from wire.topics import Down

pytestmark = pytest.mark.live


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_positions_reach_the_collector_in_order_and_the_outbox_forgets_by_receipt(
    tmp_path: Path, kind: str
) -> None:
    pty = Pty(tmp_path / "gps")
    pty.plug_in()
    with world(tmp_path, kind, gps_link(pty.name)) as (agent, _, collector):
        agent.start()
        pty.talk(nmea_words(), 1.0)
        until(lambda: collector.batches >= 5, 40, "five batches")
        until(lambda: agent.status().get("batches_waiting") in {0, 1}, 10, "receipts are taken")
        status = agent.status()
        assert status["uplink"] == "flowing"
        assert status["time_quality"] == "gnss"
        assert agent.link_state("gps") == "fix"
        assert collector.faults == []
        assert agent.term()[0] == 0
        until(lambda: collector.states and not collector.states[-1].up, 5, "state says down")
        pty.unplug()
    seqs = [records_of(collector.envelopes[key]) for key in sorted(collector.envelopes)]
    assert [first for first, _ in seqs] == [sum(n for _, n in seqs[:i]) for i in range(len(seqs))]
    assert collector.hellos[0].hello.unit_id == UNIT


def test_without_a_broker_it_collects_and_says_once_what_to_do(tmp_path: Path) -> None:
    pty = Pty(tmp_path / "gps")
    pty.plug_in()
    with world(tmp_path, links=gps_link(pty.name)) as (agent, broker, collector):
        collector.stop()
        broker.stop()
        agent.start()
        pty.talk(nmea_words(), 0.5)
        until(lambda: int(str(agent.status().get("sealed", 0))) >= 3, 30, "batches are sealed")
        lost = [e for e in agent.events() if e["event"] == "broker_lost"]
        assert len(lost) == 1
        assert "is the broker running" in str(lost[0]["why"])
        broker.start()
        collector.start()
        until(lambda: collector.batches >= 3, 60, "the backlog arrives")
        until(lambda: "broker_lost_over" in [e["event"] for e in agent.events()], 10, "told once")
        assert collector.faults == []
        pty.unplug()


def test_a_silent_collector_costs_nothing_and_gets_everything_when_it_is_back(
    tmp_path: Path,
) -> None:
    pty = Pty(tmp_path / "gps")
    pty.plug_in()
    with world(tmp_path, links=gps_link(pty.name)) as (agent, _, collector):
        collector.answers = False  # the broker acknowledges everything
        agent.start()
        pty.talk(nmea_words(), 0.5)
        until(lambda: len(collector.arrivals) >= 2, 30, "batches go out")
        until(lambda: int(str(agent.status().get("batches_waiting", 0))) >= 4, 30, "kept")
        assert agent.status()["covered"] == 0
        collector.answers = True
        until(lambda: agent.status().get("uplink") == "stalled" or collector.batches, 45, "asks")
        until(lambda: collector.batches >= 4, 90, "everything came")
        assert collector.faults == []
        pty.unplug()


def test_a_broker_that_dies_and_returns_sees_a_new_connection_and_the_rest(tmp_path: Path) -> None:
    pty = Pty(tmp_path / "gps")
    pty.plug_in()
    with world(tmp_path, links=gps_link(pty.name)) as (agent, broker, collector):
        agent.start()
        pty.talk(nmea_words(), 0.5)
        until(lambda: collector.batches >= 2, 30, "flows")
        broker.stop()
        until(lambda: agent.status().get("uplink") in {"down", "dialling"}, 20, "notices")
        broker.start()
        before = collector.batches
        until(lambda: collector.batches >= before + 2, 60, "flows again")
        names = {state.connection for state in collector.states if state.up}
        assert len(names) == 2
        assert collector.faults == []
        pty.unplug()


def test_an_order_is_told_about_and_never_obeyed_but_reports_are(tmp_path: Path) -> None:
    with world(tmp_path) as (agent, _, collector):
        agent.start()
        until(lambda: collector.batches >= 1 and collector.hellos, 30, "flows")
        nonce = bytes(range(16))
        collector.order(OrderKind.REPORT_NOW, (0, nonce))
        until(lambda: collector.hellos[-1].hello.nonce == nonce, 10, "hello with the nonce")
        before = collector.batches
        collector.order(OrderKind.UNLOCK, ("7591225008", "o", "m", (0, 0, 0, 1, 1, 1)))
        until(lambda: collector.batches > before, 10, "order_result at once")
        before = collector.batches
        collector.order(OrderKind.SET_CONFIG, (1, b"[unit]"), Down.CONFIG)
        until(lambda: collector.batches > before, 10, "config: refused")


def test_resend_from_brings_back_what_was_receipted(tmp_path: Path) -> None:
    pty = Pty(tmp_path / "gps")
    pty.plug_in()
    with world(tmp_path, links=gps_link(pty.name)) as (agent, _, collector):
        agent.start()
        pty.talk(nmea_words(), 0.5)
        until(lambda: collector.batches >= 4, 30, "flows")
        time.sleep(
            2.1
        )  # the hello may have been answered by a resend_from: one in two seconds counts
        kept = dict(collector.envelopes)
        chain = next(iter(collector.heads))
        collector.envelopes.clear()  # restored from an older backup: it remembers nothing
        collector.heads.clear()
        collector.order(OrderKind.RESEND_FROM, (chain, 0))
        until(lambda: len(collector.heads.get(chain, [])) >= len(kept), 30, "all again")
        assert all(collector.envelopes[key] == kept[key] for key in kept)
        assert collector.faults == []
        pty.unplug()


def test_kill_9_and_a_restart_use_no_number_twice_and_lose_nothing(tmp_path: Path) -> None:
    pty = Pty(tmp_path / "gps")
    pty.plug_in()
    with world(tmp_path, links=gps_link(pty.name)) as (agent, _, collector):
        pty.talk(nmea_words(), 0.3)
        for round_no in range(5):
            before = collector.batches
            agent.start()
            until(lambda n=before: collector.batches > n + 1, 30, f"flows, {round_no}")  # type: ignore[misc]  # a default binds the loop's value
            time.sleep(0.1 * round_no)
            agent.kill()
        agent.start()
        until(lambda: agent.status().get("batches_waiting") in {0, 1}, 30, "drained")
        assert collector.faults == []  # a fork would be here
        assert len(collector.heads) == 1  # the same kernel: the same chain
        numbers = sorted(no for _, no in collector.envelopes)
        assert numbers == list(range(len(numbers)))
        pty.unplug()


@pytest.mark.parametrize(
    "point", ["store:inserted", "store:committed", "ack", "publish", "puback", "receipt"]
)
def test_killed_at_a_named_point_it_loses_nothing_that_a_seal_was_promised(
    tmp_path: Path, point: str
) -> None:
    gps, lock = Pty(tmp_path / "gps"), Lock(tmp_path / "seal")
    gps.plug_in()
    lock.plug_in()
    with world(tmp_path, links=gps_link(gps.name) + seal_link(lock.name)) as (agent, _, collector):
        gps.talk(nmea_words(), 0.3)
        lock.work()
        agent.start("--kill-at", f"{point}:3")
        assert agent.wait(60) == -9
        promised = lock.promised()
        agent.kill()
        agent.start()
        until(lambda: len(lock.promised()) >= 4, 60, "the lock is heard")
        promised |= lock.promised()
        until(lambda: promised <= collector.cards(), 30, "what was promised has arrived")
        assert collector.faults == []
        assert len(collector.heads) == 1
        gps.unplug()
        lock.unplug()
