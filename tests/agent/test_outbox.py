"""EDGE section 4: commits, reads, forgets, evicts, survives."""

import asyncio
import re
import sqlite3
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from agent import Weight
from agent.outbox import (
    KILL_POINTS,
    Outbox,
    OutboxDiskError,
    OutboxFullError,
    OutboxLockedError,
    OutboxSettings,
    Trouble,
    words,
)
from agent.outbox.rows import Row
from agent.outbox.store import APPLICATION_ID, WAL_BYTES, Store
from agent.outbox.transaction import Transaction
from agent.sealer import OpenBatch
from tests.agent.facts import at
from tests.agent.outbox_rig import (
    ME,
    RECEIPT_KID,
    RECEIPT_PUBLIC,
    SMALL,
    all_rows,
    batch,
    identity,
    image,
    missing,
    opened,
    receipt,
    receipt_for,
    sound,
    stop_batch,
    told,
)
from wire import MisuseError, Reason, Refused
from wire.records import EventKind


async def filled(directory: Path, count: int, **arguments: object) -> dict[int, bytes]:
    """A store with `count` batches behind its first, closed without a word."""
    async with opened(directory) as outbox:
        for number in range(count):
            await outbox.store(batch(f"i{number}", **arguments), at(2_000 + number))  # type: ignore[arg-type]  # handed on
        return await all_rows(outbox)


LONG = [
    Random(number).randbytes(30).hex() for number in range(20)
]  # nothing to deflate: a kilobyte and a half

# Storing


