"""EDGE rows 27 and 29: nobody reads beside the agent, so its WAL stays small; versions that open each other's store; why a start came."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from agent import Boot
from agent.outbox import Cause, Outbox, OutboxLockedError
from agent.outbox.store import WAL_BYTES
from tests.agent.facts import at
from tests.agent.outbox_rig import ME, SMALL, all_rows, batch, opened, sound, stop_batch
from wire.records import EventKind

WAL_BYTES_MAX = 1 << 20
LONG = [Random(number).randbytes(225).hex() for number in range(64)]  # nothing to deflate


def reader_of(store: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True, timeout=0, isolation_level=None)


async def test_e27_a_reader_is_kept_out_and_starves_no_checkpoint(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        store, wal = tmp_path / "outbox.db", tmp_path / "outbox.db-wal"
        with closing(reader_of(store)) as reader:
            biggest = 0
            await outbox.lay_in()
            for number in range(700):
                await outbox.store(batch(LONG[number % 64]), at(2_000 + number))
                biggest = max(biggest, wal.stat().st_size)
                if number % 50 == 0:
                    with pytest.raises(sqlite3.OperationalError, match="locked"):
                        reader.execute("SELECT count(*) FROM batch")
        assert WAL_BYTES <= biggest <= WAL_BYTES_MAX, (
            "it was full once at least, and was brought home"
        )
        assert store.stat().st_size > 100 << 10
        assert not store.with_name("outbox.db-shm").exists()


@pytest.mark.long
async def test_e27_a_reader_that_was_there_first_keeps_the_agent_out_until_it_leaves(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as outbox:
        await outbox.store(batch("before"), at(2_000))
    store = tmp_path / "outbox.db"
    with closing(reader_of(store)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM batch").fetchone()
        with pytest.raises(OutboxLockedError):
            async with opened(tmp_path, moment=at(3_000)):
                pass
    async with opened(tmp_path, moment=at(4_000)) as outbox:
        assert len(await all_rows(outbox)) == 3


async def test_e29_a_store_of_the_version_behind_opens_and_keeps_what_only_that_one_knows(
    tmp_path: Path,
) -> None:
    """A version may add tables and names (EDGE section 10): the one before reads and writes all the same, and goes back whole."""
    async with opened(tmp_path) as outbox:
        await outbox.store(batch("by this one"), at(2_000))
        await outbox.close(at(2_500), clean=False)
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as base:
        base.execute("CREATE TABLE later (id INTEGER PRIMARY KEY, value BLOB) STRICT")
        base.execute("INSERT INTO later VALUES (1, x'0102')")
        base.execute("INSERT INTO memory VALUES ('later', x'03')")
        base.execute("PRAGMA user_version = 2")
        base.commit()
    async with opened(tmp_path, moment=at(3_000)) as outbox:
        assert len(outbox.chains()) == 1
        await outbox.store(batch("by the one before"), at(3_500))
        numbers = [sound(one).header.batch_no for one in (await all_rows(outbox)).values()]
        assert numbers == [0, 1, 2, 3]
        await outbox.close(at(4_000), clean=False)
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as base:
        assert base.execute("PRAGMA user_version").fetchone() == (2,), "it is not called older"
        assert base.execute("SELECT value FROM later").fetchall() == [(b"\x01\x02",)]
        assert base.execute("SELECT value FROM memory WHERE name = 'later'").fetchall() == [
            (b"\x03",)
        ]


# why a start came


async def cause_of_start(
    tmp_path: Path, *, boot_no: int, program: str = "test", hint: Cause = Cause.UNKNOWN
) -> Cause:
    told = Boot(boot_id=boot_no.to_bytes(16, "big"), program=program, cause=hint)
    outbox = await Outbox.open(tmp_path, SMALL, ME, told, at(1_000))
    cause = outbox.boot_cause
    writer = asyncio.get_running_loop().create_task(outbox.run())
    newest = sound((await outbox.newest())[-1])
    (said,) = [event for event in newest.body.events if event.kind == EventKind.BOOT]
    assert said.data[1] == cause, "what the page says is what the record says"
    await outbox.abandon()
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    return cause


async def test_a_start_knows_why_it_came(tmp_path: Path) -> None:
    assert await cause_of_start(tmp_path, boot_no=1) is Cause.UNKNOWN, "the first of all"
    assert await cause_of_start(tmp_path, boot_no=1) is Cause.UNKNOWN, "a kill of the process"
    assert await cause_of_start(tmp_path, boot_no=2) is Cause.POWER
    killed_by_the_watchdog = await cause_of_start(tmp_path, boot_no=2, hint=Cause.WATCHDOG)
    assert killed_by_the_watchdog is Cause.WATCHDOG
    assert await cause_of_start(tmp_path, boot_no=2, program="next") is Cause.UPDATE
    async with opened(tmp_path, boot_no=2) as outbox:  # "test" again: an update back
        assert outbox.boot_cause is Cause.UPDATE
        await outbox.store(stop_batch(2_000), at(2_000))
        await outbox.close(at(2_100), clean=True)
    assert await cause_of_start(tmp_path, boot_no=2, hint=Cause.WATCHDOG) is Cause.ORDERED
