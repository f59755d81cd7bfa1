"""How long to wait before the next dial: full jitter, and a ladder that only a receipt lets one step off.

Not TCP, not CONNACK, not PUBACK: a broker that accepts and drops would else be dialled by a whole fleet every second.
"""

from random import Random

DIAL_WAIT_MS_MAX = 300_000  # five minutes: an officer's patience, and 17 dials/s from 5,000 units
FIRST_RUNG_URGENT = 0
FIRST_RUNG_QUIET = 3  # 5,000 units thrown out at once then spread over 8 s instead of 1 s
REFUSED_RUNG_MIN = 6  # wrong credentials are no matter of seconds
RUNG_MAX = 16  # far above the cap; keeps 2^rung small
SHORT_CUT_WAIT_MS_MIN = 2_000
SHORT_CUT_EVERY_MS = 60_000


class Rungs:
    """The ladder of one unit; `rung` is None while no series of dials runs."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.rung: int | None = None
        self._is_start = True
        self.refused = False
        self._short_cut_ms: int | None = None

    def wait_ms(self, *, urgent: bool) -> int:
        """uniform(0, min(300 s, 1 s x 2^rung)); the next one is twice as long. A start of the program dials within a second."""
        if self._is_start:
            self._is_start = False
            return self._rng.randint(1, 1000 << FIRST_RUNG_URGENT)
        if self.rung is None:
            self.rung = FIRST_RUNG_URGENT if urgent else FIRST_RUNG_QUIET
        bound_ms = min(DIAL_WAIT_MS_MAX, 1000 << self.rung)
        self.rung = min(self.rung + 1, RUNG_MAX)
        return self._rng.randint(1, bound_ms)

    def refusal(self) -> None:
        """CONNACK 4 or 5: somebody must put a credential right first."""
        self.rung = max(self.rung or 0, REFUSED_RUNG_MIN)
        self.refused = True

    def receipt(self) -> None:
        """The collector has spoken: the next series starts at its first rung."""
        self.rung = None
        self.refused = False

    def short_cut(self, *, dial_ms: int, mono_ms: int) -> bool:
        """Whether an urgent batch may dial now instead of at `dial_ms`: once a minute, never after a refusal."""
        if self.refused or dial_ms - mono_ms <= SHORT_CUT_WAIT_MS_MIN:
            return False
        if self._short_cut_ms is not None and mono_ms - self._short_cut_ms < SHORT_CUT_EVERY_MS:
            return False
        self._short_cut_ms = mono_ms
        return True
