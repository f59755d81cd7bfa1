"""The live line over HTTP: a snapshot that is zipped and kept for a second, a stream that resumes, doors that hold."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Scope

from collector.api import frames
from collector.api.hub import Hub
from collector.api.live import KEEP_MS, SEND_S_MAX
from collector.api.porter import Porter
from collector.api.reads import Live, StoreReads
from collector.people import Role
from collector.store.database import Store
from collector.store.feed import newest_feed
from tests.collector.api_rig import client_of, hub_of, logged_in, served
from tests.collector.fleet import T0_MS, Centre, FleetUnit, fix

STREAM = "/api/v1/live/stream"
SNAPSHOT = "/api/v1/live/snapshot"


@dataclass(slots=True)
class Asked:
    centre: Centre
    api: FastAPI
    hub: Hub
    client: httpx.AsyncClient
    token: str


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    async with await Store.open("sqlite://") as store:
        centre = Centre(store)
        centre.now_ms = T0_MS + 1_000

        def now_ms() -> int:
            return centre.now_ms

        hub = hub_of(store, Porter(store, now_ms), now_ms)
        reads = StoreReads(
            store.readers, Live(build="7", broker_kind="embedded", started_ms=T0_MS), now_ms
        )
        api = served(store, reads, now_ms, hub=hub)
        token = await logged_in(store, now_ms=T0_MS)
        async with client_of(api, token=token) as client:
            yield Asked(centre, api, hub, client, token)


async def test_a_snapshot_is_zipped_and_serves_all_who_ask_within_a_second(asked: Asked) -> None:
    unit = FleetUnit(unit_id="uz-01")
    await asked.centre.enrol(unit)
    await asked.centre.hear(unit, unit.begin().envelope, unit.seal([fix(T0_MS)]).envelope)
    answer = await asked.client.get(SNAPSHOT)
    assert answer.headers["content-type"] == frames.MEDIA_TYPE
    assert answer.headers["content-encoding"] == "gzip"
    head, rows = frames.read_snapshot(answer.content)
    async with asked.centre.store.read() as connection:
        assert head.feed == await newest_feed(connection)
    assert (head.n, head.scope) == (1, frames.scope_hash(""))
    assert rows.tolist() == [[1, 69_279_700, 41_311_100, 3, 0, 0, 43, 50]]
    asked.centre.now_ms += KEEP_MS - 1
    assert (await asked.client.get(SNAPSHOT)).content == answer.content
    asked.centre.now_ms += 1
    later, _ = frames.read_snapshot((await asked.client.get(SNAPSHOT)).content)
    assert later.t_s == head.t_s + 1


async def test_a_snapshot_holds_what_the_scope_sees(asked: Asked) -> None:
    for name in ("uz-01", "uz-02"):
        await asked.centre.enrol(FleetUnit(unit_id=name))
    token = await logged_in(asked.centre.store, now_ms=T0_MS, user_id="os:a", scope="uz.south")
    async with client_of(asked.api, token=token) as client:
        head, _ = frames.read_snapshot((await client.get(SNAPSHOT)).content)
    assert (head.n, head.scope) == (0, frames.scope_hash("uz.south"))


@pytest.mark.parametrize("path", [SNAPSHOT, STREAM])
async def test_strangers_and_officers_see_no_live_line(asked: Asked, path: str) -> None:
    async with client_of(asked.api) as client:
        assert (await client.get(path)).status_code == 401
    token = await logged_in(asked.centre.store, Role.OFFICER, now_ms=T0_MS, user_id="os:o")
    async with client_of(asked.api, token=token) as client:
        assert (await client.get(path)).status_code == 403


async def test_a_stream_is_told_from_its_last_id_on(asked: Asked) -> None:
    unit = FleetUnit(unit_id="uz-01")
    await asked.centre.enrol(unit)
    await asked.hub.step(changed=True)
    said = await listen(asked, until=b"event: units", headers=[(b"last-event-id", b"0")])
    assert b"retry: " in said
    assert said.index(b"event: deploy") < said.index(b"event: units")
    assert b"id: 1" in said
    assert len(asked.hub) == 0  # who hung up is gone


async def test_the_header_wins_over_the_query_and_nonsense_begins_anew(asked: Asked) -> None:
    for query, header, is_new in ((b"since=0", b"x", True), (b"since=x", b"0", False)):
        said = await listen(
            asked, until=b"event: deploy", query=query, headers=[(b"last-event-id", header)]
        )
        assert (b'event: reset\ndata: {"why":"old"}' in said) is is_new


async def test_a_client_that_takes_nothing_is_cut_off(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.api.live.SEND_S_MAX", 0)
    cut: list[bool] = []

    async def never(_message: Message) -> None:
        await asyncio.Event().wait()

    async def listens() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    scope = {**scope_of(asked), "state": {"abort": lambda: cut.append(True)}}
    await asked.api(scope, listens, never)
    assert (cut, len(asked.hub)) == ([True], 0)
    assert SEND_S_MAX == 30


def scope_of(asked: Asked, query: bytes = b"", headers: list[tuple[bytes, bytes]] = []) -> Scope:  # noqa: B006  # never changed
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": STREAM,
        "raw_path": STREAM.encode(),
        "query_string": query,
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"authorization", f"Bearer {asked.token}".encode()),
            *headers,
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def listen(
    asked: Asked,
    *,
    until: bytes,
    query: bytes = b"",
    headers: list[tuple[bytes, bytes]] = [],  # noqa: B006  # never changed
) -> bytes:
    """What a stream says until `until` is in it; then the client hangs up. The rig of httpx waits for an end that never comes."""
    said = bytearray()
    enough = asyncio.Event()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
        said.extend(message.get("body", b""))
        if until in said:
            enough.set()

    receive = _hang_up_after(enough.wait)
    async with asyncio.timeout(20):
        await asked.api(scope_of(asked, query, headers), receive, send)
    return bytes(said)


def _hang_up_after(wait: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        await wait()
        return {"type": "http.disconnect"}

    return receive
