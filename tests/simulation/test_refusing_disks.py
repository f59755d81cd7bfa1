"""EDGE row 24: a disk that refuses while the unit runs, when it starts, and for how long it likes; processes die, the power fails.

Real outbox, line, uplink and collector cores. Law: one number never has two contents, the collector sees no Fork, no ChainBreak and no
gap that is none, and what was committed comes, once, unless the power took the run directory with it.
"""

import asyncio
import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from agent import Kept, Weight
from agent.outbox import OutboxDiskError, OutboxSettings
from agent.sealer import Closing, OpenBatch
from tests.agent.outbox_rig import sound
from tests.simulation.unit import Unit, World, running
from wire.records import EventKind, EventRecord

SMALL = OutboxSettings(ballast_bytes=0, headroom_bytes=0)


class Disk:
    """Lets itself be read; takes no write while `refuses`."""

    def __init__(self, root: Path) -> None:
        self.store = root / "disk"
        self.run = root / "run"
        self.refuses = False
        self.starts_refused = 0

    @property
    def spilled(self) -> bool:
        return (self.run / "spill" / "outbox.db").exists()

    def at_point(self, name: str) -> None:
        if not self.refuses:
            return
        if name == "start:checked":
            self.starts_refused += 1
            raise OutboxDiskError("read-only, told by the voyage")
        if (name == "store:committing" and not self.spilled) or name == "spill:moving":
            raise OutboxDiskError("disk I/O error, told by the voyage")


class Voyage:
    def __init__(self, root: Path, seed: int) -> None:
        self.world = World(seed)
        self.disk = Disk(root)
        self.boot_no = 1
        self.boot_ms = 0
        self.said = 0
        self.safe: set[str] = set()  # on the disk
        self.floating: set[str] = set()  # in the run directory alone
        self.lost_batches = False  # the power took the run directory, with what it alone held
        self.world.on_left = self.note

    def note(self, envelope: bytes) -> None:
        """A number is never said with two contents, by whatever start."""
        one = sound(envelope)
        place = (one.header.chain_id, one.header.batch_no)
        assert self.world.left.setdefault(place, envelope) == envelope, "two contents"

    async def sail(self, legs: int) -> None:
        for _ in range(legs):
            await self.leg()
        self.disk.refuses = False
        async with self.process() as unit:
            await unit.until(self.world.now + 400_000)
            await self.store(unit, "last", urgent=True)
            await unit.until(self.world.now + 900_000)
            assert not unit.outbox.spilled
            assert await unit.outbox.waiting() == []
        self.check()

    def process(self) -> AbstractAsyncContextManager[Unit]:
        disk = self.disk
        return running(
            self.world,
            disk.store,
            self.boot_no,
            self.boot_ms,
            SMALL,
            run=disk.run,
            at_point=disk.at_point,
        )

    async def leg(self) -> None:
        world, rng, disk = self.world, self.world.rng, self.disk
        disk.refuses = self.boot_no > 1 and rng.random() < 0.5
        async with self.process() as unit:
            for _ in range(rng.randrange(1, 6)):
                if rng.random() < 0.3:
                    disk.refuses = not disk.refuses
                await self.watch(unit)
            if rng.random() < 0.4:
                await self.close(unit)
        self.boot_no += 1 if self.boot_no == 1 else 0
        world.now += rng.choice((500, 20_000, 300_000))
        if rng.random() < 0.5:  # the process alone
            return
        self.lost_batches = self.lost_batches or disk.spilled
        shutil.rmtree(disk.run)
        self.floating.clear()
        self.boot_no += 1
        self.boot_ms = world.now - 500

    async def watch(self, unit: Unit) -> None:
        """Some time with one kind of weather, then some batches."""
        world, rng = self.world, self.world.rng
        unit.link.up = rng.random() < 0.75
        if not unit.link.up:
            unit.link.fall()
        unit.link.loss, unit.link.repeat = rng.choice(((0, 0), (0, 0.3), (0.3, 0.3)))
        await unit.until(world.now + rng.choice((50, 900, 4_000, 20_000, 45_000, 200_000)))
        for _ in range(rng.randrange(4)):
            self.said += 1
            await self.store(unit, f"word {self.said}", urgent=rng.random() < 0.2)

    async def store(self, unit: Unit, text: str, *, urgent: bool) -> None:
        moment = unit.moment()
        record = EventRecord(
            kind=EventKind.INPUT, t_ms=moment.utc_ms, mono_ms=moment.mono_ms, data=(text, 1)
        )
        kept = Kept(record=record, urgent=urgent, weight=Weight.EVENT)
        await unit.store(OpenBatch(kept=(kept,), sealed=moment, closing=Closing.AGE))
        self.floating.add(text)
        if not unit.outbox.spilled:
            self.safe |= self.floating
            self.floating.clear()

    async def close(self, unit: Unit) -> None:
        moment = unit.moment()
        record = EventRecord(
            kind=EventKind.STOP, t_ms=moment.utc_ms, mono_ms=moment.mono_ms, data=(4,)
        )
        await unit.store(
            OpenBatch(kept=(Kept(record=record),), sealed=moment, closing=Closing.STOP)
        )
        await unit.outbox.close(unit.moment(), clean=True)

    def check(self) -> None:
        centre = self.world.centre
        assert not [one for one in centre.oddities if "Fork" in one or "ChainBreak" in one]
        assert not [hole for hole in centre.holes if hole.why == "ChainBreak"]
        assert self.lost_batches or not centre.holes
        missing = centre.chains.missing()
        if missing is not None:  # a hello had spoken of what the power took
            assert self.lost_batches
            numbers = range(missing.first_no, missing.last_no + 1)
            assert not any((missing.chain_id, one) in centre.stored for one in numbers)
        texts = [
            str(event.data[0])
            for envelope in centre.stored.values()
            for event in sound(envelope).body.events
            if event.kind == EventKind.INPUT
        ]
        if (
            not self.lost_batches
        ):  # a disk that took no write does not know what was founded again without it
            assert len(set(texts)) == len(texts), "nothing is counted twice"
        assert self.safe <= set(texts), "nothing that the disk had is lost"


@pytest.mark.parametrize("seed", range(8))
def test_e24_a_disk_that_refuses_now_and_then_makes_no_fork_and_loses_nothing(
    tmp_path: Path, seed: int
) -> None:
    asyncio.run(Voyage(tmp_path, seed).sail(7))
