"""The fixes of a tick as numpy columns (DETECTION section 1).

Law: reads the same bytes as wire.columns, and agrees with it. What is refused there is refused here, in the same words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wire import LIM, Refused
from wire.columns import (
    ABSENT,
    COLUMN_NAMES,
    COLUMNS,
    FIXES_MAX,
    RANGES,
    STEPS,
    Columns,
    Event,
    check_seqs,
    parse_body,
    read_columns,
    read_events,
)

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

UNKNOWN = -1  # what the device did not say
ALT_UNKNOWN_DM = -1_000_000  # -1 dm is a height; this is none (WIRE section 5: from -10,000)

SEQ, T_MS, LAT_E7, LON_E7, ALT_DM, SPEED, COURSE, HDOP, ERR, SATS, FLAGS = range(COLUMNS)

_STEPS = [np.array(steps, np.int64)[:, None] for steps in STEPS]
_LEAST = np.array([least for least, _ in RANGES], np.int64)
_MOST = np.array([most for _, most in RANGES], np.int64)
_ABSENT = np.array(ABSENT, np.int64)[ALT_DM:FLAGS, None]
_ABSENT_ALL = int(sum(ABSENT))
_UNKNOWN = np.full((FLAGS - ALT_DM, 1), UNKNOWN, np.int64)
_UNKNOWN[0] = ALT_UNKNOWN_DM
_NO_FIXES: IntArray = np.empty((COLUMNS, 0), np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """A settled batch as a tick hands it in: fixes as columns, events as rows."""

    unit: str
    chain: bytes
    batch_no: int
    first_seq: int
    count: int
    fixes: IntArray  # (11, n): rows in the order of WIRE section 5, seq absolute, UNKNOWN where not said
    events: tuple[Event, ...]
    received_ms: int | None = None  # when this copy came
    early_ms: int | None = None  # when an early copy of it was judged, if one was
    sealed_ms: int = 0
    sealed_mono_ms: int = 0
    time_quality: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """All fixes of a tick, grouped by unit, in chain order inside a unit. Columns are views of one block."""

    units: tuple[str, ...]
    batches: tuple[Batch, ...]  # in the order of the rows
    ends: IntArray  # of each unit: the row behind its last
    unit: IntArray  # index into `units`
    batch: IntArray  # index into `batches`
    seq: IntArray
    t_ms: IntArray
    lat_e7: IntArray
    lon_e7: IntArray
    speed_cm_s: IntArray
    course_cdeg: IntArray
    hdop_centi: IntArray
    err_cm: IntArray
    sats: IntArray
    flags: IntArray

    def __len__(self) -> int:
        return len(self.seq)


def read_columns_np(flat: Sequence[int], first_seq: int) -> IntArray | Refused:
    """The fixes that `flat` tells as one block (11, n), or BAD_COLUMNS: as `wire.columns.read_columns` says it."""
    if not flat:
        return _NO_FIXES
    block = _read_sound(flat, first_seq)
    if block is not None:
        return block
    refused = read_columns(flat, first_seq)  # the slow reader finds the words
    assert isinstance(refused, Refused), "the two readers of WIRE section 5 disagree"
    return refused


def read_body(
    raw: bytes, *, first_seq: int, count: int, batch_no: int
) -> tuple[IntArray, tuple[Event, ...]] | Refused:
    """Fixes and events of a body, judged as `wire.columns.decode_body` judges it."""
    parsed = parse_body(raw)
    if isinstance(parsed, Refused):
        return parsed
    fixes = read_columns_np(parsed[0], first_seq)
    if isinstance(fixes, Refused):
        return fixes
    events = read_events(parsed[1], first_seq=first_seq, batch_no=batch_no)
    if isinstance(events, Refused):
        return events
    seqs: list[int] = fixes[SEQ].tolist()
    fault = check_seqs(seqs, [event.seq for event in events], first_seq, count)
    return fault if fault is not None else (fixes, events)


def block_of(columns: Columns) -> IntArray:
    """The same fixes as a block, for who has read them with `wire.columns`."""
    if not columns:
        return _NO_FIXES
    block = np.empty((COLUMNS, len(columns)), np.int64)
    for column, name in enumerate(COLUMN_NAMES):
        unknown = ALT_UNKNOWN_DM if column == ALT_DM else UNKNOWN
        block[column] = [unknown if value is None else value for value in getattr(columns, name)]
    return block


def columns_of(block: IntArray) -> Columns:
    """Back to tuples: what the law test compares."""
    rows = block.tolist()
    for column in range(ALT_DM, FLAGS):
        bit = ABSENT[column]
        rows[column] = [
            None if flag & bit else value
            for value, flag in zip(rows[column], rows[FLAGS], strict=True)
        ]
    return Columns(**{name: tuple(row) for name, row in zip(COLUMN_NAMES, rows, strict=True)})


def decode(batches: Iterable[Batch]) -> Track:
    """One track of all batches, which stand in chain order for each unit; units in order of first appearance."""
    of_unit: dict[str, list[Batch]] = {}
    for batch in batches:
        of_unit.setdefault(batch.unit, []).append(batch)
    ordered = tuple(batch for group in of_unit.values() for batch in group)
    lengths = np.array([batch.fixes.shape[1] for batch in ordered], np.int64)
    rows_of_unit = np.array(
        [sum(batch.fixes.shape[1] for batch in group) for group in of_unit.values()], np.int64
    )
    block = np.concatenate([batch.fixes for batch in ordered], axis=1) if ordered else _NO_FIXES
    return Track(
        units=tuple(of_unit),
        batches=ordered,
        ends=np.cumsum(rows_of_unit),
        unit=np.repeat(np.arange(len(of_unit)), rows_of_unit),
        batch=np.repeat(np.arange(len(ordered)), lengths),
        seq=block[SEQ],
        t_ms=block[T_MS],
        lat_e7=block[LAT_E7],
        lon_e7=block[LON_E7],
        speed_cm_s=block[SPEED],
        course_cdeg=block[COURSE],
        hdop_centi=block[HDOP],
        err_cm=block[ERR],
        sats=block[SATS],
        flags=block[FLAGS],
    )


def _read_sound(flat: Sequence[int], first_seq: int) -> IntArray | None:
    """The block if nothing at all is wrong with `flat`, else None."""
    fixes, rest = divmod(len(flat) - 1, COLUMNS)
    if rest or not 1 <= fixes <= FIXES_MAX or not 0 <= flat[0] < len(STEPS):
        return None
    try:
        written = np.array(flat[1:], np.int64).reshape(COLUMNS, fixes)
    except OverflowError:
        return None
    # 1,024 numbers below 2^42 sum to less than 2^52, and 1,024 such sums to less than 2^62: nothing wraps before it is looked at
    if not _below_lim(written):
        return None
    block = written.copy()
    if fixes > 1:
        steps = np.cumsum(written[T_MS:ALT_DM, 1:], axis=1)
        if not _below_lim(steps):
            return None
        block[T_MS:ALT_DM, 1:] = steps
        block = np.cumsum(block, axis=1)
        if not _below_lim(block):
            return None
    block *= _STEPS[flat[0]]
    if (block.min(axis=1) < _LEAST).any() or (block.max(axis=1) > _MOST).any():
        return None
    flags = block[FLAGS]
    kinds = flags & 7
    if kinds.min() == 0 or kinds.max() == 7:
        return None
    if int(np.bitwise_or.reduce(flags)) & _ABSENT_ALL:
        absent = (flags & _ABSENT) != 0
        if (absent & (written[ALT_DM:FLAGS] != 0)).any():
            return None
        np.copyto(block[ALT_DM:FLAGS], _UNKNOWN, where=absent)
    block[SEQ] += first_seq
    return block


def _below_lim(numbers: IntArray) -> bool:
    return bool(numbers.max() < LIM and numbers.min() > -LIM)
