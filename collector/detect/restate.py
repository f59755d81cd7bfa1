"""A unit's own time told anew: what a start said before its first trusted time (EDGE section 7; WIRE section 6, kind 4).

Law: no signed byte is changed. A `clock` event is a statement about what stands before it in the same start, never about another start,
and never about what was told in a time that was trusted already.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from collector.detect import Hit, seals, stamp
from collector.detect.track import FLAGS, SEQ, T_MS, Batch
from wire import LIM
from wire.columns import Event
from wire.records import EventKind, FixFlag

T = TypeVar("T")

CODE = "TIME_RESTATED"  # a record: readers find in it what was said when
TRUSTED = 2  # NTP or GNSS (WIRE section 4, field 10)
QUALITY_CHANGED = (
    1  # `what` of the first trusted time of a start; a later step (2) is a dispute, not a statement
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The newest start of the unit's program that has told no trusted time yet."""

    seq: int  # of its `boot` event
    t_ms: int  # what it believed then


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """At one instant it was `before_ms` by the time that nobody trusted, and `after_ms` by the one that is."""

    seq: int
    before_ms: int
    after_ms: int

    @property
    def shift_ms(self) -> int:
        return self.after_ms - self.before_ms


def statement_of(event: Event) -> Statement | None:
    """What a `clock` event states about the times before it; None if nothing."""
    if event.kind != EventKind.CLOCK:
        return None
    match event.data[:4]:
        case (int(what), int(before_ms), int(after_ms), int(quality)) if (
            what == QUALITY_CHANGED
            and quality >= TRUSTED
            and 0 <= before_ms < LIM
            and 0 <= after_ms < LIM
            and before_ms != after_ms
        ):
            return Statement(seq=event.seq, before_ms=before_ms, after_ms=after_ms)
        case _:
            return None


def opening_statement(batch: Batch) -> Statement | None:
    """The statement of a batch that also concerns what stands before the batch; None if another start lies between."""
    for event in batch.events:
        if event.kind == EventKind.BOOT:
            return None
        statement = statement_of(event)
        if statement is not None:
            return statement
    return None


def restated(batch: Batch) -> Batch:
    """The batch with the times that it corrects itself: those of its own records before its first statement of a start."""
    if not batch.events or not any(event.kind == EventKind.CLOCK for event in batch.events):
        return batch
    begin, spoken = batch.first_seq, False
    for event in batch.events:
        if event.kind == EventKind.BOOT:
            begin, spoken = event.seq, False
            continue
        statement = None if spoken else statement_of(event)
        if statement is not None:
            batch, spoken = _shifted(batch, begin, statement), True
    return batch


def moved(state: T, start: Start, statement: Statement) -> T:
    """A detector's state with the times that the start has told in the time which nobody trusted.

    A time is a field whose name ends in `_ms`. What lies outside of that stretch was told by an earlier start, or by a receiver.
    """

    def right(t_ms: int) -> int:
        if start.t_ms <= t_ms <= statement.before_ms:
            return t_ms + statement.shift_ms
        return t_ms

    return _with_times(state, right)


def _with_times(value: T, right: Callable[[int], int]) -> T:
    """Every time in a value of frozen dataclasses and tuples, put right."""
    if isinstance(value, tuple):
        return type(value)(_with_times(one, right) for one in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed: dict[str, Any] = {}
    for field in fields(value):
        old = getattr(value, field.name)
        if not field.name.endswith("_ms"):
            new = _with_times(old, right)
        elif isinstance(old, tuple):
            new = tuple(right(one) for one in old)
        else:
            new = None if old is None else right(old)
        if new != old:
            changed[field.name] = new
    return replace(value, **changed) if changed else value


def is_undated(state: seals.State, start: Start) -> bool:
    """Whether a time runs from an event of this start: nobody can say when it is over until the start has told the time."""
    return any(
        (seal.life is seals.Life.OPEN_BY_ORDER and seal.opened_ms >= start.t_ms)
        or (seal.lost_seq is not None and seal.lost_ms >= start.t_ms)
        or (seal.refused_seq is not None and seal.refused_ms >= start.t_ms)
        for seal in state.seals
    )


def hit_of(
    statement: Statement, seq: int, *, chain: bytes, here: bool, begin: int, end: int, judged: int
) -> Hit:
    """The record for readers: the records from `begin` to `end` of `chain` are off by so much. `here`: it is the statement's own.

    Those from `judged` on were judged by the time as it is restated.
    """
    return Hit(
        code=CODE,
        at_ms=statement.after_ms,
        origin_seq=seq,
        subject="" if here else chain.hex(),
        value=statement.shift_ms / 1_000,
        data={
            "chain": chain.hex(),
            "first_seq": begin,
            "last_seq": end,
            "judged_seq": judged,
            "shift_ms": statement.shift_ms,
            "before": stamp(statement.before_ms),
            "after": stamp(statement.after_ms),
        },
    )


def _shifted(batch: Batch, begin: int, statement: Statement) -> Batch:
    events = tuple(
        replace(event, t_ms=_clamped(event.t_ms + statement.shift_ms))
        if begin <= event.seq < statement.seq
        else event
        for event in batch.events
    )
    fixes = batch.fixes
    ours = (
        (fixes[SEQ] >= begin)
        & (fixes[SEQ] < statement.seq)
        & ((fixes[FLAGS] & int(FixFlag.UNIT_CLOCK)) != 0)
    )
    if ours.any():
        fixes = fixes.copy()
        fixes[T_MS, ours] = np.clip(fixes[T_MS, ours] + statement.shift_ms, 0, LIM - 1)
    return replace(batch, events=events, fixes=fixes)


def _clamped(t_ms: int) -> int:
    return min(max(t_ms, 0), LIM - 1)
