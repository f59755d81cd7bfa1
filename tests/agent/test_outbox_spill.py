"""EDGE section 4, spill: the disk refuses, the chain goes on in the run directory and comes back whole."""

import shutil
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from agent import Weight
from agent.outbox import ChainReason, Outbox, OutboxDiskError, OutboxFullError, Trouble
from agent.outbox.store import Store
from agent.sealer import OpenBatch
from tests.agent.facts import at
from tests.agent.outbox_rig import (
    ME,
    SMALL,
    Collector,
    all_rows,
    batch,
    boot,
    deliver,
    image,
    opened,
    receipt_for,
    sound,
    stop_batch,
    told,
)
from tests.agent.test_outbox_salvage import salvage_all
from wire.records import EventKind

LONG_TEXTS = [Random(number).randbytes(450).hex() for number in range(50)]  # nothing to deflate


class Disk:
    """Refuses every commit on the disk while `refuses`, every start and every way back; it lets itself be read."""

    def __init__(self, root: Path) -> None:
        self.store = root / "disk"
        self.run = root / "run"
        self.refuses = False

    def at_point(self, name: str) -> None:
        if name == "store:committing" and self.refuses and not self.spilled:
            raise OutboxDiskError("disk I/O error, told by the test")
        if name == "spill:moving" and self.refuses:
            raise OutboxDiskError("still, told by the test")
        if name == "start:checked" and self.refuses:
            raise OutboxDiskError("read-only, told by the test")

    @property
    def spilled(self) -> bool:
        return (self.run / "spill" / "outbox.db").exists()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def is_spilled(outbox: Outbox) -> bool:
    """Asked anew each time."""
    return outbox.spilled


def check_one_chain(rows: dict[int, bytes]) -> None:
    """Every number once, each linked to the one before."""
    batches = [sound(envelope) for _, envelope in sorted(rows.items())]
    assert [one.header.batch_no for one in batches] == list(range(len(batches)))
    for before, after in pairwise(batches):
        assert after.header.prev == before.head
        assert after.header.first_seq == before.header.last_seq + 1


async def test_e24_the_chain_goes_on_in_the_run_directory_and_all_rows_move_back(
    disk: Disk,
) -> None:
    async with opened(disk.store, run=disk.run, at_point=disk.at_point) as outbox:
        await outbox.store(batch("before"), at(2_000), memory={"counter": b"1"})
        disk.refuses = True
        one = await outbox.store(batch("while", urgent=True), at(3_000), memory={"counter": b"2"})
        assert (one.batch_no, is_spilled(outbox), outbox.memory("counter")) == (2, True, b"2")
        assert Trouble.SPILL in {news.trouble for news in outbox.take_news()}
        await outbox.store(batch("more"), at(4_000))
        check_one_chain(await all_rows(outbox))  # a disk that only refuses to write is still read
        assert [row.pos for row in outbox.urgent()] == [one.pos]
        await outbox.store(batch("it is tried, and refuses"), at(64_000))
        assert is_spilled(outbox)
        disk.refuses = False
        await outbox.store(batch("not yet: it is tried once a minute"), at(100_000))
        assert is_spilled(outbox)
        await outbox.store(batch("back"), at(130_000))
        assert not is_spilled(outbox)
        assert not disk.spilled
        rows = await all_rows(outbox)
        check_one_chain(rows)
        assert len(rows) == 7
        assert outbox.memory("counter") == b"2"
        assert outbox.memory("spill") is None
        assert [row.pos for row in outbox.urgent()] == [one.pos]
        assert not told(rows)
    async with opened(disk.store, run=disk.run) as outbox:
        check_one_chain(await all_rows(outbox))


async def test_e24_it_survives_a_restart_of_the_process(disk: Disk) -> None:
    async with opened(disk.store, run=disk.run, at_point=disk.at_point) as outbox:
        await outbox.store(batch("before"), at(2_000))
        disk.refuses = True
        await outbox.store(batch("while"), at(3_000))
    async with opened(disk.store, run=disk.run, moment=at(5_000), at_point=disk.at_point) as outbox:
        assert is_spilled(outbox)
        await outbox.store(batch("still"), at(5_500))
        rows = await all_rows(outbox)
        assert max(sound(e).header.batch_no for e in rows.values()) == 4  # with the boot
        await outbox.store(batch("it is tried"), at(7_000))
        assert is_spilled(outbox)
        disk.refuses = False
        await outbox.store(batch("back"), at(80_000))
        assert not is_spilled(outbox)
        rows = await all_rows(outbox)
        check_one_chain(rows)
        assert len(outbox.chains()) == 1
        assert not told(rows)


