"""The file: schema, pragmas and one connection (EDGE section 4).

Law: every error of SQLite leaves here as one of four words: damaged, full, refused by the disk, locked.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiosqlite

from agent.outbox.words import OutboxDiskError, OutboxError, OutboxLockedError

APPLICATION_ID = 0x506C6F6D  # "Plom"
USER_VERSION = 1  # grows only by additions that the version before can read (EDGE section 10)
PAGE_BYTES = 1_024
WAL_FRAMES = 256  # then it is brought home: half an hour of driving under seal; a longer one costs each start more than it spares
WAL_BYTES = 32 + WAL_FRAMES * (24 + PAGE_BYTES)  # SQLite's file format, section 4.1
THREAD_S_MAX = 1.0  # a thread that was told to stop is gone in a millisecond
QUICK_CHECK_S_MAX = 3.0  # 1.7 ms a MiB; a slow card may not keep us from collecting

SCHEMA = """
CREATE TABLE chain  (id INTEGER PRIMARY KEY, chain_id BLOB NOT NULL UNIQUE, through INT NOT NULL,
                     last_no INT NOT NULL, last_seq INT NOT NULL, last_head BLOB NOT NULL) STRICT;
CREATE TABLE batch  (pos INTEGER PRIMARY KEY, chain INT NOT NULL, no INT NOT NULL,
                     weight INT NOT NULL, envelope BLOB NOT NULL) STRICT;
