"""The uplink's life as plays: what the world says, what the unit then wishes."""

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from agent import StoredBatch, Weight
from agent.uplink.core import Uplink
from agent.uplink.settings import UplinkSettings
from agent.uplink.words import (
    LIFE,
    ChainLine,
    Close,
    Covered,
    Dial,
    Fetch,
    Greet,
    Hello,
    Home,
    Lane,
    Seek,
    Send,
    Shrink,
    State,
    Turn,
    Wish,
)

A, B = b"A" * 16, b"B" * 16
OLD_MS = -10_000_000  # sealed long before this play: backlog


class Stage:
    """An outbox that is a dict, a broker that takes all, and a log of what the unit wished."""

    def __init__(
        self,
        rows: Iterable[StoredBatch] = (),
        *,
        covered: dict[bytes, int] | None = None,
        home: Home | None = None,
        seed: int = 1,
        acks: bool = True,
        config: UplinkSettings | None = None,
    ) -> None:
        self.rows = {row.pos: row for row in rows}
        self.covered = dict(covered or {})
        self.now = 0
        self.acks = acks
        self.log: list[Wish] = []
        self.uplink = Uplink(
            settings=config or UplinkSettings(),
            rng=Random(seed),
            mono_ms=0,
            lines=self.lines(),
            urgent=self.urgent(),
            newest=self.newest(),
            home=home,
        )

    def is_covered(self, row: StoredBatch) -> bool:
        return row.batch_no <= self.covered.get(row.chain_id, -1)

    def lines(self) -> list[ChainLine]:
        newest = {row.chain_id: row.batch_no for row in self.rows.values()}
        return [
            ChainLine(chain_id=c, newest_no=n, covered_no=self.covered.get(c, -1))
            for c, n in newest.items()
        ]

    def urgent(self) -> list[StoredBatch]:
        return [r for r in self.rows.values() if r.urgent and not self.is_covered(r)]

    def newest(self) -> StoredBatch | None:
        return max(self.rows.values(), key=lambda r: r.pos, default=None)

    def reload(self) -> list[Wish]:
        return self.do(
            self.uplink.reload(
                lines=self.lines(),
                urgent=self.urgent(),
                newest=self.newest(),
                home=None,
                mono_ms=self.now,
            )
        )

    def is_down(self) -> bool:
        return self.uplink.state is State.DOWN

    @property
    def link(self) -> int:
        return self.uplink.connection

    def do(self, wishes: list[Wish]) -> list[Wish]:
        """Carry out what an outbox and a broker do by themselves; log everything."""
        done: list[Wish] = []
        while wishes:
            wish = wishes.pop(0)
            done.append(wish)
            match wish:
                case Fetch():
                    found = [
                        r
                        for r in self.rows.values()
                        if r.pos > wish.after_pos and (wish.spare or not self.is_covered(r))
                    ]
                    wishes += self.answer(wish, found)
                case Seek():
                    first = [
                        r.pos
                        for r in self.rows.values()
                        if r.chain_id == wish.chain_id and r.batch_no >= wish.batch_no
                    ]
                    found = [r for r in self.rows.values() if first and r.pos >= min(first)]
                    wishes += self.answer(wish, found)
                case Send() | Hello() | Greet() if self.acks or isinstance(wish, Greet):
                    wishes += self.uplink.puback(wish.connection, wish.ticket, self.now)
                case Covered(chain_id=chain_id, through_no=through_no):
                    assert self.covered.get(chain_id, -1) < through_no
                    self.covered[chain_id] = through_no
                case _:
                    pass
        self.log += done
        return done

    def answer(self, wish: Fetch | Seek, found: list[StoredBatch]) -> list[Wish]:
        found.sort(key=lambda r: r.pos)
        return self.uplink.fetched(wish.fetch, found[: wish.rows_max], self.now)

    def until(self, end_ms: int) -> list[Wish]:
        """Let time pass, from deadline to deadline."""
        done: list[Wish] = []
        for _ in range(100_000):
            due = self.uplink.next_deadline()
            if due is None or due > end_ms:
                break
            self.now = max(self.now, due)
            done += self.do(self.uplink.wake(self.now))
        self.now = max(self.now, end_ms)
        return done

    def connect(self) -> list[Wish]:
        """To SUBACK; answers with what went out after it."""
        while self.uplink.state is not State.DIALLING:
            due = self.uplink.next_deadline()
            assert due is not None
            self.until(due)
        self.do(self.uplink.up(self.link, self.now))
        return self.do(self.uplink.subscribed(self.link, self.now))

    def receipt(self, chain_id: bytes, through_no: int) -> list[Wish]:
        return self.do(self.uplink.receipt(self.link, chain_id, through_no, self.now))

    def fall(self) -> list[Wish]:
        return self.do(self.uplink.closed(self.link, self.now))

    def store(self, row: StoredBatch) -> list[Wish]:
        self.rows[row.pos] = row
        return self.do(self.uplink.stored(row, self.now))


