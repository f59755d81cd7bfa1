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
PAGE_BYTES = 1_024
PAGES_MIN = 160  # a store below 128 KiB gives way to nothing


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


def burden(store: Path) -> None:
    """A store of some size that has no free page in itself: on a full disk it must do without something.

    What it is given to remember no agent asks for, and none forgets: it could be another version's.
    """
    with closing(sqlite3.connect(store)) as base:
        pages, free = (
            base.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count")
        )
        size = (free + max(0, PAGES_MIN - pages)) * PAGE_BYTES
        row = ("drill", bytes(size))
        base.execute("INSERT OR REPLACE INTO memory (name, value) VALUES (?, ?)", row)
        base.commit()
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")


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


def has_noted_head(unit: Unit) -> bool:
    """Whether the run directory says where the store stands: a start that finds it damaged then goes on behind that."""
    tip = unit.folder / "run" / "tip"
    return tip.exists() and tip.stat().st_size > 0


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
