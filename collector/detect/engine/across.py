"""The cross pass: what several units have told together, judged as the ticks of the watch pass (DETECTION section 2, step 5).

Law: of a unit's state it asks how far its own records have come and when it was heard, and nothing else; what is compared came as signals.
"""

from collections.abc import Callable
from dataclasses import replace

from collector.detect import Finding
from collector.detect.cross import OUTAGE_MS, WAIT_MS, Clocks, Told, convoy, fleet, neighbours
from collector.detect.cross.known import Known
from collector.detect.engine import States, TimePassed, UnitState
from collector.detect.engine.telling import finding_of
from collector.detect.rules import Rulebook


def judge(book: Rulebook, known: Known, clocks: Clocks) -> tuple[Known, list[Finding]]:
    """Time has passed. What was known stays the same object where nothing changed."""
    th = book.at(clocks.now_ms).thresholds
    fleets, told = fleet.judge(th, known.fleets, clocks)
    convoys, parted = _convoys(book, known, clocks)
    near = neighbours.kept(known.near, clocks.now_ms)
    if (fleets, near, convoys) != (known.fleets, known.near, known.convoys):
        known = replace(known, fleets=fleets, near=near, convoys=convoys)
    findings = [
        finding_of(one.unit, None, None, one.hit, one.confirmed_ms, one.received_ms, book)
        for one in (*told, *parted)
    ]
    return known, findings


def clocks_at(states: States, after: dict[str, UnitState], item: TimePassed) -> Clocks:
    """The clocks of all units when this tick passed. A centre that was away has heard nothing of anybody."""

    def newest_ms(unit: str) -> int | None:
        state = after.get(unit) or states.get(unit)
        if state is None or state.watch.heard_ms == 0:
            return None
        quiet_ms = item.now_ms - max(state.watch.heard_ms, item.since_ms)
        return None if quiet_ms >= WAIT_MS else state.watch.told_ms

    def slowest_ms() -> int:
        told = (newest_ms(unit) for unit in states.keys() | after.keys())
        oldest_ms = item.now_ms - OUTAGE_MS
        return min((one for one in told if one and one >= oldest_ms), default=item.now_ms)

    return Clocks(now_ms=item.now_ms, of=newest_ms, slowest_ms=slowest_ms)


def _convoys(
    book: Rulebook, known: Known, clocks: Clocks
) -> tuple[dict[str, convoy.State], list[Told]]:
    th = book.at(clocks.now_ms).thresholds
    told: list[Told] = []
    after: dict[str, convoy.State] = {}
    for name in sorted(known.convoys):
        units = book.convoys.get(name, ())
        journey = convoy.Journey(id=name, units=units, holds=_holds(book, name))
        state, some = convoy.judge(th, known.convoys[name], journey, clocks)
        told += some
        if state is not None:
            after[name] = state
    return after, told


def _holds(book: Rulebook, name: str) -> Callable[[str, int], bool]:
    def holds(unit: str, t_ms: int) -> bool:
        journey = book.journey(unit, t_ms)
        return journey is not None and journey.in_transit and journey.id == name

    return holds