def row(
    pos: int,
    *,
    chain: bytes = A,
    no: int | None = None,
    urgent: bool = False,
    size: int = 300,
    at: int = OLD_MS,
) -> StoredBatch:
    return StoredBatch(
        pos=pos,
        chain_id=chain,
        batch_no=pos if no is None else no,
        first_seq=pos * 10,
        count=10,
        size_bytes=size,
        urgent=urgent,
        weight=Weight.ROUTINE,
        sealed_mono_ms=at,
        head=bytes([pos % 256]) * 32,
    )


def sent(wishes: Iterable[Wish], lane: Lane = Lane.BATCH) -> list[int]:
    return [w.pos for w in wishes if isinstance(w, Send) and w.lane is lane]


def hellos(wishes: Iterable[Wish]) -> list[bytes]:
    return [w.chain_id for w in wishes if isinstance(w, Hello)]


# the table


def test_every_state_has_its_row_and_every_move_ends_in_a_state() -> None:
    assert set(LIFE) == set(State)
    assert {state for moves in LIFE.values() for state in moves.values()} == set(State)


def test_only_a_dialled_line_comes_up_and_only_an_answer_makes_it_flow() -> None:
    assert [s for s, moves in LIFE.items() if Turn.UP in moves] == [State.DIALLING]
    ways = {t for moves in LIFE.values() for t, s in moves.items() if s is State.FLOWING}
    assert ways == {Turn.ANSWERED}


# the first minute


def test_a_start_dials_within_a_second() -> None:
    for seed in range(50):
        due = Stage(seed=seed).uplink.next_deadline()
        assert due is not None
        assert 0 < due <= 1000


def test_connack_greets_and_suback_brings_hello_and_two_batches() -> None:
    stage = Stage([row(n) for n in range(10)])
    stage.until(1000)
    assert [type(w) for w in stage.do(stage.uplink.up(1, 1000))] == [Greet]
    wishes = stage.do(stage.uplink.subscribed(1, 1000))
    assert hellos(wishes) == [A]
    assert sent(wishes) == [0, 1]
    assert stage.uplink.state is State.GREETING


def test_an_event_of_an_older_connection_is_ignored() -> None:
    stage = Stage([row(0)])
    stage.connect()
    stage.fall()
    stage.connect()
    assert stage.link == 2
    before = (stage.uplink.state, stage.uplink.in_flight)
    for events in (
        stage.uplink.closed(1, stage.now),
        stage.uplink.receipt(1, A, 0, stage.now),
        stage.uplink.up(1, stage.now),
        stage.uplink.refused(1, 5, stage.now),
        stage.uplink.resend(1, A, 0, stage.now),
    ):
        assert events == []
    assert (stage.uplink.state, stage.uplink.in_flight) == before


def test_the_window_grows_by_what_receipts_cover_and_never_above_its_bound() -> None:
    stage = Stage([row(n) for n in range(200)])
    stage.connect()
    widest, through = 2, -1
    for _ in range(12):
        through += stage.uplink.in_flight
        stage.receipt(A, through)
        widest = max(widest, stage.uplink.in_flight)
    assert widest == 16
    assert stage.covered == {A: through}
    assert sent(stage.log) == list(range(through + 17))


def test_a_window_holds_no_more_than_256_kib() -> None:
    stage = Stage(
        [row(n, size=16_000, at=0) for n in range(60)],
        config=UplinkSettings(window_batches_max=64),
    )
    stage.connect()
    for through in range(1, 40, 2):
        stage.receipt(A, through)
    assert stage.uplink.in_flight == 262_144 // 16_000


