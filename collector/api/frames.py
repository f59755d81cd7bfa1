"""What goes over the live line, as bytes: the snapshot's columns and the events of the stream (CONSOLE section 7).

Law: rows in, bytes out. Nothing here waits, asks a clock or knows who listens; the same rows give the same bytes.
"""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from collector.store.live import UnitNow

MEDIA_TYPE = "application/vnd.plomba.units"
MAGIC, VERSION = b"PLU1", 1
HEADER = struct.Struct("<4sHHIIQQ")  # magic, version, length, n, server time s, feed, scope hash
AGE_OLD, AGE_NEVER = 65_534, 65_535  # that or more; never
COURSE_NONE = 255
BYTES_MAX = 256 << 10  # of one answer to who is behind; more is a new snapshot
ALERTS_MAX = 50  # rows of one event; of more the client reads the list anew

Columns = NDArray[
    np.int64
]  # (n, 8): no, lon_e6, lat_e6, t_s (-1 never), state, flags, course/2, km/h
_TYPES = ("<u4", "<i4", "<i4", "<u2", "u1", "u1", "u1", "u1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What stands before the columns."""

    n: int
    t_s: int
    feed: int
    scope: int


def columns_of(units: Iterable[UnitNow]) -> Columns:
    """Units as the columns of a snapshot, by rising number; their age comes in when they are packed."""
    rows = sorted(map(_numbers, units))
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(_TYPES))


def snapshot(units: Columns, *, t_s: int, feed: int, scope: str) -> bytes:
    """The whole picture: header and columns, little-endian."""
    head = HEADER.pack(MAGIC, VERSION, HEADER.size, len(units), t_s, feed, scope_hash(scope))
    aged = _aged(units, t_s)
    return b"".join([head, *(aged[:, at].astype(kind).tobytes() for at, kind in enumerate(_TYPES))])


def read_snapshot(data: bytes) -> tuple[Head, Columns]:
    """What `snapshot` wrote, with ages instead of times. ValueError for anything else."""
    if len(data) < HEADER.size:
        raise ValueError("no header")
    magic, version, size, n, t_s, feed, scope = HEADER.unpack_from(data)
    if (magic, version) != (MAGIC, VERSION):
        raise ValueError("no snapshot of this version")
    columns = np.empty((n, len(_TYPES)), dtype=np.int64)
    at = size
    for number, kind in enumerate(_TYPES):
        columns[:, number] = np.frombuffer(data, kind, n, at)
        at += n * np.dtype(kind).itemsize
    if at != len(data):
        raise ValueError("too long")
    return Head(n=n, t_s=t_s, feed=feed, scope=scope), columns


def units_event(units: Columns, *, t_s: int, feed: int) -> bytes:
    """Units that changed: eight whole numbers each, the first as the difference to the one before."""
    aged = _aged(units, t_s)
    aged[1:, 0] = np.diff(aged[:, 0])
    return event("units", {"f": feed, "t": t_s, "u": aged.ravel().tolist()}, id_=feed)


def alert_event(rows: Sequence[Mapping[str, object]], *, feed: int) -> bytes:
    """Alerts that changed. It bears no id: it may overtake the positions of its own feed number."""
    if len(rows) > ALERTS_MAX:
        return reload_event(feed)
    return event("alert", {"f": feed, "rows": rows})


def reload_event(feed: int) -> bytes:
    """More alerts changed than one event holds: the list is to be read anew."""
    return event("alert", {"f": feed, "reload": True})


def stat_event(figures: Mapping[str, object], *, feed: int) -> bytes:
    """How things stand, for the strip and for the age of everything."""
    return event("stat", figures, id_=feed)


def reset_event(why: str) -> bytes:
    """Begin anew with snapshot and list: `slow`, `scope`, `old`."""
    return event("reset", {"why": why})


def deploy_event(build: str) -> bytes:
    """Which program serves."""
    return event("deploy", {"build": build})


def bye_event(why: str) -> bytes:
    """The line ends here: `logout`, `expired`, `too_many`, `shutdown`."""
    return event("bye", {"why": why})


def retry(wait_ms: int) -> bytes:
    """How long a browser waits before it comes back by itself."""
    return b"retry: %d\n\n" % wait_ms


def event(name: str, data: Mapping[str, object], *, id_: int | None = None) -> bytes:
    """One event of the stream. JSON has no line break of its own, so one `data` line holds it."""
    said = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    number = "" if id_ is None else f"id: {id_}\n"
    return f"event: {name}\n{number}data: {said}\n\n".encode()


def scope_hash(scope: str) -> int:
    """By which a client sees that its picture is of another scope."""
    return int.from_bytes(sha256(scope.encode()).digest()[:8], "little")


def _aged(units: Columns, t_s: int) -> Columns:
    """The columns with an age where the time stood."""
    aged = units.copy()
    times = units[:, 3]
    aged[:, 3] = np.where(times < 0, AGE_NEVER, np.clip(t_s - times, 0, AGE_OLD))
    return aged


def _numbers(unit: UnitNow) -> tuple[int, ...]:
    lon_e7, lat_e7 = unit.lon_e7, unit.lat_e7
    is_known = unit.t_ms is not None and lon_e7 is not None and lat_e7 is not None
    return (
        unit.no,
        _round(lon_e7, 10) if is_known else 0,
        _round(lat_e7, 10) if is_known else 0,
        unit.t_ms // 1_000 if is_known and unit.t_ms is not None else -1,
        unit.priority | unit.stage << 3,
        unit.shown,
        COURSE_NONE if unit.course_cdeg is None else unit.course_cdeg % 36_000 // 200,
        0 if unit.speed_cm_s is None else min(_round(unit.speed_cm_s * 36, 1_000), 255),
    )


def _round(value: int | None, by: int) -> int:
    assert value is not None
    return (value + by // 2) // by
