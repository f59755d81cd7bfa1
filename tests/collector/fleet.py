"""Honest and dishonest units for the tests of the intake: they seal as WIRE sections 4 to 7 say."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from collector.store.database import Added, Store
from collector.tick import Message, TickResult
from collector.tick.answering import Signing
from collector.tick.ticker import Ticker
from tests.wire.keys import private_key, public_key
from wire import hello as wire_hello
from wire.batch import h0, head_of, make_payload
from wire.canon import encode
from wire.columns import encode_body
from wire.envelope import Aad, kid_of, open_envelope, seal
from wire.hello import Hello
from wire.receipts import Receipt, read_payload
from wire.records import Datum, EventKind, EventRecord, FixRecord, Record
from wire.topics import Up, up

T0_MS = 1_795_330_000_000
RECEIPT_PUBLIC = public_key("collector receipt")
ORDER_PUBLIC = public_key("collector order")
RECEIPT_KEY = Signing(kid=kid_of(RECEIPT_PUBLIC), sign=private_key("collector receipt").sign)
ORDER_KEY = Signing(kid=kid_of(ORDER_PUBLIC), sign=private_key("collector order").sign)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A batch as its unit knows it."""

    chain_id: bytes
    batch_no: int
    head: bytes
    last_seq: int
    envelope: bytes


@dataclass(slots=True, kw_only=True)
class FleetUnit:
    """A unit that seals and remembers."""

    unit_id: str
    quality: int = 2
    boot_no: int = 1
    clock_ms: int = T0_MS
    sealed: list[Sealed] = field(default_factory=list)
    chain_id: bytes = b""

    @property
    def public_key(self) -> bytes:
        return public_key(f"unit {self.unit_id}")

    @property
    def newest(self) -> Sealed:
        return self.sealed[-1]

    def begin(
        self,
        reason: int = 1,
        *,
        after: Sealed | None = None,
        forgets: bool = False,
        more: Sequence[Record] = (),
    ) -> Sealed:
        """A new chain: after `after`, or after the newest batch; `forgets`: with all of prev_* nil."""
        before = after or (self.sealed[-1] if self.sealed else None)
        prev: tuple[Datum, ...] = (None, None, None, None)
        if before is not None and not forgets:
            prev = (before.chain_id, before.batch_no, before.head, before.last_seq)
        self.chain_id = sha256(
            f"{self.unit_id} {len(self.sealed)} {self.clock_ms}".encode()
        ).digest()[:16]
        genesis = event(EventKind.GENESIS, (reason, *prev), self.clock_ms)
        return self._seal(
            [genesis, *more],
            batch_no=0,
            first_seq=0,
            prev=h0(self.unit_id, self.chain_id, self.public_key),
        )

    def seal(
        self,
        records: Sequence[Record] | None = None,
        *,
        seq_jump: int = 0,
        raw: bytes | None = None,
    ) -> Sealed:
        """The next batch of the chain: one fix, if nothing else is said."""
        last = next(entry for entry in reversed(self.sealed) if entry.chain_id == self.chain_id)
        return self._seal(
            [fix(self.clock_ms)] if records is None else records,
            batch_no=last.batch_no + 1,
            first_seq=last.last_seq + 1 + seq_jump,
            prev=last.head,
            raw=raw,
        )

    def bomb(self, size: int) -> Sealed:
        """A batch whose body unpacks to `size` bytes of nothing, under a header that says 100."""
        stream = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = stream.compress(bytes(size)) + stream.flush()
        last = self.newest
        payload = encode(
            (
                *(1, self.unit_id, self.chain_id, self.boot_no, last.batch_no + 1, last.head),
                *(last.last_seq + 1, 1, self.clock_ms, 0, self.quality, None, 1, 100, packed),
            )
        )
        return self._sealed(payload, last.batch_no + 1, last.last_seq + 1)

    def skip(self, sealed: Sealed) -> None:
        """Go on as if `sealed` were the newest: what comes next is another history."""
        self.sealed.append(sealed)
        self.chain_id = sealed.chain_id

    def hello(
        self,
        *,
        batch_no: int | None = None,
        oldest: int = 0,
        head: bytes | None = None,
        at_ms: int | None = None,
        chain_id: bytes | None = None,
        nonce: bytes = b"",
    ) -> bytes:
        newest = self.newest
        hello = Hello(
            unit_id=self.unit_id,
            chain_id=chain_id or newest.chain_id,
            batch_no=newest.batch_no if batch_no is None else batch_no,
            seq=newest.last_seq,
            head=newest.head if head is None else head,
            at_ms=self.clock_ms if at_ms is None else at_ms,
            seen=None,
            oldest=oldest,
            boot_no=self.boot_no,
            time_quality=self.quality,
            mono_ms=self.clock_ms - T0_MS,
            nonce=nonce,
            program="test",
        )
        return wire_hello.make(hello, kid_of(self.public_key), self._sign)

    def _seal(
        self,
        records: Sequence[Record],
        *,
        batch_no: int,
        first_seq: int,
        prev: bytes,
        raw: bytes | None = None,
    ) -> Sealed:
        payload = make_payload(
            unit_id=self.unit_id,
            chain_id=self.chain_id,
            boot_no=self.boot_no,
            batch_no=batch_no,
            prev=prev,
            first_seq=first_seq,
            count=len(records),
            sealed_ms=self.clock_ms,
            sealed_mono_ms=self.clock_ms - T0_MS,
            time_quality=self.quality,
            seen=None,
            raw_body=encode_body(first_seq, records) if raw is None else raw,
        )
        return self._sealed(payload, batch_no, first_seq + len(records) - 1)

    def _sealed(self, payload: bytes, batch_no: int, last_seq: int) -> Sealed:
        self.clock_ms += 60_000
        sealed = Sealed(
            chain_id=self.chain_id,
            batch_no=batch_no,
            head=head_of(payload),
            last_seq=last_seq,
            envelope=seal(payload, Aad.BATCH, kid_of(self.public_key), self._sign),
        )
        self.sealed.append(sealed)
        return sealed

    def _sign(self, data: bytes) -> bytes:
        return private_key(f"unit {self.unit_id}").sign(data)


