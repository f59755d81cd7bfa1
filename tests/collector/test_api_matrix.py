"""Role by object by verb, made from the schema: who sees the south finds nothing of the north, changes nothing there, and each look is kept."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from collector.people import Role
from collector.people.authorize import READS, RIGHTS, Right
from collector.store import schema
from collector.store.database import Store
from tests.collector.api_rig import CHANGE, client_of, logged_in
from tests.collector.test_api_promises import ENDLESS, Call, positive
from tests.collector.town import NORTH, SOUTH, Town, build

Json = dict[str, Any]
Key = tuple[str, str]

# What the body of a change names, where the path names nothing.
OBJECTS = {
    ("POST", "/api/v1/cases"): ("alert", "no_such_alert"),
    ("POST", "/api/v1/admin/desks"): ("desk", "no_such_desk"),
    ("POST", "/o/report"): ("unit", "no_such_unit"),
}
# What concerns no thing of a scope: one's own session, the whole, or what is about to be made.
NO_OBJECT = {
    *(("POST", f"/api/v1/{name}") for name in ("login", "setup", "enter", "logout", "step-up")),
    *(("POST", f"/api/v1/me/{name}") for name in ("input", "widen", "password")),
    *(("POST", f"/api/v1/admin/{name}") for name in ("users", "kiosks", "tokens", "enrol-tokens")),
    *(("POST", f"/o/{name}") for name in ("login", "logout")),
    ("POST", "/api/v1/kiosk"),
    ("POST", "/api/v1/handover"),  # of the desk at which one sits
    ("POST", "/api/v1/fences"),
    ("POST", "/api/v1/fences/dry-run"),
}
LISTS = {("POST", "/api/v1/alerts/ack"), ("POST", "/api/v1/units/labels")}  # tell each by itself
WORDS = {"scope": SOUTH, "role": "operator"}  # what an admin of the south may give
WORDS_OF: dict[Key, Json] = {("POST", "/api/v1/admin/desks"): {"scope": SOUTH}}
OF_ALL = "/api/v1/fences/"  # versions and proposals concern all units alike
UNSCOPED = {"act", "read", "read_roll", "session", "once", "feed"}  # written by any call


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with await Store.open("sqlite://") as store:
        yield await build(store)


def verbs(town: Town) -> list[tuple[Key, Right]]:
    """All calls of the schema."""
    found = [
        (method.upper(), path)
        for path, row in town.house.api.openapi()["paths"].items()
        for method in row
        if path not in ENDLESS
    ]
    return [(key, RIGHTS[key]) for key in found]


def names_a_thing(key: Key) -> bool:
    return "{" in key[1] and not key[1].startswith(OF_ALL)


def sample(calls: dict[str, Call], key: Key, things: dict[str, str]) -> Json:
    """A call as the schema says it, about these things."""
    method, path = key
    call = calls[f"{method} {path}"]
    url = path
    for name in call.path_parameters or {}:
        url = url.replace(f"{{{name}}}", things[name])
    body: Json = call.body if isinstance(call.body, dict) else {}
    body |= {name: word for name, word in WORDS.items() if name in body}
    if key in OBJECTS:
        body |= {OBJECTS[key][0]: things[OBJECTS[key][0]]} | WORDS_OF.get(key, {})
    said: Json = {"json": body}
    if path.startswith("/o/"):  # a form
        said = {"data": {**body, "key": "12345678", "what": "differs"}}
    return {"method": method, "url": url, **(said if method != "GET" else {})}


async def ask(town: Town, role: Role, said: Json) -> tuple[int, str, str]:
    """Asked by somebody of the south: status, code, text."""
    town.house.now_ms += 10_000
    who = f"os:{role.value}-{town.house.now_ms}"
    token = await logged_in(
        town.store,
        role,
        now_ms=town.house.now_ms,
        user_id=who,
        scope=SOUTH,
        desk=town.things[SOUTH]["desk"],
        step_up=True,
    )
    headers = CHANGE | {"Idempotency-Key": "k", "If-Match": '"1"'}
    async with client_of(town.house.api, token=token) as client:
        answer = await client.request(**said, headers=headers)
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json()["code"] if is_problem else "", answer.text


async def everything(town: Town) -> dict[str, list[Any]]:
    """All rows of all tables but those that any call writes."""
    tables = [table for table in schema.metadata.sorted_tables if table.name not in UNSCOPED]
    async with town.store.read() as connection:
        return {
            table.name: [tuple(row) for row in await connection.execute(select(table))]
            for table in tables
        }


def test_every_change_is_about_a_thing_or_is_known_to_be_about_none(town: Town) -> None:
    changes = {key for key, _ in verbs(town) if key[0] != "GET"}
    placed = NO_OBJECT | LISTS | set(OBJECTS)
    of_all = {key for key in changes if key[1].startswith(OF_ALL)}
    assert {key for key in changes if names_a_thing(key)} == changes - placed - of_all
    assert changes >= placed, "a route that is gone"


@pytest.mark.long
@pytest.mark.parametrize("role", [role for role in Role if role is not Role.UNIT])
async def test_who_sees_the_south_finds_nothing_of_the_north(town: Town, role: Role) -> None:
    calls = positive(town.house.api)
    before = await everything(town)
    asked = 0
    for key, right in verbs(town):
        if role not in right.roles or not (names_a_thing(key) or key in OBJECTS):
            continue
        status, code, text = await ask(town, role, sample(calls, key, town.things[NORTH]))
        asked += 1
        if right.whole:
            assert (status, code) == (403, "not_whole"), key
        elif key[0] == "GET" and key[1].lower().startswith("/o/"):
            assert 'class="v grey"' in text, key
        else:
            assert status == 404, (key, text)
    assert asked >= 3, "the walk has found its way"
    assert await everything(town) == before


@pytest.mark.long
@pytest.mark.parametrize("role", [role for role in Role if role is not Role.UNIT])
async def test_what_is_his_own_is_there(town: Town, role: Role) -> None:
    calls = positive(town.house.api)
    for key, right in verbs(town):
        if role in right.roles and names_a_thing(key) and not right.whole:
            status, _, text = await ask(town, role, sample(calls, key, town.things[SOUTH]))
            assert status not in (401, 403), (key, text)
            assert status < 500, (key, text)
            if key[0] == "GET":
                assert status == 200, (key, text)


@pytest.mark.long
async def test_no_list_names_a_thing_of_the_north(town: Town) -> None:
    foreign = [
        value for name, value in town.things[NORTH].items() if name not in ("number", "name")
    ]
    for key, right in verbs(town):
        if key[0] != "GET" or "{" in key[1] or key[1].startswith(OF_ALL):
            continue
        for role in right.roles:
            status, _, text = await ask(town, role, {"method": "GET", "url": key[1]})
            assert right.whole or status in (200, 303, 422), (key, text)
            assert not [word for word in foreign if word in text], (key, role)


@pytest.mark.long
async def test_every_look_at_a_track_at_evidence_or_at_what_leaves_is_kept(town: Town) -> None:
    calls = positive(town.house.api)
    looks = [(key, right) for key, right in verbs(town) if right.kept in READS]
    assert len(looks) >= 6
    for key, right in looks:
        for role in right.roles:
            before = len(await kept(town))
            said = sample(calls, key, town.things[SOUTH])
            status, _, text = await ask(town, role, said)
            assert status == 200, (key, text)
            [one] = (await kept(town))[before:]
            assert (one.role, one.purpose) == (role.value, right.kept.value), key
            about = (
                town.things[SOUTH]["unit_id"] if "{" in key[1] else key[1].removeprefix("/api/v1/")
            )
            assert about in one.obj, key


async def kept(town: Town) -> list[Any]:
    async with town.store.read() as connection:
        table = schema.read
        return list(await connection.execute(select(table).order_by(table.c.number)))
