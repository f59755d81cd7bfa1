"""JT/T 808 locks: every frame its fact, damage its reason, any cutting the same, the ack after the commit."""

import tracemalloc

import pytest
from hypothesis import given, settings, strategies as st

from devices import (
    READER_MEMORY_BYTES_MAX,
    DataType,
    Fact,
    MisuseError,
    Odd,
    SealAlive,
    SealAnswer,
    SealEvent,
    SealReport,
)
from devices.jt808 import Framer, Jt808Reader
from devices.jt808.frame import Frame
from tests.devices.cutting import (
    LATER_MS,
    NOW_MS,
    check_any_cutting,
    check_each_offset,
    cut_at,
    feed,
)
from tests.devices.jt808_frames import batch, frame, place, tlv
from tests.devices.seal_cases import Case, cases, data_of, differences, iso_ms, plain

GOOD = cases("jt808", "jt808_made", "streams", protocol="jt808")
BAD = cases("bad", protocol="jt808")
REPORT = data_of("jt808-x00")
OTHER = data_of("jt808-x02")
TEXT = data_of("jt808-t24")
PASSWORD = data_of("jt808-t12")  # 689607 was typed at the lock
NOT_IN_FACTS = {
    *("kind", "message", "alarm_raw", "event", "wake_raw", "alt_m", "tilt", "product"),
    *("record_count", "records"),
}
LEVELS = ("locked", "rope_in", "cover_closed", "door_closed")
ALARMS = (
    *("rope_cut", "cover_opened", "removed", "opened_while_sealed", "illegal_card"),
    *("wrong_password", "motor_stuck", "vibration", "long_unlocked", "low_battery"),
    *("enter_fence", "exit_fence"),
)


def read(data: bytes, **settings: int) -> list[Fact]:
    return Jt808Reader(**settings).feed(data, NOW_MS)  # type: ignore[arg-type]  # utc_offset_min


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_every_frame_becomes_its_facts(case: Case) -> None:
    facts = read(case.data)
    for expect in case.expect:
        records = expect.get("records", [])
        assert isinstance(records, list)
        # The line shows the first of several; the acknowledgement hangs on the last.
        check(expect | ({"reply": None} if records else {}), facts)
        for number, record in enumerate(records[1:], 2):
            reply = expect["reply"] if number == len(records) else None
            check({"kind": "report", "reply": reply, **record}, facts)
    assert not facts


def check(expect: dict[str, object], facts: list[Fact]) -> None:
    """Takes the facts of one frame off the list."""
    fact = facts.pop(0)
    if expect["kind"] != "report":
        kind = SealAnswer if expect["kind"] == "reply" else SealAlive
        assert isinstance(fact, kind)
        assert fact.seal_id == expect["seal_id"]
        return
    said = expect.get("event")
    if isinstance(said, dict) and said["source"] != "wake":
        assert isinstance(fact, SealEvent)
        number = said.get("event_id")
        assert (fact.source, fact.alarm) == (said["source"], said.get("alarm", False))
        assert (fact.opened, fact.authorised) == (said.get("opened"), said.get("authorised"))
        assert fact.card == said.get("card")
        assert (fact.kind == "event") is (number is None)
        fact = facts.pop(0)
    assert isinstance(fact, SealReport)
    wanted = {key: value for key, value in expect.items() if key not in NOT_IN_FACTS}
    wanted["time_ms"] = iso_ms(wanted.pop("time"))
    speed = float(str(wanted.pop("speed_kmh")))
    assert abs((fact.speed_cm_s or 0) * 0.036 - speed) <= 0.019  # half a cm/s
    assert differences(wanted, plain(fact) | {"error": None, "slaves": list(fact.slaves)}) == []


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_a_bad_frame_gives_its_reason_and_no_fact(case: Case) -> None:
    reader = Jt808Reader()
    facts = reader.feed(case.data, NOW_MS) + reader.wake(LATER_MS)
    assert [(type(fact), getattr(fact, "reason", None)) for fact in facts] == [
        (Odd, case.expect[0]["error"])
    ]
    assert reader.counters[str(case.expect[0]["error"])] == 1


