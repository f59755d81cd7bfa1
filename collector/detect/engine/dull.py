"""A unit of which every row of the tick is dull, as most are.

Law: the state that a `Walk` would come to, only sooner; where that is not plain, None.
"""

from collections.abc import Sequence

import numpy as np

from collector.detect import (
    gnss,
    interference,
    motion,
    route,
    seals,
    silence,
    speed,
    zones,
)
from collector.detect.engine import (
    MARKS_MAX,
    SEQ_BITS,
    BitArray,
    ChainHole,
    Frame,
    Heard,
    Piece,
    States,
    UnitState,
    WatchState,
)
from collector.detect.engine.columns import Columns, name_of
from collector.detect.engine.places import place_of
from collector.detect.geo.lines import MARK_M
from collector.detect.rules import Rulebook


def marked_units(columns: Columns, bits: BitArray) -> list[bool]:
    """Of which units any row is marked: all at once, since one `any` a unit was a tenth of a dull unit's time."""
    before = np.zeros(len(bits) + 1, np.int64)
    np.cumsum(bits != 0, out=before[1:])
    marked: list[bool] = (before[columns.ends] > before[columns.starts]).tolist()
    return marked


def passed_by(
    book: Rulebook,
    columns: Columns,
    marked: Sequence[bool],
    number: int,
    states: States,
    pieces: Sequence[Piece],
) -> UnitState | None:
    """The state of a unit of which every row is dull, as most are: what a `Walk` would come to, sooner."""
    unit, start, end = columns.track.units[number], columns.starts[number], columns.ends[number]
    state = states.get(unit)
    if state is None or start == end or columns.all_rows[number] or marked[number]:
        return None
    frame, line, watch = state.frame, columns.routes[number], state.watch
    if frame.start is not None:
        return None
    last_seq, heard_ms = 0, watch.heard_ms
    for piece in pieces:
        if isinstance(piece, Heard):
            if piece.received_ms - heard_ms >= silence.HEARD_STEP_MS:
                heard_ms = piece.received_ms
            continue
        if isinstance(piece, ChainHole) or piece.events or piece.early_ms is not None:
            return None
        if piece.chain != frame.chains[-1]:
            return None
        last_seq = piece.first_seq + piece.count - 1
        heard_ms = max(heard_ms, piece.received_ms or 0)
    if (
        frame.broken
        or watch.lost is not None
        or watch.back is not None
        or not (
            gnss.quiet(state.gate)
            and motion.quiet(state.motion)
            and (
                not state.zones.visits
                or zones.quiet(state.zones, standing=motion.standing(state.motion))
            )
            and route.quiet(state.route)
            and speed.quiet(state.speed)
            and (not state.sky.runs or interference.quiet(state.sky))
            and (not state.seals.seals or seals.quiet(state.seals))
        )
    ):
        return None
    if (line is None) is not (state.route.route is None):
        return None
    if line is not None and (state.route.route, state.route.mark) != (line.id, line.mark):
        return None
    top_m, marks = frame.top_m, frame.marks
    if columns.progress is not None and route.followed(state.route):
        after_m = columns.progress.top_after_m
        top_m = int(after_m[end - 1])
        for mark in range(frame.top_m // MARK_M + 1, top_m // MARK_M + 1):
            row = start + int(after_m[start:end].searchsorted(mark * MARK_M))
            marks = (*marks, (mark, int(columns.track.t_ms[row])))[-MARKS_MAX:]
    cells = columns.lasts[number]
    coded = (frame.chains_before + len(frame.chains) - 1) << SEQ_BITS | cells[0]
    return UnitState(
        frame=Frame(
            chains=frame.chains,
            chains_before=frame.chains_before,
            prev=place_of(cells, coded),
            version=name_of(book, columns.version[end - 1]),  # an edit may not concern it
            top_m=top_m,
            marks=marks,
            journey=frame.journey,
        ),
        gate=state.gate,
        motion=state.motion,
        zones=state.zones,
        route=state.route,
        stops=state.stops,
        speed=state.speed,
        seals=state.seals,
        sky=state.sky,
        tags=state.tags,
        watch=WatchState(  # spelt out: `replace` was a fifth of a dull unit's time
            heard_ms=heard_ms,
            told_ms=cells[1],
            seq=coded - cells[0] + last_seq,
            out_of_power=watch.out_of_power,
            jammed_ms=watch.jammed_ms,
            risk_ms=watch.risk_ms,
            risk_n=watch.risk_n,
            risk_runs=watch.risk_runs,
            exceeded=watch.exceeded,
            exceeded_n=watch.exceeded_n,
            journey=watch.journey,
        ),
    )
