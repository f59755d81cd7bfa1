"""One version of what is watched: thresholds, prepared zones and routes; and the journeys and orders of all times.

Law 8: no rule reaches into the past. A fact is judged by the version that was valid at its event time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache

import numpy as np
import shapely

from collector.detect import EAEU_SITUATIONS, Finding
from collector.detect.geo import IntArray, RouteLine, Shapes, Zone
from collector.detect.geo.index import ZoneIndex, build_index
from collector.detect.geo.line import project_all
from collector.detect.geo.lines import RouteTable, build_table
from wire import LIM

# states of a journey in which what the unit does is watched
IN_TRANSIT = frozenset({"in_transit", "transit", "on_the_road", "sealed"})
# A journey in such a state is none any more.
OVER = frozenset({"cleared", "written_off", "cancelled"})


EAEU_LEGAL_M = 50_000  # situation 03: a route may be held closer, no farther
EAEU_BATTERY_PERCENT = 15  # situation 05
# What a centre believes of the time where nothing else is said: 2026-01-01, before any release. No unit of ours has seen an earlier one.
BUILT_MS = 1_767_225_600_000


class RulesError(Exception):
    """A key of rules.toml that cannot be taken, and what would be."""

    def __init__(self, *, key: str, hint: str) -> None:
        super().__init__(f"{key}: {hint}")
        self.key = key
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Keys of rules.toml; why each number is what it is stands beside it in DETECTION sections 6 and 7."""

    late_s: int = 120
    # the gate
    jump_m: int = 500
    jump_speed_m_s: float = 55.6
    held_fixes_max: int = 3
    held_s_max: int = 600
    ahead_s_max: int = 120
    built_ms: int = 0  # times before it are untrusted; 0: any time is taken (replay of old tracks)
    # standing still
    slow_m_s: float = 1.5
    stand_m: int = 60
    stand_s: int = 60
    stop_s: int = 300
    leave_m: int = 150
    leave_fixes: int = 3
    leave_s: int = 30
    # zones
    enter_fixes: int = 2
    enter_depth_m: int = 15
    chord_share: float = 0.02
    by_route_depth_m: int = (
        2  # shallower, a drawn route is not exact enough: 1.8 % of visits were none, now 0.8 %
    )
    exit_m: int = 50
    exit_fixes: int = 3
    exit_s: int = 30
    exit_far_m: int = 250
    interval_s: int = 60
    gap_s: int = 120
    possible_s_max: int = 1_800
    possible_kinds: tuple[str, ...] = ("forbidden", "transfer", "border_post")
    post_m: int = 2_000
    # the route
    left_fixes: int = 3
    left_s: int = 30
    deviation_fixes: int = 3
    deviation_s: int = 120
    deviation_off_s: int = 900
    skipped_m: int = 2_000
    backward_m: int = 200
    wrong_way_m: int = 2_000
    forward_m: int = 500
    done_m: int = 300
    # stops and speed
    stop_alert_s: int = 1_800
    stop_alert_p2_s: int = 7_200
    speed_kmh: int = 90
    speed_more_kmh: int = 10
    speed_s: int = 30
    speed_over_s: int = 60
    # silence and deadlines
    period_s: int = 300
    period_grace_s: int = 30
    silent_p2_s: int = 1_800
    border_m: int = 20_000
    limit_risk_s: int = 600
    limit_spare_s: int = 900
    # several units together
    fleet_units: int = 3
    fleet_jump_m: int = 5_000
    fleet_cell_m: int = 500
    fleet_s: int = 1_800
    fleet_jam_m: int = 5_000
    fleet_jam_s: int = 600
    apart_m: int = 300
    together_m: int = 150
    paired_moments: int = 3
    # seals
    relock_s: int = 1_800
    order_zone_m: int = 300
    place_s: int = 120
    battery_low_percent: int = 15
    battery_very_low_percent: int = 5
    battery_ok_percent: int = 20
    # the profile of the Eurasian Economic Union: every alert names its situation (DETECTION section 7.7)
    eaeu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What a unit is on, from `since_ms` until the next one of the same unit."""

    id: str
    unit: str
    since_ms: int
    state: str = (
        "in_transit"  # in_transit: sealed and on the road; anything else is not watched as such
    )
    sealed: bool = True
    seals: tuple[str, ...] = ()  # declared; empty: not said
    tags: tuple[str, ...] = ()
    route: str | None = None
    limit_ms: int | None = None

    @property
    def in_transit(self) -> bool:
        """On the road: what it does there is watched."""
        return self.state.lower() in IN_TRANSIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An unlock order (CUSTOMS section 5.3)."""

    id: str
    seal: str
    journey: str
    zone: str
    not_before_ms: int
    not_after_ms: int
    known_ms: int  # when the centre knew it
    area: tuple[int, ...] = ()  # lat, lon, lat, lon ..: `zone` names no zone but this outline
    cards: tuple[str, ...] = ()  # empty: any that the seal takes
    withdrawn_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """An opening as an order must fit it. Geometry is answered already: whoever matches needs none."""

    unit: str
    seal: str
    journey: str | None
    at_ms: int
    came_ms: int | None  # when its batch was first heard; None: not known
    place_known: bool  # a good fix within 120 s
    inside: frozenset[str]  # zones that hold the place even when it is moved by its uncertainty
    card: str | None  # the card or channel that opened, if it was said
    used: frozenset[str]  # orders used by earlier openings of this unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Legal:
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLegal:
    reasons: tuple[str, ...]  # words and order of DETECTION section 7.4; the first is the value


