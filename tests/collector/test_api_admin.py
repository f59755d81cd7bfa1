"""Admins at the API: people, desks, walls, programs, units by two; a change bears a key; each route, each role."""

from base64 import b32decode
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from collector.people import Role
from collector.people.authorize import RIGHTS, Kept
from collector.people.sessions import DAY_MS, Kind
from collector.store import people, schema
from collector.store.database import Store
from collector.store.once import KEPT_MS, RUNNING_MS_MAX
from tests.collector.api_rig import CHANGE, PASSWORD, House, account, client_of, code_at, logged_in
from tests.collector.fleet import T0_MS, FleetUnit

USERS, KIOSKS, TOKENS = (f"/api/v1/admin/{noun}" for noun in ("users", "kiosks", "tokens"))
UNITS, ENROLMENTS = "/api/v1/admin/units", "/api/v1/admin/enrolments"
Json = dict[str, Any]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    store = await Store.open("sqlite://")
    async with store.write() as connection:
        await connection.execute(
            schema.unit.insert().values(unit_id="uz-0001", enrolled_ms=T0_MS, scope="uz.south")
        )
    yield House(store)
    await store.close()


class Admin:
    """An admin who is logged in; each change of his has a key of its own."""

    def __init__(self, house: House, client: httpx.AsyncClient) -> None:
        self.house = house
        self.client = client
        self.keys = 0

    async def post(self, path: str, status: int = 200, /, **body: object) -> Json:
        self.keys += 1
        headers = {"Idempotency-Key": f"key-{self.keys}"}
        answer = await self.client.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        found: Json = answer.json() if answer.content else {}
        return found

    async def get(self, path: str) -> Json:
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found


@pytest.fixture
async def admin(house: House) -> AsyncIterator[Admin]:
    token = await logged_in(house.store, Role.ADMIN, now_ms=T0_MS, user_id="bob", step_up=True)
    async with client_of(house.api, token=token) as client:
        yield Admin(house, client)


async def another(house: House, user_id: str = "carol") -> str:
    return await logged_in(house.store, Role.ADMIN, now_ms=T0_MS, user_id=user_id, step_up=True)


# users


async def test_a_user_comes_in_by_a_link_and_goes_out_by_a_lock(house: House, admin: Admin) -> None:
    await admin.post("/api/v1/admin/desks", desk="a1", scope="uz.south")
    made = await admin.post(
        USERS, user="anna", name="Anna K", role="operator", scope="uz.south", desk="a1"
    )
    assert made["path"] == f"/setup#{made['code']}"
    async with client_of(house.api) as anna:
        body: Json = {"code": made["code"], "password": PASSWORD}
        assert (await anna.post("/api/v1/setup", json=body, headers=CHANGE)).status_code == 200
        body = {"user": "anna", "password": PASSWORD, "token": True}
        answer = await anna.post("/api/v1/login", json=body, headers=CHANGE)
        me = answer.json()
        assert (me["role"], me["scope"], me["desk"]) == ("operator", "uz.south", "a1")
        anna.headers["Authorization"] = f"Bearer {me['token']}"
        assert (await anna.get("/api/v1/units")).status_code == 200
        locked = await admin.post(f"{USERS}/anna/lock")
        assert locked["locked_at"] is not None
        assert (await anna.get("/api/v1/units")).status_code == 401  # at once
        unlocked = await admin.post(f"{USERS}/anna/unlock")
        assert unlocked["locked_at"] is None
        assert (await anna.get("/api/v1/units")).status_code == 401  # what has ended stays so
    [row] = (await admin.get(USERS))["users"]
    assert (row["user"], row["set_up"], row["made_by"]) == ("anna", True, "bob")
    assert [act for who, act, _ in await house.acts() if who == "bob"] == [
        "desk",
        "user-add",
        "user-lock",
        "user-unlock",
    ]


