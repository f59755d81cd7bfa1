from random import Random

import pytest
from hypothesis import given, strategies as st

from firmware_sim.cable import DAMAGE, FAULT_KINDS, Cable, FaultSpec, at_wrong_rate

LINE = b"$GPGLL,,,,,,V,N*64\r\n"


def cable(kind: str, per_hour: float = 3600, seed: int = 1) -> Cable:
    spec = FaultSpec(device="gps", kind=kind, per_hour=per_hour, from_ms=0, to_ms=3_600_000)
    return Cable([(spec, Random(seed))])


def test_a_line_takes_ten_bits_a_byte() -> None:
    struck = Cable([]).carry(1000, b"x" * 96, 9600)
    assert (struck.at_ms, struck.data, struck.faults) == (1100, b"x" * 96, ())


def test_lines_wait_for_the_one_before_them() -> None:
    line = Cable([])
    assert [line.carry(0, b"x" * 96, 9600).at_ms for _ in range(3)] == [100, 200, 300]


@pytest.mark.parametrize("kind", sorted(DAMAGE))
def test_each_fault_changes_the_line_that_it_strikes(kind: str) -> None:
    for seed in range(50):
        assert DAMAGE[kind](LINE, Random(seed)) != LINE


def test_a_bad_checksum_leaves_the_line_whole_but_for_two_digits() -> None:
    damaged = DAMAGE["bad_checksum"](LINE, Random(1))
    assert damaged[:-4] == LINE[:-4]
    assert damaged[-2:] == b"\r\n"


FRAMES = {  # one of each device
    "gps": LINE,
    "ubx": bytes.fromhex("B56201030000040D"),
    "jt701 binary": bytes.fromhex("24800062001119110023") + bytes(52),
    "jt701 text": b"(8000620011,@JT)",
    "eseal": b"##S,eSeal,1234567,256,3.0.8,RC-Unlock ACK,,E##\r\n",
    "rfid": bytes.fromhex("BB01FF000115167E"),
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("kind", sorted(DAMAGE))
def test_each_fault_changes_the_frame_of_each_device(kind: str, name: str) -> None:
    for seed in range(50):
        assert DAMAGE[kind](FRAMES[name], Random(seed)) != FRAMES[name]


def test_a_tag_frame_with_a_bad_checksum_ends_as_it_should() -> None:
    frame = FRAMES["rfid"]
    damaged = DAMAGE["bad_checksum"](frame, Random(1))
    assert (damaged[:-2], damaged[-1:]) == (frame[:-2], frame[-1:])
    assert damaged[-2] != frame[-2]


def test_merged_lines_lose_their_end() -> None:
    assert DAMAGE["merged_lines"](LINE, Random(1)) == LINE[:-2]
    assert DAMAGE["merged_lines"](FRAMES["rfid"], Random(1)) == FRAMES["rfid"][:-1]


def test_a_delay_holds_this_line_and_those_behind_it() -> None:
    line = cable("delay", per_hour=0.001)
    assert line.carry(0, b"x" * 96, 9600).at_ms == 100
    late = Cable(
        [
            (
                FaultSpec(
                    device="gps", kind="delay", per_hour=1e9, from_ms=0, to_ms=1, delay_ms=400
                ),
                Random(1),
            )
        ]
    )
    assert late.carry(0, b"x" * 96, 9600).at_ms == 500
    assert late.carry(100, b"x" * 96, 9600).at_ms == 600


def test_faults_come_as_often_as_asked_and_only_in_their_time() -> None:
    spec = FaultSpec(device="gps", kind="noise", per_hour=360, from_ms=600_000, to_ms=4_200_000)
    line = Cable([(spec, Random(5))])
    struck = [at_s for at_s in range(7200) if line.carry(at_s * 1000, LINE, 9600).faults]
    assert min(struck) >= 600
    assert max(struck) < 4200
    assert len(struck) == pytest.approx(360, rel=0.2)


def test_the_right_rate_changes_nothing() -> None:
    assert at_wrong_rate(LINE, 9600, 9600) == LINE


@pytest.mark.parametrize("heard", [4800, 19200, 38400, 115200, 300])
def test_a_wrong_rate_makes_garbage(heard: int) -> None:
    garbage = at_wrong_rate(LINE * 10, 9600, heard)
    assert garbage
    assert b"$GP" not in garbage
    assert (len(garbage) < len(LINE) * 10) == (heard < 9600) or heard > 9600


def test_a_slow_listener_hears_fewer_bytes_and_a_quick_one_more() -> None:
    zeros = bytes(100)
    assert len(at_wrong_rate(zeros, 9600, 4800)) < 100
    assert len(at_wrong_rate(LINE * 5, 9600, 115200)) > len(LINE) * 5


@given(st.binary(max_size=60), st.sampled_from([300, 4800, 9600, 38400, 921600]))
def test_any_bytes_at_any_rate_are_heard_somehow_and_alike(data: bytes, heard: int) -> None:
    assert at_wrong_rate(data, 9600, heard) == at_wrong_rate(data, 9600, heard)
    assert len(at_wrong_rate(data, 9600, heard)) <= len(data) * max(heard // 9600, 1) * 10


@given(st.integers(0, 1_000), st.binary(min_size=1, max_size=12))
def test_all_faults_at_once_may_strike_the_same_line(seed: int, data: bytes) -> None:
    faults = [
        (FaultSpec(device="gps", kind=kind, per_hour=1e9, from_ms=0, to_ms=10_000), Random(seed))
        for kind in FAULT_KINDS
    ]
    line = Cable(faults)
    assert [set(line.carry(at_ms, data, 9600).faults) for at_ms in (5, 10)] == [
        set(FAULT_KINDS)
    ] * 2