@pytest.mark.parametrize(("kind", "data_type"), [(0, DataType.LIVE), (1, DataType.BACKLOG)])
def test_what_a_lock_kept_without_a_network_is_a_report_each_and_acknowledged_once(
    kind: int, data_type: DataType
) -> None:
    cut = tlv(0x60, b"\x00\x11\x01")
    bodies = place(), place(cut, time="261122181600"), place(status=0, time="261122181700")
    data = frame(0x0704, batch(*bodies, kind=kind))
    first, event, second, third = facts = read(data)
    assert [type(fact) for fact in facts] == [SealReport, SealEvent, SealReport, SealReport]
    assert isinstance(event, SealEvent)
    assert isinstance(second, SealReport)
    assert (event.source, event.time_ms, second.rope_cut) == ("cut", second.time_ms, True)
    reports = [fact for fact in (first, second, third) if isinstance(fact, SealReport)]
    assert [report.time_ms for report in reports] == [
        iso_ms(f"2026-11-22T10:{minute}:00Z") for minute in (15, 16, 17)
    ]
    assert [report.lat_e7 for report in reports] == [413_110_810, 413_110_810, None]
    assert {report.data_type for report in reports} == {data_type}
    assert {report.frame for report in reports} == {data}
    # 8001, five bytes, the terminal, our serial 0; its serial, its message, done
    body = bytes.fromhex("80010005014000998877" + "0000" + "0009" + "0704" + "00")
    check = 0
    for byte in body:
        check ^= byte
    assert [report.ack for report in reports] == [None, None, b"~" + body + bytes([check]) + b"~"]


def test_what_was_kept_comes_again_until_its_last_record_is_stored() -> None:
    reader = Jt808Reader()
    data = frame(0x0704, batch(place(), place(time="261122181600")))
    first, last = reader.feed(data, NOW_MS)
    reader.acknowledged(first)
    assert reader.feed(data, NOW_MS) == []
    assert reader.take_bytes() == b""
    reader.acknowledged(last)
    assert reader.feed(data, NOW_MS) == []
    assert isinstance(last, SealReport)
    assert reader.take_bytes() == last.ack


@pytest.mark.parametrize("body", [
    b"", b"\0\1", b"\0\1\1", batch(place(), count=2), batch(place(), kind=2), batch(place()[:27]), batch(place()) + b"\0",
    batch(place())[:-1], batch(place(), place(time="261122181600"), count=1),
])  # fmt: skip
def test_a_batch_that_does_not_fit_is_believed_in_nothing(body: bytes) -> None:
    [odd] = read(frame(0x0704, body))
    assert isinstance(odd, Odd)
    assert odd.reason == "malformed"


def test_an_empty_batch_is_a_sign_of_life() -> None:
    [alive] = read(frame(0x0704, batch()))
    assert isinstance(alive, SealAlive)


EVENTS: dict[int, tuple[str, object, object, object, str | None]] = {
    0x00: ("shackle_closed", None, None, None, None),
    0x01: ("shackle_opened", None, None, False, None),
    0x02: ("auto_sealed", None, None, True, None),
    0x03: ("card_sealed", None, None, True, None),
    0x04: ("card_unsealed", True, True, False, None),
    0x05: ("bluetooth_sealed", None, None, True, None),
    0x06: ("bluetooth_unsealed", True, True, False, None),
    0x07: ("platform_sealed", None, None, True, None),
    0x08: ("platform_unsealed", True, True, False, None),
    0x09: ("sms_sealed", None, None, True, None),
    0x0A: ("sms_unsealed", True, True, False, None),
    0x0B: ("unregistered_card_seal_refused", None, None, None, "illegal_card"),
    0x0C: ("unregistered_card_unseal_refused", False, False, None, "illegal_card"),
    0x0D: ("card_seal_refused_outside", None, None, None, None),
    0x0E: ("card_unseal_refused_outside", False, True, None, None),
    0x0F: ("opened_while_sealed", True, False, False, "opened_while_sealed"),
    0x10: ("shell_removed", None, None, None, "cover_opened"),
    0x11: ("cut", None, None, None, "rope_cut"),
    0x12: ("battery_empty", None, None, None, "low_battery"),
    0x13: ("wrong_password", None, None, None, "wrong_password"),
    0x14: ("auto_resealed", None, None, True, None),
    0x17: ("low_battery", None, None, None, "low_battery"),
    0x18: ("motor_stuck", None, None, None, "motor_stuck"),
    **dict.fromkeys(range(97, 103), ("slave_lock", None, None, None, None)),
}


