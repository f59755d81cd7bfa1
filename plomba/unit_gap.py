"""`plomba unit gap-close`: a supervisor gives up what a unit owes (WIRE section 9)."""

from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits
from plomba.centre import (
    DATA,
    DataOption,
    JsonOption,
    actor,
    change_store,
    fail,
    is_running,
    say_json,
)
from plomba.order import UnitArgument, refuse

if TYPE_CHECKING:
    from collector.store.database import Store

GAP_MS_MIN = 86_400_000  # WIRE section 9: 24 h


def gap_close(
    unit_id: UnitArgument,
    reason: Annotated[
        str, typer.Option("--reason", help="Why these batches will not come.", show_default=False)
    ],
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Close the gap of a unit, 24 h after it was seen: what waits behind it settles, and nothing is judged across it.

    Should the batches come after all, they are taken and shown. Exit 1 if the gap is too young, 3 if there is none.
    """
    if not reason.strip():
        fail(exits.USAGE, "--reason: say why these batches will not come; it is kept with the act")

    from collector.desk import NotGiven

    async def write(store: "Store", now_ms: int) -> "tuple[bytes, int, int] | NotGiven":
        from collector.store import orders as desk

        async with store.write() as connection:
            return await desk.close_gap(
                connection, unit_id, by=actor(), why=reason, now_ms=now_ms, age_ms_min=GAP_MS_MIN
            )

    done = change_store(data_dir, write)
    if isinstance(done, NotGiven):
        refuse(done, "nothing is closed")
    chain_id, first_no, last_no = done
    if as_json:
        say_json([{"unit": unit_id, "chain": chain_id.hex(), "first": first_no, "last": last_no}])
    else:
        typer.echo(f"batches {first_no} to {last_no} of chain {chain_id.hex()} are given up")
    if not is_running(data_dir):
        typer.echo(f"no collector runs on {data_dir}: it closes the gap when one does", err=True)
