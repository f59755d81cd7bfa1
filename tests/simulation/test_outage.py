"""EDGE rows 5, 6 and 33: three days without a link on a small disk, then the way back.

Real recorder, sealer, outbox, line, uplink and collector cores on simulated time; only the link and the hardware are not real.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent import Kept, Weight
from agent.outbox import OutboxSettings
from agent.recorder.core import Recorder
from agent.recorder.facts import AnyFact
from agent.recorder.settings import RecorderSettings
from agent.sealer import OpenBatch, Sealer, SealerSettings
from tests.agent.facts import fix_at, report
from tests.agent.outbox_rig import sound
from tests.simulation.unit import Unit, World, running
from wire.records import EventKind
from wire.topics import Up

HOUR_MS = 3_600_000
FIX_EVERY_MS = 20_000
SEAL_EVERY_MS = 1_200_000


@dataclass
class Truck:
    """Facts in, batches stored, as the way of a fact does it."""

    unit: Unit
    recorder: Recorder = field(default_factory=lambda: Recorder(RecorderSettings()))
    sealer: Sealer = field(default_factory=lambda: Sealer(SealerSettings()))
    stored: dict[int, Weight] = field(default_factory=dict)  # by place
    pressures: list[int] = field(default_factory=list)

    async def take(self, fact: AnyFact, source: str) -> None:
        moment = self.unit.moment()
        await self.wake()
        await self.add(self.recorder.take(fact, moment, source))

    async def wake(self) -> None:
        moment = self.unit.moment()
        self.pressures.append(self.unit.outbox.pressure)
        self.recorder.pressure(self.pressures[-1])
        await self.add(self.recorder.wake(moment))
        batch = self.sealer.wake(moment)
        if batch is not None:
            await self.store(batch)

    async def add(self, kept: list[Kept]) -> None:
        self.sealer.state(sealed=True, moving=bool(self.recorder.moving))
        for batch in self.sealer.add(kept, self.unit.moment(), ack_waits=False):
            await self.store(batch)

    async def store(self, batch: OpenBatch) -> None:
        one = await self.unit.outbox.store(batch, self.unit.moment())
        self.stored[one.pos] = one.weight
        self.unit.line.stored(one)

    async def drive(self, hours: int) -> None:
        world = self.unit.world
        end_ms = world.now + hours * HOUR_MS
        step = 0
        while world.now < end_ms:
            world.now += FIX_EVERY_MS
            step += 1
            mono_ms = self.unit.moment().mono_ms
            east_m = 15.0 * step * FIX_EVERY_MS / 1000
            fix = fix_at(
                mono_ms, north_m=step % 7, east_m=east_m, speed_cm_s=1_500, course_cdeg=9_000
            )
            await self.take(fix, "gps")
            if step % (SEAL_EVERY_MS // FIX_EVERY_MS) == 0:
                toggled = bool(step // (SEAL_EVERY_MS // FIX_EVERY_MS) % 2)
                await self.take(report(rope_cut=toggled, serial=step), "seal")
            await self.unit.settle()


async def outage(root: Path, hours: int, bytes_max: int) -> None:
    world = World(72)
    settings = OutboxSettings(
        bytes_max=bytes_max, headroom_bytes=0, ballast_bytes=0, spare_bytes=bytes_max // 16
    )
    async with running(world, root / "store", 1, 0, settings) as unit:
        truck = Truck(unit)
        truck.recorder.armed({"0074019031"})
        await unit.until(world.now + 5_000)
        unit.link.up = False
        unit.link.fall()
        await truck.drive(hours)
        check_evictions(truck)
        await come_back(truck)


def check_evictions(truck: Truck) -> None:
    """Cheapest first, oldest first; evidence never."""
    stats = truck.unit.outbox.stats()
    assert stats.bytes_used <= stats.bytes_max
    assert stats.evicted_ever > 5
    steps = sorted(set(truck.pressures))
    assert steps == list(range(len(steps)))  # one after the other: it is met before it is full
    assert max(steps) in {2, 3}


async def come_back(truck: Truck) -> None:
    unit, world = truck.unit, truck.unit.world
    kept = {one.pos: one for one in await unit.outbox.waiting(count_max=1 << 20)}
    lost = [pos for pos in truck.stored if pos not in kept and pos > 2]
    assert lost
    assert not [pos for pos in lost if truck.stored[pos] is Weight.EVIDENCE]
    events = [pos for pos in lost if truck.stored[pos] is Weight.EVENT]
    routine = [pos for pos, one in kept.items() if one.weight is Weight.ROUTINE]
    assert not events or len(routine) < 80, "events go only when hardly a position is left"
    by_age = [pos for pos in truck.stored if truck.stored[pos] is Weight.ROUTINE]
    assert lost[0] == by_age[0] or lost[0] in by_age[:70]
    assert (
        max(p for p in lost if p in by_age)
        < min([p for p in by_age if p in kept], default=1 << 40) + 200
    )

    unit.link.up = True
    before = len(unit.link.sent)
    await unit.until(world.now + 60_000)  # the rung that it stood on
    while not unit.flows:
        await unit.until(world.now + 60_000)
    await truck.take(report(rope_cut=True, rope_in=False, serial=77_777), "seal")
    world.now += 50
    await truck.wake()  # urgent: sealed at once
    cut_ms = world.now
    cut = max(truck.stored)
    await unit.until(world.now + 400)
    sent = unit.link.sent[before:]
    early = [at_ms for at_ms, what, _ in sent if what is Up.EARLY]
    first_batch_ms = min(at_ms for at_ms, what, _ in sent if what is not Up.HELLO)
    assert early
    assert min(early) <= first_batch_ms + 300  # beside the window, not behind it
    assert any(cut_ms <= at_ms <= cut_ms + 300 for at_ms, what, _ in sent if what is not Up.HELLO)
    await unit.until(world.now + 20 * 60_000)
    assert await unit.outbox.waiting() == []
    check_centre(truck, kept.keys(), cut)
    check_pace([at_ms for at_ms, _, _ in unit.link.sent[before:]])


def check_centre(truck: Truck, kept: Collection[int], cut: int) -> None:
    """Everything kept has come, every hole is closed by a confession, nobody was throttled."""
    centre = truck.unit.world.centre
    assert centre.throttled == 0
    assert centre.oddities == []
    assert centre.chains.missing() is None
    assert centre.chains.waiting == {}
    assert {hole.why for hole in centre.holes} <= {"dropped", "oldest"}
    assert len(centre.stored) >= len(kept)
    missing = 0
    for hole in centre.holes:
        assert hole.hole is not None
        missing += hole.hole.last_no - hole.hole.first_no + 1
    (chain,) = truck.unit.outbox.chains()
    assert len(centre.stored) + missing >= chain.batch_no + 1
    cuts = [
        event.data[7]
        for envelope in centre.stored.values()
        for event in sound(envelope).body.events
        if event.kind == EventKind.SEAL
    ]
    assert 77_777 in cuts
    assert cut in truck.stored


def check_pace(sent_ms: list[int]) -> None:
    """Row 33: 40 messages a second behind a burst of 200; the collector takes 50."""
    sent_ms.sort()
    for begin in range(len(sent_ms)):
        within = [
            at_ms for at_ms in sent_ms[begin : begin + 700] if at_ms < sent_ms[begin] + 10_000
        ]
        assert len(within) <= 200 + 10 * 40 + 1


@pytest.mark.long
def test_e05_e06_e33_an_outage_on_a_tiny_disk_costs_positions_only_and_drains_with_alarms_first(
    tmp_path: Path,
) -> None:
    asyncio.run(outage(tmp_path, hours=10, bytes_max=192 << 10))


@pytest.mark.slow
def test_e05_e06_e33_seventy_two_hours(tmp_path: Path) -> None:
    asyncio.run(outage(tmp_path, hours=72, bytes_max=1 << 20))
