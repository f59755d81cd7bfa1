"""EDGE section 2: which facts become records, and how urgent they are."""

import gc
import sys
from dataclasses import replace
from enum import Enum
from random import Random
from types import FunctionType, ModuleType

import pytest
from hypothesis import given, settings, strategies as st

from agent import Kept, Weight
from agent.recorder.core import Recorder
from agent.recorder.facts import (
    AnyFact,
    ConfigDone,
    Health,
    InputLevel,
    LinkState,
    MotionSource,
    MotionState,
    NetworkState,
    OrderDone,
    Panic,
    PortState,
    PowerSource,
    PowerState,
    ReportNow,
    SealSilence,
    Stop,
)
from agent.recorder.settings import RecorderSettings, Role
from devices import (
    DataType,
    NoFix,
    NoFixReason,
    Odd,
    ReaderAnswer,
    SealAlive,
    SealAnswer,
    SealEvent,
    SealSecret,
)
from tests.agent.facts import UTC, at, events, fix_at, fixes, report, sky, tag
from wire import Refused
from wire.columns import decode_body, encode_body
from wire.records import EventKind, EventRecord, FixFlag, SealBit


def recorder(*, sealed: bool = False) -> Recorder:
    one = Recorder(RecorderSettings())
    one.armed({"0074019031"} if sealed else ())
    return one


def wake_until(one: Recorder, begin_ms: int, end_ms: int) -> list[Kept]:
    """Ask it whenever it wants to be asked."""
    kept: list[Kept] = []
    now = begin_ms
    while True:
        due = one.next_deadline()
        if due is None or due > end_ms:
            return kept
        now = max(due, now)
        kept += one.wake(at(now))


# Seals


def test_a_change_of_a_seal_is_a_record_and_sameness_one_a_minute() -> None:
    one = recorder()
    first = one.take(report(), at(0), "seal")
    (data,) = (record.data for record in events(first))
    known = SealBit.LOCKED | SealBit.ROPE_IN | SealBit.ROPE_CUT
    true = SealBit.LOCKED | SealBit.ROPE_IN
    assert data == (
        "0074019031",
        "jt701",
        known,
        true,
        0,
        UTC,
        78,
        41,
        1,
        b"$frame",
    )
    assert one.take(report(), at(30_000), "seal") == []
    assert [r.data[8] for r in events(one.take(report(), at(60_000), "seal"))] == [2]
    assert [r.data[8] for r in events(one.take(report(rope_in=False), at(60_001), "seal"))] == [1]


@pytest.mark.parametrize(
    ("then", "now", "urgent"),
    [
        (report(), report(locked=False), True),
        (report(), report(rope_in=False), True),
        (report(), report(rope_cut=True), True),
        (report(), report(data_type=DataType.ALARM), True),
        (report(), report(vibration=True), False),
        (report(), report(low_battery=True), False),
        (report(locked=False), report(), False),
        (report(rope_cut=True), report(rope_cut=False), False),
        (report(), report(locked=None), False),
    ],
)
def test_a_seal_is_urgent_when_it_is_worse(then: AnyFact, now: AnyFact, *, urgent: bool) -> None:
    one = recorder()
    one.take(then, at(0), "seal")
    kept = one.take(now, at(1_000), "seal")
    assert [record.urgent for record in kept] == [urgent]
    assert kept[0].weight is Weight.EVIDENCE


def test_the_first_report_after_a_start_is_urgent_if_it_is_not_locked_while_armed() -> None:
    assert recorder(sealed=True).take(report(locked=False), at(0), "s")[0].urgent
    assert not recorder(sealed=True).take(report(locked=True), at(0), "s")[0].urgent
    assert not recorder().take(report(locked=False), at(0), "s")[0].urgent


def test_what_was_says_nothing_of_what_is() -> None:
    one = recorder()
    one.take(report(), at(0), "seal")
    for number in range(3):  # every backlog frame is a record, and none changes the state
        kept = one.take(
            report(data_type=DataType.BACKLOG, locked=False, serial=number), at(number), "seal"
        )
        assert len(events(kept)) == 1
    assert one.sealed
    assert one.take(report(), at(10), "seal") == []


