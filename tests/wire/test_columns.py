"""Columns and events: decode(encode(x)) == x, absent stays absent, every bound of section 5 has its name."""

import pytest
from hypothesis import given, strategies as st

from wire import LIM, MisuseError, Reason, Refused
from wire.canon import encode
from wire.columns import (
    Body,
    Columns,
    decode_body,
    encode_body,
    parse_body,
    read_columns,
    read_events,
    round_fix,
)
from wire.records import EventRecord, FixFlag, FixRecord, Record

OPTIONAL = ("alt_dm", "speed_cm_s", "course_cdeg", "hdop_centi", "err_cm", "sats")


def maybe(least: int, most: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(least, most)


fixes = st.builds(
    FixRecord,
    t_ms=st.integers(0, LIM // 4),
    lat_e7=st.integers(-900_000_000, 900_000_000),
    lon_e7=st.integers(-1_800_000_000, 1_800_000_000),
    alt_dm=maybe(-10_000, 200_000),
    speed_cm_s=maybe(0, 65_535),
    course_cdeg=maybe(0, 35_999),
    hdop_centi=maybe(0, 9_999),
    err_cm=maybe(0, 1_000_000),
    sats=maybe(0, 255),
    flags=st.builds(lambda kind, rest: kind | rest << 9, st.integers(1, 6), st.integers(0, 2_047)),
)
events = st.builds(
    EventRecord,
    kind=st.integers(2, 65_535),
    t_ms=st.integers(0, LIM - 1),
    mono_ms=st.integers(0, LIM - 1),
    data=st.lists(
        st.none() | st.integers(-LIM + 1, LIM - 1) | st.text(max_size=20) | st.binary(max_size=40),
        max_size=12,
    ).map(tuple),
)
records = st.lists(fixes | events, min_size=1, max_size=40)


@given(records, st.sampled_from((0, 1)), st.integers(1, LIM - 100))
def test_what_is_written_is_read_again(written: list[Record], grain: int, first_seq: int) -> None:
    written = [
        round_fix(record, grain) if isinstance(record, FixRecord) else record for record in written
    ]
    raw = encode_body(first_seq, written, grain)
    body = decode_body(raw, first_seq=first_seq, count=len(written), batch_no=9)
    assert isinstance(body, Body)
    read: dict[int, Record] = {
        event.seq: EventRecord(
            kind=event.kind, t_ms=event.t_ms, mono_ms=event.mono_ms, data=event.data
        )
        for event in body.events
    }
    for index, seq in enumerate(body.fixes.seq):
        values = {
            name: getattr(body.fixes, name)[index] for name in body.fixes.__slots__ if name != "seq"
        }
        absent = [name for name in OPTIONAL if values[name] is None]
        assert bool(values["flags"] & FixFlag.NO_ALT) == ("alt_dm" in absent)
        assert bool(values["flags"] & FixFlag.NO_SATS) == ("sats" in absent)
        values["flags"] &= ~0b111111000
        read[seq] = FixRecord(**values)
    assert [read[first_seq + offset] for offset in range(len(written))] == written


def test_rounding_keeps_the_ends_of_a_range_inside_it() -> None:
    fix = FixRecord(
        t_ms=1,
        lat_e7=5,
        lon_e7=-5,
        alt_dm=-9_999,
        speed_cm_s=65_535,
        course_cdeg=35_999,
        hdop_centi=9_999,
        err_cm=74,
        sats=None,
        flags=1,
    )
    rounded = round_fix(fix)
    assert (rounded.lat_e7, rounded.lon_e7, rounded.alt_dm) == (10, 0, -10_000)
    assert (rounded.speed_cm_s, rounded.course_cdeg, rounded.hdop_centi, rounded.err_cm) == (
        65_530,
        0,
        9_990,
        50,
    )
    assert round_fix(fix, 0) == fix


FIX = [0, 5, 10, 10, 0, 0, 0, 0, 0, 0, 1]


def flat(**change: int) -> list[int]:
    names = Columns.__slots__
    return [0, *(change.get(name, value) for name, value in zip(names, FIX, strict=True))]


@pytest.mark.parametrize(
    "numbers",
    [
        [2, *FIX],
        [-1, *FIX],
        [0],
        [0, *FIX, 1],
        [0, *([1] * 11 * 1_025)],
        flat(lat_e7=900_000_001),
        flat(lon_e7=-1_800_000_001),
        flat(alt_dm=200_001),
        flat(speed_cm_s=65_536),
        flat(course_cdeg=36_000),
        flat(hdop_centi=10_000),
        flat(err_cm=-1),
        flat(sats=256),
        flat(t_ms=-1),
        flat(t_ms=LIM),
        flat(flags=0),
        flat(flags=8),
        flat(flags=7),
        flat(flags=1 << 20 | 1),
        flat(flags=1 | FixFlag.NO_ALT, alt_dm=1),
    ],
)
def test_a_column_out_of_its_bounds_is_bad_columns(numbers: list[int]) -> None:
    verdict = read_columns(numbers, 0)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.BAD_COLUMNS


def test_sums_are_bounded_where_they_are_made_and_not_only_at_the_end() -> None:
    half = LIM // 2
    up_and_down = [0, *[0, 1, 1, 1], *[0, half, half, -half], *([0] * 32), *[1, 0, 0, 0]]
    verdict = read_columns(up_and_down, 0)
    assert isinstance(verdict, Refused)
    assert "t_ms" in verdict.detail


GOOD_ROW: list[object] = [7, 5, 1, 1, ["a", None, b"b", 1]]


@pytest.mark.parametrize(
    "row",
    [
        [7, 5, 1, 1],
        [7, 0, 1, 1, []],
        [7, 65_536, 1, 1, []],
        [7, 5, -1, 1, []],
        [7, 5, LIM, 1, []],
        [7, 5, 1, LIM, []],
        [7, 5, 1, None, []],
        [7, 5, 1, 1, 1],
        [7, 5, 1, 1, [LIM]],
        [7, 5, 1, 1, [-LIM]],
        [7, 5, 1, 1, [b"x" * 1_201]],
        [7, 5, 1, 1, ["я" * 601]],
        [7, 5, 1, 1, [[[[]]]]],
        [7, 5, 1, 1, [0] * 257],
        [7, 5, 1, 1, [b"x" * 1_200] * 4],
        [0, 1, 1, 1, [1, None, None, None, None]],
    ],
)
def test_a_row_that_breaks_section_5_is_a_bad_event(row: list[object]) -> None:
    assert not isinstance(read_events([GOOD_ROW], first_seq=7, batch_no=1), Refused)
    verdict = read_events([row], first_seq=7, batch_no=1)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.BAD_EVENT


def test_more_rows_than_a_batch_may_hold_are_a_bad_event_and_not_a_bad_body() -> None:
    for rows in (257, 600):
        raw = encode(([], tuple((seq, 5, 1, 1, ()) for seq in range(rows))))
        verdict = decode_body(raw, first_seq=0, count=rows, batch_no=1)
        assert isinstance(verdict, Refused)
        assert verdict.reason is Reason.BAD_EVENT


@given(st.lists(st.integers(-(1 << 63), (1 << 64) - 1), max_size=60))
def test_integers_in_their_shortest_form_are_a_run_and_no_others(numbers: list[int]) -> None:
    raw = encode((tuple(numbers), ()))
    assert parse_body(raw) == (numbers, [])


@pytest.mark.parametrize(
    "longer",
    [
        "cc7f",
        "cd00ff",
        "ce0000ffff",
        "cf00000000ffffffff",
        "d0e0",
        "d07f",
        "d1ff80",
        "d1007f",
        "d2ffff8000",
        "d3ffffffff80000000",
        "d300000000000000ff",
        "c0",
        "c2",
        "ca00000000",
        "a161",
        "90",
    ],
)
def test_a_longer_form_or_another_type_among_the_fixes_is_a_bad_body(longer: str) -> None:
    verdict = parse_body(b"\x92\x91" + bytes.fromhex(longer) + b"\x90")
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.BAD_BODY


@pytest.mark.parametrize("written", [[], [[1]], [[1], [2]]])
def test_numbers_that_do_not_fit_are_a_bad_seq(written: list[object]) -> None:
    raw = encode(([], tuple((seq, 5, 1, 1, ()) for seq in (4, 4)[: len(written)])))
    verdict = decode_body(raw, first_seq=3, count=2, batch_no=1)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.BAD_SEQ


def test_a_value_off_the_steps_is_our_own_mistake() -> None:
    fix = FixRecord(
        t_ms=1,
        lat_e7=5,
        lon_e7=0,
        alt_dm=None,
        speed_cm_s=None,
        course_cdeg=None,
        hdop_centi=None,
        err_cm=None,
        sats=None,
        flags=1,
    )
    with pytest.raises(MisuseError, match="round_fix"):
        encode_body(5, [fix])
    assert isinstance(decode_body(encode_body(5, [fix], 0), first_seq=5, count=1, batch_no=1), Body)