async def test_e24_rows_that_were_moved_back_before_a_crash_do_not_come_twice(disk: Disk) -> None:
    kept = disk.run.parent / "kept"

    def at_point(name: str) -> None:
        disk.at_point(name)
        if name == "spill:moved":
            shutil.copytree(disk.run, kept)

    async with opened(disk.store, run=disk.run, at_point=at_point) as outbox:
        disk.refuses = True
        await outbox.store(batch("while"), at(3_000))
        disk.refuses = False
        await outbox.store(batch("back"), at(70_000))
        before = await all_rows(outbox)
    shutil.rmtree(disk.run)
    shutil.copytree(kept, disk.run)  # the process ended before it could forget
    async with opened(disk.store, run=disk.run, moment=at(80_000)) as outbox:
        assert not is_spilled(outbox)
        assert not disk.spilled
        rows = await all_rows(outbox)
        check_one_chain(rows)
        assert before.items() <= rows.items()


async def test_e24_a_new_kernel_founds_the_chain_again_behind_what_the_collector_has(
    disk: Disk,
) -> None:
    collector = Collector()
    async with opened(disk.store, run=disk.run, at_point=disk.at_point) as outbox:
        await outbox.store(batch("before"), at(2_000))
        disk.refuses = True
        await outbox.store(batch("in memory only"), at(3_000))
        await deliver(outbox, collector, at(4_000))
    shutil.rmtree(disk.run)  # the power was cut
    async with opened(disk.store, run=disk.run, boot_no=2, moment=at(5_000)) as outbox:
        await outbox.store(batch("after"), at(6_000))
        await deliver(outbox, collector, at(7_000))
        await deliver(outbox, collector, at(40_000))
        assert await outbox.waiting() == []
    assert collector.findings == []
    assert len(collector.stored) == 5


async def test_e24_a_disk_that_comes_back_empty_costs_what_it_held_and_that_is_told(
    disk: Disk,
) -> None:
    async with opened(disk.store, run=disk.run, at_point=disk.at_point) as outbox:
        for number in range(5):
            await outbox.store(batch(str(number)), at(2_000 + number))
        chain = (await outbox.waiting())[0].chain_id
        disk.refuses = True
        await outbox.store(batch("while"), at(3_000))
        for path in disk.store.glob("outbox.db*"):
            path.unlink()
        disk.refuses = False
        await outbox.store(batch("back"), at(70_000))
        assert not is_spilled(outbox)
        await salvage_all(outbox, 71_000)
        rows = await all_rows(outbox)
        assert told(rows) == {(chain, number) for number in range(6)}
        assert {sound(e).header.chain_id for e in rows.values()} == {chain}
        assert min(sound(e).header.batch_no for e in rows.values()) == 6


async def test_e24_a_disk_that_comes_back_damaged_is_set_aside_and_read(disk: Disk) -> None:
    async with opened(disk.store, run=disk.run, at_point=disk.at_point) as outbox:
        for number in range(200):
            await outbox.store(batch(str(number)), at(2_000 + number))
        old = await all_rows(outbox)
        disk.refuses = True
        await outbox.store(batch("while"), at(3_000))
        await outbox._writer.spill.beside.run("DELETE FROM batch WHERE pos BETWEEN 190 AND 300")  # type: ignore[union-attr]  # it spills
        disk.refuses = False
        await outbox.store(batch("back"), at(70_000))
        assert not is_spilled(outbox)
        assert outbox.waits_behind == 202
        await salvage_all(outbox, 71_000)
        rows = await all_rows(outbox)
        assert {pos: rows[pos] for pos in range(1, 190)} == {pos: old[pos] for pos in range(1, 190)}
        assert {number for _, number in told(rows)} == set(range(189, 201))


