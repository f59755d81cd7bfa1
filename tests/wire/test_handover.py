"""The hand-over code: 92 bytes, signed, in a QR's own alphabet (WIRE section 15)."""

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, strategies as st

from wire import MisuseError, Reason, Refused
from wire.handover import STATEMENT_BYTES, Statement, make, read, url, verify

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
HEAD = bytes(range(32))
U32 = st.integers(0, 2**32 - 1)


def code(number: int = 7, batch_no: int = 41, at_s: int = 1_795_330_002) -> bytes:
    return make(unit_number=number, batch_no=batch_no, head=HEAD, at_s=at_s, sign=KEY.sign)


def said(text: str) -> Statement:
    statement = read(text.rsplit("/", 1)[1])
    assert isinstance(statement, Statement)
    return statement


def test_the_layout_is_that_of_the_paper() -> None:
    data = code()
    assert len(data) == STATEMENT_BYTES
    assert data[:28].hex() == "00000007" + "00000029" + HEAD[:16].hex() + "6b028fd2"
    KEY.public_key().verify(data[28:], b"plomba/handover/1\x00" + data[:28])


@given(U32, U32, U32)
def test_what_is_made_is_read_and_holds(number: int, batch_no: int, at_s: int) -> None:
    statement = said(url("centre.example.uz", code(number, batch_no, at_s)))
    assert (statement.unit_number, statement.batch_no, statement.at_s) == (number, batch_no, at_s)
    assert statement.head == HEAD[:16]
    assert verify(statement, PUBLIC)


def test_the_address_is_of_a_qrs_dense_alphabet_and_small_letters_are_read_too() -> None:
    text = url("centre.example.uz", code())
    assert re.fullmatch(r"HTTPS://CENTRE\.EXAMPLE\.UZ/O/H/[A-Z2-7]{148}", text)
    assert said(text) == said(text.lower())


def test_one_flipped_bit_anywhere_is_refused_or_does_not_hold() -> None:
    data = code()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not verify(said(url("h", bytes(flipped))), PUBLIC), bit


@pytest.mark.parametrize("text", ["", "A" * 147, "A" * 149, "1" * 148, "Ä" * 148, "A" * 147 + "B"])
def test_what_is_no_statement_is_refused(text: str) -> None:
    refused = read(text)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.BAD_PAYLOAD


def test_a_number_without_room_is_our_mistake() -> None:
    for number, batch_no, at_s in ((2**32, 0, 0), (0, -1, 0), (0, 0, 2**32)):
        with pytest.raises(MisuseError):
            code(number, batch_no, at_s)
    with pytest.raises(MisuseError):
        make(unit_number=1, batch_no=1, head=b"", at_s=1, sign=KEY.sign)
