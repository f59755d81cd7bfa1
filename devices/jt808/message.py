"""What one frame means: header, body, acknowledgement (DEVICES section 4.4).

Source: captured frames of three kinds of locks; JT/T 808-2013 and -2019 for header, escaping, 0200 and 0704.
"""

import re
from dataclasses import replace
from datetime import date
from functools import lru_cache
from struct import Struct

from devices import DataType
from devices.jt808.frame import Frame, Kind, Reason, Report
from devices.jt808.tlvs import PASSWORD, PASSWORD_BYTES, read_0200, read_55xx, tlvs_of

MARK = b"\x7e"
CONTENT_BYTES_MAX = 1_100  # after un-escaping; DEVICES section 1

_ESCAPE_WRONG = re.compile(rb"\x7d(?![\x01\x02])")
_SHORT_SERIALS = frozenset({0x5501, 0x5502})
_WITH_VERSION = 1 << 14  # JT/T 808-2019
_IN_PARTS = 1 << 13
_WANTS_REPLY = 1 << 15  # on 55xx
_LENGTH = 0x3FF
_PLACE = Struct(">IIIIHHH6s")
_PLACE_55XX = Struct(">17sBBIBIHBHH")  # head, gsm, sats, mileage, battery, cell, LAC, product ...
_CHARGING = frozenset({0xAA, 0xAB})
_M_PER_KNOT_HOUR = 1_852
_EPOCH = date(1970, 1, 1)
_CLOCK_NEVER_SET = "00"  # of the year 2000
_STARS = b"*" * 6
_BATCH = 0x0704  # several bodies of 0200 at once: what a lock kept while it had no network
_BATCH_HEAD_BYTES = 3  # count u16, type
_BATCH_TYPES = {0: DataType.LIVE, 1: DataType.BACKLOG}
_ACKNOWLEDGED = frozenset({0x0200, _BATCH})


def unescape(data: bytes) -> bytes | None:
    """What stood between the marks; None if 7D is followed by anything but 01 and 02."""
    if b"\x7d" not in data:
        return data
    if _ESCAPE_WRONG.search(data):
        return None
    return data.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")


def xor_of(data: bytes) -> int:
    """All bytes under XOR: folded in halves, for byte by byte it was a third of a frame's time."""
    folded, size = int.from_bytes(data, "big"), len(data)
    while size > 1:
        size = (size + 1) // 2
        folded = folded >> 8 * size ^ folded & (1 << 8 * size) - 1
    return folded


def wrap(content: bytes) -> bytes:
    """`content`, escaped, between its marks."""
    return MARK + content.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + MARK


def decode(content: bytes, utc_offset_min: int, raw: bytes) -> Frame | Reason:
    """What a frame says whose escaping is undone: id to XOR; `raw` is how it came."""
    if len(content) < 5:
        return Reason.MALFORMED
    message = content[0] << 8 | content[1]
    attributes = content[2] << 8 | content[3]
    version_bytes, id_bytes = (1, 10) if attributes & _WITH_VERSION else (0, 6)
    serial_at = 4 + version_bytes + id_bytes
    start = serial_at + (1 if message in _SHORT_SERIALS else 2)
    if len(content) < start + 1:
        return Reason.MALFORMED
    if xor_of(content):
        return Reason.BAD_CHECKSUM
    body_bytes = len(content) - 1 - start - (4 if attributes & _IN_PARTS else 0)
    seal_id = content[4 + version_bytes : serial_at].hex()
    if body_bytes != attributes & _LENGTH or not seal_id.isdecimal():
        return Reason.MALFORMED
    reports: list[Report] = []
    if not attributes & _IN_PARTS:  # a part of a longer message says nothing by itself
        read = _read_reports(message, content[:-1], start, utc_offset_min)
        if isinstance(read, Reason):
            return read
        reports = read
    return Frame(
        raw=_without_password(raw, content, start + _PLACE_55XX.size, message),
        kind=_kind(message, reports),
        seal_id=seal_id,
        message=f"{message:04X}",
        serial=int.from_bytes(content[serial_at:start], "big"),
        report=reports[0] if reports else None,
        more=tuple(reports[1:]),
        ack=_ack(content, serial_at, start, message, attributes) if reports else None,
    )


