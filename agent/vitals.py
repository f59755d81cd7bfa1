"""Whether the unit lives: the rule by which its watchdog is fed (EDGE section 9).

Law: pure. Progress is asked for and measured, never assumed; a timer that still runs proves nothing. Whether the network works is no
condition, nor whether the disk has room: what waits in a state that its own machine will leave is alive.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

USUAL_US = 60_000_000  # WatchdogSec=60, for which the limits are written
LAG_MS_MIN = 2_000  # the board's other programs start too


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long each may take."""

    feed_ms: int = 15_000  # three meals may be lost before systemd acts
    lag_ms_max: int = 5_000
    writer_ms_max: int = 30_000  # the worst card that we have met takes ten
    late_ms_max: int = 60_000  # of a task, a core's deadline, a link


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What was found; all in milliseconds, 0 where nothing is late."""

    lag_ms: int  # the loop's longest since the last look
    writer_ms: int  # since the question that the writer has not answered
    tasks_ms: Mapping[str, int]  # since each task turned last, though it was asked to
    deadlines_ms: Mapping[str, int]  # by how much each core's deadline is overdue
    links_ms: Mapping[str, int]  # since the machine of each link turned last
    spilling: bool = False  # the writer has left the disk, and knows it


def limits_for(watchdog_us: int | None) -> Limits:
    """The limits for systemd's WATCHDOG_USEC: in proportion where it is shorter than a minute, never laxer where it is longer."""
    usual = Limits()
    if watchdog_us is None or not 0 < watchdog_us < USUAL_US:
        return usual
    share = Fraction(watchdog_us, USUAL_US)
    return Limits(
        feed_ms=max(int(usual.feed_ms * share), 1),
        lag_ms_max=max(int(usual.lag_ms_max * share), LAG_MS_MIN),
        writer_ms_max=max(int(usual.writer_ms_max * share), 1),
        late_ms_max=max(int(usual.late_ms_max * share), 1),
    )


def trouble(signs: Signs, limits: Limits) -> str:
    """Why the watchdog is not to be fed; empty: the unit lives."""
    if signs.lag_ms >= limits.lag_ms_max:
        return f"the loop stood still for {signs.lag_ms} ms"
    if signs.writer_ms >= limits.writer_ms_max and not signs.spilling:
        return f"the writer has not answered for {signs.writer_ms} ms"
    for what, late in (
        ("task", signs.tasks_ms),
        ("deadline", signs.deadlines_ms),
        ("link", signs.links_ms),
    ):
        for name, late_ms in late.items():
            if late_ms >= limits.late_ms_max:
                return f"{what} {name} is {late_ms} ms late"
    return ""
