"""One open transaction, and the book that will be true after its COMMIT.

Law: what is numbered, linked and signed here is one with its row; a transaction that fails leaves nothing, in the file or in memory.
"""

from dataclasses import replace

from agent import Identity, StoredBatch
from agent.orders.book import CLOSED, DOOR
from agent.outbox.book import CHAINS_MAX, Begin, Book, Chain, joined
from agent.outbox.rows import URGENT, Row, Sealed, open_row, stored
from agent.outbox.store import Cells, DamagedError, Store, blob, number
from agent.outbox.words import At, ChainReason, News, Trouble
from agent.sealer import OpenBatch, payload_of
from wire.batch import h0, head_of
from wire.envelope import Aad, seal
from wire.records import EventKind, EventRecord

COLUMNS = "pos, chain, no, weight, envelope"
_MEMORY_LOST = (ChainReason.STORE_LOST, ChainReason.ROLLED_BACK)


class Transaction:
    """From BEGIN to COMMIT. Used once."""

    def __init__(
        self,
        store: Store,
        book: Book,
        *,
        identity: Identity,
        boot_no: int,
        at: At,
        passed: dict[str, int] | None = None,
    ) -> None:
        """`passed`: by what may be evicted, up to where none of it lies; found by a walk, true whatever becomes of this transaction."""
        self.store = store
        self.book = book
        self.identity = identity
        self.boot_no = boot_no
        self.at = at
        self.passed = {} if passed is None else passed
        self.stored: list[StoredBatch] = []
        self.news: list[News] = []

    async def begin(self) -> None:
        """BEGIN IMMEDIATE; the newest row must be the head that we remember."""
        await self.store.run("BEGIN IMMEDIATE")
        rows = await self.store.run("SELECT pos, chain, no FROM batch ORDER BY pos DESC LIMIT 1")
        book = self.book
        wanted = (
            [(book.newest_pos, book.current.id, book.current.last_no)]
            if book.chains and book.current.last_no >= 0 and book.rows
            else []
        )
        if rows != wanted:  # we are alone with the file: it has lost what it had
            raise DamagedError(f"newest row is {rows}, our head is {wanted}")

    async def append(
        self, batch: OpenBatch, *, seen: tuple[int, bytes] | None = None
    ) -> StoredBatch:
        """Number, link, sign and insert `batch` behind the newest batch of the current chain."""
        chain = self.book.current
        payload = payload_of(
            batch,
            unit_id=self.identity.unit_id,
            chain_id=chain.chain_id,
            boot_no=self.boot_no,
            batch_no=chain.last_no + 1,
            prev=chain.last_head,
            first_seq=chain.last_seq + 1,
            seen=seen,
        )
        envelope = seal(payload, Aad.BATCH, self.identity.kid, self.identity.sign)
        self.at("store:signed")
        weight = batch.weight | (URGENT if batch.urgent else 0)
        one = await self.insert(
            envelope, chain=chain, head=head_of(payload), weight=weight, count=len(batch.kept)
        )
        self.at("store:inserted")
        self.book = replace(self.book, stop_is_newest=_ends_with_stop(batch))
        return one

    async def insert(
        self, envelope: bytes, *, chain: Chain, head: bytes, weight: int, count: int
    ) -> StoredBatch:
        """Give `envelope` the next place in the order of sending, and its chain a new head."""
        row = Row(
            pos=self.book.newest_pos + 1,
            chain=chain.id,
            no=chain.last_no + 1,
            weight=weight,
            envelope=envelope,
        )
        sealed = open_row(row, self.identity, chain.chain_id)
        assert sealed is not None, "what we sign we must be able to read"
        assert sealed.header.batch_no == chain.last_no + 1
        assert sealed.header.first_seq == chain.last_seq + 1
        assert (sealed.head, sealed.header.prev) == (head, chain.last_head)
        await self.store.run(
            f"INSERT INTO batch ({COLUMNS}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608  # a constant
            row.pos,
            row.chain,
            row.no,
            row.weight,
            row.envelope,
        )
        one = stored(row, sealed, self.boot_no)
        grown = replace(chain, last_no=row.no, last_seq=chain.last_seq + count, last_head=head)
        self.book = replace(
            self.book.with_chain(grown),
            newest_pos=row.pos,
            rows=self.book.rows + 1,
            urgent=(*self.book.urgent, one) if one.urgent else self.book.urgent,
        )
        self.stored.append(one)
        return one

    async def found(self, begin: Begin, chain_id: bytes) -> Chain:
        """Begin a chain: what we know of the one before is written down, since its rows may go."""
        book = self.book
        if book.chains:
            await self.write_chain(book.current)
        chain = Chain(
            id=max(*book.chains, book.chain_floor, 0) + 1,
            chain_id=chain_id,
            through=-1,
            last_no=-1,
            last_seq=-1,
            last_head=h0(self.identity.unit_id, chain_id, self.identity.public_key),
            oldest=0,
        )
        await self.add_chain(chain)
        if begin.reason in _MEMORY_LOST:
            await self.put(
                DOOR, CLOSED
            )  # the counter of orders may be lost with it (EDGE section 6)
        await self._forget_old_chains()
        self.news.append(
            News(
                trouble=Trouble.CHAIN_BEGUN,
                detail=f"{chain_id.hex()}, reason {begin.reason.value} {begin.reason.name}",
            )
        )
        return chain

    async def add_chain(self, chain: Chain) -> None:
        """A row of the table `chain`."""
        await self.store.run(
            "INSERT INTO chain (id, chain_id, through, last_no, last_seq, last_head)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            chain.id,
            chain.chain_id,
            chain.through,
            chain.last_no,
            chain.last_seq,
            chain.last_head,
        )
        self.book = self.book.with_chain(chain)

    async def _forget_old_chains(self) -> None:
        while len(self.book.chains) > CHAINS_MAX:
            empty = [
                chain.id
                for chain in list(self.book.chains.values())[:-2]  # the newest are asked for
                if chain.oldest > chain.last_no
            ]
            if not empty:
                return
            await self.store.run("DELETE FROM chain WHERE id = ?", empty[0])
            left = {id_: chain for id_, chain in self.book.chains.items() if id_ != empty[0]}
            self.book = replace(self.book, chains=left)

    async def write_chain(self, chain: Chain) -> None:
        """`through` and the head, as the book has them."""
        await self.store.run(
            "UPDATE chain SET through = ?, last_no = ?, last_seq = ?, last_head = ? WHERE id = ?",
            chain.through,
            chain.last_no,
            chain.last_seq,
            chain.last_head,
            chain.id,
        )

    async def put(self, name: str, value: bytes | None) -> None:
        """Remember `value` under `name`; None forgets."""
        memory = dict(self.book.memory)
        if value is None:
            if memory.pop(name, None) is None:
                return
            await self.store.run("DELETE FROM memory WHERE name = ?", name)
        else:
            if memory.get(name) == value:
                return
            await self.store.run(
                "INSERT INTO memory (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                name,
                value,
            )
            memory[name] = value
        self.book = replace(self.book, memory=memory)

    async def rows(self, where: str, *values: int) -> list[Row]:
        """Rows of the table `batch`; `where` is ours, never a peer's."""
        cells = await self.store.run(f"SELECT {COLUMNS} FROM batch WHERE {where}", *values)  # noqa: S608  # as above
        return [row_of(one) for one in cells]

    def open(self, row: Row) -> Sealed | None:
        """What `row` holds, if it is sound."""
        chain = self.book.chains.get(row.chain)
        return None if chain is None else open_row(row, self.identity, chain.chain_id)

    async def delete(self, rows: list[Row]) -> None:
        """Rows that are confessed or covered go; the caller has seen to that."""
        for row in rows:
            await self.store.run("DELETE FROM batch WHERE pos = ?", row.pos)
        self.book = replace(self.book, rows=self.book.rows - len(rows))
        self.forget_urgent(rows)

    def forget_urgent(self, rows: list[Row]) -> None:
        """These are not to be sent any more."""
        gone = {row.pos for row in rows}
        urgent = tuple(one for one in self.book.urgent if one.pos not in gone)
        self.book = replace(self.book, urgent=urgent)

    def note_gone(self, chain: Chain, first: int, last: int) -> None:
        """Numbers `first` to `last` of `chain` are not here any more, and it is said."""
        now = self.book.chains[chain.id]
        oldest = last + 1 if first <= now.oldest <= last + 1 else now.oldest
        gone = joined(now.gone, first, last) if last > now.through else now.gone
        self.book = self.book.with_chain(replace(now, oldest=oldest, gone=gone))

    async def commit(self) -> Book:
        """COMMIT, with fsync; from here on it has happened."""
        self.at("store:committing")
        await self.store.run("COMMIT")
        self.at("store:committed")
        return self.book


def row_of(cells: Cells) -> Row:
    """A row as it was read; DamagedError if a cell has another type than we wrote."""
    pos, chain, no, weight, envelope = cells
    return Row(
        pos=number(pos),
        chain=number(chain),
        no=number(no),
        weight=number(weight),
        envelope=blob(envelope),
    )


def _ends_with_stop(batch: OpenBatch) -> bool:
    for kept in reversed(batch.kept):
        if isinstance(kept.record, EventRecord):
            return kept.record.kind == EventKind.STOP
    return False
