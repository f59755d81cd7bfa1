"""EDGE section 4, salvage: what can be read of a file that was set aside comes back; what cannot is confessed."""

import contextlib
import sqlite3
from pathlib import Path
from random import Random

import pytest

from agent import Moment, Weight
from agent.outbox import Outbox, Trouble
from agent.outbox.disk import Disk
from agent.outbox.store import DamagedError
from bench.damage import run as run_damage
from tests.agent.facts import at
from tests.agent.outbox_rig import (
    SMALL,
    all_rows,
    batch,
    image,
    missing,
    opened,
    receipt_for,
    sound,
    stop_batch,
    told,
)


async def filled(directory: Path, count: int) -> dict[int, bytes]:
    async with opened(directory) as outbox:
        for number in range(count):
            urgent = number % 7 == 3
            await outbox.store(batch(str(number), urgent=urgent), at(2_000 + number))
        rows = await all_rows(outbox)
        await outbox.close(at(3_000), clean=False)
        return rows


async def salvage_all(outbox: Outbox, mono_ms: int = 5_000) -> int:
    slices = 1
    while await outbox.salvage(at(mono_ms)):
        slices += 1
    return slices


async def set_aside(outbox: Outbox, moment: Moment) -> None:
    await outbox._do(lambda: outbox._writer.set_aside(moment, "told by the test"))


def tear(directory: Path, *, rows_from: float, rows_to: float, rng: Random) -> None:
    """Noise over a part of the leaf pages."""
    path = directory / "outbox.db"
    data = bytearray(path.read_bytes())
    pages = len(data) // 1_024
    for page in range(int(pages * rows_from), int(pages * rows_to)):
        data[page * 1_024 : page * 1_024 + 1_024] = rng.randbytes(1_024)
    path.write_bytes(bytes(data))


async def test_a_file_that_is_sound_but_was_set_aside_gives_everything_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        for number in range(150):
            await outbox.store(batch(str(number), urgent=number == 70), at(2_000 + number))
        before = await all_rows(outbox)
        await outbox._do(lambda: outbox._writer.set_aside(at(3_000), "told by the test"))
        floor = outbox.waits_behind
        assert floor is not None
        assert floor > max(before)
        generation = outbox.generation
        assert await salvage_all(outbox) == 3  # 151 rows, 64 a slice
        assert (outbox.waits_behind, outbox.generation) == (None, generation + 1)
        after = await all_rows(outbox)
        assert {pos: after[pos] for pos in before} == before
        assert not told(after)
        assert [one.pos for one in outbox.urgent()] == [72]
        rows = [(one.chain_id, one.batch_no) for one in await outbox.waiting()]
        assert rows == [
            (sound(e).header.chain_id, sound(e).header.batch_no) for e in after.values()
        ]
        outbox.cover(*receipt_for(before[max(before)]))
        await outbox.flush(at(6_000))
        assert min(one.pos for one in await outbox.waiting()) == floor


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
async def test_e01_e04_rows_that_a_torn_file_still_holds_come_back_at_their_places(
    tmp_path: Path, seed: int
) -> None:
    before = await filled(tmp_path / "whole", 300)
    directory = image(tmp_path / "whole", tmp_path / "torn")
    begin = (0.2, 0.4, 0.6, 0.9)[seed]
    tear(directory, rows_from=begin, rows_to=begin + 0.09, rng=Random(seed))
    async with opened(directory, moment=at(4_000)) as outbox:
        floor = outbox.waits_behind
        assert floor is not None, "quick_check sees it"
        assert floor > 1 << 40
        await outbox.store(batch("while it is read"), at(4_500))
        await salvage_all(outbox)
        after = await all_rows(outbox)
        old = {pos: envelope for pos, envelope in after.items() if pos < floor}
        assert len(old) > 150
        for pos, envelope in old.items():
            assert before[pos] == envelope
        chain = sound(before[1]).header.chain_id
        newest = max(sound(envelope).header.batch_no for envelope in old.values())
        lost = {
            (chain, sound(envelope).header.batch_no)
            for pos, envelope in before.items()
            if pos not in after and sound(envelope).header.batch_no < newest
        }
        assert lost <= told(after)
        assert not {(chain, sound(e).header.batch_no) for e in old.values()} & told(after)
        genesis = sound(after[floor]).body.events[0]
        assert genesis.data == (3, None, None, None, None)
    async with opened(directory, moment=at(9_000)) as outbox:  # told once, and it lasts
        again = await all_rows(outbox)
        assert {pos: again[pos] for pos in after} == after
        assert Trouble.HOLE not in {news.trouble for news in outbox.take_news()}