async def test_another_role_ends_what_is_open(house: House, admin: Admin) -> None:
    await account(house.store, "anna", Role.OPERATOR, now_ms=T0_MS)
    async with house.store.write() as connection:
        await connection.execute(schema.session.delete().where(schema.session.c.user_id == "anna"))
    async with client_of(house.api) as client:
        body: Json = {"user": "anna", "password": PASSWORD, "token": True}
        token = (await client.post("/api/v1/login", json=body, headers=CHANGE)).json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        for path, change in (
            ("role", {"role": "supervisor"}),
            ("scope", {"scope": "uz"}),
        ):
            row = await admin.post(f"{USERS}/anna/{path}", **change)
            assert row[path] == change[path]
            assert (await client.get("/api/v1/me")).status_code == 401
    async with house.store.read() as connection:
        found = await connection.execute(
            select(schema.session.c.ended_by).where(schema.session.c.user_id == "anna")
        )
        assert [row.ended_by for row in found] == ["bob"]


REFUSED: list[tuple[str, Json, int, str]] = [
    (USERS, {"user": "anna", "role": "operator"}, 409, "user_taken"),
    (USERS, {"user": "os:root", "role": "admin"}, 422, "bad_parameter"),
    (USERS, {"user": "dora", "role": "unit"}, 422, "bad_parameter"),
    (USERS, {"user": "dora", "role": "god"}, 422, "bad_parameter"),
    (USERS, {"user": "dora", "role": "operator", "desk": "z9"}, 422, "bad_parameter"),
    (USERS, {"user": "dora", "role": "operator", "scope": "a b"}, 422, "bad_parameter"),
    (USERS, {"user": "dora", "role": "operator", "more": 1}, 422, "bad_parameter"),
    (f"{USERS}/nobody/lock", {}, 404, "no_such_user"),
    (f"{USERS}/bob/lock", {}, 409, "own_account"),
    (f"{USERS}/bob/role", {"role": "auditor"}, 409, "own_account"),
    (f"{USERS}/anna/role", {"role": "unit"}, 422, "bad_parameter"),
    ("/api/v1/admin/desks", {"desk": "a1", "fallback": "a1"}, 422, "bad_parameter"),
    ("/api/v1/admin/desks", {"desk": "a1", "fallback": "b2"}, 422, "bad_parameter"),
    (f"/api/v1/admin/sessions/{'0' * 64}/end", {}, 404, "no_such_session"),
    (TOKENS, {"name": "x", "role": "admin", "days": 1}, 422, "bad_parameter"),
    (TOKENS, {"name": "x", "role": "auditor", "days": 367}, 422, "bad_parameter"),
    (f"{UNITS}/uz-0404/scope", {"scope": ""}, 404, "no_such_unit"),
    (f"{UNITS}/uz-0404/revoke", {"reason": "lost"}, 404, "no_such_unit"),
    (f"{ENROLMENTS}/uz-0404/approve", {"fingerprint": "0" * 16}, 404, "nothing_waits"),
    (f"{ENROLMENTS}/uz-0404/approve", {"fingerprint": "0" * 15 + " "}, 422, "bad_parameter"),
]


async def test_what_cannot_be_done_changes_nothing(house: House, admin: Admin) -> None:
    for user_id, role in (("anna", Role.OPERATOR), ("bob", Role.ADMIN)):
        await account(house.store, user_id, role, now_ms=T0_MS)
    for path, body, status, code in REFUSED:
        assert (await admin.post(path, status, **body))["code"] == code, (path, body)
    assert await house.acts() == []


# walls and programs


async def test_a_wall_takes_its_screen_once_and_for_a_month(house: House, admin: Admin) -> None:
    given = await admin.post(KIOSKS, name="north-wall", scope="uz.south")
    async with client_of(house.api) as wall:
        claim = {"token": given["token"]}
        answer = await wall.post("/api/v1/kiosk", json=claim, headers=CHANGE)
        assert answer.status_code == 204, answer.text
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        assert "SameSite=strict" in answer.headers["set-cookie"]
        again = await wall.post("/api/v1/kiosk", json=claim, headers=CHANGE)
        assert (again.status_code, again.json()["code"]) == (401, "bad_code")
        me = (await wall.get("/api/v1/me", headers=cookie)).json()
        assert (me["user"], me["read_only"], me["narrows_at"]) == ("kiosk:north-wall", True, None)
        house.now_ms += 30 * DAY_MS - 1
        assert (await wall.get("/api/v1/alerts", headers=cookie)).status_code == 200
        house.now_ms += 1
        assert (await wall.get("/api/v1/alerts", headers=cookie)).status_code == 401


