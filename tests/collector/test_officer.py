"""The officer's page in one process over a real store: one field, one answer, two reports, nothing kept by a browser."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from collector.alerts import Act, Event
from collector.api.officer import _back
from collector.api.reads import Live, StoreReads
from collector.people import Role
from collector.people.sessions import Kind
from collector.store import JourneyRow, alert_acts, schema
from collector.store.alert_acts import Acted
from collector.store.database import Store
from collector.store.feed import newest_feed
from collector.store.people import set_unit_scope
from tests.collector.api_rig import PASSWORD, account, client_of, logged_in, served
from tests.collector.fleet import FleetUnit
from tests.collector.test_standing import CLOSED, CUT, MRN, SEAL, Post
from tests.wire.keys import private_key
from wire import handover

OURS = {"Sec-Fetch-Site": "same-origin"}


@dataclass(slots=True, kw_only=True)
class Road:
    """An officer, a phone, a truck, a centre."""

    post: Post
    api: FastAPI
    phones: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def now_ms(self) -> int:
        return self.post.centre.now_ms

    def phone(self) -> httpx.AsyncClient:
        """A phone that nobody is logged in with."""
        client = client_of(self.api)
        client.headers.update({"Accept-Language": "en", "Accept": "text/html,*/*;q=0.8"})
        self.phones.append(client)
        return client

    async def officer(
        self, role: Role = Role.OFFICER, scope: str = "", who: str = "officer-12"
    ) -> httpx.AsyncClient:
        kind, name = (Kind.OFFICER, "__Host-plomba_o")
        if role is not Role.OFFICER:
            kind, name = (Kind.CONSOLE, "__Host-plomba")
        secret = await logged_in(
            self.post.store,
            role,
            now_ms=self.post.centre.now_ms,
            user_id=who,
            scope=scope,
            kind=kind,
        )
        client = self.phone()
        client.headers["Cookie"] = f"{name}={secret}"
        return client

    async def in_order(self) -> None:
        """A truck that is green."""
        await self.post.begin(tractor="01A123BC", seals=(SEAL,))
        await self.post.says(CLOSED)


@pytest.fixture
async def road() -> AsyncIterator[Road]:
    async with await Store.open("sqlite://") as store:
        post = Post(store)
        live = Live(build="7", broker_kind="embedded", started_ms=0)
        now_ms = lambda: post.centre.now_ms  # noqa: E731  # a clock
        api = served(store, StoreReads(store.readers, live, now_ms), now_ms)
        made = Road(post=post, api=api)
        yield made
        for phone in made.phones:
            await phone.aclose()


def colour(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    [found] = re.findall(r'<section class="v (\w+)"', page.text)
    return str(found)


def fields(page: httpx.Response, action: str = "/o/report") -> dict[str, str]:
    """Of a form, as a browser would send them."""
    [form] = re.findall(rf'<form[^>]*action="{action}".*?</form>', page.text, re.DOTALL)
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in found}


# one field, one answer


async def test_one_number_gives_one_answer_that_no_browser_keeps(road: Road) -> None:
    await road.in_order()
    phone = await road.officer()
    page = await phone.get("/o/s", params={"q": "01 а 123 вс"})
    assert colour(page) == "green"
    assert "Searched for 01A123BC" in page.text
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    [nonce] = re.findall(r'<style nonce="([^"]+)"', page.text)
    assert f"'nonce-{nonce}'" in policy
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert page.headers["permissions-policy"] == "camera=(self)"
    again = await phone.get("/o/s", params={"q": "01A123BC"})
    assert nonce not in again.text


@pytest.mark.long
@pytest.mark.parametrize(
    ("site", "coding"),
    [("same-origin", "gzip"), ("none", "gzip"), ("cross-site", None), ("", None)],
)
async def test_a_page_is_packed_but_not_at_another_sites_wish(
    road: Road, site: str, coding: str | None
) -> None:
    await road.in_order()
    phone = await road.officer()
    said = {"Accept-Encoding": "gzip, br", **({"Sec-Fetch-Site": site} if site else {})}
    page = await phone.get("/o/s", params={"q": SEAL}, headers=said)
    assert page.headers.get("content-encoding") == coding
    assert colour(page) == "green"
    assert page.headers["cache-control"] == "no-store"  # no cache has to know what it varies with
    plain = await phone.get("/o/", headers={"Accept-Encoding": "identity", **OURS})
    assert "content-encoding" not in plain.headers


async def test_what_the_seal_says_is_what_the_officer_sees(road: Road) -> None:
    await road.in_order()
    phone = await road.officer()
    assert colour(await phone.get("/o/s", params={"q": SEAL})) == "green"
    await road.post.says(CUT)
    page = await phone.get("/o/s", params={"q": SEAL})
    assert colour(page) == "red"
    assert f"Seal {SEAL}: rope cut" in page.text
    road.post.centre.now_ms += 20 * 60_000
    assert colour(await phone.get("/o/s", params={"q": SEAL})) == "red"  # old, and no better


async def test_old_data_are_grey(road: Road) -> None:
    await road.in_order()
    phone = await road.officer()
    road.post.centre.now_ms += 16 * 60_000
    assert colour(await phone.get("/o/s", params={"unit": "uz-0042"})) == "grey"


async def test_several_trucks_are_a_list_and_none_is_grey(road: Road) -> None:
    await road.in_order()
    other = FleetUnit(unit_id="uz-0043")
    await road.post.centre.enrol(other)
    await road.post.store.add_journey(
        JourneyRow(id="J2", unit_id="uz-0043", since_ms=0, tractor="01A123BC")
    )
    phone = await road.officer()
    page = await phone.get("/o/s", params={"q": "01A123BC"})
    assert "2 trucks" in page.text
    links = [unescape(one) for one in re.findall(r'href="(/o/s\?unit=[^"]+)"', page.text)]
    assert sorted(links) == ["/o/s?unit=uz-0042&lang=en", "/o/s?unit=uz-0043&lang=en"]
    assert colour(await phone.get(min(links))) == "amber"
    assert colour(await phone.get("/o/s", params={"q": "77X777XX"})) == "grey"


@pytest.mark.parametrize(
    ("typed", "word"), [("a", "at least three"), ("01Ж123BC", "sign"), ("1" * 65, "longer")]
)
async def test_what_no_number_can_be_is_said_above_the_box(
    road: Road, typed: str, word: str
) -> None:
    page = await (await road.officer()).get("/o/s", params={"q": typed})
    assert page.status_code == 422
    assert word in page.text
    assert f'value="{typed}"' in page.text


async def test_a_wrong_check_digit_is_said_and_not_refused(road: Road) -> None:
    await road.post.begin(containers=("MSKU9070324",))
    page = await (await road.officer()).get("/o/s", params={"q": "MSKU9070324"})
    assert "check digit" in page.text
    assert "uz-0042" in page.text


async def test_the_form_is_there_in_three_languages(road: Road) -> None:
    phone = await road.officer()
    for language, word in (("uz", "TEKSHIRISH"), ("ru", "ПРОВЕРИТЬ"), ("en", "CHECK")):
        page = await phone.get("/o/", params={"lang": language})
        assert f'<html lang="{language}"' in page.text
        assert word in page.text
    assert (await phone.get("/o")).headers["location"] == "/o/"


# who


async def test_a_stranger_is_sent_to_log_in_and_comes_back_to_what_he_asked(road: Road) -> None:
    await road.in_order()
    await account(road.post.store, "officer-12", Role.OFFICER, now_ms=road.post.centre.now_ms)
    phone = road.phone()
    sent = await phone.get("/o/s", params={"q": SEAL})
    assert sent.status_code == 303
    page = await phone.get(sent.headers["location"])
    form = fields(page, "/o/login")
    assert form["next"] == f"/o/s?q={SEAL}"
    wrong = await phone.post(
        "/o/login", data={**form, "user": "officer-12", "password": "no"}, headers=OURS
    )
    assert wrong.status_code == 401
    assert "do not fit" in wrong.text
    assert fields(wrong, "/o/login")["next"] == form["next"]
    right = await phone.post(
        "/o/login", data={**form, "user": "officer-12", "password": PASSWORD}, headers=OURS
    )
    assert (right.status_code, right.headers["location"]) == (303, f"/o/s?q={SEAL}&lang=en")
    cookie = right.headers["set-cookie"]
    assert cookie.startswith("__Host-plomba_o=")
    for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert word.lower() in cookie.lower()


async def test_another_sites_page_logs_nobody_in(road: Road) -> None:
    await account(road.post.store, "officer-12", Role.OFFICER, now_ms=road.post.centre.now_ms)
    said = {"user": "officer-12", "password": PASSWORD}
    crossed = await road.phone().post(
        "/o/login", data=said, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert crossed.status_code == 403


async def test_who_tries_too_often_waits(road: Road) -> None:
    phone = road.phone()
    answers = [
        await phone.post("/o/login", data={"user": "officer-12", "password": "x"}, headers=OURS)
        for _ in range(8)
    ]
    assert answers[-1].status_code == 429
    assert "wait a minute" in answers[-1].text
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_log_out_ends_the_session(road: Road) -> None:
    phone = await road.officer()
    form = fields(await phone.get("/o/"), "/o/logout")
    bare = await phone.post("/o/logout", data={"lang": "en"}, headers=OURS)
    assert bare.status_code == 403  # without the token of the session
    done = await phone.post("/o/logout", data=form, headers=OURS)
    assert (done.status_code, done.headers["location"]) == (303, "/o/login?lang=en")
    assert (await phone.get("/o/")).status_code == 303


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (Role.OFFICER, 200),
        (Role.OPERATOR, 200),
        (Role.SUPERVISOR, 200),
        (Role.AUDITOR, 403),
        (Role.ADMIN, 403),
    ],
)
async def test_verdicts_are_for_officers_and_the_control_room(
    road: Road, role: Role, status: int
) -> None:
    await road.in_order()
    phone = await road.officer(role)
    page = await phone.get("/o/s", params={"q": SEAL})
    assert page.status_code == status
    assert ('action="/o/report"' in page.text) == (role is Role.OFFICER)


async def test_a_truck_of_another_scope_is_not_known(road: Road) -> None:
    await road.in_order()
    async with road.post.store.write() as connection:
        await set_unit_scope(connection, "uz-0042", "uz.north")
    south, north = await road.officer(scope="uz.south"), await road.officer(scope="uz.north")
    for query in ({"q": SEAL}, {"unit": "uz-0042"}):
        page = await south.get("/o/s", params=query)
        assert colour(page) == "grey"
        assert "01A123BC" not in page.text
        assert colour(await north.get("/o/s", params=query)) == "green"
    code = code_of(road.post)
    assert colour(await south.get(f"/o/h/{code}")) == "grey"
    form = fields(await north.get("/o/s", params={"q": SEAL}))
    token = fields(await south.get("/o/"), "/o/logout")["csrf"]
    stray = await south.post(
        "/o/report",
        data={**form, "csrf": token, "what": "differs"},
        headers={**OURS, "X-Plomba": "1"},
    )
    assert stray.status_code == 404


@pytest.mark.parametrize(
    ("then", "there"),
    [
        ("/o/s?q=1", "/o/s?q=1&lang=en"),
        ("/o/s?q=1&lang=ru", "/o/s?q=1&lang=ru"),
        ("/O/H/ABC", "/O/H/ABC?lang=en"),
        ("", "/o/?lang=en"),
        ("https://evil.example/o/", "/o/?lang=en"),
        ("//evil.example/o/", "/o/?lang=en"),
        ("/\\evil.example/o/", "/o/?lang=en"),
        ("/api/v1/units", "/o/?lang=en"),
        ("/o/login", "/o/?lang=en"),
        ("/o/../api", "/o/?lang=en"),
    ],
)
def test_after_log_in_one_comes_to_a_page_of_ours(then: str, there: str) -> None:
    assert _back(then, "en") == there


# two reports


async def test_a_report_is_written_once_and_shown_to_the_next_officer(road: Road) -> None:
    await road.in_order()
    phone = await road.officer()
    page = await phone.get("/o/s", params={"q": SEAL})
    form = {**fields(page), "what": "differs"}
    done = await phone.post("/o/report", data=form, headers=OURS)
    assert (done.status_code, done.headers["location"]) == (303, "/o/s?unit=uz-0042&lang=en")
    assert (await phone.post("/o/report", data=form, headers=OURS)).status_code == 303
    async with road.post.store.read() as connection:
        [row] = (await connection.execute(select(schema.officer_report))).all()
    assert (row.who, row.journey, row.matches, row.seen) == ("officer-12", MRN, False, "green")
    other = await road.officer(who="officer-13")
    page = await other.get("/o/s", params={"q": SEAL})
    assert colour(page) == "red"
    assert "An officer has reported" in page.text
    road.post.centre.now_ms += 1_000
    form = {**fields(await other.get("/o/s", params={"q": SEAL})), "what": "matches"}
    await other.post("/o/report", data=form, headers=OURS)
    page = await phone.get("/o/s", params={"q": SEAL})
    assert (
        colour(page) == "red"
    )  # what began by a word at the roadside is ended by two at the centre
    assert "An officer has reported" not in page.text


async def report(road: Road, phone: httpx.AsyncClient, what: str) -> dict[str, str]:
    road.post.centre.now_ms += 1_000
    form = {**fields(await phone.get("/o/s", params={"q": SEAL})), "what": what}
    assert (await phone.post("/o/report", data=form, headers=OURS)).status_code == 303
    return form


async def alerts(road: Road, room: httpx.AsyncClient) -> list[dict[str, Any]]:
    found = await room.get("/api/v1/alerts", params={"view": "all"})
    rows: list[dict[str, Any]] = found.json()["rows"]
    return rows


async def test_an_officer_who_sees_another_seal_is_heard_at_the_centre(road: Road) -> None:
    await road.in_order()
    phone, room = await road.officer(), await road.officer(Role.SUPERVISOR, who="chief")
    before = await newest(road)
    await report(road, phone, "matches")
    assert await alerts(road, room) == []
    form = await report(road, phone, "differs")
    assert (await phone.post("/o/report", data=form, headers=OURS)).status_code == 303  # once more
    [row] = await alerts(road, room)
    told = {key: row[key] for key in ("code", "prio", "stage", "count", "cleared", "unit", "since")}
    assert told == {
        "code": "SEAL_ID_MISMATCH",
        "prio": 1,
        "stage": "UNACKED",
        "count": 1,
        "cleared": False,
        "unit": "uz-0042",
        "since": road.post.centre.now_ms,
    }
    assert (row["p"]["value"], row["p"]["seal"]) == ("officer", SEAL)
    assert row["p"]["data"] == {"declared": [SEAL], "by": "officer-12", "journey": MRN}
    assert (row["lat"], row["lon"]) == (41.3111, 69.2797)
    assert await newest(road) > before  # whoever listens is told
    await report(road, await road.officer(who="officer-13"), "differs")
    await report(road, phone, "matches")
    [row] = await alerts(road, room)
    assert (row["count"], row["cleared"], row["stage"]) == (2, True, "UNACKED")


async def test_after_two_have_closed_it_the_next_word_begins_another(road: Road) -> None:
    await road.in_order()
    phone, room = await road.officer(), await road.officer(Role.SUPERVISOR, who="chief")
    await report(road, phone, "differs")
    [row] = await alerts(road, room)
    async with road.post.store.write() as connection:
        for event, by in ((Event.ACK, "a"), (Event.RESET, "a"), (Event.SECOND, "b")):
            act = Act(event=event, by=by, reason="seen", outcome="FALSE", is_supervisor=True)
            done = await alert_acts.act(connection, bytes.fromhex(row["id"]), act, road.now_ms)
            assert isinstance(done, Acted), done
    await report(road, phone, "matches")
    assert colour(await phone.get("/o/s", params={"q": SEAL})) == "green"
    await report(road, phone, "differs")
    stages = {one["id"]: one["stage"] for one in await alerts(road, room)}
    assert stages.pop(row["id"]) == "CLOSED"
    assert list(stages.values()) == ["UNACKED"]


async def newest(road: Road) -> int:
    async with road.post.store.read() as connection:
        return await newest_feed(connection)


async def test_a_report_of_a_phone_that_was_offline_bears_the_time_of_its_making(
    road: Road,
) -> None:
    await road.in_order()
    phone = await road.officer()
    form = fields(await phone.get("/o/s", params={"q": SEAL}))
    now_ms = road.post.centre.now_ms
    script = {**OURS, "X-Plomba": "1"}
    for waited, what in (("60000", "matches"), ("-5", "differs")):
        said = {**form, "what": what, "waited": waited}
        assert (await phone.post("/o/report", data=said, headers=script)).status_code == 204
    async with road.post.store.read() as connection:
        made_ms = (await connection.execute(select(schema.officer_report.c.made_ms))).scalars()
        assert list(made_ms) == [now_ms - 60_000, now_ms]


async def test_a_report_without_the_sessions_token_is_refused(road: Road) -> None:
    await road.in_order()
    phone = await road.officer()
    form = {**fields(await phone.get("/o/s", params={"q": SEAL})), "what": "matches"}
    for token in ("", "0" * 64):
        done = await phone.post("/o/report", data={**form, "csrf": token}, headers=OURS)
        assert done.status_code == 403
    stranger = await road.officer(who="officer-13")
    assert (await stranger.post("/o/report", data=form, headers=OURS)).status_code == 403


@pytest.mark.parametrize(
    ("wrong", "back"),
    [
        ({"what": "perhaps"}, "/o/s?unit=uz-0042&"),
        ({"unit": "../x"}, "/o/?"),
        ({"key": ""}, "/o/s?unit=uz-0042&"),
        ({"key": "k" * 65}, "/o/s?unit=uz-0042&"),
    ],
)
async def test_a_report_that_is_none_of_ours_is_not_taken_and_the_truck_stays_on_the_screen(
    road: Road, wrong: dict[str, str], back: str
) -> None:
    await road.in_order()
    phone = await road.officer()
    form = {**fields(await phone.get("/o/s", params={"q": SEAL})), "what": "matches", **wrong}
    done = await phone.post("/o/report", data=form, headers=OURS)
    assert done.headers["location"] == f"{back}fault=report&lang=en"
    assert "not taken" in (await phone.get(done.headers["location"])).text
    done = await phone.post("/o/report", data=form, headers={**OURS, "X-Plomba": "1"})
    assert done.status_code == 422


async def test_a_key_serves_for_one_report(road: Road) -> None:
    await road.in_order()
    phone = await road.officer()
    form = {**fields(await phone.get("/o/s", params={"q": SEAL})), "what": "matches"}
    script = {**OURS, "X-Plomba": "1"}
    assert (await phone.post("/o/report", data=form, headers=script)).status_code == 204
    other = {**form, "journey": "another"}
    done = await phone.post("/o/report", data=other, headers=script)
    assert (done.status_code, done.json()["code"]) == (422, "key_reused")


# the unit's code


def code_of(post: Post, *, head: bytes | None = None, batch_no: int | None = None) -> str:
    newest = post.unit.newest
    said = handover.make(
        unit_number=post.number,
        batch_no=newest.batch_no if batch_no is None else batch_no,
        head=newest.head if head is None else head,
        at_s=post.centre.now_ms // 1_000,
        sign=private_key("unit uz-0042").sign,
    )
    return handover.url("centre", said).rpartition("/")[2]


async def test_the_units_code_is_answered_in_three_ways(road: Road) -> None:
    await road.in_order()
    phone = await road.officer()
    for path in (f"/O/H/{code_of(road.post)}", f"/o/h/{code_of(road.post).lower()}"):
        page = await phone.get(path)
        assert colour(page) == "green"
        assert "The centre has everything that the unit held" in page.text
        assert page.headers["cache-control"] == "no-store"
        assert "'nonce-" in page.headers["content-security-policy"]
    lacks = await phone.get(f"/o/h/{code_of(road.post, batch_no=4)}")
    assert colour(lacks) == "amber"
    assert "Batches that the centre lacks: 3" in lacks.text
    differs = await phone.get(f"/o/h/{code_of(road.post, head=bytes(32))}")
    assert colour(differs) == "red"
    assert "00000000" in differs.text
    assert road.post.unit.newest.head.hex()[:8] in differs.text


@pytest.mark.parametrize("code", ["x", "A" * 148, "A" * 4_000])
async def test_what_is_no_code_of_ours_is_grey(road: Road, code: str) -> None:
    page = await (await road.officer()).get(f"/o/h/{code}")
    assert colour(page) == "grey"
    assert "from no unit of ours" in page.text


async def test_a_code_from_the_camera_of_a_stranger_survives_his_log_in(road: Road) -> None:
    await road.in_order()
    path = f"/O/H/{code_of(road.post)}"
    sent = await road.phone().get(path)
    assert sent.status_code == 303
    assert unquote(sent.headers["location"]).endswith(f"next={path}")
    assert quote(path, safe="") in sent.headers["location"]


# scripts


@pytest.mark.parametrize("name", ["officer.js", "sw.js"])
async def test_scripts_are_asked_for_again_and_open_to_all(road: Road, name: str) -> None:
    script = await road.phone().get(f"/o/{name}")
    assert script.status_code == 200
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "no-cache"
    again = await road.phone().get(f"/o/{name}", headers={"If-None-Match": script.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_page_names_the_script_it_was_made_for_and_a_phone_asks_for_it_once(
    road: Road,
) -> None:
    page = await (await road.officer()).get("/o/")
    [address] = re.findall(r'src="(/o/officer\.js\?v=[0-9a-f]{8})"', page.text)
    phone = road.phone()
    assert "immutable" in (await phone.get(address)).headers["cache-control"]
    other = await phone.get("/o/officer.js?v=00000000")
    assert other.headers["cache-control"] == "no-cache"
    plain = await phone.get(address, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == (await phone.get(address)).content
