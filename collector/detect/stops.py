"""What a stop means: unplanned, in a place to hand over, or longer than its place allows (DETECTION section 7.3).

Law: that a unit stands is said by others; here only time, place and journey decide. Nothing is said of a unit that is not on the road.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from collector.detect import Fix, Hit, Phase, Place, Priority, place_in, place_out, whole
from collector.detect.geo import RouteLine, Zone
from collector.detect.rules import Journey, Rules

ALLOWED_KINDS = ("border_post", "inland_post", "stop", "plant")  # made for standing in
TRANSFER = "transfer"  # where cargo changes lorries: a stop is news at once
NEVER_MS = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    since: Place | None = None  # the stop that is watched, or was last
    goes_on: bool = False
    unplanned: int = 0  # 0: not said; 3, 2: said with that priority and running
    unplanned_n: int = 0
    overstay: str | None = None  # the zone of a running STOP_OVERSTAY
    overstay_n: int = 0
    due_ms: int = NEVER_MS  # when time alone would say more, proved by the next fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a stop must not look up."""

    rules: Rules
    stop: Place | None  # where the stop began that goes on
    left_ms: int | None  # when the last one ended
    inside: frozenset[str]
    line: RouteLine | None
    journey: Journey | None


def step(around: Around, state: State, fix: Fix) -> tuple[State, tuple[Hit, ...]]:
    """One good fix of a unit that stands, has just begun to or has just gone on."""
    stop = around.stop
    if stop is None:
        return _ended(around, state) if state.goes_on else (state, ())
    if state.since is None or state.since.seq != stop.seq:
        state = State(since=stop, goes_on=True)
    elif not state.goes_on:
        state = replace(state, goes_on=True)
    return _stands(around, state, stop, fix.place.t_ms)


def pack(state: State) -> tuple[object, ...]:
    return (
        place_out(state.since),
        int(state.goes_on),
        state.unplanned,
        state.unplanned_n,
        state.overstay,
        state.overstay_n,
        state.due_ms,
    )


def unpack(packed: list[object]) -> State:
    since, goes_on, unplanned, unplanned_n, overstay, overstay_n, due_ms = packed
    return State(
        since=place_in(since),
        goes_on=bool(goes_on),
        unplanned=whole(unplanned),
        unplanned_n=whole(unplanned_n),
        overstay=None if overstay is None else str(overstay),
        overstay_n=whole(overstay_n),
        due_ms=whole(due_ms),
    )


def _stands(
    around: Around, state: State, stop: Place, now_ms: int
) -> tuple[State, tuple[Hit, ...]]:
    hits: list[Hit] = []
    stood_ms = now_ms - stop.t_ms
    th = around.rules.thresholds
    dues: list[int] = []
    zones = [
        zone for name in sorted(around.inside) if (zone := around.rules.zones.get(name)) is not None
    ]
    priority = _unplanned(around, zones, stood_ms)
    if priority is None:
        if state.unplanned:  # its zone was drawn round it, or its journey has ended
            state = _tell_unplanned(hits, state, stop, now_ms, None)
        elif _on_the_road(around) and not _is_allowed(around, zones):
            dues.append(stop.t_ms + th.stop_alert_s * 1_000)
    elif state.unplanned == 0 or int(priority.value[1]) < state.unplanned:
        state = _tell_unplanned(hits, state, stop, now_ms, priority)
    if state.unplanned == 3:
        dues.append(stop.t_ms + th.stop_alert_p2_s * 1_000)
    over = _overstayed(around, zones, stood_ms)
    if state.overstay is not None and over is None:
        state = _tell_overstay(hits, state, stop, now_ms, None)
    elif state.overstay is None and over is not None:
        state = _tell_overstay(hits, state, stop, now_ms, over)
    if state.overstay is None and _on_the_road(around):
        dues += [stop.t_ms + zone.stop_s_max * 1_000 for zone in zones if _allows(around, zone)]
    due_ms = min((due for due in dues if due > now_ms), default=NEVER_MS)
    return replace(state, due_ms=due_ms), tuple(hits)


def _ended(around: Around, state: State) -> tuple[State, tuple[Hit, ...]]:
    hits: list[Hit] = []
    stop, left_ms = state.since, around.left_ms
    assert stop is not None
    assert left_ms is not None
    if state.unplanned:
        state = _tell_unplanned(hits, state, stop, left_ms, None)
    if state.overstay is not None:
        state = _tell_overstay(hits, state, stop, left_ms, None)
    return replace(state, goes_on=False, due_ms=NEVER_MS), tuple(hits)


def _unplanned(around: Around, zones: Iterable[Zone], stood_ms: int) -> Priority | None:
    """How bad the stop is by now; None if it is nobody's business (yet)."""
    some, th = list(zones), around.rules.thresholds
    if not _on_the_road(around):
        return None
    if any(zone.kind == TRANSFER for zone in some):
        return Priority.P2
    if _is_allowed(around, some) or stood_ms < th.stop_alert_s * 1_000:
        return None
    return Priority.P2 if stood_ms >= th.stop_alert_p2_s * 1_000 else Priority.P3


def _overstayed(around: Around, zones: Iterable[Zone], stood_ms: int) -> Zone | None:
    if not _on_the_road(around):
        return None
    over = [zone for zone in zones if _allows(around, zone) and stood_ms >= zone.stop_s_max * 1_000]
    return min(over, key=lambda zone: (zone.stop_s_max, zone.id), default=None)


def _on_the_road(around: Around) -> bool:
    return around.journey is not None and around.journey.in_transit


def _is_allowed(around: Around, zones: Iterable[Zone]) -> bool:
    return any(_allows(around, zone) for zone in zones)


def _allows(around: Around, zone: Zone) -> bool:
    line = around.line
    if line is not None and (zone.id in (line.begins, line.ends) or zone.id in line.stops):
        return True
    return zone.kind in ALLOWED_KINDS


def _tell_unplanned(
    hits: list[Hit], state: State, stop: Place, at_ms: int, priority: Priority | None
) -> State:
    """Begin, change for the worse, or (None) end."""
    running = Phase.CHANGE if state.unplanned else Phase.BEGIN
    phase = Phase.END if priority is None else running
    hits.append(
        Hit(
            code="UNSCHEDULED_STOP",
            at_ms=stop.t_ms if phase is Phase.BEGIN else at_ms,
            origin_seq=stop.seq,
            phase=phase,
            n=state.unplanned_n,
            priority=priority,
            lat_e7=stop.lat_e7,
            lon_e7=stop.lon_e7,
            value=(at_ms - stop.t_ms) / 1_000,
        )
    )
    level = 0 if priority is None else int(priority.value[1])
    return replace(state, unplanned=level, unplanned_n=state.unplanned_n + 1)


def _tell_overstay(
    hits: list[Hit], state: State, stop: Place, at_ms: int, zone: Zone | None
) -> State:
    hits.append(
        Hit(
            code="STOP_OVERSTAY",
            at_ms=at_ms if zone is None else stop.t_ms + zone.stop_s_max * 1_000,
            origin_seq=stop.seq,
            phase=Phase.END if zone is None else Phase.BEGIN,
            n=state.overstay_n,
            lat_e7=stop.lat_e7,
            lon_e7=stop.lon_e7,
            zone=state.overstay if zone is None else zone.id,
            value=(at_ms - stop.t_ms) / 1_000,
        )
    )
    name = None if zone is None else zone.id
    return replace(state, overstay=name, overstay_n=state.overstay_n + 1)
