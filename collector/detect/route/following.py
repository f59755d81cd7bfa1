"""On the route, leaving it, or driving against it."""

import math
from dataclasses import replace

from collector.detect import Phase
from collector.detect.geo.line import Along
from collector.detect.geo.lines import FAST_M_S
from collector.detect.route import FALL_M, Back, Elsewhere, Fall, Mode, Off, Over, State
from collector.detect.route.arrival import arrive, end_wrong_way, legal_on
from collector.detect.route.progress import (
    AGREE_M,
    checkpoints_skipped,
    passed_width,
    place_along,
    segment_at,
)
from collector.detect.route.work import Work

BACK_FIXES, BACK_S, BACK_M_S = 3, 30, 2.0


def follow(work: Work, state: State) -> State:
    """ON, LEAVING or BACK: by the window around the progress."""
    line, place = work.line, work.fix.place
    along = place_along(line, state, work.top_m, work.fix)
    twin = bool(line.twin[along.segment])
    width = line.half_width_m
    s_m = math.floor(along.s_m)
    if along.d_m > width / 2:
        elsewhere = _elsewhere(work, state, along)
        if elsewhere is not None and elsewhere.count >= work.th.left_fixes:
            return _moved(work, state, elsewhere)
        state = replace(state, elsewhere=elsewhere)
    elif state.elsewhere is not None:
        state = replace(state, elsewhere=None)
    kept = s_m if twin or state.mode is Mode.BACK or state.back is not None else None
    state = replace(state, s_m=kept)
    d_m = work.counted(along.d_m)
    state = _over(work, state, d_m)
    if state.mode is Mode.LEAVING:
        return _leaving(work, state, d_m, s_m)
    if along.d_m > width:
        return state
    if state.back is not None:
        state = _back(work, state, s_m)
    else:
        state = _falling(work, state, s_m)
        if state.back is None:
            work.top_m = max(work.top_m, s_m)
    if state.legal is not None and d_m <= width / 2:
        state = legal_on(work, state, place)
    return arrive(work, state, s_m, along.d_m)


def _elsewhere(work: Work, state: State, along: Along) -> Elsewhere | None:
    """The whole route is asked; a nearer part counts after three fixes that agree."""
    line, place = work.line, work.fix.place
    whole = work.on_all()
    if whole.d_m > line.half_width_m / 2 or whole.d_m >= along.d_m or not place.sharp:
        return None
    s_m, before = math.floor(whole.s_m), state.elsewhere
    count = 1
    if before is not None:
        could_m = FAST_M_S * (place.t_ms - before.t_ms) / 1_000 + place.u_m + AGREE_M
        if abs(s_m - before.s_m) <= could_m:
            count = before.count + 1
    return Elsewhere(s_m=s_m, t_ms=place.t_ms, count=count)


def _moved(work: Work, state: State, elsewhere: Elsewhere) -> State:
    """It is there: another place along the route, reached without having left it."""
    line, place, th = work.line, work.fix.place, work.th
    from_m, s_m = work.top_m, elsewhere.s_m
    work.top_m = s_m
    skipped = checkpoints_skipped(line, from_m, s_m, 0)
    if s_m - from_m >= th.skipped_m or skipped:
        data: dict[str, object] = {"checkpoints": skipped, "s_left": from_m, "s_rejoined": s_m}
        work.tell("ROUTE_PART_SKIPPED", place, value=float(s_m - from_m), data=data)
    elif from_m - s_m >= th.backward_m:
        work.tell("ROUTE_BACKWARD", place, value=float(from_m - s_m))
    end_wrong_way(work, state)
    return replace(
        state,
        mode=Mode.ON,
        elsewhere=None,
        over=None,
        fall=None,
        back=None,
        s_m=s_m if line.twin[segment_at(line, s_m)] else None,
    )


def _over(work: Work, state: State, d_m: float) -> State:
    """ON <-> LEAVING: the place where the distance passed the half width is kept."""
    width, place = work.line.half_width_m, work.fix.place
    if d_m <= width:
        mode = Mode.BACK if state.back is not None else Mode.ON
        return replace(state, over=None, mode=mode)
    over = state.over or Over(place=passed_width(work, state, d_m))
    if state.mode is not Mode.LEAVING and d_m > width + place.u_m:
        return replace(state, over=over, mode=Mode.LEAVING, fall=None)
    return replace(state, over=over)


def _leaving(work: Work, state: State, d_m: float, s_m: int) -> State:
    place, th, over = work.fix.place, work.th, state.over
    assert over is not None
    if not place.sharp:
        return state
    since_ms = over.since_ms if over.count else place.t_ms
    count = min(over.count + 1, th.left_fixes)
    long_enough = place.t_ms - since_ms >= th.left_s * 1_000
    far = d_m > 3 * work.line.half_width_m and state.elsewhere is None
    if not far and not (count >= th.left_fixes and long_enough):
        return replace(state, over=replace(over, count=count, since_ms=since_ms))
    work.tell("ROUTE_LEFT", over.place, value=round(d_m, 1))
    end_wrong_way(work, state)
    if state.s_m is not None:
        work.top_m = state.s_m
    off = Off(
        seq=over.place.seq,
        left_ms=over.place.t_ms,
        s_m=min(work.top_m, s_m) if state.back is not None else work.top_m,
        max_d_m=round(d_m),
    )
    return replace(
        state,
        mode=Mode.OFF,
        off=off,
        over=None,
        s_m=None,
        fall=None,
        back=None,
        elsewhere=None,
        legal=None if state.legal is None else replace(state.legal, on=0),
    )


def _falling(work: Work, state: State, s_m: int) -> State:
    """ON -> BACK."""
    place, th = work.fix.place, work.th
    fallen_m = work.top_m - s_m
    if fallen_m <= FALL_M or work.standing:
        return replace(state, fall=None)
    fall = state.fall or Fall(place=place, s_m=s_m, count=0)
    fall = replace(fall, count=min(fall.count + 1, BACK_FIXES))
    lasted_s = (place.t_ms - fall.place.t_ms) / 1_000
    proved = (
        fallen_m >= th.backward_m
        and fall.count >= BACK_FIXES
        and lasted_s >= BACK_S
        and (fall.s_m - s_m) / lasted_s > BACK_M_S
        and place.sharp
    )
    if not proved:
        return replace(state, fall=fall)
    work.tell("ROUTE_BACKWARD", fall.place, value=float(fallen_m))
    back = Back(seq=fall.place.seq, low_m=s_m)
    return replace(state, mode=Mode.BACK, fall=None, back=back, s_m=s_m)


def _back(work: Work, state: State, s_m: int) -> State:
    """BACK -> BACK, ON."""
    back, place, th = state.back, work.fix.place, work.th
    assert back is not None
    low_m = min(back.low_m, s_m)
    if s_m - low_m >= th.forward_m and place.sharp:
        end_wrong_way(work, state)
        work.top_m = s_m
        s_kept = s_m if work.line.twin[segment_at(work.line, s_m)] else None
        return replace(state, mode=Mode.ON, back=None, s_m=s_kept)
    wrong = back.wrong
    if not wrong and work.top_m - s_m >= th.wrong_way_m and place.sharp:
        wrong = True
        work.tell(
            "ROUTE_WRONG_WAY",
            place,
            seq=back.seq,
            phase=Phase.BEGIN,
            value=float(work.top_m - s_m),
        )
    return replace(state, mode=Mode.BACK, back=replace(back, low_m=low_m, wrong=wrong), s_m=s_m)
