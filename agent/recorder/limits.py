"""How much one source may say (EDGE section 2).

Law: a chattering contact or a flooding port fills neither the card nor the memory; what is refused is counted.
"""

from dataclasses import dataclass

EVENTS_PER_S = 20
FIXES_PER_S = 2
BURST = 100
OVER_MS = 1_000  # above the limit one event a second goes on
SOURCES_MAX = 16  # more have one limit together


@dataclass(slots=True, kw_only=True)
class _Bucket:
    left: float
    filled_ms: int
    let_ms: int | None = None  # when one was let through above the limit


class Limits:
    """A token bucket for each source."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._buckets: dict[str, _Bucket] = {}

    def allows(self, source: str, mono_ms: int) -> bool:
        """Whether the source may say something now. Spends nothing."""
        bucket = self._bucket(source, mono_ms)
        return bucket.left >= 1 or bucket.let_ms is None or mono_ms - bucket.let_ms >= OVER_MS

    def spend(self, source: str, mono_ms: int, count: int) -> None:
        """It has said `count` records."""
        bucket = self._bucket(source, mono_ms)
        if bucket.left < count:
            bucket.let_ms = mono_ms
        bucket.left = max(bucket.left - count, 0.0)

    def _bucket(self, source: str, mono_ms: int) -> _Bucket:
        name = source if source in self._buckets or len(self._buckets) < SOURCES_MAX else ""
        bucket = self._buckets.setdefault(name, _Bucket(left=BURST, filled_ms=mono_ms))
        passed_ms = max(mono_ms - bucket.filled_ms, 0)
        bucket.left = min(bucket.left + passed_ms * self._per_s / 1_000, BURST)
        bucket.filled_ms = mono_ms
        return bucket
