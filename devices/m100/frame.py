"""What one frame says: the value behind the JSON line and the facts.

Source: vendor protocol manual V2.1, R200 user protocol V2.3.3 and a second vendor sheet, checked against captured frames (DEVICES
sections 5 and 10).
"""

from binascii import crc_hqx
from dataclasses import dataclass
from enum import Enum

PROTOCOL = "m100"
MARKS = {0xBB: 0x7E, 0xAA: 0xDD}  # start and end; never mixed
PREFIX_BYTES = 5
AROUND_BYTES = 7  # prefix, checksum, end
PARAMETERS_BYTES_MAX = 1_024  # DEVICES section 1: a frame has 1,031 bytes at most
EPC_BYTES_MAX = 62

ANSWER, NOTICE = 1, 2
GET_INFO, SET_REGION, GET_REGION, SET_POWER, GET_POWER = 0x03, 0x07, 0x08, 0xB6, 0xB7
POLL_ONCE, POLL_MANY, STOP = 0x22, 0x27, 0x28
SCAN_JAMMER, SCAN_CHANNEL = 0xF2, 0xF3
FAILED = 0xFF
NO_TAG, COMMAND_ERROR = 0x15, 0x17
TAG_BYTES_MIN = 5  # RSSI, PC, CRC
TAG_BYTES_MAX = TAG_BYTES_MIN + EPC_BYTES_MAX

INFOS = ("hardware", "software", "manufacturer")
REGIONS = {1: "china_900", 2: "us", 3: "europe", 4: "china_800", 6: "korea"}

_READ = 0x39
_DONE = frozenset({0x49, 0x65, 0x82})  # answers to write, kill and lock of somebody else
_STATUS_ONLY = frozenset(  # commands whose answer is one byte, 0 for done
    {SET_REGION, SET_POWER, STOP, 0x04, 0x0C, 0x0E, 0x11, 0x12, 0x17, 0x1D, 0xAD, 0xB0, 0xF0, 0xF1}
)
_ERRORS = {
    0x09: "read_failed",
    0x10: "write_failed",
    0x12: "kill_failed",
    0x13: "lock_failed",
    0x15: "no_tag",
    0x16: "access_denied",
    0x17: "command_error",
    0x20: "channels_busy",
}
_GEN2_OPERATIONS = frozenset({0xA0, 0xB0, 0xC0, 0xD0, 0xE0})
_GEN2 = {  # EPC Gen2 V1.2, annex I: what the tag itself answers
    0x00: "gen2_other_error",
    0x03: "gen2_memory_overrun",
    0x04: "gen2_memory_locked",
    0x0B: "gen2_insufficient_power",
    0x0F: "gen2_non_specific_error",
}


class Reason(Enum):
    """Why bytes are no frame."""

    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    BAD_CHECKSUM = "bad_checksum"
    BAD_TAG_CRC = "bad_tag_crc"
    TOO_LONG = "too_long"


class Kind(Enum):
    TAG = "tag"
    NO_TAG = "no_tag"
    ERROR = "error"
    INFO = "info"
    REGION = "region"
    POWER = "power"
    READ = "read"
    DONE = "done"
    SCAN = "scan"
    OK = "ok"  # an answer of one byte: done or not
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """How strong the channels are, before anything is said there."""

    name: str  # channel, jammer
    first: int
    last: int
    dbm: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame, whole and understood."""

    kind: Kind
    command: int
    pc: int | None = None
    epc: bytes | None = None
    rssi_dbm: int | None = None
    crc: int | None = None
    ok: bool | None = None
    error_code: int | None = None
    info: str | None = None
    text: str | None = None
    region: str | None = None
    power_cdbm: int | None = None
    scan: Scan | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Bytes that began like a frame and are none."""

    reason: Reason
    sample: bytes


def error_name(code: int) -> str | None:
    """The manual's word for an error, or Gen2's for what a tag answered."""
    if code & 0xF0 in _GEN2_OPERATIONS:
        return _GEN2.get(code & 0x0F)
    return _ERRORS.get(code)


def frame_size(prefix: bytes) -> int | Reason:
    """Bytes of the frame that begins with these five, or why none does."""
    kind, command, size = prefix[1], prefix[2], prefix[3] << 8 | prefix[4]
    if kind > NOTICE:
        return Reason.MALFORMED
    if size > PARAMETERS_BYTES_MAX:
        return Reason.TOO_LONG
    is_tag = kind == NOTICE and command == POLL_ONCE
    if is_tag and not TAG_BYTES_MIN <= size <= TAG_BYTES_MAX:
        return Reason.MALFORMED
    return size + AROUND_BYTES


