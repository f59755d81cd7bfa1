"""A unit's signed admission of what it holds (WIRE section 12), and the unsigned hint that it is there (section 11).

Law: a hello proves what a unit says of itself, not that it says all.
"""

from dataclasses import dataclass

from wire import LIM, MisuseError, Reason, Refused
from wire.batch import open_from_unit, read_array
from wire.canon import decode, encode
from wire.envelope import Aad, Key, KeyOf, Signer, seal
from wire.topics import Up, is_unit_id

FORMAT = 1
PROGRAM_BYTES_MAX = 32
NONCE_BYTES = (0, 16)

_U32 = (1 << 32) - 1
_NAMES = (
    "format",
    "unit_id",
    "chain_id",
    "batch_no",
    "seq",
    "head",
    "at_ms",
    "seen",
    "oldest",
    "boot_no",
    "time_quality",
    "mono_ms",
    "nonce",
    "program",
)
_INT, _STR, _BIN = (int,), (str,), (bytes,)
_TYPES: tuple[tuple[type, ...], ...] = (
    _INT,
    _STR,
    _BIN,
    _INT,
    _INT,
    _BIN,
    _INT,
    (list, type(None)),
    _INT,
    _INT,
    _INT,
    _INT,
    _BIN,
    _STR,
)
_RANGES = {
    3: (0, _U32),
    4: (0, LIM - 1),
    6: (0, LIM - 1),
    8: (0, _U32 + 1),
    9: (0, _U32),
    10: (0, 3),
    11: (0, LIM - 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a unit holds of one chain."""

    unit_id: str
    chain_id: bytes
    batch_no: int  # the newest
    seq: int  # its last record
    head: bytes
    at_ms: int
    seen: tuple[int, bytes] | None
    oldest: int  # lowest batch_no still kept, receipted or not; batch_no + 1 if none
    boot_no: int
    time_quality: int
    mono_ms: int
    nonce: bytes  # empty, or the 16 bytes of whoever asked
    program: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundHello:
    """A hello whose signature holds; its envelope is the proof of what the unit owes."""

    hello: Hello
    key: Key
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The retained hint on `state`: unsigned, for the eye only."""

    up: bool
    boot_no: int
    connection: bytes  # 8 bytes; a will of another connection than the newest `up` is stale
    at_ms: int


def make(hello: Hello, kid: bytes, sign: Signer) -> bytes:
    """The envelope of `hello`; MisuseError if a collector would refuse it."""
    payload = encode(
        (
            FORMAT,
            hello.unit_id,
            hello.chain_id,
            hello.batch_no,
            hello.seq,
            hello.head,
            hello.at_ms,
            hello.seen,
            hello.oldest,
            hello.boot_no,
            hello.time_quality,
            hello.mono_ms,
            hello.nonce,
            hello.program,
        )
    )
    read = read_payload(payload)
    if isinstance(read, Refused):
        raise MisuseError(f"not to be signed: {read.reason.value}, {read.detail}")
    return seal(payload, Aad.HELLO, kid, sign)


def judge(message: bytes, topic: str, key_of: KeyOf) -> SoundHello | Refused:
    """The verdict on a message on `hello`: rows 1 to 11 of WIRE section 8."""
    who = open_from_unit(message, topic, Aad.HELLO, frozenset({Up.HELLO}), key_of)
    if isinstance(who, Refused):
        return who
    speaker, key, opened = who
    hello = read_payload(opened.payload)
    if isinstance(hello, Refused):
        return hello
    if not hello.unit_id == key.unit_id == speaker:
        return Refused(
            reason=Reason.WRONG_UNIT,
            detail=f"hello says {hello.unit_id}, key is {key.unit_id}'s, topic {speaker}'s",
        )
    return SoundHello(hello=hello, key=key, envelope=message)


def read_payload(payload: bytes) -> Hello | Refused:
    """The fields of a hello: rows 7 to 10 of WIRE section 8."""
    values = read_array(payload, FORMAT)
    if isinstance(values, Refused):
        return values
    if len(values) != len(_NAMES):
        return _refused(Reason.BAD_PAYLOAD, f"{len(values)} elements, is {len(_NAMES)}")
    for index, types in enumerate(_TYPES):
        if type(values[index]) not in types:
            return _refused(
                Reason.BAD_PAYLOAD, f"{_NAMES[index]} is a {type(values[index]).__name__}"
            )
    seen = values[7]
    if isinstance(seen, list) and [type(part) for part in seen] != [int, bytes]:
        return _refused(Reason.BAD_PAYLOAD, "seen is not [size, root]")
    fields = dict(zip(_NAMES[1:], values[1:], strict=True))
    fields["seen"] = tuple(seen) if isinstance(seen, list) else None
    hello = Hello(**fields)  # type: ignore[arg-type]  # the types were compared one by one above
    fault = _range_fault(hello, values)
    return hello if fault is None else _refused(Reason.OUT_OF_RANGE, fault)


def encode_state(state: State) -> bytes:
    """The payload of the `state` topic."""
    return encode((FORMAT, int(state.up), state.boot_no, state.connection, state.at_ms))


def decode_state(payload: bytes) -> State | Refused:
    """What the `state` topic says; BAD_PAYLOAD or OUT_OF_RANGE if it is nothing of ours."""
    values = decode(payload) if len(payload) <= 64 else _refused(Reason.TOO_BIG, "state")
    if isinstance(values, Refused):
        return values
    if not isinstance(values, list) or [type(value) for value in values] != [
        int,
        int,
        int,
        bytes,
        int,
    ]:
        return _refused(Reason.BAD_PAYLOAD, "not [1, up, boot_no, connection, at_ms]")
    version, up, boot_no, connection, at_ms = values
    assert isinstance(boot_no, int)
    assert isinstance(connection, bytes)
    assert isinstance(at_ms, int)
    if version != FORMAT or up not in (0, 1) or len(connection) != 8:
        return _refused(Reason.OUT_OF_RANGE, "format, up or connection")
    if not (0 <= boot_no <= _U32 and 0 <= at_ms < LIM):
        return _refused(Reason.OUT_OF_RANGE, "boot_no or at_ms")
    return State(up=up == 1, boot_no=boot_no, connection=connection, at_ms=at_ms)


def _range_fault(hello: Hello, values: list[object]) -> str | None:
    for index, (least, most) in _RANGES.items():
        number = values[index]
        assert isinstance(number, int)
        if not least <= number <= most:
            return f"{_NAMES[index]} {number}, is {least} to {most}"
    if not is_unit_id(hello.unit_id):
        return f"unit_id {hello.unit_id[:40]!r}"
    if len(hello.chain_id) != 16 or len(hello.head) != 32:
        return "length of chain_id or head"
    if hello.seen is not None and not (1 <= hello.seen[0] < LIM and len(hello.seen[1]) == 32):
        return "seen: size or length of the root"
    if hello.oldest > hello.batch_no + 1:
        return f"oldest {hello.oldest} lies beyond the newest {hello.batch_no}"
    if len(hello.nonce) not in NONCE_BYTES:
        return f"nonce of {len(hello.nonce)} bytes, is 0 or 16"
    if len(hello.program.encode()) > PROGRAM_BYTES_MAX:
        return f"program is longer than {PROGRAM_BYTES_MAX} bytes"
    return None


def _refused(reason: Reason, detail: str) -> Refused:
    return Refused(reason=reason, detail=detail)
