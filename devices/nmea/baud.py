"""Which rate to listen at next (DEVICES section 3.11). Decides; opens no port and reads no clock.

Law: bytes without sentences mean a wrong rate; no bytes at all mean a mute receiver, which is no reason to hurry.
"""

from dataclasses import dataclass

__all__ = ["BaudHunt", "Rate"]

ORDER = (9_600, 38_400, 115_200, 4_800, 57_600, 19_200, 230_400, 460_800, 921_600)
TRIAL_MS = 3_000  # three bursts of a receiver that speaks once a second
TRIAL_BYTES = 1_200  # a burst at least; noise at a high rate is judged sooner
GOOD_TO_WIN = 2  # one checksum can be met by chance
LOST_MS = 5_000
MUTE_MS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How to set the port; parity is none."""

    baud: int
    bits: int = 8
    stop_bits: int = 1


class BaudHunt:
    """Begins at `rate`, which the shell sets before the first `note`.

    Order: the saved rate, then ORDER; after a full round once the same with 7N2, then 8N1 for good.
    A rate that was found is kept until bytes without sentences come for 5 s, or nothing at all for 30 s.
    """

    def __init__(self, saved: int | None) -> None:
        self.found = False
        self._bauds = _order(saved)
        self._at = 0
        self._round = 0
        self._began_ms: int | None = None
        self._trial_ms: int | None = None  # when the time of this rate began to count
        self._last_byte_ms: int | None = None
        self._noise_ms: int | None = None  # the first byte since the last sentence
        self._bytes = 0
        self._good = 0

    @property
    def rate(self) -> Rate:
        """The rate in force."""
        baud = self._bauds[self._at]
        return Rate(baud=baud, bits=7, stop_bits=2) if self._round == 1 else Rate(baud=baud)

    def note(self, good: int, bytes_seen: int, now_ms: int) -> Rate | None:
        """The rate to change to, or None, when since the last note `good` sentences and `bytes_seen` bytes came.

        To be called with every read, and with zeros when `next_deadline` has come.
        """
        if self._began_ms is None:
            self._begin(now_ms)
        if bytes_seen > 0:
            self._note_bytes(bytes_seen, now_ms)
        if good > 0:
            self._good += good
            self._noise_ms = None
        self.found = self.found or self._good >= GOOD_TO_WIN
        return self._change(now_ms) if self._is_over(now_ms) else None

    def next_deadline(self) -> int | None:
        """When to call `note` if no byte comes before; None before the first note."""
        if self._began_ms is None:
            return None
        if self._trial_ms is None or self._last_byte_ms is None:
            return self._began_ms + MUTE_MS
        if self.found:
            return self._last_byte_ms + MUTE_MS
        return self._trial_ms + TRIAL_MS

    def _begin(self, now_ms: int) -> None:
        self._began_ms = now_ms
        self._trial_ms = self._last_byte_ms = self._noise_ms = None
        self._bytes = self._good = 0

    def _note_bytes(self, bytes_seen: int, now_ms: int) -> None:
        assert self._began_ms is not None
        if self._trial_ms is None:
            # After a long silence the first bytes deserve their full time too.
            heard_soon = now_ms - self._began_ms < TRIAL_MS
            self._trial_ms = self._began_ms if heard_soon else now_ms
        if self._noise_ms is None:
            self._noise_ms = now_ms
        self._last_byte_ms = now_ms
        self._bytes += bytes_seen

    def _is_over(self, now_ms: int) -> bool:
        deadline = self.next_deadline()
        if deadline is not None and now_ms >= deadline:
            return True
        if not self.found:
            return self._bytes >= TRIAL_BYTES
        if self._noise_ms is None or self._last_byte_ms is None:
            return False
        return self._last_byte_ms - self._noise_ms >= LOST_MS

    def _change(self, now_ms: int) -> Rate:
        if self.found:
            self._bauds = _order(self.rate.baud)
            self.found, self._at, self._round = False, 0, 0
        self._at += 1
        if self._at == len(self._bauds):
            self._at = 0
            self._round += 1
        self._begin(now_ms)
        return self.rate


def _order(first: int | None) -> tuple[int, ...]:
    return ORDER if first is None else (first, *(baud for baud in ORDER if baud != first))
