"""Re-stamping is a statement: what a start said before its first trusted time (EDGE section 7, row 11; DETECTION section 12, case 9)."""

from dataclasses import replace

import numpy as np
import pytest

from collector.detect import Finding, SettledAs, interference, seals, stamp
from collector.detect.engine import ChainHole, EarlyCopy, Item, Tick, every_row
from collector.detect.engine.blob import pack, unpack
from collector.detect.engine.run import run
from collector.detect.restate import CODE, Start, Statement, moved, restated, statement_of
from collector.detect.track import FLAGS, T_MS, Batch
from tests.collector.detect.worlds import (
    BEGIN_MS,
    At,
    Run,
    Unit,
    blobs,
    book_of,
    event,
    play,
    seal,
    told,
)
from wire import LIM
from wire.columns import Event
from wire.records import EventKind, FixFlag

BOOK = book_of()
FLOOR_S = -20_000_000  # some 230 days behind: the build date of a board without a clock
OFF_MS = 20_000_000_000


def boot(t_s: float) -> Event:
    return event(t_s, EventKind.BOOT, 7, 0, "test", 0, None)


def clock(t_s: float, shift_ms: int, what: int = 1, quality: int = 3) -> Event:
    """Told at `t_s` by the new time."""
    after_ms = BEGIN_MS + round(t_s * 1_000)
    return event(t_s, EventKind.CLOCK, what, after_ms - shift_ms, after_ms, quality)


def floor(t_s: float) -> float:
    """What the board believes at that second."""
    return FLOOR_S + t_s


def seal_named(t_s: float, name: str) -> Event:
    return seal(t_s, seal_id=name, locked=True, rope_in=True)


def at(quality: int, batch: Batch) -> Batch:
    return replace(batch, time_quality=quality)


def drive(begin_s: int, end_s: int) -> list[At]:
    return [At(t_s=t, x_m=10.0 * t, y_m=0) for t in range(begin_s, end_s, 10)]


def found(run_: Run, code: str) -> list[Finding]:
    return [finding for finding in run_.findings if finding.code == code]


def test_e11_records_before_a_clock_event_of_their_own_batch_are_judged_by_its_time() -> None:
    unit = Unit()
    cut = seal(floor(4), locked=True, rope_cut=True)
    batch = unit.batch(boot(floor(0)), cut, clock(10, OFF_MS), *drive(10, 40), received_s=60)
    (opened,) = found(play(BOOK, [at(3, batch)]), "SEAL_OPEN_UNAUTHORISED")
    assert opened.at_ms == BEGIN_MS + 4_000
    assert opened.late is False


def test_e11_what_was_judged_before_its_clock_event_keeps_its_time_and_a_record_says_how_far_off() -> (
    None
):
    unit = Unit()
    cut = seal(floor(4), locked=True, rope_cut=True)
    first = at(0, unit.batch(boot(floor(0)), cut, received_s=60))
    second = at(3, unit.batch(clock(10, OFF_MS), *drive(10, 40), received_s=60))
    seen = play(BOOK, [first, second])
    (opened,) = found(seen, "SEAL_OPEN_UNAUTHORISED")
    assert opened.at_ms == BEGIN_MS + 4_000 - OFF_MS
    (record,) = found(seen, CODE)
    assert (record.seq, record.at_ms, record.value) == (2, BEGIN_MS + 10_000, OFF_MS / 1_000)
    assert record.data == {
        "chain": unit.chain.hex(),
        "first_seq": 0,
        "last_seq": 1,
        "judged_seq": 2,
        "shift_ms": OFF_MS,
        "before": stamp(BEGIN_MS + 10_000 - OFF_MS),
        "after": stamp(BEGIN_MS + 10_000),
    }


