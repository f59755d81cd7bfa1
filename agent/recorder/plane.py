"""Metres between places that are near one another.

Law: a flat earth round the first place: over the 500 m that the recorder looks at, it errs by less than a centimetre.
"""

from dataclasses import dataclass
from math import cos, hypot, radians, sin

METRES_E7 = 0.011131949  # a ten-millionth of a degree of latitude
ROUND_E7 = 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place at its own time."""

    t_ms: int
    lat_e7: int
    lon_e7: int


def metres(origin: Point, lat_e7: float, lon_e7: float) -> tuple[float, float]:
    """North and east of `origin`."""
    east_e7 = (lon_e7 - origin.lon_e7 + ROUND_E7 / 2) % ROUND_E7 - ROUND_E7 / 2
    return (
        (lat_e7 - origin.lat_e7) * METRES_E7,
        east_e7 * METRES_E7 * cos(radians(origin.lat_e7 / 1e7)),
    )


def distance_m(one: Point, other: Point) -> float:
    """Between two places, whatever their times."""
    return hypot(*metres(one, other.lat_e7, other.lon_e7))


def off_line_m(begin: Point, end: Point, between: Point) -> float:
    """How far `between` lies from where the straight way from `begin` to `end` is at its time."""
    north, east = metres(begin, between.lat_e7, between.lon_e7)
    end_north, end_east = metres(begin, end.lat_e7, end.lon_e7)
    whole_ms = end.t_ms - begin.t_ms
    part = (between.t_ms - begin.t_ms) / whole_ms if whole_ms > 0 else 1.0
    return hypot(north - end_north * part, east - end_east * part)


def reckoned_off_m(
    begin: Point, end: Point, *, speed_cm_s: int | None, course_cdeg: int | None
) -> float:
    """How far `end` lies from where the velocity said at `begin` leads; without one, `begin` is where one waits."""
    north, east = metres(begin, end.lat_e7, end.lon_e7)
    if speed_cm_s is None or course_cdeg is None:
        return hypot(north, east)
    way_m = speed_cm_s * (end.t_ms - begin.t_ms) / 100_000
    course = radians(course_cdeg / 100)
    return hypot(north - way_m * cos(course), east - way_m * sin(course))
