"""All figures of DETECTION section 11, ours and the peers', from the real traces and from made noise.

Law: every figure is counted anew from the rows; a goal stands beside it and is met or not.
"""

import gzip
import json
import math
from collections.abc import Callable, Iterable, Sequence
from csv import DictReader
from dataclasses import replace
from pathlib import Path
from random import Random

from bench.accuracy.peers import departures, flips, leaps, stays
from bench.accuracy.truth import (
    Visit,
    behind_last_percent,
    compared,
    findings_of,
    rows_of,
    shapes_of,
    thinned,
    transitions,
    visits_of,
    visits_seen,
)
from bench.machine import machine
from collector.detect.geo import RouteLine, Shapes
from collector.detect.geo.geojson import read_zones
from collector.detect.geo.measure import scale
from plomba.tracks import Row

INTERVALS_S = (1, 10, 30, 60, 120)
ROUTE_CODES = ("ROUTE_LEFT", "ROUTE_DEVIATION", "ROUTE_WRONG_WAY", "ROUTE_PART_SKIPPED")
DAY_S = 86_400
TURN_DEGREES = 30.0
P99_M_MAX = 100.0  # corridor figures leave out tracks whose truth is farther away than this

Say = Callable[[str], None]


def run(traces: Path, *, parked_days: int, say: Say) -> dict[str, object]:
    """The whole report. `traces`: the folder with kubicka/ and fcd_hof/."""
    say("transitions and visits at zones")
    report: dict[str, object] = {"zones": _zones(traces / "kubicka")}
    say("visits with the route loaded")
    report["by_route"] = _by_route(traces / "kubicka")
    say(f"parked on a border for {parked_days} days")
    report["parked"] = _parked(parked_days)
    say("corridors of those who followed their route")
    report["corridor"] = _corridor(traces)
    say("tracks turned off their route")
    report["turned"] = _turned(traces)
    say("jumps")
    report["jumps"] = _jumps(traces)
    return {**report, "machine": machine()}


# zones


def _zones(folder: Path) -> dict[str, object]:
    shapes = shapes_of(folder / "zones.geojson.gz")
    rows, truth = _placed(folder / "tracks.csv.gz"), _placed(folder / "truth.csv.gz")
    rows = [row for row in rows if row.unit in {one.unit for one in truth}]
    visits = visits_of(folder / "visits.csv")
    found = findings_of(shapes, rows)
    ours = compared(transitions(findings_of(shapes, truth)), transitions(found))
    flat = compared(flips(shapes.zones, truth), flips(shapes.zones, rows))
    seen: dict[str, object] = {}
    for interval_s in INTERVALS_S:
        few = thinned(rows, interval_s)
        here = findings_of(shapes, few)
        seen[str(interval_s)] = {
            **visits_seen(visits, here),
            "by_points_percent": _by_points(visits, stays(shapes.zones, few)),
            "behind_last_percent": behind_last_percent(visits, few),
        }
    return {
        "tracks": len({row.unit for row in truth}),
        "hours": round(_hours(truth), 1),
        "transitions": {"plomba": ours, "flip_on_membership": flat},
        "visits": seen,
    }


def _by_points(
    visits: Sequence[Visit], seen: dict[tuple[str, str], list[tuple[int, int]]]
) -> float:
    hit = sum(
        any(
            from_ms <= (visit.exited_ms or 1 << 62) + 30_000
            and to_ms >= (visit.entered_ms or 0) - 30_000
            for from_ms, to_ms in seen.get((visit.unit, visit.zone), ())
        )
        for visit in visits
    )
    return round(100 * hit / len(visits), 1)


def _by_route(folder: Path) -> dict[str, object]:
    shapes = shapes_of(folder / "zones.geojson.gz", folder / "routes.geojson.gz")
    rows = _placed(folder / "tracks.csv.gz")
    visits = visits_of(folder / "visits.csv")
    units = {visit.unit for visit in visits}
    few = thinned([row for row in rows if row.unit in units], 60)
    return {
        "interval_s": 60,
        **visits_seen(visits, findings_of(shapes, few)),
        "behind_last_percent": behind_last_percent(visits, few),
    }


def _parked(days: int) -> dict[str, object]:
    """A unit that stands on a zone's edge; noise as DETECTION section 11 makes it."""
    shapes = _edge_at_zero()
    out: dict[str, object] = {"days": days, "seed": 1}
    fine = _standing(days * DAY_S, Random(1))  # noqa: S311  # made noise, no secret
    for interval_s in (1, 10, 30):
        rows = thinned(fine, interval_s)
        found = [
            one for one in findings_of(shapes, rows) if one.code in ("ZONE_ENTERED", "ZONE_EXITED")
        ]
        naive = flips(shapes.zones, rows)
        out[str(interval_s)] = {
            "plomba_a_day": round(len(found) / days, 2),
            "flip_on_membership_a_day": round(sum(map(len, naive.values())) / days),
        }
    return out


