"""A unit's request to be let in, and to have its certificate renewed (EVIDENCE section 3).

Law: the request proves that its sender holds the evidence key that it names, and nothing else. HTTPS only, never on a topic.
"""

from dataclasses import dataclass

from wire import LIM, MisuseError, Reason, Refused
from wire.batch import read_array
from wire.canon import encode
from wire.envelope import Aad, Signer, kid_of, open_envelope, seal, verify

FORMAT = 1
SERIAL_CHARS_MAX = 64
NONCE_BYTES = 16
UNIT_CHARS_MAX = 64  # what is no unit_id is refused later, by its own name
NO_TOKEN = bytes(32)  # of a renewal: the enrolled key speaks for itself

_TYPES = [int, bytes, str, bytes, bytes, str, bytes, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What stands in the payload."""

    token_sha256: bytes
    unit_id: str
    public_key: bytes  # evidence key, 32 bytes, raw
    spki_sha256: bytes  # of the TLS key's SubjectPublicKeyInfo
    hardware: str  # serial number of the box
    nonce: bytes  # 16 bytes: by it the unit asks again
    at_ms: int

    @property
    def kid(self) -> bytes:
        return kid_of(self.public_key)


def make(request: Request, sign: Signer) -> bytes:
    """The envelope of `request`, signed with the key that it names; MisuseError if no collector would read it."""
    message = seal(_payload(request), Aad.ENROL, request.kid, sign)
    read = open_request(message)
    if isinstance(read, Refused):
        raise MisuseError(f"not to be sent: {read.reason.value}, {read.detail}")
    return message


def open_request(message: bytes) -> Request | Refused:
    """Form, size, and the signature by the key in the payload, whose kid must fit (rows 2 to 10 of WIRE section 8)."""
    opened = open_envelope(message, Aad.ENROL)
    if isinstance(opened, Refused):
        return opened
    values = read_array(opened.payload, FORMAT)
    if isinstance(values, Refused):
        return values
    if [type(value) for value in values] != _TYPES:
        return Refused(reason=Reason.BAD_PAYLOAD, detail="not the eight fields of a request")
    _, token, unit_id, public_key, spki, hardware, nonce, at_ms = values
    assert isinstance(token, bytes)
    assert isinstance(unit_id, str)
    assert isinstance(public_key, bytes)
    assert isinstance(spki, bytes)
    assert isinstance(hardware, str)
    assert isinstance(nonce, bytes)
    assert isinstance(at_ms, int)
    sizes = (len(token), len(public_key), len(spki), len(nonce))
    if sizes != (32, 32, 32, NONCE_BYTES) or not 0 <= at_ms < LIM:
        return Refused(reason=Reason.OUT_OF_RANGE, detail="a length, or the time")
    if len(hardware) > SERIAL_CHARS_MAX or len(unit_id) > UNIT_CHARS_MAX:
        return Refused(reason=Reason.OUT_OF_RANGE, detail="a text is too long")
    if kid_of(public_key) != opened.kid:
        return Refused(reason=Reason.UNKNOWN_KEY, detail="kid is not that of the key inside")
    if not verify(opened, Aad.ENROL, public_key):
        return Refused(reason=Reason.BAD_SIGNATURE, detail=f"kid {opened.kid.hex()}")
    return Request(
        token_sha256=token,
        unit_id=unit_id,
        public_key=public_key,
        spki_sha256=spki,
        hardware=hardware,
        nonce=nonce,
        at_ms=at_ms,
    )


def _payload(request: Request) -> bytes:
    return encode(
        (
            FORMAT,
            request.token_sha256,
            request.unit_id,
            request.public_key,
            request.spki_sha256,
            request.hardware,
            request.nonce,
            request.at_ms,
        )
    )
