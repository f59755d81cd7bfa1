"""The collector's word that batches are committed (WIRE section 13, R1).

Law: a unit deletes for nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wire import LIM, MisuseError, Reason, Refused
from wire.batch import read_array
from wire.canon import encode
from wire.envelope import Aad, Signer, open_envelope, seal, verify
from wire.topics import is_unit_id

FORMAT = 1

_U32 = (1 << 32) - 1
_TYPES = [int, str, bytes, int, bytes, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """All batches of this chain up to this number, closed holes apart, are committed."""

    unit_id: str
    chain_id: bytes
    through_batch_no: int
    head: bytes
    received_ms: int  # the collector's clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainKnown:
    """What the unit knows of one of its chains."""

    covered: int  # newest number that a receipt covers; -1: none
    newest: int  # newest number that was ever sealed in it
    head_at: Callable[[int], bytes | None]  # None where the batch is no longer held


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedReceipt(Refused):
    """A receipt that is genuinely the collector's and yet may cover nothing: AHEAD, STALE, HEAD_MISMATCH, UNKNOWN_CHAIN."""

    receipt: Receipt


def make(receipt: Receipt, kid: bytes, sign: Signer) -> bytes:
    """The envelope of `receipt`, signed with the receipt key; MisuseError if no unit would take it."""
    payload = encode(
        (
            FORMAT,
            receipt.unit_id,
            receipt.chain_id,
            receipt.through_batch_no,
            receipt.head,
            receipt.received_ms,
        )
    )
    read = read_payload(payload)
    if isinstance(read, Refused):
        raise MisuseError(f"not to be signed: {read.reason.value}, {read.detail}")
    return seal(payload, Aad.RECEIPT, kid, sign)


def judge(
    message: bytes,
    *,
    unit_id: str,
    receipt_keys: Mapping[bytes, bytes],
    chains: Mapping[bytes, ChainKnown],
) -> Receipt | Refused:
    """What the unit may believe of a message on `receipt`, checked in the order of WIRE section 13.

    `receipt_keys`: the pinned public keys by kid. RefusedReceipt where the word is the collector's and does not fit ours.
    """
    opened = open_envelope(message, Aad.RECEIPT)
    if isinstance(opened, Refused):
        return opened
    public_key = receipt_keys.get(opened.kid)
    if public_key is None:
        return _refused(
            Reason.UNKNOWN_KEY, f"kid {opened.kid.hex()} is not pinned as a receipt key"
        )
    if not verify(opened, Aad.RECEIPT, public_key):
        return _refused(Reason.BAD_SIGNATURE, f"kid {opened.kid.hex()}")
    receipt = read_payload(opened.payload)
    if isinstance(receipt, Refused):
        return receipt
    if receipt.unit_id != unit_id:
        return _refused(Reason.WRONG_UNIT, f"for {receipt.unit_id}")
    known = chains.get(receipt.chain_id)
    if known is None:
        return _no(receipt, Reason.UNKNOWN_CHAIN, f"chain {receipt.chain_id.hex()} is not ours")
    number = receipt.through_batch_no
    if number <= known.covered:
        return _no(receipt, Reason.STALE, f"{number}, covered through {known.covered}")
    if number > known.newest:
        return _no(receipt, Reason.AHEAD, f"{number}, our newest is {known.newest}")
    if known.head_at(number) != receipt.head:
        return _no(receipt, Reason.HEAD_MISMATCH, f"head of {number} is another")
    return receipt


def read_payload(payload: bytes) -> Receipt | Refused:
    """The fields of a receipt: rows 7 to 10 of WIRE section 8."""
    values = read_array(payload, FORMAT)
    if isinstance(values, Refused):
        return values
    if [type(value) for value in values] != _TYPES:
        return _refused(
            Reason.BAD_PAYLOAD, "not [1, unit_id, chain_id, through_batch_no, head, received_ms]"
        )
    _, unit_id, chain_id, number, head, received_ms = values
    assert isinstance(unit_id, str)
    assert isinstance(chain_id, bytes)
    assert isinstance(number, int)
    assert isinstance(head, bytes)
    assert isinstance(received_ms, int)
    if not (is_unit_id(unit_id) and len(chain_id) == 16 and len(head) == 32):
        return _refused(Reason.OUT_OF_RANGE, "form of unit_id, length of chain_id or head")
    if not (0 <= number <= _U32 and 0 <= received_ms < LIM):
        return _refused(
            Reason.OUT_OF_RANGE, f"through_batch_no {number} or received_ms {received_ms}"
        )
    return Receipt(
        unit_id=unit_id,
        chain_id=chain_id,
        through_batch_no=number,
        head=head,
        received_ms=received_ms,
    )


def _refused(reason: Reason, detail: str) -> Refused:
    return Refused(reason=reason, detail=detail)


def _no(receipt: Receipt, reason: Reason, detail: str) -> RefusedReceipt:
    return RefusedReceipt(reason=reason, detail=detail, receipt=receipt)
