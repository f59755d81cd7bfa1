"""`plomba rule`: the versions of the rules, and new thresholds (DETECTION section 3).

Law: a version is never changed. It holds from its commit on, and nothing is judged anew.
"""

import json
import tomllib
from dataclasses import fields
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
    read_store,
    say_json,
    say_table,
    write_store,
)

if TYPE_CHECKING:
    from collector.store import RulesRow
    from collector.store.database import Store

FILE_BYTES_MAX = 64 << 10  # some fifty numbers
LIST_COLUMNS = ("version", "valid_from", "zones", "routes", "thresholds")

FileArgument = Annotated[
    Path, typer.Argument(help="Thresholds as a flat TOML table.", show_default=False)
]


def import_rules(
    file: FileArgument, as_json: JsonOption = False, data_dir: DataOption = DATA
) -> None:
    """Replace all thresholds by those of a file: a new version of the rules, valid from now on. Exit 6 if it has a fault.

    Zones and routes stay. Where the collector is started with `detect.rules_file`, that file comes into force again at its next start.
    """
    from collector.api.shapes import changes

    text = read_rules(file)

    async def write(store: "Store", now_ms: int) -> int:
        versions = await store.rules()
        newest = versions[-1] if versions else None
        zones, routes = (newest.zones, newest.routes) if newest else (EMPTY, EMPTY)
        return await store.import_rules(
            zones=zones,
            routes=routes,
            thresholds=text,
            now_ms=now_ms,
            by=actor(),
            changed=changes(newest, zones, routes, text),
        )

    version = write_store(data_dir, write)
    said = tomllib.loads(text)
    if as_json:
        say_json([{"version": version, "thresholds": said}])
    else:
        typer.echo(f"{len(said)} thresholds are version {version} of the rules")


def list_rules(as_json: JsonOption = False, data_dir: DataOption = DATA) -> None:
    """All versions, the oldest first: since when each holds, how many shapes it has, which thresholds differ from the built-in ones."""
    rows = [_listed(row) for row in _versions(data_dir)]
    if as_json:
        say_json(rows)
        return
    said = (
        (
            *(row[name] for name in LIST_COLUMNS[:-1]),
            ", ".join(f"{key} = {_toml(value)}" for key, value in _table(row["thresholds"]))
            or None,
        )
        for row in rows
    )
    say_table(LIST_COLUMNS, said)


def show(
    version: Annotated[
        int | None, typer.Argument(min=0, help="Else the one in force; 0: before the first.")
    ] = None,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """One version: every threshold that holds in it, and whether it was imported or is built in. Exit 3 if there is none."""
    from collector.detect.rules import Thresholds, live_thresholds

    versions = _versions(data_dir)
    if version is None:
        version = versions[-1].version if versions else 0
    row = next((row for row in versions if row.version == version), None)
    if row is None and version != 0:
        fail(exits.NOT_FOUND, f"there is no version {version} of the rules; see: plomba rule list")
    given = {} if row is None else tomllib.loads(row.thresholds)
    now = live_thresholds(given)
    values = {
        "profile.eaeu" if entry.name == "eaeu" else entry.name: getattr(now, entry.name)
        for entry in fields(Thresholds)
    }
    given |= {f"profile.{key}": value for key, value in given.pop("profile", {}).items()}
    if as_json:
        head = {"version": 0, "valid_from": None} if row is None else _listed(row)
        say_json([{**head, "thresholds": values, "imported": sorted(given)}])
        return
    if row is not None:
        listed = _listed(row)
        typer.echo(
            f"version {version}, valid from {listed['valid_from']}: {listed['zones']} zones, {listed['routes']} routes"
        )
    say_table(
        ("threshold", "value", "from"),
        (
            (name, _toml(value), "imported" if name in given else "built in")
            for name, value in values.items()
        ),
    )


def read_rules(file: Path) -> str:
    """The text of a checked file of thresholds; ends the command with 3 if it is not there, 6 if a key cannot be taken."""
    from collector.detect.rules import RulesError, thresholds_from

    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            fail(exits.BAD, f"{file}: too large: at most {FILE_BYTES_MAX} bytes")
        text = file.read_text(encoding="utf-8")
        thresholds_from(tomllib.loads(text))
    except OSError as error:
        fail(exits.NOT_FOUND, f"{file}: {error.strerror}")
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        fail(exits.BAD, f"{file}: no TOML: {error}")
    except RulesError as error:
        fail(exits.BAD, f"{file}: {error.key}: {error.hint}")
    return text


def _versions(data_dir: Path) -> "tuple[RulesRow, ...]":
    return read_store(data_dir, lambda store, _now_ms: store.rules())


def _listed(row: "RulesRow") -> Row:
    from collector.detect import stamp

    return {
        "version": row.version,
        "valid_from": stamp(row.valid_from_ms),
        "zones": _features(row.zones),
        "routes": _features(row.routes),
        "thresholds": tomllib.loads(row.thresholds),
    }


def _features(text: str) -> int:
    return len(json.loads(text or EMPTY)["features"])


def _table(value: object) -> list[tuple[str, object]]:
    assert isinstance(value, dict)
    return list(value.items())


def _toml(value: object) -> str:
    """As it would stand in the file."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


EMPTY = '{"type":"FeatureCollection","features":[]}'
