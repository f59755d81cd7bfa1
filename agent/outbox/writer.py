"""The one writer: owns the connection and all of the store's state (EDGE section 4).

Law: its jobs are whole transactions, called by one task at a time; what fails for space or damage is healed and tried again, and what cannot be healed is told.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from agent import Boot, Identity, Kept, Moment, StoredBatch, Weight
from agent.outbox.again import genesis_data
from agent.outbox.book import Begin, Book, Chain
from agent.outbox.damage import set_aside as begin_anew
from agent.outbox.disk import Disk
from agent.outbox.forget import (
    Held,
    carry_out,
)
from agent.outbox.room import pressure_of
from agent.outbox.rows import event
from agent.outbox.space import full, give_way, is_at_the_end, make_room, size_of
from agent.outbox.spill import (
    SPILL_BYTES_MAX,
    Spill,
    begin as begin_spill,
    go_back,
)
from agent.outbox.store import PAGE_BYTES, DamagedError, Store, StoreFullError
from agent.outbox.tip import cell_of as cell_of_tip
from agent.outbox.transaction import Transaction
from agent.outbox.word import home_of, let_go, new_chain_id
from agent.outbox.words import (
    At,
    AtHome,
    News,
    OutboxDiskError,
    OutboxError,
    OutboxSettings,
    Trouble,
)
from agent.sealer import Closing, OpenBatch
from wire.canon import decode, encode
from wire.records import EventKind

if TYPE_CHECKING:
    from agent.outbox.aside import Salvage

TRIES_MAX = 3  # of one job: damaged, then full, then done
BESIDE_MAX = 64  # as the early lane holds; what falls out is found in its turn
NEWS_MAX = 64  # the shell asks after every job

Body = Callable[[Transaction], Awaitable[None]]


class Writer:
    """All of the store's state, and what may be done to it."""

    def __init__(
        self,
        *,
        disk: Disk,
        store: Store,
        book: Book,
        settings: OutboxSettings,
        identity: Identity,
        boot: Boot,
        boot_no: int,
        at: At,
    ) -> None:
        self.disk = disk
        self.store = store
        self.book = book
        self.settings = settings
        self.identity = identity
        self.boot = boot
        self.boot_no = boot_no
        self.at = at
        self.held: dict[bytes, Held] = {}
        self.covered_since_ms: int | None = None
        self.counters: Counter[str] = Counter()
        self.news: list[News] = []
        self.pressure = 0
        self.used_bytes = 0
        self.home: AtHome | None = None
        self.start_pos = 0  # of the first batch of this start
        self.head_is_sure = False  # the file shows what was noted in this start of the kernel
        self.generation = 0
        self.broken: str | None = None  # why there is no file now
        self.seen_due: tuple[int, bytes] | None = None
        self.proof_due: bytes | None = None
        self.proven = _proven_of(book)
        self.moment: Moment | None = None
        self.beside: list[
            StoredBatch
        ] = []  # confessions, stored with other batches: the uplink is told of them too
        self.spill: Spill | None = None
        self.salvage: Salvage | None = None
        self.unknown_since_ms: int | None = None  # the word names a chain that we do not know
        self.passed: dict[str, int] = {}  # void when rows come back to old places
        self.lays_in_vain = False  # the disk has refused ballast or WAL, and it was told

    # What is asked

    def through(self, chain: Chain) -> int:
        """The newest number that a receipt covers, carried out or not."""
        held = self.held.get(chain.chain_id)
        return max(chain.through, min(held.through, chain.last_no) if held else -1)

    def tell(self, trouble: Trouble, detail: str) -> None:
        """Something that the shell should know."""
        self.news = [*self.news[-NEWS_MAX + 1 :], News(trouble=trouble, detail=detail)]
        self.counters[trouble.value] += 1

    # What is done

    async def append(
        self, batch: OpenBatch, moment: Moment, memory: Mapping[str, bytes | None]
    ) -> StoredBatch:
        """One batch, and what belongs to it."""
        size = size_of(batch)

        async def body(tx: Transaction) -> None:
            await make_room(self, tx, moment, need_bytes=size, weight=batch.weight)
            await tx.append(batch, seen=self.seen_due)
            await tx.put("clean", None)
            await let_go(tx, moment.mono_ms)
            await self._put_owed(tx)
            for name, value in memory.items():
                await tx.put(name, value)

        owed = (self.seen_due, self.proof_due)
        tx = await self.transact(moment, body, weight=batch.weight)
        if (self.seen_due, self.proof_due) == owed:  # else a newer one has come meanwhile
            self.seen_due = self.proof_due = None
        self.beside.remove(tx.stored[-1])
        return tx.stored[-1]

    async def transact(
        self, moment: Moment, body: Body, *, weight: Weight = Weight.EVIDENCE
    ) -> Transaction:
        """Run `body` between BEGIN and COMMIT; heal what can be healed and run it again."""
        self.moment = moment
        if self.spill is not None and moment.mono_ms >= self.spill.retry_ms:
            await go_back(self, moment)
        for attempt in range(TRIES_MAX):
            try:
                if self.broken is not None:
                    await self.set_aside(moment, self.broken)
                return await self._try(body)
            except DamagedError as error:
                await self.set_aside(moment, str(error))
            except StoreFullError as error:
                await give_way(self, attempt, str(error))
                if attempt and is_at_the_end(self):
                    await begin_spill(self, moment, str(error))
            except OutboxDiskError as error:
                await begin_spill(self, moment, str(error))
        raise full(self, weight)

    async def _try(self, body: Body) -> Transaction:
        tx = self.transaction()
        self.at("store:begin")
        try:
            await tx.begin()
            await body(tx)
            pages, free_pages = await self.store.pages()
            self.book = await tx.commit()
        except BaseException:
            await self.undo(self.store)
            raise
        self.counters["commits"] += 1
        self._settle(tx, (pages - free_pages) * PAGE_BYTES)
        return tx

    async def set_aside(self, moment: Moment, why: str) -> None:
        """The file is not ours any more: keep it, and begin a new one. A disk that refuses even that is gone round."""
        try:
            await begin_anew(self, moment, why)
        except (OutboxDiskError, StoreFullError) as error:
            if self.disk.run is None:
                raise  # the next job begins here again
            self.broken = None  # what is wrong with the file is found again when the disk is back
            await begin_spill(self, moment, f"{why}; {error}")

    async def undo(self, store: Store) -> None:
        """Nothing of that transaction has happened."""
        try:
            await store.rollback()
        except OutboxError:  # what is wrong was told already
            self.counters["rollback_failed"] += 1

    def _settle(self, tx: Transaction, used_bytes: int) -> None:
        """What follows from a COMMIT in memory."""
        for one in tx.news:
            self.tell(one.trouble, one.detail)
        self.beside = [*self.beside, *tx.stored][-BESIDE_MAX:]
        for chain in self.book.chains.values():
            held = self.held.get(chain.chain_id)
            if held is not None and chain.through >= min(held.through, chain.last_no):
                del self.held[chain.chain_id]
        if not self.held:
            self.covered_since_ms = None
        self._note_tip()
        self.used_bytes = used_bytes
        self.pressure = pressure_of(
            self.pressure,
            used_bytes=max(0, used_bytes - self.book.spare_bytes),
            bytes_max=self.bytes_max,
        )

    def _note_tip(self) -> None:
        """What waits for the word has never been: then nothing is known of what the disk must show."""
        current = self.book.current if self.book.chains else None
        home = home_of(self.book)
        waits = home is not None and (self.moment is None or not home.is_over(self.moment.mono_ms))
        if current is None or current.last_no < 0 or waits or self.salvage is not None:
            self.disk.note(b"")
        else:
            self.disk.note(cell_of_tip(self.book, self.through(current), self.boot.boot_id))

    @property
    def bytes_max(self) -> int:
        """What the store in force may grow to."""
        return self.settings.bytes_max if self.spill is None else SPILL_BYTES_MAX

    # Chains

    async def begin_chain(self, tx: Transaction, begin: Begin, moment: Moment, *more: Kept) -> None:
        """A chain, and its first batch: genesis, and what else is to be said at once."""
        await tx.found(begin, new_chain_id())
        genesis = event(EventKind.GENESIS, moment, genesis_data(begin), Weight.EVIDENCE)
        await tx.append(OpenBatch(kept=(genesis, *more), sealed=moment, closing=Closing.START))

    async def close_salvage(self) -> None:
        """Nothing is read now from what was set aside; how far it was read is not forgotten."""
        if self.salvage is not None and self.salvage.reader is not None:
            await self.salvage.reader.close()
            self.salvage.reader = None

    # The collector's proofs

    def prove(self, chain_id: bytes, batch_no: int, proof: bytes) -> None:
        """An R2 covers everything up to that batch."""
        if batch_no > self.proven.get(chain_id, -1):
            self.proven[chain_id] = batch_no
            self.proof_due = proof

    def saw(self, size: int, root: bytes) -> None:
        """The next batch says that this checkpoint was verified."""
        self.seen_due = (size, root)

    async def _put_owed(self, tx: Transaction) -> None:
        if self.seen_due is not None:
            await tx.put("seen", encode(self.seen_due))
        if self.proof_due is not None:
            await tx.put("r2", self.proof_due)
            known = tuple(
                (chain.chain_id, self.proven[chain.chain_id])
                for chain in tx.book.chains.values()
                if chain.chain_id in self.proven
            )
            await tx.put("proven", encode(known))

    # The end

    async def close(self, moment: Moment, *, clean: bool) -> None:
        """Carry out receipts, leave the marker, bring the WAL home. An open connection would keep the process for ever."""
        try:
            if self.spill is not None:
                await go_back(self, moment)
            await self.transact(moment, self._last_words if clean else self._settle_receipts)
            self.at("close:marked")
            await self.store.checkpoint()
            self.at("close:checkpointed")
        finally:
            await self.abandon()

    async def _settle_receipts(self, tx: Transaction) -> None:
        await carry_out(tx, self.held)

    async def _last_words(self, tx: Transaction) -> None:
        await carry_out(tx, self.held)
        if tx.book.stop_is_newest:
            current = tx.book.current
            await tx.put("clean", encode((current.chain_id, current.last_no)))

    async def abandon(self) -> None:
        """Close file and lock, whatever they hold."""
        await self.close_salvage()
        if self.spill is not None and self.spill.beside is not None:
            await self.spill.beside.close()
        await self.store.close()
        self.disk.release()

    def transaction(self, book: Book | None = None) -> Transaction:
        """To begin; or, since we are alone, to read without BEGIN."""
        return self.transaction_on(self.store, book)

    def transaction_on(self, store: Store, book: Book | None = None) -> Transaction:
        """The same on another store of ours."""
        return Transaction(
            store,
            book or self.book,
            identity=self.identity,
            boot_no=self.boot_no,
            at=self.at,
            passed=self.passed,
        )


def _proven_of(book: Book) -> dict[bytes, int]:
    cell = book.memory.get("proven")
    value = None if cell is None else decode(cell)
    found: dict[bytes, int] = {}
    for one in value if isinstance(value, list) else []:
        match one:
            case [bytes(chain_id), int(number)]:
                found[chain_id] = number
            case _:
                pass
    return found