def test_only_a_receipt_covers() -> None:
    stage = Stage([row(n) for n in range(4)])
    stage.connect()  # the broker has acknowledged everything by now
    stage.until(29_000)
    assert not [w for w in stage.log if isinstance(w, Covered)]
    assert stage.receipt(A, 1)[0] == Covered(chain_id=A, through_no=1)


def test_a_receipt_that_says_nothing_new_is_an_answer_and_covers_nothing() -> None:
    stage = Stage([row(0)], covered={A: 0})
    stage.connect()
    assert stage.receipt(A, 0) == []
    assert stage.uplink.state is State.FLOWING


def test_a_receipt_above_the_newest_batch_covers_nothing() -> None:
    stage = Stage([row(0), row(1)])
    stage.connect()
    assert not [w for w in stage.receipt(A, 7) if isinstance(w, Covered)]


# falling and dialling


def test_nothing_counts_as_sent_after_a_fall() -> None:
    stage = Stage([row(n) for n in range(5)])
    stage.connect()
    stage.receipt(A, 0)
    stage.fall()
    assert sent(stage.connect()) == [1, 2]


def test_only_a_receipt_brings_the_ladder_back() -> None:
    stage = Stage([row(0)])
    for _ in range(4):
        stage.connect()
        stage.fall()
    rungs = [stage.uplink.rung]  # neither CONNACK nor PUBACK was an answer
    stage.connect()
    stage.receipt(A, 0)
    rungs.append(stage.uplink.rung)
    stage.fall()
    rungs.append(stage.uplink.rung)  # a quiet series begins on rung 3
    stage.connect()
    stage.receipt(A, 0)
    stage.store(row(1, urgent=True))
    stage.fall()
    rungs.append(stage.uplink.rung)  # an urgent one on rung 0
    assert rungs == [7, None, 4, 1]


def test_a_wait_never_exceeds_five_minutes_and_uses_all_of_it() -> None:
    stage = Stage([row(0)])
    waits = []
    for _ in range(300):
        stage.connect()
        stage.fall()
        due = stage.uplink.next_deadline()
        assert due is not None
        waits.append(due - stage.now)
    late = waits[12:]
    assert max(late) <= 300_000
    assert max(late) > 280_000
    assert min(late) < 20_000
    assert 130_000 < sum(late) / len(late) < 170_000


def test_wrong_credentials_go_to_rung_six_and_light_the_lamp() -> None:
    stage = Stage([row(0)])
    stage.until(1000)
    stage.do(stage.uplink.refused(1, 5, stage.now))
    assert stage.uplink.rung == 7
    assert stage.uplink.refused_lamp
    stage.connect()
    stage.receipt(A, 0)
    assert not stage.uplink.refused_lamp


def test_a_failed_dial_goes_to_the_next_server_of_the_list() -> None:
    stage = Stage([row(0)], config=UplinkSettings(servers=3))
    for _ in range(4):
        due = stage.uplink.next_deadline()
        assert due is not None
        stage.until(due)
        stage.do(stage.uplink.closed(stage.link, stage.now))
    assert [w.server for w in stage.log if isinstance(w, Dial)] == [0, 1, 2, 0]


def test_a_server_that_takes_us_in_and_drops_us_is_left_too_but_one_that_answered_is_kept() -> None:
    stage = Stage([row(n) for n in range(9)], config=UplinkSettings(servers=2))
    stage.connect()
    stage.fall()
    stage.connect()
    stage.receipt(A, 0)
    stage.fall()
    stage.connect()
    assert [w.server for w in stage.log if isinstance(w, Dial)] == [0, 1, 1]


def test_no_connack_in_thirty_seconds_ends_the_dial() -> None:
    stage = Stage([row(0)])
    stage.until(1000)
    wishes = stage.until(31_000)
    assert [w for w in wishes if isinstance(w, Close)] == [
        Close(connection=1, why="no CONNACK in 30 s")
    ]


def test_no_suback_in_thirty_seconds_ends_the_connection() -> None:
    stage = Stage([row(0)])
    stage.until(1000)
    stage.do(stage.uplink.up(1, 1000))
    assert Close(connection=1, why="no SUBACK in 30 s") in stage.until(32_000)