async def test_e24_a_unit_whose_disk_is_dead_at_the_start_collects_all_the_same(
    tmp_path: Path,
) -> None:
    (tmp_path / "disk").write_bytes(b"this is no directory")
    async with opened(tmp_path / "disk", run=tmp_path / "run") as outbox:
        assert is_spilled(outbox)
        one = await outbox.store(batch("i", urgent=True), at(2_000))
        rows = await all_rows(outbox)
        assert sound(rows[min(rows)]).body.events[0].data == (3, None, None, None, None)
        await outbox.store(batch("tried"), at(70_000))
        assert is_spilled(outbox)
        assert [row.pos for row in outbox.urgent()] == [one.pos]


async def test_e24_a_disk_that_was_dead_at_the_start_and_wakes_gives_back_its_chain(
    tmp_path: Path,
) -> None:
    store, away, run = tmp_path / "disk", tmp_path / "away", tmp_path / "run"
    async with opened(store, run=run) as outbox:
        await outbox.store(batch("old"), at(2_000))
        old = await all_rows(outbox)
    store.rename(away)
    store.write_bytes(b"this is no directory")
    async with opened(store, run=run, moment=at(3_000)) as outbox:
        await outbox.store(batch("new"), at(3_500))
        new = await all_rows(outbox)
        store.unlink()
        away.rename(store)
        await outbox.store(batch("back"), at(70_000))
        assert not is_spilled(outbox)
        rows = await all_rows(outbox)
        assert old.items() <= rows.items()
        assert new.items() <= rows.items()
        assert [one.waiting for one in outbox.chains()] == [2, 3]
    async with opened(store, run=run, moment=at(80_000)) as outbox:
        assert rows.items() <= (await all_rows(outbox)).items()


class CutError(Exception):
    """The process ends here."""


async def filled(disk: Disk, *, boot_no: int = 1) -> dict[int, bytes]:
    """A store with some batches that wait, left by a kill."""
    async with opened(disk.store, run=disk.run, boot_no=boot_no) as outbox:
        for number in range(5):
            await outbox.store(batch(f"before {number}", urgent=number == 3), at(2_000 + number))
        return await all_rows(outbox)


async def test_e24_a_start_on_a_disk_that_is_only_read_goes_on_with_its_chain(disk: Disk) -> None:
    old = await filled(disk)
    disk.refuses = True
    async with opened(disk.store, run=disk.run, moment=at(5_000), at_point=disk.at_point) as outbox:
        assert is_spilled(outbox)
        assert Trouble.SPILL in {news.trouble for news in outbox.take_news()}
        (chain,) = outbox.chains()
        assert (chain.oldest, chain.batch_no, chain.waiting) == (0, 6, 7)
        one = await outbox.store(batch("while", urgent=True), at(6_000))
        rows = await all_rows(outbox)
        check_one_chain(rows)
        assert old.items() <= rows.items(), "what lies on the disk is sent from there"
        assert [row.batch_no for row in outbox.urgent()] == [4, one.batch_no]
        assert outbox.boot_no == 0
        disk.refuses = False
        await outbox.store(batch("back"), at(130_000))
        assert not is_spilled(outbox)
        rows = await all_rows(outbox)
        check_one_chain(rows)
        assert len(rows) == len(old) + 3
        assert not told(rows)
    async with opened(disk.store, run=disk.run, moment=at(140_000)) as outbox:
        check_one_chain(await all_rows(outbox))


async def test_e24_a_store_that_is_only_read_shows_its_wal_and_stays_as_it_is(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "disk") as outbox:
        for number in range(5):
            await outbox.store(batch(str(number)), at(2_000 + number))
        kept = image(tmp_path / "disk", tmp_path / "kept")  # as a kill leaves it: all in the WAL
    files = {path.name: path.read_bytes() for path in kept.iterdir()}
    assert len(files["outbox.db-wal"]) > 4_096
    for has_wal in (True, False):
        store = await Store.open_to_read(kept / "outbox.db")
        rows = await store.run("SELECT no FROM batch ORDER BY pos")
        assert [no for (no,) in rows] == list(range(6))
        with pytest.raises(OutboxDiskError):
            await store.run("DELETE FROM batch")
        await store.close()
        assert {path.name: path.read_bytes() for path in kept.iterdir()} == files
        if has_wal:
            writing = await Store.open(kept / "outbox.db", 1 << 20)
            await writing.checkpoint()
            await writing.close()
            files = {path.name: path.read_bytes() for path in kept.iterdir()}
    assert "outbox.db-wal" not in files
    with pytest.raises(OutboxDiskError):
        await Store.open_to_read(tmp_path / "nothing")


