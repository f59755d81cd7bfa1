"""What several units tell together: interference of an area, holes of the network, units of one journey that part (DETECTION sections 2, 7.5 to 7.7).

Law: it reads signals and one place in half a minute, never a track. What it says follows from event time, not from the order in
which the units were heard; only whoever was silent for ten minutes is not waited for.
"""

from collections.abc import Callable
from dataclasses import dataclass

from collector.detect import Hit

WAIT_MS = 600_000  # so long a unit is waited for, and so long a signal waits (DETECTION section 2)
OUTAGE_MS = 259_200_000  # 72 h: the longest that is promised. Who is farther behind has no clock, and nobody waits for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """How far the units' own records have come when a tick of the watch passes."""

    now_ms: int
    of: Callable[[str], int | None]  # event time of a unit's newest record; None: it is silent
    slowest_ms: Callable[[], int]  # of all units that are not silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was found of several units."""

    unit: str  # "": of no single one
    hit: Hit
    confirmed_ms: int
    received_ms: int | None  # of the newest fact that it stands on
