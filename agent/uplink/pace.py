"""How fast each lane may go: the backlog never drowns the alarms, and nobody drowns the collector (EDGE section 5, buckets)."""

from agent import StoredBatch
from agent.uplink.bucket import Bucket
from agent.uplink.settings import UplinkSettings
from agent.uplink.words import Lane

BACKLOG_AGE_MS = 120_000  # older than this is backlog, younger is news
BACKLOG_BURST_SECONDS = 4
EARLY_BYTES_S = 8_192
EARLY_BURST_BYTES = 65_536
MESSAGES_BURST = 200


class Pace:
    """Three buckets: messages of all lanes, bytes of the backlog, bytes of early copies."""

    def __init__(self, settings: UplinkSettings, mono_ms: int) -> None:
        self._messages = Bucket(per_s=settings.messages_s, burst=MESSAGES_BURST, mono_ms=mono_ms)
        self._backlog = Bucket(
            per_s=settings.backlog_bytes_s,
            burst=settings.backlog_bytes_s * BACKLOG_BURST_SECONDS,
            mono_ms=mono_ms,
        )
        self._early = Bucket(per_s=EARLY_BYTES_S, burst=EARLY_BURST_BYTES, mono_ms=mono_ms)

    def ready_ms(self, batch: StoredBatch, lane: Lane, mono_ms: int) -> int:
        """From when on `batch` may go; `mono_ms` itself if now."""
        ready_ms = self._messages.ready_ms(1, mono_ms)
        if lane is Lane.EARLY:
            return max(ready_ms, self._early.ready_ms(batch.size_bytes, mono_ms))
        if _is_backlog(batch, mono_ms):
            return max(ready_ms, self._backlog.ready_ms(batch.size_bytes, mono_ms))
        return ready_ms

    def sent(self, batch: StoredBatch, lane: Lane, mono_ms: int) -> None:
        """It went."""
        self._messages.take(1, mono_ms)
        if lane is Lane.EARLY:
            self._early.take(batch.size_bytes, mono_ms)
        elif _is_backlog(batch, mono_ms):
            self._backlog.take(batch.size_bytes, mono_ms)

    def may_say(self, mono_ms: int) -> bool:
        """Whether a message that can wait may go now."""
        return self._messages.ready_ms(1, mono_ms) == mono_ms

    def said(self, mono_ms: int) -> None:
        """A hello went: it asks nobody, and what comes after waits for it."""
        self._messages.take(1, mono_ms)


def _is_backlog(batch: StoredBatch, mono_ms: int) -> bool:
    return mono_ms - batch.sealed_mono_ms > BACKLOG_AGE_MS
