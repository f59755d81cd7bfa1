"""The engine's part of a tick: pieces in intake order in, findings and states out, and the log that a replay reads.

Law: a step that fails never stops a tick: its batch is tried alone, then set aside with its name (DETECTION section 10).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from collector.detect import Finding, Settled as Word
from collector.detect.cross.known import NOTHING, Known
from collector.detect.engine import (
    ChainHole,
    EarlyCopy,
    Heard,
    Item,
    Result,
    Tick,
    TimePassed,
    UnitState,
)
from collector.detect.engine.blob import pack
from collector.detect.engine.early import judge
from collector.detect.rules import Rulebook, situated
from collector.detect.track import Batch
from collector.ingest import Closed, Forked, Parked, Settled, Slot
from collector.tick import oddities
from collector.tick.reading import batch_of
from collector.tick.work import Piece, Work
from wire import MisuseError

Engine = Callable[[Rulebook, Mapping[str, UnitState], Tick], Result]
Entry = tuple[str, tuple[object, ...]]  # unit_id ("" for all units), what the engine was given

# The first element of an entry of the intake, and what follows it. Times of receipt stand in the rows that it names.
IN_BATCH = 1  # unit_no, ordinal of the chain, batch_no
IN_EARLY = 2  # unit_no, chain_id, batch_no, received_ms: its row may be settled or still parked
IN_FORKED = 3  # unit_no, chain_id, batch_no, head, received_ms
IN_HOLE = 4  # unit_no, chain_id, first, last, why
IN_HEARD = 5  # unit_no, how long before the tick
IN_TIME = 6  # now_ms, since when the centre had listened
IN_ORDERS = 7  # act_no, since_ms: the unlock orders known from here on, see `ordering`


# What a mistake of ours looks like. One unit's odd history may not keep everybody else's alarms waiting: it is tried once
# more alone and then set aside, told as `undecidable` (DETECTION section 10).
FAILURES = (
    AssertionError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    MisuseError,
)


@dataclass(slots=True, kw_only=True)
class Detected:
    """What the engine said, and what it was given."""

    states: dict[str, UnitState]
    findings: list[Finding]
    words: list[Word]
    next_due_ms: int | None
    known: Known = NOTHING  # what several units have told together
    is_known_lost: bool = False  # it could not be judged, and begins anew
    intake: list[Entry] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)  # of `states`, as they are stored


def detect(
    work: Work,
    *,
    rulebook: Rulebook,
    engine: Engine,
    states: Mapping[str, UnitState],
    known: Known = NOTHING,
    times: Sequence[int],
    since_ms: int,
    orders: tuple[int, int] | None = None,
) -> Detected:
    """Run the engine over the tick. `states`: of the units in it, and of all that a passing of time concerns.

    `times`: to which this tick says that time has passed, none as a rule; `since_ms`: since when the centre has listened. `orders`: act_no and since_ms of the
    orders in `rulebook`, if the log does not say so yet.
    """
    items: list[Item] = []
    intake: list[Entry] = [] if orders is None else [("", (IN_ORDERS, *orders))]
    forked: list[Finding] = []
    for unit_id, received_ms in work.heard.items():
        items.append(Heard(unit=unit_id, received_ms=received_ms))
        unit_no = work.units[unit_id].unit_no
        intake.append((unit_id, (IN_HEARD, unit_no, work.now_ms - received_ms)))
    for piece in work.pieces:
        _add(piece, items, intake, forked, rulebook)
    for told_ms in times:
        items.append(TimePassed(now_ms=told_ms, since_ms=since_ms))
        intake.append(("", (IN_TIME, told_ms, since_ms)))
    detected = (
        run_items(rulebook, engine, states, items, known)
        if items
        else Detected(states={}, findings=[], words=[], next_due_ms=None, known=known)
    )
    detected.findings = [*forked, *detected.findings]
    detected.intake = intake
    return detected


def _pack(
    rulebook: Rulebook,
    detected: Detected,
    before: Mapping[str, UnitState],
    items: Sequence[Item],
) -> None:
    """Spell the states. One that cannot be spelt is not kept: the unit goes on from the one before, and shows it."""
    for unit_id, state in list(detected.states.items()):
        if state is before.get(unit_id):
            continue
        try:
            detected.blobs[unit_id] = pack(state)
        except FAILURES:
            del detected.states[unit_id]
            last = next(
                (
                    item
                    for item in reversed(items)
                    if isinstance(item, Batch) and item.unit == unit_id
                ),
                None,
            )
            if last is not None:
                detected.findings += _set_aside(rulebook, last)


def run_items(
    rulebook: Rulebook,
    engine: Engine,
    states: Mapping[str, UnitState],
    items: Sequence[Item],
    known: Known = NOTHING,
) -> Detected:
    """The engine over items of a tick; alone by unit and then by batch where it fails an assert."""
    try:
        detected = _of(engine(rulebook, states, Tick(items=tuple(items), known=known)), known)
    except FAILURES:
        detected = _one_by_one(rulebook, engine, states, items, known)
    _pack(rulebook, detected, states, items)
    return detected


def _one_by_one(
    rulebook: Rulebook,
    engine: Engine,
    states: Mapping[str, UnitState],
    items: Sequence[Item],
    known: Known,
) -> Detected:
    after: dict[str, UnitState] = {}
    whole = Detected(states=after, findings=[], words=[], next_due_ms=None, known=known)
    for item in items:
        here = {**states, **after}
        try:
            part = _of(engine(rulebook, here, Tick(items=(item,), known=whole.known)), whole.known)
        except FAILURES:
            if isinstance(item, Batch | EarlyCopy):
                whole.findings += _set_aside(rulebook, item)
                continue
            # Of one unit nothing else can fail here: what several have told is given up, so that time goes on for all.
            part = _of(engine(rulebook, here, Tick(items=(item,))), NOTHING)
            whole.is_known_lost = True
        after.update(part.states)
        whole.known = part.known
        whole.findings += part.findings
        whole.words += part.words
        whole.next_due_ms = _earliest((whole.next_due_ms, part.next_due_ms))
    return whole


def _set_aside(rulebook: Rulebook, item: Batch | EarlyCopy) -> list[Finding]:
    batch = item if isinstance(item, Batch) else item.batch
    received_ms = batch.received_ms if batch.received_ms is not None else batch.sealed_ms
    finding = oddities.of_undecidable(batch.unit, batch.chain, batch.first_seq, received_ms)
    return [situated(rulebook, finding)]


def _add(
    piece: Piece,
    items: list[Item],
    intake: list[Entry],
    forked: list[Finding],
    rulebook: Rulebook,
) -> None:
    """What the engine is given of a piece; nothing, if its records are not used and nobody waits for them."""
    step, unit_id, unit_no = piece.step, piece.held.unit_id, piece.held.unit_no
    if isinstance(step, Closed):
        hole = step.hole
        first = None if hole is None else hole.first_seq
        items.append(
            ChainHole(unit=unit_id, chain=step.chain_id, first=first, last=None, why=step.why)
        )
        intake.append((unit_id, (IN_HOLE, unit_no, step.chain_id, first, None, step.why)))
        return
    arrival, sheet = step.arrival, piece.sheet
    assert sheet is not None
    key = (unit_no, arrival.chain_id, arrival.batch_no)
    reason = step.reason if isinstance(step, Settled) else arrival.reason
    if reason is not None:
        if isinstance(step, Settled) and step.slot is Slot.IN_ORDER:
            last = arrival.first_seq + arrival.count - 1
            items.append(
                ChainHole(
                    unit=unit_id,
                    chain=arrival.chain_id,
                    first=arrival.first_seq,
                    last=last,
                    why=reason.value,
                )
            )
            entry = (IN_HOLE, unit_no, arrival.chain_id, arrival.first_seq, last, reason.value)
            intake.append((unit_id, entry))
        return
    batch = batch_of(sheet, received_ms=piece.rx_ms, early_ms=piece.early_ms)
    match step:
        case Settled(slot=Slot.IN_ORDER):
            items.append(batch)
            ordinal = piece.held.chains.chains[arrival.chain_id].ordinal
            intake.append((unit_id, (IN_BATCH, unit_no, ordinal, arrival.batch_no)))
        case Settled() | Parked():
            if sheet.events:
                items.append(EarlyCopy(batch=replace(batch, early_ms=None)))
                intake.append((unit_id, (IN_EARLY, *key, piece.rx_ms)))
        case Forked():
            if sheet.events:
                forked += judge_forked(rulebook, batch)
                intake.append((unit_id, (IN_FORKED, *key, arrival.head, piece.rx_ms)))


def judge_forked(rulebook: Rulebook, batch: Batch) -> list[Finding]:
    """Urgent events of a second branch are shown, marked; its records reach no track (WIRE section 9)."""
    try:
        found = judge(rulebook, batch)
    except FAILURES:
        return _set_aside(rulebook, EarlyCopy(batch=batch))
    return [replace(finding, data={**finding.data, "forked": 1}) for finding in found]


def _of(result: Result, before: Known) -> Detected:
    return Detected(
        states=dict(result.states),
        findings=list(result.findings),
        words=list(result.settled),
        next_due_ms=result.next_due_ms,
        known=before if result.known is None else result.known,
    )


def _earliest(times: Iterable[int | None]) -> int | None:
    return min((time for time in times if time is not None), default=None)