async def go_round_and_back(disk: Disk, at_point: Callable[[str], None]) -> None:
    async with opened(disk.store, run=disk.run, moment=at(5_000), at_point=at_point) as outbox:
        await outbox.store(batch("while"), at(6_000))
        disk.refuses = False
        await outbox.store(batch("back"), at(130_000))


async def test_e24_a_clean_stop_on_a_disk_that_is_only_read_is_not_believed_after_the_power_was_cut(
    disk: Disk,
) -> None:
    async with opened(disk.store, run=disk.run) as outbox:
        await outbox.store(stop_batch(2_000), at(2_000))
        await outbox.close(at(3_000), clean=True)
    left: set[tuple[bytes, int]] = set()
    for boot_no in (
        2,
        3,
    ):  # the marker stays on the disk, and the run directory goes with the power
        shutil.rmtree(disk.run, ignore_errors=True)
        disk.refuses = True
        async with opened(
            disk.store, run=disk.run, boot_no=boot_no, moment=at(1_000), at_point=disk.at_point
        ) as outbox:
            await outbox.store(batch("while"), at(2_000))
            new = [sound(one) for one in (await all_rows(outbox)).values()][2:]
            places = {(one.header.chain_id, one.header.batch_no) for one in new}
            assert len(places) == 2
            assert not places & left, "no number has two contents"
            left |= places
            assert new[0].body.events[0].data[0] == ChainReason.UNCLEAN_START.value


@pytest.mark.parametrize(
    "point", ["spill:before", "store:committing", "spill:begun", "spill:moved"]
)
async def test_e24_killed_while_it_goes_round_or_back_the_chain_is_one(
    disk: Disk, point: str
) -> None:
    old = await filled(disk)
    kept = disk.run.with_name("kept")

    def at_point(name: str) -> None:
        if name == point and not kept.exists():
            if disk.run.exists():
                shutil.copytree(disk.run, kept)
            else:
                kept.mkdir()
            raise CutError
        disk.at_point(name)

    disk.refuses = True
    with pytest.raises(CutError):
        await go_round_and_back(disk, at_point)
    shutil.rmtree(disk.run)
    shutil.copytree(kept, disk.run)  # the run directory as the kill left it
    for refuses in (disk.refuses, False):
        disk.refuses = refuses
        now = at(200_000 if refuses else 300_000)
        async with opened(disk.store, run=disk.run, moment=now, at_point=disk.at_point) as outbox:
            await outbox.store(batch("after"), at(now.mono_ms + 70_000))
            rows = await all_rows(outbox)
            check_one_chain(rows)
            assert old.items() <= rows.items()
            assert len(outbox.chains()) == 1
            assert is_spilled(outbox) is refuses


async def test_e24_a_process_that_starts_in_the_run_directory_knows_what_waits_on_the_disk(
    disk: Disk,
) -> None:
    old = await filled(disk)
    disk.refuses = True
    for mono_ms in (5_000, 8_000):
        async with opened(
            disk.store, run=disk.run, moment=at(mono_ms), at_point=disk.at_point
        ) as outbox:
            (chain,) = outbox.chains()
            assert chain.oldest == 0, "a hello that said more would be a gap that is none"
            assert [row.batch_no for row in outbox.urgent()] == [4]
            assert old.items() <= (await all_rows(outbox)).items()
    disk.store.rename(disk.store.with_name("gone"))
    async with opened(disk.store, run=disk.run, moment=at(9_000)) as outbox:
        (chain,) = outbox.chains()
        assert chain.oldest == 0, "who cannot look says that nothing is gone"


async def test_e24_a_process_that_starts_in_the_run_directory_still_reads_what_was_set_aside(
    disk: Disk,
) -> None:
    """Damage, then a disk that refuses, then a start: nothing is gone before the file has been read."""
    old = await filled(disk)
    async with opened(disk.store, run=disk.run, moment=at(4_000), at_point=disk.at_point) as outbox:
        await outbox._do(lambda: outbox._writer.set_aside(at(4_500), "told by the test"))
        disk.refuses = True
        await outbox.store(batch("in the run directory"), at(5_000))
        assert is_spilled(outbox)
    async with opened(disk.store, run=disk.run, moment=at(6_000), at_point=disk.at_point) as outbox:
        assert outbox.stats().salvaging
        assert outbox.waits_behind is not None
        assert outbox.chains()[0].oldest == 0, "a hello that said more would be a gap that is none"
        disk.refuses = False
        await outbox.store(batch("disk is back"), at(70_000))
        assert not is_spilled(outbox)
        assert outbox.chains()[0].oldest == 0
        await salvage_all(outbox, 70_000)
        assert old.items() <= (await all_rows(outbox)).items()
        assert not told(await all_rows(outbox))