def test_a_silent_seal_is_urgent_and_is_heard_again() -> None:
    one = recorder()
    one.take(report(), at(0), "seal")
    silent = SealSilence(seal_id="0074019031", protocol="jt701", silent=True)
    (kept,) = one.take(silent, at(120_000), "seal")
    assert kept.urgent
    assert events([kept])[0].data == (
        "0074019031",
        "jt701",
        0,
        0,
        0,
        None,
        78,
        None,
        3,
        None,
    )
    assert one.take(silent, at(121_000), "seal") == []
    heard = SealSilence(seal_id="0074019031", protocol="jt701", silent=False)
    (kept,) = one.take(heard, at(200_000), "seal")
    assert (kept.urgent, events([kept])[0].data[8]) == (False, 4)
    assert len(one.take(report(), at(200_001), "seal")) == 1


def access(
    *,
    authorised: bool | None,
    kind: str = "access",
    source: str = "card",
    locked: bool | None = None,
) -> SealEvent:
    return SealEvent(
        at_ms=UTC,
        seal_id="0074019031",
        protocol="jt701",
        time_ms=UTC,
        kind=kind,
        source=source,
        authorised=authorised,
        opened=authorised,
        locked=locked,
        card="0003512345",
        serial=7,
        frame=b"(P45)",
    )


@pytest.mark.parametrize(("authorised", "urgent"), [(True, False), (False, True), (None, True)])
def test_an_access_is_urgent_unless_authorised(*, authorised: bool | None, urgent: bool) -> None:
    (kept,) = recorder().take(access(authorised=authorised), at(0), "seal")
    (record,) = events([kept], EventKind.ACCESS)
    said = None if authorised is None else int(authorised)
    assert record.data == (
        "0074019031",
        "jt701",
        "card",
        said,
        said,
        "0003512345",
        None,
        UTC,
        7,
        b"(P45)",
    )
    assert kept.urgent is urgent


def test_lock_and_cut_are_told_as_the_seal_itself() -> None:
    one = recorder()
    (lock,) = one.take(
        access(authorised=None, kind="lock", source="auto_lock", locked=True), at(0), "seal"
    )
    assert events([lock], EventKind.SEAL)[0].data[2:4] == (SealBit.LOCKED, SealBit.LOCKED)
    (cut,) = one.take(access(authorised=None, kind="cut", source="cut"), at(1), "seal")
    assert (cut.urgent, events([cut])[0].data[3]) == (True, SealBit.ROPE_CUT)


def test_a_level_that_a_report_does_not_say_is_as_it_was() -> None:
    """JT808 locks and eSeals say `locked` only when it changes, and a sub-device says nothing of its lock."""
    one = recorder()
    sealed, urgent = [], []
    for second, locked in enumerate((True, None, False)):
        kept = one.take(
            report(locked=locked, rope_in=None, rope_cut=None), at(second * 1_000), "seal"
        )
        sealed.append(one.sealed)
        urgent += [record.urgent for record in kept]
    assert sealed == [True, True, False]
    assert urgent == [False, False, True]


def test_what_is_no_evidence_is_no_record() -> None:
    one = recorder()
    for fact in (
        SealAlive(at_ms=UTC, seal_id="1"),
        SealSecret(at_ms=UTC, seal_id="1", secret=b"123456"),
        SealAnswer(at_ms=UTC, seal_id="1", command="P43", ok=True),
        Odd(at_ms=UTC, protocol="nmea", reason="bad_checksum", sample=b"$GP"),
    ):
        assert one.take(fact, at(0), "x") == []
    assert one.counters["odd"] == 1


# Urgency and place


def test_an_urgent_batch_holds_the_newest_fix_of_the_last_two_minutes() -> None:
    one = recorder()
    assert len(fixes(one.take(fix_at(0), at(0), "gps"))) == 1
    assert one.take(fix_at(1_000, north_m=0.1), at(1_000), "gps") == []
    kept = one.take(Panic(source="button"), at(1_500), "unit")
    assert [record.t_ms for record in fixes(kept)] == [UTC + 1_000]
    assert kept[-1].urgent  # the place stands before what happened there
    again = one.take(Panic(source="button"), at(30_000), "unit")
    assert [record.t_ms for record in fixes(again)] == [UTC + 1_000]
    assert fixes(one.take(Panic(source="button"), at(30_010), "unit")) == []  # same burst
    assert fixes(one.take(Panic(source="button"), at(121_001), "unit")) == []


def test_all_fixes_are_kept_for_a_minute_after_an_urgent_event() -> None:
    one = recorder()
    one.take(Panic(source="button"), at(0), "unit")
    kept = [len(fixes(one.take(fix_at(s * 1_000), at(s * 1_000), "gps"))) for s in range(1, 80)]
    assert kept[:60] == [1] * 60
    assert sum(kept[60:]) == 1  # the first fifteen seconds of the profile


