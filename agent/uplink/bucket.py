"""A token bucket in integers: how much may go now, and when the rest may."""


class Bucket:
    """Fills with `per_s` tokens a second up to `burst`; begins full."""

    def __init__(self, *, per_s: int, burst: int, mono_ms: int) -> None:
        assert per_s > 0
        assert burst > 0
        self._per_s = per_s
        self._burst_milli = burst * 1000
        self._milli = self._burst_milli  # thousandths: a second at 1 token/ms is exact
        self._at_ms = mono_ms

    def ready_ms(self, tokens: int, mono_ms: int) -> int:
        """From when on `tokens` may be taken; `mono_ms` itself if now. More than the burst counts as the burst."""
        self._fill(mono_ms)
        missing = min(tokens * 1000, self._burst_milli) - self._milli
        return mono_ms if missing <= 0 else mono_ms + -(-missing // self._per_s)

    def take(self, tokens: int, mono_ms: int) -> None:
        """Take without asking: what must go (a hello) goes, and what comes after waits for it."""
        self._fill(mono_ms)
        self._milli = max(self._milli - tokens * 1000, -self._burst_milli)

    def _fill(self, mono_ms: int) -> None:
        gained = max(0, mono_ms - self._at_ms) * self._per_s
        self._milli = min(self._burst_milli, self._milli + gained)
        self._at_ms = max(self._at_ms, mono_ms)
