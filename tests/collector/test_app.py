"""The loops without a network: answers and acknowledgements follow the commit, rules are noticed, trouble is told once."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from collector.api.models import Refusal
from collector.api.reads import Live, StoreReads
from collector.app import StartError
from collector.app.intake import OTHERWISE, WHAT_TO_DO, Intake
from collector.app.rulebook import (
    FIRST,
    Journeys,
    Watched,
    in_succession,
    keep_thresholds,
)
from collector.detect.geo import Shapes
from collector.detect.geo.geojson import read_zones
from collector.detect.rules import BUILT_MS, Rules
from collector.io import Arrived, BrokerLostError
from collector.store import JourneyRow, StoreError
from collector.store.database import Store
from tests.collector.fleet import T0_MS, FleetUnit, new_ticker
from wire import Reason
from wire.hello import State, encode_state
from wire.topics import Up, up


class FakeWay:
    """A WayIn that gives the ticks it was made with and then is lost; it writes down what it is told to do."""

    def __init__(self, *ticks: Sequence[Arrived], send_fails: bool = False) -> None:
        self._ticks = list(ticks)
        self._send_fails = send_fails
        self.done: list[str] = []
        self.hear: Callable[[str, bytes], None] | None = None

    async def fetch(self) -> Sequence[Arrived]:
        await asyncio.sleep(0)
        if not self._ticks:
            raise BrokerLostError("cut")
        return self._ticks.pop(0)

    async def ack(self, arrived: Sequence[Arrived]) -> None:
        self.done += [f"ack {one.handle}" for one in arrived]

    async def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        assert payload
        if self._send_fails:
            raise BrokerLostError("broken pipe")
        self.done.append(f"send {topic.rpartition('/')[2]}{' retained' * retain}")

    async def hear_states(self, hear: Callable[[str, bytes], None]) -> None:
        self.hear = hear


def arrived(unit: FleetUnit, payload: bytes, handle: str, what: Up = Up.BATCH) -> Arrived:
    return Arrived(topic=up(unit.unit_id, what), payload=payload, handle=handle)


class MuteWay(FakeWay):
    """A WayIn on which nothing ever comes."""

    async def fetch(self) -> Sequence[Arrived]:
        await asyncio.Event().wait()
        return ()


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = await Store.open("sqlite://")
    yield store
    await store.close()


def intake_over(store: Store, *ways: FakeWay) -> Intake:
    waiting = list(ways)
    live = Live(build="7", broker_kind="mqtt", started_ms=T0_MS)
    reads = StoreReads(store.readers, live, lambda: T0_MS)

    @contextlib.asynccontextmanager
    async def open_way() -> AsyncIterator[FakeWay]:
        if not waiting:
            await asyncio.Event().wait()  # the test has ended us by then
        yield waiting.pop(0)

    async def read_refusals(count: int) -> Sequence[Refusal]:
        return (await reads.refusals(limit=count)).refusals

    return Intake(
        open_way=open_way, ticker=new_ticker(store), live=live, read_refusals=read_refusals
    )


async def serve(intake: Intake, until: Callable[[], bool]) -> None:
    """Let the intake run until that holds, however long its own pauses are."""
    task = asyncio.ensure_future(intake.serve())
    async with asyncio.timeout(10):
        while not until():  # noqa: ASYNC110 - what is waited for is a list of the fake's
            await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_receipt_and_acknowledgement_follow_the_commit(store: Store) -> None:
    unit = FleetUnit(unit_id="uz-0001")
    await store.add_unit(unit.unit_id, unit.public_key, now_ms=T0_MS)
    way = FakeWay(
        [arrived(unit, unit.begin().envelope, "0"), arrived(unit, unit.seal().envelope, "1")]
    )
    await serve(intake_over(store, way), lambda: len(way.done) == 3)
    assert way.done == ["send receipt", "ack 0", "ack 1"]
    load = (await store.load_units(["uz-0001"]))["uz-0001"]
    assert load.fence.batch_no == 1


@pytest.mark.parametrize("error", [BrokerLostError("gone"), StoreError("locked")])
async def test_an_intake_that_is_told_to_end_while_its_way_breaks_ends(
    store: Store, error: Exception
) -> None:
    intake = intake_over(store)
    opened = 0

    @contextlib.asynccontextmanager
    async def open_way() -> AsyncIterator[FakeWay]:
        nonlocal opened
        opened += 1
        try:
            yield MuteWay()
        finally:
            raise error  # the broker died at the same moment

    intake.open_way = open_way
    task = asyncio.ensure_future(intake.serve())
    while not opened:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert opened == 1


async def test_a_receipt_that_cannot_be_sent_leaves_the_message_with_the_broker(
    store: Store,
) -> None:
    unit = FleetUnit(unit_id="uz-0001")
    await store.add_unit(unit.unit_id, unit.public_key, now_ms=T0_MS)
    message = arrived(unit, unit.begin().envelope, "0")
    broken, sound = FakeWay([message], send_fails=True), FakeWay([message])
    await serve(intake_over(store, broken, sound), lambda: bool(sound.done))
    assert broken.done == []
    assert "ack 0" in sound.done  # committed before, so now a duplicate


async def test_what_could_not_be_committed_is_not_acknowledged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures: list[Exception] = []

    def at(point: str) -> None:
        if point == "fenced" and failures:
            raise failures.pop()

    store = await Store.open("sqlite://", at=at)
    unit = FleetUnit(unit_id="uz-0001")
    await store.add_unit(unit.unit_id, unit.public_key, now_ms=T0_MS)
    message = arrived(unit, unit.begin().envelope, "0")
    full, later = FakeWay([message]), FakeWay([message])
    failures.append(OperationalError("insert\npages of bytes", {}, Exception("disk is full")))
    await serve(intake_over(store, full, later), lambda: bool(later.done))
    await store.close()
    assert full.done == []
    assert later.done == ["send receipt", "ack 0"]
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("store lost: ")
    assert "disk is full" in told
    assert "pages of bytes" not in told


async def test_a_stranger_is_named_once_with_what_to_do(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = FleetUnit(unit_id="uz-0009")
    batches = [stranger.begin(), *(stranger.seal() for _ in range(5))]
    way = FakeWay(
        *[[arrived(stranger, sealed.envelope, str(n))] for n, sealed in enumerate(batches)]
    )
    await serve(intake_over(store, way), lambda: len(way.done) == 6)
    assert way.done == [f"ack {number}" for number in range(6)]
    told = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(told) == 1
    assert "UnknownKey: 'uz-0009' is not enrolled here: plomba unit add uz-0009" in told[0]


def test_every_reason_has_its_words() -> None:
    for reason in Reason:
        assert WHAT_TO_DO.get(reason, OTHERWISE).format(unit="uz-0001")


async def test_hints_are_kept_and_bad_ones_are_nothing(store: Store) -> None:
    way = FakeWay()
    intake = intake_over(store, way)
    await serve(intake, lambda: way.hear is not None)
    assert way.hear is not None
    state = State(up=True, boot_no=1, connection=b"c" * 8, at_ms=T0_MS)
    way.hear("plomba/1/up/uz-0001/state", encode_state(state))
    way.hear("plomba/1/up/uz-0002/state", b"noise")
    way.hear("plomba/1/up/uz-0003/batch", encode_state(state))
    way.hear("plomba/1/up/No_Unit/state", encode_state(state))
    assert set(intake.live.hints) == {"uz-0001"}


async def test_the_log_hears_once_of_a_lost_broker_and_once_of_its_return(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ways = [FakeWay(), FakeWay()]
    intake = intake_over(store, *ways)
    assert not intake.live.connected
    await serve(intake, lambda: ways[1].hear is not None)
    assert [
        record.getMessage().rpartition(" after")[0] or record.getMessage()
        for record in caplog.records
    ][:2] == [
        "broker link lost: cut; trying again",
        "broker link back",
    ]
    assert not intake.live.connected


SQUARE = {
    "type": "Feature",
    "properties": {"id": "z1", "kind": "forbidden"},
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[69, 41], [69.1, 41], [69.1, 41.1], [69, 41.1], [69, 41]]],
    },
}


def road(name: str, unit: str | None, **more: object) -> dict[str, object]:
    properties = {"id": name, "kind": "route", **more} | ({"unit": unit} if unit else {})
    line = {"type": "LineString", "coordinates": [[69, 41], [69.2, 41.05]]}
    return {"type": "Feature", "properties": properties, "geometry": line}


def collection(*features: object) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


async def test_rules_of_another_process_are_noticed_and_older_ones_stay(store: Store) -> None:
    watched = Watched(store)
    assert not await watched.refresh()
    assert watched.rulebook.versions == (FIRST,)
    await store.import_rules(
        zones=collection(SQUARE), routes="", thresholds="late_s = 7", now_ms=T0_MS
    )
    assert await watched.refresh()
    await store.import_rules(
        zones="",
        routes=collection(road("r1", None, checkpoints=["gone"])),
        thresholds="",
        now_ms=T0_MS + 9,
    )
    assert await watched.refresh()
    assert not await watched.refresh()
    book = watched.rulebook
    assert [book.at(T0_MS + later).version for later in (-1, 0, 8, 9)] == [0, 1, 1, 2]
    assert book.at(T0_MS).thresholds.late_s == 7
    assert {rules.thresholds.built_ms for rules in book.versions} == {BUILT_MS}
    assert set(book.at(T0_MS).zones) == {"z1"}
    assert set(book.at(T0_MS + 9).routes) == {"r1"}


async def test_the_rules_may_say_themselves_which_time_is_too_old(store: Store) -> None:
    await store.import_rules(zones="", routes="", thresholds="built_ms = 5", now_ms=T0_MS)
    watched = Watched(store)
    assert await watched.refresh()
    assert watched.rulebook.at(T0_MS).thresholds.built_ms == 5


async def test_a_journey_of_another_process_is_noticed(store: Store) -> None:
    await store.add_unit("uz-0001", FleetUnit(unit_id="uz-0001").public_key, now_ms=T0_MS)
    watched = Watched(store)
    await store.add_journey(JourneyRow(id="J1", unit_id="uz-0001", since_ms=T0_MS, seals=("S1",)))
    assert await watched.refresh()
    journey = watched.rulebook.journey("uz-0001", T0_MS)
    assert journey is not None
    assert (journey.id, journey.seals) == ("J1", ("S1",))


def test_a_unit_without_a_journey_is_on_a_sealed_one_on_the_route_that_names_it() -> None:
    named = {"r1": "uz-0001", "r2": "uz-0002", "r3": "uz-0003", "r4": "uz-0003", "r5": None}
    roads = [road(name, unit) for name, unit in named.items()]
    shapes = read_zones({"type": "FeatureCollection", "features": roads})
    assert isinstance(shapes, Shapes)
    journeys = Journeys([JourneyRow(id="J1", unit_id="uz-0001", since_ms=5)], shapes.routes)
    assert [(journey.id, journey.route) for journey in journeys["uz-0001"]] == [("J1", None)]
    assumed = journeys["uz-0002"]
    assert [(one.route, one.sealed, one.state, one.since_ms) for one in assumed] == [
        ("r2", True, "in_transit", 0)
    ]
    assert journeys["uz-0002"] is assumed  # the engine compares journeys by identity
    assert journeys["uz-0003"][0].route is None  # two name it: none is guessed
    assert journeys["uz-0004"][0].route is None
    assert len(journeys) == len(list(journeys)) == 4


def test_what_a_version_plans_for_later_ends_where_the_next_begins() -> None:
    def rules(version: int, *begins: int) -> tuple[Rules, ...]:
        return tuple(Rules(version=version, valid_from_ms=begin) for begin in begins)

    told = in_succession([rules(1, 10, 15, 30), rules(2, 20, 40)])
    assert [(one.version, one.valid_from_ms) for one in told] == [
        (0, 0),
        (1, 10),
        (1, 15),
        (2, 20),
        (2, 40),
    ]


async def test_thresholds_of_a_file_become_a_version_only_when_they_differ(
    store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "rules.toml"
    await keep_thresholds(store, None, T0_MS)
    assert await store.rules() == ()
    for text in ("late_s = 7\n", "# the same\nlate_s = 7\n", "late_s = 8\n"):
        file.write_text(text)
        await keep_thresholds(store, file, T0_MS)
    assert [row.thresholds for row in await store.rules()] == ["late_s = 7\n", "late_s = 8\n"]
    await keep_thresholds(store, None, T0_MS)
    assert [row.thresholds for row in await store.rules()][-1] == "late_s = 8\n"


async def test_a_rules_file_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"detect\.rules_file"):
        await keep_thresholds(store, tmp_path / "none", T0_MS)