# The sky


def test_the_first_of_a_series_without_a_fix_is_told_and_so_is_the_return() -> None:
    one = recorder()
    none = NoFix(at_ms=UTC, time_ms=None, reason=NoFixReason.TOO_FEW_SATS)
    first = events(one.take(none, at(0), "gps"))
    assert [record.data[:2] for record in first] == [(2, 4)]
    assert one.take(none, at(1_000), "gps") == []
    back = events(one.take(fix_at(2_000), at(2_000), "gps"), EventKind.GNSS)
    assert [record.data[:2] for record in back] == [(3, None)]


def test_a_jamming_flag_counts_when_it_has_held_two_seconds_and_is_urgent_only_under_seal() -> None:
    for sealed in (True, False):
        one = recorder(sealed=sealed)
        one.take(sky(), at(0), "gps")
        one.wake(at(2_000))
        assert one.take(sky(jam_state=3), at(5_000), "gps") == []
        assert one.next_deadline() == 7_000
        assert one.take(sky(), at(5_900), "gps") == []  # it flapped
        assert one.wake(at(7_000)) == []
        one.take(sky(jam_state=3), at(8_000), "gps")
        kept = one.wake(at(10_000))
        assert [(k.urgent, events([k])[0].data[9]) for k in kept if events([k])] == [(sealed, 3)]
        kept = one.take(fix_at(11_000), at(11_000), "gps")
        assert fixes(kept)[-1].flags & FixFlag.JAMMING


@pytest.mark.parametrize(
    "now", [sky(cn0_top4_cdb=3_900), sky(used=5), sky(used=None), sky(cn0_top4_cdb=None)]
)
def test_numbers_are_told_when_they_have_really_changed(now: AnyFact) -> None:
    one = recorder()
    one.take(sky(), at(0), "gps")
    one.wake(at(2_000))
    assert one.take(sky(cn0_top4_cdb=4_100, used=7), at(10_000), "gps") == []
    assert len(events(one.take(now, at(20_000), "gps"))) == 1


def test_under_seal_the_sky_is_told_once_a_minute() -> None:
    for sealed, least in ((True, 9), (False, 0)):
        one = recorder(sealed=sealed)
        one.take(sky(), at(0), "gps")
        kept = wake_until(one, 3_000, 600_000)
        assert len(events(kept, EventKind.GNSS)) - 1 >= least
        assert sealed or len(events(kept, EventKind.GNSS)) <= 1


@pytest.mark.parametrize(
    ("state", "told"),
    [(LinkState.ABSENT, 0), (LinkState.BUSY, 0), (LinkState.NOISE, 1), (LinkState.MUTE, 1)],
)
def test_a_receivers_port_is_told_as_the_receivers_state(state: LinkState, told: int) -> None:
    one = recorder()
    one.take(fix_at(0), at(0), "gps")
    one.take(PortState(name="gps", role=Role.GPS, state=state), at(1_000), "gps")
    assert [r.data[0] for r in events(one.wake(at(1_100)), EventKind.GNSS)] == [told]


# States that bounce


@pytest.mark.parametrize(
    ("fact", "kind", "data", "urgent"),
    [
        (InputLevel(name="door", level=True), EventKind.INPUT, ("door", 1), True),
        (InputLevel(name="light", level=False), EventKind.INPUT, ("light", 0), True),
        (InputLevel(name="ignition", level=True), EventKind.INPUT, ("ignition", 1), False),
        (PowerState(source=PowerSource.EXTERNAL), EventKind.POWER, (1, None), False),
        (
            PowerState(source=PowerSource.BATTERY_LOW, millivolt=3_310),
            EventKind.POWER,
            (3, 3_310),
            True,
        ),
        (MotionState(moving=True, source=MotionSource.IGNITION), EventKind.MOTION, (1, 1), False),
        (
            PortState(name="s", role=Role.SEAL, state=LinkState.SILENT, silent_ms=120_000),
            EventKind.LINK,
            (1, 0, 120_000),
            True,
        ),
        (
            PortState(name="s", role=Role.SEAL, state=LinkState.TALKING),
            EventKind.LINK,
            (1, 1, None),
            False,
        ),
        (
            PortState(name="r", role=Role.RFID, state=LinkState.ABSENT),
            EventKind.LINK,
            (2, 0, None),
            False,
        ),
        (NetworkState(up=False, silent_ms=5_000), EventKind.LINK, (3, 0, 5_000), False),
    ],
)
def test_a_change_counts_when_it_has_held_a_tenth_of_a_second(
    fact: AnyFact,
    kind: EventKind,
    data: tuple[object, ...],
    *,
    urgent: bool,
) -> None:
    one = recorder()
    assert one.take(fact, at(1_000), "io") == []
    assert one.wake(at(1_099)) == []
    (kept,) = one.wake(at(1_100))
    (record,) = events([kept])
    assert (record.kind, record.data, kept.urgent) == (kind, data, urgent)
    assert (record.mono_ms, record.t_ms) == (1_000, UTC + 1_000)
    assert one.take(fact, at(2_000), "io") == []
    assert one.wake(at(2_200)) == []


