"""What must not leave the unit yet, and what the collector's word makes of it (EDGE section 4, the word).

Law: whatever a card forgets, nothing that left the unit is ever said twice under one number.
"""

import secrets
from typing import TYPE_CHECKING

from agent import Moment, StoredBatch
from agent.outbox.again import found_behind, hear_word
from agent.outbox.book import Book, Chain
from agent.outbox.forget import Held, carry_out
from agent.outbox.reading import head_at
from agent.outbox.transaction import Transaction
from agent.outbox.words import AtHome, Word
from wire.canon import decode, encode
from wire.receipts import Receipt

if TYPE_CHECKING:
    from agent.outbox.writer import Writer

HOME_MS = 30_000  # a lying card has flushed by then


def home_id_of(book: Book) -> int | None:
    """Id of the oldest chain that waits for the collector's word."""
    cell = book.memory.get("word")
    value = None if cell is None else decode(cell)
    return value if isinstance(value, int) and value in book.chains else None


async def hold(tx: Transaction, home: AtHome) -> None:
    """Remember, in the transaction that makes it so, what stays at home and how long: the process may start again."""
    await tx.put("hold", encode((home.from_pos, home.until_mono_ms, home.ask_chain)))


def held(book: Book, mono_ms: int) -> AtHome | None:
    """What `hold` said in this boot, if its time is not over."""
    cell = book.memory.get("hold")
    match None if cell is None else decode(cell):
        case [int(from_pos), int(until_ms), bytes(ask_chain)] if until_ms > mono_ms:
            return AtHome(
                from_pos=from_pos, ask_chain=ask_chain, until_mono_ms=until_ms, spoken=True
            )
        case _:
            return None


async def look_home(writer: "Writer", moment: Moment) -> None:
    """Reckon anew what must stay at home."""
    home_id = home_id_of(writer.book)
    until = held(writer.book, moment.mono_ms)
    if home_id is None:
        writer.home = until
        return
    asked = writer.book.before(home_id)
    rows = await writer.transaction().rows("chain >= ? ORDER BY pos LIMIT 1", home_id)
    writer.home = AtHome(
        from_pos=rows[0].pos if rows else writer.book.newest_pos + 1,
        ask_chain=b"" if asked is None else asked.chain_id,
        until_mono_ms=moment.mono_ms if until is None else until.until_mono_ms,
        spoken=False,
    )


async def hear(writer: "Writer", said: Receipt | None, moment: Moment) -> Word:
    """The collector has spoken."""
    home_id = home_id_of(writer.book)
    if home_id is None:
        return Word.NOT_ASKED
    writer.at("word:begin")
    verdict = Word.CONFIRMED
    if said is not None:
        own = await head_at(writer, said.chain_id, said.through_batch_no)
        verdict = hear_word(said, list(writer.book.chains.values()), home_id, own)
    if verdict is Word.FOUNDED_AGAIN and said is not None:
        await _found_again(writer, said, moment, home_id)
        return verdict

    home = writer.home

    async def body(tx: Transaction) -> None:
        await tx.put("word", None)
        if home is not None:
            await hold(tx, home)

    await writer.transact(moment, body)
    await look_home(writer, moment)
    return verdict


async def found_again(writer: "Writer", said: Receipt, moment: Moment) -> StoredBatch | None:
    """The collector holds more than we know. Gives the newest batch of the chain that begins."""
    return await _found_again(writer, said, moment, home_id_of(writer.book))


async def _found_again(
    writer: "Writer", said: Receipt, moment: Moment, home_id: int | None
) -> StoredBatch | None:
    async def body(tx: Transaction) -> None:
        named = tx.book.by_id(said.chain_id)
        await found_behind(
            tx,
            said,
            from_pos=await _moves_from(writer, tx, named, home_id),
            moment=moment,
            new_chain_id=new_chain_id,
        )
        named = tx.book.by_id(said.chain_id)
        if named is not None:  # what did not move is what the collector has
            await carry_out(tx, {said.chain_id: Held(through=named.last_no)})
        await tx.put("word", None)
        await tx.put("clean", None)
        home = AtHome(
            from_pos=tx.stored[0].pos,
            ask_chain=said.chain_id,
            until_mono_ms=moment.mono_ms + HOME_MS,  # a card may lose this transaction too
            spoken=True,
        )
        await hold(tx, home)
        tx.at("word:committing")

    tx = await writer.transact(moment, body)
    writer.at("word:committed")
    writer.generation += 1
    await look_home(writer, moment)
    return tx.stored[-1]


async def _moves_from(
    writer: "Writer", tx: Transaction, named: Chain | None, home_id: int | None
) -> int:
    """The first batch that must not be sent as it is."""
    nothing = tx.book.newest_pos + 1
    if home_id is not None:
        first = home_id if named is None else max(home_id, named.id + 1)
        rows = await tx.rows("chain >= ? ORDER BY pos LIMIT 1", first)
        return rows[0].pos if rows else nothing
    # A chain in force that the collector knows further than we do: our numbers since the start are not ours.
    rows = await tx.rows("pos >= ? ORDER BY pos LIMIT 1", writer.start_pos)
    if named is None or not rows or rows[0].chain != named.id:
        return nothing
    return rows[0].pos if rows[0].no > max(0, writer.through(named)) else nothing


def new_chain_id() -> bytes:
    """16 random bytes (WIRE section 1)."""
    return secrets.token_bytes(16)
