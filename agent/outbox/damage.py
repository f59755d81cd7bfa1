"""A file that is not ours any more: it is renamed, and a new one begun behind the head that we know (EDGE section 4).

Law: nothing is deleted, and nothing is given up before it has been read. A step that the disk refuses is begun again with the next job.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from agent import Kept, Moment
from agent.outbox.aside import behind, cells_of
from agent.outbox.book import Begin, Book, Chain
from agent.outbox.forget import lost_with_file
from agent.outbox.store import Store
from agent.outbox.word import HOME, hold, look_home
from agent.outbox.words import AtHome, ChainReason, OutboxDiskError, Previous, Trouble

if TYPE_CHECKING:
    from agent.outbox.writer import Writer

_OF_THE_STORE = ("clean", HOME)  # what a new store must not inherit


async def set_aside(writer: "Writer", moment: Moment, why: str) -> None:
    """The file is not ours any more: rename it, begin a new one. The head is known, so no word is needed.

    If the disk refuses half-way, the next job begins here again.
    """
    assert writer.spill is None, "a store in the run directory is damaged: start anew, in doubt"
    writer.broken = why
    writer.at("aside:before")
    await writer.store.close()
    await writer.close_salvage()
    try:
        if writer.disk.lacks_inodes():
            writer.disk.drop_oldest_aside()
        name = writer.disk.set_aside()
    except OSError as error:
        raise OutboxDiskError(f"{writer.disk.directory}: {error.strerror}") from error
    writer.at("aside:renamed")
    home = (
        writer.home if writer.home is not None and not writer.home.is_over(moment.mono_ms) else None
    )
    begin, chains, lost = _after_damage(writer, home, moment)
    aside = writer.disk.asides()[-1]
    writer.store = await Store.open(writer.disk.store, writer.settings.bytes_max)
    tx = writer.transaction(Book(newest_pos=writer.book.newest_pos))
    await tx.begin()
    for key, value in writer.book.memory.items():
        if key not in _OF_THE_STORE:
            await tx.put(key, value)
    for chain in chains:
        await tx.add_chain(chain)
    await writer.begin_chain(tx, begin, moment, *lost)
    work = behind(
        writer.salvage,
        aside,
        floor_pos=tx.stored[0].pos,
        home_pos=tx.stored[0].pos if home is None else home.unsaid_pos,
    )
    for key, cell in cells_of(work).items():
        await tx.put(key, cell)
    if home is not None and begin.previous is not None:
        first_pos = tx.stored[0].pos
        from_pos = home.from_pos if home.from_pos < home.unsaid_pos else first_pos
        now_home = replace(
            home, from_pos=from_pos, unsaid_pos=first_pos, first_id=tx.book.current.id
        )
        await hold(tx, now_home)
    writer.book = await tx.commit()
    if writer.salvage is not None and writer.salvage.older is not None:
        writer.tell(Trouble.SALVAGED, "given up: of three files the oldest")
    writer.broken = None
    writer.salvage = work
    writer.held = {}
    writer.start_pos = writer.book.newest_pos
    writer.generation += 1
    writer.tell(Trouble.DAMAGED, f"{why}; kept as {name}")
    look_home(writer, moment)
    writer.at("aside:new")


def _after_damage(
    writer: "Writer", home: AtHome | None, moment: Moment
) -> tuple[Begin, list[Chain], list[Kept]]:
    """The chain to begin, the chains that we still know, and what is lost with the file until it is salvaged."""
    chains: list[Chain] = []
    lost: list[Kept] = []
    for known in writer.book.chains.values():
        chain = known if home is None else _as_it_left(known, home)
        through = writer.through(known)
        if (
            chain is None
        ):  # what never left has never been, and does not come back under these numbers
            lost.append(lost_with_file(known, max(0, known.oldest), moment))
            continue
        chains.append(replace(chain, through=through, oldest=chain.last_no + 1))
    before = chains[-1] if chains else None
    if before is None or (writer.start_pos == 0 and not writer.head_is_sure):  # what else is gone?
        return Begin(reason=ChainReason.STORE_LOST), chains, lost
    previous = _previous(before) if home is None else home.tip
    return Begin(reason=ChainReason.STORE_LOST, previous=previous), chains, lost


def _as_it_left(chain: Chain, home: AtHome) -> Chain | None:
    """What of `chain` has ever been allowed to leave; None: nothing."""
    if chain.id >= home.first_id:
        return None
    if chain.chain_id != home.tip.chain_id or chain.last_no <= home.tip.batch_no:
        return chain
    tip = home.tip
    seq = chain.last_seq if tip.seq is None else tip.seq
    return replace(chain, last_no=tip.batch_no, last_seq=seq, last_head=tip.head)


def _previous(chain: Chain) -> Previous | None:
    if chain.last_no < 0:
        return None
    return Previous(
        chain_id=chain.chain_id,
        batch_no=chain.last_no,
        head=chain.last_head,
        seq=chain.last_seq,
    )
