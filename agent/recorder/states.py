"""States that bounce: inputs, power, motion, links. A change counts when it has held for 100 ms.

Law: what is told is told with the time at which it began.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from agent import Moment

HELD_MS = 100
KEYS_MAX = 32  # a unit has a dozen inputs and links

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held(Generic[V]):
    """A value that may still bounce back."""

    value: V
    since: Moment


class Held(Generic[K, V]):
    """Values by key, each as it was last told, and as it is now if that is another."""

    def __init__(self) -> None:
        self._told: dict[K, V] = {}
        self._new: dict[K, _Held[V]] = {}

    def put(self, key: K, value: V, moment: Moment) -> bool:
        """Note a value; False if there are too many keys."""
        if key not in self._told and key not in self._new and len(self._told) >= KEYS_MAX:
            return False
        if key in self._told and self._told[key] == value:
            self._new.pop(key, None)
        elif key not in self._new or self._new[key].value != value:
            if len(self._new) >= KEYS_MAX:
                return False
            self._new[key] = _Held(value=value, since=moment)
        return True

    def wake(self, mono_ms: int) -> list[tuple[K, V, Moment]]:
        """The changes that have held, each once."""
        ripe = [
            (key, held.value, held.since)
            for key, held in self._new.items()
            if mono_ms - held.since.mono_ms >= HELD_MS
        ]
        for key, value, _ in ripe:
            self._told[key] = value
            del self._new[key]
        return ripe

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, in mono_ms."""
        return min((held.since.mono_ms + HELD_MS for held in self._new.values()), default=None)
