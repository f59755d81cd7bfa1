"""A unit under simulated time: the real outbox on real files, the real line with its uplink, and a link that is a list."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from agent import Boot, Moment, Quality, StoredBatch
from agent.app.contacts import Contacts
from agent.app.line import Line
from agent.app.log import Troubles
from agent.app.orders import Orders, Surroundings
from agent.config import of_text
from agent.io.mqtt import Heard, LineEvent
from agent.io.words import Tls
from agent.orders.book import Book
from agent.orders.steward import Steward
from agent.outbox import Outbox, OutboxSettings
from agent.sealer import OpenBatch
from agent.uplink.words import State
from tests.agent.facts import UTC
from tests.agent.outbox_rig import ME, RECEIPT_KID, RECEIPT_PUBLIC, UNIT, no_op
from tests.simulation.centre import ORDER_KID, ORDER_PUBLIC, Centre
from wire.topics import Up

CONFIG = of_text(f'[unit]\nid = "{UNIT}"\n[uplink]\nservers = ["mqtt://localhost"]\n')
LATENCY_MS = (20, 400)


class World:
    """One clock, one collector, and what is to happen."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now = 1_000
        self.centre = Centre()
        self.left: dict[tuple[bytes, int], bytes] = {}  # whatever has ever left the unit
        self.on_left: Callable[[bytes], None] = lambda _envelope: None
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def later(self, after_ms: int, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now + after_ms, self._count, act))

    def next_ms(self) -> int | None:
        return self._events[0][0] if self._events else None

    def run_due(self) -> None:
        while self._events and self._events[0][0] <= self.now:
            heapq.heappop(self._events)[2]()


class Link:
    """In the place of the dialler: one connection at a time. It keeps its order; it loses, repeats and breaks off."""

    def __init__(self, world: World, deliver: Callable[[LineEvent], None]) -> None:
        self.up = True
        self.loss = 0.0  # acknowledged by the broker, and never seen again
        self.repeat = 0.0
        self.sent: list[tuple[int, Up, int]] = []  # when, on which topic, how long
        self._world = world
        self._deliver = deliver
        self._number = 0
        self._arrives = 0  # when the newest message up is at the centre: order is kept
        self._ids = 0
        self._tickets: dict[int, int] = {}

    def dial(self, number: int, _server_no: int) -> None:
        self._number = number
        heard = Heard.UP if self.up else Heard.CLOSED
        self._tell(self._delay(), LineEvent(connection=number, heard=heard, why="no network"))

    def greet(self, ticket: int) -> None:
        self._tell(self._delay(), LineEvent(connection=self._number, heard=Heard.SUBSCRIBED))
        self._ack(ticket)

    def say(self, what: Up, payload: bytes, ticket: int) -> None:
        world = self._world
        self.sent.append((world.now, what, len(payload)))
        if what is not Up.HELLO:
            world.on_left(payload)
        self._ack(ticket)
        number = self._number

        def arrive() -> None:
            self.answer(number, world.centre.hear(what, payload, UTC + world.now))

        copies = 0 if world.rng.random() < self.loss else 1 + (world.rng.random() < self.repeat)
        for _ in range(copies):
            self._arrives = max(self._arrives, world.now + self._delay())
            world.later(self._arrives - world.now, arrive)

    def answer(self, number: int, answers: list[tuple[str, bytes]]) -> None:
        for topic, payload in answers:
            if number == self._number and self._world.rng.random() >= self.loss:
                event = LineEvent(
                    connection=number, heard=Heard.MESSAGE, topic=topic, payload=payload
                )
                self._tell(self._delay(), event)

    def ask(self) -> None:
        """What the centre asks for by its own clock."""
        self.answer(self._number, self._world.centre.wake(UTC + self._world.now))

    def ticket_of(self, message_id: int) -> int | None:
        return self._tickets.pop(message_id, None)

    def fall(self) -> None:
        if self._number:
            self._deliver(LineEvent(connection=self._number, heard=Heard.CLOSED, why="cut"))

    def hang_up(self) -> None:
        self._number = 0

    def say_goodbye(self) -> None:
        """Nobody listens."""

    def _ack(self, ticket: int) -> None:
        self._ids += 1
        self._tickets[self._ids] = ticket
        self._tell(
            self._delay(),
            LineEvent(connection=self._number, heard=Heard.ACKED, message_id=self._ids),
        )

    def _tell(self, after_ms: int, event: LineEvent) -> None:
        self._world.later(after_ms, lambda: self._deliver(event))

    def _delay(self) -> int:
        return self._world.rng.randint(*LATENCY_MS)


