"""What the store lays in while the disk has room: the ballast, and the WAL at its full length (EDGE section 4).

Law: it is looked at again and again, since a full disk takes both; a slow card is waited for in SQLite's thread, never in the loop,
and piece by piece, so that an urgent commit waits for a piece at most.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.outbox.store import WAL_BYTES
from agent.outbox.words import OutboxDiskError, Trouble

if TYPE_CHECKING:
    from agent.outbox.writer import Writer

CHUNK_BYTES = 4_096


async def lay_in(writer: "Writer") -> bool:
    """A piece of WAL or ballast, if one is not whole and the disk would keep its headroom; whether more is wanted.

    What the disk refuses is told once.
    """
    if writer.spill is not None or writer.broken is not None:
        return False
    more = False
    try:
        more = await _wal(writer) or await _ballast(writer)
    except (OSError, OutboxDiskError) as error:  # the next commit meets it too
        writer.counters["lay_in_failed"] += 1
        if not writer.lays_in_vain:
            writer.tell(Trouble.DISK_FULL, f"nothing is laid in: {error}")
        writer.lays_in_vain = True
    else:
        writer.lays_in_vain = False
    return more


async def _wal(writer: "Writer") -> bool:
    """A WAL that grows with each commit makes the file system write its own books each time; in one of full length a commit overwrites.

    Zeros behind the newest frame are no frame: SQLite stops reading there.
    """
    wal = writer.disk.wal
    size = wal.stat().st_size if wal.exists() else WAL_BYTES
    if size >= WAL_BYTES or writer.disk.free_bytes() <= writer.settings.headroom_bytes + WAL_BYTES:
        return False
    await writer.store.beside(lambda: _lengthen(wal, WAL_BYTES))
    writer.counters["wal_laid_in"] += 1
    return True


async def _ballast(writer: "Writer") -> bool:
    size = writer.settings.ballast_bytes
    if not size or writer.disk.has_ballast() or writer.disk.lacks_inodes():
        return False
    if writer.disk.free_bytes() <= writer.settings.headroom_bytes + 2 * size:
        return False
    await writer.store.beside(lambda: writer.disk.take_ballast(size))
    return not writer.disk.has_ballast()


def _lengthen(path: Path, size: int) -> None:
    """Zeros from its end on, really written: a hole would be filled block by block, and each block is the file system's work."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        at = os.fstat(file).st_size
        while at < size:
            at += os.pwrite(file, bytes(min(CHUNK_BYTES, size - at)), at)
        os.fsync(file)
    finally:
        os.close(file)
