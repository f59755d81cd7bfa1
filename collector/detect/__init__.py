"""What happened: findings from facts, in event time, once (DETECTION).

Law: detectors do no I/O and read no clock; the same batches give the same findings, however ticks are cut.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from wire.canon import encode

__all__ = [
    "EAEU_SITUATIONS",
    "PRIORITIES",
    "U_CM_MAX",
    "Finding",
    "Fix",
    "Gap",
    "Hit",
    "Level",
    "Phase",
    "Place",
    "Priority",
    "Sample",
    "Settled",
    "SettledAs",
    "Signal",
    "finding_key",
    "place_in",
    "place_out",
    "signal_in",
    "signal_out",
    "stamp",
    "whole",
]


class Level(Enum):
    """A record is evidence without sound; an alert has a row in DETECTION section 8."""

    RECORD = "record"
    ALERT = "alert"


class Phase(Enum):
    POINT = "point"
    BEGIN = "begin"
    CHANGE = "change"
    END = "end"


class Priority(Enum):
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


PRIORITIES: dict[str, Priority] = {  # DETECTION section 8: a code of this table is an alert
    "SEAL_OPEN_UNAUTHORISED": Priority.P1,
    "SEAL_CASING_TAMPER": Priority.P1,
    "SEAL_ID_MISMATCH": Priority.P1,
    "DOOR_OPEN_UNAUTHORISED": Priority.P1,
    "LOG_INTEGRITY": Priority.P1,
    "DRIVER_DISTRESS": Priority.P1,
    "FORBIDDEN_ZONE": Priority.P1,
    "LEGAL_ROUTE_DEVIATION": Priority.P1,
    "ROUTE_DEVIATION": Priority.P2,
    "ROUTE_PART_SKIPPED": Priority.P2,
    "ROUTE_WRONG_WAY": Priority.P2,
    "SEAL_LEFT_OPEN": Priority.P2,
    "SEAL_ACCESS_REFUSED": Priority.P2,
    "SEAL_LOST": Priority.P2,
    "RFID_CARGO_MISMATCH": Priority.P2,
    "GNSS_INTERFERENCE": Priority.P2,
    "UNIT_SEPARATED": Priority.P2,
    "TIME_LIMIT_EXCEEDED": Priority.P2,
    "CONTACT_LOST": Priority.P3,
    "UNSCHEDULED_STOP": Priority.P3,
    "STOP_OVERSTAY": Priority.P3,
    "TIME_LIMIT_RISK": Priority.P3,
    "BATTERY_LOW": Priority.P3,
    "DEVICE_FAULT": Priority.P3,
    "CLOCK_DRIFT": Priority.P3,
}

EAEU_SITUATIONS: dict[str, str] = {  # DETECTION section 7.7: the union's situation that a code is
    "SEAL_OPEN_UNAUTHORISED": "01",
    "SEAL_CASING_TAMPER": "02",
    "LEGAL_ROUTE_DEVIATION": "03",
    "FORBIDDEN_ZONE": "03",
    "DEVICE_FAULT": "04",
    "GNSS_INTERFERENCE": "04",
    "CLOCK_DRIFT": "04",
    "BATTERY_LOW": "05",
    "CONTACT_LOST": "06",
    "SEAL_LOST": "06",
    "SEAL_ID_MISMATCH": "07",
    "SEAL_ACCESS_REFUSED": "07",
    "DOOR_OPEN_UNAUTHORISED": "07",
    "RFID_CARGO_MISMATCH": "07",
    "UNIT_SEPARATED": "07",
    "LOG_INTEGRITY": "07",
}


U_CM_MAX = (
    10_000  # a fix that may be 100 m away from the truth confirms nothing (DETECTION section 1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found. (id, n) is unique in the store; keys and order of the JSON form are DETECTION section 15."""

    id: bytes  # 16 bytes, from the evidence (DETECTION section 2, Ids)
    n: int  # running number within the id: begin 0, then every change and the end
    code: str
    level: Level
    priority: Priority | None  # None for records
    phase: Phase
    unit: str
    chain: bytes | None
    seq: int | None  # the record that began it; None without one
    at_ms: int  # when it happened: the first crossing, not its confirmation
    confirmed_ms: int  # event time of the fact that proved it
    received_ms: int | None
    late: bool | None
    lat_e7: int | None = None
    lon_e7: int | None = None
    zone: str | None = None
    route: str | None = None
    seal: str | None = None
    value: int | float | str | None = None  # m, s, m/s or %, or a word
    data: dict[str, object] = field(
        default_factory=dict
    )  # keys named in DETECTION section 7; plain values only


