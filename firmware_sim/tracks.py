"""Files that hold a track: CSV with `t_s` or `time`, and GPX. Text in, `Track` out; opens nothing.

Law: a bad file is answered with a sentence that names the line and the fix, never with half a track.
"""

import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import (
    ElementTree as ET,
)  # the standard library's; a scenario's files are the author's own

from firmware_sim.world import Track, Vertex

__all__ = ["read_csv", "read_gpx"]

VERTICES_MAX = 200_000  # 55 hours at 1 Hz; a longer track is cut by its author, not by us


def read_csv(text: str, unit: str | None = None) -> Track | str:
    """The track in `text`, or what is wrong with it.

    Columns: lat, lon and either t_s (seconds of world time) or time (ISO 8601, the columns of `plomba detect replay`); alt_m,
    speed_m_s, course_deg, hdop and unit are read where present. Rows are put in order of their time; equal times keep their order.
    """
    rows = csv.DictReader(text.splitlines())
    columns = set(rows.fieldnames or ())
    if missing := {"lat", "lon"} - columns:
        return f"column {min(missing)} is missing; the first line names the columns"
    if not columns & {"t_s", "time"}:
        return "neither column t_s nor column time is there; add one of them"
    if unit is not None and "unit" not in columns:
        return f"unit = {unit!r} asks for a column unit, and there is none"
    clock = _world_ms if "t_s" in columns else _unix_ms
    vertices: list[Vertex] = []
    units: set[str] = set()
    for number, row in enumerate(rows, start=2):
        if unit is not None and row["unit"] != unit:
            continue
        units.add(row.get("unit") or "")
        try:
            vertices.append(_vertex(row, clock(row)))
        except (ValueError, TypeError, KeyError) as error:
            return f"line {number}: {error}"
    if len(units) > 1:
        return f'several units are in it ({", ".join(sorted(units)[:5])}): choose one with unit = "..."'
    return _track(vertices, recorded="t_s" not in columns)


def read_gpx(text: str) -> Track | str:
    """The first track or route with times in a GPX text, or what is wrong with it."""
    try:
        root = ET.fromstring(text)  # noqa: S314 - the author of a scenario plays his own file on his own machine
    except ET.ParseError as error:
        return f"no GPX: {error}"
    vertices: list[Vertex] = []
    for number, point in enumerate(_points(root), start=1):
        words = {_local(child.tag): (child.text or "").strip() for child in point}
        row = {
            "lat": point.get("lat"),
            "lon": point.get("lon"),
            "alt_m": words.get("ele"),
            "time": words.get("time"),
            "hdop": words.get("hdop"),
        }
        try:
            vertices.append(_vertex(row, _unix_ms(row)))
        except (ValueError, TypeError) as error:
            return f"point {number}: {error}; a point needs lat, lon and <time>"
    return _track(vertices, recorded=True)


def _points(root: ET.Element) -> Iterator[ET.Element]:
    return (node for node in root.iter() if _local(node.tag) in {"trkpt", "rtept"})


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _world_ms(row: dict[str, str | None]) -> int:
    return round(float(row["t_s"] or "") * 1000)


def _unix_ms(row: dict[str, str | None]) -> int:
    text = row["time"] or ""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no zone; write a Z behind it")
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def _vertex(row: dict[str, str | None], t_ms: int) -> Vertex:
    lat, lon = float(row["lat"] or ""), float(row["lon"] or "")
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise ValueError(f"place {lat}, {lon} is not on Earth; lat comes first, in degrees")
    return Vertex(
        t_ms=t_ms,
        lat=lat,
        lon=lon,
        alt_m=_number(row.get("alt_m")),
        speed_m_s=_number(row.get("speed_m_s")),
        course_deg=_number(row.get("course_deg")),
        hdop=_number(row.get("hdop")),
    )


def _number(text: str | None) -> float | None:
    if not text:
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


def _track(vertices: list[Vertex], *, recorded: bool) -> Track | str:
    if not vertices:
        return "no place in it"
    if len(vertices) > VERTICES_MAX:
        return f"{len(vertices)} places; at most {VERTICES_MAX}: cut the file"
    vertices.sort(key=lambda vertex: vertex.t_ms)
    if not recorded:
        return Track(vertices=tuple(vertices))
    first_ms = vertices[0].t_ms
    moved = tuple(_moved(vertex, -first_ms) for vertex in vertices)
    return Track(vertices=moved, recorded_ms=first_ms)


def _moved(vertex: Vertex, by_ms: int) -> Vertex:
    return Vertex(
        t_ms=vertex.t_ms + by_ms,
        lat=vertex.lat,
        lon=vertex.lon,
        alt_m=vertex.alt_m,
        speed_m_s=vertex.speed_m_s,
        course_deg=vertex.course_deg,
        hdop=vertex.hdop,
    )
