"""The gateway's own chain: batches from records, and what the collector's words mean for it (WIRE sections 4, 7, 12 to 14).

Law: a batch is numbered, linked and signed once; what is not certain to follow the newest batch begins a new chain.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.gateway import Identity, Moment, Tip
from wire import Refused
from wire.batch import h0, head_of, make_payload
from wire.canon import encode
from wire.columns import encode_body
from wire.envelope import Aad, seal
from wire.hello import Hello, make as make_hello
from wire.orders import Order, OrderKind, OrderResult, RefusedOrder, UnitState, judge as judge_order
from wire.receipts import ChainKnown, Receipt, RefusedReceipt, judge as judge_receipt
from wire.records import EventKind, EventRecord, FixRecord, Record
from wire.topics import Down

__all__ = [
    "Begin",
    "Hold",
    "Sealed",
    "answer_to",
    "begin_of",
    "boot_record",
    "genesis",
    "greeting",
    "make_batches",
    "new_tip",
    "order_of",
    "receipt_of",
    "stop_record",
]

PROGRAM = "plomba-gateway"
BATCH_EVENTS_MAX = 128  # half of what a batch may hold
BATCH_BYTES_MAX = 24_576  # three quarters of a payload; a frame has at most 1,100
FIX_BYTES_MAX = 60  # of a fix that stands alone
REASON_ENROLLED, REASON_UNCLEAN, REASON_STORE_LOST, REASON_ROLLED_BACK = 1, 2, 3, 4
CONFIG_REFUSED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A signed batch and its place."""

    chain_id: bytes
    batch_no: int
    first_seq: int
    count: int
    head: bytes
    sealed_ms: int
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What the gateway holds of one chain."""

    chain_id: bytes
    newest: int
    last_seq: int
    head: bytes
    oldest: int  # lowest number still kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """How a start goes on: with the old chain, or with a new one for a reason."""

    reason: int | None  # None: the same chain
    before: Tip | None  # what the new chain's genesis names


def begin_of(tip: Tip | None, *, same_boot: bool, clean: bool, store_lost: bool) -> Begin:
    """WIRE section 7: go on only where nothing can have been forgotten."""
    if tip is None:
        return Begin(reason=REASON_STORE_LOST if store_lost else REASON_ENROLLED, before=None)
    if same_boot or clean:
        return Begin(reason=None, before=tip)
    return Begin(reason=REASON_UNCLEAN, before=tip)


def new_tip(identity: Identity, chain_id: bytes) -> Tip:
    """A chain that has no batch yet."""
    head = h0(identity.unit_id, chain_id, identity.public_key)
    return Tip(chain_id=chain_id, batch_no=-1, head=head, next_seq=0)


def genesis(begin: Begin, at: Moment) -> EventRecord:
    """Record 0 of a chain."""
    assert begin.reason is not None
    before = begin.before if begin.before is not None and begin.before.batch_no >= 0 else None
    if before is None:
        return _event(EventKind.GENESIS, at, (begin.reason, None, None, None, None))
    last_seq = before.next_seq - 1 if before.next_seq > 0 else None
    data = (begin.reason, before.chain_id, before.batch_no, before.head, last_seq)
    return _event(EventKind.GENESIS, at, data)


def boot_record(boot_no: int, at: Moment, *, clean: bool) -> EventRecord:
    """The first word of each start."""
    return _event(EventKind.BOOT, at, (boot_no, 0, PROGRAM, int(clean), None))


def stop_record(at: Moment) -> EventRecord:
    """The last word of an orderly stop: somebody ordered it."""
    return _event(EventKind.STOP, at, (4,))


def make_batches(
    records: Sequence[Record], tip: Tip, identity: Identity, *, boot_no: int, at: Moment
) -> tuple[list[Sealed], Tip]:
    """`records` as signed batches behind `tip`, as few as their bounds allow, and the chain's new end."""
    batches: list[Sealed] = []
    for group in _groups(records):
        batch_no, first_seq = tip.batch_no + 1, tip.next_seq
        payload = make_payload(
            unit_id=identity.unit_id,
            chain_id=tip.chain_id,
            boot_no=boot_no,
            batch_no=batch_no,
            prev=tip.head,
            first_seq=first_seq,
            count=len(group),
            sealed_ms=at.utc_ms,
            sealed_mono_ms=at.boot_ms,
            time_quality=at.quality,
            seen=None,
            raw_body=encode_body(first_seq, group),
        )
        head = head_of(payload)
        batches.append(
            Sealed(
                chain_id=tip.chain_id,
                batch_no=batch_no,
                first_seq=first_seq,
                count=len(group),
                head=head,
                sealed_ms=at.utc_ms,
                envelope=seal(payload, Aad.BATCH, identity.kid, identity.sign),
            )
        )
        tip = Tip(
            chain_id=tip.chain_id,
            batch_no=batch_no,
            head=head,
            next_seq=first_seq + len(group),
        )
    return batches, tip