def test_e30_a_contact_that_chatters_says_nothing_until_it_rests() -> None:
    one = recorder()
    kept: list[Kept] = []
    for change in range(3_000):  # 50 a second for a minute
        now = change * 20
        kept += one.take(InputLevel(name="door", level=change % 2 == 0), at(now), "io")
        kept += one.wake(at(now))
    assert events(kept, EventKind.INPUT) == []
    assert len(events(wake_until(one, 60_000, 61_000), EventKind.INPUT)) == 1


# Tags


def test_a_tag_is_new_once_and_gone_once() -> None:
    one = recorder()
    for ms in range(0, 5_000, 100):
        assert one.take(tag(b"A" * 12), at(ms), "rfid") == []
        if ms < 900:
            one.take(tag(b"B" * 12), at(ms), "rfid")
    kept = wake_until(one, 1_000, 120_000)
    tags = [record.data for record in events(kept, EventKind.TAGS)]
    assert tags == [
        ("m100", 1, 0, (b"A" * 12, b"B" * 12), (), 0),
        ("m100", 1, 0, (), (b"B" * 12,), 0),
        ("m100", 1, 0, (), (b"A" * 12,), 0),
    ]


def test_a_reader_that_does_not_talk_proves_nothing_gone() -> None:
    one = recorder()
    one.take(tag(b"A" * 12), at(0), "rfid")
    one.take(PortState(name="rfid", role=Role.RFID, state=LinkState.SILENT), at(10_000), "rfid")
    kept = wake_until(one, 10_000, 500_000)
    assert [r.data[4] for r in events(kept, EventKind.TAGS)] == [()]
    one.take(PortState(name="rfid", role=Role.RFID, state=LinkState.TALKING), at(500_000), "rfid")
    kept = wake_until(one, 500_000, 560_000)
    assert [(r.mono_ms, r.data[4]) for r in events(kept, EventKind.TAGS)] == [
        (550_000, (b"A" * 12,))
    ]


def test_the_whole_list_is_told_every_ten_minutes_in_parts_that_fit() -> None:
    one = recorder()
    names = [number.to_bytes(62, "big") for number in range(120)]
    kept: list[Kept] = []
    for ms in range(0, 605_000, 30_000):
        for name in names:
            kept += one.take(tag(name), at(ms), "rfid")
        kept += wake_until(one, ms, ms + 29_999)
    told = [r.data for r in events(kept, EventKind.TAGS)]
    whole = [data for data in told if data[2] == 1]
    assert [data[5] for data in whole] == [1] * (len(whole) - 1) + [0]
    assert [epc for data in whole if isinstance(data[3], tuple) for epc in data[3]] == names
    assert_readable(kept)


def test_a_readers_fault_is_told_once_a_minute() -> None:
    one = recorder()
    fault = ReaderAnswer(at_ms=UTC, command="PollMany", ok=False, code=0x20)
    assert [r.data[:2] for r in events(one.take(fault, at(0), "m100"))] == [("m100", 0)]
    assert one.take(fault, at(59_999), "m100") == []
    assert len(one.take(fault, at(60_000), "m100")) == 1


# What is told as it comes, and heartbeats


def test_results_of_orders_and_settings_are_evidence() -> None:
    one = recorder()
    done = OrderDone(order_id=b"o" * 16, kind=3, counter=7, result=0, detail="")
    (kept,) = one.take(done, at(0), "unit")
    assert (kept.urgent, kept.weight) == (True, Weight.EVIDENCE)
    assert events([kept])[0].data == (b"o" * 16, 3, 7, 0, "")
    (kept,) = one.take(ConfigDone(version=4, result=2), at(0), "unit")
    assert (kept.weight, events([kept])[0].data) == (Weight.EVIDENCE, (4, 2))


