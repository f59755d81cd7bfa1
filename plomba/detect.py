"""`plomba detect`: recorded tracks through the real detectors, and shapes looked at before they are used (DETECTION section 15).

Law: the same input gives the same bytes.
"""

import gzip
import json
import tomllib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.detect import Finding
    from collector.detect.cross.known import Known
    from collector.detect.engine import UnitState
    from collector.detect.geo import ImportFault, Shapes
    from collector.detect.rules import Thresholds

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def replay(
    tracks: Annotated[list[Path], typer.Argument(help=".csv, .gpx or .geojson, each also .gz.")],
    zones: Annotated[Path | None, typer.Option(help="Polygons and circles as GeoJSON.")] = None,
    route: Annotated[Path | None, typer.Option(help="Lines as GeoJSON.")] = None,
    route_id: Annotated[
        str | None, typer.Option(help="Which line, where several are nobody's own.")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="Thresholds that differ, as TOML.")] = None,
    facts: Annotated[
        Path | None, typer.Option(help="Seals, journeys, orders .. as JSON lines.")
    ] = None,
    as_json: AsJson = False,
    step_all: Annotated[
        bool, typer.Option("--step-all", help="Step every row: the same lines, slower.")
    ] = False,
    tick: Annotated[
        int, typer.Option(min=1, max=100_000, help="Batches a tick: the same lines for every N.")
    ] = 512,
    batch: Annotated[int, typer.Option(min=1, max=1_024, help="Records a batch.")] = 60,
    deliver: Annotated[
        str, typer.Option(help="Order of arrival: time, received or shuffle:SEED.")
    ] = "time",
    ticks: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=3_600,
            help="Seconds between ticks from first to last receipt: silence and deadlines.",
        ),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Read if it is there, written at the end.")
    ] = None,
) -> None:
    """Print what the detectors find on recorded tracks.

    Exit 1 if nothing is usable, 2 for wrong usage, 3 if there is no such file.
    """
    from collector.detect.engine import every_row, marked_rows
    from plomba.facts import read_facts
    from plomba.replay import Plan, replay as run_replay, rulebook
    from plomba.tracks import Reading, read_track

    if deliver not in ("time", "received") and not deliver.removeprefix("shuffle:").isdecimal():
        _usage("--deliver is time, received or shuffle:SEED")
    for path in [*tracks, *(one for one in (zones, route, rules, facts) if one is not None)]:
        if not path.is_file():
            typer.echo(f"{path}: no such file", err=True)
            raise typer.Exit(exits.NOT_FOUND)
    thresholds = _thresholds(rules)
    shapes = _shapes(zones, route)
    shared = [line.id for line in shapes.routes if line.unit is None]
    if route_id is None and len(shared) > 1:
        _usage(f"--route-id: one of {', '.join(shared)}")
    if route_id is not None and route_id not in {line.id for line in shapes.routes}:
        _usage(f"--route-id: no route {route_id!r}")
    reading = Reading(lambda text: typer.echo(text, err=True))
    for path in tracks:
        read_track(reading, path)
    said = () if facts is None else read_facts(reading, facts)
    if reading.left_out:
        typer.echo(f"{reading.left_out} rows left out", err=True)
    if not reading.rows and not said:
        typer.echo("nothing usable in these files", err=True)
        raise typer.Exit(exits.FAILED)
    states, next_seq, known = _read_state(state)
    if state is not None and (state.is_dir() or not state.parent.is_dir()):
        typer.echo(f"{state}: no file can be written there", err=True)
        raise typer.Exit(exits.NOT_FOUND)
    units = dict.fromkeys(
        [*(row.unit for row in reading.rows), *(fact.unit for fact in said if fact.unit)]
    )
    plan = Plan(
        batch_rows=batch,
        tick_batches=tick,
        deliver=deliver,
        ticks_s=ticks,
        goes_on=state is not None,
        screen=every_row if step_all else marked_rows,
    )
    book = rulebook(shapes, thresholds, said, units, route_id)
    came_of_it = run_replay(book, reading.rows, said, plan, states, next_seq, known)
    _write_state(state, came_of_it.states, came_of_it.next_seq, came_of_it.known)
    _print(came_of_it.findings, as_json=as_json)


