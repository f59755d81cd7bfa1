"""Alerts over HTTP: pages in the order of the queue, acts that are carried out once and on what was seen (CONSOLE sections 3 and 7)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from collector.api.reads import Live, StoreReads
from collector.people import Role
from collector.store.database import Store
from collector.store.feed import newest_feed
from tests.collector.api_rig import client_of, logged_in, served
from tests.collector.fleet import T0_MS, Centre, FleetUnit, event
from wire.records import EventKind, EventRecord

Json = dict[str, Any]
ALERTS = "/api/v1/alerts"
LIFE = ["ack", "suppress", "take-out"]
CRITICAL = ["reset", "take-out"]


@dataclass(slots=True)
class Desk:
    """The API and who sits at it."""

    centre: Centre
    api: FastAPI
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    keys: int = 0

    async def sit(self, name: str, role: Role, *, scope: str = "", step_up: bool = False) -> None:
        token = await logged_in(
            self.centre.store,
            role,
            now_ms=self.centre.now_ms,
            user_id=name,
            scope=scope,
            step_up=step_up,
        )
        self.clients[name] = client_of(self.api, token=token)

    async def page(self, who: str = "op", **query: object) -> Json:
        answer = await self.clients[who].get(
            ALERTS, params={key: str(value) for key, value in query.items()}
        )
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def rows(self, who: str = "op", **query: object) -> list[Json]:
        found: list[Json] = (await self.page(who, **query))["rows"]
        return found

    async def act(
        self,
        row: Json,
        act: str,
        who: str = "op",
        *,
        key: str = "",
        rev: int | None = None,
        **said: object,
    ) -> httpx.Response:
        self.keys += 1
        headers = {
            "Idempotency-Key": key or f"k{self.keys}",
            "If-Match": f'"{row["rev"] if rev is None else rev}"',
        }
        return await self.clients[who].post(
            f"{ALERTS}/{row['id']}/{act}", json=said, headers=headers
        )

    async def done(self, row: Json, act: str, who: str = "op", **said: Any) -> Json:  # noqa: ANN401  # fields of a body
        answer = await self.act(row, act, who, **said)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        assert answer.headers["etag"] == f'"{found["rev"]}"'
        return found

    async def refused(self, row: Json, act: str, who: str = "op", **said: Any) -> tuple[int, str]:  # noqa: ANN401  # as above
        answer = await self.act(row, act, who, **said)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        return answer.status_code, answer.json()["code"]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with await Store.open("sqlite://") as store:
        centre = Centre(store)

        def now_ms() -> int:
            return centre.now_ms

        live = Live(build="7", broker_kind="embedded", started_ms=T0_MS)
        desk = Desk(centre, served(store, StoreReads(store.readers, live, now_ms), now_ms))
        await desk.sit("op", Role.OPERATOR)
        yield desk
        for client in desk.clients.values():
            await client.aclose()


def refusal(seal: str, t_ms: int = T0_MS) -> EventRecord:
    """SEAL_ACCESS_REFUSED, P2."""
    return event(EventKind.ACCESS, (seal, "jt701", "card", 0, 0, "9", None, 1, 0, None), t_ms)


async def high(desk: Desk, name: str = "uz-01", n: int = 1) -> Json:
    """A P2, and `n` - 1 that fold under it."""
    unit = FleetUnit(unit_id=name)
    await desk.centre.enrol(unit)
    cards = [refusal(f"75912250{number}8") for number in range(n)]
    await desk.centre.hear(unit, unit.begin(more=cards).envelope)
    [row] = await desk.rows(unit=name)
    return row


async def critical(desk: Desk, name: str = "uz-09") -> Json:
    unit = FleetUnit(unit_id=name)
    await desk.centre.enrol(unit)
    await desk.centre.hear(unit, unit.begin().envelope)
    await desk.centre.hear(unit, unit.begin(forgets=True).envelope)
    [row] = await desk.rows(unit=name)
    return row


async def test_a_row_bears_codes_and_parameters_and_never_a_sentence(desk: Desk) -> None:
    row = await high(desk, n=2)
    assert len(row["id"]) == 32
    told = {
        key: row[key] for key in ("rev", "no", "unit", "plate", "code", "prio", "stage", "more")
    }
    assert told == {
        "rev": 2,  # raised, then another folded under it
        "no": 1,
        "unit": "uz-01",
        "plate": "uz-01",
        "code": "SEAL_ACCESS_REFUSED",
        "prio": 2,
        "stage": "UNACKED",
        "more": 1,
    }
    assert row["p"]["seal"].startswith("7591")
    assert (row["since"], row["heard"]) == (T0_MS, desk.centre.now_ms)
    assert (row["owner"], row["seen_by"], row["lat"], row["place"], row["under"]) == (None,) * 5


async def test_the_queue_is_who_calls_then_the_graver_then_the_older(desk: Desk) -> None:
    first = await high(desk, "uz-01")
    second = await high(desk, "uz-02")
    worst = await critical(desk)
    await desk.done(worst, "ack")
    assert [row["id"] for row in await desk.rows()] == [
        *sorted((first["id"], second["id"])),
        worst["id"],
    ]
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await desk.page(limit=1, after=after)
        found += [row["id"] for row in page["rows"]]
        after = page["more"]
    assert found == [row["id"] for row in await desk.rows()]
    assert len({row["id"] for row in await desk.rows(view="all")}) == 3
    for cursor in ("x", "1.2", "9." + "z" * 32, "1.1." + "0" * 32, f"1.{10**30}." + "0" * 32):
        await desk.rows(after=cursor)


async def test_views_are_mine_shelved_events_and_all(desk: Desk) -> None:
    row = await high(desk, n=3)
    assert [one["under"] for one in await desk.rows(under=row["id"])] == [row["id"]] * 2
    await desk.done(row, "take")
    assert [one["id"] for one in await desk.rows(view="mine")] == [row["id"]]
    [row] = await desk.rows()
    assert await desk.rows(view="shelved") == []
    await desk.done(row, "shelve", reason="road works", for_s=900)
    [shelved] = await desk.rows(view="shelved")
    assert shelved["until"] == desk.centre.now_ms + 900_000
    assert len(await desk.rows(view="all")) == 3
    page = await desk.page(view="events")
    assert all(one["prio"] == 0 for one in page["rows"])


async def test_counts_and_feed_come_with_every_page(desk: Desk) -> None:
    await critical(desk)
    row = await high(desk, n=2)
    await desk.done(row, "ack")
    page = await desk.page()
    assert page["counts"] == {
        "alerts": {"1": [1, 0], "2": [0, 2], "3": [0, 0]},
        "shelved": 0,
        "stale": 0,
        "last10": 2,
        "flood": False,
    }
    async with desk.centre.store.read() as connection:
        assert page["feed"] == await newest_feed(connection)
    desk.centre.now_ms += 86_400_001
    await desk.sit("next", Role.OPERATOR)
    counts = (await desk.page("next"))["counts"]
    assert (counts["stale"], counts["last10"]) == (3, 0)


async def test_an_eleventh_alert_in_ten_minutes_is_a_flood_and_nothing_is_dropped(
    desk: Desk,
) -> None:
    for number in range(10):
        await high(desk, f"uz-{number:02}")
    assert not (await desk.page())["counts"]["flood"]
    await high(desk, "uz-10")
    page = await desk.page()
    assert (page["counts"]["flood"], page["counts"]["last10"], len(page["rows"])) == (True, 11, 11)


async def test_seen_owned_and_outcome_are_three_facts(desk: Desk) -> None:
    row = await high(desk)
    row = await desk.done(row, "ack")
    assert (row["stage"], row["seen_by"], row["owner"], row["outcome"]) == (
        "ACKED",
        "op",
        None,
        None,
    )
    row = await desk.done(row, "take")
    row = await desk.done(row, "assign", to="bahrom", reason="his road")
    row = await desk.done(row, "dispatch", reason="post 4")
    row = await desk.done(row, "note", reason="driver does not answer")
    assert (row["stage"], row["owner"], row["outcome"]) == ("ACKED", "bahrom", None)
    row = await desk.done(row, "resolve", outcome="FALSE", reason="his own card")
    assert (row["stage"], row["outcome"]) == ("ACKED", "FALSE")
    answer = await desk.clients["op"].get(f"{ALERTS}/{row['id']}", params={"lang": "uz"})
    told = answer.json()
    assert answer.headers["etag"] == f'"{row["rev"]}"'
    assert told["alert"] == row
    assert [(one["act"], one["who"]) for one in told["acts"]] == [
        ("raise", ""),
        *((act, "op") for act in ("ack", "take", "assign", "dispatch", "note", "resolve")),
    ]
    assert (told["meaning"]["minutes"], told["meaning"]["latched"]) == (10, False)
    assert told["meaning"]["name"] == "Plombaga kirish rad etilgan"
    assert "uz-01" in told["sentence"]
    assert {"shelve", "take-out", "note"} <= set(told["possible"])
    assert "ack" not in told["possible"]


async def test_nobody_acts_on_a_row_that_changed_under_him_and_the_row_comes_along(
    desk: Desk,
) -> None:
    row = await high(desk)
    taken = await desk.done(row, "take")
    answer = await desk.act(row, "ack")
    assert (answer.status_code, answer.json()["code"]) == (412, "stale")
    assert answer.json()["alert"] == taken
    assert (await desk.rows())[0]["stage"] == "UNACKED"


async def test_a_request_is_carried_out_once_however_often_it_comes(desk: Desk) -> None:
    row = await high(desk)
    first = await desk.act(row, "note", key="same", reason="a")
    again = await desk.act(row, "note", key="same", reason="a")
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert (await desk.rows())[0]["rev"] == row["rev"] + 1
    assert await desk.refused(row, "note", key="same", reason="b") == (422, "key_reused")
    await desk.sit("two", Role.OPERATOR)
    other = await desk.act(first.json(), "note", "two", key="same", reason="a")
    assert other.status_code == 200  # another person's key is another key


async def test_what_was_refused_is_judged_anew_under_the_same_key(desk: Desk) -> None:
    row = await high(desk)
    assert await desk.refused(row, "note", key="k") == (422, "no_reason")
    assert (await desk.act(row, "note", key="k", reason="now")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"If-Match": '"1"'}, 400, "key_required"),
        ({"Idempotency-Key": "k"}, 428, "no_revision"),
        ({"Idempotency-Key": "k", "If-Match": "1"}, 400, "bad_revision"),
    ],
)
async def test_an_act_says_its_name_and_what_it_has_seen(
    desk: Desk, headers: dict[str, str], status: int, code: str
) -> None:
    row = await high(desk)
    answer = await desk.clients["op"].post(f"{ALERTS}/{row['id']}/ack", json={}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_life_refuses_with_its_words(desk: Desk) -> None:
    row = await high(desk)
    assert await desk.refused(row, "second") == (403, "not_allowed")
    assert await desk.refused(row, "reset", outcome="FALSE", reason="x") == (409, "no_move")
    assert await desk.refused(row, "shelve") == (422, "no_reason")
    assert await desk.refused(row, "shelve", reason="x", for_s=3_601) == (422, "bad_until")
    assert await desk.refused(row, "resolve") == (422, "no_outcome")
    assert await desk.refused(row, "assign") == (422, "no_owner")
    answer = await desk.act(row, "unshelve")
    assert answer.status_code == 409
    assert "possible: ack" in answer.json()["detail"]
    worst = await critical(desk)
    assert await desk.refused(worst, "shelve", reason="x") == (409, "never_shelved")
    assert await desk.refused(worst, "take-out", reason="x", for_s=60) == (403, "not_allowed")
    assert await desk.refused(worst, "resolve", outcome="FALSE") == (409, "no_move")


async def test_two_persons_close_a_critical_one_and_the_second_shows_a_second_factor(
    desk: Desk,
) -> None:
    row = await desk.done(await critical(desk), "ack")
    row = await desk.done(row, "reset", outcome="TECHNICAL", reason="card exchanged")
    assert (row["stage"], row["proposed_by"]) == ("RESET_PROPOSED", "op")
    await desk.sit("chief", Role.SUPERVISOR)
    assert await desk.refused(row, "second", "chief") == (403, "step_up")
    await desk.sit("chief", Role.SUPERVISOR, step_up=True)
    row = await desk.done(row, "second", "chief")
    assert (row["stage"], row["outcome"]) == ("CLOSED", "TECHNICAL")
    assert await desk.rows() == []


async def test_who_may_only_look_changes_nothing(desk: Desk) -> None:
    row = await high(desk)
    await desk.sit("audit", Role.AUDITOR)
    await desk.sit("officer", Role.OFFICER)
    await desk.sit("admin", Role.ADMIN)
    assert len(await desk.rows("audit")) == 1
    for who in ("audit", "officer", "admin"):
        assert await desk.refused(row, "ack", who) == (403, "not_allowed")
    for who in ("officer", "admin"):
        assert (await desk.clients[who].get(ALERTS)).status_code == 403


async def test_a_foreign_alert_does_not_exist(desk: Desk) -> None:
    row = await high(desk)
    await desk.sit("south", Role.SUPERVISOR, scope="uz.south")
    assert await desk.refused(row, "ack", "south") == (404, "no_such_alert")
    assert (await desk.clients["south"].get(f"{ALERTS}/{row['id']}")).status_code == 404
    page = await desk.page("south", view="all")
    assert (page["rows"], page["counts"]["alerts"]["2"], page["counts"]["last10"]) == (
        [],
        [0, 0],
        0,
    )
    unknown = {**row, "id": "0" * 32}
    assert await desk.refused(unknown, "ack") == (404, "no_such_alert")


async def group(desk: Desk, rows: list[Json], key: str = "g") -> httpx.Response:
    return await desk.clients["op"].post(
        f"{ALERTS}/ack",
        json={"alerts": [{"id": row["id"], "rev": row["rev"]} for row in rows]},
        headers={"Idempotency-Key": key},
    )


async def test_alerts_of_one_cause_are_acknowledged_together_and_critical_ones_never(
    desk: Desk,
) -> None:
    rows = [await high(desk, f"uz-{number:02}") for number in range(3)]
    moved = await desk.done(rows[1], "take")
    answer = await group(desk, [*rows, {**rows[0], "id": "0" * 32}])
    told = answer.json()
    assert answer.status_code == 200
    assert [row["stage"] for row in told["rows"]] == ["ACKED", "UNACKED", "ACKED"]
    assert told["rows"][1] == moved
    assert [(one["id"], one["code"]) for one in told["refused"]] == [
        (rows[1]["id"], "stale"),
        ("0" * 32, "no_such_alert"),
    ]
    worst = await critical(desk)
    answer = await group(desk, [worst], "g2")
    assert (answer.status_code, answer.json()["code"]) == (409, "critical_alone")
    answer = await group(desk, [worst, moved], "g3")
    assert (answer.status_code, answer.json()["code"]) == (422, "many_causes")
    assert (await group(desk, [moved] * 51, "g4")).status_code == 422


async def test_what_is_over_is_closed_by_saying_what_it_was(desk: Desk) -> None:
    unit = FleetUnit(unit_id="uz-05")
    await desk.centre.enrol(unit)
    cut = event(EventKind.ACCESS, ("7591225008", "jt701", "card", 0, 0, "9", None, 1, 0, None))
    await desk.centre.hear(unit, unit.begin(more=[cut]).envelope)
    unit.clock_ms += 2 * 3_600_000  # 60 minutes without another refusal
    await desk.centre.hear(unit, unit.seal().envelope)
    [row] = await desk.rows(unit="uz-05")
    assert (row["stage"], row["cleared"]) == ("CLEARED_UNACKED", True)
    row = await desk.done(row, "resolve", outcome="FALSE")
    assert (row["stage"], row["outcome"], row["seen_by"]) == ("CLOSED", "FALSE", "op")
