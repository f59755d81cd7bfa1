"""Silence and deadlines: told by ticks, proved by nothing but time (DETECTION section 7.6)."""

from collections.abc import Sequence
from dataclasses import replace

from collector.detect.engine import Heard, Item, TimePassed, every_row
from collector.detect.rules import Journey, Rulebook
from tests.collector.detect.worlds import (
    BEGIN_MS,
    At,
    Run,
    Unit,
    blobs,
    book_of,
    codes,
    event,
    line,
    play,
    seal,
    square,
    told,
)
from wire.records import EventKind

LAND = square("land", 0, 0, 200_000, kind="territory")
BOOK = book_of(LAND)
SHUT = seal(0, locked=True, rope_in=True)


def ticks(from_s: float, to_s: float, *, since_s: float = -1_000_000) -> list[Item]:
    """One each ten seconds."""
    return [
        TimePassed(now_ms=_ms(t_s), since_ms=_ms(since_s))
        for t_s in range(int(from_s), int(to_s), 10)
    ]


def heard(t_s: float, unit: str = "u") -> Heard:
    return Heard(unit=unit, received_ms=_ms(t_s))


def _ms(t_s: float) -> int:
    return BEGIN_MS + round(t_s * 1_000)


def tell(book: Rulebook, items: Sequence[Item]) -> Run:
    """The same however the ticks are cut: a tick of the watch is always one of its own."""
    seen = run_all(book, items)
    other = run_all(book, items, whole=True)
    assert told(seen) == told(other)
    assert blobs(seen) == blobs(other)
    return seen


def run_all(book: Rulebook, items: Sequence[Item], *, whole: bool = False) -> Run:
    parts: list[list[Item]] = [[]]
    for item in items:
        parts[-1].append(item)
        if isinstance(item, TimePassed) or not whole:
            parts.append([])
    out = Run()
    for part in parts:
        if part:
            out.add(play(book, part, states=out.states, screen=every_row))
    return out


def levels(run_: Run) -> list[tuple[str, str | None, object]]:
    return [
        (f.phase.value, None if f.priority is None else f.priority.value, f.value)
        for f in run_.findings
        if f.code == "CONTACT_LOST"
    ]


def test_a_unit_that_is_silent_for_two_periods_is_lost_and_restored() -> None:
    unit = Unit()
    items = [unit.batch(At(t_s=0, x_m=0, y_m=0), SHUT), heard(1), *ticks(10, 700)]
    items += [heard(705), unit.batch(At(t_s=5, x_m=0, y_m=0))]
    seen = tell(BOOK, items)
    assert [code for code in codes(seen) if code.startswith("CONTACT")] == [
        "CONTACT_LOST.begin",
        "CONTACT_LOST.end",
        "CONTACT_RESTORED",
    ]
    assert levels(seen) == [("begin", "P3", "unknown"), ("end", "P3", "unknown")]
    begin = next(f for f in seen.findings if f.code == "CONTACT_LOST")
    assert (begin.at_ms, begin.seq) == (_ms(1), 1)  # the seal's report was its last record
    assert begin.confirmed_ms == _ms(640)
    restored = next(f for f in seen.findings if f.code == "CONTACT_RESTORED")
    assert restored.value == 704
    assert restored.level.value == "record"


def test_half_an_hour_is_worse_and_an_open_seal_is_worst() -> None:
    closed = [Unit().batch(At(t_s=0, x_m=0, y_m=0), SHUT), heard(1), *ticks(10, 2_000)]
    assert levels(tell(BOOK, closed)) == [("begin", "P3", "unknown"), ("change", "P2", "unknown")]
    opened = seal(1, locked=False, rope_in=True)
    items = [Unit().batch(At(t_s=0, x_m=0, y_m=0), SHUT, opened), heard(1), *ticks(10, 2_000)]
    assert levels(tell(BOOK, items)) == [("begin", "P3", "unknown"), ("change", "P1", "unknown")]


def test_near_a_border_silence_is_worst() -> None:
    items = [Unit().batch(At(t_s=0, x_m=185_000, y_m=0), SHUT), heard(1), *ticks(10, 700)]
    assert levels(tell(BOOK, items))[-1][:2] == ("change", "P1")