def test_no_puback_in_thirty_seconds_ends_the_connection() -> None:
    stage = Stage([row(0)], acks=False)
    stage.connect()
    assert Close(connection=1, why="no PUBACK in 30 s") in stage.until(stage.now + 30_000)


def test_an_urgent_batch_dials_at_once_but_once_a_minute() -> None:
    stage = Stage([row(0)])
    for _ in range(9):
        stage.connect()
        stage.fall()
    due = stage.uplink.next_deadline()
    assert due is not None
    assert due - stage.now > 2_000
    assert [type(w) for w in stage.store(row(1, urgent=True))][:1] == [Dial]
    stage.fall()
    while (stage.uplink.next_deadline() or 0) - stage.now < 59_000:  # a long wait, by chance
        stage.connect()
        stage.fall()
        stage.now += 1
    stage.uplink._rungs._short_cut_ms = stage.now - 59_000
    assert stage.store(row(2, urgent=True)) == []


def test_no_urgent_batch_dials_after_a_refusal() -> None:
    stage = Stage([row(0)])
    stage.until(1000)
    for _ in range(4):
        stage.do(stage.uplink.refused(stage.link, 4, stage.now))
        due = stage.uplink.next_deadline()
        assert due is not None
        if due - stage.now > 2000:
            assert stage.store(row(1, urgent=True)) == []
        stage.until(due)


# silence


def test_a_silent_collector_stalls_the_line_and_the_connection_stays() -> None:
    stage = Stage([row(n) for n in range(40)])
    stage.connect()
    stage.receipt(A, 1)
    stage.receipt(A, 5)
    wishes = stage.until(stage.now + 30_000)
    assert stage.uplink.state is State.STALLED
    assert hellos(wishes) == [A]
    assert sent(wishes) == [6, 7]  # the oldest again, two of them
    assert not [w for w in wishes if isinstance(w, Close)]


def test_a_stalled_line_asks_again_ever_more_seldom() -> None:
    stage = Stage([row(0)])
    stage.connect()
    hour = stage.until(3_600_000)
    assert 6 < len(hellos(hour)) < 40
    assert {w.connection for w in stage.log if isinstance(w, Send)} == {1}
    stage.receipt(A, 0)
    assert stage.uplink.state is State.FLOWING


def test_a_unit_with_nothing_to_say_stalls_only_if_its_hello_finds_no_answer() -> None:
    stage = Stage([row(0)], covered={A: 0})
    stage.connect()
    stage.receipt(A, 0)
    wishes = stage.until(stage.now + 299_000)
    assert wishes == []
    assert hellos(stage.until(stage.now + 1_000)) == [A]
    stage.until(stage.now + 30_000)
    assert stage.uplink.state is State.STALLED


# the early lane


def test_an_alarm_behind_a_backlog_goes_early_at_once() -> None:
    stage = Stage([row(n) for n in range(500)])
    stage.connect()
    wishes = stage.store(row(500, urgent=True, at=0))
    assert sent(wishes, Lane.EARLY) == [500]
    assert sent(wishes) == []


def test_an_alarm_that_is_next_in_line_needs_no_second_copy() -> None:
    stage = Stage([row(0)], covered={A: 0})
    stage.connect()
    stage.receipt(A, 0)
    wishes = stage.store(row(1, urgent=True))
    assert (sent(wishes), sent(wishes, Lane.EARLY)) == ([1], [])


def test_an_alarm_goes_early_when_the_window_is_full() -> None:
    stage = Stage([row(0), row(1)])
    stage.connect()
    assert sent(stage.store(row(2, urgent=True)), Lane.EARLY) == [2]


def test_early_copies_go_newest_first_and_eight_at_most_without_puback() -> None:
    stage = Stage([row(n, urgent=n % 2 == 1) for n in range(100)], acks=False)
    wishes = stage.connect()
    assert sent(wishes, Lane.EARLY)[:8] == [99, 97, 95, 93, 91, 89, 87, 85]
    assert len(sent(wishes, Lane.EARLY)) == 8
    ticket = next(w.ticket for w in wishes if isinstance(w, Send) and w.lane is Lane.EARLY)
    more = stage.do(stage.uplink.puback(1, ticket, stage.now))
    assert sent(more, Lane.EARLY) == [83]