async def test_the_first_batch_is_there_when_it_is_open(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        ((_, envelope),) = (await all_rows(outbox)).items()
        body = sound(envelope).body
        assert [event.kind for event in body.events] == [EventKind.GENESIS, EventKind.BOOT]
        assert body.events[0].data == (1, None, None, None, None)
        assert body.events[1].data == (0, 0, "test", 0, None)
        assert [news.trouble for news in outbox.take_news()] == [Trouble.CHAIN_BEGUN]


async def test_batches_are_numbered_linked_and_signed_in_the_order_of_storing(
    tmp_path: Path,
) -> None:
    rows = [sound(envelope) for envelope in (await filled(tmp_path, 5)).values()]
    assert [row.header.batch_no for row in rows] == [0, 1, 2, 3, 4, 5]
    for before, after in pairwise(rows):
        assert after.header.prev == before.head
        assert after.header.first_seq == before.header.last_seq + 1


async def test_what_belongs_to_a_batch_is_remembered_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        await outbox.store(batch("i"), at(2), memory={"counter": b"7", "armed": b"x"})
        await outbox.remember({"armed": None}, at(3))
        with pytest.raises(MisuseError):
            await outbox.store(batch("i"), at(2), memory={"boot_no": b"7"})
    async with opened(tmp_path) as outbox:
        assert (outbox.memory("counter"), outbox.memory("armed")) == (b"7", None)


async def test_the_schema_is_that_of_the_paper(tmp_path: Path) -> None:
    await filled(tmp_path, 1)
    file = sqlite3.connect(tmp_path / "outbox.db")
    try:
        columns = {
            table: [row[1] for row in file.execute(f"PRAGMA table_info({table})")]
            for table in ("chain", "batch", "memory")
        }
        assert columns == {
            "chain": ["id", "chain_id", "through", "last_no", "last_seq", "last_head"],
            "batch": ["pos", "chain", "no", "weight", "envelope"],
            "memory": ["name", "value"],
        }
        assert file.execute("PRAGMA page_size").fetchone() == (1_024,)
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert file.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        indexes = file.execute("SELECT sql FROM sqlite_schema WHERE type = 'index'").fetchall()
        assert [sql for (sql,) in indexes if sql] == []
    finally:
        file.close()


async def test_e27_a_second_agent_is_kept_out(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(OutboxLockedError, match=r"unit\.state_dir"):
            async with opened(tmp_path):
                pass


async def test_a_cancelled_caller_cancels_no_job(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        job = asyncio.get_running_loop().create_task(outbox.store(batch("i"), at(2)))
        await asyncio.sleep(0)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        assert len(await outbox.waiting()) == 2
        await outbox.store(batch("j"), at(3))
        assert len(await all_rows(outbox)) == 3


# Receipts and spare


async def test_covered_batches_wait_no_more_and_stay_as_spare(tmp_path: Path) -> None:
    rows = await filled(tmp_path, 9)
    async with opened(tmp_path) as outbox:
        said, message = receipt_for(rows[6])
        judged = await outbox.judge_receipt(message, {RECEIPT_KID: RECEIPT_PUBLIC})
        assert judged == said
        assert outbox.cover(said, message) == 6
        assert outbox.cover(said, message) == 0
        assert [one.pos for one in await outbox.waiting()] == [7, 8, 9, 10, 11]
        assert outbox.stats().waiting == 5
        again = await outbox.judge_receipt(message, {RECEIPT_KID: RECEIPT_PUBLIC})
        assert isinstance(again, Refused)
        assert again.reason is Reason.STALE
        assert await outbox.read(3, at(9)) == rows[3]
        await outbox.flush(at(10))
        assert outbox.memory("r1") == message
    async with opened(tmp_path) as outbox:
        assert [one.pos for one in await outbox.waiting()] == [7, 8, 9, 10, 11, 12]
        assert await outbox.read(3, at(9)) == rows[3]


async def test_a_receipt_forgotten_in_a_crash_comes_again(tmp_path: Path) -> None:
    rows = await filled(tmp_path, 3)
    async with opened(tmp_path) as outbox:
        outbox.cover(*receipt_for(rows[2]))
    async with opened(tmp_path) as outbox:
        assert len(await outbox.waiting()) == 6
        assert outbox.cover(*receipt_for(rows[2])) == 2


async def test_receipts_are_carried_out_in_groups(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        for number in range(70):
            one = await outbox.store(batch("i"), at(2_000 + number))
            envelope = await outbox.read(one.pos, at(3))
            assert envelope is not None
            outbox.cover(*receipt_for(envelope))
            carried = outbox.memory("r1") is not None
            assert carried == (number >= 63), number
        await outbox.store(batch("i"), at(5_000))
        early = outbox.memory("r1")
        await outbox.store(batch("i"), at(3_000 + 600_000))
        await outbox.store(batch("i"), at(3_001 + 600_000 * 2))
        assert outbox.memory("r1") != early


async def test_spare_goes_oldest_first_and_the_newest_row_never(tmp_path: Path) -> None:
    small = OutboxSettings(spare_bytes=2_000, ballast_bytes=0, headroom_bytes=0)
    rows = await filled(tmp_path, 20)
    async with opened(tmp_path, settings=small) as outbox:
        last = max(await all_rows(outbox))
        newest = await outbox.read(last, at(3))
        assert newest is not None
        outbox.cover(*receipt_for(newest))
        await outbox.flush(at(4))
        assert outbox.stats().spare_bytes > 2_000
        await outbox.store(batch("i"), at(5))
        stats = outbox.stats()
        assert stats.spare_bytes <= 2_000
        (chain,) = stats.chains
        kept = [pos for pos in rows if await outbox.read(pos, at(9)) is not None]
        assert kept == list(range(chain.oldest + 1, 22))
        assert [one.batch_no for one in await outbox.waiting()] == [22]
    async with opened(tmp_path) as outbox:  # what went with a receipt is no hole
        assert Trouble.HOLE not in {news.trouble for news in outbox.take_news()}


async def test_resending_finds_the_place(tmp_path: Path) -> None:
    rows = await filled(tmp_path, 5)
    chain_id = sound(rows[1]).header.chain_id
    async with opened(tmp_path) as outbox:
        assert await outbox.find(chain_id, 3) == 4
        assert await outbox.find(chain_id, 99) is None
        assert await outbox.find(b"?" * 16, 0) is None
        assert await outbox.head_at(chain_id, 3) == sound(rows[4]).head


async def test_a_batch_is_found_where_it_usually_lies_and_else_by_a_walk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks: list[str] = []
    run = Store.run

    async def seen(store: Store, sql: str, *values: int | bytes | str) -> list[tuple[object, ...]]:
        if "chain = ?" in sql:
            walks.append(sql)
        return await run(store, sql, *values)

    await filled(tmp_path, 5)
    async with opened(tmp_path, boot_no=2) as outbox:  # a second chain
        for number in range(5):
            await outbox.store(batch(f"j{number}"), at(3_000 + number))
        monkeypatch.setattr(Store, "run", seen)
        for chain in outbox.chains():
            for number in range(chain.batch_no + 1):
                pos = await outbox.find(chain.chain_id, number)
                row = None if pos is None else await outbox.read(pos, at(4_000))
                assert row is not None
                header = sound(row).header
                assert (header.chain_id, header.batch_no) == (chain.chain_id, number)
        assert not walks, "the keeper asks every 15 s, also behind two months without a line"
        old = outbox.chains()[0]
        first = await outbox.find(old.chain_id, 0)
        assert first is not None
        await outbox._do(lambda: outbox._writer.store.run("DELETE FROM batch WHERE pos = ?", first))
        assert await outbox.find(old.chain_id, 0) == first + 1, "the first that is kept"
        assert walks


async def test_a_receipt_that_knows_more_than_we_do_or_another_head_covers_nothing(
    tmp_path: Path,
) -> None:
    rows = await filled(tmp_path, 3)
    chain_id = sound(rows[1]).header.chain_id
    async with opened(tmp_path) as outbox:
        for said, reason in (
            (receipt(chain_id, 9, b"h" * 32), Reason.AHEAD),
            (receipt(chain_id, 2, b"h" * 32), Reason.HEAD_MISMATCH),
            (receipt(b"?" * 16, 2, b"h" * 32), Reason.UNKNOWN_CHAIN),
        ):
            judged = await outbox.judge_receipt(said[1], {RECEIPT_KID: RECEIPT_PUBLIC})
            assert isinstance(judged, Refused)
            assert judged.reason is reason


# Space


@pytest.mark.long
async def test_e05_without_a_link_the_cheapest_and_oldest_go_and_each_run_is_confessed(
    tmp_path: Path,
) -> None:
    tiny = OutboxSettings(bytes_max=262_144, ballast_bytes=0, headroom_bytes=0)
    text = LONG
    async with opened(tmp_path, settings=tiny) as outbox:
        stored = {}
        for number in range(400):
            dear = number % 10 == 0
            weight = Weight.EVIDENCE if dear else Weight(number % 2)
            one = await outbox.store(batch(*text, weight=weight), at(2_000 + number))
            stored[one.pos] = weight
            assert outbox.stats().bytes_used <= 262_144
        assert outbox.pressure >= 1
        rows = await all_rows(outbox)
    dropped = check_every_hole_is_confessed(rows)
    lost = [pos for pos in stored if pos not in rows]
    assert len(dropped) > 2
    assert not any(stored[pos] is Weight.EVIDENCE for pos in lost)
    routine = [pos for pos in stored if stored[pos] is Weight.ROUTINE]
    assert lost
    events = [pos for pos in lost if stored[pos] is Weight.EVENT]
    assert not events or all(pos in lost for pos in routine if pos < max(lost) - 80)


def check_every_hole_is_confessed(rows: dict[int, bytes]) -> list[tuple[int, int]]:
    """Numbers of one chain are there, or told as dropped, with their seqs and the head that the next one links to."""
    batches = {sound(envelope).header.batch_no: sound(envelope) for envelope in rows.values()}
    dropped = {}
    for one in batches.values():
        for event in one.body.events:
            if event.kind == EventKind.DROPPED:
                first, last = event.data[:2]
                assert isinstance(first, int)
                assert isinstance(last, int)
                dropped[first, last] = event.data
    missing = set(range(max(batches) + 1)) - set(batches)
    told = {number for first, last in dropped for number in range(first, last + 1)}
    assert missing <= told
    for (first, last), data in dropped.items():
        if first - 1 in batches and data[2] is not None:
            assert data[2] == batches[first - 1].header.last_seq + 1
        if last + 1 in batches and data[3] is not None:
            assert data[3] == batches[last + 1].header.first_seq - 1
            assert data[4] == batches[last + 1].header.prev
    return list(dropped)


async def test_what_may_be_evicted_is_looked_for_behind_what_was_walked_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    rows = Transaction.rows

    async def seen(tx: Transaction, where: str, *values: int) -> list[Row]:
        if "AND weight = 0" in where:
            begun.append(values[0])
        return await rows(tx, where, *values)

    tiny = OutboxSettings(bytes_max=262_144, ballast_bytes=0, headroom_bytes=0)
    async with opened(tmp_path, settings=tiny) as outbox:
        with pytest.raises(OutboxFullError):
            await store_for_ever(outbox, batch(*LONG, weight=Weight.EVIDENCE))
        with pytest.raises(OutboxFullError):
            await outbox.store(batch(*LONG), at(9_000))
        monkeypatch.setattr(Transaction, "rows", seen)
        with pytest.raises(OutboxFullError):
            await outbox.store(batch(*LONG), at(9_001))
        newest = outbox.stats().newest_pos
        assert set(begun) == {newest - 1}, "nothing lies before, and that is known"


async def test_if_only_evidence_is_left_nothing_else_is_recorded(tmp_path: Path) -> None:
    tiny = OutboxSettings(bytes_max=262_144, ballast_bytes=0, headroom_bytes=0)
    text = LONG
    async with opened(tmp_path, settings=tiny) as outbox:
        with pytest.raises(OutboxFullError, match=r"outbox\.bytes_max"):
            await store_for_ever(outbox, batch(*text, weight=Weight.EVIDENCE))
        with pytest.raises(OutboxFullError):
            await outbox.store(batch(*text), at(9_000))
        assert outbox.pressure == 4
        rows = await all_rows(outbox)
        newest = rows[max(rows)]
        outbox.cover(*receipt_for(newest))
        await outbox.store(batch(*text), at(9_001))  # a receipt makes room
        assert outbox.pressure == 0


async def store_for_ever(outbox: Outbox, one: OpenBatch) -> None:
    for number in range(400):
        await outbox.store(one, at(2_000 + number))


@pytest.mark.long
async def test_spare_goes_before_anything_unsent(tmp_path: Path) -> None:
    tiny = OutboxSettings(bytes_max=262_144, ballast_bytes=0, headroom_bytes=0)
    text = LONG
    async with opened(tmp_path, settings=tiny) as outbox:
        for number in range(400):
            one = await outbox.store(batch(*text, weight=Weight.ROUTINE), at(2_000 + number))
            envelope = await outbox.read(one.pos, at(3))
            assert envelope is not None
            outbox.cover(*receipt_for(envelope))
        assert outbox.stats().evicted_ever == 0
        assert outbox.pressure == 0


@pytest.mark.parametrize("boot_step", [0, 1], ids=["the process alone", "the kernel too"])
async def test_a_full_store_takes_any_number_of_starts_also_when_its_bounds_were_lowered(
    tmp_path: Path, boot_step: int
) -> None:
    settings = OutboxSettings(bytes_max=262_144, ballast_bytes=0, headroom_bytes=0)
    async with opened(tmp_path, settings=settings) as outbox:
        rng = Random(4711)
        while outbox.pressure < 2:
            await outbox.store(batch(rng.randbytes(150).hex()), at(2_000))
    lower = replace(settings, bytes_max=131_072)  # the file has no free page, and may not grow
    rows: dict[int, bytes] = {}
    for number in range(8):  # each with a first batch of its own
        async with opened(
            tmp_path, settings=lower, boot_no=1 + boot_step * number, moment=at(10_000)
        ) as outbox:
            rows = await all_rows(outbox)
    assert missing(rows) <= told(rows)


async def test_e21_low_headroom_gives_up_growing_before_it_gives_up_storing(tmp_path: Path) -> None:
    crowded = OutboxSettings(headroom_bytes=1 << 60, ballast_bytes=0)  # no disk has so much
    text = LONG
    async with opened(tmp_path, settings=crowded) as outbox:
        for number in range(400):
            await outbox.store(batch(*text, weight=Weight.ROUTINE), at(2_000 + number))
        stats = outbox.stats()
        assert stats.evicted_ever > 0
        assert stats.bytes_used < 262_144
        check_every_hole_is_confessed(await all_rows(outbox))


async def test_the_ballast_lies_there_while_there_is_room(tmp_path: Path) -> None:
    heavy = OutboxSettings(headroom_bytes=0, ballast_bytes=100_000)
    async with opened(tmp_path, settings=heavy) as outbox:
        assert not outbox.stats().ballast, "a start waits for nothing that it does not need"
        await outbox.lay_in()
        assert outbox.stats().ballast
        assert (tmp_path / "ballast").stat().st_size == 100_000
        (tmp_path / "ballast").unlink()  # as a full disk takes it
        (tmp_path / "ballast.new").write_bytes(b"\xff" * 99_999)  # and a kill leaves half of it
        await outbox.lay_in()
        assert outbox.stats().ballast, "it returns when there is room, and not at the next start"
        assert (tmp_path / "ballast").stat().st_size == 100_000


async def test_a_commit_goes_between_two_pieces_of_the_ballast(tmp_path: Path) -> None:
    heavy = OutboxSettings(headroom_bytes=0, ballast_bytes=2_097_152)
    async with opened(tmp_path, settings=heavy) as outbox:
        sizes: list[int] = []

        async def store() -> None:
            for number in range(3):
                await outbox.store(batch(f"urgent {number}", urgent=True), at(2_000 + number))
                part = tmp_path / "ballast.new"
                sizes.append(part.stat().st_size if part.exists() else 0)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(outbox.lay_in())
            tasks.create_task(store())
        assert sizes[-1] < 2_097_152, "all three were committed before it was whole"
        assert outbox.stats().ballast


async def test_the_wal_is_laid_in_at_its_full_length_and_holds_no_frame_that_nobody_wrote(
    tmp_path: Path,
) -> None:
    wal = tmp_path / "live" / "outbox.db-wal"
    async with opened(tmp_path / "live") as outbox:
        await outbox.store(batch("before"), at(2_000))
        await outbox.lay_in()
        assert wal.stat().st_size == WAL_BYTES
        await outbox.store(batch("after"), at(2_001))
        await outbox.lay_in()
        assert wal.stat().st_size == WAL_BYTES, "a commit overwrites"
        rows = await all_rows(outbox)
        cut = image(tmp_path / "live", tmp_path / "cut")
    assert not wal.exists(), "a clean end takes it along"
    async with opened(cut, moment=at(3_000)) as outbox:  # the power failed: the zeros are no damage
        assert outbox.take_news() == []
        left = await all_rows(outbox)
        assert {pos: left[pos] for pos in rows} == rows
        assert len(outbox.chains()) == 1


async def test_a_disk_that_refuses_the_ballast_is_told_once_until_it_takes_it(
    tmp_path: Path,
) -> None:
    heavy = OutboxSettings(headroom_bytes=0, ballast_bytes=100_000)
    async with opened(tmp_path, settings=heavy) as outbox:
        (tmp_path / "ballast.new").mkdir()  # where it is made
        outbox.take_news()
        for _ in range(3):
            await outbox.lay_in()
        assert [one.trouble for one in outbox.take_news()] == [Trouble.DISK_FULL]
        assert outbox.stats().counters["lay_in_failed"] == 3
        await outbox.store(batch("it goes on"), at(2_000))
        (tmp_path / "ballast.new").rmdir()
        await outbox.lay_in()
        assert outbox.stats().ballast
        assert outbox.take_news() == []


# Damage


@pytest.mark.long
async def test_e22_any_damaged_row_is_found_before_it_is_sent_and_confessed(tmp_path: Path) -> None:
    rows = await filled(tmp_path / "whole", 12, mono_ms=7)
    rng = Random(22)
    for pos in (1, 2, 5, 6, 12):
        for _ in range(6):
            directory = image(tmp_path / "whole", tmp_path / "damaged")
            flip(directory, pos, rng)
            async with opened(directory) as outbox:
                await outbox.waiting()
                left = await all_rows(outbox)
                assert pos not in left
                for other, envelope in rows.items():
                    if other != pos:
                        assert left[other] == envelope
                check_every_hole_is_confessed(left)
            async with opened(directory) as outbox:  # told once
                assert await all_rows(outbox) | left == await all_rows(outbox)
                assert Trouble.HOLE not in {news.trouble for news in outbox.take_news()}


def flip(directory: Path, pos: int, rng: Random) -> None:
    """One bit of the envelope in one row, behind SQLite's back: its page stays in order."""
    file = sqlite3.connect(directory / "outbox.db")
    (envelope,) = file.execute("SELECT envelope FROM batch WHERE pos = ?", (pos,)).fetchone()
    bits = bytearray(envelope)
    bits[rng.randrange(len(bits))] ^= 1 << rng.randrange(8)
    file.execute("UPDATE batch SET envelope = ? WHERE pos = ?", (bytes(bits), pos))
    file.commit()
    file.close()


async def test_a_damaged_newest_row_leaves_no_head_to_go_on_from(tmp_path: Path) -> None:
    rows = await filled(tmp_path, 5)
    flip(tmp_path, max(rows), Random(1))
    async with opened(tmp_path) as outbox:
        (envelope,) = (await all_rows(outbox)).values()
        assert sound(envelope).body.events[0].data == (3, None, None, None, None)
        assert outbox.at_home is None
        assert outbox.stats().aside_files == 1
        assert outbox.take_news()[0].trouble is Trouble.DAMAGED
    assert (tmp_path / "outbox.bad-1").exists()


@pytest.mark.parametrize("garbage", [b"", b"not a database at all" * 100, bytes(5_000)])
async def test_e01_whatever_lies_there_the_unit_collects(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "outbox.db").write_bytes(garbage)
    async with opened(tmp_path) as outbox:
        await outbox.store(batch("i"), at(2))
        rows = await all_rows(outbox)
        assert sound(rows[min(rows)]).body.events[0].data[0] == 3
        assert len(rows) == 2


async def test_e01_a_foreign_database_is_set_aside_unharmed(tmp_path: Path) -> None:
    file = sqlite3.connect(tmp_path / "outbox.db")
    file.execute("CREATE TABLE holiday (photo BLOB)")
    file.commit()
    file.close()
    before = (tmp_path / "outbox.db").read_bytes()
    async with opened(tmp_path) as outbox:
        await outbox.store(batch("i"), at(2))
    assert (tmp_path / "outbox.bad-1").read_bytes() == before


async def test_a_wal_without_its_store_never_meets_a_new_one(tmp_path: Path) -> None:
    await filled(tmp_path / "whole", 5)
    directory = image(tmp_path / "whole", tmp_path / "left")
    (directory / "outbox.db").rename(directory / "outbox.db-wal")
    async with opened(directory) as outbox:
        assert len(await all_rows(outbox)) == 1
    assert (directory / "outbox.bad-1-wal").exists()


@pytest.mark.long
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 1 << 32), zeros=st.booleans())
def test_e04_noise_in_any_sector_never_sends_a_wrong_byte_and_never_stops_the_unit(
    tmp_path: Path, *, seed: int, zeros: bool
) -> None:
    async def story() -> None:
        whole = tmp_path / "whole"
        if not whole.exists():
            truth.update(await filled(whole, 60))
        directory = image(whole, tmp_path / "noisy")
        spoil(directory / "outbox.db", Random(seed), zeros=zeros)
        async with opened(directory) as outbox:
            await outbox.store(batch("after"), at(5_000))
            await outbox.waiting(count_max=1_000)
            rows = await all_rows(outbox)
            for pos, envelope in rows.items():
                assert sound(envelope).header.batch_no >= 0
                if pos in truth and not outbox.stats().aside_files:
                    assert envelope in (truth[pos], envelope)
            if outbox.stats().aside_files == 0:
                check_every_hole_is_confessed(
                    {p: e for p, e in rows.items() if same_chain(e, truth)}
                )

    truth: dict[int, bytes] = {}
    asyncio.run(story())


def same_chain(envelope: bytes, truth: dict[int, bytes]) -> bool:
    chains = {sound(one).header.chain_id for one in truth.values()}
    return not chains or sound(envelope).header.chain_id in chains


def spoil(path: Path, rng: Random, *, zeros: bool) -> None:
    data = bytearray(path.read_bytes())
    begin = rng.randrange(len(data) // 512) * 512
    data[begin : begin + 512] = bytes(512) if zeros else rng.randbytes(512)
    path.write_bytes(bytes(data))


async def test_damage_while_running_keeps_the_head_and_needs_no_word(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        await outbox.store(batch("i"), at(2), memory={"counter": b"9"})
        last = (await outbox.waiting())[-1]
        generation = outbox.generation
        await outbox._do(lambda: outbox._writer.set_aside(at(3), "told by the test"))
        assert outbox.generation == generation + 1
        one = await outbox.store(batch("j"), at(4))
        rows = await all_rows(outbox)
        (genesis,) = sound(rows[min(rows)]).body.events
        assert genesis.data == (3, last.chain_id, last.batch_no, last.head, 2)
        assert one.pos > last.pos  # a place is never used twice
        assert outbox.memory("counter") == b"9"
        assert outbox.at_home is None
        assert outbox.chains()[0].chain_id == last.chain_id


@pytest.mark.long
async def test_a_file_that_is_torn_under_a_running_unit_is_set_aside(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        for number in range(600):  # more than the cache holds
            await outbox.store(batch(*LONG), at(2_000 + number))
        size = (tmp_path / "outbox.db").stat().st_size
        with (tmp_path / "outbox.db").open("r+b") as file:
            file.seek(1_024)
            file.write(b"\xa5" * (size - 2_048))
        found = [await outbox.read(pos, at(9_000)) for pos in range(1, 60)]
        assert None in found
        one = await outbox.store(batch("after"), at(9_001))
        assert await outbox.read(one.pos, at(9_002)) is not None
        assert outbox.stats().aside_files >= 1


# Crashes


def test_the_named_points_of_the_paper_are_those_of_the_code() -> None:
    source = "".join(path.read_text() for path in Path(words.__file__).parent.glob("*.py"))
    assert set(re.findall(r'\bat\("([a-z:]+)"\)', source)) == set(KILL_POINTS)


@pytest.mark.long
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    story=st.lists(
        st.sampled_from(("store", "dear", "cover", "crash", "stop", "again", "many")), max_size=14
    ),
    seed=st.integers(0, 1 << 16),
)
def test_it_is_a_list_that_survives_power_cuts_between_any_two_statements(
    tmp_path: Path, story: list[str], seed: int
) -> None:
    asyncio.run(Play(tmp_path, Random(seed)).run(story))


class Play:
    """The outbox beside a plain list; the power may fail at any named point."""

    def __init__(self, root: Path, rng: Random) -> None:
        self.rng = rng
        self.root = root
        self.directory = root / f"store{rng.random()}"
        self.cut = root / "cut"
        self.boot_no = 1
        self.now = 1_000
        self.held: list[bytes] = []  # what must be there: stored, not covered
        self.covered: list[bytes] = []
        self.said: dict[tuple[bytes, int], bytes] = {}  # what ever could have left the unit
        self.countdown: int | None = None

    def at_point(self, name: str) -> None:
        assert name in KILL_POINTS
        if self.countdown is None:
            return
        self.countdown -= 1
        if self.countdown == 0:
            image(self.directory, self.cut)

    async def run(self, story: list[str]) -> None:
        todo = list(story)
        while True:
            async with opened(
                self.directory,
                boot_no=self.boot_no,
                moment=at(self.now),
                at_point=self.at_point,
            ) as outbox:
                await self.check(outbox)
                if not todo:
                    return
                while todo:
                    if await self.step(outbox, todo.pop(0)):
                        break
                else:
                    await self.check(outbox)

    async def step(self, outbox: Outbox, what: str) -> bool:
        """One thing happens; True if the process ends with it."""
        self.now += 1_000
        match what:
            case "store" | "dear" | "many":
                for _ in range(66 if what == "many" else 1):
                    await self.put(outbox, urgent=what == "dear")
            case "cover" if self.held:
                number = self.rng.randrange(len(self.held))
                if outbox.cover(*receipt_for(self.held[number])):
                    chain = sound(self.held[number]).header.chain_id
                    gone = [e for e in self.held[: number + 1] if sound(e).header.chain_id == chain]
                    self.covered += gone
                    self.held = [e for e in self.held if e not in gone]
            case "crash":
                return await self.crash(outbox)
            case "stop":
                await outbox.store(stop_batch(), at(self.now))
                await self.check(outbox)
                await outbox.close(at(self.now), clean=True)
                self.boot_no += self.rng.randrange(2)
                return True
            case _:
                return what == "again"
        return False

    async def put(self, outbox: Outbox, *, urgent: bool) -> None:
        self.now += 1
        one = await outbox.store(batch(str(self.now), urgent=urgent), at(self.now))
        envelope = await outbox.read(one.pos, at(self.now))
        assert envelope is not None
        self.note(envelope)
        self.held.append(envelope)

    async def crash(self, outbox: Outbox) -> bool:
        """The power fails at a named point while a batch is stored."""
        self.cut.mkdir(exist_ok=True)
        image(self.directory, self.cut)
        self.countdown = self.rng.randrange(1, 7)
        before = list(self.held)
        await self.put(outbox, urgent=False)
        self.countdown = None
        self.directory = self.root / f"store{self.rng.random()}"
        image(self.cut, self.directory)
        self.maybe, self.held = self.held[len(before) :], before
        self.said = {k: v for k, v in self.said.items() if v not in self.maybe}
        self.boot_no += 1
        return True

    def note(self, envelope: bytes) -> None:
        header = sound(envelope).header
        place = (header.chain_id, header.batch_no)
        assert self.said.setdefault(place, envelope) == envelope

    async def check(self, outbox: Outbox) -> None:
        """Everything stored waits, in order; what more there is was stored by the outbox itself, or just then."""
        rows = list((await all_rows(outbox, self.now)).values())
        for envelope in rows:
            self.note(envelope)
        waiting = [envelope for envelope in rows if envelope not in self.covered]
        assert [e for e in waiting if e in self.held] == self.held
        self.held = waiting


# The one who sleeps


async def test_a_stop_leaves_a_marker_and_an_empty_wal(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        await outbox.store(stop_batch(), at(2))
        await outbox.close(at(3), clean=True)
    assert not (tmp_path / "outbox.db-wal").exists()
    async with opened(tmp_path, boot_no=2) as outbox:
        assert len(outbox.chains()) == 1
        newest = (await outbox.waiting())[-1]
        envelope = await outbox.read(newest.pos, at(9))
        assert envelope is not None
        assert sound(envelope).body.events[-1].data[3] == 1  # boot: clean


async def test_checkpoints_and_proofs_are_kept_with_the_next_batch(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        outbox.saw(12, b"r" * 32)
        one = await outbox.store(batch("i"), at(2))
        two = await outbox.store(batch("j"), at(3))
        rows = await all_rows(outbox)
        assert sound(rows[one.pos]).header.seen == (12, b"r" * 32)
        assert sound(rows[two.pos]).header.seen is None
        outbox.proven(one.chain_id, 1, b"proof")
        await outbox.store(batch("k"), at(4))
    async with opened(tmp_path) as outbox:
        assert (outbox.seen, outbox.memory("r2")) == ((12, b"r" * 32), b"proof")


async def test_a_chain_lives_and_dies_with_its_key(tmp_path: Path) -> None:
    rows = await filled(tmp_path, 2)
    last = sound(rows[3])
    other = identity("another key")
    who = type(other)(
        unit_id=other.unit_id,
        public_key=other.public_key,
        kid=other.kid,
        sign=other.sign,
        former_keys=(ME.public_key,),
    )
    async with opened(tmp_path, who=who) as outbox:
        left = await all_rows(outbox)
        assert {pos: left[pos] for pos in rows} == rows
        genesis = sound(left[4], who).body.events[0]
        assert genesis.data == (5, last.header.chain_id, 2, last.head, last.header.last_seq)


def test_settings_have_the_defaults_of_the_paper() -> None:
    assert (OutboxSettings().bytes_max, OutboxSettings().spare_bytes) == (67_108_864, 4_194_304)
    assert SMALL.headroom_bytes == 0


async def test_a_disk_that_refuses_in_the_middle_of_setting_aside_is_tried_again(
    tmp_path: Path,
) -> None:
    refuses = [True]

    def at_point(name: str) -> None:
        if name == "aside:renamed" and refuses.pop():
            raise OutboxDiskError("told by the test")

    async with opened(tmp_path, at_point=at_point) as outbox:
        one = await outbox.store(batch("i"), at(2))
        refuses.append(True)
        with pytest.raises(OutboxDiskError):
            await outbox._do(lambda: outbox._writer.set_aside(at(3), "told by the test"))
        refuses.append(False)
        two = await outbox.store(batch("j"), at(4))
        assert two.pos > one.pos
        genesis = sound((await all_rows(outbox))[one.pos + 1]).body.events[0]
        assert genesis.data[:3] == (3, one.chain_id, 1)
