"""GeoJSON in: plain objects to prepared shapes, or the faults that stand in the way (DETECTION section 5).

Law: all or nothing, and nothing is guessed at: no shape is made valid, no place moved. What is put right without a guess (turned,
dropped) is warned of.
"""

import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import shapely

from collector.detect.geo import ImportFault, IntArray, RouteLine, Shapes, Zone
from collector.detect.geo.line import prepare_line
from collector.detect.geo.measure import (
    E7,
    HALF_TURN_E7,
    circle,
    cut_geodesic,
    distances_m,
    scale,
)

FILE_BYTES_MAX = 32 << 20  # `too_large`: judged by whoever reads the file
FEATURES_MAX = 20_000
FEATURE_VERTICES_MAX = 200_000
VERTICES_MAX = (
    2_000_000  # all of them are held in memory several times over while they are prepared
)
HOLES_MAX = 1_000
NESTING_MAX = 16
EDGE_M_MAX = 500_000.0
AREA_M2_MIN = 100.0
CORNERS = 128  # of a circle: 0.03 % of the radius off
RADIUS_M = (10, 200_000)
FAR_DEGREES = 1_000
FAULTS_MAX = 1_000  # a file full of faults is told once

ZONE_KINDS = frozenset(
    {
        "border_post",
        "inland_post",
        "plant",
        "stop",
        "forbidden",
        "territory",
        "tunnel",
        "transfer",
        "area",
    }
)
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def read_zones(
    source: object, *, known_zones: frozenset[str] = frozenset()
) -> Shapes | tuple[ImportFault, ...]:
    """Zones and routes of a parsed GeoJSON object, or every fault that was found.

    `known_zones`: ids from elsewhere that a route may name in from, to, stops and checkpoints.
    """
    features = _features(source)
    if isinstance(features, ImportFault):
        return (features,)
    reading = _Reading()
    if isinstance(source, Mapping) and "crs" in source:
        reading.warn(None, None, "crs", "crs", "ignored: coordinates are WGS 84")
    for number, feature in enumerate(features):
        _read_feature(reading, number, feature)
        if len(reading.faults) >= FAULTS_MAX:
            break
    if reading.vertices > VERTICES_MAX:
        reading.fault(None, None, "too_many_vertices", "", f"{reading.vertices} in all")
    _check_references(reading, known_zones)
    if reading.faults:
        return tuple(reading.faults)
    _warn_of_outsiders(reading)
    return Shapes(
        zones=tuple(reading.zones.values()),
        routes=tuple(reading.routes.values()),
        warnings=tuple(reading.warnings),
    )


@dataclass(slots=True)
class _Reading:
    """What has been read so far."""

    zones: dict[str, Zone] = field(default_factory=dict)
    routes: dict[str, RouteLine] = field(default_factory=dict)
    faults: list[ImportFault] = field(default_factory=list)
    warnings: list[ImportFault] = field(default_factory=list)
    at: dict[str, int] = field(default_factory=dict)  # feature of an id
    vertices: int = 0

    def fault(self, number: int | None, name: str | None, code: str, where: str, why: str) -> None:
        self.faults.append(
            ImportFault(feature=number, id=name, code=code, where=where, message=why)
        )

    def warn(self, number: int | None, name: str | None, code: str, where: str, why: str) -> None:
        self.warnings.append(
            ImportFault(feature=number, id=name, code=code, where=where, message=why)
        )


class _FaultError(Exception):
    """A feature cannot be taken: how reading it ends at once. Never leaves this file."""

    def __init__(self, code: str, where: str, why: str) -> None:
        super().__init__(why)
        self.code, self.where, self.why = code, where, why


@dataclass(slots=True, kw_only=True)
class _Drawing:
    """One feature while its geometry is read."""

    reading: _Reading
    number: int
    name: str
    geodesic: bool
    vertices: int = 0

    def warn(self, code: str, where: str, why: str) -> None:
        self.reading.warn(self.number, self.name, code, where, why)