def _read_reports(
    message: int, body: bytes, start: int, utc_offset_min: int
) -> list[Report] | Reason:
    """None at all for a message that is not of ours."""
    if message == _BATCH:
        return _read_0704(body, start, utc_offset_min)
    if message == 0x0200:
        report = _read_0200(body, start, utc_offset_min)
    elif message in _SHORT_SERIALS:
        report = _read_55xx(body, start, message)
    else:
        return []
    return report if isinstance(report, Reason) else [report]


def _read_0704(body: bytes, start: int, utc_offset_min: int) -> list[Report] | Reason:
    """Count, type, then length u16 and a body of 0200 each; all of it fits, or nothing is believed."""
    head, at = body[start : start + _BATCH_HEAD_BYTES], start + _BATCH_HEAD_BYTES
    if len(head) < _BATCH_HEAD_BYTES or head[2] not in _BATCH_TYPES:
        return Reason.MALFORMED
    reports: list[Report] = []
    while at + 2 <= len(body):
        end = at + 2 + int.from_bytes(body[at : at + 2], "big")
        report = _read_0200(body[:end], at + 2, utc_offset_min)
        if end > len(body) or isinstance(report, Reason):
            return Reason.MALFORMED
        reports.append(replace(report, data_type=_BATCH_TYPES[head[2]]))
        at = end
    is_whole = at == len(body) and len(reports) == int.from_bytes(head[:2], "big")
    return reports if is_whole else Reason.MALFORMED


def _kind(message: int, reports: list[Report]) -> Kind:
    if reports:
        return Kind.REPORT
    return Kind.HEARTBEAT if message == 0x0002 else Kind.OTHER


def _ack(content: bytes, serial_at: int, start: int, message: int, attributes: int) -> bytes | None:
    """8001 or 4401 in the lock's own kind of header, with our own serial."""
    to = content[4:serial_at]  # version, if there is one, and terminal
    header = attributes & _WITH_VERSION
    if message in _ACKNOWLEDGED:
        said = b"\x80\x01" + (header | 5).to_bytes(2, "big") + to + b"\0\0"
        said += content[serial_at:start] + message.to_bytes(2, "big") + b"\x00"
    elif attributes & _WANTS_REPLY:
        said = b"\x44\x01" + (header | 3).to_bytes(2, "big") + to + b"\x01"
        said += message.to_bytes(2, "big") + b"\x00"
    else:
        return None
    return wrap(said + bytes([xor_of(said)]))


def _read_0200(body: bytes, start: int, utc_offset_min: int) -> Report | Reason:
    if len(body) < start + _PLACE.size:
        return Reason.MALFORMED
    alarm, status, lat_e6, lon_e6, alt_m, speed, course, moment = _PLACE.unpack_from(body, start)
    time_ms, time_ok = _time(moment.hex(), "ymd")
    if time_ms is not None:
        time_ms -= utc_offset_min * 60_000
    is_place = lat_e6 <= 90_000_000 and lon_e6 <= 180_000_000
    return Report(
        data_type=DataType.LIVE,
        time_ms=time_ms,
        time_ok=time_ok,
        lat_e7=(-lat_e6 if status & 4 else lat_e6) * 10 if is_place else None,
        lon_e7=(-lon_e6 if status & 8 else lon_e6) * 10 if is_place else None,
        fix=is_place and status & 2 != 0 and (lat_e6 | lon_e6) != 0,  # 0/0: an empty memory
        speed_m_h=speed * 100,
        course_deg=_course(course),
        alt_m=alt_m,
        status_raw=status.to_bytes(4, "big"),
        alarm_raw=alarm.to_bytes(4, "big"),
        extras=read_0200(body, start + _PLACE.size),
    )


