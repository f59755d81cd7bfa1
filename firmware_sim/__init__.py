"""THE WITNESS: a GPS receiver, an e-seal and an RFID reader made of software behind real ptys (DEVICES section 8).

Law: imports nothing of ours and nothing but the standard library. It has its own checksum, its own BCD and its own tables, written
from the manuals, so that agreement with `devices` is a test. All rooms but `ptys` are pure: truth, bytes and world time in, bytes out.

World time is counted in whole milliseconds from the start of the scenario. Nothing here depends on how fast it is played.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

__all__ = ["Device", "Event", "Said", "rng_of"]


def rng_of(seed: int, purpose: str) -> Random:
    """The chance of one purpose: drawing more for one changes nothing for another."""
    return Random(f"{seed}/{purpose}")  # noqa: S311 - a test has to repeat; nothing secret hangs on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happens to a device: a line of the scenario, or of the control channel."""

    at_ms: int
    do: str
    device: str  # gps, seal or rfid
    args: Mapping[str, object] = field(default_factory=dict)

    def number(self, key: str, default: float = 0.0) -> float:
        value = self.args.get(key, default)
        assert isinstance(value, int | float)
        return float(value)

    def text(self, key: str, default: str = "") -> str:
        value = self.args.get(key, default)
        assert isinstance(value, str)
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        value = self.args.get(key, default)
        assert isinstance(value, bool)
        return value

    def ends_ms(self) -> int | None:
        """When its effect ends; None: never."""
        return None if "for_s" not in self.args else self.at_ms + round(self.number("for_s") * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One sentence or frame, before the cable has had its way with it."""

    at_ms: int  # when its first bit may leave
    data: bytes
    note: Mapping[str, object] = field(default_factory=dict)  # what it is, for the answer sheet


class Device(Protocol):
    """The shape of every device. The caller wakes it at its due times, in order, and takes what it said."""

    baud: int

    def next_due_ms(self) -> int | None:
        """When it wants to be woken; None: never again by itself."""
        ...

    def wake(self, now_ms: int) -> None:
        """World time is `now_ms`: do what is due."""
        ...

    def feed(self, data: bytes, now_ms: int) -> None:
        """The reader wrote `data`; any cutting gives the same."""
        ...

    def play(self, event: Event, now_ms: int) -> bool:
        """Let `event` happen; False if it changes nothing in the present state."""
        ...

    def take(self) -> list[Said]:
        """What was said since the last call."""
        ...

    def waits(self) -> bool:
        """Whether it waits for the reader's answer to something it said."""
        ...

    def truth(self, now_ms: int) -> dict[str, object]:
        """Its line on the answer sheet."""
        ...