def _features(source: object) -> Sequence[object] | ImportFault:
    def fault(code: str, why: str) -> ImportFault:
        return ImportFault(feature=None, id=None, code=code, where="", message=why)

    if not _nested_within(source, NESTING_MAX):
        return fault("not_geojson", f"nested deeper than {NESTING_MAX}")
    if not isinstance(source, Mapping):
        return fault("not_geojson", "the file is no JSON object")
    if source.get("type") == "Feature":
        return [source]
    features = source.get("features")
    if source.get("type") != "FeatureCollection" or not isinstance(features, list):
        return fault("not_geojson", "neither a FeatureCollection nor a Feature")
    if len(features) > FEATURES_MAX:
        return fault("too_many", f"{len(features)} features, at most {FEATURES_MAX}")
    return features


def _nested_within(value: object, depth_left: int) -> bool:
    if isinstance(value, Mapping):
        return depth_left > 0 and all(_nested_within(v, depth_left - 1) for v in value.values())
    if isinstance(value, list):
        if depth_left > 0 and value and isinstance(value[0], int | float):
            return not any(isinstance(element, list | Mapping) for element in value)
        return depth_left > 0 and all(_nested_within(v, depth_left - 1) for v in value)
    return True


def _read_feature(reading: _Reading, number: int, feature: object) -> None:
    name: str | None = None
    try:
        if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
            raise _FaultError("not_geojson", "type", "is no Feature")  # noqa: TRY301 - one way out for all faults
        properties = feature.get("properties") or {}
        geometry = feature.get("geometry")
        if not isinstance(properties, Mapping) or not isinstance(geometry, Mapping):
            raise _FaultError("not_geojson", "geometry", "no geometry, or properties are no object")  # noqa: TRY301 - see above
        name = _id_of(feature, properties)
        if name in reading.at:
            raise _FaultError("same_id", "id", f"feature {reading.at[name]} has it too")  # noqa: TRY301 - see above
        reading.at[name] = number
        settings = _Settings(properties)
        drawing = _Drawing(
            reading=reading,
            number=number,
            name=name,
            geodesic=settings.word("edges", "geodesic", ("geodesic", "straight")) == "geodesic",
        )
        kind = geometry.get("type")
        if settings.word("kind", "route" if kind == "LineString" else "area") == "route":
            reading.routes[name] = _route(drawing, geometry, settings)
        else:
            reading.zones[name] = _zone(drawing, geometry, settings)
        reading.vertices += drawing.vertices
    except _FaultError as fault:
        reading.fault(number, name, fault.code, fault.where, fault.why)


def _id_of(feature: Mapping[object, object], properties: Mapping[object, object]) -> str:
    given = properties.get("id")
    if given is None:  # drawing programs write an empty property beside the feature's own
        given = feature.get("id")
    if given is None:
        raise _FaultError("no_id", "id", "neither a property `id` nor an id of the feature")
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str) or not _ID.fullmatch(given):
        raise _FaultError("bad_id", "id", f"{given!r:.80} is not 1 to 64 of A-Z a-z 0-9 _ . -")
    return given


