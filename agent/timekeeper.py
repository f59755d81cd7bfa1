"""What time it is, and how well we know it (EDGE section 7).

Law: no sealed byte is ever changed; time is told anew by a `clock` event.
"""

from dataclasses import dataclass

from agent import Kept, Moment, Quality
from devices import Fix


@dataclass(frozen=True, slots=True, kw_only=True)
class TimekeeperSettings:
    """`built_ms`: no time before it is believed."""

    built_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NtpTime:
    """What the kernel said when it was asked (adjtimex), every 60 s."""

    synchronised: bool
    utc_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcTime:
    """What the clock on the board said at the start; given only if an RTC device exists."""

    utc_ms: int


TimeFact = Fix | NtpTime | RtcTime


class Timekeeper:
    """Turns the monotonic axis into UTC."""

    def __init__(
        self, settings: TimekeeperSettings, *, mono_ms: int, newest_sealed_ms: int
    ) -> None:
        self._offset_ms = max(settings.built_ms, newest_sealed_ms) - mono_ms

    def utc(self, mono_ms: int) -> tuple[int, Quality]:
        """The best UTC at `mono_ms`, and how well it is known."""
        return mono_ms + self._offset_ms, Quality.NONE

    def moment(self, *, mono_ms: int, now_ms: int) -> Moment:
        """One reading of the clock for all cores."""
        utc_ms, quality = self.utc(mono_ms)
        return Moment(mono_ms=mono_ms, now_ms=now_ms, utc_ms=utc_ms, quality=quality)

    def take(self, fact: TimeFact, *, mono_ms: int) -> list[Kept]:
        """`clock` events that follow from `fact`, which was heard at `mono_ms`."""
        return []

    def wake(self, mono_ms: int) -> list[Kept]:
        """Time has passed: a source is too old to be believed."""
        return []

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, in mono_ms."""
        return None
