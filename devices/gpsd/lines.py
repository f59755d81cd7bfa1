"""What one line of gpsd means.

Source: gpsd_json(5) of gpsd 3.17 to 3.27, and the lines in gpsd's own regression tests. Numbers are read as digits, never as floats.
Spaces and the order of the members mean nothing: programs that stand in for gpsd write JSON in their own way.
"""

import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from json import JSONDecoder
from typing import Any

from devices import FixKind

PROTOCOL = "gpsd"
LINE_BYTES_MAX = 16_384  # DEVICES section 6
OBJECT_BYTES_MAX = 4_096  # a TPV of everything has 1,300
SATELLITE_BYTES_MAX = 512
SATELLITES_MAX = 128  # twice what can be above the horizon
_COMMAS_MAX = 128

_BEGINS = re.compile(rb"\s*\{")
_CLASS = re.compile(rb'"class"\s*:\s*"([A-Z][A-Z0-9]{0,15})"')
_NUMBER = re.compile(r"(-?)(\d{1,9})(?:\.(\d{1,15}))?")
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z")
_SATELLITES = re.compile(rb'"satellites"\s*:\s*\[\s*')
_NEXT = re.compile(rb"\s*,\s*(?=\{)")
_LIST_ENDS = re.compile(rb"\s*\]\s*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {
    "2": FixKind.DGNSS,
    "3": FixKind.RTK_FIXED,
    "4": FixKind.RTK_FLOAT,
    "5": FixKind.DEAD_RECKONING,
    "6": FixKind.DEAD_RECKONING,
    # "Time": a place that was typed in or surveyed once and is held. gpsd makes it of GGA's quality 7 and of mode M.
    "7": FixKind.MANUAL,
    "8": FixKind.SIMULATED,
    "9": FixKind.PPS,
}
SYSTEMS = ("GPS", "SBAS", "GALILEO", "BEIDOU", "OTHER", "QZSS", "GLONASS", "NAVIC")  # by gnssid
_OTHER_SYSTEM = SYSTEMS.index("OTHER")
_PRN_SYSTEMS = (  # how gpsd before 3.18 numbered them, without a gnssid
    (range(1, 64), "GPS"),
    (range(64, 97), "GLONASS"),
    (range(100, 165), "SBAS"),
    (range(193, 203), "QZSS"),
    (range(301, 337), "GALILEO"),
    (range(401, 438), "BEIDOU"),
)
_ANTENNAS = {"1": "OK", "2": "SHORT", "3": "OPEN"}
_JAM_UNSET = -1


class Reason(Enum):
    """Why a line means nothing."""

    TOO_LONG = "too_long"
    MALFORMED = "malformed"


class Other(Enum):
    """A line that is none of ours: versions, devices, attitudes."""

    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tpv:
    """Time, place and velocity."""

    device: str | None
    mode: int  # 0 nothing, 1 no fix, 2 or 3
    time_ms: int | None
    lat_e7: int | None
    lon_e7: int | None
    alt_dm: int | None
    speed_cm_s: int | None
    course_cdeg: int | None
    kind: FixKind
    antenna: str | None
    jam_level: int | None
    bad_fields: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SkyLine:
    device: str | None
    hdop_centi: int | None
    used: int | None
    satellites: "array[int] | None"  # `pack`ed, each once; None: this one lists none


class _Digits(str):
    """A number as it was written; a string that only looks like one is none of these."""

    __slots__ = ()


def _none(_word: str) -> None:
    """NaN and Infinity are no numbers."""


_DECODER = JSONDecoder(parse_float=_Digits, parse_int=_Digits, parse_constant=_none)


def read_line(line: bytes) -> Tpv | SkyLine | Other | Reason | None:
    """What `line` says, its LF taken off; None if it is empty."""
    if len(line) > LINE_BYTES_MAX:
        return Reason.TOO_LONG
    if line in {b"", b"\r"}:
        return None
    match = _CLASS.search(line) if _BEGINS.match(line) else None
    if match is None or not line.isascii():
        return Reason.MALFORMED
    if match[1] == b"TPV":
        return _read_tpv(line)
    return _read_sky(line) if match[1] == b"SKY" else Other.OTHER


def pack(system: int, number: int, cn0_cdb: int, *, used: bool) -> int:
    """One satellite in a few bytes: a list of objects would take most of what a reader may."""
    return system << 32 | number << 16 | cn0_cdb << 1 | used


def unpack(packed: int) -> tuple[str, int, bool]:
    """System, C/N0 in hundredths of dBHz (0: not tracked), used."""
    return SYSTEMS[packed >> 32], (packed & 0xFFFF) >> 1, bool(packed & 1)


