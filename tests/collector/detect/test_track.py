"""The numpy reader against wire.columns."""

import numpy as np
from hypothesis import given, settings, strategies as st

from collector.detect.track import Batch, block_of, columns_of, decode, read_body, read_columns_np
from wire import LIM, Refused
from wire.columns import STEPS, Columns, decode_body, encode_body, read_columns, round_fix
from wire.records import EventKind, EventRecord, FixRecord

FIX = FixRecord(
    t_ms=1_795_330_001_000,
    lat_e7=413_111_000,
    lon_e7=692_797_000,
    alt_dm=450,
    speed_cm_s=1_390,
    course_cdeg=8_700,
    hdop_centi=80,
    err_cm=None,
    sats=12,
    flags=0x201,
)


def optional(least: int, most: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(least, most)


FIXES = st.builds(
    FixRecord,
    t_ms=st.integers(0, LIM // 4),
    lat_e7=st.integers(-900_000_000, 900_000_000),
    lon_e7=st.integers(-1_800_000_000, 1_800_000_000),
    alt_dm=optional(-10_000, 200_000),
    speed_cm_s=optional(0, 65_535),
    course_cdeg=optional(0, 35_999),
    hdop_centi=optional(0, 9_999),
    err_cm=optional(0, 1_000_000),
    sats=optional(0, 255),
    flags=st.integers(0, (1 << 11) - 1).map(lambda high: high << 9 | 1),
)


def both(flat: list[int], first_seq: int) -> tuple[Columns | Refused, Columns | Refused]:
    block = read_columns_np(flat, first_seq)
    return (
        read_columns(flat, first_seq),
        block if isinstance(block, Refused) else columns_of(block),
    )


@settings(max_examples=60)
@given(st.lists(FIXES, max_size=6), st.integers(0, 1), st.integers(1, 10**6))
def test_both_readers_read_what_was_written(
    fixes: list[FixRecord], grain: int, first_seq: int
) -> None:
    rounded = [round_fix(fix, grain) for fix in fixes]
    event = EventRecord(kind=EventKind.ALIVE, t_ms=5, mono_ms=5, data=(1,))
    raw = encode_body(first_seq, [*rounded, event], grain)
    count = len(fixes) + 1
    ours = read_body(raw, first_seq=first_seq, count=count, batch_no=1)
    theirs = decode_body(raw, first_seq=first_seq, count=count, batch_no=1)
    assert not isinstance(ours, Refused)
    assert not isinstance(theirs, Refused)
    assert columns_of(ours[0]) == theirs.fixes
    assert ours[1] == theirs.events
    assert np.array_equal(ours[0], block_of(theirs.fixes))


@settings(max_examples=100)
@given(
    st.lists(
        st.sampled_from((0, 0, 0, 1, 1, 2, -1, 7, 513, LIM - 1, LIM, -LIM, 1 << 63, 90_000_000)),
        min_size=12,
        max_size=34,
    ),
    st.integers(0, 10),
)
def test_both_readers_refuse_alike(numbers: list[int], first_seq: int) -> None:
    fixes = (len(numbers) - 1) // 11
    for flat in (numbers, [numbers[0] % 2, *numbers[1 : 1 + 11 * fixes]]):
        theirs, ours = both(flat, first_seq)
        assert ours == theirs


@settings(max_examples=100)
@given(st.lists(FIXES, min_size=1, max_size=4), st.data())
def test_one_changed_number_is_read_or_refused_alike(
    fixes: list[FixRecord], data: st.DataObject
) -> None:
    block = [round_fix(fix) for fix in fixes]
    flat = [1]
    values = [
        list(range(len(block))),
        *([getattr(fix, name) or 0 for fix in block] for name in FixRecord.__dataclass_fields__),
    ]
    for column, of_column in enumerate(values):
        numbers = [value // STEPS[1][column] for value in of_column]
        flat += [after - before for before, after in zip([0, *numbers], numbers, strict=False)]
    at = data.draw(st.integers(0, len(flat) - 1))
    flat[at] = data.draw(st.integers(-LIM - 1, LIM + 1) | st.integers(-3, 3))
    theirs, ours = both(flat, 7)
    assert ours == theirs


def test_the_shapes_that_are_no_columns_are_refused_alike() -> None:
    for flat in ([1], [1] * 11, [2, *([1] * 11)], [1, *([1] * 11 * 1_025)], [1, *([0] * 11)], []):
        theirs, ours = both(flat, 3)
        assert ours == theirs


def test_a_track_is_grouped_by_unit_in_the_order_of_its_batches() -> None:
    def batch(unit: str, number: int, seqs: list[int]) -> Batch:
        raw = encode_body(seqs[0], [FIX] * len(seqs))
        body = read_body(raw, first_seq=seqs[0], count=len(seqs), batch_no=1)
        assert not isinstance(body, Refused)
        return Batch(
            unit=unit,
            chain=bytes(16),
            batch_no=number,
            first_seq=seqs[0],
            count=len(seqs),
            fixes=body[0],
            events=(),
        )

    track = decode([batch("a", 1, [1, 2]), batch("b", 1, [7]), batch("a", 2, [3])])
    assert track.units == ("a", "b")
    assert track.seq.tolist() == [1, 2, 3, 7]
    assert track.unit.tolist() == [0, 0, 0, 1]
    assert track.batch.tolist() == [0, 0, 1, 2]
    assert track.ends.tolist() == [3, 4]
    assert track.err_cm.tolist() == [-1] * 4
    assert [batch.batch_no for batch in track.batches] == [1, 2, 1]


def test_a_tick_without_batches_is_an_empty_track() -> None:
    assert len(decode([])) == 0