async def test_e24_what_waits_for_the_word_on_a_disk_that_refuses_is_founded_again_with_the_rest(
    disk: Disk,
) -> None:
    collector = Collector()
    old = await filled(disk)
    kept = image(disk.store, disk.store.with_name("image"))
    async with opened(disk.store, run=disk.run, moment=at(10_000)) as outbox:
        await outbox.store(batch("the card forgets this"), at(10_500))
        await deliver(outbox, collector, at(11_000))
    shutil.rmtree(disk.run)  # the power was cut, and the card shows an older state
    shutil.rmtree(disk.store)
    kept.rename(disk.store)
    async with opened(
        disk.store, run=disk.run, boot_no=2, moment=at(1_000), at_point=disk.at_point
    ) as outbox:
        await outbox.store(batch("on the disk, at home"), at(2_000))
        disk.refuses = True
        await outbox.store(batch("in the run directory, at home"), at(3_000))
        assert is_spilled(outbox)
        await deliver(outbox, collector, at(4_000))
        await deliver(outbox, collector, at(40_000))
        assert await outbox.waiting() == []
        disk.refuses = False
        await outbox.store(batch("back"), at(130_000))
        assert not is_spilled(outbox)
        await deliver(outbox, collector, at(140_000))
        assert await outbox.waiting() == []
    assert collector.findings == []
    assert collector.parked == {}
    texts = [
        str(event.data[0])
        for one in collector.stored.values()
        for event in one.body.events
        if event.kind == EventKind.INPUT
    ]
    assert sorted(texts) == sorted(
        [
            *(f"before {number}" for number in range(5)),
            "the card forgets this",
            "on the disk, at home",
            "in the run directory, at home",
            "back",
        ]
    )
    assert old


async def test_e24_batches_founded_again_without_a_disk_that_cannot_be_read_stay_in_its_file(
    disk: Disk,
) -> None:
    collector = Collector()
    await filled(disk)
    kept = image(disk.store, disk.store.with_name("image"))
    async with opened(disk.store, run=disk.run, moment=at(10_000)) as outbox:
        await outbox.store(batch("the card forgets this"), at(10_500))
        await deliver(outbox, collector, at(11_000))
    shutil.rmtree(disk.run)
    shutil.rmtree(disk.store)
    kept.rename(disk.store)
    async with opened(
        disk.store, run=disk.run, boot_no=2, moment=at(1_000), at_point=disk.at_point
    ) as outbox:
        await outbox.store(batch("on the disk, at home"), at(2_000))
        disk.refuses = True
        await outbox.store(batch("in the run directory"), at(3_000))
        spill = outbox._writer.spill
        assert spill is not None
        assert spill.beside is not None
        await spill.beside.close()
        spill.beside = None  # nor can it be read
        await deliver(outbox, collector, at(4_000))
        await deliver(outbox, collector, at(40_000))
        assert await outbox.waiting() == []
        disk.refuses = False
        await outbox.store(batch("back"), at(130_000))
        assert outbox.stats().aside_files == 1, "nothing is deleted unseen"
        await salvage_all(outbox, 131_000)
        await deliver(outbox, collector, at(140_000))
        assert await outbox.waiting() == []
    assert collector.findings == []


