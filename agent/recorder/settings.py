"""How densely fixes are kept, by profile (the table of EDGE section 2), and what a port is there for.

Law: a column that is None says nothing; a fix is kept if any column says so.
"""

from dataclasses import dataclass, field
from enum import Enum


class Role(Enum):
    """What a port is there for (DEVICES section 7)."""

    GPS = "gps"
    SEAL = "seal"
    RFID = "rfid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One row of the table: all reckoned from the last kept fix."""

    time_s: int
    line_m: int | None = None  # the promise about the past
    distance_m: int | None = None
    turn_deg: int | None = None  # above 3 m/s
    speed_m_s: int | None = None  # change of speed
    ahead_m: int | None = None  # the promise about the present


def _open_moving() -> Profile:
    return Profile(time_s=15, line_m=5, distance_m=250, turn_deg=25, speed_m_s=5, ahead_m=25)


def _pressed_1(time_s: int) -> Profile:
    return Profile(time_s=time_s, line_m=2, distance_m=250, turn_deg=25, speed_m_s=5, ahead_m=25)


def _pressed_2(time_s: int) -> Profile:
    return Profile(time_s=time_s, line_m=10, distance_m=500, turn_deg=45, speed_m_s=10, ahead_m=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderSettings:
    """`recorder.<profile>` of the config; the defaults are EDGE section 2's."""

    sealed_moving: Profile = field(default_factory=lambda: Profile(time_s=1, line_m=2))
    sealed_standing: Profile = field(default_factory=lambda: Profile(time_s=10, line_m=5))
    open_moving: Profile = field(default_factory=_open_moving)
    open_standing: Profile = field(
        default_factory=lambda: Profile(time_s=60, line_m=10, distance_m=100)
    )
    pressed_1: Profile = field(default_factory=lambda: _pressed_1(5))
    pressed_1_standing: Profile = field(default_factory=lambda: _pressed_1(60))
    pressed_2: Profile = field(default_factory=lambda: _pressed_2(30))
    pressed_2_standing: Profile = field(default_factory=lambda: _pressed_2(120))
    pressed_3: Profile = field(default_factory=lambda: Profile(time_s=60))