def test_an_early_copy_goes_once_a_connection_then_after_a_minute_doubling_until_covered() -> None:
    stage = Stage([row(n) for n in range(500)] + [row(500, urgent=True)])
    stage.connect()
    times = []
    for second in range(1, 1900):
        wishes = stage.until(stage.now + 1000)
        if 500 in sent(wishes, Lane.EARLY):
            times.append(second)
    assert [round(t, -1) for t in times] == [60, 180, 420, 900, 1500]
    stage.fall()
    assert sent(stage.connect(), Lane.EARLY)[0] == 500
    stage.receipt(A, 500)
    assert sent(stage.until(stage.now + 2_000_000), Lane.EARLY) == []


def test_while_the_backlog_is_old_the_newest_batch_shows_where_the_truck_is() -> None:
    stage = Stage([row(n) for n in range(2000)])
    stage.connect()
    copies = sent(stage.log, Lane.EARLY)
    for n in range(2000, 2010):
        copies += sent(stage.store(row(n, at=stage.now)), Lane.EARLY)
        copies += sent(stage.until(stage.now + 30_000), Lane.EARLY)
    assert copies[0] == 1999
    assert len(copies) == 6  # one a minute, always the newest
    assert copies == sorted(set(copies))


def test_a_fresh_queue_sends_no_map_copies() -> None:
    stage = Stage()
    stage.connect()
    for n in range(20):
        stage.store(row(n, at=stage.now))
        stage.receipt(A, n)
        stage.until(stage.now + 10_000)
    assert sent(stage.log, Lane.EARLY) == []


# buckets


def test_a_backlog_flows_at_its_rate_behind_its_burst() -> None:
    stage = Stage([row(n, size=1000) for n in range(400)])
    stage.connect()
    start = stage.now
    while stage.covered.get(A, -1) < 399:
        out = sent(stage.log)
        if out and out[-1] > stage.covered.get(A, -1):
            stage.receipt(A, out[-1])
            continue
        due = stage.uplink.next_deadline()
        assert due is not None
        stage.until(due)
    took_ms = stage.now - start
    assert took_ms == pytest.approx((400_000 - 131_072) / 32.768, rel=0.1)


def test_forty_messages_a_second_whatever_waits() -> None:
    stage = Stage([row(n, size=100) for n in range(1500)])
    stage.connect()
    start = stage.now
    times: list[int] = []
    while stage.covered.get(A, -1) < 1499:
        out = sent(stage.log)
        times += [stage.now] * (len(out) - len(times))
        if out[-1] > stage.covered.get(A, -1):
            stage.receipt(A, out[-1])
        else:
            due = stage.uplink.next_deadline()
            assert due is not None
            stage.until(due)
    assert sum(t == start for t in times) <= 200
    for first in range(200, len(times) - 40, 40):
        assert times[first + 40] - times[first] >= 990


def test_an_alarm_does_not_wait_for_the_bucket_of_the_backlog() -> None:
    stage = Stage([row(n, size=16_000) for n in range(100)])
    stage.connect()
    while sent(stage.receipt(A, sent(stage.log)[-1])):
        pass  # until the bucket is empty
    assert sent(stage.store(row(100, urgent=True, at=stage.now)), Lane.EARLY) == [100]


# chains


def test_a_hello_for_each_chain_that_owes_and_for_the_current_one_last() -> None:
    stage = Stage([row(0, chain=A), row(1, chain=B, no=0)], covered={B: 0})
    wishes = stage.connect()
    assert hellos(wishes) == [A, B]
    stage.receipt(A, 0)
    stage.until(stage.now + 299_000)
    assert hellos(stage.until(stage.now + 2_000)) == [B]


def test_a_chain_that_waits_for_the_word_stays_at_home_alarms_included() -> None:
    rows = [row(0, chain=A), row(1, chain=B, no=0), row(2, chain=B, no=1, urgent=True)]
    stage = Stage(rows, home=Home(from_pos=1, chains=frozenset({B}), ask_chain=A))
    wishes = stage.connect()
    assert hellos(wishes) == [A]  # the chain that genesis names
    stage.receipt(A, 0)
    stage.until(stage.now + 200_000)
    assert set(sent(stage.log) + sent(stage.log, Lane.EARLY)) == {0}
    wishes = stage.reload()
    assert hellos(wishes) == [B]
    assert sent(wishes) == [1, 2]


