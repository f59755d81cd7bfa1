"""The second factor: codes by time (RFC 6238, SHA-1, 30 s, 6 digits: what every phone's program shows).

Law: a code is good once. The clock's neighbour steps are taken, since phones and people are slow.
"""

import hmac
from base64 import b32encode
from hashlib import sha1
from urllib.parse import quote

SECRET_BYTES = 20
STEP_MS = 30_000
DIGITS = 6
DRIFT_STEPS = 1


def step_of(now_ms: int) -> int:
    return now_ms // STEP_MS


def code_of(secret: bytes, step: int, *, digits: int = DIGITS) -> str:
    """The code of a step (RFC 4226, 5.3)."""
    mac = hmac.new(secret, step.to_bytes(8, "big"), sha1).digest()
    at = mac[-1] & 0x0F
    number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def accept(secret: bytes, said: str, now_ms: int, *, used_step: int) -> int | None:
    """The step whose code was said, to be kept as used; None: not a code of now, or used before."""
    now = step_of(now_ms)
    found = None
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        # All are compared, whatever was found: the time taken tells nothing.
        if hmac.compare_digest(code_of(secret, step).encode(), said.encode()) and step > used_step:
            found = step
    return found


def uri(secret: bytes, user_id: str, *, issuer: str = "Plomba") -> str:
    """What an authenticator reads, as text or as a QR code."""
    label = quote(f"{issuer}:{user_id}")
    return f"otpauth://totp/{label}?secret={b32(secret)}&issuer={quote(issuer)}"


def b32(secret: bytes) -> str:
    return b32encode(secret).decode().rstrip("=")
