"""A unit's chains by the table of WIRE section 9, then its law: order of arrival changes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import pytest
from hypothesis import given, settings, strategies as st

from collector.ingest import (
    PARKED_BATCHES_MAX,
    Arrival,
    Closed,
    Confession,
    Forked,
    Missing,
    Oddity,
    Parked,
    Settled,
    Slot,
    Step,
    Verdict,
    Why,
)
from collector.ingest.chains import SETTLE_MAX, UnitChains
from collector.ingest.hello import admit
from collector.ingest.owed import OWED_MAX
from collector.ingest.pace import (
    BURST_MAX,
    GAP_MINUTES,
    MINUTE_MS,
    RESEND_AGAIN_MS,
    RESEND_FIRST_MS,
    Bucket,
    GapWatch,
    alert_is_due,
    draw,
    resend_due_ms,
    watch_gap,
)
from wire import Reason
from wire.batch import Genesis
from wire.hello import Hello

A, B, C = (bytes([letter]) * 16 for letter in b"ABC")
T0 = 1_795_330_000_000
NOTHING = Genesis(reason=1, prev_chain=None, prev_batch_no=None, prev_head=None, prev_seq=None)


def head(chain_id: bytes, batch_no: int, branch: str = "") -> bytes:
    return sha256(b"%s %d %s" % (chain_id, batch_no, branch.encode())).digest()


def batch(chain_id: bytes, batch_no: int, branch: str = "", **changes: object) -> Arrival:
    """Ten records a batch, a minute apart; the first `branch` differs from the other in its heads."""
    arrival = Arrival(
        chain_id=chain_id,
        batch_no=batch_no,
        head=head(chain_id, batch_no, branch),
        prev=head(chain_id, batch_no - 1, branch),
        first_seq=batch_no * 10,
        count=10,
        sealed_ms=T0 + batch_no * 60_000,
        time_quality=2,
        boot_no=1,
        sealed_mono_ms=batch_no * 60_000,
        size_bytes=400,
        genesis=NOTHING if batch_no == 0 else None,
    )
    return replace(arrival, **changes)  # type: ignore[arg-type]  # a test names fields that exist


def beginning(chain_id: bytes, after: Arrival | None, at_ms: int = T0 + 3_600_000) -> Arrival:
    genesis = NOTHING
    if after is not None:
        genesis = Genesis(
            reason=2,
            prev_chain=after.chain_id,
            prev_batch_no=after.batch_no,
            prev_head=after.head,
            prev_seq=after.first_seq + after.count - 1,
        )
    return batch(chain_id, 0, genesis=genesis, sealed_ms=at_ms)


def lost(chain_id: bytes, first: int, last: int, *, named: bool = True) -> Confession:
    return Confession(
        chain_id=chain_id,
        first_no=first,
        last_no=last,
        last_head=head(chain_id, last) if named else None,
        why=Why.DROPPED,
    )


class Unit:
    """The chains, with a store of heads as large as need be."""

    def __init__(self) -> None:
        self.chains = UnitChains()
        self.stored: dict[tuple[bytes, int], tuple[bytes, Slot, Reason | None]] = {}
        self.forks: set[bytes] = set()
        self.oddities: list[str] = []
        self.holes: list[tuple[int, int]] = []

    def hear(self, *arrivals: Arrival) -> list[str]:
        """One tick; the verdicts."""
        self.chains.begin_tick({place: row[0] for place, row in self.stored.items()})
        verdicts = []
        for arrival in arrivals:
            judged = self.chains.take(arrival)
            name = judged.verdict.value if judged.reason is None else judged.reason.value
            verdicts.append(name)
            self.note(judged.steps)
        while self.chains.has_more:
            self.chains.begin_tick({place: row[0] for place, row in self.stored.items()})
            self.note(self.chains.go_on())
        return verdicts

    def note(self, steps: Iterable[Step]) -> None:
        for step in steps:
            match step:
                case Settled(arrival=arrival, slot=slot, reason=reason, oddity=oddity):
                    place = (arrival.chain_id, arrival.batch_no)
                    assert place not in self.stored, "stored twice"
                    self.stored[place] = (arrival.head, slot, reason)
                    if oddity is not None:
                        self.oddities.append(oddity.value)
                case Forked(arrival=arrival):
                    self.forks.add(arrival.head)
                case Closed(hole=hole) if hole is not None:
                    self.holes.append((hole.first_no, hole.last_no))
                case Closed() | Parked():
                    pass

    def through(self, chain_id: bytes = A) -> int:
        return self.chains.chains[chain_id].through

    @property
    def current(self) -> bytes:
        assert self.chains.current is not None
        return self.chains.current.chain_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of WIRE section 9: what is there, what comes, the verdict, and what follows."""

    name: str
    there: Sequence[Arrival]
    comes: Arrival
    verdict: str
    oddities: Sequence[str] = ()
    current: bytes = A
    through: int = 0
    settles: int = 1  # batches that stand in the record afterwards


