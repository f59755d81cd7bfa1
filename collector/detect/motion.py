"""Standing still (DETECTION section 6); stops, speed and separation come with section 7.3.

Law: one anchor, no mean: a parked unit changes nothing here however long it stands.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from collector.detect import Fix, Hit, Place
from collector.detect.geo import BoolArray, FloatArray, IntArray
from collector.detect.geo.measure import distance_m
from collector.detect.rules import Thresholds

SHORT_MS = (
    5_000  # over a shorter time noise looks like speed: there the device's own speed is asked
)


class Mode(IntEnum):
    MOVING = 0
    SETTLING = 1
    STANDING = 2
    LEAVING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    mode: Mode = Mode.MOVING
    anchor: Place | None = None  # of all modes but MOVING
    stopped: bool = False  # STOP_BEGAN was said
    away: int = 0  # fixes beyond, LEAVING only
    first: Place | None = None  # of them


MOVING = State()


def quiet(state: State) -> bool:
    return state.mode is Mode.MOVING or state.mode is Mode.STANDING


def standing(state: State) -> bool:
    """Also while it has only begun to leave: a burst of noise is not a departure."""
    return state.mode is Mode.STANDING


def broken(state: State) -> State:
    """A hole in the chain drops what was only a candidate."""
    if state.mode is Mode.SETTLING:
        return MOVING
    if state.mode is Mode.LEAVING:
        return replace(state, mode=Mode.STANDING, away=0, first=None)
    return state


def due_ms(rules: Thresholds, state: State) -> int | None:
    """When a fix would say STOP_BEGAN."""
    if state.mode is Mode.STANDING and not state.stopped and state.anchor is not None:
        return state.anchor.t_ms + rules.stop_s * 1_000
    return None


def screen(
    rules: Thresholds,
    *,
    moved_m: FloatArray,
    dt_ms: IntArray,
    speed_cm_s: IntArray,
    is_standing: BoolArray,
    from_anchor_m: FloatArray,
) -> BoolArray:
    """Slow while MOVING; away from the anchor while STANDING. A little generous."""
    by_device = (dt_ms < SHORT_MS) & (speed_cm_s >= 0)
    slow = np.where(
        by_device,
        speed_cm_s < rules.slow_m_s * 100,
        moved_m * 1_000 < (rules.slow_m_s + 0.001) * dt_ms,
    )
    marked: BoolArray = np.where(
        is_standing,
        from_anchor_m > rules.stand_m - 0.1,
        slow,
    )
    return marked


def step(rules: Thresholds, state: State, fix: Fix) -> tuple[State, tuple[Hit, ...]]:
    """One good fix. `fix.prev` may be missing or lie behind a break: then no speed is known but the device's."""
    match state.mode:
        case Mode.MOVING:
            if _slow(rules, fix):
                return State(mode=Mode.SETTLING, anchor=fix.place), ()
            return state, ()
        case Mode.SETTLING:
            return _settle(rules, state, fix)
        case Mode.STANDING:
            return _stand(rules, state, fix)
        case Mode.LEAVING:
            return _leave(rules, state, fix)


def pack(state: State) -> tuple[object, ...]:
    return (
        int(state.mode),
        _place_out(state.anchor),
        int(state.stopped),
        state.away,
        _place_out(state.first),
    )


def unpack(packed: list[object]) -> State:
    mode, anchor, stopped, away, first = packed
    assert isinstance(mode, int)
    assert isinstance(away, int)
    return State(
        mode=Mode(mode),
        anchor=_place_in(anchor),
        stopped=bool(stopped),
        away=away,
        first=_place_in(first),
    )


def _place_out(place: Place | None) -> tuple[int, ...] | None:
    if place is None:
        return None
    return (place.seq, place.t_ms, place.lat_e7, place.lon_e7, place.u_cm)


def _place_in(packed: object) -> Place | None:
    if packed is None:
        return None
    assert isinstance(packed, list)
    seq, t_ms, lat_e7, lon_e7, u_cm = packed
    return Place(seq=seq, t_ms=t_ms, lat_e7=lat_e7, lon_e7=lon_e7, u_cm=u_cm)


def _slow(rules: Thresholds, fix: Fix) -> bool:
    known = fix.speed_cm_s is not None
    if fix.prev is None or fix.broken:
        return fix.speed_cm_s is not None and fix.speed_cm_s < rules.slow_m_s * 100
    if known and fix.dt_ms < SHORT_MS:
        return fix.speed_cm_s is not None and fix.speed_cm_s < rules.slow_m_s * 100
    return _apart_m(fix.prev, fix.place) * 1_000 < rules.slow_m_s * fix.dt_ms


def _settle(rules: Thresholds, state: State, fix: Fix) -> tuple[State, tuple[Hit, ...]]:
    assert state.anchor is not None
    if _apart_m(state.anchor, fix.place) > rules.stand_m:
        return MOVING, ()
    if fix.place.t_ms - state.anchor.t_ms < rules.stand_s * 1_000:
        return state, ()
    return _stand(rules, replace(state, mode=Mode.STANDING), fix)


def _stand(rules: Thresholds, state: State, fix: Fix) -> tuple[State, tuple[Hit, ...]]:
    anchor = state.anchor
    assert anchor is not None
    if _apart_m(anchor, fix.place) > rules.stand_m:
        begun = replace(state, mode=Mode.LEAVING, away=0, first=None)
        return _leave(rules, begun, fix)
    if state.stopped or fix.place.t_ms - anchor.t_ms < rules.stop_s * 1_000:
        return state, ()
    began = Hit(
        code="STOP_BEGAN",
        at_ms=anchor.t_ms,
        origin_seq=anchor.seq,
        lat_e7=anchor.lat_e7,
        lon_e7=anchor.lon_e7,
    )
    return replace(state, stopped=True), (began,)


def _leave(rules: Thresholds, state: State, fix: Fix) -> tuple[State, tuple[Hit, ...]]:
    anchor = state.anchor
    assert anchor is not None
    away_m = _apart_m(anchor, fix.place)
    if away_m <= rules.stand_m:
        return _stand(rules, replace(state, mode=Mode.STANDING, away=0, first=None), fix)
    first = state.first or fix.place
    away = state.away + 1
    long_enough = fix.place.t_ms - first.t_ms >= rules.leave_s * 1_000
    gone = (away >= rules.leave_fixes and long_enough) or away_m > rules.leave_m
    if not gone or not fix.place.sharp:
        return replace(state, away=min(away, rules.leave_fixes), first=first), ()
    if not state.stopped:
        return MOVING, ()
    ended = Hit(
        code="STOP_ENDED",
        at_ms=first.t_ms,
        origin_seq=anchor.seq,
        lat_e7=anchor.lat_e7,
        lon_e7=anchor.lon_e7,
        value=(first.t_ms - anchor.t_ms) / 1_000,
    )
    return MOVING, (ended,)


def _apart_m(one: Place, other: Place) -> float:
    return distance_m(one.lon_e7, one.lat_e7, other.lon_e7, other.lat_e7)