async def test_a_program_has_a_token_of_its_own_that_can_be_ended(
    house: House, admin: Admin
) -> None:
    given = await admin.post(TOKENS, name="kpi-export", role="auditor", days=90)
    async with client_of(house.api, token=given["token"]) as program:
        assert (await program.get("/api/v1/alerts")).status_code == 200
        listed = (await admin.get("/api/v1/admin/sessions?kind=machine"))["sessions"]
        assert [(row["user"], row["session"]) for row in listed] == [
            ("machine:kpi-export", given["session"])
        ]
        await admin.post(f"/api/v1/admin/sessions/{given['session']}/end")
        assert (await program.get("/api/v1/alerts")).status_code == 401


# units


async def test_a_unit_changes_its_part_and_its_watchers_see_it_go(
    house: House, admin: Admin
) -> None:
    await admin.post(f"{UNITS}/uz-0001/scope", scope="uz.north")
    [row] = (await admin.get(UNITS))["units"]
    assert (row["unit"], row["scope"], row["keys_in_force"]) == ("uz-0001", "uz.north", [])
    async with house.store.read() as connection:
        left = (await connection.execute(select(schema.unit_left))).all()
        assert [one.scope for one in left] == ["uz.south"]
        unit = (await connection.execute(select(schema.unit))).one()
        assert unit.feed == left[0].feed > 0


async def request_of(house: House, unit_id: str, token: str) -> bytes:
    """A request to be let in stands; its kid."""
    unit = FleetUnit(unit_id=unit_id)
    kid = sha256(unit.public_key).digest()[:8]
    async with house.store.write() as connection:
        await connection.execute(
            schema.enrolment.insert().values(
                nonce=bytes(16),
                unit_id=unit_id,
                kid=kid,
                public_key=unit.public_key,
                csr=b"",
                request_sha256=sha256(token.encode()).digest(),
                hardware="",
                asked_by="bob",
                posted_ms=house.now_ms,
                expires_ms=house.now_ms + DAY_MS,
                standing="waiting",
            )
        )
    return kid


async def test_a_unit_is_let_in_and_its_key_revoked_by_two(house: House, admin: Admin) -> None:
    made = await admin.post("/api/v1/admin/enrol-tokens", unit="uz-0042")
    token = made["token"]
    assert {len(row) for row in made["qr"]} == {len(made["qr"])}
    assert made["qr"][0][:8] == "11111110"  # the corner by which a camera finds it
    raw = b32decode(token + "=" * (-len(token) % 8))
    async with house.store.read() as connection:
        [kept] = (await connection.execute(select(schema.enrol_token))).all()
    assert (kept.token_sha256, kept.made_by) == (sha256(raw).digest(), "bob")
    kid = await request_of(house, "uz-0042", token)
    shown = {"fingerprint": kid.hex()}
    assert (await admin.post(f"{ENROLMENTS}/uz-0042/approve", 409, **shown))["code"] == (
        "second_person"
    )
    async with client_of(house.api, token=await another(house)) as client:
        carol = Admin(house, client)
        wrong = await carol.post(f"{ENROLMENTS}/uz-0042/approve", 409, fingerprint="0" * 16)
        assert wrong["code"] == "other_key"
        done = await carol.post(f"{ENROLMENTS}/uz-0042/approve", **shown)
        assert (done["state"], done["decided_by"]) == ("approved", "carol")
        [unit] = [row for row in (await carol.get(UNITS))["units"] if row["unit"] == "uz-0042"]
        assert unit["keys_in_force"] == [done["fingerprint"]]
        why = {"reason": "stolen"}
        assert not (await admin.post(f"{UNITS}/uz-0042/revoke", **why))["revoked"]
        assert not (await admin.post(f"{UNITS}/uz-0042/revoke", **why))["revoked"]  # not twice one
        assert (await carol.post(f"{UNITS}/uz-0042/revoke", **why))["revoked"]


