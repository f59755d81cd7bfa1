"""The outbox itself: one writer, jobs that are whole transactions."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from agent import Boot, Identity, Moment, StoredBatch
from agent.outbox.words import (
    At,
    AtHome,
    ChainState,
    News,
    OutboxSettings,
    Stats,
    Word,
    no_op,
)
from agent.sealer import OpenBatch
from wire import Refused
from wire.receipts import Receipt

NOTHING: Mapping[str, bytes | None] = MappingProxyType({})


class Outbox:
    """Batches that no receipt covers yet. Made by `open`; `run` is the writer and belongs into the TaskGroup."""

    boot_no: int

    @classmethod
    async def open(
        cls,
        directory: Path,
        settings: OutboxSettings,
        identity: Identity,
        boot: Boot,
        moment: Moment,
        *,
        at: At = no_op,
    ) -> "Outbox":
        """Lock, open, check, choose the chain, commit the first batch (genesis if new, boot)."""
        raise NotImplementedError

    async def run(self) -> None:
        """The one writer: takes jobs until `close`."""

    async def store(
        self, batch: OpenBatch, moment: Moment, *, memory: Mapping[str, bytes | None] = NOTHING
    ) -> StoredBatch:
        """Number, link, sign and commit `batch` in one transaction, with what belongs to it in `memory`."""
        raise NotImplementedError

    async def read(self, pos: int, moment: Moment) -> bytes | None:
        """The envelope at `pos`, its own signature checked. None: gone, or damaged, deleted and confessed."""
        raise NotImplementedError

    async def waiting(self, after_pos: int = 0, count_max: int = 1_024) -> list[StoredBatch]:
        """Batches without receipt behind `after_pos`, in the order of sending."""
        raise NotImplementedError

    def urgent(self) -> list[StoredBatch]:
        """Urgent batches without receipt, oldest first."""
        raise NotImplementedError

    async def find(self, chain_id: bytes, batch_no: int) -> int | None:
        """Where the first kept batch of the chain from `batch_no` on lies."""
        raise NotImplementedError

    async def judge_receipt(
        self, message: bytes, receipt_keys: Mapping[bytes, bytes]
    ) -> Receipt | Refused:
        """`wire.receipts.judge` with all that we know of our chains."""
        raise NotImplementedError

    def cover(self, receipt: Receipt, envelope: bytes) -> int:
        """Batches up to this receipt need not be sent again; carried out lazily. How many are newly covered."""
        raise NotImplementedError

    async def word(self, receipt: Receipt | None, moment: Moment) -> Word:
        """The collector has spoken: `receipt`, or None for `resend_from` 0 (nothing is settled)."""
        raise NotImplementedError

    async def found_again(self, receipt: Receipt, moment: Moment) -> StoredBatch:
        """A new chain behind `receipt` (reason 4): the collector holds more than we know (AHEAD on a chain in force)."""
        raise NotImplementedError

    @property
    def at_home(self) -> AtHome | None:
        """What must not leave yet, if anything."""
        raise NotImplementedError

    @property
    def pressure(self) -> int:
        """0 to 3; 4: only evidence is left, nothing else may be recorded."""
        raise NotImplementedError

    def chains(self) -> tuple[ChainState, ...]:
        """Our chains, oldest first, the current one last."""
        raise NotImplementedError

    def memory(self, name: str) -> bytes | None:
        """What was stored under `name`."""
        raise NotImplementedError

    async def remember(self, memory: Mapping[str, bytes | None]) -> None:
        """Store names and values in a transaction of their own; None forgets."""
        raise NotImplementedError

    async def stats(self) -> Stats:
        """The store in numbers."""
        raise NotImplementedError

    def take_news(self) -> list[News]:
        """What happened since it was asked last."""
        raise NotImplementedError

    async def close(self, moment: Moment, *, clean: bool) -> None:
        """Everything queued, then the marker if the newest event is `stop`, checkpoint, close. Ends `run`."""
        raise NotImplementedError