MatchOrder = Callable[[Opening, Sequence[Order]], Legal | NotLegal]


def match_order(opening: Opening, orders: Sequence[Order]) -> Legal | NotLegal:
    """Whether exactly one order makes `opening` legal: order and place and time and card (DETECTION section 7.4).

    What stands in when nobody hands in a matcher of their own.
    """
    known = [
        order
        for order in orders
        if order.seal == opening.seal
        and (opening.journey is None or order.journey in ("", opening.journey))
        and _known_before(order, opening)
    ]
    if not known:
        return NotLegal(reasons=("no_order",))
    faults = {order.id: _faults(order, opening) for order in known}
    fitting = [order for order in known if not faults[order.id]]
    if len(fitting) == 1:
        return Legal(order=fitting[0])
    if fitting:
        return NotLegal(reasons=("no_order",))  # two orders at once are none: exactly one
    return NotLegal(reasons=min((faults[order.id] for order in known), key=len))


def _known_before(order: Order, opening: Opening) -> bool:
    """Before the batch came; where nobody knows when that was, when it happened: an order given afterwards legalises nothing."""
    if opening.came_ms is None:
        return order.known_ms <= opening.at_ms
    return order.known_ms < opening.came_ms


def _faults(order: Order, opening: Opening) -> tuple[str, ...]:
    found = {
        "withdrawn": order.withdrawn_ms is not None and order.withdrawn_ms <= opening.at_ms,
        "used_up": order.id in opening.used,
        "wrong_time": not order.not_before_ms <= opening.at_ms <= order.not_after_ms,
        "place_unknown": not opening.place_known,
        "wrong_place": opening.place_known and order.zone not in opening.inside,
        "wrong_card": bool(order.cards) and opening.card not in order.cards,
    }
    return tuple(reason for reason, holds in found.items() if holds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KindBoxes:
    """The zones of one kind and their bounds."""

    zones: tuple[Zone, ...]
    bounds: IntArray  # (n, 4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rules:
    """One frozen version: what was watched from `valid_from_ms` on."""

    version: int
    valid_from_ms: int = 0
    thresholds: Thresholds = field(default_factory=Thresholds)
    zones: Mapping[str, Zone] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)  # of the zones, in the index
    index: ZoneIndex = field(default_factory=lambda: build_index(()))
    routes: Mapping[str, RouteLine] = field(default_factory=dict)
    table: RouteTable = field(default_factory=lambda: build_table((), build_index(())))
    kinds: Mapping[str, KindBoxes] = field(default_factory=dict)
    for_units: bool = False  # some zone concerns one unit only
    slow: frozenset[str] = frozenset()  # zones with a speed limit of their own
    tunnels: frozenset[str] = frozenset()

    def near(self, kinds: Sequence[str], box: tuple[int, int, int, int]) -> list[Zone]:
        """The zones of these kinds whose bounds meet a box, in the order of their ids."""
        left, low, right, high = box
        found: list[Zone] = []
        for kind in kinds:
            boxes = self.kinds.get(kind)
            if boxes is None:
                continue
            bounds = boxes.bounds
            meets = (
                (bounds[:, 0] <= right)
                & (bounds[:, 2] >= left)
                & (bounds[:, 1] <= high)
                & (bounds[:, 3] >= low)
            )
            found += [boxes.zones[at] for at in np.flatnonzero(meets).tolist()]
        return sorted(found, key=lambda zone: zone.id)

    def changed_since(self, before: "Rules | None") -> frozenset[str]:
        """The zones that are not as they were in another version; None: that one is forgotten, so all of them."""
        return _differing(self, before)

    def redrawn_since(self, before: "Rules | None") -> IntArray:
        """The bounds (n, 4) of those of them that are there now."""
        return _redrawn(self, before)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rulebook:
    """All versions that a late fact may ask for, with journeys and orders as known at this tick."""

    versions: tuple[
        Rules, ...
    ]  # rising valid_from_ms; the first holds for all times before it as well
    journeys: Mapping[str, tuple[Journey, ...]] = field(
        default_factory=dict
    )  # by unit, rising since_ms
    orders: Mapping[str, tuple[Order, ...]] = field(default_factory=dict)  # by seal
    match: MatchOrder = match_order
    convoys: Mapping[str, tuple[str, ...]] = field(
        init=False, default_factory=dict
    )  # units that are ever on one journey together, rising, by its id
    paired: frozenset[str] = field(init=False, default=frozenset())  # all of these

    def __post_init__(self) -> None:
        convoys = _convoys(self.journeys)
        object.__setattr__(self, "convoys", convoys)
        object.__setattr__(self, "paired", frozenset().union(*convoys.values()))

    def at(self, t_ms: int) -> Rules:
        """The version that judges a fact of this time."""
        for rules in reversed(self.versions):
            if rules.valid_from_ms <= t_ms:
                return rules
        return self.versions[0]

    def journey(self, unit: str, t_ms: int) -> Journey | None:
        """What the unit was on at this time."""
        for journey in reversed(self.journeys.get(unit, ())):
            if journey.since_ms <= t_ms:
                return journey
        return None

    def route(self, unit: str, t_ms: int, rules: Rules | None = None) -> RouteLine | None:
        """The route that the unit's journey prescribed at this time."""
        journey = self.journey(unit, t_ms)
        if journey is None or journey.route is None:
            return None
        return (rules or self.at(t_ms)).routes.get(journey.route)