@dataclass(frozen=True, slots=True)
class _Settings:
    """The properties of a feature, each read with its type; a bad one ends the feature."""

    given: Mapping[object, object]

    def text(self, key: str) -> str | None:
        value = self.given.get(key)
        if value is not None and (not isinstance(value, str) or len(value) > 1_000):
            raise _FaultError("bad_property", key, "is no text of at most 1,000 characters")
        return value

    def word(self, key: str, default: str, words: Sequence[str] | None = None) -> str:
        value = self.given.get(key)
        if value is None:
            return default
        allowed = words if words is not None else [*sorted(ZONE_KINDS), "route"]
        if not isinstance(value, str) or value not in allowed:
            raise _FaultError("bad_property", key, f"{value!r:.80} is none of {', '.join(allowed)}")
        return value

    def number(self, key: str, default: float, least: float, most: float) -> float:
        value = self.given.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _FaultError("bad_property", key, "is no number")
        if not least <= value <= most:  # neither is NaN, nor an integer that no float can hold
            raise _FaultError(
                "bad_property", key, f"{value!r:.40} is not within {least} and {most}"
            )
        return value

    def seconds(self, key: str) -> int | None:
        if self.given.get(key) is None:
            return None
        return int(self.number(key, 0, 1, 10 * 366 * 86_400))

    def time_ms(self, key: str) -> int | None:
        value = self.text(key)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = datetime.min  # noqa: DTZ901 - has no offset either, so it is refused below
        if moment.utcoffset() is None:
            raise _FaultError("bad_property", key, f"{value!r:.80} is no RFC 3339 with an offset")
        return round(moment.timestamp() * 1_000)

    def names(self, key: str) -> tuple[str, ...]:
        value = self.given.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise _FaultError("bad_property", key, "is no list of zone ids")
        return tuple(value)


def _zone(drawing: _Drawing, geometry: Mapping[object, object], settings: _Settings) -> Zone:
    kind = settings.word("kind", "area")
    rings_of_parts = list(_parts(drawing, geometry, settings))
    for rings in rings_of_parts:
        if len(rings) - 1 > HOLES_MAX:
            raise _FaultError("too_many", "coordinates", f"{len(rings) - 1} holes")
    polygons = [shapely.Polygon(rings[0], rings[1:]) for rings in rings_of_parts]
    drawn = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
    _check_valid(drawn)
    if drawing.geodesic:
        rings_of_parts = [[cut_geodesic(ring) for ring in rings] for rings in rings_of_parts]
        polygons = [shapely.Polygon(rings[0], rings[1:]) for rings in rings_of_parts]
        drawn = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
        _check_valid(drawn)
    _check_area(drawn)
    shapely.prepare(drawn)
    rings = [ring for part in rings_of_parts for ring in part]
    edges = np.concatenate([np.concatenate([ring[:-1], ring[1:]], axis=1) for ring in rings])
    dwell_s, stop_s_max = settings.seconds("dwell_s"), settings.seconds("stop_s_max") or 36_000
    valid = settings.time_ms("valid_from"), settings.time_ms("valid_to")
    least_x, least_y, most_x, most_y = (int(bound) for bound in drawn.bounds)
    shapely.intersects_xy(
        drawn, least_x, least_y
    )  # the first question makes the tree: not in a tick
    speed = settings.number("speed_kmh", 0, 1, 300)
    return Zone(
        id=drawing.name,
        kind=kind,
        shape=drawn,
        edges=edges,
        bounds=(least_x, least_y, most_x, most_y),
        mark=zlib.crc32(edges.tobytes() + repr((kind, dwell_s)).encode()),
        name=settings.text("name"),
        unit=settings.text("unit"),
        dwell_s=dwell_s,
        stop_s_max=stop_s_max,
        speed_kmh=speed or None,
        valid_from_ms=valid[0],
        valid_to_ms=valid[1],
    )


def _parts(
    drawing: _Drawing, geometry: Mapping[object, object], settings: _Settings
) -> Iterator[list[IntArray]]:
    """The rings of each polygon, outer first."""
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "Point" and settings.given.get("radius_m") is not None:
        radius_m = settings.number("radius_m", 0, *RADIUS_M)
        ((x, y),) = _positions(drawing, [coordinates], "coordinates", 1).tolist()
        ring = circle(x, y, radius_m, CORNERS)
        if abs(ring[:, 0]).max() > HALF_TURN_E7 or abs(y) + radius_m / scale(0)[1] > 90 * E7:
            raise _FaultError("antimeridian", "radius_m", "the circle reaches over 180 or a pole")
        drawing.vertices += CORNERS
        yield [ring]
        return
    if kind == "Polygon":
        polygons: object = [coordinates]
    elif kind == "MultiPolygon":
        polygons = coordinates
    else:
        allowed = "Polygon, MultiPolygon or Point with radius_m"
        raise _FaultError("wrong_type", "geometry", f"{kind!r:.80}; a zone is a {allowed}")
    if not isinstance(polygons, list) or not polygons:
        raise _FaultError("too_few_points", "coordinates", "no polygon in it")
    for part, rings in enumerate(polygons):
        where = f"coordinates[{part}]" if kind == "MultiPolygon" else "coordinates"
        if not isinstance(rings, list) or not rings:
            raise _FaultError("too_few_points", where, "no ring in it")
        yield [
            _ring(drawing, ring, f"{where}[{number}]", outer=number == 0)
            for number, ring in enumerate(rings)
        ]


