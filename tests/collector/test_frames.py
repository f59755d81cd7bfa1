"""The live line's bytes: what a snapshot and events say together is what there is (CONSOLE section 7)."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from collector.api import frames
from collector.api.frames import AGE_NEVER, AGE_OLD, HEADER, Columns
from collector.store.live import Shown, UnitNow

T_S = 1_795_330_000


def unit(no: int, **more: int | None) -> UnitNow:
    plain = UnitNow(
        no=no,
        scope="",
        shown=int(Shown.SEALED | Shown.MOVING),
        priority=1,
        stage=2,
        t_ms=T_S * 1_000 - 7_900,
        lat_e7=413_111_006,
        lon_e7=692_797_004,
        speed_cm_s=1_390,
        course_cdeg=8_700,
    )
    return replace(plain, **more)  # type: ignore[arg-type]  # tests name fields of UnitNow


def test_a_snapshot_is_header_and_columns_to_the_byte() -> None:
    data = frames.snapshot(
        frames.columns_of([unit(258), unit(7, t_ms=None)]), t_s=T_S, feed=9, scope="uz.south"
    )
    assert len(data) == 32 + 2 * 18
    assert data[:8] == b"PLU1\x01\x00\x20\x00"
    assert data[8:16] == (2).to_bytes(4, "little") + T_S.to_bytes(4, "little")
    assert data[16:24] == (9).to_bytes(8, "little")
    assert data[24:32] == frames.scope_hash("uz.south").to_bytes(8, "little")
    columns = data[32:]
    assert columns[:8] == bytes([7, 0, 0, 0, 2, 1, 0, 0])  # unit_no, rising
    assert columns[8:24] == b"\0\0\0\0" + (69_279_700).to_bytes(4, "little") + b"\0\0\0\0" + (
        41_311_101
    ).to_bytes(4, "little")
    assert columns[24:28] == AGE_NEVER.to_bytes(2, "little") + (8).to_bytes(2, "little")
    assert columns[28:] == bytes([1 | 2 << 3] * 2 + [3] * 2 + [43] * 2 + [50] * 2)


def test_what_was_never_said_is_told_as_such() -> None:
    [row] = frames.columns_of([unit(1, t_ms=None, course_cdeg=None, speed_cm_s=None)]).tolist()
    assert row == [1, 0, 0, -1, 17, 3, frames.COURSE_NONE, 0]
    assert frames.snapshot(frames.columns_of([]), t_s=T_S, feed=0, scope="")[8:12] == bytes(4)


@pytest.mark.parametrize(
    ("age_s", "told"), [(0, 0), (-5, 0), (65_533, 65_533), (65_534, AGE_OLD), (10**6, AGE_OLD)]
)
def test_an_age_ends_where_its_column_ends(age_s: int, told: int) -> None:
    column = frames.columns_of([unit(1, t_ms=(T_S - age_s) * 1_000)])
    _, read = frames.read_snapshot(frames.snapshot(column, t_s=T_S, feed=0, scope=""))
    assert read[0, 3] == told


def test_an_event_is_a_line_of_json_with_its_name_and_number() -> None:
    data = frames.units_event(frames.columns_of([unit(5), unit(9)]), t_s=T_S, feed=77)
    head, number, body, *rest = data.decode().split("\n")
    assert (head, number, rest) == ("event: units", "id: 77", ["", ""])
    told = json.loads(body.removeprefix("data: "))
    assert (told["f"], told["t"], len(told["u"])) == (77, T_S, 16)
    assert (told["u"][0], told["u"][8]) == (5, 4)  # the second as the difference


def test_an_alert_bears_no_id_and_many_are_read_anew() -> None:
    rows = [{"id": "00", "rev": 1, "p": {"value": "a\nb"}}]
    data = frames.alert_event(rows, feed=3).decode()
    assert "id:" not in data
    assert data.count("\n") == 3
    assert frames.alert_event(rows * 50, feed=3) != frames.alert_event(rows * 51, feed=3)
    assert frames.alert_event(rows * 51, feed=3) == b'event: alert\ndata: {"f":3,"reload":true}\n\n'


def test_who_cannot_be_led_on_is_told_why() -> None:
    assert frames.reset_event("slow") == b'event: reset\ndata: {"why":"slow"}\n\n'
    assert frames.bye_event("logout") == b'event: bye\ndata: {"why":"logout"}\n\n'
    assert frames.deploy_event("7") == b'event: deploy\ndata: {"build":"7"}\n\n'
    assert frames.retry(1_500) == b"retry: 1500\n\n"


units = st.builds(
    UnitNow,
    no=st.integers(0, 40) | st.integers(0, 2**32 - 1),
    scope=st.just(""),
    shown=st.integers(0, 255),
    priority=st.integers(0, 3),
    stage=st.integers(0, 3),
    t_ms=st.none() | st.integers(0, T_S * 1_000 + 100_000),
    lat_e7=st.integers(-900_000_000, 900_000_000),
    lon_e7=st.integers(-1_800_000_000, 1_800_000_000),
    speed_cm_s=st.none() | st.integers(0, 30_000),
    course_cdeg=st.none() | st.integers(0, 36_000),
)
fleets = st.lists(units, max_size=20, unique_by=lambda one: one.no)


@given(fleets)
def test_a_snapshot_reads_back_as_it_was(fleet: list[UnitNow]) -> None:
    columns = frames.columns_of(fleet)
    head, read = frames.read_snapshot(frames.snapshot(columns, t_s=T_S, feed=2**40, scope="uz"))
    assert (head.n, head.t_s, head.feed) == (len(fleet), T_S, 2**40)
    assert head.scope == frames.scope_hash("uz")
    assert read[:, 0].tolist() == sorted(one.no for one in fleet)
    others = [0, 1, 2, 4, 5, 6, 7]
    assert read[:, others].tolist() == columns[:, others].tolist()


@pytest.mark.long
@given(fleets, st.lists(fleets, max_size=5))
def test_snapshot_and_events_together_are_what_there_is(
    fleet: list[UnitNow], changes: list[list[UnitNow]]
) -> None:
    truth = {one.no: one for one in fleet}
    client = Client(frames.snapshot(frames.columns_of(fleet), t_s=T_S, feed=1, scope=""))
    for feed, changed in enumerate(changes, 2):
        truth |= {one.no: one for one in changed}
        client.hear(frames.units_event(frames.columns_of(changed), t_s=T_S, feed=feed))
    whole = frames.snapshot(frames.columns_of(truth.values()), t_s=T_S, feed=9, scope="")
    assert client.rows() == frames.read_snapshot(whole)[1].tolist()


def test_other_bytes_are_no_snapshot() -> None:
    data = frames.snapshot(frames.columns_of([unit(1)]), t_s=T_S, feed=1, scope="")
    for bad in (b"", data[:31], b"X" + data[1:], data + b"\0", data[:-1]):
        with pytest.raises(ValueError, match=r"."):
            frames.read_snapshot(bad)


class Client:
    """A browser, as far as units go."""

    def __init__(self, snapshot: bytes) -> None:
        assert HEADER.size == 32
        columns: Columns = frames.read_snapshot(snapshot)[1]
        self._by_no = {int(row[0]): row.tolist() for row in columns}

    def hear(self, event: bytes) -> None:
        numbers = json.loads(event.decode().split("data: ")[1])["u"]
        rows = np.array(numbers, dtype=np.int64).reshape(-1, 8)
        rows[:, 0] = np.cumsum(rows[:, 0])
        self._by_no |= {int(row[0]): row.tolist() for row in rows}

    def rows(self) -> list[list[int]]:
        return [self._by_no[no] for no in sorted(self._by_no)]
