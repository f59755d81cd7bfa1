"""A fact of a unit's chain that is no fix: through seals, watch, sky and tags.

Law: what needs a place takes the fix before it; the one behind may come with another batch.
"""

from dataclasses import replace

from collector.detect import (
    Place,
    interference,
    motion,
    restate,
    silence,
    tags,
)
from collector.detect.engine import SEQ_BITS
from collector.detect.engine.early import judged
from collector.detect.engine.places import near_of
from collector.detect.engine.unit import Unit
from wire.columns import Event
from wire.records import EventKind


def step_event(unit: Unit, event: Event, behind: Place | None) -> None:
    """One event of the chain. `behind`: the fix that follows it in the same batch."""
    unit.stale = True
    context = unit.context(None if unit.broken else unit.prev, behind)
    coded = replace(event, seq=unit.coded(event.seq))
    _tell_time(unit, coded)
    unit.watch = silence.note(unit.watch, event)
    _event_of_sky_and_tags(unit, coded)
    hits, unit.seals, odd = judged(context, unit.seals, coded)
    unit.tell(hits, event.t_ms)
    if odd:
        unit.tell_odd(coded)


def _tell_time(unit: Unit, event: Event) -> None:
    """A start begins, or tells the time for the first time: then readers learn what was said in another."""
    if event.kind == EventKind.BOOT:
        unit.start = restate.Start(seq=event.seq, t_ms=event.t_ms)
        return
    statement = restate.statement_of(event)
    if statement is None:
        return
    assert unit.batch is not None
    judged = unit.batch.first_seq
    begin = unit.coded(judged) if unit.start is None else unit.start.seq
    unit.start = None
    first = max(begin >> SEQ_BITS, unit.chains_before)
    last = event.seq >> SEQ_BITS
    low = (1 << SEQ_BITS) - 1
    for ordinal in range(first, last + 1):
        here = ordinal == last
        hit = restate.hit_of(
            statement,
            event.seq,
            chain=unit.chains[ordinal - unit.chains_before],
            here=here,
            begin=begin & low if ordinal == begin >> SEQ_BITS else 0,
            end=(event.seq & low) - 1 if here else low,
            judged=judged if here else low,
        )
        unit.tell((hit,), event.t_ms)


def _event_of_sky_and_tags(unit: Unit, event: Event) -> None:
    """What needs a place takes the one before: the one behind may come with another batch."""
    rules = unit.book.at(event.t_ms)
    near = near_of(unit.book, None if unit.broken else unit.prev, None)
    unit.sky, hits = interference.step_event(rules, unit.sky, event, near)
    unit.tell(hits, event.t_ms)
    if event.kind != EventKind.TAGS:
        return
    unit.tags, hits, odd = tags.step(
        unit.tags,
        event,
        unit.book.journey(unit.name, event.t_ms),
        place=near(event.t_ms),
        moving=not motion.standing(unit.motion),
    )
    unit.tell(hits, event.t_ms)
    if odd:
        unit.tell_odd(event)