def test_e11_a_time_that_runs_in_the_state_is_moved_with_the_clock() -> None:
    """Lost at the floor date: 15 minutes later by the true time it is P1, and not at the first fix that knows the date."""
    unit = Unit()
    items: list[Item] = [
        at(
            0,
            unit.batch(
                boot(floor(0)), seal(floor(1), locked=True, rope_in=True), seal(floor(5), cause=3)
            ),
        ),
        at(0, unit.batch(*drive(10, 30))),  # the receiver knows the date before it is trusted
        at(3, unit.batch(clock(30, OFF_MS), *drive(30, 60))),
        at(3, unit.batch(*drive(60, 1_000))),
    ]
    seen = play(BOOK, items)
    begin, change = found(seen, "SEAL_LOST")
    assert begin.at_ms == BEGIN_MS + 5_000 - OFF_MS
    assert (change.phase.value, change.at_ms) == ("change", BEGIN_MS + 905_000)
    assert change.confirmed_ms == BEGIN_MS + 910_000


def test_e11_an_early_copy_and_the_pass_in_order_say_the_same() -> None:
    unit = Unit()
    cut = seal(floor(4), locked=True, rope_cut=True)
    batch = at(3, unit.batch(boot(floor(0)), cut, clock(10, OFF_MS), received_s=60))
    early = run(BOOK, {}, Tick(items=(EarlyCopy(batch=batch),)))
    (raised,) = early.findings
    assert raised.at_ms == BEGIN_MS + 4_000
    in_order = run(BOOK, {}, Tick(items=(replace(batch, early_ms=batch.received_ms),)))
    assert [word.outcome for word in in_order.settled] == [SettledAs.CONFIRMED]


@pytest.mark.parametrize(
    "statement",
    [
        clock(10, OFF_MS, what=2),  # a step between two trusted times is a dispute
        clock(10, OFF_MS, what=3),
        clock(10, OFF_MS, quality=1),  # nobody trusts what it says now either
        clock(10, 0),
        event(10, EventKind.CLOCK, 1, 5),
        event(10, EventKind.CLOCK, 1, None, 7, 3),
        event(10, EventKind.CLOCK, 1, -5, 7, 3),
        event(10, EventKind.CLOCK, 1, 5, LIM, 3),
        event(10, EventKind.CLOCK, "1", 5, 7, 3),
        event(10, EventKind.CLOCK),
    ],
)
def test_what_states_nothing_moves_nothing(statement: Event) -> None:
    assert statement_of(statement) is None
    unit = Unit()
    batch = unit.batch(boot(floor(0)), seal(floor(4), locked=True, rope_in=True), statement)
    assert restated(batch) is batch or restated(batch).events == batch.events
    assert found(play(BOOK, [batch]), CODE) == []


def test_a_statement_reaches_back_to_its_own_start_only() -> None:
    unit = Unit()
    first = at(
        3, unit.batch(boot(0), seal(1, locked=True, rope_in=True), seal(5, cause=3), received_s=10)
    )
    second = at(0, unit.batch(boot(floor(100)), seal_named(floor(101), "s2"), received_s=200))
    third = at(3, unit.batch(clock(110, OFF_MS), *drive(110, 1_000), received_s=1_000))
    seen = play(BOOK, [first, second, third])
    (record,) = found(seen, CODE)
    assert (record.data["first_seq"], record.data["last_seq"]) == (3, 4)
    assert [f.at_ms for f in found(seen, "SEAL_LOST")] == [BEGIN_MS + 5_000, BEGIN_MS + 905_000]


def test_only_the_first_trusted_time_of_a_start_is_a_statement_about_it() -> None:
    unit = Unit()
    items = [
        at(0, unit.batch(boot(floor(0)))),
        at(3, unit.batch(clock(10, OFF_MS))),
        at(3, unit.batch(clock(20, 5_000))),  # no unit of ours says this
    ]
    records = found(play(BOOK, items), CODE)
    assert [record.data["first_seq"] for record in records] == [0, 2]  # its own batch, no more


def test_behind_a_hole_another_start_may_lie_so_nothing_before_it_is_moved() -> None:
    unit = Unit()
    items: list[Item] = [
        at(0, unit.batch(boot(floor(0)), seal(floor(1), locked=True, rope_in=True))),
        ChainHole(unit="u", chain=unit.chain, first=2, last=9, why="dropped"),
        at(3, unit.batch(clock(10, OFF_MS))),
    ]
    (record,) = found(play(BOOK, items), CODE)
    assert record.data["first_seq"] == 2


