"""One good fix against all zones."""

from collections.abc import Iterable

from collector.detect import Fix, Hit
from collector.detect.geo.passing import Way, straight, zones_met
from collector.detect.rules import Rules, Thresholds
from collector.detect.zones import State, Stepped, Visit
from collector.detect.zones.crossings import after_gap, along
from collector.detect.zones.membership import bounded, first_fix, redefined
from collector.detect.zones.possible import tell_possible
from collector.detect.zones.proof import at_fix
from collector.detect.zones.work import Work


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
    work = Work(rules=rules, index=index, fix=fix, standing=standing)
    if changed is not None:
        state = redefined(work, state, unit, changed)
    if fix.prev is None:
        return first_fix(work, state, unit)
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
            visit = after_gap(work, zone, visit)
        elif number in met:
            visit = along(work, number, zone, visit, work.way, met[number])
        visit = at_fix(work, number, zone, visit, strayed)
        if visit is not None:
            visits[zone.id] = visit
    if work.way is None and not standing and not fix.broken:
        tell_possible(work, unit, visits)
    state = State(
        visits=bounded(work, visits),
        strayed=tuple(strayed[name] for name in sorted(strayed)),
    )
    # at one instant what is left is left before what is entered
    work.hits.sort(key=lambda hit: (hit.at_ms, not _leaves(hit)))
    return Stepped(state=state, hits=tuple(work.hits))


def _concerned(
    work: Work,
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


def _leaves(hit: Hit) -> bool:
    return hit.code == "ZONE_EXITED" or (hit.code == "ZONE_CROSSED" and hit.value == "out")
