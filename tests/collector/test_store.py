"""The store: migrations, enrolment, the fence with two writers, a cut at every point, bounds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from hypothesis import given, strategies as st
from sqlalchemy import Connection, func, inspect, select

from collector.detect import Finding, Level, Phase, Priority
from collector.enrol.judging import LOW_ORDER
from collector.notify import Target
from collector.store import (
    Fence,
    JourneyRow,
    QuarantineRow,
    StoreError,
    TickWrite,
    UnitWrite,
    schema,
    spell,
)
from collector.store.commit import FORKS_MAX, QUARANTINE_ROWS_MAX
from collector.store.database import Added, NotAdded, Store
from tests.collector.fleet import T0_MS, Centre, FleetUnit, message, new_ticker
from tests.wire.keys import public_key

STEPS = Path(schema.__file__).parent / "migrations"
ONE, TWO = FleetUnit(unit_id="uz-01"), FleetUnit(unit_id="uz-02")


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.open("sqlite://") as opened:
        yield opened


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'collector.db'}"


async def tables(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables: what two stores that hold the same agree in."""
    async with store.read() as connection:
        return {
            table.name: sorted(
                (tuple(row) for row in await connection.execute(select(table))), key=repr
            )
            for table in schema.metadata.sorted_tables
        }


async def count(store: Store, table: str) -> int:
    return len((await tables(store))[table])


# opening


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), schema.metadata))


