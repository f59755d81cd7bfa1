"""`plomba bench console`: the numbers of the control room and of the officer's page, and the page that holds them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from plomba import exits


def console(
    write: Annotated[
        Path | None, typer.Option(help="Write the page there, as docs/NUMBERS.md.")
    ] = None,
    cuts: Annotated[int, typer.Option(min=1, max=1_000, help="Seals that are cut.")] = 50,
    soak_minutes: Annotated[
        int, typer.Option(min=0, max=1_440, help="Watch the heap so long; 0: not at all.")
    ] = 0,
    units: Annotated[
        int, typer.Option(min=300, max=10_000, help="Of the fleet; the goals are for 10,000.")
    ] = 10_000,
    crowd: Annotated[
        int, typer.Option(min=1, max=100_000, help="Of the crowd; the goals are for 50,000.")
    ] = 50_000,
    only: Annotated[
        str | None, typer.Option(help="Parts with commas between; else all but the soak.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output.")
    ] = False,
) -> None:
    """The console's numbers on a real collector with real agents, in the system's Chromium with WebGL in software (CONSOLE section 11).

    Six minutes at most. Every figure names its goal and the load of the machine at its time: on a busy one a missed goal proves nothing.
    Parts: weight, vitals, cuts, units, stream, soak, alarms, crowd, officer; the soak wants its minutes. Exit 0 whatever the figures are; 3 if Chromium, the built console or a package of the development
    is missing.
    """
    from bench.console.page import page
    from bench.console.run import ASKED_FOR, TITLES, Asked, run
    from bench.officer import BenchError

    names = tuple(TITLES) if only is None else tuple(only.split(","))
    if not soak_minutes:
        names = tuple(name for name in names if name != ASKED_FOR)
    if unknown := [name for name in names if name not in TITLES]:
        typer.echo(f"no part {', '.join(unknown)}: one of {', '.join(TITLES)}", err=True)
        raise typer.Exit(exits.USAGE)
    asked = Asked(names=names, cuts=cuts, soak_minutes=soak_minutes, units=units, crowd=crowd)
    try:
        report = run(asked, lambda text: typer.echo(text, err=True))
    except BenchError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(exits.NOT_FOUND) from error
    text = page(report.parts, report.machine)
    if write is not None:
        write.write_text(text, encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(report.plain(), ensure_ascii=False))
    elif write is None:
        typer.echo(text)
