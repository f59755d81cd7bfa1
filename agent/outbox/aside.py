"""What is known of files that were set aside and are still being read: a start of the process goes on with them.

Law: a value and its words; who reads is `salvage`. A file that is damaged while another is read does not end that reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.outbox.book import Book
from agent.outbox.store import Store
from agent.outbox.words import OutboxError
from wire.canon import decode, encode

SALVAGE = "salvage"  # its name in the store's memory
SALVAGE_OLDER = "salvage_older"  # of the one before, whose reading it has cut short


@dataclass(slots=True, kw_only=True)
class Salvage:
    """One aside file, and how far it was read."""

    aside: int
    pos: int  # looked at up to here
    kept_pos: int  # what was found up to here is committed
    floor_pos: int  # what the new store itself sealed: it waits, in the order of sending
    home_pos: int  # rows from here on had never left under these numbers
    until_ms: int | None = None
    reader: Store | None = None
    misses: int = 0
    back: int = 0  # rows that came back
    is_done: bool = False
    torn: bool = False  # here: place by place
    older: "Salvage | None" = None  # read when this one is done; two at most, as many as are kept

    @property
    def wait_pos(self) -> int:
        """Rows from here on wait, in the order of sending, until all is read."""
        return self.floor_pos if self.older is None else min(self.floor_pos, self.older.wait_pos)


def behind(work: Salvage | None, aside: int, *, floor_pos: int, home_pos: int) -> Salvage:
    """A file was set aside while `work` was going on, if it was: the newer is read first, the older then goes on where it was."""
    older = None
    if work is not None:
        older = _at(work.aside, work.kept_pos, work.floor_pos, work.home_pos)
    return replace(_at(aside, -1, floor_pos, home_pos), older=older)


def cells_of(work: Salvage | None) -> Mapping[str, bytes | None]:
    """What the store remembers of it."""
    older = None if work is None else work.older
    return {
        SALVAGE: None if work is None else _cell(work),
        SALVAGE_OLDER: None if older is None else _cell(older),
    }


def salvage_of(book: Book) -> Salvage | None:
    """What was not read to its end."""
    work, older = _work(book.memory.get(SALVAGE)), _work(book.memory.get(SALVAGE_OLDER))
    return work if work is None else replace(work, older=older)


async def unread_of(store: Store) -> Salvage | None:
    """What a file that is set aside now was itself still reading, if it can tell."""
    try:
        cells = await store.run("SELECT value FROM memory WHERE name = ?", SALVAGE)
    except OutboxError:
        return None
    value = cells[0][0] if cells else None
    return _work(value) if isinstance(value, bytes) else None


def _cell(work: Salvage) -> bytes:
    return encode((work.aside, work.pos, work.floor_pos, work.home_pos))


def _work(cell: bytes | None) -> Salvage | None:
    match None if cell is None else decode(cell):
        case [int(aside), int(pos), int(floor_pos), int(home_pos)]:
            return _at(aside, pos, floor_pos, home_pos)
        case _:
            return None


def _at(aside: int, pos: int, floor_pos: int, home_pos: int) -> Salvage:
    return Salvage(aside=aside, pos=pos, kept_pos=pos, floor_pos=floor_pos, home_pos=home_pos)
