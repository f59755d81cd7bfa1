"""What hardware says: bytes in, facts out; and the bytes to say back.

Law: pure. No room here opens a port, reads a clock, logs, or knows another room. `None` in a fact means "the device did not say,
or what it said is not to be believed": never 0, never a guess.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

__all__ = [
    "Counters",
    "DataType",
    "Fact",
    "Fix",
    "FixKind",
    "GnssStatus",
    "MisuseError",
    "NoFix",
    "NoFixReason",
    "Odd",
    "PositionSource",
    "Reader",
    "ReaderAnswer",
    "SealAlive",
    "SealAnswer",
    "SealEvent",
    "SealReport",
    "SealSecret",
    "TagRead",
    "TimeQuality",
    "from_bcd",
    "to_bcd",
]

SAMPLE_BYTES_MAX = 64  # enough to recognise a protocol by eye, too little to hold a secret for long
ODD_EVERY_MS = 10_000  # one remark per reason: a broken cable must not fill the card
READER_MEMORY_BYTES_MAX = 65_536


class MisuseError(Exception):
    """We called a room in a way that its contract forbids: our bug, never the peer's."""


class TimeQuality(Enum):
    """How well the receiver knows the time of an epoch."""

    NONE = "none"  # no time at all
    TOD = "tod"  # time of day without a date
    GNSS = "gnss"
    ROLLED = "rolled"  # the date was put right by 1024 or 2048 weeks


class FixKind(Enum):
    """Where a place comes from; the numbers on the wire are wire.records' affair."""

    GNSS = "gnss"
    DGNSS = "dgnss"
    PPS = "pps"
    RTK_FIXED = "rtk_fixed"
    RTK_FLOAT = "rtk_float"
    PRECISE = "precise"
    DEAD_RECKONING = "dead_reckoning"
    MANUAL = "manual"
    SIMULATED = "simulated"


class NoFixReason(Enum):
    """Why an epoch holds no fix; the numbers 1 to 6 are WIRE section 6, kind 11, in this order."""

    VOID = 1
    QUALITY_0 = 2
    NO_POSITION = 3
    TOO_FEW_SATS = 4
    FROZEN = 5
    CONTRADICTION = 6


class DataType(Enum):
    """Why a seal sent a report; the numbers are WIRE section 6, kind 5."""

    LIVE = 0
    ALARM = 1
    BACKLOG = 2
    RECENT = 3