A0, A1, A2, A3 = (batch(A, number) for number in range(4))
A1_OTHER = batch(A, 1, "other", prev=head(A, 0))
LATER, EARLIER = T0 + 7_200_000, T0 + 1_000
OLD_CLOCK = replace(A3, time_quality=1, sealed_ms=LATER)
ROWS = [
    Row(name="the same again", there=[A0, A1], comes=A1, verdict="Duplicate", through=1, settles=2),
    Row(name="parked again", there=[A0, A2], comes=A2, verdict="Gap then Duplicate", settles=1),
    Row(name="stored, another head", there=[A0, A1], comes=A1_OTHER, verdict="Fork", through=1, settles=2),
    Row(name="parked, another head", there=[A0, A2], comes=batch(A, 2, "other"), verdict="Fork", settles=1),
    Row(name="next in the chain", there=[A0], comes=A1, verdict="Accepted", through=1, settles=2),
    Row(name="next, other prev", there=[A0], comes=batch(A, 1, "other"), verdict="Fork", settles=1),
    Row(name="further ahead", there=[A0], comes=A2, verdict="Gap", settles=1),
    Row(name="settles what waits", there=[A0, A2, A3], comes=A1, verdict="Accepted", through=3, settles=4),
    Row(name="unknown chain above 0", there=[A0], comes=batch(B, 3), verdict="Gap", settles=1),
    Row(name="the first chain", there=[], comes=A0, verdict="Accepted"),
    Row(name="prev nil, a chain exists", there=[A0], comes=beginning(B, None), verdict="Accepted", oddities=["ChainBreak"], current=B, settles=2),
    Row(name="prev is settled", there=[A0, A1], comes=beginning(B, A1), verdict="Accepted", current=B, settles=3),
    Row(name="prev above settled", there=[A0], comes=beginning(B, A1), verdict="Gap", settles=1),
    Row(name="prev chain unknown", there=[A0], comes=beginning(B, batch(C, 4)), verdict="Gap", settles=1),
    Row(name="prev chain unknown and none is there", there=[], comes=beginning(B, batch(C, 4)), verdict="Gap", current=b"", settles=0),
    Row(name="prev below settled", there=[A0, A1, A2], comes=beginning(B, A1), verdict="Accepted", oddities=["RolledBack"], current=B, settles=4),
    Row(name="prev with another head", there=[A0, A1], comes=beginning(B, A1_OTHER), verdict="Fork", through=1, settles=2),
    Row(name="prev below settled with another head", there=[A0, A1, A2], comes=beginning(B, A1_OTHER), verdict="Fork", through=2, settles=3),
    Row(name="prev has a successor", there=[A0, beginning(B, A0)], comes=beginning(C, A0), verdict="Fork", current=B, settles=2),
    Row(name="a closed chain goes on, sealed before", there=[A0, beginning(B, A0, LATER)], comes=A1, verdict="Accepted", oddities=["LateTail"], current=B, settles=3),
    Row(name="a closed chain goes on, sealed after", there=[A0, beginning(B, A0, EARLIER)], comes=A1, verdict="Fork", current=B, settles=2),
    Row(name="the same with a clock that proves nothing", there=[A0, A1, A2, beginning(B, A2, EARLIER)], comes=OLD_CLOCK, verdict="Accepted", oddities=["LateTail"], current=B, settles=5),
    Row(name="seq jumps", there=[A0], comes=replace(A1, first_seq=11), verdict="SeqJump", through=1, settles=2),
    Row(name="link kept", there=[A0], comes=replace(A1, reason=Reason.BAD_COLUMNS), verdict="BadColumns", through=1, settles=2),
    Row(name="link kept and the body of batch 0 unread", there=[], comes=replace(A0, reason=Reason.BAD_BODY, genesis=None), verdict="BadBody"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_of_the_table_gives_its_verdict(row: Row) -> None:
    unit = Unit()
    for arrival in row.there:
        unit.hear(arrival)
    verdicts = unit.hear(row.comes)
    assert verdicts == [row.verdict.removeprefix("Gap then ")]
    assert unit.oddities == list(row.oddities)
    assert len(unit.stored) == row.settles
    if row.current:
        assert unit.current == row.current
    else:
        assert unit.chains.current is None
    if row.current == A:
        assert unit.through() == row.through
    assert (row.comes.head in unit.forks) == (row.verdict == "Fork")


def test_a_fork_comes_as_often_as_it_likes_and_settles_nothing() -> None:
    unit = Unit()
    unit.hear(A0, A1)
    assert unit.hear(A1_OTHER, batch(A, 2, "other"), A1_OTHER, A2) == [
        "Fork",
        "Fork",
        "Fork",
        "Accepted",
    ]
    assert unit.through() == 2


def test_a_parked_batch_of_another_history_becomes_a_fork_when_its_turn_comes() -> None:
    unit = Unit()
    unit.hear(A0, batch(A, 2, "other"))
    unit.hear(A1)
    assert unit.forks == {head(A, 2, "other")}
    assert unit.hear(A2) == ["Accepted"]


def test_a_chain_that_waits_for_its_predecessor_begins_when_that_has_come() -> None:
    unit = Unit()
    begin = beginning(B, A2)
    assert unit.hear(batch(B, 1), begin, A2, A1, A0) == ["Gap", "Gap", "Gap", "Gap", "Accepted"]
    assert unit.current == B
    assert unit.through(B) == 1
    assert not unit.chains.waiting
    assert not unit.oddities


# holes


def test_a_confession_closes_a_hole_and_the_rest_settles() -> None:
    unit = Unit()
    unit.hear(A0, batch(A, 3))
    unit.hear(batch(A, 4, confessions=(lost(A, 1, 2),)))
    assert unit.holes == [(1, 2)]
    assert unit.through() == 4


def test_a_confession_that_lies_about_the_last_head_makes_a_fork() -> None:
    unit = Unit()
    wrong = replace(lost(A, 1, 2), last_head=head(A, 2, "other"))
    unit.hear(A0, batch(A, 3), batch(A, 4, confessions=(wrong,)))
    assert unit.forks == {head(A, 3)}


def test_a_late_batch_inside_a_closed_hole_is_kept_and_never_judged_again() -> None:
    unit = Unit()
    unit.hear(A0, batch(A, 4, confessions=(lost(A, 1, 3),)))
    assert unit.hear(A2, A1, batch(A, 3), A2) == ["Accepted", "Accepted", "Accepted", "Duplicate"]
    assert {
        place[1]: row[1] for place, row in unit.stored.items() if row[1] is Slot.HOLE
    } == dict.fromkeys((1, 2, 3), Slot.HOLE)
    assert unit.chains.holes == []


@pytest.mark.parametrize(
    "liar",
    [batch(A, 1, "other"), replace(batch(A, 3), head=head(A, 3, "other"))],
    ids=["does not fit what stands before", "does not fit what stands behind"],
)
def test_a_batch_that_does_not_fit_its_hole_is_a_fork(liar: Arrival) -> None:
    unit = Unit()
    unit.hear(A0, batch(A, 4, confessions=(lost(A, 1, 3),)))
    assert unit.hear(liar) == ["Fork"]


def test_a_hole_whose_end_nobody_named_learns_it_from_what_follows() -> None:
    unit = Unit()
    unit.hear(A0, batch(A, 4, confessions=(lost(A, 1, 3, named=False),)))
    assert unit.hear(replace(batch(A, 3), head=head(A, 3, "other"))) == ["Fork"]
    assert unit.hear(batch(A, 3)) == ["Accepted"]


def test_a_filled_place_makes_its_neighbours_fit() -> None:
    unit = Unit()
    unit.hear(A0, batch(A, 4, confessions=(lost(A, 1, 3),)))
    assert unit.hear(A2, batch(A, 1, prev=head(A, 0), head=head(A, 1, "other"))) == [
        "Accepted",
        "Fork",
    ]


def test_behind_a_hole_seq_may_skip_but_not_fall() -> None:
    skips, falls = Unit(), Unit()
    skips.hear(A0, batch(A, 4, confessions=(lost(A, 1, 3),)))
    assert not any(row[2] for row in skips.stored.values())
    falls.hear(A0, batch(A, 4, first_seq=9, confessions=(lost(A, 1, 3),)))
    assert falls.stored[(A, 4)][2] is Reason.SEQ_JUMP


def test_a_hole_at_the_end_that_is_filled_is_receipted() -> None:
    unit = Unit()
    unit.hear(A0)
    unit.chains.begin_tick({})
    unit.note(unit.chains.confess(lost(A, 1, 2, named=False)))
    assert unit.chains.chains[A].stored_no == 0
    unit.hear(A2)
    chain = unit.chains.chains[A]
    assert (chain.through, chain.stored_no, chain.stored_head) == (2, 2, head(A, 2))
    assert unit.hear(A1, batch(A, 3)) == ["Accepted", "Accepted"]


def test_a_confession_of_another_chain_lets_the_new_one_begin() -> None:
    unit = Unit()
    unit.hear(A0, beginning(B, batch(A, 3)))
    assert unit.current == A
    unit.hear(batch(B, 1, confessions=(lost(A, 1, 3),)))
    assert unit.current == B
    assert unit.through(B) == 1
    assert not unit.oddities


def test_a_chain_whose_beginning_is_lost_holds_nothing_up() -> None:
    unit = Unit()
    unit.hear(beginning(B, batch(A, 3)), batch(B, 1, confessions=(lost(A, 0, 3),)))
    assert unit.current == B
    assert unit.through(B) == 1


@pytest.mark.long
def test_parked_batches_are_bounded_and_what_is_next_is_always_taken() -> None:
    unit = Unit()
    unit.hear(A0)
    for number in range(2, PARKED_BATCHES_MAX + 12):
        assert unit.chains.take(batch(A, number)).verdict is Verdict.GAP
    assert len(unit.chains.waiting) == PARKED_BATCHES_MAX
    unit.hear(A1)
    assert unit.through() == PARKED_BATCHES_MAX + 1
    fat = Unit()
    fat.hear(A0)
    for number in range(2, 6):
        fat.chains.take(batch(A, number, size_bytes=30 << 20))
    assert len(fat.chains.waiting) == 2


def test_a_tick_settles_so_many_and_goes_on_in_the_next() -> None:
    unit = Unit()
    unit.hear(A0, *(batch(A, number) for number in range(2, 200)))
    unit.chains.begin_tick({})
    unit.chains.take(A1)
    assert unit.through() == SETTLE_MAX
    assert unit.chains.has_more


# the law


def honest_history() -> list[Arrival]:
    """Three chains in their succession, with batches that are lost and confessed."""
    first = [batch(A, number) for number in range(6)]
    second = [beginning(B, first[5]), *(batch(B, number) for number in range(1, 6))]
    second[5] = replace(second[5], confessions=(lost(B, 2, 3),))
    third = [beginning(C, second[5]), *(batch(C, number) for number in range(1, 3))]
    return [*first, *(entry for entry in second if entry.batch_no not in (2, 3)), *third]


def store_of(unit: Unit) -> object:
    chains = {
        entry.chain_id: (entry.ordinal, entry.through, entry.head, entry.stored_no, entry.successor)
        for entry in unit.chains.chains.values()
    }
    return unit.stored, chains, sorted(unit.holes), unit.chains.waiting, unit.oddities, unit.forks


@settings(max_examples=100)
@given(st.data())
def test_any_order_any_repetition_and_any_ticks_give_the_same_store(data: st.DataObject) -> None:
    history = honest_history()
    straight = Unit()
    for arrival in history:
        straight.hear(arrival)
    again = data.draw(st.lists(st.sampled_from(history), max_size=12))
    order = data.draw(st.permutations([*history, *again]))
    early = data.draw(st.sets(st.sampled_from(range(len(order)))))
    shuffled = Unit()
    tick: list[Arrival] = []
    for number, arrival in enumerate(order):
        tick.append(replace(arrival, is_early=number in early))
        if data.draw(st.booleans()):
            shuffled.hear(*tick)
            tick = []
    shuffled.hear(*tick)
    assert store_of(shuffled) == store_of(straight)
    assert shuffled.chains.missing() is None


@settings(max_examples=50)
@given(st.data())
def test_a_reloaded_unit_goes_on_as_the_one_in_memory(data: st.DataObject) -> None:
    order = data.draw(st.permutations(honest_history()))
    cut = data.draw(st.integers(0, len(order)))
    kept, reloaded = Unit(), Unit()
    for arrival in order[:cut]:
        kept.hear(arrival)
        reloaded.hear(arrival)
    reloaded.chains = UnitChains(
        chains=kept.chains.chains.values(),
        waiting=[replace(entry, confessions=()) for entry in kept.chains.waiting.values()],
        confessions=kept.chains.confessions,
        holes=kept.chains.holes,
    )
    for arrival in order[cut:]:
        assert kept.hear(arrival) == reloaded.hear(arrival)
    assert store_of(kept) == store_of(reloaded)


# what is owed


def test_what_is_missing_is_named_and_only_early_copies_are_no_reason_to_ask() -> None:
    unit = Unit()
    unit.hear(A0, replace(batch(A, 3), is_early=True))
    assert unit.chains.missing() == Missing(
        chain_id=A, first_no=1, last_no=2, first_seq=10, is_urged=False
    )
    unit.hear(batch(A, 3))
    missing = unit.chains.missing()
    assert missing is not None
    assert missing.is_urged
    unit.hear(A1, A2)
    assert unit.chains.missing() is None


def test_the_chain_before_a_parked_beginning_is_asked_for_first() -> None:
    unit = Unit()
    unit.hear(beginning(B, batch(A, 4)))
    assert unit.chains.missing() == Missing(
        chain_id=A, first_no=0, last_no=4, first_seq=0, is_urged=True, is_promised=False
    )
    unit.hear(A0)
    missing = unit.chains.missing()
    assert missing is not None
    assert (missing.chain_id, missing.first_no, missing.last_no) == (A, 1, 4)


def hello(batch_no: int, **changes: object) -> Hello:
    said = Hello(
        unit_id="uz-01",
        chain_id=A,
        batch_no=batch_no,
        seq=batch_no * 10 + 9,
        head=head(A, batch_no),
        at_ms=T0 + 3_600_000,
        seen=None,
        oldest=0,
        boot_no=1,
        time_quality=2,
        mono_ms=3_600_000,
        nonce=b"",
        program="",
    )
    return replace(said, **changes)  # type: ignore[arg-type]  # a test names fields that exist


def test_hellos_of_chains_that_nobody_knows_are_remembered_of_sixteen() -> None:
    unit = UnitChains()
    names = [number.to_bytes(16, "big") for number in range(1_000)]
    for name in (*names, names[-2]):
        admit(unit, hello(3, chain_id=name))
    assert list(unit.owed.newest) == [*names[-OWED_MAX:-2], names[-1], names[-2]]
    missing = unit.missing()
    assert missing is not None
    assert missing.last_no == 3


def greeted(*there: Arrival, said: Hello) -> tuple[Unit, str | None, bytes | None, object]:
    unit = Unit()
    unit.hear(*there)
    unit.chains.begin_tick({place: row[0] for place, row in unit.stored.items()})
    admitted = admit(unit.chains, said)
    unit.note(admitted.steps)
    oddity = None if admitted.oddity is None else admitted.oddity.value
    return unit, oddity, admitted.receipt_for, admitted.resend


def test_a_hello_is_answered_with_what_is_settled_or_with_a_wish() -> None:
    assert greeted(A0, A1, said=hello(1))[1:] == (None, A, None)
    assert greeted(A0, said=hello(4))[1:] == (None, A, None)
    assert greeted(said=hello(4))[1:] == (None, None, (A, 0))
    assert greeted(A0, beginning(B, A0), said=hello(0))[1:] == (None, B, None)


def test_a_hello_that_holds_nothing_so_old_closes_the_hole() -> None:
    unit, *_ = greeted(A0, batch(A, 5), said=hello(6, oldest=4))
    assert unit.holes == [(1, 3)]
    assert unit.through() == 3
    missing = unit.chains.missing()
    assert missing is not None
    assert (missing.first_no, missing.last_no) == (4, 6)


def test_a_hello_with_another_head_is_a_fork() -> None:
    assert greeted(A0, A1, said=hello(1, head=head(A, 1, "other")))[1] == Oddity.FORK.value
    assert greeted(A0, A2, said=hello(2, head=head(A, 2, "other")))[1] == Oddity.FORK.value


def test_a_unit_that_has_forgotten_is_rolled_back_and_an_old_hello_proves_nothing() -> None:
    assert greeted(A0, A1, A2, said=hello(1))[1] == Oddity.ROLLED_BACK.value
    assert greeted(A0, A1, A2, said=hello(1, at_ms=T0 + 90_000))[1] is None
    no_clock = {"time_quality": 0, "at_ms": 0}
    assert greeted(A0, A1, A2, said=hello(1, mono_ms=90_000, **no_clock))[1] is None
    assert greeted(A0, A1, A2, said=hello(1, boot_no=2, mono_ms=5, **no_clock))[1] == "RolledBack"


# the pace


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket: Bucket | None = Bucket(at_ms=T0)
    for _ in range(BURST_MAX):
        assert bucket is not None
        bucket = draw(bucket, T0)
    assert bucket is not None
    assert draw(bucket, T0) is None
    assert draw(bucket, T0 + 19) is None
    later = draw(bucket, T0 + 20)
    assert later is not None
    assert draw(later, T0 + 20) is None
    assert draw(later, T0 - 60_000) is None  # a clock that steps back refills nothing


def gap_at(heard_ms: Iterable[int], missing: Missing) -> GapWatch:
    gap: GapWatch | None = None
    for moment in heard_ms:
        gap = watch_gap(gap, missing, moment)
    assert gap is not None
    return gap


SHOWN = Missing(chain_id=A, first_no=1, last_no=2, first_seq=10, is_urged=True)


def test_a_gap_is_asked_for_after_two_seconds_and_then_every_minute() -> None:
    gap = gap_at([T0], SHOWN)
    assert resend_due_ms(gap) == T0 + RESEND_FIRST_MS
    assert resend_due_ms(replace(gap, asked_ms=T0 + 2_000)) == T0 + 2_000 + RESEND_AGAIN_MS
    assert resend_due_ms(gap_at([T0], replace(SHOWN, is_promised=True))) == T0 + RESEND_AGAIN_MS
    assert resend_due_ms(gap_at([T0], replace(SHOWN, is_urged=False))) is None


def test_a_gap_alerts_after_fifteen_minutes_in_which_the_unit_was_heard() -> None:
    minutes = [T0 + number * MINUTE_MS for number in range(GAP_MINUTES + 1)]
    assert not alert_is_due(gap_at(minutes[:-1], SHOWN))
    assert alert_is_due(gap_at(minutes, SHOWN))
    assert not alert_is_due(
        gap_at([T0, T0 + 86_400_000], SHOWN)
    )  # a day without a word is no minute online
    assert not alert_is_due(gap_at([T0] * 100, SHOWN))


def test_a_gap_that_is_being_filled_counts_anew() -> None:
    gap = gap_at([T0, T0 + MINUTE_MS], SHOWN)
    moved = watch_gap(gap, replace(SHOWN, first_no=2), T0 + 2 * MINUTE_MS)
    assert moved is not None
    assert (moved.minutes, moved.since_ms) == (0, T0 + 2 * MINUTE_MS)
    assert watch_gap(moved, None, T0) is None
