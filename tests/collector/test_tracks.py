"""A track for the browser: thinned so that turns, stops and gaps stay, and packed as columns (CONSOLE section 7)."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from collector.api import tracks
from collector.api.tracks import GAP_MS, HEADER, Mark, Way, way_of
from wire.records import FixFlag

T0_MS = 1_795_330_000_000
Row = tuple[int, int, int, int | None, int | None, int, bool]


def point(number: int, **more: int | None) -> Row:
    lat = more.get("lat", 413_000_000 + 2_000 * number)
    lon = more.get("lon", 692_000_000)
    assert lat is not None
    assert lon is not None
    t_ms = more.get("t_ms", T0_MS + 1_000 * number)
    assert t_ms is not None
    flags = more.get("flags", 1)
    assert flags is not None
    return (t_ms, lat, lon, more.get("speed", 2_000), more.get("course", 0), flags, False)


def columns(data: bytes) -> dict[str, list[int]]:
    magic, version, size, n, unit_no, t0_ms, left_out, zero = HEADER.unpack_from(data)
    assert (magic, version, size, zero) == (b"PLT1", 1, 32, 0)
    found: dict[str, list[int]] = {"head": [n, unit_no, t0_ms, left_out]}
    at = size
    names = (("t", "<u4"), ("lon", "<i4"), ("lat", "<i4"), ("marks", "u1"), ("course", "u1"), ("km_h", "u1"))  # fmt: skip
    for name, kind in names:
        found[name] = np.frombuffer(data, kind, n, at).tolist()
        at += n * np.dtype(kind).itemsize
    assert at == len(data)
    return found


def shown(rows: list[Row], points_max: int) -> tuple[Way, list[int]]:
    way = way_of(rows)
    return way, tracks.thinned(way, points_max).tolist()


def test_a_short_track_is_packed_point_by_point() -> None:
    rows = [
        point(0),
        point(1, speed=None, course=None),
        point(2, speed=100, course=35_999, flags=1 | int(FixFlag.JAMMING)),
        point(3, t_ms=T0_MS + 2_000 + GAP_MS + 50),
    ]
    way, indexes = shown(rows, 10)
    found = columns(tracks.pack(way, np.array(indexes), unit_no=7))
    assert found["head"] == [4, 7, T0_MS, 0]
    assert found["t"] == [0, 10, 20, 1_820]
    assert found["lat"] == [41_300_000, 41_300_200, 41_300_400, 41_300_600]
    assert found["lon"] == [69_200_000] * 4
    assert found["marks"] == [
        0,
        Mark.NO_SPEED | Mark.NO_COURSE,
        Mark.STOP | Mark.DOUBTFUL,
        Mark.GAP,
    ]
    assert found["course"] == [0, 255, 179, 0]
    assert found["km_h"] == [72, 0, 4, 72]


def test_an_empty_track_is_a_header() -> None:
    way = way_of([])
    assert columns(tracks.pack(way, tracks.thinned(way, 10), unit_no=7))["head"] == [0, 7, 0, 0]


def test_turns_stops_and_gaps_stay_when_a_long_way_is_thinned() -> None:
    rows = [point(number) for number in range(1_000)]
    corner = 400
    east = [
        point(number, lat=413_000_000 + 2_000 * corner, lon=692_000_000 + 2_000 * (number - corner))
        for number in range(corner, 1_000)
    ]
    rows[corner:] = east
    for number in range(600, 650):
        rows[number] = (*rows[number][:3], 0, *rows[number][4:])
    rows = [(t + (GAP_MS if number >= 800 else 0), *rest) for number, (t, *rest) in enumerate(rows)]  # type: ignore[misc]  # a row is a row
    way, indexes = shown(rows, 50)
    assert len(indexes) == 50
    assert {0, corner, 599, 600, 649, 650, 799, 800, 999} <= set(indexes)
    marks = tracks.marks(way, np.array(indexes)).tolist()
    assert [index for index, mark in zip(indexes, marks, strict=True) if mark & Mark.GAP] == [800]


def test_a_gap_whose_edge_is_left_out_is_marked_at_the_next_point() -> None:
    rows = [point(number, t_ms=T0_MS + number * (GAP_MS + 1_000)) for number in range(100)]
    way, indexes = shown(rows, 10)
    assert len(indexes) == 10
    assert tracks.marks(way, np.array(indexes)).tolist()[1:] == [int(Mark.GAP)] * 9


ways = st.lists(
    st.tuples(
        st.integers(1, 400_000),
        st.integers(-3_000, 3_000),
        st.integers(-3_000, 3_000),
        st.none() | st.integers(0, 3_000),
    ),
    min_size=1,
    max_size=200,
)


@given(ways, st.integers(2, 60))
@settings(max_examples=50)
def test_what_is_shown_was_there_in_order_and_is_never_too_much(
    steps: list[tuple[int, int, int, int | None]], points_max: int
) -> None:
    t_ms, lat, lon, rows = T0_MS, 413_000_000, 692_000_000, []
    for dt_ms, north, east, speed in steps:
        t_ms, lat, lon = t_ms + dt_ms, lat + north, lon + east
        rows.append(point(0, t_ms=t_ms, lat=lat, lon=lon, speed=speed))
    way, indexes = shown(rows, points_max)
    assert len(indexes) <= points_max or len(rows) <= points_max
    assert indexes == sorted(set(indexes))
    assert (indexes[0], indexes[-1]) == (0, len(rows) - 1)
    found = columns(tracks.pack(way, np.array(indexes), unit_no=1))
    assert found["head"][3] == len(rows) - len(indexes)
    told = [index for index, mark in zip(indexes, found["marks"], strict=True) if mark & Mark.GAP]
    gaps = [at for at in range(1, len(rows)) if way.t_ms[at] - way.t_ms[at - 1] > GAP_MS]
    # each gap lies before a point that bears its mark, and no other point bears one
    assert told == sorted({next(index for index in indexes if index >= gap) for gap in gaps})


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_points_are_all_shown(n: int) -> None:
    _, indexes = shown([point(number) for number in range(n)], 2)
    assert indexes == [0, *([n - 1] if n > 1 else [])]
