"""EDGE section 4, fsync hangs: facts wait in memory, thinned and bounded; what waits for a commit waits, and nobody else does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from hypothesis import given, strategies as st

from agent import Kept, Weight
from agent.app.waiting import BATCHES_MAX, RECORDS_MAX, Waiting
from agent.io.inbox import HeardFact
from agent.outbox import Outbox
from agent.sealer import Closing, OpenBatch
from agent.vitals import Limits
from tests.agent.facts import at, fix_at, report
from tests.agent.orders_rig import SEAL, Truck, on_the_road, signed, words
from tests.agent.outbox_rig import all_rows, sound
from wire.orders import OrderResult
from wire.records import EventKind, EventRecord

LATE_MS = Limits().writer_ms_max


@asynccontextmanager
async def hanging(outbox: Outbox) -> AsyncIterator[asyncio.Event]:
    """Its thread is in a job that does not come back until the event is set."""
    thaw = asyncio.Event()
    job = asyncio.get_running_loop().create_task(outbox._do(thaw.wait))
    await asyncio.sleep(0)
    yield thaw
    thaw.set()
    await job


async def drive(truck: Truck, seconds: int) -> None:
    """The receiver speaks; nobody waits for the store."""
    for _ in range(seconds):
        truck.clock.now += 1_000
        fix = fix_at(truck.clock.now, east_m=0)
        truck.way.hear(HeardFact(source="gps", mono_ms=truck.clock.now, fact=fix))
        truck.way.wake()
        await asyncio.sleep(0)


async def test_e16_while_a_commit_hangs_facts_are_heard_and_wait_and_then_all_are_stored_in_order(
    tmp_path: Path,
) -> None:
    async with on_the_road(tmp_path) as truck, hanging(truck.outbox) as thaw:
        way = truck.way
        before = (way.counters["facts"], way.counters["batches"])
        store = asyncio.get_running_loop().create_task(way.storing.run())
        await drive(truck, 600)
        assert way.counters["facts"] == before[0] + 600
        assert way.counters["batches"] == before[1], "nothing is stored"
        assert way.storing.waiting.records > 20
        assert way.storing.waiting.dropped == 0
        assert way.deadlines()["sealer"] is None or len(way.storing.waiting) < BATCHES_MAX
        thaw.set()
        await way.storing.work()
        assert way.storing.waiting.records == 0
        rows = await all_rows(truck.outbox, truck.clock.now)
        batches = [sound(envelope) for _, envelope in sorted(rows.items())]
        assert sum(one.header.count for one in batches[1:]) == way.counters["records_stored"]
        for one, following in pairwise(batches):
            assert following.header.first_seq == one.header.last_seq + 1
        monos = [event.mono_ms for one in batches[1:] for event in one.body.events]
        assert monos == sorted(monos)
        store.cancel()


async def test_a_store_that_is_silent_for_thirty_seconds_presses_and_its_word_ends_that(
    tmp_path: Path,
) -> None:
    async with on_the_road(tmp_path) as truck, hanging(truck.outbox) as thaw:
        way = truck.way
        store = asyncio.get_running_loop().create_task(way.storing.run())
        while not len(way.storing.waiting):
            await drive(truck, 1)
        assert way.storing.pressure == 0
        began_ms = truck.clock.now
        while truck.clock.now < began_ms + LATE_MS:
            assert way.storing.pressure == 0
            await drive(truck, 1)
        assert way.storing.pressure == 3
        assert truck.outbox.pressure == 0, "the disk itself has room"
        kept = way.counters["records"]
        await drive(truck, 50)
        thinned = way.counters["records"] - kept
        assert thinned < 15, "thinned as on a disk that is nearly full"
        thaw.set()
        await way.storing.work()
        assert way.storing.pressure == 0
        store.cancel()


async def test_e25_what_waits_for_a_commit_is_acknowledged_behind_it_and_not_before(
    tmp_path: Path,
) -> None:
    async with on_the_road(tmp_path) as truck:
        fact = report(seal_id=SEAL, locked=False)
        async with hanging(truck.outbox) as thaw:
            store = asyncio.get_running_loop().create_task(truck.way.storing.run())
            truck.way.hear(HeardFact(source="seal", mono_ms=truck.clock.now, fact=fact))
            await drive(truck, 30)
            assert b"(P69,0,41)" not in truck.wire.heard
            thaw.set()
            await truck.way.storing.work()
        assert truck.wire.heard.count(b"(P69,0,41)") == 1
        store.cancel()


async def test_an_order_waits_for_its_commit_and_the_facts_do_not_wait_for_it(
    tmp_path: Path,
) -> None:
    async with on_the_road(tmp_path) as truck:
        async with hanging(truck.outbox) as thaw:
            truck.orders.take(signed(words()))
            obeying = asyncio.get_running_loop().create_task(truck.way.obey())
            before = truck.way.counters["facts"]
            await drive(truck, 20)
            assert truck.way.counters["facts"] == before + 20
            assert not obeying.done()
            assert truck.wire.acts() == [], "nothing is said before it is committed"
            assert truck.way.deadlines()["orders"] is None
            thaw.set()
            await obeying
        assert len(truck.wire.acts()) == 1
        await truck.run(2)
        assert await truck.results() == [(1, OrderResult.DONE, "")]


async def test_told_to_stop_it_stores_all_that_waits_and_then_its_last_word(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        async with hanging(truck.outbox) as thaw:
            await drive(truck, 60)
            stopping = asyncio.get_running_loop().create_task(truck.way.stop(4))
            await asyncio.sleep(0)
            thaw.set()
            await stopping
        rows = await all_rows(truck.outbox, truck.clock.now)
        newest = sound(rows[max(rows)]).body.events[-1]
        assert newest.kind == EventKind.STOP


# the memory alone

RANKS = (
    (Weight.ROUTINE, False),
    (Weight.EVENT, False),
    (Weight.EVENT, True),
    (Weight.EVIDENCE, True),
)


def one(number: int, rank: int) -> Kept:
    weight, urgent = RANKS[rank]
    record = EventRecord(kind=EventKind.INPUT, t_ms=1, mono_ms=number, data=("x", 1))
    return Kept(record=record, urgent=urgent, weight=weight)


def closed(kept: list[Kept]) -> OpenBatch:
    return OpenBatch(kept=tuple(kept), sealed=at(0), closing=Closing.AGE)


def numbers_of(batch: OpenBatch) -> list[int]:
    return [kept.record.mono_ms for kept in batch.kept if isinstance(kept.record, EventRecord)]


def numbers(waiting: Waiting) -> list[int]:
    return [number for one in waiting._batches for number in numbers_of(one.batch)]


def test_at_the_bound_routine_goes_first_and_of_it_the_oldest_and_evidence_never() -> None:
    waiting = Waiting(records_max=6)
    waiting.add(closed([one(1, 3), one(2, 0), one(3, 1)]), 0)
    waiting.add(closed([one(4, 0), one(5, 2), one(6, 3)]), 0)
    waiting.add(closed([one(7, 3)]), 0)
    assert numbers(waiting) == [1, 3, 4, 5, 6, 7]
    waiting.add(closed([one(8, 3), one(9, 3)]), 0)
    assert numbers(waiting) == [1, 5, 6, 7, 8, 9], "then an event that is not urgent"
    waiting.add(closed([one(10, 0), one(11, 3)]), 0)
    assert numbers(waiting) == [1, 6, 7, 8, 9, 11], "what is new and cheap goes too, urgent last"
    assert not waiting.has_room
    assert waiting.dropped == 5
    waiting.add(closed([one(12, 3)]), 0)
    assert waiting.records == 7, "evidence is never given up: nothing more is heard instead"


def test_what_is_being_committed_stays_as_it_is() -> None:
    waiting = Waiting(records_max=3)
    waiting.add(closed([one(1, 0), one(2, 0)]), 0)
    held = waiting.hold_first()
    waiting.add(closed([one(3, 0), one(4, 3)]), 0)
    assert numbers(waiting) == [1, 2, 4]
    assert held is not None
    waiting.done(held)
    assert (numbers(waiting), waiting.records) == ([4], 1)


def test_a_batch_of_which_nothing_is_left_hands_its_number_on() -> None:
    waiting = Waiting(records_max=2)
    waiting.add(closed([one(1, 0), one(2, 0)]), 0)
    waiting.add(closed([one(3, 3), one(4, 3)]), 0)
    first = waiting.hold_first()
    assert first is not None
    assert (first.through, numbers(waiting)) == (4, [3, 4])


@given(
    st.lists(
        st.one_of(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.just("commit")),
        max_size=40,
    )
)
def test_whatever_comes_memory_is_bounded_evidence_is_kept_and_the_order_holds(
    steps: list[list[int] | str],
) -> None:
    waiting = Waiting(records_max=50)
    said = 0
    evidence: list[int] = []
    committed: list[int] = []
    for step in steps:
        if isinstance(step, str):
            first = waiting.hold_first()
            if first is not None:
                committed += numbers_of(first.batch)
                waiting.done(first)
            continue
        kept = [one(said + at, rank) for at, rank in enumerate(step)]
        evidence += [said + at for at, rank in enumerate(step) if rank == 3]
        said += len(step)
        waiting.add(closed(kept), 0)
        cheap = [kept for one in waiting._batches for kept in one.batch.kept if kept.weight < 2]
        assert waiting.records <= 50 or not cheap
        assert waiting.records == len(numbers(waiting))
    found = committed + numbers(waiting)
    assert found == sorted(found)
    assert set(evidence) <= set(found)
    assert waiting.dropped == said - len(found)


def test_the_bound_is_the_papers() -> None:
    assert RECORDS_MAX == 4_096