def _read_tpv(line: bytes) -> Tpv | Reason:
    said = _object(line, OBJECT_BYTES_MAX)
    if said is None or said.get("class") != "TPV":
        return Reason.MALFORMED
    mode = said.get("mode")
    if not isinstance(mode, _Digits) or mode not in {"0", "1", "2", "3"}:
        return Reason.MALFORMED
    fields = _Fields(said)
    time_ms = fields.read("time", _time_ms)
    lat_e7 = fields.number("lat", decimals=7, low=-90, high=90)
    lon_e7 = fields.number("lon", decimals=7, low=-180, high=180)
    course_cdeg = fields.number("track", decimals=2, low=0, high=360)
    return Tpv(
        device=_device(said),
        mode=int(mode),
        time_ms=time_ms,
        lat_e7=None if lon_e7 is None else lat_e7,
        lon_e7=None if lat_e7 is None else lon_e7,
        alt_dm=fields.number("altMSL", decimals=1, low=-1_000, high=50_000),
        speed_cm_s=fields.number("speed", decimals=2, low=0, high=1_029),  # 2,000 knots
        course_cdeg=0 if course_cdeg == 36_000 else course_cdeg,
        kind=_KINDS.get(str(said.get("status")), FixKind.GNSS),
        antenna=_ANTENNAS.get(str(said.get("ant"))),
        jam_level=_jam_level(fields),
        bad_fields=fields.bad,
    )


def _read_sky(line: bytes) -> SkyLine | Reason:
    """What stands around the satellites first, then one after the other: all at once they would take too much memory."""
    match = _SATELLITES.search(line)
    around, satellites = line, None
    if match is not None:
        listed = _satellites(line, match.end())
        if listed is None:
            return Reason.MALFORMED
        satellites, end = listed
        around = line[: match.start()] + b'"satellites":0' + line[end:]
    said = _object(around, OBJECT_BYTES_MAX)
    if said is None or said.get("class") != "SKY":
        return Reason.MALFORMED
    fields = _Fields(said)
    hdop_centi = fields.number("hdop", decimals=2, low=0, high=9_999)
    return SkyLine(
        device=_device(said),
        hdop_centi=hdop_centi if hdop_centi and hdop_centi < 9_900 else None,
        used=fields.number("uSat", decimals=0, low=0, high=999),
        satellites=satellites,
    )


def _satellites(line: bytes, at: int) -> "tuple[array[int], int] | None":
    """Each with its strongest signal, and where the list ends; None if it is not as gpsd writes it, or too long."""
    found: dict[int, int] = {}
    if (ends := _LIST_ENDS.match(line, at)) is not None:
        return array("Q"), ends.end()
    while len(found) <= SATELLITES_MAX:
        end = line.find(b"}", at, at + SATELLITE_BYTES_MAX)
        said = None if end < 0 else _object(line[at : end + 1], SATELLITE_BYTES_MAX)
        if said is None:
            return None
        number = _fixed(said.get("svid", said.get("PRN")), 0, 0, 9_999)
        if number is None:
            return None
        system = _system(said, number)
        cn0_cdb = _fixed(said.get("ss"), 2, 0, 99) or 0
        used = said.get("used") is True
        key = system << 16 | number
        before = found.get(key, 0)
        found[key] = pack(
            system,
            number,
            max(cn0_cdb, (before & 0xFFFF) >> 1),
            used=used or bool(before & 1),
        )
        if (ends := _LIST_ENDS.match(line, end + 1)) is not None:
            return array("Q", found.values()), ends.end()
        if (following := _NEXT.match(line, end + 1)) is None:
            return None
        at = following.end()
    return None


def _system(said: dict[str, Any], number: int) -> int:
    system = _fixed(said.get("gnssid"), 0, 0, len(SYSTEMS) - 1)
    if system is None and "gnssid" not in said and "svid" not in said:
        name = next((name for numbers, name in _PRN_SYSTEMS if number in numbers), "OTHER")
        system = SYSTEMS.index(name)
    return _OTHER_SYSTEM if system is None else system


def _device(said: dict[str, Any]) -> str | None:
    device = said.get("device")
    return device if isinstance(device, str) and not isinstance(device, _Digits) else None


def _jam_level(fields: "_Fields") -> int | None:
    level = fields.number("jam", decimals=0, low=-1, high=255)
    return None if level == _JAM_UNSET else level


def _object(data: bytes, bytes_max: int) -> dict[str, Any] | None:
    """A small object; None if it is none."""
    if len(data) > bytes_max or data.count(b"{") + data.count(b"[") > 4:
        return None
    if data.count(b",") > _COMMAS_MAX:
        return None
    try:
        said = _DECODER.decode(data.decode("ascii"))
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


class _Fields:
    """Reads fields of an object: what is not there is None, what is wrong is None and counted."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said
        self.bad = 0

    def read(self, name: str, reads: Callable[[object], int | None]) -> int | None:
        value = self._said.get(name)
        if value is None:
            return None
        number = reads(value)
        self.bad += number is None
        return number

    def number(self, name: str, *, decimals: int, low: int, high: int) -> int | None:
        return self.read(name, lambda value: _fixed(value, decimals, low, high))


def _fixed(value: object, decimals: int, low: int, high: int) -> int | None:
    """The number as an integer of so many decimals, half away from zero; None if it is none, or out of range."""
    match = _NUMBER.fullmatch(value) if isinstance(value, _Digits) else None
    if match is None:
        return None
    digits = (match[3] or "").ljust(decimals + 1, "0")
    size = int(match[2] + digits[:decimals]) + (digits[decimals] >= "5")
    number = -size if match[1] else size
    scale = 10**decimals
    return number if low * scale <= number <= high * scale else None


def _time_ms(value: object) -> int | None:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    leap = second == 60  # counts as 59.999
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    except ValueError:
        return None
    since = moment - _EPOCH
    thousandths = 999 if leap else int((match[7] or "").ljust(3, "0")[:3])
    return (since.days * 86_400 + since.seconds) * 1_000 + thousandths