def test_e23_until_the_word_has_come_nothing_leaves_but_hellos() -> None:
    """A card that has lost a chain may show batches of which the collector knows others."""
    rows = [row(0, chain=A), row(1, chain=A, urgent=True), row(2, chain=B, no=0)]
    home = Home(from_pos=2, chains=frozenset({B}), ask_chain=A, spoken=False)
    stage = Stage(rows, home=home)
    wishes = stage.connect()
    assert hellos(wishes) == [A]
    stage.until(stage.now + 700_000)  # stalled: hellos again, and still no batch
    assert len(hellos(stage.log)) > 2
    assert sent(stage.log) + sent(stage.log, Lane.EARLY) == []
    assert sent(stage.reload()) == [0, 1]


def test_e23_a_word_that_was_none_lets_the_older_chain_go_and_nothing_of_what_waits() -> None:
    rows = [row(0, chain=A), row(1, chain=A, urgent=True), row(2, chain=B, no=0, urgent=True)]
    home = Home(from_pos=2, chains=frozenset({B}), ask_chain=A, spoken=False, lets_older=True)
    stage = Stage(rows, home=home)
    stage.connect()
    stage.until(stage.now + 200_000)
    assert set(sent(stage.log) + sent(stage.log, Lane.EARLY)) == {0, 1}
    assert set(hellos(stage.log)) == {A}


def test_a_chain_that_was_founded_again_replaces_what_was_known() -> None:
    rows = [row(0, chain=A), row(1, chain=B, no=0), row(2, chain=B, no=1, urgent=True)]
    stage = Stage(rows, home=Home(from_pos=1, chains=frozenset({B}), ask_chain=A))
    stage.connect()
    stage.receipt(A, 0)
    again = b"C" * 16
    stage.rows |= {n: row(n, chain=again, no=n - 1, urgent=n == 2) for n in (1, 2)}
    wishes = stage.reload()
    assert hellos(wishes) == [again]
    assert sent(wishes) == [1, 2]


def test_the_old_chain_is_sent_before_the_new_one() -> None:
    rows = [row(n, chain=A) for n in range(5)] + [row(n + 5, chain=B, no=n) for n in range(5)]
    stage = Stage(rows)
    stage.connect()
    stage.receipt(A, 1)
    stage.receipt(A, 4)
    stage.receipt(B, 4)
    assert sent(stage.log) == list(range(10))


def test_e33_behind_dropped_batches_a_puback_moves_the_window_until_a_receipt_comes() -> None:
    """The collector parks what stands behind a hole; the confession that closes it stands at the end."""
    stage = Stage([row(0), row(1), *(row(n) for n in range(40, 80))])
    stage.connect()
    assert sent(stage.log) == [0, 1]
    stage.receipt(A, 1)
    everything = [0, 1, *range(40, 80)]
    assert sent(stage.log) == everything  # to the confession, without any receipt
    stage.receipt(A, 79)
    assert stage.covered[A] == 79


def test_e33_asking_for_what_was_dropped_does_not_begin_the_backlog_again() -> None:
    """3,000 batches take longer than the collector's minute: begun again each time, the last one would never go."""
    stage = Stage([row(0), *(row(n) for n in range(40, 3_040))])
    stage.connect()
    stage.receipt(A, 0)
    stage.until(stage.now + 60_000)
    wishes = stage.do(stage.uplink.resend(stage.link, A, 1, stage.now))
    assert hellos(wishes) == [A]
    stage.receipt(A, 0)  # a hello is answered; what is parked is not
    stage.until(stage.now + 60_000)
    assert sent(stage.log) == [0, *range(40, 3_040)]
    wishes = stage.do(stage.uplink.resend(stage.link, A, 1, stage.now))
    assert sent(wishes)[:2] == [40, 41]  # all has gone once: something was lost on the way


