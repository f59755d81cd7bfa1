"""The only clock of the collector.

Law: everything else takes `now_ms` as an argument.
"""

import time


def now_ms() -> int:
    """Milliseconds of POSIX UTC."""
    return time.time_ns() // 1_000_000


def mono_ms() -> int:
    """Milliseconds that never step back; their zero means nothing."""
    return time.monotonic_ns() // 1_000_000
