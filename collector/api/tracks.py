"""A unit's way as columns: thinned so that turns, stops and gaps stay, and packed for the browser (CONSOLE section 7).

Law: rows in, bytes out. No point is moved, joined or made up; what lies between two points that are not neighbours in time is a gap.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from wire.records import FixFlag

MEDIA_TYPE = "application/vnd.plomba.track"
MAGIC, VERSION = b"PLT1", 1
HEADER = struct.Struct("<4sHHIIQII")  # magic, version, length, n, unit_no, t0 ms, left out, zero
GAP_MS = 180_000  # three times the longest pause of a unit that is short of room (EDGE section 2)
STOP_CM_S = 150  # DETECTION section 6: slower than this may be standing
EVEN_SHARE = 4  # of the points that are free to choose a quarter is spread evenly over time
TENTH_MS = 100
UNKNOWN = -1

Ints = NDArray[np.int64]


class Mark(IntFlag):
    """What a point is, beside a place."""

    GAP = 1  # between the point before and this one nothing is known
    STOP = 2  # it stands: nearly no speed
    DOUBTFUL = 4
    RESTATED = 8  # its time was told anew later
    NO_SPEED = 16
    NO_COURSE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Points in order of time; speed and course are -1 where they were not said."""

    t_ms: Ints
    lat_e7: Ints
    lon_e7: Ints
    speed_cm_s: Ints
    course_cdeg: Ints
    flags: Ints  # FixFlag
    restated: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.t_ms)


def thinned(way: Way, points_max: int) -> Ints:
    """Indexes of the points to show: ends, edges of gaps and of stops, sharp turns, and some of the rest."""
    n = len(way)
    if n <= points_max:
        return np.arange(n)
    must = np.zeros(n, dtype=bool)
    must[[0, -1]] = True
    gaps = _gaps(way)
    must[gaps] = True
    must[np.maximum(gaps - 1, 0)] = True
    stands = _stands(way)
    edges = np.flatnonzero(stands[1:] != stands[:-1])
    must[edges] = True
    must[edges + 1] = True
    kept = np.flatnonzero(must)
    if len(kept) >= points_max:  # more edges than room: evenly among them
        return _evenly(kept, points_max)
    free = np.flatnonzero(~must)
    room = points_max - len(kept)
    even = _evenly(free, min(len(free), max(room // EVEN_SHARE, 1)))
    must[even] = True
    free = np.flatnonzero(~must)
    room = points_max - int(must.sum())
    bend = _bend(way)[free]
    must[free[np.argsort(-bend, kind="stable")[:room]]] = True
    return np.flatnonzero(must)


def pack(way: Way, shown: Ints, *, unit_no: int) -> bytes:
    """Header and columns, little-endian: u32 tenths of a second since t0, i32 lon_e6, i32 lat_e6, u8 marks, u8 course/2, u8 km/h."""
    t0_ms = int(way.t_ms[shown[0]]) if len(shown) else 0
    head = HEADER.pack(
        MAGIC, VERSION, HEADER.size, len(shown), unit_no, t0_ms, len(way) - len(shown), 0
    )
    speed, course = way.speed_cm_s[shown], way.course_cdeg[shown]
    km_h = np.where(speed < 0, 0, np.minimum((speed * 36 + 500) // 1_000, 255))
    halves = np.where(course < 0, 255, course % 36_000 // 200)
    columns = (
        ((way.t_ms[shown] - t0_ms) // TENTH_MS, "<u4"),
        ((way.lon_e7[shown] + 5) // 10, "<i4"),
        ((way.lat_e7[shown] + 5) // 10, "<i4"),
        (marks(way, shown), "u1"),
        (halves, "u1"),
        (km_h, "u1"),
    )
    return b"".join([head, *(column.astype(kind).tobytes() for column, kind in columns)])


def marks(way: Way, shown: Ints) -> Ints:
    """The marks of the points shown. A gap between two of them stays one, also if points beside it are left out."""
    found = np.zeros(len(way), dtype=np.int64)
    found[_stands(way)] |= Mark.STOP
    doubted = FixFlag.JAMMING | FixFlag.SPOOFING | FixFlag.DOUBTED
    found[way.flags & int(doubted) != 0] |= Mark.DOUBTFUL
    found[way.restated] |= Mark.RESTATED
    found[way.speed_cm_s < 0] |= Mark.NO_SPEED
    found[way.course_cdeg < 0] |= Mark.NO_COURSE
    picked = found[shown]
    gaps = _gaps(way)
    behind = np.searchsorted(shown, gaps)  # the first point shown at or after each gap
    picked[behind[behind < len(shown)]] |= Mark.GAP
    return picked


def _gaps(way: Way) -> Ints:
    """Points before which nothing is known for a time."""
    return np.flatnonzero(np.diff(way.t_ms) > GAP_MS) + 1


def _stands(way: Way) -> NDArray[np.bool_]:
    return (way.speed_cm_s >= 0) & (way.speed_cm_s < STOP_CM_S)


def _evenly(indexes: Ints, most: int) -> Ints:
    """At most so many, evenly, the first and the last always."""
    if len(indexes) <= most:
        return indexes
    if most < 2:
        return indexes[:most]
    return indexes[np.arange(most) * (len(indexes) - 1) // (most - 1)]


def _bend(way: Way) -> NDArray[np.float64]:
    """How much each point matters for the line: the area of the triangle with its neighbours."""
    north = way.lat_e7.astype(float)
    east = way.lon_e7 * np.cos(np.radians(way.lat_e7 / 1e7))
    area = np.zeros(len(way))
    ahead, behind = slice(2, None), slice(0, -2)
    area[1:-1] = np.abs(
        (east[1:-1] - east[behind]) * (north[ahead] - north[behind])
        - (north[1:-1] - north[behind]) * (east[ahead] - east[behind])
    )
    return area


def way_of(rows: Sequence[tuple[int, int, int, int | None, int | None, int, bool]]) -> Way:
    """Points as tuples of time, latitude, longitude, speed, course, flags, restated."""
    table = np.array(
        [
            (t, lat, lon, UNKNOWN if v is None else v, UNKNOWN if c is None else c, flags, told)
            for t, lat, lon, v, c, flags, told in rows
        ],
        dtype=np.int64,
    ).reshape(len(rows), 7)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return Way(
        t_ms=table[:, 0],
        lat_e7=table[:, 1],
        lon_e7=table[:, 2],
        speed_cm_s=table[:, 3],
        course_cdeg=table[:, 4],
        flags=table[:, 5],
        restated=table[:, 6].astype(bool),
    )
