"""What the way since the last fix says of a zone: in, out, through; after a gap nothing but the other side."""

from dataclasses import replace

from collector.detect import Phase
from collector.detect.geo import Zone
from collector.detect.geo.passing import REACH_M, Met, Span, Way, depth_m, spans_inside
from collector.detect.zones import Crossing, Side, Visit
from collector.detect.zones.work import Work, around, cross, crossing_at


def along(
    work: Work, number: int, zone: Zone, visit: Visit | None, way: Way, met: Met
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
    work: Work, number: int, zone: Zone, visit: Visit | None, span: Span, *, goes_out: bool
) -> Visit | None:
    crossing = crossing_at(work, span[0], zone, "in")
    if visit is None and goes_out:
        _pass(work, number, zone, span, crossing)
        return None
    if visit is None:
        if not work.standing:
            cross(work, zone, crossing, "in")
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
            cross(work, zone, crossing, "in")
        return back_in(visit)
    return visit


def _goes_out(work: Work, zone: Zone, visit: Visit, share: float, *, last: bool) -> Visit:
    if visit.phase is not Side.IN:
        return visit  # ENTERING is settled by where the fix lies
    if last and work.holds(zone):
        return visit
    crossing = crossing_at(work, share, zone, "out")
    if not work.standing:
        cross(work, zone, crossing, "out")
    return replace(visit, phase=Side.LEAVING, crossing=crossing, count=0, since_ms=0)


def _pass(work: Work, number: int, zone: Zone, span: Span, crossing: Crossing) -> None:
    """In and out between two fixes: a visit if it was deep enough for its length."""
    assert work.way is not None
    if work.standing:
        return
    th, place = work.th, work.fix.place
    depth = depth_m(work.index, number, work.way, span)
    needed = max(place.u_m, th.enter_depth_m) + th.chord_share * work.way.length_m
    out = crossing_at(work, span[1], zone, "out")
    data: dict[str, object] = {**around(crossing), "depth_m": round(depth, 1)}
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
        data=around(crossing),
    )


def after_gap(work: Work, zone: Zone, visit: Visit | None) -> Visit | None:
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
        return back_in(visit)
    return visit


def back_in(visit: Visit) -> Visit:
    return replace(visit, phase=Side.IN, crossing=None, count=0, since_ms=0)
