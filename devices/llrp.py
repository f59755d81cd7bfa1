"""Lines of the LLRP child as tag reads (DEVICES section 6).

Law: imports no LLRP library: the child that prints the lines is another program, under another licence. A line is a small JSON
object: a tag `{"EPC":"3034...","PeakRSSI":-52,"AntennaID":1,"TagSeenCount":3,"LastSeenTimestampUTC":1700000000000000}`, a sign of life
`{"alive":true}` or a fault `{"fault":"..."}`.
"""

import re
from collections.abc import Iterator
from json import loads
from typing import Any

from devices import Counters, Fact, MisuseError, ReaderAnswer, TagRead
from devices.conversation import Remarks

PROTOCOL = "llrp"
LINE_BYTES_MAX = 1_024  # the longest tag has 250
SLICE_BYTES = 4_096
FAULT_CHARS_MAX = 200
_BRACKETS_MAX = 16  # a fault's words may hold some
_EPC = re.compile(r"(?:[0-9A-Fa-f]{2}){0,62}")  # as long as a tag's memory bank allows


class LlrpReader:
    """Reads what the child prints (`devices.Reader`). Orders are not said: the child is started with all that it needs."""

    def __init__(self, *, name: str) -> None:
        """`name` of the reader in its facts."""
        self.counters: Counters = Counters()
        self._name = name
        self._held = bytearray()
        self._is_skipping = False  # inside a line that was too long
        self._remarks = Remarks(protocol=PROTOCOL, counters=self.counters)

    def feed(self, data: bytes, now_ms: int) -> list[Fact]:
        """Facts that `data` completes. Never raises; any cutting of the bytes gives the same facts."""
        self.counters["bytes"] += len(data)
        facts: list[Fact] = []
        for line in self._lines(data):
            facts += self._hear(line, now_ms)
        return facts

    def wake(self, now_ms: int) -> list[Fact]:  # noqa: ARG002  # the shape of every reader
        """Nothing waits."""
        return []

    def close(self, now_ms: int) -> list[Fact]:  # noqa: ARG002  # the shape of every reader
        """The child has ended: half a line of it is none."""
        self._held.clear()
        self._is_skipping = False
        return []

    def next_deadline(self) -> int | None:
        """None: nothing waits."""
        return None

    def order(self, order: object, now_ms: int) -> None:  # noqa: ARG002  # the shape of every reader
        """MisuseError: the child takes no orders."""
        raise MisuseError(f"{type(order).__name__}: an LLRP reader is set up when its child starts")

    def take_bytes(self) -> bytes:
        """Nothing."""
        return b""

    def _lines(self, data: bytes) -> Iterator[bytes]:
        held = self._held
        for start in range(0, len(data), SLICE_BYTES):
            held += data[start : start + SLICE_BYTES]
            while (end := held.find(b"\n")) >= 0:
                with memoryview(held) as view:
                    line = bytes(view[:end])
                del held[: end + 1]
                if self._is_skipping:
                    self._is_skipping = False
                else:
                    yield line
            if self._is_skipping:
                held.clear()
            elif len(held) > LINE_BYTES_MAX:
                with memoryview(held) as view:
                    line = bytes(view[: LINE_BYTES_MAX + 1])
                yield line
                held.clear()
                self._is_skipping = True

    def _hear(self, line: bytes, now_ms: int) -> list[Fact]:
        if len(line) > LINE_BYTES_MAX:
            return list(self._remarks.refuse("too_long", line, now_ms))
        line = line.removesuffix(b"\r")
        if not line:
            return []
        said = _object(line)
        fact = None if said is None else self._fact(said, now_ms)
        if fact is None and not (said and said.get("alive") is True):
            return list(self._remarks.refuse("malformed", line, now_ms))
        self.counters["frames"] += 1
        return [] if fact is None else [fact]

    def _fact(self, said: dict[str, Any], now_ms: int) -> Fact | None:
        fault = said.get("fault")
        if isinstance(fault, str):
            self.counters["faults"] += 1
            values = (fault[:FAULT_CHARS_MAX],)
            return ReaderAnswer(at_ms=now_ms, command="connect", ok=False, values=values)
        epc = said.get("EPC")
        if not isinstance(epc, str) or _EPC.fullmatch(epc) is None:
            return None
        rssi_dbm = self._number(said, "PeakRSSI", -128, 127)
        self._number(said, "LastSeenTimestampUTC", 0, 2**63 - 1)  # the reader's own clock: not used
        self.counters["tag"] += 1
        return TagRead(
            at_ms=now_ms,
            epc=bytes.fromhex(epc),
            pc=None,
            rssi_cdbm=None if rssi_dbm is None else rssi_dbm * 100,
            antenna=self._number(said, "AntennaID", 0, 65_535),
            count=self._number(said, "TagSeenCount", 1, 65_535) or 1,
            reader=self._name,
        )

    def _number(self, said: dict[str, Any], name: str, low: int, high: int) -> int | None:
        value = said.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self.counters["bad_field"] += value is not None
        return None


def _object(line: bytes) -> dict[str, Any] | None:
    """A small flat object; None if it is none."""
    if not line.isascii() or line.count(b"{") + line.count(b"[") > _BRACKETS_MAX:
        return None
    try:
        said = loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
