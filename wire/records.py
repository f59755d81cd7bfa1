"""The records of a unit: fixes and events, with the names and numbers of WIRE sections 5 and 6.

Law: vocabulary only. A value that the device did not say is None here and never a number.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

Datum = (
    int | str | bytes | None | tuple["Datum", ...]
)  # what an event may hold; truth values are 0 and 1


class EventKind(IntEnum):
    """WIRE section 6. Unknown kinds are kept and shown as "kind N"."""

    GENESIS = 1
    BOOT = 2
    STOP = 3
    CLOCK = 4
    SEAL = 5
    ACCESS = 6
    TAGS = 7
    INPUT = 8
    ORDER_RESULT = 9
    POWER = 10
    GNSS = 11
    HEALTH = 12
    DROPPED = 13
    ALIVE = 14
    MOTION = 15
    LINK = 16
    PANIC = 17
    CONFIG = 18
    ROTATE = 19
    ODOMETER = 20


class WireFixKind(IntEnum):
    """Bits 0 to 2 of a fix's flags. NMEA numbers the two RTK kinds the other way."""

    GNSS = 1
    DGNSS = 2
    PRECISE = 3
    RTK_FLOAT = 4
    RTK_FIXED = 5
    DEAD_RECKONING = 6


class FixFlag(IntFlag):
    """Bits 3 to 15 of a fix's flags."""

    NO_ALT = 1 << 3
    NO_SPEED = 1 << 4
    NO_COURSE = 1 << 5
    NO_HDOP = 1 << 6
    NO_ERR = 1 << 7
    NO_SATS = 1 << 8
    THREE_D = 1 << 9
    MOVING = 1 << 10
    JAMMING = 1 << 11
    SPOOFING = 1 << 12
    DOUBTED = 1 << 13
    UNIT_CLOCK = 1 << 14
    EXTERNAL_POWER = 1 << 15


class SealBit(IntFlag):
    """Bits of `known` and `true` in a seal event (kind 5)."""

    LOCKED = 1 << 0
    ROPE_IN = 1 << 1
    COVER_CLOSED = 1 << 2
    DOOR_CLOSED = 1 << 3
    ROPE_CUT = 1 << 4
    COVER_OPENED = 1 << 5
    REMOVED = 1 << 6
    OPENED_WHILE_SEALED = 1 << 7
    ILLEGAL_CARD = 1 << 8
    WRONG_PASSWORD = 1 << 9
    MOTOR_STUCK = 1 << 10
    VIBRATION = 1 << 11
    LONG_UNLOCKED = 1 << 12
    LOW_BATTERY = 1 << 13
    ENTER_FENCE = 1 << 14
    EXIT_FENCE = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class FixRecord:
    """One kept fix. The recorder has rounded it to grain 1's steps before it exists (WIRE section 5)."""

    t_ms: int
    lat_e7: int
    lon_e7: int
    alt_dm: int | None
    speed_cm_s: int | None
    course_cdeg: int | None
    hdop_centi: int | None
    err_cm: int | None
    sats: int | None
    flags: int  # kind and bits 9..19; the absent bits 3..8 are set by wire.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One event; `data` as WIRE section 6 lists it for its kind."""

    kind: int
    t_ms: int
    mono_ms: int
    data: tuple[Datum, ...]


Record = FixRecord | EventRecord
