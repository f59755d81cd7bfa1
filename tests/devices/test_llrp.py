"""The LLRP child's lines: a tag, a sign of life, a fault; anything else has its reason."""

import json
import tracemalloc

import pytest
from hypothesis import given, settings, strategies as st

from devices import READER_MEMORY_BYTES_MAX, Fact, MisuseError, Odd, ReaderAnswer, TagRead
from devices.llrp import LlrpReader
from tests.devices.cutting import NOW_MS, check_any_cutting, check_each_offset, cut_at, feed

TAG = (
    b'{"EPC":"3034257bf7194e4000001a85","PeakRSSI":-52,"AntennaID":2,"TagSeenCount":3,'
    b'"LastSeenTimestampUTC":1803877210000000}\n'
)
ALIVE = b'{"alive":true}\n'
FAULT = b'{"fault":"ConnectionRefusedError: [Errno 111]"}\n'


def make() -> LlrpReader:
    return LlrpReader(name="portal")


def tag(**fields: object) -> bytes:
    said = {"EPC": "3034", "PeakRSSI": -52, "AntennaID": 2, "TagSeenCount": 3} | fields
    return json.dumps({k: v for k, v in said.items() if v is not None}).encode() + b"\n"


def test_a_tag_is_told_as_on_the_air() -> None:
    assert make().feed(TAG, NOW_MS) == [
        TagRead(
            at_ms=NOW_MS,
            epc=bytes.fromhex("3034257BF7194E4000001A85"),
            pc=None,
            rssi_cdbm=-5_200,
            antenna=2,
            count=3,
            reader="portal",
        )
    ]


@settings(max_examples=100)
@given(st.binary(max_size=62), st.integers(-128, 127), st.integers(0, 65_535))
def test_any_epc_comes_back(epc: bytes, rssi_dbm: int, antenna: int) -> None:
    [read] = make().feed(tag(EPC=epc.hex(), PeakRSSI=rssi_dbm, AntennaID=antenna), NOW_MS)
    assert isinstance(read, TagRead)
    assert (read.epc, read.rssi_cdbm, read.antenna) == (epc, rssi_dbm * 100, antenna)


@pytest.mark.parametrize(("fields", "bad"), [
    ({"PeakRSSI": None, "AntennaID": None, "TagSeenCount": None}, 0),
    ({"PeakRSSI": "-52", "AntennaID": True, "TagSeenCount": 0}, 3),
    ({"PeakRSSI": -129, "AntennaID": 65_536, "TagSeenCount": 1.5}, 3),
])  # fmt: skip
def test_what_is_not_said_or_cannot_be_is_none(fields: dict[str, object], bad: int) -> None:
    reader = make()
    [read] = reader.feed(tag(**fields), NOW_MS)
    assert isinstance(read, TagRead)
    assert (read.rssi_cdbm, read.antenna, read.count) == (None, None, 1)
    assert reader.counters["bad_field"] == bad


def test_a_sign_of_life_is_counted_and_no_fact() -> None:
    reader = make()
    assert reader.feed(ALIVE, NOW_MS) == []
    assert reader.counters["frames"] == 1


def test_a_fault_is_an_answer_that_says_no() -> None:
    [answer] = make().feed(FAULT, NOW_MS)
    assert answer == ReaderAnswer(
        at_ms=NOW_MS,
        command="connect",
        ok=False,
        values=("ConnectionRefusedError: [Errno 111]",),
    )


@pytest.mark.parametrize(("line", "reason"), [
    (b"Traceback (most recent call last):", "malformed"),
    (b"\xff", "malformed"),
    (b"[]", "malformed"),
    (b"{}", "malformed"),
    (b'{"alive":1}', "malformed"),
    (b'{"EPC":"303"}', "malformed"),
    (b'{"EPC":"zz"}', "malformed"),
    (b'{"EPC":12}', "malformed"),
    (b'{"EPC":"' + b"30" * 63 + b'"}', "malformed"),
    (b'{"EPC":"30","x":' + b"[]," * 20 + b"0}", "malformed"),
    (b"[" * 1_000, "malformed"),
    (b'{"EPC":"30","x":' + b"9" * 2_000 + b"}", "too_long"),
    (b"x" * 9_000, "too_long"),
])  # fmt: skip
def test_a_line_that_means_nothing_has_its_reason_and_the_next_is_read(
    line: bytes, reason: str
) -> None:
    reader = make()
    odd, read = reader.feed(line + b"\n" + TAG, NOW_MS)
    assert isinstance(odd, Odd)
    assert (odd.reason, odd.sample) == (reason, line[:64])
    assert isinstance(read, TagRead)
    assert reader.counters[reason] == 1


def test_half_a_line_of_a_dead_child_is_none() -> None:
    reader = make()
    reader.feed(TAG[:20], NOW_MS)
    assert reader.close(NOW_MS) == []
    assert len(reader.feed(TAG, NOW_MS)) == 1
    assert reader.counters["malformed"] == 0


def test_two_pieces_give_the_same_facts_and_counters_at_each_offset() -> None:
    check_each_offset(make, ALIVE + TAG + b"junk\r\n" + FAULT)


def test_all_lines_in_a_row_mean_the_same_however_they_are_cut() -> None:
    edges = [
        b"y" * size + end for size in range(1_022, 1_027) for end in (b"\n", b"\r\n", b"\rz\n")
    ]
    check_any_cutting(make, TAG + ALIVE + b"".join(edges) + FAULT + TAG[:30])


pieces = st.one_of(
    st.sampled_from([TAG, ALIVE, FAULT, TAG[:40], b"\n", b"\r\n"]),
    st.binary(max_size=40),
    st.integers(1_000, 1_100).map(lambda size: b"y" * size),
)


@settings(max_examples=100)
@given(st.lists(pieces, max_size=8), st.lists(st.integers(0, 4_000), max_size=20))
def test_any_cutting_gives_the_same_facts_and_counters(
    parts: list[bytes], places: list[int]
) -> None:
    data = b"".join(parts)
    assert feed(make, cut_at(data, places)) == feed(make, [data])


@pytest.mark.parametrize("line", [b"x" * 100_000, b"[" * 1_000 + b"\n", b"{}," * 300 + b"\n"])
def test_memory_stays_small_whatever_is_fed(line: bytes) -> None:
    reader = make()
    reader.feed(TAG + line, NOW_MS)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    reader.feed(line, NOW_MS + 1)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < READER_MEMORY_BYTES_MAX


def test_no_order_can_be_said() -> None:
    reader = make()
    with pytest.raises(MisuseError):
        reader.order("stop", NOW_MS)
    facts: list[Fact] = reader.wake(NOW_MS)
    assert (facts, reader.take_bytes(), reader.next_deadline()) == ([], b"", None)
