"""Bytes into frames: 7E to 7E, and lines of text `(id,...)`; what lies between is noise.

Law: what comes out depends on the bytes alone, never on how they were cut. After a refused start the search goes on one byte behind
it. The mark that ends a good frame may begin the next one: some locks say it once for both; if nothing good begins there it was only
an end, and what follows is noise.
"""

import re
from collections.abc import Iterator

from devices import SAMPLE_BYTES_MAX
from devices.jt808.frame import Frame, Kind, Reason, Refused
from devices.jt808.message import CONTENT_BYTES_MAX, MARK, decode, unescape

SLICE_BYTES = 4_096  # a large feed is worked off in slices: our memory does not grow with it
TEXT_BYTES_MAX = 512  # as for the text frames of the same maker's other locks
ESCAPED_BYTES_MAX = 2 * CONTENT_BYTES_MAX  # every byte of it escaped
FRAME_SAMPLE_BYTES_MAX = 40  # header, time and place; behind them a password may stand

_ID = re.compile(rb"\(\d{12},")
_ID_BYTES = 14
_TEXT_BEGUN = re.compile(rb"\(\d{0,12}\Z|\(\d{12},")
_TEXT_ENDS = re.compile(rb"[()~]")
_STARTS = re.compile(rb"[~(]")
_DIGITS = re.compile(rb"\(\d\d")

_Verdict = tuple[Frame | Refused | None, int] | None  # and bytes covered; None: more are wanted


class Framer:
    """Cuts one line's bytes into frames."""

    def __init__(self, utc_offset_min: int) -> None:
        self.noise_bytes = 0
        self._utc_offset_min = utc_offset_min
        self._held = b""
        self._quiet_bytes = 0  # of `_held`: refusals that begin there are part of one already told
        self._is_shared = False  # the first byte of `_held` ended a good frame

    @property
    def is_waiting(self) -> bool:
        """True while a frame has begun and is not whole; a mark alone may as well be an end."""
        return self._held not in {b"", MARK}

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
        held, at, quiet_until, is_shared = self._held, 0, self._quiet_bytes, self._is_shared
        while match := _STARTS.search(held, at):
            start = match.start()
            self.noise_bytes += max(0, start - max(at, quiet_until))
            at = start
            verdict = self._look(held, start)
            if verdict is None:
                if not is_end:
                    break
                verdict = _cut_short(held[start:])
            one, size = verdict
            if isinstance(one, Frame):
                yield one
                at += size
                # A mark behind the mark begins the next frame: then this one is an end and nothing else.
                is_shared = held[start : start + 1] == MARK and held[at : at + 1] != MARK
                at -= is_shared
                continue
            if start >= quiet_until and not is_shared:
                if one is None:
                    self.noise_bytes += 1
                else:
                    yield one
                    quiet_until = start + size
            at += 1
            is_shared = False
        else:
            self.noise_bytes += max(0, len(held) - max(at, quiet_until))
            at = len(held)
        self._held = held[at:]
        self._quiet_bytes = max(0, quiet_until - at)
        self._is_shared = is_shared and bool(self._held)

    def _look(self, held: bytes, start: int) -> _Verdict:
        if held[start : start + 1] == MARK:
            return self._look_marked(held, start)
        return _look_text(held, start)

    def _look_marked(self, held: bytes, start: int) -> _Verdict:
        end = held.find(MARK, start + 1, start + ESCAPED_BYTES_MAX + 2)
        if end == start + 1:
            return None, 1  # the end of a frame whose start we missed
        if end < 0:
            if len(held) - start < ESCAPED_BYTES_MAX + 2:
                return None
            return _refuse(Reason.TOO_LONG, held[start : start + ESCAPED_BYTES_MAX + 1])
        data = held[start:end]
        content = unescape(data[1:])
        if content is None:
            return _refuse(Reason.MALFORMED, data)
        if len(content) > CONTENT_BYTES_MAX:
            return _refuse(Reason.TOO_LONG, data)
        frame = decode(content, self._utc_offset_min, held[start : end + 1])
        if isinstance(frame, Reason):
            return _refuse(frame, data)
        return frame, end + 1 - start


def _look_text(held: bytes, start: int) -> _Verdict:
    """A line of text; a bracket without an id behind it is noise, for it is a common byte."""
    begun = _TEXT_BEGUN.match(held, start, start + _ID_BYTES)
    if begun is None:
        return None, 1
    if not _ID.match(held, start):
        return None
    data = held[start : start + TEXT_BYTES_MAX]
    end = _TEXT_ENDS.search(data, 1)
    if end is None:
        if len(data) < TEXT_BYTES_MAX:
            return None
        return _refuse(Reason.TOO_LONG, data)
    if end[0] != b")":
        return _refuse(Reason.TRUNCATED, data[: end.start()])
    data = data[: end.end()]
    if not (data.isascii() and data.decode("ascii").isprintable()):
        return _refuse(Reason.MALFORMED, data)
    return _reply(data), len(data)


def _reply(data: bytes) -> Frame:
    """Its word is the first field that is no number; the rest may be a password and is not told."""
    seal_id, *fields = data[1:-1].decode("ascii").split(",")
    word = next((field for field in fields if field.isalpha()), "")
    return Frame(raw=b"", kind=Kind.REPLY, seal_id=seal_id, message=word)


def _cut_short(data: bytes) -> tuple[Refused | None, int]:
    if data == MARK:
        return None, 1  # the end of the frame before
    return _refuse(Reason.TRUNCATED, data)


def _refuse(reason: Reason, data: bytes) -> tuple[Refused, int]:
    return Refused(reason=reason, sample=_sample(data)), len(data)


def _sample(data: bytes) -> bytes:
    """Too short to reach a password, and none of a text line that runs on behind."""
    if data[:1] != MARK:
        return data[: min(_ID_BYTES, SAMPLE_BYTES_MAX)]
    hidden = _DIGITS.search(data)
    return data[: min(FRAME_SAMPLE_BYTES_MAX, hidden.start() if hidden else len(data))]
