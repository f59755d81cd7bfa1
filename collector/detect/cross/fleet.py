"""Interference of an area: several units jump into one cell, or are jammed near one another (DETECTION section 7.5, `fleet`).

Law: a signal is judged once, in the order of event time, when every unit that is heard has come so far, or after ten minutes. One that comes
later is judged late and begins or joins what its time and place belong to.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from collector.detect import Hit, Phase, Signal, signal_in, signal_out, whole
from collector.detect.cross import OUTAGE_MS, WAIT_MS, Clocks, Told
from collector.detect.geo.measure import HALF_TURN_E7, RAD_OF_E7, distance_m, scale
from collector.detect.rules import Thresholds

JUMPED, JAMMED = "jumped", "jammed"
KINDS = (JUMPED, JAMMED)
QUIET_MS = 1_800_000  # so long without another one, and it is over
SIGNALS_MAX = 128  # waiting, and judged: of 100 bytes at most; the whole row stays below 48 KiB
FLEETS_MAX = 16  # running, or over and still known
UNITS_MAX = 16  # that one is named by; more join it uncounted
ROW_E7 = 45_000  # of the grid that names a cell: 500 m of latitude


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """One interference of an area, running or over."""

    kind: str
    start_ms: int
    lat_e7: int
    lon_e7: int
    last_ms: int
    units: tuple[str, ...]
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    waiting: tuple[Signal, ...] = ()  # by event time
    judged: tuple[Signal, ...] = ()  # that belong to no fleet, by event time
    fleets: tuple[Fleet, ...] = ()  # by their start


def hear(state: State, signals: Iterable[Signal]) -> State:
    """Signals of the tick, to be judged when it is time. Of too many the oldest are dropped."""
    fresh = [signal for signal in signals if signal.kind in KINDS]
    if not fresh:
        return state
    waiting = sorted((*state.waiting, *fresh), key=_order)
    return replace(state, waiting=tuple(waiting[-SIGNALS_MAX:]))


def judge(th: Thresholds, state: State, clocks: Clocks) -> tuple[State, tuple[Told, ...]]:
    """Time has passed."""
    running = [fleet for fleet in state.fleets if not fleet.over]
    if not state.waiting and not running:
        return state, ()
    slowest_ms = clocks.slowest_ms()
    due = [one.t_ms for one in state.waiting if one.t_ms <= slowest_ms or _waited(one, clocks)]
    told: list[Told] = []
    if due:
        through_ms = max(due)
        ready = [one for one in state.waiting if one.t_ms <= through_ms]
        state = replace(state, waiting=state.waiting[len(ready) :])
        for signal in ready:
            state = _take(th, state, signal, told)
        state = _pruned(state, clocks.now_ms)
    fleets = [_ended(fleet, slowest_ms, clocks.now_ms, told) for fleet in state.fleets]
    if any(one is not other for one, other in zip(fleets, state.fleets, strict=True)):
        state = replace(state, fleets=tuple(fleets))
    return state, tuple(told)


def pack(state: State) -> tuple[object, ...]:
    return (
        tuple(signal_out(signal) for signal in state.waiting),
        tuple(signal_out(signal) for signal in state.judged),
        tuple(
            (one.kind, one.start_ms, one.lat_e7, one.lon_e7, one.last_ms, one.units, int(one.over))
            for one in state.fleets
        ),
    )


def unpack(packed: list[list[list[object]]]) -> State:
    waiting, judged, fleets = packed
    return State(
        waiting=tuple(signal_in(signal) for signal in waiting),
        judged=tuple(signal_in(signal) for signal in judged),
        fleets=tuple(
            Fleet(
                kind=str(kind),
                start_ms=whole(start_ms),
                lat_e7=whole(lat_e7),
                lon_e7=whole(lon_e7),
                last_ms=whole(last_ms),
                units=_names(units),
                over=bool(over),
            )
            for kind, start_ms, lat_e7, lon_e7, last_ms, units, over in fleets
        ),
    )


def _take(th: Thresholds, state: State, signal: Signal, told: list[Told]) -> State:
    """One signal: it joins a fleet, makes one with others, or is kept for those that may follow."""
    for at, fleet in enumerate(state.fleets):
        if _joins(th, fleet, signal):
            joined = _joined(fleet, signal)
            return replace(state, fleets=(*state.fleets[:at], joined, *state.fleets[at + 1 :]))
    known = sorted((*state.judged, signal), key=_order)
    span_ms = _span_ms(th, signal.kind)
    for anchor in known:
        if anchor.kind != signal.kind or not 0 <= signal.t_ms - anchor.t_ms <= span_ms:
            continue
        members = [
            one
            for one in known
            if 0 <= one.t_ms - anchor.t_ms <= span_ms and _is_near(th, anchor, one)
        ]
        proved = _first_units(members, th.fleet_units)
        if signal in members and len(proved) >= th.fleet_units:
            return _begun(state, anchor, members, proved, known, told)
    return replace(state, judged=tuple(known[-SIGNALS_MAX:]))


def _begun(
    state: State,
    anchor: Signal,
    members: Sequence[Signal],
    proved: Sequence[Signal],
    known: Sequence[Signal],
    told: list[Told],
) -> State:
    fleet = Fleet(
        kind=anchor.kind,
        start_ms=anchor.t_ms,
        lat_e7=anchor.lat_e7,
        lon_e7=anchor.lon_e7,
        last_ms=members[-1].t_ms,
        units=tuple(sorted({one.unit for one in members}))[:UNITS_MAX],
    )
    received = [one.received_ms for one in proved if one.received_ms is not None]
    told.append(
        Told(
            unit="",
            hit=_hit(fleet, Phase.BEGIN, fleet.start_ms),
            confirmed_ms=proved[-1].t_ms,
            received_ms=max(received, default=None),
        )
    )
    fleets = sorted((*state.fleets, fleet), key=lambda one: (not one.over, one.last_ms))
    running = (one for one in fleets[:-FLEETS_MAX] if not one.over)
    told += [_end(one, one.last_ms) for one in running]  # nobody would ever end them
    return replace(
        state,
        judged=tuple(one for one in known if one not in members),
        fleets=tuple(sorted(fleets[-FLEETS_MAX:], key=lambda one: one.start_ms)),
    )


def _ended(fleet: Fleet, slowest_ms: int, now_ms: int, told: list[Told]) -> Fleet:
    """Over when nobody can bring another one in time, or nobody has in ten minutes more."""
    end_ms = fleet.last_ms + QUIET_MS
    if fleet.over or (slowest_ms < end_ms and now_ms < end_ms + WAIT_MS):
        return fleet
    told.append(_end(fleet, end_ms))
    return replace(fleet, over=True)


def _end(fleet: Fleet, end_ms: int) -> Told:
    hit = _hit(fleet, Phase.END, end_ms)
    return Told(unit="", hit=hit, confirmed_ms=end_ms, received_ms=None)


def _hit(fleet: Fleet, phase: Phase, at_ms: int) -> Hit:
    return Hit(
        code="GNSS_INTERFERENCE",
        at_ms=at_ms,
        origin_seq=0,
        subject=f"fleet {fleet.kind} {cell_of(fleet.lat_e7, fleet.lon_e7)} {fleet.start_ms}",
        phase=phase,
        n=0 if phase is Phase.BEGIN else 1,
        lat_e7=fleet.lat_e7,
        lon_e7=fleet.lon_e7,
        value="fleet",
        data={"by": fleet.kind, "units": list(fleet.units)},
    )


def cell_of(lat_e7: int, lon_e7: int) -> str:
    """The name of the cell of 500 m that holds a place."""
    row = lat_e7 // ROW_E7
    flat = max(1e-3, math.cos((row + 0.5) * ROW_E7 * RAD_OF_E7))
    return f"{row}:{lon_e7 // round(ROW_E7 / flat)}"


def _joins(th: Thresholds, fleet: Fleet, signal: Signal) -> bool:
    return (
        fleet.kind == signal.kind
        and fleet.start_ms - _span_ms(th, fleet.kind) <= signal.t_ms <= fleet.last_ms + QUIET_MS
        and _is_near(th, fleet, signal)
    )


def _joined(fleet: Fleet, signal: Signal) -> Fleet:
    """A fleet that is over grows no more: what came so late is part of it and changes nothing."""
    if fleet.over:
        return fleet
    units = tuple(sorted({*fleet.units, signal.unit}))
    return replace(
        fleet,
        last_ms=max(fleet.last_ms, signal.t_ms),
        units=units if len(units) <= UNITS_MAX else fleet.units,
    )


def _is_near(th: Thresholds, one: Signal | Fleet, other: Signal) -> bool:
    """In a cell together, or as near as a jammer reaches. A cell's size either way: no edge of a grid parts what lies side by side."""
    if one.kind != other.kind:
        return False
    if one.kind == JAMMED:
        away_m = distance_m(one.lon_e7, one.lat_e7, other.lon_e7, other.lat_e7)
        return away_m <= th.fleet_jam_m
    k_lon, k_lat = scale((one.lat_e7 + other.lat_e7) / 2)
    dx = abs(one.lon_e7 - other.lon_e7)
    dx = min(dx, 2 * HALF_TURN_E7 - dx)
    return max(dx * k_lon, abs(one.lat_e7 - other.lat_e7) * k_lat) <= th.fleet_cell_m


def _first_units(members: Sequence[Signal], most: int) -> list[Signal]:
    """The first signal of each unit, until there are so many units."""
    seen: dict[str, Signal] = {}
    for one in members:
        if len(seen) < most:
            seen.setdefault(one.unit, one)
    return list(seen.values())


def _span_ms(th: Thresholds, kind: str) -> int:
    return 1_000 * (th.fleet_s if kind == JUMPED else th.fleet_jam_s)


def _waited(signal: Signal, clocks: Clocks) -> bool:
    return signal.received_ms is not None and clocks.now_ms - signal.received_ms >= WAIT_MS


def _pruned(state: State, now_ms: int) -> State:
    return replace(
        state,
        judged=tuple(one for one in state.judged if now_ms - one.t_ms <= OUTAGE_MS),
        fleets=tuple(
            one for one in state.fleets if not one.over or now_ms - one.last_ms <= OUTAGE_MS
        ),
    )


def _order(signal: Signal) -> tuple[int, str, str, int, int]:
    return (signal.t_ms, signal.unit, signal.kind, signal.lat_e7, signal.lon_e7)


def _names(packed: object) -> tuple[str, ...]:
    assert isinstance(packed, list | tuple)
    return tuple(str(name) for name in packed)