def decode(frame: bytes) -> Frame | Reason:
    """What a frame says whose length `frame_size` has told."""
    if frame[-1] != MARKS[frame[0]]:
        return Reason.MALFORMED
    if sum(frame[1:-2]) & 0xFF != frame[-2]:
        return Reason.BAD_CHECKSUM
    command, parameters = frame[2], frame[PREFIX_BYTES:-2]
    if frame[1] == NOTICE and command == POLL_ONCE:
        return _tag(parameters)
    if frame[1] == ANSWER:
        return _answer(command, parameters) or _other(command, parameters)
    return _other(command, parameters)


def _tag(parameters: bytes) -> Frame | Reason:
    crc = parameters[-2] << 8 | parameters[-1]
    if crc_hqx(parameters[1:-2], 0xFFFF) ^ 0xFFFF != crc:
        return Reason.BAD_TAG_CRC
    rssi_dbm = parameters[0]
    return Frame(
        kind=Kind.TAG,
        command=POLL_ONCE,
        rssi_dbm=rssi_dbm - 256 if rssi_dbm > 127 else rssi_dbm,
        pc=parameters[1] << 8 | parameters[2],
        epc=parameters[3:-2],
        crc=crc,
    )


def _answer(command: int, parameters: bytes) -> Frame | None:
    """None if it is not as the manual says: then it is shown as it came."""
    if not parameters:
        return None
    if command == FAILED:
        return _failed(parameters)
    if command in _STATUS_ONLY and len(parameters) == 1:
        return Frame(kind=Kind.OK, command=command, ok=parameters[0] == 0)
    if command == GET_INFO and parameters[0] < len(INFOS):
        text = parameters[1:].decode("ascii", errors="replace").strip("\0 ")
        return Frame(kind=Kind.INFO, command=command, info=INFOS[parameters[0]], text=text)
    if command == GET_REGION and len(parameters) == 1 and parameters[0] in REGIONS:
        return Frame(kind=Kind.REGION, command=command, region=REGIONS[parameters[0]])
    if command == GET_POWER and len(parameters) == 2:
        return Frame(kind=Kind.POWER, command=command, power_cdbm=int.from_bytes(parameters, "big"))
    if command in {SCAN_JAMMER, SCAN_CHANNEL}:
        return _scan(command, parameters)
    if command == _READ or command in _DONE:
        return _at_a_tag(command, parameters)
    return None


def _failed(parameters: bytes) -> Frame | None:
    code, rest = parameters[0], parameters[1:]
    if code == NO_TAG:
        return Frame(kind=Kind.NO_TAG, command=FAILED, error_code=code)
    named = _named_tag(rest)
    pc, epc, data = named if named is not None else (None, None, rest)
    return Frame(
        kind=Kind.ERROR,
        command=FAILED,
        ok=False,
        error_code=code,
        pc=pc,
        epc=epc,
        data=data or None,
    )


def _at_a_tag(command: int, parameters: bytes) -> Frame | None:
    named = _named_tag(parameters)
    if named is None:
        return None
    pc, epc, data = named
    if command == _READ:
        return Frame(kind=Kind.READ, command=command, pc=pc, epc=epc, data=data)
    if len(data) != 1:
        return None
    return Frame(kind=Kind.DONE, command=command, pc=pc, epc=epc, ok=data[0] == 0)


def _named_tag(parameters: bytes) -> tuple[int, bytes, bytes] | None:
    """Length, PC, EPC, and what is left."""
    size = parameters[0] if parameters else 0
    if size < 2 or len(parameters) < 1 + size:
        return None
    return parameters[1] << 8 | parameters[2], parameters[3 : 1 + size], parameters[1 + size :]


def _scan(command: int, parameters: bytes) -> Frame | None:
    if len(parameters) < 2 or len(parameters) != 2 + parameters[1] - parameters[0] + 1:
        return None
    dbm = tuple(byte - 256 if byte > 127 else byte for byte in parameters[2:])
    name = "jammer" if command == SCAN_JAMMER else "channel"
    scan = Scan(name=name, first=parameters[0], last=parameters[1], dbm=dbm)
    return Frame(kind=Kind.SCAN, command=command, scan=scan)


def _other(command: int, parameters: bytes) -> Frame:
    return Frame(kind=Kind.OTHER, command=command, data=parameters or None)
