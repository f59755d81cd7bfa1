"""The outbox's door: jobs that are whole transactions, carried out one after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from agent import Boot, Identity, Moment, StoredBatch
from agent.outbox.aside import SALVAGE, SALVAGE_OLDER
from agent.outbox.book import Chain
from agent.outbox.forget import Held, carry_out
from agent.outbox.provision import lay_in
from agent.outbox.reading import find, head_at, newest, raw, read, waiting
from agent.outbox.rows import Row
from agent.outbox.salvage import salvage
from agent.outbox.spill import SPILL
from agent.outbox.start import PROGRAM, start
from agent.outbox.transaction import Transaction
from agent.outbox.word import HOME, found_again, hear, tip_of
from agent.outbox.words import (
    At,
    AtHome,
    Cause,
    ChainState,
    News,
    OutboxError,
    OutboxSettings,
    Previous,
    Stats,
    Word,
    no_op,
)
from agent.outbox.writer import Writer
from agent.sealer import OpenBatch
from wire import MisuseError, Reason, Refused
from wire.canon import decode
from wire.envelope import Aad, open_envelope
from wire.receipts import ChainKnown, Receipt, RefusedReceipt, judge, read_payload

NOTHING: Mapping[str, bytes | None] = MappingProxyType({})
JOBS_MAX = 16  # full: the sealer keeps its batch open
OWN_NAMES = frozenset(
    (
        "boot_id",
        "boot_no",
        "clean",
        HOME,
        SALVAGE,
        SALVAGE_OLDER,
        SPILL,
        "r1",
        "r2",
        "seen",
        "starts",
        "evicted",
        "proven",
        PROGRAM,
    )
)

T = TypeVar("T")


class Outbox:
    """Batches that no receipt covers yet. Made by `open`; `run` is the writer and belongs into the TaskGroup."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._jobs: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue(JOBS_MAX)
        self._closed = False

    @classmethod
    async def open(
        cls,
        directory: Path,
        settings: OutboxSettings,
        identity: Identity,
        boot: Boot,
        moment: Moment,
        *,
        run: Path | None = None,
        at: At = no_op,
    ) -> "Outbox":
        """Lock, open, check, choose the chain, commit the first batch (genesis if new, boot).

        `run`: a directory on a tmpfs, where it goes on while the disk refuses. Raises OutboxLockedError if another agent holds the
        directory, OutboxDiskError if the disk refuses and there is no `run`.
        """
        return cls(await start(directory, settings, identity, boot, moment, at, run=run))

    async def run(self) -> None:
        """The one writer: takes jobs until `close`. Nothing is stored or read while it does not run."""
        while not self._closed:
            job = await self._jobs.get()
            await job()

    async def _do(self, job: Callable[[], Awaitable[T]]) -> T:
        """Queue `job` and wait for it. A cancelled caller cancels no job: the statement would go on without it."""
        if self._closed:
            raise OutboxError("the outbox is closed")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            try:
                result = await job()
            except Exception as error:  # noqa: BLE001  # it belongs to whoever asked, and the writer goes on
                if not answer.cancelled():
                    answer.set_exception(error)
            else:
                if not answer.cancelled():
                    answer.set_result(result)

        await self._jobs.put(work)
        return await answer

    # Storing

    async def store(
        self, batch: OpenBatch, moment: Moment, *, memory: Mapping[str, bytes | None] = NOTHING
    ) -> StoredBatch:
        """Number, link, sign and commit `batch` in one transaction, with what belongs to it in `memory`.

        The header's clock is `batch.sealed`; `moment` is now. Raises OutboxFullError or OutboxDiskError: then the batch is still the
        caller's, and nothing has happened.
        """
        _assert_foreign(memory)
        return await self._do(lambda: self._writer.append(batch, moment, memory))

    async def remember(self, memory: Mapping[str, bytes | None], moment: Moment) -> None:
        """Store names and values in a transaction of their own; None forgets."""
        _assert_foreign(memory)

        async def body(tx: Transaction) -> None:
            for name, value in memory.items():
                await tx.put(name, value)

        await self._do(lambda: self._writer.transact(moment, body))

    def memory(self, name: str) -> bytes | None:
        """What was stored under `name`."""
        return self._writer.book.memory.get(name)

    # Reading

    async def read(self, pos: int, moment: Moment) -> bytes | None:
        """The envelope at `pos`, its own signature checked. None: gone, or damaged, deleted and confessed."""
        return await self._do(lambda: read(self._writer, pos, moment))

    async def waiting(self, after_pos: int = 0, count_max: int = 1_024) -> list[StoredBatch]:
        """Batches without receipt behind `after_pos`, in the order of sending."""
        return await self._do(lambda: waiting(self._writer, after_pos, count_max))

    async def newest(self) -> list[bytes]:
        """The newest envelopes that are still kept, receipted or not, oldest first, at most 64."""
        return await self._do(lambda: newest(self._writer))

    async def rows(self, from_pos: int, count_max: int) -> list[tuple[bytes, Row]]:
        """Rows from `from_pos` on as they lie in the file, each with its chain's id; nothing is checked, nothing deleted."""
        return await self._do(lambda: raw(self._writer, from_pos, count_max))

    def urgent(self) -> list[StoredBatch]:
        """Urgent batches without receipt, oldest first."""
        writer = self._writer
        through = {chain.chain_id: writer.through(chain) for chain in writer.book.chains.values()}
        return [one for one in writer.book.urgent if one.batch_no > through.get(one.chain_id, -1)]

    async def find(self, chain_id: bytes, batch_no: int) -> int | None:
        """Where the first kept batch of the chain from `batch_no` on lies: `resend_from`."""
        row = await self._do(lambda: find(self._writer, chain_id, batch_no))
        return None if row is None else row.pos

    async def head_at(self, chain_id: bytes, batch_no: int) -> bytes | None:
        """Head of that batch, if it is still known."""
        return await self._do(lambda: head_at(self._writer, chain_id, batch_no))

    # The collector's words

    async def judge_receipt(
        self, message: bytes, receipt_keys: Mapping[bytes, bytes]
    ) -> Receipt | Refused:
        """`wire.receipts.judge` with all that we know of our chains.

        A receipt ahead of a chain that has ended covers all that we hold of it: the rest went with a power cut. Not while a chain
        waits for the word: then what the collector knows better is just what matters.
        """
        heads: dict[tuple[bytes, int], bytes | None] = {}
        opened = open_envelope(message, Aad.RECEIPT)
        named = opened if isinstance(opened, Refused) else read_payload(opened.payload)
        if not isinstance(named, Refused):
            key = (named.chain_id, named.through_batch_no)
            heads[key] = await self.head_at(*key)
        known = {
            one.chain_id: ChainKnown(
                covered=one.covered,
                newest=one.batch_no,
                head_at=lambda number, chain_id=one.chain_id: heads.get((chain_id, number)),  # type: ignore[misc]  # a default binds the loop's value
            )
            for one in self.chains()
        }
        unit_id = self._writer.identity.unit_id
        verdict = judge(message, unit_id=unit_id, receipt_keys=receipt_keys, chains=known)
        if isinstance(verdict, RefusedReceipt) and verdict.reason is Reason.AHEAD:
            return self._of_an_ended_chain(verdict.receipt) or verdict
        return verdict

    def _of_an_ended_chain(self, said: Receipt) -> Receipt | None:
        book = self._writer.book
        chain = book.by_id(said.chain_id)
        home = self._writer.home
        if chain is None or chain is book.current or (home is not None and not home.spoken):
            return None
        if self._writer.through(chain) == chain.last_no:
            return None
        return replace(said, through_batch_no=chain.last_no, head=chain.last_head)

    def cover(self, receipt: Receipt, envelope: bytes) -> int:
        """Batches up to this believed receipt need not be sent again. How many that are newly.

        Carried out lazily, in a transaction that is written anyway: a receipt forgotten in a crash comes again with the hello.
        """
        writer = self._writer
        chain = writer.book.by_id(receipt.chain_id)
        if chain is None or receipt.through_batch_no <= writer.through(chain):
            return 0
        before = chain.waiting(writer.through(chain))
        writer.held[receipt.chain_id] = Held(through=receipt.through_batch_no, envelope=envelope)
        return before - chain.waiting(writer.through(chain))

    async def flush(self, moment: Moment) -> None:
        """Carry out now what `cover` has noted."""

        async def body(tx: Transaction) -> None:
            await carry_out(tx, self._writer.held)

        await self._do(lambda: self._writer.transact(moment, body))

    def proven(self, chain_id: bytes, batch_no: int, proof: bytes) -> None:
        """An R2 is held for that batch; kept with the next batch, newest only."""
        self._writer.prove(chain_id, batch_no, proof)

    def saw(self, size: int, root: bytes) -> None:
        """A newer log checkpoint was verified: the next batch says so."""
        self._writer.saw(size, root)

    async def word(self, receipt: Receipt | None, moment: Moment) -> Word:
        """The collector has spoken of the newest chain that it knows; None for `resend_from` 0 (nothing is settled).

        `receipt` must be genuine (judged; UNKNOWN_CHAIN, STALE, AHEAD and HEAD_MISMATCH are no hindrance here).
        After FOUNDED_AGAIN every StoredBatch in other hands is void: ask `waiting` again.
        """
        return await self._do(lambda: hear(self._writer, receipt, moment))

    async def found_again(self, receipt: Receipt, moment: Moment) -> StoredBatch | None:
        """A new chain behind `receipt` (reason 4): AHEAD on a chain in force. Every StoredBatch in other hands is void."""
        return await self._do(lambda: found_again(self._writer, receipt, moment))

    async def salvage(self, moment: Moment) -> bool:
        """One slice of what was set aside; whether there is more. Between two seals, until it says no."""
        return await self._do(lambda: salvage(self._writer, moment))

    async def lay_in(self) -> None:
        """Ballast, and the WAL at its full length, while the disk has room. After the start, and again and again."""
        while await self._do(lambda: lay_in(self._writer)):
            pass  # each piece is a job: what waits for its commit goes between two

    # The state

    @property
    def waits_behind(self) -> int | None:
        """Rows from this place on wait for what is being salvaged, in the order of sending; early copies do not."""
        work = self._writer.salvage
        return None if work is None else work.wait_pos

    @property
    def spilled(self) -> bool:
        """It is in the run directory: the disk refuses."""
        return self._writer.spill is not None

    @property
    def boot_no(self) -> int:
        """Starts of the operating system."""
        return self._writer.boot_no

    @property
    def boot_cause(self) -> Cause:
        """Why this start came."""
        return Cause(self._writer.boot.cause)

    @property
    def word_was_none(self) -> bool:
        """A word came and said nothing yet (`Word.NOT_YET`): the collector must hear of the older chains first."""
        return self._writer.unknown_since_ms is not None

    @property
    def at_home(self) -> AtHome | None:
        """What must not leave yet, if anything."""
        return self._writer.home

    def tip(self, chain_id: bytes, moment: Moment) -> Previous | None:
        """The newest batch of that chain that a hello may speak of: none that stays at home."""
        chain = self._writer.book.by_id(chain_id)
        return None if chain is None else tip_of(self._writer, chain, moment.mono_ms)

    @property
    def pressure(self) -> int:
        """0 to 3; 4: only evidence is left, nothing else may be recorded."""
        return self._writer.pressure

    @property
    def generation(self) -> int:
        """Rises when every StoredBatch in other hands becomes void: set aside, founded again."""
        return self._writer.generation

    @property
    def seen(self) -> tuple[int, bytes] | None:
        """The newest log checkpoint that this unit has verified."""
        cell = self.memory("seen")
        value = None if cell is None else decode(cell)
        match value:
            case [int(size), bytes(root)]:
                return size, root
            case _:
                return None

    def chains(self) -> tuple[ChainState, ...]:
        """Our chains, oldest first, the current one last."""
        book = self._writer.book
        return tuple(self._state(chain) for chain in book.chains.values())

    def _state(self, chain: Chain) -> ChainState:
        writer = self._writer
        home = writer.home
        through = writer.through(chain)
        # What a file that was set aside may give back is not gone, receipted or not: a hello that said so would close the gap
        # over it for ever, and a collector that was restored from a backup asks for what it had covered.
        oldest = chain.oldest if writer.salvage is None else 0
        return ChainState(
            chain_id=chain.chain_id,
            covered=through,
            batch_no=chain.last_no,
            seq=chain.last_seq,
            head=chain.last_head,
            oldest=oldest,
            waiting=chain.waiting(through),
            current=chain is writer.book.current,
            at_home=home is not None and not home.spoken and chain.id >= home.first_id,
        )

    def stats(self) -> Stats:
        """The store in numbers."""
        writer = self._writer
        book = writer.book
        chains = self.chains()
        return Stats(
            chains=chains,
            rows=book.rows,
            waiting=sum(chain.waiting for chain in chains),
            urgent=len(self.urgent()),
            bytes_used=writer.used_bytes,
            bytes_max=writer.bytes_max,
            spare_bytes=book.spare_bytes,
            pressure=writer.pressure,
            evicted_ever=_count(self.memory("evicted")),
            starts_ever=_count(self.memory("starts")),
            aside_files=len(writer.disk.asides()),
            ballast=writer.disk.has_ballast(),
            spilled=writer.spill is not None,
            salvaging=writer.salvage is not None,
            newest_pos=book.newest_pos,
            commits=writer.counters["commits"],
            counters=dict(writer.counters),
        )

    def take_beside(self, below_pos: int | None = None) -> list[StoredBatch]:
        """Batches that the outbox has stored of itself since it was asked last, in order; of those below that place."""
        beside = self._writer.beside
        taken = [one for one in beside if below_pos is None or one.pos < below_pos]
        self._writer.beside = beside[len(taken) :]
        return taken

    def take_news(self) -> list[News]:
        """What happened since it was asked last."""
        news, self._writer.news = self._writer.news, []
        return news

    # The end

    async def close(self, moment: Moment, *, clean: bool) -> None:
        """Everything queued, then the marker if the newest event is `stop`, checkpoint, close. Ends `run`."""
        if self._closed:
            return

        async def last() -> None:
            await self._writer.close(moment, clean=clean)
            self._closed = True

        await self._do(last)

    async def abandon(self) -> None:
        """Close the file at once, as a power cut would leave it: for `finally`, when `run` does not run any more."""
        if not self._closed:
            self._closed = True
            await self._writer.abandon()


def _assert_foreign(memory: Mapping[str, bytes | None]) -> None:
    own = OWN_NAMES & memory.keys()
    if own:
        raise MisuseError(f"{sorted(own)} are the outbox's own names")


def _count(cell: bytes | None) -> int:
    value = None if cell is None else decode(cell)
    return value if isinstance(value, int) else 0