class Unit:
    """One process from its start to its end."""

    def __init__(self, world: World, outbox: Outbox, boot_ms: int) -> None:
        self.world = world
        self.outbox = outbox
        self.boot_ms = boot_ms
        self.inputs: list[LineEvent] = []
        self.committed: Callable[[], None] = lambda: None
        self._commits = 0
        self.alive = True
        self.line = Line(
            config=CONFIG,
            identity=ME,
            receipt_keys={RECEIPT_KID: RECEIPT_PUBLIC},
            orders=self._obeys(),
            tls=Tls(ca_file=Path("nowhere")),
            outbox=outbox,
            rng=Random(world.rng.random()),
            moment=self.moment,
            new_config=lambda _version, _text: None,
            post=lambda _fact: None,
            changed=lambda _state: None,
            shrink=lambda _bytes: None,
            troubles=Troubles(),
            program="sim",
            at=lambda _name: None,
        )
        self.link = Link(world, self._heard)
        self.line._dialler = self.link  # type: ignore[assignment]  # the one part that is not real

    def moment(self) -> Moment:
        return _moment(self.world.now, self.boot_ms)

    async def store(self, batch: OpenBatch) -> StoredBatch:
        stored = await self.outbox.store(batch, self.moment())
        self.line.stored(stored)
        await self.settle()
        return stored

    async def settle(self) -> None:
        """Whatever the line does at this instant, as its own loop would."""
        self.world.run_due()
        while self.inputs or self.line._inputs:
            while self.inputs:
                await self.line._carry_out(await self.line._hear(self.inputs.pop(0)))
                self._tell_commits()
            while self.line._inputs:
                await self.line._carry_out(await self.line._hear(self.line._inputs.popleft()))
            self.world.run_due()
        await self.line._synchronise()
        due_ms = self.line.uplink.next_deadline()
        if due_ms is not None and self.moment().mono_ms >= due_ms:
            await self.line._carry_out(self.line.uplink.wake(self.moment().mono_ms))
        self._tell_commits()

    def _tell_commits(self) -> None:
        commits = self.outbox.stats().commits
        if commits != self._commits:
            self._commits = commits
            self.committed()

    async def until(self, end_ms: int) -> None:
        """Let the world go on until then."""
        world = self.world
        while True:
            await self.settle()
            ahead = [end_ms, world.now + 5_000]
            next_ms, due_ms = world.next_ms(), self.line.uplink.next_deadline()
            if next_ms is not None:
                ahead.append(next_ms)
            if due_ms is not None:
                ahead.append(due_ms + self.boot_ms)
            if world.now >= end_ms:
                return
            world.now = max(min(ahead), world.now + 1)
            self.link.ask()

    @property
    def flows(self) -> bool:
        return self.line.uplink.state is State.FLOWING

    def _obeys(self) -> Orders:
        """As far as `resend_from` goes."""
        return Orders(
            unit_id=UNIT,
            order_keys={ORDER_KID: ORDER_PUBLIC},
            steward=Steward(Book(), mono_ms=0),
            lines={},
            contacts=Contacts(
                Path(), wanted=frozenset(), secret_files={}, tell=lambda _seal_id, _order: None
            ),
            seals=frozenset(),
            around=self._around,
            armed=lambda _seals: None,
            nudge=lambda: None,
            at=lambda _name: None,
        )

    def _around(self) -> Surroundings:
        return Surroundings(
            moment=self.moment(), place=None, moving=False, config_version=0, door_closed=False
        )

    def _heard(self, event: LineEvent) -> None:
        if self.alive:
            self.inputs.append(event)


@asynccontextmanager
async def running(
    world: World,
    directory: Path,
    boot_no: int,
    boot_ms: int,
    settings: OutboxSettings,
    *,
    run: Path | None = None,
    at_point: Callable[[str], None] = no_op,
) -> AsyncIterator[Unit]:
    """A process; at its end no goodbye: what was on its way up still arrives, and nobody hears the answer."""
    boot = Boot(boot_id=boot_no.to_bytes(16, "big"), program="sim")
    moment = _moment(world.now, boot_ms)
    outbox = await Outbox.open(directory, settings, ME, boot, moment, run=run, at=at_point)
    writer = asyncio.get_running_loop().create_task(outbox.run())
    unit = Unit(world, outbox, boot_ms)
    try:
        yield unit
    finally:
        unit.alive = False
        unit.link.hang_up()
        await outbox.abandon()
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)


def _moment(now: int, boot_ms: int) -> Moment:
    return Moment(mono_ms=now - boot_ms, now_ms=UTC + now, utc_ms=UTC + now, quality=Quality.GNSS)
