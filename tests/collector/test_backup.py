"""A copy of the data directory while somebody writes to it, and what it is not made of."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from collector.app.keys import keys_of
from collector.io.backup import BackupError, copy
from collector.store.database import Store
from tests.collector.fleet import Centre, FleetUnit


@pytest.fixture
def data(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    (made / "broker").mkdir(mode=0o700, parents=True)
    keys_of(made)
    (made / "ca.pem").write_text("a certificate")
    (made / "broker" / "store").write_text("what units send again")
    return made


async def a_site(data: Path) -> tuple[Store, Centre, FleetUnit]:
    store = await Store.open(f"sqlite:///{data / 'collector.db'}")
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    await centre.hear(unit, unit.begin().envelope)
    return store, centre, unit


async def test_a_copy_is_of_one_moment_while_the_collector_goes_on(
    data: Path, tmp_path: Path
) -> None:
    to = tmp_path / "monday"
    store, centre, unit = await a_site(data)
    async with store:
        async with asyncio.TaskGroup() as tasks:
            work = asyncio.to_thread(copy, data, data / "collector.db", to)
            copying = tasks.create_task(work, name="copy")
            while not copying.done():
                await centre.hear(unit, unit.seal().envelope)
        assert copying.result() == ["collector.db", "order.key", "receipt.key", "ca.pem"]
    assert sorted(path.name for path in to.iterdir()) == sorted(copying.result())
    assert [stat.S_IMODE(path.stat().st_mode) for path in (to, to / "receipt.key")] == [
        0o700,
        0o600,
    ]
    assert keys_of(to) == keys_of(data)
    with closing(sqlite3.connect(to / "collector.db")) as base:
        numbers = [row[0] for row in base.execute("select batch_no from batch order by 1")]
        (through,) = base.execute("select through from chain").fetchone()
    assert numbers == list(range(through + 1))


async def test_a_restored_copy_is_filled_up_by_the_units(data: Path, tmp_path: Path) -> None:
    to = tmp_path / "monday"
    store, centre, unit = await a_site(data)
    async with store:
        copy(data, data / "collector.db", to)
        for _ in range(3):
            await centre.hear(unit, unit.seal().envelope)
    async with await Store.open(f"sqlite:///{to / 'collector.db'}") as store:
        restored = Centre(store)
        restored.now_ms = centre.now_ms
        await restored.hear(unit, unit.seal().envelope)
        restored.now_ms += 2_000
        asked = await restored.ticker.run([], restored.now_ms)
        assert [one.topic for one in asked.outgoing] == ["plomba/1/down/uz-01/order"]
        await restored.hear(unit, *(one.envelope for one in unit.sealed[1:4]))
        load = (await store.load_units(["uz-01"]))["uz-01"]
        assert load.fence.batch_no == 4


async def test_what_cannot_be_copied_is_said_and_leaves_nothing(data: Path, tmp_path: Path) -> None:
    to = tmp_path / "monday"
    with pytest.raises(BackupError, match="there is no store"):
        copy(data, data / "collector.db", to)
    store, _, _ = await a_site(data)
    await store.close()
    (data / "order.key").chmod(0o644)
    with pytest.raises(BackupError, match="others can read it"):
        copy(data, data / "collector.db", to)
    (data / "order.key").chmod(0o600)
    (data / "gateway.db").write_bytes(b"no store at all" * 1_000)
    with pytest.raises(BackupError, match="not a database"):
        copy(data, data / "collector.db", to)
    (data / "gateway.db").unlink()
    assert not to.exists()
    assert not to.with_name("monday.unfinished").exists()
    copy(data, data / "collector.db", to)
    with pytest.raises(BackupError, match="there already"):
        copy(data, data / "collector.db", to)
