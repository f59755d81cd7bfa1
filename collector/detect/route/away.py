"""Off the route: how far and how long, until it is back."""

import math
from dataclasses import replace

from collector.detect import Phase, Place
from collector.detect.geo.line import Along
from collector.detect.geo.measure import distance_m
from collector.detect.route import NEAR_FIXES, LegalAlert, Mode, Off, State
from collector.detect.route.arrival import LEGAL_ON_FIXES, arrive, legal_on
from collector.detect.route.progress import checkpoints_skipped
from collector.detect.route.work import Work, nearer

LEGAL_FIXES = 2


def away(work: Work, state: State) -> State:
    """Away: how far and how long, until it is back."""
    line, fix, place, off = work.line, work.fix, work.fix.place, state.off
    assert off is not None
    whole = work.on_all()
    d_m = work.counted(whole.d_m)
    back = d_m < line.half_width_m / 2 and place.sharp
    off = _watched(work, off, whole.d_m, d_m, counts=not back and place.sharp)
    if back:
        near = nearer(state.near, place)
        if near.count < NEAR_FIXES:
            return replace(state, off=off, near=near)
        return _rejoined(work, replace(state, off=off, near=near), whole)
    if off.legal_far >= LEGAL_FIXES and state.legal is None:
        work.tell(
            "LEGAL_ROUTE_DEVIATION", place, seq=off.seq, phase=Phase.BEGIN, value=round(d_m, 1)
        )
        state = replace(state, legal=LegalAlert(seq=off.seq))
    if fix.prev is None and state.near is None:
        return replace(state, off=off)
    return State(
        route=state.route,
        mark=state.mark,
        mode=Mode.OFF,
        first_ms=state.first_ms,
        off=off,
        legal=state.legal,
    )


def _watched(work: Work, off: Off, away_m: float, d_m: float, *, counts: bool) -> Off:
    """What goes on while a unit is off: made in one piece, for every fix of such a unit comes here."""
    fix, place, line, th = work.fix, work.fix.place, work.line, work.th
    visited, driven_dm, moving_ms = off.visited, off.driven_dm, off.moving_ms
    for bit, name in enumerate(line.checkpoints):
        if name in work.inside:
            visited |= 1 << bit
    if fix.prev is not None and not fix.broken and not work.standing:
        moved_m = distance_m(fix.prev.lon_e7, fix.prev.lat_e7, *work.xy)
        driven_dm += round(moved_m * 10)
        moving_ms += fix.dt_ms
    far, far_place, said, said_d_m = off.far, off.far_place, off.said, off.said_d_m
    legal_far = off.legal_far
    if counts:
        legal_far = min(legal_far + 1, LEGAL_FIXES) if d_m > line.legal_m else 0
        begin: Place | None = None
        if said:
            if d_m >= 2 * said_d_m:
                _deviates(work, off, place, d_m, said)
                said, said_d_m = said + 1, round(d_m)
        elif d_m > line.alert_m + 2 * place.u_m:
            far, far_place = min(far + 1, th.deviation_fixes), far_place or place
            lasted_ms = place.t_ms - far_place.t_ms
            if far >= th.deviation_fixes and lasted_ms >= th.deviation_s * 1_000:
                begin = far_place
        else:
            far, far_place = 0, None
        if not said and begin is None and moving_ms >= th.deviation_off_s * 1_000 and d_m > 0:
            begin = place
        if begin is not None:
            _deviates(work, off, begin, d_m, 0)
            said, said_d_m = 1, max(round(d_m), round(line.half_width_m))
            far_place = None
    return Off(
        seq=off.seq,
        left_ms=off.left_ms,
        s_m=off.s_m,
        driven_dm=driven_dm,
        max_d_m=max(off.max_d_m, round(away_m)),
        moving_ms=moving_ms,
        far=far,
        far_place=far_place,
        said=said,
        said_d_m=said_d_m,
        legal_far=legal_far,
        visited=visited,
    )


def _deviates(work: Work, off: Off, place: Place, d_m: float, n: int) -> None:
    """ROUTE_DEVIATION: far for long, or away for very long; `change` at each doubling."""
    phase = Phase.CHANGE if n else Phase.BEGIN
    work.tell("ROUTE_DEVIATION", place, seq=off.seq, phase=phase, n=n, value=round(d_m, 1))


def _rejoined(work: Work, state: State, whole: Along) -> State:
    """OFF -> ON."""
    line, place, th, off, near = work.line, work.fix.place, work.th, state.off, state.near
    assert off is not None
    assert near is not None
    # in an allowed zone beside the route nobody has got on along it
    s_m = math.floor(whole.s_m) if whole.d_m <= line.half_width_m else off.s_m
    skipped_m = s_m - off.s_m
    data: dict[str, object] = {
        "driven_m": off.driven_dm // 10,
        "max_d_m": off.max_d_m,
        "off_s": (near.place.t_ms - off.left_ms) // 1_000,
        "s_left": off.s_m,
        "s_rejoined": s_m,
    }
    work.tell("ROUTE_REJOINED", near.place, value=float(skipped_m), data=data)
    if off.said:
        work.tell(
            "ROUTE_DEVIATION",
            near.place,
            seq=off.seq,
            phase=Phase.END,
            n=off.said,
            value=float(off.max_d_m),
        )
    missed = checkpoints_skipped(line, off.s_m, s_m, off.visited)
    if skipped_m >= th.skipped_m or missed:
        work.tell(
            "ROUTE_PART_SKIPPED",
            near.place,
            value=float(skipped_m),
            data={"checkpoints": missed, "s_left": off.s_m, "s_rejoined": s_m},
        )
    work.top_m = s_m
    legal = None if state.legal is None else replace(state.legal, on=NEAR_FIXES)
    twin = bool(line.twin[whole.segment]) and whole.d_m <= line.half_width_m
    joined = replace(
        state,
        mode=Mode.ON,
        off=None,
        near=None,
        legal=legal,
        s_m=s_m if twin else None,
        at_end=s_m >= line.total_m - th.done_m and off.s_m == 0,
    )
    if joined.legal is not None and joined.legal.on >= LEGAL_ON_FIXES:
        joined = legal_on(work, joined, place)
    return arrive(work, joined, s_m, whole.d_m)