def test_stop_is_the_newest_event_and_the_last_fix_stands_before_it() -> None:
    one = recorder()
    one.take(fix_at(0), at(0), "gps")
    one.take(fix_at(1_000), at(1_000), "gps")
    kept = one.take(Stop(cause=4), at(1_500), "unit")
    assert [record.t_ms for record in fixes(kept)] == [UTC + 1_000]
    assert events(kept)[-1].kind == EventKind.STOP


def test_who_asks_gets_the_newest_place_and_the_state_of_each_seal() -> None:
    one = recorder()
    one.take(fix_at(0), at(0), "gps")
    one.take(report(), at(1_000), "seal")
    kept = one.take(ReportNow(), at(5_000), "unit")
    assert (len(fixes(kept)), len(events(kept, EventKind.SEAL))) == (1, 1)
    assert not any(one.urgent for one in kept)


def health(*, store: str = "good", uplink: str = "flowing") -> Health:
    return Health(
        free_kib=1,
        backlog_batches=2,
        rss_kib=3,
        cpu_permille=4,
        temperature_dc=-5,
        restarts=6,
        store=store,
        uplink=uplink,
    )


def test_health_is_told_every_five_minutes_and_at_each_change() -> None:
    one = recorder()
    assert events(one.take(health(), at(0), "unit"))[0].data == (1, 2, 3, 4, -5, 6)
    assert one.take(health(), at(299_000), "unit") == []
    assert len(events(wake_until(one, 299_000, 300_000), EventKind.HEALTH)) == 1
    assert len(one.take(health(uplink="down"), at(301_000), "unit")) == 1
    one.pressure(1)
    assert len(events(one.wake(at(302_000)), EventKind.HEALTH)) == 1


def test_a_minute_without_any_record_is_told() -> None:
    one = recorder()
    one.take(fix_at(0), at(0), "gps")
    kept = wake_until(one, 0, 180_000)
    assert [(r.kind, r.mono_ms) for r in events(kept)] == [
        (EventKind.ALIVE, 60_000),
        (EventKind.ALIVE, 120_000),
        (EventKind.ALIVE, 180_000),
    ]


# Bounds


def test_a_source_that_floods_is_cut_and_its_device_is_not_told_that_all_is_well() -> None:
    one = recorder()
    kept: list[Kept] = []
    refused = 0
    for number in range(1_000):  # a hundred a second
        kept += one.take(report(data_type=DataType.BACKLOG, serial=number), at(number * 10), "seal")
        refused += not one.may_acknowledge
    assert 300 <= len(kept) <= 320  # a burst of 100 and 20 a second
    assert refused == 1_000 - len(kept) == one.counters["limited"]
    assert len(one.take(Panic(source="button"), at(10_000), "seal")) == 1


def test_pressed_to_the_last_only_evidence_is_recorded_and_nothing_spins() -> None:
    one = recorder()
    one.take(fix_at(0), at(0), "gps")
    one.pressure(4)
    assert one.take(fix_at(60_000, north_m=500), at(60_000), "gps") == []
    assert len(events(one.take(report(), at(60_000), "seal"))) == 1
    assert wake_until(one, 60_000, 600_000) == []
    assert one.counters["pressed_out"] > 0


def assert_readable(kept: list[Kept]) -> None:
    """A collector takes what we say."""
    for begin in range(0, len(kept), 16):
        part = [one.record for one in kept[begin : begin + 16]]
        raw = encode_body(1, part)
        assert not isinstance(decode_body(raw, first_seq=1, count=len(part), batch_no=1), Refused)


