"""Boards that wake in the wrong year (EDGE section 11, row 11): a day's first minutes through reader, timekeeper and sealer.

Each board says one input a second in the time that it believes. At the end the unit is right, and what it said before its first trusted
time is right too, once a reader has shifted it by the `clock` event.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from agent import Kept, Moment, Quality
from agent.sealer import OpenBatch, Sealer, SealerSettings
from agent.timekeeper import NtpTime, RtcTime, Timekeeper, TimekeeperSettings
from devices import Fix
from devices.nmea import NmeaReader
from wire.records import EventKind, EventRecord

BUILT = date(2026, 1, 1)
BUILT_MS = 1_767_225_600_000
TRUE_MS = 1_795_330_000_000  # when the board wakes, to the millisecond
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
YEARS_MS = 3_653 * DAY_MS  # ten
SERIAL_MS = 180  # from the second to the first byte of its epoch
NEAR_MS = 1_000  # a receiver's own latency is not known: what we take is a fifth of a second late

Skew = Callable[
    [int], int
]  # by the second since the board woke: how far off the receiver is, in ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What wakes: its clock on the board, its newest sealed batch, its kernel, and its receiver."""

    name: str
    rtc_ms: int | None = None
    sealed_ms: int = 0
    ntp: Callable[[int], bool] = lambda _second: False  # synchronised at that second
    fix_from_s: int = 40
    skew: Skew = lambda _second: 0
    seconds: int = 600
    first: Quality = Quality.NONE  # what it knows at the start
    shift_ms: int | None = None  # of its first statement; None: it makes none


BOARDS = (
    Board(
        name="1970, no clock on the board",
        shift_ms=TRUE_MS - BUILT_MS,
    ),
    Board(
        name="1970, and the clock on the board says so too",
        rtc_ms=0,
        shift_ms=TRUE_MS - BUILT_MS,
    ),
    Board(
        name="1970, but the store holds a batch of yesterday",
        sealed_ms=TRUE_MS - DAY_MS,
        shift_ms=DAY_MS,
    ),
    Board(
        name="-2 weeks: the clock on the board has stood still",
        rtc_ms=TRUE_MS - 2 * WEEK_MS,
        first=Quality.RTC,
        shift_ms=2 * WEEK_MS,
    ),
    Board(
        name="+10 years: the clock on the board runs ahead",
        rtc_ms=TRUE_MS + YEARS_MS,
        first=Quality.RTC,
        shift_ms=-YEARS_MS,
    ),
    Board(
        name="+10 years: the store holds a batch from the future",
        sealed_ms=TRUE_MS + YEARS_MS,
        shift_ms=-YEARS_MS,
    ),
    Board(
        name="-1,024 weeks: a receiver that counts weeks in ten bits",
        skew=lambda _second: -1_024 * WEEK_MS,
        shift_ms=TRUE_MS - BUILT_MS,
    ),
    Board(
        name="a good clock on the board, a cold receiver: leap seconds come after five minutes",
        rtc_ms=TRUE_MS,
        first=Quality.RTC,
        skew=lambda second: 18_000 if second < 300 else 0,
        shift_ms=18_000,
    ),
    Board(
        name="NTP, then a receiver that is right",
        ntp=lambda second: second >= 60,
        fix_from_s=200,
        shift_ms=TRUE_MS - BUILT_MS,
    ),
    Board(
        name="NTP all the way, and a receiver that is 2 weeks ahead for 50 s",
        ntp=lambda _second: True,
        fix_from_s=100,
        skew=lambda second: 2 * WEEK_MS if second < 150 else 0,
        shift_ms=TRUE_MS - BUILT_MS,
    ),
    Board(
        name="+1,024 weeks: a receiver from the future tells no date at all",
        skew=lambda second: 1_024 * WEEK_MS if second < 300 else 0,
        shift_ms=TRUE_MS - BUILT_MS,
    ),
)


def sentence(words: str) -> bytes:
    check = 0
    for byte in words.encode():
        check ^= byte
    return f"${words}*{check:02X}\r\n".encode()


