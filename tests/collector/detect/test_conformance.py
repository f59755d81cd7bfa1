"""Our geometry against the cases of GEOS, JTS, TG and Turf (DETECTION section 13).

A few files stand in tests/vectors/geometry and always run; the whole collection runs where the shared captures are.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from collector.detect.geo import IntArray, RouteLine, Shapes, Zone
from collector.detect.geo.geojson import read_zones
from collector.detect.geo.index import build_index, meets
from collector.detect.geo.line import place_at, prepare_line, project_all
from collector.detect.geo.measure import cut_geodesic, distance_m, scale, to_edges_m
from collector.detect.geo.passing import Met, _cuts, holds, spans_inside, straight, zones_met
from tests.shared_data import SHARED

OURS = Path(__file__).resolve().parents[2] / "vectors" / "geometry"
ALL = SHARED / "traces" / "conformance"
# A unit of a drawing without degrees: a tenth of a degree, so that all decimals stay whole and nothing is too small to be imported;
# a thousandth where the drawing is so large that its edges would be too long.
SMALL_E7, LARGE_E7, LARGE = 1_000_000, 10_000, 40
LEVEL_E7 = 10_000_000  # some way up from the equator, so that x and y differ
EARTH_M = 6_371_008.8  # Turf's sphere
K_LON, K_LAT = scale(0)
SPHERE = 0.006  # so far apart sphere and ellipsoid may be: 0.34 % in latitude, and its second part


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    a: BaseGeometry
    b: BaseGeometry
    asks: dict[str, bool | float]  # intersects, covers, coveredBy, distance


# the cases


def of_xml(path: Path) -> Iterator[Case]:
    for number, case in enumerate(ET.parse(path).getroot().iter("case")):
        a, b = (shapely.from_wkt(" ".join((case.findtext(key) or "").split())) for key in "ab")
        asks: dict[str, bool | float] = {}
        for op in case.iter("op"):
            name, text = str(op.get("name")), str(op.text).strip()
            if op.get("arg1", "A") != "A":
                continue
            if name == "relate":
                asks["intersects"] = {str(op.get("arg3"))[i] for i in (0, 1, 3, 4)} != {"F"}
            elif name == "distance":
                asks[name] = float(text)
            elif name in ("intersects", "covers", "coveredBy"):
                asks[name] = text == "true"
        yield Case(
            name=f"{path.stem}[{number}] {case.findtext('desc') or ''}".strip(), a=a, b=b, asks=asks
        )


_TRAILING = re.compile(r",(?=\s*\]\s*$)")  # the comma before the end, which JSON does not know


def drawing(said: str | dict[str, Any]) -> BaseGeometry:
    """TG's drawings are texts, or features of GeoJSON."""
    if isinstance(said, str):
        return shapely.from_wkt(said)
    return shapely.geometry.shape(said.get("geometry", said))


def of_tg(path: Path) -> Iterator[Case]:
    for number, case in enumerate(json.loads(_TRAILING.sub("", path.read_text()))):
        a, b = map(drawing, case["geoms"])
        said = case["predicates"]
        names = {"intersects": "intersects", "covers": "covers", "coveredBy": "coveredby"}
        asks: dict[str, bool | float] = {
            ours: said[theirs][0] == "T" for ours, theirs in names.items() if theirs in said
        }
        yield Case(name=f"{path.stem}[{number}]", a=a, b=b, asks=asks)


def planar(root: Path) -> list[Case]:
    found: list[Case] = []
    for path in sorted((*root.glob("geos/*.xml"), *root.glob("jts/*.xml"))):
        found += of_xml(path)
    for path in sorted(root.glob("tg/*.jsonc")):
        found += of_tg(path)
    return found


# our answers, from places, segments and areas

ToE7 = Callable[[object], IntArray]