class PositionSource(Enum):
    """What a seal's own place rests on."""

    GNSS = "gnss"
    CELL = "cell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """All that a receiver said about one instant, with a place that it vouches for."""

    at_ms: int  # when we heard the first of it, on the unit's clock
    time_ms: int | None  # the receiver's own time, Unix ms
    time_quality: TimeQuality
    tod_ms: int | None  # time of day in ms; set whenever the receiver gave a time
    lat_e7: int
    lon_e7: int
    alt_dm: int | None  # above mean sea level
    speed_cm_s: int | None
    course_cdeg: int | None  # 0..35999, true
    hdop_centi: int | None
    sats: int | None  # used
    err_cm: int | None  # the receiver's own estimate
    kind: FixKind
    mode: int  # 2 or 3
    said_by: tuple[str, ...]  # which of RMC, GGA, GNS, GLL claimed the place
    digits: dict[str, str] | None = field(default=None, compare=False)  # the chosen fields as text


@dataclass(frozen=True, slots=True, kw_only=True)
class NoFix:
    """An epoch in which the receiver spoke and had no place."""

    at_ms: int
    time_ms: int | None
    reason: NoFixReason


@dataclass(frozen=True, slots=True, kw_only=True)
class GnssStatus:
    """The sky and the receiver's health."""

    at_ms: int
    in_view: int | None
    tracked: int | None
    used: int | None
    systems: tuple[tuple[str, int, int, int], ...]  # (system, in_view, tracked, used)
    cn0_top4_cdb: int | None  # mean of the four strongest, hundredths of dBHz
    cn0_std_cdb: int | None
    strong_25: int | None  # satellites above 25 dBHz
    antenna: str | None  # OK, SHORT, OPEN, DONTKNOW
    jam_state: int | None  # 0 unknown, 1 ok, 2 warning, 3 critical
    jam_level: int | None  # 0..255
    spoof_state: int | None  # 0 unknown, 1 none, 2 indicated, 3 several
    agc_permille: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealReport:
    """One report of a seal. Levels and alarms: True, False, or None where the seal does not say."""

    at_ms: int
    seal_id: str
    protocol: str
    model: str | None
    data_type: DataType
    time_ms: int | None
    time_ok: bool
    lat_e7: int | None = None  # only if the frame's own fix bit vouches for it
    lon_e7: int | None = None
    reported_lat_e7: int | None = None  # what the frame says whatever its validity
    reported_lon_e7: int | None = None
    position_source: PositionSource | None = None
    speed_cm_s: int | None = None
    course_cdeg: int | None = None
    sats: int | None = None
    locked: bool | None = None
    rope_in: bool | None = None
    cover_closed: bool | None = None
    door_closed: bool | None = None
    rope_cut: bool | None = None
    cover_opened: bool | None = None
    removed: bool | None = None
    opened_while_sealed: bool | None = None
    illegal_card: bool | None = None
    wrong_password: bool | None = None
    motor_stuck: bool | None = None
    vibration: bool | None = None
    long_unlocked: bool | None = None
    low_battery: bool | None = None
    enter_fence: bool | None = None
    exit_fence: bool | None = None
    battery_percent: int | None = None
    charging: bool | None = None
    battery_mv: int | None = None
    mileage_km: float | None = None
    gsm: int | None = None
    wake: str | None = None
    slaves: tuple[dict[str, object], ...] = ()
    serial: int | None = None
    status_raw: bytes | None = None
    frame: bytes = b""
    ack: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealEvent:
    """Something was done at a seal: a card, a password, an opening, a refusal."""

    at_ms: int
    seal_id: str
    protocol: str
    time_ms: int | None
    kind: str  # "access", "cards_registered", "door", "shock", ...: the room's docstring lists them
    source: str | None  # card, static_password, auto_lock, ...
    verification: int | None = None
    authorised: bool | None = None
    opened: bool | None = None
    locked: bool | None = None  # what the event proves about the lock, else None
    fence_id: int | None = None
    card: str | None = None
    password_ok: bool | None = None
    wrong_passwords: int | None = None
    alarm: bool = False
    lat_e7: int | None = None
    lon_e7: int | None = None
    position_source: PositionSource | None = None
    speed_cm_s: int | None = None
    serial: int | None = None
    frame: bytes = b""
    ack: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealAnswer:
    """A seal's answer to one of our orders."""

    at_ms: int
    seal_id: str
    command: str
    ok: bool | None  # None: no answer in time; nobody knows
    wrong_passwords: int | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSecret:
    """A dynamic password that the seal tells. Goes to agent/orders and nowhere else."""

    at_ms: int
    seal_id: str
    secret: bytes = field(repr=False)
    ack: bytes | None = field(default=None, repr=False)  # holds the password again


@dataclass(frozen=True, slots=True, kw_only=True)
class SealAlive:
    """A heartbeat: the seal is there and says nothing else."""

    at_ms: int
    seal_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRead:
    """One tag, read once or several times in a round."""

    at_ms: int
    epc: bytes  # as on the air, not its printed form
    pc: int | None
    rssi_cdbm: int | None  # hundredths of a dBm, on the reader's own scale
    antenna: int | None
    count: int
    reader: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderAnswer:
    """An RFID reader's answer to one of our orders."""

    at_ms: int
    command: str
    ok: bool | None
    code: int | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """Bytes that were refused: told at most once in ten seconds for each reason."""

    at_ms: int
    protocol: str
    reason: str
    sample: bytes  # at most 64 bytes, no secret in it


Fact = (
    Fix
    | NoFix
    | GnssStatus
    | SealReport
    | SealEvent
    | SealAnswer
    | SealSecret
    | SealAlive
    | TagRead
    | ReaderAnswer
    | Odd
)

Counters = Counter[str]


class Reader(Protocol):
    """The shape of every reader (DEVICES section 1); seals also take orders."""

    counters: Counters

    def feed(self, data: bytes, now_ms: int) -> list[Fact]:
        """Facts that `data` completes. Never raises; any cutting of the bytes gives the same facts."""
        ...

    def wake(self, now_ms: int) -> list[Fact]:
        """Time has passed: closes epochs, ends waiting."""
        ...

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, on the axis of `now_ms`."""
        ...

    def take_bytes(self) -> bytes:
        """What to write to the device now; empty most of the time."""
        ...


def from_bcd(data: bytes) -> int | None:
    """The decimal number that `data` spells in BCD, or None if a nibble is above 9."""
    text = data.hex()
    return int(text) if text.isdecimal() else None


def to_bcd(number: int, size_bytes: int) -> bytes:
    """`number` in BCD, `size_bytes` long; MisuseError if it does not fit."""
    text = f"{number:0{size_bytes * 2}d}"
    if number < 0 or len(text) > size_bytes * 2:
        raise MisuseError(f"{number} does not fit into {size_bytes} bytes of BCD")
    return bytes.fromhex(text)