async def test_without_a_run_directory_the_error_is_the_callers(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    async with opened(disk.store, at_point=disk.at_point) as outbox:
        disk.refuses = True
        with pytest.raises(OutboxDiskError):
            await outbox.store(batch("i"), at(2_000))
    (tmp_path / "none").write_bytes(b"")
    with pytest.raises(FileExistsError):
        await Outbox.open(tmp_path / "none", SMALL, ME, boot(1), at(1_000))


@pytest.mark.long
async def test_the_run_directory_is_bounded_and_evicts_like_the_disk(disk: Disk) -> None:
    async with opened(disk.store, run=disk.run, at_point=disk.at_point) as outbox:
        disk.refuses = True
        dear = batch(*LONG_TEXTS, weight=Weight.EVIDENCE)
        with pytest.raises(OutboxFullError):
            await store_for_ever(outbox, dear)
        stats = outbox.stats()
        assert stats.spilled
        assert stats.bytes_used <= stats.bytes_max == 8_388_608
        assert outbox.pressure >= 3


async def store_for_ever(outbox: Outbox, one: OpenBatch) -> None:
    for number in range(2_000):
        await outbox.store(one, at(2_000 + number))


async def test_a_receipt_for_what_lies_on_the_disk_counts_when_it_is_back(disk: Disk) -> None:
    async with opened(disk.store, run=disk.run, at_point=disk.at_point) as outbox:
        for number in range(5):
            await outbox.store(batch(str(number)), at(2_000 + number))
        rows = await all_rows(outbox)
        disk.refuses = True
        await outbox.store(batch("while"), at(3_000))
        outbox.cover(*receipt_for(rows[4]))
        await outbox.flush(at(3_500))
        assert [one.pos for one in await outbox.waiting()] == [5, 6, 7]
        disk.refuses = False
        await outbox.store(batch("back"), at(70_000))
        assert not is_spilled(outbox)
        assert [one.pos for one in await outbox.waiting()] == [5, 6, 7, 8]


async def test_e24_a_disk_that_refuses_to_be_read_is_gone_round_as_one_that_refuses_a_commit(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(disk.store, run=disk.run) as outbox:
        for number in range(5):
            await outbox.store(batch(str(number)), at(2_000 + number))
        rows = await all_rows(outbox)
        run = Store.run
        refusing = outbox._writer.store

        async def refused(
            store: Store, sql: str, *values: int | bytes | str
        ) -> list[tuple[object, ...]]:
            if store is refusing and sql.startswith("SELECT pos, chain, no, weight, envelope"):
                raise OutboxDiskError("disk I/O error, told by the test")
            return await run(store, sql, *values)

        monkeypatch.setattr(Store, "run", refused)
        assert await outbox.read(3, at(3_000)) is None, "not now; and nobody has to die of it"
        assert outbox.spilled
        assert Trouble.ROW_BAD not in {one.trouble for one in outbox.take_news()}
        monkeypatch.setattr(Store, "run", run)
        await outbox.store(batch("meanwhile"), at(3_001))
        await outbox.store(batch("later"), at(100_000))
        assert not is_spilled(outbox)
        after = await all_rows(outbox)
        assert rows.items() <= after.items()
        check_one_chain(after)


async def test_e24_a_disk_that_refuses_when_its_file_was_renamed_gives_all_back_when_it_is_there_again(
    disk: Disk,
) -> None:
    refuses = [True]

    def at_point(name: str) -> None:
        disk.at_point(name)
        if name == "aside:renamed" and refuses:
            refuses.clear()
            raise OutboxDiskError("told by the test")

    async with opened(disk.store, run=disk.run, at_point=at_point) as outbox:
        for number in range(5):
            await outbox.store(batch(str(number), urgent=number == 3), at(2_000 + number))
        rows = await all_rows(outbox)
        await outbox._do(lambda: outbox._writer.set_aside(at(3_000), "told by the test"))
        assert is_spilled(outbox)
        await outbox.store(batch("meanwhile"), at(3_001))
        await outbox.store(batch("later"), at(100_000))
        assert not is_spilled(outbox)
        await salvage_all(outbox, 100_001)
        after = await all_rows(outbox)
        assert rows.items() <= after.items()
        check_one_chain(after)
        assert not told(after)


async def test_a_start_that_fails_in_the_run_directory_too_leaves_no_file_open(
    disk: Disk,
) -> None:
    commits: list[bool] = []

    def at_point(name: str) -> None:
        if name == "store:committing":
            commits.append(disk.spilled)
            if commits != [False, True]:  # the second lays the store in the run directory out
                raise OutboxDiskError("told by the test")

    before = set(threading.enumerate())
    with pytest.raises(OutboxDiskError):
        await Outbox.open(disk.store, SMALL, ME, boot(1), at(1_000), run=disk.run, at=at_point)
    assert commits == [False, True, True]
    for thread in set(threading.enumerate()) - before:
        thread.join(10)  # it says that it is done a moment before it is
        assert not thread.is_alive(), "SQLite's thread would keep the process for ever"
