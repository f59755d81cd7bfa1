"""A store that was opened is read in: what is kept, what is missing, what is urgent (EDGE section 4, start).

Law: reads only. A file that contradicts itself is damaged; a row is believed for its signature.
"""

from dataclasses import dataclass, replace

from agent import Boot, Identity, Kept, Moment, StoredBatch
from agent.outbox.book import Book, Chain, Found, count_of, joined
from agent.outbox.forget import DISK_DAMAGED, confession, drop
from agent.outbox.rows import URGENT, Row, body_of, last_event_kind, open_row, stored
from agent.outbox.store import DamagedError, Store, blob, number
from agent.outbox.transaction import COLUMNS, Transaction, row_of
from agent.outbox.words import News, Previous, Trouble
from wire.canon import encode
from wire.envelope import kid_of
from wire.records import EventKind

WALK_ROWS = 2_048  # of four integers at a time: the walk must not fill the memory
CONFESSIONS_MAX = 32  # told in one batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Numbers that should be there and are not."""

    chain: int
    first: int
    last: int
    before_pos: int | None
    after_pos: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A store that was opened and believed."""

    book: Book
    found: Found
    holes: tuple[Hole, ...] = ()
    bad: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one row stands: all of it but the envelope."""

    pos: int
    chain: int
    no: int
    weight: int


async def load(
    store: Store, identity: Identity, boot: Boot, *, lived: bool, checked: bool = False
) -> Loaded:
    """Everything that a start must know of `store`; DamagedError if it is not what we wrote. `checked`: it was looked through already."""
    memory = {
        _text(name): blob(value)
        for name, value in await store.run("SELECT name, value FROM memory")
    }
    if "clean" not in memory and not checked:
        await store.quick_check()
    chains = {chain.id: chain for chain in map(_chain, await store.run(_CHAINS))}
    newest = await store.run(f"SELECT {COLUMNS} FROM batch ORDER BY pos DESC LIMIT 1")  # noqa: S608  # a constant
    if not newest:
        if chains:
            raise DamagedError("chains without a newest batch")
        return Loaded(book=Book(memory=memory), found=nothing(lived=lived))
    return await _read_in(store, identity, boot, memory, chains, row_of(newest[0]))


async def _read_in(
    store: Store,
    identity: Identity,
    boot: Boot,
    memory: dict[str, bytes],
    chains: dict[int, Chain],
    newest: Row,
) -> Loaded:
    chain = chains.get(newest.chain)
    sealed = None if chain is None else open_row(newest, identity, chain.chain_id)
    if chain is None or sealed is None or newest.chain != max(chains):
        raise DamagedError("the newest row is not what was signed")
    if newest.no >= chain.last_no:
        chains[chain.id] = chain = replace(
            chain, last_no=newest.no, last_seq=sealed.header.last_seq, last_head=sealed.head
        )
    book = Book(chains=dict(sorted(chains.items())), memory=memory, newest_pos=newest.pos)
    book, holes, urgent = await _walk(store, book)
    book, bad, confessed = await _urgent(store, book, identity, boot, urgent)
    holes = tuple(hole for hole in holes if not _is_confessed(book, hole, confessed))
    for chain_no, first, last in confessed:
        known = book.chains.get(chain_no)
        if known is not None and last > known.through:
            book = book.with_chain(replace(known, gone=joined(known.gone, first, last)))
    stop = last_event_kind(sealed.header) == EventKind.STOP
    found = Found(
        newest=Previous(
            chain_id=chain.chain_id,
            batch_no=chain.last_no,
            head=chain.last_head,
            seq=chain.last_seq,
        ),
        has_lived=True,
        same_boot=memory.get("boot_id") == boot.boot_id,
        clean=stop and memory.get("clean") == encode([chain.chain_id, newest.no]),
        same_key=newest.envelope[9:17] == kid_of(identity.public_key),
    )
    return Loaded(book=replace(book, stop_is_newest=stop), found=found, holes=holes, bad=bad)


async def _walk(store: Store, book: Book) -> tuple[Book, tuple[Hole, ...], list[int]]:
    """One look at every row's place: what is kept, what is missing, what is urgent."""
    holes: list[Hole] = []
    urgent: list[int] = []
    rows = 0
    newest: dict[int, Place] = {}
    oldest: dict[int, int] = {}
    pos = -(1 << 62)
    while True:
        cells = await store.run(
            "SELECT pos, chain, no, weight FROM batch WHERE pos > ? ORDER BY pos LIMIT ?",
            pos,
            WALK_ROWS,
        )
        for place in (_place(one) for one in cells):
            pos = place.pos
            rows += 1
            chain = book.chains.get(place.chain)
            if chain is None or place.no > chain.last_no:
                raise DamagedError(f"row {place.pos} is of no chain that we know")
            before = newest.get(place.chain)
            if before is not None and place.no <= before.no:
                raise DamagedError(f"row {place.pos}: number {place.no} after {before.no}")
            oldest.setdefault(place.chain, place.no)
            holes += _holes(chain, before, place)
            newest[place.chain] = place
            if place.weight & URGENT and place.no > chain.through:
                urgent.append(place.pos)
        if len(cells) < WALK_ROWS:
            break
    for chain in book.chains.values():
        end = newest.get(chain.id)
        holes += _tail(chain, end)
        book = book.with_chain(replace(chain, oldest=oldest.get(chain.id, chain.last_no + 1)))
    return replace(book, rows=rows), tuple(holes), urgent