def test_a_stop_and_an_empty_battery_say_why() -> None:
    for last in (event(1, EventKind.STOP, 1), event(1, EventKind.POWER, 3, 9_000)):
        items = [Unit().batch(At(t_s=0, x_m=0, y_m=0), last), heard(1), *ticks(10, 700)]
        assert levels(tell(BOOK, items))[0] == ("begin", "P3", "power")


def test_the_units_own_records_prove_the_class() -> None:
    unit = Unit()
    items = [unit.batch(At(t_s=0, x_m=0, y_m=0), SHUT), heard(1), *ticks(10, 700)]
    boot = event(690, EventKind.BOOT, 2, 1, "", 0, None)
    items += [heard(705), unit.batch(boot, At(t_s=700, x_m=0, y_m=0))]
    (restored,) = (f for f in tell(BOOK, items).findings if f.code == "CONTACT_RESTORED")
    assert restored.data == {"class": "power"}


def test_a_centre_that_was_away_has_heard_nothing_of_anybody() -> None:
    items = [
        Unit().batch(At(t_s=0, x_m=0, y_m=0), SHUT),
        heard(1),
        *ticks(5_000, 5_600, since_s=5_000),
    ]
    assert levels(tell(BOOK, items)) == []
    items += ticks(5_600, 5_700, since_s=5_000)
    assert [row[0] for row in levels(tell(BOOK, items))] == ["begin"]


def test_a_unit_that_is_on_no_journey_may_be_silent() -> None:
    idle = replace(BOOK, journeys={})
    assert levels(tell(idle, [Unit().batch(At(t_s=0, x_m=0, y_m=0)), heard(1), *ticks(10, 3_000)])) == []  # fmt: skip


def test_who_was_never_heard_is_not_lost() -> None:
    assert levels(tell(BOOK, [*ticks(10, 3_000)])) == []


def limited(limit_s: float, *, route: str | None = None, state: str = "in_transit") -> Rulebook:
    road = line("road", [(0, 0), (100_000, 0)], plan_kmh=60)
    book = book_of(LAND, road)
    journey = Journey(
        id="j7", unit="u", since_ms=0, route=route, state=state, limit_ms=_ms(limit_s)
    )
    return replace(book, journeys={"u": (journey,)})


def test_a_limit_that_passes_is_told_once_and_is_the_journeys() -> None:
    items: list[Item] = [Unit().batch(At(t_s=0, x_m=0, y_m=0), SHUT)]
    for begin_s in range(0, 1_200, 300):
        items += [heard(begin_s + 1), *ticks(begin_s + 10, begin_s + 300)]
    seen = tell(limited(600), items)
    some = [f for f in seen.findings if f.code == "TIME_LIMIT_EXCEEDED"]
    assert [(f.phase.value, f.at_ms, f.chain, f.seq) for f in some] == [
        ("begin", _ms(600), None, None)
    ]
    assert some[0].priority is not None
    assert some[0].data == {"journey": "j7"}
    assert [f for f in tell(limited(600, state="arrived"), items).findings if f.code == "TIME_LIMIT_EXCEEDED"] == []  # fmt: skip


def test_a_unit_that_will_be_late_is_told_after_ten_minutes() -> None:
    """100 km at 60 km/h planned take 100 minutes; the limit leaves an hour."""
    rows = [At(t_s=10 * n, x_m=150 * n, y_m=0, speed_m_s=15) for n in range(120)]
    items: list[Item] = []
    unit = Unit()
    for n in range(0, 120, 30):
        items += [unit.batch(*rows[n : n + 30]), heard(10 * n + 300)]
        items += ticks(10 * n + 310, 10 * n + 600)
    seen = tell(limited(3_600, route="road"), items)
    risks = [f for f in seen.findings if f.code == "TIME_LIMIT_RISK"]
    assert [f.phase.value for f in risks] == ["begin"]
    assert isinstance(risks[0].value, float)
    assert risks[0].value > 0
    assert [f for f in tell(limited(9_000, route="road"), items).findings if "LIMIT" in f.code] == []  # fmt: skip
