"""EDGE section 7: what time it is, and how well we know it."""

from hypothesis import given, strategies as st

from agent import Kept, Quality
from agent.timekeeper import NtpTime, RtcTime, Timekeeper, TimekeeperSettings
from devices import Fix, FixKind, TimeQuality
from wire import LIM
from wire.columns import encode_body
from wire.records import EventKind, EventRecord

BUILT = 1_767_225_600_000  # 2026-01-01
NOW = 1_795_330_000_000
DAY = 86_400_000
WEEK = 7 * DAY


def keeper(mono_ms: int = 0, sealed_ms: int = 0) -> Timekeeper:
    return Timekeeper(
        TimekeeperSettings(built_ms=BUILT), mono_ms=mono_ms, newest_sealed_ms=sealed_ms
    )


def fix(
    time_ms: int,
    *,
    mode: int = 3,
    sats: int | None = 9,
    quality: TimeQuality = TimeQuality.GNSS,
) -> Fix:
    return Fix(
        at_ms=0,
        time_ms=time_ms,
        time_quality=quality,
        tod_ms=time_ms % DAY,
        lat_e7=413_000_000,
        lon_e7=692_000_000,
        alt_dm=None,
        speed_cm_s=None,
        course_cdeg=None,
        hdop_centi=None,
        sats=sats,
        err_cm=None,
        kind=FixKind.GNSS,
        mode=mode,
        said_by=("RMC",),
    )


def epochs(clock: Timekeeper, *, begin_mono_ms: int, begin_ms: int, count: int) -> list[Kept]:
    kept: list[Kept] = []
    for second in range(count):
        at = second * 1_000
        kept += clock.take(fix(begin_ms + at), mono_ms=begin_mono_ms + at)
    return kept


def clock_data(kept: list[Kept]) -> list[tuple[object, ...]]:
    records = [one.record for one in kept]
    assert all(isinstance(record, EventRecord) for record in records)
    assert all(isinstance(r, EventRecord) and r.kind == EventKind.CLOCK for r in records)
    return [record.data for record in records if isinstance(record, EventRecord)]


def test_e11_without_any_source_it_is_never_earlier_than_the_build_or_the_newest_batch() -> None:
    assert keeper(mono_ms=5_000).utc(6_000) == (BUILT + 1_000, Quality.NONE)
    assert keeper(mono_ms=0, sealed_ms=NOW).utc(0) == (NOW, Quality.NONE)
    assert keeper(mono_ms=0, sealed_ms=5).utc(0) == (BUILT, Quality.NONE)


def test_three_epochs_in_a_row_make_a_time_and_one_clock_event() -> None:
    clock = keeper()
    assert epochs(clock, begin_mono_ms=10_000, begin_ms=NOW, count=2) == []
    assert clock.quality is Quality.NONE
    said = clock_data(clock.take(fix(NOW + 2_000), mono_ms=12_000))
    assert said == [(1, BUILT + 12_000, NOW + 2_000, 3)]
    assert clock.utc(20_000) == (NOW + 10_000, Quality.GNSS)
    assert epochs(clock, begin_mono_ms=13_000, begin_ms=NOW + 3_000, count=50) == []


def test_weak_epochs_tell_no_time() -> None:
    for weak in (
        fix(NOW, mode=2),
        fix(NOW, sats=3),
        fix(NOW, sats=None),
        fix(NOW, quality=TimeQuality.TOD),
        fix(NOW, quality=TimeQuality.NONE),
    ):
        clock = keeper()
        for second in range(5):
            assert clock.take(weak, mono_ms=second * 1_000) == []
        assert clock.quality is Quality.NONE
        assert clock.counters["gnss_time_weak"] == 5


def test_an_epoch_out_of_step_is_counted_and_moves_nothing() -> None:
    clock = keeper()
    epochs(clock, begin_mono_ms=0, begin_ms=NOW, count=10)
    assert clock.take(fix(NOW + 500_000), mono_ms=10_000) == []
    assert clock.utc(10_000) == (NOW + 10_000, Quality.GNSS)
    assert epochs(clock, begin_mono_ms=11_000, begin_ms=NOW + 11_000, count=20) == []
    assert clock.counters["gnss_time_odd"] == 2  # there, and back
    assert clock.utc(31_000) == (NOW + 31_000, Quality.GNSS)