CREATE TABLE memory (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""

_ALONE = "locking_mode=EXCLUSIVE"  # keeps every second process out, and with it the reader that starves the checkpoint
_PRAGMAS = (  # before the first write; measured in EDGE section 4
    f"page_size={PAGE_BYTES}",
    "journal_mode=WAL",
    "synchronous=FULL",
    f"wal_autocheckpoint={WAL_FRAMES}",
    "cache_size=-512",
    "temp_store=MEMORY",
    "mmap_size=0",
    "cell_size_check=ON",
    "trusted_schema=OFF",
)

Cells = tuple[Any, ...]  # a row as SQLite gave it; damaged files give wrong types


class DamagedError(OutboxError):
    """The file is not what we wrote."""


class StoreFullError(OutboxError):
    """The disk, or the page limit, is full."""


class Store:
    """One connection to one file. Not shared: the writer owns it."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, path: Path, bytes_max: int) -> "Store":
        """The store at `path`, made if it is not there. Raises DamagedError if it is none of ours."""
        store = cls(await _connected(aiosqlite.connect(path, isolation_level=None)))
        try:
            await store._prepare(bytes_max)
        except BaseException:
            await store.close()
            raise
        return store

    @classmethod
    async def open_aside(cls, path: Path) -> "Store":
        """A store to read from, alone, and as it is. OutboxDiskError if there is none.

        A WAL that cannot be read does not hide the file that it belongs to: then that is read without it.
        """
        try:
            return await cls._open_place(f"{path.as_uri()}?mode=rw")
        except DamagedError:
            return await cls._open_place(f"{path.as_uri()}?mode=ro&immutable=1")

    @classmethod
    async def _open_place(cls, place: str) -> "Store":
        store = cls(await _connected(aiosqlite.connect(place, uri=True, isolation_level=None)))
        try:
            await store.run(f"PRAGMA {_ALONE}")
            await store.run("PRAGMA cache_size=-256")
        except BaseException:
            await store.close()
            raise
        return store

    @classmethod
    async def open_to_read(cls, path: Path) -> "Store":
        """A store on a disk that takes no write, with what its WAL holds. OutboxDiskError if there is none.

        SQLite locks before it reads a WAL, and a file that is open for reading alone cannot be locked for writing: so it is told to
        lock nothing. `agent.lock` keeps others out. Without a WAL the file is all there is, and does not change.
        """
        wal = path.with_name(f"{path.name}-wal")
        try:
            has_wal = wal.stat().st_size > 0
        except OSError:
            has_wal = False
        return await cls._open_place(
            f"{path.as_uri()}?mode=ro&{'vfs=unix-none' if has_wal else 'immutable=1'}"
        )

    async def _prepare(self, bytes_max: int) -> None:
        await self.run(f"PRAGMA {_ALONE}")
        application = await self._number("application_id")
        version = await self._number("user_version")
        fresh = (application, version) == (0, 0) and not await self.run(
            "SELECT 1 FROM sqlite_schema"
        )
        if not fresh and application != APPLICATION_ID:  # nothing of it has been touched yet
            raise DamagedError(f"application_id {application:#x} is not an outbox's")
        for pragma in _PRAGMAS:
            await self.run(f"PRAGMA {pragma}")
        await self.run(f"PRAGMA max_page_count={max(bytes_max // PAGE_BYTES, 64)}")
        if fresh:
            await self._create()

    async def _create(self) -> None:
        await self.run("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";")[:-1]:
            await self.run(statement)
        await self.run(f"PRAGMA application_id={APPLICATION_ID}")
        await self.run(f"PRAGMA user_version={USER_VERSION}")
        await self.run("COMMIT")

    async def _number(self, pragma: str) -> int:
        return number((await self.run(f"PRAGMA {pragma}"))[0][0])

    async def run(self, sql: str, *values: int | bytes | str) -> list[Cells]:
        """One statement and its rows, in one visit to SQLite's thread."""
        try:
            return [tuple(row) for row in await self._connection.execute_fetchall(sql, values)]
        except sqlite3.Error as error:
            raise _named(error) from error
        except ValueError as error:  # aiosqlite's word for a connection that is closed
            raise OutboxDiskError(str(error)) from error

    async def beside(self, work: Callable[[], None]) -> None:
        """Something else that touches the disk, in SQLite's thread: no statement runs meanwhile, and the loop goes on."""
        try:
            await self._connection._execute(work)  # type: ignore[no-untyped-call]  # noqa: SLF001  # its one door to that thread that is no statement
        except ValueError as error:  # closed
            raise OutboxDiskError(str(error)) from error

    async def rollback(self) -> None:
        """End the transaction if one is open; a damaged file may have ended it already."""
        try:
            open_ = self._connection.in_transaction
        except ValueError:  # closed: nothing to undo
            return
        if open_:
            await self.run("ROLLBACK")

    async def pages(self) -> tuple[int, int]:
        """Pages of the file, and how many of them are free inside it."""
        row = (
            await self.run(
                "SELECT (SELECT page_count FROM pragma_page_count),"
                " (SELECT freelist_count FROM pragma_freelist_count)"
            )
        )[0]
        return number(row[0]), number(row[1])

    async def quick_check(self) -> None:
        """DamagedError if SQLite finds a fault within 3 s; an unfinished look is no fault."""
        try:
            async with asyncio.timeout(QUICK_CHECK_S_MAX):
                rows = await self.run("PRAGMA quick_check(1)")
        except TimeoutError:
            await self._connection.interrupt()
            return
        if rows != [("ok",)]:
            raise DamagedError(f"quick_check: {rows[:1]}")

    async def checkpoint(self) -> None:
        """Bring the WAL home and cut it to nothing."""
        await self.run("PRAGMA wal_checkpoint(TRUNCATE)")

    async def close(self) -> None:
        """Close, whatever state the file is in: an open connection would keep the process for ever."""
        try:
            await self._connection.close()
        except (sqlite3.Error, ValueError):
            self._connection.stop()


def number(cell: object) -> int:
    """`cell` as the integer that we wrote, else DamagedError."""
    if type(cell) is not int:
        raise DamagedError(f"an integer is a {type(cell).__name__}")
    return cell


def blob(cell: object) -> bytes:
    """`cell` as the bytes that we wrote, else DamagedError."""
    if type(cell) is not bytes:
        raise DamagedError(f"a blob is a {type(cell).__name__}")
    return cell


_DISK = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
# A sector that cannot be read. In a table's page SQLite calls that CORRUPT by itself, in the WAL or the header it does not; waiting
# heals the one as little as the other.
_SECTOR = sqlite3.SQLITE_IOERR_CORRUPTFS
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


async def _connected(connecting: aiosqlite.Connection) -> aiosqlite.Connection:
    """An open connection; one that cannot be opened leaves no thread behind that would speak to a loop that is gone."""
    try:
        return await connecting
    except sqlite3.Error as error:
        connecting._thread.join(THREAD_S_MAX)  # noqa: SLF001  # it has been told to stop and has nothing else to do
        raise _named(error) from error


def _named(error: sqlite3.Error) -> OutboxError:
    """What `error` means to us. The low byte of a code is its family."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    family = code & 0xFF
    if family == sqlite3.SQLITE_FULL:
        return StoreFullError(str(error))
    if family in _DISK and code != _SECTOR:
        return OutboxDiskError(str(error))
    if family in _BUSY:
        return OutboxLockedError(f"{error}: another program has the store open, end it")
    return DamagedError(str(error))  # CORRUPT, NOTADB, a table that is not there, text that is none
