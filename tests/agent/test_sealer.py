"""EDGE section 3: when a batch is full, and its bytes."""

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from agent import Kept, Moment, Quality, Weight
from agent.sealer import EVENTS_MAX, Closing, OpenBatch, Sealer, SealerSettings, payload_of
from wire import Refused
from wire.batch import Header, read_body, read_payload
from wire.columns import round_fix
from wire.records import EventKind, EventRecord, FixRecord

UTC = 1_795_330_000_000


def at(mono_ms: int) -> Moment:
    return Moment(mono_ms=mono_ms, now_ms=mono_ms, utc_ms=UTC + mono_ms, quality=Quality.GNSS)


def fix(number: int = 0) -> Kept:
    record = FixRecord(
        t_ms=UTC + number * 1_000,
        lat_e7=413_111_000 + number * 200,
        lon_e7=692_797_000 + number * 1_300,
        alt_dm=4_550,
        speed_cm_s=1_390,
        course_cdeg=8_700,
        hdop_centi=90,
        err_cm=None,
        sats=12,
        flags=641,
    )
    return Kept(record=record)


def event(
    kind: EventKind = EventKind.ALIVE, *, urgent: bool = False, data: tuple[int | bytes, ...] = (1,)
) -> Kept:
    record = EventRecord(kind=kind, t_ms=UTC, mono_ms=0, data=data)
    return Kept(record=record, urgent=urgent, weight=Weight.EVENT)


def sealer(
    *, up: bool = False, metered: bool = False, sealed: bool = True, moving: bool = True
) -> Sealer:
    one = Sealer(SealerSettings())
    one.link(up=up, metered=metered)
    one.state(sealed=sealed, moving=moving)
    return one


@pytest.mark.parametrize(
    ("up", "metered", "sealed", "moving", "age_s"),
    [
        (True, False, True, True, 30),
        (False, False, True, True, 60),
        (True, True, True, True, 60),
        (True, False, True, False, 120),
        (False, False, True, False, 120),
        (True, False, False, True, 300),
        (False, False, False, False, 300),
    ],
)
def test_a_batch_grows_as_old_as_its_profile_allows(
    *, up: bool, metered: bool, sealed: bool, moving: bool, age_s: int
) -> None:
    one = sealer(up=up, metered=metered, sealed=sealed, moving=moving)
    assert one.next_deadline() is None
    assert one.add([fix()], at(5_000)) == []
    assert one.next_deadline() == 5_000 + age_s * 1_000
    assert one.wake(at(5_000 + age_s * 1_000 - 1)) is None
    batch = one.wake(at(5_000 + age_s * 1_000))
    assert batch is not None
    assert batch.closing is Closing.AGE
    assert one.next_deadline() is None


def test_an_urgent_event_waits_twenty_milliseconds_for_its_burst_and_no_longer() -> None:
    one = sealer()
    one.add([fix()], at(0))
    one.add([event(EventKind.SEAL, urgent=True)], at(1_000))
    one.add([event(EventKind.SEAL, urgent=True)], at(1_015))
    assert one.next_deadline() == 1_020
    batch = one.wake(at(1_020))
    assert batch is not None
    assert (batch.closing, batch.urgent, len(batch.kept)) == (Closing.URGENT, True, 3)


@pytest.mark.parametrize("room", [0, 1, 2])
def test_what_one_frame_says_is_not_torn_by_a_full_batch(room: int) -> None:
    one = sealer()
    before = EVENTS_MAX - room
    for _ in range(before):
        one.add([event()], at(0))
    full = one.add([event(), event()], at(1))
    assert [len(batch.kept) for batch in full] == ([] if room == 2 else [before])
    last = one.close_now(Closing.STOP, at(2))
    assert last is not None
    assert len(last.kept) == (2 if full else EVENTS_MAX)


def test_a_device_that_waits_for_its_acknowledgement_waits_five_seconds() -> None:
    one = sealer(sealed=False)
    one.add([event()], at(0))
    one.add([event()], at(1_000), ack_waits=True)
    one.add([event()], at(3_000), ack_waits=True)
    assert one.next_deadline() == 6_000


def test_fifteen_records_and_ten_seconds_are_a_batch_while_the_link_is_up() -> None:
    one = sealer(up=True, sealed=False)
    for number in range(14):
        one.add([fix(number)], at(number * 100))
    assert one.next_deadline() == 300_000
    one.add([fix(14)], at(1_400))
    assert one.next_deadline() == 10_000
    one.link(up=True, metered=True)
    assert one.next_deadline() == 300_000


@pytest.mark.parametrize(
    "kind", [EventKind.POWER, EventKind.MOTION, EventKind.CONFIG, EventKind.STOP]
)
def test_a_turn_of_things_closes_the_batch_at_once(kind: EventKind) -> None:
    one = sealer()
    one.add([fix()], at(0))
    (batch,) = one.add([event(kind)], at(1_000))
    assert batch.closing is Closing.TURN
    assert [kept.record for kept in batch.kept][-1] == event(kind).record


def test_one_batch_has_one_offset() -> None:
    one = sealer()
    one.add([fix()], at(1_000))
    stepped = replace(at(2_000), utc_ms=UTC + 99_000_000)
    (batch,) = one.add([event(EventKind.CLOCK)], stepped)
    assert batch.sealed == at(1_000)
    assert len(batch.kept) == 1
    rest = one.close_now(Closing.STOP, stepped)
    assert rest is not None
    assert rest.sealed == stepped
    assert one.add([event(EventKind.CLOCK)], at(3_000)) == []


