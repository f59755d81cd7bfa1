"""One table of a TOML document: each key taken once, with its type and its range. Knows no device.

Law: what is wrong becomes a `Fault` that names the key and the fix; reading goes on, so that an author sees all of them at once.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

__all__ = ["BAUDS", "SECONDS_MAX", "Fault", "Keys"]

SECONDS_MAX = 366 * 86_400.0  # no play is longer than a year
BAUDS = (4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong in a scenario: where, and what to write instead."""

    key: str
    fix: str

    def __str__(self) -> str:
        return f"{self.key}: {self.fix}"


class Keys:
    """One table: each key is taken once, with its type and range; what is left over is a fault."""

    def __init__(self, table: object, path: str, faults: list[Fault]) -> None:
        self.path = path
        self.faults = faults
        self._known: list[str] = []
        self._table: dict[str, Any] = {}
        if isinstance(table, dict):
            self._table = table
        else:
            self.fault("", "a table is wanted here, { key = value, ... }")

    def __contains__(self, key: str) -> bool:
        return key in self._table

    @property
    def known(self) -> tuple[str, ...]:
        """The keys that were asked for so far, each once."""
        return tuple(dict.fromkeys(self._known))

    def fault(self, key: str, fix: str) -> None:
        self.faults.append(Fault(key=f"{self.path}.{key}" if key else self.path, fix=fix))

    def number(self, key: str, default: float, low: float, high: float) -> float:
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault(key, f"a number is wanted, {low:g} to {high:g}; is {value!r}")
            return default
        if not (math.isfinite(value) and low <= value <= high):
            self.fault(key, f"{low:g} to {high:g}; is {value!r}")
            return default
        return value

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        value = self.number(key, default, low, high)
        if value != int(value):
            self.fault(key, f"a whole number is wanted; is {value!r}")
        return int(value)

    def text(self, key: str, default: str) -> str:
        value = self._take(key, default)
        if not isinstance(value, str):
            self.fault(key, f'text is wanted, "..."; is {value!r}')
            return default
        return value

    def choice(self, key: str, default: str, words: Iterable[str]) -> str:
        value, words = self.text(key, default), tuple(words)
        if value not in words:
            near = get_close_matches(value, words, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            self.fault(key, f"one of {', '.join(words)}; is {value!r}{hint}")
            return default
        return value

    def choice_of(self, key: str, default: int, numbers: tuple[int, ...]) -> int:
        value = self._take(key, default)
        for number in numbers:
            if value == number and not isinstance(value, bool):
                return number
        self.fault(key, f"one of {', '.join(map(str, numbers))}; is {value!r}")
        return default

    def baud(self, usual: int) -> int:
        return self.choice_of("baud", usual, BAUDS)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            self.fault(key, f"true or false; is {value!r}")
            return default
        return value

    def items(self, key: str) -> list[Any]:
        value = self._take(key, [])
        if not isinstance(value, list):
            self.fault(key, f"a list is wanted, [ ... ]; is {value!r}")
            return []
        return value

    def raw(self, key: str) -> object:
        return self._take(key, None)

    def done(self) -> None:
        for key in self._table:
            if key not in self._known:
                near = get_close_matches(key, self._known, 1)
                hint = f"did you mean {near[0]}? " if near else ""
                self.fault(key, f"unknown key; {hint}known here: {', '.join(self._known)}")

    def _take(self, key: str, default: object) -> object:
        self._known.append(key)
        return self._table.get(key, default)
