"""Numbers of plates, containers, seals and movements: what they are once people have written them (CUSTOMS section 10).

Law: pure. A digit is never guessed: what is wrong is said by its name. A search looks for a number however it was written.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from unicodedata import normalize

TEXT_CHARS_MAX = 64  # of what somebody types; the longest number of ours has 24
KEY_CHARS_MIN = 3  # shorter, and half of the fleet is found

# Letters of Cyrillic plates that look Latin, by shape: that is how a plate is read, and what both alphabets share.
LOOK_ALIKES = str.maketrans("АВЕКМНОРСТУХ", "ABEKMHOPCTYX")
# Letters that no plate has and a keyboard gives all the same: only a search reads them by their shape.
_SEARCHED_ALIKE = str.maketrans("ІЈЅЁӀ", "IJSEI")
CONFUSED = str.maketrans("OI", "01")  # what a plate's font and a tired eye take for one another
_LETTERS_AGAIN = str.maketrans("01", "OI")
_DROPPED = re.compile(r"[\s.\-\u00b7\u2010-\u2015/]+")
# What stands around a number that was pasted: marks, a minus for a dash, signs that nobody sees (a messenger's, a word processor's).
_AROUND = re.compile(r"[,_#\u2116\u2212\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+")

_CONTAINER = re.compile(r"[A-Z]{3}[UJZR][0-9]{7}")
_MRN = re.compile(r"[0-9]{2}[A-Z]{2}[A-Z0-9]{13}[0-9]")
_SEAL = re.compile(r"[A-Z0-9][A-Z0-9/-]{2,19}")
_SHAPES = (
    ("uz-private", re.compile(r"[0-9]{2}[A-Z][0-9]{3}[A-Z]{2}")),
    ("uz-legal", re.compile(r"[0-9]{5}[A-Z]{3}")),
    ("uz-trailer", re.compile(r"[0-9]{6}[A-Z]{2}")),
)


class Kind(Enum):
    """What a number numbers."""

    PLATE = "plate"
    CONTAINER = "container"
    SEAL = "seal"
    MRN = "mrn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ok:
    """A number in its normal form, and what it says beside."""

    normal: str
    info: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """Why it is none: `format`, `check-digit`, `plate-length`, `plate-letter`, `plate-character`."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a search looks for."""

    shown: str  # as it was understood: a person sees what was looked for
    key: str  # equal for all ways of writing one number
    is_misspelt: bool = False  # a container's check digit does not fit: said, not refused


def check(kind: Kind, value: str) -> Ok | Bad:
    """The normal form of `value`, or what is wrong with it."""
    return _CHECKS[kind](value)


def key_of(value: str) -> str:
    """Under which a number is found: without marks, in Latin capitals, O as 0 and I as 1. Empty if nothing is left."""
    return "".join(
        letter
        for letter in _searched(value).translate(CONFUSED)
        if letter.isascii() and letter.isalnum()
    )


def wanted(text: str) -> Wanted | Bad:
    """What somebody means who typed `text` into the one box for all numbers."""
    if len(text) > TEXT_CHARS_MAX:
        return Bad(reason="too-long")
    folded = _searched(text)
    key = key_of(text)
    if len(key) < KEY_CHARS_MIN:
        return Bad(reason="too-short")
    if len(key) != len(folded):
        return Bad(reason="character")
    # A container begins with four letters and ends in seven digits, whatever was taken for what.
    container = folded[:4].translate(_LETTERS_AGAIN) + folded[4:].translate(CONFUSED)
    has_shape = _CONTAINER.fullmatch(container) is not None
    return Wanted(
        shown=folded, key=key, is_misspelt=has_shape and isinstance(_container(container), Bad)
    )


def container_digit(first_ten: str) -> int:
    """ISO 6346, check digit: letters from 10 on without multiples of 11, weights 2^i, mod 11, mod 10."""
    total = sum(_value(letter) << place for place, letter in enumerate(first_ten))
    return total % 11 % 10


def mrn_digit(first_seventeen: str) -> int:
    """The last digit of an MRN: the sum of ISO 6346 over 17 places."""
    return container_digit(first_seventeen)


def _value(letter: str) -> int:
    """0-9 as they are, A is 10, B 12 .. K 21, L 23 .. U 32, V 34 .. Z 38."""
    if letter.isdecimal():
        return int(letter)
    value = ord(letter) - ord("A") + 10
    return value + (value > 10) + (value > 20) + (value > 30)


def _folded(value: str) -> str:
    """Latin capitals without spaces and marks between them."""
    return _DROPPED.sub("", normalize("NFKC", value).upper()).translate(LOOK_ALIKES)


def _searched(value: str) -> str:
    """`_folded`, and more generous: a search refuses nobody for what stands around a number."""
    return _folded(_AROUND.sub("", value)).translate(_SEARCHED_ALIKE)


def _container(value: str) -> Ok | Bad:
    normal = _bare(value)
    if _CONTAINER.fullmatch(normal) is None:
        return Bad(reason="format")
    if container_digit(normal[:10]) != int(normal[10]):
        return Bad(reason="check-digit")
    total = sum(_value(letter) << place for place, letter in enumerate(normal[:10]))
    return Ok(normal=normal, info={"remark": "remainder-10"} if total % 11 == 10 else {})


def _mrn(value: str) -> Ok | Bad:
    normal = _bare(value)
    if _MRN.fullmatch(normal) is None:
        return Bad(reason="format")
    if mrn_digit(normal[:17]) != int(normal[17]):
        return Bad(reason="check-digit")
    return Ok(normal=normal, info={"country": normal[2:4], "procedure": normal[16]})


def _plate(value: str) -> Ok | Bad:
    normal = _folded(value)
    for letter in normal:
        if not (letter.isascii() and letter.isalnum()):
            return Bad(reason="plate-letter" if letter.isalpha() else "plate-character")
    if not 4 <= len(normal) <= 12:
        return Bad(reason="plate-length")
    shape = next((name for name, form in _SHAPES if form.fullmatch(normal)), "other")
    return Ok(normal=normal, info={"shape": shape})


def _seal(value: str) -> Ok | Bad:
    normal = "".join(value.upper().split())
    if _SEAL.fullmatch(normal) is None:
        return Bad(reason="format")
    return Ok(normal=normal)


def _bare(value: str) -> str:
    """Capitals without spaces and dashes; letters stay what they are: a container has no Cyrillic ones."""
    return "".join(value.upper().split()).replace("-", "")


_CHECKS: Mapping[Kind, Callable[[str], Ok | Bad]] = {
    Kind.PLATE: _plate,
    Kind.CONTAINER: _container,
    Kind.SEAL: _seal,
    Kind.MRN: _mrn,
}
