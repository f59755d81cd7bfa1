"""A file that was set aside is read row by row, and what is sound comes back to its old place (EDGE section 4, salvage).

Law: only our own signature counts. Slices of 64 between two seals, 60 s at most; what is missing then is confessed.
"""

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from agent import Identity, Moment, Weight
from agent.outbox.aside import Salvage, cells_of
from agent.outbox.book import Chain, joined
from agent.outbox.forget import carry_out
from agent.outbox.load import said_of
from agent.outbox.rows import URGENT, Row, body_of, sealed_by_us, stored
from agent.outbox.space import has_room, make_room
from agent.outbox.spill import reload
from agent.outbox.store import Cells, DamagedError, Store
from agent.outbox.transaction import COLUMNS, Transaction, row_of
from agent.outbox.words import News, OutboxError, Trouble
from wire.batch import Header
from wire.records import EventKind

if TYPE_CHECKING:
    from agent.outbox.writer import Writer

SLICE_ROWS = 64
SALVAGE_MS_MAX = 60_000
MISSES_MAX = 4_096  # places in a row where nothing is: a torn inner page hides some 300 rows
LEAP_MAX = 4_096  # a place beyond this, in a row that is not sound, is noise and no place
_BEHIND = f"SELECT {COLUMNS} FROM batch WHERE pos > ? AND pos < ? ORDER BY pos LIMIT ?"  # noqa: S608  # a constant
STORE_STEP_BITS = 40  # a new store begins so much higher: no place is used twice
CHAIN_STEP_BITS = 20


async def peek(store: Store, identity: Identity) -> tuple[int, Header | None]:
    """Newest place of a file that was set aside, and the newest batch if it is sound; 0 and None if it shows nothing."""
    try:
        cells = await store.run(f"SELECT {COLUMNS} FROM batch ORDER BY pos DESC LIMIT 1")  # noqa: S608  # a constant
        row = row_of(cells[0]) if cells else None
    except OutboxError:
        return 0, None
    if row is None:
        return 0, None
    sealed = sealed_by_us(row, identity)
    return row.pos, None if sealed is None else sealed.header


async def salvage(writer: "Writer", moment: Moment) -> bool:
    """One slice; whether there is more to do."""
    work = writer.salvage
    if work is None or writer.spill is not None:
        return False
    if work.until_ms is None:
        work.until_ms = moment.mono_ms + SALVAGE_MS_MAX
    try:
        if work.reader is None:
            work.reader = await Store.open_aside(writer.disk.aside(work.aside))
        rows = [] if _is_over(work, moment) else await _next_rows(work, writer.identity)
        if rows:
            brought: list[int] = []
            await writer.transact(
                moment, lambda tx: _bring(writer, tx, work, rows, moment, brought)
            )
            work.back += len(brought)
        if writer.salvage is work:
            work.kept_pos = work.pos
    except OutboxError as error:
        writer.tell(Trouble.SALVAGED, f"given up: {error}")
        work.is_done = True
    if writer.salvage is not work or not _is_over(work, moment):
        return True  # or: the store was set aside under our hands, and the newer file is read first
    await _finish(writer, work, moment)
    return work.older is not None


def _is_over(work: Salvage, moment: Moment) -> bool:
    return work.is_done or (work.until_ms is not None and moment.mono_ms >= work.until_ms)


async def _next_rows(work: Salvage, identity: Identity) -> list[Row]:
    """The next sound rows: a slice at once, or place by place where the file is torn."""
    assert work.reader is not None
    found: list[Row] = []
    if not work.torn:
        try:
            rows = await work.reader.run(_BEHIND, work.pos, work.floor_pos, SLICE_ROWS)
        except DamagedError:
            work.torn = True
        else:
            for cells in rows:
                if not _take(work, cells, identity, found):
                    work.torn = True
                    return found
            work.is_done = len(rows) < SLICE_ROWS
            return found
    misses = 0
    for _ in range(SLICE_ROWS):
        try:
            rows = await work.reader.run(_BEHIND, work.pos, work.floor_pos, 1)
        except DamagedError:
            work.pos += 1
            rows = await _just_there(work.reader, work.pos)
            if not rows:
                misses += 1
                work.misses += 1
        else:
            work.is_done = not rows
        misses += sum(not _take(work, cells, identity, found) for cells in rows)
        work.is_done = work.is_done or work.misses >= MISSES_MAX
        if (
            work.is_done or misses
        ):  # a sector that is dying answers after seconds: others go between
            break
    work.torn = misses > 0
    return found


async def _just_there(reader: Store, pos: int) -> list[Cells]:
    try:
        return await reader.run(f"SELECT {COLUMNS} FROM batch WHERE pos = ?", pos)  # noqa: S608  # a constant
    except DamagedError:
        return []


