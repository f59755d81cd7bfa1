"""What the kernel says of another process: memory, work, bytes. Linux's /proc, and nothing of the process itself.

Law: a number that cannot be read is an error here, never 0: a figure would be made of it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look at a process."""

    rss_kib: int
    rss_peak_kib: int
    cpu_s: float
    written_bytes: int  # towards disks
    said_bytes: int  # rchar and wchar: everything read and written, pipes and sockets too
    heard_bytes: int


def look(pid: int) -> Seen:
    """At this moment."""
    folder = Path(f"/proc/{pid}")
    status = _pairs(folder / "status")
    io = _pairs(folder / "io")
    stat = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
    times = stat.split()
    return Seen(
        rss_kib=status["VmRSS"],
        rss_peak_kib=status["VmHWM"],
        cpu_s=(int(times[11]) + int(times[12])) / TICKS_S,
        written_bytes=io["write_bytes"],
        said_bytes=io["wchar"],
        heard_bytes=io["rchar"],
    )


def _pairs(file: Path) -> dict[str, int]:
    found = {}
    for line in file.read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if words and words[0].isdecimal():
            found[name] = int(words[0])
    return found
