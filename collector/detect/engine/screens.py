"""The screens of one version of the rules over its rows: gate, motion, speed, sky, zones, route.

Law: a row is marked for everyone whom it may concern. Generous is only slow; too strict would hide a finding.
"""

from collections.abc import Sequence

import numpy as np

from collector.detect import gnss, interference, motion, route, speed, zones
from collector.detect.engine import (
    ALL,
    MOTION,
    ROUTE,
    SKY,
    SPEED,
    ZONES,
    BitArray,
    UnitState,
)
from collector.detect.engine.dues import dues_of, limits_of
from collector.detect.geo import BoolArray, IntArray, RouteLine
from collector.detect.geo.index import touched
from collector.detect.geo.lines import Progress, follow, surely_off
from collector.detect.geo.measure import HALF_TURN_E7, distances_m
from collector.detect.route.joining import may_join, still_before
from collector.detect.rules import Rules
from collector.detect.track import UNKNOWN, Track


def screen_version(
    rules: Rules,
    known: list[UnitState],
    track: Track,
    routes: Sequence[RouteLine | None],
    mask: BitArray,
    rows: slice | IntArray,
    before: tuple[IntArray, ...],
    dt_ms: IntArray,
) -> Progress | None:
    """The screens of one version over its rows; marks them in `mask`."""
    th = rules.thresholds
    unit, t_ms = track.unit[rows], track.t_ms[rows]
    lat, lon = track.lat_e7[rows], track.lon_e7[rows]
    prev_lat, prev_lon = before[1], before[2]
    received = np.array(
        [UNKNOWN if batch.received_ms is None else batch.received_ms for batch in track.batches]
    )[track.batch[rows]]
    moved_m = distances_m(prev_lon, prev_lat, lon, lat)
    odd = gnss.screen(
        th,
        moved_m=moved_m,
        dt_ms=dt_ms,
        u_cm=uncertainty_cm(track.err_cm[rows], track.hdop_centi[rows]),
        lat_e7=lat,
        lon_e7=lon,
        t_ms=t_ms,
        received_ms=received,
    )
    bits = np.where(odd, np.uint8(ALL), np.uint8(0))
    bits[t_ms >= dues_of(rules, known)[unit]] = ALL
    bits[_motion_marks(rules, known, track, rows, moved_m, dt_ms)] |= MOTION
    too_fast = speed.screen(
        moved_m=moved_m,
        dt_ms=dt_ms,
        speed_cm_s=track.speed_cm_s[rows],
        limit_cm_s=limits_of(rules, known)[unit],
        running=np.array([state.speed.running for state in known])[unit],
    )
    bits[too_fast] |= SPEED
    odd_sky = interference.screen(
        lat_e7=lat,
        lon_e7=lon,
        prev_lat=prev_lat,
        prev_lon=prev_lon,
        speed_cm_s=track.speed_cm_s[rows],
        flags=track.flags[rows],
    )
    bits[odd_sky] |= SKY
    gap_ms = max(th.gap_s, 3 * th.interval_s) * 1_000
    at_zones = (dt_ms > gap_ms) | (np.abs(lon - prev_lon) > HALF_TURN_E7)
    asked = np.flatnonzero(~(at_zones | odd))
    if len(asked):
        allowed = _allowed(rules, track.units) if rules.for_units else None
        at_zones[asked] = touched(
            rules.index,
            prev_lon[asked],
            prev_lat[asked],
            lon[asked],
            lat[asked],
            allowed,
            unit[asked],
        )
    progress = _follow(rules, known, routes, unit, t_ms, dt_ms, lat, lon)
    if progress is not None:
        at_route, by_route = _route_marks(rules, known, routes, unit, dt_ms, progress)
        bits[at_route] |= ROUTE
        at_zones |= by_route
    wait = _wait(rules, known, routes, unit, t_ms, lat, lon)
    if wait is not None:
        bits[wait] |= ROUTE
        at_zones |= wait & (dt_ms >= route.BY_ROUTE_MS)  # the route may stand for the chord
    done = [state.route.mode is route.Mode.DONE for state in known]
    if any(done):  # also behind its end the route may stand for the chord
        at_zones |= np.array(done)[unit] & (dt_ms >= route.BY_ROUTE_MS)
    bits[at_zones] |= ZONES
    mask[rows] |= bits
    return progress


def _motion_marks(
    rules: Rules,
    known: list[UnitState],
    track: Track,
    rows: slice | IntArray,
    moved_m: np.ndarray[tuple[int], np.dtype[np.float64]],
    dt_ms: IntArray,
) -> BoolArray:
    unit = track.unit[rows]
    standing = np.array([state.motion.mode is motion.Mode.STANDING for state in known])
    marked_from = np.zeros(len(unit))
    if standing.any():
        anchors = [state.motion.anchor for state in known]
        at_lat = np.array([0 if anchor is None else anchor.lat_e7 for anchor in anchors])
        at_lon = np.array([0 if anchor is None else anchor.lon_e7 for anchor in anchors])
        some = np.flatnonzero(standing[unit])
        who = unit[some]
        marked_from[some] = distances_m(
            at_lon[who], at_lat[who], track.lon_e7[rows][some], track.lat_e7[rows][some]
        )
    return motion.screen(
        rules.thresholds,
        moved_m=moved_m,
        dt_ms=dt_ms,
        speed_cm_s=track.speed_cm_s[rows],
        is_standing=standing[unit],
        from_anchor_m=marked_from,
    )