def epoch(utc_ms: int, *, leap: bool = False) -> bytes:
    at = datetime.fromtimestamp(utc_ms // 1_000, UTC)
    clock = at.strftime("%H%M%S") if not leap else (at - timedelta(seconds=1)).strftime("%H%M60")
    where = "4118.1010,N,06914.5000,E"
    return b"".join(
        sentence(words)
        for words in (
            f"GPGGA,{clock}.00,{where},1,08,0.9,455.1,M,-43.0,M,,",
            "GPGSA,A,3,01,02,03,04,05,06,07,08,,,,,1.5,0.9,1.2",
            f"GPRMC,{clock}.00,A,{where},000.0,,{at:%d%m%y},,,A",
        )
    )


class Wakes:
    """One board through its first minutes."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.reader = NmeaReader(BUILT)
        self.clock = Timekeeper(
            TimekeeperSettings(built_ms=BUILT_MS), mono_ms=0, newest_sealed_ms=board.sealed_ms
        )
        if board.rtc_ms is not None:
            self.clock.take(RtcTime(utc_ms=board.rtc_ms), mono_ms=0)
        self.first = self.clock.quality
        self.sealer = Sealer(SealerSettings(age_open_s=30))
        self.batches: list[OpenBatch] = []
        self.said: list[EventRecord] = []

    def live(self) -> None:
        board = self.board
        for second in range(board.seconds):
            mono_ms = second * 1_000
            if second % 60 == 0:
                synced = NtpTime(synchronised=board.ntp(second), utc_ms=TRUE_MS + mono_ms)
                self._keep(self.clock.take(synced, mono_ms=mono_ms), mono_ms)
            if second >= board.fix_from_s:
                told_ms = TRUE_MS + mono_ms + board.skew(second)
                for fact in self.reader.feed(epoch(told_ms), mono_ms + SERIAL_MS):
                    self._take(fact, mono_ms + SERIAL_MS)
                for fact in self.reader.wake(mono_ms + SERIAL_MS + 300):
                    self._take(fact, mono_ms + SERIAL_MS + 300)
            self._say(mono_ms + 500)

    def _take(self, fact: object, mono_ms: int) -> None:
        if isinstance(fact, Fix):
            kept = self.clock.take(fact, mono_ms=mono_ms, heard_mono_ms=fact.at_ms)
            self._keep(kept, mono_ms)

    def _say(self, mono_ms: int) -> None:
        """A door, a second: in the time that the board believes."""
        record = EventRecord(
            kind=EventKind.INPUT,
            t_ms=self.clock.utc(mono_ms)[0],
            mono_ms=mono_ms,
            data=("door", 1),
        )
        self._keep([Kept(record=record)], mono_ms)
        woken = self.sealer.wake(self._moment(mono_ms))
        self.batches += [] if woken is None else [woken]

    def _keep(self, kept: list[Kept], mono_ms: int) -> None:
        self.said += [one.record for one in kept if isinstance(one.record, EventRecord)]
        self.batches += self.sealer.add(kept, self._moment(mono_ms)) if kept else []

    def _moment(self, mono_ms: int) -> Moment:
        return self.clock.moment(mono_ms=mono_ms, now_ms=mono_ms)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_e11_a_board_comes_to_the_right_time_and_says_how_far_off_it_was(board: Board) -> None:
    unit = Wakes(board)
    unit.live()
    assert unit.first is board.first
    end_ms = board.seconds * 1_000
    utc_ms, quality = unit.clock.utc(end_ms)
    assert quality is Quality.GNSS
    assert abs(utc_ms - (TRUE_MS + end_ms)) <= NEAR_MS
    clocks = [one for one in unit.said if one.kind == EventKind.CLOCK]
    statement = next(one for one in clocks if one.data[0] == 1 and one.data[3] in {2, 3})
    shift_ms = int(str(statement.data[2])) - int(str(statement.data[1]))
    assert board.shift_ms is not None
    assert abs(shift_ms - board.shift_ms) <= NEAR_MS
    off_ms = 18_000 if "cold" in board.name else 0  # the receiver's own error, told by its step
    for one in unit.said[: unit.said.index(statement)]:
        assert abs(one.t_ms + shift_ms - (TRUE_MS + one.mono_ms) - off_ms) <= NEAR_MS
    assert len(clocks) <= 3


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_e11_one_batch_has_one_offset(board: Board) -> None:
    unit = Wakes(board)
    unit.live()
    assert len(unit.batches) > 10
    for batch in unit.batches:
        offset_ms = batch.sealed.utc_ms - batch.sealed.mono_ms
        for kept in batch.kept:
            record = kept.record
            assert isinstance(record, EventRecord)
            assert abs(record.t_ms - record.mono_ms - offset_ms) <= 50  # slewed meanwhile


def test_e11_a_rolled_week_is_told_once() -> None:
    unit = Wakes(next(board for board in BOARDS if board.name.startswith("-1,024")))
    unit.live()
    assert [one.data[0] for one in unit.said if one.kind == EventKind.CLOCK] == [1, 3]


def test_e11_a_receiver_ahead_of_a_good_clock_must_insist_for_a_minute() -> None:
    unit = Wakes(next(board for board in BOARDS if "50 s" in board.name))
    unit.live()
    assert all(abs(one.t_ms - TRUE_MS - one.mono_ms) <= NEAR_MS for one in unit.said)
    assert unit.clock.counters["gnss_time_contradicts"] > 40


def test_e11_second_60_is_59_999_and_moves_nothing() -> None:
    """The true seconds go on: what comes behind the leap second is one less than the count of the axis."""
    clock = Timekeeper(TimekeeperSettings(built_ms=BUILT_MS), mono_ms=0, newest_sealed_ms=0)
    reader = NmeaReader(BUILT)
    midnight_ms = (TRUE_MS // DAY_MS + 1) * DAY_MS
    said: list[Kept] = []
    for second in range(-30, 90):
        mono_ms = 100_000 + second * 1_000
        behind = midnight_ms + (second if second <= 0 else second - 1) * 1_000
        for fact in (
            *reader.feed(epoch(behind, leap=second == 0), mono_ms),
            *reader.wake(mono_ms + 300),
        ):
            if isinstance(fact, Fix):
                said += clock.take(fact, mono_ms=mono_ms + 300, heard_mono_ms=fact.at_ms)
    data = [one.record.data for one in said if isinstance(one.record, EventRecord)]
    assert [one[0] for one in data] == [1]  # the first trusted time, and no step
    utc_ms, _ = clock.utc(100_000 + 89_000)
    assert abs(utc_ms - (midnight_ms + 88_000)) <= NEAR_MS