def greeting(
    hold: Hold, identity: Identity, *, boot_no: int, at: Moment, nonce: bytes = b""
) -> bytes:
    """The signed admission of what the gateway holds of one chain."""
    hello = Hello(
        unit_id=identity.unit_id,
        chain_id=hold.chain_id,
        batch_no=hold.newest,
        seq=hold.last_seq,
        head=hold.head,
        at_ms=at.utc_ms,
        seen=None,
        oldest=hold.oldest,
        boot_no=boot_no,
        time_quality=at.quality,
        mono_ms=at.boot_ms,
        nonce=nonce,
        program=PROGRAM,
    )
    return make_hello(hello, identity.kid, identity.sign)


def receipt_of(
    message: bytes,
    identity: Identity,
    keys: Mapping[bytes, bytes],
    chains: Mapping[bytes, ChainKnown],
) -> Receipt | RefusedReceipt | Refused:
    """What may be believed of a message on `receipt`."""
    return judge_receipt(message, unit_id=identity.unit_id, receipt_keys=keys, chains=chains)


def order_of(
    message: bytes, what: Down, identity: Identity, keys: Mapping[bytes, bytes], now_ms: int
) -> Order | Refused:
    """A message on `order` or `config`, judged as by a unit that knows no movement, no seal of its own and no place."""
    state = UnitState(
        unit_id=identity.unit_id,
        now_ms=now_ms,
        time_quality=0,
        counter=0,
        config_version=0,
        movement=None,
        seals=frozenset(),
        place=None,
    )
    return judge_order(message, topic_what=what, order_keys=keys, state=state)


def answer_to(order: Order | RefusedOrder, at: Moment) -> EventRecord | None:
    """The record that says that an order is not carried out; None where none is due."""
    told = order.order if isinstance(order, RefusedOrder) else order
    if told.kind in (OrderKind.RESEND_FROM, OrderKind.REPORT_NOW):
        return None
    if told.kind == OrderKind.SET_CONFIG:
        version = told.data[0] if told.data and isinstance(told.data[0], int) else 0
        return _event(EventKind.CONFIG, at, (version, CONFIG_REFUSED))
    # A seal that dials in obeys its unit in the truck, or nobody: the gateway gives no orders (DEVICES 4.5).
    result = int(OrderResult.UNKNOWN_ORDER)
    data = (told.order_id, told.kind, told.counter, result, "a gateway obeys no such order")
    return _event(EventKind.ORDER_RESULT, at, data)


def _event(kind: EventKind, at: Moment, data: tuple[int | str | bytes | None, ...]) -> EventRecord:
    return EventRecord(kind=kind, t_ms=at.utc_ms, mono_ms=at.boot_ms, data=data)


def _groups(records: Sequence[Record]) -> Iterable[list[Record]]:
    group: list[Record] = []
    size = 0
    for record in records:
        cost = FIX_BYTES_MAX if isinstance(record, FixRecord) else _row_bytes(record)
        if group and (len(group) >= BATCH_EVENTS_MAX or size + cost > BATCH_BYTES_MAX):
            yield group
            group, size = [], 0
        group.append(record)
        size += cost
    if group:
        yield group


def _row_bytes(record: EventRecord) -> int:
    return len(encode((record.kind, record.t_ms, record.mono_ms, record.data))) + 10
