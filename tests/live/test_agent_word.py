"""After an unclean start the new chain stays at home until the collector has spoken (EDGE section 4, the word)."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.live.agent_world import Agent, Collector, Pty, gps_link, nmea_words, until, world
from wire import Refused
from wire.batch import read_body, read_payload
from wire.envelope import Aad, open_envelope

pytestmark = pytest.mark.live

UNCLEAN, ROLLED_BACK = 2, 4  # WIRE section 7


def crash(agent: Agent) -> None:
    """As if the operating system had gone down: the kernel's boot id will be another."""
    agent.kill()
    forget_boot(agent.folder / "state" / "outbox")


def forget_boot(folder: Path) -> None:
    (folder.parent.parent / "run" / "tip").unlink(
        missing_ok=True
    )  # a tmpfs: it goes with the kernel
    (store,) = [path for path in folder.iterdir() if path.suffix in {".db", ".sqlite"}]
    with sqlite3.connect(store) as db:
        changed = db.execute("UPDATE memory SET value = ? WHERE name = 'boot_id'", (b"x" * 16,))
        assert changed.rowcount == 1
    db.close()


def genesis(collector: Collector, chain: bytes) -> tuple[object, ...]:
    opened = open_envelope(collector.envelopes[chain, 0], Aad.BATCH)
    assert not isinstance(opened, Refused)
    header = read_payload(opened.payload)
    assert not isinstance(header, Refused)
    body = read_body(header)
    assert not isinstance(body, Refused)
    return body.events[0].data


def test_a_crash_begins_a_chain_that_waits_for_the_word_and_thirty_seconds(tmp_path: Path) -> None:
    pty = Pty(tmp_path / "gps")
    pty.plug_in()
    with world(tmp_path, links=gps_link(pty.name)) as (agent, _, collector):
        pty.talk(nmea_words(), 0.5)
        agent.start()
        until(lambda: collector.batches >= 3, 30)
        crash(agent)
        (old,) = collector.heads
        collector.hellos.clear()
        agent.start()
        until(lambda: collector.hellos, 20)
        assert [one.hello.chain_id for one in collector.hellos] == [old]  # none for the new one
        assert agent.status()["at_home"] is True
        until(lambda: "word" in [event["event"] for event in agent.events()], 10)
        assert list(collector.heads) == [old]  # the word is not enough: a card may still lie
        until(lambda: len(collector.heads) == 2, 60, "the new chain leaves")
        up_s = agent.status()["up_s"]
        assert isinstance(up_s, int)
        assert up_s >= 29
        new = list(collector.heads)[1]
        reason, prev_chain, prev_no, prev_head, _ = genesis(collector, new)
        assert (reason, prev_chain) == (UNCLEAN, old)
        assert isinstance(prev_no, int)
        assert prev_head == collector.heads[old][prev_no]
        assert collector.faults == []
        pty.unplug()


def test_a_card_that_lost_what_was_settled_founds_its_chain_again_behind_it(tmp_path: Path) -> None:
    pty = Pty(tmp_path / "gps")
    pty.plug_in()
    with world(tmp_path, links=gps_link(pty.name)) as (agent, _, collector):
        pty.talk(nmea_words(), 0.5)
        agent.start()
        until(lambda: collector.batches >= 2, 30)
        agent.kill()
        store, saved = agent.folder / "state" / "outbox", tmp_path / "saved"
        shutil.copytree(store, saved)
        agent.start()
        until(lambda: collector.batches >= 6, 30)
        agent.kill()
        shutil.rmtree(store)  # the card takes back what it had promised
        shutil.copytree(saved, store)
        forget_boot(store)
        (old,) = collector.heads
        settled = len(collector.heads[old]) - 1
        agent.start()
        until(lambda: len(collector.heads) == 2, 70, "the chain was founded again")
        new = list(collector.heads)[1]
        reason, prev_chain, prev_no, prev_head, _ = genesis(collector, new)
        assert (reason, prev_chain, prev_no) == (ROLLED_BACK, old, settled)
        assert prev_head == collector.heads[old][settled]
        assert collector.faults == []  # above all: no fork
        up_s = agent.status()["up_s"]
        assert isinstance(up_s, int)
        assert up_s >= 29
        names = [event["event"] for event in agent.events()]
        assert names.count("outbox_founded_again") == 1  # the same receipt comes with every hello
        pty.unplug()
