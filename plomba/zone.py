"""`plomba zone import` and `plomba route import`: GeoJSON becomes a new version of the rules (DETECTION sections 3 and 5).

Law: all or nothing. A file with a fault changes nothing, and no drawing is guessed at.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits
from plomba.centre import (
    DATA,
    DataOption,
    JsonOption,
    Row,
    actor,
    fail,
    say_json,
    say_table,
    write_store,
)

if TYPE_CHECKING:
    from collector.detect.geo import ImportFault
    from collector.store import RulesRow
    from collector.store.database import Store

FILE_BYTES_MAX = 32 << 20  # DETECTION section 5
LINES = ("LineString",)  # what is a route; the rest are zones
FAULT_COLUMNS = ("feature", "id", "code", "where", "message")
EMPTY = '{"type":"FeatureCollection","features":[]}'

FileArgument = Annotated[
    Path, typer.Argument(help="GeoJSON (DETECTION section 5).", show_default=False)
]


def import_zones(
    file: FileArgument, as_json: JsonOption = False, data_dir: DataOption = DATA
) -> None:
    """Replace all zones by those of a file: a new version of the rules, valid from now on. Exit 6 if it has a fault.

    Lines in the file are routes and left alone.
    """
    import_shapes(file, "zones", as_json=as_json, data_dir=data_dir)


def import_shapes(file: Path, noun: str, *, as_json: bool, data_dir: Path) -> None:
    """Replace all `noun`, zones or routes, by those of `file`."""
    source = read_geojson(file)

    async def write(store: "Store", now_ms: int) -> "tuple[ImportFault, ...] | Row":
        return await _replace(store, source, noun, now_ms)

    done = write_store(data_dir, write)
    if isinstance(done, tuple):
        show_faults(done, as_json=as_json)
        typer.echo(f"{file}: {len(done)} faults, nothing was imported", err=True)
        raise typer.Exit(exits.BAD)
    if as_json:
        say_json([done])
    else:
        typer.echo(f"{done[noun]} {noun} are version {done['version']} of the rules")


def read_geojson(file: Path) -> object:
    """The parsed file; ends the command with 3 if it is not there, 6 if it is too large or no JSON."""
    try:
        size = file.stat().st_size
        if size > FILE_BYTES_MAX:
            fail(exits.BAD, f"{file}: too_large: {size} bytes, at most {FILE_BYTES_MAX}")
        return json.loads(file.read_bytes())
    except OSError as error:
        fail(exits.NOT_FOUND, f"{file}: {error.strerror}")
    except (ValueError, RecursionError) as error:
        fail(exits.BAD, f"{file}: not_geojson: {error}")


def show_faults(faults: "tuple[ImportFault, ...]", *, as_json: bool) -> None:
    """Faults or warnings of an import, one a line."""
    rows: list[Row] = [{name: getattr(fault, name) for name in FAULT_COLUMNS} for fault in faults]
    if as_json:
        say_json(rows)
    else:
        say_table(FAULT_COLUMNS, (tuple(row.values()) for row in rows))


async def _replace(
    store: "Store", source: object, noun: str, now_ms: int
) -> "tuple[ImportFault, ...] | Row":
    from collector.api.shapes import changes
    from collector.detect.geo.geojson import read_zones

    newest = await _newest(store)
    zones = set() if newest is None else _ids(newest.zones)
    shapes = read_zones(source, known_zones=frozenset(zones))
    if isinstance(shapes, tuple):
        return shapes
    mine = json.dumps(only(source, lines=noun == "routes"), ensure_ascii=False)
    texts = {
        "zones": newest.zones if newest else EMPTY,
        "routes": newest.routes if newest else EMPTY,
        noun: mine,
    }
    thresholds = newest.thresholds if newest else ""
    version = await store.import_rules(
        **texts,
        thresholds=thresholds,
        now_ms=now_ms,
        by=actor(),
        changed=changes(newest, texts["zones"], texts["routes"], thresholds),
    )
    if shapes.warnings:
        show_warnings(shapes.warnings)
    return {"version": version, noun: len(getattr(shapes, noun))}


def show_warnings(warnings: "tuple[ImportFault, ...]") -> None:
    """What was put right or ignored, on standard error."""
    for warning in warnings:
        where = f" {warning.where}" if warning.where else ""
        typer.echo(
            f"warning: feature {warning.feature} {warning.id or ''}{where}: {warning.code}: {warning.message}",
            err=True,
        )


async def _newest(store: "Store") -> "RulesRow | None":
    versions = await store.rules()
    return versions[-1] if versions else None


def _features(source: object) -> list[object]:
    if not isinstance(source, dict):
        return []
    if source.get("type") == "Feature":
        return [source]
    features = source.get("features")
    return features if isinstance(features, list) else []


def only(source: object, *, lines: bool) -> dict[str, object]:
    """The features of `source` that are lines, or those that are not."""
    features = [
        feature
        for feature in _features(source)
        if isinstance(feature, dict)
        and isinstance(geometry := feature.get("geometry"), dict)
        and (geometry.get("type") in LINES) is lines
    ]
    return {"type": "FeatureCollection", "features": features}


def _ids(text: str) -> set[str]:
    """The ids of the zones of an imported version."""
    found = set()
    for feature in _features(json.loads(text or EMPTY)):
        assert isinstance(feature, dict), "an imported version was checked"
        properties = feature.get("properties") or {}
        found.add(str(properties.get("id", feature.get("id"))))
    return found