def _allowed(rules: Rules, units: Sequence[str]) -> BoolArray:
    """(units, zones): which zones concern which unit."""
    own = [zone.unit for zone in rules.index.zones]
    allowed = np.zeros((len(units), len(own)), np.bool_)
    number_of = {unit: number for number, unit in enumerate(units)}
    for number, name in enumerate(own):
        if name is None:
            allowed[:, number] = True
        elif name in number_of:
            allowed[number_of[name], number] = True
    return allowed


def _follow(
    rules: Rules,
    known: list[UnitState],
    routes: Sequence[RouteLine | None],
    unit: IntArray,
    t_ms: IntArray,
    dt_ms: IntArray,
    lat: IntArray,
    lon: IntArray,
) -> Progress | None:
    numbers = np.array(
        [
            rules.table.numbers.get(line.id, -1)
            if line is not None
            and route.followed(state.route)
            and state.route.route == line.id
            and state.route.mark == line.mark
            else -1
            for state, line in zip(known, routes, strict=True)
        ],
        np.int64,
    )
    if not (numbers >= 0).any():
        return None
    prevs = [state.frame.prev for state in known]
    return follow(
        rules.table,
        route=numbers,
        top_m=np.array([state.frame.top_m for state in known]),
        anchor_ms=np.array([0 if prev is None else prev.t_ms for prev in prevs]),
        unit=unit,
        t_ms=t_ms,
        dt_ms=dt_ms,
        lat_e7=lat,
        lon_e7=lon,
    )


def _route_marks(
    rules: Rules,
    known: list[UnitState],
    routes: Sequence[RouteLine | None],
    unit: IntArray,
    dt_ms: IntArray,
    progress: Progress,
) -> tuple[BoolArray, BoolArray]:
    """What the route's screen marks, of units that are on it; and where the way along it may meet a zone."""
    table = rules.table
    is_on = np.array([route.followed(state.route) for state in known])[unit]
    number = np.array([table.numbers.get(line.id, 0) if line else 0 for line in routes])[unit]
    odd = (
        ~progress.sure
        | (progress.d_m > table.half_width_m[number] / 2)
        | (progress.s_m < progress.top_before_m - route.FALL_M)
        | (progress.s_m >= table.total_m[number] - rules.thresholds.done_m)
    )
    # of a place that is not sure, nothing is known: not even that no zone is near
    long = (dt_ms >= route.BY_ROUTE_MS) & is_on
    by_route = long & odd
    long &= ~odd
    if long.any():  # the way along the route may meet a zone that the chord does not
        at = np.flatnonzero(long)
        base = table.base[number[at]]
        behind_m = np.maximum(progress.top_before_m[at] - route.FALL_M - 1, 0)
        low = table.axis.searchsorted(base + np.minimum(behind_m, progress.s_m[at]), "right") - 1
        high = np.maximum(
            table.axis.searchsorted(base + progress.top_before_m[at], "right") - 1,
            progress.segment[at],
        )
        by_route[at] = table.near_zone[high + 1] > table.near_zone[np.maximum(low, 0)]
    return is_on & odd, by_route


def _wait(
    rules: Rules,
    known: list[UnitState],
    routes: Sequence[RouteLine | None],
    unit: IntArray,
    t_ms: IntArray,
    lat: IntArray,
    lon: IntArray,
) -> BoolArray | None:
    """Which rows of units that have not joined yet may change that; None if there is no such unit."""
    waiting = [
        (number, line)
        for number, (state, line) in enumerate(zip(known, routes, strict=True))
        if line is not None
        and route.waits(state.route)
        and (state.route.route, state.route.mark) == (line.id, line.mark)
    ]
    if not waiting:
        return None
    numbers = np.full(len(known), -1, np.int64)
    reach_m = np.zeros(len(known))
    waits = np.zeros(len(known), np.bool_)
    for number, line in waiting:
        waits[number] = True
        if not may_join(rules, line, zones.inside(known[number].zones)):
            numbers[number] = rules.table.numbers.get(line.id, -1)
            reach_m[number] = line.half_width_m / 2
    off = surely_off(rules.table, route=numbers, reach_m=reach_m, unit=unit, lat_e7=lat, lon_e7=lon)
    starts = unit.searchsorted(np.arange(len(known) + 1))
    for number, line in waiting:
        rows = slice(int(starts[number]), int(starts[number + 1]))
        state = known[number].route
        off[rows] &= still_before(rules, line, state, t_ms[rows], lon[rows], lat[rows])
    marked: BoolArray = waits[unit] & ~off
    return marked


def uncertainty_cm(err_cm: IntArray, hdop_centi: IntArray) -> IntArray:
    """Uncertainty: max(3 m, 2 sigma); sigma by the receiver, else 4.5 m x HDOP, else 5 m (DETECTION section 1)."""
    twice = np.where(err_cm >= 0, 2 * err_cm, np.where(hdop_centi >= 0, 9 * hdop_centi, 1_000))
    return np.maximum(twice, 300)
