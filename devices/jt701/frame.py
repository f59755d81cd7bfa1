"""What one frame says, richer than the facts: the value behind the JSON line (DEVICES section 4.1).

Law: vocabulary only. None means that the frame does not say.
"""

from dataclasses import dataclass, field
from enum import Enum

from devices import DataType, PositionSource

PROTOCOL = "jt701"


class Reason(Enum):
    """Why bytes are no frame."""

    TRUNCATED = "truncated"  # the frame ended early, or another began inside it
    MALFORMED = "malformed"
    TOO_LONG = "too_long"


class Kind(Enum):
    REPORT = "report"
    EVENT = "event"
    HEARTBEAT = "heartbeat"
    TIME_REQUEST = "time_request"
    PASSWORD = "password"  # noqa: S105  # the name of a kind, no password
    PERIPHERAL = "peripheral"
    REPLY = "reply"
    TRACKER = "tracker"  # a vehicle tracker's message, no seal
    OTHER = "other"


class Source(Enum):
    """Who or what moved the lock, or tried to: field 10 of P45."""

    CARD = 1
    ILLEGAL_CARD = 2
    VEHICLE_CARD = 3
    STATIC_PASSWORD = 4
    AUTO_LOCK = 5
    DYNAMIC_PASSWORD = 6
    BLUETOOTH = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """When and where: 17 bytes in binary frames, nine fields in P45."""

    time_ms: int | None
    time_ok: bool  # False if impossible, or in 2000: the clock was never set
    lat_e7: int  # as reported, whatever its validity
    lon_e7: int
    source: PositionSource | None  # GNSS: the frame vouches for the place; CELL never does
    speed_m_h: int  # metres an hour: knots and km/h both without a remainder
    course_deg: int | None

    @property
    def fix(self) -> bool:
        return self.source is PositionSource.GNSS


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    cid: int
    lac: int
    mcc: int | None = None
    mnc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The tail of a lock's binary frame."""

    version: int  # 0x17, 0x19, ...: two BCD digits, kept as a byte
    mileage_km: int
    sats: int
    status: int
    battery_percent: int | None
    charging: bool | None
    gsm: int | None
    cell: Cell
    fence_id: int | None = None
    wake: str | None = None
    wake_raw: int | None = None  # a number that no manual names


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """P45: somebody or something moved the lock, or tried to."""

    source: Source | None
    source_raw: int
    verification: int
    opened: bool | None
    authorised: bool | None
    locked: bool | None
    fence_id: int | None
    refused_outside_fence: bool
    card: str | None
    password_ok: bool | None
    wrong_passwords: int | None
    mileage_km: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peripheral:
    """A sub-lock or sensor that speaks through the lock (WLNET,5)."""

    sensor_id: str
    time_ms: int | None
    time_ok: bool
    index: int
    battery_mv: int
    level_percent: int
    rssi_dbm: int
    type: int
    temperature_decic: int | None = None  # tenths of a degree Celsius
    humidity_percent: int | None = None
    payload: bytes | None = None  # where its layout is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    command: str
    values: tuple[str, ...] | None  # None where they would show a password
    ok: bool | None  # None: an answer whose verdict we cannot read
    wrong_passwords: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame, whole and understood."""

    raw: bytes = field(repr=False)  # may hold a password
    kind: Kind
    seal_id: str
    model: str | None = None
    word: str | None = None  # of a text frame
    data_type: DataType | None = None
    serial: int | None = None
    heads: tuple[Head, ...] = ()  # several in a tracker's frame
    lock: Lock | None = None
    access: Access | None = None
    peripheral: Peripheral | None = None
    answer: Answer | None = None
    secret: bytes | None = field(default=None, repr=False)
    ack: bytes | None = field(default=None, repr=False)  # to a password: holds it again


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Bytes that began like a frame and are none."""

    reason: Reason
    sample: bytes  # at most 64 bytes, no password in it
