"""From a directory to a writer with its first batch committed (EDGE section 4, start and which chain).

Law: whatever lies there, the unit collects: a damaged file is set aside, a disk that refuses is gone round, in doubt a new chain begins.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from agent import Boot, Identity, Kept, Moment, Weight
from agent.outbox.aside import Salvage, behind, cells_of, salvage_of, unread_of
from agent.outbox.book import Book, Found, choose_chain, count_of, joined
from agent.outbox.disk import Disk
from agent.outbox.forget import advance
from agent.outbox.load import Loaded, boot_no_of, confess, load, nothing
from agent.outbox.rows import event
from agent.outbox.salvage import CHAIN_STEP_BITS, STORE_STEP_BITS, peek
from agent.outbox.space import make_room_to_start
from agent.outbox.spill import (
    RETRY_MS,
    SPILL,
    SPILL_BYTES_MAX,
    UNREAD_CHAIN,
    UNREAD_POS,
    Spill,
    is_newer,
    lay_out,
    spill_cell,
    spill_of,
    tell,
)
from agent.outbox.store import DamagedError, Store, StoreFullError
from agent.outbox.tip import Tip, is_shown, tip_of_cell
from agent.outbox.transaction import Transaction
from agent.outbox.word import look_home, stay
from agent.outbox.words import (
    At,
    Cause,
    OutboxDiskError,
    OutboxError,
    OutboxLockedError,
    OutboxSettings,
    Previous,
    Trouble,
)
from agent.outbox.writer import Writer
from agent.sealer import Closing, OpenBatch
from wire.canon import encode
from wire.records import EventKind

PROGRAM = "program"  # its name in the store's memory: the program of the start before
SOON_MS = 1_000  # the first batch is committed before the disk is tried
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


async def start(
    directory: Path,
    settings: OutboxSettings,
    identity: Identity,
    boot: Boot,
    moment: Moment,
    at: At,
    *,
    run: Path | None = None,
) -> Writer:
    """Lock, open, check, choose the chain, commit the first batch. `run`: a directory on a tmpfs."""
    disk = Disk(directory, run)
    try:
        return await _start(disk, settings, identity, boot, moment, at)
    except BaseException:
        disk.release()
        raise


async def _start(
    disk: Disk,
    settings: OutboxSettings,
    identity: Identity,
    boot: Boot,
    moment: Moment,
    at: At,
) -> Writer:
    opened = await _open(disk, settings, identity, boot, moment, at)
    try:
        loaded = opened.loaded
        writer = Writer(
            disk=disk,
            store=opened.store,
            book=loaded.book,
            settings=settings,
            identity=identity,
            boot=replace(boot, cause=int(_cause(boot, loaded))),
            boot_no=boot_no_of(loaded, boot) if opened.boot_no is None else opened.boot_no,
            at=at,
        )
        writer.spill, writer.salvage = opened.spill, opened.salvage
        writer.head_is_sure = loaded.book.rows > 0 and bool(tip_of_cell(disk.noted(), boot.boot_id))
        if opened.damage is not None:
            writer.tell(Trouble.DAMAGED, opened.damage)
        if opened.refused is not None:
            writer.tell(Trouble.SPILL, opened.refused)
        await _first_batch(writer, loaded, moment, opened.tip)
    except BaseException:
        await opened.store.close()
        if opened.spill is not None and opened.spill.beside is not None:
            await opened.spill.beside.close()
        raise
    disk.mark_lived()
    return writer


async def _open(
    disk: Disk, settings: OutboxSettings, identity: Identity, boot: Boot, moment: Moment, at: At
) -> Opened:
    spilled, doubt = await _open_spill(disk, identity, boot, moment, at)
    if spilled is not None:
        there = await _look_at_disk(disk, identity, boot)
        if there is None or is_newer(spilled.loaded.book, there[1].newest_pos):
            return _with_disk(spilled, there)
        await there[0].close()
        await spilled.store.close()
        disk.drop_spill()  # it was moved back before the process ended
    try:
        return await _open_disk(disk, settings, identity, boot, at, doubt=doubt)
    except OutboxLockedError:
        raise
    except (OutboxDiskError, StoreFullError, OSError) as error:
        if disk.run is None:
            raise OutboxDiskError(str(error)) from error
        return await _go_round(disk, identity, boot, moment, at, doubt=doubt, why=str(error))


async def _look_at_disk(disk: Disk, identity: Identity, boot: Boot) -> tuple[Store, Book] | None:
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


def _with_disk(opened: Opened, there: tuple[Store, Book] | None) -> Opened:
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


async def _open_spill(
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


async def _go_round(
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
        _see_what_lies_there(disk, loaded, boot)
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
    loaded = Loaded(book=book, found=_behind(tip))
    return Opened(store=store, loaded=loaded, refused=why, spill=spill, tip=tip)


def _behind(tip: Tip | None) -> Found:
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


async def _open_disk(
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


def _see_what_lies_there(disk: Disk, loaded: Loaded, boot: Boot) -> None:
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
        loaded=Loaded(book=book, found=_behind(tip)),
        damage=why,
        tip=tip,
        salvage=behind(unread, number, floor_pos=base + 1, home_pos=HOME_POS_NONE),
        boot_no=None if header is None else header.boot_no + (tip is None),
    )


async def _first_batch(writer: Writer, loaded: Loaded, moment: Moment, lost: Tip | None) -> None:
    """Genesis if new, `boot`, and what is missing: one transaction; more of what is missing in others."""
    begin = choose_chain(loaded.found)
    left = [loaded]

    async def body(tx: Transaction) -> None:
        fresh = begin if writer.generation == 0 else None  # set aside since: a chain has begun
        said: list[Kept] = [_boot(writer, loaded, moment)]
        if tx.book.rows and writer.generation == 0:
            more, left[0] = await confess(tx, loaded, moment)
            said += more
            await advance(tx)
            said += await make_room_to_start(writer, tx, moment)
        await tx.put("clean", None)
        await tx.put("boot_id", writer.boot.boot_id)
        await tx.put("boot_no", encode(writer.boot_no))
        await tx.put(PROGRAM, writer.boot.program.encode())
        await tx.put("starts", encode(count_of(tx.book, "starts") + 1))
        if writer.salvage is not None:
            for name, value in cells_of(writer.salvage).items():
                await tx.put(name, value)
        if writer.spill is not None:
            await tx.put(SPILL, spill_cell(writer.spill))
        if lost is not None and not tx.book.chains:
            await tx.add_chain(lost.chain)  # its rows come back to it, or are told
        if fresh is not None:
            await writer.begin_chain(tx, fresh, moment, *said)
        else:
            await tx.append(OpenBatch(kept=tuple(said), sealed=moment, closing=Closing.START))
        if not loaded.found.same_boot:
            newest = loaded.found.newest if writer.generation == 0 else None
            await stay(tx, newest, moment, fresh=fresh is not None)

    tx = await writer.transact(moment, body)
    writer.start_pos = tx.stored[0].pos
    look_home(writer, moment)
    if writer.generation == 0:
        await tell(writer, left[0], moment)


def _cause(boot: Boot, loaded: Loaded) -> Cause:
    """Why this start came: what the store knows of the one before, and what the shell has found in the run directory."""
    found, program = loaded.found, loaded.book.memory.get(PROGRAM)
    if found.newest is None:
        return Cause(boot.cause)
    if program is not None and program != boot.program.encode():
        return Cause.UPDATE
    if found.clean:
        return Cause.ORDERED
    if boot.cause:
        return Cause(boot.cause)
    return Cause.UNKNOWN if found.same_boot else Cause.POWER


def _boot(writer: Writer, loaded: Loaded, moment: Moment) -> Kept:
    boot = writer.boot
    data = (
        writer.boot_no,
        boot.cause,
        boot.program,
        int(loaded.found.clean),
        boot.secure_counter,
    )
    return event(EventKind.BOOT, moment, data, Weight.EVENT)
