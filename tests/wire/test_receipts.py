"""Receipts: what covers, and what is only heard."""

import pytest
from hypothesis import given, strategies as st

from tests.wire.keys import UNIT, private_key, public_key
from wire import MisuseError, Reason, Refused
from wire.envelope import kid_of
from wire.receipts import ChainKnown, Receipt, RefusedReceipt, judge, make

RECEIPT_KEY = private_key("collector receipt")
RECEIPT_PUBLIC = public_key("collector receipt")
PINNED = {kid_of(RECEIPT_PUBLIC): RECEIPT_PUBLIC}
CHAIN = b"c" * 16
HEADS = {number: bytes([number]) * 32 for number in range(5)}
KNOWN = {CHAIN: ChainKnown(covered=1, newest=4, head_at=HEADS.get)}


def receipt(
    number: int, head: bytes | None = None, chain_id: bytes = CHAIN, unit_id: str = UNIT
) -> Receipt:
    return Receipt(
        unit_id=unit_id,
        chain_id=chain_id,
        through_batch_no=number,
        head=head if head is not None else HEADS.get(number, b"x" * 32),
        received_ms=7,
    )


def heard(word: Receipt) -> Receipt | Refused:
    message = make(word, kid_of(RECEIPT_PUBLIC), RECEIPT_KEY.sign)
    return judge(message, unit_id=UNIT, receipt_keys=PINNED, chains=KNOWN)


def test_a_receipt_above_what_is_covered_is_believed() -> None:
    assert heard(receipt(3)) == receipt(3)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        (receipt(1), Reason.STALE),
        (receipt(5), Reason.AHEAD),
        (receipt(3, b"other" + bytes(27)), Reason.HEAD_MISMATCH),
        (receipt(3, chain_id=b"d" * 16), Reason.UNKNOWN_CHAIN),
    ],
)
def test_a_word_that_does_not_fit_is_told_with_what_it_said(word: Receipt, reason: Reason) -> None:
    refused = heard(word)
    assert isinstance(refused, RefusedReceipt)
    assert (refused.reason, refused.receipt) == (reason, word)


def test_a_receipt_for_another_unit_is_not_ours() -> None:
    refused = heard(receipt(3, unit_id="uz-other"))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.WRONG_UNIT


def test_we_sign_no_receipt_that_a_unit_cannot_read() -> None:
    with pytest.raises(MisuseError):
        make(receipt(3, b"short"), kid_of(RECEIPT_PUBLIC), RECEIPT_KEY.sign)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert isinstance(judge(data, unit_id=UNIT, receipt_keys=PINNED, chains=KNOWN), Refused)