def check(
    files: Annotated[list[Path], typer.Argument(help="Zones and routes as GeoJSON.")],
    as_json: AsJson = False,
) -> None:
    """Say what would be refused or put right on import. Exit 6 if anything would be refused, 3 if there is no such file."""
    from collector.detect.geo import ImportFault, Shapes

    found: list[tuple[Path, str, ImportFault]] = []
    for path in files:
        if not path.is_file():
            typer.echo(f"{path}: no such file", err=True)
            raise typer.Exit(exits.NOT_FOUND)
    known = _zone_ids(files)
    for path in files:
        shapes = _read_shapes(path, known)
        if isinstance(shapes, Shapes):
            found += [(path, "warning", fault) for fault in shapes.warnings]
            if not as_json:
                typer.echo(f"{path}: {len(shapes.zones)} zones, {len(shapes.routes)} routes")
        else:
            found += [(path, "fault", fault) for fault in shapes]
    for path, level, fault in found:
        typer.echo(_fault_line(path, level, fault, as_json=as_json))
    bad = any(level == "fault" for _, level, _ in found)
    raise typer.Exit(exits.BAD if bad else exits.OK)


def _fault_line(path: Path, level: str, fault: "ImportFault", *, as_json: bool) -> str:
    if as_json:
        said = {
            "file": str(path),
            "level": level,
            "feature": fault.feature,
            "id": fault.id,
            "code": fault.code,
            "where": fault.where,
            "message": fault.message,
        }
        return json.dumps(said, ensure_ascii=False)
    what = "the file" if fault.feature is None else f"feature {fault.feature}"
    name = "" if fault.id is None else f" ({fault.id})"
    return f"{path}: {level}: {what}{name}: {fault.code} {fault.where}: {fault.message}"


def _shapes(zones: Path | None, route: Path | None) -> "Shapes":
    """Zones from the one file, routes from the other; one file may serve both."""
    from collector.detect.geo import Shapes

    files = [path for path in dict.fromkeys((zones, route)) if path is not None]
    known = _zone_ids(files)
    read: dict[Path, Shapes] = {}
    for path in files:
        shapes = _read_shapes(path, known)
        if not isinstance(shapes, Shapes):
            for fault in shapes:
                typer.echo(_fault_line(path, "fault", fault, as_json=False), err=True)
            raise typer.Exit(exits.FAILED)
        for warning in shapes.warnings:
            typer.echo(_fault_line(path, "warning", warning, as_json=False), err=True)
        read[path] = shapes
    return Shapes(
        zones=() if zones is None else read[zones].zones,
        routes=() if route is None else read[route].routes,
    )


def _read_shapes(path: Path, known: frozenset[str]) -> "Shapes | tuple[ImportFault, ...]":
    from collector.detect.geo import ImportFault
    from collector.detect.geo.geojson import FILE_BYTES_MAX, read_zones

    def fault(code: str, why: str) -> "tuple[ImportFault, ...]":
        return (ImportFault(feature=None, id=None, code=code, where="", message=why),)

    try:
        data = _bytes(path)
    except (OSError, EOFError, zlib.error) as error:
        return fault("not_geojson", f"no gzip: {error}")
    if len(data) > FILE_BYTES_MAX:
        return fault("too_large", f"{len(data)} bytes, at most {FILE_BYTES_MAX}")
    try:
        source = json.loads(data)
    except (ValueError, RecursionError) as error:
        return fault("not_geojson", f"no JSON: {error}")
    return read_zones(source, known_zones=known)