async def test_the_steps_of_migration_make_exactly_the_tables_of_the_schema(store: Store) -> None:
    async with store.write() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_store_of_the_first_step_is_brought_on_and_can_go_back(url: str) -> None:
    def steps(connection: Connection) -> Config:
        config = Config()
        config.set_main_option("script_location", str(STEPS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        return config

    async with await Store.open(url) as store:
        assert isinstance(await store.add_unit("uz-01", ONE.public_key, now_ms=5), Added)
        async with store.write() as connection:
            await connection.run_sync(lambda c: command.downgrade(steps(c), "0001"))
            names = await connection.run_sync(lambda c: inspect(c).get_table_names())
            assert "unit_order" in names
            assert "order_act" not in names
    async with await Store.open(url) as store:
        async with store.write() as connection:
            assert await connection.run_sync(differences) == []
        assert await count(store, "unit") == 1


async def test_a_store_that_is_opened_again_holds_what_it_held(url: str) -> None:
    async with await Store.open(url) as store:
        await store.add_unit("uz-01", ONE.public_key, now_ms=5)
        before = await tables(store)
    async with await Store.open(url) as store:
        assert await tables(store) == before


async def test_another_engine_is_refused_with_what_would_be_right() -> None:
    with pytest.raises(StoreError, match=r"sqlite:////absolute/path\.db"):
        await Store.open("postgresql://somewhere/plomba")


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="directory"):
        await Store.open(f"sqlite:///{tmp_path / 'none' / 'collector.db'}")


async def test_a_commit_is_flushed_to_the_disk(url: str) -> None:
    async with await Store.open(url) as store, store.write() as connection:
        for pragma, value in (("synchronous", 2), ("journal_mode", "wal")):
            row = await connection.exec_driver_sql(f"PRAGMA {pragma}")
            assert row.scalar_one() == value


async def test_readers_do_not_wait_for_the_writer(url: str) -> None:
    async with await Store.open(url) as store:
        await store.add_unit("uz-01", ONE.public_key, now_ms=5)
        async with store.write() as connection:
            await connection.execute(schema.unit_head.delete())
            assert list(await asyncio.wait_for(store.load_units(["uz-01"]), 5)) == ["uz-01"]


# enrolment


@pytest.mark.parametrize(
    ("unit_id", "key", "code"),
    [
        ("UZ-01", ONE.public_key, "bad_unit_id"),
        ("uz-01", b"short", "bad_key"),
        ("uz-01", bytes(32), "weak_key"),
        ("uz-01", ONE.public_key, "kid_taken"),
        ("uz-09", ONE.public_key, "kid_taken"),
        ("uz-01", TWO.public_key, "unit_taken"),
    ],
)
async def test_enrolment_refuses_and_says_why(
    store: Store, unit_id: str, key: bytes, code: str
) -> None:
    if code.endswith("taken"):
        await store.add_unit("uz-01", ONE.public_key, now_ms=5)
    before = await tables(store)
    refused = await store.add_unit(unit_id, key, now_ms=6)
    assert isinstance(refused, NotAdded)
    assert refused.code == code
    assert await tables(store) == before


def test_the_points_of_small_order_are_those_of_the_curve() -> None:
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p
    orders = set()
    for encoding in LOW_ORDER:
        y = (int.from_bytes(encoding, "little") & (1 << 255) - 1) % p
        square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        x = pow(square, (p + 3) // 8, p)
        if x * x % p != square:
            x = x * pow(2, (p - 1) // 4, p) % p
        assert x * x % p == square, "not on the curve"
        point, order = (x, y), 1
        while point != (0, 1):
            point, order = add(point, (x, y), p, d), order + 1
            assert order <= 8
        orders.add(order)
    assert orders == {1, 2, 4, 8}
    assert len(LOW_ORDER) == 14


def add(one: tuple[int, int], two: tuple[int, int], p: int, d: int) -> tuple[int, int]:
    t = d * one[0] * two[0] * one[1] * two[1] % p
    x = (one[0] * two[1] + one[1] * two[0]) * pow(1 + t, -1, p) % p
    y = (one[1] * two[1] + one[0] * two[0]) * pow(1 - t, -1, p) % p
    return x, y


async def test_a_key_is_revoked_once(store: Store) -> None:
    added = await store.add_unit("uz-01", ONE.public_key, now_ms=5)
    assert isinstance(added, Added)
    assert await store.revoke(added.kid, now_ms=6)
    assert not await store.revoke(added.kid, now_ms=7)
    assert (await store.keys())[added.kid].revoked


# rules, journeys


async def test_rules_are_versions_and_journeys_are_kept(store: Store) -> None:
    await store.add_unit("uz-01", ONE.public_key, now_ms=5)
    for number in (1, 2):
        version = await store.import_rules(
            zones=f"zones {number}", routes="", thresholds="", now_ms=number
        )
        assert version == number
    assert [row.zones for row in await store.rules()] == ["zones 1", "zones 2"]
    assert [row.version for row in await store.rules(above=1)] == [2]
    journey = JourneyRow(id="j1", unit_id="uz-01", since_ms=7, seals=("s1", "s2"), route="r")
    assert await store.add_journey(journey)
    assert not await store.add_journey(JourneyRow(id="j2", unit_id="nobody", since_ms=7))
    assert await store.journeys() == (journey,)


# the tick


@pytest.mark.long
async def test_of_two_writers_one_is_taken_out_and_the_rest_of_its_tick_stands(url: str) -> None:
    one, two = FleetUnit(unit_id="uz-01"), FleetUnit(unit_id="uz-02")
    async with await Store.open(url) as store, await Store.open(url) as other:
        centre = Centre(store)
        await centre.enrol(one)
        await centre.enrol(two)
        await centre.hear(one, one.begin().envelope)
        zombie = new_ticker(other)
        now_ms = centre.now_ms + 1_000
        await zombie.run([message("uz-01", one.newest.envelope, now_ms)], now_ms)
        await centre.hear(one, one.seal().envelope)  # the zombie slept through this
        before = await tables(store)
        result = await zombie.run(
            [
                message("uz-01", one.seal().envelope, now_ms, token="one"),
                message("uz-02", two.begin().envelope, now_ms, token="two"),
            ],
            now_ms,
        )
        assert result.lost == {"uz-01"}
        assert result.acks == ("two",)
        assert {outgoing.topic for outgoing in result.outgoing} == {"plomba/1/down/uz-02/receipt"}
        after = await tables(store)
        one_no = (await store.load_units(["uz-01"]))["uz-01"].unit_no
        for table in ("unit_head", "chain", "batch", "parked", "detector_state", "unit_now"):
            mine = [row for row in before[table] if row[0] == one_no]
            assert [row for row in after[table] if row[0] == one_no] == mine
        again = await zombie.run([message("uz-01", one.newest.envelope, now_ms)], now_ms)
        assert again.verdicts == {"Accepted": 1}  # it has forgotten what it held, and reads anew
        assert not again.lost


POINTS = ["fenced", "logged", "batches", "parked", "states", "orders", "findings", "alerts", "notified", "counted", "commit"]  # fmt: skip


class PowerCutError(Exception):
    pass


class Power:
    def __init__(self) -> None:
        self.cut_at = ""
        self.seen: list[str] = []

    def at(self, point: str) -> None:
        self.seen.append(point)
        if point == self.cut_at:
            raise PowerCutError(point)


@pytest.mark.parametrize("point", POINTS)
async def test_a_cut_between_any_two_statements_leaves_nothing_and_the_next_tick_all(
    url: str, point: str
) -> None:
    power, unit = Power(), FleetUnit(unit_id="uz-01")
    async with await Store.open(url, at=power.at) as store:
        centre = Centre(store)
        await centre.enrol(unit)
        await centre.hear(unit, unit.begin().envelope)
        messages = [unit.seal().envelope, b"nothing of ours"]
        unit.seal()
        messages.append(unit.seal().envelope)  # parked
        before = await tables(store)
        power.cut_at = point
        with pytest.raises(PowerCutError):
            await centre.hear(unit, *messages)
        assert await tables(store) == before
        power.cut_at = ""
        result = await centre.hear(unit, *messages)
        assert result.verdicts == {"Accepted": 1, "BadEnvelope": 1, "Gap": 1}
        assert await count(store, "batch") == 2
        assert await count(store, "parked") == 1


async def test_every_point_of_a_tick_is_passed(url: str) -> None:
    power, unit = Power(), FleetUnit(unit_id="uz-01")
    async with await Store.open(url, at=power.at) as store:
        centre = Centre(store)
        await centre.enrol(unit)
        power.seen.clear()
        await centre.hear(unit, unit.begin().envelope)
        assert power.seen == POINTS


async def test_whoever_watches_some_units_hears_of_an_area_that_holds_one_of_them(url: str) -> None:
    targets = (Target(name="north", units=("uz-07",)), Target(name="south", units=("uz-09",)))
    found = finding(unit="", code="GNSS_INTERFERENCE", data={"units": ["uz-01", "uz-07"]})
    async with await Store.open(url) as store:
        await store.commit(tick(findings=(found,), targets=targets))
        async with store.read() as connection:
            told = await connection.execute(select(schema.notification.c.target))
            assert [row.target for row in told] == ["north"]


def finding(**changes: object) -> Finding:
    fields: dict[str, object] = {
        "id": bytes(16), "n": 0, "code": "FORBIDDEN_ZONE", "level": Level.ALERT,
        "priority": Priority.P2, "phase": Phase.BEGIN, "unit": "uz-01", "chain": None, "seq": None,
        "at_ms": T0_MS, "confirmed_ms": T0_MS, "received_ms": T0_MS, "late": False,
    }  # fmt: skip
    return Finding(**{**fields, **changes})  # type: ignore[arg-type]  # a test names fields that exist


def tick(**changes: object) -> TickWrite:
    fields: dict[str, object] = {
        "now_ms": T0_MS, "rules_version": 0, "intake": (), "units": (), "findings": (),
        "settled": (), "quarantine": (), "counters": {},
    }  # fmt: skip
    return TickWrite(**{**fields, **changes})  # type: ignore[arg-type]  # a test names fields that exist


async def alert(store: Store) -> tuple[object, ...]:
    columns = schema.alert.c
    async with store.read() as connection:
        rows = await connection.execute(
            select(
                columns.state,
                columns.priority,
                columns["count"],
                columns.cleared,
                columns.settled,
                columns.last_n,
            )
        )
        return tuple(rows.one())


async def test_a_finding_is_raised_once_whoever_says_it_again(store: Store) -> None:
    first = await store.commit(tick(findings=(finding(), finding())))
    assert len(first.findings) == 1
    again = await store.commit(tick(findings=(finding(),)))
    assert again.findings == ()
    assert await count(store, "finding") == 1
    assert await alert(store) == ("UNACKED", "P2", 1, False, None, 0)


async def test_an_alert_lives_by_the_table(store: Store) -> None:
    await store.commit(tick(findings=(finding(),)))
    await store.commit(tick(findings=(finding(n=1, phase=Phase.CHANGE, priority=Priority.P1),)))
    assert await alert(store) == ("UNACKED", "P1", 2, False, None, 1)
    await store.commit(tick(findings=(finding(n=2, phase=Phase.END),)))
    assert await alert(store) == ("CLEARED_UNACKED", "P1", 2, True, None, 2)
    committed = await store.commit(tick(settled=(("uz-01", bytes(16), "confirmed"),)))
    assert committed.feed == (bytes(16),)
    assert (await alert(store))[4] == "confirmed"


async def test_begin_and_end_in_one_backlog_give_an_alert_that_is_over(store: Store) -> None:
    await store.commit(tick(findings=(finding(), finding(n=1, phase=Phase.END))))
    assert await alert(store) == ("CLEARED_UNACKED", "P2", 1, True, None, 1)


async def test_a_latched_alert_is_not_cleared_by_its_end(store: Store) -> None:
    gap = {"code": "LOG_INTEGRITY", "priority": Priority.P1}
    await store.commit(tick(findings=(finding(**gap), finding(n=1, phase=Phase.END, **gap))))
    assert (await alert(store))[0] == "UNACKED"


async def test_a_record_raises_no_alert(store: Store) -> None:
    await store.commit(tick(findings=(finding(level=Level.RECORD, priority=None),)))
    assert await count(store, "finding") == 1
    assert await count(store, "alert") == 0


async def test_counters_add_up_and_quarantine_is_bounded(store: Store) -> None:
    row = QuarantineRow(
        rx_ms=1, topic="t", reason="BadEnvelope", detail="", size_bytes=4, message=b"junk"
    )
    for _ in range(3):
        await store.commit(
            tick(
                quarantine=(row,) * (QUARANTINE_ROWS_MAX // 2), counters={"verdict.BadEnvelope": 7}
            )
        )
    held = await tables(store)
    assert len(held["quarantine"]) == QUARANTINE_ROWS_MAX
    assert held["counter"] == [("verdict.BadEnvelope", 21)]
    async with store.read() as connection:
        newest = await connection.execute(select(func.max(schema.quarantine.c.number)))
        assert newest.scalar_one() == 3 * (QUARANTINE_ROWS_MAX // 2)


async def test_proofs_of_a_fork_are_bounded(store: Store) -> None:
    unit = FleetUnit(unit_id="uz-01")
    centre = Centre(store)
    await centre.enrol(unit)
    first = unit.begin()
    await centre.hear(unit, first.envelope, unit.seal().envelope)
    others = []
    for _ in range(FORKS_MAX + 6):
        unit.skip(first)
        others.append(unit.seal().envelope)
    for at in range(0, len(others), 10):
        await centre.hear(unit, *others[at : at + 10], step_ms=60_000)
    assert await count(store, "fork") == FORKS_MAX
    assert await count(store, "batch") == 2


async def test_a_unit_that_moved_is_lost_with_its_findings_and_words(store: Store) -> None:
    await store.add_unit("uz-01", public_key("unit uz-01"), now_ms=5)
    load = (await store.load_units(["uz-01"]))["uz-01"]
    stale = Fence(rev=7, chain_id=b"", batch_no=-1, head=b"")
    write = UnitWrite(
        unit_no=load.unit_no, unit_id="uz-01", fence=stale, fence_after=stale, state=b"state"
    )
    intake = (("uz-01", (5, load.unit_no, T0_MS)), ("", (6, T0_MS)))
    committed = await store.commit(tick(units=(write,), findings=(finding(),), intake=intake))
    assert committed.lost == {"uz-01"}
    assert committed.findings == ()
    assert await count(store, "detector_state") == 0
    async with store.read() as connection:
        logged = (await connection.execute(select(schema.tick.c.intake))).scalar_one()
    assert len(logged) == 2 + 1 + 1 + 9  # the passing of time alone


PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.text(max_size=5),
    st.floats(allow_nan=False, width=64),
)
DATA = st.dictionaries(
    st.text(max_size=4),
    st.one_of(
        PLAIN, st.lists(PLAIN, max_size=3), st.dictionaries(st.text(max_size=3), PLAIN, max_size=2)
    ),
    max_size=4,
)


@given(
    st.one_of(
        st.none(), st.integers(-(2**60), 2**60), st.text(max_size=8), st.floats(allow_nan=False)
    ),
    DATA,
)
def test_details_of_a_finding_read_back_as_they_were(
    value: float | str | None, data: dict[str, object]
) -> None:
    read_value, read_data = spell.read(spell.write(value, data))
    assert (repr(read_value), repr(read_data)) == (repr(value), repr(data))


async def test_who_watches_and_is_cancelled_gives_its_connection_back_in_silence(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with await Store.open(url) as store:
        looked = asyncio.Event()

        async def look() -> None:
            async with store.watch() as version:
                await version()
                looked.set()
                await asyncio.Event().wait()

        for _ in range(3):
            looked.clear()
            async with asyncio.TaskGroup() as tasks:
                watcher = tasks.create_task(look())
                await looked.wait()
                watcher.cancel()
    assert caplog.records == []
