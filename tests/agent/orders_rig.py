"""A truck without threads: the real way of a fact, the real outbox on a real file, and the witness's lock at the end of a wire."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent import Quality, StoredBatch
from agent.app.contacts import Contacts
from agent.app.facts import FactWay
from agent.app.heard import before
from agent.app.log import Troubles
from agent.app.orders import Orders, SealLine, Surroundings
from agent.io.clock import Clock
from agent.io.inbox import HeardFact, Inbox
from agent.orders.book import DOOR, read_book
from agent.orders.steward import Steward
from agent.outbox import Outbox
from agent.recorder.core import Recorder
from agent.recorder.settings import RecorderSettings
from agent.sealer import Sealer, SealerSettings
from agent.timekeeper import Timekeeper, TimekeeperSettings
from devices import Fact
from devices.jt701 import Jt701Reader
from firmware_sim.eseal import Jt701d
from firmware_sim.seal_settings import SealSpec
from firmware_sim.world import Track, Vertex, World
from tests.agent.facts import UTC, fix_at
from tests.agent.outbox_rig import UNIT, all_rows, no_op, opened, sound
from wire.envelope import kid_of
from wire.orders import Order, OrderKind, make, place_of
from wire.records import Datum, EventKind, EventRecord

if TYPE_CHECKING:
    from agent.io.serial_port import SerialPort
    from devices.jt701.orders import Order as SealOrder

SEAL = "8000620011"
OTHER_SEAL = "8000620012"  # known, and on no line
PASSWORD = "12#aAM"  # the witness's
MOVEMENT = "27UZ1"
KEY = Ed25519PrivateKey.from_private_bytes(b"O" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
PINNED = {kid_of(PUBLIC): PUBLIC}
LON = 690_000_000
AREA = (-2_000, LON - 2_000, -2_000, LON + 2_000, 2_000, LON + 2_000, 2_000, LON - 2_000)
STEP_MS = 250
BEGIN_MS = 10_000  # on the unit's axis


def order_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def words(
    kind: int = OrderKind.UNLOCK,
    *,
    counter: int = 1,
    seal: str = SEAL,
    movement: str = MOVEMENT,
    area: tuple[int, ...] = AREA,
    number: int | None = None,
    data: tuple[Datum, ...] | None = None,
    not_before_ms: int = UTC,
    not_after_ms: int = UTC + 3_600_000,
    issued_ms: int = UTC,
) -> Order:
    """An order of the centre; its id is its counter if nothing else is said."""
    if data is None:
        data = (seal, "officer-7", movement)
        data = (*data, area) if kind == OrderKind.UNLOCK else data
    return Order(
        unit_id=UNIT,
        counter=counter,
        kind=kind,
        issued_ms=issued_ms,
        not_before_ms=not_before_ms,
        not_after_ms=not_after_ms,
        order_id=order_id(counter if number is None else number),
        data=data,
    )


def signed(order: Order, key: Ed25519PrivateKey = KEY) -> bytes:
    return make(order, kid_of(key.public_key().public_bytes_raw()), key.sign)


def new_seal(
    *,
    seal_id: str = SEAL,
    dynamic: bool = False,
    armed: bool = True,
    password: str = PASSWORD,
    clock_ms: int = 0,
) -> Jt701d:
    track = Track(vertices=(Vertex(t_ms=0, lat=0.0, lon=69.0),))
    spec = SealSpec(id=seal_id, armed=armed, dynamic=dynamic, password=password, interval_s=30)
    return Jt701d(spec, World(track), start_ms=UTC + BEGIN_MS + clock_ms, seed=1)


class HandClock(Clock):
    """A clock that the test moves."""

    def __init__(self, mono_ms: int) -> None:
        self.now = mono_ms

    def mono_ms(self) -> int:
        return self.now

    def now_ms(self) -> int:
        return UTC + self.now

    def now_of(self, mono_ms: int) -> int:
        return UTC + mono_ms


class Wire:
    """The line to the lock, without a thread: what is written is heard at once."""

    def __init__(self, seal: Jt701d, clock: HandClock) -> None:
        self.seal = seal
        self.reader = Jt701Reader(seal_id=SEAL)
        self.heard: list[bytes] = []  # by the lock
        self.open = True  # False: what is said is lost, and nobody has noticed
        self.is_open = True
        self._clock = clock

    def order(self, order: object, said: Callable[[], None] = lambda: None) -> bool:
        if not self.open:
            return True
        self.reader.order(cast("SealOrder", order), self._clock.now_ms())
        self.write(self.reader.take_bytes())
        said()
        return True

    def write(self, data: bytes) -> bool:
        if data and self.open:
            self.heard.append(data)
            self.seal.feed(data, self._clock.now - BEGIN_MS)
        return True

    def acknowledge(self, fact: Fact, ack: bytes) -> None:
        self.write(ack)
        self.reader.acknowledged(fact)

    def forget(self, fact: Fact) -> None:
        self.reader.forget(fact)

    def facts(self) -> list[Fact]:
        world_ms = self._clock.now - BEGIN_MS
        due_ms = self.seal.next_due_ms()
        if due_ms is not None and due_ms <= world_ms:
            self.seal.wake(world_ms)
        data = b"".join(one.data for one in self.seal.take())
        now_ms = self._clock.now_ms()
        facts = self.reader.feed(data if self.open else b"", now_ms)
        self.write(self.reader.take_bytes())
        return facts

    def truth(self) -> dict[str, object]:
        """The lock's line on the answer sheet."""
        return self.seal.truth(self._clock.now - BEGIN_MS)

    def acts(self) -> list[bytes]:
        return [data for data in self.heard if b"(P43" in data or b"(P52,3" in data]


