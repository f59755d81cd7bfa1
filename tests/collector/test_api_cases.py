"""Cases over HTTP: moved by version, seen by who sees an alert of theirs, and of one mind with the alert (DETECTION section 9)."""

from typing import Any

import httpx
import pytest

from collector.people import Role
from collector.store.people import set_unit_scope
from tests.collector.test_api_alerts import Desk, critical, desk, high

__all__ = ["desk"]  # a fixture
CASES = "/api/v1/cases"
Json = dict[str, Any]


async def call(
    desk: Desk, path: str, who: str = "op", *, version: int = 0, **said: object
) -> httpx.Response:
    desk.keys += 1
    headers = {"Idempotency-Key": f"c{desk.keys}"} | (
        {"If-Match": f'"{version}"'} if version else {}
    )
    return await desk.clients[who].post(CASES + path, json=said, headers=headers)


async def moved(desk: Desk, path: str, who: str = "op", **said: Any) -> Json:  # noqa: ANN401  # fields of a body
    answer = await call(desk, path, who, **said)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    assert answer.headers["etag"] == f'"{found["version"]}"'
    return found


async def refused(desk: Desk, path: str, who: str = "op", **said: Any) -> tuple[int, str]:  # noqa: ANN401  # as above
    answer = await call(desk, path, who, **said)
    return answer.status_code, answer.json()["code"]


async def test_a_case_goes_its_way_and_two_people_end_it(desk: Desk) -> None:
    await desk.sit("chief", Role.SUPERVISOR)
    row = await high(desk)
    case = await moved(desk, "", alert=row["id"])
    assert (case["number"], case["state"], case["alerts"]) == (1, "OPEN", [row["id"]])
    assert await moved(desk, "", alert=row["id"]) == case
    case = await moved(desk, "/1/assign", version=1, to="op")
    assert await refused(desk, "/1/dispatch", version=1, to="post 4") == (412, "not_seen")
    assert await refused(desk, "/1/dispatch", to="post 4") == (428, "no_revision")
    case = await moved(desk, "/1/dispatch", version=2, to="post 4")
    case = await moved(desk, "/1/arrive", version=3)
    assert await refused(desk, "/1/resolve", version=4, reason="x") == (422, "no_outcome")
    case = await moved(desk, "/1/resolve", version=4, outcome="FALSE", reason="a card of ours")
    assert await refused(desk, "/1/review", version=5) == (403, "not_allowed")
    case = await moved(desk, "/1/review", "chief", version=5)
    assert (case["state"], case["outcome"]) == ("REVIEWED", "FALSE")

    whole = (await desk.clients["op"].get(f"{CASES}/1")).json()
    assert whole["possible"] == ["reopen"]
    assert [one["act"] for one in whole["acts"]] == [
        *("open", "assign", "dispatch", "arrive", "resolve", "review"),
    ]
    assert (await desk.clients["op"].get(CASES)).json()["rows"] == []
    assert len((await desk.clients["op"].get(CASES, params={"view": "all"})).json()["rows"]) == 1
    detail = (await desk.clients["op"].get(f"/api/v1/alerts/{row['id']}")).json()
    assert (detail["case"], detail["alert"]["outcome"]) == (1, "FALSE")


@pytest.mark.long
async def test_what_is_said_at_an_alert_is_said_of_its_case(desk: Desk) -> None:
    row = await high(desk)
    await moved(desk, "", alert=row["id"])
    row = await desk.done(row, "dispatch", reason="post 4")
    case = (await desk.clients["op"].get(f"{CASES}/1")).json()["case"]
    assert (case["state"], case["assignee"], case["crew"]) == ("DISPATCHED", "op", "post 4")
    assert row["owner"] == "op"
    assert await desk.refused(row, "resolve", outcome="FALSE", reason="nothing") == (409, "no_move")
    case = await moved(desk, "/1/arrive", version=case["version"])
    [row] = await desk.rows(unit="uz-01")
    row = await desk.done(row, "resolve", outcome="FALSE", reason="nothing there")
    assert row["outcome"] == "FALSE"
    assert (await desk.clients["op"].get(f"{CASES}/1")).json()["case"]["state"] == "RESOLVED"


async def test_a_stale_row_moves_no_case(desk: Desk) -> None:
    row = await high(desk)
    await moved(desk, "", alert=row["id"])
    await desk.done(row, "take")
    assert (await desk.act(row, "dispatch", reason="post 4")).status_code == 412
    assert (await desk.clients["op"].get(f"{CASES}/1")).json()["case"]["state"] == "OPEN"


async def test_one_incident_one_case(desk: Desk) -> None:
    first, second = await high(desk), await critical(desk)
    await moved(desk, "", alert=first["id"])
    case = await moved(desk, "/1/join", version=1, alert=second["id"])
    assert case["alerts"] == [first["id"], second["id"]]
    third = await high(desk, "uz-02")
    await moved(desk, "", alert=third["id"])
    assert await refused(desk, "/1/join", version=2, alert=third["id"]) == (409, "other_case")


async def test_a_case_of_another_scope_is_not_there(desk: Desk) -> None:
    row = await high(desk)
    await moved(desk, "", alert=row["id"])
    await desk.sit("far", Role.OPERATOR, scope="uz.south")
    assert (await desk.clients["far"].get(f"{CASES}/1")).status_code == 404
    assert (await desk.clients["far"].get(CASES)).json()["rows"] == []
    assert await refused(desk, "/1/assign", "far", version=1, to="far") == (404, "no_such_case")
    assert await refused(desk, "", "far", alert=row["id"]) == (404, "no_such_alert")


async def test_who_sees_a_part_sees_his_cases_also_behind_newer_ones_of_others(desk: Desk) -> None:
    for name in ("uz-01", "uz-02", "uz-03"):
        await moved(desk, "", alert=(await high(desk, name))["id"])
    async with desk.centre.store.write() as connection:
        await set_unit_scope(connection, "uz-01", "uz.south")  # of the oldest case
    await desk.sit("south", Role.OPERATOR, scope="uz.south")
    rows = (await desk.clients["south"].get(CASES, params={"limit": 1})).json()["rows"]
    assert [row["number"] for row in rows] == [1]
