"""EDGE row 23: whatever a card forgets, the collector never sees a Fork, and no gap that is none.

Real outbox, line, uplink and collector cores; the card shows an older state of itself at each power cut.
"""

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent import Kept, Weight
from agent.outbox import OutboxSettings
from agent.outbox.word import HOME_MS
from agent.sealer import Closing, OpenBatch
from tests.agent.outbox_rig import sound
from tests.simulation.unit import Unit, World, running
from wire.records import EventKind, EventRecord

SMALL = OutboxSettings(ballast_bytes=0, headroom_bytes=0)
PLACE = tuple[bytes, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the card held after one commit."""

    at_ms: int
    path: Path
    holds: frozenset[PLACE]


@dataclass
class Card:
    """Keeps every state that it was ever in."""

    root: Path
    images: list[Image] = field(default_factory=list)
    sealed: dict[PLACE, tuple[bytes, int]] = field(default_factory=dict)
    made: int = 0

    @property
    def store(self) -> Path:
        return self.root / "store"

    def keep(self, unit: Unit) -> None:
        holds = set()
        for one in unit.outbox.chains():
            holds |= {(one.chain_id, number) for number in range(one.batch_no + 1)}
        self.made += 1
        path = self.root / f"image{self.made}"
        shutil.copytree(self.store, path)
        self.images.append(Image(at_ms=unit.world.now, path=path, holds=frozenset(holds)))

    def cut(self, world: World, *, deep: bool) -> None:
        """Show an image that a lying card may show: it has lost 30 s, or what the collector has settled."""
        may = []
        for image in self.images:
            lost = [place for place in world.left if place not in image.holds]
            recent = image.at_ms >= world.now - HOME_MS or image is self._last_before(world)
            settled = all(
                place in world.centre.stored or self.sealed[place][1] >= world.now - HOME_MS
                for place in lost
            )
            if recent or (deep and settled):
                may.append(image)
        chosen = world.rng.choice(may)
        shutil.rmtree(self.store)
        shutil.copytree(chosen.path, self.store)
        self.images = self.images[: self.images.index(chosen) + 1]  # what is lost stays lost

    def _last_before(self, world: World) -> Image | None:
        old = [image for image in self.images if image.at_ms < world.now - HOME_MS]
        return old[-1] if old else None


class Voyage:
    def __init__(self, root: Path, seed: int, *, deep: bool) -> None:
        self.world = World(seed)
        self.card = Card(root / f"card{seed}")
        self.deep = deep
        self.boot_no = 1
        self.boot_ms = 0
        self.world.on_left = self.note

    def note(self, envelope: bytes) -> None:
        """A number is never said with two contents, by whatever start."""
        one = sound(envelope)
        place = (one.header.chain_id, one.header.batch_no)
        sealed_ms = one.header.sealed_mono_ms + self.boot_ms
        self.card.sealed.setdefault(place, (envelope, sealed_ms))
        assert self.world.left.setdefault(place, envelope) == envelope, (
            "two contents for one number"
        )

    async def sail(self, legs: int) -> None:
        for _ in range(legs):
            await self.leg()
        await self.heal()
        self.check()

    async def leg(self) -> None:
        world, rng = self.world, self.world.rng
        async with running(world, self.card.store, self.boot_no, self.boot_ms, SMALL) as unit:
            unit.committed = lambda: self.card.keep(unit)
            self.card.keep(unit)
            for _ in range(rng.randrange(1, 7)):
                await self.watch(unit)
            clean = rng.random() < 0.4
            if clean:
                await unit.store(stop(unit))
                await unit.outbox.close(unit.moment(), clean=True)
                self.card.keep(unit)
        if not clean and rng.random() < 0.2:
            world.now += 500  # the process alone
            return
        world.now += rng.choice((500, 20_000, 300_000))
        if not clean or rng.random() < 0.7:
            self.card.cut(world, deep=self.deep)
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
            await unit.store(said(unit, urgent=rng.random() < 0.2))

    async def heal(self) -> None:
        """A good link and time enough."""
        world = self.world
        async with running(world, self.card.store, self.boot_no, self.boot_ms, SMALL) as unit:
            await unit.until(world.now + 400_000)
            await unit.store(said(unit, urgent=True))
            await unit.until(world.now + 900_000)

            assert await unit.outbox.waiting() == []

    def check(self) -> None:
        centre = self.world.centre
        assert not [one for one in centre.oddities if "Fork" in one or "ChainBreak" in one]
        assert not [hole for hole in centre.holes if hole.why == "ChainBreak"]
        assert centre.throttled == 0
        for (
            place
        ) in centre.chains.waiting:  # parked for ever only behind what a card has really eaten
            below = [(place[0], number) for number in range(place[1])]
            assert any(one not in centre.stored for one in below), place
        missing = centre.chains.missing()
        if missing is not None:
            gone = [(missing.chain_id, n) for n in range(missing.first_no, missing.last_no + 1)]
            assert not any(place in centre.stored for place in gone)
        for place, envelope in centre.stored.items():
            assert self.world.left[place] == envelope
        texts = [
            event.data[0]
            for envelope in centre.stored.values()
            for event in sound(envelope).body.events
            if event.kind == EventKind.INPUT
        ]
        if not self.deep:
            assert len(set(texts)) == len(texts)  # nothing is counted twice


def said(unit: Unit, *, urgent: bool) -> OpenBatch:
    moment = unit.moment()
    text = f"{unit.world.now} {unit.outbox.stats().newest_pos} {unit.boot_ms}"
    record = EventRecord(
        kind=EventKind.INPUT, t_ms=moment.utc_ms, mono_ms=moment.mono_ms, data=(text, 1)
    )
    kept = Kept(record=record, urgent=urgent, weight=Weight.EVENT)
    return OpenBatch(kept=(kept,), sealed=moment, closing=Closing.AGE)


def stop(unit: Unit) -> OpenBatch:
    moment = unit.moment()
    record = EventRecord(kind=EventKind.STOP, t_ms=moment.utc_ms, mono_ms=moment.mono_ms, data=(4,))
    return OpenBatch(kept=(Kept(record=record),), sealed=moment, closing=Closing.STOP)


@pytest.mark.parametrize("seed", range(6))
def test_e23_a_card_that_loses_thirty_seconds_makes_no_fork_and_no_false_gap(
    tmp_path: Path, seed: int
) -> None:
    asyncio.run(Voyage(tmp_path, seed, deep=False).sail(6))


@pytest.mark.parametrize("seed", range(100, 106))
def test_e23_a_card_that_loses_whole_settled_chains_makes_no_fork(
    tmp_path: Path, seed: int
) -> None:
    asyncio.run(Voyage(tmp_path, seed, deep=True).sail(6))
