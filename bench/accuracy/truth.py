"""Real tracks, their truth, and how what was found is compared with it (DETECTION section 11).

Law: judges what it is given, whoever found it: ours and the peers' are counted by the same hand.
"""

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.detect import Finding
from collector.detect.geo import Shapes
from collector.detect.geo.geojson import read_zones
from plomba.replay import Plan, replay, rulebook
from plomba.tracks import Reading, Row, read_track, time_ms

MATCH_MS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    unit: str
    zone: str
    entered_ms: int | None
    exited_ms: int | None
    depth_m: float


def rows_of(path: Path) -> list[Row]:
    reading = Reading(lambda _: None)
    read_track(reading, path)
    return reading.rows


def shapes_of(*paths: Path) -> Shapes:
    features: list[object] = []
    for path in paths:
        data = path.read_bytes()
        text = gzip.decompress(data) if path.name.endswith(".gz") else data
        features += json.loads(text)["features"]
    shapes = read_zones({"type": "FeatureCollection", "features": features})
    assert isinstance(shapes, Shapes), shapes[:3]
    return shapes


def visits_of(path: Path) -> list[Visit]:
    with path.open(encoding="utf-8") as lines:
        return [
            Visit(
                unit=row["unit"],
                zone=row["zone"],
                entered_ms=time_ms(row["entered"]) if row["entered"] else None,
                exited_ms=time_ms(row["exited"]) if row["exited"] else None,
                depth_m=float(row["depth_m"]),
            )
            for row in csv.DictReader(lines)
        ]


def thinned(rows: Sequence[Row], interval_s: int) -> list[Row]:
    """The first fix at or after each multiple of the interval, of every unit."""
    kept: list[Row] = []
    due: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: (row.unit, row.t_ms)):
        if row.t_ms >= due.get(row.unit, 0):
            kept.append(row)
            due[row.unit] = (row.t_ms // (interval_s * 1_000) + 1) * interval_s * 1_000
    return kept


def findings_of(shapes: Shapes, rows: Sequence[Row]) -> list[Finding]:
    units = {row.unit for row in rows}
    return replay(rulebook(shapes, None, [], units, None), rows, [], Plan()).findings


def transitions(findings: Iterable[Finding]) -> dict[tuple[str, str, str], list[int]]:
    found: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for finding in findings:
        if finding.code in ("ZONE_ENTERED", "ZONE_EXITED"):
            found[finding.unit, finding.zone or "", finding.code].append(finding.at_ms)
    return found


def compared(
    truth: dict[tuple[str, str, str], list[int]], ours: dict[tuple[str, str, str], list[int]]
) -> dict[str, float]:
    """Each true transition is matched with the nearest of ours within 30 s, each of ours once."""
    errors: list[int] = []
    for key, times in truth.items():
        left = list(ours.get(key, ()))
        for at_ms in times:
            nearest = min(left, key=lambda other: abs(other - at_ms), default=None)
            if nearest is not None and abs(nearest - at_ms) <= MATCH_MS:
                left.remove(nearest)
                errors.append(abs(nearest - at_ms))
    true, said = (sum(map(len, some.values())) for some in (truth, ours))
    errors.sort()
    return {
        "truth": true,
        "missed_percent": round(100 * (true - len(errors)) / true, 2),
        "extra_percent": round(100 * (said - len(errors)) / true, 2),
        "time_error_p95_s": errors[int(0.95 * len(errors))] / 1_000,
    }


def behind_last_percent(visits: Sequence[Visit], rows: Iterable[Row]) -> float:
    """Visits that begin when the thinned track has ended: there is no row that anybody could see them by."""
    last: dict[str, int] = {}
    for row in rows:
        last[row.unit] = max(row.t_ms, last.get(row.unit, 0))
    behind = sum((visit.entered_ms or 0) > last.get(visit.unit, 0) for visit in visits)
    return round(100 * behind / len(visits), 1)


def visits_seen(visits: Sequence[Visit], findings: Iterable[Finding]) -> dict[str, float]:
    """Shares of the true visits that lie in a confirmed stay, or were thought possible; of our stays that were no visit."""
    found = list(findings)
    stays, possible = _stays(found)
    windows = _windows(found)
    counts: dict[str, int] = defaultdict(int)
    for visit in visits:
        key = (visit.unit, visit.zone)
        sure = any(_during(visit, *stay) for stay in stays[key])
        maybe = sure or any(_during(visit, at_ms, at_ms) for at_ms in possible[key])
        counts["window"] += maybe or any(_during(visit, *one) for one in windows[key])
        for name in ("all", "deep") if visit.depth_m >= 25 else ("all",):
            counts[name] += 1
            counts[f"{name}_sure"] += sure
            counts[f"{name}_maybe"] += maybe
    true: dict[tuple[str, str], list[Visit]] = defaultdict(list)
    for visit in visits:
        true[visit.unit, visit.zone].append(visit)
    said = sum(map(len, stays.values()))
    false = sum(
        not any(_during(visit, *stay) for visit in true[key])
        for key, some in stays.items()
        for stay in some
    )
    return {
        "confirmed_percent": round(100 * counts["all_sure"] / counts["all"], 1),
        "no_visit_percent": round(100 * false / max(1, said), 1),
        "possible_percent": round(100 * counts["all_maybe"] / counts["all"], 1),
        "deep_percent": round(100 * counts["deep_maybe"] / counts["deep"], 1),
        "window_percent": round(100 * counts["window"] / counts["all"], 1),
    }


def _windows(findings: Iterable[Finding]) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """From fix to fix, as a possible visit or a passage says itself (`t0`, `t1`): somewhere between it must have been."""
    windows: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for finding in findings:
        if finding.code in ("ZONE_POSSIBLE_VISIT", "ZONE_ENTERED") and "t0" in finding.data:
            t0, t1 = (time_ms(str(finding.data[name])) for name in ("t0", "t1"))
            windows[finding.unit, finding.zone or ""].append((t0, t1))
    return windows


def _stays(
    findings: Iterable[Finding],
) -> tuple[dict[tuple[str, str], list[tuple[int, int]]], dict[tuple[str, str], list[int]]]:
    """Confirmed stays from entry to exit, and the times of possible ones."""
    stays: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    possible: dict[tuple[str, str], list[int]] = defaultdict(list)
    order = {"ZONE_ENTERED": 0, "ZONE_FOUND_INSIDE": 0, "ZONE_EXITED": 1}
    for finding in sorted(findings, key=lambda one: (one.at_ms, order.get(one.code, 2))):
        key = (finding.unit, finding.zone or "")
        match finding.code:
            case "ZONE_ENTERED" | "ZONE_FOUND_INSIDE":
                stays[key].append((finding.at_ms, 1 << 62))
            case "ZONE_EXITED":
                stays[key][-1] = (stays[key][-1][0], finding.at_ms)
            case "ZONE_POSSIBLE_VISIT":
                possible[key].append(finding.at_ms)
            case _:
                pass
    return stays, possible


def _during(visit: Visit, from_ms: int, to_ms: int) -> bool:
    begin = -MATCH_MS if visit.entered_ms is None else visit.entered_ms - MATCH_MS
    end = (1 << 62) if visit.exited_ms is None else visit.exited_ms + MATCH_MS
    return from_ms <= end and to_ms >= begin
