"""Sentences for the tests of NMEA, with a checksum of their own, and what gpsd made of the captures."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from io import BytesIO
from operator import xor
from pathlib import Path

from devices import Fact, Fix, GnssStatus, NoFix, Odd
from devices.nmea import NmeaReader

NOT_BEFORE = date(2017, 1, 1)

PLACE = "4118.10100,N,06914.50000,E"  # Tashkent: 41.3016833, 69.2416667


def line(body: str) -> bytes:
    """`GPRMC,...` as it comes from the wire."""
    return b"$%s*%02X\r\n" % (body.encode(), reduce(xor, body.encode(), 0))


def lines(*bodies: str) -> bytes:
    return b"".join(line(body) for body in bodies)


def rmc(time: str = "050010.00", status: str = "A", place: str = PLACE, day: str = "010327") -> str:
    return f"GPRMC,{time},{status},{place},21.60,90.0,{day},,,A"


def gga(time: str = "050010.00", quality: str = "1", place: str = PLACE, sats: str = "08") -> str:
    return f"GPGGA,{time},{place},{quality},{sats},0.9,455.1,M,-40.2,M,,"


def gll(time: str = "050010.00", status: str = "A", place: str = PLACE, mode: str = "A") -> str:
    return f"GPGLL,{place},{time},{status},{mode}"


def gns(time: str = "050010.00", modes: str = "AAN", place: str = PLACE) -> str:
    return f"GNGNS,{time},{place},{modes},12,0.8,455.1,-40.2,,"


def read(data: bytes, reader: NmeaReader | None = None) -> list[Fact]:
    """All facts of a file."""
    reader = reader or NmeaReader(NOT_BEFORE, keep_digits=True)
    return reader.feed(data, 0) + reader.close(0)


def fixes(facts: Iterable[Fact]) -> list[Fix]:
    return [fact for fact in facts if isinstance(fact, Fix)]


def no_fixes(facts: Iterable[Fact]) -> list[NoFix]:
    return [fact for fact in facts if isinstance(fact, NoFix)]


def statuses(facts: Iterable[Fact]) -> list[GnssStatus]:
    return [fact for fact in facts if isinstance(fact, GnssStatus)]


def odds(facts: Iterable[Fact]) -> list[Odd]:
    return [fact for fact in facts if isinstance(fact, Odd)]


def one_fix(*bodies: str) -> Fix:
    found = fixes(read(lines(*bodies)))
    assert len(found) == 1
    return found[0]


def counted(*bodies: str) -> dict[str, int]:
    """The counters that moved, without bytes and sentences."""
    reader = NmeaReader(NOT_BEFORE)
    read(lines(*bodies), reader)
    told = reader.counters.items()
    return {name: value for name, value in told if value and name not in ("bytes", "sentences")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One log of the gpsd project and what gpsd answered, time by time."""

    name: str
    data: bytes  # without comment lines
    not_before: date
    answers: dict[str, list[dict[str, object]]]  # time -> every TPV with that time


def capture(path: Path) -> Capture:
    raw = path.read_bytes()
    checked = path.with_name(path.name + ".chk")
    answers: dict[str, list[dict[str, object]]] = {}
    for answer in checked.read_bytes().splitlines() if checked.exists() else ():
        said = json.loads(answer) if answer.startswith(b"{") else {}
        if said.get("class") == "TPV" and "time" in said:
            answers.setdefault(said["time"], []).append(said)
    return Capture(
        name=f"{path.parent.name}/{path.name}",
        data=b"".join(part for part in BytesIO(raw) if part[:1] != b"#"),
        not_before=_not_before(raw),
        answers=answers,
    )


def _not_before(raw: bytes) -> date:
    match = re.search(rb"(?m)^# Date: (\d{4})-(\d{1,2})-(\d{1,2})\s*$", raw)
    try:
        named = date(*map(int, match.groups())) if match else None
    except ValueError:
        named = None
    return named - timedelta(weeks=512) if named else NOT_BEFORE