def test_a_receiver_that_contradicts_a_good_clock_must_insist_for_a_minute() -> None:
    for jump in (-14 * DAY, 1_024 * WEEK, 3_650 * DAY, 18_000):
        clock = keeper()
        epochs(clock, begin_mono_ms=0, begin_ms=NOW, count=10)
        begin = NOW + 10_000 + jump
        assert epochs(clock, begin_mono_ms=10_000, begin_ms=begin, count=60) == []
        said = clock_data(epochs(clock, begin_mono_ms=70_000, begin_ms=begin + 60_000, count=5))
        assert said == [(2, NOW + 70_000, begin + 60_000, 3)]


def test_latency_only_ever_makes_the_offset_smaller() -> None:
    clock = keeper()
    for second in range(30):
        late = 0 if second == 4 else 150  # one sentence came through at once
        clock.take(fix(NOW + second * 1_000), mono_ms=second * 1_000 + late)
    slewed = clock.utc(2_000_000)[0]
    assert slewed == NOW + 2_000_000


def test_the_time_was_true_when_the_epoch_began_to_be_heard_not_when_it_was_whole() -> None:
    clock, kept = keeper(), list[Kept]()
    for second in range(3):
        began = 10_000 + second * 1_000
        kept = clock.take(fix(NOW + second * 1_000), mono_ms=began + 830, heard_mono_ms=began)
    assert clock_data(kept)[0][2] == NOW + 2_830
    assert clock.utc(12_830) == (NOW + 2_830, Quality.GNSS)


def test_small_differences_are_slewed_at_half_a_millisecond_a_second_without_an_event() -> None:
    clock = keeper()
    clock.take(NtpTime(synchronised=True, utc_ms=NOW), mono_ms=0)
    assert clock.take(NtpTime(synchronised=True, utc_ms=NOW + 61_000), mono_ms=60_000) == []
    assert clock.utc(60_000)[0] == NOW + 60_000
    assert clock.utc(62_000)[0] == NOW + 62_001
    assert clock.utc(60_000 + 1_000_000)[0] == NOW + 60_000 + 1_000_000 + 500
    assert clock.utc(60_000 + 5_000_000)[0] == NOW + 60_000 + 5_000_000 + 1_000


def test_slewing_goes_on_while_epochs_keep_coming() -> None:
    clock = keeper()
    clock.take(NtpTime(synchronised=True, utc_ms=NOW), mono_ms=0)
    assert clock_data(epochs(clock, begin_mono_ms=0, begin_ms=NOW + 1_000, count=2_100))[0][0] == 1
    assert clock.utc(2_100_000)[0] == NOW + 2_100_000 + 1_000


def test_the_first_trusted_time_is_a_change_of_quality_and_a_later_one_a_step() -> None:
    clock = keeper()
    first = clock_data(clock.take(NtpTime(synchronised=True, utc_ms=NOW), mono_ms=1_000))
    assert first == [(1, BUILT + 1_000, NOW, 2)]
    later = clock_data(clock.take(NtpTime(synchronised=True, utc_ms=NOW + 100_000), mono_ms=2_000))
    assert later == [(2, NOW + 1_000, NOW + 100_000, 2)]


def test_gnss_outlives_its_last_epoch_by_a_day_and_then_ntp_or_nothing_better_than_a_board() -> (
    None
):
    clock = keeper()
    epochs(clock, begin_mono_ms=0, begin_ms=NOW, count=3)
    assert clock.take(NtpTime(synchronised=True, utc_ms=NOW + 60_000), mono_ms=3_000) == []
    assert clock.next_deadline() == 2_000 + DAY
    assert clock.wake(2_000 + DAY - 1) == []
    assert clock_data(clock.wake(2_000 + DAY)) == [(1, NOW + DAY + 2_000, NOW + DAY + 2_000, 1)]
    assert clock.next_deadline() is None
    back = NtpTime(synchronised=True, utc_ms=NOW + DAY + 62_500)
    assert clock_data(clock.take(back, mono_ms=DAY + 62_000))[0][3] == 2


