"""What must not leave the unit yet, and what the collector's word makes of it (EDGE section 4, the word).

Law: whatever a card forgets, nothing that left the unit is ever said twice under one number.
"""

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from agent import Moment, StoredBatch
from agent.outbox.again import found_behind, hear_word
from agent.outbox.book import SEQ_UNKNOWN, Book, Chain
from agent.outbox.forget import Held, carry_out
from agent.outbox.reading import head_at, look
from agent.outbox.rows import Row, body_of, open_row
from agent.outbox.spill import SPILL, Spill, spill_cell
from agent.outbox.store import DamagedError
from agent.outbox.transaction import Transaction
from agent.outbox.words import AtHome, ChainReason, OutboxDiskError, Previous, Word
from wire.batch import Genesis, read_genesis
from wire.canon import decode, encode
from wire.receipts import Receipt

if TYPE_CHECKING:
    from agent.outbox.writer import Writer

HOME_MS = 30_000  # a lying card has flushed by then
ON_DISK_MAX = 4_096  # batches that move into the run directory: some 2 MiB of its 8
STARTS_MAX = 64  # remembered one by one; after so many without a word the last ones are one
HOME = "home"  # its name in the store's memory


def home_of(book: Book) -> AtHome | None:
    """What the store says must stay at home; it may be over."""
    cell = book.memory.get(HOME)
    match None if cell is None else decode(cell):
        case [
            int(from_pos),
            int(first_id),
            int(spoken),
            int(until_ms),
            bytes(chain_id),
            int(batch_no),
            bytes(head),
            int() | None as seq,
            list(starts),
            *more,
        ]:
            tip = Previous(chain_id=chain_id, batch_no=batch_no, head=head, seq=seq)
            unsaid_pos = more[0] if more else None
            return AtHome(
                from_pos=from_pos,
                unsaid_pos=unsaid_pos if isinstance(unsaid_pos, int) else from_pos,
                first_id=first_id,
                tip=tip,
                until_mono_ms=until_ms,
                spoken=bool(spoken),
                starts=tuple(pos for pos in starts if isinstance(pos, int)),
            )
        case _:
            return None


async def hold(tx: Transaction, home: AtHome) -> None:
    """Remember, in the transaction that makes it so, what stays at home and how long: the process may start again."""
    tip = home.tip
    cell = (
        *(home.from_pos, home.first_id, int(home.spoken), home.until_mono_ms),
        *(tip.chain_id, tip.batch_no, tip.head, tip.seq, home.starts),
        *(() if home.unsaid_pos == home.from_pos else (home.unsaid_pos,)),
    )
    await tx.put(HOME, encode(cell))


async def stay(tx: Transaction, newest: Previous | None, moment: Moment, *, fresh: bool) -> None:
    """The operating system was started: what this start seals stays at home, and what waited for the word waits on.

    `newest`: the batch before this start; `fresh`: a chain has begun. A chain that goes on after a clean stop stays too: were the
    marker of that stop back on the card, these numbers would have been used before.
    """
    until_ms = moment.mono_ms + HOME_MS
    home = home_of(tx.book)
    first_pos = tx.stored[0].pos
    if home is not None and not home.spoken:
        starts = (*home.starts, first_pos)[:STARTS_MAX]
        await hold(tx, replace(home, until_mono_ms=until_ms, starts=starts))
        return
    if newest is None:  # nothing to be forgotten
        await tx.put(HOME, None)
        return
    current = tx.book.current
    home = AtHome(
        # What was founded again shortly before may not be on the card yet: nobody knows how long that is ago.
        from_pos=first_pos if home is None else min(home.from_pos, first_pos),
        unsaid_pos=first_pos,
        first_id=current.id if fresh else current.id + 1,
        tip=newest,
        until_mono_ms=until_ms,
        spoken=False,
        starts=(first_pos,),
    )
    await hold(tx, home)


