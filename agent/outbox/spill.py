"""The disk refuses: a store of the same form in the run directory, until the disk is back (EDGE section 4, spill).

Law: same chain, next number. It survives the process, not the kernel; all its rows move back in one transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent import Identity, Moment
from agent.outbox.aside import Salvage, behind, cells_of
from agent.outbox.book import Book
from agent.outbox.disk import Disk
from agent.outbox.load import Loaded, confess, load
from agent.outbox.rows import sealed_by_us
from agent.outbox.store import DamagedError, Store, number
from agent.outbox.transaction import COLUMNS, Transaction, row_of
from agent.outbox.words import At, OutboxDiskError, OutboxError, Trouble
from agent.sealer import Closing, OpenBatch
from wire.canon import decode, encode

if TYPE_CHECKING:
    from agent.outbox.writer import Writer

SPILL_BYTES_MAX = 8_388_608  # of a tmpfs, and so of memory
SPILL_HEADROOM_BYTES = 262_144
RETRY_MS = 60_000
SPILL = "spill"  # its name in the memory of such a store: where it begins, and the head that the disk has
UNREAD_POS = (
    1 << 61
)  # where a store begins that never saw the disk: above every place of the disk's
UNREAD_CHAIN = 1 << 40
ROWS_AT_ONCE = 64


@dataclass(slots=True, kw_only=True)
class Spill:
    """What is known of the disk while it refuses."""

    from_pos: int  # rows from here on are in the run directory
    head: bytes | None  # of the newest batch on the disk; None: the disk was never read
    retry_ms: int
    beside: Store | None  # the disk's, for reading, as long as it answers
    why: str = ""  # it refused when it was tried last
    void_pos: int | None = (
        None  # rows of the disk from here on were founded again: they are no more
    )
    is_moved: bool = True  # they lie here under their new numbers; else the disk could not be read

    @property
    def disk_pos(self) -> int:
        """Rows of the disk below this place hold."""
        return self.from_pos if self.void_pos is None else min(self.void_pos, self.from_pos)


def spill_cell(spill: Spill) -> bytes:
    """Where it begins, for a start of the process."""
    return encode((spill.from_pos, spill.head, spill.void_pos, int(spill.is_moved)))


def spill_of(book: Book, *, retry_ms: int) -> Spill | None:
    """What `spill_cell` said, if this is the book of a store in the run directory."""
    cell = book.memory.get(SPILL)
    match None if cell is None else decode(cell):
        case [int(from_pos), bytes() | None as head, *more]:
            void_pos, is_moved = more if len(more) == 2 else (None, 1)
            return Spill(
                from_pos=from_pos,
                head=head,
                retry_ms=retry_ms,
                beside=None,
                void_pos=void_pos if isinstance(void_pos, int) else None,
                is_moved=bool(is_moved),
            )
        case _:
            return None


async def begin(writer: "Writer", moment: Moment, why: str) -> None:
    """Go on in the run directory. OutboxDiskError if that is where we are, or if there is none."""
    if writer.spill is not None or writer.disk.run is None:
        raise OutboxDiskError(why)
    writer.spill, writer.store, writer.book = await lay_out(
        writer.disk,
        writer.book,
        beside=writer.store,
        moment=moment,
        identity=writer.identity,
        at=writer.at,
    )
    writer.tell(Trouble.SPILL, why)


async def lay_out(
    disk: Disk, book: Book, *, beside: Store, moment: Moment, identity: Identity, at: At
) -> tuple[Spill, Store, Book]:
    """A store in the run directory that goes on behind `book`: its chains and what it remembers, and none of its rows."""
    at("spill:before")
    store = await Store.open(disk.new_spill(), SPILL_BYTES_MAX)
    spill = Spill(
        from_pos=book.newest_pos + 1,
        head=book.current.last_head if book.chains and book.rows else None,
        retry_ms=moment.mono_ms + RETRY_MS,
        beside=beside,
    )
    try:
        tx = Transaction(
            store, Book(newest_pos=book.newest_pos), identity=identity, boot_no=0, at=at
        )
        await tx.begin()
        for chain in book.chains.values():
            await tx.add_chain(chain)
        for name, value in book.memory.items():
            await tx.put(name, value)
        await tx.put(SPILL, spill_cell(spill))
        await tx.commit()
        at("spill:begun")
    except BaseException:
        await store.close()
        raise
    memory = tx.book.memory
    here = replace(book, rows=0, covered_pos=book.newest_pos, spare_bytes=0, memory=memory)
    return spill, store, here


async def go_back(writer: "Writer", moment: Moment) -> bool:
    """Try the disk; whether it has everything again."""
    spill = writer.spill
    assert spill is not None
    spill.retry_ms = moment.mono_ms + RETRY_MS
    if spill.beside is not None:
        await spill.beside.close()
        spill.beside = None
    try:
        await _move(writer, spill)
    except (OutboxError, OSError) as error:
        if str(error) != spill.why:  # told once
            spill.why = str(error)
            writer.tell(Trouble.SPILL, f"still: {error}")
        await _read_on(writer, spill)
        return False
    await reload(writer, moment)
    return True


async def _move(writer: "Writer", spill: Spill) -> None:
    disk = writer.disk
    why, aside, held = None, None, Book()
    if not disk.store.exists():
        aside = _left_aside(disk, writer.salvage)
        if aside is not None:
            why = f"it was set aside, and no new one begun; kept as {disk.aside(aside).name}"
        elif spill.head is not None:
            why = "the store is gone"
    try:
        store = await Store.open(disk.store, writer.settings.bytes_max)
        if why is None:
            held = await _same_disk(writer, store, spill)
    except DamagedError as error:
        why = f"{error}; kept as {disk.set_aside()}"
        aside = disk.asides()[-1]
        store = await Store.open(disk.store, writer.settings.bytes_max)
    work = writer.salvage
    if aside is not None:
        work = behind(work, aside, floor_pos=spill.from_pos, home_pos=spill.disk_pos)
    try:
        await _bring(writer, store, spill, held, {} if aside is None else cells_of(work))
        writer.at("spill:moved")
    except BaseException:
        await store.close()
        raise
    await writer.store.close()
    disk.drop_spill()
    writer.store, writer.spill = store, None
    if why is not None:
        writer.tell(Trouble.DAMAGED, why)
    if aside is not None:
        writer.salvage = work
    writer.tell(Trouble.DISK_BACK, "all rows moved back")


def _left_aside(disk: Disk, work: Salvage | None) -> int | None:
    """The newest file that was set aside, if nobody reads it yet: the disk refused before a new store was begun."""
    read = set() if work is None else {work.aside, 0 if work.older is None else work.older.aside}
    newest = disk.asides()[-1:]
    return newest[0] if newest and newest[0] not in read else None


async def _same_disk(writer: "Writer", store: Store, spill: Spill) -> Book:
    """DamagedError, and it is closed, unless the disk shows the head that it had. Gives what it holds if it was never read."""
    try:
        if spill.head is None:  # it must at least be sound
            return (await load(store, writer.identity, writer.boot, lived=True)).book
        await _shows_head(writer, store, spill)
    except BaseException:
        await store.close()
        raise
    return Book()


async def _shows_head(writer: "Writer", store: Store, spill: Spill) -> None:
    cells = await store.run(f"SELECT {COLUMNS} FROM batch WHERE pos = ?", spill.from_pos - 1)  # noqa: S608  # a constant
    row = row_of(cells[0]) if cells else None
    sealed = None if row is None else sealed_by_us(row, writer.identity)
    if sealed is None or sealed.head != spill.head:
        raise DamagedError("the disk has forgotten its newest batch")
    if not spill.is_moved:
        raise DamagedError("it holds batches that were founded again without it")


async def _bring(
    writer: "Writer",
    store: Store,
    spill: Spill,
    held: Book,
    also: Mapping[str, bytes | None],
) -> None:
    """All rows, chains and what is remembered, in one transaction. `also`: remembered from now on."""
    book = writer.book
    known = {**book.memory, **also}
    await store.run("BEGIN IMMEDIATE")
    try:
        if (
            spill.head is not None
        ):  # of a commit that failed half-way, or founded again: nothing of it has left
            await store.run("DELETE FROM batch WHERE pos >= ?", spill.disk_pos)
            await store.run("DELETE FROM chain")
            await store.run("DELETE FROM memory")
        for chain in held.chains.values():  # they end here, and that is written down
            noted = book.chains.get(chain.id, chain)
            longer = max(chain, noted, key=lambda one: one.last_no)
            ended = replace(longer, through=max(chain.through, noted.through))
            await writer.transaction_on(store).write_chain(ended)
        for chain in book.chains.values():
            if chain.id in held.chains:
                continue
            await store.run(
                "INSERT INTO chain (id, chain_id, through, last_no, last_seq, last_head)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                *(chain.id, chain.chain_id, chain.through, chain.last_no),
                *(chain.last_seq, chain.last_head),
            )
        for name, value in known.items():
            if name != SPILL and value is not None:
                await store.run(
                    "INSERT INTO memory (name, value) VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    name,
                    value,
                )
        pos = -1
        while True:
            cells = await writer.store.run(
                f"SELECT {COLUMNS} FROM batch WHERE pos > ? ORDER BY pos LIMIT ?",  # noqa: S608  # a constant
                pos,
                ROWS_AT_ONCE,
            )
            for one in cells:
                pos = number(one[0])
                await store.run(f"INSERT INTO batch ({COLUMNS}) VALUES (?, ?, ?, ?, ?)", *one)  # noqa: S608  # as above
            if len(cells) < ROWS_AT_ONCE:
                break
        writer.at("spill:moving")
        await store.run("COMMIT")
    except BaseException:
        await writer.undo(store)
        raise


async def _read_on(writer: "Writer", spill: Spill) -> None:
    """A disk that is only read-only still shows what it has."""
    if spill.head is None:
        return
    try:
        spill.beside = await Store.open_to_read(writer.disk.store)
    except (OutboxDiskError, DamagedError, OSError):
        spill.beside = None


async def reload(writer: "Writer", moment: Moment) -> None:
    """Read the store in anew; what is missing, and was not told yet, is confessed."""
    try:
        loaded = await load(writer.store, writer.identity, writer.boot, lived=True, checked=True)
    except DamagedError as error:
        writer.broken = str(error)  # the next job sets it aside
        return
    book = loaded.book
    writer.passed.clear()
    for chain in writer.book.chains.values():
        now = book.chains.get(chain.id)
        if now is not None and chain.gone:
            book = book.with_chain(replace(now, gone=chain.gone))
    writer.book = book
    writer.generation += 1
    holes = tuple(
        hole
        for hole in loaded.holes
        if not any(
            first <= hole.first and hole.last <= last
            for first, last in book.chains[hole.chain].gone
        )
    )
    if writer.salvage is None:
        await tell(writer, replace(loaded, book=book, holes=holes), moment)


async def tell(writer: "Writer", loaded: Loaded, moment: Moment) -> None:
    """Confess all that `loaded` misses, some at a time."""
    left = loaded
    while left.bad or left.holes:
        now = left
        later: list[Loaded] = []

        async def body(tx: Transaction, now: Loaded = now, later: list[Loaded] = later) -> None:
            said, rest = await confess(tx, now, moment)
            later[:] = [rest]
            await tx.append(OpenBatch(kept=tuple(said), sealed=moment, closing=Closing.SIZE))
            await tx.put("clean", None)

        await writer.transact(moment, body)
        left = later[0]


def is_newer(book: Book, disk_newest_pos: int) -> bool:
    """Whether a store in the run directory holds what the disk has not: else it was moved back already."""
    return book.rows > 0 and book.newest_pos > disk_newest_pos
