"""Drafts of zones, routes and thresholds: read, held against the version in force, laid over it (DETECTION sections 3 and 5, EVIDENCE 13).

Law: a draft names what it changes and nothing else; it is read by the detectors' own reader, and no drawing is guessed at.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from collector.detect.geo import ImportFault
from collector.detect.geo.geojson import read_zones
from collector.detect.rules import RulesError, thresholds_from
from collector.store import RulesRow
from collector.store.fences import ROUTE, RULE, THRESHOLDS, ZONE, Changed, Shape

FEATURES_MAX = 1_000
RINGS_MAX = 50
RING_VERTICES_MAX = 5_000  # of a line too
NAMING = ("from", "to", "stops", "checkpoints")  # properties of a route that name zones
EMPTY = '{"type":"FeatureCollection","features":[]}'

Feature = dict[str, Any]
Faults = tuple[ImportFault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be another than it is."""

    features: tuple[Feature, ...] = ()  # new, or in place of the shape of that id
    withdraw: tuple[str, ...] = ()  # ids
    thresholds: Mapping[str, object] | None = None  # those named; None as value: as built in

    def text(self) -> str:
        """As it is kept. ValueError for a number that JSON does not know."""
        return _compact(
            {
                "features": list(self.features),
                "withdraw": list(self.withdraw),
                "thresholds": self.thresholds,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """A draft laid over a version: the texts of the next one, and what in them is another."""

    zones: str
    routes: str
    thresholds: str
    changed: tuple[Changed, ...]
    warnings: Faults

    def row(self, version: int, now_ms: int) -> RulesRow:
        """As a version."""
        return RulesRow(
            version=version,
            valid_from_ms=now_ms,
            zones=self.zones,
            routes=self.routes,
            thresholds=self.thresholds,
        )


def draft_of(text: str) -> Draft:
    """A draft as it was kept."""
    said = json.loads(text)
    return Draft(
        features=tuple(said["features"]),
        withdraw=tuple(said["withdraw"]),
        thresholds=said["thresholds"],
    )


def lay(base: RulesRow | None, draft: Draft) -> Laid | Faults:
    """`draft` over a version; every fault that was found instead."""
    narrow = _narrow(draft.features)
    if narrow:
        return narrow
    before = {id_of(one): one for one in shapes_of(base)}
    left = {name: one for name, one in before.items() if name not in draft.withdraw}
    zones_left = frozenset(name for name, one in left.items() if not is_line(one))
    read = read_zones(
        {"type": "FeatureCollection", "features": list(draft.features)}, known_zones=zones_left
    )
    if isinstance(read, tuple):
        return read
    after = left | {id_of(one): one for one in draft.features}
    faults = [*_unknown(draft.withdraw, before), *_dangling(draft, before, after)]
    table = _table(base)
    said = table if draft.thresholds is None else _with(table, draft.thresholds)
    try:
        thresholds_from(said)
        thresholds = (base.thresholds if base else "") if said == table else toml(said)
    except (RulesError, ValueError) as error:
        key = error.key if isinstance(error, RulesError) else "thresholds"
        hint = error.hint if isinstance(error, RulesError) else str(error)
        faults.append(_fault(None, None, "bad_threshold", key, hint))
        return tuple(faults)
    if faults:
        return tuple(faults)
    texts = [
        _collection(one for one in after.values() if is_line(one) is lines)
        for lines in (False, True)
    ]
    changed = changes(base, texts[0], texts[1], thresholds)
    if not changed:
        return (_fault(None, None, "nothing", "", "all of it is so already"),)
    return Laid(
        zones=texts[0],
        routes=texts[1],
        thresholds=thresholds,
        changed=changed,
        warnings=read.warnings,
    )


def changes(base: RulesRow | None, zones: str, routes: str, thresholds: str) -> tuple[Changed, ...]:
    """What is another than in `base`: by kind and id, with the hash of its canonical JSON."""
    found: list[Changed] = []
    for kind, old, new in (
        (ZONE, base.zones if base else EMPTY, zones),
        (ROUTE, base.routes if base else EMPTY, routes),
    ):
        before = {id_of(one): digest(one) for one in features_of(old)}
        after = {id_of(one): digest(one) for one in features_of(new)}
        found += [
            Changed(kind=kind, id=name, sha256=after.get(name))
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ]
    said = tomllib.loads(thresholds)
    if said != _table(base):
        found.append(Changed(kind=RULE, id=THRESHOLDS, sha256=digest(said)))
    return tuple(found)


def touched(draft: Draft, laid: Laid) -> tuple[Shape, ...]:
    """What the draft speaks of, under either kind: a zone may take a route's place."""
    names = [*draft.withdraw, *(id_of(one) for one in draft.features)]
    shapes = [(kind, name) for name in names for kind in (ZONE, ROUTE)]
    if any(one.kind == RULE for one in laid.changed):
        shapes.append((RULE, THRESHOLDS))
    return tuple(shapes)


def shapes_of(row: RulesRow | None) -> list[Feature]:
    """All shapes of a version."""
    return [] if row is None else [*features_of(row.zones), *features_of(row.routes)]


def features_of(text: str) -> list[Feature]:
    """The features of a version's text, which was checked when it came."""
    features: list[Feature] = json.loads(text or EMPTY, parse_float=_number)["features"]
    return features


def features_in(source: Mapping[str, Any]) -> Sequence[Any] | None:
    """The features of a GeoJSON object; None if it holds none."""
    if source.get("type") == "Feature":
        return [source]
    features = source.get("features")
    if source.get("type") != "FeatureCollection" or not isinstance(features, list):
        return None
    return features


def id_of(feature: Feature) -> str:
    """The id by which a shape is known."""
    properties = feature.get("properties") or {}
    return str(properties.get("id", feature.get("id")))


def unit_of(feature: Mapping[str, Any]) -> str:
    """The only unit that a shape concerns; empty: all."""
    return str((feature.get("properties") or {}).get("unit") or "")


def is_line(feature: Feature) -> bool:
    """Whether it is a route."""
    return bool(feature["geometry"]["type"] == "LineString")


def digest(value: object) -> bytes:
    """SHA-256 over the one spelling: keys rising, no spaces, UTF-8."""
    return sha256(_compact(value).encode()).digest()


def toml(table: Mapping[str, object]) -> str:
    """Thresholds as they stand in a file. ValueError for a number that is none."""
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for key, value in table.items()
        if key != "profile"
    ]
    profile = table.get("profile")
    if isinstance(profile, Mapping) and profile:
        lines += ["[profile]", *(f"{key} = {json.dumps(is_)}" for key, is_ in profile.items())]
    return "".join(f"{line}\n" for line in lines)


def flat(table: Mapping[str, object]) -> dict[str, object]:
    """`[profile] eaeu` as `profile.eaeu`."""
    said = {key: value for key, value in table.items() if key != "profile"}
    profile = table.get("profile")
    if isinstance(profile, Mapping):
        said |= {f"profile.{key}": value for key, value in profile.items()}
    return said


def _with(table: Mapping[str, object], changes_: Mapping[str, object]) -> dict[str, object]:
    said = {**flat(table), **changes_}
    kept: dict[str, object] = {}
    profile: dict[str, object] = {}
    for key, value in said.items():
        if value is None:
            continue
        if key.startswith("profile."):
            profile[key.removeprefix("profile.")] = value
        else:
            kept[key] = value
    return {**kept, "profile": profile} if profile else kept


def _table(row: RulesRow | None) -> dict[str, Any]:
    return {} if row is None else tomllib.loads(row.thresholds)


def _narrow(features: Sequence[Any]) -> Faults:
    """The bounds of what a request may draw: narrower than those of files."""
    if len(features) > FEATURES_MAX:
        why = f"{len(features)} features, at most {FEATURES_MAX}"
        return (_fault(None, None, "too_many", "", why),)
    faults = []
    for number, feature in enumerate(features):
        geometry = feature.get("geometry") if isinstance(feature, Mapping) else None
        if not isinstance(geometry, Mapping):
            continue  # the reader says it
        rings = list(_rings(geometry))
        if len(rings) > RINGS_MAX:
            why = f"{len(rings)} rings, at most {RINGS_MAX}"
            faults.append(_fault(number, None, "too_many", "coordinates", why))
        most = max((len(ring) for ring in rings), default=0)
        if most > RING_VERTICES_MAX:
            why = f"{most} in a ring or line, at most {RING_VERTICES_MAX}"
            faults.append(_fault(number, None, "too_many_vertices", "coordinates", why))
    return tuple(faults)


def _rings(geometry: Mapping[str, Any]) -> Iterable[list[object]]:
    kind, found = geometry.get("type"), geometry.get("coordinates")
    if not isinstance(found, list):
        return
    if kind == "LineString":
        yield found
        return
    parts = found if kind == "MultiPolygon" else [found] if kind == "Polygon" else []
    for part in parts:
        if isinstance(part, list):
            yield from (ring for ring in part if isinstance(ring, list))


def _unknown(withdraw: Iterable[str], before: Mapping[str, Feature]) -> list[ImportFault]:
    return [
        _fault(None, name, "unknown_shape", "withdraw", f"there is no {name!r:.80}")
        for name in withdraw
        if name not in before
    ]


def _dangling(
    draft: Draft, before: Mapping[str, Feature], after: Mapping[str, Feature]
) -> list[ImportFault]:
    """Routes that would name a zone which this draft takes away."""
    gone = {name for name in draft.withdraw if name in before and name not in after}
    gone |= {id_of(one) for one in draft.features if is_line(one)}
    return [
        _fault(None, name, "unknown_zone", "withdraw", f"the route names {zone!r:.80}")
        for name, one in after.items()
        if is_line(one)
        for zone in sorted(gone & set(named_zones([one])))
    ]


def named_zones(features: Iterable[Feature]) -> Iterable[str]:
    """The zones that routes among them name."""
    for feature in features:
        properties = feature.get("properties")
        if not isinstance(properties, dict):
            continue
        for key in NAMING:
            value = properties.get(key)
            names = value if isinstance(value, list) else [value]
            yield from (name for name in names if isinstance(name, str))


def _fault(feature: int | None, name: str | None, code: str, where: str, why: str) -> ImportFault:
    return ImportFault(feature=feature, id=name, code=code, where=where, message=why)


def _number(text: str) -> float:
    return float(
        text
    )  # a function of ours: at a stretch, the borders of a country would hold ticks


def _collection(features: Iterable[Feature]) -> str:
    collection = {"type": "FeatureCollection", "features": list(features)}
    return "".join(_PLAIN.iterencode(collection))  # in pieces, for the same reason


def _compact(value: object) -> str:
    return "".join(_COMPACT.iterencode(value))


_PLAIN = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_COMPACT = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)