def fix(t_ms: int, lat_e7: int = 413_111_000, lon_e7: int = 692_797_000) -> FixRecord:
    return FixRecord(
        t_ms=t_ms,
        lat_e7=lat_e7,
        lon_e7=lon_e7,
        alt_dm=4_550,
        speed_cm_s=1_390,
        course_cdeg=8_700,
        hdop_centi=80,
        err_cm=None,
        sats=12,
        flags=1 | 1 << 9,
    )


def event(kind: int, data: tuple[Datum, ...], t_ms: int = T0_MS) -> EventRecord:
    return EventRecord(kind=kind, t_ms=t_ms, mono_ms=t_ms - T0_MS, data=data)


def dropped(first: Sealed, last: Sealed, *, chain_id: bytes | None = None) -> EventRecord:
    """The unit's confession that these batches are gone."""
    return event(
        EventKind.DROPPED,
        (
            first.batch_no,
            last.batch_no,
            first.last_seq,
            last.last_seq,
            last.head,
            1,
            0,
            1,
            chain_id,
        ),
    )


def message(
    unit_id: str, payload: bytes, received_ms: int, *, what: Up = Up.BATCH, token: object = None
) -> Message:
    return Message(topic=up(unit_id, what), payload=payload, received_ms=received_ms, token=token)


class Centre:
    """A store in memory, a ticker, and a clock of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now_ms = T0_MS + 86_400_000  # no unit is ahead of it, however much it seals
        self.ticker = new_ticker(store)
        self.results: list[TickResult] = []

    async def enrol(self, unit: FleetUnit) -> None:
        added = await self.store.add_unit(unit.unit_id, unit.public_key, now_ms=self.now_ms)
        assert isinstance(added, Added)

    async def hear(
        self, unit: FleetUnit, *payloads: bytes, what: Up = Up.BATCH, step_ms: int = 2_000
    ) -> TickResult:
        """One tick with these messages of one unit."""
        self.now_ms += step_ms
        result = await self.ticker.run(
            [message(unit.unit_id, payload, self.now_ms, what=what) for payload in payloads],
            self.now_ms,
        )
        self.results.append(result)
        return result

    async def settle(self) -> None:
        """Ticks until nothing is due at once."""
        for _ in range(200):
            result = await self.ticker.run([], self.now_ms)
            self.results.append(result)
            if result.next_due_ms > self.now_ms:
                return
        raise AssertionError("the ticks come to no end")


def new_ticker(store: Store) -> Ticker:
    return Ticker(store=store, receipt_key=RECEIPT_KEY, order_key=ORDER_KEY)


def receipts_in(result: TickResult) -> list[Receipt]:
    found = []
    for outgoing in result.outgoing:
        if outgoing.topic.endswith("/receipt"):
            opened = open_envelope(outgoing.payload, Aad.RECEIPT)
            receipt = read_payload(opened.payload)  # type: ignore[union-attr]  # ours: it opens
            assert isinstance(receipt, Receipt)
            found.append(receipt)
    return found