def drawn(case: Case) -> ToE7:
    largest = max(
        0.0,
        *(float(np.abs(shapely.get_coordinates(one)).max(initial=0)) for one in (case.a, case.b)),
    )
    unit = LARGE_E7 if largest > LARGE else SMALL_E7
    level = np.array([0, LEVEL_E7])
    return lambda points: np.rint(np.asarray(points) * unit).astype(np.int64) + level


def degrees(points: object) -> IntArray:
    return np.rint(np.asarray(points) * 1e7).astype(np.int64)


def in_metres(points: object) -> IntArray:
    """A unit is ten metres, at the equator, where the scale does not change."""
    e7: IntArray = np.rint(np.asarray(points) * [10 / K_LON, 10 / K_LAT]).astype(np.int64)
    return e7


@dataclass(frozen=True, slots=True, kw_only=True)
class Things:
    """What a drawing consists of, for us: a MultiPolygon is one zone."""

    places: tuple[tuple[int, int], ...] = ()
    edges: IntArray = field(default_factory=lambda: np.empty((0, 4), np.int64))
    zones: tuple[Zone, ...] = ()
    refused: str = ""  # why the import would not have it


def things_of(shape: BaseGeometry, to_e7: ToE7) -> Things:
    if shape.is_empty:
        return Things()
    match shape.geom_type:
        case "Point":
            x, y = to_e7(shapely.get_coordinates(shape))[0].tolist()
            return Things(places=((x, y),))
        case "LineString" | "LinearRing":
            points = to_e7(shapely.get_coordinates(shape))
            return Things(edges=np.concatenate([points[:-1], points[1:]], axis=1))
        case "Polygon" | "MultiPolygon":
            zone = imported(shape, to_e7)
            return Things(refused=zone) if isinstance(zone, str) else Things(zones=(zone,))
        case _:
            some = [things_of(part, to_e7) for part in shape.geoms]
            return Things(
                places=tuple(place for one in some for place in one.places),
                edges=np.concatenate([one.edges for one in some]),
                zones=tuple(zone for one in some for zone in one.zones),
                refused="".join(one.refused for one in some),
            )


def imported(shape: BaseGeometry, to_e7: ToE7) -> Zone | str:
    """As an operator's file would bring it, or the code of its fault."""
    polygons = (
        [shape] if shape.geom_type == "Polygon" else [p for p in shape.geoms if not p.is_empty]
    )
    coordinates = [
        [
            (to_e7(shapely.get_coordinates(ring)) / 1e7).tolist()
            for ring in (one.exterior, *one.interiors)
        ]
        for one in polygons
    ]
    feature = {
        "type": "Feature",
        "properties": {"id": "z", "edges": "straight"},
        "geometry": {"type": "MultiPolygon", "coordinates": coordinates},
    }
    shapes = read_zones({"type": "FeatureCollection", "features": [feature]})
    return shapes.zones[0] if isinstance(shapes, Shapes) else shapes[0].code


def met(one: Things, other: Things) -> bool:
    """Whether two drawings have a place in common."""
    return bool(
        set(one.places) & set(other.places)
        or any(meets(x, y, x, y, other.edges).any() for x, y in one.places)
        or any(meets(x, y, x, y, one.edges).any() for x, y in other.places)
        or any(meets(ax, ay, bx, by, other.edges).any() for ax, ay, bx, by in one.edges.tolist())
        or any(holds(zone, *place) for zone in other.zones for place in one.places)
        or any(holds(zone, *place) for zone in one.zones for place in other.places)
        or any(inside(zone, edge) for zone in other.zones for edge in one.edges.tolist())
        or any(inside(zone, edge) for zone in one.zones for edge in other.edges.tolist())
        or any(areas_meet(mine, theirs) for mine in one.zones for theirs in other.zones)
    )


def inside(zone: Zone, edge: Sequence[int]) -> list[tuple[float, float]]:
    """The spans of a segment that lie in a zone, by the way that a unit's segment is asked."""
    index, way = build_index([zone]), straight((edge[0], edge[1]), (edge[2], edge[3]))
    return spans_inside(zone, way, zones_met(index, way).get(0, Met(edges={})))


