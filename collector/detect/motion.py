"""Standing still (DETECTION section 6): where a stop began and ended. What a stop means is `stops`' affair.

Law: one anchor, no mean: a parked unit changes nothing here however long it stands.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from collector.detect import Fix, Hit, Place, place_in, place_out, whole
from collector.detect.geo import BoolArray, FloatArray, IntArray
from collector.detect.geo.measure import distance_m
from collector.detect.rules import Thresholds

SHORT_MS = (
    5_000  # over a shorter time noise looks like speed: there the device's own speed is asked
)
SAME_STOP_M, SAME_STOP_MS = (
    100.0,
    120_000,
)  # two standings so near are one stop (trackintel: 100 m; Traccar: 180 s)


class Mode(IntEnum):
    MOVING = 0
    SETTLING = 1
    STANDING = 2
    LEAVING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """The stand before: one that begins near it and soon goes on with its stop."""

    since: Place
    left_ms: int
    stopped: bool
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    mode: Mode = Mode.MOVING
    anchor: Place | None = None  # of all modes but MOVING
    stopped: bool = False  # STOP_BEGAN was said
    away: int = 0  # fixes beyond, LEAVING only
    first: Place | None = None  # of them
    since: Place | None = None  # where the stop began; STANDING and LEAVING only
    n: int = 0  # how often this stop has ended already
    last: Last | None = None


MOVING = State()


def quiet(state: State) -> bool:
    return state.mode is Mode.MOVING or state.mode is Mode.STANDING


def standing(state: State) -> bool:
    """Also while it has only begun to leave: a burst of noise is not a departure."""
    return state.mode is Mode.STANDING


def stop_of(state: State) -> Place | None:
    """Where and when the stop began that goes on, once STOP_BEGAN was said."""
    return state.since if state.stopped else None


def broken(state: State) -> State:
    """A hole in the chain drops what was only a candidate."""
    if state.mode is Mode.SETTLING:
        return State(last=state.last)
    if state.mode is Mode.LEAVING:
        return replace(state, mode=Mode.STANDING, away=0, first=None)
    return state


def due_ms(rules: Thresholds, state: State) -> int | None:
    """When a fix would say STOP_BEGAN."""
    if state.mode is Mode.STANDING and not state.stopped and state.since is not None:
        return state.since.t_ms + rules.stop_s * 1_000
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
                return State(mode=Mode.SETTLING, anchor=fix.place, last=state.last), ()
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
        place_out(state.anchor),
        int(state.stopped),
        state.away,
        place_out(state.first),
        place_out(state.since),
        state.n,
        None
        if state.last is None
        else (
            place_out(state.last.since),
            state.last.left_ms,
            int(state.last.stopped),
            state.last.n,
        ),
    )


def unpack(packed: list[object]) -> State:
    """Also what was written before a stop knew its beginning."""
    mode, anchor, stopped, away, first, *more = packed
    since, n, last = more or (anchor, 0, None)
    settled = mode in (Mode.STANDING, Mode.LEAVING)
    return State(
        mode=Mode(whole(mode)),
        anchor=place_in(anchor),
        stopped=bool(stopped),
        away=whole(away),
        first=place_in(first),
        since=place_in(since) if settled else None,
        n=whole(n),
        last=_last_in(last),
    )


def _last_in(packed: object) -> Last | None:
    if packed is None:
        return None
    assert isinstance(packed, list)
    since, left_ms, stopped, n = packed
    place = place_in(since)
    assert place is not None
    return Last(since=place, left_ms=left_ms, stopped=bool(stopped), n=n)


def _slow(rules: Thresholds, fix: Fix) -> bool:
    known = fix.speed_cm_s is not None
    if fix.prev is None or fix.broken:
        return fix.speed_cm_s is not None and fix.speed_cm_s < rules.slow_m_s * 100
    if known and fix.dt_ms < SHORT_MS:
        return fix.speed_cm_s is not None and fix.speed_cm_s < rules.slow_m_s * 100
    return _apart_m(fix.prev, fix.place) * 1_000 < rules.slow_m_s * fix.dt_ms


def _settle(rules: Thresholds, state: State, fix: Fix) -> tuple[State, tuple[Hit, ...]]:
    anchor, last = state.anchor, state.last
    assert anchor is not None
    if _apart_m(anchor, fix.place) > rules.stand_m:
        return State(last=last), ()
    if fix.place.t_ms - anchor.t_ms < rules.stand_s * 1_000:
        return state, ()
    goes_on = (
        last is not None
        and _apart_m(last.since, anchor) <= SAME_STOP_M
        and anchor.t_ms - last.left_ms <= SAME_STOP_MS
    )
    if last is not None and goes_on:
        stands = State(
            mode=Mode.STANDING, anchor=anchor, since=last.since, stopped=last.stopped, n=last.n
        )
    else:
        stands = State(mode=Mode.STANDING, anchor=anchor, since=anchor)
    return _stand(rules, stands, fix)


def _stand(rules: Thresholds, state: State, fix: Fix) -> tuple[State, tuple[Hit, ...]]:
    anchor, since = state.anchor, state.since
    assert anchor is not None
    assert since is not None
    if _apart_m(anchor, fix.place) > rules.stand_m:
        begun = replace(state, mode=Mode.LEAVING, away=0, first=None)
        return _leave(rules, begun, fix)
    too_early = fix.place.t_ms - since.t_ms < rules.stop_s * 1_000
    if state.stopped or too_early or not fix.place.sharp:
        return state, ()
    began = Hit(
        code="STOP_BEGAN",
        at_ms=since.t_ms,
        origin_seq=since.seq,
        lat_e7=since.lat_e7,
        lon_e7=since.lon_e7,
    )
    return replace(state, stopped=True), (began,)


def _leave(rules: Thresholds, state: State, fix: Fix) -> tuple[State, tuple[Hit, ...]]:
    anchor, since = state.anchor, state.since
    assert anchor is not None
    assert since is not None
    away_m = _apart_m(anchor, fix.place)
    if away_m <= rules.stand_m:
        return _stand(rules, replace(state, mode=Mode.STANDING, away=0, first=None), fix)
    first = state.first or fix.place
    away = state.away + 1
    long_enough = fix.place.t_ms - first.t_ms >= rules.leave_s * 1_000
    gone = (away >= rules.leave_fixes and long_enough) or away_m > rules.leave_m
    if not gone or not fix.place.sharp:
        return replace(state, away=min(away, rules.leave_fixes), first=first), ()
    n = state.n + 1 if state.stopped else state.n
    moving = State(last=Last(since=since, left_ms=first.t_ms, stopped=state.stopped, n=n))
    if not state.stopped:
        return moving, ()
    ended = Hit(
        code="STOP_ENDED",
        at_ms=first.t_ms,
        origin_seq=since.seq,
        n=state.n,
        lat_e7=since.lat_e7,
        lon_e7=since.lon_e7,
        value=(first.t_ms - since.t_ms) / 1_000,
    )
    return moving, (ended,)


def _apart_m(one: Place, other: Place) -> float:
    return distance_m(one.lon_e7, one.lat_e7, other.lon_e7, other.lat_e7)
