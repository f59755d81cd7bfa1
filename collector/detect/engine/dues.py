"""What of a unit's state the screens look at: when a time runs out, what is too fast, which rules were in force.

Law: nothing here is kept; it is asked of the state as it is now, whether it lies in a `UnitState` or in parts on a walk.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from collector.detect import interference, motion, seals, speed, zones
from collector.detect.engine import (
    NEVER_MS,
    MotionState,
    SealState,
    SkyState,
    SpeedState,
    StopState,
    ZoneState,
)
from collector.detect.geo import IntArray
from collector.detect.rules import Rulebook, Rules


class Parts(Protocol):
    """The parts of a unit's state that are looked at here."""

    @property
    def motion(self) -> MotionState: ...
    @property
    def zones(self) -> ZoneState: ...
    @property
    def stops(self) -> StopState: ...
    @property
    def speed(self) -> SpeedState: ...
    @property
    def seals(self) -> SealState: ...
    @property
    def sky(self) -> SkyState: ...


def limits_of(rules: Rules, known: Sequence[Parts]) -> IntArray:
    """What is too fast where each unit is."""
    road = speed.limit_cm_s(rules.thresholds, ())
    if not rules.slow:
        return np.full(len(known), road, np.int64)
    limits = [limit_cm_s(rules, parts.zones) if parts.zones.visits else road for parts in known]
    return np.array(limits, np.int64)


def limit_cm_s(rules: Rules, zoned: zones.State) -> int:
    """What is too fast where the unit is."""
    if not rules.slow or not zoned.visits:
        return speed.limit_cm_s(rules.thresholds, ())
    slow = zones.inside(zoned) & rules.slow
    return speed.limit_cm_s(rules.thresholds, [rules.zones[name] for name in slow])


def dues_of(rules: Rules, known: Sequence[Parts]) -> IntArray:
    """When the first time of each unit runs out that a fix would prove."""
    return np.array([due_of(rules, state) for state in known], np.int64)


def due_of(rules: Rules, state: Parts) -> int:
    moved, zoned, sealed = state.motion, state.zones, state.seals
    due_ms = state.stops.due_ms
    if moved.mode is motion.Mode.STANDING and not moved.stopped:
        due_ms = min(due_ms, motion.due_ms(rules.thresholds, moved) or NEVER_MS)
    if zoned.visits:
        due_ms = min(due_ms, zones.due_ms(rules, zoned) or NEVER_MS)
    if state.sky.runs:
        due_ms = min(due_ms, interference.due_ms(state.sky) or NEVER_MS)
    if sealed.seals:
        due_ms = min(due_ms, seals.due_ms(rules, sealed) or NEVER_MS)
    return due_ms


def named(book: Rulebook, version: tuple[int, int] | None) -> Rules | None:
    """The rules of a frame's version, if they are still in the book."""
    return next((old for old in book.versions if (old.version, old.valid_from_ms) == version), None)


def basis_of(book: Rulebook, version: tuple[int, int] | None, state: Parts) -> tuple[object, ...]:
    """What of a state the screens have looked at, but for the progress."""
    standing = state.motion.mode is motion.Mode.STANDING
    rules = named(book, version) or book.versions[0]
    return (
        state.motion.anchor if standing else None,
        due_of(rules, state),
        limit_cm_s(rules, state.zones),
        state.speed.running,
    )
