"""What leaves the store: the covered, lazily; the damaged and the evicted, confessed.

Law: `through` goes forward before a row goes, and a row without receipt goes only in the transaction that says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent import Kept, Moment, Weight
from agent.outbox.book import Chain
from agent.outbox.rows import Row, Sealed, body_of, event
from agent.outbox.store import number
from agent.outbox.transaction import Transaction
from agent.outbox.words import News, Trouble
from wire.records import EventKind

DELETE_ROWS_MAX = 256  # a transaction: a commit stays short on a slow card
RUN_ROWS_MAX = 64  # batches an eviction takes together: one `dropped` event each
EVICT_RUNS_MAX = 8  # a transaction
DISK_FULL = 1  # WIRE section 6, kind 13
DISK_DAMAGED = 2

_EVICTABLE = ("weight = 0", "weight = 1", "weight = 5")  # the dearest last; weight 2 never


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A receipt that is believed and not carried out yet."""

    through: int
    envelope: bytes | None = None  # the newest R1 is kept for ever


async def carry_out(tx: Transaction, held: Mapping[bytes, Held]) -> None:
    """Let `through` go forward, and with it the border below which rows are spare."""
    for chain_id, one in held.items():
        chain = tx.book.by_id(chain_id)
        if chain is None or one.through <= chain.through:
            continue
        gone = tuple(run for run in chain.gone if run[1] > one.through)
        chain = replace(chain, through=min(one.through, chain.last_no), gone=gone)
        tx.book = tx.book.with_chain(chain)
        await tx.write_chain(chain)
        if one.envelope is not None:
            await tx.put("r1", one.envelope)
    tx.at("store:covered")
    through = {chain.chain_id: chain.through for chain in tx.book.chains.values()}
    left = tuple(one for one in tx.book.urgent if one.batch_no > through.get(one.chain_id, -1))
    tx.book = replace(tx.book, urgent=left)
    await advance(tx)


async def advance(tx: Transaction) -> None:
    """Move the border of the spare over rows that are covered."""
    while True:
        cells = await tx.store.run(
            "SELECT pos, chain, no, length(envelope) FROM batch WHERE pos > ? ORDER BY pos LIMIT ?",
            tx.book.covered_pos,
            DELETE_ROWS_MAX,
        )
        for pos, chain_no, no, size in cells:
            chain = tx.book.chains.get(number(chain_no))
            if chain is None or number(no) > chain.through:
                return
            tx.book = replace(
                tx.book, covered_pos=number(pos), spare_bytes=tx.book.spare_bytes + number(size)
            )
        if len(cells) < DELETE_ROWS_MAX:
            return


async def trim_spare(
    tx: Transaction, spare_bytes_max: int, proven: Mapping[bytes, int] | None
) -> int:
    """Covered rows beyond `spare_bytes_max` go, oldest first; the newest row of all stays. How many went.

    `proven`: numbers by chain up to which a proof is held; None where a receipt is enough.
    """
    if tx.book.spare_bytes <= spare_bytes_max:
        return 0
    rows = await tx.rows(
        "pos <= ? AND pos < ? ORDER BY pos LIMIT ?",
        tx.book.covered_pos,
        tx.book.newest_pos,
        DELETE_ROWS_MAX,
    )
    going: list[Row] = []
    spare = tx.book.spare_bytes
    for row in rows:
        chain_id = tx.book.chains[row.chain].chain_id
        if spare <= spare_bytes_max:
            break
        if proven is not None and row.no > proven.get(chain_id, -1):
            break
        spare -= len(row.envelope)
        going.append(row)
    if not going:
        return 0
    tx.at("delete:before")
    await tx.delete(going)
    tx.book = replace(tx.book, spare_bytes=spare)
    for chain_no in dict.fromkeys(row.chain for row in going):
        chain = tx.book.chains[chain_no]
        last = max(row.no for row in going if row.chain == chain_no)
        after = await tx.rows("pos > ? ORDER BY pos LIMIT 1", going[-1].pos)
        same = [row.no for row in after if row.chain == chain_no]
        chain = replace(chain, oldest=same[0] if same else max(last, chain.last_no) + 1)
        tx.book = tx.book.with_chain(chain)
        await tx.write_chain(chain)
    tx.at("delete:after")
    return len(going)


