"""`plomba demo`: what a newcomer sees first."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits

if TYPE_CHECKING:
    from plomba.demo.play import Show
    from plomba.demo.show import View

TELL_S = 10  # without a terminal: a picture every so often is enough for a log


def demo(
    seconds: Annotated[
        float | None,
        typer.Option(
            "--for",
            min=1,
            max=3_600,
            help="End by itself after so many seconds; else Ctrl-C ends it.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the account to this file as JSON.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Keep all files of the run in this folder.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No live view, only the account.")] = False,
) -> None:
    """Three simulated trucks, a broker and a collector as real processes, live in the terminal.

    A seal is cut, a truck leaves its road, a network goes away. Exit 0 only if nothing was lost, nothing is there twice and
    every scripted incident was raised exactly once; 6 if not; 1 if a program failed.
    """
    import configs
    from bench.site import SiteError
    from plomba.demo.play import Demo

    samples = Path(configs.__file__).parent / "demo"
    with ExitStack() as stack:
        folder = directory
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plomba-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        player = Demo(folder, samples, lambda text: typer.echo(text, err=True))
        try:
            with _screen(live=not quiet) as show:
                account = player.play(seconds, show)
        except SiteError as error:
            typer.echo(f"the demo could not go on: {error}", err=True)
            raise typer.Exit(exits.FAILED) from error
    if report is not None:
        report.write_text(
            json.dumps(account, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    _tell(account)
    raise typer.Exit(exits.OK if account["sound"] else exits.BAD)


@contextmanager
def _screen(*, live: bool) -> Iterator["Show"]:
    """Where the view goes: a live screen in a terminal, a line every few seconds elsewhere, nothing if not wanted."""
    from rich.console import Console
    from rich.live import Live

    from plomba.demo.show import draw

    console = Console()
    if not live:
        yield lambda _view: None
    elif console.is_terminal:
        with Live(console=console, screen=False, auto_refresh=False) as screen:
            yield lambda view: screen.update(draw(view), refresh=True)
    else:
        told: list[int] = [-TELL_S]

        def tell(view: "View") -> None:
            if view.played_s - told[0] >= TELL_S:
                told[0] = int(view.played_s)
                console.print(draw(view))

        yield tell


def _tell(account: dict[str, object]) -> None:
    """The account for people."""
    from plomba.bench import lines_of

    for line in lines_of({name: value for name, value in account.items() if name != "script"}):
        typer.echo(line)
