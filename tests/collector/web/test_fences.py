"""Zones and routes as the map gets them."""

import json
from collections.abc import AsyncIterator

import pytest

from collector.api.reads import Live, StoreReads
from collector.people import Role
from collector.store import schema
from collector.store.database import Store
from tests.collector.api_rig import client_of, logged_in, served

NOW_MS = 1_790_000_000_000


def shape(name: str, kind: str, unit: str = "") -> dict[str, object]:
    properties = {"id": name, **({"unit": unit} if unit else {})}
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind}}


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = await Store.open("sqlite://")
    async with store.write() as connection:
        for unit_id, scope in (("uz-1", "uz.south"), ("uz-2", "uz.north")):
            await connection.execute(
                schema.unit.insert().values(unit_id=unit_id, enrolled_ms=NOW_MS, scope=scope)
            )
    yield store
    await store.close()


async def asked(store: Store, scope: str = "") -> tuple[int, list[str]]:
    live = Live(build="7", broker_kind="mqtt", started_ms=NOW_MS)
    api = served(store, StoreReads(store.readers, live, lambda: NOW_MS), lambda: NOW_MS)
    token = await logged_in(store, Role.OPERATOR, now_ms=NOW_MS, scope=scope, user_id=f"os:{scope}")
    async with client_of(api, token=token) as client:
        answer = await client.get("/api/v1/fences")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    found = answer.json()
    return found["version"], [one["properties"]["id"] for one in found["features"]]


@pytest.mark.long
async def test_before_the_first_import_there_is_nothing(store: Store) -> None:
    assert await asked(store) == (0, [])


async def test_the_newest_version_counts_and_a_foreign_route_is_not_told(store: Store) -> None:
    def text(*shapes: object) -> str:
        return json.dumps({"type": "FeatureCollection", "features": shapes})

    await store.import_rules(zones=text(), routes=text(), thresholds="", now_ms=NOW_MS - 2)
    await store.import_rules(
        zones=text(shape("depot", "Polygon")),
        routes=text(
            shape("a", "LineString", "uz-1"),
            shape("b", "LineString", "uz-2"),
            shape("open", "LineString"),
        ),
        thresholds="",
        now_ms=NOW_MS - 1,
    )
    assert await asked(store) == (2, ["depot", "a", "b", "open"])
    assert await asked(store, "uz.south") == (2, ["depot", "a", "open"])
