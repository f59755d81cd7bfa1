"""One connection of a seal: which protocol it speaks, what it says, and how much of it we bear.

Law: whoever breaks a bound loses this connection and nothing else happens. A connection speaks for one seal.
"""

from collections import Counter
from dataclasses import dataclass, field

from collector.gateway import Heard
from devices import Fact, SealAlive, SealAnswer, SealEvent, SealReport, SealSecret
from devices.eseal import EsealReader
from devices.jt701 import Jt701Reader, SetTime
from devices.jt808 import UTC_OFFSET_MIN, Jt808Reader

__all__ = ["PROTOCOLS", "Link", "LinkSettings"]

PROTOCOLS = ("auto", "jt701", "eseal", "jt808")
FIRST_FRAME_MS = 30_000  # a modem says who it is within seconds of dialling
NOISE_BYTES_MAX = 4_096  # without one good frame: no line noise comes over TCP, so this is no seal
SNIFFED_BYTES_MAX = 64  # before the first byte of any protocol
BYTES_BURST, BYTES_S = 65_536, 8_192  # a seal's report has 62 bytes, a backlog one frame at a time
FRAMES_BURST, FRAMES_S = 200, 20  # the quickest seal reports once a second
WAITING_FACTS_MAX = 64  # not committed yet: then we read no further

_BEGINS = {b"$": "jt701", b"(": "jt701", b"#": "eseal", b"\x7e": "jt808"}
_Reader = Jt701Reader | EsealReader | Jt808Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    protocol: str = "auto"
    seals: frozenset[str] = field(default_factory=frozenset)  # empty: any
    idle_ms: int = 300_000
    utc_offset_min: int = UTC_OFFSET_MIN
    eseal_config: str | None = None  # what a Startup is acknowledged with


class Link:
    """Bytes of one connection in, facts out."""

    def __init__(self, settings: LinkSettings, now_ms: int) -> None:
        self.seal_id: str | None = None
        self.counters: Counter[str] = Counter()
        self._settings = settings
        self._reader = (
            None if settings.protocol == "auto" else _reader_of(settings.protocol, settings)
        )
        self._sniffed = 0
        self._noise = 0  # bytes since the last good frame
        self._good = 0  # frames that were good, so far
        self._heard_ms = now_ms
        self._begun_ms = now_ms
        self._bytes = _Bucket(BYTES_BURST, BYTES_S, now_ms)
        self._frames = _Bucket(FRAMES_BURST, FRAMES_S, now_ms)

    def feed(self, data: bytes, now_ms: int) -> Heard:
        """What `data` comes to. Never raises."""
        if not self._bytes.take(len(data), now_ms):
            return Heard(end="too_many_bytes")
        if self._reader is None:
            data = self._sniff(data)
            if self._reader is None:
                return Heard(end="unknown_protocol") if self._is_strange() else Heard()
        self._noise += len(data)
        return self._judged(self._reader.feed(data, now_ms), now_ms)

    def wake(self, now_ms: int) -> Heard:
        """Time has passed."""
        if self.seal_id is None and now_ms - self._begun_ms >= FIRST_FRAME_MS:
            return Heard(end="no_frame")
        if now_ms - self._heard_ms >= self._settings.idle_ms:
            return Heard(end="idle")
        return Heard() if self._reader is None else self._judged(self._reader.wake(now_ms), now_ms)

    def next_deadline(self) -> int:
        """When `wake` wants to be called."""
        deadlines = [self._heard_ms + self._settings.idle_ms]
        if self.seal_id is None:
            deadlines.append(self._begun_ms + FIRST_FRAME_MS)
        if self._reader is not None and (due_ms := self._reader.next_deadline()) is not None:
            deadlines.append(due_ms)
        return min(deadlines)

    def acknowledged(self, fact: Fact) -> None:
        """What holds `fact` is committed."""
        if self._reader is not None:
            self._reader.acknowledged(fact)

    def forget(self, fact: Fact) -> None:
        """`fact` was not stored: its frame counts as new when it comes again."""
        if self._reader is not None:
            self._reader.forget(fact)

    def totals(self) -> Counter[str]:
        """What was counted on this connection, refused frames by their reason."""
        read = self._reader.counters if self._reader is not None else Counter[str]()
        return self.counters + read

    def _sniff(self, data: bytes) -> bytes:
        """The bytes from the first that begins a frame on."""
        for place in range(len(data)):
            name = _BEGINS.get(data[place : place + 1])
            if name is not None:
                self._reader = _reader_of(name, self._settings)
                return data[place:]
        self._sniffed += len(data)
        return b""

    def _is_strange(self) -> bool:
        return self._sniffed > SNIFFED_BYTES_MAX

    def _judged(self, facts: list[Fact], now_ms: int) -> Heard:
        kept: list[Fact] = []
        for fact in facts:
            self.counters[type(fact).__name__] += 1
            if not isinstance(fact, SealReport | SealEvent | SealAlive | SealSecret | SealAnswer):
                continue  # an Odd: its bytes are counted as noise
            if not fact.seal_id:
                continue
            if (end := self._who(fact.seal_id)) is not None:
                return Heard(facts=tuple(kept), end=end)
            if isinstance(fact, SealReport | SealEvent | SealAlive):
                kept.append(fact)
        end = self._count(now_ms)
        return Heard(facts=tuple(kept), reply=b"" if end else self._reply(now_ms), end=end)

    def _count(self, now_ms: int) -> str | None:
        """Good frames, repeats too, make up for noise; too many of them end it as well."""
        assert self._reader is not None
        frames, self._good = (
            self._reader.counters["frames"] - self._good,
            self._reader.counters["frames"],
        )
        if frames:
            self._noise, self._heard_ms = 0, now_ms
        if not self._frames.take(frames, now_ms):
            return "too_many_frames"
        return "garbage" if self._noise > NOISE_BYTES_MAX else None

    def _who(self, seal_id: str) -> str | None:
        """The reason for which this seal may not speak here."""
        if self._settings.seals and seal_id not in self._settings.seals:
            return "unknown_seal"
        if self.seal_id not in {None, seal_id}:
            return "another_seal"
        self.seal_id = seal_id
        return None

    def _reply(self, now_ms: int) -> bytes:
        reader = self._reader
        assert reader is not None
        if isinstance(reader, Jt701Reader) and reader.wants_time:
            reader.order(SetTime(time_ms=now_ms), now_ms)
        return reader.take_bytes()


class _Bucket:
    """So much at once, so much a second."""

    def __init__(self, burst: int, per_s: int, now_ms: int) -> None:
        self._burst, self._per_s = burst, per_s
        self._left = float(burst)
        self._at_ms = now_ms

    def take(self, count: int, now_ms: int) -> bool:
        passed_ms = max(now_ms - self._at_ms, 0)  # a wall clock may be set back
        self._left = min(self._left + passed_ms * self._per_s / 1000, self._burst)
        self._at_ms = now_ms
        self._left -= count
        return self._left >= 0


def _reader_of(protocol: str, settings: LinkSettings) -> _Reader:
    if protocol == "jt701":
        return Jt701Reader()
    if protocol == "eseal":
        return EsealReader(config=settings.eseal_config)
    assert protocol == "jt808"
    return Jt808Reader(utc_offset_min=settings.utc_offset_min)
