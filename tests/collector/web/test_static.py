"""The console's files as the API serves them."""

import gzip
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from collector.api.static import Asset, add_console
from collector.people.authorize import CONSOLE_PAGES

NONE: Mapping[str, str] = MappingProxyType({})
SCRIPT = b"// " + b"x" * 2_000
ASSETS = {
    asset.name: asset
    for asset in (
        Asset(name="index.html", media="text/html; charset=utf-8", data=b"<p>console</p>"),
        Asset(name="a-1f.js", media="text/javascript; charset=utf-8", data=SCRIPT),
        Asset(name="b-2e.svg", media="image/svg+xml", data=b"<svg/>"),
    )
}


async def get(
    path: str, assets: Mapping[str, Asset] = ASSETS, headers: Mapping[str, str] = NONE
) -> Response:
    api = FastAPI()
    add_console(api, assets)
    async with AsyncClient(transport=ASGITransport(api), base_url="http://127.0.0.1") as client:
        return await client.get(path, headers=headers)


@pytest.mark.parametrize("path", CONSOLE_PAGES)
async def test_every_screen_is_the_one_page_and_is_asked_for_anew(path: str) -> None:
    answer = await get(path.replace("{part}", "7"))
    assert (answer.status_code, answer.text) == (200, "<p>console</p>")
    assert answer.headers["cache-control"] == "no-cache"


async def test_a_hashed_file_is_kept_for_ever_and_packed() -> None:
    answer = await get("/assets/a-1f.js")
    assert answer.content == SCRIPT
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert len(gzip.compress(SCRIPT)) > int(answer.headers["content-length"]) / 2


async def test_who_takes_no_gzip_gets_none() -> None:
    answer = await get("/assets/a-1f.js", headers={"Accept-Encoding": "identity, gzipped"})
    assert "content-encoding" not in answer.headers
    assert answer.content == SCRIPT


async def test_a_small_file_is_not_packed() -> None:
    assert "content-encoding" not in (await get("/assets/b-2e.svg")).headers


@pytest.mark.parametrize("name", ["c.js", "index.html", "..%2f..%2fapi%2fstatic.py", "%00"])
async def test_only_what_was_built_is_served(name: str) -> None:
    assert (await get(f"/assets/{name}")).status_code == 404


async def test_an_installation_without_a_console_says_so() -> None:
    answer = await get("/", {})
    assert answer.status_code == 200
    assert "make web" in answer.text
    assert "<script" not in answer.text
