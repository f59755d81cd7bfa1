"""How long to wait before the next try, and what the log hears of a trouble: its begin and its end.

Law: in between the counters speak.
"""

import logging
from dataclasses import dataclass

PAUSE_MS_MIN = 200  # a broker that is restarted is back within half a second
PAUSE_MS_MAX = 10_000
SOUND_MS = 5_000  # what held for so long has ended the trouble

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Trouble:
    """One thing that may fail again and again. `what` is its name in the log."""

    what: str
    since_ms: int | None = None
    pause_ms: int = PAUSE_MS_MIN

    def failed(self, why: str, now_ms: int, *, held_ms: int = 0) -> float:
        """Note a failure after the thing had held for `held_ms`; the seconds to wait before the next try."""
        if held_ms >= SOUND_MS:
            self.pause_ms = PAUSE_MS_MIN
        if self.since_ms is None:
            self.since_ms = now_ms
            log.error("%s lost: %s; trying again", self.what, why)
        pause_ms, self.pause_ms = self.pause_ms, min(2 * self.pause_ms, PAUSE_MS_MAX)
        return pause_ms / 1_000

    def works(self, now_ms: int) -> None:
        """Note that the thing works (again)."""
        if self.since_ms is not None:
            log.info("%s back after %.1f s", self.what, (now_ms - self.since_ms) / 1_000)
            self.since_ms = None
