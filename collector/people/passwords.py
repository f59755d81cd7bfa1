"""Which password is good, and how it is kept: Argon2id, 46 MiB, one pass, one lane (EVIDENCE section 11).

Law: a password is never stored, logged or answered. It costs its 46 MiB whether the user exists or not; how many at a time is
the caller's bound.
"""

from dataclasses import dataclass
from functools import cache
from string import digits, punctuation
from unicodedata import normalize

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from collector.people import Denied
from collector.people.common import WALKS, WORDS

CHARS_MIN = 12
CHARS_MAX = 256  # a sentence; more is a load
DIFFERENT_MIN = 5  # letters: `abababababab` is one thought
SALT_BYTES = 16
MEMORY_KIB = 46 * 1_024


def fault_of(password: str, *, user_id: str, name: str) -> Denied | None:
    """Why a password is not taken; None: it is good."""
    if not CHARS_MIN <= len(password) <= CHARS_MAX:
        return _bad("length", f"{CHARS_MIN} to {CHARS_MAX} characters, are {len(password)}")
    plain = normalize("NFKC", password).casefold()
    for theirs in (user_id, *name.casefold().split()):
        if len(theirs) >= 4 and theirs in plain:
            return _bad("name", "it holds your name: take other words")
    if len(set(plain)) < DIFFERENT_MIN:
        return _bad("simple", f"at least {DIFFERENT_MIN} different characters")
    if _is_common(plain):
        return _bad(
            "common", "too many people take this one: four words that do not belong together"
        )
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hasher:
    """Argon2id with our parameters. Each call takes its memory and, with the default, some 80 ms of a core."""

    memory_kib: int = MEMORY_KIB  # tests take less

    def hash_of(self, password: str, salt: bytes) -> str:
        """What is stored."""
        return self._argon2().hash(_bytes(password), salt=salt)

    def holds(self, encoded: str | None, password: str) -> bool:
        """Whether it is the password; None, for a user who does not exist, costs the same and is False."""
        try:
            self._argon2().verify(encoded or _nobody(self.memory_kib), _bytes(password))
        except (VerificationError, InvalidHashError):
            return False
        return encoded is not None

    def is_stale(self, encoded: str) -> bool:
        """Whether it was made with other parameters than today's: made anew at the next log-in."""
        return self._argon2().check_needs_rehash(encoded)

    def _argon2(self) -> PasswordHasher:
        return PasswordHasher(
            time_cost=1, memory_cost=self.memory_kib, parallelism=1, hash_len=32, type=Type.ID
        )


@cache
def _nobody(memory_kib: int) -> str:
    return Hasher(memory_kib=memory_kib).hash_of("", bytes(SALT_BYTES))


def _bytes(password: str) -> bytes:
    # The same letters typed on another system are the same password.
    return normalize("NFKC", password[:CHARS_MAX]).encode("utf-8", "surrogatepass")


def _is_common(plain: str) -> bool:
    """Whether it is a common word or a walk over the keyboard, with what people put before, behind and between."""
    bare = plain.strip(_AROUND).translate(_SPELT)
    cores = {_letters(plain), _letters(bare)} - {""}
    if any(core in WORDS or _halved(core) in WORDS for core in cores):
        return True
    solid = "".join(char for char in plain if char.isalnum())
    return any(
        _halved(solid) in walk or any(len(core) >= 4 and _halved(core) in walk for core in cores)
        for walk in WALKS
    )


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalpha())


def _halved(text: str) -> str:
    """`passwordpassword` is `password`; any other text is itself."""
    for parts in (4, 3, 2):
        piece = text[: len(text) // parts]
        if piece and piece * parts == text:
            return piece
    return text


_SPELT = str.maketrans("01345$@!", "oleassai")  # as people spell words that are asked for a digit
_AROUND = digits + punctuation + " "


def _bad(code: str, hint: str) -> Denied:
    return Denied(status=422, code=f"password_{code}", hint=hint)
