"""When a batch is full, and its bytes from records, head and time (EDGE section 3).

Law: an urgent event never waits for a fuller batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from agent import Kept, Moment, Weight
from wire.batch import make_payload
from wire.columns import encode_body

URGENT_MS = 20  # rope, motor and alarm frames come in one burst (EDGE section 3)


class Closing(Enum):
    """Why a batch was closed."""

    URGENT = "urgent"
    ACKNOWLEDGE = "acknowledge"
    LIVE = "live"
    AGE = "age"
    TURN = "turn"  # power, motion, clock, config
    SIZE = "size"
    STOP = "stop"
    START = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealerSettings:
    """`sealer` of the config."""

    records_min: int = 15
    age_live_s: int = 30
    age_standing_s: int = 120
    age_offline_s: int = 60
    age_open_s: int = 300
    batch_bytes_max: int = 12_288


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBatch:
    """Records that shall become one batch; nothing is numbered or signed yet."""

    kept: tuple[Kept, ...]
    sealed: Moment  # the clock that goes into its header: one batch has one offset
    closing: Closing

    @property
    def urgent(self) -> bool:
        """Whether one of its events is urgent."""
        return any(kept.urgent for kept in self.kept)

    @property
    def weight(self) -> Weight:
        """The greatest of its records rules."""
        return max(kept.weight for kept in self.kept)


class Sealer:
    """Collects kept records and says when they make a batch."""

    def __init__(self, settings: SealerSettings) -> None:
        self._settings = settings
        self._kept: list[Kept] = []
        self._close_at_ms: int | None = None

    def link(self, *, up: bool, metered: bool) -> None:
        """Whether somebody hears us now, and whether it is dear."""

    def state(self, *, sealed: bool, moving: bool) -> None:
        """Which age limits are in force: the recorder knows."""

    def shrink(self, batch_bytes_max: int) -> None:
        """A broker takes less than we thought (EDGE section 5): batches to come are smaller."""

    def add(
        self, kept: Sequence[Kept], moment: Moment, *, ack_waits: bool = False
    ) -> list[OpenBatch]:
        """Batches that are full now, oldest first. `ack_waits`: a device waits for our acknowledgement of these."""
        self._kept += kept
        if self._kept and self._close_at_ms is None:
            self._close_at_ms = moment.mono_ms + 1_000
        if any(one.urgent for one in kept):
            self._close_at_ms = moment.mono_ms + URGENT_MS
        return []

    def wake(self, moment: Moment) -> OpenBatch | None:
        """The batch whose time has come."""
        if self._close_at_ms is None or moment.mono_ms < self._close_at_ms:
            return None
        return self.close_now(Closing.AGE, moment)

    def close_now(self, closing: Closing, moment: Moment) -> OpenBatch | None:
        """The open batch, whatever its age; None if nothing is open."""
        if not self._kept:
            return None
        batch = OpenBatch(kept=tuple(self._kept), sealed=moment, closing=closing)
        self._kept = []
        self._close_at_ms = None
        return batch

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, in mono_ms."""
        return self._close_at_ms


def payload_of(
    batch: OpenBatch,
    *,
    unit_id: str,
    chain_id: bytes,
    boot_no: int,
    batch_no: int,
    prev: bytes,
    first_seq: int,
    seen: tuple[int, bytes] | None = None,
) -> bytes:
    """The bytes to sign: WIRE section 4, grain 1, the shorter codec. The same arguments give the same bytes."""
    return make_payload(
        unit_id=unit_id,
        chain_id=chain_id,
        boot_no=boot_no,
        batch_no=batch_no,
        prev=prev,
        first_seq=first_seq,
        count=len(batch.kept),
        sealed_ms=batch.sealed.utc_ms,
        sealed_mono_ms=batch.sealed.mono_ms,
        time_quality=batch.sealed.quality,
        seen=seen,
        raw_body=encode_body(first_seq, [kept.record for kept in batch.kept]),
    )