def areas_meet(one: Zone, other: Zone) -> bool:
    """An edge of one lies in the other, or the other way round."""
    pairs = ((one, other), (other, one))
    return any(inside(zone, edge) for zone, other in pairs for edge in other.edges.tolist())


def covered(zone: Zone, things: Things) -> bool:
    """Whether a zone holds every place of these places and segments."""
    whole = all(
        [(round(low, 9), round(high, 9)) for low, high in inside(zone, edge)] == [(0.0, 1.0)]
        for edge in things.edges.tolist()
    )
    return whole and all(holds(zone, *place) for place in things.places)


def away(one: Things, other: Things) -> float:
    """Least metres between two drawings: somewhere it begins or ends at a corner."""
    if met(one, other):
        return 0.0
    least = math.inf
    for mine, theirs in ((one, other), (other, one)):
        edges = np.concatenate([theirs.edges, *(zone.edges for zone in theirs.zones)])
        corners = [
            *mine.places,
            *map(tuple, edges_of(mine)[:, :2]),
            *map(tuple, edges_of(mine)[:, 2:]),
        ]
        least = min([least, *(to_edges_m(x, y, edges) for x, y in corners)])
        for x, y in mine.places:
            least = min([least, *(distance_m(x, y, *place) for place in theirs.places)])
    return least


def edges_of(things: Things) -> IntArray:
    return np.concatenate([things.edges, *(zone.edges for zone in things.zones)])


def wrong(case: Case) -> list[str]:
    """What of a planar case we say otherwise."""
    if case.asks.keys() <= {"distance"}:
        one, other = things_of(case.a, in_metres), things_of(case.b, in_metres)
        ours = away(one, other) / 10
        theirs = case.asks.get("distance", ours)
        return (
            []
            if ours == theirs or abs(ours - theirs) < 0.005
            else [f"distance {ours} not {theirs}"]
        )
    to_e7 = drawn(case)
    one, other = things_of(case.a, to_e7), things_of(case.b, to_e7)
    if one.refused or other.refused:
        return [one.refused or other.refused]
    found: list[str] = []
    if "intersects" in case.asks and met(one, other) is not case.asks["intersects"]:
        found.append("intersects")
    for name, outer, inner in (("covers", one, other), ("coveredBy", other, one)):
        plain = (
            len(outer.zones) == 1 and not len(outer.edges) and not outer.places and not inner.zones
        )
        asked = name in case.asks and plain and (len(inner.edges) or inner.places)
        if asked and covered(outer.zones[0], inner) is not case.asks[name]:
            found.append(name)
    return found


# The parts of this MultiPolygon overlap: TG answers all the same, our import refuses to guess what was meant.
OVERLAPPING = {"mpoly[5]": ["invalid"]}


@pytest.mark.parametrize("root", [OURS, ALL], ids=["ours", "all"])
def test_geos_jts_and_tg_agree_with_us_in_the_plane(root: Path) -> None:
    cases = planar(root) if root.exists() else pytest.skip("shared captures are not here")
    said = {case.name: found for case in cases if (found := wrong(case))}
    assert said == OVERLAPPING
    assert len(cases) >= (20 if root is OURS else 120)


# Turf: degrees, and a sphere


def turf(folder: str, pattern: str) -> list[Path]:
    found = sorted((OURS / "turf" / f"turf-{folder}").glob(pattern))
    found += sorted((ALL / "turf" / f"turf-{folder}").glob(pattern))
    return list({path.name: path for path in found}.values())


def features(path: Path) -> list[dict[str, Any]]:
    source: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return list(source["features"])


def shape(feature: dict[str, Any]) -> BaseGeometry:
    return shapely.geometry.shape(feature["geometry"])


def line_of(feature: dict[str, Any], part: int = 0) -> RouteLine:
    """A line as a route: its edges go along great circles."""
    geometry = shape(feature)
    line = geometry.geoms[part] if hasattr(geometry, "geoms") else geometry
    return prepare_line(id="r", points=cut_geodesic(degrees(shapely.get_coordinates(line))))