def tip_of(writer: "Writer", chain: Chain, mono_ms: int) -> Previous | None:
    """The newest batch of `chain` that may be spoken of; None: the whole chain is at home, or empty."""
    home = writer.home
    if home is not None and not home.is_over(mono_ms):
        if chain.id >= home.first_id:
            return None
        if chain.chain_id == home.tip.chain_id and chain.last_no > home.tip.batch_no:
            return home.tip
    if chain.last_no < 0:
        return None
    return Previous(
        chain_id=chain.chain_id,
        batch_no=chain.last_no,
        head=chain.last_head,
        seq=None if chain.last_seq == SEQ_UNKNOWN else chain.last_seq,
    )


async def let_go(tx: Transaction, mono_ms: int) -> None:
    """Forget, in a transaction that is made anyway, what is over: the next start must not wait for it again."""
    home = home_of(tx.book) if HOME in tx.book.memory else None
    if home is not None and home.is_over(mono_ms):
        await tx.put(HOME, None)


def look_home(writer: "Writer", moment: Moment) -> None:
    """What must stay at home, as the store has it now."""
    home = home_of(writer.book)
    writer.home = None if home is None or home.is_over(moment.mono_ms) else home


async def hear(writer: "Writer", said: Receipt | None, moment: Moment) -> Word:
    """The collector has spoken."""
    home = writer.home
    if home is None or home.spoken:
        return Word.NOT_ASKED
    writer.at("word:begin")
    verdict = Word.CONFIRMED
    if said is not None:
        own = await head_at(writer, said.chain_id, said.through_batch_no)
        verdict = hear_word(said, list(writer.book.chains.values()), home, own)
    if verdict is Word.FOUNDED_AGAIN and said is not None:
        if await _may_be_older(writer, home, said, moment):
            return Word.NOT_YET
        await found_again(writer, said, moment)
        writer.unknown_since_ms = None
        return verdict

    until_ms = home.until_mono_ms
    if await _gone_on_from(writer, home, writer.book.current) is not None:
        # Were the word forgotten, the chain's name alone would not tell which of its batches have left.
        until_ms = max(until_ms, moment.mono_ms + HOME_MS)

    async def body(tx: Transaction) -> None:
        await hold(tx, replace(home, spoken=True, until_mono_ms=until_ms))

    await writer.transact(moment, body)
    writer.unknown_since_ms = None
    look_home(writer, moment)
    return verdict


async def _may_be_older(writer: "Writer", home: AtHome, said: Receipt, moment: Moment) -> bool:
    """Whether a chain that we do not know may be one that was lost with its store, and not one that came later.

    It may lie in a file that is being read back. Or the collector has not heard yet of the chain that was begun in ignorance of it and
    has left: founded behind the lost one, a third would be its second successor. Asked for 30 s at most, once all is read back.
    """
    if writer.book.by_id(said.chain_id) is not None:
        return False
    if writer.salvage is None and not await _left_in_ignorance(writer, home):
        return False
    if writer.salvage is not None or writer.unknown_since_ms is None:
        writer.unknown_since_ms = moment.mono_ms
    return moment.mono_ms - writer.unknown_since_ms < HOME_MS


async def _left_in_ignorance(writer: "Writer", home: AtHome) -> bool:
    """Whether a chain that names no other, since its store was lost, has left and is without a receipt."""
    for chain in writer.book.chains.values():
        if chain.id >= home.first_id or writer.through(chain) >= 0:
            continue
        for row in await look(writer, "chain = ? AND no = 0", chain.id):
            sealed = open_row(row, writer.identity, chain.chain_id)
            body = None if sealed is None else body_of(sealed.header)
            genesis = None if body is None else read_genesis(body.events)
            if (
                isinstance(genesis, Genesis)
                and genesis.reason == ChainReason.STORE_LOST.value
                and genesis.prev_chain is None
            ):
                return True
    return False