def _convoys(journeys: Mapping[str, tuple[Journey, ...]]) -> dict[str, tuple[str, ...]]:
    """Journeys that more than one unit is on. For nearly all units this is one look at one journey."""
    first: dict[str, str] = {}
    shared: dict[str, set[str]] = {}
    for unit, some in journeys.items():
        for journey in some:
            other = first.setdefault(journey.id, unit)
            if other != unit:
                shared.setdefault(journey.id, {other}).add(unit)
    return {name: tuple(sorted(shared[name])) for name in sorted(shared)}


def build(
    shapes: Shapes,
    *,
    version: int = 1,
    valid_from_ms: int = 0,
    thresholds: Thresholds | None = None,
) -> Rules:
    """The rules of one version, prepared; seconds for 1,000 zones and 5 borders, so build it beside the running one."""
    return _prepared(
        Rules(
            version=version,
            valid_from_ms=valid_from_ms,
            thresholds=thresholds or Thresholds(),
            zones={zone.id: zone for zone in shapes.zones},
            routes={route.id: route for route in shapes.routes},
        )
    )


def epochs(rules: Rules) -> tuple[Rules, ...]:
    """One value for each stretch of time in which the same shapes are valid (`valid_from`, `valid_to`)."""
    shapes: list[Zone | RouteLine] = [*rules.zones.values(), *rules.routes.values()]
    limits = {limit for shape in shapes for limit in (shape.valid_from_ms, shape.valid_to_ms)}
    times = sorted(limit for limit in limits if limit is not None and limit > rules.valid_from_ms)
    if not times and all(_valid(shape, rules.valid_from_ms) for shape in shapes):
        return (rules,)
    return tuple(
        _prepared(
            replace(
                rules,
                valid_from_ms=begin,
                zones={name: zone for name, zone in rules.zones.items() if _valid(zone, begin)},
                routes={name: line for name, line in rules.routes.items() if _valid(line, begin)},
            )
        )
        for begin in (rules.valid_from_ms, *times)
    )


@lru_cache(
    maxsize=32
)  # versions that late units may come from; asked anew for each of 10,000 units it held ingest for seconds
def _differing(now: Rules, before: Rules | None) -> frozenset[str]:
    if before is None:
        return frozenset(now.zones)
    names = now.zones.keys() | before.zones.keys()
    return frozenset(name for name in names if not _same(now, before, name))


@lru_cache(maxsize=32)  # as above
def _redrawn(now: Rules, before: Rules | None) -> IntArray:
    there = [now.zones[name].bounds for name in _differing(now, before) if name in now.zones]
    return np.array(there, np.int64).reshape(-1, 4)


def _same(one: Rules, other: Rules, name: str) -> bool:
    here, there = one.zones.get(name), other.zones.get(name)
    return here is not None and there is not None and here.mark == there.mark


