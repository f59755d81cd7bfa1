"""The one writer: owns the connection, and every method is a whole transaction (EDGE section 4).

Law: called by one task at a time; what fails for space or damage is healed and tried again, and what cannot be healed is told.
"""

import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from agent import Boot, Identity, Kept, Moment, StoredBatch, Weight
from agent.outbox.again import found_behind, genesis_data, hear_word
from agent.outbox.book import Begin, Book, Chain, Previous
from agent.outbox.disk import Disk
from agent.outbox.forget import (
    DISK_DAMAGED,
    EVICT_RUNS_MAX,
    Held,
    carry_out,
    drop,
    evict,
    lost_with_file,
    trim_spare,
)
from agent.outbox.room import ONLY_EVIDENCE, Room, limit_pages, pressure_of
from agent.outbox.rows import Row, event, stored
from agent.outbox.store import PAGE_BYTES, DamagedError, Store, StoreFullError
from agent.outbox.transaction import Transaction
from agent.outbox.words import (
    At,
    AtHome,
    ChainReason,
    DeleteAfter,
    News,
    OutboxFullError,
    OutboxSettings,
    Trouble,
    Word,
)
from agent.sealer import FIX_BYTES_FIRST, OVERHEAD_BYTES, Closing, OpenBatch, event_bytes
from wire.canon import decode, encode
from wire.receipts import Receipt
from wire.records import EventKind, EventRecord

