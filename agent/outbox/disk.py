"""What lies beside the store: the lock, the ballast, and the files that were set aside.

Law: a damaged file is renamed, never deleted unseen; the oldest aside goes only when the disk has no room for what is true.
"""

import fcntl
import os
import re
from pathlib import Path

from agent.outbox.words import OutboxLockedError

STORE = "outbox.db"
_SUFFIXES = ("", "-wal", "-shm", "-journal")
_CHUNK_BYTES = 65_536
_ASIDE = re.compile(r"outbox\.bad-([1-9][0-9]*)(?:-wal|-shm|-journal)?")


class Disk:
    """The state directory; holds the lock from `Disk(...)` to `release`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = directory / STORE
        self._ballast = directory / "ballast"
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(directory / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise OutboxLockedError(
                f"{directory} is held by another agent: stop it, or set unit.state_dir"
            ) from error

    def release(self) -> None:
        """Another agent may have the store now."""
        os.close(self._lock)

    def has_lived(self) -> bool:
        """Whether a store has ever been here: an enrolled unit's first is another thing than a lost one."""
        return self.has_ballast() or bool(self.asides())

    def free_bytes(self) -> int:
        """What the disk still has for us."""
        stat = os.statvfs(self.directory)
        return stat.f_bavail * stat.f_frsize

    def set_strays_aside(self) -> bool:
        """A WAL without its store must not meet a new one. True if there was one."""
        found = any((self.directory / f"{STORE}{suffix}").exists() for suffix in _SUFFIXES[1:])
        if found:
            self.set_aside()
        return found

    def set_aside(self) -> str:
        """Rename the store's files to `outbox.bad-<n>`; gives that name."""
        name = f"outbox.bad-{max(self.asides(), default=0) + 1}"
        for suffix in _SUFFIXES:
            path = self.directory / f"{STORE}{suffix}"
            if path.exists():
                path.rename(self.directory / f"{name}{suffix}")
        self.sync()
        return name

    def asides(self) -> list[int]:
        """Numbers of what was set aside, oldest first."""
        names = (_ASIDE.fullmatch(path.name) for path in self.directory.iterdir())
        return sorted({int(match[1]) for match in names if match is not None})

    def drop_oldest_aside(self) -> bool:
        """Give up the oldest aside file for room; False if there is none."""
        for one in self.asides()[:1]:
            for suffix in _SUFFIXES:
                (self.directory / f"outbox.bad-{one}{suffix}").unlink(missing_ok=True)
            return True
        return False

    def has_ballast(self) -> bool:
        """Whether there is something to throw overboard."""
        return self._ballast.exists()

    def take_ballast(self, size_bytes: int) -> None:
        """Lay bytes aside that are really written: a hole in a file would give nothing back."""
        part = self.directory / "ballast.new"
        with part.open("wb") as file:
            for begin in range(0, size_bytes, _CHUNK_BYTES):
                file.write(b"\xff" * min(_CHUNK_BYTES, size_bytes - begin))
            file.flush()
            os.fsync(file.fileno())
        part.rename(self._ballast)
        self.sync()

    def drop_ballast(self) -> bool:
        """Once a commit has failed for space even DELETE fails: this gives it room. False: gone already."""
        (self.directory / "ballast.new").unlink(missing_ok=True)
        if not self._ballast.exists():
            return False
        self._ballast.unlink()
        return True

    def sync(self) -> None:
        """Make renames last."""
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
