"""`plomba devices tags`: what the bytes of an RFID reader say, one JSON line a frame (DEVICES section 5).

Law: every key stands in every line; null means that the frame does not say. A scan's line has four keys more.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from plomba import exits

if TYPE_CHECKING:
    from devices.m100.frame import Frame, Refused

KEYS = tuple(
    """
    protocol kind epc pc rssi_dbm crc command ok error_code error_name info text region power_cdbm data error
    """.split()  # noqa: SIM905  # sixteen lines of one name each would hide the table
)
READ_BYTES = 65_536

Line = dict[str, object]


class Protocol(StrEnum):
    """The RFID readers whose bytes we can read."""

    M100 = "m100"


def tags(
    file: Annotated[Path, typer.Argument(help="What the reader said; - for standard input.")],
    protocol: Annotated[Protocol, typer.Option(help="How the reader speaks.")],
    *,
    is_hex: Annotated[
        bool, typer.Option("--hex", help="FILE holds one frame a line, in hexadecimal digits.")
    ] = False,
) -> None:
    """Say what each frame of an RFID reader means, one JSON object a line.

    Exit 0 whatever the bytes say, 2 for wrong usage, 3 if there is no such file.
    """
    assert protocol is Protocol.M100
    try:
        with _open(file) as source:
            for line in hex_lines(source) if is_hex else stream_lines(source):
                sys.stdout.write(json.dumps(line) + "\n")
    except (FileNotFoundError, IsADirectoryError):
        typer.echo(f"{file}: no such file", err=True)
        raise typer.Exit(exits.NOT_FOUND) from None


def stream_lines(source: BinaryIO) -> Iterator[Line]:
    """One line a frame of a byte stream, and one for what is left over at its end."""
    from devices.m100 import Framer

    framer = Framer()
    while data := source.read(READ_BYTES):
        yield from map(line_of, framer.cut(data))
    yield from map(line_of, framer.flush())


def hex_lines(source: Iterable[bytes]) -> Iterator[Line]:
    """One line a frame; every input line stands alone, before a fresh reader, and is never without an answer."""
    from devices.m100 import Framer

    for text in source:
        if not text.strip() or text.startswith(b"#"):
            continue
        try:
            data = bytes.fromhex(text.decode("ascii"))
        except ValueError:  # also what is not ASCII
            yield _error("malformed")
            continue
        framer = Framer()
        found = [*framer.feed(data), *framer.flush()]
        yield from map(line_of, found) if found else [_error("malformed")]


def line_of(found: "Frame | Refused") -> Line:
    """The line of one frame, or of what is none."""
    from devices.m100.frame import Reason, Refused, error_name

    if isinstance(found, Refused):
        # A length that no frame has is no form of a frame.
        long = found.reason is Reason.TOO_LONG
        return _error("malformed" if long else found.reason.value)
    code = found.error_code
    line = dict.fromkeys(KEYS) | {
        "protocol": "m100",
        "kind": found.kind.value,
        "epc": _hex(found.epc),
        "pc": None if found.pc is None else f"{found.pc:04X}",
        "rssi_dbm": found.rssi_dbm,
        "crc": None if found.crc is None else f"{found.crc:04X}",
        "command": f"{found.command:02X}",
        "ok": found.ok,
        "error_code": None if code is None else f"{code:02X}",
        "error_name": None if code is None else error_name(code),
        "info": found.info,
        "text": found.text,
        "region": found.region,
        "power_cdbm": found.power_cdbm,
        "data": _hex(found.data),
    }
    if (scan := found.scan) is not None:
        line |= {
            "scan": scan.name,
            "first": scan.first,
            "last": scan.last,
            "dbm": list(scan.dbm),
        }
    return line


def _hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex().upper()


def _error(reason: str) -> Line:
    return dict.fromkeys(KEYS) | {"protocol": "m100", "error": reason}


def _open(file: Path) -> BinaryIO:
    return sys.stdin.buffer if str(file) == "-" else file.open("rb")
