"""The watch: silence and deadlines, as time of receipt passes (DETECTION section 7.6).

Law: a tick proves that nothing was heard; it never proves a place. It comes behind all rows of its tick.
"""

from dataclasses import replace

from collector.detect import Finding, Hit, Phase, Signal, interference, route, seals, silence
from collector.detect.cross import coverage, neighbours
from collector.detect.cross.known import Known
from collector.detect.engine import (
    SEQ_BITS,
    States,
    TimePassed,
    UnitState,
    WatchState,
)
from collector.detect.engine.telling import finding_of
from collector.detect.geo.lines import MARK_M
from collector.detect.route import progress
from collector.detect.rules import Rulebook


def watch(
    book: Rulebook,
    states: States,
    after: dict[str, UnitState],
    item: TimePassed,
    known: Known,
) -> tuple[list[Finding], list[Signal]]:
    """Silence and deadlines: how much time has passed, behind all rows of the tick; and who is lost now. Writes `after`."""
    findings: list[Finding] = []
    lost: list[Signal] = []
    for unit in sorted(states.keys() | after.keys()):
        state = after.get(unit) or states[unit]
        watch, hits = _time_passed(book, unit, state, item, known)
        if watch is not state.watch:
            after[unit] = replace(state, watch=watch)
        findings += [watched(book, unit, state, hit, item.now_ms) for hit in hits]
        lost += [
            Signal(
                unit=unit,
                kind=neighbours.LOST,
                t_ms=hit.at_ms,
                lat_e7=hit.lat_e7,
                lon_e7=hit.lon_e7,
                received_ms=item.now_ms,
            )
            for hit in hits
            if hit.code == silence.LOST_CODE
            and hit.phase is Phase.BEGIN
            and hit.lat_e7 is not None
            and hit.lon_e7 is not None
        ]
    return findings, lost


def _time_passed(
    book: Rulebook, unit: str, state: UnitState, item: TimePassed, known: Known
) -> tuple[WatchState, tuple[Hit, ...]]:
    watch, journey = state.watch, book.journey(unit, item.now_ms)
    rules = book.at(item.now_ms)
    th = rules.thresholds
    quiet_ms = item.now_ms - max(watch.heard_ms, item.since_ms)
    on_time = quiet_ms <= (2 * th.period_s + th.period_grace_s) * 1_000
    no_limit = watch.journey is None and (journey is None or journey.limit_ms is None)
    if watch.lost is None and no_limit and (on_time or watch.heard_ms == 0):
        return watch, ()  # as for nearly all, each ten seconds
    line = book.route(unit, item.now_ms, rules)
    frame, eta_ms, along = state.frame, None, None
    if line is not None and state.route.route == line.id:
        eta_ms = progress.eta_ms(line, frame.top_m, frame.marks, item.now_ms)
        if route.followed(state.route):
            along = silence.Along(
                route=line.id, mark=state.route.mark, number=frame.top_m // MARK_M
            )
    others, hole_s = 0, None
    if not on_time:
        others = neighbours.others(known.near, unit, frame.prev, watch.heard_ms)
        if along is not None:
            hole_s = coverage.hole_s(known.holes.get(along.route), along.mark, along.number)
    around = silence.Around(
        rules=rules,
        journey=journey,
        place=frame.prev,
        sealed=all(seal.life is seals.Life.SEALED for seal in state.seals.seals),
        jammed=interference.JAMMING in interference.running(state.sky),
        arrived=line is not None and state.route.mode is route.Mode.DONE,
        eta_ms=eta_ms,
        others=others,
        hole_s=hole_s,
        along=along,
    )
    return silence.tick(around, watch, now_ms=item.now_ms, since_ms=item.since_ms)


def watched(book: Rulebook, unit: str, state: UnitState, hit: Hit, now_ms: int) -> Finding:
    """A finding that no record began: of a deadline it is the journey's, of silence the last record's."""
    if hit.code in silence.DEADLINES:
        return finding_of(unit, None, None, hit, now_ms, None, book)
    frame = state.frame
    known = (hit.origin_seq >> SEQ_BITS) - frame.chains_before
    chain = frame.chains[known] if 0 <= known < len(frame.chains) else bytes(16)
    seq = hit.origin_seq & ((1 << SEQ_BITS) - 1)
    return finding_of(unit, chain, seq, hit, now_ms, None, book)
