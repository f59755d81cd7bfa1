"""Driving faster than allowed (DETECTION section 7.3): a record, no alarm.

Law: keeps no running greatest: a row that is still too fast changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from collector.detect import Fix, Hit, Phase, Place, place_in, place_out, whole
from collector.detect.geo import BoolArray, FloatArray, IntArray, Zone
from collector.detect.geo.measure import distance_m
from collector.detect.rules import Thresholds

OVER_FIXES = 3
KMH_CM_S = 100 / 3.6


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    running: bool = False  # SPEED_EXCESS was said
    first: Place | None = None  # of the fixes that speak for a change
    count: int = 0
    seq: int = 0  # of the record that began it
    n: int = 0


def quiet(state: State) -> bool:
    return state.first is None


def broken(state: State) -> State:
    """A hole drops the candidate."""
    return replace(state, first=None, count=0)


def limit_cm_s(rules: Thresholds, zones: Iterable[Zone]) -> int:
    """What is too fast: the strictest limit of the zones around, or the road's, and a little more."""
    own = [zone.speed_kmh for zone in zones if zone.speed_kmh is not None]
    return round((min(own, default=rules.speed_kmh) + rules.speed_more_kmh) * KMH_CM_S)


def screen(
    *,
    moved_m: FloatArray,
    dt_ms: IntArray,
    speed_cm_s: IntArray,
    limit_cm_s: IntArray,
    running: BoolArray,
) -> BoolArray:
    """Too fast while nothing runs, slow enough while it does; an unknown speed is asked of the way."""
    way_cm_s = moved_m * 100_000 / np.maximum(dt_ms, 1)
    known = speed_cm_s >= 0
    # The rows' own distance may differ in its last digits from the column's: a centimetre a second of grace
    over = np.where(known, speed_cm_s > limit_cm_s, way_cm_s > limit_cm_s - 1)
    under = np.where(known, speed_cm_s <= limit_cm_s, way_cm_s <= limit_cm_s + 1)
    marked: BoolArray = np.where(running, under, over)
    return marked


def step(
    rules: Thresholds, state: State, fix: Fix, limit_cm_s: int
) -> tuple[State, tuple[Hit, ...]]:
    """One good fix. A fix without any speed says nothing."""
    speed = _speed_cm_s(fix)
    if speed is None:
        return state, ()
    turns = (speed > limit_cm_s) is not state.running
    if not turns:
        return (state, ()) if state.first is None else (replace(state, first=None, count=0), ())
    first = state.first or fix.place
    count = min(state.count + 1, OVER_FIXES)
    lasted_s = (fix.place.t_ms - first.t_ms) / 1_000
    if not state.running and count >= OVER_FIXES and lasted_s >= rules.speed_s:
        begun = State(running=True, seq=first.seq, n=1)
        return begun, (_hit(begun, first, Phase.BEGIN, 0, speed, limit_cm_s),)
    if state.running and lasted_s >= rules.speed_over_s:
        return State(), (_hit(state, first, Phase.END, state.n, speed, limit_cm_s),)
    return replace(state, first=first, count=count), ()


def pack(state: State) -> tuple[object, ...]:
    return (int(state.running), place_out(state.first), state.count, state.seq, state.n)


def unpack(packed: list[object]) -> State:
    running, first, count, seq, n = packed
    return State(
        running=bool(running),
        first=place_in(first),
        count=whole(count),
        seq=whole(seq),
        n=whole(n),
    )


def _speed_cm_s(fix: Fix) -> float | None:
    if fix.speed_cm_s is not None:
        return fix.speed_cm_s
    prev = fix.prev
    if prev is None or fix.broken or fix.dt_ms <= 0:
        return None
    here = fix.place
    return distance_m(prev.lon_e7, prev.lat_e7, here.lon_e7, here.lat_e7) * 100_000 / fix.dt_ms


def _hit(state: State, place: Place, phase: Phase, n: int, speed: float, limit: int) -> Hit:
    return Hit(
        code="SPEED_EXCESS",
        at_ms=place.t_ms,
        origin_seq=state.seq,
        phase=phase,
        n=n,
        lat_e7=place.lat_e7,
        lon_e7=place.lon_e7,
        value=round(speed / 100, 2),
        data={"limit_kmh": round(limit / KMH_CM_S)},
    )
