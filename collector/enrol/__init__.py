"""Who is let in: tokens, requests, two people, certificates (EVIDENCE section 3).

Law: no unit enters by itself, and none by one person alone. Whatever fails is told outside in one word; why is kept inside.
"""

from dataclasses import dataclass
from enum import Enum

__all__ = ["TOKEN_MS", "Fault", "Known", "Standing", "Token", "Why"]

TOKEN_MS = 86_400_000  # 24 h, of a token, and of a request until a second person has looked at it


class Standing(Enum):
    """Where a request stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"


class Why(Enum):
    """What a request failed at, in the order of the checks; told to the operator, never to the sender."""

    BAD_FORM = "bad_form"
    BAD_SIGNATURE = "bad_signature"
    BAD_TOKEN = "bad_token"  # noqa: S105  # the name of a fault
    LOW_ORDER = "low_order"
    KID_TAKEN = "kid_taken"
    BAD_CSR = "bad_csr"
    BAD_UNIT_ID = "bad_unit_id"
    UNKNOWN_KEY = "unknown_key"  # of a renewal
    REVOKED = "revoked"  # likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    why: Why
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What the centre keeps of a token: never the token itself."""

    sha256: bytes
    unit_id: str
    made_by: str
    made_ms: int
    expires_ms: int
    used_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the store knows of the parts of a request."""

    token: Token | None
    kid_taken: bool
