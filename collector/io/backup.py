"""A copy of the data directory while the collector runs: stores as of one moment, keys and certificates beside them.

Law: reads, and writes to the new directory alone. A copy that was not finished does not bear its name.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from collector.io.key import KeyFileError, read_private

STORES = ("collector.db", "gateway.db")
SECRETS = "*.key"
PUBLIC = "*.pem"


class BackupError(Exception):
    """No copy was made, and what an operator can do about it."""


def copy(data_dir: Path, store: Path, to: Path) -> list[str]:
    """Copy what a collector cannot make again into `to`, which is new; the names. Raises BackupError.

    Not the broker's files: units send again what was not receipted.
    """
    if to.exists():
        raise BackupError(f"{to} is there already: name a new directory")
    if not store.is_file():
        raise BackupError(f"there is no store {store}: name its collector's directory with --data")
    beside = to.with_name(f"{to.name}.unfinished")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o700, parents=True)
        names = list(_copy(data_dir, store, beside))
        beside.rename(to)
        _sync(to.parent)
    except (OSError, sqlite3.Error, KeyFileError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise BackupError(f"{to}: {error}") from error
    return names


def _copy(data_dir: Path, store: Path, to: Path) -> Iterator[str]:
    # The store first: a key that is made meanwhile is in the copy, and no unit in it believes one that is not.
    for source in (store, *(data_dir / name for name in STORES if data_dir / name != store)):
        if source.is_file():
            _copy_store(source, to / source.name)
            yield source.name
    for pattern, mode in ((SECRETS, 0o600), (PUBLIC, 0o644)):
        for source in sorted(data_dir.glob(pattern)):
            data = read_private(source) if mode == 0o600 else source.read_bytes()
            fd = os.open(to / source.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield source.name
    _sync(to)


def _copy_store(source: Path, to: Path) -> None:
    """In one read transaction: writers go on meanwhile, and the copy is of one moment."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as here,
        closing(sqlite3.connect(to)) as there,
    ):
        there.execute("pragma synchronous = full")
        here.backup(there)
        fault = there.execute("pragma quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise sqlite3.DatabaseError(f"{source} is damaged: {fault}")


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