def test_a_start_that_lies_in_two_chains_is_told_for_both() -> None:
    unit = Unit()
    first = at(0, unit.batch(boot(floor(0)), seal(floor(1), locked=True, rope_in=True)))
    unit.chain, unit.next_seq = bytes(16), 0  # the store was set aside while it ran
    second = at(3, unit.batch(seal(floor(5), locked=True, rope_in=True), clock(10, OFF_MS)))
    old, new = sorted(
        found(play(BOOK, [first, second]), CODE), key=lambda record: record.data["judged_seq"] == 0
    )
    assert (old.data["first_seq"], new.data["first_seq"], new.data["last_seq"]) == (0, 0, 0)
    assert old.id != new.id


def test_fixes_that_bear_the_units_time_move_and_the_receivers_do_not() -> None:
    unit = Unit()
    rows = [At(t_s=floor(1), x_m=0, y_m=0), At(t_s=2, x_m=0, y_m=0)]
    batch = unit.batch(boot(floor(0)), *rows, clock(10, OFF_MS), At(t_s=11, x_m=0, y_m=0))
    batch.fixes[FLAGS, 0] |= int(FixFlag.UNIT_CLOCK)
    moved = restated(batch).fixes[T_MS]
    assert moved.tolist() == [BEGIN_MS + 1_000, BEGIN_MS + 2_000, BEGIN_MS + 11_000]
    assert batch.fixes[T_MS, 0] == BEGIN_MS + 1_000 - OFF_MS  # what was signed stays
    assert np.shares_memory(restated(unit.batch(*rows)).fixes, batch.fixes) is False


def test_e11_law_screens_and_cuts_change_nothing_and_a_state_survives_its_blob() -> None:
    unit = Unit()
    items: list[Item] = []
    t = 0
    for start in range(4):
        off_ms = OFF_MS * (start % 3 - 1) // (start + 1)  # behind, right, ahead
        said = t - off_ms / 1_000
        items.append(at(0, unit.batch(boot(said), seal(said + 1, locked=True, rope_in=True))))
        items.append(at(0, unit.batch(seal(said + 2, cause=3), *drive(t + 3, t + 40))))
        items.append(at(3, unit.batch(clock(t + 40, off_ms), *drive(t + 40, t + 90))))
        items.append(at(3, unit.batch(*drive(t + 90, t + 1_200))))
        items.append(at(3, unit.batch(seal(t + 1_210, cause=4, locked=True, rope_in=True))))
        t += 1_300
    whole = play(BOOK, items)
    for cut in (1, 2, 3, 7):
        other = play(BOOK, items, cut=cut)
        assert (told(other), blobs(other)) == (told(whole), blobs(whole))
        for result in other.results:
            for state in result.states.values():
                assert unpack(pack(state)) == state
    every = play(BOOK, items, screen=every_row)
    assert (told(every), blobs(every)) == (told(whole), blobs(whole))
    assert len(found(whole, CODE)) == 3  # the third start was right from its beginning


def test_every_time_of_a_state_is_a_field_that_says_so_and_moves() -> None:
    start, statement = Start(seq=0, t_ms=100), Statement(seq=9, before_ms=200, after_ms=1_200)
    lock = seals.Seal(seal="s", opened_ms=150, lost_ms=99, wrong_ms=(100, 201), refused_ms=200)
    state = moved(seals.State(seals=(lock,)), start, statement)
    assert state.seals[0] == replace(
        lock, opened_ms=1_150, lost_ms=99, wrong_ms=(1_100, 201), refused_ms=1_200
    )
    sky = interference.State(
        runs=(interference.Run(name="jamming", seq=3, since_ms=150),), outliers_ms=(120, 90)
    )
    moved_sky = moved(sky, start, statement)
    assert (moved_sky.runs[0].since_ms, moved_sky.runs[0].good_ms) == (1_150, None)
    assert moved_sky.outliers_ms == (1_120, 90)
    assert moved(sky, Start(seq=0, t_ms=300), statement) is sky
