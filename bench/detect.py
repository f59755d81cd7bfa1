"""Detection's speed against decoding alone and against stepping every row (DETECTION section 14).

512 units, 1,000 zones, five borders, a route of 600 km for each unit; half of the units start near a zone, 5 % stand, 2 % are off
their route. Decoding, detection and the stepped sample take turns in one process. Ratios are what counts; absolutes name the machine.
"""

import json
import math
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.detect_edit import run as run_edit
from bench.machine import machine
from collector.detect.engine import FRESH, Tick, UnitState, every_row
from collector.detect.engine.blob import pack
from collector.detect.engine.run import run as run_tick
from collector.detect.geo import Shapes
from collector.detect.geo.geojson import read_zones
from collector.detect.geo.line import place_at
from collector.detect.geo.measure import scale
from collector.detect.rules import Journey, Rulebook, build
from collector.detect.track import Batch, decode, read_body
from wire import Refused
from wire.columns import encode_body, round_fix
from wire.records import FixRecord

SEED = 1
UNITS = 512
ZONES = 1_000
ROUTE_VERTICES = 2_000
ROUTE_M = 600_000.0
WEST, EAST, SOUTH, NORTH = 56.0, 73.1, 37.2, 45.6
NOISE_M = 3.0
TICKS = 6  # of each load; the first warms up
ROUNDS = 3
STEP_ALL_UNITS = 5  # 1 % of the rows
BEGIN_MS = 1_795_330_000_000
BORDERS = Path(__file__).resolve().parents[2] / "shared/data/traces/borders"
BORDER_FILE = "osm_tz_uz_neighbours_ODbL.geojson"
LOADS = {"A": (60, 1_000), "B": (60, 10_000), "C": (1, 10_000)}  # rows a batch, ms between rows


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is watched, and where each unit begins."""

    book: Rulebook
    names: tuple[str, ...]
    begin_m: tuple[float, ...]  # along the unit's route
    speed_m_s: tuple[float, ...]
    aside_m: tuple[float, ...]
    rules_s: float  # how long the rules took to prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A batch's body as it was on the air, inflated."""

    unit: str
    number: int
    first_seq: int
    count: int
    raw: bytes


def run(
    borders: Path | None = None, units: int = UNITS, only: str = "ABC", edited: int = 0
) -> dict[str, object]:
    """All figures of the loads in `only`, as plain values; with `edited` units inside zones also what an edit of those costs."""
    world = make_world(borders or BORDERS / BORDER_FILE, units)
    edit = run_edit(zone_features(borders or BORDERS / BORDER_FILE), edited) if edited else None
    loads = {name: _measured(world, *of_load) for name, of_load in LOADS.items() if name in only}
    return {
        "machine": machine(),
        "units": units,
        "zones": len(world.book.versions[0].zones),
        "edges": len(world.book.versions[0].index.edges),
        "rules_s": round(world.rules_s, 2),
        "loads": loads,
        "edit": edit,
        "goals": {
            "detection_positions_s": {"A": 500_000, "C": 20_000},
            "run_against_decoding": 3,
            "against_stepping_every_row": 10,
            "stepped_share_percent": 3,
            "state_bytes_median": 300,
        },
    }


def make_world(borders: Path, units: int) -> World:
    """Zones, borders and routes under the seed."""
    rng = np.random.default_rng(SEED)
    features = zone_features(borders, rng)
    lines = [_route(rng, number, features) for number in range(units)]
    begin = time.perf_counter()
    shapes = read_zones({"type": "FeatureCollection", "features": [*features, *lines]})
    assert isinstance(shapes, Shapes), shapes[:3]
    rules = build(shapes)
    rules_s = time.perf_counter() - begin
    names = tuple(f"bench-{number}" for number in range(units))
    journeys = {
        name: (Journey(id=name, unit=name, since_ms=0, route=f"r{number}"),)
        for number, name in enumerate(names)
    }
    return World(
        book=Rulebook(versions=(rules,), journeys=journeys),
        names=names,
        begin_m=tuple(float(number) for number in rng.uniform(0, ROUTE_M / 3, units)),
        speed_m_s=tuple(
            0.0 if share < 0.05 else float(speed)
            for share, speed in zip(rng.random(units), rng.uniform(12, 24, units), strict=True)
        ),
        aside_m=tuple(400.0 if share < 0.02 else 0.0 for share in rng.random(units)),
        rules_s=rules_s,
    )


