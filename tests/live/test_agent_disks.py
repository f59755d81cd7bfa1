"""Real disks that are small, full, read-only and without inodes: 24 MiB of ext4 on a loop device (EDGE section 11, rows 5, 21, 24).

The store opens and closes as in the agent; root and loop devices are needed, and a skip says which is missing.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from agent import Weight
from agent.outbox import Outbox, OutboxFullError, OutboxSettings, Trouble
from tests.agent.facts import at
from tests.agent.outbox_rig import all_rows, batch, image, opened
from tests.agent.test_outbox import check_every_hole_is_confessed
from tests.agent.test_outbox_spill import check_one_chain

pytestmark = pytest.mark.live

IMAGE_BYTES = 24 << 20
SETTINGS = OutboxSettings(
    bytes_max=8 << 20, headroom_bytes=2 << 20, spare_bytes=1 << 20, ballast_bytes=1 << 20
)
WAL_BYTES_MAX = 2 << 20
FS_IOC_SHUTDOWN = 0x8004_587D  # linux/fs.h; the ioctl of ext4 and XFS for tests like these


class LoopDisk:
    """An ext4 file system in a file."""

    def __init__(self, root: Path, *, inodes: int | None = None) -> None:
        self.image, self.folder = root / "image", root / "mnt"
        self.run = root / "run"
        self.store = self.folder / "outbox"
        with self.image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        more = [] if inodes is None else ["-N", str(inodes)]
        _do("mkfs.ext4", "-q", "-F", "-m", "0", *more, str(self.image))
        self.folder.mkdir()
        self.mount()

    def mount(self) -> None:
        _do("mount", "-o", "loop", str(self.image), str(self.folder))

    def freeze(self) -> None:
        """As the kernel does after an error: read-only under files that are open for writing."""
        _do("mount", "-o", "remount,abort", str(self.folder))

    def vanish(self) -> None:
        """As a card that is pulled: nothing is written, and nothing is read, cached or not."""
        mount = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(mount, FS_IOC_SHUTDOWN, (2).to_bytes(4, sys.byteorder))  # and no journal
        finally:
            os.close(mount)

    def remount(self, how: str) -> None:
        """`ro` or `rw`, while nobody has a file of it open for writing."""
        _do("mount", "-o", f"remount,{how}", str(self.folder))

    def replace(self) -> None:
        """The card is looked over and put in again."""
        self.unmount()
        copy = self.image.with_name(
            "image.copy"
        )  # the kernel keeps the old one as long as a file in it is open
        shutil.copyfile(self.image, copy)
        self.image = copy
        subprocess.run(["e2fsck", "-fy", str(self.image)], check=False, capture_output=True)
        self.mount()

    def fill(self) -> None:
        """To the last byte."""
        with (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (1 << 20, 4_096, 512, 1):
                while _write(file.fileno(), size):
                    pass

    def give_back(self) -> None:
        (self.folder / "filler").unlink()

    def free_bytes(self) -> int:
        stat = os.statvfs(self.folder)
        return stat.f_bavail * stat.f_frsize

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)


def _write(fd: int, size: int) -> bool:
    try:
        return os.write(fd, bytes(size)) == size
    except OSError:
        return False


def _do(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{command[0]}: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LoopDisk]:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    missing = [
        name for name in ("mkfs.ext4", "e2fsck", "mount", "umount") if shutil.which(name) is None
    ]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    try:
        one = LoopDisk(tmp_path, inodes=getattr(request, "param", None))
    except OSError as error:
        pytest.skip(f"the kernel gives no loop device: {error}")
    yield one
    one.unmount()


async def store_some(
    outbox: Outbox, count: int, *, mono_ms: int, weight: Weight = Weight.ROUTINE
) -> None:
    rng = Random(mono_ms)
    for number in range(count):
        text = rng.randbytes(150).hex()
        await outbox.store(batch(text, weight=weight), at(mono_ms + number))


async def test_e21_a_disk_at_zero_bytes_is_survived_in_flow_and_at_the_start(
    disk: LoopDisk,
) -> None:
    async with opened(disk.store, settings=SETTINGS, run=disk.run) as outbox:
        await outbox.lay_in()
        await store_some(outbox, 400, mono_ms=2_000)
        assert outbox.stats().ballast
        disk.fill()
        assert disk.free_bytes() == 0
        await store_some(outbox, 400, mono_ms=10_000)
        await outbox.store(batch("alarm", weight=Weight.EVIDENCE, urgent=True), at(20_000))
        stats = outbox.stats()
        assert stats.evicted_ever > 0
        assert not stats.spilled
        check_every_hole_is_confessed(await all_rows(outbox))
        await outbox.close(at(21_000), clean=False)
    disk.fill()  # what the ballast and the WAL have given back: now there is nothing more to give up
    assert disk.free_bytes() == 0
    began = time.perf_counter()
    async with opened(disk.store, settings=SETTINGS, run=disk.run, moment=at(30_000)) as outbox:
        await outbox.store(batch("after"), at(30_001))
        assert time.perf_counter() - began < 5
        assert outbox.stats().spilled
        rows = await all_rows(outbox)
        assert len(outbox.chains()) == 1
        assert [one.weight for one in outbox.urgent()].count(Weight.EVIDENCE) >= 1
        check_every_hole_is_confessed(rows)
        disk.give_back()
        await store_some(outbox, 10, mono_ms=100_000)
        assert not outbox.stats().spilled
        check_every_hole_is_confessed(await all_rows(outbox))
    async with opened(disk.store, settings=SETTINGS, run=disk.run, moment=at(200_000)) as outbox:
        await outbox.lay_in()
        assert outbox.stats().ballast, "it returns when there is room"
        assert not outbox.spilled


async def test_e05_e21_a_small_disk_without_a_link_keeps_events_longer_than_positions(
    disk: LoopDisk,
) -> None:
    tiny = OutboxSettings(bytes_max=1 << 20, headroom_bytes=0, ballast_bytes=0)
    async with opened(disk.store, settings=tiny, run=disk.run) as outbox:
        events = []
        for number in range(40):
            await store_some(outbox, 60, mono_ms=10_000 * number)
            text = Random(number).randbytes(150).hex()
            one = await outbox.store(batch(text, weight=Weight.EVENT), at(10_000 * number + 5_000))
            events.append(one.pos)
            wal = disk.store / "outbox.db-wal"
            assert wal.stat().st_size <= WAL_BYTES_MAX
        rows = await all_rows(outbox)
        assert all(pos in rows for pos in events)
        assert outbox.stats().evicted_ever > 0
        check_every_hole_is_confessed(rows)


async def test_e24_a_disk_that_turns_read_only_under_us_is_gone_round_and_comes_back(
    disk: LoopDisk,
) -> None:
    async with opened(disk.store, settings=SETTINGS, run=disk.run) as outbox:
        await store_some(outbox, 50, mono_ms=2_000)
        disk.freeze()
        await store_some(outbox, 20, mono_ms=10_000, weight=Weight.EVIDENCE)
        assert outbox.stats().spilled
        assert Trouble.SPILL in {news.trouble for news in outbox.take_news()}
        check_one_chain(await all_rows(outbox))
        await store_some(outbox, 1, mono_ms=80_000)
        assert outbox.stats().spilled
    async with opened(
        disk.store, settings=SETTINGS, run=disk.run, moment=at(90_000)
    ) as outbox:  # the process alone
        assert outbox.stats().spilled
        disk.replace()
        await store_some(outbox, 1, mono_ms=200_000)
        assert not outbox.stats().spilled, outbox.take_news()
        rows = await all_rows(outbox)
        check_one_chain(rows)
        assert len(rows) == 1 + 50 + 20 + 1 + 1 + 1


async def test_e24_a_card_that_is_pulled_under_us_is_gone_round_though_reading_it_looks_like_damage(
    disk: LoopDisk,
) -> None:
    async with opened(disk.store, settings=SETTINGS, run=disk.run) as outbox:
        await store_some(outbox, 200, mono_ms=2_000)
        await outbox._writer.store.run("PRAGMA shrink_memory")  # nothing is in SQLite's cache
        disk.vanish()
        assert await outbox.waiting(count_max=10_000) == []
        await store_some(outbox, 20, mono_ms=10_000, weight=Weight.EVIDENCE)
        assert outbox.spilled
        disk.replace()
        await store_some(outbox, 1, mono_ms=200_000)
        assert not outbox.stats().spilled, outbox.take_news()
        rows = await all_rows(outbox)
        check_one_chain(rows)
        assert len(rows) == 1 + 200 + 20 + 1
        assert not outbox.stats().aside_files


async def test_e21_a_new_unit_that_is_killed_in_its_first_second_and_meets_a_full_disk_collects(
    disk: LoopDisk,
) -> None:
    kept: list[Path] = []

    def at_point(name: str) -> None:
        if name in {"start:opened", "store:begin", "store:committed"}:
            kept.append(image(disk.store, disk.run.with_name(f"kept{len(kept)}")))

    async with opened(disk.store, settings=SETTINGS, run=disk.run, at_point=at_point):
        assert len(kept) == 3
    for left in kept:  # no ballast, no WAL of full length, perhaps no batch
        shutil.rmtree(disk.store)
        shutil.copytree(left, disk.store)
        shutil.rmtree(disk.run)
        disk.fill()
        for mono_ms in (30_000, 40_000):  # and it is killed once more
            async with opened(
                disk.store, settings=SETTINGS, run=disk.run, moment=at(mono_ms)
            ) as outbox:
                await outbox.store(batch("after", weight=Weight.EVIDENCE), at(mono_ms + 1))
                assert outbox.stats().spilled
        disk.give_back()
        async with opened(disk.store, settings=SETTINGS, run=disk.run, moment=at(50_000)) as outbox:
            await outbox.store(batch("home"), at(60_000))
            assert not outbox.stats().spilled
            check_one_chain(await all_rows(outbox))
            assert [chain.oldest for chain in outbox.chains()] == [0]


async def test_e24_a_start_on_a_read_only_disk_goes_on_with_its_chain_over_kills_and_comes_home(
    disk: LoopDisk,
) -> None:
    async with opened(disk.store, settings=SETTINGS, run=disk.run) as outbox:
        await store_some(outbox, 50, mono_ms=2_000)
        kept = image(disk.store, disk.run.with_name("kept"))
    shutil.rmtree(disk.store)
    shutil.copytree(kept, disk.store)  # as a kill has left it: the newest rows are in the WAL
    disk.remount("ro")
    count = 51
    for mono_ms in (10_000, 20_000, 30_000):  # the process dies, and the disk stays as it is
        async with opened(
            disk.store, settings=SETTINGS, run=disk.run, moment=at(mono_ms)
        ) as outbox:
            assert outbox.spilled
            await store_some(outbox, 5, mono_ms=mono_ms + 2_000, weight=Weight.EVIDENCE)
            count += 6
            rows = await all_rows(outbox)
            check_one_chain(rows)
            assert len(rows) == count
            assert [chain.oldest for chain in outbox.chains()] == [0]
    disk.remount("rw")
    async with opened(disk.store, settings=SETTINGS, run=disk.run, moment=at(100_000)) as outbox:
        await store_some(outbox, 1, mono_ms=102_000)
        assert not outbox.spilled, outbox.take_news()
        rows = await all_rows(outbox)
        check_one_chain(rows)
        assert len(rows) == count + 2
    assert not (disk.run / "spill" / "outbox.db").exists()


@pytest.mark.parametrize("disk", [64], indirect=True)
async def test_e05_without_inodes_no_new_file_is_made_and_what_was_set_aside_goes(
    disk: LoopDisk,
) -> None:
    async with opened(disk.store, settings=SETTINGS, run=disk.run) as outbox:
        await store_some(outbox, 50, mono_ms=2_000)
        await outbox.lay_in()
        assert not outbox.stats().ballast  # under 100 inodes: a file could be one too many
    for number in range(1_000):
        try:
            (disk.folder / f"filler{number}").touch()
        except OSError:
            break
    async with opened(disk.store, settings=SETTINGS, run=disk.run, moment=at(50_000)) as outbox:
        await store_some(outbox, 5, mono_ms=60_000)
        check_one_chain(await all_rows(outbox))


async def test_only_evidence_on_a_full_disk_is_refused_and_a_receipt_would_help(
    disk: LoopDisk,
) -> None:
    tiny = OutboxSettings(bytes_max=512 << 10, headroom_bytes=0, ballast_bytes=0)
    async with opened(disk.store, settings=tiny, run=disk.run) as outbox:
        with pytest.raises(OutboxFullError):
            await store_some(outbox, 4_000, mono_ms=2_000, weight=Weight.EVIDENCE)
        assert not outbox.stats().spilled  # full is not gone
        assert outbox.pressure == 3
