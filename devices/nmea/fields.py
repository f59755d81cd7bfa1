"""One field of a sentence: its form, its range, its integer (DEVICES sections 2, 3.3 and 3.6). No floats.

Law: an 8-bit checksum lets one damaged line in 256 through, so no field is believed for its place in the line alone.
"""

import re
from dataclasses import dataclass
from datetime import date

__all__ = [
    "DAY_MS",
    "Measure",
    "Place",
    "WrongFieldError",
    "believed_hdop",
    "half_up",
    "read_date",
    "read_number",
    "read_place",
    "read_time",
    "real_day",
]

DAY_MS = 86_400_000

_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(?:\.(\d*))?")
_NUMBER = re.compile(r"([-+]?)(\d{1,9})(?:\.(\d{0,9}))?|([-+]?)\.(\d{1,9})")
_LATITUDE = re.compile(r"(\d\d)([0-5]\d)(?:\.(\d*))?")
_LONGITUDE = re.compile(r"(\d{3})([0-5]\d)(?:\.(\d*))?")
_E7 = 10_000_000


class WrongFieldError(ValueError):
    """A field without which the sentence is not to be believed. Never leaves this package."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of a sentence: scaled to our integer, and as it stood there."""

    scaled: int
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """A latitude and a longitude of one sentence."""

    lat_e7: int
    lon_e7: int
    lat_text: str
    lon_text: str


def half_up(numerator: int, denominator: int) -> int:
    """The nearest integer, halves upwards."""
    return (2 * numerator + denominator) // (2 * denominator)


def read_number(
    text: str, *, low: int, high: int, multiply: int = 1, divide: int = 1
) -> Measure | None:
    """`text` times `multiply` by `divide`, if it is a number from `low` to `high`; else None."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, decimals = match[1] or match[4], match[2] or "", match[3] or match[5] or ""
    digits = int(whole + decimals)
    if sign == "-":
        digits = -digits
    one = 10 ** len(decimals)
    if not low * one <= digits <= high * one:
        return None
    return Measure(half_up(digits * multiply, divide * one), text)


def believed_hdop(hdop: Measure | None) -> Measure | None:
    """None for 0.00 and for 99.99, which is what receivers print when they know none."""
    return hdop if hdop is not None and 0 < hdop.scaled < 9_900 else None


def read_time(text: str) -> int | None:
    """Milliseconds since midnight, None for an empty field; the leap second counts as 59.999."""
    if not text:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise WrongFieldError(text)
    minutes = int(match[1]) * 60 + int(match[2])
    if match[3] == "60":
        return minutes * 60_000 + 59_999
    return (minutes * 60 + int(match[3])) * 1000 + int(((match[4] or "") + "000")[:3])


def read_date(text: str) -> date | None:
    """Exactly six digits and a real day; years 80 to 99 are 19yy (GPS began in 1980)."""
    if len(text) != 6 or not text.isdecimal():
        return None
    year = int(text[4:])
    return real_day(1900 + year if year >= 80 else 2000 + year, int(text[2:4]), int(text[:2]))


def real_day(year: int, month: int, day: int) -> date | None:
    """The date, or None if the calendar has no such day."""
    try:
        return date(year, month, day)
    except ValueError:
        return None


def read_place(lat: str, north: str, lon: str, east: str) -> Place | None:
    """Both or nothing: a place with any part empty is no place, and never 0/0."""
    if not (lat and north and lon and east):
        return None
    if north not in "NS" or east not in "EW":
        raise WrongFieldError(north + east)
    lat_e7 = _degrees_e7(_LATITUDE.fullmatch(lat), 90)
    lon_e7 = _degrees_e7(_LONGITUDE.fullmatch(lon), 180)
    return Place(
        lat_e7=-lat_e7 if north == "S" else lat_e7,
        lon_e7=-lon_e7 if east == "W" else lon_e7,
        lat_text=f"{lat},{north}",
        lon_text=f"{lon},{east}",
    )


def _degrees_e7(match: re.Match[str] | None, degrees_max: int) -> int:
    if match is None:
        raise WrongFieldError
    decimals = match[3] or ""
    minutes = half_up(int(match[2] + decimals) * _E7, 60 * 10 ** len(decimals))
    value = int(match[1]) * _E7 + minutes
    if value > degrees_max * _E7:
        raise WrongFieldError
    return value