def test_e33_a_second_hole_counts_when_the_first_is_settled() -> None:
    stage = Stage([row(0), row(20), *(row(n) for n in range(40, 3_040))])
    stage.connect()
    stage.receipt(A, 0)
    stage.until(stage.now + 10_000)
    stage.receipt(A, 20)  # the first confession has come, the second has not
    gone = len(sent(stage.log))
    wishes = stage.do(stage.uplink.resend(stage.link, A, 21, stage.now))
    stage.receipt(A, 20)
    stage.until(stage.now + 2_000)
    assert hellos(wishes) == [A]
    assert sent(stage.log)[gone] > sent(stage.log)[gone - 1]  # on from where it stood


def test_before_a_hole_only_receipts_move_the_window() -> None:
    stage = Stage([row(n) for n in range(30)])
    stage.connect()
    assert sent(stage.log) == [0, 1]


def test_a_new_chain_is_announced() -> None:
    stage = Stage([row(0)], covered={A: 0})
    stage.connect()
    stage.receipt(A, 0)
    wishes = stage.store(row(1, chain=B, no=0))
    assert hellos(wishes) == [B]


def test_only_sixteen_chains_are_remembered() -> None:
    stage = Stage()
    for n in range(30):
        stage.store(row(n, chain=bytes([n]) * 16, no=0))
    assert stage.uplink.waiting_batches == 16


# the collector asks again


def test_resend_from_brings_back_what_a_receipt_had_covered() -> None:
    stage = Stage([row(n) for n in range(10)], covered={A: 9})
    stage.connect()
    wishes = stage.do(stage.uplink.resend(1, A, 3, stage.now))
    assert sent(wishes) == [3, 4]
    wishes = stage.receipt(A, 4)
    assert not [w for w in wishes if isinstance(w, Covered)]
    assert sent(wishes) == [5, 6, 7, 8]


def test_resend_from_is_obeyed_once_in_two_seconds() -> None:
    stage = Stage([row(n) for n in range(10)])
    stage.connect()
    assert sent(stage.do(stage.uplink.resend(1, A, 0, stage.now))) == [0, 1]
    assert stage.do(stage.uplink.resend(1, A, 0, stage.now + 1_999)) == []
    assert sent(stage.do(stage.uplink.resend(1, A, 0, stage.now + 2_000))) == [0, 1]


def test_what_is_not_held_any_more_is_told_by_a_hello() -> None:
    stage = Stage([row(n) for n in range(5, 10)])
    stage.connect()
    wishes = stage.do(stage.uplink.resend(1, A, 2, stage.now))
    assert hellos(wishes) == [A]
    assert sent(wishes) == [5, 6, 7, 8, 9]  # behind a hole a PUBACK moves the window
    stage.now += 2_000
    assert hellos(stage.do(stage.uplink.resend(1, A, 77, stage.now))) == [A]


def test_a_foreign_chain_moves_nothing() -> None:
    stage = Stage([row(0)])
    stage.connect()
    assert stage.do(stage.uplink.resend(1, B, 0, stage.now)) == []
    assert stage.receipt(B, 0) == []
    assert stage.uplink.state is State.GREETING


# poison


def poison_broker(stage: Stage, poisonous: int, seconds: int) -> None:
    """A broker that cuts the line at one batch, and a collector that parks what lies behind a hole."""
    stage.acks = False
    end_ms = stage.now + seconds * 1000
    while stage.now < end_ms:
        wishes = stage.connect()
        while not stage.is_down():
            while wishes:
                wish = wishes.pop(0)
                if isinstance(wish, Send) and wish.pos == poisonous:
                    stage.fall()
                    break
                if isinstance(wish, (Send, Hello)):
                    link = wish.connection
                    wishes += stage.do(stage.uplink.puback(link, wish.ticket, stage.now))
                if isinstance(wish, Send) and wish.pos < poisonous:
                    wishes += stage.receipt(A, wish.pos)
                if isinstance(wish, Hello):
                    wishes += stage.receipt(A, stage.covered.get(A, -1))
            due = stage.uplink.next_deadline()
            if stage.is_down() or due is None or due > end_ms:
                break
            wishes = stage.until(due)
        if not stage.is_down():
            stage.now = end_ms


def test_a_batch_that_nobody_can_take_does_not_block_the_others() -> None:
    stage = Stage([row(n) for n in range(100)])
    poison_broker(stage, 7, 900)
    assert [b.pos for b in stage.uplink.stuck] == [7]
    assert set(range(8, 100)) <= set(sent(stage.log))
    assert sent(stage.log).count(7) == 4  # three falls, and one alone
    assert stage.covered == {A: 6}
    assert [w for w in stage.log if isinstance(w, Shrink)] == [Shrink()]