def _edge_at_zero() -> Shapes:
    ring = [[69.0, 41.0], [69.01, 41.0], [69.01, 41.01], [69.0, 41.01], [69.0, 41.0]]
    feature = {
        "type": "Feature",
        "properties": {"id": "yard"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    shapes = read_zones({"type": "FeatureCollection", "features": [feature]})
    assert isinstance(shapes, Shapes)
    return shapes


def _standing(seconds: int, chance: Random) -> list[Row]:
    """Gauss-Markov 5 m over 120 s and white 1 m on each axis; once an hour 40 m for 30 s."""
    k_lon, k_lat = scale(410_050_000)
    decay = math.exp(-1 / 120)
    kick = 5.0 * math.sqrt(1 - decay * decay)
    x = y = 0.0
    rows: list[Row] = []
    burst_from = chance.randrange(3_600)
    for t_s in range(seconds):
        x, y = decay * x + chance.gauss(0, kick), decay * y + chance.gauss(0, kick)
        if t_s % 3_600 == 0:
            burst_from = t_s + chance.randrange(3_500)
        burst_m = 40.0 if burst_from <= t_s < burst_from + 30 else 0.0
        east, north = x + chance.gauss(0, 1) + burst_m, y + chance.gauss(0, 1)
        rows.append(
            Row(
                unit="parked",
                t_ms=1_795_330_000_000 + t_s * 1_000,
                lat_e7=round(410_050_000 + north / k_lat),
                lon_e7=round(690_000_000 + east / k_lon),
                speed_cm_s=0,
            )
        )
    return rows


# corridors


def _corridor(traces: Path) -> dict[str, object]:
    """Units that followed their route: whatever says that they left it is wrong."""
    out: dict[str, object] = {}
    for name, folder, tracks, routes, keep in (
        (
            "kubicka",
            traces / "kubicka",
            "tracks.csv.gz",
            "routes.geojson.gz",
            _whole_routes(traces),
        ),
        ("hof", traces / "fcd_hof", "tracks.csv", "routes.geojson", None),
    ):
        rows = _placed(folder / tracks)
        if keep is not None:
            rows = [row for row in rows if row.unit in keep]
        hours = _hours(rows)
        by_width: dict[str, object] = {}
        for width_m in (150, 100):
            found = findings_of(_with_width(folder / routes, width_m), rows)
            by_width[str(width_m)] = {
                code: sum(one.code == code and one.n == 0 for one in found) for code in ROUTE_CODES
            }
        lines = {line.unit: line for line in _with_width(folder / routes, 150).routes}
        out[name] = {
            "tracks": len({row.unit for row in rows}),
            "hours": round(hours, 1),
            "plomba_by_half_width_m": by_width,
            "peers_per_100_h": {
                f"{width_m} m x {samples}": round(
                    100 * _departed(lines, rows, width_m, samples) / hours, 1
                )
                for width_m, samples in ((25, 1), (50, 1), (100, 3))
            },
        }
    return out


def _departed(
    lines: dict[str | None, RouteLine], rows: Sequence[Row], width_m: float, samples: int
) -> int:
    of_unit: dict[str, list[Row]] = {}
    for row in rows:
        of_unit.setdefault(row.unit, []).append(row)
    return sum(
        departures(lines[unit], own, width_m=width_m, samples=samples)
        for unit, own in of_unit.items()
        if unit in lines
    )


def _turned(traces: Path) -> dict[str, object]:
    """From a random point on, each track turned by 30 degrees: it must be told, and soon."""
    folder = traces / "kubicka"
    shapes = _with_width(folder / "routes.geojson.gz", 150)
    keep = _whole_routes(traces)
    rows = [row for row in _placed(folder / "tracks.csv.gz") if row.unit in keep]
    chance = Random(1)  # noqa: S311  # which point is chosen is no secret
    turned: list[Row] = []
    over: dict[str, int] = {}
    for unit in sorted({row.unit for row in rows}):
        own = [row for row in rows if row.unit == unit]
        at = chance.randrange(len(own) // 4, len(own) // 2)
        bent = _bent(own, at)
        line = next(line for line in shapes.routes if line.unit == unit)
        left = _first_beyond(line, bent, at, 150)
        if left is not None:
            over[unit] = left
            turned += bent
    found = [one for one in findings_of(shapes, turned) if one.code == "ROUTE_LEFT"]
    first = {one.unit: one for one in sorted(found, key=lambda one: -one.confirmed_ms)}
    told = [first[unit].confirmed_ms - over[unit] for unit in over if unit in first]
    at_off = [abs(first[unit].at_ms - over[unit]) for unit in over if unit in first]
    told.sort()
    at_off.sort()
    return {
        "turned": len(over),
        "told": len(told),
        "told_after_s_p50": told[len(told) // 2] / 1_000,
        "told_after_s_p95": told[int(0.95 * len(told))] / 1_000,
        "at_error_s_p95": at_off[int(0.95 * len(at_off))] / 1_000,
    }


def _bent(own: Sequence[Row], at: int) -> list[Row]:
    pivot = own[at]
    assert pivot.lat_e7 is not None
    assert pivot.lon_e7 is not None
    k_lon, k_lat = scale(pivot.lat_e7)
    cos, sin = math.cos(math.radians(TURN_DEGREES)), math.sin(math.radians(TURN_DEGREES))
    bent: list[Row] = list(own[:at])
    for row in own[at:]:
        assert row.lat_e7 is not None
        assert row.lon_e7 is not None
        x, y = (row.lon_e7 - pivot.lon_e7) * k_lon, (row.lat_e7 - pivot.lat_e7) * k_lat
        east, north = cos * x - sin * y, sin * x + cos * y
        bent.append(
            replace(
                row,
                lat_e7=round(pivot.lat_e7 + north / k_lat),
                lon_e7=round(pivot.lon_e7 + east / k_lon),
            )
        )
    return bent


def _first_beyond(line: RouteLine, rows: Sequence[Row], at: int, width_m: float) -> int | None:
    """When it first lies beyond the half width and stays there for two minutes."""
    import numpy as np  # noqa: PLC0415  # beside its only use

    from collector.detect.geo.line import project_many  # noqa: PLC0415  # as above

    lon = np.array([row.lon_e7 for row in rows], np.int64)
    lat = np.array([row.lat_e7 for row in rows], np.int64)
    off = (project_many(line, lon, lat).d_m > width_m).tolist()
    for number in range(at, len(rows)):
        if not off[number]:
            continue
        end = number
        while end < len(rows) and off[end]:
            end += 1
        if rows[end - 1].t_ms - rows[number].t_ms >= 120_000:
            return rows[number].t_ms
    return None


# jumps


def _jumps(traces: Path) -> dict[str, object]:
    """All traces as they are, and with jumps of 3 km put in that stay for five fixes."""
    rows: list[Row] = []
    for path in sorted((*traces.glob("*/*.csv"), *traces.glob("*/tracks.csv.gz"))):
        if path.name in ("stats.csv", "visits.csv") or "events" in path.name:
            continue
        rows += [
            replace(row, unit=f"{path.parent.name}/{path.name}/{row.unit}") for row in _placed(path)
        ]
    none = Shapes(zones=(), routes=())
    said = [one for one in findings_of(none, rows) if one.value == "teleport"]
    put_in, moved = _with_jumps([row for row in rows if row.unit.startswith("kubicka")])
    found = {(one.unit, one.at_ms) for one in findings_of(none, moved) if one.value == "teleport"}
    return {
        "positions": len(rows),
        "teleports_said": len(said),
        "steps_over_200_km_h": leaps(rows, speed_m_s=200 / 3.6),
        "put_in": len(put_in),
        "put_in_found": len(put_in & found),
    }


def _with_jumps(rows: Sequence[Row]) -> tuple[set[tuple[str, int]], list[Row]]:
    chance = Random(1)  # noqa: S311  # which point is chosen is no secret
    out: list[Row] = []
    put_in: set[tuple[str, int]] = set()
    for unit in sorted({row.unit for row in rows}):
        own = [row for row in rows if row.unit == unit]
        at = chance.randrange(len(own) // 4, len(own) // 2)
        put_in.add((unit, own[at].t_ms))
        for number, row in enumerate(own):
            assert row.lat_e7 is not None
            # 0.027 degrees north are 3 km
            out.append(replace(row, lat_e7=row.lat_e7 + 270_000) if number >= at else row)
    return put_in, out


# what all need


def _placed(path: Path) -> list[Row]:
    return [row for row in rows_of(path) if row.lat_e7 is not None]


def _hours(rows: Iterable[Row]) -> float:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for row in rows:
        first[row.unit] = min(row.t_ms, first.get(row.unit, row.t_ms))
        last[row.unit] = max(row.t_ms, last.get(row.unit, row.t_ms))
    return sum(last[unit] - first[unit] for unit in first) / 3_600_000


def _whole_routes(traces: Path) -> set[str]:
    """Tracks whose true route is whole and near (DETECTION section 11: corridor)."""
    with (traces / "kubicka" / "stats.csv").open(encoding="utf-8") as lines:
        return {
            row["id"]
            for row in DictReader(lines)
            if float(row["route_breaks"]) == 0 and float(row["dist_p99_m"]) <= P99_M_MAX
        }


def _with_width(path: Path, width_m: int) -> Shapes:
    data = path.read_bytes()
    source = json.loads(gzip.decompress(data) if path.name.endswith(".gz") else data)
    for feature in source["features"]:
        feature["properties"]["half_width_m"] = width_m
    shapes = read_zones(source)
    assert isinstance(shapes, Shapes), shapes[:3]
    return shapes
