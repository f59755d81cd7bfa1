"""The centre's own clock is set back by a day: nothing waits for that day to come once more."""

from collections.abc import AsyncIterator

import pytest

from collector.ingest.pace import BURST_MAX, Bucket, draw
from collector.store.database import Store
from tests.collector.fleet import Centre, FleetUnit, message, new_ticker, receipts_in
from wire.envelope import kid_of
from wire.orders import OrderKind
from wire.topics import Up

DAY_MS = 86_400_000


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.open("sqlite://") as opened:
        yield opened


class Town:
    """A unit that is heard by a centre whose clock is a day ahead."""

    def __init__(self, store: Store) -> None:
        self.centre, self.unit = Centre(store), FleetUnit(unit_id="uz-01")
        self.centre.now_ms += DAY_MS

    async def begin(self) -> None:
        await self.centre.enrol(self.unit)
        await self.centre.hear(self.unit, self.unit.begin().envelope)
        self.centre.now_ms -= DAY_MS


@pytest.fixture
async def town(store: Store) -> Town:
    found = Town(store)
    await found.begin()
    return found


async def test_a_key_that_was_revoked_is_refused_a_second_later(town: Town) -> None:
    await town.centre.ticker.run([], town.centre.now_ms)
    await town.centre.store.revoke(kid_of(town.unit.public_key), now_ms=town.centre.now_ms)
    result = await town.centre.hear(town.unit, town.unit.seal().envelope)
    assert result.verdicts == {"RevokedKey": 1}


async def test_a_unit_that_was_enrolled_since_is_known(town: Town) -> None:
    other = FleetUnit(unit_id="uz-02")
    await town.centre.enrol(other)
    result = await town.centre.hear(other, other.begin().envelope)
    assert result.verdicts == {"Accepted": 1}


async def test_time_goes_on_and_it_is_counted(town: Town) -> None:
    for _ in range(2):
        town.centre.now_ms += 10_000
        result = await town.centre.ticker.run([], town.centre.now_ms)
        assert result.tick_no is not None
    async with town.centre.store.read() as connection:
        counted = await connection.exec_driver_sql(
            "select value from counter where name = 'clock.set_back'"
        )
        assert counted.scalar_one() == 1


async def test_a_unit_that_speaks_is_heard_now_and_not_tomorrow(town: Town) -> None:
    await town.centre.hear(town.unit, town.unit.seal().envelope)
    load = (await town.centre.store.load_units(["uz-01"]))["uz-01"]
    assert load.now is not None
    assert load.now.heard_ms == town.centre.now_ms


async def test_a_receipt_that_was_lost_is_said_again(town: Town) -> None:
    result = await town.centre.hear(town.unit, town.unit.newest.envelope)
    assert [receipt.through_batch_no for receipt in receipts_in(result)] == [0]


async def test_a_gap_is_asked_for_also_by_who_starts_behind_it(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    centre.now_ms += DAY_MS
    await centre.enrol(unit)
    first, _lost, third = unit.begin(), unit.seal(), unit.seal()
    await centre.hear(unit, first.envelope)
    await centre.hear(unit, third.envelope)
    centre.now_ms -= DAY_MS
    for ticker in (centre.ticker, new_ticker(store)):
        centre.ticker = ticker
        await centre.hear(unit, unit.hello(), what=Up.HELLO)
        centre.now_ms += 2_000
        result = await centre.ticker.run([], centre.now_ms)
        [asked] = [
            one
            for one in (*centre.results[-1].outgoing, *result.outgoing)
            if one.topic.endswith("/order")
        ]
        assert bytes([OrderKind.RESEND_FROM]) in asked.payload


def test_a_bucket_that_is_empty_fills_again() -> None:
    bucket: Bucket | None = Bucket(tokens=0, at_ms=DAY_MS)
    assert draw(Bucket(tokens=0, at_ms=DAY_MS), 1_000) is None
    bucket = draw(Bucket(tokens=1_000, at_ms=DAY_MS), 1_000)
    assert bucket is not None
    bucket = draw(bucket, 2_000)
    assert bucket is not None
    assert bucket.tokens == 49_000


async def test_a_unit_is_not_throttled_by_what_it_said_tomorrow(town: Town) -> None:
    centre = town.centre
    centre.now_ms += DAY_MS
    await centre.ticker.run([message("uz-01", b"junk", centre.now_ms)] * BURST_MAX, centre.now_ms)
    centre.now_ms -= DAY_MS
    result = await centre.hear(town.unit, town.unit.seal().envelope)
    assert result.verdicts == {"Accepted": 1}
