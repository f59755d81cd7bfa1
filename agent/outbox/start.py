"""From a directory to a writer with its first batch committed (EDGE section 4, start and which chain).

Law: whatever lies there, the unit collects: a damaged file is set aside, a disk that refuses is gone round, in doubt a new chain begins.
"""

from dataclasses import replace
from pathlib import Path

from agent import Boot, Identity, Kept, Moment, Weight
from agent.outbox.aside import cells_of
from agent.outbox.book import choose_chain, count_of
from agent.outbox.disk import Disk
from agent.outbox.forget import advance
from agent.outbox.load import Loaded, boot_no_of, confess
from agent.outbox.rows import event
from agent.outbox.space import make_room_to_start
from agent.outbox.spill import (
    SPILL,
    is_newer,
    spill_cell,
    tell,
)
from agent.outbox.start_disk import Opened, look_at_disk, open_disk
from agent.outbox.start_run import go_round, open_spill, with_disk
from agent.outbox.store import StoreFullError
from agent.outbox.tip import Tip, tip_of_cell
from agent.outbox.transaction import Transaction
from agent.outbox.word import look_home, stay
from agent.outbox.words import (
    At,
    Cause,
    OutboxDiskError,
    OutboxLockedError,
    OutboxSettings,
    Trouble,
)
from agent.outbox.writer import Writer
from agent.sealer import Closing, OpenBatch
from wire.canon import encode
from wire.records import EventKind

PROGRAM = "program"  # its name in the store's memory: the program of the start before


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
    writer: Writer | None = None
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
        await _close(opened, writer)
        raise
    disk.mark_lived()
    return writer


async def _close(opened: Opened, writer: Writer | None) -> None:
    """Each file that is open, also those that the writer has gone round in: one left open would keep the process for ever."""
    spills = [opened.spill, None if writer is None else writer.spill]
    stores = [opened.store, opened.store if writer is None else writer.store]
    stores += [one.beside for one in spills if one is not None and one.beside is not None]
    for store in dict.fromkeys(stores):
        await store.close()


async def _open(
    disk: Disk, settings: OutboxSettings, identity: Identity, boot: Boot, moment: Moment, at: At
) -> Opened:
    spilled, doubt = await open_spill(disk, identity, boot, moment, at)
    if spilled is not None:
        there = await look_at_disk(disk, identity, boot)
        if there is None or is_newer(spilled.loaded.book, there[1].newest_pos):
            return with_disk(spilled, there)
        await there[0].close()
        await spilled.store.close()
        disk.drop_spill()  # it was moved back before the process ended
    try:
        return await open_disk(disk, settings, identity, boot, at, doubt=doubt)
    except OutboxLockedError:
        raise
    except (OutboxDiskError, StoreFullError, OSError) as error:
        if disk.run is None:
            raise OutboxDiskError(str(error)) from error
        return await go_round(disk, identity, boot, moment, at, doubt=doubt, why=str(error))


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
