"""People: who is who, what each may do, how long a session lives, which password is good.

Law: denied by default. A right stands in one table (`authorize`); nothing here stores, waits, reads a clock or knows a route's code.
"""

import re
from dataclasses import dataclass
from enum import Enum
from unicodedata import normalize

__all__ = [
    "SCOPE",
    "USER_ID",
    "Actor",
    "Denied",
    "Role",
    "is_scope",
    "is_user_id",
    "sees",
    "user_id_of",
]

USER_ID = re.compile(r"[a-z][a-z0-9._-]{1,31}", re.ASCII)  # no colon: `os:`, `kiosk:` are ours
SCOPE = re.compile(r"(?:[a-z0-9-]{1,16}(?:\.[a-z0-9-]{1,16}){0,5})?", re.ASCII)


class Role(Enum):
    """What somebody is here for. `unit` has no screens: enrolment and renewal only."""

    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    OPERATOR = "operator"
    OFFICER = "officer"
    AUDITOR = "auditor"
    UNIT = "unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks, as far as a session that stands says it."""

    user_id: str
    role: Role
    scope: str  # "" sees all; else a dotted prefix of what a unit's scope must begin with
    desk: str  # "" sits at none
    session: str  # hash, hex
    step_up_ms: int | None  # when the second factor was last shown
    narrowed: bool  # nobody has touched it for a while
    read_only: bool = False  # a wall's screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """Why not: the status of the answer, its code, and what would be right."""

    status: int
    code: str
    hint: str


def is_user_id(text: str) -> bool:
    return USER_ID.fullmatch(text) is not None


def user_id_of(typed: str) -> str:
    """The name that somebody means who typed this: a phone puts a capital before it and a space behind it, a keyboard full width.

    No two names come together by this: all are small letters of ASCII. What is none stays none.
    """
    return normalize("NFKC", typed).strip().lower()


def is_scope(text: str) -> bool:
    """Dotted parts, from the whole to the part: `uz.south`. Empty: all."""
    return SCOPE.fullmatch(text) is not None


def sees(scope: str, of: str) -> bool:
    """Whether who has `scope` sees what has the scope `of`; `uz.south` sees `uz.south.guzor`, never `uz.southeast`."""
    return not scope or of == scope or of.startswith(f"{scope}.")
