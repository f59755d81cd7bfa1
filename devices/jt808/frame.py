"""What one frame says: the value behind the JSON line and the facts."""

from dataclasses import dataclass, field
from enum import Enum

from devices import DataType

PROTOCOL = "jt808"


class Reason(Enum):
    """Why bytes are no frame."""

    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    BAD_CHECKSUM = "bad_checksum"
    TOO_LONG = "too_long"


class Kind(Enum):
    REPORT = "report"
    HEARTBEAT = "heartbeat"
    REPLY = "reply"  # a line of text: the answer to somebody's order
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """TLV 60: something was done at the lock; or TLV 0B, of which only the frame of it is published."""

    number: int | None  # of TLV 60
    source: str | None  # None: a number that no table names
    is_alarm: bool | None
    opened: bool | None = None
    authorised: bool | None = None
    locked: bool | None = None  # what the event proves about the lock
    is_outside: bool = False  # refused because of the place
    card: str | None = None  # or the user's name, as the lock has it
    slave_id: str | None = None
    type_raw: int | None = None
    result_raw: int | None = None
    password_given: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slave:
    """A sub-lock that speaks through this one."""

    id: str
    locked: bool | None
    state_raw: str
    battery_mv: int | None = None
    battery_percent: int | None = None
    rssi_raw: int | None = None
    card: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What TLVs add to a report; the meaning of each is in `tlvs`."""

    events: tuple[Event, ...] = ()
    slaves: tuple[Slave, ...] = ()
    mileage_km: float | None = None
    gsm: int | None = None
    sats: int | None = None
    battery_mv: int | None = None
    battery_percent: int | None = None
    removed: bool | None = None
    vibration: bool | None = None
    wake_raw: int | None = None
    alt_m: int | None = None
    tilt: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Where and how the lock is."""

    data_type: DataType
    time_ms: int | None
    time_ok: bool  # False if impossible, or in 2000: the clock was never set
    lat_e7: int | None  # as reported, whatever its validity; None if out of range
    lon_e7: int | None
    fix: bool
    speed_m_h: int  # metres an hour: knots and tenths of km/h both without a remainder
    course_deg: int | None
    status_raw: bytes
    alarm_raw: bytes
    extras: Extras
    mileage_km: float | None = None
    gsm: int | None = None
    sats: int | None = None
    battery_percent: int | None = None
    charging: bool | None = None
    alt_m: int | None = None
    cid: int | None = None
    lac: int | None = None
    product: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame, whole and understood."""

    raw: bytes = field(repr=False)  # as it came, but for a password, which is stars
    kind: Kind
    seal_id: str
    message: str  # the id in hex; of a text line its word
    serial: int | None = None
    report: Report | None = None  # the first, where there are several
    more: tuple[Report, ...] = ()  # the others of a 0704, in the lock's order
    ack: bytes | None = None

    @property
    def reports(self) -> tuple[Report, ...]:
        return () if self.report is None else (self.report, *self.more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Bytes that began like a frame and are none."""

    reason: Reason
    sample: bytes  # no password in it
