"""`plomba collector`: run the centre on this machine, ask how it is, and show the keys that units must pin."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from plomba import exits
from plomba.centre import (
    DATA,
    ApiOption,
    Centre,
    DataOption,
    JsonOption,
    Row,
    age,
    fail,
    say_json,
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="A TOML file; without one the defaults are a whole collector."),
]


def run(
    config_file: ConfigOption = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data", envvar="PLOMBA_DATA", help="Data directory, instead of the file's data_dir."
        ),
    ] = None,
    mqtt_port: Annotated[
        int | None, typer.Option(help="Where units connect, instead of broker.mqtt_port.")
    ] = None,
    api_port: Annotated[
        int | None, typer.Option(help="Where the API listens, instead of api.port.")
    ] = None,
) -> None:
    """Run broker, intake, detectors, store and API until SIGTERM. Exit 2 for a wrong setting, 1 if it cannot start."""
    from collector.app import StartError
    from collector.app.run import start
    from collector.config import ConfigError, read

    try:
        config = read(config_file, data_dir=data_dir, mqtt_port=mqtt_port, api_port=api_port)
        start(config)
    except ConfigError as error:
        fail(exits.USAGE, str(error))
    except StartError as error:
        fail(exits.FAILED, str(error))


def status(as_json: JsonOption = False, data_dir: DataOption = DATA, api: ApiOption = "") -> None:
    """What a running collector says of itself. Exit 6 while it cannot take or keep what units say."""
    health = Centre(data_dir, api).get("/health")
    if as_json:
        say_json([health])
    else:
        for name, words in _said(health):
            typer.echo(f"{name:<12} {words}")
    if health["ok"] is not True:
        raise typer.Exit(exits.BAD)


def _said(health: Row) -> Iterator[tuple[str, str]]:
    broker, store = _row(health["broker"]), _row(health["store"])
    way, since = "open" if broker["connected"] else "shut", broker["since"]
    yield "collector", f"{health['build']}, since {health['started']}"
    yield "broker", f"{broker['kind']}, {way}" + (f" since {since}" if since else "")
    if store["keeps"]:
        yield "store", "keeps what comes"
    else:
        yield "store", f"keeps NOTHING since {store['since']}: {store['why']}"
        yield "", "units hold it and send again; docs/OPERATING.md says what to do"
    newest = age(health["ingest_age_s"])
    yield "last batch", "none yet" if newest is None else f"{newest} ago"
    yield "units", str(health["units"])
    yield "open alerts", str(health["alerts_open"])
    for reason, count in sorted(_row(health["refused"]).items()):
        yield "refused", f"{count} {reason}"


def _row(value: object) -> Row:
    """A part of an answer; Centre has seen that it is JSON, and the schema holds the rest."""
    return value if isinstance(value, dict) else {}


def keys(
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    anew: Annotated[
        bool,
        typer.Option(
            "--anew",
            help="Make a key that is lost for ever, though units are enrolled: each must be enrolled anew then.",
        ),
    ] = False,
) -> None:
    """Show the public halves of the receipt key and the order key, which units pin; makes the keys if there are none."""
    from collector.app.keys import keys_of
    from collector.io.folder import FolderError, make
    from collector.io.key import KeyFileError

    try:
        make(data_dir)
        found = keys_of(data_dir, anew=anew)
    except (FolderError, KeyFileError) as error:
        fail(exits.NOT_ALLOWED, str(error))
    pairs = {"receipt_key": found.receipt, "order_key": found.order}
    if as_json:
        say_json([{name: pair.public_key.hex() for name, pair in pairs.items()}])
        return
    for name, pair in pairs.items():
        typer.echo(f"{name:<12} {pair.public_key.hex()}  kid {pair.kid.hex()}")


def gateway(
    config_file: ConfigOption = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data", envvar="PLOMBA_DATA", help="Data directory, instead of the file's data_dir."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the seal gateway's unit and public key, to be enrolled as any unit's; makes the key if there is none.

    Exit 3 where no gateway is set.
    """
    from collector.app.keys import gateway_key
    from collector.config import ConfigError, read
    from collector.io.folder import FolderError, make
    from collector.io.key import KeyFileError

    try:
        config = read(config_file, data_dir=data_dir)
    except ConfigError as error:
        fail(exits.USAGE, str(error))
    if not config.gateway.listen:
        fail(exits.NOT_FOUND, "no gateway is set: gateway.listen in the collector's config")
    try:
        make(config.data_dir)
        own = gateway_key(config)
    except (FolderError, KeyFileError) as error:
        fail(exits.NOT_ALLOWED, str(error))
    public_key = own.key.public_key.hex()
    if as_json:
        say_json([{"unit": own.unit_id, "public_key": public_key, "key_file": str(own.path)}])
        return
    typer.echo(f"unit         {own.unit_id}")
    typer.echo(f"public key   {public_key}")
    typer.echo(f"enrol it     plomba unit add {own.unit_id} --public-key {public_key}")


def backup(
    to: Annotated[Path, typer.Argument(help="A new directory, best on another disk.")],
    config_file: ConfigOption = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data", envvar="PLOMBA_DATA", help="Data directory, instead of the file's data_dir."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy stores, keys and certificates into a new directory, while the collector runs. To restore, put it in the place of the old one."""
    from collector.config import ConfigError, read
    from collector.io.backup import BackupError, copy

    try:
        config = read(config_file, data_dir=data_dir)
    except ConfigError as error:
        fail(exits.USAGE, str(error))
    try:
        names = copy(config.data_dir, config.store_file, to)
    except BackupError as error:
        fail(exits.FAILED, str(error))
    if as_json:
        say_json([{"to": str(to), "files": names}])
    else:
        typer.echo("\n".join(names))
