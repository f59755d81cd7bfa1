"""The cable between a device and its pty: how long bytes take, and what faults do to them (DEVICES 8.4).

Law: lines leave in the order in which they were said. Which line a fault strikes depends on the seed and on the lines before it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

__all__ = ["FAULT_KINDS", "Cable", "FaultSpec", "Struck", "at_wrong_rate"]

NOISE_BYTES_MAX = 40
LOST_BYTES_MAX = 8
FLIPPED_BITS_MAX = 3
NMEA = re.compile(rb"\$[^*]*\*[0-9A-F]{2}\r\n")
M100 = re.compile(rb"\xBB.{5,}\x7E", re.DOTALL)
FRAME_BITS = 10  # 8N1: start, eight bits, stop


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSpec:
    device: str
    kind: str
    per_hour: float
    from_ms: int
    to_ms: int
    delay_ms: int = 400  # of kind delay


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """One line as it reaches the pty."""

    at_ms: int  # its last bit has arrived
    data: bytes
    faults: tuple[str, ...]


class _Fault:
    """Strikes the first line at or after each of its seeded moments."""

    def __init__(self, spec: FaultSpec, rng: Random) -> None:
        self.spec = spec
        self.rng = rng
        self._due_ms = spec.from_ms + self._pause_ms()

    def strikes(self, now_ms: int) -> bool:
        if now_ms < self._due_ms or now_ms >= self.spec.to_ms:
            return False
        self._due_ms = now_ms + self._pause_ms()
        return True

    def _pause_ms(self) -> int:
        return round(self.rng.expovariate(self.spec.per_hour) * 3_600_000)


class Cable:
    def __init__(self, faults: list[tuple[FaultSpec, Random]]) -> None:
        self._faults = [_Fault(spec, rng) for spec, rng in faults]
        self._free_ms = 0.0

    def carry(self, at_ms: int, data: bytes, baud: int) -> Struck:
        """`data`, whose first bit may leave at `at_ms`, at the other end."""
        begin_ms = max(float(at_ms), self._free_ms)
        struck = []
        for fault in self._faults:
            if not fault.strikes(at_ms):
                continue
            struck.append(fault.spec.kind)
            if fault.spec.kind == "delay":
                begin_ms += fault.spec.delay_ms
            elif data:  # another fault may have taken all of it
                data = DAMAGE[fault.spec.kind](data, fault.rng)
        self._free_ms = begin_ms + len(data) * FRAME_BITS * 1000 / baud
        return Struck(at_ms=int(self._free_ms), data=data, faults=tuple(struck))


def at_wrong_rate(data: bytes, said_baud: int, heard_baud: int) -> bytes:
    """What a UART at `heard_baud` makes of `data` sent at `said_baud`, 8N1 both: garbage, and not as many bytes."""
    if said_baud == heard_baud:
        return data
    levels = [1, *(bit for byte in data for bit in _bits(byte))]  # idle before the first
    step = said_baud / heard_baud  # of the listener's bit, in the speaker's
    heard = bytearray()
    place = 0.0
    while (start := _falling(levels, int(place))) is not None:
        samples = [_level(levels, start + (number + 0.5) * step) for number in range(1, 10)]
        heard.append(sum(bit << index for index, bit in enumerate(samples[:8])))
        place = start + 9.5 * step
    return bytes(heard)


def _bits(byte: int) -> list[int]:
    return [0, *((byte >> index) & 1 for index in range(8)), 1]


def _falling(levels: list[int], place: int) -> int | None:
    """Where the line falls next: a listener that finds it low waits until it was high."""
    try:
        return levels.index(0, levels.index(1, place))
    except ValueError:
        return None


def _level(levels: list[int], place: float) -> int:
    return levels[int(place)] if place < len(levels) else 1  # an idle line is high


def _bad_checksum(data: bytes, rng: Random) -> bytes:
    if not NMEA.fullmatch(data):
        at = -2 if M100.fullmatch(data) else -1  # UBX: the sum lies at the end
        damaged = bytearray(data)
        damaged[at] ^= rng.randrange(1, 256)
        return bytes(damaged)
    wrong = int(data[-4:-2], 16) ^ rng.randrange(1, 256)
    return data[:-4] + b"%02X\r\n" % wrong


def _cut_line(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(1, max(len(data), 2))]


def _merged_lines(data: bytes, _rng: Random) -> bytes:
    """The end is lost: CR LF of a line, the last byte of a frame; it runs into the next one."""
    return data.removesuffix(b"\r\n") if data.endswith(b"\r\n") else data[:-1]


def _noise(data: bytes, rng: Random) -> bytes:
    return rng.randbytes(rng.randint(1, NOISE_BYTES_MAX)) + data


def _lost_bytes(data: bytes, rng: Random) -> bytes:
    begin = rng.randrange(len(data))
    return data[:begin] + data[begin + rng.randint(1, LOST_BYTES_MAX) :]


def _flipped_bits(data: bytes, rng: Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.randint(1, FLIPPED_BITS_MAX)):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


DAMAGE: dict[str, Callable[[bytes, Random], bytes]] = {
    "bad_checksum": _bad_checksum,
    "cut_line": _cut_line,
    "merged_lines": _merged_lines,
    "noise": _noise,
    "lost_bytes": _lost_bytes,
    "flipped_bits": _flipped_bits,
}
FAULT_KINDS = (*DAMAGE, "delay")
