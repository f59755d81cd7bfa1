"""A one-time link: a local session is taken over by a browser, once; and the whole application serves the console."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from collector.api.reads import Live, StoreReads
from collector.people import Role
from collector.people.sessions import Kind
from collector.store.database import Store
from tests.collector.api_rig import CHANGE, client_of, logged_in, served

NOW_MS = 1_790_000_000_000
NAME = "__Host-plomba"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'c.db'}")
    yield store
    await store.close()


def client(store: Store, token: str = "") -> httpx.AsyncClient:
    live = Live(build="7", broker_kind="mqtt", started_ms=NOW_MS)
    api = served(store, StoreReads(store.readers, live, lambda: NOW_MS), lambda: NOW_MS)
    return client_of(api, token=token)


async def test_a_link_is_taken_over_by_one_browser_and_is_then_used_up(store: Store) -> None:
    link = await logged_in(store, Role.SUPERVISOR, now_ms=NOW_MS)
    async with client(store, link) as browser:
        entered = await browser.post("/api/v1/enter", headers=CHANGE)
        assert entered.status_code == 200
        cookie = entered.headers["set-cookie"]
        assert cookie.startswith(f"{NAME}=")
        assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=strict"))
        assert link not in cookie
        again = await browser.post("/api/v1/enter", headers=CHANGE)
    assert again.status_code == 401
    held = cookie.partition(";")[0]
    async with client(store) as browser:
        me = await browser.get("/api/v1/me", headers={"Cookie": held})
        assert me.json()["role"] == "supervisor"
        shown = await browser.post("/api/v1/enter", headers={**CHANGE, "Cookie": held})
    assert shown.status_code == 403


async def test_only_a_local_session_is_taken_over(store: Store) -> None:
    token = await logged_in(store, now_ms=NOW_MS, kind=Kind.CLI)
    async with client(store, token) as browser:
        answer = await browser.post("/api/v1/enter", headers=CHANGE)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_local")


async def test_a_stranger_gets_the_page_with_its_policy_and_nothing_else(store: Store) -> None:
    async with client(store) as browser:
        page = await browser.get("/")
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert "require-trusted-types-for 'script'" in policy
        assert "'unsafe" not in policy
        assert (await browser.get("/unit/7")).status_code == 200
        assert (await browser.get("/api/v1/units")).status_code == 401
