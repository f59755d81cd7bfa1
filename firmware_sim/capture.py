"""A device that plays the bytes of a real one, captured in a file. Understands none of them.

Law: every byte of the capture goes out once, in order; only the collector's own comment lines (`#`) stay behind, if asked.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from firmware_sim import Event, Said

__all__ = ["PACES", "Capture", "CaptureSpec", "without_comments"]

PACES = ("baud", "line")
CHUNK_BYTES = 64  # of a capture paced by its rate: as a UART's buffer hands them over


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSpec:
    data: bytes
    baud: int = 9600
    device: str = "gps"
    pace: str = "baud"
    line_ms: int = 100  # of pace line: one line every so often


class Capture:
    def __init__(self, spec: CaptureSpec) -> None:
        self.baud = spec.baud
        self._spec = spec
        self._pieces = _lines(spec.data) if spec.pace == "line" else _chunks(spec.data)
        self._next = 0
        self._due_ms = 0.0
        self._out: list[Said] = []

    def next_due_ms(self) -> int | None:
        return int(self._due_ms) if self._next < len(self._pieces) else None

    def wake(self, now_ms: int) -> None:
        while (due_ms := self.next_due_ms()) is not None and due_ms <= now_ms:
            piece = self._pieces[self._next]
            self._next += 1
            self._out.append(Said(at_ms=due_ms, data=piece))
            by_line = self._spec.pace == "line"
            self._due_ms += self._spec.line_ms if by_line else len(piece) * 10_000 / self._spec.baud

    def feed(self, data: bytes, now_ms: int) -> None:
        """A recording listens to nobody."""

    def play(self, event: Event, now_ms: int) -> bool:  # noqa: ARG002 - the shape of a device
        """Nothing happens to a recording."""
        return False

    def take(self) -> list[Said]:
        out, self._out = self._out, []
        return out

    def waits(self) -> bool:
        return False

    def truth(self, now_ms: int) -> dict[str, object]:  # noqa: ARG002 - the shape of a device
        return {}


def without_comments(data: bytes) -> bytes:
    """`data` without the lines that begin with `#`; every other byte as it was, whatever the line ends are."""
    return re.sub(rb"(?m)^#[^\n]*\n?", b"", data)


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def _chunks(data: bytes) -> list[bytes]:
    bounds = [*range(0, len(data), CHUNK_BYTES), len(data)]
    return [data[begin:end] for begin, end in pairwise(bounds)]
