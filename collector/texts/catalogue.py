"""The catalogues, read once, and the forms that a number asks for.

Law: a key that is not there is our mistake, never a reader's: it ends in KeyError, and a test walks all of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from collector.texts import LANGUAGES

FORMS = {"uz": ("one", "other"), "ru": ("one", "few", "many", "other"), "en": ("one", "other")}


def text(key: str, language: str, **parameters: str) -> str:
    return catalogue(language)[key].format(**parameters)


def counted(key: str, language: str, n: float, **parameters: str) -> str:
    """The sentence under `key` in the form that `n` asks for; `{n}` in it is the number as people write it."""
    return text(f"{key}_{plural_form(language, n)}", language, n=number(n, language), **parameters)


def has(key: str, language: str) -> bool:
    return key in catalogue(language)


def plural_form(language: str, n: float) -> str:
    """The class of CLDR: one, few, many or other."""
    if language != "ru":
        return "one" if n == 1 else "other"
    if n != int(n):
        return "other"
    tens, ones = int(n) % 100, int(n) % 10
    if ones == 1 and tens != 11:
        return "one"
    return "few" if 2 <= ones <= 4 and not 12 <= tens <= 14 else "many"


def number(n: float, language: str, *, decimals: int = 0) -> str:
    """`1,234.5`, and `1 234,5` in Russian and Uzbek. Whole decimals are left away."""
    said = signs(language)
    whole, _, part = f"{n:,.{decimals}f}".partition(".")
    part = part.rstrip("0")
    return whole.replace(",", said.group) + (said.decimal + part if part else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """How a language writes numbers and dates; one entry of `format.json`."""

    decimal: str
    group: str
    date: str
    moment: str
    months: tuple[str, ...]


@cache
def catalogue(language: str) -> Mapping[str, str]:
    assert language in LANGUAGES
    read: dict[str, str] = _read(f"{language}.json")
    return read


@cache
def signs(language: str) -> Signs:
    said = _read("format.json")[language]
    return Signs(**{**said, "months": tuple(said["months"])})


def _read(name: str) -> Any:  # noqa: ANN401  # each file has its own shape
    return json.loads(
        files("collector").joinpath("web", "locales", name).read_text(encoding="utf-8")
    )