def zone_features(borders: Path, rng: np.random.Generator | None = None) -> list[dict[str, object]]:
    rng = rng or np.random.default_rng(SEED)
    features = [_star(rng, number) for number in range(ZONES)]
    return features + _borders(borders, rng)


def sealed_ticks(world: World, rows: int, step_ms: int, ticks: int) -> list[list[Sealed]]:
    """One batch of every unit a tick, as bytes."""
    rng = np.random.default_rng(SEED + rows + step_ms)
    rules = world.book.versions[0]
    made: list[list[Sealed]] = []
    for tick in range(ticks):
        batches: list[Sealed] = []
        for number, name in enumerate(world.names):
            line = rules.routes[f"r{number}"]
            noise = rng.normal(0, NOISE_M, (rows, 2))
            fixes: list[FixRecord] = []
            for row in range(rows):
                t_ms = (tick * rows + row) * step_ms
                s_m = world.begin_m[number] + world.speed_m_s[number] * t_ms / 1_000
                x, y = place_at(line, s_m)
                k_lon, k_lat = scale(y)
                fix = FixRecord(
                    t_ms=BEGIN_MS + t_ms,
                    lat_e7=round(y + (noise[row, 1] + world.aside_m[number]) / k_lat),
                    lon_e7=round(x + noise[row, 0] / k_lon),
                    alt_dm=4_550,
                    speed_cm_s=round(world.speed_m_s[number] * 100),
                    course_cdeg=8_700,
                    hdop_centi=80,
                    err_cm=None,
                    sats=12,
                    flags=0x201,
                )
                fixes.append(round_fix(fix))
            first_seq = 1 + tick * rows
            raw = encode_body(first_seq, fixes)
            batches.append(
                Sealed(unit=name, number=tick + 1, first_seq=first_seq, count=rows, raw=raw)
            )
        made.append(batches)
    return made


def opened(batches: list[Sealed]) -> list[Batch]:
    """The bodies read into columns."""
    out: list[Batch] = []
    for sealed in batches:
        body = read_body(
            sealed.raw, first_seq=sealed.first_seq, count=sealed.count, batch_no=sealed.number
        )
        assert not isinstance(body, Refused)
        out.append(
            Batch(
                unit=sealed.unit,
                chain=bytes(16),
                batch_no=sealed.number,
                first_seq=sealed.first_seq,
                count=sealed.count,
                fixes=body[0],
                events=body[1],
            )
        )
    return out


