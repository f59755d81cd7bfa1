"""The API's listener as it stands in the open, without a proxy before it: slow and endless requests, and a hundred log-ins."""

import asyncio
import contextlib
import http.client
import json
import os
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from collector.app.serving import HEAD_BYTES_MAX, HEAD_S_MAX
from collector.people.passwords import MEMORY_KIB, Hasher
from tests.collector.api_rig import CHANGE
from tests.collector.api_thread import Centre, running

pytestmark = pytest.mark.live

HEAD = b"POST /api/v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Plomba: 1\r\nSec-Fetch-Site: same-origin\r\n"
SLOW = {
    "silent": b"",
    "half a head": HEAD,
    "half a body": HEAD + b"Content-Length: 100\r\n\r\n{",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
}


async def closed_after_s(centre: Centre, said: bytes) -> float:
    """How long the server holds a connection that says no more than this."""
    reader, writer = await asyncio.open_connection("127.0.0.1", centre.port)
    began = time.monotonic()
    writer.write(said)
    await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return time.monotonic() - began


async def test_a26_who_says_half_a_thing_is_not_held_for_ever(tmp_path: Path) -> None:
    with running(tmp_path) as centre:
        held = await asyncio.gather(*(closed_after_s(centre, said) for said in SLOW.values()))
        for name, seconds in zip(SLOW, held, strict=True):
            assert HEAD_S_MAX - 1 <= seconds < 40, name  # ten, and what a loaded machine takes


async def test_a26_a_head_or_a_body_too_large_costs_no_memory(tmp_path: Path) -> None:
    with running(tmp_path) as centre:
        reader, writer = await asyncio.open_connection("127.0.0.1", centre.port)
        before_kib = _rss_kib()
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):  # it hangs up while we are speaking
            writer.write(b"GET / HTTP/1.1\r\n" + b"X-Filler: " + b"x" * 2_000_000)
            await writer.drain()
            await asyncio.wait_for(reader.read(), 60)
        assert time.monotonic() - began < HEAD_S_MAX  # for its size, not for its slowness
        writer.close()
        async with httpx.AsyncClient(base_url=centre.url) as client:

            async def endless() -> AsyncIterator[bytes]:
                for _ in range(2_000):
                    yield b"x" * 100_000

            with contextlib.suppress(httpx.TransportError):  # as above
                answer = await client.post("/api/v1/login", content=endless(), headers=CHANGE)
                assert answer.status_code == 413
        assert _rss_kib() - before_kib < 64 * 1_024
        assert HEAD_BYTES_MAX == 32_768


async def test_a_head_too_large_is_told_so_and_what_is_no_http_too(tmp_path: Path) -> None:
    with running(tmp_path) as centre:
        for said, status, code in (
            (b"GET / HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES_MAX, 431, "too_large_head"),
            (b"what is this\r\n\r\n", 400, "no_request"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", centre.port)
            writer.write(said)
            head, _, body = (await asyncio.wait_for(reader.read(), 60)).partition(b"\r\n\r\n")
            assert head.startswith(f"HTTP/1.1 {status} ".encode()), head
            assert b"content-type: application/problem+json" in head
            assert json.loads(body)["code"] == code
            writer.close()


def test_a34_a_hundred_log_ins_at_once_stay_within_memory(tmp_path: Path) -> None:
    with running(tmp_path, hasher=Hasher()) as centre:
        began_kib = _rss_kib()

        def log_in(number: int) -> int:
            body = {"user": f"user-{number}", "password": "guessed, not known"}
            # each from an address of its own: the limit of one address is not what is tried here
            link = http.client.HTTPConnection(
                "127.0.0.1", centre.port, timeout=60, source_address=(f"127.0.0.{number + 2}", 0)
            )
            with contextlib.closing(link):
                headers = CHANGE | {"Content-Type": "application/json"}
                link.request("POST", "/api/v1/login", json.dumps(body), headers)
                return link.getresponse().status

        with ThreadPoolExecutor(100) as pool:
            answers = list(pool.map(log_in, range(100)))
        assert answers == [401] * 100
        cores = os.cpu_count() or 1
        assert _peak_kib() - began_kib < cores * MEMORY_KIB + 128 * 1_024


def _rss_kib() -> int:
    return _status("VmRSS")


def _peak_kib() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
