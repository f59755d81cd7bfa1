"""A desk is handed over: the page fills itself, a critical alert holds it up, another person confirms (CONSOLE section 3)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from collector.api.figures import stat_of
from collector.api.reads import Live, StoreReads
from collector.people import Role
from collector.people.sessions import Kind, opened
from collector.store import people
from collector.store.database import Store
from collector.store.shifts import DUE_MS
from tests.collector.api_rig import client_of, served
from tests.collector.fleet import T0_MS, Centre, FleetUnit, event
from wire.records import EventKind

Json = dict[str, Any]
HANDOVER = "/api/v1/handover"


@dataclass(slots=True)
class House:
    centre: Centre
    api: FastAPI
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    keys: int = 0

    async def sit(self, name: str, desk: str) -> None:
        session = opened(
            name,
            Kind.LOCAL,
            user_id=name,
            role=Role.OPERATOR,
            scope="",
            desk=desk,
            now_ms=self.centre.now_ms,
        )
        async with self.centre.store.write() as connection:
            await people.open_session(connection, session, address="test")
        self.clients[name] = client_of(self.api, token=name)

    async def post(self, who: str, path: str, **said: object) -> tuple[int, Json]:
        self.keys += 1
        answer = await self.clients[who].post(
            path, json=said, headers={"Idempotency-Key": f"k{self.keys}"}
        )
        return answer.status_code, answer.json()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with await Store.open("sqlite://") as store:
        centre = Centre(store)

        def now_ms() -> int:
            return centre.now_ms

        live = Live(build="7", broker_kind="embedded", started_ms=T0_MS)
        house = House(centre, served(store, StoreReads(store.readers, live, now_ms), now_ms))
        async with store.write() as connection:
            await people.put_desk(
                connection, desk_id="a1", name="A1", scope="", fallback="", by="t", now_ms=T0_MS
            )
        await house.sit("aziza", "a1")
        await house.sit("bahrom", "a1")
        await house.sit("nobody", "")
        yield house
        for client in house.clients.values():
            await client.aclose()


async def test_a_desk_is_handed_over_by_two_persons(house: House) -> None:
    unit = FleetUnit(unit_id="uz-01")
    await house.centre.enrol(unit)
    card = event(EventKind.ACCESS, ("7591225008", "jt701", "card", 0, 0, "9", None, 1, 0, None))
    await house.centre.hear(unit, unit.begin(more=[card]).envelope)
    page = (await house.clients["aziza"].get(HANDOVER)).json()
    assert (page["desk"], page["critical"], page["newest"]) == ("a1", 0, None)
    [row] = page["open"]
    status, signed = await house.post("aziza", HANDOVER, note="road works at Guzor")
    assert (status, signed["open"], signed["incoming"]) == (200, [row["id"]], None)
    confirm = f"{HANDOVER}/{signed['number']}/confirm"
    assert (await house.post("aziza", confirm))[1]["code"] == "same_person"
    status, done = await house.post("bahrom", confirm)
    assert (status, done["outgoing"], done["incoming"]) == (200, "aziza", "bahrom")
    assert done["note"] == "road works at Guzor"
    assert (await house.post("bahrom", confirm))[1]["code"] == "confirmed"
    assert (await house.post("bahrom", f"{HANDOVER}/99/confirm"))[0] == 404


async def test_nobody_hands_over_while_a_critical_alert_calls(house: House) -> None:
    unit = FleetUnit(unit_id="uz-01")
    await house.centre.enrol(unit)
    await house.centre.hear(unit, unit.begin().envelope)
    await house.centre.hear(unit, unit.begin(forgets=True).envelope)
    status, told = await house.post("aziza", HANDOVER)
    assert (status, told["code"]) == (409, "critical_open")


async def test_who_sits_at_no_desk_hands_nothing_over(house: House) -> None:
    assert (await house.post("nobody", HANDOVER))[1]["code"] == "no_desk"
    assert (await house.clients["nobody"].get(HANDOVER)).status_code == 409


async def test_a_hand_over_that_nobody_confirms_is_told_after_ten_minutes(house: House) -> None:
    async def due() -> list[str]:
        async with house.centre.store.read() as connection:
            found: list[str] = (await stat_of(connection, "", house.centre.now_ms))["handovers_due"]
        return found

    _, signed = await house.post("aziza", HANDOVER)
    house.centre.now_ms += DUE_MS
    assert await due() == []
    house.centre.now_ms += 1
    assert await due() == ["a1"]
    await house.post("bahrom", f"{HANDOVER}/{signed['number']}/confirm")
    assert await due() == []
