"""What a batch says alone, without state (DETECTION section 2, Early).

Law: an early copy and the pass in order ask the same function of an event, so that their ids agree.
"""

from collector.detect import Finding, Hit, restate, seals, silence
from collector.detect.engine.places import ROW, near_of, place_of
from collector.detect.engine.telling import finding_of
from collector.detect.rules import Rulebook
from collector.detect.seals.step import step_event
from collector.detect.track import Batch
from wire.columns import Event


def judge(rules: Rulebook, batch: Batch) -> tuple[Finding, ...]:
    """What a batch says alone, without state: opening, tamper, door, panic (DETECTION section 2, Early)."""
    return judge_alone(rules, restate.restated(batch))


def judge_alone(rules: Rulebook, batch: Batch) -> tuple[Finding, ...]:
    """The same of a batch whose times are restated."""
    came_ms = batch.received_ms if batch.early_ms is None else batch.early_ms
    places = [
        place_of(row, row[0]) for row in batch.fixes[list(ROW)].T.tolist() if row[2] or row[3]
    ]
    state = seals.State()
    findings: list[Finding] = []
    for event in batch.events:
        before = [place for place in places if place.seq < event.seq]
        behind = [place for place in places if place.seq > event.seq]
        near = near_of(rules, before[-1] if before else None, behind[0] if behind else None)
        context = seals.Context(
            unit=batch.unit, book=rules, near=near, came_ms=came_ms, assume_sealed=True
        )
        hits, state, _ = judged(context, state, event)
        findings += [
            finding_of(batch.unit, batch.chain, hit.origin_seq, hit, event.t_ms, came_ms, rules)
            for hit in hits
            if hit.code in seals.EARLY_CODES
        ]
    return tuple(findings)


def judged(
    context: seals.Context, state: seals.State, event: Event
) -> tuple[tuple[Hit, ...], seals.State, bool]:
    """What one event says; the same in an early copy and in order."""
    panic = silence.panic(event, context.near(event.t_ms))
    if panic is not None:
        return (panic,), state, False
    stepped = step_event(context, state, event)
    if stepped is None:
        return (), state, False
    return stepped.hits, stepped.state, stepped.odd