async def evict(tx: Transaction, moment: Moment) -> Kept | None:
    """The oldest run of the cheapest batches goes; what says so, or None if only evidence is left."""
    for weight in _EVICTABLE:
        # There is no index: what was walked over once is not walked over again, or each commit of a full store would take a second.
        rows = await tx.rows(
            f"pos > ? AND pos < ? AND {weight} ORDER BY pos LIMIT ?",
            max(tx.book.covered_pos, tx.passed.get(weight, tx.book.covered_pos)),
            tx.book.newest_pos,
            RUN_ROWS_MAX,
        )
        tx.passed[weight] = (rows[0].pos if rows else tx.book.newest_pos) - 1
        run = _run([row for row in rows if row.no > tx.book.chains[row.chain].through])
        if not run:
            continue
        tx.at("evict:before")
        said = await drop(tx, run, moment, DISK_FULL)
        tx.at("evict:after")
        tx.news.append(
            News(trouble=Trouble.EVICTED, detail=f"batches {run[0].no} to {run[-1].no}, {weight}")
        )
        return said
    return None


async def drop(tx: Transaction, run: list[Row], moment: Moment, reason: int) -> Kept:
    """Delete a run of rows of one chain and give the event that confesses it: same transaction."""
    chain = tx.book.chains[run[0].chain]
    before = await tx.rows("pos < ? ORDER BY pos DESC LIMIT 1", run[0].pos)
    after = await tx.rows("pos > ? ORDER BY pos LIMIT 1", run[-1].pos)
    said = confession(
        tx,
        chain,
        rows=run,
        numbers=(run[0].no, run[-1].no),
        before=before[0] if before else None,
        after=after[0] if after else None,
        moment=moment,
        reason=reason,
    )
    await tx.delete(run)
    tx.note_gone(chain, run[0].no, run[-1].no)
    await tx.write_chain(tx.book.chains[chain.id])
    return said


def confession(
    tx: Transaction,
    chain: Chain,
    *,
    rows: list[Row],
    numbers: tuple[int, int],
    before: Row | None,
    after: Row | None,
    moment: Moment,
    reason: int,
) -> Kept:
    """The `dropped` event (WIRE section 6, kind 13) of a run; what nobody knows any more is nil.

    `before` and `after`: the rows that stand around it, if they are of the same chain they tell its borders.
    """
    first, last = numbers
    sealed = [tx.open(row) for row in rows]
    first_seq = _first_seq(tx, sealed[0] if sealed else None, before, chain, first)
    last_seq, last_head = _last(tx, sealed[-1] if sealed else None, after, chain, last)
    fixes: int | None = 0
    events: int | None = 0
    for one in sealed or [None]:
        body = None if one is None else body_of(one.header)
        if body is None or fixes is None or events is None:
            fixes = events = None
        else:
            fixes += len(body.fixes)
            events += len(body.events)
    return event(
        EventKind.DROPPED,
        moment,
        (first, last, first_seq, last_seq, last_head, fixes, events, reason, chain.chain_id),
        Weight.EVIDENCE,
    )


def lost_with_file(chain: Chain, first: int, moment: Moment) -> Kept:
    """What a damaged file took along: everything of `chain` from `first` on."""
    data = (
        first,
        chain.last_no,
        0 if first == 0 else None,
        chain.last_seq,
        chain.last_head,
        None,
        None,
        DISK_DAMAGED,
        chain.chain_id,
    )
    return event(EventKind.DROPPED, moment, data, Weight.EVIDENCE)


def _first_seq(
    tx: Transaction, own: Sealed | None, before: Row | None, chain: Chain, first: int
) -> int | None:
    if own is not None:
        return own.header.first_seq
    if first == 0:
        return 0
    if before is not None and (before.chain, before.no) == (chain.id, first - 1):
        neighbour = tx.open(before)
        return None if neighbour is None else neighbour.header.last_seq + 1
    return None


def _last(
    tx: Transaction, own: Sealed | None, after: Row | None, chain: Chain, last: int
) -> tuple[int | None, bytes | None]:
    if own is not None:
        return own.header.last_seq, own.head
    if last == chain.last_no:
        return chain.last_seq, chain.last_head
    if after is not None and (after.chain, after.no) == (chain.id, last + 1):
        neighbour = tx.open(after)
        if neighbour is not None:
            return neighbour.header.first_seq - 1, neighbour.header.prev
    return None, None


def _run(rows: list[Row]) -> list[Row]:
    """The first rows, as long as they are neighbours in one chain."""
    run = rows[:1]
    for row in rows[1:]:
        if (row.chain, row.no) != (run[-1].chain, run[-1].no + 1):
            break
        run.append(row)
    return run
