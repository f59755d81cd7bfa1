"""The gateway's thinking: facts into records, records into a chain, one connection and its bounds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from collector.gateway import Moment, SealState, Taken, Tip
from collector.gateway.chain import (
    BATCH_BYTES_MAX,
    REASON_ENROLLED,
    REASON_STORE_LOST,
    REASON_UNCLEAN,
    Begin,
    Hold,
    Sealed,
    answer_to,
    begin_of,
    boot_record,
    genesis,
    greeting,
    make_batches,
    new_tip,
    stop_record,
)
from collector.gateway.link import FRAMES_BURST, PROTOCOLS, Link, LinkSettings
from collector.gateway.records import Told, silences, tell
from devices import DataType, Fact, PositionSource, SealAlive, SealEvent, SealReport
from devices.jt701 import Jt701Reader
from firmware_sim.seal_jt701d import Kind, Status, status_word
from tests.collector.gateway_rig import (
    AT,
    CUT,
    IDENTITY,
    NOW_MS,
    SEAL_ID,
    SEALED,
    UNIT,
    frame,
    key_of,
)
from wire.batch import Sound, head_of, judge, read_genesis
from wire.hello import SoundHello, judge as judge_hello
from wire.orders import Order, OrderKind
from wire.records import Datum, EventKind, EventRecord, FixRecord, Record, SealBit
from wire.topics import Up, up

CHAIN_ID = bytes(range(16))


def heard(*frames: bytes) -> list[Taken]:
    reader = Jt701Reader()
    facts = [fact for data in frames for fact in reader.feed(data, NOW_MS)]
    return [Taken(fact=fact, at=AT) for fact in facts]


def events(told: Told) -> list[EventRecord]:
    return [record for record in told.records if isinstance(record, EventRecord)]


# -- records


def test_a_report_is_a_seal_event_with_its_frame_byte_for_byte() -> None:
    data = frame(7)
    told = tell(heard(data), {})
    [event] = events(told)
    assert (event.kind, event.t_ms, event.mono_ms) == (EventKind.SEAL, NOW_MS, 5_000)
    levels = SealBit.LOCKED | SealBit.ROPE_IN | SealBit.COVER_CLOSED
    seal_id, protocol, known, true, data_type, time_ms, battery, serial, cause, raw = event.data
    assert isinstance(known, int)
    assert known & levels == levels
    assert (seal_id, protocol, true, data_type) == (SEAL_ID, "jt701", levels, 0)
    assert (time_ms, battery, serial, cause, raw) == (NOW_MS, 80, 7, 1, data)
    assert not told.urgent


@pytest.mark.parametrize(
    ("frames", "causes", "urgent"),
    [
        ([frame(1), frame(2)], [1, 2], False),
        ([frame(1), frame(2, CUT, Kind.ALARM)], [1, 1], True),
        ([frame(1), frame(2, status_word(rope_in=True, locked=False, cover_closed=True))], [1, 1], True),
        ([frame(1), frame(2, SEALED | Status.LOW_BATTERY)], [1, 1], False),
        ([frame(1), frame(2, SEALED | Status.ILLEGAL_CARD)], [1, 1], True),
        ([frame(1), frame(2, kind=Kind.BACKLOG), frame(3)], [1, 2, 2], False),
    ],
)  # fmt: skip
def test_what_is_new_and_what_is_worse_is_told(
    frames: list[bytes], causes: list[int], *, urgent: bool
) -> None:
    told = tell(heard(*frames), {})
    assert [event.data[8] for event in events(told)] == causes
    assert told.urgent is urgent


def test_what_was_says_nothing_of_what_is() -> None:
    told = tell(heard(frame(1), frame(2, CUT, Kind.BACKLOG)), {})
    assert told.states[SEAL_ID].true & SealBit.LOCKED
    assert not told.states[SEAL_ID].true & SealBit.ROPE_CUT


def test_a_place_is_a_fix_only_of_the_seal_whose_places_are_the_unit_s() -> None:
    taken = heard(frame(1))
    assert [type(one) for one in tell(taken, {}, place_of=SEAL_ID).records] == [
        FixRecord,
        EventRecord,
    ]
    assert len(tell(taken, {}, place_of="8000620012").records) == 1
    assert len(tell(taken, {}).records) == 1


@pytest.mark.parametrize(
    "data",
    [
        frame(1, fixed=False),
        frame(1, kind=Kind.BACKLOG),
        frame(1, unix_ms=946_684_800_000),  # the year 2000: a clock that was never set
        frame(1, SEALED | 1),  # placed by a base station
    ],
)
def test_a_place_that_is_none_of_now_is_no_fix(data: bytes) -> None:
    told = tell(heard(data), {}, place_of=SEAL_ID)
    assert [type(one) for one in told.records] == [EventRecord]


def test_a_fix_is_the_place_of_the_frame_at_the_seal_s_own_time() -> None:
    fix = tell(heard(frame(1)), {}, place_of=SEAL_ID).records[0]
    assert isinstance(fix, FixRecord)
    assert fix.t_ms == NOW_MS
    assert (fix.lat_e7, fix.lon_e7) == pytest.approx((412_000_000, 692_000_000), abs=10)
    assert fix.speed_cm_s == pytest.approx(1_000, abs=60)  # knots on the line
    assert (fix.course_cdeg, fix.sats, fix.hdop_centi) == (9_000, 9, None)


ACCESS = SealEvent(
    at_ms=NOW_MS, seal_id=SEAL_ID, protocol="jt701", time_ms=NOW_MS, kind="access", source="illegal_card",
    authorised=False, opened=False, card="0000000042", serial=9, frame=b"(...)", ack=b"(P69,0,9)",
)  # fmt: skip


def test_a_key_is_an_access_event_and_urgent_unless_it_is_allowed() -> None:
    told = tell([Taken(fact=ACCESS, at=AT)], {})
    [event] = events(told)
    assert event.kind == EventKind.ACCESS
    assert event.data == (SEAL_ID, "jt701", "illegal_card", 0, 0, "0000000042", None, NOW_MS, 9, b"(...)")  # fmt: skip
    assert told.urgent


def test_what_a_lock_event_proves_is_told_and_no_more() -> None:
    cut = SealEvent(
        at_ms=NOW_MS, seal_id=SEAL_ID, protocol="jt808", time_ms=None, kind="lock", source="cut", alarm=True, frame=b"x"
    )  # fmt: skip
    told = tell([Taken(fact=cut, at=AT)], {})
    [event] = events(told)
    assert (event.kind, event.data[2], event.data[3], event.data[4]) == (EventKind.SEAL, 16, 16, 1)
    assert told.urgent


def test_a_silent_seal_is_told_once_and_so_is_its_return() -> None:
    states = tell(heard(frame(1)), {}).states
    later = Moment(utc_ms=NOW_MS + 900_001, boot_ms=0, quality=2)
    told = silences(states, later, 900_000, 0)
    [event] = events(told)
    assert (event.data[0], event.data[2], event.data[3], event.data[8]) == (SEAL_ID, 0, 0, 3)
    assert told.urgent
    states = {**states, **told.states}
    assert not silences(states, later, 900_000, 0).records
    again = tell([Taken(fact=SealAlive(at_ms=0, seal_id=SEAL_ID), at=later)], states)
    assert [event.data[8] for event in events(again)] == [4]
    back = tell(heard(frame(2)), states)
    assert [event.data[8] for event in events(back)] == [4]
    assert not back.states[SEAL_ID].silent


def test_after_a_start_silence_counts_from_the_start() -> None:
    states = {SEAL_ID: SealState(protocol="jt701", heard_ms=0)}
    at = Moment(utc_ms=NOW_MS, boot_ms=0, quality=2)
    assert not silences(states, at, 900_000, since_ms=NOW_MS - 1_000).records


def test_a_heartbeat_of_nobody_is_nothing() -> None:
    told = tell([Taken(fact=SealAlive(at_ms=0, seal_id="1"), at=AT)], {})
    assert told == Told(records=(), states={}, urgent=False)


TEXTS = st.text(max_size=80)
REPORTS = st.builds(
    SealReport,
    at_ms=st.just(0),
    seal_id=TEXTS,
    protocol=TEXTS,
    model=st.none(),
    data_type=st.sampled_from(list(DataType)),
    time_ms=st.none() | st.integers(-(2**60), 2**60),
    time_ok=st.booleans(),
    lat_e7=st.none() | st.integers(-900_000_000, 900_000_000),
    lon_e7=st.none() | st.integers(-1_800_000_000, 1_800_000_000),
    position_source=st.none() | st.sampled_from(list(PositionSource)),
    speed_cm_s=st.none() | st.integers(0, 10**9),
    course_cdeg=st.none() | st.integers(0, 72_000),
    sats=st.none() | st.integers(-1, 1_000),
    locked=st.none() | st.booleans(),
    rope_cut=st.none() | st.booleans(),
    battery_percent=st.none() | st.integers(-(2**60), 2**60),
    serial=st.none() | st.integers(-(2**60), 2**60),
    frame=st.binary(max_size=1_300),
)
EVENTS = st.builds(
    SealEvent,
    at_ms=st.just(0),
    seal_id=TEXTS,
    protocol=TEXTS,
    time_ms=st.none() | st.integers(-(2**60), 2**60),
    kind=st.sampled_from(["access", "lock", "door", "event"]),
    source=st.none() | st.sampled_from(["cut", "card", "auto_lock"]) | TEXTS,
    authorised=st.none() | st.booleans(),
    locked=st.none() | st.booleans(),
    card=st.none() | TEXTS,
    wrong_passwords=st.none() | st.integers(-(2**60), 2**60),
    frame=st.binary(max_size=1_300),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(REPORTS | EVENTS, min_size=1, max_size=40))
def test_whatever_a_seal_says_becomes_batches_that_a_collector_takes(facts: list[Fact]) -> None:
    told = tell([Taken(fact=fact, at=AT) for fact in facts], {}, place_of=facts[0].seal_id)  # type: ignore[union-attr]  # both kinds have one
    records = (genesis(Begin(reason=REASON_ENROLLED, before=None), AT), *told.records)
    assert read_back(batches_of(records)[0]) == list(records)


# -- the chain


def batches_of(records: Sequence[Record], tip: Tip | None = None) -> tuple[list[Sealed], Tip]:
    return make_batches(records, tip or new_tip(IDENTITY, CHAIN_ID), IDENTITY, boot_no=3, at=AT)


def read_back(batches: Sequence[Sealed]) -> list[Record]:
    """All records of sound batches that follow one another."""
    records: list[Record] = []
    for number, batch in enumerate(batches):
        verdict = judge(batch.envelope, up(UNIT, Up.BATCH), key_of)
        assert isinstance(verdict, Sound), verdict
        assert verdict.header.batch_no == number
        assert verdict.header.first_seq == len(records)
        if number:
            assert verdict.header.prev == batches[number - 1].head
        rows: dict[int, Record] = {
            one.seq: EventRecord(kind=one.kind, t_ms=one.t_ms, mono_ms=one.mono_ms, data=one.data)
            for one in verdict.body.events
        }
        fixes = verdict.body.fixes
        for place, seq in enumerate(fixes.seq):
            rows[seq] = FixRecord(
                t_ms=fixes.t_ms[place],
                lat_e7=fixes.lat_e7[place],
                lon_e7=fixes.lon_e7[place],
                alt_dm=fixes.alt_dm[place],
                speed_cm_s=fixes.speed_cm_s[place],
                course_cdeg=fixes.course_cdeg[place],
                hdop_centi=fixes.hdop_centi[place],
                err_cm=fixes.err_cm[place],
                sats=fixes.sats[place],
                flags=fixes.flags[place] & ~0b1_1111_1000,
            )
        records += [rows[seq] for seq in sorted(rows)]
    return records


def test_a_chain_begins_with_its_genesis_and_links_batch_to_batch() -> None:
    first = (
        genesis(Begin(reason=REASON_ENROLLED, before=None), AT),
        boot_record(3, AT, clean=False),
    )
    batches, tip = batches_of(first)
    more, end = batches_of(tell(heard(frame(1), frame(2)), {}).records, tip)
    records = read_back([*batches, *more])
    kinds = [one.kind for one in records if isinstance(one, EventRecord)]
    assert kinds == [EventKind.GENESIS, EventKind.BOOT, EventKind.SEAL, EventKind.SEAL]
    assert (end.batch_no, end.next_seq, end.head) == (1, 4, more[0].head)


def test_a_burst_is_cut_into_batches_that_fit() -> None:
    long = SealReport(
        at_ms=0, seal_id=SEAL_ID, protocol="jt808", model=None, data_type=DataType.LIVE, time_ms=None, time_ok=False, frame=b"\xa5" * 1_100
    )  # fmt: skip
    records = (
        genesis(Begin(reason=REASON_ENROLLED, before=None), AT),
        *tell([Taken(fact=long, at=AT)] * 300, {}).records,
    )
    batches, _ = batches_of(records)
    assert len(batches) > 300 * 1_100 // BATCH_BYTES_MAX
    assert read_back(batches) == list(records)


@pytest.mark.parametrize(
    ("tip", "same_boot", "clean", "lost", "reason"),
    [
        (False, False, False, False, REASON_ENROLLED),
        (False, True, False, True, REASON_STORE_LOST),
        (True, True, False, False, None),  # killed, and the system lived on
        (True, False, True, False, None),
        (True, False, False, False, REASON_UNCLEAN),  # a power cut: nobody knows what the disk kept
    ],
)
def test_a_start_goes_on_only_where_nothing_can_be_forgotten(
    *, tip: bool, same_boot: bool, clean: bool, lost: bool, reason: int | None
) -> None:
    before = Tip(chain_id=CHAIN_ID, batch_no=4, head=bytes(32), next_seq=9) if tip else None
    begin = begin_of(before, same_boot=same_boot, clean=clean, store_lost=lost)
    assert (begin.reason, begin.before) == (reason, before)


def test_a_new_chain_names_the_one_before() -> None:
    before = Tip(chain_id=CHAIN_ID, batch_no=4, head=b"\x07" * 32, next_seq=9)
    record = genesis(Begin(reason=REASON_UNCLEAN, before=before), AT)
    assert record.data == (2, CHAIN_ID, 4, b"\x07" * 32, 8)
    batches, _ = batches_of((record,))
    verdict = judge(batches[0].envelope, up(UNIT, Up.BATCH), key_of)
    assert isinstance(verdict, Sound)
    told = read_genesis(verdict.body.events)
    assert getattr(told, "prev_batch_no", None) == 4


def test_a_greeting_admits_what_is_held() -> None:
    hold = Hold(chain_id=CHAIN_ID, newest=7, last_seq=40, head=head_of(b"x"), oldest=2)
    message = greeting(hold, IDENTITY, boot_no=3, at=AT)
    verdict = judge_hello(message, up(UNIT, Up.HELLO), key_of)
    assert isinstance(verdict, SoundHello)
    assert (verdict.hello.batch_no, verdict.hello.seq, verdict.hello.oldest) == (7, 40, 2)


def order(kind: int, data: tuple[Datum, ...]) -> Order:
    return Order(
        unit_id=UNIT, counter=5, kind=kind, issued_ms=1, not_before_ms=0, not_after_ms=2**41, order_id=b"o" * 16, data=data
    )  # fmt: skip


def test_the_gateway_carries_out_no_order_and_says_so() -> None:
    answer = answer_to(order(OrderKind.UNLOCK, ("s", "o", "m", (1, 2, 3, 4, 5, 6))), AT)
    assert answer is not None
    assert (answer.kind, answer.data[:4]) == (EventKind.ORDER_RESULT, (b"o" * 16, 3, 5, 4))
    refused = answer_to(order(OrderKind.SET_CONFIG, (9, b"x")), AT)
    assert refused is not None
    assert (refused.kind, refused.data) == (EventKind.CONFIG, (9, 1))
    assert answer_to(order(OrderKind.RESEND_FROM, (CHAIN_ID, 0)), AT) is None
    assert stop_record(AT).data == (4,)


# -- one connection


def link(now_ms: int = NOW_MS, **settings: object) -> Link:
    return Link(LinkSettings(**settings), now_ms)  # type: ignore[arg-type]  # a test names what it sets


CT_C = b"##S,eSeal,1234567,256,3.0.8,Normal,7,2027-03-01,05:00:00,180,A,41.200000N 69.200000E,90,36,Close,0.98,0:0:3:0,4.1,-73,E##\r\n"


@pytest.mark.parametrize(
    ("data", "seal_id"), [(frame(1), SEAL_ID), (b"\r\n" + frame(1), SEAL_ID), (CT_C, "1234567")]
)
def test_the_first_bytes_tell_the_protocol(data: bytes, seal_id: str) -> None:
    one = link()
    assert [fact.seal_id for fact in one.feed(data, NOW_MS).facts] == [seal_id]  # type: ignore[union-attr]  # reports
    assert one.seal_id == seal_id


@given(st.lists(st.integers(1, 40), max_size=30))
def test_any_cutting_gives_the_same_facts(cuts: list[int]) -> None:
    data = frame(1) + b"(8000620011,@JT)" + frame(2, CUT, Kind.ALARM)
    whole = link().feed(data, NOW_MS).facts
    one, place = link(), 0
    facts: list[Fact] = []
    for size in [*cuts, len(data)]:
        facts += one.feed(data[place : place + size], NOW_MS).facts
        place += size
    assert tuple(facts) == whole
    assert len(whole) == 3


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"\x00" * 65, "unknown_protocol"),
        (b"GET / HTTP/1.1\r\nHost: plomba\r\nUser-Agent: a scanner of the internet\r\n", "unknown_protocol"),
        (b"$" + b"\xff" * 5_000, "garbage"),
        (b"(" * 5_000, "garbage"),
        (frame(1) + frame(1, seal_id="8000620012"), "another_seal"),
    ],
    ids=["zeros", "http", "noise", "brackets", "another"],
)  # fmt: skip
def test_a24_who_breaks_a_bound_loses_the_connection(data: bytes, end: str) -> None:
    one, heard_end = link(), None
    for place in range(0, len(data), 4_096):
        heard_end = heard_end or one.feed(data[place : place + 4_096], NOW_MS).end
    assert heard_end == end


def test_a40_a_flood_of_bytes_ends_whatever_they_are() -> None:
    one = link()
    noisy = (frame(number) + b"\r" * 3_000 for number in range(30))  # with good frames between
    ends = [one.feed(data, NOW_MS).end for data in noisy]
    assert ends[:21] == [None] * 21
    assert ends[-1] == "too_many_bytes"


def test_a40_a_flood_of_repeats_is_a_flood() -> None:
    one = link()
    assert {one.feed(frame(1), NOW_MS).end for _ in range(FRAMES_BURST)} == {None}
    assert one.feed(frame(1), NOW_MS).end == "too_many_frames"


def test_a40_a_flood_of_good_frames_ends_as_well() -> None:
    one = link()
    ends = [
        one.feed(frame(number % 256, unix_ms=NOW_MS + number * 1000), NOW_MS).end
        for number in range(FRAMES_BURST + 1)
    ]
    assert ends == [None] * FRAMES_BURST + ["too_many_frames"]


def test_frames_at_a_seal_s_pace_never_end_it() -> None:
    one = link()
    for second in range(2_000):
        now_ms = NOW_MS + second * 1_000
        assert one.feed(frame(second % 256, unix_ms=now_ms), now_ms).end is None


def test_what_was_refused_is_counted_under_its_reason() -> None:
    one = link()
    one.feed(frame(1) + b"$" + b"\xff" * 61 + frame(2), NOW_MS)
    totals = one.totals()
    assert (totals["SealReport"], totals["frames"]) == (2, 2)
    assert totals["malformed"] >= 1


def test_only_the_seals_that_are_named_may_speak() -> None:
    assert link(seals=frozenset({SEAL_ID})).feed(frame(1), NOW_MS).end is None
    stranger = link(seals=frozenset({"1"})).feed(frame(1), NOW_MS)
    assert (stranger.facts, stranger.end) == ((), "unknown_seal")


def test_who_says_nothing_is_not_waited_for() -> None:
    one = link(idle_ms=300_000)
    assert one.next_deadline() == NOW_MS + 30_000
    assert one.wake(NOW_MS + 30_000).end == "no_frame"
    talker = link(idle_ms=300_000)
    talker.feed(frame(1), NOW_MS)
    assert talker.next_deadline() == NOW_MS + 300_000
    assert talker.wake(NOW_MS + 299_999).end is None
    assert talker.wake(NOW_MS + 300_000).end == "idle"


def test_a_seal_that_asks_for_the_time_is_told() -> None:
    heard_now = link().feed(b"(8000620011,P22,2)", NOW_MS)
    assert heard_now.reply == b"(P22,010327050000)"


def test_a_password_that_a_seal_tells_goes_nowhere() -> None:
    heard_now = link().feed(b"(8000620011,P52,2,123456)", NOW_MS)
    assert (heard_now.facts, heard_now.reply, heard_now.end) == ((), b"", None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(st.binary(max_size=200))
def test_any_bytes_in_any_protocol_end_or_are_heard(protocol: str, data: bytes) -> None:
    heard_now = link(protocol=protocol).feed(data, NOW_MS)
    assert heard_now.end is None or heard_now.end.islower()


VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "seals"


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text().splitlines()]


def bytes_of(case: dict[str, Any]) -> bytes:
    if "frame" in case:
        return str(case["frame"]).encode("latin-1")
    return bytes.fromhex(case["hex"])


@pytest.mark.parametrize(
    "name", ["jt701", "jt701_made", "eseal", "eseal_made", "jt808", "jt808_made"]
)
def test_every_captured_frame_becomes_evidence_by_itself(name: str) -> None:
    """By the first byte alone the protocol is known; what the frame means is the reader's affair, its bytes are in the record."""
    told_by = 0
    for case in cases(name):
        data = bytes_of(case)
        one = link()
        heard_now = one.feed(data, NOW_MS)
        assert heard_now.end is None, case["id"]
        told = tell([Taken(fact=fact, at=AT) for fact in heard_now.facts], {})
        records = (genesis(Begin(reason=REASON_ENROLLED, before=None), AT), *told.records)
        assert read_back(batches_of(records)[0]) == list(records), case["id"]
        raw = {event.data[9] for event in events(told) if event.data[9] is not None}
        for piece in raw:
            assert isinstance(piece, bytes)
            assert piece in data or b"*" in piece, case["id"]  # a password was typed: stars
        if case["expect"]["kind"] in {"report", "event"} and case["expect"]["seal_id"]:
            assert told.records, case["id"]
            told_by += 1
    assert told_by > 0


def test_no_refused_frame_becomes_evidence() -> None:
    for case in cases("bad"):
        heard_now = link(protocol=case["protocol"]).feed(bytes_of(case), NOW_MS)
        assert heard_now.facts == (), case["id"]
