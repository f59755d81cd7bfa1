"""What a unit hands to whoever stands beside it: a signed statement of its newest batch, made for a QR (WIRE section 15).

Law: 92 bytes, and every other length is refused. It proves what the unit said at that time, not that it says all.
"""

from base64 import b32decode, b32encode
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wire import MisuseError, Reason, Refused
from wire.envelope import Signer

HEAD_BYTES = 16  # the first of the head: enough to tell two branches apart
BODY_BYTES = 28
STATEMENT_BYTES = 92
TEXT_CHARS = 148  # base32 of 92 bytes without its padding
PATH = "/O/H/"

_AAD = b"plomba/handover/1\x00"
_PADDING = "====="  # 148 characters are 4 short of a group of 8, and say so by it
_U32 = (1 << 32) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What the unit says; `signature` is over all of it."""

    unit_number: int  # the collector's number of the unit, given at enrolment
    batch_no: int
    head: bytes  # the first 16 bytes
    at_s: int
    signature: bytes


def make(*, unit_number: int, batch_no: int, head: bytes, at_s: int, sign: Signer) -> bytes:
    """The 92 bytes; MisuseError for a number that has no room."""
    if not (0 <= unit_number <= _U32 and 0 <= batch_no <= _U32 and 0 <= at_s <= _U32):
        raise MisuseError(f"unit {unit_number}, batch {batch_no}, time {at_s}: each is 0 to 2^32-1")
    if len(head) < HEAD_BYTES:
        raise MisuseError(f"head of {len(head)} bytes, is 32")
    body = b"".join(
        (
            unit_number.to_bytes(4, "big"),
            batch_no.to_bytes(4, "big"),
            head[:HEAD_BYTES],
            at_s.to_bytes(4, "big"),
        )
    )
    return body + sign(_AAD + body)


def url(host: str, statement: bytes) -> str:
    """What the QR says: capitals and digits only, which a QR packs tightest."""
    return f"HTTPS://{host.upper()}{PATH}{b32encode(statement).decode().rstrip('=')}"


def read(text: str) -> Statement | Refused:
    """The statement in the last part of such an address, in capitals or not; nothing is proved yet."""
    if len(text) != TEXT_CHARS or not text.isascii():
        return _bad(f"{len(text)} characters, is {TEXT_CHARS}")
    try:
        data = b32decode(text.upper() + _PADDING[: -len(text) % 8])
    except ValueError:
        return _bad("this is no base32")
    if b32encode(data).decode().rstrip("=") != text.upper():
        return _bad("bits behind the end are set")
    return Statement(
        unit_number=int.from_bytes(data[:4], "big"),
        batch_no=int.from_bytes(data[4:8], "big"),
        head=data[8:24],
        at_s=int.from_bytes(data[24:BODY_BYTES], "big"),
        signature=data[BODY_BYTES:],
    )


def verify(statement: Statement, public_key: bytes) -> bool:
    """Whether the unit with that evidence key said so."""
    body = b"".join(
        (
            statement.unit_number.to_bytes(4, "big"),
            statement.batch_no.to_bytes(4, "big"),
            statement.head,
            statement.at_s.to_bytes(4, "big"),
        )
    )
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(statement.signature, _AAD + body)
    except (InvalidSignature, ValueError):
        return False
    return True


def _bad(detail: str) -> Refused:
    return Refused(reason=Reason.BAD_PAYLOAD, detail=detail)
