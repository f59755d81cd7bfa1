"""A batch: made once, signed once, judged byte by byte (WIRE sections 4, 7 and 8).

Law: any bytes get a verdict; a batch is never cut, merged or encoded again.
"""

import zlib
from dataclasses import dataclass
from hashlib import sha256

from wire import LIM, MisuseError, Reason, Refused
from wire.canon import encode, parse
from wire.columns import Body, Event, decode_body
from wire.envelope import Aad, Key, KeyOf, Opened, open_envelope, verify
from wire.records import EventKind
from wire.topics import Up, is_unit_id, parse_up

FORMAT = 1
FIELDS = 15
COUNT_MAX = 1_024
RAW_BYTES_MAX = 65_536
CODEC_RAW = 0
CODEC_DEFLATE = 1
DEFLATE_LEVEL = 9  # 27 us a batch (EDGE section 3), and a tenth fewer bytes for ever
GENESIS_REASONS = range(1, 7)

_U32 = (1 << 32) - 1
_RANGES = {  # field: least, most (WIRE section 4)
    3: (0, _U32),
    4: (0, _U32),
    6: (0, LIM - 1),
    7: (1, COUNT_MAX),
    8: (0, LIM - 1),
    9: (0, LIM - 1),
    10: (0, 3),
    12: (0, 255),
    13: (1, RAW_BYTES_MAX),
}
_TYPES: tuple[tuple[type, ...], ...] = (
    (int,),
    (str,),
    (bytes,),
    (int,),
    (int,),
    (bytes,),
    (int,),
    (int,),
    (int,),
    (int,),
    (int,),
    (list, type(None)),
    (int,),
    (int,),
    (bytes,),
)
_NAMES = (
    "format",
    "unit_id",
    "chain_id",
    "boot_no",
    "batch_no",
    "prev",
    "first_seq",
    "count",
    "sealed_ms",
    "sealed_mono_ms",
    "time_quality",
    "seen",
    "codec",
    "raw_len",
    "body",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The fields of WIRE section 4, each within its range; `body` is still packed by `codec`."""

    unit_id: str
    chain_id: bytes
    boot_no: int
    batch_no: int
    prev: bytes
    first_seq: int
    count: int
    sealed_ms: int  # 0: the unit had no clock
    sealed_mono_ms: int
    time_quality: int
    seen: tuple[int, bytes] | None
    codec: int
    raw_len: int
    body: bytes

    @property
    def last_seq(self) -> int:
        """Number of the last record."""
        return self.first_seq + self.count - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """Header and signature are sound: the batch takes its place in the chain. Its body is not read yet."""

    header: Header
    head: bytes
    key: Key
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A batch that keeps every rule that it can keep by itself."""

    header: Header
    head: bytes
    key: Key
    body: Body
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkKept:
    """A refused batch that still takes its place in the chain; its records are not used (WIRE section 8)."""

    header: Header
    head: bytes
    key: Key
    envelope: bytes
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """The first record of a chain: why it began and which batch stands before it (WIRE section 7)."""

    reason: (
        int  # 1 enrolled, 2 unclean start, 3 store lost, 4 rolled back, 5 key rotated, 6 ordered
    )
    prev_chain: bytes | None
    prev_batch_no: int | None
    prev_head: bytes | None
    prev_seq: int | None


def h0(unit_id: str, chain_id: bytes, public_key: bytes) -> bytes:
    """What batch 0 of a chain links to: unit, chain and key. A chain lives and dies with its key."""
    name = unit_id.encode()
    return sha256(
        b"".join(
            (
                b"plomba/chain/1\x00",
                bytes((len(name),)),
                name,
                b"\x10",
                chain_id,
                b"\x20",
                public_key,
            )
        )
    ).digest()


def head_of(payload: bytes) -> bytes:
    """The hash that stands for a batch; it covers everything but the signature."""
    return sha256(b"plomba/batch/1\x00" + payload).digest()


def make_payload(
    *,
    unit_id: str,
    chain_id: bytes,
    boot_no: int,
    batch_no: int,
    prev: bytes,
    first_seq: int,
    count: int,
    sealed_ms: int,
    sealed_mono_ms: int,
    time_quality: int,
    seen: tuple[int, bytes] | None,
    raw_body: bytes,
) -> bytes:
    """The payload of a batch around the body of `wire.columns.encode_body`; takes the shorter codec.

    Raises MisuseError for a header that a collector would refuse.
    """
    packed = _deflate(raw_body)
    codec, body = (CODEC_DEFLATE, packed) if len(packed) < len(raw_body) else (CODEC_RAW, raw_body)
    payload = encode(
        (
            FORMAT,
            unit_id,
            chain_id,
            boot_no,
            batch_no,
            prev,
            first_seq,
            count,
            sealed_ms,
            sealed_mono_ms,
            time_quality,
            seen,
            codec,
            len(raw_body),
            body,
        )
    )
    read = read_payload(payload)
    if isinstance(read, Refused):
        raise MisuseError(f"not to be signed: {read.reason.value}, {read.detail}")
    return payload


def read_payload(payload: bytes) -> Header | Refused:
    """The header of a batch: rows 7 to 10 of WIRE section 8."""
    values = read_array(payload, FORMAT)
    if isinstance(values, Refused):
        return values
    if len(values) != FIELDS:
        return _refused(Reason.BAD_PAYLOAD, f"{len(values)} elements, is {FIELDS}")
    for index, types in enumerate(_TYPES):
        if type(values[index]) not in types:
            return _refused(
                Reason.BAD_PAYLOAD, f"{_NAMES[index]} is a {type(values[index]).__name__}"
            )
    seen = values[11]
    if isinstance(seen, list) and [type(part) for part in seen] != [int, bytes]:
        return _refused(Reason.BAD_PAYLOAD, "seen is not [size, root]")
    fault = _range_fault(values)
    if fault is not None:
        return _refused(Reason.OUT_OF_RANGE, fault)
    fields = dict(zip(_NAMES[1:], values[1:], strict=True))
    fields["seen"] = tuple(seen) if isinstance(seen, list) else None
    return Header(**fields)  # type: ignore[arg-type]  # the types were compared one by one above


def read_array(payload: bytes, wanted_format: int) -> list[object] | Refused:
    """The array that every payload is: rows 7 (first part), 8 and 9 of WIRE section 8."""
    parsed = parse(payload)
    if isinstance(parsed, Refused):
        return parsed
    values = parsed.value
    if not isinstance(values, list) or not values or not isinstance(values[0], int):
        return _refused(Reason.BAD_PAYLOAD, "no array that begins with the number of its format")
    if not parsed.canonical:
        return _refused(Reason.NOT_CANONICAL, "a value is not in its shortest form")
    if values[0] != wanted_format:
        return _refused(Reason.UNKNOWN_FORMAT, f"format {values[0]}, known is {wanted_format}")
    return list(values)


def open_from_unit(
    message: bytes, topic: str, aad: Aad, lanes: frozenset[Up], key_of: KeyOf
) -> tuple[str, Key, Opened] | Refused:
    """Rows 1 to 6 of WIRE section 8: who claims to speak, the key, and the envelope that it signed."""
    spoken = parse_up(topic)
    if isinstance(spoken, Refused):
        return spoken
    if spoken[1] not in lanes:
        return _refused(Reason.BAD_TOPIC, topic)
    opened = open_envelope(message, aad)
    if isinstance(opened, Refused):
        return opened
    key = key_of(opened.kid)
    if key is None:
        return _refused(Reason.UNKNOWN_KEY, f"kid {opened.kid.hex()} is not enrolled")
    if not verify(opened, aad, key.public_key):
        return _refused(Reason.BAD_SIGNATURE, f"kid {opened.kid.hex()}")
    if key.revoked:
        return _refused(Reason.REVOKED_KEY, f"kid {opened.kid.hex()}")
    return spoken[0], key, opened


def judge_link(message: bytes, topic: str, key_of: KeyOf) -> Linked | Refused:
    """Rows 1 to 12 of WIRE section 8 (of row 12 the part that the header shows)."""
    who = open_from_unit(message, topic, Aad.BATCH, _LANES, key_of)
    if isinstance(who, Refused):
        return who
    speaker, key, opened = who
    header = read_payload(opened.payload)
    if isinstance(header, Refused):
        return header
    if not header.unit_id == key.unit_id == speaker:
        return _refused(
            Reason.WRONG_UNIT,
            f"batch says {header.unit_id}, key is {key.unit_id}'s, topic {speaker}'s",
        )
    if header.batch_no == 0:
        if header.prev != h0(header.unit_id, header.chain_id, key.public_key):
            return _refused(Reason.BAD_GENESIS, "prev of batch 0 is not h0")
        if header.first_seq != 0:
            return _refused(Reason.BAD_GENESIS, f"first_seq of batch 0 is {header.first_seq}")
    return Linked(header=header, head=head_of(opened.payload), key=key, envelope=message)


def inflate(header: Header) -> bytes | Refused:
    """The body as it was before the codec: UNKNOWN_CODEC or BAD_INFLATE. Never more than raw_len + 1 bytes."""
    if header.codec == CODEC_RAW:
        if len(header.body) != header.raw_len:
            return _refused(
                Reason.BAD_INFLATE, f"{len(header.body)} bytes, raw_len says {header.raw_len}"
            )
        return header.body
    if header.codec != CODEC_DEFLATE:
        return _refused(Reason.UNKNOWN_CODEC, f"codec {header.codec}")
    stream = zlib.decompressobj(wbits=-15)
    try:
        raw = stream.decompress(header.body, header.raw_len + 1)
    except zlib.error as error:
        return _refused(Reason.BAD_INFLATE, str(error))
    if len(raw) != header.raw_len or not stream.eof or stream.unused_data:
        return _refused(Reason.BAD_INFLATE, f"not exactly one stream of {header.raw_len} bytes")
    return raw


def read_body(header: Header) -> Body | Refused:
    """Rows 13 to 18 of WIRE section 8, and of row 12 what the first record shows."""
    raw = inflate(header)
    if isinstance(raw, Refused):
        return raw
    body = decode_body(
        raw, first_seq=header.first_seq, count=header.count, batch_no=header.batch_no
    )
    if isinstance(body, Refused) or header.batch_no != 0:
        return body
    genesis = read_genesis(body.events)
    return genesis if isinstance(genesis, Refused) else body


def read_genesis(events: tuple[Event, ...]) -> Genesis | Refused:
    """The genesis that batch 0 begins with; BAD_GENESIS if record 0 is none or is not well formed."""
    if not events or events[0].seq != 0 or events[0].kind != EventKind.GENESIS:
        return _refused(Reason.BAD_GENESIS, "record 0 is no genesis")
    data = events[0].data
    if len(data) < 5:
        return _refused(Reason.BAD_GENESIS, f"{len(data)} elements, is 5")
    reason, chain, number, head, seq = data[:5]
    if not isinstance(reason, int) or reason not in GENESIS_REASONS:
        return _refused(Reason.BAD_GENESIS, f"reason {reason!r}")
    if chain is None and number is None and head is None and seq is None:
        return Genesis(
            reason=reason, prev_chain=None, prev_batch_no=None, prev_head=None, prev_seq=None
        )
    if not (isinstance(chain, bytes) and isinstance(number, int) and isinstance(head, bytes)):
        return _refused(Reason.BAD_GENESIS, "prev_* is half nil or of another type")
    if not (seq is None or isinstance(seq, int)):
        return _refused(Reason.BAD_GENESIS, "prev_seq is no integer")
    if len(chain) != 16 or len(head) != 32 or not 0 <= number <= _U32 or not 0 <= (seq or 0) < LIM:
        return _refused(Reason.BAD_GENESIS, "prev_* has another length or range")
    return Genesis(
        reason=reason, prev_chain=chain, prev_batch_no=number, prev_head=head, prev_seq=seq
    )


def judge(message: bytes, topic: str, key_of: KeyOf) -> Sound | LinkKept | Refused:
    """The verdict on a message on `batch` or `early`: all of WIRE section 8 that needs no chain."""
    linked = judge_link(message, topic, key_of)
    if isinstance(linked, Refused):
        return linked
    return judge_body(linked)


def judge_body(linked: Linked) -> Sound | LinkKept | Refused:
    """What the body adds to a batch whose header and signature are sound."""
    body = read_body(linked.header)
    if not isinstance(body, Refused):
        return Sound(
            header=linked.header,
            head=linked.head,
            key=linked.key,
            body=body,
            envelope=linked.envelope,
        )
    if body.reason is Reason.BAD_GENESIS:  # a chain without a beginning takes no place at all
        return body
    return LinkKept(
        header=linked.header,
        head=linked.head,
        key=linked.key,
        envelope=linked.envelope,
        reason=body.reason,
        detail=body.detail,
    )


_LANES = frozenset({Up.BATCH, Up.EARLY})


def _range_fault(values: list[object]) -> str | None:
    for index, (least, most) in _RANGES.items():
        number = values[index]
        assert isinstance(number, int)
        if not least <= number <= most:
            return f"{_NAMES[index]} {number}, is {least} to {most}"
    unit_id, chain_id, prev, seen = values[1], values[2], values[5], values[11]
    assert isinstance(unit_id, str)
    if not is_unit_id(unit_id):
        return f"unit_id {unit_id[:40]!r}"
    for name, data, size in (("chain_id", chain_id, 16), ("prev", prev, 32)):
        assert isinstance(data, bytes)
        if len(data) != size:
            return f"{name} of {len(data)} bytes, is {size}"
    first_seq, count = values[6], values[7]
    assert isinstance(first_seq, int)
    assert isinstance(count, int)
    if first_seq + count >= LIM:
        return f"first_seq + count is {first_seq + count}"
    if isinstance(seen, list) and not (1 <= seen[0] < LIM and len(seen[1]) == 32):
        return "seen: size or length of the root"
    return None


def _deflate(raw: bytes) -> bytes:
    stream = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -15)
    return stream.compress(raw) + stream.flush()


def _refused(reason: Reason, detail: str) -> Refused:
    return Refused(reason=reason, detail=detail)
