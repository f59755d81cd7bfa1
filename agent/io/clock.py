"""The only clock of the unit: two axes, read once per wake, and what the kernel and the board say of UTC (EDGE section 1).

Law: everything else takes its times as arguments.
"""

import ctypes
import time
from pathlib import Path

from agent.timekeeper import NtpTime, RtcTime

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_RTC = Path("/sys/class/rtc/rtc0/since_epoch")
_TIMEX_BYTES = 512  # struct timex has 208 bytes at most; modes 0 only asks
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


class Clock:
    """`mono_ms` counts from boot, sleep included; `now_ms` looks like Unix time and never steps."""

    def __init__(self) -> None:
        self._offset_ms = time.time_ns() // 1_000_000 - self.mono_ms()

    def mono_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def now_ms(self) -> int:
        return self.mono_ms() + self._offset_ms

    def now_of(self, mono_ms: int) -> int:
        """The same instant on the other axis."""
        return mono_ms + self._offset_ms


def since_boot_ms() -> int:
    """Counts from boot, sleep included, and never steps: for spans of time that no core is asked about."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_id() -> bytes:
    """The kernel's own 16 bytes, new at each start of the operating system; empty where there is no /proc."""
    try:
        return bytes.fromhex(_BOOT_ID.read_text(encoding="ascii").strip().replace("-", ""))
    except (OSError, ValueError):
        return b""


def ask_ntp() -> NtpTime:
    """Whether the kernel calls its clock synchronised, and what it shows."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        state = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        state = -1
    return NtpTime(synchronised=0 <= state < _TIME_ERROR, utc_ms=time.time_ns() // 1_000_000)


def ask_rtc() -> RtcTime | None:
    """What the clock on the board says; None if there is none."""
    try:
        return RtcTime(utc_ms=int(_RTC.read_text(encoding="ascii")) * 1000)
    except (OSError, ValueError):
        return None


def both_us() -> tuple[int, int]:
    """The system's wall clock and our own axis at one instant, in microseconds: for who disciplines the one by the other."""
    return time.time_ns() // 1_000, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000


def system_ms() -> int:
    """The system's wall clock, which may step: for log lines only."""
    return time.time_ns() // 1_000_000
