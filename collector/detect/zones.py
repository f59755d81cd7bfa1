"""Entered, left, passed, perhaps visited (DETECTION section 7.1).

Law: a crossing is told at once, a transition when a second fix or a deep one proves it, at the time of the crossing. Membership
changes at a boundary, after a gap or with a new version, and nowhere else: so a row that meets no edge is dull.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum

from collector.detect import Fix, Hit, Phase, Place, stamp
from collector.detect.geo import Zone
from collector.detect.geo.index import ZoneIndex, box_around
from collector.detect.geo.measure import distance_m, to_edges_m
from collector.detect.geo.passing import (
    REACH_M,
    Met,
    Span,
    Way,
    depth_m,
    detour_m,
    edge_m,
    holds,
    spans_inside,
    straight,
    zones_met,
)
from collector.detect.rules import Rules, Thresholds

VISITS_MAX = 64  # memberships and candidates of a unit (DETECTION section 10)
VISIT_BYTES_MAX = (
    2_400  # of their ids and numbers in the blob of 4 KiB, beside which all else must fit
)
POSSIBLE_MAX = 16  # zones that one gap may have touched: the nearest
POSSIBLE_M_S = 27.8
CHANGED_FEW = 32  # boxes are looked at in the time in which the index is asked once


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


@dataclass(slots=True, kw_only=True)
class _Work:
    """One fix while it is judged: what stays the same for every zone, and what has been found."""

    rules: Rules
    index: ZoneIndex
    fix: Fix
    standing: bool
    way: Way | None = None
    by_route: bool = False
    hits: list[Hit] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    held: dict[str, bool] = field(default_factory=dict)
    crossed: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def th(self) -> Thresholds:
        return self.rules.thresholds

    def holds(self, zone: Zone) -> bool:
        """Whether the zone holds the fix."""
        if zone.id not in self.held:
            self.held[zone.id] = holds(zone, self.fix.place.lon_e7, self.fix.place.lat_e7)
        return self.held[zone.id]

    def tell(
        self,
        code: str,
        zone: str,
        *,
        at_ms: int,
        seq: int,
        at: tuple[int, int] | None = None,
        phase: Phase = Phase.POINT,
        value: str | float | None = None,
        n: int = 0,
        data: dict[str, object] | None = None,
    ) -> None:
        """A finding; ZONE_CROSSED of the same zone at the same fix are numbered."""
        if code == "ZONE_CROSSED":
            n = self.told.get(zone, 0)
            self.told[zone] = n + 1
        lat_e7, lon_e7 = at if at is not None else (None, None)
        self.hits.append(
            Hit(
                code=code,
                at_ms=at_ms,
                origin_seq=seq,
                subject=zone,
                phase=phase,
                n=n,
                lat_e7=lat_e7,
                lon_e7=lon_e7,
                zone=zone,
                value=value,
                data=data or {},
            )
        )


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


def is_gap(th: Thresholds, fix: Fix) -> bool:
    """Too long a time to claim where the unit was in between."""
    return fix.broken or fix.dt_ms > max(th.gap_s, 3 * th.interval_s) * 1_000


def step(
    rules: Rules,
    state: State,
    fix: Fix,
    *,
    unit: str,
    standing: bool,
    route_way: Way | None = None,
    changed: frozenset[str] | None = None,
    untouched: bool = False,
) -> Stepped:
    """One good fix against all zones.

    `untouched`: it is known that the straight way from the last fix meets no edge. `route_way`: the way along the unit's route since the last fix, where it was on it at both ends. `changed`: this is the first
    fix under a new version, which differs from the unit's last one in these zones; None: the version is as before.
    """
    index = rules.index
    work = _Work(rules=rules, index=index, fix=fix, standing=standing)
    if changed is not None:
        state = _redefine(work, state, unit, changed)
    if fix.prev is None:
        return _first(work, state, unit)
    place, prev = fix.place, fix.prev
    if route_way is not None and not fix.broken:
        work.way, work.by_route = route_way, True
    elif not is_gap(work.th, fix):
        work.way = straight((prev.lon_e7, prev.lat_e7), (place.lon_e7, place.lat_e7))
    asked = work.way if work.by_route or not untouched else None
    visits = {visit.zone: visit for visit in state.visits}
    strayed = {one.zone: one for one in state.strayed}
    met = {} if asked is None else zones_met(index, asked)
    for number in _concerned(work, unit, visits, met, changed):
        zone = index.zones[number]
        visit = visits.pop(zone.id, None)
        if work.way is None:
            visit = _after_gap(work, zone, visit)
        elif number in met:
            visit = _along(work, number, zone, visit, work.way, met[number])
        visit = _at_fix(work, number, zone, visit, strayed)
        if visit is not None:
            visits[zone.id] = visit
    if work.way is None and not standing and not fix.broken:
        _possible(work, unit, visits)
    state = State(
        visits=_bounded(work, visits),
        strayed=tuple(strayed[name] for name in sorted(strayed)),
    )
    # at one instant what is left is left before what is entered
    work.hits.sort(key=lambda hit: (hit.at_ms, not _leaves(hit)))
    return Stepped(state=state, hits=tuple(work.hits))


def _leaves(hit: Hit) -> bool:
    return hit.code == "ZONE_EXITED" or (hit.code == "ZONE_CROSSED" and hit.value == "out")


def pack(state: State) -> tuple[object, ...]:
    return (
        tuple(_visit_out(visit) for visit in state.visits),
        tuple((one.zone, one.seq, one.n) for one in state.strayed),
    )


def unpack(packed: list[list[list[object]]]) -> State:
    visits, strayed = packed
    return State(
        visits=tuple(_visit_in(row) for row in visits),
        strayed=tuple(
            Strayed(zone=str(zone), seq=_int(seq), n=_int(n)) for zone, seq, n in strayed
        ),
    )


def _visit_out(visit: Visit) -> tuple[object, ...]:
    crossing = visit.crossing
    return (
        visit.zone,
        visit.mark,
        int(visit.phase)
        | visit.dwelt << 2
        | visit.found << 3
        | visit.by_route << 4
        | visit.pending << 5,
        visit.entered_ms,
        visit.seq,
        visit.n,
        visit.unseen_s,
        visit.alert_seq,
        None
        if crossing is None
        else (
            crossing.at_ms,
            crossing.before_ms,
            crossing.after_ms,
            crossing.seq,
            crossing.lat_e7,
            crossing.lon_e7,
            crossing.n,
            visit.count,
            visit.since_ms,
        ),
    )


def _visit_in(row: list[object]) -> Visit:
    zone, mark, bits, entered_ms, seq, visit_n, unseen_s, alert_seq, candidate = row
    bits = _int(bits)
    count = since_ms = 0
    crossing = None
    if candidate is not None:
        assert isinstance(candidate, list)
        at_ms, before_ms, after_ms, at_seq, lat_e7, lon_e7, n, count, since_ms = candidate
        crossing = Crossing(
            at_ms=at_ms,
            before_ms=before_ms,
            after_ms=after_ms,
            seq=at_seq,
            lat_e7=lat_e7,
            lon_e7=lon_e7,
            n=n,
        )
    return Visit(
        zone=str(zone),
        mark=_int(mark),
        phase=Side(bits & 3),
        entered_ms=_int(entered_ms),
        seq=_int(seq),
        crossing=crossing,
        count=count,
        since_ms=since_ms,
        n=_int(visit_n),
        unseen_s=_int(unseen_s),
        dwelt=bool(bits & 4),
        found=bool(bits & 8),
        alert_seq=None if alert_seq is None else _int(alert_seq),
        by_route=bool(bits & 16),
        pending=bool(bits & 32),
    )


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _first(work: _Work, state: State, unit: str) -> Stepped:
    """The first fix ever: what holds it is found, not entered."""
    place = work.fix.place
    visits = {visit.zone: visit for visit in state.visits}
    for number in work.index.holding(place.lon_e7, place.lat_e7):
        zone = work.index.zones[number]
        if zone.unit in (None, unit) and zone.id not in visits:
            visits[zone.id] = _found(work, zone)
    return Stepped(state=replace(state, visits=_bounded(work, visits)), hits=tuple(work.hits))


def _found(work: _Work, zone: Zone) -> Visit:
    place = work.fix.place
    work.tell(
        "ZONE_FOUND_INSIDE",
        zone.id,
        at_ms=place.t_ms,
        seq=place.seq,
        at=(place.lat_e7, place.lon_e7),
    )
    return Visit(
        zone=zone.id,
        mark=zone.mark,
        phase=Side.IN,
        entered_ms=place.t_ms,
        seq=place.seq,
        found=True,
        pending=zone.kind == "forbidden",
    )


def _redefine(work: _Work, state: State, unit: str, changed: frozenset[str]) -> State:
    """A new version: membership in what changed is set anew, without entering or leaving (DETECTION section 3)."""
    place = work.fix.place
    zones = work.rules.zones
    visits = {visit.zone: visit for visit in state.visits}
    if len(changed) > CHANGED_FEW:  # a thousand zones are not looked at one by one
        changed &= {work.index.zones[at].id for at in work.index.holding(*_xy(place))}
    for name in sorted(changed | visits.keys()):
        zone, visit = zones.get(name), visits.get(name)
        if zone is not None and visit is not None and zone.mark == visit.mark:
            continue
        concerned = zone is not None and zone.unit in (None, unit)
        now = concerned and zone is not None and holds(zone, *_xy(place))
        if visit is None and not now:
            continue
        visits.pop(name, None)
        at = (place.lat_e7, place.lon_e7)
        work.tell(
            "ZONE_REDEFINED",
            name,
            at_ms=place.t_ms,
            seq=place.seq,
            at=at,
            value="inside" if now else "outside",
        )
        alert_seq = None if visit is None else visit.alert_seq
        if alert_seq is not None and not (now and zone is not None and zone.kind == "forbidden"):
            work.tell(
                "FORBIDDEN_ZONE",
                name,
                at_ms=place.t_ms,
                seq=alert_seq,
                at=at,
                phase=Phase.END,
                n=1 if visit is None else 2 * visit.n + 1,
                value="redefined",
            )
            alert_seq = None
        if now and zone is not None:
            kept = Visit(
                zone=name,
                mark=zone.mark,
                phase=Side.IN,
                entered_ms=place.t_ms if visit is None else visit.entered_ms,
                seq=place.seq if visit is None else visit.seq,
                found=True,
                n=0 if visit is None else visit.n,
                alert_seq=alert_seq,
            )
            if zone.kind == "forbidden" and alert_seq is None:
                kept = _alert(work, kept, place, "found_inside")
            visits[name] = kept
    return replace(state, visits=tuple(visits[name] for name in sorted(visits)))


def _xy(place: Place) -> tuple[int, int]:
    return place.lon_e7, place.lat_e7


def _concerned(
    work: _Work,
    unit: str,
    visits: dict[str, Visit],
    met: Iterable[int],
    changed: frozenset[str] | None,
) -> list[int]:
    """Numbers of the zones that this fix may change: met, held open, or (after a gap) holding it."""
    numbers = set(met)
    rules, place = work.rules, work.fix.place
    if work.way is None:
        numbers.update(work.index.holding(place.lon_e7, place.lat_e7))
    for name in visits:
        number = rules.numbers.get(name)
        if number is not None:
            numbers.add(number)
    zones = work.index.zones
    return sorted(
        number
        for number in numbers
        if zones[number].unit in (None, unit)
        # what changed under the unit has just been set anew by this very fix
        and (changed is None or zones[number].id not in changed)
    )


def _along(
    work: _Work, number: int, zone: Zone, visit: Visit | None, way: Way, met: Met
) -> Visit | None:
    """The crossings of the way, in their order."""
    spans = spans_inside(zone, way, met)
    for position, (least, most) in enumerate(spans):
        comes_in = least > 0.0
        goes_out = most < 1.0
        if comes_in:
            visit = _comes_in(work, number, zone, visit, (least, most), goes_out=goes_out)
        elif visit is None:
            # A lies on the boundary or was taken for outside while standing: it comes in where it is
            visit = _comes_in(work, number, zone, visit, (0.0, most), goes_out=goes_out)
        if goes_out and visit is not None:
            last = position == len(spans) - 1
            visit = _goes_out(work, zone, visit, most, last=last)
    return visit


def _comes_in(
    work: _Work, number: int, zone: Zone, visit: Visit | None, span: Span, *, goes_out: bool
) -> Visit | None:
    crossing = _crossing(work, span[0], zone, "in")
    if visit is None and goes_out:
        _pass(work, number, zone, span, crossing)
        return None
    if visit is None:
        if not work.standing:
            _cross(work, zone, crossing, "in")
        return Visit(
            zone=zone.id,
            mark=zone.mark,
            phase=Side.ENTERING,
            entered_ms=crossing.at_ms,
            seq=crossing.seq,
            n=crossing.n,
            crossing=crossing,
            by_route=work.by_route,
        )
    if visit.phase is Side.LEAVING:
        if not work.standing:
            _cross(work, zone, crossing, "in")
        return _back_in(visit)
    return visit


def _goes_out(work: _Work, zone: Zone, visit: Visit, share: float, *, last: bool) -> Visit:
    if visit.phase is not Side.IN:
        return visit  # ENTERING is settled by where the fix lies
    if last and work.holds(zone):
        return visit
    crossing = _crossing(work, share, zone, "out")
    if not work.standing:
        _cross(work, zone, crossing, "out")
    return replace(visit, phase=Side.LEAVING, crossing=crossing, count=0, since_ms=0)


def _pass(work: _Work, number: int, zone: Zone, span: Span, crossing: Crossing) -> None:
    """In and out between two fixes: a visit if it was deep enough for its length."""
    assert work.way is not None
    if work.standing:
        return
    th, place = work.th, work.fix.place
    depth = depth_m(work.index, number, work.way, span)
    needed = max(place.u_m, th.enter_depth_m) + th.chord_share * work.way.length_m
    out = _crossing(work, span[1], zone, "out")
    data: dict[str, object] = {**_around(crossing), "depth_m": round(depth, 1)}
    if place.sharp and (
        (work.by_route and depth >= th.by_route_depth_m) or depth >= min(needed, REACH_M)
    ):
        data["passed"] = True
        if work.by_route:
            data["by_route"] = True
        at_in, at_out = (crossing.lat_e7, crossing.lon_e7), (out.lat_e7, out.lon_e7)
        for code, when, at in (("ZONE_ENTERED", crossing, at_in), ("ZONE_EXITED", out, at_out)):
            work.tell(code, zone.id, at_ms=when.at_ms, seq=when.seq, n=when.n, at=at, data=data)
        if zone.kind == "forbidden":
            for phase, n, at_ms, at in (
                (Phase.BEGIN, 2 * crossing.n, crossing.at_ms, at_in),
                (Phase.END, 2 * crossing.n + 1, out.at_ms, at_out),
            ):
                work.tell(
                    "FORBIDDEN_ZONE",
                    zone.id,
                    at_ms=at_ms,
                    seq=crossing.seq,
                    at=at,
                    phase=phase,
                    n=n,
                    value="passed",
                )
        return
    work.tell(
        "ZONE_POSSIBLE_VISIT",
        zone.id,
        at_ms=crossing.at_ms,
        seq=crossing.seq,
        n=crossing.n,
        at=(crossing.lat_e7, crossing.lon_e7),
        value=round(depth, 1),
        data=_around(crossing),
    )


def _after_gap(work: _Work, zone: Zone, visit: Visit | None) -> Visit | None:
    """No crossing is claimed: on the other side, t_x is the middle of the gap."""
    place, prev = work.fix.place, work.fix.prev
    assert prev is not None
    now = work.holds(zone)
    middle = Crossing(
        at_ms=(prev.t_ms + place.t_ms) // 2,
        before_ms=prev.t_ms,
        after_ms=place.t_ms,
        seq=place.seq,
        lat_e7=(prev.lat_e7 + place.lat_e7) // 2,
        lon_e7=(prev.lon_e7 + place.lon_e7) // 2,
    )
    if visit is None:
        if not now:
            return None
        return Visit(
            zone=zone.id,
            mark=zone.mark,
            phase=Side.ENTERING,
            entered_ms=middle.at_ms,
            seq=place.seq,
            crossing=middle,
        )
    if visit.phase is Side.IN:
        if now:
            unseen_s = visit.unseen_s + max(0, place.t_ms - prev.t_ms) // 1_000
            return replace(visit, unseen_s=unseen_s)
        return replace(visit, phase=Side.LEAVING, crossing=middle, count=0, since_ms=0)
    if visit.phase is Side.LEAVING and now:
        return _back_in(visit)
    return visit


def _at_fix(
    work: _Work, number: int, zone: Zone, visit: Visit | None, strayed: dict[str, Strayed]
) -> Visit | None:
    """What the fix itself proves."""
    if visit is None:
        return None
    match visit.phase:
        case Side.ENTERING:
            return _entering(work, number, zone, visit, strayed, now=work.holds(zone))
        case Side.LEAVING:
            return _leaving(work, number, zone, visit, strayed)
        case Side.IN:
            return _within(work, zone, visit)


def _entering(
    work: _Work,
    number: int,
    zone: Zone,
    visit: Visit,
    strayed: dict[str, Strayed],
    *,
    now: bool,
) -> Visit | None:
    place, crossing = work.fix.place, visit.crossing
    assert crossing is not None
    if not now:
        if not work.standing:
            _doubt(work, zone, crossing)
        return None
    if work.standing or not place.sharp:
        return visit
    count = visit.count + 1
    deep_m = max(place.u_m, work.th.enter_depth_m)
    by_route = visit.by_route and work.by_route
    proved = (
        count >= work.th.enter_fixes
        or by_route
        or edge_m(work.index, number, place.lon_e7, place.lat_e7) >= deep_m
    )
    if not proved:
        return replace(visit, count=count)
    data = _around(crossing)
    if by_route:
        data["by_route"] = True
    work.tell(
        "ZONE_ENTERED",
        zone.id,
        at_ms=crossing.at_ms,
        seq=crossing.seq,
        n=crossing.n,
        at=(crossing.lat_e7, crossing.lon_e7),
        data=data,
    )
    back = strayed.pop(zone.id, None)
    if back is not None:
        _tell_strayed(work, back, crossing, Phase.END)
    visit = replace(visit, phase=Side.IN, crossing=None, count=0, since_ms=0, by_route=False)
    if zone.kind == "forbidden":
        at = Place(
            seq=crossing.seq,
            t_ms=crossing.at_ms,
            lat_e7=crossing.lat_e7,
            lon_e7=crossing.lon_e7,
            u_cm=0,
        )
        visit = _alert(work, visit, at, "entered")
    return visit


def _doubt(work: _Work, zone: Zone, crossing: Crossing) -> None:
    """One fix inside, the next outside: perhaps a visit."""
    work.tell(
        "ZONE_POSSIBLE_VISIT",
        zone.id,
        at_ms=crossing.at_ms,
        seq=crossing.seq,
        n=crossing.n,
        at=(crossing.lat_e7, crossing.lon_e7),
        data=_around(crossing),
    )


def _leaving(
    work: _Work, number: int, zone: Zone, visit: Visit, strayed: dict[str, Strayed]
) -> Visit | None:
    place, crossing, th = work.fix.place, visit.crossing, work.th
    assert crossing is not None
    if work.standing or not place.sharp:
        return visit
    away_m = edge_m(work.index, number, place.lon_e7, place.lat_e7)
    if away_m < max(th.exit_m, 2 * place.u_m):
        return replace(visit, count=0, since_ms=0)
    since_ms = visit.since_ms if visit.count else place.t_ms
    count = min(visit.count + 1, th.exit_fixes)
    beyond_s = (place.t_ms - since_ms) / 1_000
    proved = (
        away_m >= th.exit_far_m
        or (count >= th.exit_fixes and beyond_s >= th.exit_s)
        or (count >= th.exit_fixes - 1 and beyond_s >= 2 * th.exit_s)
    )
    if not proved:
        return replace(visit, count=count, since_ms=since_ms)
    data = _around(crossing)
    if visit.unseen_s:
        data["unseen_s"] = visit.unseen_s
    at = (crossing.lat_e7, crossing.lon_e7)
    work.tell(
        "ZONE_EXITED",
        zone.id,
        at_ms=crossing.at_ms,
        seq=crossing.seq,
        n=crossing.n,
        at=at,
        data=data,
    )
    if visit.alert_seq is not None:
        work.tell(
            "FORBIDDEN_ZONE",
            zone.id,
            at_ms=crossing.at_ms,
            seq=visit.alert_seq,
            at=at,
            phase=Phase.END,
            n=2 * visit.n + 1,
            value="exited",
        )
    if zone.kind == "territory" and not _post_near(work, crossing):
        strayed[zone.id] = Strayed(zone=zone.id, seq=crossing.seq, n=2 * crossing.n)
        _tell_strayed(work, strayed[zone.id], crossing, Phase.BEGIN)
    return None


def _within(work: _Work, zone: Zone, visit: Visit) -> Visit:
    place = work.fix.place
    if visit.pending and place.seq != visit.seq:  # the second fix inside
        visit = replace(_alert(work, visit, place, "found_inside"), pending=False)
    due = zone.dwell_s is not None and place.t_ms - visit.entered_ms >= zone.dwell_s * 1_000
    if due and not visit.dwelt:
        work.tell(
            "ZONE_DWELL",
            zone.id,
            at_ms=place.t_ms,
            seq=visit.seq,
            n=visit.n,
            at=(place.lat_e7, place.lon_e7),
            value=(place.t_ms - visit.entered_ms) / 1_000,
        )
        visit = replace(visit, dwelt=True)
    return visit


def _alert(work: _Work, visit: Visit, at: Place, value: str) -> Visit:
    work.tell(
        "FORBIDDEN_ZONE",
        visit.zone,
        at_ms=at.t_ms,
        seq=visit.seq,
        at=(at.lat_e7, at.lon_e7),
        phase=Phase.BEGIN,
        n=2 * visit.n,
        value=value,
    )
    return replace(visit, alert_seq=visit.seq)


def _tell_strayed(work: _Work, strayed: Strayed, at: Crossing, phase: Phase) -> None:
    work.tell(
        "FORBIDDEN_ZONE",
        strayed.zone,
        at_ms=at.at_ms,
        seq=strayed.seq,
        at=(at.lat_e7, at.lon_e7),
        phase=phase,
        n=strayed.n + int(phase is Phase.END),
        value="left_territory",
    )


def _post_near(work: _Work, crossing: Crossing) -> bool:
    """Whether a border post lies within reach of the place."""
    x, y = crossing.lon_e7, crossing.lat_e7
    return any(
        holds(zone, x, y) or to_edges_m(x, y, zone.edges) <= work.th.post_m
        for zone in work.rules.near(("border_post",), box_around(x, y, work.th.post_m))
    )


def _possible(work: _Work, unit: str, visits: dict[str, Visit]) -> None:
    """After a gap: the zones that the unit may have touched at 100 km/h."""
    fix, th = work.fix, work.th
    place, prev = fix.place, fix.prev
    assert prev is not None
    if fix.dt_ms > th.possible_s_max * 1_000:
        return
    budget_m = POSSIBLE_M_S * fix.dt_ms / 1_000
    a, b = (prev.lon_e7, prev.lat_e7), (place.lon_e7, place.lat_e7)
    if distance_m(*a, *b) > budget_m:
        return
    middle = straight(a, b)
    mid_x, mid_y = (round(part) for part in middle.at(0.5))
    near: list[tuple[float, str]] = []
    box = box_around(mid_x, mid_y, budget_m / 2)
    for zone in work.rules.near(th.possible_kinds, box):
        if zone.unit not in (None, unit) or zone.id in visits:
            continue
        if holds(zone, *a) or holds(zone, *b):
            continue
        way_m = detour_m(zone, a, b)
        if way_m <= budget_m:
            near.append((way_m, zone.id))
    for way_m, name in sorted(near)[:POSSIBLE_MAX]:
        work.tell(
            "ZONE_POSSIBLE_VISIT",
            name,
            at_ms=(prev.t_ms + place.t_ms) // 2,
            seq=place.seq,
            value=round(way_m, 1),
            data={"t0": stamp(prev.t_ms), "t1": stamp(place.t_ms)},
        )


def _bounded(work: _Work, visits: dict[str, Visit]) -> tuple[Visit, ...]:
    """At most 64, and at most so many bytes; the oldest is dropped with a record (DETECTION section 10)."""
    size = sum(len(name) + _VISIT_BYTES for name in visits)
    while len(visits) > VISITS_MAX or size > VISIT_BYTES_MAX:
        oldest = min(visits.values(), key=lambda visit: (visit.entered_ms, visit.zone))
        del visits[oldest.zone]
        size -= len(oldest.zone) + _VISIT_BYTES
        place = work.fix.place
        work.tell("ZONE_DROPPED", oldest.zone, at_ms=place.t_ms, seq=place.seq)
    return tuple(visits[name] for name in sorted(visits))


_VISIT_BYTES = (
    28  # a quiet one's numbers, packed; a candidate takes 60 more, and few are open at once
)


def _back_in(visit: Visit) -> Visit:
    return replace(visit, phase=Side.IN, crossing=None, count=0, since_ms=0)


def _cross(work: _Work, zone: Zone, crossing: Crossing, value: str) -> None:
    work.tell(
        "ZONE_CROSSED",
        zone.id,
        at_ms=crossing.at_ms,
        seq=crossing.seq,
        at=(crossing.lat_e7, crossing.lon_e7),
        value=value,
        data=_around(crossing),
    )


def _crossing(work: _Work, share: float, zone: Zone, way: str) -> Crossing:
    """The instant and place at this share of the way."""
    n = work.crossed.get((zone.id, way), 0)
    work.crossed[zone.id, way] = n + 1
    place, prev = work.fix.place, work.fix.prev
    assert prev is not None
    assert work.way is not None
    x, y = work.way.at(share)
    return Crossing(
        at_ms=prev.t_ms + round(share * (place.t_ms - prev.t_ms)),
        before_ms=prev.t_ms,
        after_ms=place.t_ms,
        seq=place.seq,
        lat_e7=round(y),
        lon_e7=(round(x) + 1_800_000_000) % 3_600_000_000 - 1_800_000_000,
        n=n,
    )


def _around(crossing: Crossing) -> dict[str, object]:
    return {"t0": stamp(crossing.before_ms), "t1": stamp(crossing.after_ms)}