def _holes(chain: Chain, before: Place | None, place: Place) -> list[Hole]:
    first = max(chain.through + 1, 0 if before is None else before.no + 1)
    if first >= place.no:
        return []
    return [
        Hole(
            chain=chain.id,
            first=first,
            last=place.no - 1,
            before_pos=None if before is None else before.pos,
            after_pos=place.pos,
        )
    ]


def _tail(chain: Chain, end: Place | None) -> list[Hole]:
    first = max(chain.through + 1, 0 if end is None else end.no + 1)
    if first > chain.last_no:
        return []
    return [
        Hole(
            chain=chain.id,
            first=first,
            last=chain.last_no,
            before_pos=None if end is None else end.pos,
            after_pos=None,
        )
    ]


async def _urgent(
    store: Store, book: Book, identity: Identity, boot: Boot, places: list[int]
) -> tuple[Book, tuple[Row, ...], list[tuple[int, int, int]]]:
    """The urgent rows as the uplink wants them, those that are damaged, and what was confessed."""
    boot_no = boot_no_of(Loaded(book=book, found=nothing(lived=True)), boot)
    found: list[StoredBatch] = []
    bad: list[Row] = []
    confessed: list[tuple[int, int, int]] = []
    for pos in places:
        row = row_of((await store.run(f"SELECT {COLUMNS} FROM batch WHERE pos = ?", pos))[0])  # noqa: S608  # a constant
        sealed = open_row(row, identity, book.chains[row.chain].chain_id)
        if sealed is None:
            bad.append(row)
            continue
        found.append(stored(row, sealed, boot_no))
        body = body_of(sealed.header)
        for one in () if body is None else body.events:
            if one.kind == EventKind.DROPPED:
                confessed += said_of(book, row.chain, one.data)
    return replace(book, urgent=tuple(found)), tuple(bad), confessed


def said_of(book: Book, own: int, data: tuple[object, ...]) -> list[tuple[int, int, int]]:
    """The runs that a `dropped` event confesses: chain, first and last number."""
    first, last, chain_id = data[0], data[1], data[8] if len(data) > 8 else None
    chain = book.by_id(chain_id) if isinstance(chain_id, bytes) else book.chains.get(own)
    if chain is None or not isinstance(first, int) or not isinstance(last, int):
        return []
    return [(chain.id, first, last)]


def _is_confessed(book: Book, hole: Hole, confessed: list[tuple[int, int, int]]) -> bool:
    # The collector goes in the order of chains: behind one of which it has something, ours is settled. But what it has goes oldest
    # first: while rows of ours are there, one without any that it has was not settled, it lost its beginning and came back without.
    is_bare = hole.before_pos is None and hole.after_pos is None
    later = [chain for chain in book.chains.values() if chain.id > hole.chain]
    if any(chain.through >= 0 and (is_bare or chain.oldest <= chain.through) for chain in later):
        return True
    runs: tuple[tuple[int, int], ...] = ()
    for chain_no, first, last in confessed:
        runs = joined(runs, first, last) if chain_no == hole.chain else runs
    return any(first <= hole.first and hole.last <= last for first, last in runs)


async def confess(tx: Transaction, loaded: Loaded, moment: Moment) -> tuple[list[Kept], Loaded]:
    """Some of what is missing, in words, and what is left to be told."""
    said: list[Kept] = []
    bad, holes = loaded.bad[:CONFESSIONS_MAX], loaded.holes[:CONFESSIONS_MAX]
    for row in bad:
        said.append(await drop(tx, [row], moment, DISK_DAMAGED))
        tx.news.append(News(trouble=Trouble.ROW_BAD, detail=f"batch {row.no}"))
    for hole in holes:
        chain = tx.book.chains[hole.chain]
        around = [
            (await tx.rows("pos = ?", pos))[:1] if pos is not None else []
            for pos in (hole.before_pos, hole.after_pos)
        ]
        said.append(
            confession(
                tx,
                chain,
                rows=[],
                numbers=(hole.first, hole.last),
                before=around[0][0] if around[0] else None,
                after=around[1][0] if around[1] else None,
                moment=moment,
                reason=DISK_DAMAGED,
            )
        )
        tx.note_gone(chain, hole.first, hole.last)
        tx.news.append(News(trouble=Trouble.HOLE, detail=f"batches {hole.first} to {hole.last}"))
    left = replace(loaded, bad=loaded.bad[len(bad) :], holes=loaded.holes[len(holes) :])
    return said, left


def boot_no_of(loaded: Loaded, boot: Boot) -> int:
    """Starts of the operating system, counted by the kernel's boot id."""
    if "boot_no" not in loaded.book.memory:
        return 0
    before = count_of(loaded.book, "boot_no")
    return before if loaded.book.memory.get("boot_id") == boot.boot_id else before + 1


def nothing(*, lived: bool) -> Found:
    """What an empty store shows."""
    return Found(newest=None, has_lived=lived, same_boot=False, clean=False, same_key=True)


_CHAINS = "SELECT id, chain_id, through, last_no, last_seq, last_head FROM chain ORDER BY id"


def _chain(cells: tuple[object, ...]) -> Chain:
    id_, chain_id, through, last_no, last_seq, last_head = cells
    return Chain(
        id=number(id_),
        chain_id=blob(chain_id),
        through=number(through),
        last_no=number(last_no),
        last_seq=number(last_seq),
        last_head=blob(last_head),
        oldest=number(last_no) + 1,
    )


def _place(cells: tuple[object, ...]) -> Place:
    pos, chain, no, weight = cells
    return Place(pos=number(pos), chain=number(chain), no=number(no), weight=number(weight))


def _text(cell: object) -> str:
    if not isinstance(cell, str):
        raise DamagedError(f"a name is a {type(cell).__name__}")
    return cell
