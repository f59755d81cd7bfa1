"""Binary frames: `$`, an id in BCD, one record (long form: locks) or several (short form: JT600 trackers).

Source: vendor manual "JT701D Protocol Manual" V1.4, checked against captured frames (DEVICES sections 4.2 and 10).
"""

from datetime import UTC, datetime
from struct import Struct

from devices import DataType, PositionSource
from devices.jt701.frame import Cell, Frame, Head, Kind, Lock, Reason

START = 0x24
BINARY_BYTES_MAX = 1_034  # 37 tracker records; DEVICES section 1
PREFIX_BYTES = 10  # enough to tell the form and the whole length
HEAD_BYTES = 17

_LONG_START = 10  # where the head of a long form begins
_TAIL = Struct(">IB4xHBHHB")  # mileage, satellites, vehicle id, status, battery, cell, LAC, GSM
_MORE = Struct(
    ">BBBx8xHHB"
)  # fence, wake source, MNC high, reserved, IMEI, cell high, MCC, MNC low
_SHORT_LENGTH = HEAD_BYTES + _TAIL.size + 1
_LENGTH_WITH_MORE = _SHORT_LENGTH + _MORE.size
# Captured of versions 01 and 17: four bytes more before the serial. No manual names them, so they stay in the frame.
_LENGTH_WITH_FOUR = _SHORT_LENGTH + 4
_VERSIONS_WITH_MORE = frozenset({0x17, 0x19})
_RECORD_BYTES = 27  # of a tracker; its length field leaves the index out
_RECORDS_START = 9
_DATA_TYPES = {1: DataType.LIVE, 2: DataType.ALARM, 3: DataType.BACKLOG, 4: DataType.RECENT}
_MODELS = {0x17: "JT701", 0x19: "JT701D"}
_WAKES = (
    "restart",
    "rtc",
    "vibration",
    "cover",
    "rope",
    "charging",
    "rfid",
    "lora",
    "vip_sms",
    "sms",
)
_BY_CELL = 1 << 0
_ACK_WANTED = 1 << 5
_BATTERY_CHARGING = 0xFF
_GSM_NONE = 99
_MNC_ABSENT = 0x0F
_M_PER_KNOT_HOUR = 1_852
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK_NEVER_SET = 2000  # the lock starts there after a flat battery


def frame_size(prefix: bytes) -> int | Reason:
    """Bytes of the frame that begins with these ten, or why none does."""
    if not prefix[1:6].hex().isdecimal():
        return Reason.MALFORMED
    if prefix[8] == 0:
        return _long_size(prefix)
    length = prefix[7] << 8 | prefix[8]
    if prefix[6] & 0x0F not in _DATA_TYPES or length % _RECORD_BYTES:
        return Reason.MALFORMED
    size = _RECORDS_START + length + 1
    return size if size <= BINARY_BYTES_MAX else Reason.TOO_LONG


def decode(frame: bytes) -> Frame | Reason:
    """What a frame says whose length `frame_size` has told."""
    assert len(frame) == frame_size(frame[:PREFIX_BYTES])
    return _lock(frame) if frame[8] == 0 else _tracker(frame)


def read_head(data: bytes, start: int = 0, *, by_cell: bool = False) -> Head | None:
    """The 17 bytes of time and place at `start`; None if their digits or ranges are wrong."""
    digits = data[start : start + HEAD_BYTES].hex()
    if not digits[:29].isdecimal():
        return None
    lat_e7 = _angle_e7(int(digits[12:14]), int(digits[14:20]))
    lon_e7 = _angle_e7(int(digits[20:23]), int(digits[23:29]))
    if lat_e7 is None or lon_e7 is None or lat_e7 > 900_000_000 or lon_e7 > 1_800_000_000:
        return None
    flags = int(digits[29], 16)
    time_ms, time_ok = read_time(digits[:12])
    source = PositionSource.CELL if by_cell else None
    if not by_cell and flags & 1 and (lat_e7 or lon_e7):  # 0/0 is what an empty memory reports
        source = PositionSource.GNSS
    return Head(
        time_ms=time_ms,
        time_ok=time_ok,
        lat_e7=lat_e7 if flags & 2 else -lat_e7,
        lon_e7=lon_e7 if flags & 4 else -lon_e7,
        source=source,
        speed_m_h=data[start + 15] * _M_PER_KNOT_HOUR,
        course_deg=read_course(data[start + 16] * 2),
    )