def _measured(world: World, rows: int, step_ms: int) -> dict[str, object]:
    ticks = sealed_ticks(world, rows, step_ms, TICKS)
    few = dict.fromkeys(world.names[:: max(1, len(world.names) // STEP_ALL_UNITS)])
    decoding: list[float] = []
    both: list[float] = []
    stepping: list[float] = []
    shares: list[float] = []
    states: dict[str, UnitState] = {}
    for _ in range(ROUNDS):
        states = {}
        for number, tick in enumerate(ticks):
            before = time.perf_counter()
            decode(opened(tick))
            decoded = time.perf_counter() - before
            before = time.perf_counter()
            known = {sealed.unit: states.get(sealed.unit, FRESH) for sealed in tick}
            result = run_tick(world.book, known, Tick(items=tuple(opened(tick))))
            whole = time.perf_counter() - before
            sample = tuple(batch for batch in opened(tick) if batch.unit in few)
            before = time.perf_counter()
            run_tick(world.book, known, Tick(items=sample), screen=every_row)
            stepped = time.perf_counter() - before
            states.update(result.states)
            if number > 0:
                decoding.append(decoded)
                both.append(whole)
                stepping.append(stepped * len(tick) / len(sample))
                shares.append(result.stepped / result.rows)
    positions = rows * len(world.names)
    detecting = [whole - decoded for whole, decoded in zip(both, decoding, strict=True)]
    blobs = sorted(len(pack(state)) for state in states.values())
    return {
        "rows_a_batch": rows,
        "s_between_rows": step_ms / 1_000,
        "detection_positions_s": round(positions / statistics.median(detecting)),
        "decoding_positions_s": round(positions / statistics.median(decoding)),
        "run_against_decoding": round(statistics.median(both) / statistics.median(decoding), 2),
        "against_stepping_every_row": round(
            statistics.median(stepping) / statistics.median(detecting), 1
        ),
        "stepped_share_percent": round(100 * statistics.median(shares), 2),
        "spread_percent": round(
            100 * statistics.pstdev(detecting) / statistics.median(detecting), 1
        ),
        "state_bytes_median": blobs[len(blobs) // 2],
    }


def _star(rng: np.random.Generator, number: int) -> dict[str, object]:
    corners = int(rng.integers(16, 129))
    radius_m = math.exp(rng.uniform(math.log(300), math.log(15_000)))
    lon, lat = rng.uniform(WEST, EAST), rng.uniform(SOUTH, NORTH)
    k_lon, k_lat = scale(lat * 1e7)
    angles = np.arange(corners) * 2 * math.pi / corners
    lengths = radius_m * rng.uniform(0.5, 1.0, corners)
    ring = [
        [lon + length * math.cos(angle) / k_lon / 1e7, lat + length * math.sin(angle) / k_lat / 1e7]
        for angle, length in zip(angles.tolist(), lengths.tolist(), strict=True)
    ]
    return {
        "type": "Feature",
        "properties": {"id": f"z{number}", "center": [lon, lat, radius_m]},
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
    }


def _borders(path: Path, rng: np.random.Generator) -> list[dict[str, object]]:
    """The five real ones where they are on this machine; else five made ones of as many vertices."""
    if path.is_file():
        features: list[dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))["features"]
        for number, feature in enumerate(features):
            feature["properties"] = {"id": f"border{number}"}
        return features
    made: list[dict[str, object]] = []
    for number, corners in enumerate((23_000, 20_000, 33_000, 17_000, 49_000)):
        angles = np.arange(corners) * 2 * math.pi / corners
        lengths = 3 + 0.3 * np.sin(angles * 40) + rng.uniform(0, 0.0005, corners)
        lon, lat = 60 + 2.5 * number, 41.0
        ring = np.stack([lon + lengths * np.cos(angles), lat + lengths * np.sin(angles)], axis=1)
        made.append(
            {
                "type": "Feature",
                "properties": {"id": f"border{number}"},
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [[*ring.tolist(), ring[0].tolist()]],
                },
            }
        )
    return made


def _route(
    rng: np.random.Generator, number: int, zones: list[dict[str, object]]
) -> dict[str, object]:
    """A winding road; of every second unit it begins within a radius of a zone."""
    lon, lat = float(rng.uniform(WEST, EAST)), float(rng.uniform(SOUTH, NORTH))
    if number % 2 == 0:
        properties = zones[int(rng.integers(0, ZONES))]["properties"]
        assert isinstance(properties, dict)
        lon, lat, radius_m = properties["center"]
        lat += float(rng.uniform(-1, 1)) * radius_m / 111_000
    heading = float(rng.uniform(0, 2 * math.pi))
    turns = np.cumsum(rng.normal(0, 0.02, ROUTE_VERTICES))
    step = ROUTE_M / (ROUTE_VERTICES - 1)
    line: list[list[float]] = []
    for turn in turns.tolist():
        line.append([round(lon, 7), round(lat, 7)])
        k_lon, k_lat = scale(lat * 1e7)
        lon += step * math.cos(heading + turn) / k_lon / 1e7
        lat += step * math.sin(heading + turn) / k_lat / 1e7
        if not (WEST < lon < EAST and SOUTH < lat < NORTH):
            heading += 0.1
    return {
        "type": "Feature",
        "properties": {"id": f"r{number}", "kind": "route"},
        "geometry": {"type": "LineString", "coordinates": line},
    }


if __name__ == "__main__":
    print(json.dumps(run(units=int(sys.argv[1]) if len(sys.argv) > 1 else UNITS), indent=2))