def _ring(drawing: _Drawing, ring: object, where: str, *, outer: bool) -> IntArray:
    points = _positions(drawing, ring, where, 4)
    if not (points[0] == points[-1]).all():
        raise _FaultError("not_closed", where, "the last position is not the first")
    points = _without_repeats(drawing, points, where)
    if len(points) < 4:
        raise _FaultError("too_few_points", where, "a ring has three corners or more")
    _check_steps(points, where)
    x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    turn = float(((x[:-1] - x[0]) * (y[1:] - y[0]) - (x[1:] - x[0]) * (y[:-1] - y[0])).sum())
    if (turn > 0) is not outer:
        drawing.warn("orientation", where, "turned: outer rings go counter-clockwise")
        return points[::-1]
    return points


def _route(drawing: _Drawing, geometry: Mapping[object, object], settings: _Settings) -> RouteLine:
    if geometry.get("type") != "LineString":
        kind = geometry.get("type")
        raise _FaultError("wrong_type", "geometry", f"{kind!r:.80}; a route is a LineString")
    points = _positions(drawing, geometry.get("coordinates"), "coordinates", 2)
    points = _without_repeats(drawing, points, "coordinates")
    if len(points) < 2:
        raise _FaultError("too_few_points", "coordinates", "a line has two places or more")
    _check_steps(points, "coordinates")
    # an edge of a route is cut in any case: its own scale holds for a few kilometres
    return prepare_line(
        id=drawing.name,
        points=cut_geodesic(points),
        half_width_m=settings.number("half_width_m", 150.0, 10, 5_000),
        alert_m=settings.number("alert_m", 500.0, 10, 100_000),
        legal_m=settings.number("legal_m", 50_000.0, 100, 1_000_000),
        plan_kmh=settings.number("plan_kmh", 60.0, 1, 200),
        name=settings.text("name"),
        unit=settings.text("unit"),
        begins=settings.text("from"),
        ends=settings.text("to"),
        stops=settings.names("stops"),
        checkpoints=settings.names("checkpoints"),
        valid_from_ms=settings.time_ms("valid_from"),
        valid_to_ms=settings.time_ms("valid_to"),
    )


def _positions(drawing: _Drawing, given: object, where: str, least: int) -> IntArray:
    """Longitudes and latitudes in e7, each checked."""
    if not isinstance(given, list):
        raise _FaultError("not_geojson", where, "is no array of positions")
    drawing.vertices += len(given)
    if drawing.vertices > FEATURE_VERTICES_MAX:
        raise _FaultError("too_many_vertices", where, f"at most {FEATURE_VERTICES_MAX} a feature")
    heights = 0
    points: list[tuple[int, int]] = []
    for number, position in enumerate(given):
        if not isinstance(position, list) or len(position) < 2:
            raise _FaultError("not_geojson", f"{where}[{number}]", "is no position")
        heights += len(position) > 2
        x, y = (_degrees(value, f"{where}[{number}]") for value in position[:2])
        if abs(x) > 180 or abs(y) > 90:
            raise _FaultError("out_of_range", f"{where}[{number}]", f"{x}, {y}: longitude first")
        points.append((round(x * E7), round(y * E7)))
    if heights:
        drawing.warn("altitude", where, f"ignored at {heights} positions")
    if len(points) < least:
        raise _FaultError("too_few_points", where, f"{len(points)}, {least} are needed")
    return np.array(points, np.int64)


