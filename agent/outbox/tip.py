"""The newest batch, noted in the run directory: a start of the process knows what the disk should show (decision 0023).

Law: only within one start of the kernel, and only what may leave. A file that has lost its newest rows is damaged, however sound it looks.
"""

from dataclasses import dataclass

from agent.outbox.book import Book, Chain
from wire.canon import decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """What was committed last, and how far its chain was covered."""

    pos: int
    chain: Chain


def cell_of(book: Book, through: int, boot_id: bytes) -> bytes:
    """For the run directory."""
    one = book.current
    seen = (
        book.newest_pos,
        one.id,
        one.chain_id,
        through,
        one.last_no,
        one.last_seq,
        one.last_head,
    )
    return encode((boot_id, *seen))


def tip_of_cell(cell: bytes, boot_id: bytes) -> Tip | None:
    """What `cell_of` said in this start of the kernel; None if it is torn, of another start, or empty."""
    match decode(cell):
        case [
            bytes(said),
            int(pos),
            int(id_),
            bytes(chain_id),
            int(through),
            int(last_no),
            int(last_seq),
            bytes(last_head),
        ] if said == boot_id:
            chain = Chain(
                id=id_,
                chain_id=chain_id,
                through=through,
                last_no=last_no,
                last_seq=last_seq,
                last_head=last_head,
                oldest=last_no + 1,
            )
            return Tip(pos=pos, chain=chain)
        case _:
            return None


def is_shown(tip: Tip, book: Book) -> bool:
    """Whether a store still holds what was noted."""
    chain = book.by_id(tip.chain.chain_id)
    return chain is not None and book.newest_pos >= tip.pos and chain.last_no >= tip.chain.last_no
