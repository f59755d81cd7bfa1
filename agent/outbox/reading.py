"""Reading the store: one row, what waits, where a batch lies. A damaged row is found here, before it is sent.

Law: what a row says counts only after our own signature on it was checked.
"""

from contextlib import suppress
from typing import TYPE_CHECKING

from agent import Moment, StoredBatch
from agent.outbox.book import Chain
from agent.outbox.forget import DISK_DAMAGED, drop
from agent.outbox.rows import Row, sealed_by_us, stored
from agent.outbox.spill import begin as begin_spill
from agent.outbox.store import DamagedError, Store
from agent.outbox.transaction import COLUMNS, Transaction, row_of
from agent.outbox.words import News, OutboxDiskError, OutboxError, Trouble
from agent.sealer import Closing, OpenBatch

if TYPE_CHECKING:
    from agent.outbox.writer import Writer

BAD_RUN_MAX = 64  # damaged neighbours confessed together
ROWS_AT_ONCE = 64
_NEWEST = f"SELECT {COLUMNS} FROM batch WHERE pos < ? ORDER BY pos DESC LIMIT ?"  # noqa: S608  # a constant


async def read(writer: "Writer", pos: int, moment: Moment) -> bytes | None:
    """The envelope at `pos`, if it is there and sound."""
    row = await _row(writer, pos, moment)
    if row is None:
        return None
    chain = writer.book.chains.get(row.chain)
    if chain is not None and writer.transaction().open(row) is not None:
        return row.envelope
    await drop_bad(writer, row, moment)
    return None


async def look(writer: "Writer", where: str, *values: int, newest_first: bool = False) -> list[Row]:
    """Rows of the store; while the disk refuses also those that it still shows. `where` ends in ORDER BY and LIMIT."""
    if writer.spill is None:
        try:
            return await writer.transaction().rows(where, *values)
        except OutboxDiskError as error:  # as for a write: what can still be read lies beside
            if writer.moment is None:
                raise
            await begin_spill(writer, writer.moment, str(error))
    spill = writer.spill
    assert spill is not None, "just begun, or there already"
    here = await _shelf(writer.transaction(), where, *values)
    there: list[Row] = []
    if spill.beside is not None:
        there = await _shelf(writer.transaction_on(spill.beside), where, *values)
    there = [row for row in there if row.pos < spill.disk_pos]  # the rest has never been
    found = [*here, *there] if newest_first else [*there, *here]
    limit = values[-1] if "LIMIT ?" in where else 1
    return found[:limit]


async def _shelf(shelf: Transaction, where: str, *values: int) -> list[Row]:
    try:
        return await shelf.rows(where, *values)
    except (DamagedError, OutboxDiskError):
        return []  # what cannot be read now is not lost for that


async def _row(writer: "Writer", pos: int, moment: Moment) -> Row | None:
    try:
        rows = await look(writer, "pos = ?", pos)
    except DamagedError as error:
        await writer.set_aside(moment, str(error))
        return None
    return rows[0] if rows else None


async def newest(writer: "Writer") -> list[bytes]:
    """Envelopes of the newest rows, oldest first, at most 64 of a file; what is damaged is left to whoever sends it.

    Of files that were set aside and are still to be read too: a seal repeats what was sealed in them and not acknowledged.
    """
    rows = await _newest_aside(writer)
    try:
        here = await look(
            writer, "pos > ? ORDER BY pos DESC LIMIT ?", -1, ROWS_AT_ONCE, newest_first=True
        )
    except DamagedError:
        here = []
    rows += reversed(here)
    return [row.envelope for row in rows]


async def _newest_aside(writer: "Writer") -> list[Row]:
    """The newest rows of ours that each file still shows, the older file's first."""
    work, found = writer.salvage, list[Row]()
    while work is not None:
        with suppress(OutboxError, OSError):
            # Whoever reads a file has it alone: if its reading has begun, this goes by the same hand.
            reader = work.reader or await Store.open_aside(writer.disk.aside(work.aside))
            try:
                cells = await reader.run(_NEWEST, work.floor_pos, ROWS_AT_ONCE)
            finally:
                if reader is not work.reader:
                    await reader.close()
            rows = [row_of(row) for row in reversed(cells)]
            found[:0] = [row for row in rows if sealed_by_us(row, writer.identity) is not None]
        work = work.older
    return found


