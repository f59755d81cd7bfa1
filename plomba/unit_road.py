"""`plomba unit plate|stop|go|checks`: the vehicle of a unit, and what people say of it beside the road."""

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
    change_store,
    fail,
    read_store,
    say_json,
    say_table,
)

if TYPE_CHECKING:
    from collector.store.database import Store

UnitArgument = Annotated[str, typer.Argument(help="Its unit_id.", show_default=False)]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why; kept with who and when.", show_default=False)
]
CHECKS_MAX = 200


def mount(group: typer.Typer) -> None:
    """Put the commands into `plomba unit`."""
    group.command("plate")(plate)
    group.command("stop")(stop)
    group.command("go")(go)
    group.command("checks")(checks)


def plate(
    unit_id: UnitArgument,
    number: Annotated[str, typer.Argument(help="Its plate; empty: none.", show_default=False)],
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Say into which vehicle a unit is built. The plate of a journey goes before it."""
    from collector.customs.ids import Bad, Kind, check

    found = check(Kind.PLATE, number) if number else None
    if isinstance(found, Bad):
        fail(exits.BAD, f"{number!r} is no plate: {found.reason}")
    normal = "" if found is None else found.normal

    async def write(store: "Store", now_ms: int) -> bool:
        return await store.set_plate(unit_id, normal, now_ms=now_ms)

    if not change_store(data_dir, write):
        fail(exits.NOT_FOUND, f"{unit_id} is not enrolled")
    if as_json:
        say_json([{"unit": unit_id, "plate": normal or None}])
    else:
        typer.echo(f"{unit_id} {normal or 'has no plate'}")


def stop(
    unit_id: UnitArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Order that whoever meets this truck stops it: the officer's page says STOP."""
    if not _act(data_dir, unit_id, reason, is_stop=True):
        fail(exits.FAILED, f"{unit_id} is to be stopped already")
    if as_json:
        say_json([{"unit": unit_id, "stop": True}])
    else:
        typer.echo(f"{unit_id} is to be stopped")


def go(
    unit_id: UnitArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Lift a stop order."""
    if not _act(data_dir, unit_id, reason, is_stop=False):
        fail(exits.FAILED, f"no stop order stands on {unit_id}")
    if as_json:
        say_json([{"unit": unit_id, "stop": False}])
    else:
        typer.echo(f"{unit_id} may go")


def checks(unit_id: UnitArgument, as_json: JsonOption = False, data_dir: DataOption = DATA) -> None:
    """Show what officers have reported of a unit's seals, the newest first."""
    from collector.detect import stamp

    async def read(store: "Store", _now_ms: int) -> list[Row] | None:
        from collector.store.roadside import reports_of

        number = await store.number_of(unit_id)
        if number is None:
            return None
        async with store.read() as connection:
            rows = await reports_of(connection, number, CHECKS_MAX)
        return [
            {
                "at": stamp(row.at_ms),
                "seen_at": stamp(row.made_ms),
                "seal": "matches" if row.matches else "differs",
                "journey": row.journey or None,
                "by": row.who,
                "verdict": row.seen,
            }
            for row in rows
        ]

    rows = read_store(data_dir, read)
    if rows is None:
        fail(exits.NOT_FOUND, f"{unit_id} is not enrolled")
    if as_json:
        say_json(rows)
    else:
        say_table(
            ("at", "seal", "journey", "by", "verdict"),
            ([row[name] for name in ("at", "seal", "journey", "by", "verdict")] for row in rows),
        )


def _act(data_dir: Path, unit_id: str, reason: str, *, is_stop: bool) -> bool:
    from collector.store import roadside

    if not 1 <= len(reason.strip()) <= roadside.NOTE_CHARS_MAX:
        fail(exits.USAGE, f"--reason: 1 to {roadside.NOTE_CHARS_MAX} characters")
    who = actor()

    async def write(store: "Store", now_ms: int) -> bool | None:
        number = await store.number_of(unit_id)
        if number is None:
            return None
        do = roadside.stop if is_stop else roadside.lift
        async with store.write() as connection:
            return await do(connection, number, who=who, why=reason.strip(), now_ms=now_ms)

    done = change_store(data_dir, write)
    if done is None:
        fail(exits.NOT_FOUND, f"{unit_id} is not enrolled")
    return done
