"""What several units tell together, over a real store: restarts, replay, two writers, rows that are torn."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import Row, select

from collector.detect import Finding
from collector.detect.cross.known import NOTHING
from collector.detect.engine import Result, Tick, TimePassed, UnitState
from collector.detect.engine.run import run
from collector.detect.rules import Journey, Rulebook, Rules
from collector.store import CrossWrite, StoreError, TickWrite, schema, spell
from collector.store.database import Store
from collector.tick.listening import DRAIN_MS
from collector.tick.replay import replay
from collector.tick.ticker import Ticker
from tests.collector.fleet import (
    ORDER_KEY,
    RECEIPT_KEY,
    Centre,
    FleetUnit,
    fix,
    message,
    new_ticker,
)

LORRY, SEAL = "uz-01", "uz-02"
BOOK = Rulebook(
    versions=(Rules(version=0),),
    journeys={name: (Journey(id="j", unit=name, since_ms=0),) for name in (LORRY, SEAL)},
)
MINUTES, PARTS = 14, 6  # of the trip; where the trailer stays behind
EAST_E7 = 5_000  # 42 m: half a minute at 1.4 m/s


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.open("sqlite://") as opened:
        yield opened


async def rows(store: Store, table: Any = schema.cross_state) -> Sequence[Row[Any]]:  # noqa: ANN401 - any table of the schema
    async with store.read() as connection:
        return (await connection.execute(select(table).order_by(*table.primary_key))).all()


async def trip(
    store: Store,
    *,
    restarts: bool = False,
    engine: Any = run,  # noqa: ANN401 - an engine, or what plays one
) -> tuple[Centre, list[Finding]]:
    """Two units of one journey; each minute both seal what they saw, and the centre hears them."""
    centre = Centre(store)
    units = [FleetUnit(unit_id=name) for name in (LORRY, SEAL)]
    for unit in units:
        await centre.enrol(unit)
        unit.begin()

    def ticker() -> Ticker:
        return Ticker(
            store=store, receipt_key=RECEIPT_KEY, order_key=ORDER_KEY, rulebook=BOOK, engine=engine
        )

    centre.ticker = ticker()
    found: list[Finding] = []
    for minute in range(MINUTES):
        for unit in units:
            halves = [2 * minute, 2 * minute + 1]
            ways = [half if unit.unit_id == LORRY else min(half, 2 * PARTS) for half in halves]
            unit.seal(
                [
                    fix(
                        unit.clock_ms + 30_000 * number,
                        lon_e7=692_797_000 + 20 * EAST_E7 * way,
                    )
                    for number, way in enumerate(ways)
                ]
            )
        if restarts:
            centre.ticker = ticker()
        centre.now_ms += 60_000
        result = await centre.ticker.run(
            [
                message(unit.unit_id, one.envelope, centre.now_ms)
                for unit in units
                for one in unit.sealed[-2:]
            ],
            centre.now_ms,
        )
        drained = await centre.ticker.run((), centre.now_ms + DRAIN_MS)
        both = (*result.findings, *drained.findings)
        found += [finding for finding in both if finding.chain is None]
    return centre, found


def separated(found: Sequence[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.code, finding.phase.value, finding.unit) for finding in found]


@pytest.mark.long
async def test_a_separation_is_raised_once_also_over_restarts(store: Store) -> None:
    _, straight = await trip(store)
    assert separated(straight) == [("UNIT_SEPARATED", "begin", LORRY)]
    async with await Store.open("sqlite://") as other:
        _, torn = await trip(other, restarts=True)
        assert torn == straight
        assert [row.blob for row in await rows(other)] == [row.blob for row in await rows(store)]
    (alert,) = [row for row in await rows(store, schema.alert) if row.code == "UNIT_SEPARATED"]
    assert (alert.code, alert.unit, alert.priority) == ("UNIT_SEPARATED", LORRY, "P2")


async def test_a_replay_of_the_stored_ticks_separates_the_same_byte_for_byte(store: Store) -> None:
    _, found = await trip(store)
    stored = [
        row.id + bytes([row.n]) + row.detail
        for row in await rows(store, schema.finding)
        if row.chain is None
    ]
    again = [
        finding
        async for tick in replay(store, lambda _version: BOOK)
        for finding in tick.findings
        if finding.chain is None
    ]
    assert again == found
    assert [
        finding.id + bytes([finding.n]) + spell.write(finding.value, finding.data)
        for finding in again
    ] == stored


async def test_what_nobody_shares_writes_no_row(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id=LORRY)
    await centre.enrol(unit)
    await centre.hear(unit, unit.begin().envelope, unit.seal().envelope, step_ms=60_000)
    assert await rows(store) == []


async def test_a_second_collector_on_one_store_writes_nothing_and_is_told(store: Store) -> None:
    centre, _ = await trip(store)
    (before,) = await rows(store)
    stale = CrossWrite(key=before.key, rev=before.rev - 1, blob=b"other")
    write = TickWrite(
        now_ms=centre.now_ms,
        rules_version=0,
        intake=(),
        units=(),
        findings=(),
        settled=(),
        quarantine=(),
        counters={},
        crossed=(stale,),
    )
    ticks = len(await rows(store, schema.tick))
    with pytest.raises(StoreError, match="only one"):
        await store.commit(write)
    assert await rows(store) == [before]
    assert len(await rows(store, schema.tick)) == ticks


async def test_a_ticker_that_was_overtaken_reads_anew_and_goes_on(store: Store) -> None:
    centre, _ = await trip(store)
    async with store.write() as connection:
        row = schema.cross_state
        await connection.execute(row.update().values(rev=row.c.rev + 1))
    unit = FleetUnit(unit_id="uz-09")
    await centre.enrol(unit)
    late = [unit.begin().envelope, unit.seal().envelope]
    centre.ticker.rulebook = Rulebook(versions=BOOK.versions)  # the journey is over for all
    with pytest.raises(StoreError):
        await centre.hear(unit, *late, step_ms=60_000)
    await centre.hear(unit, *late)
    assert await rows(store) == []


async def test_rows_that_are_torn_are_counted_and_begin_anew(store: Store) -> None:
    centre, _ = await trip(store)
    async with store.write() as connection:
        await connection.execute(schema.cross_state.update().values(blob=b"torn"))
    centre.ticker = new_ticker(store)
    centre.now_ms += 60_000
    await centre.ticker.run([], centre.now_ms)
    assert await rows(store) == []
    counted = {row.name: row.value for row in await rows(store, schema.counter)}
    assert counted["cross.unreadable"] == 1


async def test_what_several_units_told_never_stops_the_clock(store: Store) -> None:
    """A pass that fails gives up what it knew, so that silence is still told of everybody."""

    def engine(rules: Rulebook, states: Mapping[str, UnitState], tick: Tick) -> Result:
        timed = any(isinstance(item, TimePassed) for item in tick.items)
        assert not (timed and tick.known is not NOTHING and tick.known.convoys)
        return run(rules, states, tick)

    centre, _ = await trip(store, engine=engine)
    counted = {row.name: row.value for row in await rows(store, schema.counter)}
    assert counted["cross.undecidable"] > 0
    assert counted["verdict.Accepted"] == 2 * (MINUTES + 1)
    assert centre.now_ms
