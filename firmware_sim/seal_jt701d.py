"""How a JT701D writes and reads: binary frames, P45 and text words. Values in, bytes out, and orders in.

Written from the vendor's "JT701D Protocol Manual V1.4"; shares no line with whoever reads it. Big-endian, BCD, no checksum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, IntFlag

__all__ = [
    "LEVEL_BITS",
    "Access",
    "Kind",
    "OrderReader",
    "Snapshot",
    "Source",
    "Status",
    "Wake",
    "access_text",
    "binary_frame",
    "status_word",
    "text",
]

KNOT_KM_H = 1.852
ORDER_BYTES_MAX = 512  # the longest order, twenty cards, has 230
VERSION = 0x19
CHARGING = 0xFF


class Kind(IntEnum):
    LIVE = 1
    ALARM = 2
    BACKLOG = 3


class Wake(IntEnum):
    RESTART = 0
    RTC = 1
    COVER = 3
    ROPE = 4
    CHARGING = 5
    RFID = 6
    SMS = 9


class Source(IntEnum):
    """Who moved the lock, P45 field 11."""

    CARD = 1
    ILLEGAL_CARD = 2
    STATIC_PASSWORD = 4
    AUTO_LOCK = 5
    DYNAMIC_PASSWORD = 6


class Status(IntFlag):
    """The status word, as the manual numbers its bits."""

    CUT = 1 << 3
    WANTS_ACK = 1 << 5
    ROPE_IN = 1 << 6
    LOCKED = 1 << 7
    LONG_UNLOCKED = 1 << 8
    WRONG_PASSWORD = 1 << 9
    ILLEGAL_CARD = 1 << 10
    LOW_BATTERY = 1 << 11
    COVER_OPENED = 1 << 12
    COVER_CLOSED = 1 << 13
    MOTOR_STUCK = 1 << 14


LEVEL_BITS = (
    Status.WANTS_ACK | Status.ROPE_IN | Status.LOCKED | Status.COVER_CLOSED
)  # the rest are alarms


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the seal measured at one instant."""

    seal_id: str
    unix_ms: int
    lat: float
    lon: float
    fixed: bool
    speed_km_h: float
    course_deg: float
    mileage_km: int
    sats: int
    status: int
    battery_percent: int
    charging: bool
    wake: Wake

    def moment(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.unix_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One line of P45: who tried to lock or unlock, and what came of it."""

    at: Snapshot
    source: Source
    verification: int
    card: str = "0000000000"
    password_ok: bool = False
    wrong_count: int = 0


def status_word(*, rope_in: bool, locked: bool, cover_closed: bool, alarm: int = 0) -> int:
    word = Status.WANTS_ACK | alarm
    word |= Status.ROPE_IN if rope_in else 0
    word |= Status.LOCKED if locked else 0
    word |= Status.COVER_CLOSED if cover_closed else 0
    return int(word)


def binary_frame(snapshot: Snapshot, kind: Kind, serial: int) -> bytes:
    """A `$` frame in the long form, 62 bytes."""
    s = snapshot
    flags = int(s.fixed) | (s.lat >= 0) << 1 | (s.lon >= 0) << 2
    place = _angle(s.lat, 2) + _angle(s.lon, 3) + f"{flags:X}"
    speed = min(round(s.speed_km_h / KNOT_KM_H), 255)
    body = bytes.fromhex(f"{s.moment():%d%m%y%H%M%S}{place}")
    body += bytes([speed, round(s.course_deg) % 360 // 2])
    body += s.mileage_km.to_bytes(4, "big") + bytes([s.sats]) + bytes(4)  # no vehicle id
    body += s.status.to_bytes(2, "big")
    body += bytes([CHARGING if s.charging else s.battery_percent])
    body += bytes.fromhex("1A2B 0BB8") + bytes([24])  # cell, LAC, signal of a town in the plain
    body += bytes([0, s.wake])  # no fence
    body += bytes.fromhex("0000 0F0F0F0F0F0F0F0F 0000 01B2 04")  # no IMEI; MCC 434, MNC 4
    body += bytes([serial & 0xFF])
    head = bytes.fromhex(s.seal_id) + bytes([VERSION, 0x10 | kind])
    return b"$" + head + len(body).to_bytes(2, "big") + body


def access_text(access: Access, serial: int) -> bytes:
    """P45; speed in km/h here, unlike in the binary frame."""
    at = access.at
    return text(
        at.seal_id,
        "P45",
        f"{at.moment():%d%m%y}",
        f"{at.moment():%H%M%S}",
        f"{abs(at.lat):.5f}",
        "N" if at.lat >= 0 else "S",
        f"{abs(at.lon):.5f}",
        "E" if at.lon >= 0 else "W",
        "A" if at.fixed else "V",
        round(at.speed_km_h),
        round(at.course_deg) % 360,
        int(access.source),
        access.verification,
        access.card,
        int(access.password_ok),
        access.wrong_count,
        serial,
        at.mileage_km,
    )


def text(seal_id: str, *words: object) -> bytes:
    return f"({','.join((seal_id, *map(str, words)))})".encode("ascii")


class OrderReader:
    """Cuts what the reader writes into orders; everything else between brackets and outside is lost, as in the device."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[Sequence[str]]:
        """The orders that `data` completes, each as its words; any cutting gives the same."""
        orders: list[Sequence[str]] = []
        self._held += data
        while (end := self._held.find(b")")) >= 0:
            line, self._held = self._held[:end], self._held[end + 1 :]
            begin = line.rfind(b"(")
            if begin >= 0 and len(line) - begin <= ORDER_BYTES_MAX:
                words = line[begin + 1 :].decode("latin-1")
                orders.append(tuple(words.split(",")))
        self._held = self._held[-ORDER_BYTES_MAX:]
        return orders


def _angle(angle: float, degree_digits: int) -> str:
    units = round(abs(angle) * 60 * 10_000)
    degrees, rest = divmod(units, 600_000)
    return f"{degrees:0{degree_digits}d}{rest:06d}"