def _with_checkpoints(line: RouteLine, zones: Mapping[str, Zone]) -> RouteLine:
    """The route, knowing where its checkpoints lie along it."""
    places: list[int] = []
    for name in line.checkpoints:
        zone = zones.get(name)
        if zone is None:
            places.append(-1)
            continue
        x, y = shapely.get_coordinates(zone.shape.representative_point())[0].tolist()
        places.append(int(project_all(line, x, y).s_m))
    return replace(line, checkpoint_s_m=tuple(places))


def _valid(shape: Zone | RouteLine, t_ms: int) -> bool:
    begun = shape.valid_from_ms is None or shape.valid_from_ms <= t_ms
    return begun and (shape.valid_to_ms is None or t_ms < shape.valid_to_ms)


def _prepared(rules: Rules) -> Rules:
    zones = tuple(rules.zones.values())
    routes = tuple(_with_checkpoints(line, rules.zones) for line in rules.routes.values())
    if rules.thresholds.eaeu:
        routes = tuple(replace(line, legal_m=min(line.legal_m, EAEU_LEGAL_M)) for line in routes)
    index = build_index(zones)
    of_kind: dict[str, list[Zone]] = {}
    for zone in zones:
        of_kind.setdefault(zone.kind, []).append(zone)
    return replace(
        rules,
        numbers={zone.id: number for number, zone in enumerate(zones)},
        index=index,
        routes={line.id: line for line in routes},
        table=build_table(routes, index),
        kinds={
            kind: KindBoxes(zones=tuple(some), bounds=np.array([zone.bounds for zone in some]))
            for kind, some in of_kind.items()
        },
        for_units=any(zone.unit is not None for zone in zones),
        slow=frozenset(zone.id for zone in zones if zone.speed_kmh is not None),
        tunnels=frozenset(zone.id for zone in zones if zone.kind == "tunnel"),
    )


def situated(book: Rulebook, finding: Finding) -> Finding:
    """The finding, naming its situation where the profile of the union was in force."""
    situation = EAEU_SITUATIONS.get(finding.code)
    if situation is None or not book.at(finding.confirmed_ms).thresholds.eaeu:
        return finding
    return replace(finding, data={**finding.data, "eaeu": situation})


def thresholds_from(table: Mapping[str, object]) -> Thresholds:
    """The thresholds that rules.toml's flat table names, the defaults for the rest; RulesError names a bad key.

    `[profile] eaeu = true` sets what the union prescribes; what is said otherwise beside it is refused.
    """
    known = {entry.name: entry for entry in fields(Thresholds) if entry.name != "eaeu"}
    default = Thresholds(eaeu=_is_eaeu(table.get("profile", {})))
    changes: dict[str, object] = {}
    for key, value in table.items():
        if key == "profile":
            continue
        if key not in known:
            raise RulesError(key=key, hint=f"is no threshold; known: {', '.join(sorted(known))}")
        changes[key] = _threshold(key, value, getattr(default, key))
    low = changes.get("battery_low_percent", EAEU_BATTERY_PERCENT)
    if default.eaeu and low != EAEU_BATTERY_PERCENT:
        hint = f"{EAEU_BATTERY_PERCENT} under profile.eaeu, is {low}: leave it out"
        raise RulesError(key="battery_low_percent", hint=hint)
    return replace(default, **changes)  # type: ignore[arg-type]  # _threshold gave each its default's type


def live_thresholds(table: Mapping[str, object]) -> Thresholds:
    """`thresholds_from` as a running centre takes it: where nothing is said, no time before our first release is believed."""
    return thresholds_from({"built_ms": BUILT_MS, **table})


def _is_eaeu(profile: object) -> bool:
    if not isinstance(profile, Mapping):
        raise RulesError(key="profile", hint="a table: [profile] eaeu = true")
    for key in profile:
        if key != "eaeu":
            raise RulesError(key=f"profile.{key}", hint="is no profile; known: eaeu")
    eaeu = profile.get("eaeu", False)
    if not isinstance(eaeu, bool):
        raise RulesError(key="profile.eaeu", hint=f"true or false, is {eaeu!r}")
    return eaeu


def _threshold(key: str, value: object, default: object) -> object:
    if isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return tuple(value)
        raise RulesError(key=key, hint="a list of words")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LIM:
        raise RulesError(key=key, hint=f"a number from 0 to 2^42, is {value!r:.40}")
    if isinstance(default, int):
        if value != int(value):
            raise RulesError(key=key, hint=f"a whole number, is {value}")
        return int(value)
    return float(value)