def test_a_stuck_batch_is_tried_again_each_hour_and_heals() -> None:
    stage = Stage([row(n) for n in range(20)])
    poison_broker(stage, 7, 3 * 3600)
    assert 6 <= sent(stage.log).count(7) <= 7
    assert [b.pos for b in stage.uplink.stuck] == [7]
    stage.acks = True
    stage.fall()
    stage.connect()
    stage.until(stage.now + 3_700_000)
    assert stage.uplink.stuck == ()
    stage.receipt(A, 19)
    assert stage.uplink.waiting_batches == 0


def test_a_fourth_connection_carries_the_suspect_alone() -> None:
    stage = Stage([row(n, urgent=n == 5) for n in range(10)], acks=False)
    for _ in range(3):
        stage.connect()
        first = next(t for t, s in stage.uplink._flights._unacked.items() if s.batch is not None)
        assert first  # batch 5 went early, first of all
        stage.fall()
    wishes = stage.connect()
    assert [w.pos for w in wishes if isinstance(w, Send)] == [5]


def test_a_batch_longer_than_any_message_is_never_sent_and_blocks_nothing() -> None:
    stage = Stage([row(0), row(1, size=16_385), row(2), row(3)])
    wishes = stage.connect()
    assert sent(wishes) == [0, 2, 3]  # acknowledged ones behind the hole leave the window
    assert [b.pos for b in stage.uplink.stuck] == [1]


def test_a_stored_batch_longer_than_any_message_makes_the_next_ones_shorter() -> None:
    stage = Stage()
    assert Shrink() in stage.store(row(0, size=20_000))


def test_a_row_that_cannot_be_read_is_passed_over() -> None:
    stage = Stage([row(0), row(1), row(2), row(3)])
    stage.connect()
    del stage.rows[0]
    assert sent(stage.do(stage.uplink.gone(0, stage.now))) == [2]


# laws

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "wake",
                "up",
                "refused",
                "subscribed",
                "puback",
                "closed",
                "receipt",
                "resend",
                "stored",
                "gone",
                "report",
            ]
        ),
        st.integers(0, 400_000),
        st.integers(0, 40),
    ),
    max_size=120,
)


@given(events=EVENTS, seed=st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_whatever_happens_the_bounds_hold_and_the_next_deadline_lies_ahead(
    events: list[tuple[str, int, int]], seed: int
) -> None:
    stage = Stage([row(n, urgent=n % 7 == 0) for n in range(20)], seed=seed, acks=False)
    for name, step_ms, number in events:
        stage.now += step_ms if name == "wake" else step_ms % 500
        uplink, link, now = stage.uplink, stage.link, stage.now
        match name:
            case "wake":
                stage.do(uplink.wake(now))
                due = uplink.next_deadline()
                assert due is None or due > now
            case "up":
                stage.do(uplink.up(link, now))
            case "refused":
                stage.do(uplink.refused(link, number, now))
            case "subscribed":
                stage.do(uplink.subscribed(link, now))
            case "puback":
                stage.do(uplink.puback(link, number, now))
            case "closed":
                stage.do(uplink.closed(link, now))
            case "receipt":
                stage.receipt(A, number)
            case "resend":
                stage.do(uplink.resend(link, A, number, now))
            case "stored":
                pos = max(stage.rows) + 1
                stage.store(row(pos, urgent=number % 2 == 0, size=number * 1000, at=now))
            case "gone":
                stage.rows.pop(number, None)
                if stage.rows:
                    stage.do(uplink.gone(number, now))
                else:
                    stage.rows[number] = row(number)
            case _:
                stage.do(uplink.report(link, bytes(16), now))
        assert uplink.in_flight <= 16
        assert uplink._flights.early <= 8
        assert all(
            w.connection <= uplink.connection for w in stage.log if isinstance(w, (Send, Hello))
        )
    assert all(
        stage.rows[w.pos].size_bytes <= 16_384
        for w in stage.log
        if isinstance(w, Send) and w.pos in stage.rows
    )
