"""Satellites, antenna and jamming as gpsd passes them on, and when to speak of them: as `nmea` does (DEVICES section 3.8)."""

from math import isqrt
from typing import TYPE_CHECKING

from devices import GnssStatus
from devices.gpsd.lines import SkyLine, unpack

if TYPE_CHECKING:
    from array import array

STATUS_EVERY_MS = 10_000
SKY_MS_MAX = 15_000  # what was not spoken of for this long is not known any more
DILUTION_MS_MAX = 5_000  # gpsd says DOPs once an epoch, slow receivers every few seconds
STRONG_CDB = 2_500


class Sky:
    """What is known of the sky now, and whether it is time to tell."""

    def __init__(self) -> None:
        self._satellites: array[int] | None = None
        self._seen_ms = 0
        self._hdop_centi: int | None = None
        self._used: int | None = None
        self._said_ms = 0  # HDOP and number of satellites used
        self._antenna: str | None = None
        self._jam_level: int | None = None
        self._has_fix: bool | None = None
        self._told_ms: int | None = None

    def hear(self, line: SkyLine, now_ms: int) -> list[GnssStatus]:
        """A SKY came; it tells if it is time."""
        self._hdop_centi, self._used, self._said_ms = line.hdop_centi, line.used, now_ms
        if line.satellites is None:
            return []
        self._satellites, self._seen_ms = line.satellites, now_ms
        return [self._tell(now_ms)] if self._is_due(now_ms) else []

    def health(self, antenna: str | None, jam_level: int | None, now_ms: int) -> list[GnssStatus]:
        """What a TPV says of antenna and jamming."""
        if jam_level is not None:
            self._jam_level = jam_level
        if antenna is None or antenna == self._antenna:
            return []
        self._antenna = antenna
        return [self._tell(now_ms)]

    def epoch_closed(self, *, has_fix: bool, now_ms: int) -> list[GnssStatus]:
        """An instant is over: tell if the fix was lost or found."""
        changed, self._has_fix = has_fix is not self._has_fix, has_fix
        return [self._tell(now_ms)] if changed and self._satellites is not None else []

    def dilution(self, now_ms: int) -> tuple[int | None, int | None]:
        """HDOP in hundredths and satellites used, if they were said lately."""
        if now_ms - self._said_ms > DILUTION_MS_MAX:
            return None, None
        return self._hdop_centi, self._used

    def _is_due(self, now_ms: int) -> bool:
        return self._told_ms is None or now_ms - self._told_ms >= STATUS_EVERY_MS

    def _tell(self, now_ms: int) -> GnssStatus:
        self._told_ms = now_ms
        known = self._satellites if now_ms - self._seen_ms <= SKY_MS_MAX else None
        seen = [unpack(packed) for packed in known or ()]
        levels = sorted((cn0_cdb for _, cn0_cdb, _ in seen if cn0_cdb), reverse=True)
        top4 = levels[:4]
        used = sum(is_used for _, _, is_used in seen)
        return GnssStatus(
            at_ms=now_ms,
            in_view=None if known is None else len(seen),
            tracked=None if known is None else len(levels),
            used=used if known is not None else self.dilution(now_ms)[1],
            systems=_by_system(seen),
            cn0_top4_cdb=_half_up(sum(top4), len(top4)) if top4 else None,
            cn0_std_cdb=_deviation(levels) if levels else None,
            strong_25=None if known is None else sum(level > STRONG_CDB for level in levels),
            antenna=self._antenna,
            jam_state=None,
            jam_level=self._jam_level,
            spoof_state=None,
            agc_permille=None,
        )


def _by_system(seen: list[tuple[str, int, bool]]) -> tuple[tuple[str, int, int, int], ...]:
    counts: dict[str, list[int]] = {}
    for system, cn0_cdb, used in seen:
        count = counts.setdefault(system, [0, 0, 0])
        count[0] += 1
        count[1] += cn0_cdb > 0
        count[2] += used
    return tuple(
        (system, in_view, tracked, used)
        for system, (in_view, tracked, used) in sorted(counts.items())
    )


def _half_up(number: int, divisor: int) -> int:
    return (2 * number + divisor) // (2 * divisor)


def _deviation(levels: list[int]) -> int:
    """Population standard deviation, without floats."""
    count = len(levels)
    spread = count * sum(level * level for level in levels) - sum(levels) ** 2
    return _half_up(isqrt(spread), count)
