"""What the gateway's tests share: a key, moments, a seal's frames, a connection made of plain objects, a centre in memory."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collector.gateway import Identity, Moment
from collector.gateway.link import Link, LinkSettings
from collector.io.gateway_store import GatewayStore
from collector.io.seal_gateway import GatewaySettings, SealGateway, _Line
from collector.store.database import Store
from collector.tick import Message, TickResult
from firmware_sim.seal_jt701d import Kind, Snapshot, Status, Wake, binary_frame, status_word
from tests.collector.fleet import (
    ORDER_PUBLIC,
    RECEIPT_PUBLIC,
    new_ticker,
)
from wire.envelope import Key, kid_of

NOW_MS = 1_803_877_200_000  # 2027-03-01T05:00:00Z
SEAL_ID = "8000620011"
UNIT = "gateway-1"
SEALED = status_word(rope_in=True, locked=True, cover_closed=True)
CUT = status_word(rope_in=False, locked=True, cover_closed=True, alarm=Status.CUT)

_PRIVATE = Ed25519PrivateKey.from_private_bytes(sha256(b"plomba test key gateway").digest())
_PUBLIC = _PRIVATE.public_key().public_bytes_raw()
IDENTITY = Identity(unit_id=UNIT, public_key=_PUBLIC, kid=kid_of(_PUBLIC), sign=_PRIVATE.sign)
AT = Moment(utc_ms=NOW_MS, boot_ms=5_000, quality=2)


def key_of(kid: bytes) -> Key | None:
    return Key(unit_id=UNIT, public_key=_PUBLIC) if kid == IDENTITY.kid else None


def frame(
    serial: int,
    status: int = SEALED,
    kind: Kind = Kind.LIVE,
    *,
    seal_id: str = SEAL_ID,
    unix_ms: int = NOW_MS,
    fixed: bool = True,
) -> bytes:
    """A report, as the witness writes it."""
    return binary_frame(
        Snapshot(
            seal_id=seal_id,
            unix_ms=unix_ms,
            lat=41.2,
            lon=69.2,
            fixed=fixed,
            speed_km_h=36.0,
            course_deg=90.0,
            mileage_km=7,
            sats=9,
            status=status,
            battery_percent=80,
            charging=False,
            wake=Wake.RTC,
        ),
        kind,
        serial,
    )


class FakeWriter:
    """The sending half of a connection: what was written stays here."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = False
        self.transport = SimpleNamespace(get_write_buffer_size=lambda: 0)

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None:
        return

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


class Seal:
    """One connection of a seal to the gateway."""

    def __init__(self, gateway: SealGateway, now_ms: int = NOW_MS) -> None:
        self.gateway = gateway
        self.writer = FakeWriter()
        self.now_ms = now_ms
        self.line = _Line(Link(LinkSettings(), now_ms), self.writer)  # type: ignore[arg-type]  # the part of a StreamWriter that is used

    def say(self, data: bytes) -> str | None:
        """What comes of `data`; what is to be answered at once is answered."""
        heard = self.line.link.feed(data, self.now_ms)
        self.writer.write(heard.reply)
        return self.gateway.take(self.line, heard)

    @property
    def answers(self) -> bytes:
        """What it has been told since the last look."""
        data, self.writer.data = self.writer.data, b""
        return data


class GatewayWorld:
    """A gateway whose intake is a real ticker over a real store; nothing runs by itself."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.connect(store)
        self.results: list[TickResult] = []
        self.handed: list[str] = []
        self.fails = False
        self.now_ms = NOW_MS

    def connect(self, store: Store) -> None:
        self.store = store
        self.ticker = new_ticker(store)

    async def enrol(self) -> None:
        await self.store.add_unit(UNIT, IDENTITY.public_key, now_ms=1)

    def gateway(self, settings: GatewaySettings | None = None) -> SealGateway:
        self.made = SealGateway(
            settings or GatewaySettings(listen="127.0.0.1:7701", unit=UNIT),
            IDENTITY,
            lambda: GatewayStore(self.folder / "gateway.db", UNIT, IDENTITY.kid),
            receipt_keys={kid_of(RECEIPT_PUBLIC): RECEIPT_PUBLIC},
            order_keys={kid_of(ORDER_PUBLIC): ORDER_PUBLIC},
            hand=self.hand,
        )
        return self.made

    async def hand(self, said: Sequence[tuple[str, bytes]]) -> None:
        """The intake's side: a tick, and what came of it for the gateway."""
        if self.fails:
            raise OSError("the centre's store is away")
        self.now_ms += 2_000
        self.handed += [topic for topic, _ in said]
        await self.tick(
            [Message(topic=topic, payload=data, received_ms=self.now_ms) for topic, data in said]
        )

    async def tick(self, messages: list[Message]) -> None:
        result = await self.ticker.run(messages, self.now_ms)
        self.results.append(result)
        for out in result.outgoing:
            assert self.made.hear(out.topic, out.payload)

    async def deliver(self, gateway: SealGateway) -> None:
        """Until nothing waits."""
        while await gateway.delivery.deliver():
            pass

    def codes(self) -> list[str]:
        return [finding.code for result in self.results for finding in result.findings]
