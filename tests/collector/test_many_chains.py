"""A unit with more chains than are held in memory: everything is judged as if all of them were."""

import asyncio
import random

import pytest
from sqlalchemy import func, select

from collector.ingest import chains as ingest_chains
from collector.ingest.chains import CHAINS_KEPT
from collector.store import loads, schema
from collector.store.database import Store
from tests.collector.fleet import T0_MS, Centre, FleetUnit, Sealed, dropped, new_ticker, receipts_in
from wire.topics import Up

Said = tuple[Up, bytes]


def life(unit: FleetUnit) -> list[Said]:
    """Eight chains, some of them with holes that are filled or confessed much later, tails, repeats and another history."""
    said: list[Said] = []

    def say(*sealed: Sealed) -> None:
        said.extend((Up.BATCH, one.envelope) for one in sealed)

    ended, lost = [], []
    for _ in range(8):
        say(unit.begin(2 if unit.sealed else 1), unit.seal())
        ended.append(unit.newest)
        lost.append(unit.seal())  # never comes: the next chain names the one before it
        unit.sealed.remove(lost[-1])
    current = unit.newest
    say(unit.seal([dropped(lost[1], lost[1], chain_id=lost[1].chain_id)]))
    said.append((Up.HELLO, unit.hello(chain_id=ended[0].chain_id, batch_no=1, head=ended[0].head)))
    say(unit.sealed[0], ended[2])  # repeats out of closed chains
    unit.skip(ended[3])
    now_ms, unit.clock_ms = unit.clock_ms, T0_MS
    say(unit.seal())  # a tail: sealed before its chain's successor
    unit.skip(ended[1])
    unit.clock_ms = now_ms + 60_000
    say(unit.seal())  # a closed chain that lives on: a fork
    unit.skip(ended[4])
    say(unit.begin(4, after=ended[4]))  # a second successor of an old chain: a fork
    unit.skip(current)
    say(unit.begin(2, after=current))
    return said


async def judged(said: list[Said], *, cut: int, restarts: frozenset[int]) -> list[object]:
    async with await Store.open("sqlite://") as store:
        centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
        await centre.enrol(unit)
        found: list[object] = []
        for at in range(0, len(said), cut):
            if at in restarts:
                centre.ticker = new_ticker(store)
            for what, payload in said[at : at + cut]:
                result = await centre.hear(unit, payload, what=what)
                found.append(dict(result.verdicts))
                found.append(sorted((one.code, str(one.value)) for one in result.findings))
                found.append([(one.chain_id, one.through_batch_no) for one in receipts_in(result)])
            await centre.settle()
        async with store.read() as connection:
            for table in (
                schema.batch,
                schema.chain,
                schema.parked,
                schema.confession,
                schema.fork,
            ):
                rows = await connection.execute(select(table).order_by(*table.primary_key))
                names = [name for name in table.columns.keys() if name not in ("tick_no", "number")]  # noqa: SIM118 - columns are no dict
                found.append([tuple(row._mapping[name] for name in names) for row in rows])
        return found


@pytest.mark.parametrize("seed", range(6))
def test_what_is_not_held_is_brought_when_somebody_speaks_of_it(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    said = life(FleetUnit(unit_id="uz-01"))
    chance = random.Random(seed)
    if seed:  # as a broker may deal it out
        for _ in range(4):
            here, there = chance.randrange(len(said)), chance.randrange(len(said))
            said[here], said[there] = said[there], said[here]
    restarts = frozenset(chance.sample(range(len(said)), 5))
    whole = asyncio.run(judged(said, cut=1, restarts=restarts))
    for module in (ingest_chains, loads):
        monkeypatch.setattr(module, "CHAINS_KEPT", 1)
    assert asyncio.run(judged(said, cut=1, restarts=restarts)) == whole


async def test_a_year_of_unclean_starts_is_not_read_at_a_start() -> None:
    async with await Store.open("sqlite://") as store:
        centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
        await centre.enrol(unit)
        for _ in range(100):
            await centre.hear(unit, unit.begin(2 if unit.sealed else 1).envelope)
        assert len(centre.ticker._held["uz-01"].chains.chains) <= 2 * CHAINS_KEPT + 1
        load = (await store.load_units(["uz-01"]))["uz-01"]
        assert len(load.chains) == CHAINS_KEPT
        assert load.chains[-1].ordinal == 99
        centre.ticker = new_ticker(store)
        await centre.hear(unit, unit.begin(2).envelope)
        async with store.read() as connection:
            newest = select(func.max(schema.chain.c.ordinal))
            assert (await connection.execute(newest)).scalar_one() == 100