class Truck:
    """One start of the unit."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        clock: HandClock,
        seal: Jt701d,
        secret_files: dict[str, Path],
        folder: Path,
        first_contact: bool = False,
        at: Callable[[str], None] = no_op,
    ) -> None:
        self.outbox = outbox
        self.clock = clock
        self.wire = Wire(seal, clock)
        self.fixes = True
        self.fix_east_m = 0.0
        self.speed_cm_s = 0
        self.doubted = False
        self.recorder = Recorder(RecorderSettings())
        self.stored: deque[StoredBatch] = deque()
        inbox = Inbox(asyncio.get_running_loop())
        port = cast("SerialPort", self.wire)
        timekeeper = Timekeeper(
            TimekeeperSettings(built_ms=UTC - 1), mono_ms=clock.mono_ms(), newest_sealed_ms=0
        )
        self.orders = Orders(
            unit_id=UNIT,
            order_keys=PINNED,
            steward=Steward(read_book(outbox.memory), mono_ms=clock.mono_ms()),
            lines={SEAL: SealLine(port=port, protocol="jt701")},
            contacts=Contacts(
                folder / "seals",
                wanted=frozenset({SEAL} if first_contact else ()),
                secret_files=secret_files,
                tell=lambda _seal_id, order: port.order(order),
            ),
            seals=frozenset({SEAL, OTHER_SEAL}),
            around=self._around,
            armed=self.recorder.armed,
            nudge=inbox.nudge,
            at=at,
        )
        self.way = FactWay(
            clock=clock,
            inbox=inbox,
            timekeeper=timekeeper,
            recorder=self.recorder,
            sealer=Sealer(SealerSettings()),
            outbox=outbox,
            ports={"seal": port},
            orders=self.orders,
            stored=self.stored.append,
            troubles=Troubles(),
            at=at,
        )

    async def run(self, seconds: float) -> "Truck":
        """Time passes, the receiver and the lock speak."""
        end_ms = self.clock.now + round(seconds * 1000)
        while self.clock.now < end_ms:
            self.clock.now += STEP_MS
            if self.fixes and self.clock.now % 1000 == 0:
                fix = fix_at(self.clock.now, east_m=self.fix_east_m, speed_cm_s=self.speed_cm_s)
                await self._hear("gps", fix)
            for fact in self.wire.facts():
                await self._hear("seal", fact)
            await self.turn()
        return self

    async def give(self, order: Order) -> None:
        self.orders.take(signed(order))
        await self.turn()

    async def results(self) -> list[tuple[int, int, str]]:
        """(number of the order, result, detail) of every order_result in the store, in chain order."""
        found = []
        for event in await self.events(EventKind.ORDER_RESULT):
            id_, _, _, result, detail = event.data
            assert isinstance(id_, bytes)
            assert isinstance(result, int)
            found.append((int.from_bytes(id_, "big"), result, str(detail)))
        return found

    async def events(self, kind: EventKind) -> list[EventRecord]:
        rows = await all_rows(self.outbox, self.clock.now)
        bodies = [sound(envelope).body for _, envelope in sorted(rows.items())]
        return [
            EventRecord(kind=one.kind, t_ms=one.t_ms, mono_ms=one.mono_ms, data=one.data)
            for body in bodies
            for one in body.events
            if one.kind == kind
        ]

    async def _hear(self, source: str, fact: Fact) -> None:
        self.way.hear(HeardFact(source=source, mono_ms=self.clock.now, fact=fact))
        await self._let_them_work()

    async def turn(self) -> None:
        """What the three tasks of the way do at this instant."""
        self.way.wake()
        await self._let_them_work()

    async def _let_them_work(self) -> None:
        await self.way.storing.work()
        await self.way.obey()

    def _around(self) -> Surroundings:
        moment = self.way.moment()
        fix = self.recorder.newest_fix
        place = None
        if fix is not None:
            record, heard_ms = fix
            place = place_of(
                record.lat_e7,
                record.lon_e7,
                moment.mono_ms - heard_ms,
                record.flags,
                record.hdop_centi,
            )
            doubted = self.recorder.doubts_place(moment, 600_000)
            place = replace(place, doubted=place.doubted or doubted)
        founded_in_doubt = any(one.at_home for one in self.outbox.chains())
        return Surroundings(
            moment=moment,
            place=place,
            moving=bool(self.recorder.moving),
            config_version=0,
            door_closed=founded_in_doubt or self.outbox.memory(DOOR) is not None,
        )


def secret_file(folder: Path, text: str = PASSWORD) -> Path:
    path = folder / "seal.secret"
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path


@asynccontextmanager
async def on_the_road(
    folder: Path,
    *,
    seal: Jt701d | None = None,
    clock: HandClock | None = None,
    at: Callable[[str], None] = no_op,
    boot_no: int = 1,
    secrets: dict[str, Path] | None = None,
    warm_s: float = 5,
    first_contact: bool = False,
    east_m: float = 0.0,
) -> AsyncIterator[Truck]:
    """A unit that knows time and place after `warm_s`; left as a power cut would leave it."""
    clock = clock or HandClock(BEGIN_MS)
    if secrets is None:
        secrets = {SEAL: secret_file(folder)}
    from tests.agent.facts import at as moment_at  # noqa: PLC0415  # the name is taken here

    async with opened(
        folder / "outbox", boot_no=boot_no, moment=moment_at(clock.now), at_point=at
    ) as outbox:
        newest = await outbox.newest()
        truck = Truck(
            outbox,
            clock=clock,
            seal=seal or new_seal(),
            secret_files=secrets,
            folder=folder,
            first_contact=first_contact,
            at=at,
        )
        was = before(newest)
        truck.fix_east_m = east_m
        truck.recorder.recall(was.place, was.doubted_utc_ms, truck.way.moment())
        await truck.run(warm_s)
        assert warm_s < 4 or truck.way.moment().quality is Quality.GNSS
        yield truck


def twin(seal: Jt701d) -> Jt701d:
    """The same lock in the same state, for another course of events."""
    return deepcopy(seal)
