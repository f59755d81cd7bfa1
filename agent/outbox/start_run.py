"""A start in the run directory: the disk refuses, or did when the process ended (EDGE section 4, spill).

Law: the same chain, the next number, where the disk lets itself be read; else a chain of its own far above all others.
"""

from dataclasses import replace

from agent import Boot, Identity, Moment
from agent.outbox.aside import salvage_of
from agent.outbox.book import Book, joined
from agent.outbox.disk import Disk
from agent.outbox.load import Loaded, load
from agent.outbox.spill import (
    RETRY_MS,
    SPILL_BYTES_MAX,
    UNREAD_CHAIN,
    UNREAD_POS,
    Spill,
    lay_out,
    spill_of,
)
from agent.outbox.start_disk import Opened, behind_tip, see_what_lies_there
from agent.outbox.store import DamagedError, Store
from agent.outbox.tip import tip_of_cell
from agent.outbox.words import (
    At,
    OutboxError,
)

SOON_MS = 1_000  # the first batch is committed before the disk is tried


async def open_spill(
    disk: Disk, identity: Identity, boot: Boot, moment: Moment, at: At
) -> tuple[Opened | None, bool]:
    """The store in the run directory, if there is one; and whether there was one that nobody can read any more."""
    path = disk.spill
    if path is None or not path.exists():
        return None, False
    try:
        store = await Store.open(path, SPILL_BYTES_MAX)
    except OutboxError:
        disk.drop_spill()
        return None, True
    loaded: Loaded | None = None
    spill: Spill | None = None
    try:
        if not await store.run("SELECT 1 FROM batch LIMIT 1"):
            # The process ended before the first batch was in it: there was never more than the disk has.
            await store.close()
            disk.drop_spill()
            return None, False
        loaded = await load(store, identity, boot, lived=True, checked=True)
        spill = spill_of(loaded.book, retry_ms=moment.mono_ms + SOON_MS)
    except DamagedError:
        loaded = None
    if loaded is None or spill is None:
        await store.close()
        disk.drop_spill()
        return None, True
    at("start:opened")
    opened = Opened(
        store=store,
        loaded=replace(loaded, holes=()),  # what it has not is on the disk
        refused="it goes on where it was",
        spill=spill,
        salvage=salvage_of(loaded.book),  # it waits for the disk
    )
    return opened, False


def with_disk(opened: Opened, there: tuple[Store, Book] | None) -> Opened:
    """What waits on the disk is not gone: of a disk that cannot be read it is everything without a receipt."""
    spill, book = opened.spill, opened.loaded.book
    assert spill is not None
    for chain in book.chains.values():
        on_disk = None if there is None else there[1].chains.get(chain.id)
        if there is None:
            book = book.with_chain(replace(chain, oldest=min(chain.oldest, chain.through + 1)))
        elif on_disk is not None and on_disk.chain_id == chain.chain_id:
            gone = chain.gone
            for first, last in on_disk.gone:
                gone = joined(gone, first, last) if last > chain.through else gone
            oldest = min(chain.oldest, on_disk.oldest)
            book = book.with_chain(replace(chain, oldest=oldest, gone=gone))
    if there is not None:
        spill.beside = there[0]
        through = {chain.chain_id: chain.through for chain in book.chains.values()}
        waits = [
            one
            for one in there[1].urgent
            if one.pos < spill.disk_pos and one.batch_no > through.get(one.chain_id, one.batch_no)
        ]
        book = replace(book, urgent=(*waits, *book.urgent))
    return replace(opened, loaded=replace(opened.loaded, book=book))


async def go_round(
    disk: Disk,
    identity: Identity,
    boot: Boot,
    moment: Moment,
    at: At,
    *,
    doubt: bool,
    why: str,
) -> Opened:
    """In the run directory: behind what the disk shows, if it lets itself be read."""
    try:
        return await _spill_behind(disk, identity, boot, moment, at, doubt=doubt, why=why)
    except (OutboxError, OSError):  # it cannot, or what lies there is none of ours
        return await _fresh_spill(disk, boot, moment, why)


async def _spill_behind(
    disk: Disk,
    identity: Identity,
    boot: Boot,
    moment: Moment,
    at: At,
    *,
    doubt: bool,
    why: str,
) -> Opened:
    """The same chain, the next number: what was sealed before lies on a disk that is only read.

    After a start of the system a chain of its own behind it: the marker of a clean stop cannot be taken away from such a disk, and
    were it believed again, when the power has taken the run directory, numbers that have left would be used twice.
    """
    beside = await Store.open_to_read(disk.store)
    try:
        loaded = await load(beside, identity, boot, lived=True)
        see_what_lies_there(disk, loaded, boot)
        work = salvage_of(loaded.book)
        spill, store, book = await lay_out(
            disk, loaded.book, beside=beside, moment=moment, identity=identity, at=at
        )
    except BaseException:
        await beside.close()
        raise
    found = replace(loaded.found, clean=False)
    if doubt:
        found = replace(found, same_boot=False)
    # What is missing or bad on the disk is told when it is back.
    loaded = replace(loaded, book=book, found=found, holes=(), bad=())
    return Opened(store=store, loaded=loaded, refused=why, spill=spill, salvage=work)


async def _fresh_spill(disk: Disk, boot: Boot, moment: Moment, why: str) -> Opened:
    """What the disk holds cannot be read: a chain of its own, far above all others, behind the head that was noted in this kernel."""
    tip = tip_of_cell(disk.noted(), boot.boot_id)
    store = await Store.open(disk.new_spill(), SPILL_BYTES_MAX)
    spill = Spill(
        from_pos=UNREAD_POS + 1, head=None, retry_ms=moment.mono_ms + RETRY_MS, beside=None
    )
    book = Book(newest_pos=UNREAD_POS, chain_floor=UNREAD_CHAIN)
    loaded = Loaded(book=book, found=behind_tip(tip))
    return Opened(store=store, loaded=loaded, refused=why, spill=spill, tip=tip)
