"""After a gap: where the unit may have been."""

from collector.detect import stamp
from collector.detect.geo.index import box_around
from collector.detect.geo.measure import distance_m
from collector.detect.geo.passing import detour_m, holds, straight
from collector.detect.zones import Visit
from collector.detect.zones.work import Work

POSSIBLE_MAX = 16  # zones that one gap may have touched: the nearest
POSSIBLE_M_S = 27.8


def tell_possible(work: Work, unit: str, visits: dict[str, Visit]) -> None:
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
