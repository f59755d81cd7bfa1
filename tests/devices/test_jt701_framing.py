"""Where frames begin and end: noise, damage, lost bytes, and any cutting."""

import sys
import tracemalloc

import pytest
from hypothesis import given, settings, strategies as st

from devices import Fact, Odd, SealAlive, SealReport
from devices.jt701 import Framer, Jt701Reader
from devices.jt701.frame import Frame, Reason, Refused
from tests.devices.seal_cases import cases, data_of

NOW_MS = 1_800_000_000_000
REPORT = data_of("jt701-m00")
TRACKS = data_of("jt701-t10")
ALIVE = b"(8000620011,@JT)"
FRAMES = [case.data for case in cases("jt701", "jt701_made", protocol="jt701")]
BROKEN = [case.data for case in cases("bad", protocol="jt701")]


def cut_up(data: bytes) -> list[Frame | Refused]:
    framer = Framer()
    return framer.feed(data) + framer.flush()


def outcome(data: bytes) -> list[str]:
    return [
        found.kind.value if isinstance(found, Frame) else found.reason.value
        for found in cut_up(data)
    ]


@pytest.mark.parametrize(("data", "wanted"), [
    (b"", []),
    (b"\r\nnoise) , and more\x00", []),
    (REPORT + REPORT, ["report", "report"]),
    (ALIVE + REPORT + ALIVE, ["heartbeat", "report", "heartbeat"]),
    (REPORT[:-3] + ALIVE, ["truncated", "heartbeat"]),
    (REPORT[:30] + REPORT, ["truncated", "report"]),
    (REPORT[:-4] + REPORT, ["truncated", "report"]),
    (REPORT[:20] + ALIVE + REPORT, ["truncated", "heartbeat", "report"]),
    (ALIVE[:-1] + ALIVE, ["truncated", "heartbeat"]),
    (b"(8000620011,P4" + REPORT, ["truncated", "report"]),
    (b"(" + REPORT, ["malformed", "report"]),
    (b"$" + REPORT, ["malformed", "report"]),
    (b"((((" + ALIVE, ["malformed", "heartbeat"]),
    (b"(8000620011)", ["malformed"]),
    (b"(800062001A,@JT)", ["malformed"]),
    (b"(8000620011,)", ["malformed"]),
    (b"(8000620011,\xff\xff)", ["malformed"]),
    (b"(8000620011,P43,\xff)", ["malformed"]),
    (b"(8000620011,P52,2)", ["malformed"]),
    (b"(8000620011,P52,2,)", ["malformed"]),
    (b"(8000620011,WLNET)", ["malformed"]),
    (b"(8000620011,1,1,WLNET,5,2)", ["malformed"]),
    (b"(8000620011,1,1,WLNET,5,2,short)", ["malformed"]),
    (b"(8000620011,1,1,WLNET,9,2,x)", ["other"]),
    (b"(8000620011,2,U09,129,2,A)", ["tracker"]),
    (b"(8000620011,2)", ["malformed"]),
    (b"(8000620011,HELLO)", ["other"]),
    (b"(8000620011,P4", ["truncated"]),
    (b"(8000620011," + b"x" * 500 + ALIVE, ["too_long", "heartbeat"]),
    (TRACKS[:-1], ["truncated"]),
    (TRACKS[:7] + (38 * 27).to_bytes(2, "big") + TRACKS[9:], ["too_long"]),
    (TRACKS[:7] + (37 * 27).to_bytes(2, "big") + TRACKS[9:], ["truncated"]),
    (TRACKS[:7] + b"\x01\x94" + TRACKS[9:], ["malformed"]),
    (REPORT[:6] + b"\x01" + REPORT[7:], ["malformed"]),
    (REPORT[:7] + b"\x15" + REPORT[8:], ["malformed"]),
    (REPORT[:7] + b"\x21" + REPORT[8:], ["malformed"]),
    (b"$" + bytes(9), ["malformed"]),
])  # fmt: skip
def test_what_comes_out_of_a_line(data: bytes, wanted: list[str]) -> None:
    assert outcome(data) == wanted


def test_one_broken_frame_is_one_refusal_however_many_marks_are_in_it() -> None:
    data = bytearray(REPORT)
    data[17] = 0x75  # minutes
    data[30:36] = b"$($(($"
    assert outcome(bytes(data)) == ["malformed"]


def test_a_good_frame_inside_a_broken_one_is_found() -> None:
    assert outcome(b"$\x80\x00\x62\x00\x11\x19\x11\x00\x34" + ALIVE + b"\r\n" * 20) == [
        "truncated",
        "heartbeat",
    ]


def test_an_alarm_is_told_by_the_call_that_brings_its_last_byte() -> None:
    reader = Jt701Reader()
    assert reader.feed(REPORT[:-1], NOW_MS) == []
    [report] = reader.feed(REPORT[-1:], NOW_MS + 5)
    assert isinstance(report, SealReport)
    assert report.at_ms == NOW_MS + 5


