"""Hello and state: what a unit admits, and the hint that it is there."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from tests.wire.keys import KEYS, UNIT, UNIT_KEY, UNIT_KID
from wire import LIM, MisuseError, Refused
from wire.hello import Hello, SoundHello, State, decode_state, encode_state, judge, make
from wire.topics import Up, up

HELLO = Hello(
    unit_id=UNIT,
    chain_id=b"c" * 16,
    batch_no=9,
    seq=700,
    head=b"h" * 32,
    at_ms=1,
    seen=(5, b"r" * 32),
    oldest=10,
    boot_no=1,
    time_quality=3,
    mono_ms=2,
    nonce=b"",
    program="plomba/0.1",
)


def test_a_hello_says_what_was_put_in() -> None:
    verdict = judge(make(HELLO, UNIT_KID, UNIT_KEY.sign), up(UNIT, Up.HELLO), KEYS.get)
    assert isinstance(verdict, SoundHello)
    assert verdict.hello == HELLO


@pytest.mark.parametrize(
    "change",
    [
        {"oldest": 11},
        {"nonce": b"short"},
        {"program": "p" * 33},
        {"seen": (0, b"r" * 32)},
        {"time_quality": 4},
        {"seq": LIM},
        {"head": b"h"},
        {"unit_id": "UZ"},
    ],
)
def test_we_say_no_hello_that_a_collector_would_refuse(change: dict[str, object]) -> None:
    with pytest.raises(MisuseError):
        make(replace(HELLO, **change), UNIT_KID, UNIT_KEY.sign)  # type: ignore[arg-type]  # wrong on purpose


@given(
    st.booleans(),
    st.integers(0, 1 << 31),
    st.binary(min_size=8, max_size=8),
    st.integers(0, LIM - 1),
)
def test_a_state_is_read_again(is_up: bool, boot_no: int, connection: bytes, at_ms: int) -> None:  # noqa: FBT001  # hypothesis hands it in
    state = State(up=is_up, boot_no=boot_no, connection=connection, at_ms=at_ms)
    assert decode_state(encode_state(state)) == state


@given(st.binary(max_size=80))
def test_any_bytes_are_a_state_or_refused(data: bytes) -> None:
    assert isinstance(decode_state(data), State | Refused)
