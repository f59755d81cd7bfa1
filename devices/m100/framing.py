"""Bytes into frames, by their length: marks occur inside frames too. What lies between is noise.

Law: what comes out depends on the bytes alone, never on how they were cut. After a refused start the search goes on one byte behind
it; further refusals within the refused stretch are silent, for they are the same damage.
"""

import re
from collections.abc import Iterator

from devices import SAMPLE_BYTES_MAX
from devices.m100.frame import PREFIX_BYTES, Frame, Reason, Refused, decode, frame_size

SLICE_BYTES = 4_096  # a large feed is worked off in slices: our memory does not grow with it
_STARTS = re.compile(rb"[\xbb\xaa]")

_Verdict = tuple[Frame | Refused, int] | None  # and how many bytes it covers; None: more are wanted


class Framer:
    """Cuts one line's bytes into frames."""

    def __init__(self) -> None:
        self.noise_bytes = 0
        self._held = b""
        self._quiet_bytes = 0  # of `_held`: refusals that begin there are part of one already told

    @property
    def is_waiting(self) -> bool:
        """True while a frame has begun and is not whole."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[Frame | Refused]:
        """The frames that `data` completes, and the starts that it spoils."""
        return list(self.cut(data))

    def cut(self, data: bytes) -> Iterator[Frame | Refused]:
        """As `feed`, one after the other: a thousand refusals need no more room than one."""
        for start in range(0, len(data), SLICE_BYTES):
            self._held += data[start : start + SLICE_BYTES]
            yield from self._read(is_end=False)

    def flush(self) -> list[Frame | Refused]:
        """No more will come: what waits is truncated, and frames hidden behind its start come out."""
        return list(self._read(is_end=True))

    def _read(self, *, is_end: bool) -> Iterator[Frame | Refused]:
        held, at, quiet_until = self._held, 0, self._quiet_bytes
        while match := _STARTS.search(held, at):
            start = match.start()
            self.noise_bytes += max(0, start - max(at, quiet_until))
            at = start
            verdict = _look(held, start)
            if verdict is None:
                if not is_end:
                    break
                verdict = _refuse(Reason.TRUNCATED, held[start:])
            frame, size = verdict
            if isinstance(frame, Frame):
                yield frame
                at += size
                continue
            if start >= quiet_until:
                yield frame
                quiet_until = start + size
            at += 1
        else:
            self.noise_bytes += max(0, len(held) - max(at, quiet_until))
            at = len(held)
        self._held = held[at:]
        self._quiet_bytes = max(0, quiet_until - at)


def _look(held: bytes, start: int) -> _Verdict:
    prefix = held[start : start + PREFIX_BYTES]
    if len(prefix) < PREFIX_BYTES:
        return None
    size = frame_size(prefix)
    if isinstance(size, Reason):
        return _refuse(size, prefix)
    data = held[start : start + size]
    if len(data) < size:
        return None
    frame = decode(data)
    return _refuse(frame, data) if isinstance(frame, Reason) else (frame, size)


def _refuse(reason: Reason, data: bytes) -> tuple[Refused, int]:
    return Refused(reason=reason, sample=data[:SAMPLE_BYTES_MAX]), len(data)