# Edges over 500 km, which the import refuses: drawn a hundredth as large, the answer has to be the same.
CONTINENTS = {
    "test_true_MultiPolygon_Polygon_MultiPolygon-Polygon",
    "test_true_Polygon_Polygon_Polygon-Polygon",
}


def in_small(points: object) -> IntArray:
    return degrees(np.asarray(points) / 100)


@pytest.mark.parametrize(
    "path", turf("boolean-intersects", "*.geojson"), ids=lambda path: path.stem
)
def test_turf_and_we_call_the_same_drawings_joined(path: Path) -> None:
    drawings = [shape(feature) for feature in features(path)[:2]]
    one, other = (things_of(drawing, degrees) for drawing in drawings)
    if path.stem in CONTINENTS:
        assert "long_edge" in (one.refused, other.refused)
        one, other = (things_of(drawing, in_small) for drawing in drawings)
    assert not one.refused
    assert not other.refused
    assert met(one, other) is path.name.startswith("test_true")


# Turf leaves the ends of a line out on request, or takes a place for beside it by less than our 1e-7 degree: for us a boundary
# belongs to what it bounds, and a place is one of whole e7 degrees.
ENDS_LEFT_OUT = {
    "test_false_LineWithOnly1SegmentIgnoreBoundary",
    "test_false_PointOnEndFailsWhenIgnoreEndpoints",
}
FINER_THAN_E7 = {"test_false_PointIsOnLineButFailsWithSmallEpsilonValue"}


@pytest.mark.parametrize(
    "path", turf("boolean-point-on-line", "*.geojson"), ids=lambda path: path.stem
)
def test_a_place_on_turfs_line_is_on_ours(path: Path) -> None:
    point, line = (things_of(shape(feature), degrees) for feature in features(path)[:2])
    said = path.name.startswith("test_true")
    ours = met(point, line)
    assert ours is (said or path.stem in ENDS_LEFT_OUT)
    if path.stem in FINER_THAN_E7:
        assert to_edges_m(*point.places[0], line.edges) < 0.02


# "Crosses" is another question: the insides have to meet, not the ends, and in one place only
MEET_WITHOUT_CROSSING = {
    "test_false_LineString_LineString_LineCrossesLineOnEndVertex",
    "test_false_LineString_LineString_LineOverlapsLine",
    "test_false_LineString_LineString_LineTouchesLineOnEndVertex",
}


@pytest.mark.parametrize("path", turf("boolean-crosses", "*.geojson"), ids=lambda path: path.stem)
def test_what_crosses_for_turf_has_met_for_us(path: Path) -> None:
    one, other = (things_of(shape(feature), degrees) for feature in features(path)[:2])
    ours = met(one, other)
    assert ours is (path.name.startswith("test_true") or path.stem in MEET_WITHOUT_CROSSING)


def test_turfs_places_in_a_polygon_with_a_hole_are_in_ours() -> None:
    """The four places stand in Turf's own test of this drawing."""
    (path,) = turf("boolean-point-in-polygon", "test_in_multipoly-with-hole.geojson")
    zone = imported(shape(json.loads(path.read_text())), degrees)
    assert isinstance(zone, Zone)
    for lon, lat, said in (
        (-86.69208526611328, 36.20373274711739, False),  # in the hole
        (-86.72229766845702, 36.20258997094334, True),
        (-86.75079345703125, 36.18527313913089, True),  # in the other part
        (-86.75302505493164, 36.23015046460186, False),
    ):
        assert holds(zone, round(lon * 1e7), round(lat * 1e7)) is said


