"""How long a session lives, and when it narrows (CONSOLE section 10, EVIDENCE section 11).

Law: a session is a row and nothing else. What it may is asked anew at each request, so that an end is an end at once.
"""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Literal

from collector.people import Actor, Role

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
SHIFT_MS = 12 * HOUR_MS
LOCAL_MS = 2 * HOUR_MS  # who sits at the collector's machine logs in again for nothing
KIOSK_MS = 30 * DAY_MS
MACHINE_MS_MAX = 366 * DAY_MS
WARN_MS = (30 * MINUTE_MS, 10 * MINUTE_MS, MINUTE_MS)  # before the end
IDLE_MS = 30 * MINUTE_MS
OFFICER_IDLE_MS = 4 * HOUR_MS
STEP_UP_MS = 5 * MINUTE_MS
SEEN_AGAIN_MS = MINUTE_MS  # input is written down so often, not at each key
TOKEN_BYTES = 32
SESSIONS_MAX = 20  # of one user: the oldest ends


class Kind(Enum):
    """How a session is held."""

    CONSOLE = "console"  # cookie, SameSite=Strict
    OFFICER = "officer"  # cookie, SameSite=Lax: a code opened from the camera is a cross-site link
    CLI = "cli"  # bearer, in a file of its user
    LOCAL = "local"  # bearer, of who can read the collector's own store
    KIOSK = "kiosk"  # cookie, read only
    MACHINE = "machine"  # bearer, of a program


LIFE_MS = {
    Kind.CONSOLE: SHIFT_MS,
    Kind.OFFICER: SHIFT_MS,
    Kind.CLI: SHIFT_MS,
    Kind.LOCAL: LOCAL_MS,
    Kind.KIOSK: KIOSK_MS,
}
COOKIES: dict[Kind, tuple[str, Literal["strict", "lax"]]] = {
    Kind.CONSOLE: ("__Host-plomba", "strict"),
    Kind.KIOSK: ("__Host-plomba", "strict"),
    Kind.LOCAL: ("__Host-plomba", "strict"),  # once a browser has taken it over
    Kind.OFFICER: ("__Host-plomba_o", "lax"),
}
_IDLE_MS = {Kind.CONSOLE: IDLE_MS, Kind.OFFICER: OFFICER_IDLE_MS}  # a token in a file has no chair


class End(Enum):
    """Why a session is over."""

    EXPIRED = "expired"
    ENDED = "ended"  # by log-out, a person, a newer log-in
    LOCKED = "locked"  # its user
    CHANGED = "changed"  # its user's role or scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One that was opened. `id` is the hash of the secret: the secret itself is kept nowhere."""

    id: bytes
    kind: Kind
    user_id: str
    role: Role
    scope: str
    desk: str
    made_ms: int
    expires_ms: int
    seen_ms: int  # the last input
    step_up_ms: int | None = None
    ended_ms: int | None = None


def id_of(secret: str) -> bytes:
    """What is kept of a session's secret."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def opened(
    secret: str,
    kind: Kind,
    *,
    user_id: str,
    role: Role,
    scope: str,
    desk: str,
    now_ms: int,
    life_ms: int | None = None,
) -> Session:
    """A new session for `secret`."""
    return Session(
        id=id_of(secret),
        kind=kind,
        user_id=user_id,
        role=role,
        scope=scope,
        desk=desk,
        made_ms=now_ms,
        expires_ms=now_ms + (LIFE_MS[kind] if life_ms is None else life_ms),
        seen_ms=now_ms,
    )


def end_of(session: Session, now_ms: int) -> End | None:
    """Why it is over; None while it stands."""
    if session.ended_ms is not None:
        return End.ENDED
    return End.EXPIRED if now_ms >= session.expires_ms else None


def is_narrowed(session: Session, now_ms: int) -> bool:
    """Whether so long nobody has given input that only map, queue, sound and ack go on."""
    idle_ms = _IDLE_MS.get(session.kind)
    return idle_ms is not None and now_ms - session.seen_ms >= idle_ms


def narrows_ms(session: Session) -> int | None:
    """When it narrows without further input; None: never."""
    idle_ms = _IDLE_MS.get(session.kind)
    return None if idle_ms is None else session.seen_ms + idle_ms


def is_stepped_up(step_up_ms: int | None, now_ms: int) -> bool:
    """Whether the second factor was shown just now. One shown in the future was not."""
    return step_up_ms is not None and 0 <= now_ms - step_up_ms < STEP_UP_MS


def input_is_due(session: Session, now_ms: int) -> bool:
    """Whether input now is to be written down. A narrowed session widens by the password alone."""
    return not is_narrowed(session, now_ms) and now_ms - session.seen_ms >= SEEN_AGAIN_MS


def actor_of(session: Session, now_ms: int) -> Actor:
    """Who acts by a session that stands."""
    return Actor(
        user_id=session.user_id,
        role=session.role,
        scope=session.scope,
        desk=session.desk,
        session=session.id.hex(),
        step_up_ms=session.step_up_ms,
        narrowed=is_narrowed(session, now_ms),
        read_only=session.kind is Kind.KIOSK,
    )