COVERED_BATCHES_MAX = 64  # receipts carried out in groups: 7,000 bytes a commit instead of 10,900
COVERED_MS_MAX = 600_000
HOME_MS = 30_000  # a lying card has flushed by then (EDGE section 4)
TRIES_MAX = 3  # of one job: damaged, then full, then done
BAD_RUN_MAX = 64  # damaged neighbours confessed together
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
        self.generation = 0
        self.seen_due: tuple[int, bytes] | None = None
        self.proof_due: bytes | None = None
        self.proven = _proven_of(book)
        self.moment: Moment | None = None

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
            await self._forget_some(tx, moment, need_bytes=size, weight=batch.weight)
            await tx.append(batch, seen=self.seen_due)
            await tx.put("clean", None)
            await self._put_owed(tx)
            for name, value in memory.items():
                await tx.put(name, value)

        owed = (self.seen_due, self.proof_due)
        tx = await self.transact(moment, body, weight=batch.weight)
        if (self.seen_due, self.proof_due) == owed:  # else a newer one has come meanwhile
            self.seen_due = self.proof_due = None
        return tx.stored[-1]

    async def transact(
        self, moment: Moment, body: Body, *, weight: Weight = Weight.EVIDENCE
    ) -> Transaction:
        """Run `body` between BEGIN and COMMIT; heal what can be healed and run it again."""
        self.moment = moment
        for attempt in range(TRIES_MAX):
            try:
                return await self._try(body)
            except DamagedError as error:
                await self.set_aside(moment, str(error))
            except StoreFullError as error:
                await self._give_way(attempt, str(error))
        raise self._full(weight)

    async def _try(self, body: Body) -> Transaction:
        tx = self._transaction()
        self.at("store:begin")
        try:
            await tx.begin()
            await body(tx)
            pages, free_pages = await self.store.pages()
            self.book = await tx.commit()
        except BaseException:
            await self._undo()
            raise
        self.counters["commits"] += 1
        self._settle(tx, (pages - free_pages) * PAGE_BYTES)
        return tx

    async def _undo(self) -> None:
        try:
            await self.store.rollback()
        except (DamagedError, StoreFullError):
            self.counters["rollback_failed"] += 1

    def _settle(self, tx: Transaction, used_bytes: int) -> None:
        """What follows from a COMMIT in memory."""
        for one in tx.news:
            self.tell(one.trouble, one.detail)
        for chain in self.book.chains.values():
            held = self.held.get(chain.chain_id)
            if held is not None and chain.through >= min(held.through, chain.last_no):
                del self.held[chain.chain_id]
        if not self.held:
            self.covered_since_ms = None
        self.used_bytes = used_bytes
        self.pressure = pressure_of(
            self.pressure,
            used_bytes=max(0, used_bytes - self.book.spare_bytes),
            bytes_max=self.settings.bytes_max,
        )

    # Room

    async def _forget_some(
        self, tx: Transaction, moment: Moment, *, need_bytes: int, weight: Weight
    ) -> None:
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
            bytes_max=self.settings.bytes_max,
            file_bytes=pages * PAGE_BYTES,
            free_bytes=self.disk.free_bytes(),
            headroom_bytes=self.settings.headroom_bytes,
        )
        return Room(pages=pages, free_pages=free_pages, limit_pages=limit)

    async def _give_way(self, attempt: int, why: str) -> None:
        """SQLite said full: ballast, aside files and WAL make room for the eviction that follows."""
        self.tell(Trouble.DISK_FULL, why)
        if not self.disk.drop_ballast() and attempt:
            self.disk.drop_oldest_aside()
        await self.store.checkpoint()

    def _full(self, weight: Weight) -> OutboxFullError:
        if weight < Weight.EVIDENCE:
            self.pressure = ONLY_EVIDENCE
        return OutboxFullError(
            bytes_used=self.used_bytes,
            hint="raise outbox.bytes_max, free the card, or bring the unit to a network",
        )

    def mend_ballast(self) -> None:
        """The ballast returns when there is room for it."""
        size = self.settings.ballast_bytes
        if self.disk.has_ballast() or not size:
            return
        if self.disk.free_bytes() > self.settings.headroom_bytes + 2 * size:
            self.disk.take_ballast(size)

    # Damage

    async def set_aside(self, moment: Moment, why: str) -> None:
        """The file is not ours any more: rename it, begin a new one. The head is known, so no word is needed."""
        self.at("aside:before")
        await self.store.close()
        name = self.disk.set_aside()
        self.at("aside:renamed")
        self.tell(Trouble.DAMAGED, f"{why}; kept as {name}")
        begin, chains, lost = self._after_damage(moment)
        memory = {
            key: value for key, value in self.book.memory.items() if key not in ("word", "clean")
        }
        self.store = await Store.open(self.disk.store, self.settings.bytes_max)
        self.book = Book(newest_pos=self.book.newest_pos)
        self.held = {}
        tx = self._transaction()
        await tx.begin()
        for key, value in memory.items():
            await tx.put(key, value)
        for chain in chains:
            await tx.add_chain(chain)
        await self.begin_chain(tx, begin, moment, *lost)
        self.book = await tx.commit()
        self.start_pos = self.book.newest_pos
        self.generation += 1
        self.home = None
        await self.look_home(moment)
        self.at("aside:new")

    def _after_damage(self, moment: Moment) -> tuple[Begin, list[Chain], list[Kept]]:
        """The chain to begin, the chains that we still know, and what is lost with the file until it is salvaged."""
        home_id = self.home_id()
        chains: list[Chain] = []
        lost: list[Kept] = []
        for chain in self.book.chains.values():
            through = self.through(chain)
            if chain.waiting(through):
                first = max(through + 1, chain.oldest)
                lost.append(lost_with_file(chain, first, moment))
            if home_id is None or chain.id < home_id:  # what never left has never been
                gone = replace(chain, through=through, oldest=chain.last_no + 1, gone=())
                chains.append(gone)
        before = chains[-1] if chains else None
        if before is None or self.start_pos == 0:  # at a start: who knows what else is gone
            return Begin(reason=ChainReason.STORE_LOST), chains, lost
        previous = _previous(before)
        doubted = home_id is not None and previous is not None
        begin = Begin(reason=ChainReason.STORE_LOST, previous=previous, doubted=doubted)
        return begin, chains, lost

    async def begin_chain(self, tx: Transaction, begin: Begin, moment: Moment, *more: Kept) -> None:
        """A chain, and its first batch: genesis, and what else is to be said at once."""
        await tx.found(begin, _new_chain_id())
        genesis = event(EventKind.GENESIS, moment, genesis_data(begin), Weight.EVIDENCE)
        await tx.append(OpenBatch(kept=(genesis, *more), sealed=moment, closing=Closing.START))
        if begin.doubted and "word" not in tx.book.memory:
            await tx.put("word", encode(tx.book.current.id))

    async def drop_bad(self, bad: Row, moment: Moment) -> None:
        """A row that fails its own signature goes, with its bad neighbours, and is confessed."""
        generation = self.generation

        async def body(tx: Transaction) -> None:
            if self.generation != generation:  # the whole file was set aside meanwhile
                return
            run = [bad]
            for ahead in (False, True):
                while len(run) < BAD_RUN_MAX:
                    near = await _neighbour(tx, run[-1] if ahead else run[0], ahead=ahead)
                    if near is None or tx.open(near) is not None:
                        break
                    run = [*run, near] if ahead else [near, *run]
            said = await drop(tx, run, moment, DISK_DAMAGED)
            await tx.append(OpenBatch(kept=(said,), sealed=moment, closing=Closing.SIZE))
            await tx.put("clean", None)
            tx.news.append(
                News(trouble=Trouble.ROW_BAD, detail=f"batches {run[0].no} to {run[-1].no}")
            )

        await self.transact(moment, body)

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
        await self.store.close()
        self.disk.release()

    # Reading

    async def read(self, pos: int, moment: Moment) -> bytes | None:
        """The envelope at `pos`, if it is there and sound."""
        row = await self._row(pos, moment)
        if row is None:
            return None
        chain = self.book.chains.get(row.chain)
        if chain is not None and self._transaction().open(row) is not None:
            return row.envelope
        await self.drop_bad(row, moment)
        return None

    async def _row(self, pos: int, moment: Moment) -> Row | None:
        try:
            rows = await self._transaction().rows("pos = ?", pos)
        except DamagedError as error:
            await self.set_aside(moment, str(error))
            return None
        return rows[0] if rows else None

    async def newest(self) -> list[bytes]:
        """Envelopes of the newest rows, oldest first, at most 64; what is damaged is left to whoever sends it."""
        try:
            rows = await self._transaction().rows("pos > ? ORDER BY pos DESC LIMIT 64", -1)
        except DamagedError:
            return []
        return [row.envelope for row in reversed(rows)]

    async def waiting(self, after_pos: int, count_max: int) -> list[StoredBatch]:
        """Batches without receipt behind `after_pos`. Damaged ones are confessed and left out."""
        moment = self.moment
        assert moment is not None, "a start has stored its first batch"
        found: list[StoredBatch] = []
        pos = max(after_pos, self.book.covered_pos)
        while len(found) < count_max:
            try:
                rows = await self._transaction().rows("pos > ? ORDER BY pos LIMIT 64", pos)
            except DamagedError as error:
                await self.set_aside(moment, str(error))
                return []
            for row in rows:
                pos = row.pos
                chain = self.book.chains.get(row.chain)
                if chain is not None and row.no <= self.through(chain):
                    continue
                sealed = None if chain is None else self._transaction().open(row)
                if sealed is None:
                    await self.drop_bad(row, moment)
                    continue
                found.append(stored(row, sealed, self.boot_no))
            if len(rows) < 64:
                break
        return found[:count_max]

    async def find(self, chain_id: bytes, batch_no: int) -> Row | None:
        """The first kept batch of the chain from that number on."""
        chain = self.book.by_id(chain_id)
        if chain is None or batch_no > chain.last_no:
            return None
        try:
            rows = await self._transaction().rows(
                "chain = ? AND no >= ? ORDER BY pos LIMIT 1", chain.id, batch_no
            )
        except DamagedError:
            return None  # the next job that must not fail sets the file aside
        return rows[0] if rows else None

    async def head_at(self, chain_id: bytes, batch_no: int) -> bytes | None:
        """Head of that batch, if we still know it."""
        chain = self.book.by_id(chain_id)
        if chain is None:
            return None
        if batch_no == chain.last_no:
            return chain.last_head
        row = await self.find(chain_id, batch_no)
        if row is None or row.no != batch_no:
            return None
        sealed = self._transaction().open(row)
        return None if sealed is None else sealed.head

    def _transaction(self) -> Transaction:
        """To begin; or, since we are alone, to read without BEGIN."""
        return Transaction(
            self.store, self.book, identity=self.identity, boot_no=self.boot_no, at=self.at
        )

    # The word

    def home_id(self) -> int | None:
        """Id of the oldest chain that waits for the collector's word."""
        cell = self.book.memory.get("word")
        value = None if cell is None else decode(cell)
        return value if isinstance(value, int) and value in self.book.chains else None

    async def look_home(self, moment: Moment) -> None:
        """Reckon anew what must stay at home."""
        home_id = self.home_id()
        if home_id is None:
            self.home = None if self.home is None else replace(self.home, spoken=True)
            return
        asked = self.book.before(home_id)
        rows = await self._transaction().rows("chain >= ? ORDER BY pos LIMIT 1", home_id)
        self.home = AtHome(
            from_pos=rows[0].pos if rows else self.book.newest_pos + 1,
            ask_chain=b"" if asked is None else asked.chain_id,
            until_mono_ms=moment.mono_ms + HOME_MS,
            spoken=False,
        )

    async def word(self, said: Receipt | None, moment: Moment) -> Word:
        """The collector has spoken."""
        home_id = self.home_id()
        if home_id is None:
            return Word.NOT_ASKED
        self.at("word:begin")
        verdict = Word.CONFIRMED
        if said is not None:
            own = await self.head_at(said.chain_id, said.through_batch_no)
            verdict = hear_word(said, list(self.book.chains.values()), home_id, own)
        if verdict is Word.FOUNDED_AGAIN and said is not None:
            await self._found_again(said, moment, home_id)
            return verdict

        async def body(tx: Transaction) -> None:
            await tx.put("word", None)

        await self.transact(moment, body)
        await self.look_home(moment)
        return verdict

    async def found_again(self, said: Receipt, moment: Moment) -> StoredBatch | None:
        """The collector holds more than we know. Gives the newest batch of the chain that begins."""
        return await self._found_again(said, moment, self.home_id())

    async def _found_again(
        self, said: Receipt, moment: Moment, home_id: int | None
    ) -> StoredBatch | None:
        async def body(tx: Transaction) -> None:
            named = tx.book.by_id(said.chain_id)
            await found_behind(
                tx,
                said,
                from_pos=await self._moves_from(tx, named, home_id),
                moment=moment,
                new_chain_id=_new_chain_id,
            )
            named = tx.book.by_id(said.chain_id)
            if named is not None:  # what did not move is what the collector has
                await carry_out(tx, {said.chain_id: Held(through=named.last_no)})
            await tx.put("word", None)
            await tx.put("clean", None)
            tx.at("word:committing")

        tx = await self.transact(moment, body)
        self.at("word:committed")
        self.generation += 1
        self.home = AtHome(
            from_pos=tx.stored[0].pos,
            ask_chain=said.chain_id,
            until_mono_ms=moment.mono_ms + HOME_MS,
            spoken=True,
        )
        return tx.stored[-1]

    async def _moves_from(self, tx: Transaction, named: Chain | None, home_id: int | None) -> int:
        """The first batch that must not be sent as it is."""
        nothing = tx.book.newest_pos + 1
        if home_id is not None:
            first = home_id if named is None else max(home_id, named.id + 1)
            rows = await tx.rows("chain >= ? ORDER BY pos LIMIT 1", first)
            return rows[0].pos if rows else nothing
        # A chain in force that the collector knows further than we do: our numbers since the start are not ours.
        rows = await tx.rows("pos >= ? ORDER BY pos LIMIT 1", self.start_pos)
        if named is None or not rows or rows[0].chain != named.id:
            return nothing
        return rows[0].pos if rows[0].no > max(0, self.through(named)) else nothing


def count_of(book: Book, name: str) -> int:
    """A number that the store counts for ever."""
    cell = book.memory.get(name)
    value = None if cell is None else decode(cell)
    return value if isinstance(value, int) else 0


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


def _new_chain_id() -> bytes:
    return secrets.token_bytes(16)


async def _neighbour(tx: Transaction, row: Row, *, ahead: bool) -> Row | None:
    rows = await tx.rows(
        "pos > ? ORDER BY pos LIMIT 1" if ahead else "pos < ? ORDER BY pos DESC LIMIT 1", row.pos
    )
    step = 1 if ahead else -1
    fits = rows and (rows[0].chain, rows[0].no) == (row.chain, row.no + step)
    return rows[0] if fits else None


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
