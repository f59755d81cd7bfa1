"""The API in one process, and people who are logged in to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
from fastapi import FastAPI
from sqlalchemy import select

from collector.api.app import Parts, create_app
from collector.api.audit import Auditor
from collector.api.dry_runs import Rehearse
from collector.api.guard import Front, Guard
from collector.api.hub import Hub, Watch
from collector.api.places import Places
from collector.api.porter import Porter
from collector.api.reads import Live, StoreReads
from collector.api.service import Reads
from collector.api.static import Asset
from collector.people import Role, totp
from collector.people.passwords import Hasher
from collector.people.sessions import Kind, opened
from collector.store import people, schema
from collector.store.database import Store
from tests.collector.fleet import T0_MS

ORIGIN = "http://127.0.0.1"
CHANGE = {"Sec-Fetch-Site": "same-origin", "X-Plomba": "1"}
PASSWORD = "four grey trucks by noon"
HASHER = Hasher(memory_kib=64)  # the same function, quick
ENCODED = HASHER.hash_of(PASSWORD, bytes(16))
SECOND = b"12345678901234567890"


def served(
    store: Store,
    reads: Reads,
    now_ms: Callable[[], int],
    *,
    front: Front | None = None,
    hub: Hub | None = None,
    rehearse: Rehearse | None = None,
    hasher: Hasher = HASHER,
    console: Mapping[str, Asset] | None = None,
) -> FastAPI:
    """The whole application. Nobody runs its hub: a test that listens steps it."""
    porter = Porter(store, now_ms, hasher=hasher)
    return create_app(
        Parts(
            reads=reads,
            store=store,
            porter=porter,
            hub=hub or hub_of(store, porter, now_ms),
            auditor=Auditor(store, now_ms),
            now_ms=now_ms,
            build="7",
            front=front or Front(),
            rehearse=rehearse,
            console=console or {},
        )
    )


def hub_of(store: Store, porter: Porter, now_ms: Callable[[], int]) -> Hub:
    return Hub(
        Watch(
            store=store,
            now_ms=now_ms,
            mono_ms=now_ms,
            stands=porter.stands,
            ended=porter.ended,
            tell_ended=porter.tell_ended,
            places=Places(),
            build="7",
        )
    )


def guard_of(api: FastAPI) -> dict[str, Any]:
    """What the guard of an API was made with."""
    [found] = [one.kwargs for one in api.user_middleware if cast("object", one.cls) is Guard]
    return dict(found)


def client_of(api: FastAPI, *, token: str = "", address: str = "127.0.0.1") -> httpx.AsyncClient:
    """A client; with a token it is logged in."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app=api, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)


async def logged_in(
    store: Store,
    role: Role = Role.SUPERVISOR,
    *,
    now_ms: int,
    user_id: str = "os:test",
    scope: str = "",
    desk: str = "",
    kind: Kind = Kind.LOCAL,
    step_up: bool = False,
) -> str:
    """A session as the store holds it; its secret."""
    secret = f"{kind.value}-{user_id}-{role.value}-{scope}-{step_up}"
    session = opened(
        secret, kind, user_id=user_id, role=role, scope=scope, desk=desk, now_ms=now_ms
    )
    async with store.write() as connection:
        await people.open_session(connection, session, address="test")
        if step_up:
            await people.touch(connection, session.id, seen_ms=now_ms, step_up_ms=now_ms)
    return secret


async def account(store: Store, user_id: str, role: Role, *, now_ms: int, scope: str = "") -> None:
    """An account that is set up, with the password and the second factor of this file."""
    async with store.write() as connection:
        assert await people.add_account(
            connection,
            user_id=user_id,
            name="",
            role=role,
            scope=scope,
            desk="",
            by="test",
            now_ms=now_ms,
        )
        await people.set_password(connection, user_id, ENCODED, totp_secret=SECOND)


def code_at(now_ms: int) -> str:
    """What the authenticator shows."""
    return totp.code_of(SECOND, totp.step_of(now_ms))


@dataclass(slots=True)
class House:
    """A store and its API, with a clock that is moved by hand."""

    store: Store
    now_ms: int = T0_MS
    rehearse: Rehearse | None = None
    api: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        self.api = self.build()

    def build(self, front: Front | None = None) -> FastAPI:
        live = Live(build="7", broker_kind="embedded", started_ms=T0_MS)
        reads = StoreReads(self.store.readers, live, lambda: self.now_ms)
        return served(self.store, reads, lambda: self.now_ms, front=front, rehearse=self.rehearse)

    @property
    def porter(self) -> Porter:
        porter = guard_of(self.api)["porter"]
        assert isinstance(porter, Porter)
        return porter

    async def acts(self) -> list[tuple[str, str, str]]:
        async with self.store.read() as connection:
            rows = await connection.execute(select(schema.act).order_by(schema.act.c.number))
            return [(row.who, row.act, row.obj) for row in rows]