class SettledAs(Enum):
    """What the pass in order made of a finding that an early copy had raised (DETECTION section 2)."""

    CONFIRMED = "confirmed"
    AMENDED = "amended"  # the same id says something else; `finding` holds what
    WITHDRAWN = "withdrawn"  # the chain knows better; the alert stays and says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The chain's word on an early finding, by its id."""

    id: bytes
    outcome: SettledAs
    finding: Finding  # as it holds now; of a withdrawn one: as it was raised


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A row for rules over several units: never a position stream, only what is odd (DETECTION section 2)."""

    unit: str
    kind: str  # jumped, jammed, lost
    t_ms: int
    lat_e7: int
    lon_e7: int
    received_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One place in 30 s of a unit that shares its journey with others: they are compared (DETECTION section 7.7)."""

    unit: str
    journey: str
    t_ms: int
    lat_e7: int
    lon_e7: int
    u_cm: int
    received_ms: int | None
    gnss: tuple[str, ...] = ()  # classes of interference that ran


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A silence that nothing but the network explains, and where along which route it began (DETECTION section 7.6)."""

    route: str
    mark: int  # of the route's shape
    number: int  # of the last full 2 km
    lasted_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A good fix, as far as a later one needs it."""

    seq: int
    t_ms: int
    lat_e7: int
    lon_e7: int
    u_cm: int  # uncertainty: DETECTION section 1

    @property
    def u_m(self) -> float:
        return self.u_cm / 100

    @property
    def sharp(self) -> bool:
        """Good enough to confirm anything."""
        return self.u_cm <= U_CM_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A fix of the chain that a detector steps, with what it must not look up."""

    place: Place
    speed_cm_s: int | None
    flags: int
    prev: Place | None  # the last good fix before it in the chain, also when that one was dull
    broken: bool = False  # no segment leads from `prev` to here
    rollover: bool = False  # its date was put right by 1,024 weeks

    @property
    def dt_ms(self) -> int:
        """Time since `prev`; 0 without one."""
        return 0 if self.prev is None else self.place.t_ms - self.prev.t_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """What a detector found, before the engine adds unit, chain, receipt and id."""

    code: str
    at_ms: int
    origin_seq: int
    subject: str = ""
    phase: Phase = Phase.POINT
    n: int = 0
    priority: Priority | None = None  # where it differs from the table
    lat_e7: int | None = None
    lon_e7: int | None = None
    zone: str | None = None
    route: str | None = None
    seal: str | None = None
    value: int | float | str | None = None
    data: dict[str, object] = field(default_factory=dict)


def place_out(place: Place | None) -> tuple[int, ...] | None:
    """A place as a state's blob holds it; `place_in` reads it."""
    if place is None:
        return None
    return (place.seq, place.t_ms, place.lat_e7, place.lon_e7, place.u_cm)


def place_in(packed: object) -> Place | None:
    if packed is None:
        return None
    assert isinstance(packed, list | tuple)
    seq, t_ms, lat_e7, lon_e7, u_cm = packed
    return Place(seq=seq, t_ms=t_ms, lat_e7=lat_e7, lon_e7=lon_e7, u_cm=u_cm)


def signal_out(signal: Signal) -> tuple[int | str | None, ...]:
    """A signal as a row of the cross pass holds it; `signal_in` reads it."""
    return (
        signal.unit,
        signal.kind,
        signal.t_ms,
        signal.lat_e7,
        signal.lon_e7,
        signal.received_ms,
    )


def signal_in(packed: object) -> Signal:
    assert isinstance(packed, list | tuple)
    unit, kind, t_ms, lat_e7, lon_e7, received_ms = packed
    return Signal(
        unit=str(unit),
        kind=str(kind),
        t_ms=whole(t_ms),
        lat_e7=whole(lat_e7),
        lon_e7=whole(lon_e7),
        received_ms=None if received_ms is None else whole(received_ms),
    )


def whole(value: object) -> int:
    """A number of a blob that `pack` wrote."""
    assert isinstance(value, int)
    return value


def stamp(t_ms: int) -> str:
    """RFC 3339, UTC, milliseconds: how a finding's data names a time."""
    moment = datetime.fromtimestamp(t_ms // 1_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{t_ms % 1_000:03d}Z"


def finding_key(unit: str, chain: bytes | None, origin_seq: int, code: str, subject: str) -> bytes:
    """What a finding's id is the hash of: the evidence it stands on (DETECTION section 2, Ids)."""
    return encode((1, unit, chain, origin_seq, code, subject))
