"""What the machine says of itself: space, memory, work done (EDGE sections 9 and 13).

Law: a number that cannot be read is None, never 0.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from agent.io import clock

PROBE_BYTES = 4_096  # one block, as EDGE section 13 says


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Room on one file system."""

    free_bytes: int
    free_inodes: int | None  # None where inodes are not counted (btrfs)


def space(folder: Path) -> Space | None:
    """Room for us where `folder` lies."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return Space(
        free_bytes=found.f_bavail * found.f_frsize,
        free_inodes=found.f_favail if found.f_files else None,
    )


def rss_kib() -> int | None:
    """Memory that this process holds."""
    return _proc_number("/proc/self/status", "VmRSS:")


def written_bytes() -> int | None:
    """What this process has sent towards disks."""
    return _proc_number("/proc/self/io", "write_bytes:")


def cpu_ms() -> int:
    """Processor time of this process so far."""
    times = os.times()
    return int((times.user + times.system) * 1000)


def probe_write_ms(folder: Path) -> int:
    """How long 4 KiB with fsync take in `folder`. OSError if they cannot be written."""
    path = folder / f".probe.{os.getpid()}"
    began_ms = clock.system_ms()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, bytes(PROBE_BYTES))
        os.fsync(fd)
    finally:
        os.close(fd)
        path.unlink()
    return max(0, clock.system_ms() - began_ms)


def _proc_number(path: str, name: str) -> int | None:
    try:
        lines = Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()
        if words[:1] == [name] and len(words) > 1 and words[1].isdecimal():
            return int(words[1])
    return None
