"""The files and places that a scenario names: tracks, points, captures. The only room that reads the disk, once, before the play.

Law: a file that cannot be used is a fault with its reason; nothing is played in its stead.
"""

import gzip
from pathlib import Path

from firmware_sim import tracks
from firmware_sim.keys import Keys
from firmware_sim.world import Track, along

__all__ = ["FILE_BYTES_MAX", "is_pair", "read_file", "read_track"]

FILE_BYTES_MAX = 64 * 1024 * 1024  # a capture of a day at 9600 baud is 80 MB; play it in pieces


def read_track(keys: Keys, folder: Path) -> Track | None:
    """From a file, or from points and a speed."""
    if "file" in keys:
        return _track_file(keys, folder)
    points = _points(keys)
    speed = keys.number("speed_km_h", 60, 1, 400)
    stops = [(float(stop[0]), float(stop[1])) for stop in keys.items("stops") if is_pair(stop)]
    keys.raw("file")
    if not points:
        keys.fault("points", "[[lat, lon], ...] with at least one place, or file = ...")
        return None
    return along(points, speed / 3.6, stops)


def _points(keys: Keys) -> list[tuple[float, float]]:
    points = []
    for point in keys.items("points"):
        if not is_pair(point) or abs(point[0]) > 90 or abs(point[1]) > 180:
            keys.fault("points", f"[lat, lon] in degrees; one is {point!r}")
            return []
        points.append((float(point[0]), float(point[1])))
    return points


def is_pair(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(each, int | float) and not isinstance(each, bool) for each in value)
    )


def _track_file(keys: Keys, folder: Path) -> Track | None:
    name = keys.text("file", "")
    gz = keys.flag("gz", default=name.endswith(".gz"))
    unit = keys.text("unit", "") or None
    begun = len(keys.faults)
    data = read_file(keys, folder, gz=gz)
    if len(keys.faults) > begun:
        return None
    text = data.decode("utf-8-sig", errors="replace")
    gpx = name.removesuffix(".gz").endswith(".gpx")
    track = tracks.read_gpx(text) if gpx else tracks.read_csv(text, unit)
    if isinstance(track, str):
        keys.fault("file", f"{name}: {track}")
        return None
    return track


def read_file(keys: Keys, folder: Path, *, gz: bool) -> bytes:
    name = keys.text("file", "")
    path = folder / name
    if not name or not path.is_file():
        keys.fault("file", f"no such file: {path}")
        return b""
    try:
        data = _read(path, gz=gz or name.endswith(".gz"))
    except (OSError, EOFError) as error:
        keys.fault("file", f"{name} cannot be read: {error}")
        return b""
    if len(data) > FILE_BYTES_MAX:
        keys.fault("file", f"{name} is larger than {FILE_BYTES_MAX} bytes; cut it")
        return b""
    return data


def _read(path: Path, *, gz: bool) -> bytes:
    if not gz:
        return path.read_bytes()
    with gzip.open(path) as stream:
        return stream.read(FILE_BYTES_MAX + 1)
