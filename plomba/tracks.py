"""Recorded tracks from files, for `plomba detect replay` (DETECTION section 15).

Law: a bad row is left out, counted and named with file, line and code; nothing is repaired.
"""

import csv
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, DecimalException
from pathlib import Path
from xml.parsers import expat

Say = Callable[[str], None]

SECONDS_BELOW = 10**11  # an integer time below it is in seconds, else in milliseconds
TIME_MS_BELOW = 1 << 42  # wire.LIM
DAY_MS = 86_400_000
GZIP_WBITS = 31
PIECE_BYTES = 1 << 16
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
TIME_DIGITS_MAX = 32  # of an integer; Python itself refuses thousands
CELL_CHARS_MAX = 1 << 30  # no cell ends the reading: what stands in other columns is ignored
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


@dataclass(slots=True)
class Reading:
    """All rows that the files gave, and what was wrong with the rest."""

    say: Say
    rows: list[Row] = field(default_factory=list)
    left_out: int = 0

    def fault(self, path: Path, line: int, code: str) -> None:
        self.left_out += 1
        self.say(f"{path}:{line}: {code}")


class BadCellError(Exception):
    """A cell that cannot be taken; its text is the code."""


def read_track(reading: Reading, path: Path) -> None:
    """The rows of one `.csv`, `.gpx` or `.geojson`, each also `.gz`."""
    text = text_of(reading, path)
    if text is None:
        return
    name = path.name.lower().removesuffix(".gz")
    default_unit = path.name.split(".")[0]
    if name.endswith(".gpx"):
        _read_gpx(reading, path, text, default_unit)
    elif name.endswith((".geojson", ".json")):
        _read_geojson(reading, path, text, default_unit)
    else:
        _read_csv(reading, path, text, default_unit)


def time_ms(text: str) -> int:
    """RFC 3339 with offset, `YYYY-MM-DD hh:mm:ss[.fff]` as UTC, or an integer; BadCellError otherwise."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        if len(text) > TIME_DIGITS_MAX:
            raise BadCellError("bad_time")
        number = int(text)
        t_ms = number * 1_000 if number < SECONDS_BELOW else number
    else:
        t_ms = _moment_ms(text)
    if not 0 <= t_ms < TIME_MS_BELOW:
        raise BadCellError("bad_time")
    return t_ms


def scaled(text: str, exponent: int, least: int, most: int) -> int:
    """A decimal number times 10^exponent, rounded half away from zero; BadCellError otherwise."""
    if not text.isascii() or "_" in text:  # Decimal would take 1_0 for ten
        raise BadCellError("bad_number")
    try:
        number = Decimal(text.strip())
        if not number.is_finite():
            raise BadCellError("bad_number")
        value = int(number.scaleb(exponent).quantize(Decimal(1), ROUND_HALF_UP))
    except DecimalException:  # no number, or one beyond all bounds
        raise BadCellError("bad_number") from None
    if not least <= value <= most:
        raise BadCellError("out_of_range")
    return value


def written(text: str) -> str:
    """A name as it was written; BadCellError if its bytes were no text, or a half of a character stands alone."""
    if "\ufffd" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadCellError("bad_text")
    return text


def text_of(reading: Reading, path: Path) -> str | None:
    """The file's text, None if it is none of ours. Of a `.gz` that breaks off or is damaged: the whole lines before that, and the fault is named."""
    data, cut = path.read_bytes(), False
    if path.name.lower().endswith(".gz"):
        data, cut = _unzipped(data)
    if data[:2] in UTF_16 or b"\0" in data[:2]:
        reading.fault(path, 1, "not_utf8")
        return None
    text = data.decode("utf-8-sig", errors="replace")
    if cut:
        text = text[: text.rfind("\n") + 1]
        reading.fault(path, text.count("\n") + 1, "bad_gzip")
        return text or None
    return text


def _unzipped(data: bytes) -> tuple[bytes, bool]:
    """What can be unpacked, and whether that is not all."""
    parts: list[bytes] = []
    begin, member = 0, zlib.decompressobj(wbits=GZIP_WBITS)
    try:
        while begin < len(
            data
        ):  # in pieces: a damaged one takes what was before it along otherwise
            piece = data[begin : begin + PIECE_BYTES]
            parts.append(member.decompress(piece))
            begin += len(piece) - len(member.unused_data)
            if member.eof:  # another member may follow, or zeros that fill up a block
                begin += len(data) - begin - len(data[begin:].lstrip(b"\0"))
                if begin < len(data):
                    member = zlib.decompressobj(wbits=GZIP_WBITS)
    except zlib.error:
        return b"".join(parts), True
    return b"".join(parts), not member.eof


def _moment_ms(text: str) -> int:
    text = text.upper()  # RFC 3339, 5.6: t and z may be small
    if (
        text[16:19] == ":60"
    ):  # a leap second, which UNIX time does not know: it is the next one's begin
        t_ms = _moment_ms(f"{text[:17]}59{text[19:]}") // 1_000 * 1_000 + 1_000
        if t_ms % DAY_MS:
            raise BadCellError("bad_time")
        return t_ms
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


