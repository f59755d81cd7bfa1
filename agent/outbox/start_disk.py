"""A start that meets the disk: a sound store, a damaged one that is set aside, or none (EDGE section 4, start).

Law: what cannot be believed is renamed and read back, never opened a second time; a disk that refuses is told to the caller.
"""

from dataclasses import dataclass, replace

from agent import Boot, Identity
from agent.outbox.aside import Salvage, behind, salvage_of, unread_of
from agent.outbox.book import Book, Found
from agent.outbox.disk import Disk
from agent.outbox.load import Loaded, load, nothing
from agent.outbox.salvage import CHAIN_STEP_BITS, STORE_STEP_BITS, peek
from agent.outbox.spill import (
    Spill,
)
from agent.outbox.store import DamagedError, Store, StoreFullError
from agent.outbox.tip import Tip, is_shown, tip_of_cell
from agent.outbox.words import (
    At,
    OutboxDiskError,
    OutboxError,
    OutboxSettings,
    Previous,
)

HOME_POS_NONE = 1 << 62  # above every place: nothing of that file had to stay at home


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A store that is believed, and how it came to be."""

    store: Store
    loaded: Loaded
    damage: str | None = None
    refused: str | None = None  # why it is not the disk's
    spill: Spill | None = None
    salvage: Salvage | None = None
    boot_no: int | None = None  # if a file that was set aside still says it
    tip: Tip | None = None  # of the store that is lost


async def open_disk(
    disk: Disk, settings: OutboxSettings, identity: Identity, boot: Boot, at: At, *, doubt: bool
) -> Opened:
    lived = disk.has_lived() or (disk.store.exists() and disk.store.stat().st_size == 0)
    strays = not disk.store.exists() and disk.set_strays_aside()
    damage = "its WAL is there, the store is not" if strays else None
    for attempt in range(3):
        try:
            store, loaded = await _open_sound(disk, settings, identity, boot, at, lived=lived)
        except DamagedError as error:
            return await _after_damage(disk, settings, identity, boot, str(error))
        except (StoreFullError, OutboxDiskError):
            # A start on a full disk, or on one without inodes, is paid for by the ballast, then by what was set aside.
            if not disk.drop_ballast() and not (attempt and disk.drop_oldest_aside()):
                raise
        else:
            if doubt:
                loaded = replace(loaded, found=replace(loaded.found, same_boot=False, clean=False))
            if not loaded.book.rows and disk.asides():  # killed before the new store was begun
                await store.close()
                return await _behind_aside(disk, settings, identity, boot, "it was set aside")
            work = salvage_of(loaded.book)
            if work is not None:
                loaded = replace(loaded, holes=())  # they are told when the file has been read
            return Opened(store=store, loaded=loaded, damage=damage, salvage=work)
    raise OutboxDiskError("no room for the store, and nothing left to give up")


async def _open_sound(
    disk: Disk, settings: OutboxSettings, identity: Identity, boot: Boot, at: At, *, lived: bool
) -> tuple[Store, Loaded]:
    store = await Store.open(disk.store, settings.bytes_max)
    try:
        at("start:opened")
        loaded = await load(store, identity, boot, lived=lived)
        if loaded.book.rows or not disk.asides():
            _see_the_tip(disk, loaded, boot)
        at("start:checked")
    except BaseException:
        await store.close()
        raise
    return store, loaded


async def look_at_disk(disk: Disk, identity: Identity, boot: Boot) -> tuple[Store, Book] | None:
    """What the disk shows; None if it does not answer, or shows nothing that is believed."""
    try:
        store = await Store.open_to_read(disk.store)
    except OutboxError:
        return None
    try:
        loaded = await load(store, identity, boot, lived=True, checked=True)
    except OutboxError:
        await store.close()
        return None
    return store, loaded.book


def see_what_lies_there(disk: Disk, loaded: Loaded, boot: Boot) -> None:
    """DamagedError if there is nothing that a chain could go on behind."""
    _see_the_tip(disk, loaded, boot)
    if not loaded.book.rows:
        raise DamagedError("the store is empty")


def _see_the_tip(disk: Disk, loaded: Loaded, boot: Boot) -> None:
    """DamagedError if the file has lost what was committed in this start of the kernel: a torn WAL looks sound."""
    tip = tip_of_cell(disk.noted(), boot.boot_id)
    if tip is not None and not is_shown(tip, loaded.book):
        raise DamagedError(f"batch {tip.chain.last_no}, noted in {disk.run}, is gone")


async def _after_damage(
    disk: Disk, settings: OutboxSettings, identity: Identity, boot: Boot, why: str
) -> Opened:
    """A new store, far enough above the one that is set aside; that one is read as far as it can be."""
    if disk.lacks_inodes():
        disk.drop_oldest_aside()
    name = disk.set_aside()
    return await _behind_aside(disk, settings, identity, boot, f"{why}; kept as {name}")


async def _behind_aside(
    disk: Disk, settings: OutboxSettings, identity: Identity, boot: Boot, why: str
) -> Opened:
    number = disk.asides()[-1]
    newest_pos, header, unread = 0, None, None
    try:
        reader = await Store.open_aside(disk.aside(number))
    except OutboxError:
        pass
    else:
        newest_pos, header = await peek(reader, identity)
        unread = await unread_of(reader)
        await reader.close()
    store = await Store.open(disk.store, settings.bytes_max)
    tip = tip_of_cell(disk.noted(), boot.boot_id)
    newest_pos = max(newest_pos, 0 if tip is None else tip.pos)
    base = max(number, (newest_pos >> STORE_STEP_BITS) + 1) << STORE_STEP_BITS
    floor = max(number << CHAIN_STEP_BITS, 0 if tip is None else tip.chain.id)
    book = Book(newest_pos=base, chain_floor=floor)
    return Opened(
        store=store,
        loaded=Loaded(book=book, found=behind_tip(tip)),
        damage=why,
        tip=tip,
        salvage=behind(unread, number, floor_pos=base + 1, home_pos=HOME_POS_NONE),
        boot_no=None if header is None else header.boot_no + (tip is None),
    )


def behind_tip(tip: Tip | None) -> Found:
    """A store that cannot be read was here; perhaps its newest batch is known all the same."""
    found = nothing(lived=True)
    if tip is None:
        return found
    known = Previous(
        chain_id=tip.chain.chain_id,
        batch_no=tip.chain.last_no,
        head=tip.chain.last_head,
        seq=tip.chain.last_seq,
    )
    return replace(found, tip=known, same_boot=True)
