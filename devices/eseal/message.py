"""What one message says: the value behind the JSON line (DEVICES sections 4.1 and 4.3).

Source: captured messages; alarms beyond them rest on published tables (DEVICES section 10).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from devices import SAMPLE_BYTES_MAX

PROTOCOL = "eseal"
MODEL = "eSeal"

_PREFIX_FIELDS = 5  # mark, type, id, customer, firmware
_REPORT_FIELDS = 20
_ANSWERS = (" OK", " ACK")
_SOURCES = {
    "Event-Door": "door",
    "Event-Shock": "shock",
    "Event-Drop": "drop",
    "Event-Lock": "lock",
    "Event-RC-Unlock": "remote_unlock",
}
_LOCKED = {"Event-Lock": True, "Event-RC-Unlock": False}
_REPORTS = frozenset({"Startup", "Normal", "Button-Normal", "Termination"})
_DOORS = {"Open": False, "Close": True}
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d),(\d\d):(\d\d):(\d\d)")
_PLACE = re.compile(r"(\d{1,2})(?:\.(\d{1,9}))?([NS]) (\d{1,3})(?:\.(\d{1,9}))?([EW])")
_NUMBER = re.compile(r"(-?)(\d{1,6})(?:\.(\d{1,6}))?")
_NFC = re.compile(r"\d{1,9}(?::\d{1,9}){0,7}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK_NEVER_SET = 2000


class Reason(Enum):
    """Why bytes are no message."""

    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    TOO_LONG = "too_long"


class Kind(Enum):
    REPORT = "report"
    EVENT = "event"
    REPLY = "reply"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The fifteen fields behind the message's name."""

    index: int
    time_ms: int | None
    time_ok: bool  # False if impossible, or in 2000: the clock was never set
    lat_e7: int  # as reported, whatever its validity
    lon_e7: int
    fix: bool
    course_deg: int | None
    speed_m_h: int  # metres an hour
    door_closed: bool
    acceleration_mg: int
    nfc: tuple[int, ...]  # meaning unknown
    battery_mv: int
    rssi_dbm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message, whole and understood: the value behind the JSON line (DEVICES section 4.1)."""

    raw: bytes
    kind: Kind
    seal_id: str
    prefix: str  # what begins all that is said to this seal
    message: str
    report: Report | None = None
    source: str | None = None  # of an event that is published
    locked: bool | None = None
    vibration: bool | None = None
    values: tuple[str, ...] = ()  # of an answer
    ack: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Bytes that began like a message and are none."""

    reason: Reason
    sample: bytes


def decode(data: bytes, config: str | None = None) -> Frame | Refused:
    """What one message says, from `##S` to `E##`."""
    if not (data.isascii() and data.decode("ascii").isprintable()):
        return refuse(Reason.MALFORMED, data)
    fields = data.decode("ascii").split(",")
    if len(fields) < _PREFIX_FIELDS + 2 or fields[1] != MODEL or not fields[2].isdecimal():
        return refuse(Reason.MALFORMED, data)
    prefix = ",".join(fields[:_PREFIX_FIELDS])
    message = fields[_PREFIX_FIELDS]
    for answer in _ANSWERS:
        if message.endswith(answer):
            values = tuple(fields[_PREFIX_FIELDS + 1 : -1])
            return Frame(
                raw=data,
                kind=Kind.REPLY,
                seal_id=fields[2],
                prefix=prefix,
                message=message.removesuffix(answer),
                values=values if any(values) else (),
            )
    report = _report(fields)
    if report is None:
        return refuse(Reason.MALFORMED, data)
    return Frame(
        raw=data,
        kind=_kind(message),
        seal_id=fields[2],
        prefix=prefix,
        message=message,
        report=report,
        source=_SOURCES.get(message),
        locked=_LOCKED.get(message),
        vibration=True if message == "Event-Shock" else None,
        ack=_ack(prefix, message, report.index, config),
    )


def _kind(message: str) -> Kind:
    if message.startswith("Event-"):
        return Kind.EVENT
    return Kind.REPORT if message in _REPORTS else Kind.OTHER


def _ack(prefix: str, message: str, index: int, config: str | None) -> bytes | None:
    if message != "Startup":
        return f"{prefix},{message} ACK,{index},E##\r\n".encode("ascii")
    if config is None:
        return None  # it would set the seal to nothing
    return f"{prefix},Startup ACK,{index},{config},E##\r\n".encode("ascii")


def _report(fields: Sequence[str]) -> Report | None:
    if len(fields) != _REPORT_FIELDS:
        return None
    index, date, time, interval, valid, place, course, speed, door, mg, nfc, volt, dbm = fields[
        6:19
    ]
    time_ok = _time(f"{date},{time}")
    lat_lon = _lat_lon(place)
    numbers = [_thousandths(number) for number in (course, speed, mg, volt, dbm)]
    if time_ok is None or lat_lon is None or not (_is_whole(index) and _is_whole(interval)):
        return None
    if valid not in {"A", "V"} or door not in _DOORS or not _NFC.fullmatch(nfc):
        return None
    course_m, speed_m_h, acceleration_mg, battery_mv, rssi_m = numbers
    if course_m is None or speed_m_h is None or acceleration_mg is None:
        return None
    if battery_mv is None or rssi_m is None or speed_m_h < 0:
        return None
    return Report(
        index=int(index),
        time_ms=time_ok[0],
        time_ok=time_ok[1],
        lat_e7=lat_lon[0],
        lon_e7=lat_lon[1],
        fix=valid == "A" and lat_lon != (0, 0),
        course_deg=_course(course_m // 1_000),
        speed_m_h=speed_m_h,
        door_closed=_DOORS[door],
        acceleration_mg=acceleration_mg,
        nfc=tuple(int(count) for count in nfc.split(":")),
        battery_mv=battery_mv,
        rssi_dbm=rssi_m // 1_000,
    )


def _time(text: str) -> tuple[int | None, bool] | None:
    """Unix ms and whether to believe it; None if the text has not the form of a time."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    try:
        year, month, day, hour, minute, second = map(int, match.groups())
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None, False
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000, moment.year > _CLOCK_NEVER_SET


def _lat_lon(text: str) -> tuple[int, int] | None:
    match = _PLACE.fullmatch(text)
    if match is None:
        return None
    lat_e7, lon_e7 = _e7(match[1], match[2]), _e7(match[4], match[5])
    if lat_e7 > 900_000_000 or lon_e7 > 1_800_000_000:
        return None
    return (lat_e7 if match[3] == "N" else -lat_e7), (lon_e7 if match[6] == "E" else -lon_e7)


def _e7(degrees: str, digits: str | None) -> int:
    return int(degrees) * 10_000_000 + (int((digits or "").ljust(9, "0")) + 50) // 100


def _thousandths(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    size = int(match[2]) * 1_000 + int((match[3] or "").ljust(3, "0")[:3])
    return -size if match[1] else size


def _course(course_deg: int) -> int | None:
    if course_deg == 360:
        return 0
    return course_deg if 0 <= course_deg < 360 else None


def _is_whole(text: str) -> bool:
    return text.isdecimal() and len(text) <= 9


def refuse(reason: Reason, data: bytes) -> Refused:
    return Refused(reason=reason, sample=data[:SAMPLE_BYTES_MAX])
