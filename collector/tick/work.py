"""What a tick gathers until its commit.

Law: vocabulary only; it lives as long as its tick.
"""

from collections import Counter
from dataclasses import dataclass, field

from collector.detect import Finding
from collector.ingest import Closed, Forked, Parked, Settled
from collector.store import QuarantineRow
from collector.tick.held import Held
from collector.tick.reading import Sheet
from wire.batch import Linked


@dataclass(slots=True, kw_only=True)
class Body:
    """A batch that came in this tick, as far as it was read."""

    linked: Linked
    rx_ms: int
    is_early: bool
    sheet: Sheet | None = None


@dataclass(slots=True, kw_only=True)
class Piece:
    """A step of a unit's history on its way to the engine. What had been parked gets sheet and envelope from the store."""

    held: Held
    step: Settled | Parked | Forked | Closed
    sheet: Sheet | None = None
    envelope: bytes = b""
    rx_ms: int = 0
    early_ms: int | None = None


@dataclass(slots=True, kw_only=True)
class Work:
    """All of one tick."""

    now_ms: int
    units: dict[str, Held] = field(default_factory=dict)
    bodies: dict[tuple[int, bytes, int, bytes], Body] = field(
        default_factory=dict
    )  # by unit_no, chain_id, batch_no, head
    pieces: list[Piece] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    quarantine: list[QuarantineRow] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)  # by its whole name
    positions: int = 0
    receipts: set[tuple[str, bytes]] = field(default_factory=set)  # unit_id, chain_id
    receipts_later: set[tuple[str, bytes]] = field(default_factory=set)  # said again too soon
    resends: dict[tuple[str, bytes], int] = field(default_factory=dict)  # from which number on
    heard: dict[str, int] = field(default_factory=dict)  # unit_id: the newest receipt
    closed: dict[str, int] = field(default_factory=dict)  # unit_id: now, of a supervisor's act
    greeted: dict[str, tuple[bytes, int]] = field(
        default_factory=dict
    )  # said hello, with chain_id and boot_no: waiting orders go out at once

    def hear(self, held: Held, received_ms: int, owes: int | None = None) -> None:
        """Anything sound came from the unit."""
        self.heard[held.unit_id] = max(received_ms, self.heard.get(held.unit_id, 0))
        held.hear(received_ms, owes)