def _zone_ids(files: "Sequence[Path]") -> frozenset[str]:
    """Names that routes of one file may mean in another: whatever looks like an id."""
    names: set[str] = set()
    for path in files:
        try:
            source = json.loads(_bytes(path))
        except (OSError, EOFError, zlib.error, ValueError, RecursionError):
            continue  # `_read_shapes` says why
        features = source.get("features") if isinstance(source, dict) else None
        for feature in features if isinstance(features, list) else []:
            if not isinstance(feature, dict) or not isinstance(feature.get("geometry"), dict):
                continue
            properties = feature.get("properties")
            named = properties.get("id") if isinstance(properties, dict) else None
            if feature["geometry"].get("type") != "LineString":
                names.add(str(named if named is not None else feature.get("id")))
    return frozenset(names)


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.name.lower().endswith(".gz") else data


def _thresholds(path: Path | None) -> "Thresholds | None":
    from collector.detect.rules import RulesError, thresholds_from

    if path is None:
        return None
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        flat: dict[str, object] = {}
        for key, value in table.items():
            grouped = isinstance(value, dict) and key != "profile"  # a table of headings, or ours
            flat.update(value if grouped else {key: value})
        return thresholds_from(flat)
    except (ValueError, RulesError) as error:
        typer.echo(f"{path}: {error}", err=True)
        raise typer.Exit(exits.USAGE) from error


def _read_state(path: Path | None) -> "tuple[dict[str, UnitState], dict[str, int], Known]":
    """A line a unit, and one for each thing that several units have told together."""
    from collector.detect.cross.known import NOTHING
    from wire import MisuseError

    if path is None or not path.is_file():
        return {}, {}, NOTHING
    try:
        return _state_in(path.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, MisuseError) as fault:
        typer.echo(f"{path}: no state that a replay has written", err=True)
        raise typer.Exit(exits.FAILED) from fault


def _state_in(text: str) -> "tuple[dict[str, UnitState], dict[str, int], Known]":
    from collector.detect.cross.known import read
    from collector.detect.engine.blob import unpack

    states: dict[str, UnitState] = {}
    next_seq: dict[str, int] = {}
    rows: dict[str, bytes] = {}
    for line in text.split("\n"):
        if not line:
            continue
        kept = json.loads(line)
        if "known" in kept:
            rows[kept["known"]] = bytes.fromhex(kept["state"])
            continue
        states[kept["unit"]] = unpack(bytes.fromhex(kept["state"]))
        next_seq[kept["unit"]] = kept["next_seq"]
    return states, next_seq, read(rows)


def _write_state(
    path: Path | None, states: "dict[str, UnitState]", next_seq: dict[str, int], known: "Known"
) -> None:
    from collector.detect.cross.known import NOTHING, changed
    from collector.detect.engine.blob import pack

    if path is None:
        return
    lines = [
        json.dumps(
            {"unit": unit, "next_seq": next_seq.get(unit, 0), "state": pack(states[unit]).hex()},
            ensure_ascii=False,
        )
        for unit in sorted(states)
    ]
    lines += [
        json.dumps({"known": key, "state": row.hex()}, ensure_ascii=False)
        for key, row in sorted(changed(NOTHING, known).items())
        if row is not None
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _print(findings: "Sequence[Finding]", *, as_json: bool) -> None:
    from plomba.replay import line_of

    if as_json:
        for finding in findings:
            typer.echo(json.dumps(line_of(finding), ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("unit", "at", "code", "phase", "P", "where", "value")
    for finding in findings:
        said = line_of(finding)
        where = finding.zone or finding.route or finding.seal or ""
        value = "" if finding.value is None else str(said["value"])
        table.add_row(
            finding.unit,
            str(said["at"]),
            finding.code,
            finding.phase.value,
            str(said["priority"] or ""),
            where,
            value,
        )
    Console().print(table)


def _usage(text: str) -> None:
    typer.echo(text, err=True)
    raise typer.Exit(exits.USAGE)
