"""The body of a batch: fixes as columns of integers, events as rows (WIRE section 5).

Law: plain Python; no value is rounded here but by `round_fix`, and nothing that was absent comes back as a number.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import msgpack

from wire import LIM, MisuseError, Reason, Refused
from wire.canon import VALUE_BYTES_MAX, Encodable, decode, encode, is_one_object
from wire.records import Datum, EventKind, FixFlag, FixRecord, Record

COLUMN_NAMES = (
    "seq",
    "t_ms",
    "lat_e7",
    "lon_e7",
    "alt_dm",
    "speed_cm_s",
    "course_cdeg",
    "hdop_centi",
    "err_cm",
    "sats",
    "flags",
)
COLUMNS = len(COLUMN_NAMES)
STEPS = (  # by grain, then by column: WIRE section 5's table
    (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
    (1, 1, 10, 10, 10, 10, 100, 10, 50, 1, 1),
)
RANGES = (  # of the values, not of the integers written; seq is judged by check_seqs
    (-LIM + 1, LIM - 1),
    (0, LIM - 1),
    (-900_000_000, 900_000_000),
    (-1_800_000_000, 1_800_000_000),
    (-10_000, 200_000),
    (0, 65_535),
    (0, 35_999),
    (0, 9_999),
    (0, 1_000_000),
    (0, 255),
    (1, (1 << 20) - 1),
)
ABSENT = (  # the flag that says so, by column; 0: this column is never absent
    0,
    0,
    0,
    0,
    FixFlag.NO_ALT.value,
    FixFlag.NO_SPEED.value,
    FixFlag.NO_COURSE.value,
    FixFlag.NO_HDOP.value,
    FixFlag.NO_ERR.value,
    FixFlag.NO_SATS.value,
    0,
)
SECOND_DIFFERENCES = frozenset({1, 2, 3})  # columns: a steady truck moves by equal steps
KINDS = range(1, 7)  # of a fix; 0 and 7 are refused

FIXES_MAX = 1_024  # WIRE section 4, count
EVENTS_MAX = 256
EVENT_BYTES_MAX = 4_096
DATA_DEPTH_MAX = 3
DATA_LEN_MAX = 256
TEXT_BYTES_MAX = 1_200  # a device's longest frame has 1,100

_ABSENT_ALL = sum(ABSENT)
# A run of integers, each in its shortest form. One pass in C over foreign bytes, before anything is made of them: no nested
# array can stand in a run, and bytes that match need not be encoded again to see that they are canonical.
_INTEGERS = re.compile(
    rb"(?:[\x00-\x7f\xe0-\xff]"
    rb"|\xcc[\x80-\xff]"
    rb"|\xcd[\x01-\xff]."
    rb"|\xce(?!\x00\x00)...."
    rb"|\xcf(?!\x00\x00\x00\x00)........"
    rb"|\xd0[\x80-\xdf]"
    rb"|\xd1(?!\xff[\x80-\xff])[\x80-\xff]."
    rb"|\xd2(?!\xff\xff[\x80-\xff])[\x80-\xff]..."
    rb"|\xd3(?!\xff\xff\xff\xff[\x80-\xff])[\x80-\xff].......)*+",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The fixes of a batch: tuples of equal length, seq absolute, None where the device did not say."""

    seq: tuple[int, ...] = ()
    t_ms: tuple[int, ...] = ()
    lat_e7: tuple[int, ...] = ()
    lon_e7: tuple[int, ...] = ()
    alt_dm: tuple[int | None, ...] = ()
    speed_cm_s: tuple[int | None, ...] = ()
    course_cdeg: tuple[int | None, ...] = ()
    hdop_centi: tuple[int | None, ...] = ()
    err_cm: tuple[int | None, ...] = ()
    sats: tuple[int | None, ...] = ()
    flags: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Number of fixes."""
        return len(self.seq)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a batch, with its place in the chain."""

    seq: int
    kind: int
    t_ms: int
    mono_ms: int
    data: tuple[Datum, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a batch holds."""

    fixes: Columns
    events: tuple[Event, ...]


def round_fix(fix: FixRecord, grain: int = 1) -> FixRecord:
    """`fix` on the steps of `grain`, as it may be written: halves go up, the ends of a range stay inside."""
    steps = STEPS[grain]
    values = {
        name: _rounded(getattr(fix, name), steps[column], RANGES[column])
        for column, name in enumerate(COLUMN_NAMES[:-1])
        if column > 0
    }
    if fix.course_cdeg is not None:
        step = steps[6]
        values["course_cdeg"] = (fix.course_cdeg + step // 2) // step * step % 36_000
    return replace(fix, **values)  # type: ignore[arg-type]  # None only where it was None before


def encode_body(first_seq: int, records: Sequence[Record], grain: int = 1) -> bytes:
    """The bytes of `records`, numbered from `first_seq` in their order.

    Raises MisuseError for what no reader would take: too many, out of range, or not on the steps of `grain`.
    """
    fixes: list[tuple[int, FixRecord]] = []
    rows: list[Encodable] = []
    for offset, record in enumerate(records):
        if isinstance(record, FixRecord):
            fixes.append((offset, record))
        else:
            rows.append((first_seq + offset, record.kind, record.t_ms, record.mono_ms, record.data))
    flat = _write_columns(fixes, grain)
    raw = encode((tuple(flat), rows))
    _assert_readable(raw, first_seq, len(records))
    return raw


def parse_body(raw: bytes) -> tuple[list[int], list[list[object]]] | Refused:
    """Body = [array of integers, array of arrays] in the one spelling, else BAD_BODY.

    BAD_EVENT for events beyond every bound: what they hold is then not looked at.
    """
    if len(raw) > VALUE_BYTES_MAX or raw[:1] != b"\x92":
        return _refused(Reason.BAD_BODY, "not an array of two")
    begin = _after_array_head(raw, 1)
    if begin is None:
        return _refused(Reason.BAD_BODY, "the fixes are no array in its shortest form")
    match = _INTEGERS.match(raw, begin)
    assert match is not None, "a run may be empty"
    end = match.end()
    try:
        flat: list[int] = msgpack.unpackb(raw[1:end], max_array_len=VALUE_BYTES_MAX)
    except (ValueError, msgpack.UnpackException):
        return _refused(
            Reason.BAD_BODY, "the fixes are no array of integers in their shortest form"
        )
    rows = decode(raw[end:])
    if isinstance(rows, Refused):
        if (
            rows.reason is Reason.BAD_PAYLOAD
            and "max_array_len" in rows.detail
            and is_one_object(raw[end:])
        ):
            return _refused(Reason.BAD_EVENT, rows.detail)
        return _refused(Reason.BAD_BODY, rows.detail)
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        return _refused(Reason.BAD_BODY, "the events are no array of arrays")
    checked: list[list[object]] = rows  # type: ignore[assignment]  # the line above proved it; lists are invariant
    return flat, checked


def read_columns(flat: Sequence[int], first_seq: int) -> Columns | Refused:
    """The fixes that `flat` tells, or BAD_COLUMNS with the column and what is wrong."""
    if not flat:
        return Columns()
    fixes, rest = divmod(len(flat) - 1, COLUMNS)
    if rest or not 1 <= fixes <= FIXES_MAX:
        return _refused(
            Reason.BAD_COLUMNS, f"{len(flat)} integers are not 1 + 11 n with n up to {FIXES_MAX}"
        )
    grain = flat[0]
    if not 0 <= grain < len(STEPS):
        return _refused(Reason.BAD_COLUMNS, f"grain {grain} is not known")
    written = [flat[1 + column * fixes : 1 + (column + 1) * fixes] for column in range(COLUMNS)]
    columns: list[tuple[int | None, ...]] = []
    flags = tuple(accumulate(written[-1]))
    for column, name in enumerate(COLUMN_NAMES):
        values = _read_column(column, written[column], STEPS[grain][column])
        if isinstance(values, str):
            return _refused(Reason.BAD_COLUMNS, f"{name}: {values}")
        bit = ABSENT[column]
        if bit and any(flag & bit for flag in flags):
            if any(
                number and flag & bit for number, flag in zip(written[column], flags, strict=True)
            ):
                return _refused(Reason.BAD_COLUMNS, f"{name}: absent but not 0")
            columns.append(
                tuple(
                    None if flag & bit else value for value, flag in zip(values, flags, strict=True)
                )
            )
        else:
            columns.append(tuple(values))
    if any(flag & 7 not in KINDS for flag in flags):
        return _refused(Reason.BAD_COLUMNS, "flags: no such kind of fix")
    columns[0] = tuple(first_seq + offset for offset in columns[0] if offset is not None)
    return Columns(**dict(zip(COLUMN_NAMES, columns, strict=True)))  # type: ignore[arg-type]  # only columns 4 to 9 hold None


def read_events(
    rows: Sequence[Sequence[object]], *, first_seq: int, batch_no: int
) -> tuple[Event, ...] | Refused:
    """The events that `rows` tell, or BAD_EVENT with the row and what is wrong."""
    if len(rows) > EVENTS_MAX:
        return _refused(Reason.BAD_EVENT, f"{len(rows)} rows, at most {EVENTS_MAX}")
    events: list[Event] = []
    for index, row in enumerate(rows):
        event = _read_event(row)
        if isinstance(event, str):
            return _refused(Reason.BAD_EVENT, f"row {index}: {event}")
        if event.kind == EventKind.GENESIS and (batch_no, event.seq, first_seq) != (0, 0, 0):
            return _refused(
                Reason.BAD_EVENT, f"row {index}: genesis anywhere but at seq 0 of batch 0"
            )
        events.append(event)
    return tuple(events)


def check_seqs(
    fix_seqs: Sequence[int], event_seqs: Sequence[int], first_seq: int, count: int
) -> Refused | None:
    """BAD_SEQ unless fixes and events together hold exactly first_seq .. first_seq + count - 1, each rising."""
    if len(fix_seqs) + len(event_seqs) != count:
        return _refused(
            Reason.BAD_SEQ, f"{len(fix_seqs) + len(event_seqs)} records, count says {count}"
        )
    if not (_rises(fix_seqs) and _rises(event_seqs)):
        return _refused(Reason.BAD_SEQ, "fixes or events do not rise")
    if not event_seqs:  # rising, as many as there should be, and the right ends: nothing else fits
        fits = fix_seqs[0] == first_seq and fix_seqs[-1] == first_seq + count - 1
    else:
        fits = sorted((*fix_seqs, *event_seqs)) == list(range(first_seq, first_seq + count))
    return (
        None
        if fits
        else _refused(
            Reason.BAD_SEQ, f"the numbers are not {first_seq} and the {count - 1} after it"
        )
    )


def decode_body(raw: bytes, *, first_seq: int, count: int, batch_no: int) -> Body | Refused:
    """The body of a batch: BAD_BODY, BAD_COLUMNS, BAD_EVENT, BAD_SEQ, judged in this order."""
    parsed = parse_body(raw)
    if isinstance(parsed, Refused):
        return parsed
    fixes = read_columns(parsed[0], first_seq)
    if isinstance(fixes, Refused):
        return fixes
    events = read_events(parsed[1], first_seq=first_seq, batch_no=batch_no)
    if isinstance(events, Refused):
        return events
    fault = check_seqs(fixes.seq, [event.seq for event in events], first_seq, count)
    return fault if fault is not None else Body(fixes=fixes, events=events)


def _write_columns(fixes: Sequence[tuple[int, FixRecord]], grain: int) -> list[int]:
    if not fixes:
        return []
    flat = [grain]
    for column, name in enumerate(COLUMN_NAMES):
        numbers: list[int] = []
        before = 0  # an absent value is written as no change
        for offset, fix in fixes:
            value = (
                offset if column == 0 else _flags(fix) if name == "flags" else getattr(fix, name)
            )
            if value is not None:
                before, rest = divmod(value, STEPS[grain][column])
                if rest:
                    raise MisuseError(
                        f"{name} {value} is not on the steps of grain {grain}: round_fix first"
                    )
            numbers.append(before)
        differences = _differences(numbers)
        if column in SECOND_DIFFERENCES:
            differences = [differences[0], *_differences(differences[1:])]
        flat += differences
    return flat


def _flags(fix: FixRecord) -> int:
    absent = sum(
        bit
        for name, bit in zip(COLUMN_NAMES, ABSENT, strict=True)
        if bit and getattr(fix, name) is None
    )
    return (fix.flags & ~_ABSENT_ALL) | absent


def _differences(numbers: Sequence[int]) -> list[int]:
    return [*numbers[:1], *(after - before for before, after in pairwise(numbers))]


def _read_column(column: int, written: Sequence[int], step: int) -> Sequence[int] | str:
    """The values of one column, or what is wrong. Sums are bounded before they are multiplied."""
    if not _below_lim(written):
        return f"an integer is not below {LIM}"
    numbers: Iterable[int] = written
    if column in SECOND_DIFFERENCES:
        steps = list(accumulate(written[1:]))
        if not _below_lim(steps):
            return f"a difference is not below {LIM}"
        numbers = (written[0], *steps)
    sums = list(accumulate(numbers))
    if not _below_lim(sums):
        return f"a sum is not below {LIM}"
    values = sums if step == 1 else [number * step for number in sums]
    least, most = RANGES[column]
    if min(values) < least or max(values) > most:
        return f"a value is not within {least} and {most}"
    return values


def _below_lim(numbers: Sequence[int]) -> bool:
    return not numbers or (max(numbers) < LIM and min(numbers) > -LIM)


def _read_event(row: Sequence[object]) -> Event | str:
    if len(row) != 5:
        return f"{len(row)} elements, is 5"
    seq, kind, t_ms, mono_ms, data = row
    if not (
        isinstance(seq, int)
        and isinstance(kind, int)
        and isinstance(t_ms, int)
        and isinstance(mono_ms, int)
    ):
        return "seq, kind, t_ms or mono_ms is no integer"
    if not isinstance(data, list):
        return "data is no array"
    if not 1 <= kind <= 65_535:
        return f"kind {kind}"
    if not (-LIM < seq < LIM and 0 <= t_ms < LIM and 0 <= mono_ms < LIM):
        return f"seq {seq}, t_ms {t_ms} or mono_ms {mono_ms} is out of range"
    frozen = _freeze(data, DATA_DEPTH_MAX)
    if isinstance(frozen, str):
        return frozen
    size = len(encode((seq, kind, t_ms, mono_ms, frozen)))
    if size > EVENT_BYTES_MAX:
        return f"{size} bytes, at most {EVENT_BYTES_MAX}"
    return Event(seq=seq, kind=kind, t_ms=t_ms, mono_ms=mono_ms, data=frozen)


def _freeze(data: list[object], depth_left: int) -> tuple[Datum, ...] | str:
    """`data` as tuples, or which bound of WIRE section 5 it breaks."""
    if depth_left == 0:
        return f"data is nested deeper than {DATA_DEPTH_MAX}"
    if len(data) > DATA_LEN_MAX:
        return f"an array of {len(data)}, at most {DATA_LEN_MAX}"
    frozen: list[Datum] = []
    for element in data:
        if isinstance(element, list):
            inner = _freeze(element, depth_left - 1)
            if isinstance(inner, str):
                return inner
            frozen.append(inner)
        elif isinstance(element, int):
            if not -LIM < element < LIM:
                return f"integer {element} is not below {LIM}"
            frozen.append(element)
        elif isinstance(element, str | bytes):
            size = len(element.encode()) if isinstance(element, str) else len(element)
            if size > TEXT_BYTES_MAX:
                return f"a string of {size} bytes, at most {TEXT_BYTES_MAX}"
            frozen.append(element)
        else:
            frozen.append(None)
    return tuple(frozen)


def _after_array_head(raw: bytes, at: int) -> int | None:
    """The place behind the head of an array at `at`, if there is one and it is in its shortest form."""
    form = raw[at : at + 1]
    if form and 0x90 <= form[0] <= 0x9F:
        return at + 1
    if form == b"\xdc" and int.from_bytes(raw[at + 1 : at + 3], "big") > 15:
        return at + 3
    if form == b"\xdd" and int.from_bytes(raw[at + 1 : at + 5], "big") > 65_535:
        return at + 5
    return None


def _rises(numbers: Sequence[int]) -> bool:
    return all(before < after for before, after in pairwise(numbers))


def _rounded(value: int | None, step: int, bounds: tuple[int, int]) -> int | None:
    if value is None or step == 1:
        return value
    rounded = (value + step // 2) // step * step
    least, most = bounds
    return max(-(-least // step) * step, min(rounded, most // step * step))


def _assert_readable(raw: bytes, first_seq: int, count: int) -> None:
    """The other side of the border: what we are about to sign is what a reader takes."""
    batch_no = 0 if first_seq == 0 else 1  # of seq 0 only batch 0 knows
    body = decode_body(raw, first_seq=first_seq, count=count, batch_no=batch_no)
    if isinstance(body, Refused):
        raise MisuseError(f"not to be signed: {body.reason.value}, {body.detail}")


def _refused(reason: Reason, detail: str) -> Refused:
    return Refused(reason=reason, detail=detail)
