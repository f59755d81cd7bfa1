"""A fleet that is not there: keys, chains and drives of many units, signed as a unit signs and sent over MQTT.

Law: from the broker on everything is real; what a unit says here, its agent could have said.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from paho.mqtt.client import Client as Mqtt, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from bench.console.centre import aside
from collector.store import schema
from collector.store.database import Store
from collector.store.feed import next_feed
from wire.batch import h0, head_of, make_payload
from wire.columns import encode_body
from wire.envelope import Aad, kid_of, seal
from wire.records import EventKind, EventRecord, FixRecord, Record
from wire.topics import Up, up

FIX_EVERY_S = 30
STEP_E7 = 40_000  # some 400 m in half a minute
SOUTH, NORTH, WEST, EAST = 373_000_000, 450_000_000, 563_000_000, 728_000_000
GRAIN_E7 = 1_000  # what a kept fix is rounded to, and more
MONO_MS = 60_000  # these units were switched on a minute ago
PACE_S = 0.1


@dataclass(slots=True, kw_only=True)
class Truck:
    """One unit: its key, its chain, its way."""

    unit_id: str
    key: Ed25519PrivateKey
    lat_e7: int
    lon_e7: int
    public: bytes = b""
    chain_id: bytes = b""
    head: bytes = b""
    batch_no: int = 0
    seq: int = 0
    chains: int = 0

    def begin(self, now_ms: int) -> bytes:
        """A chain with the first fix. A second one knows nothing of the first: a history that begins twice."""
        self.chains += 1
        self.chain_id = sha256(f"{self.unit_id} {self.chains}".encode()).digest()[:16]
        self.head = h0(self.unit_id, self.chain_id, self.public)
        self.batch_no = self.seq = 0
        data = (1, None, None, None, None)
        genesis = EventRecord(kind=EventKind.GENESIS, t_ms=now_ms, mono_ms=MONO_MS, data=data)
        return self._seal([genesis, self._fix(now_ms)], now_ms)

    def drive(self, now_ms: int) -> bytes:
        """The next batch: one fix, farther on."""
        self.lon_e7 += STEP_E7 if self.lon_e7 < EAST else -(EAST - WEST)
        return self._seal([self._fix(now_ms)], now_ms)

    def _fix(self, now_ms: int) -> FixRecord:
        return FixRecord(
            t_ms=now_ms,
            lat_e7=self.lat_e7,
            lon_e7=self.lon_e7,
            alt_dm=4_550,
            speed_cm_s=1_390,
            course_cdeg=9_000,
            hdop_centi=80,
            err_cm=None,
            sats=12,
            flags=1 | 1 << 9,
        )

    def _seal(self, records: Sequence[Record], now_ms: int) -> bytes:
        payload = make_payload(
            unit_id=self.unit_id,
            chain_id=self.chain_id,
            boot_no=1,
            batch_no=self.batch_no,
            prev=self.head,
            first_seq=self.seq,
            count=len(records),
            sealed_ms=now_ms,
            sealed_mono_ms=MONO_MS,
            time_quality=2,
            seen=None,
            raw_body=encode_body(self.seq, records),
        )
        self.head = head_of(payload)
        self.batch_no += 1
        self.seq += len(records)
        return seal(payload, Aad.BATCH, kid_of(self.public), self.key.sign)


@dataclass(slots=True, kw_only=True)
class Fleet:
    """Many trucks behind one connection to the broker."""

    trucks: list[Truck]
    sent: int = 0
    _mqtt: Mqtt = field(init=False)

    def connect(self, port: int) -> None:
        self._mqtt = Mqtt(CallbackAPIVersion.VERSION2, client_id="fleet")
        self._mqtt.max_inflight_messages_set(200)
        self._mqtt.connect("127.0.0.1", port)
        self._mqtt.loop_start()

    def close(self) -> None:
        self._mqtt.disconnect()
        self._mqtt.loop_stop()

    def begin(self, trucks: Iterable[Truck]) -> None:
        """Each begins a history, or its second one; returns when the broker has them all."""
        last = None
        for truck in trucks:
            last = self._say(truck, truck.begin(time.time_ns() // 1_000_000))
        if last is not None:
            last.wait_for_publish(120)

    def driving(self, a_second: float) -> "Driving":
        """All drive, each in its turn, so many a second until the end of the block."""
        return Driving(fleet=self, a_second=a_second)

    def drive(self, truck: Truck) -> None:
        self._say(truck, truck.drive(time.time_ns() // 1_000_000))

    def _say(self, truck: Truck, envelope: bytes) -> MQTTMessageInfo:
        self.sent += 1
        return self._mqtt.publish(up(truck.unit_id, Up.BATCH), envelope, qos=1)


@dataclass(slots=True, kw_only=True)
class Driving:
    """A thread that lets a fleet drive. What it cannot do in time it does not make up for: `sent` of the fleet says what it did."""

    fleet: Fleet
    a_second: float
    _over: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._run, name="fleet", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        at = 0
        a_pace = max(round(self.a_second * PACE_S), 1)
        while not self._over.wait(PACE_S):
            for _ in range(a_pace):
                self.fleet.drive(self.fleet.trucks[at % len(self.fleet.trucks)])
                at += 1


def made(units: int, name: str) -> Fleet:
    """A fleet over Uzbekistan that can be made again."""
    rng = Random(name)  # noqa: S311  # places, no secrets
    trucks = []
    for n in range(units):
        unit_id = f"{name}-{n:05d}"
        key = Ed25519PrivateKey.from_private_bytes(sha256(f"bench {unit_id}".encode()).digest())
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        trucks.append(
            Truck(
                unit_id=unit_id,
                key=key,
                public=public,
                lat_e7=rng.randrange(SOUTH, NORTH, GRAIN_E7),
                lon_e7=rng.randrange(WEST, EAST, GRAIN_E7),
            )
        )
    return Fleet(trucks=trucks)


async def enrol(file: Path, trucks: Sequence[Truck], now_ms: int) -> None:
    """Let them all in within one transaction, as an import of a fleet would."""
    async with await Store.open(f"sqlite:///{file}") as store, store.write() as connection:
        feed = await next_feed(connection)
        units, keys, heads = [], [], []
        for number, truck in enumerate(trucks, 1):
            units.append(
                {"number": number, "unit_id": truck.unit_id, "enrolled_ms": now_ms, "feed": feed}
            )
            keys.append(
                {
                    "kid": kid_of(truck.public),
                    "unit_no": number,
                    "public_key": truck.public,
                    "added_ms": now_ms,
                }
            )
            heads.append(
                {"unit_no": number, "rev": 0, "chain_id": b"", "batch_no": -1, "head": b""}
            )
        await connection.execute(schema.unit.insert(), units)
        await connection.execute(schema.unit_key.insert(), keys)
        await connection.execute(schema.unit_head.insert(), heads)


def enroller(fleet: Fleet) -> Callable[[Path], None]:
    """`enrol` for a collector that is being started."""
    return lambda file: aside(enrol, file, fleet.trucks, time.time_ns() // 1_000_000)
