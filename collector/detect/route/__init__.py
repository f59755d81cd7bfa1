"""Progress along the prescribed route, and departures from it (DETECTION section 7.2). Here: the words that its rooms share.

Law: progress is the farthest sure place, in whole metres; it comes from outside with the fix, so a row that goes on along the
route changes nothing here.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

from collector.detect import Hit, Place

FALL_M = 100  # less of it is noise
NEAR_FIXES = 2
BY_ROUTE_MS = 20_000  # over a shorter time the chord is the road


class Mode(IntEnum):
    BEFORE = 0
    ON = 1
    LEAVING = 2
    BACK = 3
    OFF = 4
    DONE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Fixes that may begin (again) to follow the route."""

    place: Place  # of the first
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """Where and when the distance passed the half width, and the fixes that confirm it."""

    place: Place
    count: int = 0
    since_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """Fixes that lie behind the progress."""

    place: Place
    s_m: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Fixes that lie on another part of the route."""

    s_m: int
    t_ms: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """Driving against the route."""

    seq: int
    low_m: int
    wrong: bool = False  # ROUTE_WRONG_WAY runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Off:
    """Away from the route."""

    seq: int
    left_ms: int
    s_m: int
    driven_dm: int = 0
    max_d_m: int = 0
    moving_ms: int = 0
    far: int = 0
    far_place: Place | None = None
    said: int = 0  # findings of ROUTE_DEVIATION
    said_d_m: int = 0
    legal_far: int = 0
    visited: int = 0  # bits of the route's checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalAlert:
    """LEGAL_ROUTE_DEVIATION runs until three fixes lie on the route."""

    seq: int
    on: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    route: str | None = None
    mark: int = 0  # of the route's shape: another one is another line
    mode: Mode = Mode.BEFORE
    first_ms: int = 0
    at_end: bool = False  # joined where the route ends: being there is no arrival
    s_m: int | None = None  # kept where the route runs beside itself, and while BACK
    near: Near | None = None
    over: Over | None = None
    fall: Fall | None = None
    elsewhere: Elsewhere | None = None
    back: Back | None = None
    off: Off | None = None
    legal: LegalAlert | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    state: State
    top_m: int
    hits: tuple[Hit, ...] = ()


def quiet(state: State) -> bool:
    """On the route, not joined yet or done, with nothing open that the next fix would count."""
    if state.route is None or state.mode is Mode.DONE:
        return True
    if state.mode is Mode.BEFORE:
        return state.near is None
    return state.mode is Mode.ON and (
        not state.at_end
        and state.s_m is None
        and state.over is None
        and state.fall is None
        and state.elsewhere is None
        and state.back is None
        and state.legal is None
    )


def broken(state: State) -> State:
    """A hole in the chain drops what was only a candidate."""
    mode = state.mode
    if mode is Mode.LEAVING:
        mode = Mode.ON if state.back is None else Mode.BACK
    return replace(state, mode=mode, near=None, over=None, fall=None, elsewhere=None)


def followed(state: State) -> bool:
    """Whether the screen should follow the unit along its route."""
    return state.route is not None and state.mode is Mode.ON


def waits(state: State) -> bool:
    """Whether the screen should look for the unit's joining."""
    return state.route is not None and state.mode is Mode.BEFORE and state.near is None
