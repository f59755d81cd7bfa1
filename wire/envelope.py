"""COSE_Sign1 in one fixed layout, read by slicing (WIRE section 2).

Law: no CBOR parser touches foreign bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wire import MisuseError, Reason, Refused

Signer = Callable[[bytes], bytes]  # signs bytes with an Ed25519 key, gives 64 bytes

ENVELOPE_BYTES_MAX = 86  # what an envelope adds to a payload of 256 bytes or more
PAYLOAD_BYTES_MIN = 24  # a shorter bstr would have another head; no payload of ours is shorter
KEYS_CACHED_MAX = 16_384  # public key objects, ~1 KiB each: one machine's fleet (SCALE section 6)

_HEAD = bytes.fromhex("d28443a10132a10448")  # tag 18, array of 4, {1: -19}, {4: bstr of 8}
_TAIL = bytes.fromhex("5840")
_SIGNED = b"\x84\x6aSignature1\x43\xa1\x01\x32"
_ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group, RFC 8032 section 5.1


class Aad(Enum):
    """What a signature speaks about: a signature under one name never holds under another."""

    BATCH = (b"plomba/batch/1", 32_768)
    HELLO = (b"plomba/hello/1", 512)
    RECEIPT = (b"plomba/receipt/1", 512)
    ORDER = (b"plomba/order/1", 12_288)
    ENROL = (b"plomba/enrol/1", 1_024)

    def __init__(self, text: bytes, payload_bytes_max: int) -> None:
        self.text = text
        self.payload_bytes_max = payload_bytes_max
        self.prefix = (
            _SIGNED + bytes([0x40 | len(text)]) + text
        )  # every name has less than 24 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An evidence key and whose it is."""

    unit_id: str
    public_key: bytes  # 32 bytes, raw
    revoked: bool = False


KeyOf = Callable[[bytes], Key | None]  # by kid


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An envelope of the right form; nothing is proved yet."""

    kid: bytes
    payload: bytes
    signature: bytes


def kid_of(public_key: bytes) -> bytes:
    """The first 8 bytes of SHA-256 over the raw public key (WIRE section 1)."""
    return sha256(public_key).digest()[:8]


def seal(payload: bytes, aad: Aad, kid: bytes, sign: Signer) -> bytes:
    """The envelope of `payload`, signed by `sign`, whose key is named by `kid`.

    Raises MisuseError for a payload that no receiver would take.
    """
    if not PAYLOAD_BYTES_MIN <= len(payload) <= aad.payload_bytes_max:
        raise MisuseError(
            f"payload of {len(payload)} bytes, {aad.name} takes {PAYLOAD_BYTES_MIN} to {aad.payload_bytes_max}"
        )
    if len(kid) != 8:
        raise MisuseError(f"kid of {len(kid)} bytes, is 8")
    signature = sign(_signed_bytes(payload, aad))
    if len(signature) != 64:
        raise MisuseError(f"signature of {len(signature)} bytes, is 64")
    return b"".join((_HEAD, kid, _bstr(payload), _TAIL, signature))


def open_envelope(message: bytes, aad: Aad) -> Opened | Refused:
    """The parts of `message`; TOO_BIG or BAD_ENVELOPE if its form is any other than the one allowed."""
    if len(message) > aad.payload_bytes_max + ENVELOPE_BYTES_MAX:
        return Refused(reason=Reason.TOO_BIG, detail=f"{len(message)} bytes for {aad.name}")
    if len(message) < 19 or message[:9] != _HEAD:
        return _bad("the fixed bytes at the beginning differ")
    form, size = message[17], message[18]
    begin = 19
    if form == 0x59:
        size = int.from_bytes(message[18:20], "big")
        begin = 20
        if size < 256:
            return _bad("length of the payload is not in its shortest form")
    elif form != 0x58 or size < PAYLOAD_BYTES_MIN:
        return _bad("length of the payload is not in its shortest form")
    end = begin + size
    if len(message) != end + 66:
        return _bad(f"{len(message)} bytes, {end + 66} by its length field")
    if message[end : end + 2] != _TAIL:
        return _bad("the fixed bytes before the signature differ")
    return Opened(kid=message[9:17], payload=message[begin:end], signature=message[end + 2 :])


def verify(opened: Opened, aad: Aad, public_key: bytes) -> bool:
    """True if `opened` was signed under `aad` by the key: RFC 8032, pure Ed25519, S below the group order."""
    if int.from_bytes(opened.signature[32:], "little") >= _ORDER:
        return False
    try:
        _key_object(public_key).verify(opened.signature, _signed_bytes(opened.payload, aad))
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _key_object(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)


def _signed_bytes(payload: bytes, aad: Aad) -> bytes:
    return aad.prefix + _bstr(payload)


def _bstr(data: bytes) -> bytes:
    if len(data) < 256:
        return bytes((0x58, len(data))) + data
    return b"\x59" + len(data).to_bytes(2, "big") + data


def _bad(detail: str) -> Refused:
    return Refused(reason=Reason.BAD_ENVELOPE, detail=detail)
