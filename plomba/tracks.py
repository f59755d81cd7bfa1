"""Recorded tracks and facts from files, for `plomba detect replay` (DETECTION section 15).

Law: a bad row is left out, counted and named with file, line and code; nothing is repaired.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from xml.parsers import expat

Say = Callable[[str], None]

SECONDS_BELOW = 10**11  # an integer time below it is in seconds, else in milliseconds
TIME_MS_BELOW = 1 << 42  # wire.LIM
UNKNOWN = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One message of a track; without a place, one in which the receiver had no fix."""

    unit: str
    t_ms: int
    lat_e7: int | None
    lon_e7: int | None
    speed_cm_s: int = UNKNOWN
    course_cdeg: int = UNKNOWN
    hdop_centi: int = UNKNOWN
    received_ms: int | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactLine:
    """One line of the facts' file."""

    kind: str
    unit: str
    t_ms: int
    received_ms: int | None
    seq: int | None
    said: Mapping[str, object]


@dataclass(slots=True)
class Reading:
    """All that the files gave, and what was wrong with the rest."""

    say: Say
    rows: list[Row] = field(default_factory=list)
    facts: list[FactLine] = field(default_factory=list)
    left_out: int = 0

    def fault(self, path: Path, line: int, code: str) -> None:
        self.left_out += 1
        self.say(f"{path}:{line}: {code}")


class BadCellError(Exception):
    """A cell that cannot be taken; its text is the code."""


def read_track(reading: Reading, path: Path) -> None:
    """The rows of one `.csv`, `.gpx` or `.geojson`, each also `.gz`."""
    text = _text(path)
    name = path.name.removesuffix(".gz")
    default_unit = name.split(".")[0]
    if name.endswith(".gpx"):
        _read_gpx(reading, path, text, default_unit)
    elif name.endswith((".geojson", ".json")):
        _read_geojson(reading, path, text, default_unit)
    else:
        _read_csv(reading, path, text, default_unit)


def read_facts(reading: Reading, path: Path) -> None:
    """JSON lines with unit, time and kind."""
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
        except ValueError:
            reading.fault(path, number, "bad_json")
            continue
        if not isinstance(said, dict) or not isinstance(said.get("kind"), str):
            reading.fault(path, number, "no_kind")
            continue
        try:
            reading.facts.append(_fact(said))
        except BadCellError as fault:
            reading.fault(path, number, str(fault))


def time_ms(text: str) -> int:
    """RFC 3339 with offset, `YYYY-MM-DD hh:mm:ss[.fff]` as UTC, or an integer; BadCellError otherwise."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        number = int(text)
        t_ms = number * 1_000 if number < SECONDS_BELOW else number
    else:
        t_ms = _moment_ms(text)
    if not 0 <= t_ms < TIME_MS_BELOW:
        raise BadCellError("bad_time")
    return t_ms


def scaled(text: str, exponent: int, least: int, most: int) -> int:
    """A decimal number times 10^exponent, rounded half away from zero; BadCellError otherwise."""
    try:
        number = Decimal(text.strip())
        if not number.is_finite():
            raise BadCellError("bad_number")
        value = int(number.scaleb(exponent).quantize(Decimal(1), ROUND_HALF_UP))
    except InvalidOperation:
        raise BadCellError("bad_number") from None
    if not least <= value <= most:
        raise BadCellError("out_of_range")
    return value


def _moment_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadCellError("bad_time") from None
    if moment.tzinfo is None:
        if len(text) < 19 or text[10] != " ":
            raise BadCellError("bad_time")  # local time of nobody knows where
        moment = moment.replace(tzinfo=UTC)
    seconds = int(moment.replace(microsecond=0).timestamp())
    return seconds * 1_000 + (moment.microsecond + 500) // 1_000


def _text(path: Path) -> str:
    data = path.read_bytes()
    if path.name.endswith(".gz"):
        data = gzip.decompress(data)
    return data.decode("utf-8-sig", errors="replace")


def _read_csv(reading: Reading, path: Path, text: str, default_unit: str) -> None:
    table = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(table, [])]
    at = {name: index for index, name in enumerate(header)}
    missing = [name for name in ("time", "lat", "lon") if name not in at]
    if missing:
        reading.fault(path, 1, "missing_column")
        return
    for cells in table:
        if not cells:
            continue
        said = {name: cells[index] if index < len(cells) else "" for name, index in at.items()}
        _take(reading, path, table.line_num, said, default_unit)


def _read_gpx(reading: Reading, path: Path, text: str, default_unit: str) -> None:
    """`trkpt` with `time` and `hdop`; a `trkseg` is no break."""
    parser = expat.ParserCreate()
    point: dict[str, str] = {}
    tag = ""
    line = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal tag, line
        tag = name.rsplit(":", 1)[-1]
        if tag == "trkpt":
            line = parser.CurrentLineNumber
            point.clear()
            point.update(lat=attributes.get("lat", ""), lon=attributes.get("lon", ""))
            point.update(time="", hdop="")

    def characters(data: str) -> None:
        if tag in ("time", "hdop") and tag in point:
            point[tag] += data.strip()

    def end(name: str) -> None:
        nonlocal tag
        tag = ""
        if name.rsplit(":", 1)[-1] == "trkpt":
            _take(reading, path, line, dict(point), default_unit)
            point.clear()

    parser.StartElementHandler = start
    parser.CharacterDataHandler = characters
    parser.EndElementHandler = end
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        reading.fault(path, error.lineno, "bad_xml")


def _read_geojson(reading: Reading, path: Path, text: str, default_unit: str) -> None:
    """Points with the columns' names as properties, or a LineString with `coordTimes`."""
    try:
        source = json.loads(text, parse_float=str, parse_int=str)
    except ValueError:
        reading.fault(path, 1, "bad_json")
        return
    features = source.get("features", [source]) if isinstance(source, dict) else []
    for number, feature in enumerate(features, 1):
        for said in _points(feature):
            _take(reading, path, number, said, default_unit)