NAMES = st.text(max_size=100)
NUMBERS = st.none() | st.integers(-(1 << 64), 1 << 64)
WILD = st.one_of(
    st.builds(
        fix_at,
        st.integers(0, 1_000_000),
        north_m=st.floats(-9e6, 9e6),
        east_m=st.floats(-9e6, 9e6),
        speed_cm_s=st.none() | st.integers(0, 200_000),
        course_cdeg=st.none() | st.integers(0, 36_000),
        time_ms=st.none() | st.integers(-5, 1 << 43),
        dated=st.booleans(),
    ),
    st.builds(
        report,
        seal_id=NAMES,
        data_type=st.sampled_from(DataType),
        locked=st.none() | st.booleans(),
        rope_cut=st.none() | st.booleans(),
        serial=NUMBERS,
        time_ok=st.booleans(),
    ),
    st.builds(
        sky,
        antenna=st.none() | NAMES,
        jam_state=st.none() | st.integers(0, 3),
        spoof_state=st.none() | st.integers(0, 3),
        used=NUMBERS,
    ),
    st.builds(tag, st.binary(max_size=80), NAMES),
    st.builds(InputLevel, name=NAMES, level=st.booleans()),
    st.builds(
        PortState,
        name=NAMES,
        role=st.sampled_from(Role),
        state=st.sampled_from(LinkState),
        silent_ms=NUMBERS,
    ),
    st.builds(SealSilence, seal_id=NAMES, protocol=NAMES, silent=st.booleans()),
    st.builds(NoFix, at_ms=st.just(UTC), time_ms=st.none(), reason=st.sampled_from(NoFixReason)),
    st.builds(Panic, source=NAMES),
    st.just(ReportNow()),
    st.builds(Stop, cause=st.integers(1, 4)),
    st.builds(
        SealEvent,
        at_ms=st.just(UTC),
        seal_id=NAMES,
        protocol=NAMES,
        time_ms=NUMBERS,
        kind=st.sampled_from(("access", "lock", "cut", "door")),
        source=st.none() | NAMES,
        card=st.none() | NAMES,
        serial=NUMBERS,
        frame=st.binary(max_size=1_300),
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(WILD, st.integers(0, 30_000)), max_size=40))
def test_whatever_is_heard_take_is_total_and_every_record_can_be_signed(
    story: list[tuple[AnyFact, int]],
) -> None:
    one = recorder(sealed=True)
    now = 0
    kept: list[Kept] = []
    for fact, passed_ms in story:
        kept += wake_until(one, now, now + passed_ms)
        now += passed_ms
        kept += one.take(fact, at(now), "source")
    assert_readable(kept)


def test_its_memory_stays_under_64_kib() -> None:
    one = recorder(sealed=True)
    rng = Random(7)
    for number in range(3_000):
        now = number * 200
        one.take(fix_at(now, north_m=rng.random()), at(now), f"gps{number}")
        one.take(tag(rng.randbytes(62), f"reader{number % 9}"), at(now), "rfid")
        one.take(report(seal_id=str(number)), at(now), f"seal{number}")
        one.take(InputLevel(name=str(number), level=True), at(now), "io")
        one.wake(at(now))
    assert size_of(one) < 65_536


def size_of(root: object) -> int:
    """Bytes of everything that only `root` holds; classes, enums and frozen settings are everybody's."""
    seen: set[int] = set()
    todo, total = [root], 0
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type | ModuleType | FunctionType | Enum):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        todo += gc.get_referents(one)
    return total


@pytest.mark.parametrize(
    ("then", "now", "later_ms", "wake", "tells"),
    [
        (41, 42, 10_000, "rtc", False),
        (41, 40, 10_000, "rtc", True),
        (41, 0, 10_000, "rtc", True),
        (41, 0, 10_000, "restart", False),
        (255, 0, 10_000, "rtc", False),  # one byte, and round it goes
        (250, 60, 10_000, "rtc", False),
        (41, 40, -10_000, "rtc", False),  # an earlier one that came later
        (41, 40, 700_000, "rtc", False),  # nobody knows how many lie between
    ],
)
def test_a_serial_that_jumps_back_without_a_restart_is_told_at_once(
    then: int, now: int, later_ms: int, wake: str, *, tells: bool
) -> None:
    one = recorder()
    one.take(report(serial=then), at(0), "seal")
    second = replace(report(serial=now), time_ms=UTC + later_ms, wake=wake)
    kept = one.take(second, at(10_000), "seal")
    assert [(record.data[7], kept[-1].urgent) for record in events(kept)] == (
        [(now, True)] if tells else []
    )


def test_cards_enrolled_at_the_lock_are_called_that_and_not_a_card() -> None:
    enrolled = SealEvent(
        at_ms=UTC,
        seal_id="1",
        protocol="jt701",
        time_ms=None,
        kind="cards_registered",
        source="card",
        card="0008627839",
        alarm=True,
    )
    [kept] = recorder().take(enrolled, at(0), "seal")
    assert isinstance(kept.record, EventRecord)
    assert (kept.record.data[2], kept.record.data[5]) == ("cards_registered", "0008627839")
    assert kept.urgent