async def found_again(writer: "Writer", said: Receipt, moment: Moment) -> StoredBatch | None:
    """The collector holds more than we know. Gives the newest batch of the chain that begins."""
    void: list[tuple[int, bool]] = []

    async def body(tx: Transaction) -> None:
        void.clear()
        named = tx.book.by_id(said.chain_id)
        from_pos = await _moves_from(writer, tx, named)
        on_disk: list[Row] | None = []
        spill = writer.spill
        if spill is not None and from_pos < spill.from_pos:
            on_disk = await _rows_on_disk(writer, spill, from_pos)
            void.append((from_pos, on_disk is not None))
            noted = replace(spill, void_pos=from_pos, is_moved=on_disk is not None)
            await tx.put(SPILL, spill_cell(noted))
            from_pos = spill.from_pos
        await found_behind(
            tx,
            said,
            from_pos=from_pos,
            moment=moment,
            new_chain_id=new_chain_id,
            elsewhere=on_disk or (),
        )
        named = tx.book.by_id(said.chain_id)
        if named is not None:  # what did not move is what the collector has
            await carry_out(tx, {said.chain_id: Held(through=named.last_no)})
        await tx.put("clean", None)
        first = tx.book.by_id(tx.stored[0].chain_id)
        assert first is not None, "it has just been founded"
        tip = Previous(
            chain_id=said.chain_id, batch_no=said.through_batch_no, head=said.head, seq=None
        )
        home = AtHome(
            from_pos=tx.stored[0].pos,
            unsaid_pos=tx.stored[0].pos,
            first_id=first.id,
            tip=tip,
            until_mono_ms=moment.mono_ms + HOME_MS,  # a card may lose this transaction too
            spoken=True,
        )
        await hold(tx, home)
        tx.at("word:committing")

    tx = await writer.transact(moment, body)
    if void and writer.spill is not None:
        writer.spill.void_pos, writer.spill.is_moved = void[0]
    writer.at("word:committed")
    writer.generation += 1
    look_home(writer, moment)
    return tx.stored[-1]


async def _rows_on_disk(writer: "Writer", spill: Spill, from_pos: int) -> list[Row] | None:
    """What was sealed before the disk refused and must not be sent as it is; None if it cannot be read, or not all of it be borne."""
    if spill.beside is None:
        return None
    shelf = writer.transaction_on(spill.beside)
    try:
        rows = await shelf.rows(
            "pos >= ? AND pos < ? ORDER BY pos LIMIT ?", from_pos, spill.disk_pos, ON_DISK_MAX
        )
    except (DamagedError, OutboxDiskError):
        return None
    return rows if len(rows) < ON_DISK_MAX else None


async def _gone_on_from(writer: "Writer", home: AtHome, chain: Chain) -> int | None:
    """Where a start of the system that waits for the word went on with `chain`, if one did."""
    for pos in home.starts:
        if await look(writer, "pos = ? AND chain = ? AND no > 0", pos, chain.id):
            return pos
    return None


async def _moves_from(writer: "Writer", tx: Transaction, named: Chain | None) -> int:
    """The first batch that must not be sent as it is."""
    nothing = tx.book.newest_pos + 1
    home = home_of(tx.book)
    if home is not None and not home.spoken:
        if named is None or named.id < home.first_id:
            return home.unsaid_pos
        # It had left, and the word before was forgotten. What a later start has added to it is not what the collector has.
        pos = await _gone_on_from(writer, home, named)
        if pos is not None:
            return pos
        rows = await look(writer, "chain > ? ORDER BY pos LIMIT 1", named.id)
        return rows[0].pos if rows else nothing
    # A chain in force that the collector knows further than we do: our numbers since the start are not ours.
    rows = await look(writer, "pos >= ? ORDER BY pos LIMIT 1", writer.start_pos)
    if named is None or not rows or rows[0].chain != named.id:
        return nothing
    return rows[0].pos if rows[0].no > max(0, writer.through(named)) else nothing


def new_chain_id() -> bytes:
    """16 random bytes (WIRE section 1)."""
    return secrets.token_bytes(16)
