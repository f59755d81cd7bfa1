"""The fleet that is not there, and the client that is no browser: what they say and understand. Nothing here is timed."""

import json
from random import Random

from bench.console.crowd import Work
from bench.console.fleet import EAST, STEP_E7, WEST, made
from bench.console.stream import Known, read_snapshot
from bench.live import fleet as shown_fleet
from collector.api import frames
from wire.batch import Linked, inflate, judge_link
from wire.columns import Body, decode_body
from wire.envelope import Key, kid_of
from wire.topics import Up, up

NOW_MS = 1_795_330_000_000


def test_what_a_made_unit_says_is_linked_and_read_as_any_units() -> None:
    (truck,) = made(1, "some").trucks
    keys = {kid_of(truck.public): Key(unit_id=truck.unit_id, public_key=truck.public)}
    said = [truck.begin(NOW_MS), truck.drive(NOW_MS + 30_000), truck.drive(NOW_MS + 60_000)]
    linked = [judge_link(one, up(truck.unit_id, Up.BATCH), keys.get) for one in said]
    headers = [one.header for one in linked if isinstance(one, Linked)]
    assert [header.batch_no for header in headers] == [0, 1, 2]
    assert [header.first_seq for header in headers] == [0, 2, 3]
    places = []
    for header in headers:
        raw = inflate(header)
        assert isinstance(raw, bytes)
        body = decode_body(
            raw, first_seq=header.first_seq, count=header.count, batch_no=header.batch_no
        )
        assert isinstance(body, Body)
        places += list(body.fixes.lon_e7)
    assert len(set(places)) == 3


def test_a_fleet_is_the_same_each_time_and_stays_in_the_country() -> None:
    first, again = made(20, "some"), made(20, "some")
    assert [one.public for one in first.trucks] == [one.public for one in again.trucks]
    assert len({one.unit_id for one in first.trucks}) == 20
    truck = first.trucks[0]
    truck.begin(NOW_MS)
    truck.lon_e7 = EAST - STEP_E7
    for step in range(3):
        truck.drive(NOW_MS + step)
        assert WEST <= truck.lon_e7 <= EAST + STEP_E7


def test_a_history_that_begins_twice_knows_nothing_of_the_first() -> None:
    (truck,) = made(1, "some").trucks
    truck.begin(NOW_MS)
    first = truck.chain_id
    truck.begin(NOW_MS + 1)
    assert truck.chain_id != first
    assert truck.batch_no == 1


def test_a_client_that_hears_the_changes_knows_what_a_new_one_is_told() -> None:
    units = shown_fleet(50, Random(1))
    columns = frames.columns_of(units)
    told = read_snapshot(frames.snapshot(columns, t_s=NOW_MS // 1_000, feed=7, scope=""))
    event = frames.units_event(columns, t_s=NOW_MS // 1_000, feed=7).decode()
    data = next(line[5:] for line in event.splitlines() if line.startswith("data:"))
    known = Known()
    known.hear("units", data)
    assert known.places == told.places
    assert len(told.places) == 50
    assert known.feed == told.feed == 7
    known.hear("reset", json.dumps({"why": "slow"}))
    assert known.resets == 1


def test_work_without_a_frame_has_no_time_a_frame() -> None:
    assert Work(task_s=1.0, frames=0, seconds=10).frame_ms is None
    assert Work(task_s=0.5, frames=100, seconds=10).frame_ms == 5.0
