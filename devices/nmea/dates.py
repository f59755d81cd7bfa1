"""Which day it is: rollover and midnight (DEVICES section 3.7).

GPS counts weeks modulo 1024. A receiver whose firmware is older than the last rollover says dates that lie 1024 or 2048 weeks back.
"""

from dataclasses import dataclass
from datetime import date

from devices import TimeQuality
from devices.nmea.fields import DAY_MS

__all__ = ["Dater", "Day", "is_backward"]

ROLLOVER_DAYS = 1024 * 7
ROLLOVERS_MAX = 2  # a third would be a receiver from before the first
_HALF_DAY_MS = DAY_MS // 2
_UNIX_DAY = date(1970, 1, 1).toordinal()


def is_backward(before_ms: int, after_ms: int) -> bool:
    """Whether a time of day lies behind the one before it, midnight taken as the shorter way."""
    return (after_ms - before_ms) % DAY_MS > _HALF_DAY_MS


@dataclass(frozen=True, slots=True)
class Day:
    """A day that is believed."""

    number: int  # proleptic ordinal
    rolled: bool  # put right by 1024 or 2048 weeks


class Dater:
    """Gives each time of day its date, from what was last said."""

    def __init__(self, not_before: date) -> None:
        self._not_before = not_before.toordinal()
        self._day: Day | None = None  # of the last epoch
        self._tod_ms = 0

    def believe(self, said: date) -> Day | None:
        """The day that `said` means; None if it cannot be."""
        day, rollovers = said.toordinal(), 0
        while day < self._not_before and rollovers < ROLLOVERS_MAX:
            day, rollovers = day + ROLLOVER_DAYS, rollovers + 1
        if not self._not_before <= day < self._not_before + ROLLOVER_DAYS:
            return None
        return Day(day, rollovers > 0)

    def date(self, tod_ms: int, own: Day | None) -> tuple[int | None, TimeQuality]:
        """Unix ms of an epoch and how well they are known; `own` is the believed date it came with."""
        day = own or self._day
        if day is None:
            return None, TimeQuality.TOD
        if own is None and abs(tod_ms - self._tod_ms) > _HALF_DAY_MS:
            day = Day(day.number + (1 if tod_ms < self._tod_ms else -1), day.rolled)
        self._day, self._tod_ms = day, tod_ms
        quality = TimeQuality.ROLLED if day.rolled else TimeQuality.GNSS
        return (day.number - _UNIX_DAY) * DAY_MS + tod_ms, quality