def _read_55xx(body: bytes, start: int, message: int) -> Report | Reason:
    if len(body) < start + _PLACE_55XX.size:
        return Reason.MALFORMED
    head, gsm, sats, mileage_km, battery, cid, lac, product, status, alarm = (
        _PLACE_55XX.unpack_from(body, start)
    )
    digits = head.hex()
    if not digits[:29].isdecimal():
        return Reason.MALFORMED
    lat_e7 = _angle_e7(int(digits[12:14]), int(digits[14:20]))
    lon_e7 = _angle_e7(int(digits[20:23]), int(digits[23:29]))
    if lat_e7 is None or lon_e7 is None or lat_e7 > 900_000_000 or lon_e7 > 1_800_000_000:
        return Reason.MALFORMED
    flags = int(digits[29], 16)
    time_ms, time_ok = _time(digits[:12], "dmy")
    return Report(
        data_type=DataType.LIVE if message == 0x5501 else DataType.BACKLOG,
        time_ms=time_ms,
        time_ok=time_ok,
        lat_e7=lat_e7 if flags & 2 else -lat_e7,
        lon_e7=lon_e7 if flags & 4 else -lon_e7,
        fix=flags & 1 != 0 and (lat_e7 | lon_e7) != 0,
        speed_m_h=head[15] * _M_PER_KNOT_HOUR,
        course_deg=_course(head[16] * 2),
        gsm=gsm,
        sats=sats,
        mileage_km=mileage_km,
        battery_percent=battery if battery <= 100 else None,
        charging=True if battery in _CHARGING else False if battery <= 100 else None,
        cid=cid,
        lac=lac,
        product=product,
        status_raw=status.to_bytes(2, "big"),
        alarm_raw=alarm.to_bytes(2, "big"),
        extras=read_55xx(body, start + _PLACE_55XX.size),
    )


def _without_password(raw: bytes, content: bytes, tlvs_at: int, message: int) -> bytes:
    """`raw` with stars for what was typed at the lock; evidence is read by many."""
    if message not in _SHORT_SERIALS:
        return raw
    masked = content
    for name, at, value in tlvs_of(content[:-1], tlvs_at):
        if name == PASSWORD and len(value) == PASSWORD_BYTES:
            masked = masked[: at + 1] + _STARS + masked[at + 1 + len(_STARS) :]
    return raw if masked is content else wrap(masked)


def _time(digits: str, order: str) -> tuple[int | None, bool]:
    """Unix ms as if it were UTC, and whether it is to be believed; None if there is no such moment."""
    if not digits.isdecimal():
        return None, False
    day, hour, minute, second = _day(digits[:6], order), digits[6:8], digits[8:10], digits[10:12]
    if day is None or hour > "23" or minute > "59" or second > "59":
        return None, False
    since_s = (day * 24 + int(hour)) * 3_600 + int(minute) * 60 + int(second)
    year = digits[:2] if order == "ymd" else digits[4:6]
    return since_s * 1_000, year != _CLOCK_NEVER_SET


@lru_cache(maxsize=16)  # a seal speaks of today, and of a few days of backlog
def _day(digits: str, order: str) -> int | None:
    """Days since 1970; None if there is no such day."""
    first, month, last = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    year, day = (first, last) if order == "ymd" else (last, first)
    try:
        return (date(2000 + year, month, day) - _EPOCH).days
    except ValueError:
        return None


def _angle_e7(degrees: int, minutes_e4: int) -> int | None:
    if minutes_e4 >= 600_000:
        return None
    return degrees * 10_000_000 + (minutes_e4 * 100 + 3) // 6  # minutes / 60, half up


def _course(course_deg: int) -> int | None:
    if course_deg == 360:
        return 0
    return course_deg if course_deg < 360 else None