def _points(feature: object) -> Iterator[dict[str, str]]:
    if not isinstance(feature, dict) or not isinstance(feature.get("geometry"), dict):
        return
    given = feature.get("properties")
    properties = given if isinstance(given, dict) else {}
    words = {str(key): str(value) for key, value in properties.items() if isinstance(value, str)}
    kind, coordinates = feature["geometry"].get("type"), feature["geometry"].get("coordinates")
    if kind == "Point" and isinstance(coordinates, list) and len(coordinates) >= 2:
        yield words | {"lon": str(coordinates[0]), "lat": str(coordinates[1])}
    if kind == "LineString" and isinstance(coordinates, list):
        times = properties.get("coordTimes")
        times = times if isinstance(times, list) else []
        for index, position in enumerate(coordinates):
            if isinstance(position, list) and len(position) >= 2:
                time = str(times[index]) if index < len(times) else ""
                unit = {"unit": words["unit"]} if "unit" in words else {}
                yield unit | {"time": time, "lon": str(position[0]), "lat": str(position[1])}


def _take(
    reading: Reading, path: Path, line: int, said: Mapping[str, str], default_unit: str
) -> None:
    try:
        reading.rows.append(_row(said, default_unit))
    except BadCellError as fault:
        reading.fault(path, line, str(fault))


def _row(said: Mapping[str, str], default_unit: str) -> Row:
    if not said.get("time", "").strip():
        raise BadCellError("no_time")
    lat, lon = said.get("lat", "").strip(), said.get("lon", "").strip()
    received, seq = said.get("received", "").strip(), said.get("seq", "").strip()
    course = _optional(said, "course_deg", 2, 36_000)
    return Row(
        unit=said.get("unit", "").strip() or default_unit,
        t_ms=time_ms(said["time"]),
        lat_e7=scaled(lat, 7, -900_000_000, 900_000_000) if lat or lon else None,
        lon_e7=scaled(lon, 7, -1_800_000_000, 1_800_000_000) if lat or lon else None,
        speed_cm_s=_optional(said, "speed_m_s", 2, 65_535),
        course_cdeg=course % 36_000 if course >= 0 else course,
        hdop_centi=_optional(said, "hdop", 2, 9_999),
        received_ms=time_ms(received) if received else None,
        seq=scaled(seq, 0, 0, TIME_MS_BELOW - 1) if seq else None,
    )


def _optional(said: Mapping[str, str], name: str, exponent: int, most: int) -> int:
    text = said.get(name, "").strip()
    return scaled(text, exponent, 0, most) if text else UNKNOWN


def _fact(said: Mapping[str, object]) -> FactLine:
    if "time" not in said:
        raise BadCellError("no_time")
    received, seq = said.get("received"), said.get("seq")
    if seq is not None and (isinstance(seq, bool) or not isinstance(seq, int)):
        raise BadCellError("bad_number")
    return FactLine(
        kind=str(said["kind"]),
        unit=str(said.get("unit", "")),
        t_ms=time_ms(str(said["time"])),
        received_ms=None if received is None else time_ms(str(received)),
        seq=seq,
        said=said,
    )