def _read_csv(reading: Reading, path: Path, text: str, default_unit: str) -> None:
    csv.field_size_limit(CELL_CHARS_MAX)
    rows = _cells(reading, path, io.StringIO(text, newline="").readlines())
    _, header = next(rows, (1, []))
    at: dict[str, int] = {}
    for index, name in enumerate(header):
        at.setdefault(name.strip(), index)
    missing = [name for name in ("time", "lat", "lon") if name not in at]
    if missing:
        reading.fault(path, 1, "missing_column")
        return
    needed = max(at[name] for name in ("time", "lat", "lon"))
    for line, cells in rows:
        if not cells:
            continue
        if len(cells) <= needed:
            reading.fault(path, line, "missing_column")
            continue
        said = {name: cells[index] if index < len(cells) else "" for name, index in at.items()}
        _take(reading, path, line, said, default_unit)


def _cells(reading: Reading, path: Path, lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows and the lines at which they end. A quote that never ends spoils its own row, not all behind it."""
    begin = 0
    while begin < len(lines):
        table = csv.reader((lines[at] for at in range(begin, len(lines))), strict=True)
        done = 0
        try:
            for cells in table:
                done = table.line_num
                yield begin + done, cells
        except csv.Error:
            reading.fault(path, begin + done + 1, "bad_csv")
            begin += done + 1  # the lines that it took along are read again
        else:
            return


def _read_gpx(reading: Reading, path: Path, text: str, default_unit: str) -> None:
    """`trkpt` with `time` and `hdop` of its own; a `trkseg` is no break."""
    parser = expat.ParserCreate()
    point: dict[str, str] = {}
    inside: list[str] = []  # the elements that are open
    line = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal line
        inside.append(name.rsplit(":", 1)[-1])
        if inside[-1] == "trkpt":
            line = parser.CurrentLineNumber
            point.clear()
            point.update(lat=attributes.get("lat", ""), lon=attributes.get("lon", ""))
            point.update(time="", hdop="")

    def characters(data: str) -> None:
        # what an extension calls `time` is not the point's
        if inside[-2:-1] == ["trkpt"] and inside[-1] in ("time", "hdop"):
            point[inside[-1]] += data.strip()

    def end(_name: str) -> None:
        if inside.pop() == "trkpt":
            _take(reading, path, line, dict(point), default_unit)
            point.clear()

    def entity(*_: object) -> None:
        raise BadCellError("bad_xml")  # no recorder declares any; ten of tens fill the memory

    parser.StartElementHandler = start
    parser.CharacterDataHandler = characters
    parser.EndElementHandler = end
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        reading.fault(path, error.lineno, "bad_xml")
    except BadCellError as fault:
        reading.fault(path, parser.CurrentLineNumber, str(fault))


def _read_geojson(reading: Reading, path: Path, text: str, default_unit: str) -> None:
    """Points with the columns' names as properties, or a LineString with `coordTimes`. A feature counts as a line."""
    try:
        source = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        reading.fault(path, 1, "bad_json")
        return
    features = source.get("features", [source]) if isinstance(source, dict) else None
    if not isinstance(features, list):
        reading.fault(path, 1, "wrong_type")
        return
    for number, feature in enumerate(features, 1):
        try:
            for said in _points(feature):
                _take(reading, path, number, said, default_unit)
        except BadCellError as fault:
            reading.fault(path, number, str(fault))


def _points(feature: object) -> Iterator[Mapping[str, str]]:
    """What each point of a feature says; BadCellError where it is none that could be a row."""
    if not isinstance(feature, dict) or "geometry" not in feature:
        raise BadCellError("wrong_type")
    given, geometry = feature.get("properties"), feature["geometry"]
    properties = given if isinstance(given, dict) else {}
    words = {str(key): str(value) for key, value in properties.items() if isinstance(value, str)}
    if geometry is None:  # RFC 7946, 3.2: not located, so a message without a fix
        yield words | {"lon": "", "lat": ""}
        return
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind == "Point":
        yield words | _place(geometry.get("coordinates"))
    elif kind == "LineString" and isinstance(geometry.get("coordinates"), list):
        times = properties.get("coordTimes")
        times = times if isinstance(times, list) else []
        unit = {"unit": words["unit"]} if "unit" in words else {}
        for index, position in enumerate(geometry["coordinates"]):
            time = str(times[index]) if index < len(times) else ""
            yield unit | {"time": time} | _place(position)
    else:
        raise BadCellError("wrong_type")


def _place(position: object) -> dict[str, str]:
    if not isinstance(position, list) or len(position) < 2:
        return {"lon": "?", "lat": "?"}  # no number: the row is left out as one
    return {"lon": str(position[0]), "lat": str(position[1])}


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
        unit=written(said.get("unit", "").strip() or default_unit),
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
