"""What goes wrong under /o/ is read by a tired person on a phone: a page in his language, what he typed is kept, and he gets in again."""

from html import unescape

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.api.problems import MEDIA
from collector.people import Role
from collector.texts.catalogue import text
from tests.collector.api_rig import PASSWORD, account
from tests.collector.test_officer import OURS, Road, fields, road
from tests.collector.test_standing import SEAL

__all__ = ["road"]
HOUR_MS = 3_600_000


async def officer_by_form(road: Road) -> tuple[str, str]:
    """Who logs in as a person does: the cookie of his session, and where he was sent."""
    await account(road.post.store, "officer-12", Role.OFFICER, now_ms=road.now_ms)
    said = {"user": "officer-12", "password": PASSWORD, "next": "/o/", "lang": "ru"}
    done = await road.phone().post("/o/login", data=said, headers=OURS)
    return done.headers["set-cookie"].partition(";")[0], done.headers["location"]


async def test_who_was_idle_for_hours_logs_in_again_without_a_script(road: Road) -> None:
    cookie, there = await officer_by_form(road)
    assert there == "/o/?lang=ru"  # as he chose it before he was in
    phone = road.phone()
    phone.headers["Cookie"] = cookie
    road.post.centre.now_ms += 5 * HOUR_MS
    sent = await phone.get("/o/s", params={"q": SEAL})
    page = await phone.get(sent.headers["location"])
    assert text("officer.fault.expired", "en") in page.text
    said = {**fields(page, "/o/login"), "user": "officer-12", "password": PASSWORD}
    crossed = {**said, "csrf": ""}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        refused = await phone.post("/o/login", data=crossed, headers=headers)
        assert refused.status_code == 403
    silent = await phone.post("/o/login", data=said)  # a browser that says nothing of itself
    assert silent.status_code == 303, silent.text
    assert (await phone.post("/o/login", data=said, headers=OURS)).status_code == 303


async def test_a_log_in_ends_the_session_that_the_phone_held_before(road: Road) -> None:
    cookie, _ = await officer_by_form(road)
    phone = road.phone()
    phone.headers["Cookie"] = cookie
    assert (await phone.get("/o/")).status_code == 200
    said = {"user": "officer-12", "password": PASSWORD}
    anew = await phone.post("/o/login", data=said, headers=OURS)
    assert anew.status_code == 303
    assert (await phone.get("/o/")).status_code == 303  # whoever still has the old one is out


@pytest.mark.parametrize(
    "typed", ["Officer-12", " officer-12 ", "OFFICER-12", "ｏｆｆｉｃｅｒ-１２"]
)
async def test_a_name_is_known_however_a_phone_writes_it(road: Road, typed: str) -> None:
    await account(road.post.store, "officer-12", Role.OFFICER, now_ms=road.now_ms)
    said = {"user": typed, "password": PASSWORD}
    assert (await road.phone().post("/o/login", data=said, headers=OURS)).status_code == 303


async def test_a_wrong_password_leaves_the_name_where_it_was_typed(road: Road) -> None:
    said = {"user": 'officer-"1', "password": "no", "lang": "uz"}
    page = await road.phone().post("/o/login", data=said, headers=OURS)
    assert page.status_code == 401
    assert 'value="officer-&#34;1"' in page.text
    assert 'value="no"' not in page.text
    assert text("officer.fault.login", "uz") in unescape(page.text)


async def test_what_is_refused_beside_the_road_is_a_page_and_to_a_script_a_problem(
    road: Road,
) -> None:
    await road.in_order()
    phone = await road.officer()
    form = {**fields(await phone.get("/o/s", params={"q": SEAL})), "what": "matches", "csrf": "0"}
    page = await phone.post("/o/report", data=form, headers=OURS)
    assert (page.status_code, page.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert text("officer.fault.old_page", "en") in page.text
    assert "'nonce-" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    told = await phone.post("/o/report", data=form, headers={**OURS, "X-Plomba": "0"})
    assert told.json()["code"] == "cross_site"


@pytest.mark.parametrize(
    ("path", "lang", "status", "fault"),
    [
        ("/o/s?q=" + "1" * 999, "en", 422, "failed"),
        ("/o/nothing?lang=ru", "ru", 404, "failed"),
        ("/O/H/x/y?lang=uz", "uz", 404, "failed"),
    ],
)
async def test_each_refusal_is_said_in_the_readers_language(
    road: Road, path: str, lang: str, status: int, fault: str
) -> None:
    page = await (await road.officer()).get(path)
    assert page.status_code == status
    assert text(f"officer.fault.{fault}", lang) in unescape(page.text)


async def test_a_session_that_is_over_and_a_role_that_may_not_are_said_on_a_page(
    road: Road,
) -> None:
    await road.in_order()
    form = {"what": "matches", "unit": "uz-0042", "key": "k" * 12}
    over = await road.phone().post("/o/report", data=form, headers=OURS)
    assert over.status_code == 401
    assert text("officer.fault.expired", "en") in over.text
    assert 'action="/o/login"' in over.text
    auditor = await (await road.officer(Role.AUDITOR)).get("/o/")
    assert auditor.status_code == 403
    assert text("officer.fault.role", "en") in auditor.text


async def test_who_asks_too_fast_is_told_when_to_come_again(road: Road) -> None:
    phone = road.phone()
    for _ in range(60):
        assert (await phone.get("/o/login")).status_code == 200
    page = await phone.get("/o/login")
    assert page.status_code == 429
    assert int(page.headers["retry-after"]) > 0
    assert text("officer.fault.wait", "en") in page.text


@pytest.mark.parametrize(
    ("path", "kind"), [("/o/s", "text/html; charset=utf-8"), ("/api/v1/me", MEDIA)]
)
async def test_a_fault_of_ours_is_an_answer_too_and_tells_nothing_of_us(
    road: Road, path: str, kind: str
) -> None:
    async def breaks(_: Request) -> Response:
        raise RuntimeError("a secret of the house")

    road.api.router.routes.insert(0, Route(path, breaks))
    officer = await road.officer()
    with pytest.raises(RuntimeError):  # it goes on, to the log
        await officer.get(path)
    there = httpx.ASGITransport(app=road.api, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=there, base_url=officer.base_url, headers=officer.headers
    ) as phone:
        page = await phone.get(path)
    assert (page.status_code, page.headers["content-type"]) == (500, kind)
    assert "secret" not in page.text
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"
    assert (text("officer.fault.failed", "en") if path == "/o/s" else '"fault"') in page.text
