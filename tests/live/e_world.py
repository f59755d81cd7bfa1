"""What the tests by row of EDGE section 11 share: a backlog made by the outbox itself, a lock that is cut, a listener on the line."""

import asyncio
import contextlib
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from agent import Boot, Kept, Moment, Quality, Weight
from agent.app.identity import load
from agent.io import clock
from agent.outbox import Outbox, OutboxSettings
from agent.sealer import Closing, OpenBatch
from bench.relay import Relay, Seen
from bench.relay_mqtt import Kind
from bench.wire import synthetic_truck
from firmware_sim.seal_jt701d import (
    Kind as SealKind,
    Snapshot,
    Status,
    Wake,
    binary_frame,
    status_word,
)
from tests.live.agent_world import Agent, Broker, Collector, Pty, free_port
from wire.records import EventRecord

SEAL_ID = "8000620011"
Row = Sequence[Kept]


class Ear:
    """What crosses a line, packet by packet; made for the relay's thread."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.unacked_max = 0
        self._unacked: dict[int, set[int]] = {}  # message ids by link
        self._lock = threading.Lock()

    def __call__(self, one: Seen) -> None:
        with self._lock:
            self.seen.append(one)
            open_ids = self._unacked.setdefault(one.link, set())
            if one.up and one.packet.kind is Kind.PUBLISH:
                open_ids.add(one.packet.message_id)
            elif not one.up and one.packet.kind is Kind.PUBACK:
                open_ids.discard(one.packet.message_id)
            self.unacked_max = max(self.unacked_max, len(open_ids))

    def forget(self) -> None:
        with self._lock:
            self.seen.clear()
            self._unacked.clear()
            self.unacked_max = 0

    def first(self, kind: Kind, *, up: bool, lane: str = "", after_s: float = 0.0) -> float | None:
        """When the first such packet passed."""
        with self._lock:
            return next(
                (
                    one.at_s
                    for one in self.seen
                    if one.up is up
                    and one.packet.kind is kind
                    and one.at_s >= after_s
                    and one.packet.topic.endswith(lane)
                ),
                None,
            )

    def published(self, lane: str) -> list[bytes]:
        with self._lock:
            return [
                one.packet.payload
                for one in self.seen
                if one.up and one.packet.kind is Kind.PUBLISH and one.packet.topic.endswith(lane)
            ]

    def counts(self) -> Counter[Kind]:
        with self._lock:
            return Counter(one.packet.kind for one in self.seen)


@contextlib.contextmanager
def world(
    folder: Path, kind: str = "mosquitto", *, links: str = "", more: str = "", broker_more: str = ""
) -> Iterator[tuple[Agent, Broker, Collector, Relay, Ear]]:
    """As `agent_world.world`, with our relay between unit and broker."""
    broker = Broker(kind, folder / "broker", broker_more)
    ear = Ear()
    relay = Relay(port=free_port(), broker_port=broker.port, hear=ear)
    agent = Agent(folder / "unit", relay.port, links, more)
    collector = Collector(broker.port, agent.enrol())
    try:
        broker.start()
        collector.start()
        yield agent, broker, collector, relay, ear
    finally:
        agent.kill()
        collector.stop()
        broker.stop()
        relay.close()


def fill_outbox(state: Path, unit_id: str, rows: Sequence[Row], *, hours: float) -> None:
    """Store these rows as a unit would have that was without link for `hours`: on this kernel's own boot, cleanly closed."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as made:
        # In memory: thousands of commits with fsync are not what these tests are about.
        asyncio.run(_fill(Path(made), state, unit_id, rows, hours))
        shutil.copytree(made, state / "outbox", dirs_exist_ok=True)


async def _fill(folder: Path, state: Path, unit_id: str, rows: Sequence[Row], hours: float) -> None:
    now_ms, mono_ms = time.time_ns() // 1_000_000, clock_ms()
    span_ms = max(
        mono_ms - 200_000, 1
    )  # of this boot, all of it backlog; the wall clock tells the hours

    def moment(at: float) -> Moment:
        utc_ms = now_ms - round((1 - at) * hours * 3_600_000) - 180_000
        return Moment(
            mono_ms=round(span_ms * at), now_ms=utc_ms, utc_ms=utc_ms, quality=Quality.GNSS
        )

    identity = load(state / "identity", unit_id).identity
    boot = Boot(boot_id=clock.boot_id(), program="test")
    settings = OutboxSettings(headroom_bytes=0)
    outbox = await Outbox.open(folder, settings, identity, boot, moment(0))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(outbox.run(), name="outbox")
        for number, kept in enumerate(rows, 1):
            at = moment(number / (len(rows) + 1))
            batch = OpenBatch(kept=tuple(kept), sealed=at, closing=Closing.LIVE)
            await outbox.store(batch, at)
        await outbox.close(moment(1), clean=False)


def clock_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def drive(batches: int, fixes: int = 60) -> list[list[Kept]]:
    """So many batches of a truck's fixes."""
    track = synthetic_truck(batches * fixes).fixes
    return [
        [Kept(record=fix) for fix in track[number * fixes : (number + 1) * fixes]]
        for number in range(batches)
    ]


def alarm(number: int) -> list[Kept]:
    """An urgent batch: a card was refused."""
    data = (SEAL_ID, "jt701", "card", 0, 0, f"{number:010d}", None, 1, 0, None)
    event = EventRecord(kind=6, t_ms=1_795_330_000_000 + number, mono_ms=1, data=data)
    return [Kept(record=event, urgent=True, weight=Weight.EVIDENCE)]


def long_batch() -> list[Kept]:
    """Of about two kilobytes, not urgent: what readers said to the byte does not shrink."""
    rng = random.Random(7)
    return [
        Kept(record=replace(one.record, data=(*one.record.data[:-1], rng.randbytes(60))))
        for number in range(30)
        for one in alarm(number)
        if isinstance(one.record, EventRecord)
    ]


class CutLock(Pty):
    """A JT701D that says once in a while that all is well, and on demand that its rope is cut, until it is acknowledged."""

    def work(self) -> None:
        self.serial, self.is_cut, self.acked = 1, False, False
        self._heard = b""
        self.talk(self._words, 0.5)

    def cut(self) -> None:
        self.serial, self.is_cut, self.acked = self.serial + 1, True, False
        self.say(self._frame())

    def _words(self) -> bytes:
        self._heard = (self._heard + self.heard())[-200:]
        if f"(P69,0,{self.serial})".encode() in self._heard:
            self.acked = True
        return b"" if self.acked else self._frame()

    def _frame(self) -> bytes:
        now_s = int(time.time())
        cut = Status.CUT if self.is_cut else 0
        status = status_word(rope_in=not self.is_cut, locked=True, cover_closed=True, alarm=cut)
        at = Snapshot(
            seal_id=SEAL_ID,
            unix_ms=now_s * 1_000,
            lat=41.2,
            lon=69.2,
            fixed=True,
            speed_km_h=0.0,
            course_deg=0.0,
            mileage_km=1,
            sats=9,
            status=status,
            battery_percent=90,
            charging=False,
            wake=Wake.RTC,
        )
        return binary_frame(at, SealKind.ALARM if self.is_cut else SealKind.LIVE, self.serial)
