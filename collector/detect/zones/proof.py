"""What the fix itself proves: that the unit has entered, that it is out, that it has stayed."""

from dataclasses import replace

from collector.detect import Phase, Place
from collector.detect.geo import Zone
from collector.detect.geo.passing import edge_m
from collector.detect.zones import Crossing, Side, Strayed, Visit
from collector.detect.zones.forbidden import alert_inside, post_near, tell_strayed
from collector.detect.zones.work import Work, around


def at_fix(
    work: Work, number: int, zone: Zone, visit: Visit | None, strayed: dict[str, Strayed]
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
    work: Work,
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
    data = around(crossing)
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
        tell_strayed(work, back, crossing, Phase.END)
    visit = replace(visit, phase=Side.IN, crossing=None, count=0, since_ms=0, by_route=False)
    if zone.kind == "forbidden":
        at = Place(
            seq=crossing.seq,
            t_ms=crossing.at_ms,
            lat_e7=crossing.lat_e7,
            lon_e7=crossing.lon_e7,
            u_cm=0,
        )
        visit = alert_inside(work, visit, at, "entered")
    return visit


def _doubt(work: Work, zone: Zone, crossing: Crossing) -> None:
    """One fix inside, the next outside: perhaps a visit."""
    work.tell(
        "ZONE_POSSIBLE_VISIT",
        zone.id,
        at_ms=crossing.at_ms,
        seq=crossing.seq,
        n=crossing.n,
        at=(crossing.lat_e7, crossing.lon_e7),
        data=around(crossing),
    )


def _leaving(
    work: Work, number: int, zone: Zone, visit: Visit, strayed: dict[str, Strayed]
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
    data = around(crossing)
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
    if zone.kind == "territory" and not post_near(work, crossing):
        strayed[zone.id] = Strayed(zone=zone.id, seq=crossing.seq, n=2 * crossing.n)
        tell_strayed(work, strayed[zone.id], crossing, Phase.BEGIN)
    return None


def _within(work: Work, zone: Zone, visit: Visit) -> Visit:
    place = work.fix.place
    if not place.sharp:
        return visit
    if visit.pending and place.seq != visit.seq:  # the second fix inside
        visit = replace(alert_inside(work, visit, place, "found_inside"), pending=False)
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