@pytest.mark.parametrize("is_alarm", [False, True])
@pytest.mark.parametrize("number", EVENTS)
def test_each_event_has_its_verdict_and_sets_its_flag_and_no_other(
    number: int, *, is_alarm: bool
) -> None:
    source, opened, authorised, locked, flag = EVENTS[number]
    value = number.to_bytes(2, "big") + bytes([is_alarm])
    event, report = read(frame(0x0200, place(tlv(0x60, value))))
    assert isinstance(event, SealEvent)
    assert isinstance(report, SealReport)
    assert (event.source, event.alarm, event.ack) == (source, is_alarm, None)
    assert (event.opened, event.authorised, event.locked) == (opened, authorised, locked)
    said = {name: getattr(report, name) for name in [*LEVELS, *ALARMS]}
    assert {name: value for name, value in said.items() if value is not None} == {
        **({} if locked is None else {"locked": locked}),
        **({} if flag is None else {flag: True}),
    }


@pytest.mark.parametrize("number", [0x15, 0x16])
def test_waking_up_is_a_report_and_no_event(number: int) -> None:
    [report] = read(frame(0x0200, place(tlv(0x60, bytes([0, number, 0])))))
    assert isinstance(report, SealReport)


@pytest.mark.parametrize("number", [0x19, 0x60, 0x67, 0xFFFF])
def test_an_event_that_no_table_names_is_told_without_a_verdict(number: int) -> None:
    event, report = read(frame(0x0200, place(tlv(0x60, number.to_bytes(2, "big") + b"\1X"))))
    assert isinstance(event, SealEvent)
    assert (event.kind, event.source, event.opened, event.authorised) == ("event", None, None, None)
    assert isinstance(report, SealReport)
    assert all(getattr(report, name) is None for name in [*LEVELS, *ALARMS])


@pytest.mark.parametrize("bit", range(32))
def test_each_status_bit_moves_its_own_part_of_the_place_and_nothing_else(bit: int) -> None:
    before, after = (
        plain(read(frame(0x0200, place(status=status)))[0])  # the other way round for bit 1
        for status in (2, 2 ^ 1 << bit)
    )
    changed = {key for key in before if before[key] != after[key]} - {"status_raw"}
    assert changed == {
        1: {"lat", "lon", "fix_valid", "position_source"},
        2: {"lat", "reported_lat"},
        3: {"lon", "reported_lon"},
    }.get(bit, set())


@pytest.mark.parametrize("bit", range(32))
@pytest.mark.parametrize(
    ("name", "key", "own"), [(0x0089, "removed", 12), (0x00C5, "vibration", 6)]
)
def test_each_bit_of_the_extension_says_its_alarm_when_it_is_not_set(
    name: int, key: str, own: int, bit: int
) -> None:
    value = (0xFFFFFFFF ^ 1 << bit).to_bytes(4, "big")
    extension = b"\0\6" + name.to_bytes(2, "big") + value
    [report] = read(frame(0x0200, place(tlv(0xEB, extension))))
    assert isinstance(report, SealReport)
    assert getattr(report, key) is (bit == own)


@pytest.mark.parametrize("bit", range(16))
def test_bits_of_5501_are_kept_raw_and_claim_nothing(bit: int) -> None:
    head = bytes.fromhex("22112610150041234567069234567F") + bytes([10, 45])
    tail = bytes([28, 6]) + (7).to_bytes(4, "big") + bytes([78]) + bytes(6) + b"\3"
    body = head + tail + (1 << bit).to_bytes(2, "big") * 2
    [report] = read(frame(0x5501, body, serial=b"\x07"))
    assert isinstance(report, SealReport)
    assert report.status_raw == (1 << bit).to_bytes(2, "big")
    assert all(getattr(report, name) is None for name in [*LEVELS, *ALARMS])
    assert (report.battery_percent, report.course_cdeg, report.ack) == (78, 9_000, None)


@pytest.mark.parametrize(("battery", "percent", "charging"), [
    (0, 0, False), (100, 100, False), (101, None, None), (0xAA, None, True), (0xAB, None, True),
])  # fmt: skip
def test_the_battery_byte_of_5501(battery: int, percent: int | None, charging: object) -> None:
    body = bytes.fromhex("22112610150041234567069234567F0000") + bytes(6) + bytes([battery])
    [report] = read(frame(0x5501, body + bytes(11), serial=b"\x07"))
    assert isinstance(report, SealReport)
    assert (report.battery_percent, report.charging) == (percent, charging)


