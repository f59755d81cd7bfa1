"""`plomba alert notify-test` and `messages`: whether people are reached, and what became of each message (DETECTION section 9).

Law: no url is shown, neither where it works nor where it fails.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits
from plomba.alert_show import message_row, say_messages
from plomba.centre import DATA, DataOption, JsonOption, Row, fail, one_of, read_store, say_json

if TYPE_CHECKING:
    from collector.store.database import Store

STATES = ("waiting", "sending", "sent", "dead", "moot")


def notify_test(
    target: Annotated[str, typer.Argument(help="Its name in the config.", show_default=False)],
    config_file: Annotated[
        Path, typer.Option("--config", help="The collector's config.", show_default=False)
    ],
) -> None:
    """Send a test message to a target, now and once. Exit 5 if its service did not take it."""
    import asyncio

    from collector.config import ConfigError, read
    from collector.io.notify import UrlFileError, hush, read_url, send
    from collector.texts.catalogue import text

    try:
        config = read(config_file)
    except ConfigError as error:
        fail(exits.USAGE, str(error))
    found = next((one for one in config.notify.target if one.name == target), None)
    if found is None:
        names = ", ".join(one.name for one in config.notify.target) or "none"
        fail(exits.NOT_FOUND, f"no notify.target is named {target!r}; there are: {names}")
    try:
        read_url(found.url_file)
    except UrlFileError as error:
        fail(exits.FAILED, str(error))
    hush()
    words = text("message.test", found.language, name=found.name)
    why = asyncio.run(send(found.url_file, words, words))
    if why is not None:
        fail(exits.UNREACHABLE, f"{target}: {why}")
    typer.echo(f"{target}: taken")


def messages(
    state: Annotated[
        str,
        typer.Option(
            "--state", help=f"Only these: {', '.join(STATES)}.", autocompletion=one_of(*STATES)
        ),
    ] = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Show the messages about alerts: to whom, how they stand, and why some did not go out."""
    if state and state not in STATES:
        fail(exits.USAGE, f"--state is one of {', '.join(STATES)}")

    async def look(store: "Store", now_ms: int) -> list[Row]:
        from collector.store import notifications

        del now_ms
        async with store.read() as connection:
            return [
                message_row(row) for row in await notifications.letters(connection, state=state)
            ]

    rows = read_store(data_dir, look)
    if as_json:
        say_json(rows)
    else:
        say_messages(rows)
