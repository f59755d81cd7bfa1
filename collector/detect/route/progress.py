"""Where along the route a place lies: by the window around the progress, and where the route runs beside itself by the motion."""

import math
from collections.abc import Sequence

import numpy as np

from collector.detect import Fix, Place
from collector.detect.geo import RouteLine
from collector.detect.geo.line import Along, project, project_twin, segments_between
from collector.detect.geo.lines import AHEAD_M, BEHIND_M, FAST_M_S, MARK_M
from collector.detect.geo.measure import distance_m
from collector.detect.route import State
from collector.detect.route.work import Work

HEADING_M = 5.0  # who has moved less has no direction
AGREE_M = 50.0  # besides what a lorry can drive and what the fix may be off
ETA_MS = 900_000


def eta_ms(line: RouteLine, top_m: int, marks: Sequence[tuple[int, int]], now_ms: int) -> int:
    """When the unit will arrive, from its plan and its marks (number, time) of the last 15 minutes."""
    recent = [(number, t_ms) for number, t_ms in marks if now_ms - t_ms <= ETA_MS]
    speed_m_s = 0.0
    if len(recent) >= 2 and recent[-1][1] > recent[0][1]:
        way_m = (recent[-1][0] - recent[0][0]) * MARK_M
        speed_m_s = way_m * 1_000 / (recent[-1][1] - recent[0][1])
    mixed_m_s = 0.7 * line.plan_kmh / 3.6 + 0.3 * speed_m_s
    return now_ms + round(max(0.0, line.total_m - top_m) / mixed_m_s * 1_000)


def place_along(line: RouteLine, state: State, top_m: int, fix: Fix) -> Along:
    """The nearest place in the window; where the route runs beside itself, the one that motion expects."""
    place, prev = fix.place, None if fix.broken else fix.prev
    dt_ms = 0 if prev is None else max(0, fix.dt_ms)
    first, behind = window(line, top_m, dt_ms, state.s_m)
    x, y = place.lon_e7, place.lat_e7
    along = project(line, x, y, first, behind)
    if not line.twin[along.segment]:
        return along
    expected_m = float(top_m if state.s_m is None else state.s_m)
    if prev is None:
        return project_twin(line, x, y, first, behind, expected_m)
    if state.s_m is None:
        before = project(line, prev.lon_e7, prev.lat_e7, first, behind)
        if not line.twin[before.segment]:
            expected_m = before.s_m
    moved_m = distance_m(prev.lon_e7, prev.lat_e7, x, y)
    expected_m += -moved_m if state.back is not None else moved_m
    twin = project_twin(line, x, y, first, behind, expected_m, heading_of(prev, place, moved_m))
    # the way along the route may be much longer than the chord: on it, where a lorry can be by now, is better than beside it
    could_m = FAST_M_S * dt_ms / 1_000 + place.u_m + AGREE_M
    for width_m in (line.half_width_m / 2, line.half_width_m):
        if twin.d_m <= width_m:
            return twin
        if along.d_m <= width_m and abs(along.s_m - expected_m) <= could_m:
            return along
    return twin


def heading_of(prev: Place, place: Place, moved_m: float) -> tuple[float, float] | None:
    """Which way a unit drives, if it has moved enough to know."""
    if moved_m <= max(HEADING_M, place.u_m / 2):
        return None
    return place.lon_e7 - prev.lon_e7, place.lat_e7 - prev.lat_e7


def window(line: RouteLine, top_m: int, dt_ms: int, s_m: int | None = None) -> tuple[int, int]:
    base_m = top_m // MARK_M * MARK_M if s_m is None else s_m
    return segments_between(line, base_m - BEHIND_M, base_m + AHEAD_M + FAST_M_S * dt_ms / 1_000)


def passed_width(work: Work, state: State, d_m: float) -> Place:
    """Where the distance passed the half width, between the last fix and this one."""
    fix, line, place = work.fix, work.line, work.fix.place
    if fix.prev is None or fix.broken:
        return place
    first, behind = window(line, work.top_m, fix.dt_ms, state.s_m)
    before_m = project(line, fix.prev.lon_e7, fix.prev.lat_e7, first, behind).d_m
    width = line.half_width_m
    share = 1.0
    if before_m < width < d_m:
        share = (width - before_m) / (d_m - before_m)
    prev = fix.prev
    return Place(
        seq=place.seq,
        t_ms=prev.t_ms + round(share * fix.dt_ms),
        lat_e7=prev.lat_e7 + round(share * (place.lat_e7 - prev.lat_e7)),
        lon_e7=prev.lon_e7 + round(share * (place.lon_e7 - prev.lon_e7)),
        u_cm=place.u_cm,
    )


def joining_s_m(work: Work, whole: Along) -> int:
    """Where a unit joins: where the route passes twice, the earliest place that lies in its direction."""
    line, fix = work.line, work.fix
    if not line.twin[whole.segment] or whole.d_m > line.half_width_m / 2:
        return math.floor(whole.s_m)
    x, y = work.xy
    px, py = (x - line.x0) * line.kx, (y - line.y0) * line.ky
    along = np.clip((px * line.ux + py * line.uy) * line.inv_m2, 0.0, 1.0)
    away = np.hypot(px - along * line.ux, py - along * line.uy)
    fits = away <= line.half_width_m / 2
    if fix.prev is not None and not fix.broken:
        dx = (x - fix.prev.lon_e7) * line.kx
        dy = (y - fix.prev.lat_e7) * line.ky
        ahead = fits & (dx * line.ux + dy * line.uy > 0)
        moved_m = distance_m(fix.prev.lon_e7, fix.prev.lat_e7, x, y)
        if moved_m > 2 * fix.place.u_m and ahead.any():
            fits = ahead
    first = int(fits.argmax())
    return math.floor(float(line.s0_m[first] + along[first] * line.len_m[first]))


def checkpoints_skipped(line: RouteLine, from_m: int, to_m: int, visited: int) -> list[str]:
    """Checkpoints between two places along the route that were not visited meanwhile."""
    return [
        name
        for bit, (name, s_m) in enumerate(zip(line.checkpoints, line.checkpoint_s_m, strict=True))
        if from_m < s_m < to_m and not visited >> bit & 1
    ]


def segment_at(line: RouteLine, s_m: int) -> int:
    return segments_between(line, s_m, s_m)[0]
