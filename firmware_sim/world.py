"""The truth: where the truck is, how fast, and which way. Knows no device, no noise and no clock.

Law: `World.at(t)` depends on the track and on `t` alone.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from math import atan2, cos, degrees, hypot, radians

__all__ = ["EARTH_RADIUS_M", "Moment", "Track", "Vertex", "World", "along", "offset"]

EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG
DEGREE_M = radians(1) * EARTH_RADIUS_M
POLE_COS_MIN = 1e-6  # nobody drives a truck over the pole; keeps the division finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertex:
    """A place at a time. The last three only in recordings, and only where the source had them."""

    t_ms: int
    lat: float
    lon: float
    alt_m: float | None = None
    speed_m_s: float | None = None
    course_deg: float | None = None
    hdop: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Places in order of time; between two of them the truck drives straight on at constant speed."""

    vertices: tuple[Vertex, ...]  # at least one
    recorded_ms: int | None = None  # Unix ms of vertex time 0, where the file tells the real time

    def end_ms(self) -> int:
        return self.vertices[-1].t_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is true at one instant."""

    t_ms: int
    lat: float
    lon: float
    alt_m: float | None
    speed_m_s: float
    course_deg: float
    odometer_m: float


class World:
    def __init__(self, track: Track) -> None:
        assert track.vertices
        self.track = track
        self._times = [vertex.t_ms for vertex in track.vertices]
        self._driven_m = [0.0]
        for before, after in pairwise(track.vertices):
            self._driven_m.append(self._driven_m[-1] + hypot(*_step_m(before, after)))
        self._courses = _courses(track.vertices)

    def at(self, t_ms: int) -> Moment:
        """The truth at world time `t_ms`; before the first and after the last vertex the truck stands."""
        vertices = self.track.vertices
        behind = bisect_right(self._times, t_ms) - 1
        if behind < 0 or behind + 1 >= len(vertices):
            place = vertices[max(behind, 0)]
            return Moment(
                t_ms=t_ms,
                lat=place.lat,
                lon=place.lon,
                alt_m=place.alt_m,
                speed_m_s=0.0,
                course_deg=self._courses[max(behind, 0)],
                odometer_m=self._driven_m[max(behind, 0)],
            )
        before, after = vertices[behind], vertices[behind + 1]
        span_ms = after.t_ms - before.t_ms
        share = (t_ms - before.t_ms) / span_ms
        driven_m = self._driven_m[behind + 1] - self._driven_m[behind]
        return Moment(
            t_ms=t_ms,
            lat=before.lat + share * (after.lat - before.lat),
            lon=before.lon + share * (after.lon - before.lon),
            alt_m=_between(before.alt_m, after.alt_m, share),
            speed_m_s=driven_m * 1000 / span_ms,
            course_deg=self._courses[behind],
            odometer_m=self._driven_m[behind] + share * driven_m,
        )


def along(
    points: list[tuple[float, float]], speed_m_s: float, stops: list[tuple[float, float]]
) -> Track:
    """A drive over `points` at `speed_m_s`, standing at each of `stops` (from second, for seconds)."""
    places = [
        Vertex(t_ms=0, lat=lat, lon=lon) for lat, lon in points
    ]  # times are of no account here
    vertices = [places[0]]
    waiting = sorted(stops)
    t_s = 0.0
    for before, after in pairwise(places):
        leg_s = hypot(*_step_m(before, after)) / speed_m_s
        begin_s, left = t_s, leg_s
        while waiting and waiting[0][0] < begin_s + left:
            at_s, for_s = waiting.pop(0)
            left -= max(at_s - begin_s, 0.0)
            begin_s = max(at_s, begin_s)
            share = 1 - left / leg_s
            lat = before.lat + share * (after.lat - before.lat)
            lon = before.lon + share * (after.lon - before.lon)
            vertices.append(Vertex(t_ms=round(begin_s * 1000), lat=lat, lon=lon))
            begin_s += for_s
            vertices.append(Vertex(t_ms=round(begin_s * 1000), lat=lat, lon=lon))
        t_s = begin_s + left
        vertices.append(Vertex(t_ms=round(t_s * 1000), lat=after.lat, lon=after.lon))
    return Track(vertices=tuple(vertices))


def offset(lat: float, lon: float, east_m: float, north_m: float) -> tuple[float, float]:
    """The place `east_m` and `north_m` away, on a sphere seen flat: good for some kilometres."""
    scale = max(cos(radians(lat)), POLE_COS_MIN)
    return lat + north_m / DEGREE_M, lon + east_m / (DEGREE_M * scale)


def _step_m(before: Vertex, after: Vertex) -> tuple[float, float]:
    """East and north in metres."""
    scale = cos(radians((before.lat + after.lat) / 2))
    return (after.lon - before.lon) * DEGREE_M * scale, (after.lat - before.lat) * DEGREE_M


def _courses(vertices: tuple[Vertex, ...]) -> list[float]:
    """The course from each vertex on; one who stands keeps the last one."""
    courses: list[float] = []
    course = 0.0
    for before, after in pairwise(vertices):
        east_m, north_m = _step_m(before, after)
        if east_m or north_m:
            course = degrees(atan2(east_m, north_m)) % 360
        courses.append(course)
    return [*courses, course]


def _between(before: float | None, after: float | None, share: float) -> float | None:
    return None if before is None or after is None else before + share * (after - before)