async def test_approving_and_revoking_take_the_second_factor(house: House) -> None:
    await account(house.store, "bob", Role.ADMIN, now_ms=T0_MS)
    kid = await request_of(house, "uz-0042", "t")
    async with client_of(house.api) as client:
        body: Json = {"user": "bob", "password": PASSWORD, "token": True}
        token = (await client.post("/api/v1/login", json=body, headers=CHANGE)).json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        bob = Admin(house, client)
        shown = {"fingerprint": kid.hex()}
        for path, said in (
            (f"{ENROLMENTS}/uz-0042/approve", shown),
            (f"{UNITS}/uz-0001/revoke", {"reason": "lost"}),
        ):
            assert (await bob.post(path, 403, **said))["code"] == "step_up"
        code = {"code": code_at(house.now_ms)}
        assert (await client.post("/api/v1/step-up", json=code)).status_code == 200
        answer = await bob.post(f"{ENROLMENTS}/uz-0042/approve", 409, **shown)
        assert answer["code"] == "second_person"  # he made its token
        house.now_ms += 300_000
        assert (await bob.post(f"{ENROLMENTS}/uz-0042/approve", 403, **shown))["code"] == "step_up"


# keys of changes


async def test_the_same_change_again_is_answered_as_it_was_and_done_once(
    house: House, admin: Admin
) -> None:
    path = f"{UNITS}/uz-0001/scope"

    async def change(key: str, scope: str) -> httpx.Response:
        return await admin.client.post(
            path, json={"scope": scope}, headers={"Idempotency-Key": key}
        )

    first, again = await change("k1", "uz.north"), await change("k1", "uz.north")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = await change("k1", "uz.east")
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert (await change("k2", "uz.east")).status_code == 200
    assert [act for _, act, _ in await house.acts()] == ["unit-scope"] * 2
    house.now_ms += KEPT_MS + 1
    later = await logged_in(
        house.store, Role.ADMIN, now_ms=house.now_ms, user_id="carol", step_up=True
    )
    async with client_of(house.api, token=later) as client:
        headers = {"Idempotency-Key": "k1"}
        answer = await client.post(path, json={"scope": "uz"}, headers=headers)
        assert answer.status_code == 200
    async with house.store.read() as connection:
        kept = (await connection.execute(select(schema.once))).all()
    assert [(row.who, row.key) for row in kept] == [
        ("carol", "k1")
    ]  # a week later the rest is gone


async def test_a_change_without_a_key_is_not_made(admin: Admin) -> None:
    for key in (None, "", "x" * 65, "with blank"):
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = await admin.client.post(f"{USERS}/anna/lock", json={}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "key_required"), key


async def test_a_secret_is_told_once_and_stands_nowhere(house: House, admin: Admin) -> None:
    body = {"name": "wall"}
    headers = {"Idempotency-Key": "k"}
    given = (await admin.client.post(KIOSKS, json=body, headers=headers)).json()["token"]
    again = await admin.client.post(KIOSKS, json=body, headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "told_already")
    async with house.store.read() as connection:
        for table in schema.metadata.sorted_tables:
            for row in await connection.execute(select(table)):
                assert given not in repr(row), table.name


async def test_a_key_whose_request_died_is_free_after_a_minute(house: House, admin: Admin) -> None:
    async with house.store.write() as connection:
        await connection.execute(
            schema.once.insert().values(
                who="bob",
                path=f"{UNITS}/uz-0001/scope",
                key="k",
                body_sha256=sha256(b'{"scope":"uz"}').digest(),
                at_ms=house.now_ms,
            )
        )
    path = f"{UNITS}/uz-0001/scope"
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    content = b'{"scope":"uz"}'
    answer = await admin.client.post(path, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "running")
    house.now_ms += RUNNING_MS_MAX
    assert (await admin.client.post(path, content=content, headers=headers)).status_code == 200


