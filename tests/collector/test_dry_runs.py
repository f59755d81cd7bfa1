"""A draft tried on what is stored, by the real detectors, before anybody has to live with it (CONSOLE section 2, Dry run)."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from collector.api.dry_runs import BUDGET_PER_HOUR, Job, Step
from collector.api.reads import Live, StoreReads
from collector.app.trying import here
from collector.people import Role
from collector.store.database import Store
from tests.collector.api_rig import CHANGE, client_of, logged_in, served
from tests.collector.fleet import T0_MS, Centre, FleetUnit, fix
from tests.collector.test_api_fences import collection, road, zone

Json = dict[str, Any]
DRY_RUN = "/api/v1/fences/dry-run"
YARD = zone("yard", x=69.05, kind="forbidden")  # 840 m of the way east
STEP_MS = 10_000


def drive(unit: FleetUnit, *, begin: int, fixes: int, batch: int = 6) -> list[bytes]:
    """East along 41.005 N from 69.0 E, 84 m each ten seconds, from the `begin`th place on."""
    sealed = []
    for first in range(begin, begin + fixes, batch):
        records = [
            fix(unit.clock_ms + n * STEP_MS, 410_050_000, 690_000_000 + (first + n) * 10_000)
            for n in range(batch)
        ]
        unit.clock_ms += (batch - 1) * STEP_MS
        sealed.append(unit.seal(records).envelope)
        unit.clock_ms += STEP_MS - 60_000
    return sealed


@dataclass(slots=True)
class Stand:
    """A store with what a truck did, the API, and an operator."""

    centre: Centre
    api: FastAPI
    client: httpx.AsyncClient

    async def ask(self, **said: object) -> httpx.Response:
        return await self.client.post(DRY_RUN, json=said, headers=CHANGE)

    async def result(self, **said: object) -> Json:
        answer = await self.ask(**said)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/x-ndjson"
        *progress, last = [json.loads(line) for line in answer.text.splitlines()]
        assert all(set(one) == {"progress"} for one in progress)
        found: Json = last["result"]
        return found

    async def put_in_force(self, *features: Json) -> None:
        zones = [one for one in features if one["geometry"]["type"] == "Polygon"]
        lines = [one for one in features if one not in zones]
        await self.centre.store.import_rules(
            zones=json.dumps(collection(*zones)),
            routes=json.dumps(collection(*lines)),
            thresholds="",
            now_ms=T0_MS,
        )


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    """uz-01 drives by for 20 minutes and through the yard; uz-02 stays far from it."""
    async with await Store.open("sqlite://") as store:
        centre = Centre(store)
        near, far = FleetUnit(unit_id="uz-01"), FleetUnit(unit_id="uz-02")
        for unit in (near, far):
            await centre.enrol(unit)
        await centre.hear(near, near.begin().envelope, *drive(near, begin=0, fixes=120))
        await centre.hear(far, far.begin().envelope, *drive(far, begin=1_000, fixes=30))

        def now_ms() -> int:
            return centre.now_ms

        live = Live(build="7", broker_kind="embedded", started_ms=T0_MS)
        reads = StoreReads(store.readers, live, now_ms)
        api = served(store, reads, now_ms, rehearse=lambda job: here(store, job))
        token = await logged_in(store, Role.OPERATOR, now_ms=centre.now_ms)
        async with client_of(api, token=token) as client:
            yield Stand(centre, api, client)


async def test_a_forbidden_zone_on_the_way_would_have_called_once(stand: Stand) -> None:
    found = await stand.result(shapes=collection(YARD))
    told = {key: found[key] for key in ("alarms", "on_units", "also_today", "gone", "partial")}
    assert told == {"alarms": 1, "on_units": 1, "also_today": 0, "gone": 0, "partial": False}
    [row] = found["rows"]
    assert (row["code"], row["unit"], row["zone"]) == ("FORBIDDEN_ZONE", "uz-01", "yard")
    assert (row["by_draft"], row["today"]) == (True, False)
    assert 69.049 < row["lon"] < 69.052
    assert found["percent"] == 100
    assert found["budget_percent"] == round(100 / (BUDGET_PER_HOUR * 24 * 7), 1)


async def test_only_what_touches_the_draft_is_given_to_the_detectors(stand: Stand) -> None:
    found = await stand.result(shapes=collection(YARD))
    # 10,000 e7 a fix, 6 a batch: the yard and a kilometre around it are 500 to 600 and 12 beside, in steps of 6
    assert 1 <= found["batches"] <= 12
    assert found["of_units"] == 2  # the other one was looked at, and nothing of it touches


async def test_what_todays_rules_say_too_is_told_beside(stand: Stand) -> None:
    await stand.put_in_force(YARD)
    found = await stand.result(
        shapes=collection(zone("yard", x=69.05, size=0.011, kind="forbidden"))
    )
    assert (found["alarms"], found["also_today"], found["gone"]) == (1, 1, 0)
    found = await stand.result(withdraw=["yard"])
    assert (found["alarms"], found["also_today"], found["gone"]) == (0, 0, 1)
    assert found["by_code"] == [{"code": "FORBIDDEN_ZONE", "alarms": 0, "also_today": 0, "gone": 1}]


async def test_a_way_between_two_batches_that_both_lie_outside_is_not_overlooked(
    stand: Stand,
) -> None:
    sparse = FleetUnit(unit_id="uz-03")
    await stand.centre.enrol(sparse)
    sealed = [sparse.begin().envelope]
    for number in range(8):  # a fix in three minutes, 4.2 km on, each in a batch of its own
        sparse.clock_ms += 120_000
        place = fix(sparse.clock_ms, 420_050_000, 690_000_000 + number * 500_000)
        sealed.append(sparse.seal([place]).envelope)
    await stand.centre.hear(sparse, *sealed)
    far = zone("far", x=69.07, size=0.01, kind="forbidden")
    for corner in far["geometry"]["coordinates"][0]:
        corner[1] += 1.0
    found = await stand.result(shapes=collection(far))
    assert found["batches"] == 3  # before it, behind it, and the next


async def test_a_skipped_stretch_makes_no_jump(stand: Stand) -> None:
    """Two zones far apart on the way: between them lie batches that nobody decodes, and that is no teleport."""
    other = zone("gate", x=69.1, kind="forbidden")
    first = zone("yard", x=69.01, kind="forbidden")
    found = await stand.result(shapes=collection(first, other))
    assert {row["code"] for row in found["rows"]} == {"FORBIDDEN_ZONE"}
    assert sorted(row["zone"] for row in found["rows"]) == ["gate", "yard"]


async def test_a_route_is_tried_on_the_units_that_it_names(stand: Stand) -> None:
    away = road("r", unit="uz-01")
    away["geometry"]["coordinates"] = [[69.0, 41.005], [69.05, 41.005], [69.05, 41.5]]
    found = await stand.result(shapes=collection(away))
    assert found["of_units"] == 1
    assert found["batches"] == 21  # with the first one, which has no fix
    assert {row["route"] for row in found["rows"]} == {"r"}
    assert found["alarms"] >= 1


async def test_thresholds_are_tried_on_all_that_is_stored(stand: Stand) -> None:
    found = await stand.result(thresholds={"stop_s": 100})
    assert (found["of_units"], found["positions"]) == (2, 150)


async def test_a_draft_with_a_fault_is_not_tried(stand: Stand) -> None:
    answer = await stand.ask(shapes=collection(zone("a", size=1e-6)))
    assert (answer.status_code, answer.json()["code"]) == (422, "too_small")
    answer = await stand.ask(shapes=collection(YARD), days=32)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_parameter")


async def test_when_its_time_is_over_it_says_how_far_it_came(stand: Stand) -> None:
    times = iter(range(0, 10_000_000, 30_000))
    job = Job(
        row=(await _draft(stand)).row,
        base=None,
        since_ms=T0_MS,
        now_ms=stand.centre.now_ms,
        deadline_ms=65_000,
        all_units=True,
    )
    steps = [step async for step in here(stand.centre.store, job, mono_ms=lambda: next(times))]
    assert steps[-1].is_partial
    assert 0 <= steps[-1].percent < 100
    assert steps[-1].alarms is not None


async def _draft(stand: Stand) -> Job:
    """What the route makes of a draft."""
    seen: list[Job] = []

    async def look(job: Job) -> AsyncGenerator[Step]:
        seen.append(job)
        yield Step(percent=100, units=0, of_units=0, batches=0, positions=0, alarms=())

    await _with(stand, look)
    return seen[0]


async def _with(stand: Stand, rehearse: Any) -> None:  # noqa: ANN401  # a function of the test
    live = Live(build="7", broker_kind="embedded", started_ms=T0_MS)
    store = stand.centre.store
    now_ms = stand.centre.now_ms
    api = served(
        store, StoreReads(store.readers, live, lambda: now_ms), lambda: now_ms, rehearse=rehearse
    )
    token = await logged_in(store, Role.OPERATOR, now_ms=now_ms, user_id="os:two")
    async with client_of(api, token=token) as client:
        answer = await client.post(DRY_RUN, json={"shapes": collection(YARD)}, headers=CHANGE)
        assert answer.status_code == 200, answer.text


async def test_one_at_a_time_and_who_goes_away_ends_it(stand: Stand) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(_job: Job) -> AsyncGenerator[Step]:
        try:
            while True:
                yield Step(percent=1, units=0, of_units=1, batches=0, positions=0)
                begun.set()
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    store, now_ms = stand.centre.store, stand.centre.now_ms
    live = Live(build="7", broker_kind="embedded", started_ms=T0_MS)
    api = served(
        store, StoreReads(store.readers, live, lambda: now_ms), lambda: now_ms, rehearse=endless
    )
    token = await logged_in(store, Role.OPERATOR, now_ms=now_ms, user_id="os:two")
    gone, over = asyncio.Event(), asyncio.Event()
    async with client_of(api, token=token) as client, asyncio.TaskGroup() as group:
        group.create_task(_listen(api, token, gone), name="first")
        await asyncio.wait_for(begun.wait(), 5)
        answer = await client.post(DRY_RUN, json={"shapes": collection(YARD)}, headers=CHANGE)
        assert (answer.status_code, answer.json()["code"]) == (409, "running")
        gone.set()
        await asyncio.wait_for(ended.wait(), 5)
        begun.clear()
        group.create_task(_listen(api, token, over), name="second")
        await asyncio.wait_for(begun.wait(), 5)  # the stage is free again
        over.set()


async def _listen(api: FastAPI, token: str, gone: asyncio.Event) -> None:
    """A client that hears line by line and goes away when it is told."""
    body = json.dumps({"shapes": collection(YARD)}).encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Json:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:  # noqa: ANN401  # ASGI
        await asyncio.sleep(0)

    headers = {
        "host": "127.0.0.1",
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **{name.lower(): value for name, value in CHANGE.items()},
    }
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": DRY_RUN,
        "raw_path": DRY_RUN.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await api(scope, receive, send)
