"""The data directory: one collector at a time, and where the running one can be asked.

Law: the lock is the kernel's, so a killed collector leaves none behind.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOCK = "collector.lock"
ADDRESS = "collector.address"
ADDRESS_BYTES_MAX = 256
ROOM_BYTES = (
    16 << 20
)  # free at least, to start: broker, lock, log of the store. Whoever starts with less fails in the middle


class FolderError(Exception):
    """The data directory cannot be used, and what an operator can do about it."""

    def __init__(self, fault: str, *, hint: str) -> None:
        super().__init__(f"{fault}; {hint}")
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Who holds the directory, as far as it has said."""

    pid: int
    api_url: str


def make(folder: Path) -> None:
    """Make the directory for its owner alone; FolderError if that cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise FolderError(
            f"{folder}: {error.strerror}",
            hint="name a directory that you may write with --data or data_dir",
        ) from error


def need_room(folder: Path) -> None:
    """FolderError if the disk is too full for a start."""
    free = shutil.disk_usage(folder).free
    if free < ROOM_BYTES:
        raise FolderError(
            f"{folder}: its disk is full, {free >> 10} KiB are free",
            hint=f"make room, {ROOM_BYTES >> 20} MiB at least; units keep what is not receipted",
        )


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Be the only collector here until the end of the block, or of the process; FolderError if there is one."""
    with (folder / LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            there = running(folder)
            who = f"pid {there.pid}" if there else "its pid is not known yet"
            raise FolderError(
                f"another collector runs on {folder} ({who})",
                hint="stop it first, or name another directory with --data",
            ) from error
        try:
            yield
        finally:
            (folder / ADDRESS).unlink(missing_ok=True)


def tell(folder: Path, api_url: str) -> None:
    """Write down who runs here, for the operator's commands."""
    beside = folder / f"{ADDRESS}.new"
    beside.write_text(f"{os.getpid()} {api_url}\n", encoding="ascii")
    beside.replace(folder / ADDRESS)


def running(folder: Path) -> Running | None:
    """What `tell` wrote, if that process lives. The lock is not asked: asking would hold it against a start just now."""
    try:
        with (folder / ADDRESS).open(encoding="ascii") as file:
            pid, api_url = file.read(ADDRESS_BYTES_MAX).split()
        os.kill(int(pid), 0)
        return Running(pid=int(pid), api_url=api_url)
    except (OSError, ValueError):
        return None