async def test_what_failed_may_be_tried_again_with_its_key(house: House, admin: Admin) -> None:
    headers = {"Idempotency-Key": "k"}
    path = f"{USERS}/anna/lock"
    assert (await admin.client.post(path, json={}, headers=headers)).status_code == 404
    await account(house.store, "anna", Role.OPERATOR, now_ms=T0_MS)
    assert (await admin.client.post(path, json={}, headers=headers)).status_code == 200


async def test_a_fall_back_desk_sees_what_comes_to_it(admin: Admin) -> None:
    desks = "/api/v1/admin/desks"
    await admin.post(desks, desk="uz", scope="uz")
    await admin.post(desks, desk="a1", scope="uz.south", fallback="uz")
    await admin.post(desks, desk="b1", scope="uz.north")
    for said in (
        {"desk": "a1", "scope": "uz.south", "fallback": "b1"},
        {"desk": "uz", "scope": "uz.east"},  # a1 would have nobody
    ):
        assert (await admin.post(desks, 422, **said))["code"] == "bad_parameter"
    await admin.post(desks, desk="a1", scope="uz.south.guzor", fallback="uz")


# each route, each role


def calls_of(house: House) -> list[tuple[str, str]]:
    """Every call in the schema that changes something."""
    paths = house.api.openapi()["paths"]
    return [
        (method.upper(), path)
        for path, row in paths.items()
        for method in row
        if method not in ("get", "head")
    ]


@pytest.mark.long
@pytest.mark.parametrize("role", [role for role in Role if role is not Role.UNIT])
async def test_a28_who_may_not_change_a_thing_is_refused_on_every_route(
    house: House, role: Role
) -> None:
    scope = "uz.south"
    token = await logged_in(house.store, role, now_ms=T0_MS, user_id="eve", scope=scope)
    wall = await logged_in(
        house.store, role, now_ms=T0_MS, user_id="kiosk:w", scope=scope, kind=Kind.KIOSK
    )
    calls = calls_of(house)
    assert len(calls) > 20
    async with client_of(house.api) as client:
        for number, (method, path) in enumerate(calls):
            right = RIGHTS[method, path]
            house.now_ms = T0_MS + number * 2_000  # within the limit of refusals
            url = path.replace("{unit_id}", "uz-0001").replace("{", "").replace("}", "")
            url = url.replace("/session/", f"/{'0' * 64}/").replace("user_id", "anna")
            headers = CHANGE | {"Idempotency-Key": "k"}
            mine = headers | {"Authorization": f"Bearer {token}"}
            walls = headers | {"Cookie": f"__Host-plomba={wall}"}
            if right.is_open:
                continue
            stranger = await client.request(method, url, json={}, headers=headers)
            assert stranger.status_code == 401, path
            if role not in right.roles:
                answer = await client.request(method, url, json={}, headers=mine)
                assert answer.status_code == 403, (path, answer.text)
                assert answer.json()["code"] == "not_allowed"
            if not right.kiosk:
                answer = await client.request(method, url, json={}, headers=walls)
                assert answer.status_code == 403, (path, answer.text)
    async with house.store.read() as connection:
        [unit] = (await connection.execute(select(schema.unit))).all()
        assert unit.scope == "uz.south"
        assert await people.accounts(connection) == []


def test_every_change_is_written_down() -> None:
    # asked with a body, and nothing is changed: labels of units, the faults of a draft
    asked = {"/api/v1/me/input", "/api/v1/units/labels", "/api/v1/fences/check"}
    for (method, path), right in RIGHTS.items():
        if method != "GET" and path not in asked:
            assert right.kept in (Kept.ACT, Kept.OWN), path
