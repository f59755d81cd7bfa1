"""The status server: bounded in every direction, and closed to foreign names (EDGE section 9)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.io.status import (
    CONNECTIONS_MAX,
    HEAD_BYTES_MAX,
    HTML,
    ORDER_BYTES_MAX,
    Answer,
    Request,
    StatusError,
    StatusServer,
    as_json,
    ask,
)


@dataclass
class Rig:
    """A server on a socket and on a free port, and what it was asked."""

    path: Path
    server: StatusServer
    asked: list[Request] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.server._servers[1].sockets[0].getsockname()[1])

    async def say(self, data: bytes, *, local: bool = False) -> bytes:
        """All that comes back for these bytes; the connection is left open from our side."""
        opened = (
            asyncio.open_unix_connection(self.path)
            if local
            else asyncio.open_connection("127.0.0.1", self.port)
        )
        reader, writer = await opened
        writer.write(data)
        answer = await reader.read(100_000)
        writer.close()
        return answer


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    asked: list[Request] = []

    async def echo(request: Request) -> Answer | None:
        asked.append(request)
        if request.path == "/":
            return Answer(kind=HTML, body=b"<p>", style_hash="HASH", language="uz")
        if request.path == "/order":
            return as_json({"bytes": len(request.order or b"")}, 202)
        if request.path == "/status.json":
            return as_json({"path": request.path, "query": dict(request.query)})
        return None

    path = tmp_path / "s.sock"
    path.write_text("left behind by a dead agent")
    server = StatusServer(
        echo, path=path, address=("127.0.0.1", 0), host="Cab.example", takes_orders=True
    )
    await server.start()
    await server.start_address()
    yield Rig(path=path, server=server, asked=asked)
    await server.close()


def get(target: str, *headers: str, host: str = "127.0.0.1") -> bytes:
    return "\r\n".join((f"GET {target} HTTP/1.1", f"Host: {host}", *headers, "", "")).encode()


def post(body: bytes, *headers: str, target: str = "/order") -> bytes:
    head = (f"POST {target} HTTP/1.1", "Host: 10.0.0.1", *headers, "", "")
    return "\r\n".join(head).encode() + body


def code(answer: bytes) -> int:
    return int(answer[9:12])


async def test_the_socket_answers_for_owner_and_group(rig: Rig) -> None:
    assert rig.path.stat().st_mode & 0o777 == 0o660
    answer = await asyncio.to_thread(ask, rig.path, "/status.json?nonce=ab")
    assert answer == {"path": "/status.json", "query": {"nonce": "ab"}}
    assert rig.asked[0].local
    with pytest.raises(StatusError, match="404"):
        await asyncio.to_thread(ask, rig.path, "/none")


async def test_a_document_may_load_nothing_and_set_nothing(rig: Rig) -> None:
    answer = await rig.say(get("/", "Accept-Language: uz"))
    head = answer.split(b"\r\n\r\n")[0].decode().lower()
    assert "content-security-policy: default-src 'none'; " in head
    assert "style-src 'sha256-hash'" in head
    assert "set-cookie" not in head
    assert "cache-control: no-store" in head
    assert "content-language: uz" in head
    assert rig.asked[0].languages == "uz"
    assert not rig.asked[0].local


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8470", 200),
        ("192.168.8.1", 200),
        ("[fe80::1]:8470", 200),
        ("localhost:1", 200),
        ("cab.example.", 200),
        ("CAB.EXAMPLE:8470", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("[::1", 421),
        ("cab.example:x", 421),
    ],
)
async def test_no_foreign_name_leads_here(rig: Rig, host: str, status: int) -> None:
    assert code(await rig.say(get("/", host=host))) == status


async def test_two_hosts_or_none_are_no_host(rig: Rig) -> None:
    assert code(await rig.say(get("/", "Host: evil.example"))) == 400
    assert code(await rig.say(b"GET / HTTP/1.1\r\n\r\n")) == 421


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (get("/none"), 404),
        (get("//[bad"), 404),
        (get("/?" + "&".join("a=1" for _ in range(99))), 404),
        (get("/").replace(b"GET", b"PUT"), 405),
        (post(b"", target="/"), 405),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 2 * HEAD_BYTES_MAX, 431),
    ],
)
async def test_what_is_no_question_is_told_so(rig: Rig, said: bytes, status: int) -> None:
    assert code(await rig.say(said)) == status
    assert all(request.order is None for request in rig.asked)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (post(b"x" * ORDER_BYTES_MAX, f"Content-Length: {ORDER_BYTES_MAX}"), 202),
        (post(b"", f"Content-Length: {ORDER_BYTES_MAX + 1}"), 413),
        (post(b"", "Content-Length: 0"), 413),
        (post(b"", "Content-Length: 999999999999"), 413),
        (post(b"x"), 411),
        (post(b"x", "Content-Length: -1"), 411),
        (post(b"x", "Content-Length: 1", "Transfer-Encoding: chunked"), 411),
        (post(b"x", "Content-Length: 1", "Content-Length: 2"), 400),
    ],
)
async def test_an_order_has_its_length(rig: Rig, said: bytes, status: int) -> None:
    assert code(await rig.say(said)) == status
    assert len(rig.asked) == (status == 202)


async def test_where_no_orders_are_taken_nothing_is_posted(tmp_path: Path) -> None:
    async def nobody(request: Request) -> Answer | None:
        return as_json({})

    server = StatusServer(nobody, path=tmp_path / "s.sock")
    await server.start()
    rig = Rig(path=tmp_path / "s.sock", server=server)
    assert code(await rig.say(post(b"x", "Content-Length: 1"), local=True)) == 405
    await server.close()


async def test_e30_eight_half_requests_fill_the_address_and_leave_the_socket(rig: Rig) -> None:
    writers = []
    for _ in range(CONNECTIONS_MAX):
        _, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(b"GET / HTTP/1.1\r\nHost")
        writers.append(writer)
    assert code(await rig.say(get("/"))) == 503
    assert code(await rig.say(get("/"), local=True)) == 200
    for writer in writers:
        writer.close()


async def test_half_an_answer_is_no_answer(tmp_path: Path) -> None:
    async def half(request: Request) -> Answer | None:
        return Answer(body=b'{"unit": "uz-')

    server = StatusServer(half, path=tmp_path / "s.sock")
    await server.start()
    with pytest.raises(StatusError, match="half an answer"):
        await asyncio.to_thread(ask, tmp_path / "s.sock", "/status.json")
    await server.close()


async def test_nobody_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StatusError, match="is the agent running"):
        await asyncio.to_thread(ask, tmp_path / "none.sock", "/status.json")
