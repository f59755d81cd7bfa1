"""Signed bytes on the air per position, and what signing and reading cost (WIRE section 17).

The baselines run in the same process: the same fixes as JSON rows, and signed one at a time.
"""

import csv
import gzip
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from math import atan2, cos, hypot, pi, radians, sin
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.machine import machine
from wire.batch import Sound, judge, make_payload
from wire.columns import encode_body, round_fix
from wire.envelope import Aad, Key, kid_of, seal
from wire.records import FixFlag, FixRecord, WireFixKind
from wire.topics import Up, up

UNIT = "bench-unit"
SIZES = (1, 10, 60, 300)
DRIVES_MAX = 8  # enough for a spread, a second to read
M_PER_DEG = 111_320.0

_KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"plomba bench").digest())
_PUBLIC = _KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
_KID = kid_of(_PUBLIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A drive as the recorder would keep it: one fix a second, on grain 1's steps."""

    name: str
    fixes: Sequence[FixRecord]


def synthetic_truck(seconds: int = 3_600) -> Drive:
    """A truck on a winding road: 40 to 90 km/h, slow turns, hills. No chance in it."""
    fixes = []
    lat, lon = 41.2, 69.2
    for second in range(seconds):
        speed_m_s = 18 + 7 * sin(second / 97)
        heading = 1.2 + 0.8 * sin(second / 61) + 0.3 * sin(second / 17)
        lat += speed_m_s * cos(heading) / M_PER_DEG
        lon += speed_m_s * sin(heading) / (M_PER_DEG * cos(radians(lat)))
        fixes.append(_fix(second, lat, lon, 455 + 20 * sin(second / 300), speed_m_s, heading))
    return Drive(name="synthetic truck", fixes=fixes)


def real_drives(folder: Path) -> list[Drive]:
    """Tracks at 1 Hz from CSV files with time, lat and lon; speed and course are derived from the places."""
    drives = []
    for file in sorted([*folder.rglob("*.csv"), *folder.rglob("*.csv.gz")]):
        drive = _read_drive(file)
        if drive is not None:
            drives.append(drive)
        if len(drives) == DRIVES_MAX:
            break
    return drives


def run(folder: Path | None) -> dict[str, object]:
    """All figures as plain values: bytes a position by size of batch, and microseconds a batch."""
    drives = [synthetic_truck(), *(real_drives(folder) if folder is not None else [])]
    sizes = {
        str(size): {drive.name: _bytes_per_position(drive, size) for drive in drives}
        for size in SIZES
    }
    return {
        "machine": machine(),
        "bytes_per_position": sizes,
        "json_bytes_per_position": round(len(_json(drives[0].fixes[:60])) / 60, 1),
        "ratio_to_json_at_60": round(
            len(_json(drives[0].fixes[:60])) / 60 / sizes["60"][drives[0].name], 1
        ),
        "time_us": _times(drives[0]),
        "targets": {"60": 8, "300": 4.5},
    }


def _fix(
    second: int, lat: float, lon: float, alt_m: float, speed_m_s: float, heading: float
) -> FixRecord:
    return round_fix(
        FixRecord(
            t_ms=1_795_330_000_000 + 1_000 * second,
            lat_e7=round(lat * 1e7),
            lon_e7=round(lon * 1e7),
            alt_dm=round(alt_m * 10),
            speed_cm_s=round(speed_m_s * 100),
            course_cdeg=round(heading % (2 * pi) * 18_000 / pi) % 36_000,
            hdop_centi=80 + second // 120 % 3 * 10,
            err_cm=None,
            sats=11 + second // 45 % 3,
            flags=WireFixKind.GNSS | FixFlag.THREE_D | FixFlag.MOVING,
        )
    )


def _read_drive(file: Path) -> Drive | None:
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        reader = csv.DictReader(lines)
        if not {"lat", "lon"} <= set(reader.fieldnames or ()):
            return None
        rows = [row for row in reader if row["lat"] and row["lon"]]
    if not _is_at_1_hz([row.get("time", "") for row in rows[:200]]):
        return None
    unit = rows[0].get("unit")
    places = [(float(row["lat"]), float(row["lon"])) for row in rows if row.get("unit") == unit][
        :3_600
    ]
    if len(places) < 600:
        return None
    fixes = []
    for second, ((lat_a, lon_a), (lat, lon)) in enumerate(pairwise(places)):
        north, east = (lat - lat_a) * M_PER_DEG, (lon - lon_a) * M_PER_DEG * cos(radians(lat))
        heading = 0.0 if north == east == 0 else atan2(east, north)
        fixes.append(_fix(second, lat, lon, 200, min(hypot(north, east), 600), heading))
    return Drive(name=f"{file.parent.name}/{file.stem}", fixes=fixes)


def _is_at_1_hz(times: Sequence[str]) -> bool:
    try:
        stamps = [datetime.fromisoformat(time).timestamp() for time in times]
    except ValueError:
        return False
    return len(stamps) > 1 and statistics.median(b - a for a, b in pairwise(stamps)) == 1


def _envelope(fixes: Sequence[FixRecord], first_seq: int) -> bytes:
    payload = make_payload(
        unit_id=UNIT,
        chain_id=b"c" * 16,
        boot_no=3,
        batch_no=700,
        prev=sha256(first_seq.to_bytes(8, "big")).digest(),
        first_seq=first_seq,
        count=len(fixes),
        sealed_ms=fixes[-1].t_ms + 40,
        sealed_mono_ms=fixes[-1].t_ms % 10_000_000,
        time_quality=3,
        seen=None,
        raw_body=encode_body(first_seq, fixes),
    )
    return seal(payload, Aad.BATCH, _KID, _KEY.sign)


def _bytes_per_position(drive: Drive, size: int) -> float:
    batches = [
        drive.fixes[at : at + size]
        for at in range(0, min(len(drive.fixes), size * 60) - size + 1, size)
    ]
    if not batches:
        return float("nan")
    total = sum(len(_envelope(batch, 40_000 + index * size)) for index, batch in enumerate(batches))
    return round(total / (len(batches) * size), 2)


def _json(fixes: Sequence[FixRecord]) -> str:
    return json.dumps([{name: getattr(fix, name) for name in FixRecord.__slots__} for fix in fixes])


def _times(drive: Drive) -> dict[str, float]:
    sixty = drive.fixes[:60]
    message = _envelope(sixty, 1)
    keys = {_KID: Key(unit_id=UNIT, public_key=_PUBLIC)}
    topic = up(UNIT, Up.BATCH)
    assert isinstance(judge(message, topic, keys.get), Sound)
    singles = [replace(fix) for fix in sixty]
    return {
        "seal_a_batch_of_60": _median_us(lambda: _envelope(sixty, 1)),
        "judge_a_batch_of_60": _median_us(lambda: judge(message, topic, keys.get)),
        "seal_60_batches_of_1": _median_us(lambda: [_envelope([fix], 1) for fix in singles], 20),
    }


def _median_us(act: Callable[[], object], runs: int = 200) -> float:
    act()
    took = []
    for _ in range(runs):
        begin = time.perf_counter()
        act()
        took.append((time.perf_counter() - begin) * 1e6)
    return round(statistics.median(took), 1)
