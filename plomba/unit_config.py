"""`plomba unit config`: settings by air, as versions of a unit (WIRE section 14, EDGE section 10)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits
from plomba.centre import (
    DATA,
    ApiOption,
    Centre,
    DataOption,
    JsonOption,
    Row,
    actor,
    change_store,
    fail,
    say_json,
    say_table,
)
from plomba.order import ReasonOption, UnitArgument, refuse, row_of, warn_if_nobody_sends

if TYPE_CHECKING:
    from collector.desk import Given
    from collector.store.database import Store

COLUMNS = ("version", "state", "by", "given", "settled")


def config(
    unit_id: UnitArgument,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="TOML, 8,192 bytes at most: tables recorder, sealer, uplink, outbox, status, clock.",
            show_default=False,
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Show its versions and the newest text; so without FILE.")
    ] = False,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Give a unit new settings by air, or show them. The unit tries them for 15 minutes and returns to the ones before by itself.

    What FILE does not say stays as the unit's own file has it. Exit 6 names every word that no unit would take; a file that
    sets what is set already changes nothing.
    """
    if file is None or show:
        if file is not None:
            fail(exits.USAGE, "--show gives nothing: leave out FILE, or leave out --show")
        _show(Centre(data_dir, api), unit_id, as_json=as_json)
        return
    from collector.desk import NotGiven
    from collector.store.orders import Unchanged

    text = _read(file)

    async def write(store: "Store", now_ms: int) -> "Given | Unchanged | NotGiven":
        from collector.desk import Wish
        from collector.store import orders as desk
        from wire.orders import OrderKind

        wish = Wish(
            unit_id=unit_id, kind=OrderKind.SET_CONFIG, data=(text,), by=actor(), why=reason
        )
        async with store.write() as connection:
            return await desk.give(connection, wish, now_ms)

    done = change_store(data_dir, write)
    if isinstance(done, NotGiven):
        refuse(done, "nothing is given")
    given = done.order if isinstance(done, Unchanged) else done
    if as_json:
        say_json([row_of(given) | {"changed": given is done}])
    elif given is not done:
        typer.echo(f"version {given.version} of {unit_id} says the same: nothing is given")
    else:
        typer.echo(
            f"version {given.version} is given to {unit_id}; what becomes of it: plomba unit config {unit_id}"
        )
    if given is done:
        warn_if_nobody_sends(data_dir)


def _read(file: Path) -> bytes:
    """The file, if the desk may give it; ends the command with all that is wrong with it."""
    from collector.desk.remote import faults_of
    from wire.orders import CONFIG_BYTES_MAX

    try:
        with file.open("rb") as opened:
            text = opened.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        fail(exits.NOT_FOUND, f"{file}: {error.strerror}")
    faults = faults_of(text)
    for fault in faults:
        typer.echo(f"{file}: {fault.key or 'the file'}: {fault.hint}", err=True)
    if faults:
        fail(exits.BAD, "nothing is given")
    return text


def _show(centre: Centre, unit_id: str, *, as_json: bool) -> None:
    rows = centre.get(f"/units/{unit_id}/configs")["configs"]
    assert isinstance(rows, list)
    if as_json:
        say_json(rows)
        return
    if not rows:
        typer.echo(f"{unit_id} runs by its own file: nothing was given by air", err=True)
        return
    say_table(COLUMNS, map(_cells, rows))
    typer.echo(f"\n# version {rows[0]['version']}\n{rows[0]['text'].rstrip()}")


def _cells(row: Row) -> tuple[object, ...]:
    state, result = row["state"], row["result"]
    said = f"{state}({result})" if result and state != "DONE" else state
    return row["version"], said, row["by"], row["issued_at"], row["settled_at"]
