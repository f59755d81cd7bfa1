"""When a batch is full, and its bytes from records, head and time (EDGE section 3).

Law: an urgent event never waits for a fuller batch.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from agent import Kept, Moment, Weight
from wire import LIM
from wire.batch import make_payload
from wire.canon import encode
from wire.columns import encode_body
from wire.records import EventKind, EventRecord, FixRecord

URGENT_MS = 20  # rope, motor and alarm frames come in one burst (EDGE section 3)
URGENT_BATCHES_MAX = 30  # in URGENT_WINDOW_MS: a chattering alarm must not wear out the card
URGENT_WINDOW_MS = 60_000
URGENT_SLOW_MS = 2_000  # above that one batch in so long
ACKNOWLEDGE_MS = 5_000  # a JT701D repeats after 20 s and keeps the record
LIVE_MS = 10_000  # with `records_min`: a commit writes 7.0 kB, so 15 records a commit keep 600 bytes a record
LIVELY_MS = 3_000  # after an urgent event: the desk sees where the truck goes
LIVELY_FOR_MS = 600_000
LIVELY_MS_MAX = 1_800_000  # in LIVELY_WINDOW_MS
LIVELY_WINDOW_MS = 14_400_000
RECORDS_MAX = 300  # 3.1 bytes a position; beyond it a batch gains nothing
EVENTS_MAX = 128
OVERHEAD_BYTES = 288  # header 120, envelope 86, `seen` 39, heads of arrays, and the rest to spare
FIX_BYTES_FIRST = 56  # the first of each column is the value itself
UNWRITABLE_BYTES = (
    1 << 30
)  # a bend of LIM or more has no spelling (WIRE section 5): it begins another batch
FLAGS_BYTES = 5  # of a difference of flags, at most
BATCH_BYTES_MIN = 1_024  # no broker takes less

_TURNS = frozenset((EventKind.POWER, EventKind.MOTION, EventKind.CONFIG, EventKind.STOP))
_LIVELY = frozenset((EventKind.SEAL, EventKind.PANIC, EventKind.ACCESS))


class Closing(Enum):
    """Why a batch was closed."""

    URGENT = "urgent"
    ACKNOWLEDGE = "acknowledge"
    LIVE = "live"
    LIVELY = "lively"
    AGE = "age"
    TURN = "turn"  # power, motion, config, stop; or the clock is about to be another
    SIZE = "size"
    STOP = "stop"
    START = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealerSettings:
    """`sealer` of the config."""

    records_min: int = 15
    age_live_s: int = 30
    age_standing_s: int = 120
    age_offline_s: int = 60
    age_open_s: int = 300
    batch_bytes_max: int = 12_288


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBatch:
    """Records that shall become one batch; nothing is numbered or signed yet."""

    kept: tuple[Kept, ...]
    sealed: Moment  # the clock that goes into its header: one batch has one offset
    closing: Closing

    @property
    def urgent(self) -> bool:
        """Whether one of its events is urgent."""
        return any(kept.urgent for kept in self.kept)

    @property
    def weight(self) -> Weight:
        """The greatest of its records rules."""
        return max(kept.weight for kept in self.kept)


class Sealer:
    """Collects kept records and says when they make a batch."""

    def __init__(self, settings: SealerSettings) -> None:
        self._settings = settings
        self._bytes_max = settings.batch_bytes_max
        self._up = False
        self._metered = False
        self._sealed = False
        self._moving = False
        self._draft: _Draft | None = None
        self._newest: Moment | None = (
            None  # of the newest record: the clock of a batch that closes behind it
        )
        self._urgent_ms: deque[int] = deque(maxlen=URGENT_BATCHES_MAX)
        self._lively: deque[tuple[int, int]] = deque()

    def link(self, *, up: bool, metered: bool) -> None:
        """Whether somebody hears us now, and whether it is dear."""
        self._up = up
        self._metered = metered

    def state(self, *, sealed: bool, moving: bool) -> None:
        """Which age limits are in force: the recorder knows."""
        self._sealed = sealed
        self._moving = moving

    def shrink(self, batch_bytes_max: int) -> None:
        """A broker takes less than we thought (EDGE section 5): batches to come are smaller."""
        self._bytes_max = max(min(self._bytes_max, batch_bytes_max), BATCH_BYTES_MIN)

    def add(
        self, kept: Sequence[Kept], moment: Moment, *, ack_waits: bool = False
    ) -> list[OpenBatch]:
        """Batches that are full now, oldest first. `ack_waits`: a device waits for our acknowledgement of these.

        Events that are added at once are of one frame: they share a batch if any batch can hold them.
        """
        full: list[OpenBatch | None] = []
        if (
            len(kept) > 1
            and self._draft is not None
            and not self._draft.takes_all(kept, self._bytes_max)
        ):
            full.append(self.close_now(Closing.SIZE, moment))
        for one in kept:
            kind = one.record.kind if isinstance(one.record, EventRecord) else None
            if kind == EventKind.CLOCK and self._newest is not None:  # one batch has one offset
                full.append(self.close_now(Closing.TURN, self._newest))
            if self._draft is not None and not self._draft.takes(one, self._bytes_max):
                full.append(self.close_now(Closing.SIZE, moment))
            self._draft = self._draft or _Draft(moment.mono_ms)
            self._draft.add(one)
            self._newest = moment
            if one.urgent:
                self._note_urgent(one, moment.mono_ms)
            if kind in _TURNS:
                full.append(self.close_now(Closing.TURN, moment))
        if ack_waits and self._draft is not None and self._draft.ack_ms is None:
            self._draft.ack_ms = moment.mono_ms + ACKNOWLEDGE_MS
        return [batch for batch in full if batch is not None]

    def wake(self, moment: Moment) -> OpenBatch | None:
        """The batch whose time has come."""
        due = self._due()
        if due is None or moment.mono_ms < due[0]:
            return None
        return self.close_now(due[1], moment)

    def close_now(self, closing: Closing, moment: Moment) -> OpenBatch | None:
        """The open batch, whatever its age; None if nothing is open."""
        draft = self._draft
        if draft is None:
            return None
        self._draft = None
        batch = OpenBatch(kept=tuple(draft.kept), sealed=moment, closing=closing)
        if batch.urgent:
            self._urgent_ms.append(moment.mono_ms)
        return batch

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, in mono_ms. Ask again after `link` and `state`."""
        due = self._due()
        return None if due is None else due[0]

    def _due(self) -> tuple[int, Closing] | None:
        draft = self._draft
        if draft is None:
            return None
        dues = [(draft.opened_ms + self._age_ms(), Closing.AGE)]
        if draft.urgent_ms is not None:
            dues.append((self._urgent_due(draft.urgent_ms), Closing.URGENT))
        if draft.ack_ms is not None:
            dues.append((draft.ack_ms, Closing.ACKNOWLEDGE))
        if self._up and not self._metered and len(draft.kept) >= self._settings.records_min:
            dues.append((draft.opened_ms + LIVE_MS, Closing.LIVE))
        if self._up and self._lively and draft.opened_ms < self._lively[-1][1]:
            dues.append((draft.opened_ms + LIVELY_MS, Closing.LIVELY))
        return min(dues, key=lambda due: due[0])

    def _age_ms(self) -> int:
        settings = self._settings
        if not self._sealed:
            return settings.age_open_s * 1_000
        if not self._moving:
            return settings.age_standing_s * 1_000
        heard = self._up and not self._metered
        return (settings.age_live_s if heard else settings.age_offline_s) * 1_000

    def _urgent_due(self, due_ms: int) -> int:
        """Soon; but the thirty-first in a minute comes 2 s after the one before."""
        crowded = (
            len(self._urgent_ms) == URGENT_BATCHES_MAX
            and due_ms - self._urgent_ms[0] < URGENT_WINDOW_MS
        )
        return max(due_ms, self._urgent_ms[-1] + URGENT_SLOW_MS) if crowded else due_ms

    def _note_urgent(self, one: Kept, mono_ms: int) -> None:
        assert self._draft is not None, "it was added just now"
        if self._draft.urgent_ms is None:
            self._draft.urgent_ms = mono_ms + URGENT_MS
        if not isinstance(one.record, EventRecord) or one.record.kind not in _LIVELY:
            return
        while self._lively and self._lively[0][1] <= mono_ms - LIVELY_WINDOW_MS:
            self._lively.popleft()
        begin = mono_ms
        if self._lively and self._lively[-1][1] >= mono_ms:
            begin, _ = self._lively.pop()  # still lively: the same stretch goes on
        oldest = mono_ms - LIVELY_WINDOW_MS
        spent = sum(end - max(since, oldest) for since, end in self._lively)
        spent += mono_ms - max(begin, oldest)
        left = max(LIVELY_MS_MAX - spent, 0)
        self._lively.append((begin, mono_ms + min(LIVELY_FOR_MS, left)))