async def test_a_start_of_the_process_goes_on_with_what_was_being_read(tmp_path: Path) -> None:
    before = await filled(tmp_path, 200)
    tear(tmp_path, rows_from=0.5, rows_to=0.55, rng=Random(3))
    async with opened(tmp_path, moment=at(4_000)) as outbox:
        assert await outbox.salvage(at(4_001))
    async with opened(tmp_path, moment=at(5_000)) as outbox:
        floor = outbox.waits_behind
        assert floor is not None
        assert Trouble.HOLE not in {news.trouble for news in outbox.take_news()}
        await salvage_all(outbox)
        after = await all_rows(outbox)
        old = {pos: envelope for pos, envelope in after.items() if pos < floor}
        assert len(old) > 100
        assert all(before[pos] == envelope for pos, envelope in old.items())


async def test_sixty_seconds_are_enough(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        for number in range(150):
            await outbox.store(batch(str(number)), at(2_000 + number))
        chain = (await outbox.waiting())[0].chain_id
        await outbox._do(lambda: outbox._writer.set_aside(at(3_000), "told by the test"))
        assert await outbox.salvage(at(10_000))
        assert not await outbox.salvage(at(70_000))
        rows = await all_rows(outbox)
        assert {number for named, number in told(rows) if named == chain} == set(range(64, 151))


@pytest.mark.long
async def test_what_was_evicted_and_confessed_before_is_not_confessed_again(tmp_path: Path) -> None:
    tiny = type(SMALL)(bytes_max=262_144, ballast_bytes=0, headroom_bytes=0)
    async with opened(tmp_path, settings=tiny) as outbox:
        for number in range(400):
            texts = (str(number), Random(number).randbytes(300).hex())
            await outbox.store(batch(*texts, weight=Weight.ROUTINE), at(2_000 + number))
        before = await all_rows(outbox)
        assert told(before)
        await outbox._do(lambda: outbox._writer.set_aside(at(3_000), "told by the test"))
        await salvage_all(outbox)
        after = await all_rows(outbox)
        new = {pos: envelope for pos, envelope in after.items() if pos not in before}
        missing = {sound(e).header.batch_no for pos, e in before.items() if pos not in after}
        assert {number for _, number in told(new)} >= missing  # evicted now, for room
        assert all(before[pos] == e for pos, e in after.items() if pos in before)


def test_two_aside_sets_are_kept_in_their_bytes_and_no_number_comes_twice(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    names = []
    for size in (10, 20, 30, 40):
        (tmp_path / "outbox.db").write_bytes(bytes(size))
        names.append(disk.set_aside())
    assert names == [f"outbox.bad-{number}" for number in (1, 2, 3, 4)]
    disk.trim_asides(1_000)
    assert disk.asides() == [3, 4]
    disk.trim_asides(50)
    assert disk.asides() == [4]
    disk.trim_asides(10)
    assert disk.asides() == []
    disk.release()
    disk = Disk(tmp_path)
    (tmp_path / "outbox.db").write_bytes(b"x")
    assert disk.set_aside() == "outbox.bad-5"
    disk.release()


@pytest.mark.long
def test_e01_e04_e22_whatever_is_cut_or_spoilt_the_unit_collects_and_tells_every_loss() -> None:
    """A small share of `plomba bench outbox-damage`, which does 600, 600 and 200."""
    figures = run_damage(truncations=12, sectors=12, twice=12, seed=7, batches=80)
    assert (figures["silent"], figures["wrong"]) == (0, 0)
    for what in ("truncations", "sectors", "twice"):
        tally = figures[what]
        assert isinstance(tally, dict)
        assert tally["cases"] == 12
        assert tally["failed"] == []
        assert tally["lost"] == tally["told"]


class CutError(Exception):
    """The process ends here."""


async def test_a_kill_between_the_renaming_and_the_new_store_costs_nothing(tmp_path: Path) -> None:
    store, run = tmp_path / "disk", tmp_path / "run"

    def cut(name: str) -> None:
        if name == "aside:renamed":
            raise CutError

    async with opened(store, run=run, at_point=cut) as outbox:
        for number in range(20):
            await outbox.store(batch(str(number)), at(2_000 + number))
        old = await all_rows(outbox)
        with pytest.raises(CutError):
            await outbox._do(lambda: outbox._writer.set_aside(at(3_000), "told by the test"))
    async with opened(store, run=run, moment=at(5_000)) as outbox:
        await salvage_all(outbox, 6_000)
        rows = await all_rows(outbox)
        assert old.items() <= rows.items()
        assert not told(rows)
        genesis = sound(rows[max(rows)]).body.events[0].data
        newest = sound(old[max(old)])
        assert genesis[:4] == (3, newest.header.chain_id, newest.header.batch_no, newest.head)


@pytest.mark.parametrize("count", range(18, 22))  # the first batch needs a new page in some
async def test_a_file_that_fails_at_the_first_batches_of_a_process_has_a_head_that_is_known(
    tmp_path: Path, count: int
) -> None:
    store, run = tmp_path / "disk", tmp_path / "run"
    async with opened(store, run=run) as outbox:
        for number in range(count):
            await outbox.store(batch(str(number)), at(2_000 + number))
        old = await all_rows(outbox)
        await outbox.store(stop_batch(3_000), at(3_000))
        await outbox.close(at(3_100), clean=True)
    with (store / "outbox.db").open(
        "r+b"
    ) as file:  # it lies about free pages: nothing can be added
        file.seek(36)
        file.write(b"\x7f\xff\xff\xf0")
    async with opened(store, run=run, moment=at(5_000)) as outbox:
        for number in range(3):
            await outbox.store(batch(f"after {number}"), at(5_100 + number))
        assert Trouble.DAMAGED in {news.trouble for news in outbox.take_news()}
        await salvage_all(outbox, 6_000)
        rows = await all_rows(outbox)
        assert old.items() <= rows.items()
        assert not told(rows)
        founded = [one for one in map(sound, rows.values()) if one.header.batch_no == 0][-1]
        assert founded.body.events[0].data[1] is not None, (
            "no ChainBreak that two people must close"
        )


@pytest.mark.parametrize("at_a_start", [False, True])
async def test_a_hello_says_of_nothing_that_may_still_be_salvaged_that_it_is_gone(
    tmp_path: Path, *, at_a_start: bool
) -> None:
    store, run = tmp_path / "disk", tmp_path / "run"
    async with opened(store, run=run) as outbox:
        for number in range(20):
            await outbox.store(batch(str(number)), at(2_000 + number))
        rows = await all_rows(outbox)
        outbox.cover(*receipt_for(rows[10]))
        await outbox.flush(at(2_900))
        if not at_a_start:
            await outbox._do(lambda: outbox._writer.set_aside(at(3_000), "told by the test"))
            assert outbox.chains()[0].oldest == 0
            await salvage_all(outbox)
            assert outbox.chains()[0].oldest == 0
    if at_a_start:
        with (store / "outbox.db").open("r+b") as file:
            file.seek(36)
            file.write(b"\x7f\xff\xff\xf0")
        async with opened(store, run=run, moment=at(5_000)) as outbox:
            assert outbox.stats().salvaging
            assert outbox.chains()[0].oldest == 0
            await salvage_all(outbox, 6_000)
            assert outbox.chains()[0].oldest == 0


async def test_what_a_start_knows_of_the_seals_is_also_in_a_file_of_which_a_slice_was_read(
    tmp_path: Path,
) -> None:
    """Whoever reads a file has it alone: a start that asked behind the first slice heard nothing of it, and stored a frame twice."""
    async with opened(tmp_path) as outbox:
        for number in range(150):
            await outbox.store(batch(str(number)), at(2_000 + number))
        before = await all_rows(outbox)
        await set_aside(outbox, at(3_000))
        await outbox.store(batch("behind"), at(3_100))
        for _ in range(2):
            assert await outbox.salvage(at(3_200))
            assert set(list(before.values())[-60:]) <= set(await outbox.newest())
        assert await outbox.salvage(at(3_300)) is False
        assert (await all_rows(outbox)).items() >= before.items()


async def test_what_a_start_knows_of_the_seals_is_also_in_files_that_are_not_read_back_yet(
    tmp_path: Path,
) -> None:
    said: list[dict[int, bytes]] = []
    for life in range(3):  # two of them end with a file set aside
        async with opened(tmp_path, moment=at(10_000 * life + 1_000)) as outbox:
            moment = at(10_000 * life + 2_000)
            for number in range(40):
                await outbox.store(batch(f"{life} {number}"), moment)
            said.append(await all_rows(outbox))
            newest = await outbox.newest()
            for rows in said:
                assert set(list(rows.values())[-40:]) <= set(newest)
            assert newest[-1] == said[-1][max(said[-1])], "the oldest first"
            if life < 2:
                await set_aside(outbox, moment)


# A second damage, and what a receipt covers


@pytest.mark.parametrize("slices", [0, 1, 2])
async def test_a_second_damage_does_not_end_the_reading_of_the_first_file(
    tmp_path: Path, slices: int
) -> None:
    async with opened(tmp_path) as outbox:
        for number in range(150):
            await outbox.store(batch(str(number), urgent=number == 140), at(2_000 + number))
        before = await all_rows(outbox)
        await outbox._do(lambda: outbox._writer.set_aside(at(3_000), "told by the test"))
        floor = outbox.waits_behind
        for _ in range(slices):
            assert await outbox.salvage(at(3_100))
        between = await outbox.store(batch("between the two"), at(3_200))
        await outbox._do(lambda: outbox._writer.set_aside(at(3_300), "and again"))
        assert outbox.waits_behind == floor, "what was sealed behind the first waits for both"
        await outbox.store(batch("after the second"), at(3_400))
        await salvage_all(outbox, 4_000)
        assert outbox.waits_behind is None
        after = await all_rows(outbox)
        assert before.items() <= after.items()
        assert between.pos in after
        assert not told(after)
        assert [one.pos for one in outbox.urgent()] == [142]
        order = [(one.chain_id, one.batch_no) for one in await outbox.waiting()]
        assert len(order) == len(set(order)) == len(after)


def spoil(directory: Path, *, lost: str) -> None:
    """Rows are gone, and the newest one is no more what was signed: the next start sets the file aside."""
    with contextlib.closing(sqlite3.connect(directory / "outbox.db")) as base, base:
        base.execute(f"DELETE FROM batch WHERE {lost}")  # words of this file
        base.execute(
            "UPDATE batch SET envelope = zeroblob(length(envelope)) WHERE pos = (SELECT max(pos) FROM batch)"
        )


async def test_a_chain_that_comes_back_without_its_beginning_settles_no_other(
    tmp_path: Path,
) -> None:
    before = await filled(tmp_path, 40)
    spoil(tmp_path, lost="no IN (10, 11)")
    async with opened(tmp_path) as outbox:
        for number in range(3):
            await outbox.store(batch(f"between {number}"), at(2_000 + number))
        assert await outbox.salvage(at(2_100))
    spoil(tmp_path, lost="no = 0 AND pos = (SELECT min(pos) FROM batch WHERE pos > 1000)")
    async with opened(tmp_path) as outbox:
        await outbox.store(batch("after both"), at(3_000))
        await salvage_all(outbox)
        after = await all_rows(outbox)
    first = sound(before[1]).header.chain_id
    held = {sound(envelope).header.chain_id for envelope in after.values()}
    assert len(held) == 3, "the chain between came back too"
    assert {(first, 10), (first, 11)} <= told(after)
    assert missing({pos: e for pos, e in after.items() if pos in before}) <= told(after)


async def test_of_three_files_the_oldest_is_given_up_and_what_it_held_alone_is_confessed(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as outbox:
        for number in range(10):
            await outbox.store(batch(str(number)), at(2_000 + number))
        before = await all_rows(outbox)
        for number in range(3):
            await outbox._do(lambda: outbox._writer.set_aside(at(3_000), "told by the test"))
            await outbox.store(batch(f"behind {number}"), at(3_100 + number))
        details = [one.detail for one in outbox.take_news() if one.trouble is Trouble.SALVAGED]
        assert details == ["given up: of three files the oldest"]
        await salvage_all(outbox, 4_000)
        after = await all_rows(outbox)
        lost = {pos for pos in before if pos not in after}
        assert {
            (sound(before[pos]).header.chain_id, sound(before[pos]).header.batch_no) for pos in lost
        } <= told(after)
        assert len(lost) == len(before)


async def test_a_slice_that_meets_the_second_damage_itself_forgets_neither_file(
    tmp_path: Path,
) -> None:
    met: list[str] = []

    def spoil(name: str) -> None:
        if name == "salvage:slice":
            met.append(name)
            if len(met) == 2:
                raise DamagedError("met by the second slice")

    async with opened(tmp_path, at_point=spoil) as outbox:
        for number in range(150):
            await outbox.store(batch(str(number)), at(2_000 + number))
        before = await all_rows(outbox)
        await outbox._do(lambda: outbox._writer.set_aside(at(3_000), "told by the test"))
        await salvage_all(outbox, 4_000)
        assert outbox.stats().aside_files == 2
        after = await all_rows(outbox)
        assert before.items() <= after.items()
        assert not told(after)


@pytest.mark.parametrize("readable", [True, False])
async def test_a_start_that_finds_the_second_file_damaged_goes_on_with_the_first_if_it_is_told_of_it(
    tmp_path: Path, *, readable: bool
) -> None:
    before = await filled(tmp_path, 150)
    spoil_free_pages(tmp_path)
    async with opened(tmp_path, moment=at(4_000)) as outbox:
        assert await outbox.salvage(at(4_001))
        floor = outbox.waits_behind
    if readable:
        spoil_free_pages(tmp_path)
    else:
        (tmp_path / "outbox.db").write_bytes(b"nothing of ours" * 100)
    async with opened(tmp_path, moment=at(5_000)) as outbox:
        assert outbox.stats().salvaging
        assert (outbox.waits_behind == floor) is readable
        await outbox.store(batch("it goes on"), at(5_100))
        await salvage_all(outbox, 6_000)
        after = await all_rows(outbox)
        if readable:
            assert before.items() <= after.items()
        assert outbox.waits_behind is None
        assert outbox.stats().aside_files == 2, "what nobody told of is still there, to be exported"


async def test_what_a_receipt_covered_comes_back_as_spare_for_a_collector_that_was_restored(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as outbox:
        for number in range(100):
            await outbox.store(batch(str(number), urgent=number == 5), at(2_000 + number))
        rows = await all_rows(outbox)
        outbox.cover(*receipt_for(rows[60]))
        await outbox.flush(at(2_900))
        chain, spare_bytes = sound(rows[1]).header.chain_id, outbox.stats().spare_bytes
        assert spare_bytes == sum(len(rows[pos]) for pos in range(1, 61))
        await outbox._do(lambda: outbox._writer.set_aside(at(3_000), "told by the test"))
        assert await outbox.find(chain, 3) is None
        await salvage_all(outbox)
        pos = await outbox.find(chain, 3)
        assert pos == 4
        assert await outbox.read(pos, at(5_500)) == rows[4]
        waiting = [one.batch_no for one in await outbox.waiting() if one.chain_id == chain]
        assert waiting == list(range(60, 101)), "nothing that is covered is sent of itself"
        assert outbox.urgent() == []
        assert not told(await all_rows(outbox))
        assert outbox.stats().spare_bytes == spare_bytes


async def test_nothing_makes_room_for_spare(tmp_path: Path) -> None:
    tiny = type(SMALL)(bytes_max=262_144, ballast_bytes=0, headroom_bytes=0, spare_bytes=200_000)
    texts = [Random(number).randbytes(300).hex() for number in range(400)]
    async with opened(tmp_path, settings=tiny) as outbox:
        for number in range(100):
            await outbox.store(batch(texts[number], weight=Weight.ROUTINE), at(2_000 + number))
        rows = await all_rows(outbox)
        outbox.cover(*receipt_for(rows[max(rows)]))
        await outbox.flush(at(2_900))
        await outbox._do(lambda: outbox._writer.set_aside(at(3_000), "told by the test"))
        fill = 0
        while outbox.pressure < 1:
            waits = batch(texts[100 + fill], weight=Weight.ROUTINE)
            await outbox.store(waits, at(3_001 + fill))
            fill += 1
        assert outbox.stats().evicted_ever == 0
        waiting = await all_rows(outbox)
        await salvage_all(outbox)
        assert outbox.stats().evicted_ever == 0
        assert waiting.items() <= (await all_rows(outbox)).items()
        assert 0 < outbox.stats().spare_bytes < sum(map(len, rows.values())), (
            "some, as long as it fits"
        )


def spoil_free_pages(directory: Path) -> None:
    """The file lies about its free pages: quick_check sees it, and every row can still be read."""
    with (directory / "outbox.db").open("r+b") as file:
        file.seek(36)
        file.write(b"\x7f\xff\xff\xf0")
