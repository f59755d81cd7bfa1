"""One good fix through motion, zones, route, stops, sky, speed and seals, in this order.

Law: detectors do not know one another; what one needs from another is put into the fact here.
"""

from collector.detect import (
    Fix,
    interference,
    motion,
    speed,
    stops,
    zones,
)
from collector.detect.cross import convoy
from collector.detect.engine import MOTION, ROUTE, SEALS, SKY, SPEED, STOPS, ZONES
from collector.detect.engine.columns import journey_key
from collector.detect.engine.dues import limit_cm_s
from collector.detect.engine.unit import Unit
from collector.detect.geo import RouteLine
from collector.detect.geo.line import Along
from collector.detect.route.between import way_between
from collector.detect.route.step import step as step_route
from collector.detect.rules import Journey, Rules
from collector.detect.seals.fixes import step_fix as step_seals
from collector.detect.zones.step import step as step_zones


def judge_fix(
    unit: Unit,
    rules: Rules,
    fix: Fix,
    confirmed_ms: int,
    bits: int,
    whole: Along | None,
    *,
    untouched: bool = False,
) -> bool:
    """One good fix through all whom it may concern. False if it was dull for the route: then its progress is the columns'.

    `untouched`: the screen has seen that the way here meets no zone's edge.
    """
    if bits & MOTION:
        unit.stale = True
        before, stop = motion.standing(unit.motion), motion.stop_of(unit.motion)
        unit.motion, hits = motion.step(rules.thresholds, unit.motion, fix)
        unit.tell(hits, confirmed_ms)
        if motion.standing(unit.motion) is not before:
            bits |= ZONES | ROUTE  # both look at it
        if motion.stop_of(unit.motion) is not stop:
            bits |= STOPS
    standing = motion.standing(unit.motion)
    journey = unit.book.journey(unit.name, fix.place.t_ms)
    unit.journey = journey_key(journey)
    line = unit.book.route(unit.name, fix.place.t_ms, rules)
    if bits & ZONES:
        before_inside = zones.inside(unit.zones)
        _judge_zones(unit, rules, fix, confirmed_ms, line, standing=standing, untouched=untouched)
        now_inside = zones.inside(unit.zones)
        if now_inside != before_inside:
            if (now_inside ^ before_inside) & rules.tunnels:
                inside = bool(now_inside & rules.tunnels)
                unit.sky = interference.passed_tunnel(unit.sky, fix.place.t_ms, inside=inside)
            bits |= ROUTE | STOPS | SPEED  # all three ask where the unit is allowed to be what
    else:
        unit.version = (
            rules.version,
            rules.valid_from_ms,
        )  # an edit, if it is one, does not concern it
    if bits & ROUTE and (line is not None or unit.route.route is not None):
        routed = step_route(
            rules,
            line,
            unit.route,
            unit.top_m,
            fix,
            inside=zones.inside(unit.zones),
            standing=standing,
            whole=whole,
        )
        unit.route = routed.state
        unit.advance(routed.top_m, fix.place.t_ms)
        unit.tell(routed.hits, confirmed_ms)
    if bits & STOPS and (unit.stops.goes_on or motion.stop_of(unit.motion) is not None):
        _judge_stop(unit, rules, fix, confirmed_ms, line, journey)
    if bits & SKY:
        unit.stale = True
        unit.sky, hits = interference.step_fix(rules, unit.sky, fix)
        unit.tell(hits, confirmed_ms)
    if bits & SPEED:
        unit.stale = True
        limit = limit_cm_s(rules, unit.zones)
        unit.speed, hits = speed.step(rules.thresholds, unit.speed, fix, limit)
        unit.tell(hits, confirmed_ms)
    if unit.shares and convoy.is_next(fix.prev, fix.place):
        unit.share(fix.prev, fix.place)
    unit.prev, unit.broken = fix.place, False
    if bits & SEALS and unit.seals.seals and not unit.is_undated():
        unit.stale = True
        context = unit.context(fix.place, None)
        unit.seals, hits = step_seals(context, unit.seals, fix.place)
        unit.tell(hits, confirmed_ms)
    return bool(bits & ROUTE)


def _judge_zones(
    unit: Unit,
    rules: Rules,
    fix: Fix,
    confirmed_ms: int,
    line: RouteLine | None,
    *,
    standing: bool,
    untouched: bool,
) -> None:
    unit.stale = True
    here = (rules.version, rules.valid_from_ms)
    changed = None
    if unit.version != here:
        changed = unit.changed(rules) if unit.version is not None else None
        unit.version = here
    way = None if line is None else way_between(line, unit.route, unit.top_m, fix)
    zoned = step_zones(
        rules,
        unit.zones,
        fix,
        unit=unit.name,
        standing=standing,
        route_way=way,
        changed=changed,
        untouched=untouched,
    )
    unit.zones = zoned.state
    unit.tell(zoned.hits, confirmed_ms)


def _judge_stop(
    unit: Unit,
    rules: Rules,
    fix: Fix,
    confirmed_ms: int,
    line: RouteLine | None,
    journey: Journey | None,
) -> None:
    unit.stale = True
    last = unit.motion.last
    around = stops.Around(
        rules=rules,
        stop=motion.stop_of(unit.motion),
        left_ms=None if last is None else last.left_ms,
        inside=zones.inside(unit.zones),
        line=line,
        journey=journey,
    )
    unit.stops, hits = stops.step(around, unit.stops, fix)
    unit.tell(hits, confirmed_ms)
