"""JT701 binary frames a second through the reader, as a ratio to finding their marks alone (DEVICES section 9).

The baseline is the plainest framing there is: `bytes.find` for each mark and a slice for each frame, nothing understood.
"""

import json
import statistics
import time
from collections.abc import Callable

from bench.machine import machine
from devices import SealReport
from devices.jt701 import Jt701Reader

FRAMES = 20_000
READ_BYTES = 4_096  # as the serial port hands them over
ROUNDS = 7
FRAMES_PER_S_MIN = 20_000  # DEVICES section 9; reported, never a gate on a shared machine
NOW_MS = 1_800_000_000_000

# vendor manual "JT701D Protocol Manual" V1.4, page 9
_FRAME = bytes.fromhex(
    "2480006200111911003418042116225922348310113550543F12980000002D060000000020E028109228661F"
    "000100000F0F0F0F0F0F0F0F000001CC0156"
)


def stream() -> bytes:
    """Frames that all differ, so that none is dropped as a repeat."""
    return b"".join(
        _FRAME[:13] + bytes.fromhex(f"{n // 3600 % 24:02d}{n // 60 % 60:02d}{n % 60:02d}")
        + _FRAME[16:-1] + bytes([n % 256])
        for n in range(FRAMES)
    )  # fmt: skip


def read(data: bytes) -> int:
    """Ours: bytes to facts, with ack and memory of repeats."""
    reader = Jt701Reader()
    facts = 0
    for start in range(0, len(data), READ_BYTES):
        found = reader.feed(data[start : start + READ_BYTES], NOW_MS)
        facts += sum(isinstance(fact, SealReport) for fact in found)
    return facts


def find(data: bytes) -> int:
    """The baseline: marks found and frames cut, nothing understood."""
    frames, at, size = 0, 0, len(_FRAME)
    while (at := data.find(b"$", at)) >= 0:
        frames += len(data[at : at + size]) == size
        at += size
    return frames


def seconds(work: Callable[[bytes], int], data: bytes) -> float:
    began = time.perf_counter()
    done = work(data)
    took = time.perf_counter() - began
    assert done == FRAMES, f"{work.__name__}: {done} of {FRAMES} frames"
    return took


def main() -> None:
    """Ours and the baseline take turns; the median and the spread of their ratio are printed as JSON."""
    data = stream()
    seconds(read, data), seconds(find, data)  # warm-up
    pairs = [(seconds(read, data), seconds(find, data)) for _ in range(ROUNDS)]
    ratios = [ours / plain for ours, plain in pairs]
    frames_per_s = FRAMES / statistics.median(ours for ours, _ in pairs)
    report = {
        "bench": "jt701 binary frames, bytes to facts",
        "frames": FRAMES,
        "frames_per_s": round(frames_per_s),
        "frames_per_s_min": FRAMES_PER_S_MIN,
        "baseline": "bytes.find framing alone",
        "times_the_baseline": round(statistics.median(ratios), 1),
        "spread": [round(min(ratios), 1), round(max(ratios), 1)],
        "machine": machine(),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