@pytest.mark.parametrize(
    "path", turf("line-intersect", "test_in_*.geojson"), ids=lambda path: path.stem
)
def test_turfs_lines_cross_where_ours_do(path: Path) -> None:
    out = features(path.with_name(path.name.replace("_in_", "_out_")))
    said = {place_of(feature) for feature in out if feature["geometry"]["type"] == "Point"}
    one, other = (edges_as_lines(feature) for feature in features(path)[:2])
    ours: set[tuple[float, float]] = set()
    for ax, ay, bx, by in one.tolist():
        for share in _cuts((ax, ay), (bx, by), other[meets(ax, ay, bx, by, other)].tolist())[0]:
            ours.add(
                (round((ax + share * (bx - ax)) / 1e7, 5), round((ay + share * (by - ay)) / 1e7, 5))
            )
    assert len(ours) == len(said)
    assert all(any(math.dist(mine, theirs) < 3e-5 for theirs in said) for mine in ours)


def place_of(feature: dict[str, Any]) -> tuple[float, float]:
    lon, lat = feature["geometry"]["coordinates"]
    return lon, lat


def edges_as_lines(feature: dict[str, Any]) -> IntArray:
    """Rings count as lines here."""
    geometry = shape(feature)
    lines = geometry.boundary if "Polygon" in geometry.geom_type else geometry
    return things_of(lines, degrees).edges


@pytest.mark.parametrize(
    "path", turf("nearest-point-on-line", "test_in_*.geojson"), ids=lambda path: path.stem
)
def test_turfs_nearest_place_on_a_line_is_ours(path: Path) -> None:
    source, point = features(path)[:2]
    out = features(path.with_name(path.name.replace("_in_", "_out_")))[-1]
    geometry = shape(source)
    count = len(geometry.geoms) if hasattr(geometry, "geoms") else 1
    x, y = degrees(place_of(point)).tolist()
    found = [
        (project_all(line, x, y), line) for line in (line_of(source, part) for part in range(count))
    ]
    along, line = min(found, key=lambda one: one[0].d_m)
    lon, lat = place_of(out)
    at_x, at_y = place_at(line, along.s_m)
    said = out["properties"]
    near_m = max(
        1.0, SPHERE * said["pointDistance"] * 1_000
    )  # of two metrics the foot may lie elsewhere
    assert distance_m(at_x, at_y, lon * 1e7, lat * 1e7) < near_m
    assert along.d_m == pytest.approx(said["pointDistance"] * 1_000, rel=SPHERE, abs=0.1)
    assert along.s_m == pytest.approx(said["lineDistance"] * 1_000, rel=SPHERE, abs=near_m)


UNITS_M = {"miles": 1_609.344, "kilometers": 1_000.0, "meters": 1.0}


@pytest.mark.parametrize(
    "path", turf("point-to-line-distance", "test_in_*.geojson"), ids=lambda path: path.stem
)
def test_turfs_distance_to_a_line_is_ours(path: Path) -> None:
    name = path.stem.removeprefix("test_in_")
    said = json.loads(path.with_name("test_out_distances.json").read_text())[name]
    source = json.loads(path.read_text())
    point, line = source["features"][:2]
    unit_m = UNITS_M[source.get("properties", {}).get("units", "kilometers")]
    along = project_all(line_of(line), *degrees(place_of(point)).tolist())
    assert along.d_m == pytest.approx(said * unit_m, rel=SPHERE)


@pytest.mark.parametrize(
    "path", turf("point-to-polygon-distance", "*.geojson"), ids=lambda path: path.stem
)
def test_turfs_distance_to_a_polygon_is_ours(path: Path) -> None:
    zone = next(
        imported(shape(f), degrees) for f in features(path) if "Polygon" in f["geometry"]["type"]
    )
    assert isinstance(zone, Zone)
    for feature in features(path):
        said = feature["properties"]
        if "expected_distance" not in said:
            continue
        x, y = degrees(place_of(feature)).tolist()
        away_m = to_edges_m(x, y, zone.edges) * (-1 if holds(zone, x, y) else 1)
        assert away_m == pytest.approx(
            said["expected_distance"] * UNITS_M[said["units"]], rel=SPHERE
        )
