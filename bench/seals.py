"""Frames of seals and RFID modules a second through their readers, as ratios to finding their marks alone (DEVICES section 9).

The baseline is the plainest framing there is: `bytes.find` for each mark and a slice for each frame, nothing understood.
`python -m bench.seals [PROTOCOL ...]`; gpsd's and the LLRP child's lines are measured beside them.
"""

import json
import statistics
import sys
import time
from binascii import crc_hqx
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from operator import xor

from bench.machine import machine
from devices import Fact, Fix, Reader, SealReport, TagRead
from devices.eseal import EsealReader
from devices.gpsd import GpsdReader
from devices.jt701 import Jt701Reader
from devices.jt808 import Jt808Reader
from devices.llrp import LlrpReader
from devices.m100 import M100Reader

FRAMES = 20_000
READ_BYTES = 4_096  # as the serial port hands them over
ROUNDS = 7
FRAMES_PER_S_MIN = 20_000  # DEVICES section 9; reported, never a gate on a shared machine
NOW_MS = 1_800_000_000_000

# vendor manual "JT701D Protocol Manual" V1.4, page 9
_JT701 = bytes.fromhex(
    "2480006200111911003418042116225922348310113550543F12980000002D060000000020E028109228661F"
    "000100000F0F0F0F0F0F0F0F000001CC0156"
)
# built from the published event table: a card has opened it
_JT808 = bytes.fromhex(
    "020000290140009988770005000000000000000302765B69042086F201C70195005A261122181500600B00"
    "04003930303235343939"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One protocol: frames that all differ, so that none is dropped as a repeat."""

    make: Callable[[], Reader]
    frames: Callable[[], Iterator[bytes]]
    fact: type[Fact]  # one a frame
    mark: bytes
    target: int | None  # DEVICES section 9


def jt701_frames() -> Iterator[bytes]:
    for n in range(FRAMES):
        clock = bytes.fromhex(f"{n // 3600 % 24:02d}{n // 60 % 60:02d}{n % 60:02d}")
        yield _JT701[:13] + clock + _JT701[16:-1] + bytes([n % 256])


def jt808_frames() -> Iterator[bytes]:
    for n in range(FRAMES):
        content = _JT808[:10] + n.to_bytes(2, "big") + _JT808[12:]
        content += bytes([reduce(xor, content)])
        yield b"~" + content.replace(b"}", b"}\1").replace(b"~", b"}\2") + b"~"


def eseal_frames() -> Iterator[bytes]:
    head = b"##S,eSeal,2000001,256,3.0.8,Normal,%d,2026-11-22,10:15:00,15,A,41.311081N 69.240562E"
    for n in range(FRAMES):
        yield head % n + b",90,40,Close,1.02,0:0:3:0,3.9,-77,E##\r\n"


def m100_frames() -> Iterator[bytes]:
    for n in range(FRAMES):
        told = b"\x30\x00\xe2\x80\x11\x70\x40\x00\x02\x1d" + n.to_bytes(4, "big")
        crc = (crc_hqx(told, 0xFFFF) ^ 0xFFFF).to_bytes(2, "big")
        inner = b"\x02\x22\x00\x11" + bytes([0xC9]) + told + crc
        yield b"\xbb" + inner + bytes([sum(inner) & 0xFF, 0x7E])


def gpsd_lines() -> Iterator[bytes]:
    head = b'{"class":"TPV","device":"/dev/ttyS0","mode":3,"time":"2027-03-01T%02d:%02d:%02d.000Z",'
    rest = b'"ept":0.005,"lat":41.301683349,"lon":69.241666751,"altHAE":420.1,"altMSL":455.1,"track":90.1,'
    for n in range(FRAMES):
        yield head % (n // 3600 % 24, n // 60 % 60, n % 60) + rest + b'"speed":11.115,"eph":9.5}\n'


def llrp_lines() -> Iterator[bytes]:
    for n in range(FRAMES):
        yield b'{"EPC":"3034257bf7194e40%08x","PeakRSSI":-52,"AntennaID":1,"TagSeenCount":2}\n' % n


CASES = {
    "jt701": Case(
        make=Jt701Reader,
        frames=jt701_frames,
        fact=SealReport,
        mark=b"$",
        target=FRAMES_PER_S_MIN,
    ),
    "jt808": Case(
        make=Jt808Reader,
        frames=jt808_frames,
        fact=SealReport,
        mark=b"~\2\0",
        target=FRAMES_PER_S_MIN,
    ),
    "m100": Case(
        make=partial(M100Reader, name="gate"),
        frames=m100_frames,
        fact=TagRead,
        mark=b"\xbb\2\x22",
        target=FRAMES_PER_S_MIN,
    ),
    "eseal": Case(
        make=EsealReader, frames=eseal_frames, fact=SealReport, mark=b"##S,", target=None
    ),
    "gpsd": Case(make=GpsdReader, frames=gpsd_lines, fact=Fix, mark=b'{"class":', target=None),
    "llrp": Case(
        make=partial(LlrpReader, name="portal"),
        frames=llrp_lines,
        fact=TagRead,
        mark=b'{"EPC":',
        target=None,
    ),
}


def read(case: Case, data: bytes) -> int:
    """Ours: bytes to facts, with ack and memory of repeats."""
    reader = case.make()
    facts = 0
    for start in range(0, len(data), READ_BYTES):
        found = reader.feed(data[start : start + READ_BYTES], NOW_MS)
        facts += sum(isinstance(fact, case.fact) for fact in found)
    last = reader.wake(NOW_MS + 1_000)  # a receiver's last epoch
    return facts + sum(isinstance(fact, case.fact) for fact in last)


def find(case: Case, data: bytes) -> int:
    """The baseline: marks found and frames cut, nothing understood."""
    frames, at, step = 0, 0, len(case.mark)
    while (at := data.find(case.mark, at)) >= 0:
        end = data.find(case.mark, at + step)
        frames += len(data[at : end if end >= 0 else len(data)]) > step
        at += step
    return frames


def seconds(work: Callable[[Case, bytes], int], case: Case, data: bytes, wanted: int) -> float:
    began = time.process_time()  # of one core, whoever else has work for it
    done = work(case, data)
    took = time.process_time() - began
    assert done >= wanted, f"{work.__name__}: {done} of {wanted} frames"
    return took


def measure(name: str) -> dict[str, object]:
    """Ours and the baseline take turns; the median and the spread of their ratio."""
    case = CASES[name]
    data = b"".join(case.frames())
    seconds(read, case, data, FRAMES), seconds(find, case, data, FRAMES)  # warm-up
    pairs = [
        (seconds(read, case, data, FRAMES), seconds(find, case, data, FRAMES))
        for _ in range(ROUNDS)
    ]
    ratios = [ours / plain for ours, plain in pairs]
    return {
        "frames_per_s": round(FRAMES / statistics.median(ours for ours, _ in pairs)),
        "frames_per_s_best": round(FRAMES / min(ours for ours, _ in pairs)),
        "frames_per_s_min": case.target,
        "times_the_baseline": round(statistics.median(ratios), 1),
        "spread": [round(min(ratios), 1), round(max(ratios), 1)],
    }


def main() -> None:
    """All protocols, or those that are named; one JSON object."""
    names = sys.argv[1:] or list(CASES)
    if unknown := [name for name in names if name not in CASES]:
        sys.exit(f"no protocol {', '.join(unknown)}: one of {', '.join(CASES)}")
    report = {
        "bench": "frames of seals and readers, bytes to facts",
        "frames": FRAMES,
        "baseline": "bytes.find framing alone",
        "protocols": {name: measure(name) for name in names},
        "machine": machine(),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