def test_half_a_frame_is_not_joined_with_what_comes_much_later() -> None:
    reader = Jt701Reader()
    reader.feed(REPORT[:30], NOW_MS)
    deadline = reader.next_deadline()
    assert deadline == NOW_MS + 10_000
    assert [type(fact) for fact in reader.wake(deadline)] == [Odd]
    assert reader.next_deadline() is None
    facts = reader.feed(REPORT[30:] + ALIVE, deadline)
    assert [type(fact) for fact in facts if not isinstance(fact, Odd)] == [SealAlive]


def test_late_bytes_end_the_half_frame_even_if_nobody_woke_the_reader() -> None:
    reader = Jt701Reader()
    reader.feed(REPORT[:30], NOW_MS)
    facts = reader.feed(REPORT, NOW_MS + 60_000)
    assert [type(fact) for fact in facts] == [Odd, SealReport]


def test_a_slow_line_completes_its_frame() -> None:
    reader = Jt701Reader()
    facts: list[Fact] = []
    for number, byte in enumerate(REPORT):
        facts += reader.feed(bytes([byte]), NOW_MS + number * 9_000)
    assert [type(fact) for fact in facts] == [SealReport]


pieces = st.one_of(
    st.sampled_from([*FRAMES, *BROKEN, ALIVE, REPORT[:30], REPORT[:-3], b"$", b"(", b"\r\n"]),
    st.binary(max_size=40),
)


@settings(max_examples=100)
@given(st.lists(pieces, max_size=8), st.lists(st.integers(1, 80), min_size=1, max_size=20))
def test_any_cutting_gives_the_same_facts_and_counters(
    parts: list[bytes], sizes: list[int]
) -> None:
    data = b"".join(parts)
    whole, cut = Jt701Reader(), Jt701Reader()
    facts = whole.feed(data, NOW_MS)
    got: list[Fact] = []
    at, turn = 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        got += cut.feed(data[at : at + size], NOW_MS)
        at, turn = at + size, turn + 1
    assert got == facts
    assert cut.wake(NOW_MS + 10_000) == whole.wake(NOW_MS + 10_000)
    assert cut.counters == whole.counters


@settings(max_examples=100)
@given(st.binary(max_size=600))
def test_random_bytes_raise_nothing_and_make_no_report(data: bytes) -> None:
    reader = Jt701Reader()
    facts = reader.feed(data, NOW_MS) + reader.wake(NOW_MS + 10_000)
    assert all(isinstance(fact, Odd) for fact in facts)


@settings(max_examples=100)
@given(st.sampled_from(FRAMES), st.data())
def test_damaged_frames_raise_nothing(frame: bytes, data: st.DataObject) -> None:
    damaged = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    reader = Jt701Reader()
    facts = reader.feed(bytes(damaged) + ALIVE, NOW_MS) + reader.wake(NOW_MS + 10_000)
    assert facts


@pytest.mark.long
@pytest.mark.parametrize("unit", [b"$", b"(", REPORT[:10], b"(8000620011,", TRACKS[:9], b"\x00"])
def test_memory_stays_small_whatever_is_fed(unit: bytes) -> None:
    reader = Jt701Reader()
    chunk = unit * (8_192 // len(unit))
    reader.feed(chunk, NOW_MS)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for turn in range(4):
        reader.feed(chunk, NOW_MS + turn)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held < 16_384
    assert sum(sys.getsizeof(value) for value in vars(reader._framer).values()) < 8_192


@pytest.mark.parametrize("data", [
    b"(8000620011,P52,2,113271",
    b"(8000620011,P52,2,113271(8000620011,@JT)",
    b"(8000620011,P44,113271,888888(",
    b"(8000620011,X52,2,113271(",
    b"(8000620011,P52-2-113271-" + b"\xff" * 9 + b")",
    b"(8000620011,P45,051124,P52,2,113271)",
    b"(8000620011,P43,113271\xff)",
    REPORT[:25] + b"(8000620011,P52,2,113271",
    REPORT[:25] + b"(8000620099,P52,2,113271)" + REPORT,
    b"(113271)",
    b"(P52,3,113271)",
])  # fmt: skip
def test_no_sample_holds_a_password(data: bytes) -> None:
    reader = Jt701Reader()
    facts = reader.feed(data, NOW_MS) + reader.wake(NOW_MS + 10_000)
    odd = [fact for fact in facts if isinstance(fact, Odd)]
    assert odd
    assert all(b"3271" not in fact.sample and len(fact.sample) <= 64 for fact in odd)


def test_a_reason_is_shown_at_most_once_in_ten_seconds_and_counted_each_time() -> None:
    reader = Jt701Reader()
    bad = b"(8000620011,P45,1)"
    shown = [len(reader.feed(bad, NOW_MS + after_ms)) for after_ms in (0, 1, 9_999, 10_000, 19_999)]
    assert shown == [1, 0, 0, 1, 0]
    assert reader.counters["malformed"] == 5


def test_the_reasons_have_their_own_turns() -> None:
    reader = Jt701Reader()
    facts = reader.feed(b"(8000620011,P45,1)" + ALIVE[:-1] + ALIVE, NOW_MS)
    assert [fact.reason for fact in facts if isinstance(fact, Odd)] == [
        Reason.MALFORMED.value,
        Reason.TRUNCATED.value,
    ]
