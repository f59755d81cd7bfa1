"""`plomba devices nmea`: what a GPS receiver's capture says, one line an epoch (DEVICES section 3.12).

Law: values are computed from the digits of the sentence, not from the centimetres that the evidence keeps.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import IO, Annotated

import typer

from devices import Fact, Fix, GnssStatus, NoFix
from devices.nmea import NmeaReader
from plomba import exits

__all__ = ["facts_of", "nmea", "not_before_of", "row_of"]

NOT_BEFORE = date(2017, 1, 1)  # without --date: the youngest day that gpsd, too, takes as it is
GPS_BEGAN = date(1980, 1, 6)
_ROUND_A_DAY = timedelta(weeks=512)  # half of the 1024 weeks in which a date is unambiguous
_UNIX_BEGAN = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_KEYS = ("time", "lat", "lon", "alt_m", "speed_m_s", "course_deg", "hdop", "sats", "mode")
_SKY_KEYS = (
    "time",
    "in_view",
    "tracked",
    "used",
    "cn0_top4_cdb",
    "cn0_std_cdb",
    "strong_25",
    "antenna",
    "jam_state",
    "spoof_state",
)
PIPE_COLUMNS = 160  # wide enough for every column

Row = dict[str, object]


def nmea(
    file: Annotated[str, typer.Argument(help="A capture of NMEA 0183; - for standard input.")],
    *,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object a fix, instead of a table.")
    ] = False,
    day: Annotated[
        str | None,
        typer.Option("--date", help="YYYY-MM-DD: dates are read within 512 weeks of this day."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also epochs without a fix.")] = False,
    with_sky: Annotated[
        bool, typer.Option("--sky", help="Also satellites, antenna, jamming and spoofing states.")
    ] = False,
) -> None:
    """Read a capture and say where and when it was. Lines that begin with # are skipped.

    Exit 0 whatever the bytes say, 2 for a wrong date, 3 if there is no such file.
    """
    not_before = _not_before(day)
    reader = NmeaReader(not_before, keep_digits=True)
    with _opened(file) as source:
        rows = _rows(facts_of(reader, source), every=every, with_sky=with_sky)
        if json_lines:
            for row in rows:
                typer.echo(json.dumps(row, separators=(",", ":")))
            return
        _print_tables(list(rows), reader.counters)


def not_before_of(text: str) -> date | None:
    """The earliest day to believe, when `text` names a day of the capture (2019-3-14 will do)."""
    match = _DATE.fullmatch(text)
    try:
        day = date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        return None
    return day - _ROUND_A_DAY if day is not None and day >= GPS_BEGAN else None


def facts_of(reader: NmeaReader, lines: Iterable[bytes]) -> Iterator[Fact]:
    """What the reader says of a whole capture, as if it had been heard at the receiver's own pace."""
    heard_ms = 0
    began_ms: int | None = None
    for line in lines:
        if line.startswith(b"#"):
            continue
        for fact in reader.feed(line, heard_ms):
            if isinstance(fact, Fix | NoFix) and fact.time_ms is not None:
                began_ms = fact.time_ms if began_ms is None else began_ms
                heard_ms = max(heard_ms, fact.time_ms - began_ms)
            yield fact
    yield from reader.close(heard_ms)


def row_of(fact: Fix | NoFix) -> Row:
    """The nine keys of an epoch; None where there is nothing."""
    time = None if fact.time_ms is None else _iso(fact.time_ms)
    if isinstance(fact, NoFix):
        return {**dict.fromkeys(_KEYS), "time": time, "mode": 1}
    digits = fact.digits or {}
    return {
        "time": time,
        "lat": fact.lat_e7 / 10**7,
        "lon": fact.lon_e7 / 10**7,
        "alt_m": _number(digits, "alt_m"),
        "speed_m_s": _speed_m_s(digits),
        "course_deg": _course_deg(digits),
        "hdop": _number(digits, "hdop"),
        "sats": fact.sats,
        "mode": fact.mode,
    }


def _rows(facts: Iterable[Fact], *, every: bool, with_sky: bool) -> Iterator[Row]:
    time: object = None
    for fact in facts:
        match fact:
            case Fix():
                row = row_of(fact)
                time = row["time"]
                yield row
            case NoFix():
                row = row_of(fact)
                time = row["time"]
                if every:
                    yield row
            case GnssStatus() if with_sky:
                said = asdict(fact)
                del said["at_ms"]  # when this program read it: of no use to anybody
                yield {"sky": True, "time": time, **said}
            case _:
                pass


def _iso(time_ms: int) -> str:
    time = _UNIX_BEGAN + timedelta(milliseconds=time_ms)
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"


def _number(digits: Mapping[str, str], name: str) -> float | None:
    return float(digits[name]) if name in digits else None


def _speed_m_s(digits: Mapping[str, str]) -> float | None:
    if "speed_kn" in digits:
        return float(round(Decimal(digits["speed_kn"]) * 1852 / 3600, 4))
    if "speed_km_h" in digits:
        return float(round(Decimal(digits["speed_km_h"]) * 1000 / 3600, 4))
    return None


def _course_deg(digits: Mapping[str, str]) -> float | None:
    course = _number(digits, "course_deg")
    return 0.0 if course is not None and course >= 360 else course


def _not_before(day: str | None) -> date:
    if day is None:
        return NOT_BEFORE
    not_before = not_before_of(day)
    if not_before is None:
        typer.echo(f"--date {day}: wanted is a day since {GPS_BEGAN}, such as 2027-03-01", err=True)
        raise typer.Exit(exits.USAGE)
    return not_before


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        source = open(file, "rb")  # noqa: PTH123, SIM115  a plain path, closed right below
    except FileNotFoundError:
        typer.echo(f"{file}: no such file", err=True)
        raise typer.Exit(exits.NOT_FOUND) from None
    except PermissionError:
        typer.echo(f"{file}: may not be read; ask its owner for read permission", err=True)
        raise typer.Exit(exits.NOT_ALLOWED) from None
    except OSError as error:
        typer.echo(f"{file}: cannot be read: {error.strerror}", err=True)
        raise typer.Exit(exits.USAGE) from None
    with source:
        yield source


def _print_tables(rows: list[Row], counters: Mapping[str, int]) -> None:
    from rich.console import Console
    from rich.table import Table

    def table(title: str, keys: Iterable[str], lines: Iterable[Iterable[str]]) -> Table:
        made = Table(title=title, title_justify="left")
        for key in keys:
            made.add_column(key, no_wrap=True, overflow="fold")
        for line in lines:
            made.add_row(*line)
        return made

    console = Console()
    # In a file or pipe nobody is served by columns cut to a screen's width.
    console = console if console.is_terminal else Console(width=PIPE_COLUMNS)
    epochs = [row for row in rows if "sky" not in row]
    skies = [row for row in rows if "sky" in row]
    console.print(table("Epochs", _KEYS, _lines(epochs, _KEYS)))
    if skies:
        console.print(table("Sky", _SKY_KEYS, _lines(skies, _SKY_KEYS)))
    counted = [(name, str(value)) for name, value in counters.items() if value]
    console.print(table("Counters", ("counter", "value"), counted))


def _lines(rows: Iterable[Row], keys: Iterable[str]) -> Iterator[list[str]]:
    keys = tuple(keys)
    for row in rows:
        yield ["" if row[key] is None else str(row[key]) for key in keys]
