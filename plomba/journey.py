"""`plomba journey`: what a unit is on, and the numbers by which an officer finds it."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits
from plomba.centre import (
    DATA,
    DataOption,
    JsonOption,
    Row,
    change_store,
    fail,
    read_store,
    say_json,
    say_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collector.customs.ids import Kind
    from collector.store import JourneyRow
    from collector.store.database import Store

ROWS_MAX = 10_000  # of one file; a post clears some hundred a day
COLUMNS = ("journey", "unit", "since", "state", "sealed", "truck", "trailer", "route", "limit")
FIELDS = frozenset(
    (
        "journey",
        "unit",
        "since",
        "state",
        "sealed",
        "plate",
        "trailer",
        "containers",
        "seals",
        "route",
        "limit",
    )
)

UnitArgument = Annotated[str, typer.Argument(help="Its unit_id.", show_default=False)]


def add(
    unit_id: UnitArgument,
    journey_id: Annotated[str, typer.Argument(help="Its number, as the MRN.", show_default=False)],
    plate: Annotated[str, typer.Option(help="Of the truck.")] = "",
    trailer: Annotated[str, typer.Option(help="Plate of the trailer.")] = "",
    container: Annotated[list[str] | None, typer.Option(help="One or more.")] = None,
    seal: Annotated[list[str] | None, typer.Option(help="As declared; one or more.")] = None,
    route: Annotated[str, typer.Option(help="Id of the prescribed route.")] = "",
    since: Annotated[str, typer.Option(help="RFC 3339; now if left out.")] = "",
    limit: Annotated[str, typer.Option(help="RFC 3339: until then it must have arrived.")] = "",
    state: Annotated[
        str, typer.Option(help="in_transit is watched; cleared ends it.")
    ] = "in_transit",
    sealed: Annotated[bool, typer.Option(help="Under seal.")] = True,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Put a unit on a journey, from now on or from a time on, until its next one."""
    said = {
        "journey": journey_id,
        "unit": unit_id,
        "since": since,
        "state": state,
        "sealed": "yes" if sealed else "no",
        "plate": plate,
        "trailer": trailer,
        "containers": ";".join(container or ()),
        "seals": ";".join(seal or ()),
        "route": route,
        "limit": limit,
    }
    _write(data_dir, [("the command", said)], as_json=as_json)


