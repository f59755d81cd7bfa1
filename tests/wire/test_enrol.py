"""EVIDENCE section 3, step 2: a request proves the key that it names, and nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from tests.wire.keys import UNIT, UNIT_KEY, UNIT_PUBLIC, private_key, public_key
from wire import MisuseError, Reason, Refused
from wire.canon import encode
from wire.enrol import Request, make, open_request
from wire.envelope import Aad, kid_of, seal

REQUEST = Request(
    token_sha256=b"t" * 32,
    unit_id=UNIT,
    public_key=UNIT_PUBLIC,
    spki_sha256=b"s" * 32,
    hardware="PL-0042",
    nonce=b"n" * 16,
    at_ms=1_795_330_000_000,
)


def test_a_request_comes_back_as_it_was_made() -> None:
    assert open_request(make(REQUEST, UNIT_KEY.sign)) == REQUEST
    assert len(make(REQUEST, UNIT_KEY.sign)) < 300


def test_another_hand_another_kid_and_another_name_are_refused() -> None:
    other = private_key("somebody")
    with pytest.raises(MisuseError, match="BadSignature"):
        make(REQUEST, other.sign)
    payload = encode((1, b"t" * 32, UNIT, UNIT_PUBLIC, b"s" * 32, "", b"n" * 16, 5))
    strange = seal(payload, Aad.ENROL, kid_of(public_key("somebody")), UNIT_KEY.sign)
    refused = open_request(strange)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.UNKNOWN_KEY
    hello = seal(payload, Aad.HELLO, kid_of(UNIT_PUBLIC), UNIT_KEY.sign)
    refused = open_request(hello)  # signed as something else
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    "odd",
    [
        replace(REQUEST, token_sha256=b"t" * 31),
        replace(REQUEST, spki_sha256=b""),
        replace(REQUEST, nonce=b"n" * 15),
        replace(REQUEST, hardware="x" * 65),
        replace(REQUEST, unit_id="u" * 65),
        replace(REQUEST, at_ms=1 << 42),
        replace(REQUEST, at_ms=-1),
    ],
)
def test_a_length_or_time_that_is_no_request_is_never_sent(odd: Request) -> None:
    with pytest.raises(MisuseError, match="OutOfRange"):
        make(odd, UNIT_KEY.sign)


@given(st.integers(0, 2_200), st.integers(0, 7))
def test_any_flipped_bit_is_refused(at: int, bit: int) -> None:
    message = bytearray(make(REQUEST, UNIT_KEY.sign))
    message[at % len(message)] ^= 1 << bit
    assert isinstance(open_request(bytes(message)), Refused)


@given(st.binary(max_size=1_300))
def test_any_bytes_get_a_verdict(message: bytes) -> None:
    assert isinstance(open_request(message), Refused)
