"""The one writer: owns the connection and all of the store's state (EDGE section 4).

Law: its jobs are whole transactions, called by one task at a time; what fails for space or damage is healed and tried again, and what cannot be healed is told.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from agent import Boot, Identity, Kept, Moment, StoredBatch, Weight
from agent.outbox.again import genesis_data
from agent.outbox.book import Begin, Book, Chain, count_of
from agent.outbox.disk import Disk
from agent.outbox.forget import (
    EVICT_RUNS_MAX,
    Held,
    carry_out,
    evict,
    lost_with_file,
    trim_spare,
)
from agent.outbox.room import ONLY_EVIDENCE, Room, limit_pages, pressure_of
from agent.outbox.rows import event
from agent.outbox.salvage import SALVAGE, Salvage, cell_of
from agent.outbox.spill import (
    SPILL_BYTES_MAX,
    SPILL_HEADROOM_BYTES,
    Spill,
    begin as begin_spill,
    go_back,
)
from agent.outbox.store import PAGE_BYTES, DamagedError, Store, StoreFullError
from agent.outbox.tip import cell_of as cell_of_tip
from agent.outbox.transaction import Transaction
from agent.outbox.word import HOME, hold, home_of, let_go, look_home, new_chain_id
from agent.outbox.words import (
    At,
    AtHome,
    ChainReason,
    DeleteAfter,
    News,
    OutboxDiskError,
    OutboxError,
    OutboxFullError,
    OutboxSettings,
    Previous,
    Trouble,
)
from agent.sealer import FIX_BYTES_FIRST, OVERHEAD_BYTES, Closing, OpenBatch, event_bytes
from wire.canon import decode, encode
from wire.records import EventKind, EventRecord

COVERED_BATCHES_MAX = 64  # receipts carried out in groups: 7,000 bytes a commit instead of 10,900
COVERED_MS_MAX = 600_000
TRIES_MAX = 3  # of one job: damaged, then full, then done
BESIDE_MAX = 64  # as the early lane holds; what falls out is found in its turn
LAST_BYTES = 65_536  # less than a WAL needs to begin
NEWS_MAX = 64  # the shell asks after every job

_OF_THE_STORE = ("clean", HOME)  # what a new store must not inherit
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
        size = _size(batch)

        async def body(tx: Transaction) -> None:
            await self.make_room(tx, moment, need_bytes=size, weight=batch.weight)
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
                await self._give_way(attempt, str(error))
                if attempt and self._is_at_the_end():
                    await begin_spill(self, moment, str(error))
            except OutboxDiskError as error:
                await begin_spill(self, moment, str(error))
        raise self._full(weight)

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

    # Room

    async def make_room(
        self, tx: Transaction, moment: Moment, *, need_bytes: int, weight: Weight
    ) -> None:
        """Carry out receipts that are due; evict until `need_bytes` have room. OutboxFullError if only evidence is left."""
        room = await self._room()
        short = room.lacks(need_bytes)
        if short or self._receipts_are_due(moment):
            await carry_out(tx, self.held)
            await trim_spare(tx, 0 if short else self.settings.spare_bytes, self._proven(short))
        if not short:
            return
        confessions = []
        for _ in range(EVICT_RUNS_MAX):
            room = await self._room()
            if not room.lacks(need_bytes):
                break
            said = await evict(tx, moment)
            if said is None:
                break
            confessions.append(said)
        if confessions:
            await tx.put("evicted", encode(count_of(tx.book, "evicted") + len(confessions)))
            await tx.append(OpenBatch(kept=tuple(confessions), sealed=moment, closing=Closing.SIZE))
        elif (await self._room()).lacks(need_bytes) and weight < Weight.EVIDENCE:
            raise self._full(weight)

    def _proven(self, short: bool) -> Mapping[bytes, int] | None:  # noqa: FBT001  # private, one caller
        if short or self.settings.delete_after is DeleteAfter.RECEIPT:
            return None
        return self.proven

    def _receipts_are_due(self, moment: Moment) -> bool:
        if not self.held:
            return self.book.spare_bytes > self.settings.spare_bytes
        waiting = sum(self.through(chain) - chain.through for chain in self.book.chains.values())
        since = moment.mono_ms if self.covered_since_ms is None else self.covered_since_ms
        self.covered_since_ms = since
        return waiting >= COVERED_BATCHES_MAX or moment.mono_ms - since >= COVERED_MS_MAX

    async def _room(self) -> Room:
        pages, free_pages = await self.store.pages()
        limit = limit_pages(
            bytes_max=self.bytes_max,
            file_bytes=pages * PAGE_BYTES,
            free_bytes=self.disk.free_bytes()
            if self.spill is None
            else self.disk.spill_free_bytes(),
            headroom_bytes=self.settings.headroom_bytes
            if self.spill is None
            else SPILL_HEADROOM_BYTES,
        )
        return Room(pages=pages, free_pages=free_pages, limit_pages=limit)

    async def _give_way(self, attempt: int, why: str) -> None:
        """SQLite said full: ballast, aside files and WAL make room for the eviction that follows."""
        self.tell(Trouble.DISK_FULL, why)
        if self.spill is not None:
            return  # the run directory has no ballast; what is cheap is evicted
        if not self.disk.drop_ballast() and attempt:
            self.disk.drop_oldest_aside()
        await self.store.checkpoint()

    def _is_at_the_end(self) -> bool:
        """The disk, not the settings, has no byte more, and nothing is left to be given up: then not even DELETE works."""
        can_go_round = self.spill is None and self.disk.run is not None
        return can_go_round and self.disk.free_bytes() < LAST_BYTES

    def _full(self, weight: Weight) -> OutboxFullError:
        if weight < Weight.EVIDENCE:
            self.pressure = ONLY_EVIDENCE
        return OutboxFullError(
            bytes_used=self.used_bytes,
            hint="raise outbox.bytes_max, free the card, or bring the unit to a network",
        )

    # Damage

    async def set_aside(self, moment: Moment, why: str) -> None:
        """The file is not ours any more: rename it, begin a new one. The head is known, so no word is needed.

        If the disk refuses half-way, the next job begins here again.
        """
        assert self.spill is None, "a store in the run directory is damaged: start anew, in doubt"
        self.broken = why
        self.at("aside:before")
        await self.store.close()
        await self._leave_salvage()
        try:
            if self.disk.lacks_inodes():
                self.disk.drop_oldest_aside()
            name = self.disk.set_aside()
        except OSError as error:
            raise OutboxDiskError(f"{self.disk.directory}: {error.strerror}") from error
        self.at("aside:renamed")
        home = (
            self.home if self.home is not None and not self.home.is_over(moment.mono_ms) else None
        )
        begin, chains, lost = self._after_damage(home, moment)
        aside = self.disk.asides()[-1]
        self.store = await Store.open(self.disk.store, self.settings.bytes_max)
        tx = self.transaction(Book(newest_pos=self.book.newest_pos))
        await tx.begin()
        for key, value in self.book.memory.items():
            if key not in _OF_THE_STORE:
                await tx.put(key, value)
        for chain in chains:
            await tx.add_chain(chain)
        await self.begin_chain(tx, begin, moment, *lost)
        work = Salvage(
            aside=aside,
            pos=-1,
            floor_pos=tx.stored[0].pos,
            home_pos=tx.stored[0].pos if home is None else home.unsaid_pos,
        )
        await tx.put(SALVAGE, cell_of(work))
        if home is not None and begin.previous is not None:
            first_pos = tx.stored[0].pos
            from_pos = home.from_pos if home.from_pos < home.unsaid_pos else first_pos
            now_home = replace(
                home, from_pos=from_pos, unsaid_pos=first_pos, first_id=tx.book.current.id
            )
            await hold(tx, now_home)
        self.book = await tx.commit()
        self.broken = None
        self.salvage = work
        self.held = {}
        self.start_pos = self.book.newest_pos
        self.generation += 1
        self.tell(Trouble.DAMAGED, f"{why}; kept as {name}")
        look_home(self, moment)
        self.at("aside:new")

    def _after_damage(
        self, home: AtHome | None, moment: Moment
    ) -> tuple[Begin, list[Chain], list[Kept]]:
        """The chain to begin, the chains that we still know, and what is lost with the file until it is salvaged."""
        chains: list[Chain] = []
        lost: list[Kept] = []
        for known in self.book.chains.values():
            chain = known if home is None else _as_it_left(known, home)
            through = self.through(known)
            if (
                chain is None
            ):  # what never left has never been, and does not come back under these numbers
                lost.append(lost_with_file(known, max(0, known.oldest), moment))
                continue
            chains.append(replace(chain, through=through, oldest=chain.last_no + 1))
        before = chains[-1] if chains else None
        if before is None or (self.start_pos == 0 and not self.head_is_sure):  # what else is gone?
            return Begin(reason=ChainReason.STORE_LOST), chains, lost
        previous = _previous(before) if home is None else home.tip
        return Begin(reason=ChainReason.STORE_LOST, previous=previous), chains, lost

    def salvage_from(self, aside: int, *, floor_pos: int, home_pos: int) -> None:
        """What was set aside will be read, slice after slice, up to `home_pos`; rows from `floor_pos` on wait for it."""
        self.salvage = Salvage(aside=aside, pos=-1, floor_pos=floor_pos, home_pos=home_pos)

    async def _leave_salvage(self) -> None:
        if self.salvage is not None and self.salvage.reader is not None:
            await self.salvage.reader.close()
        self.salvage = None

    async def begin_chain(self, tx: Transaction, begin: Begin, moment: Moment, *more: Kept) -> None:
        """A chain, and its first batch: genesis, and what else is to be said at once."""
        await tx.found(begin, new_chain_id())
        genesis = event(EventKind.GENESIS, moment, genesis_data(begin), Weight.EVIDENCE)
        await tx.append(OpenBatch(kept=(genesis, *more), sealed=moment, closing=Closing.START))

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
        await self._leave_salvage()
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
            store, book or self.book, identity=self.identity, boot_no=self.boot_no, at=self.at
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


def _as_it_left(chain: Chain, home: AtHome) -> Chain | None:
    """What of `chain` has ever been allowed to leave; None: nothing."""
    if chain.id >= home.first_id:
        return None
    if chain.chain_id != home.tip.chain_id or chain.last_no <= home.tip.batch_no:
        return chain
    tip = home.tip
    seq = chain.last_seq if tip.seq is None else tip.seq
    return replace(chain, last_no=tip.batch_no, last_seq=seq, last_head=tip.head)


def _previous(chain: Chain) -> Previous | None:
    if chain.last_no < 0:
        return None
    return Previous(
        chain_id=chain.chain_id,
        batch_no=chain.last_no,
        head=chain.last_head,
        seq=chain.last_seq,
    )


def _size(batch: OpenBatch) -> int:
    """What a batch adds to the file, at most; what deflate saves is a gift."""
    fixes = sum(not isinstance(kept.record, EventRecord) for kept in batch.kept)
    events = (kept.record for kept in batch.kept if isinstance(kept.record, EventRecord))
    return OVERHEAD_BYTES + FIX_BYTES_FIRST * min(fixes, 64) + sum(map(event_bytes, events))
