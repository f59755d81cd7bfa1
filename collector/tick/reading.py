"""From a message to what its bytes say, as far as no chain is needed (WIRE section 8).

Law: a body is read once, and only if its batch is new.
"""

from dataclasses import dataclass

import numpy as np

from collector.desk import ConfigWord, OrderWord
from collector.detect.track import LAT_E7, LON_E7, T_MS, Batch, IntArray, read_body
from collector.ingest import Arrival, Confession, Why
from wire import Reason, Refused
from wire.batch import Genesis, Header, Linked, head_of, inflate, read_genesis, read_payload
from wire.columns import COLUMNS, Event
from wire.envelope import Aad, open_envelope
from wire.records import EventKind

DETAIL_CHARS_MAX = 200  # of a unit's remark on an order: a person reads it in a row

_U32 = (1 << 32) - 1
_NO_FIXES: IntArray = np.empty((COLUMNS, 0), np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """The records of a batch; none of them if it was refused with its link kept."""

    header: Header
    fixes: IntArray
    events: tuple[Event, ...]
    reason: Reason | None
    genesis: Genesis | None


def read_sheet(header: Header) -> Sheet | Refused:
    """What the body says: rows 12 to 18 of WIRE section 8. Refused is BAD_GENESIS only: such a batch takes no place at all."""
    raw = inflate(header)
    if isinstance(raw, Refused):
        return _unused(header, raw.reason)
    # numpy's reader for all: 82 us against 204 us for 60 fixes, 41 us against 37 us for one
    body = read_body(raw, first_seq=header.first_seq, count=header.count, batch_no=header.batch_no)
    if isinstance(body, Refused):
        return _unused(header, body.reason)
    fixes, events = body
    genesis = None
    if header.batch_no == 0:
        read = read_genesis(events)
        if isinstance(read, Refused):
            return read
        genesis = read
    return Sheet(header=header, fixes=fixes, events=events, reason=None, genesis=genesis)


def sheet_of(envelope: bytes) -> Sheet:
    """The sheet of an envelope that was judged before it was stored or parked."""
    opened = open_envelope(envelope, Aad.BATCH)
    assert not isinstance(opened, Refused), "what is stored had been judged"
    header = read_payload(opened.payload)
    assert not isinstance(header, Refused), "what is stored had been judged"
    sheet = read_sheet(header)
    assert not isinstance(sheet, Refused), "what is stored had been judged"
    return sheet


def parked_sheet(envelope: bytes | None, head: bytes) -> Sheet | None:
    """The sheet of a batch that waited in the store; None if it is not there any more as it was judged."""
    opened = None if envelope is None else open_envelope(envelope, Aad.BATCH)
    if opened is None or isinstance(opened, Refused) or head_of(opened.payload) != head:
        return None
    assert envelope is not None
    return sheet_of(envelope)


def arrival_of(linked: Linked, sheet: Sheet, *, is_early: bool) -> Arrival:
    """The batch as the chains see it."""
    header = linked.header
    return Arrival(
        chain_id=header.chain_id,
        batch_no=header.batch_no,
        head=linked.head,
        prev=header.prev,
        first_seq=header.first_seq,
        count=header.count,
        sealed_ms=header.sealed_ms,
        time_quality=header.time_quality,
        boot_no=header.boot_no,
        sealed_mono_ms=header.sealed_mono_ms,
        size_bytes=len(linked.envelope),
        is_early=is_early,
        reason=sheet.reason,
        genesis=sheet.genesis,
        confessions=tuple(confessions_of(header.chain_id, sheet.events)) if sheet.events else (),
    )


def batch_of(sheet: Sheet, *, received_ms: int, early_ms: int | None) -> Batch:
    """The batch as the detectors see it."""
    header = sheet.header
    return Batch(
        unit=header.unit_id,
        chain=header.chain_id,
        batch_no=header.batch_no,
        first_seq=header.first_seq,
        count=header.count,
        fixes=sheet.fixes,
        events=sheet.events,
        received_ms=received_ms,
        early_ms=early_ms,
        sealed_ms=header.sealed_ms,
        sealed_mono_ms=header.sealed_mono_ms,
        time_quality=header.time_quality,
    )


def bounds_of(fixes: IntArray) -> tuple[int | None, ...]:
    """t0, t1, and the box of the fixes: what finds a batch again. All None without fixes."""
    if fixes.shape[1] == 0:
        return (None,) * 6
    span = fixes[T_MS : LON_E7 + 1]
    least: list[int] = span.min(axis=1).tolist()
    most: list[int] = span.max(axis=1).tolist()
    lat, lon = LAT_E7 - T_MS, LON_E7 - T_MS
    return least[0], most[0], least[lat], most[lat], least[lon], most[lon]


def words_of(sheet: Sheet, *, is_early: bool = False) -> list[OrderWord | ConfigWord]:
    """What a batch says of orders (WIRE section 6, kinds 9 and 18), as far as it is what WIRE says there.

    Of a config only in its turn: what counts is the unit's newest word, and an early copy does not know its place.
    """
    found: list[OrderWord | ConfigWord] = []
    chain_id = sheet.header.chain_id
    for event in sheet.events:
        match event.kind, event.data:
            case EventKind.ORDER_RESULT, (
                bytes(order_id),
                int(kind),
                int(counter),
                int(result),
                detail,
                *_,
            ) if len(order_id) == 16:
                found.append(
                    OrderWord(
                        order_id=order_id,
                        kind=kind,
                        counter=counter,
                        result=result,
                        detail=detail[:DETAIL_CHARS_MAX] if isinstance(detail, str) else "",
                        said_ms=event.t_ms,
                        chain_id=chain_id,
                        seq=event.seq,
                    )
                )
            case EventKind.CONFIG, (int(version), int(result), *_) if not is_early:
                found.append(
                    ConfigWord(
                        version=version,
                        result=result,
                        said_ms=event.t_ms,
                        chain_id=chain_id,
                        seq=event.seq,
                    )
                )
    return found


def _unused(header: Header, reason: Reason) -> Sheet:
    return Sheet(header=header, fixes=_NO_FIXES, events=(), reason=reason, genesis=None)


def confessions_of(chain_id: bytes, events: tuple[Event, ...]) -> list[Confession]:
    """What a batch of this chain says is lost."""
    found = []
    for event in events:
        if event.kind != EventKind.DROPPED or len(event.data) < 9:
            continue
        first_no, last_no, _, _, last_head, *_, named = event.data[:9]
        if (
            isinstance(first_no, int)
            and isinstance(last_no, int)
            and 0 <= first_no <= last_no <= _U32
            and (last_head is None or (isinstance(last_head, bytes) and len(last_head) == 32))
            and (named is None or (isinstance(named, bytes) and len(named) == 16))
        ):
            assert named is None or isinstance(named, bytes)
            assert last_head is None or isinstance(last_head, bytes)
            found.append(
                Confession(
                    chain_id=chain_id if named is None else named,
                    first_no=first_no,
                    last_no=last_no,
                    last_head=last_head,
                    why=Why.DROPPED,
                )
            )
    return found
