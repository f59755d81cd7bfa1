"""A chain founded again: the same records behind what the collector has (EDGE section 4, the word).

Law: nothing of it had left the unit, so nothing is ever said twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agent import Moment, Weight
from agent.outbox.book import SEQ_UNKNOWN, Begin, Chain
from agent.outbox.forget import DISK_DAMAGED
from agent.outbox.rows import Row, Sealed, event, open_row, signed_again
from agent.outbox.transaction import Transaction
from agent.outbox.words import AtHome, ChainReason, News, Previous, Trouble, Word
from agent.sealer import Closing, OpenBatch
from wire.receipts import Receipt
from wire.records import EventKind

ROWS_AT_ONCE = 64
BAD_MAX = 64  # confessed one by one; beyond it the file is a ruin


def hear_word(said: Receipt, chains: list[Chain], home: AtHome, own_head: bytes | None) -> Word:
    """What `said` means while `home` waits; `own_head`: what we hold at that number.

    The collector names the newest chain that it has settled. If it is one that we remember, at a head that we held, we have
    forgotten nothing. One older than the chain that we ask for is no less: what follows it has not arrived yet.
    """
    named = next((chain for chain in chains if chain.chain_id == said.chain_id), None)
    if named is None:
        return Word.FOUNDED_AGAIN
    if own_head is not None:
        return Word.CONFIRMED if own_head == said.head else Word.FOUNDED_AGAIN
    is_older = named.id < home.first_id and named.chain_id != home.tip.chain_id
    if is_older or said.through_batch_no <= named.last_no:  # its row is covered and gone
        return Word.CONFIRMED
    return Word.FOUNDED_AGAIN


async def found_behind(
    tx: Transaction,
    said: Receipt,
    *,
    from_pos: int,
    moment: Moment,
    new_chain_id: Callable[[], bytes],
    elsewhere: Sequence[Row] = (),
) -> None:
    """Every batch from `from_pos` on gets a new number, link and signature in a new chain behind `said`.

    They move to the end of the order of sending: a place is never used for two contents. `elsewhere`: rows before `from_pos` that move
    too and lie where nothing can be deleted now.
    """
    begin = Begin(
        reason=ChainReason.ROLLED_BACK,
        previous=Previous(
            chain_id=said.chain_id, batch_no=said.through_batch_no, head=said.head, seq=None
        ),
    )
    if tx.book.by_id(said.chain_id) is None:
        await _remember(tx, said)
    end_pos = tx.book.newest_pos
    names = {chain.id: chain.chain_id for chain in tx.book.chains.values()}
    bad: list[Row] = []
    sources: list[int] = []
    pos = from_pos - 1
    shelf = list(elsewhere)
    while True:
        rows = shelf or await tx.rows(
            "pos > ? AND pos <= ? ORDER BY pos LIMIT ?", pos, end_pos, ROWS_AT_ONCE
        )
        for row in rows:
            pos = max(pos, row.pos)
            sealed = open_row(row, tx.identity, names[row.chain]) if row.chain in names else None
            if sealed is None:
                bad.append(row)
                continue
            if row.chain not in sources:
                begin = _next(tx) if sources else begin
                sources.append(row.chain)
                await _leave(tx, tx.book.chains[row.chain], sealed)
                await tx.found(begin, new_chain_id())
                if row.no > 0:  # its own genesis stays where it was
                    await tx.append(genesis_only(begin, moment))
            await _move(tx, row, sealed, begin)
        if shelf:
            tx.forget_urgent(shelf)
            shelf = []
            continue
        await tx.delete(rows)
        if len(rows) < ROWS_AT_ONCE:
            break
    if not sources:  # nothing to move: the chain begins all the same
        await tx.found(begin, new_chain_id())
        await tx.append(genesis_only(begin, moment))
    if bad:
        await tx.append(_damaged(bad, names, moment))
    tx.at("word:rewritten")
    tx.news.append(
        News(
            trouble=Trouble.FOUNDED_AGAIN,
            detail=f"behind {said.chain_id.hex()} {said.through_batch_no}",
        )
    )


async def _remember(tx: Transaction, said: Receipt) -> None:
    """A chain that we have forgotten has its place again: a second chain behind it would be proof of forgery."""
    await tx.add_chain(
        Chain(
            id=max(tx.book.chains, default=0) + 1,
            chain_id=said.chain_id,
            through=said.through_batch_no,
            last_no=said.through_batch_no,
            last_seq=SEQ_UNKNOWN,
            last_head=said.head,
            oldest=said.through_batch_no + 1,
        )
    )


def _damaged(bad: list[Row], names: Mapping[int, bytes], moment: Moment) -> OpenBatch:
    """Their numbers have never left the unit; that they were there is confessed all the same."""
    kept = tuple(
        event(
            EventKind.DROPPED,
            moment,
            (row.no, row.no, *(None,) * 5, DISK_DAMAGED, names.get(row.chain)),
            Weight.EVIDENCE,
        )
        for row in bad[:BAD_MAX]
    )
    return OpenBatch(kept=kept, sealed=moment, closing=Closing.START)


async def _leave(tx: Transaction, chain: Chain, first: Sealed) -> None:
    """`chain` ends before `first`, which moves away; if that was its beginning, it has never been."""
    if first.header.batch_no == 0:
        await tx.store.run("DELETE FROM chain WHERE id = ?", chain.id)
        left = {id_: one for id_, one in tx.book.chains.items() if id_ != chain.id}
        tx.book = replace(tx.book, chains=left)
        return
    ended = replace(
        chain,
        last_no=first.header.batch_no - 1,
        last_seq=first.header.first_seq - 1,
        last_head=first.header.prev,
        oldest=min(chain.oldest, first.header.batch_no),
    )
    tx.book = tx.book.with_chain(ended)
    await tx.write_chain(ended)


async def _move(tx: Transaction, row: Row, sealed: Sealed, begin: Begin) -> None:
    chain = tx.book.current
    envelope, head = signed_again(
        sealed.header,
        tx.identity,
        chain_id=chain.chain_id,
        batch_no=chain.last_no + 1,
        prev=chain.last_head,
        first_seq=chain.last_seq + 1,
        genesis=genesis_data(begin) if row.no == 0 else None,
    )
    count = sealed.header.count
    await tx.insert(envelope, chain=chain, head=head, weight=row.weight, count=count)


def genesis_data(begin: Begin) -> tuple[int | bytes | None, ...]:
    """Data of a genesis (WIRE section 6, kind 1)."""
    before = begin.previous
    if before is None:
        return (begin.reason.value, None, None, None, None)
    return (begin.reason.value, before.chain_id, before.batch_no, before.head, before.seq)


def genesis_only(begin: Begin, moment: Moment) -> OpenBatch:
    """A batch 0 that says why its chain begins, and nothing else."""
    kept = event(EventKind.GENESIS, moment, genesis_data(begin), Weight.EVIDENCE)
    return OpenBatch(kept=(kept,), sealed=moment, closing=Closing.START)


def _next(tx: Transaction) -> Begin:
    """The chain after one that was founded again follows that one now."""
    chain = tx.book.current
    previous = Previous(
        chain_id=chain.chain_id, batch_no=chain.last_no, head=chain.last_head, seq=chain.last_seq
    )
    return Begin(reason=ChainReason.UNCLEAN_START, previous=previous)
