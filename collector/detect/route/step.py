"""One good fix against the route that the unit's journey prescribes now."""

import math
from dataclasses import replace

from collector.detect import Fix
from collector.detect.geo import RouteLine
from collector.detect.geo.line import Along, project_all
from collector.detect.route import Mode, State, Stepped
from collector.detect.route.arrival import end_all, end_wrong_way
from collector.detect.route.away import away
from collector.detect.route.following import follow
from collector.detect.route.joining import before_joining
from collector.detect.route.work import Work, allowed
from collector.detect.rules import Rules


def step(
    rules: Rules,
    line: RouteLine | None,
    state: State,
    top_m: int,
    fix: Fix,
    *,
    inside: frozenset[str],
    standing: bool,
    whole: Along | None = None,
) -> Stepped:
    """One good fix against the route that the unit's journey prescribes now.

    `whole`: what `project_all` says of the fix, if it was asked already.
    """
    if line is None or state.route != line.id:
        ended = end_all(state, fix)
        if line is None:
            return Stepped(state=State(), top_m=0, hits=ended)
        fresh = State(route=line.id, mark=line.mark, first_ms=fix.place.t_ms)
        after = step(rules, line, fresh, 0, fix, inside=inside, standing=standing)
        return replace(after, hits=(*ended, *after.hits))
    if state.mode is Mode.DONE:
        return Stepped(state=replace(state, mark=line.mark), top_m=top_m)
    work = Work(
        rules=rules,
        line=line,
        fix=fix,
        top_m=top_m,
        allowed=allowed(rules, line, inside),
        inside=inside,
        standing=standing,
        whole=whole,
    )
    if state.mark != line.mark:
        state = _edited(work, state)
    match state.mode:
        case Mode.BEFORE:
            state = before_joining(work, state)
        case Mode.OFF:
            state = away(work, state)
        case _:
            state = follow(work, state)
    return Stepped(state=state, top_m=work.top_m, hits=tuple(work.hits))


def _edited(work: Work, state: State) -> State:
    """The line was changed: progress stays if the unit was on the new one, else it is joined anew."""
    line, fix = work.line, work.fix
    state = replace(state, mark=line.mark)
    if state.mode is Mode.BEFORE:
        return state
    seen = fix.prev or fix.place
    whole = project_all(line, seen.lon_e7, seen.lat_e7)
    if state.mode is Mode.OFF:
        assert state.off is not None
        return replace(state, off=replace(state.off, s_m=math.floor(whole.s_m)))
    end_wrong_way(work, state)
    kept = State(
        route=line.id,
        mark=line.mark,
        mode=Mode.ON,
        first_ms=fix.place.t_ms,
        legal=state.legal,
    )
    if whole.d_m <= line.half_width_m:
        work.top_m = math.floor(whole.s_m)
        return kept
    work.top_m = 0
    return replace(kept, mode=Mode.BEFORE)
