"""What lies beside the store: the lock, the ballast, and the files that were set aside.

Law: a damaged file is renamed, never deleted unseen; the oldest aside goes only when the disk has no room for what is true.
"""

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path

from agent.outbox.words import OutboxDiskError, OutboxLockedError

STORE = "outbox.db"
_SUFFIXES = ("", "-wal", "-shm", "-journal")
_PART_BYTES = 262_144  # of the ballast, at once: a commit that comes meanwhile waits for no more
INODES_MIN = 100
ASIDES_MAX = 2
_ASIDE = re.compile(r"outbox\.bad-([1-9][0-9]*)(?:-wal|-shm|-journal)?")


class Disk:
    """The state directory; holds the lock from `Disk(...)` to `release`. `run`: on a tmpfs, for when the disk refuses."""

    def __init__(self, directory: Path, run: Path | None = None) -> None:
        self.directory = directory
        self.store = directory / STORE
        self.wal = directory / f"{STORE}-wal"
        self.run = run
        self._ballast = directory / "ballast"
        self._lock = self._open_lock()
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise OutboxLockedError(
                f"{directory} is held by another agent: stop it, or set unit.state_dir"
            ) from error

    def _open_lock(self) -> int:
        """The lock lies on the disk; on one that takes no file it is read only, and where there is none it lies in `run`."""
        path = self.directory / "agent.lock"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            if self.run is None:
                raise
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.run.mkdir(parents=True, exist_ok=True)
            return os.open(self.run / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def release(self) -> None:
        """Another agent may have the store now."""
        os.close(self._lock)

    def has_lived(self) -> bool:
        """Whether a store has ever been here: an enrolled unit's first is another thing than a lost one."""
        return self._asides_ever() >= 0 or self.has_ballast() or bool(self.asides())

    def mark_lived(self) -> None:
        """A store is here now: if it is ever gone, it is lost."""
        if self._asides_ever() < 0:
            self._count_asides(0)

    def free_bytes(self) -> int:
        """What the disk still has for us; OutboxDiskError if it does not answer."""
        return _free_bytes(self.directory)

    def lacks_inodes(self) -> bool:
        """Whether a new file could be one too many; file systems without inodes never lack them."""
        stat = os.statvfs(self.directory)
        return stat.f_files > 0 and stat.f_favail < INODES_MIN

    # the run directory

    @property
    def spill(self) -> Path | None:
        """The store in the run directory, there or not."""
        return None if self.run is None else self.run / "spill" / STORE

    def new_spill(self) -> Path:
        """Room for a store in the run directory; OutboxDiskError if there is none."""
        self.drop_spill()
        path = self.spill
        assert path is not None, "asked before"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutboxDiskError(f"{path.parent}: {error.strerror}") from error
        return path

    def drop_spill(self) -> None:
        """Its rows are on the disk, or it cannot be read."""
        path = self.spill
        if path is None:
            return
        for suffix in _SUFFIXES:
            path.with_name(f"{STORE}{suffix}").unlink(missing_ok=True)

    def spill_free_bytes(self) -> int:
        """What the run directory still has for us."""
        assert self.run is not None, "asked before"
        return _free_bytes(self.run)

    def note(self, tip: bytes) -> None:
        """Keep that in the run directory, as long as the kernel runs; it costs no disk, and need not last."""
        if self.run is None:
            return
        with suppress(OSError):
            self.run.mkdir(parents=True, exist_ok=True)
            part = self.run / "tip.new"
            part.write_bytes(tip)
            part.rename(self.run / "tip")

    def noted(self) -> bytes:
        """What was noted last; empty if nothing was."""
        try:
            return b"" if self.run is None else (self.run / "tip").read_bytes()
        except OSError:
            return b""

    # beside the store

    def set_strays_aside(self) -> bool:
        """A WAL without its store must not meet a new one. True if there was one."""
        found = any((self.directory / f"{STORE}{suffix}").exists() for suffix in _SUFFIXES[1:])
        if found:
            self.set_aside()
        return found

    def set_aside(self) -> str:
        """Rename the store's files to `outbox.bad-<n>`; gives that name."""
        number = max([0, self._asides_ever(), *self.asides()]) + 1
        name = f"outbox.bad-{number}"
        for suffix in _SUFFIXES:
            path = self.directory / f"{STORE}{suffix}"
            if path.exists():
                path.rename(self.directory / f"{name}{suffix}")
        self.sync()
        self._count_asides(number)
        return name

    def _count_asides(self, number: int) -> None:
        with suppress(OSError):  # so that a number never comes again; the names count too
            os.pwrite(self._lock, f"{number}\n".encode(), 0)

    def _asides_ever(self) -> int:
        """How many files were set aside; -1: nothing has ever been here."""
        try:
            text = os.pread(self._lock, 16, 0).split(b"\n")[0]
        except OSError:
            return -1
        return int(text) if text.isdigit() else -1

    def aside(self, number: int) -> Path:
        """The store that was set aside under that number."""
        return self.directory / f"outbox.bad-{number}"

    def trim_asides(self, bytes_max: int) -> None:
        """Two sets are kept, and no more than these bytes; the oldest goes first."""
        while (asides := self.asides()) and (
            len(asides) > ASIDES_MAX or self._asides_bytes() > bytes_max
        ):
            if not self.drop_oldest_aside():
                return

    def _asides_bytes(self) -> int:
        names = (path for path in self.directory.iterdir() if _ASIDE.fullmatch(path.name))
        return sum(path.stat().st_size for path in names)

    def asides(self) -> list[int]:
        """Numbers of what was set aside, oldest first."""
        try:
            names = [_ASIDE.fullmatch(path.name) for path in self.directory.iterdir()]
        except OSError:  # the disk is gone
            return []
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
        """Lay some bytes aside that are really written: a hole in a file would give nothing back. Done when `has_ballast`."""
        part = self.directory / "ballast.new"
        with part.open("ab") as file:
            file.write(b"\xff" * min(_PART_BYTES, max(size_bytes - file.tell(), 0)))
            file.flush()
            os.fsync(file.fileno())
            is_whole = file.tell() >= size_bytes
        if is_whole:
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


def _free_bytes(directory: Path) -> int:
    try:
        stat = os.statvfs(directory)
    except OSError as error:
        raise OutboxDiskError(f"{directory}: {error.strerror}") from error
    return stat.f_bavail * stat.f_frsize