def read_time(digits: str) -> tuple[int | None, bool]:
    """Unix ms of `ddmmyyhhmmss`, and whether it is to be believed; None if there is no such moment."""
    day, month, year = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    hour, minute, second = int(digits[6:8]), int(digits[8:10]), int(digits[10:12])
    try:
        moment = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None, False
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000, moment.year != _CLOCK_NEVER_SET


def read_course(course_deg: int) -> int | None:
    if course_deg == 360:
        return 0
    return course_deg if course_deg < 360 else None


def _long_size(prefix: bytes) -> int | Reason:
    version, length = prefix[6], prefix[9]
    if prefix[7] >> 4 != 1 or prefix[7] & 0x0F not in _DATA_TYPES:
        return Reason.MALFORMED
    has_more = length == _LENGTH_WITH_MORE and version in _VERSIONS_WITH_MORE
    if not has_more and length not in {_SHORT_LENGTH, _LENGTH_WITH_FOUR}:
        return Reason.MALFORMED
    return _LONG_START + length


def _lock(frame: bytes) -> Frame | Reason:
    version, serial = frame[6], frame[-1]
    lock = _read_tail(frame, version)
    head = read_head(frame, _LONG_START, by_cell=lock.status & _BY_CELL != 0)
    if head is None:
        return Reason.MALFORMED
    return Frame(
        raw=frame,
        kind=Kind.REPORT,
        seal_id=frame[1:6].hex(),
        model=_MODELS.get(version, "JT70x"),
        data_type=_DATA_TYPES[frame[7] & 0x0F],
        serial=serial,
        heads=(head,),
        lock=lock,
        ack=_ack(version, lock.status, serial),
    )


def _read_tail(frame: bytes, version: int) -> Lock:
    start = _LONG_START + HEAD_BYTES
    mileage_km, sats, status, battery, cid, lac, gsm = _TAIL.unpack_from(frame, start)
    fence_id, wake, wake_raw = None, None, None
    cell = Cell(cid=cid, lac=lac)
    if frame[9] == _LENGTH_WITH_MORE:
        fence, waker, mnc_high, cid_high, mcc, mnc = _MORE.unpack_from(frame, start + _TAIL.size)
        fence_id = fence or None
        waker &= 0x0F
        wake, wake_raw = (_WAKES[waker], None) if waker < len(_WAKES) else (None, waker)
        mnc |= 0 if mnc_high == _MNC_ABSENT else mnc_high << 8
        cell = Cell(cid=cid_high << 16 | cid, lac=lac, mcc=mcc, mnc=mnc)
    return Lock(
        version=version,
        mileage_km=mileage_km,
        sats=sats,
        status=status,
        battery_percent=battery if battery <= 100 else None,
        charging=_charging(battery),
        gsm=gsm if gsm != _GSM_NONE else None,
        cell=cell,
        fence_id=fence_id,
        wake=wake,
        wake_raw=wake_raw,
    )


def _charging(battery: int) -> bool | None:
    if battery == _BATTERY_CHARGING:
        return True
    return False if battery <= 100 else None


def _ack(version: int, status: int, serial: int) -> bytes | None:
    if version == 0x19:
        return b"(P69,0,%d)" % serial
    return b"(P35)" if status & _ACK_WANTED else None


def _tracker(frame: bytes) -> Frame | Reason:
    heads = []
    for start in range(_RECORDS_START, len(frame) - 1, _RECORD_BYTES):
        head = read_head(frame, start)
        if head is None:
            return Reason.MALFORMED
        heads.append(head)
    return Frame(
        raw=frame,
        kind=Kind.TRACKER,
        seal_id=frame[1:6].hex(),
        model="JT600",
        data_type=_DATA_TYPES[frame[6] & 0x0F],
        serial=frame[-1],
        heads=tuple(heads),
    )


def _angle_e7(degrees: int, minutes_e4: int) -> int | None:
    if minutes_e4 >= 600_000:
        return None
    return degrees * 10_000_000 + (minutes_e4 * 100 + 3) // 6  # minutes / 60, half up
