"""What a unit's disk must look like, or be, before its agent can come to a rare named point.

Law: files are touched only while their agent is dead; what is spoilt here loses nothing that a sound agent would not bring back.
"""

import secrets
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from bench.accounts import read_store, read_unit
from bench.site import Site, Unit

FREELIST_COUNT_AT = 36  # in the file's header (SQLite file format, 1.3)
NONSENSE = 0x7FFF_FFF0


def checkpoint(store: Path) -> None:
    """Bring the WAL home, as a start would."""
    with closing(sqlite3.connect(store)) as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def spoil(store: Path) -> None:
    """A header that lies about free pages: every row is still read, and nothing can be added.

    After a clean stop it is met by the first batch that needs a page, else by the look at the start.
    """
    checkpoint(store)
    with store.open("r+b") as file:
        file.seek(FREELIST_COUNT_AT)
        file.write(NONSENSE.to_bytes(4, "big"))


def forget_kernel(unit: Unit) -> None:
    """As if the operating system had been started: the disk remembers another, and what lay in memory is gone."""
    with closing(sqlite3.connect(unit.outbox)) as base:
        other = secrets.token_bytes(16)
        base.execute("UPDATE memory SET value = ? WHERE name = 'boot_id'", (other,))
        base.commit()
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    run = unit.folder / "run"
    (run / "tip").unlink(missing_ok=True)
    shutil.rmtree(run / "spill", ignore_errors=True)


def take_image(unit: Unit) -> bytes:
    """The store as it stands."""
    checkpoint(unit.outbox)
    return unit.outbox.read_bytes()


def roll_back(site: Site, unit: Unit, image: bytes) -> bool:
    """The card shows an older state of itself. Only if the collector has all that this forgets; False: it has not."""
    settled = {one.key for one in read_store(site.store)}
    rows = read_unit(unit.outbox, unit.unit_id).rows
    if not rows or any(row.key not in settled for row in rows):
        return False
    for beside in ("-wal", "-shm"):
        unit.outbox.with_name(unit.outbox.name + beside).unlink(missing_ok=True)
    unit.outbox.write_bytes(image)
    return True
