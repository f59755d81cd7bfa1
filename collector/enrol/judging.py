"""May this request stand, and may this person approve it. Decides; stores nothing, reads no clock."""

import hmac
from collections.abc import Callable

from collector.enrol import Fault, Known, Standing, Why
from collector.enrol.certificates import Csr, read_csr
from collector.persons import same_person
from wire import Reason, Refused
from wire.enrol import NO_TOKEN, Request, open_request
from wire.envelope import Key
from wire.topics import is_unit_id

# All 32-byte strings that an Ed25519 library may read as a point of small order: y of order 1, 2, 4 and 8, each also
# unreduced, each with both signs. OpenSSL accepts signatures under them that nobody made.
_P = 2**255 - 19
_ORDER_8 = (
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
)
LOW_ORDER = frozenset(
    (y | sign << 255).to_bytes(32, "little")
    for y in (0, 1, _P - 1, _P, _P + 1, *_ORDER_8)
    for sign in (0, 1)
)

CSR_BYTES_MAX = 4_096  # a request for a P-256 key has 400

_SIGNATURE = (Reason.BAD_SIGNATURE, Reason.UNKNOWN_KEY)


def open_post(envelope: bytes, csr_pem: bytes) -> tuple[Request, bytes] | Fault:
    """Form, size and signature: as far as nothing must be looked up."""
    if len(csr_pem) > CSR_BYTES_MAX:
        return Fault(why=Why.BAD_FORM, detail=f"a csr of {len(csr_pem)} bytes")
    request = open_request(envelope)
    if isinstance(request, Refused):
        why = Why.BAD_SIGNATURE if request.reason in _SIGNATURE else Why.BAD_FORM
        return Fault(why=why, detail=f"{request.reason.value}: {request.detail}")
    return request, csr_pem


def judge_enrolment(request: Request, csr_pem: bytes, known: Known, now_ms: int) -> Csr | Fault:
    """The rest of the checks, in the order of EVIDENCE section 3, step 2."""
    fault = _token_fault(request, known, now_ms)
    if fault:
        return Fault(why=Why.BAD_TOKEN, detail=fault)
    if request.public_key in LOW_ORDER:
        return Fault(why=Why.LOW_ORDER, detail="the key proves nothing")
    if known.kid_taken:
        return Fault(why=Why.KID_TAKEN, detail=f"kid {request.kid.hex()} is or was another's")
    return _csr_of(request, csr_pem)


def judge_renewal(
    request: Request, csr_pem: bytes, key_of: Callable[[bytes], Key | None]
) -> Csr | Fault:
    """A renewal under the enrolled evidence key: its certificate has expired, so the key speaks."""
    if request.token_sha256 != NO_TOKEN:
        return Fault(why=Why.BAD_TOKEN, detail="a renewal bears no token")
    key = key_of(request.kid)
    if key is None or key.public_key != request.public_key or key.unit_id != request.unit_id:
        return Fault(why=Why.UNKNOWN_KEY, detail=f"kid {request.kid.hex()}")
    if key.revoked:
        return Fault(why=Why.REVOKED, detail=f"kid {request.kid.hex()}")
    return _csr_of(request, csr_pem)


def may_decide(asked_by: str, actor: str) -> str:
    """Why this person may not decide what another has asked for; empty: he may."""
    if same_person(asked_by, actor):
        return f"{actor} has asked for it: a second person decides"
    return ""


def is_open(standing: Standing, expires_ms: int, now_ms: int) -> bool:
    """Whether somebody may still decide about a request."""
    return standing is Standing.WAITING and now_ms < expires_ms


def _token_fault(request: Request, known: Known, now_ms: int) -> str:
    token = known.token
    # Compared again in constant time: the store has found it by an index, whose time tells how far it got.
    if token is None or not hmac.compare_digest(token.sha256, request.token_sha256):
        return "no such token"
    if token.used_ms is not None:
        return "used"
    if now_ms >= token.expires_ms:
        return "expired"
    return "" if token.unit_id == request.unit_id else f"it is for {token.unit_id}"


def _csr_of(request: Request, csr_pem: bytes) -> Csr | Fault:
    csr = read_csr(csr_pem)
    if isinstance(csr, str):
        return Fault(why=Why.BAD_CSR, detail=csr)
    if csr.spki_sha256 != request.spki_sha256:
        return Fault(why=Why.BAD_CSR, detail="its key is not the one that the evidence key names")
    if csr.common_name != request.unit_id:
        return Fault(why=Why.BAD_CSR, detail=f"its CN is {csr.common_name!r}")
    if not is_unit_id(request.unit_id):
        return Fault(why=Why.BAD_UNIT_ID, detail=repr(request.unit_id))
    return csr
