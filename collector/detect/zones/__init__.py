"""Entered, left, passed, perhaps visited (DETECTION section 7.1). Here: the words that its rooms share.

Law: a crossing is told at once, a transition when a second fix or a deep one proves it, at the time of the crossing. Membership
changes at a boundary, after a gap or with a new version, and nowhere else: so a row that meets no edge is dull.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

from collector.detect import Hit
from collector.detect.rules import Rules


class Side(IntEnum):
    """Where a unit stands towards a zone; OUT is not kept."""

    IN = 0
    ENTERING = 1
    LEAVING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """When and where the way met the boundary."""

    at_ms: int
    before_ms: int  # of the fixes around it
    after_ms: int
    seq: int  # of the fix behind it
    lat_e7: int
    lon_e7: int
    n: int = 0  # how many of its kind the same fix had told before: a way may enter a U twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A unit in, or about to be in or out of, one zone."""

    zone: str
    mark: int  # of the zone's shape: another one is another zone
    phase: Side
    entered_ms: int
    seq: int  # of the record that began it
    crossing: Crossing | None = None  # the open candidate
    count: int = 0  # fixes that spoke for it
    since_ms: int = 0  # the first of them
    unseen_s: int = 0
    dwelt: bool = False
    found: bool = False  # was inside at the first fix
    n: int = 0  # of the crossing that began it
    alert_seq: int | None = None  # origin of a running FORBIDDEN_ZONE
    by_route: bool = False
    pending: bool = False  # inside a forbidden zone, the alert waits for a second fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Strayed:
    """A territory left where no border post is: runs until the unit is back."""

    zone: str
    seq: int
    n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    visits: tuple[Visit, ...] = ()  # sorted by zone
    strayed: tuple[Strayed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    state: State
    hits: tuple[Hit, ...] = ()


def quiet(state: State, *, standing: bool) -> bool:
    """No candidate that the next fix would count; one of a standing unit waits without changing."""
    return all(not visit.pending and (standing or visit.phase is Side.IN) for visit in state.visits)


def inside(state: State) -> frozenset[str]:
    """The zones that the unit is in, or so near that it may yet be."""
    return frozenset(visit.zone for visit in state.visits)


def due_ms(rules: Rules, state: State) -> int | None:
    """When a fix still inside would prove a dwell."""
    times = [
        visit.entered_ms + dwell_s * 1_000
        for visit in state.visits
        if not visit.dwelt
        and visit.phase is Side.IN
        and (zone := rules.zones.get(visit.zone)) is not None
        and (dwell_s := zone.dwell_s) is not None
    ]
    return min(times, default=None)


def broken(state: State) -> State:
    """A hole in the chain: candidates are dropped, memberships wait for the next fix (DETECTION section 2)."""
    kept = tuple(
        replace(visit, phase=Side.IN, crossing=None, count=0, since_ms=0)
        for visit in state.visits
        if visit.phase is not Side.ENTERING
    )
    return replace(state, visits=kept)