class _Draft:
    """The open batch, with a bound on its size that is never too small."""

    def __init__(self, opened_ms: int) -> None:
        self.opened_ms = opened_ms
        self.kept: list[Kept] = []
        self.urgent_ms: int | None = None  # when its urgent event wants to be sealed
        self.ack_ms: int | None = None
        self._events = 0
        self._size = OVERHEAD_BYTES
        self._columns: _Columns | None = None
        self._since_fix = 0

    def takes(self, one: Kept, bytes_max: int) -> bool:
        """Whether `one` still fits; an empty batch takes everything."""
        if not self.kept:
            return True
        events = self._events + isinstance(one.record, EventRecord)
        if len(self.kept) >= RECORDS_MAX or events > EVENTS_MAX:
            return False
        return self._size + self._cost(one) <= bytes_max

    def takes_all(self, kept: Sequence[Kept], bytes_max: int) -> bool:
        """Whether these events still fit; True for anything that is more than events, which nothing holds together."""
        events = [one.record for one in kept if isinstance(one.record, EventRecord)]
        if len(events) < len(kept):
            return True
        if len(self.kept) + len(events) > RECORDS_MAX or self._events + len(events) > EVENTS_MAX:
            return False
        return self._size + sum(map(event_bytes, events)) <= bytes_max

    def add(self, one: Kept) -> None:
        self._size += self._cost(one)
        self.kept.append(one)
        if isinstance(one.record, EventRecord):
            self._events += 1
            self._since_fix += 1
        else:
            self._columns = _columns(self._columns, one.record)
            self._since_fix = 0

    def _cost(self, one: Kept) -> int:
        if isinstance(one.record, EventRecord):
            return event_bytes(one.record)
        if self._columns is None:
            return FIX_BYTES_FIRST
        before, now = self._columns, _columns(self._columns, one.record)
        bends = (now[0][at] - before[0][at] for at in range(3))
        steps = (now[1][at] - before[1][at] for at in range(3, len(before[1])))
        numbers = (self._since_fix + 1, *bends, *steps)
        return sum(map(_int_bytes, numbers)) + (1 if now[2] == before[2] else FLAGS_BYTES)


