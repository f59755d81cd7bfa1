"""A recorded track through the real engine: records, batches, order of arrival, ticks (DETECTION section 15).

Law: what a unit would have sealed is made here and nothing is detected here.
"""

import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from collector.detect import Finding, Hit, Sample, Signal, stamp
from collector.detect.cross import Clocks
from collector.detect.cross.convoy import STILL_MS
from collector.detect.cross.known import NOTHING, Known, Word, hear
from collector.detect.engine import (
    FRESH,
    Heard,
    Item,
    Screening,
    Tick,
    TimePassed,
    UnitState,
    marked_rows,
)
from collector.detect.engine.across import judge as judge_together
from collector.detect.engine.run import run
from collector.detect.geo import Shapes
from collector.detect.rules import Journey, Rulebook, Thresholds, build, epochs
from collector.detect.track import ALT_UNKNOWN_DM, Batch
from plomba.facts import CENTRE_KINDS, FactLine, event_of, journey_of, orders_of
from plomba.tracks import Row
from wire.columns import Event
from wire.records import EventKind

CHAIN = bytes(16)
WORDS_MS = 60_000  # judged together; of that much nothing outgrows its bounds

__all__ = ["Hit", "Plan", "Replay", "key_of", "line_of", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the records travel."""

    batch_rows: int = 60
    tick_batches: int = 512
    deliver: str = "time"  # time, received, shuffle:SEED
    ticks_s: int | None = None  # time passes so often between first and last receipt
    goes_on: bool = (
        False  # more of the same units will follow: nothing is over with the last record
    )
    screen: Screening = marked_rows


@dataclass(slots=True)
class Replay:
    """What came of it."""

    findings: list[Finding] = field(default_factory=list)
    states: dict[str, UnitState] = field(default_factory=dict)
    next_seq: dict[str, int] = field(default_factory=dict)
    known: Known = NOTHING  # what several units have told together
    rows: int = 0
    stepped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """A row or an event at its place in the chain."""

    seq: int
    received_ms: int | None
    row: Row | None
    event: Event | None


def rulebook(
    shapes: Shapes,
    thresholds: Thresholds | None,
    facts: Sequence[FactLine],
    units: Iterable[str],
    route_id: str | None,
) -> Rulebook:
    """Shapes, journeys and orders of a replay. A unit without a journey is on one for the whole file."""
    versions = epochs(build(shapes, thresholds=thresholds))
    shared = [line.id for line in shapes.routes if line.unit is None]
    own = {line.unit: line.id for line in shapes.routes if line.unit is not None}
    fallback = route_id or (shared[0] if len(shared) == 1 else None)
    journeys: dict[str, list[Journey]] = {}
    for fact in facts:
        if fact.kind == "journey":
            route = own.get(fact.unit, fallback)
            journeys.setdefault(fact.unit, []).append(journey_of(fact, route))
    for unit in units:
        if unit not in journeys:
            journeys[unit] = [
                Journey(id=unit, unit=unit, since_ms=0, route=own.get(unit, fallback))
            ]
    return Rulebook(
        versions=versions,
        journeys={
            unit: tuple(sorted(some, key=lambda journey: journey.since_ms))
            for unit, some in journeys.items()
        },
        orders=orders_of(facts),
    )


def replay(
    book: Rulebook,
    rows: Sequence[Row],
    facts: Sequence[FactLine],
    plan: Plan,
    states: Mapping[str, UnitState] | None = None,
    next_seq: Mapping[str, int] | None = None,
    known: Known = NOTHING,
) -> Replay:
    """All findings, sorted as they are printed."""
    out = Replay(states=dict(states or {}), next_seq=dict(next_seq or {}), known=known)
    words: list[Word] = []
    batches: list[Batch] = []
    for unit, records in _chains(rows, facts, out.next_seq).items():
        batches += _batches(unit, records, plan.batch_rows)
        out.next_seq[unit] = records[-1].seq + 1
    deliver = plan.deliver if plan.ticks_s is None else "received"
    items = list(_settled(_arrivals(batches, deliver)))
    for tick in _ticks(_with_time(items, plan.ticks_s), plan.tick_batches):
        here = {unit: out.states.get(unit, FRESH) for unit in units_of(tick)}
        if any(isinstance(item, TimePassed) for item in tick.items):
            here |= out.states  # time passes for all
        result = run(book, here, replace(tick, known=out.known), screen=plan.screen)
        out.states.update(result.states)
        if plan.ticks_s is not None:
            out.known = result.known or out.known
        words += result.words
        out.findings += result.findings
        out.rows += result.rows
        out.stepped += result.stepped
    if plan.ticks_s is None:
        _judge_together(book, out, words, plan)
    out.findings.sort(key=key_of)
    return out


def _judge_together(book: Rulebook, out: Replay, words: Sequence[Word], plan: Plan) -> None:
    """What several units tell together, where no ticks pass: by their own time, whatever came first."""
    told_ms = {unit: state.watch.told_ms for unit, state in out.states.items()}
    newest_ms = max(told_ms.values(), default=0)
    rising = sorted(words, key=_word_ms)
    while rising:
        now_ms = min(_word_ms(rising[0]) + WORDS_MS, newest_ms)
        behind = bisect_right(rising, now_ms, key=_word_ms)
        out.known = hear(out.known, rising[:behind])
        rising = rising[behind:]
        _pass(book, out, told_ms, now_ms)
    if not plan.goes_on:  # nobody says any more, and nobody is waited for
        _pass(book, out, {}, newest_ms)


def _pass(book: Rulebook, out: Replay, told_ms: Mapping[str, int], now_ms: int) -> None:
    """All that was told until then is heard. Who has said nothing for so long has nothing to be compared with."""

    def of(unit: str) -> int | None:
        last_ms = min(told_ms.get(unit, 0), now_ms)
        return last_ms if now_ms - last_ms <= STILL_MS else None

    clocks = Clocks(now_ms=now_ms, of=of, slowest_ms=lambda: now_ms)
    out.known, findings = judge_together(book, out.known, clocks)
    out.findings += findings


def _word_ms(word: Word) -> int:
    """When it was; what only silence tells comes with ticks, and there are none."""
    return word.t_ms if isinstance(word, Signal | Sample) else 0


def units_of(tick: Tick) -> set[str]:
    return {item.unit for item in tick.items if isinstance(item, Batch | Heard)}


def _with_time(batches: Sequence[Batch], ticks_s: int | None) -> Iterator[Item]:
    """The batches, and what the centre's clock says between them: who was heard when, and that time passed."""
    times = [batch.received_ms for batch in batches if batch.received_ms is not None]
    if ticks_s is None or not times:
        yield from batches
        return
    begin_ms, end_ms = min(times), max(times)
    due_ms = begin_ms + ticks_s * 1_000
    for batch in batches:
        received_ms = batch.received_ms
        while received_ms is not None and due_ms < received_ms:
            yield TimePassed(now_ms=due_ms, since_ms=begin_ms)
            due_ms += ticks_s * 1_000
        if received_ms is not None:
            yield Heard(unit=batch.unit, received_ms=received_ms)
        yield batch
    while due_ms <= end_ms:
        yield TimePassed(now_ms=due_ms, since_ms=begin_ms)
        due_ms += ticks_s * 1_000


def _ticks(items: Iterable[Item], batches_max: int) -> Iterator[Tick]:
    """So many batches a tick; time that passes ends one."""
    some: list[Item] = []
    for item in items:
        some.append(item)
        if isinstance(item, TimePassed) or len(some) >= batches_max:
            yield Tick(items=tuple(some))
            some = []
    if some:
        yield Tick(items=tuple(some))


def key_of(finding: Finding) -> tuple[str, int, int, str, bytes, int]:
    """The order of the printed lines."""
    seq = -1 if finding.seq is None else finding.seq
    return (
        finding.unit,
        finding.confirmed_ms,
        seq,
        finding.code,
        finding.id,
        finding.n,
    )


def line_of(finding: Finding) -> dict[str, object]:
    """A finding as one JSON object: always these keys, in this order (DETECTION section 15)."""
    value = finding.value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return {
        "v": 1,
        "id": finding.id.hex(),
        "n": finding.n,
        "code": finding.code,
        "level": finding.level.value,
        "priority": None if finding.priority is None else finding.priority.value,
        "phase": finding.phase.value,
        "unit": finding.unit,
        "seq": finding.seq,
        "at": stamp(finding.at_ms),
        "confirmed_at": stamp(finding.confirmed_ms),
        "received": None if finding.received_ms is None else stamp(finding.received_ms),
        "late": bool(finding.late),
        "lat": None if finding.lat_e7 is None else finding.lat_e7 / 1e7,
        "lon": None if finding.lon_e7 is None else finding.lon_e7 / 1e7,
        "zone": finding.zone,
        "route": finding.route,
        "seal": finding.seal,
        "value": value,
        "data": {key: finding.data[key] for key in sorted(finding.data)},
    }


def _chains(
    rows: Sequence[Row], facts: Sequence[FactLine], next_seq: Mapping[str, int]
) -> dict[str, list[_Record]]:
    """Each unit's records in chain order: by `seq` where the rows have it, else by time, rows before facts."""
    of_unit: dict[str, list[tuple[Row | None, FactLine | None]]] = {}
    for row in rows:
        of_unit.setdefault(row.unit, []).append((row, None))
    for fact in facts:
        if fact.kind not in CENTRE_KINDS:
            of_unit.setdefault(fact.unit, []).append((None, fact))
    chains: dict[str, list[_Record]] = {}
    for unit, some in of_unit.items():
        own = [row for row, _ in some if row is not None]
        if own and all(row.seq is not None for row in own):
            some.sort(key=lambda pair: _seq_of(pair[0] or pair[1]))
            once = [
                pair for at, pair in enumerate(some) if at == 0 or not _repeats(pair, some[at - 1])
            ]
            seqs = [_seq_of(row or fact) for row, fact in once]
        else:
            once = sorted(some, key=lambda pair: (_time_of(pair[0] or pair[1]), pair[0] is None))
            begin = next_seq.get(unit, 0)
            seqs = list(range(begin, begin + len(once)))
        chains[unit] = _received_with_others(
            [_record(seq, row, fact) for seq, (row, fact) in zip(seqs, once, strict=True)]
        )
    return chains


def _received_with_others(records: list[_Record]) -> list[_Record]:
    """What does not say when it was received came with the next record of the chain that does; the last ones with the one before."""
    came: list[_Record] = []
    known_ms = next(
        (one.received_ms for one in reversed(records) if one.received_ms is not None), None
    )
    for record in reversed(records):
        known_ms = known_ms if record.received_ms is None else record.received_ms
        came.append(
            record if record.received_ms == known_ms else replace(record, received_ms=known_ms)
        )
    return came[::-1]


def _seq_of(source: Row | FactLine | None) -> int:
    assert source is not None
    assert source.seq is not None, "read_facts leaves out what has no place in a numbered chain"
    return source.seq


def _repeats(
    pair: tuple[Row | None, FactLine | None], before: tuple[Row | None, FactLine | None]
) -> bool:
    """A fact that says the same record once more: the chain holds it once."""
    fact, last = pair[1], before[1]
    if fact is None or last is None:
        return False
    return (fact.seq, fact.kind, fact.t_ms, fact.said) == (
        last.seq,
        last.kind,
        last.t_ms,
        last.said,
    )


def _time_of(source: Row | FactLine | None) -> int:
    assert source is not None
    return source.t_ms


def _record(seq: int, row: Row | None, fact: FactLine | None) -> _Record:
    if row is not None:
        event = None
        if row.lat_e7 is None:
            event = Event(seq=seq, kind=EventKind.GNSS, t_ms=row.t_ms, mono_ms=0, data=_NO_FIX)
        return _Record(seq=seq, received_ms=row.received_ms, row=row, event=event)
    assert fact is not None
    return _Record(seq=seq, received_ms=fact.received_ms, row=None, event=event_of(seq, fact))


_NO_FIX = (2, *([None] * 12))


def _batches(unit: str, records: Sequence[_Record], batch_rows: int) -> list[Batch]:
    """Records as they would have been sealed; a hole in `seq` is no hole in the chain here."""
    batches: list[Batch] = []
    for number, some in enumerate(_together(records, batch_rows)):
        batches.append(
            Batch(
                unit=unit,
                chain=CHAIN,
                batch_no=number,
                first_seq=some[0].seq,
                count=len(some),
                fixes=_fixes(some),
                events=tuple(one.event for one in some if one.event is not None),
                received_ms=some[0].received_ms,
            )
        )
    return batches


def _together(records: Sequence[_Record], batch_rows: int) -> Iterator[list[_Record]]:
    """What may stand in one batch: it comes as a whole, so what was received at different times came in different ones."""
    some: list[_Record] = []
    for record in records:
        if some and (record.received_ms != some[0].received_ms or len(some) == batch_rows):
            yield some
            some = []
        some.append(record)
    if some:
        yield some


def _fixes(some: Sequence[_Record]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    cells = [
        (
            one.seq,
            one.row.t_ms,
            one.row.lat_e7,
            one.row.lon_e7,
            ALT_UNKNOWN_DM,
            one.row.speed_cm_s,
            one.row.course_cdeg,
            one.row.hdop_centi,
            -1,
            -1,
            1,
        )
        for one in some
        if one.row is not None and one.event is None
    ]
    if not cells:
        return np.empty((11, 0), np.int64)
    block: np.ndarray[tuple[int, int], np.dtype[np.int64]] = np.array(cells, np.int64).T.copy()
    return block


def _arrivals(batches: list[Batch], deliver: str) -> list[Batch]:
    """In the order in which they come."""
    if deliver == "received":
        return sorted(batches, key=lambda batch: (_received(batch), batch.unit, batch.batch_no))
    if deliver.startswith("shuffle:"):
        shuffled = list(batches)
        random.Random(int(deliver.removeprefix("shuffle:"))).shuffle(shuffled)  # noqa: S311 - a seeded order of arrival, no secret
        return shuffled
    return sorted(batches, key=lambda batch: (_last_ms(batch), batch.unit, batch.batch_no))


def _received(batch: Batch) -> int:
    return _last_ms(batch) if batch.received_ms is None else batch.received_ms


def _last_ms(batch: Batch) -> int:
    times = [int(batch.fixes[1].max())] if batch.fixes.shape[1] else []
    return max([*times, *(event.t_ms for event in batch.events)])


def _settled(arrivals: Iterable[Batch]) -> Iterator[Batch]:
    """In chain order for each unit: what comes ahead is parked (WIRE section 9)."""
    parked: dict[tuple[str, int], Batch] = {}
    wanted: dict[str, int] = {}
    for batch in arrivals:
        parked[batch.unit, batch.batch_no] = batch
        number = wanted.get(batch.unit, 0)
        while (batch.unit, number) in parked:
            yield parked.pop((batch.unit, number))
            number += 1
        wanted[batch.unit] = number
