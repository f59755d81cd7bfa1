"""Hostile bytes for each reader: captures, mutated, cut and merged, and noise of its own alphabet; all from a seed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from random import Random

from devices import Reader
from devices.eseal import EsealReader
from devices.gpsd import GpsdReader
from devices.jt701 import Jt701Reader
from devices.jt808 import Jt808Reader
from devices.llrp import LlrpReader
from devices.m100 import M100Reader
from devices.nmea import NmeaReader

VECTORS = Path(__file__).resolve().parents[1] / "tests" / "vectors"
LUMP_PIECES_MAX = 40
NOISE_BYTES_MAX = 400
RUN_BYTES_MAX = 20_000  # of one byte or mark: past the end of every frame and line
LLRP_LINES = (  # what our child prints
    b'{"EPC":"3034257bf7194e4000001a85","PeakRSSI":-52,"AntennaID":2,"TagSeenCount":3}\n',
    b'{"alive":true}\n',
    b'{"fault":"TimeoutError: timed out"}\n',
)


class NoCorpusError(Exception):
    """The captures are not here: this is no checkout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One reader, what it likes to hear, and the bytes that mean most to it."""

    make: Callable[[], Reader]
    captures: tuple[bytes, ...]
    marks: tuple[bytes, ...]


def targets() -> dict[str, Target]:
    """All seven; NoCorpusError outside a checkout."""
    if not VECTORS.is_dir():
        raise NoCorpusError(f"no captures at {VECTORS}")
    logs = [path.read_bytes() for path in sorted((VECTORS / "nmea").glob("*.log"))]
    sentences = tuple(line + b"\r\n" for log in logs for line in log.splitlines() if line)
    said = [path.read_bytes() for path in sorted((VECTORS / "nmea").glob("*.chk"))]
    lines = tuple(
        line + b"\n" for log in said for line in log.splitlines() if line.startswith(b"{")
    )
    return {
        "nmea": Target(
            make=partial(NmeaReader, date(2026, 1, 1)),
            captures=sentences,
            marks=(b"$", b"!", b"*", b"$$", b",", b"\r\n", b"\xb5b\n8", b"$GPGSV,3,1,"),
        ),
        "jt701": Target(
            make=Jt701Reader,
            captures=_frames("seals", "jt701"),
            marks=(b"$", b"(", b")", b",", b"=", b"(8000620011,", b"(8000620011,P45,", b"$\x80\0b"),
        ),
        "eseal": Target(
            make=EsealReader,
            captures=_frames("seals", "eseal"),
            marks=(b"#", b"##S", b"##S,eSeal,", b",E##", b",", b"\r\n"),
        ),
        "jt808": Target(
            make=Jt808Reader,
            captures=_frames("seals", "jt808"),
            marks=(
                b"~",
                b"}",
                b"~~",
                b"}\1",
                b"}\2",
                b"(740190311185,",
                b"~\2\0",
                b"~U\1\x8c",
                b"~\7\4",
            ),
        ),
        "m100": Target(
            make=partial(M100Reader, name="gate", region="europe"),
            captures=_frames("rfid", "m100"),
            marks=(b"\xbb", b"\xaa", b"\x7e", b"\xdd", b"\xbb\x02\x22\0", b"\xbb\x01\x39\x03\xff"),
        ),
        "gpsd": Target(
            make=GpsdReader,
            captures=lines,
            marks=(
                *(b"\n", b'{"class":"TPV",', b'{"class":"SKY","satellites":[', b"{", b"[", b"[],"),
                *(
                    b'{"PRN":1},',
                    b'"lat":',
                    b"9",
                    b",",
                    b'"',
                    b" ",
                    b'"class": "TPV"',
                    b'{"mode":3,',
                ),
            ),
        ),
        "llrp": Target(
            make=partial(LlrpReader, name="portal"),
            captures=LLRP_LINES,
            marks=(b"\n", b'{"EPC":"', b'"PeakRSSI":', b"{", b"[", b"30", b",", b'"'),
        ),
    }


def lump(target: Target, rng: Random) -> bytes:
    """Some dozens of pieces, most of them nearly right."""
    return b"".join(_piece(target, rng) for _ in range(rng.randint(1, LUMP_PIECES_MAX)))


def cuts(data: bytes, rng: Random, bytes_max: int) -> list[bytes]:
    """`data` as a port hands it over: anything from one byte to a whole read."""
    pieces, at = [], 0
    longest = rng.choice((1, 3, 17, 64, 500, bytes_max))
    while at < len(data):
        size = rng.randint(1, longest)
        pieces.append(data[at : at + size])
        at += size
    return pieces


def _piece(target: Target, rng: Random) -> bytes:
    capture = rng.choice(target.captures)
    match rng.randrange(12):
        case 0 | 1 | 2:
            return capture
        case 3 | 4 | 5:
            return _mutated(capture, rng)
        case 6:  # cut
            return capture[: rng.randrange(len(capture) + 1)]
        case 7:  # its start is lost
            return capture[rng.randrange(len(capture) + 1) :]
        case 8:  # two of them, merged
            other = rng.choice(target.captures)
            return capture[: rng.randrange(len(capture) + 1)] + other[rng.randrange(len(other)) :]
        case 9:
            return rng.randbytes(rng.randrange(NOISE_BYTES_MAX))
        case 10:  # noise of marks
            return b"".join(rng.choices(target.marks, k=rng.randint(1, 60)))
        case _:
            if rng.randrange(20):
                return rng.choice(target.marks)
            unit = rng.choice((*target.marks, rng.randbytes(1)))
            return unit * (rng.randrange(RUN_BYTES_MAX) // len(unit))


def _mutated(data: bytes, rng: Random) -> bytes:
    """A few bits, bytes and stretches changed."""
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(damaged) + 1)
        match rng.randrange(5):
            case 0 if at < len(damaged):
                damaged[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(damaged):
                damaged[at] = rng.choice((0, 0xFF, 0x7E, 0x7D, 0x24, 0x28, rng.randrange(256)))
            case 2:
                del damaged[at : at + rng.randint(1, 9)]
            case 3:
                damaged[at:at] = rng.randbytes(rng.randint(1, 9))
            case _:
                damaged[at:at] = damaged[at : at + rng.randint(1, 40)]
    return bytes(damaged)


def _frames(folder: str, protocol: str) -> tuple[bytes, ...]:
    found = []
    for path in sorted((VECTORS / folder).glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            if case.get("protocol") != protocol:
                continue
            frame = bytes.fromhex(case["hex"]) if "hex" in case else case["frame"].encode()
            found.append(frame)
    return tuple(found)