def _take(work: Salvage, cells: Cells, identity: Identity, found: list[Row]) -> bool:
    """Whether that row is sound; the place moves on either way."""
    row: Row | None = None
    with suppress(DamagedError):
        row = row_of(cells)
    if row is not None and sealed_by_us(row, identity) is not None:
        work.pos, work.misses = row.pos, 0
        if row.pos < work.home_pos:
            found.append(row)
        return True
    pos = cells[0]
    near = isinstance(pos, int) and work.pos <= pos <= work.pos + LEAP_MAX
    work.pos = pos if near and isinstance(pos, int) else work.pos + 1
    work.misses += 1
    return False


async def _bring(
    writer: "Writer",
    tx: Transaction,
    work: Salvage,
    rows: list[Row],
    moment: Moment,
    brought: list[int],
) -> None:
    """Sound rows go back to their places, chains to theirs. What a receipt covers is spare again: nothing makes room for it."""
    brought.clear()
    if writer.salvage is not work:  # this very transaction has set the store aside, and begins anew
        return
    writer.at("salvage:slice")
    waiting_bytes = sum(len(row.envelope) for row in rows if not _is_covered(tx, row))
    await make_room(writer, tx, moment, need_bytes=waiting_bytes, weight=Weight.EVIDENCE)
    takes_spare = await has_room(writer, need_bytes=sum(len(row.envelope) for row in rows))
    for row in rows:
        sealed = sealed_by_us(row, tx.identity)
        assert sealed is not None, "looked at before"
        chain = await _chain_of(tx, row, sealed.header)
        if chain is None or await tx.rows("pos = ?", row.pos):
            continue
        is_spare = row.no <= chain.through
        if is_spare and not takes_spare:
            continue
        brought.append(row.pos)
        tx.passed.clear()
        mine = replace(row, chain=chain.id, weight=row.weight & (URGENT | 3))
        await tx.store.run(
            f"INSERT INTO batch ({COLUMNS}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608  # a constant
            *(mine.pos, mine.chain, mine.no, mine.weight, mine.envelope),
        )
        if row.no > chain.last_no:
            chain = replace(
                chain, last_no=row.no, last_seq=sealed.header.last_seq, last_head=sealed.head
            )
        chain = replace(chain, oldest=min(chain.oldest, row.no))
        tx.book = tx.book.with_chain(chain)
        await tx.write_chain(chain)
        one = stored(mine, sealed, tx.boot_no)
        urgent = (*tx.book.urgent, one) if one.urgent and not is_spare else tx.book.urgent
        lower = mine.pos <= tx.book.covered_pos
        tx.book = replace(
            tx.book,
            rows=tx.book.rows + 1,
            urgent=tuple(sorted(urgent, key=lambda kept: kept.pos)),
            covered_pos=mine.pos - 1 if lower else tx.book.covered_pos,
            spare_bytes=0 if lower else tx.book.spare_bytes,
        )
        body = body_of(sealed.header) if one.urgent else None
        for event in () if body is None else body.events:
            if event.kind == EventKind.DROPPED:
                _hear(tx, chain.id, event.data)
    for name, value in cells_of(work).items():
        await tx.put(name, value)


def _is_covered(tx: Transaction, row: Row) -> bool:
    chain = tx.book.chains.get(row.chain)
    return chain is not None and row.no <= chain.through


def _hear(tx: Transaction, own: int, data: tuple[object, ...]) -> None:
    """What was confessed before is no news."""
    for chain_no, first, last in said_of(tx.book, own, data):
        chain = tx.book.chains[chain_no]
        if last > chain.through:
            tx.book = tx.book.with_chain(replace(chain, gone=joined(chain.gone, first, last)))


async def _chain_of(tx: Transaction, row: Row, header: Header) -> Chain | None:
    """The chain of that row; made anew if the store was lost with all that it knew. None: it has no place here."""
    known = tx.book.by_id(header.chain_id)
    if known is not None:
        return known
    if row.chain in tx.book.chains or row.chain >= tx.book.current.id or row.chain < 1:
        return None
    chain = Chain(
        id=row.chain,
        chain_id=header.chain_id,
        through=row.no - 1,  # what was before is covered, or the collector will ask for it
        last_no=row.no - 1,
        last_seq=header.first_seq - 1,
        last_head=header.prev,
        oldest=row.no,
    )
    await tx.add_chain(chain)
    tx.book = replace(tx.book, chains=dict(sorted(tx.book.chains.items())))
    return chain


async def _finish(writer: "Writer", work: Salvage, moment: Moment) -> None:
    if work.reader is not None:
        await work.reader.close()
        work.reader = None
    writer.salvage = work.older

    async def body(tx: Transaction) -> None:
        for name, value in cells_of(writer.salvage).items():
            await tx.put(name, value)
        tx.news.append(News(trouble=Trouble.SALVAGED, detail=f"{work.back} batches came back"))

    await writer.transact(moment, body)
    writer.at("salvage:done")
    if writer.salvage is not None:
        return
    await reload(writer, moment)
    await writer.transact(moment, lambda tx: carry_out(tx, writer.held))  # what is spare is counted
    writer.disk.trim_asides(writer.settings.bytes_max // 4)
