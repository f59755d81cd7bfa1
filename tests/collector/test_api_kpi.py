"""The load of alarms over HTTP: figures beside their limits, the desk's budget, a table for a spreadsheet (CONSOLE section 2, KPI)."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from collector.alarm_load import load_of
from collector.api.kpi import LIMITS, csv_of, kpi_of
from collector.api.reads import Live, StoreReads
from collector.people import Role
from collector.store import schema
from collector.store.database import Store
from tests.collector.api_rig import client_of, logged_in, served
from tests.collector.fleet import T0_MS, Centre, FleetUnit
from tests.collector.test_api_alerts import refusal

Json = dict[str, Any]
KPI = "/api/v1/kpi/alarms"


@dataclass(slots=True)
class Office:
    centre: Centre
    api: FastAPI

    async def client(
        self, name: str, role: Role, scope: str = "", desk: str = ""
    ) -> httpx.AsyncClient:
        store, now_ms = self.centre.store, self.centre.now_ms
        token = await logged_in(store, role, now_ms=now_ms, user_id=name, scope=scope)
        async with store.write() as connection:
            await connection.execute(
                update(schema.session).where(schema.session.c.user_id == name).values(desk=desk)
            )
        return client_of(self.api, token=token)

    async def get(self, client: httpx.AsyncClient, query: str = "") -> Json:
        answer = await client.get(f"{KPI}{query}")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """Three alerts in the south, one in the north, a desk for each."""
    async with await Store.open("sqlite://") as store:
        centre = Centre(store)
        for name, scope, cards in (("uz-01", "uz.south", 3), ("uz-02", "uz.north", 1)):
            unit = FleetUnit(unit_id=name)
            await centre.enrol(unit)
            async with store.write() as connection:
                await connection.execute(
                    update(schema.unit).where(schema.unit.c.unit_id == name).values(scope=scope)
                )
                await connection.execute(
                    schema.desk.insert().values(
                        desk_id=scope[3:],
                        name="",
                        scope=scope,
                        fallback="",
                        made_by="",
                        made_ms=0,
                    )
                )
            await centre.hear(
                unit, unit.begin(more=[refusal(f"75912250{n}8") for n in range(cards)]).envelope
            )
        centre.now_ms += 1  # a span ends before its end

        def now_ms() -> int:
            return centre.now_ms

        live = Live(build="7", broker_kind="embedded", started_ms=T0_MS)
        yield Office(centre, served(store, StoreReads(store.readers, live, now_ms), now_ms))


async def test_figures_stand_beside_their_limits_and_rules_beside_the_budget(
    office: Office,
) -> None:
    async with await office.client("eye", Role.AUDITOR) as client:
        found = await office.get(client, "?days=2")
    assert (found["annunciated"], found["budget"]) == (4, 6 * 48)
    assert found["budget_percent"] == 1.4
    assert {one["name"]: one["limit"] for one in found["figures"]} == LIMITS
    assert all(one["ok"] for one in found["figures"])
    [rule] = found["rules"]
    assert (rule["code"], rule["times"], rule["percent"]) == ("SEAL_ACCESS_REFUSED", 4, 100.0)
    assert (rule["budget_percent"], rule["ok"]) == (1.4, False)
    assert found["worst"] == [
        {"code": "SEAL_ACCESS_REFUSED", "unit": "uz-01", "times": 3},
        {"code": "SEAL_ACCESS_REFUSED", "unit": "uz-02", "times": 1},
    ]
    assert [one["percent"] for one in found["split"]] == [0.0, 100.0, 0.0]
    assert found["vehicle_hours"] == 2


async def test_each_sees_the_load_of_his_own(office: Office) -> None:
    async with await office.client("south", Role.SUPERVISOR, scope="uz.south") as client:
        assert (await office.get(client))["annunciated"] == 3
        assert (await client.get(f"{KPI}?desk=north")).status_code == 404
    async with await office.client("boss", Role.SUPERVISOR) as client:
        assert (await office.get(client, "?desk=north"))["annunciated"] == 1
        north = await office.get(client, "?desk=north")
        assert (north["desk"], north["vehicle_hours"]) == ("north", 1)
    async with await office.client("op", Role.OPERATOR, desk="north") as client:
        assert (await office.get(client))["annunciated"] == 1
        answer = await client.get(f"{KPI}?desk=south")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_your_desk")
    async with await office.client("root", Role.ADMIN) as client:
        assert (await client.get(KPI)).status_code == 403


async def test_the_time_is_told_in_stretches_and_a_change_by_one_person_counts(
    office: Office,
) -> None:
    await office.centre.store.import_rules(
        zones="", routes="", thresholds="", now_ms=office.centre.now_ms - 1
    )
    async with await office.client("eye", Role.AUDITOR) as client:
        found = await office.get(client, "?days=2")
        month = await office.get(client, "?days=31")
    assert (len(found["bars"]), len(month["bars"])) == (48, 186)
    last = found["bars"][-1]
    assert (last["annunciated"], last["per_window_max"]) == (4, 4)
    assert last["per_window_mean"] == round(4 / 6, 2)
    assert sum(one["annunciated"] for one in month["bars"]) == 4
    [changed] = [one for one in found["figures"] if one["name"] == "unauthorised_changes"]
    assert (changed["value"], changed["ok"]) == (1.0, False)


async def test_who_asks_is_told_of_which_desks_he_may(office: Office) -> None:
    async with await office.client("boss", Role.SUPERVISOR) as client:
        assert (await office.get(client))["desks"] == ["north", "south"]
    async with await office.client("south", Role.SUPERVISOR, scope="uz.south") as client:
        assert (await office.get(client))["desks"] == ["south"]
    async with await office.client("op", Role.OPERATOR, desk="north") as client:
        assert (await office.get(client))["desks"] == ["north"]


async def test_a_table_leaves_the_house_and_is_kept_as_such(office: Office) -> None:
    async with await office.client("eye", Role.AUDITOR) as client:
        answer = await client.get(f"{KPI}.csv?part=worst")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["unit"], row["times"]) for row in rows] == [("uz-01", "3"), ("uz-02", "1")]
    async with office.centre.store.read() as connection:
        [read] = await connection.execute(select(schema.read))
    assert (read.who, read.purpose, read.obj) == ("eye", "export", "kpi/alarms.csv")


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t"])
def test_a_formula_bears_an_apostrophe_and_a_number_stays_one(sign: str) -> None:
    text = csv_of([{"name": f"{sign}1+1", "value": -1.5, "none": None}])
    assert next(csv.DictReader(io.StringIO(text))) == {
        "name": f"'{sign}1+1",
        "value": "-1.5",
        "none": "",
    }
    assert csv_of([]) == ""


def test_no_alarm_is_no_load() -> None:
    found = kpi_of(load_of([], begin_ms=0, end_ms=3_600_000), "", 0, 3_600_000)
    assert (found.budget, found.budget_percent, found.rules, found.worst) == (6, 0.0, [], [])
