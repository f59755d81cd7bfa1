"""Which tags are near (EDGE section 2).

Law: a tag is new once and gone once; a reader that does not talk proves nothing gone.
"""

from collections import Counter
from dataclasses import dataclass, field

from agent import Kept, Moment
from agent.recorder.words import event, text
from devices import ReaderAnswer, TagRead
from wire.records import EventKind

GONE_MS = 60_000
WHOLE_MS = 600_000
GATHER_MS = 1_000  # a pallet's tags are read within a second: one event, not fifty
TAGS_BYTES_MAX = 28_672  # near at once: 256 tags of 96 bits; the recorder has 64 KiB in all
TAG_BYTES = 100  # what Python needs to remember one, besides its name
READERS_MAX = 4
EPC_BYTES_MAX = 62  # DEVICES section 5
LIST_TAGS_MAX = 200  # WIRE section 5: 256 elements an array ...
LIST_BYTES_MAX = 3_600  # ... and 4,096 bytes a row
FAULT_MS = 60_000  # a reader's fault is told once a minute


@dataclass(slots=True, kw_only=True)
class _Reader:
    """What one reader sees."""

    seen_ms: dict[bytes, int] = field(default_factory=dict)
    new: list[bytes] = field(default_factory=list)
    tell_ms: int | None = None  # when the new ones are told
    whole_ms: int  # when the whole list was told
    fault_ms: int | None = None


class Tags:
    """All readers of the unit."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._readers: dict[str, _Reader] = {}
        self._bytes = 0  # of all tags near
        self._quiet_since_ms: int | None = None  # the reader's link does not talk

    def read(self, fact: TagRead, moment: Moment) -> list[Kept]:
        """One tag was read. What is new is told within a second, together with its neighbours."""
        reader = self._reader(fact.reader, moment.mono_ms)
        if reader is None or not 0 < len(fact.epc) <= EPC_BYTES_MAX:
            self._counters["tag_unusable"] += 1
            return []
        if fact.epc not in reader.seen_ms:
            if self._bytes + len(fact.epc) + TAG_BYTES > TAGS_BYTES_MAX:
                self._counters["tags_full"] += 1
                return []
            self._bytes += len(fact.epc) + TAG_BYTES
            reader.new.append(fact.epc)
            reader.tell_ms = reader.tell_ms or moment.mono_ms + GATHER_MS
        reader.seen_ms[fact.epc] = moment.mono_ms
        return []

    def answer(self, fact: ReaderAnswer, moment: Moment, reader_name: str) -> list[Kept]:
        """An answer is no tag; a refused order is a fault of the reader."""
        reader = self._reader(reader_name, moment.mono_ms)
        if fact.ok is not False or reader is None:
            return []
        if reader.fault_ms is not None and moment.mono_ms - reader.fault_ms < FAULT_MS:
            return []
        reader.fault_ms = moment.mono_ms
        return [event(EventKind.TAGS, moment, (text(reader_name), 0, 0, (), (), 0))]

    def talks(self, mono_ms: int, *, talking: bool) -> None:
        """Whether the reader's link talks. While it does not, no tag grows old."""
        if not talking:
            self._quiet_since_ms = mono_ms if self._quiet_since_ms is None else self._quiet_since_ms
            return
        if self._quiet_since_ms is not None:
            pause_ms = mono_ms - self._quiet_since_ms
            self._quiet_since_ms = None
            for reader in self._readers.values():
                for epc in reader.seen_ms:
                    reader.seen_ms[epc] += pause_ms

    def wake(self, moment: Moment) -> list[Kept]:
        """New ones gathered, old ones gone, the whole list."""
        kept: list[Kept] = []
        for name, reader in self._readers.items():
            gone = [] if self._quiet_since_ms is not None else _gone(reader, moment.mono_ms)
            for epc in gone:
                del reader.seen_ms[epc]
                self._bytes -= len(epc) + TAG_BYTES
            new = reader.new if _due(reader.tell_ms, moment.mono_ms) or gone else []
            if new:
                reader.new, reader.tell_ms = [], None
            kept += _told(name, new, gone, moment, whole=False)
            if reader.seen_ms and moment.mono_ms - reader.whole_ms >= WHOLE_MS:
                reader.whole_ms = moment.mono_ms
                kept += _told(name, list(reader.seen_ms), [], moment, whole=True)
        return kept

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, in mono_ms."""
        dues: list[int] = []
        for reader in self._readers.values():
            if reader.tell_ms is not None:
                dues.append(reader.tell_ms)
            if reader.seen_ms:
                dues.append(reader.whole_ms + WHOLE_MS)
                if self._quiet_since_ms is None:
                    dues.append(min(reader.seen_ms.values()) + GONE_MS)
        return min(dues, default=None)

    def _reader(self, name: str, mono_ms: int) -> _Reader | None:
        reader = self._readers.get(name)
        if reader is None and len(self._readers) < READERS_MAX:
            reader = self._readers[name] = _Reader(whole_ms=mono_ms)
        return reader


def _due(at_ms: int | None, mono_ms: int) -> bool:
    return at_ms is not None and mono_ms >= at_ms


def _gone(reader: _Reader, mono_ms: int) -> list[bytes]:
    return [epc for epc, seen_ms in reader.seen_ms.items() if mono_ms - seen_ms >= GONE_MS]


def _told(
    name: str, new: list[bytes], gone: list[bytes], moment: Moment, *, whole: bool
) -> list[Kept]:
    """One event, or several with `more` on all but the last."""
    parts: list[tuple[list[bytes], list[bytes]]] = []
    size = LIST_BYTES_MAX + 1
    for epc, is_new in [*((epc, True) for epc in new), *((epc, False) for epc in gone)]:
        size += len(epc) + 2
        if size > LIST_BYTES_MAX or len(parts[-1][0]) + len(parts[-1][1]) >= LIST_TAGS_MAX:
            parts.append(([], []))
            size = len(epc) + 2
        parts[-1][0 if is_new else 1].append(epc)
    return [
        event(
            EventKind.TAGS,
            moment,
            (text(name), 1, int(whole), tuple(fresh), tuple(lost), int(at + 1 < len(parts))),
        )
        for at, (fresh, lost) in enumerate(parts)
    ]