def event_bytes(record: EventRecord) -> int:
    """What an event adds to a body, at most: its seq is counted at its longest."""
    row = (_LONGEST_SEQ, record.kind, record.t_ms, record.mono_ms, record.data)
    return len(encode(row))


def payload_of(
    batch: OpenBatch,
    *,
    unit_id: str,
    chain_id: bytes,
    boot_no: int,
    batch_no: int,
    prev: bytes,
    first_seq: int,
    seen: tuple[int, bytes] | None = None,
) -> bytes:
    """The bytes to sign: WIRE section 4, grain 1, the shorter codec. The same arguments give the same bytes."""
    return make_payload(
        unit_id=unit_id,
        chain_id=chain_id,
        boot_no=boot_no,
        batch_no=batch_no,
        prev=prev,
        first_seq=first_seq,
        count=len(batch.kept),
        sealed_ms=batch.sealed.utc_ms,
        sealed_mono_ms=batch.sealed.mono_ms,
        time_quality=batch.sealed.quality,
        seen=seen,
        raw_body=encode_body(first_seq, [kept.record for kept in batch.kept]),
    )


_LONGEST_SEQ = (1 << 42) - 1
_Columns = tuple[
    tuple[int, int, int], tuple[int, ...], tuple[int, ...]
]  # slopes of the first three, values as written, and what decides about the flags


def _columns(before: _Columns | None, fix: FixRecord) -> _Columns:
    """The columns of WIRE section 5 as they stand behind `fix`; an absent value is written as no change."""
    said = (fix.alt_dm, fix.speed_cm_s, fix.course_cdeg, fix.hdop_centi, fix.err_cm, fix.sats)
    old = before[1] if before is not None else (0,) * 9
    rest = tuple(
        last if value is None else value for last, value in zip(old[3:], said, strict=True)
    )
    values = (fix.t_ms, fix.lat_e7 // 10, fix.lon_e7 // 10, *rest)
    slopes = (0, 0, 0)
    if before is not None:
        slopes = (values[0] - old[0], values[1] - old[1], values[2] - old[2])
    return slopes, values, (fix.flags, *(value is None for value in said))


def _int_bytes(number: int) -> int:
    """Length of an integer in its shortest form (WIRE section 3)."""
    if -32 <= number < 128:
        return 1
    for size, least, limit in ((2, -128, 256), (3, -32_768, 65_536), (5, -(1 << 31), 1 << 32)):
        if least <= number < limit:
            return size
    return 9 if abs(number) < LIM else UNWRITABLE_BYTES
