"""The gate: which fixes may confirm anything (DETECTION section 6).

Law: a raw fix is labelled, never moved, smoothed or deleted. Interference of section 7.5 comes with its own states beside this one.
"""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from collector.detect import Fix, Hit, Phase, Place
from collector.detect.geo import BoolArray, FloatArray, IntArray
from collector.detect.geo.measure import E7, HALF_TURN_E7, distance_m
from collector.detect.rules import Thresholds

ROLLOVER_MS = 619_315_200_000  # exactly 1,024 weeks
FOLLOWS_MS = 86_400_000  # so shortly behind the last good fix, once its weeks are added
NEAR_M = 5_000.0  # a misread place, read right, lies this near to the last good one
TELEPORT = "teleport"
WELL_FIXES = 3  # so many good ones in a row end a fault


class Label(Enum):
    """What became of a fix."""

    GOOD = "good"
    SAME_TIME = "same_time"  # not after the one before: in no segment, judged by nobody
    HELD = "held"
    FAULT = "fault"  # a misread place
    UNTRUSTED = "untrusted"  # of a time that cannot be
    NO_FIX = "no_fix"  # 0/0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A fix too far away to be believed alone."""

    place: Place
    speed_cm_s: int | None
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A DEVICE_FAULT or CLOCK_DRIFT that goes on."""

    code: str
    name: str
    seq: int
    well: int = 0  # good fixes since


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    held: tuple[Held, ...] = ()  # none: GOOD, else HELD
    faults: tuple[Fault, ...] = ()  # one of a code at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """What the gate let through, and what it found."""

    state: State
    label: Label
    released: tuple[Fix, ...]  # good ones, in order; several when the held are believed after all
    hits: tuple[Hit, ...] = ()


def quiet(state: State) -> bool:
    """Nothing held and no fault that good fixes would end."""
    return not state.held and not state.faults


def screen(
    rules: Thresholds,
    *,
    moved_m: FloatArray,
    dt_ms: IntArray,
    u_cm: IntArray,
    lat_e7: IntArray,
    lon_e7: IntArray,
    t_ms: IntArray,
    received_ms: IntArray,
) -> BoolArray:
    """Where the gate would do anything but let pass; a metre generous."""
    excess = moved_m - rules.jump_speed_m_s * dt_ms / 1_000 - u_cm / 100
    odd: BoolArray = (
        (dt_ms <= 0)
        | (excess > rules.jump_m - 1)
        | ((lat_e7 == 0) & (lon_e7 == 0))
        | (t_ms < rules.built_ms)
        | ((received_ms >= 0) & (t_ms > received_ms + rules.ahead_s_max * 1_000))
    )
    return np.asarray(odd)


def step(rules: Thresholds, state: State, fix: Fix, received_ms: int | None) -> Gated:
    """One fix through the gate."""
    place = fix.place
    if place.lat_e7 == 0 and place.lon_e7 == 0:
        return Gated(state=state, label=Label.NO_FIX, released=())
    if _rolled_over(rules, fix, received_ms):
        place = replace(place, t_ms=place.t_ms + ROLLOVER_MS)
        fix = replace(fix, place=place, rollover=True)
    if place.t_ms < rules.built_ms or _ahead(rules, place.t_ms, received_ms):
        state, hits = _fault(state, "CLOCK_DRIFT", "untrusted", place)
        return Gated(state=state, label=Label.UNTRUSTED, released=(), hits=hits)
    if fix.prev is None or fix.broken:
        return _pass(state, fix, ())
    if place.t_ms <= fix.prev.t_ms:
        return Gated(state=state, label=Label.SAME_TIME, released=())
    if not _jumps(rules, fix.prev, place):
        outliers = tuple(_outlier(held) for held in state.held)
        return _pass(replace(state, held=()), fix, outliers)
    name = _misread(fix.prev, place) if not state.held else None
    if name is not None:
        state, hits = _fault(state, "DEVICE_FAULT", name, place)
        return Gated(state=state, label=Label.FAULT, released=(), hits=hits)
    return _hold(rules, state, fix)


def pack(state: State) -> tuple[object, ...]:
    return (
        tuple((*_place_out(held.place), held.speed_cm_s, held.flags) for held in state.held),
        tuple((fault.code, fault.name, fault.seq, fault.well) for fault in state.faults),
    )


def unpack(packed: list[list[list[int]]]) -> State:
    held, faults = packed
    return State(
        held=tuple(
            Held(
                place=Place(seq=seq, t_ms=t_ms, lat_e7=lat, lon_e7=lon, u_cm=u_cm),
                speed_cm_s=speed,
                flags=flags,
            )
            for seq, t_ms, lat, lon, u_cm, speed, flags in held
        ),
        faults=tuple(
            Fault(code=str(code), name=str(name), seq=seq, well=well)
            for code, name, seq, well in faults
        ),
    )


def _place_out(place: Place) -> tuple[int, ...]:
    return (place.seq, place.t_ms, place.lat_e7, place.lon_e7, place.u_cm)


def _pass(state: State, fix: Fix, hits: tuple[Hit, ...]) -> Gated:
    ended: list[Hit] = []
    going: list[Fault] = []
    for fault in state.faults:
        if fault.well + 1 < WELL_FIXES:
            going.append(replace(fault, well=fault.well + 1))
        else:
            ended.append(_fault_hit(fault, fix.place, Phase.END, 1))
    return Gated(
        state=State(held=() if fix.broken else state.held, faults=tuple(going)),
        label=Label.GOOD,
        released=(fix,),
        hits=(*hits, *ended),
    )


def _hold(rules: Thresholds, state: State, fix: Fix) -> Gated:
    """The newest of up to three that stand against the last good one."""
    hits: list[Hit] = []
    waiting = list(state.held)
    while waiting and fix.place.t_ms - waiting[0].place.t_ms > rules.held_s_max * 1_000:
        hits.append(_outlier(waiting.pop(0)))
    if waiting and fix.place.t_ms <= waiting[-1].place.t_ms:
        return Gated(
            state=replace(state, held=tuple(waiting)),
            label=Label.SAME_TIME,
            released=(),
            hits=tuple(hits),
        )
    waiting.append(Held(place=fix.place, speed_cm_s=fix.speed_cm_s, flags=fix.flags))
    if len(waiting) < rules.held_fixes_max:
        return Gated(
            state=replace(state, held=tuple(waiting)),
            label=Label.HELD,
            released=(),
            hits=tuple(hits),
        )
    agree = all(
        not _jumps(rules, one.place, other.place)
        for at, one in enumerate(waiting)
        for other in waiting[at + 1 :]
    )
    if not agree:
        hits.append(_outlier(waiting.pop(0)))
        return Gated(
            state=replace(state, held=tuple(waiting)),
            label=Label.HELD,
            released=(),
            hits=tuple(hits),
        )
    assert fix.prev is not None
    first, prev = waiting[0].place, fix.prev
    hits.append(
        Hit(
            code="GNSS_INTERFERENCE",
            at_ms=first.t_ms,
            origin_seq=first.seq,
            subject=TELEPORT,
            lat_e7=first.lat_e7,
            lon_e7=first.lon_e7,
            value=TELEPORT,
            data={
                "jumped_m": round(distance_m(prev.lon_e7, prev.lat_e7, first.lon_e7, first.lat_e7))
            },
        )
    )
    released: list[Fix] = []
    for held in waiting:
        released.append(
            Fix(
                place=held.place,
                speed_cm_s=held.speed_cm_s,
                flags=held.flags,
                prev=prev,
                broken=not released,
            )
        )
        prev = held.place
    return Gated(
        state=replace(state, held=()),
        label=Label.GOOD,
        released=tuple(released),
        hits=tuple(hits),
    )


def _jumps(rules: Thresholds, before: Place, after: Place) -> bool:
    moved_m = distance_m(before.lon_e7, before.lat_e7, after.lon_e7, after.lat_e7)
    dt_s = (after.t_ms - before.t_ms) / 1_000
    return moved_m - rules.jump_speed_m_s * dt_s - after.u_m > rules.jump_m


def _rolled_over(rules: Thresholds, fix: Fix, received_ms: int | None) -> bool:
    """Whether 1,024 weeks more make a date of it that can be: one after the build, or one that follows the fix before it."""
    t_ms, later_ms = fix.place.t_ms, fix.place.t_ms + ROLLOVER_MS
    if _ahead(rules, later_ms, received_ms):
        return False
    follows = fix.prev is not None and 0 < later_ms - fix.prev.t_ms <= FOLLOWS_MS
    return follows or t_ms < rules.built_ms <= later_ms


def _misread(before: Place, after: Place) -> str | None:
    """The mistake that would explain the place, if undoing it brings it near. What is near as it is needs no explanation."""
    lat, lon = after.lat_e7, after.lon_e7
    if distance_m(before.lon_e7, before.lat_e7, lon, lat) <= NEAR_M:
        return None
    tries = {
        "swapped": (lon, lat),
        "sign_lat": (-lat, lon),
        "sign_lon": (lat, -lon),
        "sign_both": (-lat, -lon),
        "ddmm": (_from_ddmm(lat), _from_ddmm(lon)),
    }
    for name, (lat_e7, lon_e7) in tries.items():
        possible = abs(lat_e7) <= HALF_TURN_E7 // 2 and abs(lon_e7) <= HALF_TURN_E7
        if possible and distance_m(before.lon_e7, before.lat_e7, lon_e7, lat_e7) <= NEAR_M:
            return name
    return None


def _from_ddmm(read_e7: int) -> int:
    """What 41.18666 meant if it was 41 degrees 18.666 minutes."""
    sign = -1 if read_e7 < 0 else 1
    degrees, minutes = divmod(abs(read_e7), E7)
    return sign * (degrees * E7 + round(minutes * 100 / 60))


def _ahead(rules: Thresholds, t_ms: int, received_ms: int | None) -> bool:
    return received_ms is not None and t_ms > received_ms + rules.ahead_s_max * 1_000


def _outlier(held: Held) -> Hit:
    return Hit(
        code="FIX_OUTLIER",
        at_ms=held.place.t_ms,
        origin_seq=held.place.seq,
        lat_e7=held.place.lat_e7,
        lon_e7=held.place.lon_e7,
    )


def _fault(state: State, code: str, name: str, place: Place) -> tuple[State, tuple[Hit, ...]]:
    """A fault once a run of it: begins here, ends after three good fixes."""
    running = next((fault for fault in state.faults if fault.code == code), None)
    others = tuple(fault for fault in state.faults if fault.code != code)
    if running is not None:
        return replace(state, faults=(*others, replace(running, well=0))), ()
    fault = Fault(code=code, name=name, seq=place.seq)
    return replace(state, faults=(*others, fault)), (_fault_hit(fault, place, Phase.BEGIN, 0),)


def _fault_hit(fault: Fault, place: Place, phase: Phase, n: int) -> Hit:
    return Hit(
        code=fault.code,
        at_ms=place.t_ms,
        origin_seq=fault.seq,
        subject=fault.name,
        phase=phase,
        n=n,
        lat_e7=place.lat_e7,
        lon_e7=place.lon_e7,
        value=fault.name,
    )
