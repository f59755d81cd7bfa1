"""Bytes into messages; what lies between is noise.

Law: what comes out depends on the bytes alone, never on how they were cut.
"""

from devices import SAMPLE_BYTES_MAX, MisuseError
from devices.eseal.message import Frame, Reason, Refused, decode, refuse

FRAME_BYTES_MAX = 512  # DEVICES section 1
# a large feed is worked off in slices, so that our memory does not grow with it
SLICE_BYTES = 4_096
CONFIG_CHARS_MAX = 64
_START = b"##S,"
_END = b",E##"


class Framer:
    """Cuts one line's bytes into messages; what lies between is noise. The bytes alone decide, never how they were cut."""

    def __init__(self, *, config: str | None = None) -> None:
        if config is not None and not _is_config(config):
            raise MisuseError(
                f"config: up to {CONFIG_CHARS_MAX} printable ASCII without #, is {config!r}"
            )
        self.noise_bytes = 0
        self._config = config
        self._held = b""

    @property
    def is_waiting(self) -> bool:
        """True while a message may have begun and is not whole."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[Frame | Refused]:
        """The messages that `data` completes, and the starts that it spoils."""
        found: list[Frame | Refused] = []
        for start in range(0, len(data), SLICE_BYTES):
            self._held += data[start : start + SLICE_BYTES]
            self._read(found)
        return found

    def flush(self) -> list[Frame | Refused]:
        """No more will come: what waits is truncated. Nothing whole can hide behind it."""
        held, self._held = self._held, b""
        if not held.startswith(_START):
            self.noise_bytes += len(held)
            return []
        return [Refused(reason=Reason.TRUNCATED, sample=held[:SAMPLE_BYTES_MAX])]

    def _read(self, found: list[Frame | Refused]) -> None:
        held, at = self._held, 0
        while (start := held.find(_START, at)) >= 0:
            self.noise_bytes += start - at
            at = start
            end = held.find(_END, start, start + FRAME_BYTES_MAX)
            # A start may share its comma with the end, and is seen first when the bytes come one by one.
            until = end + 1 if end >= 0 else start + FRAME_BYTES_MAX
            again = held.find(_START, start + 1, until)
            if again >= 0:
                found.append(refuse(Reason.TRUNCATED, held[start:again]))
                at = again
            elif end >= 0:
                at = end + len(_END)
                found.append(decode(held[start:at], self._config))
            elif len(held) - start >= FRAME_BYTES_MAX:
                found.append(refuse(Reason.TOO_LONG, held[start : start + FRAME_BYTES_MAX]))
                at = start + 1
            else:
                break
        else:
            kept = _begun(held, at)
            self.noise_bytes += len(held) - kept - at
            at = len(held) - kept
        self._held = held[at:]


def _is_config(config: str) -> bool:
    is_plain = config.isascii() and config.isprintable() and "#" not in config
    return is_plain and 1 <= len(config) <= CONFIG_CHARS_MAX


def _begun(held: bytes, at: int) -> int:
    """How many bytes at the end of `held` may be the first ones of a start."""
    return max((n for n in range(1, len(_START)) if held.endswith(_START[:n], at)), default=0)
