"""The tick itself: facts of many units in intake order in, findings and states out.

Law: pure. Each unit is walked alone; cutting its chain into ticks in another way changes nothing.
"""

from collector.detect import Finding, Settled, restate
from collector.detect.cross.known import Word, hear
from collector.detect.engine import (
    FRESH,
    ChainHole,
    EarlyCopy,
    Heard,
    Piece,
    Result,
    Screening,
    States,
    Tick,
    TimePassed,
    UnitState,
    marked_rows,
)
from collector.detect.engine.across import clocks_at, judge as judge_together
from collector.detect.engine.columns import columns_of
from collector.detect.engine.dull import marked_units, passed_by
from collector.detect.engine.early import judge
from collector.detect.engine.walk import Walk
from collector.detect.engine.watch import watch
from collector.detect.rules import Rulebook
from collector.detect.track import Batch, decode


def run(rules: Rulebook, states: States, tick: Tick, *, screen: Screening = marked_rows) -> Result:
    """What the tick's facts mean. Pure; `states` lacks units never heard of."""
    assert rules.versions, "a rulebook without a version judges nothing"
    pieces: dict[str, list[Piece]] = {}
    early: list[Finding] = []
    for item in tick.items:
        match item:
            case Batch():
                pieces.setdefault(item.unit, []).append(restate.restated(item))
            case ChainHole() | Heard():
                pieces.setdefault(item.unit, []).append(item)
            case EarlyCopy():
                early += judge(rules, item.batch)
            case TimePassed():
                pass  # the watch comes behind all rows
    track = decode(piece for some in pieces.values() for piece in some if isinstance(piece, Batch))
    columns = columns_of(rules, states, track)
    bits = screen(columns.mask)
    marked = marked_units(columns, bits)
    after: dict[str, UnitState] = {}
    findings: list[Finding] = early
    settled: list[Settled] = []
    words: list[Word] = []
    stepped = 0
    number_of = {unit: number for number, unit in enumerate(track.units)}
    for unit, some in pieces.items():
        number = number_of.get(unit)
        passed = None
        if number is not None and unit not in rules.paired:
            passed = passed_by(rules, columns, marked, number, states, some)
        if passed is not None:
            after[unit] = passed
            continue
        walk = Walk(rules, columns, bits, screen, unit, number, states.get(unit, FRESH))
        walk.go(some)
        after[unit] = walk.state()
        findings += walk.findings
        settled += walk.settled
        words += walk.words
        stepped += walk.stepped
    known = hear(tick.known, words)
    for item in tick.items:
        if isinstance(item, TimePassed):
            found, lost = watch(rules, states, after, item, known)
            known, together = judge_together(
                rules, hear(known, lost), clocks_at(states, after, item)
            )
            findings += [*found, *together]
            words += lost
    return Result(
        states=after,
        findings=tuple(findings),
        settled=tuple(settled),
        words=tuple(words),
        next_due_ms=None,
        known=known,
        rows=len(track),
        stepped=stepped,
    )