async def raw(writer: "Writer", from_pos: int, count_max: int) -> list[tuple[bytes, Row]]:
    """Rows from `from_pos` on, each with its chain's id; empty if the file cannot be read: the next job sets it aside."""
    try:
        rows = await look(writer, "pos >= ? ORDER BY pos LIMIT ?", from_pos, count_max)
    except DamagedError:
        return []
    chains = writer.book.chains
    return [(chains[row.chain].chain_id if row.chain in chains else b"", row) for row in rows]


async def waiting(writer: "Writer", after_pos: int, count_max: int) -> list[StoredBatch]:
    """Batches without receipt behind `after_pos`. Damaged ones are confessed and left out."""
    moment = writer.moment
    assert moment is not None, "a start has stored its first batch"
    found: list[StoredBatch] = []
    pos = after_pos if writer.spill is not None else max(after_pos, writer.book.covered_pos)
    while len(found) < count_max:
        try:
            rows = await look(writer, "pos > ? ORDER BY pos LIMIT ?", pos, ROWS_AT_ONCE)
        except DamagedError as error:
            await writer.set_aside(moment, str(error))
            return []
        for row in rows:
            pos = row.pos
            chain = writer.book.chains.get(row.chain)
            if chain is not None and row.no <= writer.through(chain):
                continue
            sealed = None if chain is None else writer.transaction().open(row)
            if sealed is None:
                await drop_bad(writer, row, moment)
                continue
            found.append(stored(row, sealed, writer.boot_no))
        if len(rows) < ROWS_AT_ONCE:
            break
    return found[:count_max]


async def find(writer: "Writer", chain_id: bytes, batch_no: int) -> Row | None:
    """The first kept batch of the chain from that number on."""
    chain = writer.book.by_id(chain_id)
    if chain is None or batch_no > chain.last_no:
        return None
    try:
        # No index: a walk over a full store takes a third of a second, and the keeper asks every 15 s.
        near = await look(writer, "pos = ?", _usual_pos(writer, chain, batch_no))
        if near and (near[0].chain, near[0].no) == (chain.id, batch_no):
            return near[0]
        rows = await look(writer, "chain = ? AND no >= ? ORDER BY pos LIMIT 1", chain.id, batch_no)
    except DamagedError:
        return None  # the next job that must not fail sets the file aside
    return rows[0] if rows else None


def _usual_pos(writer: "Writer", chain: Chain, batch_no: int) -> int:
    """Where that batch lies if nothing was ever dropped or set aside behind it."""
    book = writer.book
    later = sum(one.last_no + 1 for one in book.chains.values() if one.id > chain.id)
    return book.newest_pos - later - (chain.last_no - batch_no)


async def head_at(writer: "Writer", chain_id: bytes, batch_no: int) -> bytes | None:
    """Head of that batch, if we still know it."""
    chain = writer.book.by_id(chain_id)
    if chain is None:
        return None
    if batch_no == chain.last_no:
        return chain.last_head
    row = await find(writer, chain_id, batch_no)
    if row is None or row.no != batch_no:
        return None
    sealed = writer.transaction().open(row)
    return None if sealed is None else sealed.head


async def drop_bad(writer: "Writer", bad: Row, moment: Moment) -> None:
    """A row that fails its own signature goes, with its bad neighbours, and is confessed."""
    generation = writer.generation
    if writer.spill is not None and bad.pos < writer.spill.from_pos:
        return  # the disk cannot be written: it is confessed when it is back

    async def body(tx: Transaction) -> None:
        if writer.generation != generation:  # the whole file was set aside meanwhile
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
        tx.news.append(News(trouble=Trouble.ROW_BAD, detail=f"batches {run[0].no} to {run[-1].no}"))

    await writer.transact(moment, body)


async def _neighbour(tx: Transaction, row: Row, *, ahead: bool) -> Row | None:
    rows = await tx.rows(
        "pos > ? ORDER BY pos LIMIT 1" if ahead else "pos < ? ORDER BY pos DESC LIMIT 1", row.pos
    )
    step = 1 if ahead else -1
    fits = rows and (rows[0].chain, rows[0].no) == (row.chain, row.no + step)
    return rows[0] if fits else None
