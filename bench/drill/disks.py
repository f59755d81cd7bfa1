"""A unit's small disk: how it comes and goes, and how it is spoilt as a whole. Each fault gives what undoes it.

Law: the kernel's own means, on a file system that holds nothing but one unit's state.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.site import SiteError

FILLER = "filler"
DISK_BYTES = 24 << 20  # EDGE section 12


def mount_small_disk(folder: Path) -> None:
    """A file system of 24 MiB at `folder`. SiteError if the machine lets nobody mount."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "plomba-drill", str(folder))
    (folder / FILLER).touch()  # now: later there may be no inode left for it


def unmount(folder: Path) -> None:
    """Whoever still uses it keeps it until he ends."""
    _run("umount", "-l", str(folder))


def fill(disk: Path) -> Callable[[], None]:
    """To the last byte; what is given back undoes it."""
    filler = disk / FILLER
    with filler.open("r+b", buffering=0) as file:
        for size in (1 << 16, 1 << 12):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return lambda: os.truncate(filler, 0)


def take_inodes(disk: Path) -> Callable[[], None]:
    """No new file can be made."""
    found = os.statvfs(disk)
    used = found.f_files - found.f_ffree
    _run("mount", "-o", f"remount,nr_inodes={used}", str(disk))
    return lambda: _run("mount", "-o", f"remount,nr_inodes={found.f_files}", str(disk))


def make_read_only(disk: Path) -> Callable[[], None]:
    """Nobody has a file of it open for writing."""
    _run("mount", "-o", "remount,ro", str(disk))
    return lambda: _run("mount", "-o", "remount,rw", str(disk))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # mount and umount
    if done.returncode != 0:
        raise SiteError(f"{' '.join(command)}: {done.stderr.strip()}")
