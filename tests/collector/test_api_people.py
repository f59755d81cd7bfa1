"""People at the door: log-in, cookies, narrowing, the second factor, what is written down, and what the guard lets nobody do."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from starlette.datastructures import Headers

from collector.api.audit import Auditor
from collector.api.auth import form_token, secrets_of
from collector.api.guard import Front, missing_rights
from collector.api.porter import WAITING_MAX, Porter, Secret
from collector.people import Role
from collector.people.sessions import MINUTE_MS, SHIFT_MS, STEP_UP_MS, Kind
from collector.store import people, people_audit, schema
from collector.store.database import Store
from tests.collector.api_rig import (
    CHANGE,
    HASHER,
    PASSWORD,
    House,
    account,
    client_of,
    code_at,
    guard_of,
    logged_in,
)
from tests.collector.fleet import T0_MS

LOGIN, ME, UNITS = "/api/v1/login", "/api/v1/me", "/api/v1/units"
Json = dict[str, Any]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    store = await Store.open("sqlite://")
    await account(store, "anna", Role.OPERATOR, now_ms=T0_MS)
    await account(store, "olim", Role.OFFICER, now_ms=T0_MS)
    async with store.write() as connection:
        for unit_id, scope in (("uz-0001", "uz.south"), ("uz-0002", "uz.north")):
            await connection.execute(
                schema.unit.insert().values(unit_id=unit_id, enrolled_ms=T0_MS, scope=scope)
            )
    yield House(store)
    await store.close()


async def log_in(client: httpx.AsyncClient, user: str = "anna", **more: object) -> httpx.Response:
    body = {"user": user, "password": PASSWORD, **more}
    return await client.post(LOGIN, json=body, headers=CHANGE)


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


# log-in


async def test_who_is_not_logged_in_learns_nothing_but_that_it_lives(house: House) -> None:
    async with client_of(house.api) as client:
        for path in (UNITS, ME, "/api/v1/health", "/api/v1/openapi.json", "/api/v1/alerts"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (401, "not_logged_in"), path
        assert set((await client.get("/healthz")).json()) == {"ok", "build"}
    assert await house.acts() == []  # nobody did nothing


async def test_a_log_in_gives_a_cookie_that_no_script_and_no_other_site_can_use(
    house: House,
) -> None:
    async with client_of(house.api) as client:
        answer = await log_in(client)
        assert answer.status_code == 200, answer.text
        flags = answer.headers["set-cookie"].split("; ")
        assert flags[0].startswith("__Host-plomba=")
        assert len(flags[0]) >= len("__Host-plomba=") + 43  # 256 bits
        wanted = {"HttpOnly", "Path=/", "SameSite=strict", "Secure", f"Max-Age={SHIFT_MS // 1000}"}
        assert wanted == set(flags[1:])
        assert answer.json()["token"] is None
        me = (await client.get(ME, headers=cookie_of(answer))).json()
        assert (me["user"], me["role"], me["narrowed"]) == ("anna", "operator", False)
        assert len(me["warn_at"]) == 3
    assert await house.acts() == [("anna", "login", "user/anna")]


async def test_an_officers_cookie_comes_along_from_a_camera(house: House) -> None:
    async with client_of(house.api) as client:
        flags = (await log_in(client, "olim")).headers["set-cookie"]
    assert flags.startswith("__Host-plomba_o=")
    assert "SameSite=lax" in flags


async def test_a_bearer_gets_his_token_once_and_no_cookie(house: House) -> None:
    async with client_of(house.api) as client:
        answer = await log_in(client, token=True)
        assert "set-cookie" not in answer.headers
        token = answer.json()["token"]
    async with client_of(house.api, token=token) as client:
        assert (await client.get(ME)).json()["user"] == "anna"
    async with house.store.read() as connection:
        for table in (schema.session, schema.act):
            for row in await connection.execute(select(table)):
                assert token not in repr(row)


async def test_each_log_in_has_an_id_of_its_own(house: House) -> None:
    async with client_of(house.api) as client:
        fixed = {"Cookie": "__Host-plomba=chosen-by-somebody-else"}
        body = {"user": "anna", "password": PASSWORD}
        first = await client.post(LOGIN, json=body, headers=CHANGE | fixed)
        second = await log_in(client)
        assert "chosen-by-somebody-else" not in first.headers["set-cookie"]
        assert cookie_of(first) != cookie_of(second)
        assert (await client.get(ME, headers=fixed)).status_code == 401


async def test_whoever_fails_to_log_in_gets_one_answer(house: House) -> None:
    users = ("anna", "nobody", "os:root", "x" * 64, "an\x01na", "")
    async with client_of(house.api) as client:
        for user in users:
            body = {"user": user, "password": "not this one, friend"}
            answer = await client.post(LOGIN, json=body, headers=CHANGE)
            assert answer.status_code == 401
            assert answer.json() == {
                "type": "/problems/bad_login",
                "title": "Bad login",
                "status": 401,
                "detail": "user or password is wrong",
                "code": "bad_login",
            }
    acts = await house.acts()
    assert [who for who, _, _ in acts] == ["anna", "", "", "", "", ""]
    assert {act for _, act, _ in acts} == {"login_refused"}
    assert all(obj.isprintable() for _, _, obj in acts)


async def test_a34_guessing_is_slowed_by_account_and_by_address(house: House) -> None:
    async with client_of(house.api) as client:
        for _ in range(5):
            assert (await log_in(client)).status_code == 200
        slowed = await log_in(client)
        assert (slowed.status_code, slowed.headers["retry-after"]) == (429, "12")
        assert (await log_in(client, "olim")).status_code == 200  # nobody else waits
        house.now_ms += 12_000
        assert (await log_in(client)).status_code == 200
    async with client_of(house.api, address="10.0.0.9") as client:
        for number in range(20):
            body = {"user": f"user-{number}", "password": "guessed, not known"}
            assert (await client.post(LOGIN, json=body, headers=CHANGE)).status_code == 401
        assert (await log_in(client, "user-99")).status_code == 429


@dataclass
class Counting:
    """A hasher that says how many work at once."""

    at_once: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def holds(self, encoded: str | None, password: str) -> bool:
        with self.lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        held = HASHER.holds(encoded, password)
        with self.lock:
            self.at_once -= 1
        return held


async def test_a34_a_hundred_log_ins_at_once_reckon_on_as_many_cores_as_there_are(
    house: House,
) -> None:
    counting = Counting()
    house.porter._hasher = counting  # type: ignore[assignment]  # as much of one as a failing log-in asks

    async def one(number: int) -> int:
        async with client_of(house.api, address=f"10.0.0.{number}") as client:
            body = {"user": f"user-{number}", "password": "guessed, not known"}
            return (await client.post(LOGIN, json=body, headers=CHANGE)).status_code

    assert await asyncio.gather(*(one(number) for number in range(100))) == [401] * 100
    assert 1 <= counting.most <= (os.cpu_count() or 1)


async def test_a34_more_than_that_wait_elsewhere(house: House) -> None:
    house.porter._waiting = WAITING_MAX
    async with client_of(house.api) as client:
        answer = await log_in(client)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")


# the life of a session


async def test_a_session_ends_with_the_shift_and_at_log_out(house: House) -> None:
    async with client_of(house.api) as client:
        cookie = cookie_of(await log_in(client))
        answer = await client.post("/api/v1/logout", headers=CHANGE | cookie)
        assert answer.status_code == 204
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert (await client.get(ME, headers=cookie)).status_code == 401
        cookie = cookie_of(await log_in(client))
        house.now_ms += SHIFT_MS
        assert (await client.get(ME, headers=cookie)).status_code == 401


async def test_a_locked_user_and_a_changed_role_are_out_at_once(house: House) -> None:
    async with client_of(house.api) as client:
        cookie = cookie_of(await log_in(client))
        async with house.store.write() as connection:
            await people.give(connection, "anna", by="bob", now_ms=T0_MS, role=Role.AUDITOR)
        assert (await client.get(ME, headers=cookie)).status_code == 401
        cookie = cookie_of(await log_in(client))
        assert (await client.get(ME, headers=cookie)).json()["role"] == "auditor"
        async with house.store.write() as connection:
            await people.lock(connection, "anna", locked=True, by="bob", now_ms=T0_MS)
        assert (await client.get(ME, headers=cookie)).status_code == 401
        assert (await log_in(client)).json()["code"] == "bad_login"


async def test_a33_a_stream_hears_of_the_end_of_its_session_at_once(house: House) -> None:
    porter = house.porter
    async with client_of(house.api) as client:
        cookie = cookie_of(await log_in(client))
        held = await porter.find(secrets_of(Headers(cookie), ME), house.now_ms)
        assert held is not None
        ended = porter.ended(held.actor)
        assert await porter.stands(held.actor)
        await client.post("/api/v1/logout", headers=CHANGE | cookie)
        assert ended.is_set()
        assert not await porter.stands(held.actor)


async def test_what_another_process_ends_is_found_in_one_look(house: House) -> None:
    porter = house.porter
    async with client_of(house.api) as client:
        cookies = [cookie_of(await log_in(client)), cookie_of(await log_in(client, "olim"))]
        helds = [await porter.find(secrets_of(Headers(one), "/o/"), T0_MS) for one in cookies]
        events = [porter.ended(held.actor) for held in helds if held is not None]
        await porter.tell_ended()
        assert [event.is_set() for event in events] == [False, False]
        async with (
            house.store.write() as connection
        ):  # as the command line does, in the store itself
            await people.lock(connection, "anna", locked=True, by="os:root", now_ms=T0_MS)
        await porter.tell_ended()
        assert [event.is_set() for event in events] == [True, False]
        assert (await client.get(ME, headers=cookies[0])).status_code == 401


async def test_an_untouched_session_narrows_and_the_password_widens_it(house: House) -> None:
    async with client_of(house.api) as client:
        cookie = cookie_of(await log_in(client))
        for _ in range(3):  # a screen that looks by itself is no input
            house.now_ms += 10 * MINUTE_MS
            assert (await client.get(UNITS, headers=cookie)).status_code == 200
        assert (await client.get(ME, headers=cookie)).json()["narrowed"]
        answer = await client.get(f"{UNITS}/uz-0001", headers=cookie)
        assert (answer.status_code, answer.json()["code"]) == (403, "narrowed")
        assert (await client.get(UNITS, headers=cookie)).status_code == 200
        wrong = {"password": "not this one, friend"}
        widen = "/api/v1/me/widen"
        answer = await client.post(widen, json=wrong, headers=CHANGE | cookie)
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_password")
        answer = await client.post(widen, json={"password": PASSWORD}, headers=CHANGE | cookie)
        assert not answer.json()["narrowed"]
        assert (await client.get(f"{UNITS}/uz-0001", headers=cookie)).status_code == 200


async def test_input_keeps_a_session_wide(house: House) -> None:
    async with client_of(house.api) as client:
        cookie = cookie_of(await log_in(client))
        for _ in range(4):
            house.now_ms += 29 * MINUTE_MS
            answer = await client.post("/api/v1/me/input", headers=CHANGE | cookie)
            assert answer.status_code == 204
        assert not (await client.get(ME, headers=cookie)).json()["narrowed"]


async def test_a_code_of_the_second_factor_counts_for_five_minutes_and_once(house: House) -> None:
    async with client_of(house.api) as client:
        cookie = cookie_of(await log_in(client))
        code = {"code": code_at(house.now_ms)}
        answer = await client.post("/api/v1/step-up", json=code, headers=CHANGE | cookie)
        assert answer.status_code == 200, answer.text
        assert answer.json()["stepped_up_until"] is not None
        again = await client.post("/api/v1/step-up", json=code, headers=CHANGE | cookie)
        assert (again.status_code, again.json()["code"]) == (422, "bad_factor")
        for _ in range(3):
            await client.post("/api/v1/step-up", json={"code": "000000"}, headers=CHANGE | cookie)
        slowed = await client.post("/api/v1/step-up", json=code, headers=CHANGE | cookie)
        assert slowed.status_code == 429
        assert STEP_UP_MS == 5 * MINUTE_MS
    assert ("anna", "step_up", "user/anna") in await house.acts()


async def test_another_password_ends_the_other_sessions(house: House) -> None:
    async with client_of(house.api) as client:
        other, mine = cookie_of(await log_in(client)), cookie_of(await log_in(client))
        path = "/api/v1/me/password"
        bad = {"old": PASSWORD, "new": "password1234"}
        answer = await client.post(path, json=bad, headers=CHANGE | mine)
        assert (answer.status_code, answer.json()["code"]) == (422, "password_common")
        good = {"old": PASSWORD, "new": "nine loud geese at dawn"}
        answer = await client.post(path, json=good, headers=CHANGE | mine)
        assert answer.status_code == 204, answer.text
        assert (await client.get(ME, headers=mine)).status_code == 200
        assert (await client.get(ME, headers=other)).status_code == 401
        assert (await log_in(client)).status_code == 401


async def test_a_one_time_code_sets_an_account_up_once(house: House) -> None:
    async with house.store.write() as connection:
        await people.add_account(
            connection,
            user_id="bob",
            name="",
            role=Role.ADMIN,
            scope="",
            desk="",
            by="",
            now_ms=T0_MS,
        )
        await people.set_up_anew(connection, "bob", "the code", by="", now_ms=T0_MS)
    async with client_of(house.api) as client:

        async def set_up(code: str, password: str) -> httpx.Response:
            body = {"code": code, "password": password}
            return await client.post("/api/v1/setup", json=body, headers=CHANGE)

        assert (await log_in(client, "bob")).status_code == 401  # no default password
        assert (await set_up("a guess", PASSWORD)).status_code == 401
        assert (await set_up("the code", "admin1234567")).status_code == 422
        made = await set_up("the code", PASSWORD)
        assert made.json()["user"] == "bob"
        assert made.json()["totp_uri"].startswith("otpauth://totp/Plomba%3Abob?secret=")
        assert (await set_up("the code", PASSWORD)).status_code == 401
        assert (await log_in(client, "bob")).status_code == 200
        async with house.store.write() as connection:
            await people.set_up_anew(connection, "bob", "another", by="", now_ms=T0_MS)
        assert (await log_in(client, "bob")).status_code == 401
        house.now_ms += people.SETUP_MS
        assert (await set_up("another", PASSWORD)).status_code == 401


# who sees what


async def test_a27_a_foreign_unit_is_not_there_and_the_look_is_written_down(house: House) -> None:
    token = await logged_in(house.store, Role.OPERATOR, now_ms=T0_MS, scope="uz.south")
    async with client_of(house.api, token=token) as client:
        listed = (await client.get(UNITS)).json()["units"]
        assert [row["unit"] for row in listed] == ["uz-0001"]
        assert (await client.get(f"{UNITS}/uz-0001")).status_code == 200
        foreign, none = [await client.get(f"{UNITS}/{one}") for one in ("uz-0002", "uz-0099")]
        assert foreign.status_code == none.status_code == 404
        assert foreign.json()["code"] == none.json()["code"]
        for more in ("track", "orders", "configs"):
            assert (await client.get(f"{UNITS}/uz-0002/{more}")).status_code == 404
        assert (await client.get("/api/v1/health")).json()["units"] == 1
        answer = await client.get("/api/v1/refusals")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_whole")
    assert ("os:test", "refused", "unit/uz-0002") in await house.acts()


async def test_every_look_at_a_track_is_written_down_and_other_looks_are_counted(
    house: House,
) -> None:
    token = await logged_in(house.store, Role.AUDITOR, now_ms=T0_MS, user_id="vera")
    async with client_of(house.api, token=token) as client:
        for _ in range(2):
            assert (await client.get(f"{UNITS}/uz-0001/track?from=0")).status_code == 200
            assert (await client.get(UNITS)).status_code == 200
        seen = (await client.get("/api/v1/audit?what=reads")).json()["rows"]
        assert [(row["by"], row["act"], row["obj"]) for row in seen] == [
            ("vera", "track", "unit/uz-0001")
        ] * 2
        assert seen[0]["scope"] == "uz.south"
        assert seen[0]["detail"] == "from=0"
    auditor = guard_of(house.api)["auditor"]
    assert isinstance(auditor, Auditor)
    await auditor.flush()
    async with house.store.read() as connection:
        rolled = await people_audit.rolls(connection, 0, T0_MS * 2)
    assert {(row.who, row.obj, row.times) for row in rolled} >= {("vera", f"GET {UNITS}", 2)}


async def test_what_may_not_be_looked_at_is_an_act(house: House) -> None:
    token = await logged_in(house.store, Role.ADMIN, now_ms=T0_MS, user_id="bob")
    async with client_of(house.api, token=token) as client:
        answer = await client.get(f"{UNITS}/uz-0001/track")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert await house.acts() == [("bob", "refused", "unit/uz-0001")]


async def test_refusals_fill_no_disk(house: House) -> None:
    token = await logged_in(house.store, Role.ADMIN, now_ms=T0_MS)
    async with client_of(house.api, token=token) as client:
        statuses = [(await client.get(UNITS)).status_code for _ in range(40)]
    assert statuses == [403] * 30 + [429] * 10
    assert len(await house.acts()) == 30


@pytest.mark.long
async def test_a_store_that_takes_nothing_darkens_no_screen_and_shows_nothing_unwritten(
    tmp_path: Path,
) -> None:
    store = await Store.open(f"sqlite:///{tmp_path / 'collector.db'}")
    house = House(store)
    await store.add_unit("uz-0001", bytes(range(32)), now_ms=T0_MS)
    async with store.write() as connection:
        writer = (await connection.get_raw_connection()).driver_connection
    assert writer is not None

    async def writable(word: str) -> None:
        await writer.execute(f"pragma query_only = {word}")

    token = await logged_in(house.store, Role.SUPERVISOR, now_ms=T0_MS)
    async with client_of(house.api, token=token) as client:
        await writable("on")
        for _ in range(4):
            house.now_ms += (
                MINUTE_MS  # the counts and who sits there are due to be written each time
            )
            assert (await client.get(UNITS)).status_code == 200
        track = await client.get(f"{UNITS}/uz-0001/track", params={"from": 0, "to": T0_MS})
        assert (track.status_code, track.json()["code"]) == (503, "store_down")
        assert track.headers["Retry-After"] == "10"
        await writable("off")
        house.now_ms += MINUTE_MS
        assert (await client.get(UNITS)).status_code == 200
    async with house.store.read() as connection:
        rolled = await people_audit.rolls(connection, 0, T0_MS * 2)
    assert [(one.obj, one.times) for one in rolled] == [("GET /api/v1/units", 5)]
    await store.close()


async def test_the_audit_shows_each_reader_what_is_his(house: House) -> None:
    async with house.store.write() as connection:
        for who, theirs, where in (
            ("anna", Role.OPERATOR, "uz.south.guzor"),
            ("boris", Role.OPERATOR, "uz.north"),
            ("bob", Role.ADMIN, ""),
            ("vera", Role.OFFICER, "uz.south"),
        ):
            act = people_audit.Act(
                at_ms=T0_MS, who=who, role=theirs.value, act="x", obj="y", scope=where
            )
            await people_audit.note_act(connection, act)
    for role, scope, seen in (
        (Role.AUDITOR, "", {"anna", "boris", "bob", "vera"}),
        (Role.SUPERVISOR, "uz.south", {"anna", "vera"}),
        (Role.OPERATOR, "", {"vera"}),
        (Role.OFFICER, "", {"vera"}),
        (Role.ADMIN, "", {"bob", "vera"}),
    ):
        token = await logged_in(house.store, role, now_ms=T0_MS, user_id="vera", scope=scope)
        async with client_of(house.api, token=token) as client:
            page = (await client.get("/api/v1/audit?limit=1")).json()
            rows = page["rows"]
            while page["more"]:
                page = (await client.get(f"/api/v1/audit?limit=1&after={page['more']}")).json()
                rows += page["rows"]
        assert {row["by"] for row in rows} == seen, role
        assert [row["number"] for row in rows] == sorted(
            (row["number"] for row in rows), reverse=True
        )


async def test_the_audit_is_asked_by_person_act_object_and_time_and_counts_other_looks(
    house: House,
) -> None:
    async with house.store.write() as connection:
        for at_ms, act, obj in (
            (T0_MS, "desk", "desk/a1"),
            (T0_MS + 10, "desk", "desk/a2"),
            (T0_MS + 20, "user-lock", "user/anna"),
        ):
            row = people_audit.Act(at_ms=at_ms, who="bob", role="admin", act=act, obj=obj)
            await people_audit.note_act(connection, row)
        hours = [
            people_audit.Rolled(hour_ms=hour * 3_600_000, who=who, obj=obj, times=3)
            for hour in (1, 2)
            for who, obj in (("anna", "GET /a"), ("bob", "GET /b"))
        ]
        await people_audit.roll(connection, hours)
    token = await logged_in(house.store, Role.AUDITOR, now_ms=T0_MS, user_id="vera")

    async def rows(query: str, token: str = token) -> list[tuple[str, str]]:
        async with client_of(house.api, token=token) as client:
            answer = await client.get(f"/api/v1/audit?{query}")
        assert answer.status_code == 200, answer.text
        return [(row["by"], row["obj"]) for row in answer.json()["rows"]]

    assert await rows("act=desk") == [("bob", "desk/a2"), ("bob", "desk/a1")]
    assert await rows("obj=user/") == [("bob", "user/anna")]
    assert await rows("obj=%25") == []  # a sign of the store's own means itself
    assert await rows(f"from={T0_MS + 10}&to={T0_MS + 20}") == [("bob", "desk/a2")]
    assert await rows("by=anna") == []
    looked = [("anna", "GET /a"), ("bob", "GET /b")]
    assert await rows("what=rolls") == looked * 2
    assert await rows("what=rolls&limit=1&after=1") == [looked[1]]
    assert await rows("what=rolls&from=7200000&by=anna") == [looked[0]]
    own = await logged_in(house.store, Role.SUPERVISOR, now_ms=T0_MS, user_id="bob")
    assert await rows("what=rolls", own) == [looked[1]] * 2


async def test_the_audit_leaves_as_a_file_by_who_has_shown_a_second_factor_and_is_kept(
    house: House,
) -> None:
    async with house.store.write() as connection:
        act = people_audit.Act(at_ms=T0_MS, who="=1+1", role="x", act="x", obj="y, z")
        await people_audit.note_act(connection, act)
    plain = await logged_in(house.store, Role.AUDITOR, now_ms=T0_MS, user_id="vera")
    async with client_of(house.api, token=plain) as client:
        answer = await client.get("/api/v1/audit.csv")
        assert (answer.status_code, answer.json()["code"]) == (403, "step_up")
    shown = await logged_in(house.store, Role.AUDITOR, now_ms=T0_MS, user_id="vera", step_up=True)
    async with client_of(house.api, token=shown) as client:
        answer = await client.get("/api/v1/audit.csv?obj=y")
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.text.splitlines()[1].endswith(',\'=1+1,x,x,"y, z",,,')
        [kept] = (await client.get("/api/v1/audit?what=reads")).json()["rows"]
        assert (kept["act"], kept["obj"], kept["detail"]) == ("export", "audit.csv", "obj=y")
    theirs = await logged_in(house.store, Role.ADMIN, now_ms=T0_MS, user_id="bob", step_up=True)
    async with client_of(house.api, token=theirs) as client:
        assert (await client.get("/api/v1/audit.csv")).status_code == 403


# the guard


async def test_a33_a_change_comes_from_our_own_page(house: House) -> None:
    async with client_of(house.api) as client:
        cookie = cookie_of(await log_in(client))
        good = [
            CHANGE,
            {"Origin": "http://127.0.0.1", "X-Plomba": "1"},
        ]
        bad = [
            {},
            {"X-Plomba": "1"},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "same-site", "X-Plomba": "1"},
            {"Sec-Fetch-Site": "cross-site", "X-Plomba": "1"},
            {"Sec-Fetch-Site": "none", "X-Plomba": "1"},
            {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1", "X-Plomba": "1"},
            {"Origin": "http://evil.example", "X-Plomba": "1"},
            {"Origin": "null", "X-Plomba": "1"},
            {"Origin": "https://127.0.0.1", "X-Plomba": "1"},
        ]
        for headers in good:
            answer = await client.post("/api/v1/me/input", headers=cookie | headers)
            assert answer.status_code == 204, headers
        for headers in bad:
            answer = await client.post("/api/v1/me/input", headers=cookie | headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site"), headers
        body = {"user": "anna", "password": PASSWORD}
        assert (
            await client.post(LOGIN, json=body)
        ).status_code == 403  # nobody is logged in as another
        answer = await client.get(ME, headers=cookie | {"Origin": "http://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_forms_token_is_of_no_use_to_another_session() -> None:
    assert form_token("one") != form_token("two")
    assert len(form_token("one")) == 64


async def test_a_form_of_more_fields_than_any_of_ours_is_refused_and_no_fault(house: House) -> None:
    async with client_of(house.api) as client:
        answer = await client.post(
            "/o/login",
            content="&".join(f"field{number}=1" for number in range(101)),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/api/v1/login", {"content": rb'{"user": "anna\u0000", "password": "x"}'}),
        ("/api/v1/login", {"content": b'{"user": "anna\0"}'}),
        ("/o/login", {"content": b"user=anna%00&password=x"}),
        ("/o/login?next=%00", {"content": b"user=anna"}),
        ("/api/v1/admin/users/a%00b/lock", {"content": b"{}"}),
    ],
)
async def test_a_text_with_a_nul_reaches_no_store(
    house: House, path: str, sent: dict[str, bytes]
) -> None:
    async with client_of(house.api) as client:
        answer = await client.post(path, headers=CHANGE, **sent)  # type: ignore[arg-type]  # as httpx names them
    assert (answer.status_code, answer.json()["code"]) == (400, "nul")


async def test_a34_who_owns_a_network_of_addresses_is_still_one(house: House) -> None:
    answers = []
    for at in range(40):
        wrong = {"user": f"nobody{at}", "password": "x"}
        async with client_of(house.api, address=f"2001:db8:1:2::{at:x}") as client:
            answers.append((await client.post(LOGIN, json=wrong, headers=CHANGE)).status_code)
    assert (answers[0], answers[-1]) == (401, 429)
    async with client_of(house.api, address="2001:db8:1:3::1") as client:
        neighbour = await client.post(LOGIN, json={"user": "x", "password": "x"}, headers=CHANGE)
    assert neighbour.status_code == 401


async def test_a26_what_is_too_much_is_refused_before_it_is_read(house: House) -> None:
    many = {f"X-{number}": "1" for number in range(101)}
    cases: list[tuple[dict[str, str], bytes, int, str]] = [
        ({"Content-Encoding": "gzip"}, b"{}", 415, "encoded_body"),
        ({}, b"x" * 65_537, 413, "too_large"),
        ({"Content-Length": "200000000"}, b"{}", 413, "too_large"),
        (many, b"{}", 431, "too_many_headers"),
    ]
    async with client_of(house.api) as client:
        for headers, content, status, code in cases:
            answer = await client.post(LOGIN, content=content, headers=CHANGE | headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_body_without_a_length_is_bounded_too(house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 10_000

    async with client_of(house.api) as client:
        answer = await client.post(LOGIN, content=endless(), headers=CHANGE)
    assert answer.status_code == 413


async def test_every_answer_bears_the_headers(house: House) -> None:
    async with client_of(house.api) as client:
        for path in ("/healthz", UNITS, "/o/", "/api/v1/nothing", ME):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-opener-policy"] == "same-origin"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["strict-transport-security"].startswith("max-age=")
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; ")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert ("nonce-" in policy) == (path == "/o/")
            assert ("camera=(self)" in headers["permissions-policy"]) == (path == "/o/")


async def test_one_session_asks_twenty_times_a_second_and_slows_nobody_else(house: House) -> None:
    one, two = [
        await logged_in(house.store, now_ms=T0_MS, user_id=user) for user in ("os:one", "os:two")
    ]
    async with client_of(house.api, token=one) as client, client_of(house.api, token=two) as other:
        statuses = [(await client.get(ME)).status_code for _ in range(61)]
        assert statuses == [200] * 60 + [429]
        assert (await client.get(ME)).headers["retry-after"] == "1"
        assert (await other.get(ME)).status_code == 200
        house.now_ms += 50
        assert (await client.get(ME)).status_code == 200


async def test_a_wall_only_looks(house: House) -> None:
    token = await logged_in(house.store, Role.OPERATOR, now_ms=T0_MS, kind=Kind.KIOSK)
    cookie = {"Cookie": f"__Host-plomba={token}"}
    async with client_of(house.api) as client:
        for path in (UNITS, "/api/v1/alerts", "/api/v1/health", ME):
            assert (await client.get(path, headers=cookie)).status_code == 200, path
        for path in (f"{UNITS}/uz-0001", f"{UNITS}/uz-0001/track", "/api/v1/audit"):
            answer = await client.get(path, headers=cookie)
            assert (answer.status_code, answer.json()["code"]) == (403, "read_only_session"), path


async def test_behind_a_proxy_its_word_counts_and_nobody_elses(house: House) -> None:
    front = Front(names=("plomba.example",), proxies=("10.0.0.1",), only_proxies=True)
    api = house.build(front)
    told = {"Host": "plomba.example", "X-Forwarded-For": "1.2.3.4, 10.9.9.9"}
    async with client_of(api, address="10.0.0.2") as client:
        answer = await client.get("/healthz", headers=told)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_by_proxy")
    async with client_of(api, address="10.0.0.1") as client:
        headers = told | CHANGE | {"X-Forwarded-Proto": "https"}
        body = {"user": "anna", "password": PASSWORD}
        answer = await client.post(LOGIN, json=body, headers=headers)
        assert answer.status_code == 200
        mine = cookie_of(answer) | {"Host": "plomba.example", "X-Forwarded-Proto": "https"}
        mine |= {"Origin": "https://plomba.example", "X-Plomba": "1"}
        assert (await client.post("/api/v1/me/input", headers=mine)).status_code == 204
    async with house.store.read() as connection:
        [row] = await people.sessions(connection, house.now_ms)
        assert row[1] == "10.9.9.9"


def test_a_route_that_nobody_has_said_who_may_ask_stops_the_start(house: House) -> None:
    @house.api.post("/api/v1/new")
    async def new() -> None: ...

    assert missing_rights(house.api) == ["POST /api/v1/new"]


async def test_a_session_too_many_ends_the_oldest(house: House) -> None:
    async with client_of(house.api) as client:
        cookies = []
        for number in range(21):
            house.now_ms = T0_MS + number * 12_000
            cookies.append(cookie_of(await log_in(client)))
        stands = [(await client.get(ME, headers=cookie)).status_code for cookie in cookies]
        assert stands == [401] + [200] * 20


async def test_streams_that_join_while_ended_sessions_are_looked_for_disturb_nobody(
    house: House,
) -> None:
    porter = Porter(house.store, lambda: T0_MS, hasher=HASHER)
    standing = await logged_in(house.store, Role.OPERATOR, now_ms=T0_MS, user_id="os:a")
    held = await porter.find([Secret(text=standing, is_bearer=True)], T0_MS)
    assert held is not None
    gone = [replace(held.actor, session=f"{number:064x}") for number in range(8)]
    watched = [porter.ended(actor) for actor in (held.actor, *gone)]

    async def join() -> None:
        for number in range(200):
            porter.ended(replace(held.actor, session=f"{1_000 + number:064x}"))
            await asyncio.sleep(0)

    await asyncio.gather(porter.tell_ended(), join())
    assert [event.is_set() for event in watched] == [False, *[True] * 8]