def test_a_clock_that_lost_its_servers_is_no_better_than_the_one_on_the_board() -> None:
    clock = keeper()
    clock.take(NtpTime(synchronised=True, utc_ms=NOW), mono_ms=0)
    lost = clock.take(NtpTime(synchronised=False, utc_ms=NOW), mono_ms=60_000)
    assert clock_data(lost) == [(1, NOW + 60_000, NOW + 60_000, 1)]


def test_a_clock_on_the_board_counts_unless_it_stands_before_the_build() -> None:
    clock = keeper()
    assert clock.take(RtcTime(utc_ms=BUILT - 1), mono_ms=0) == []
    assert clock_data(clock.take(RtcTime(utc_ms=NOW), mono_ms=0)) == [(1, BUILT, NOW, 1)]


def test_e11_what_was_sealed_in_a_false_future_locks_out_no_true_clock() -> None:
    for fact in (RtcTime(utc_ms=NOW), NtpTime(synchronised=True, utc_ms=NOW)):
        clock = keeper(sealed_ms=NOW + 520 * WEEK)
        assert clock.utc(0) == (NOW + 520 * WEEK, Quality.NONE)
        clock.take(fact, mono_ms=0)
        assert clock.utc(0)[0] == NOW


def test_the_receivers_offset_is_told_while_it_is_believed() -> None:
    clock = keeper()
    assert (clock.receiver_offset_ms, clock.receiver_mono_ms) == (None, None)
    epochs(clock, begin_mono_ms=1_000, begin_ms=NOW, count=3)
    assert (clock.receiver_offset_ms, clock.receiver_mono_ms) == (NOW - 1_000, 3_000)
    clock.take(fix(NOW + 90_000_000), mono_ms=4_000)  # one epoch that is off
    assert (clock.receiver_offset_ms, clock.receiver_mono_ms) == (NOW - 1_000, 3_000)
    clock.wake(3_000 + DAY)
    assert clock.receiver_offset_ms is None


def test_a_rollover_is_told_once_a_start() -> None:
    clock = keeper()
    said: list[tuple[object, ...]] = []
    for second in range(10):
        rolled = fix(NOW + second * 1_000, quality=TimeQuality.ROLLED)
        said += clock_data(clock.take(rolled, mono_ms=second * 1_000))
    assert [data[0] for data in said] == [1, 3]


def test_a_leap_second_moves_nothing() -> None:
    clock = keeper()
    epochs(clock, begin_mono_ms=0, begin_ms=NOW, count=10)
    clock.take(fix(NOW + 9_999), mono_ms=10_000)  # second 60 counts as 59.999
    epochs(clock, begin_mono_ms=11_000, begin_ms=NOW + 10_000, count=50)
    assert abs(clock.utc(61_000)[0] - (NOW + 60_000)) <= 1_000


FACTS = st.one_of(
    st.builds(
        fix,
        st.one_of(st.integers(0, LIM - 1), st.integers(NOW, NOW + 5_000)),
        mode=st.sampled_from((2, 3)),
        sats=st.sampled_from((None, 3, 9)),
        quality=st.sampled_from(TimeQuality),
    ),
    st.builds(NtpTime, synchronised=st.booleans(), utc_ms=st.integers(0, LIM - 1)),
    st.builds(RtcTime, utc_ms=st.integers(0, LIM - 1)),
)


@given(st.lists(st.tuples(FACTS, st.integers(0, 100_000)), max_size=30))
def test_whatever_the_sources_say_time_is_tellable_and_runs_forward_between_events(
    story: list[tuple[Fix | NtpTime | RtcTime, int]],
) -> None:
    clock = keeper()
    mono_ms = 0
    for fact, step_ms in story:
        before, _ = clock.utc(mono_ms)
        middle, _ = clock.utc(mono_ms + step_ms)
        assert middle >= before
        mono_ms += step_ms
        for number, kept in enumerate(clock.take(fact, mono_ms=mono_ms)):
            encode_body(number + 1, [kept.record])  # a reader takes what we say
        assert 0 <= clock.utc(mono_ms)[0] < LIM