def test_after_an_urgent_seal_event_batches_come_every_three_seconds_for_ten_minutes() -> None:
    one = sealer(up=True)
    one.add([event(EventKind.SEAL, urgent=True)], at(0))
    assert one.wake(at(20)) is not None
    one.add([fix()], at(1_000))
    assert one.next_deadline() == 4_000
    assert one.wake(at(4_000)) is not None
    one.add([fix()], at(599_000))
    assert one.next_deadline() == 602_000
    one.wake(at(602_000))
    one.add([fix()], at(603_000))
    assert one.next_deadline() == 633_000
    one.link(up=False, metered=False)
    assert one.next_deadline() == 663_000


def test_the_lively_time_is_at_most_half_an_hour_in_four() -> None:
    one = sealer(up=True)
    lively = 0
    for second in range(0, 14_400, 10):
        batch_open = one.add([event(EventKind.SEAL, urgent=True)], at(second * 1_000))
        assert batch_open == []
        one.wake(at(second * 1_000 + 20))
        one.add([fix()], at(second * 1_000 + 1_000))
        lively += one.next_deadline() == second * 1_000 + 4_000
        one.close_now(Closing.AGE, at(second * 1_000 + 5_000))
    assert 170 <= lively <= 181


def test_the_thirty_first_urgent_batch_in_a_minute_waits() -> None:
    one = sealer()
    for number in range(30):
        one.add([event(EventKind.SEAL, urgent=True)], at(number * 100))
        assert one.wake(at(number * 100 + 20)) is not None
    one.add([event(EventKind.SEAL, urgent=True)], at(3_000))
    assert one.next_deadline() == 2_920 + 2_000
    assert one.wake(at(4_920)) is not None
    one.add([event(EventKind.SEAL, urgent=True)], at(70_000))
    assert one.next_deadline() == 70_020


def test_size_closes_a_batch_before_what_would_not_fit() -> None:
    one = sealer(sealed=False)
    full = [batch for number in range(301) for batch in one.add([fix(number)], at(number))]
    assert [len(batch.kept) for batch in full] == [300]
    one = sealer(sealed=False)
    full = [batch for number in range(129) for batch in one.add([event()], at(number))]
    assert [len(batch.kept) for batch in full] == [128]
    one = sealer(sealed=False)
    frame = event(EventKind.SEAL, data=(b"f" * 1_100,))
    full = [batch for number in range(11) for batch in one.add([frame], at(number))]
    assert [len(batch.kept) for batch in full] == [10]
    one.shrink(1_024)
    assert [len(batch.kept) for batch in one.add([frame, frame], at(99))] == [1, 1]


def test_a_clock_that_leaps_to_and_fro_begins_another_batch() -> None:
    leaps = [replace_time(fix(), t_ms) for t_ms in (1 << 41, 0, 1 << 41)]
    one = sealer(sealed=False)
    assert [len(batch.kept) for batch in one.add(leaps, at(0))] == [2]


def replace_time(kept: Kept, t_ms: int) -> Kept:
    assert isinstance(kept.record, FixRecord)
    return Kept(record=replace(kept.record, t_ms=t_ms))


def test_the_same_records_at_the_same_place_give_the_same_bytes() -> None:
    batch = OpenBatch(kept=(event(), fix(1), fix(2)), sealed=at(9_000), closing=Closing.AGE)
    header = read(batch)
    assert (header.batch_no, header.first_seq, header.count) == (7, 70, 3)
    assert (header.sealed_ms, header.sealed_mono_ms, header.time_quality) == (UTC + 9_000, 9_000, 3)
    assert header.seen == (12, b"r" * 32)
    assert payload(batch) == payload(batch)


def payload(batch: OpenBatch) -> bytes:
    return payload_of(
        batch,
        unit_id="uz-01a234bc",
        chain_id=b"c" * 16,
        boot_no=3,
        batch_no=7,
        prev=b"p" * 32,
        first_seq=70,
        seen=(12, b"r" * 32),
    )


def read(batch: OpenBatch) -> Header:
    header = read_payload(payload(batch))
    assert not isinstance(header, Refused)
    return header


WILD = st.builds(
    FixRecord,
    t_ms=st.integers(0, (1 << 42) - 1),
    lat_e7=st.integers(-900_000_000, 900_000_000),
    lon_e7=st.integers(-1_800_000_000, 1_800_000_000),
    alt_dm=st.none() | st.integers(-10_000, 200_000),
    speed_cm_s=st.none() | st.integers(0, 65_535),
    course_cdeg=st.none() | st.integers(0, 35_999),
    hdop_centi=st.none() | st.integers(0, 9_999),
    err_cm=st.none() | st.integers(0, 1_000_000),
    sats=st.none() | st.integers(0, 255),
    flags=st.integers(0, (1 << 17) - 1).map(lambda bits: (bits & ~7 & ~0x1F8) | 1),
).map(lambda record: Kept(record=round_fix(record)))
FRAMES = st.binary(max_size=1_100).map(lambda frame: event(EventKind.SEAL, data=(frame,)))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.one_of(WILD, FRAMES), min_size=1, max_size=120),
    st.sampled_from((1_024, 4_096, 12_288)),
)
def test_no_batch_is_longer_than_a_broker_takes_and_no_record_is_lost(
    kept: list[Kept], bytes_max: int
) -> None:
    one = Sealer(SealerSettings(batch_bytes_max=bytes_max))
    batches = [batch for number, k in enumerate(kept) for batch in one.add([k], at(number))]
    last = one.close_now(Closing.STOP, at(999))
    assert last is not None
    batches.append(last)
    assert [k for batch in batches for k in batch.kept] == kept
    for batch in batches:
        assert len(payload(batch)) + 86 <= bytes_max or len(batch.kept) == 1
        body = read_body(read(batch))
        assert not isinstance(body, Refused)
