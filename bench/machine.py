"""What a figure was measured on: without it a figure is a rumour."""

import os
import platform
import subprocess
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # asked for by name, and made anew inside


def machine() -> dict[str, object]:
    """Processor, cores, Python, and the commit of this tree (None outside a checkout)."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "commit": _commit(),
    }


def in_memory() -> Path | None:
    """A folder in memory that we may write, as `/run` is for a service; None if there is none."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    places = [Path(line.split()[1]) for line in mounts if line.split()[2] == "tmpfs"]
    places.sort(key=lambda place: place != SHARED_MEMORY)  # everybody's, before anybody's own
    return next((place for place in places if os.access(place, os.W_OK | os.X_OK)), None)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607  # whichever git the reader of the figure uses
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