def import_journeys(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with a heading: " + ", ".join(sorted(FIELDS)) + ".", show_default=False
        ),
    ],
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Put units on journeys, one a line; all of them or none. Several containers or seals are parted by semicolons."""
    _write(data_dir, list(_lines(file)), as_json=as_json)


def list_journeys(
    unit: Annotated[str, typer.Option(help="Only of this unit.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Those of before too.")] = False,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """List what units are on."""

    async def read(store: "Store", now_ms: int) -> "tuple[JourneyRow, ...]":
        rows = [row for row in await store.journeys() if not unit or row.unit_id == unit]
        if everything:
            return tuple(rows)
        return tuple({row.unit_id: row for row in rows if row.since_ms <= now_ms}.values())

    rows = [_shown(row) for row in read_store(data_dir, read)]
    if as_json:
        say_json(rows)
    else:
        say_table(COLUMNS, ([row[name] for name in _TABLE] for row in rows))


def _write(data_dir: Path, lines: "Sequence[tuple[str, dict[str, str]]]", *, as_json: bool) -> None:
    rows: list[JourneyRow] = []

    async def write(store: "Store", now_ms: int) -> int:
        rows.extend(_journey(where, said, now_ms) for where, said in lines)
        return await store.add_journeys(rows)

    missing = change_store(data_dir, write)
    if missing:
        where, said = lines[missing - 1]
        fail(exits.NOT_FOUND, f"{where}: {said['unit']} is not enrolled; nothing was written")
    for (where, _), row in zip(lines, rows, strict=True):
        _warn_of_state(where, row)
    if as_json:
        say_json(map(_shown, rows))
    else:
        typer.echo(f"{len(lines)} written", err=True)


def _lines(file: Path) -> "Iterator[tuple[str, dict[str, str]]]":
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.DictReader(source)
            heading = list(reader.fieldnames or ())
            if (
                set(heading) - FIELDS
                or len(set(heading)) < len(heading)
                or not {"journey", "unit"} <= set(heading)
            ):
                fail(
                    exits.BAD,
                    f"{file}: the heading needs journey and unit, and may have {', '.join(sorted(FIELDS))}, each once",
                )
            for number, row in enumerate(reader, 2):
                if number > ROWS_MAX + 1:
                    fail(exits.BAD, f"{file}: more than {ROWS_MAX} lines")
                if None in row:  # a comma where a semicolon belongs would cost a container
                    fail(exits.BAD, f"{file}:{number}: more cells than the heading has")
                yield f"{file}:{number}", {name: (row.get(name) or "").strip() for name in FIELDS}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        fail(exits.NOT_FOUND if isinstance(error, OSError) else exits.BAD, f"{file}: {error}")


def _journey(where: str, said: dict[str, str], now_ms: int) -> "JourneyRow":
    from collector.customs.ids import Kind
    from collector.store import JourneyRow

    if not 1 <= len(said["journey"]) <= 64:
        fail(exits.BAD, f"{where}: a journey's number has 1 to 64 characters")
    return JourneyRow(
        id=said["journey"],
        unit_id=said["unit"],
        since_ms=_time(where, said["since"]) or now_ms,
        state=said["state"] or "in_transit",
        sealed=_truth(where, said["sealed"]),
        seals=tuple(_number(where, Kind.SEAL, one) for one in _parts(said["seals"])),
        route=said["route"] or None,
        limit_ms=_time(where, said["limit"]),
        tractor=_number(where, Kind.PLATE, said["plate"]),
        trailer=_number(where, Kind.PLATE, said["trailer"]),
        containers=tuple(_number(where, Kind.CONTAINER, one) for one in _parts(said["containers"])),
    )


def _warn_of_state(where: str, row: "JourneyRow") -> None:
    """A state that is neither under way nor over is allowed, and a slip of the pen would look the same."""
    from collector.detect.rules import IN_TRANSIT, OVER

    if row.state.lower() not in IN_TRANSIT | OVER:
        typer.echo(
            f"warning: {where}: {row.unit_id} is not watched on {row.id}: {row.state!r} is none of"
            f" {', '.join(sorted(IN_TRANSIT))}, nor an end: {', '.join(sorted(OVER))}",
            err=True,
        )


def _parts(said: str) -> list[str]:
    return [part.strip() for part in said.split(";") if part.strip()]


def _number(where: str, kind: "Kind", value: str) -> str:
    """In its normal form. A check digit that does not fit is told and kept: the number stands on the steel as it is."""
    from collector.customs.ids import Bad, Ok, check

    found = check(kind, value) if value else Ok(normal="")
    if isinstance(found, Bad) and found.reason == "check-digit":
        typer.echo(f"warning: {where}: the check digit of {value} does not fit", err=True)
        found = Ok(normal="".join(value.upper().split()).replace("-", ""))
    if isinstance(found, Bad):
        fail(exits.BAD, f"{where}: {value!r} is no {kind.value}: {found.reason}")
    return found.normal


def _time(where: str, value: str) -> int | None:
    from datetime import datetime

    if not value:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        fail(exits.BAD, f"{where}: {value!r} is no time with an offset: 2026-01-31T08:00:00+05:00")
    return int(at.timestamp() * 1_000)


def _truth(where: str, value: str) -> bool:
    if value.lower() not in {"", "yes", "no", "1", "0", "true", "false"}:
        fail(exits.BAD, f"{where}: sealed is yes or no, is {value!r}")
    return value.lower() not in {"no", "0", "false"}


def _shown(row: "JourneyRow") -> Row:
    from collector.detect import stamp

    return {
        "journey": row.id,
        "unit": row.unit_id,
        "since": stamp(row.since_ms),
        "state": row.state,
        "sealed": row.sealed,
        "plate": row.tractor or None,
        "trailer": row.trailer or None,
        "containers": list(row.containers),
        "seals": list(row.seals),
        "route": row.route,
        "limit": None if row.limit_ms is None else stamp(row.limit_ms),
    }


_TABLE = ("journey", "unit", "since", "state", "sealed", "plate", "trailer", "route", "limit")
