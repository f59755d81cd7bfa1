"""Hard cases of DETECTION section 12 that are about delivery: over a real store, as the centre hears them."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Row, select

from collector.detect.rules import Journey, Rulebook, build
from collector.store import schema
from collector.store.database import Store
from collector.tick.ticker import Ticker
from tests.collector.detect.worlds import K_LON, LAT_E7, LON_E7, shapes_of, square
from tests.collector.fleet import ORDER_KEY, RECEIPT_KEY, Centre, FleetUnit, fix, message
from wire.records import FixRecord

ZONE = square("z", 0, 0, 500, kind="forbidden")
BOOK = Rulebook(
    versions=(build(shapes_of(ZONE)),),
    journeys={"uz-01": (Journey(id="j", unit="uz-01", since_ms=0),)},
)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.open("sqlite://") as opened:
        yield opened


async def rows(store: Store, table: Any) -> list[Row[Any]]:  # noqa: ANN401 - any table of the schema
    async with store.read() as connection:
        return list((await connection.execute(select(table).order_by(*table.primary_key))).all())


def east(t_ms: int, x_m: float) -> FixRecord:
    return fix(t_ms, lat_e7=LAT_E7, lon_e7=round((LON_E7 + x_m / K_LON) / 100) * 100)


def trip() -> FleetUnit:
    """Ten minutes through the forbidden zone, a batch a minute."""
    unit = FleetUnit(unit_id="uz-01")
    unit.begin()
    for minute in range(10):
        begin_ms = unit.clock_ms
        unit.seal(
            [east(begin_ms + 10_000 * n, -1_500 + 6.0 * (60 * minute + 10 * n)) for n in range(6)]
        )
    return unit


async def centre_of(store: Store, unit: FleetUnit) -> Centre:
    centre = Centre(store)
    centre.ticker = Ticker(store=store, receipt_key=RECEIPT_KEY, order_key=ORDER_KEY, rulebook=BOOK)
    await centre.enrol(unit)
    return centre


async def deliver(store: Store, seed: int | None) -> list[tuple[object, ...]]:
    """All batches, in order or shuffled with repeats, three a tick."""
    unit = trip()
    centre = await centre_of(store, unit)
    payloads = [sealed.envelope for sealed in unit.sealed]
    if seed is not None:
        chance = random.Random(seed)
        payloads += chance.choices(payloads, k=6)
        chance.shuffle(payloads)
    for at in range(0, len(payloads), 3):
        await centre.hear(unit, *payloads[at : at + 3])
    await centre.settle()
    return sorted(
        (row.id, row.n, row.code, row.at_ms, row.zone, row.detail)
        for row in await rows(store, schema.finding)
    )


async def test_case_8_shuffled_and_repeated_batches_tell_the_same(store: Store) -> None:
    straight = await deliver(store, None)
    assert [row[2] for row in straight].count("FORBIDDEN_ZONE") == 2
    for seed in range(3):
        async with await Store.open("sqlite://") as other:
            assert await deliver(other, seed) == straight


async def test_case_39_a_critical_alert_of_days_ago_that_is_over_is_listed_and_does_not_flicker(
    store: Store,
) -> None:
    unit = trip()
    centre = await centre_of(store, unit)
    centre.now_ms += 3 * 86_400_000
    backlog = [message(unit.unit_id, sealed.envelope, centre.now_ms) for sealed in unit.sealed]
    result = await centre.ticker.run(backlog, centre.now_ms)
    phases = [f.phase.value for f in result.findings if f.code == "FORBIDDEN_ZONE"]
    assert phases == ["begin", "end"]
    assert all(f.late for f in result.findings if f.code == "FORBIDDEN_ZONE")
    (alert,) = [row for row in await rows(store, schema.alert) if row.code == "FORBIDDEN_ZONE"]
    assert (alert.priority, alert.state, alert.cleared) == ("P1", "CLEARED_UNACKED", True)
    assert alert.at_ms < centre.now_ms - 3 * 86_400_000
    acts = [row.act for row in await rows(store, schema.alert_act) if row.alert_id == alert.id]
    assert acts == ["raise", "clear"]
