"""Membership that no crossing made: at the first fix ever, under a new version, and within its bounds."""

from dataclasses import replace

from collector.detect import Phase, Place
from collector.detect.geo import Zone
from collector.detect.geo.passing import holds
from collector.detect.zones import Side, State, Stepped, Visit
from collector.detect.zones.forbidden import alert_inside
from collector.detect.zones.work import Work

VISITS_MAX = 64  # memberships and candidates of a unit (DETECTION section 10)
VISIT_BYTES_MAX = (
    2_400  # of their ids and numbers in the blob of 4 KiB, beside which all else must fit
)
_VISIT_BYTES = (
    28  # a quiet one's numbers, packed; a candidate takes 60 more, and few are open at once
)
CHANGED_FEW = 32  # boxes are looked at in the time in which the index is asked once


def first_fix(work: Work, state: State, unit: str) -> Stepped:
    """The first fix ever: what holds it is found, not entered."""
    place = work.fix.place
    visits = {visit.zone: visit for visit in state.visits}
    for number in work.index.holding(place.lon_e7, place.lat_e7):
        zone = work.index.zones[number]
        if zone.unit in (None, unit) and zone.id not in visits:
            visits[zone.id] = _found(work, zone)
    return Stepped(state=replace(state, visits=bounded(work, visits)), hits=tuple(work.hits))


def _found(work: Work, zone: Zone) -> Visit:
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


def redefined(work: Work, state: State, unit: str, changed: frozenset[str]) -> State:
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
                kept = alert_inside(work, kept, place, "found_inside")
            visits[name] = kept
    return replace(state, visits=tuple(visits[name] for name in sorted(visits)))


def _xy(place: Place) -> tuple[int, int]:
    return place.lon_e7, place.lat_e7


def bounded(work: Work, visits: dict[str, Visit]) -> tuple[Visit, ...]:
    """At most 64, and at most so many bytes; the oldest is dropped with a record (DETECTION section 10)."""
    size = sum(len(name) + _VISIT_BYTES for name in visits)
    while len(visits) > VISITS_MAX or size > VISIT_BYTES_MAX:
        oldest = min(visits.values(), key=lambda visit: (visit.entered_ms, visit.zone))
        del visits[oldest.zone]
        size -= len(oldest.zone) + _VISIT_BYTES
        place = work.fix.place
        work.tell("ZONE_DROPPED", oldest.zone, at_ms=place.t_ms, seq=place.seq)
    return tuple(visits[name] for name in sorted(visits))