def _degrees(value: object, where: str) -> float:
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        # an integer may be beyond all floats; what is beyond 360 is out of range either way
        number = (
            float(max(-FAR_DEGREES, min(FAR_DEGREES, value))) if isinstance(value, int) else value
        )
    if not math.isfinite(number):
        raise _FaultError("not_finite", where, f"{value!r:.80} is no finite number")
    return number


def _without_repeats(drawing: _Drawing, points: IntArray, where: str) -> IntArray:
    kept = np.ones(len(points), np.bool_)
    kept[1:] = (points[1:] != points[:-1]).any(axis=1)
    if not kept.all():
        dropped = int((~kept).sum())
        drawing.warn("repeated_vertices", where, f"dropped {dropped} that repeat the one before")
    return points[kept]


def _check_steps(points: IntArray, where: str) -> None:
    jumps = np.abs(np.diff(points[:, 0]))
    if int(jumps.max()) > HALF_TURN_E7:
        at = int(jumps.argmax())
        why = "jumps over 180 degrees: split it there (RFC 7946, 3.1.9)"
        raise _FaultError("antimeridian", f"{where}[{at}]", why)
    lengths = distances_m(points[:-1, 0], points[:-1, 1], points[1:, 0], points[1:, 1])
    if float(lengths.max()) > EDGE_M_MAX:
        at = int(lengths.argmax())
        why = f"{lengths[at] / 1000:.0f} km to the next, at most {EDGE_M_MAX / 1000:.0f}"
        raise _FaultError("long_edge", f"{where}[{at}]", why)


def _check_valid(drawn: shapely.Geometry) -> None:
    reason = shapely.is_valid_reason(drawn)
    if reason == "Valid Geometry":
        return
    match = re.fullmatch(r"(.*)\[(\S+) (\S+)\]", reason)
    if match is None:
        raise _FaultError("invalid", "geometry", reason)
    why, x, y = match[1], float(match[2]) / E7, float(match[3]) / E7
    raise _FaultError("invalid", f"{x:.7f}, {y:.7f}", why)


def _check_area(drawn: shapely.Geometry) -> None:
    k_lon, k_lat = scale((drawn.bounds[1] + drawn.bounds[3]) / 2)
    area_m2 = drawn.area * k_lon * k_lat
    if area_m2 < AREA_M2_MIN:
        raise _FaultError("too_small", "geometry", f"{area_m2:.1f} m2, at least {AREA_M2_MIN:.0f}")


def _check_references(reading: _Reading, known_zones: frozenset[str]) -> None:
    known = known_zones | reading.zones.keys()
    for route in reading.routes.values():
        named = {
            "from": (route.begins,),
            "to": (route.ends,),
            "stops": route.stops,
            "checkpoints": route.checkpoints,
        }
        for key, names in named.items():
            for name in names:
                if name is not None and name not in known:
                    at = reading.at[route.id]
                    reading.fault(at, route.id, "unknown_zone", key, f"no zone {name!r:.80}")


def _warn_of_outsiders(reading: _Reading) -> None:
    territories = [zone for zone in reading.zones.values() if zone.kind == "territory"]
    if not territories:
        return
    ground = [zone.shape for zone in territories]
    places = {
        zone.id: zone.shape for zone in reading.zones.values() if zone.kind != "territory"
    } | {
        route.id: shapely.LineString(route.points.astype(np.float64))
        for route in reading.routes.values()
    }
    for name, shape in places.items():
        if not any(shapely.intersects(land, shape) for land in ground):
            why = "outside every territory: latitude and longitude swapped?"
            reading.warn(reading.at[name], name, "outside_territory", "geometry", why)