def test_the_header_of_2019_is_answered_in_kind() -> None:
    [report] = read(frame(0x0200, place(), attributes=0x4000))
    assert isinstance(report, SealReport)
    assert report.seal_id == "00000000014000998877"
    ack = "8001 4005 01 00000000014000998877 0000 0009 0200 00"
    check = 0
    for byte in bytes.fromhex(ack):
        check ^= byte
    assert report.ack == b"~" + bytes.fromhex(ack) + bytes([check]) + b"~"


@pytest.mark.parametrize(("offset_min", "iso"), [
    (480, "2026-11-22T10:15:00Z"), (0, "2026-11-22T18:15:00Z"), (300, "2026-11-22T13:15:00Z"),
])  # fmt: skip
def test_the_clock_of_0200_is_ahead_of_utc(offset_min: int, iso: str) -> None:
    [report] = read(frame(0x0200, place()), utc_offset_min=offset_min)
    assert isinstance(report, SealReport)
    assert report.time_ms == iso_ms(iso)


@pytest.mark.parametrize("time", ["000101000009", "261322181500", "26112218150A", "260230101500"])
def test_an_impossible_or_unset_clock_is_not_believed(time: str) -> None:
    [report] = read(frame(0x0200, place(time=time)))
    assert isinstance(report, SealReport)
    assert report.time_ok is False


@pytest.mark.parametrize(("lat", "lon", "reported"), [
    (0, 0, 0), (90_000_001, 1, None), (1, 180_000_001, None), (2**32 - 1, 0, None),
])  # fmt: skip
def test_no_place_is_claimed_that_cannot_be(lat: int, lon: int, reported: int | None) -> None:
    body = bytes(4) + b"\0\0\0\2" + lat.to_bytes(4, "big") + lon.to_bytes(4, "big")
    [report] = read(frame(0x0200, body + bytes.fromhex("000000000000261122181500")))
    assert isinstance(report, SealReport)
    assert (report.lat_e7, report.reported_lat_e7) == (None, reported)


def test_a_tlv_that_runs_out_of_its_frame_says_nothing() -> None:
    [report] = read(frame(0x0200, place(tlv(0x30, b"\x15"), b"\x31\x05\x0b")))
    assert isinstance(report, SealReport)
    assert (report.gsm, report.sats) == (21, None)


def test_a_part_of_a_longer_message_says_nothing_by_itself() -> None:
    whole = frame(0x0200, b"\0\2\0\1" + place())
    content = bytearray(whole[1:-1])
    content[2] |= 0x20
    content[3] -= 4  # the length leaves the part's numbers out
    content[-1] = 0
    for byte in content[:-1]:
        content[-1] ^= byte
    [alive] = read(b"~" + bytes(content) + b"~")
    assert isinstance(alive, SealAlive)


@pytest.mark.parametrize(("data", "wanted"), [
    (b"", []),
    (b"\r\nnoise and ( more )", []),
    (REPORT + OTHER, ["report", "report"]),
    (REPORT[:-1] + OTHER, ["report", "report"]),  # one mark ends and begins
    (REPORT[:-1] + b"~" + OTHER[1:], ["report", "report"]),
    (REPORT + TEXT + OTHER, ["report", "reply", "report"]),
    (REPORT[:-9] + OTHER, ["bad_checksum", "report"]),
    (REPORT[:30] + b"\0" + REPORT[31:] + OTHER, ["bad_checksum", "report"]),
    (REPORT[:20] + b"}\3" + REPORT[20:] + OTHER, ["malformed", "report"]),
    (REPORT[1:] + OTHER, ["report"]),  # its start is missing
    (REPORT + b"noise" + OTHER, ["report", "report"]),
    (b"~~~~" + OTHER + b"~~", ["report"]),
    (b"~" + b"x" * 1_200 + OTHER, ["too_long", "report"]),
    (b"~" + b"}\1" * 1_099 + OTHER, ["bad_checksum", "report"]),
    (b"~" + b"}\1" * 1_101 + b"x" * 1_101 + OTHER, ["too_long", "report"]),
    (TEXT[:-1] + TEXT, ["truncated", "reply"]),
    (TEXT[:20] + REPORT, ["truncated", "report"]),
    (b"(740190311185," + b"x" * 600 + TEXT, ["too_long", "reply"]),
    (b"(740190311185,\xff)" + TEXT, ["malformed", "reply"]),
    (b"~" + TEXT, ["truncated", "reply"]),
    (REPORT[:-1], ["truncated"]),
    (b"~", []),
    (frame(0x0002, b""), ["heartbeat"]),
    (frame(0x0100, b"x"), ["other"]),
])  # fmt: skip
def test_what_comes_out_of_a_line(data: bytes, wanted: list[str]) -> None:
    framer = Framer(480)
    found = framer.feed(data) + framer.flush()
    assert [
        one.kind.value if isinstance(one, Frame) else one.reason.value for one in found
    ] == wanted


