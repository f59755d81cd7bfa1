"""NMEA sentences a second through the reader, as a ratio to pynmea2's `parse` alone (DEVICES section 9).

The log is a burst of a receiver of four systems, once a second; `python -m bench.nmea FILE` takes a real one.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import reduce
from operator import xor
from pathlib import Path

import pynmea2

from bench.machine import machine
from devices import Fix
from devices.nmea import NmeaReader

SENTENCES_MIN = 20_000  # enough that a round lasts a good part of a second
READ_BYTES = 4_096  # as the serial port hands them over
ROUNDS = 7
SENTENCES_PER_S_MIN = 20_000  # DEVICES section 9; reported, never a gate on a shared machine

_BURST = """\
GNRMC,{time},A,4118.10{digits},N,06914.50{digits},E,21.598,90.0,010327,,,A,V
GNVTG,90.0,T,,M,21.598,N,40.0,K,A
GNGGA,{time},4118.10{digits},N,06914.50{digits},E,1,22,0.54,455.1,M,-40.2,M,,
GNGSA,A,3,29,20,18,16,51,13,44,26,,,,,0.99,0.54,0.83,1
GNGSA,A,3,82,73,74,67,81,83,68,,,,,,0.99,0.54,0.83,2
GNGSA,A,3,03,05,30,27,15,,,,,,,,0.99,0.54,0.83,3
GNGSA,A,3,32,28,30,33,27,,,,,,,,0.99,0.54,0.83,4
GPGSV,3,1,10,05,01,047,,13,14,282,32,15,36,314,41,16,16,096,38,1
GPGSV,3,2,10,18,47,053,43,20,43,110,44,23,19,325,36,26,31,057,40,1
GPGSV,3,3,10,29,77,349,46,44,25,222,39,1
GLGSV,2,1,08,66,03,001,,67,33,046,41,68,41,113,40,73,29,091,43,1
GLGSV,2,2,08,74,58,354,45,75,22,301,,81,27,221,38,82,39,283,42,1
GAGSV,2,1,07,03,30,303,42,05,62,053,44,09,11,094,31,15,41,211,43,7
GAGSV,2,2,07,24,06,040,,27,32,167,41,30,19,239,37,7
GBGSV,2,1,06,14,21,079,38,27,51,110,44,28,64,322,45,32,30,253,41,1
GBGSV,2,2,06,33,39,044,43,41,12,301,,1
GNGLL,4118.10{digits},N,06914.50{digits},E,{time},A,A
"""


def bursts() -> bytes:
    """Seconds of one day, each a burst."""
    lines: list[bytes] = []
    second = 0
    while len(lines) < SENTENCES_MIN:
        moment = f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}.00"
        bodies = _BURST.format(time=moment, digits=f"{second % 1000:03d}").encode().splitlines()
        lines += [b"$%s*%02X\r\n" % (body, reduce(xor, body)) for body in bodies]
        second += 1
    return b"".join(lines)


def read(data: bytes) -> int:
    """Ours: bytes to fixes, with every check."""
    reader = NmeaReader(date(2017, 1, 1))
    fixes = 0
    for start in range(0, len(data), READ_BYTES):
        facts = reader.feed(data[start : start + READ_BYTES], 0)
        fixes += sum(isinstance(fact, Fix) for fact in facts)
    assert fixes > 0, "the log holds no fix"
    return reader.counters["sentences"]


def parse(data: bytes) -> int:
    """The baseline: lines that are already cut, one object each, no field looked at."""
    parsed = 0
    for line in data.decode("ascii", errors="ignore").splitlines():
        try:
            pynmea2.parse(line, check=True)
        except pynmea2.ParseError:
            continue
        parsed += 1
    return parsed


def rate(work: Callable[[bytes], int], data: bytes) -> float:
    """Sentences a second of one core: what else the machine does is not counted."""
    began = time.process_time()
    done = work(data)
    return done / (time.process_time() - began)


def main() -> None:
    """Ours and the baseline take turns; the median and the spread of their ratio are printed as JSON."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    data = file.read_bytes() if file is not None else bursts()
    rate(read, data), rate(parse, data)  # warm-up
    pairs = [(rate(read, data), rate(parse, data)) for _ in range(ROUNDS)]
    ratios = [ours / plain for ours, plain in pairs]
    report = {
        "bench": "NMEA sentences, bytes to fixes",
        "log": file.name if file is not None else "four systems, 17 sentences a second",
        "sentences": read(data),
        "sentences_per_s": round(statistics.median(ours for ours, _ in pairs)),
        "sentences_per_s_min": SENTENCES_PER_S_MIN,
        "baseline": f"pynmea2 {pynmea2.__version__} parse alone",
        "baseline_sentences_per_s": round(statistics.median(plain for _, plain in pairs)),
        "ratio_to_the_baseline": round(statistics.median(ratios), 2),
        "spread": [round(min(ratios), 2), round(max(ratios), 2)],
        "machine": machine(),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
