"""`plomba zone import` and `plomba route import`: all or nothing, and every fault by feature."""

import asyncio
import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from collector.store import RulesRow
from collector.store.database import Store
from plomba.route import import_routes
from plomba.zone import import_zones

APP = Typer()
APP.command("zone")(import_zones)
APP.command("route")(import_routes)
RUNNER = CliRunner()

Feature = dict[str, object]


def square(name: str, lon: float = 69.0, **properties: object) -> Feature:
    ring = [[lon, 41], [lon + 0.1, 41], [lon + 0.1, 41.1], [lon, 41.1], [lon, 41]]
    return {
        "type": "Feature",
        "properties": {"id": name, "kind": "forbidden", **properties},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def road(name: str, **properties: object) -> Feature:
    return {
        "type": "Feature",
        "properties": {"id": name, "kind": "route", **properties},
        "geometry": {"type": "LineString", "coordinates": [[69, 41], [69.2, 41.05]]},
    }


def run(tmp_path: Path, noun: str, *features: Feature, options: tuple[str, ...] = ()) -> Result:
    file = tmp_path / "shapes.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return RUNNER.invoke(APP, [noun, str(file), "--data", str(tmp_path / "data"), *options])


def versions(tmp_path: Path) -> tuple[RulesRow, ...]:
    async def read() -> tuple[RulesRow, ...]:
        store = await Store.open(f"sqlite:///{tmp_path / 'data' / 'collector.db'}")
        try:
            return await store.rules()
        finally:
            await store.close()

    return asyncio.run(read())


def names(text: str) -> list[str]:
    return [feature["properties"]["id"] for feature in json.loads(text)["features"]]


def test_each_import_is_a_version_and_leaves_the_other_noun_alone(tmp_path: Path) -> None:
    both = (square("a"), road("r", checkpoints=["a"]))
    assert run(tmp_path, "zone", *both).stdout == "1 zones are version 1 of the rules\n"
    assert run(tmp_path, "route", *both).stdout == "1 routes are version 2 of the rules\n"
    assert run(tmp_path, "zone", square("b")).stdout == "1 zones are version 3 of the rules\n"
    told = [(row.version, names(row.zones), names(row.routes)) for row in versions(tmp_path)]
    assert told == [(1, ["a"], []), (2, ["a"], ["r"]), (3, ["b"], ["r"])]


def test_a_route_may_name_zones_of_an_earlier_import(tmp_path: Path) -> None:
    alone = road("r", checkpoints=["a"])
    refused = run(tmp_path, "route", alone, options=("--json",))
    assert refused.exit_code == 6
    assert [json.loads(line)["code"] for line in refused.stdout.splitlines()] == ["unknown_zone"]
    assert run(tmp_path, "zone", square("a")).exit_code == 0
    assert run(tmp_path, "route", alone).exit_code == 0


def test_faults_are_shown_by_index_id_code_place_and_message_and_nothing_is_imported(
    tmp_path: Path,
) -> None:
    bad = square("b")
    bad["geometry"] = {
        "type": "Polygon",
        "coordinates": [[[69, 41], [69.1, 41.1], [69.1, 41], [69, 41.1], [69, 41]]],
    }
    result = run(tmp_path, "zone", square("a"), bad, square("a"), options=("--json",))
    assert result.exit_code == 6
    faults = [json.loads(line) for line in result.stdout.splitlines()]
    assert [list(fault) for fault in faults] == [["feature", "id", "code", "where", "message"]] * 2
    assert {(fault["feature"], fault["code"]) for fault in faults} == {
        (1, "invalid"),
        (2, "same_id"),
    }
    assert "nothing was imported" in result.stderr
    assert versions(tmp_path) == ()


def test_faults_are_a_table_for_people(tmp_path: Path) -> None:
    result = run(tmp_path, "zone", square("no good name"))
    assert result.exit_code == 6
    assert "bad_id" in result.stdout
    assert "feature" in result.stdout


@pytest.mark.parametrize(
    ("content", "exit_code", "words"),
    [
        (None, 3, "No such file"),
        ("{", 6, "not_geojson"),
        ("\xff", 6, "not_geojson"),
        ("[]", 6, "not_geojson"),
    ],
)
def test_what_is_no_file_or_no_geojson_is_said(
    tmp_path: Path, content: str | None, exit_code: int, words: str
) -> None:
    file = tmp_path / "shapes.geojson"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    result = RUNNER.invoke(APP, ["zone", str(file), "--data", str(tmp_path / "data")])
    assert result.exit_code == exit_code
    assert words in result.stdout + result.stderr


def test_json_says_the_version(tmp_path: Path) -> None:
    result = run(tmp_path, "zone", square("a"), square("b", 70), options=("--json",))
    assert json.loads(result.stdout) == {"version": 1, "zones": 2}
