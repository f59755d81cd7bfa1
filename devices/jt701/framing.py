"""Bytes into frames: `$` binary, `(` text; what lies between is noise.

Law: what comes out depends on the bytes alone, never on how they were cut: every verdict on a start rests on the shortest run of
bytes that settles it. After a refused start the search goes on one byte behind it, for a good frame may have begun inside; further
refusals within the refused stretch are silent, for they are the same damage.
"""

import re

from devices import SAMPLE_BYTES_MAX
from devices.jt701 import binary, text
from devices.jt701.frame import Frame, Reason, Refused

SLICE_BYTES = (
    4_096  # a large feed is worked off in slices, so that our memory does not grow with it
)

_STARTS = re.compile(rb"[$(]")
_ENDS = re.compile(rb"[()]")
_TEXT_PREFIX = re.compile(rb"\(\d{0,10}")
_TEXT_PREFIX_BYTES = 12
_BROKEN_ID_SHOWN_BYTES = 4
_LONG_FORM_BYTES = 62  # where no length can be believed: the usual frame of a lock
# mark and two bytes of the id: the least tail that tells a next frame from chance
_START_BYTES_MIN = 3
_DIGITS = re.compile(rb"\(\d\d")

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
        found: list[Frame | Refused] = []
        for start in range(0, len(data), SLICE_BYTES):
            self._held += data[start : start + SLICE_BYTES]
            self._read(found, is_end=False)
        return found

    def flush(self) -> list[Frame | Refused]:
        """No more will come: what waits is truncated, and frames hidden behind its start come out."""
        found: list[Frame | Refused] = []
        self._read(found, is_end=True)
        return found

    def _read(self, found: list[Frame | Refused], *, is_end: bool) -> None:
        held, at, quiet_until = self._held, 0, self._quiet_bytes
        while match := _STARTS.search(held, at):
            start = match.start()
            self.noise_bytes += max(0, start - max(at, quiet_until))
            at = start
            verdict = _look(held, start)
            if verdict is None:
                if not is_end:
                    break
                verdict = Refused(reason=Reason.TRUNCATED, sample=_sample(held[start:])), len(held)
            frame, size = verdict
            if isinstance(frame, Frame):
                found.append(frame)
                at += size
                continue
            if start >= quiet_until:
                found.append(frame)
                quiet_until = start + size
            at += 1
        else:
            self.noise_bytes += max(0, len(held) - max(at, quiet_until))
            at = len(held)
        self._held = held[at:]
        self._quiet_bytes = max(0, quiet_until - at)


def _look(held: bytes, start: int) -> _Verdict:
    return _look_binary(held, start) if held[start] == binary.START else _look_text(held, start)


def _look_binary(held: bytes, start: int) -> _Verdict:
    prefix = held[start : start + binary.PREFIX_BYTES]
    if len(prefix) < binary.PREFIX_BYTES:
        return None
    size = binary.frame_size(prefix)
    if isinstance(size, Reason):
        return _refuse(size, prefix), _LONG_FORM_BYTES
    data = held[start : start + size]
    cut = _next_start(data, size)
    if cut is not None:
        return Refused(reason=Reason.TRUNCATED, sample=_sample(data[:cut])), cut
    if len(data) < size:
        return None
    frame = binary.decode(data)
    return (_refuse(frame, data) if isinstance(frame, Reason) else frame), size


def _next_start(data: bytes, size: int) -> int | None:
    """Where the same seal's next frame begins inside `data`: bytes were lost, and no checksum would tell."""
    binary_start = data[:6]
    text_start = b"(%b" % binary_start[1:].hex().encode("ascii")
    places = [data.find(binary_start, 1), data.find(text_start, 1)]
    if len(data) == size and _STARTS.search(data, size - len(text_start)):
        places += [
            size - n
            for start in (binary_start, text_start)
            for n in range(_START_BYTES_MIN, len(start))
            if data.endswith(start[:n])
        ]
    return min((place for place in places if place > 0), default=None)


def _look_text(held: bytes, start: int) -> _Verdict:
    good = _id_bytes(held, start)
    if good < _TEXT_PREFIX_BYTES:
        if start + good == len(held):
            return None
        shown = min(good + 1, _BROKEN_ID_SHOWN_BYTES)  # what stands for an id may be a password
        return _refuse(Reason.MALFORMED, held[start : start + shown]), _TEXT_PREFIX_BYTES
    data = held[start : start + text.TEXT_BYTES_MAX]
    end = _ENDS.search(data, 1)
    size = end.start() if end else len(data)
    cut = data.find(b"$" + bytes.fromhex(data[1:11].decode("ascii")), 1, size)
    if cut > 0:
        return Refused(reason=Reason.TRUNCATED, sample=text.sample(data[:cut])), cut
    if end is None:
        if size < text.TEXT_BYTES_MAX:
            return None
        return Refused(reason=Reason.TOO_LONG, sample=text.sample(data)), size
    if end[0] == b"(":
        return Refused(reason=Reason.TRUNCATED, sample=text.sample(data[:size])), size
    data = data[: size + 1]
    frame = text.decode(data)
    if isinstance(frame, Reason):
        return Refused(reason=frame, sample=text.sample(data)), size + 1
    return frame, size + 1


def _id_bytes(held: bytes, start: int) -> int:
    """How many of the twelve bytes `(`, ten digits, `,` stand at `start`."""
    match = _TEXT_PREFIX.match(held, start)
    assert match is not None, "the caller found a bracket there"
    size = match.end() - start
    return (
        size + 1
        if size == 1 + text.ID_DIGITS and held[match.end() : match.end() + 1] == b","
        else size
    )


def _refuse(reason: Reason, data: bytes) -> Refused:
    return Refused(reason=reason, sample=_sample(data))


def _sample(data: bytes) -> bytes:
    """At most 64 bytes, and none of a text frame that runs on behind: it may tell a password."""
    if data[:1] == b"(":
        return text.sample(data)
    hidden = _DIGITS.search(data)
    return data[: min(SAMPLE_BYTES_MAX, hidden.start() if hidden else len(data))]
