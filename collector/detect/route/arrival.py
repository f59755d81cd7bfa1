"""What ends on the route: arriving, a wrong way, a departure in law, or the journey's route itself."""

from dataclasses import replace

from collector.detect import Fix, Hit, Phase, Place
from collector.detect.route import Mode, State
from collector.detect.route.work import Work

LEGAL_ON_FIXES = 3


def arrive(work: Work, state: State, s_m: int, d_m: float) -> State:
    """ON -> DONE."""
    line, place, th = work.line, work.fix.place, work.th
    if state.mode not in (Mode.ON, Mode.BACK):
        return state
    near_end = s_m >= line.total_m - th.done_m and d_m <= line.half_width_m
    if state.at_end and not near_end:
        state = replace(state, at_end=False)
    arrived = line.ends is not None and line.ends != line.begins and line.ends in work.inside
    if not arrived and (state.at_end or not near_end or not place.sharp):
        return state
    work.tell("ROUTE_DONE", place, value=float(s_m))
    end_wrong_way(work, state)
    if state.legal is not None:
        work.tell("LEGAL_ROUTE_DEVIATION", place, seq=state.legal.seq, phase=Phase.END, n=1)
    return State(route=state.route, mark=state.mark, mode=Mode.DONE, first_ms=state.first_ms)


def legal_on(work: Work, state: State, place: Place) -> State:
    legal = state.legal
    assert legal is not None
    if not place.sharp:
        return state
    if legal.on + 1 < LEGAL_ON_FIXES:
        return replace(state, legal=replace(legal, on=legal.on + 1))
    work.tell("LEGAL_ROUTE_DEVIATION", place, seq=legal.seq, phase=Phase.END, n=1)
    return replace(state, legal=None)


def end_wrong_way(work: Work, state: State) -> None:
    if state.back is not None and state.back.wrong:
        work.tell("ROUTE_WRONG_WAY", work.fix.place, seq=state.back.seq, phase=Phase.END, n=1)


def end_all(state: State, fix: Fix) -> tuple[Hit, ...]:
    """The journey prescribes this route no longer: what runs of it ends."""
    ends: list[tuple[str, int, int]] = []
    if state.off is not None and state.off.said:
        ends.append(("ROUTE_DEVIATION", state.off.seq, state.off.said))
    if state.back is not None and state.back.wrong:
        ends.append(("ROUTE_WRONG_WAY", state.back.seq, 1))
    if state.legal is not None:
        ends.append(("LEGAL_ROUTE_DEVIATION", state.legal.seq, 1))
    return tuple(
        Hit(
            code=code,
            at_ms=fix.place.t_ms,
            origin_seq=seq,
            subject=state.route or "",
            phase=Phase.END,
            n=n,
            lat_e7=fix.place.lat_e7,
            lon_e7=fix.place.lon_e7,
            route=state.route,
        )
        for code, seq, n in ends
    )
