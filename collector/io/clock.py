"""The only clock of the collector.

Law: everything else takes `now_ms` as an argument.
"""

import ctypes
import time
from functools import lru_cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMEX_BYTES = 512  # struct timex has 208 bytes at most; modes 0 only asks
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_QUALITY_S = 60  # the kernel is asked so often


def now_ms() -> int:
    """Milliseconds of POSIX UTC."""
    return time.time_ns() // 1_000_000


def mono_ms() -> int:
    """Milliseconds that never step back; their zero means nothing."""
    return time.monotonic_ns() // 1_000_000


def boot_ms() -> int:
    """Milliseconds since the operating system began, sleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_id() -> bytes:
    """The kernel's own 16 bytes, new at each start of the operating system; empty where there is no /proc."""
    try:
        return bytes.fromhex(_BOOT_ID.read_text(encoding="ascii").strip().replace("-", ""))
    except (OSError, ValueError):
        return b""


def time_quality() -> int:
    """2 if the kernel calls its clock synchronised, else 1: a clock that nobody vouches for (WIRE section 4)."""
    return _asked_at(mono_ms() // (_QUALITY_S * 1000))


@lru_cache(maxsize=1)
def _asked_at(_minute: int) -> int:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        state = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        state = -1
    return 2 if 0 <= state < _TIME_ERROR else 1
