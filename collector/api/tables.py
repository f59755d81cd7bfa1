"""A track as files that other programs read: CSV and GPX.

Law: each point as it was signed, none thinned; a gap ends a GPX segment; no cell is read as a formula by a spreadsheet.
"""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from xml.sax.saxutils import escape

from collector.api.models import TrackPoint
from collector.api.tracks import GAP_MS

FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    *("at", "said_at", "lat", "lon", "speed_m_s", "course_deg"),
    *("alt_m", "hdop", "sats", "chain", "seq"),
)
_GPX = """<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="Plomba" xmlns="http://www.topografix.com/GPX/1/1">
<trk><name>{name}</name>
{segments}</trk>
</gpx>
"""


def cell(value: object) -> str:
    """Text that a spreadsheet takes as text; a number stays one; unknown is empty."""
    if value is None:
        return ""
    said = str(value)
    return f"'{said}" if isinstance(value, str) and said.startswith(FORMULA) else said


def csv_of(points: Sequence[TrackPoint]) -> str:
    """One row a point."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(COLUMNS)
    rows.writerows([cell(getattr(point, name)) for name in COLUMNS] for point in points)
    return out.getvalue()


def gpx_of(unit: str, points: Sequence[TrackPoint]) -> str:
    """GPX 1.1: a segment between two gaps."""
    segments: list[list[str]] = []
    last_ms = None
    for point in points:
        at_ms = int(datetime.fromisoformat(point.at).timestamp() * 1_000)
        if last_ms is None or at_ms - last_ms > GAP_MS:
            segments.append([])
        last_ms = at_ms
        segments[-1].append(_point(point))
    parts = "".join(f"<trkseg>\n{''.join(segment)}</trkseg>\n" for segment in segments)
    return _GPX.format(name=escape(unit), segments=parts)


def _point(point: TrackPoint) -> str:
    alt = "" if point.alt_m is None else f"<ele>{point.alt_m}</ele>"
    sats = "" if point.sats is None else f"<sat>{point.sats}</sat>"
    hdop = "" if point.hdop is None else f"<hdop>{point.hdop}</hdop>"
    return (
        f'<trkpt lat="{point.lat:.7f}" lon="{point.lon:.7f}">'
        f"{alt}<time>{point.at}</time>{sats}{hdop}</trkpt>\n"
    )