def test_one_flipped_bit_inside_a_frame_never_changes_a_fact() -> None:
    facts = read(REPORT)
    for bit in range(8 * len(REPORT)):
        damaged = bytearray(REPORT)
        damaged[bit // 8] ^= 1 << bit % 8
        got = [fact for fact in read(bytes(damaged)) if not isinstance(fact, Odd)]
        assert got in ([], facts)


@pytest.mark.parametrize("case", [*GOOD, *BAD], ids=lambda case: case.name)
def test_two_pieces_give_the_same_facts_and_counters_at_each_offset(case: Case) -> None:
    check_each_offset(Jt808Reader, case.data)


def test_all_frames_in_a_row_mean_the_same_however_they_are_cut() -> None:
    check_any_cutting(Jt808Reader, b"\r\n".join(case.data for case in [*GOOD, *BAD]))


pieces = st.one_of(
    st.sampled_from(
        [*(case.data for case in GOOD + BAD), REPORT[:30], REPORT[:-1], b"~", b"}", b"("]
    ),
    st.binary(max_size=40),
    st.integers(900, 1_300).map(lambda size: b"~" + b"x" * size),
)


@settings(max_examples=100)
@given(st.lists(pieces, max_size=8), st.lists(st.integers(0, 4_000), max_size=20))
def test_any_cutting_gives_the_same_facts_and_counters(
    parts: list[bytes], places: list[int]
) -> None:
    data = b"".join(parts)
    assert feed(Jt808Reader, cut_at(data, places)) == feed(Jt808Reader, [data])


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_what_is_wrapped_comes_back(body: bytes) -> None:
    [found] = Framer(480).feed(frame(0x0900, body))
    assert isinstance(found, Frame)
    assert (found.message, found.raw) == ("0900", frame(0x0900, body))


@pytest.mark.parametrize("escapes", [b"}\1", b"}\2", b"}", b"\1}"])
def test_a_frame_of_escapes_alone_stays_small(escapes: bytes) -> None:
    """`plomba bench fuzz`: parts between escapes, as a list, took 117,858 bytes."""
    reader = Jt808Reader()
    reader.feed(b"~" + escapes * 1_090, NOW_MS)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    reader.feed(b"~", NOW_MS)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < READER_MEMORY_BYTES_MAX // 2


def test_a_reader_that_is_fed_marks_and_starts_stays_small() -> None:
    lump = (b"~" + b"(740190311185,x" * 40 + b"}" * 900 + REPORT[:-1] + b"~x" * 900) * 8
    reader = Jt808Reader()
    reader.feed(lump, NOW_MS)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(2):
        reader.feed(lump, NOW_MS)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < READER_MEMORY_BYTES_MAX


def test_a_password_is_in_no_fact_and_no_sample_and_no_repr() -> None:
    damaged = PASSWORD[:-3] + b"\xff" + PASSWORD[-2:]
    texts = TEXT + TEXT[:-1] + b"\xff)" + b"~" + TEXT
    for data in (PASSWORD, damaged, texts):
        reader = Jt808Reader()
        facts = reader.feed(data, NOW_MS) + reader.wake(LATER_MS)
        assert facts
        for fact in facts:
            assert "689607" not in repr(fact)
            assert "529439" not in repr(fact)
            assert b"689607" not in getattr(fact, "frame", b"")
            assert b"529439" not in getattr(fact, "sample", b"")
    [_, report] = read(PASSWORD)
    assert isinstance(report, SealReport)
    assert report.frame == PASSWORD.replace(b"689607", b"******")


def test_an_alarm_is_told_by_the_call_that_brings_its_last_byte() -> None:
    cut = data_of("jt808-x16")
    reader = Jt808Reader()
    assert reader.feed(cut[:-1], NOW_MS) == []
    event, report = reader.feed(cut[-1:], NOW_MS + 5)
    assert (event.at_ms, report.at_ms) == (NOW_MS + 5, NOW_MS + 5)


def test_half_a_frame_is_not_joined_with_what_comes_much_later() -> None:
    reader = Jt808Reader()
    reader.feed(REPORT[:30], NOW_MS)
    assert reader.next_deadline() == NOW_MS + 10_000
    [odd] = reader.feed(REPORT[30:], NOW_MS + 10_000)
    assert isinstance(odd, Odd)
    assert odd.reason == "truncated"


def test_a_refusal_is_remarked_once_in_ten_seconds_and_counted_each_time() -> None:
    reader = Jt808Reader()
    damaged = REPORT[:30] + b"\0" + REPORT[31:]
    said = [len(reader.feed(damaged, NOW_MS + at)) for at in (0, 1, 9_999, 10_000)]
    assert said == [1, 0, 0, 1]
    assert reader.counters["bad_checksum"] == 4


def test_no_order_can_be_said() -> None:
    reader = Jt808Reader()
    with pytest.raises(MisuseError, match="published"):
        reader.order("open", NOW_MS)
    assert (reader.take_bytes(), reader.next_deadline()) == (b"", None)


def test_an_answer_to_somebody_elses_order_is_told_and_counted() -> None:
    reader = Jt808Reader()
    [answer] = reader.feed(TEXT, NOW_MS)
    assert isinstance(answer, SealAnswer)
    assert (answer.command, answer.ok, answer.values) == ("ELOCK", None, ())
    assert reader.counters["unasked"] == 1


class Shell:
    """Stores facts, then writes their acks: what the unit does, with a disk that may fail."""

    def __init__(self) -> None:
        self.reader = Jt808Reader()
        self.written: list[bytes] = []
        self.stored: list[Fact] = []
        self.open: list[Fact] = []

    def hear(self, data: bytes) -> None:
        self.open += self.reader.feed(data, NOW_MS)
        self.write(self.reader.take_bytes())

    def commit(self) -> None:
        self.stored += self.open
        for fact in self.open:
            if isinstance(fact, SealReport | SealEvent) and fact.ack is not None:
                self.write(fact.ack)
                self.reader.acknowledged(fact)
        self.open = []

    def fail(self) -> None:
        for fact in self.open:
            self.reader.forget(fact)
        self.open = []

    def write(self, data: bytes) -> None:
        if data:
            self.written.append(data)


ACK = bytes.fromhex(str(cases("jt808_made")[2].expect[0]["reply"]))
CARD = data_of("jt808-x04")  # an event and its report


def test_nothing_is_acknowledged_before_it_is_stored() -> None:
    shell = Shell()
    shell.hear(CARD)
    shell.hear(CARD)  # the ack is late, so the lock says it again
    assert shell.written == []
    shell.commit()
    assert shell.written == [ACK]
    assert len(shell.stored) == 2


def test_a_frame_that_comes_again_after_its_ack_is_dropped_and_acknowledged_again() -> None:
    shell = Shell()
    shell.hear(CARD)
    shell.commit()
    shell.hear(CARD)
    shell.commit()
    assert shell.written == [ACK, ACK]
    assert len(shell.stored) == 2
    assert shell.reader.counters["repeated"] == 1


def test_a_commit_that_fails_sees_no_ack_and_the_frame_is_stored_once_when_it_comes_again() -> None:
    shell = Shell()
    shell.hear(CARD)
    shell.fail()
    assert shell.written == []
    shell.hear(CARD)
    shell.commit()
    assert shell.written == [ACK]
    assert len(shell.stored) == 2


def test_what_an_earlier_run_has_stored_is_only_acknowledged_again() -> None:
    reader = Jt808Reader()
    reader.stored(CARD)
    assert reader.feed(CARD, NOW_MS) == []
    assert reader.take_bytes() == ACK


def test_acks_that_nobody_takes_do_not_pile_up() -> None:
    shell = Shell()
    shell.hear(CARD)
    shell.commit()
    for _ in range(300):
        shell.reader.feed(CARD, NOW_MS)
    assert len(shell.reader.take_bytes()) <= 1_024
    assert shell.reader.counters["ack_dropped"] > 0


def test_another_lock_than_ours_is_heard_and_counted() -> None:
    reader = Jt808Reader(seal_id="014000998878")
    assert len(reader.feed(REPORT, NOW_MS)) == 2
    assert reader.counters["other_seal"] == 1
