"""The console's files: the page for every address of a screen, and what it loads.

Law: only what was there at the start is served, by its exact name; a name with a hash in it is kept for ever, the page itself never.
"""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from collector.people.authorize import CONSOLE_ASSETS, CONSOLE_PAGES

PLAIN_BYTES_MAX = 1_000  # smaller than a packet: not worth a gzip
MEDIA = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
    ".wasm": "application/wasm",
}
FOR_EVER = "public, max-age=31536000, immutable"
MISSING = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Plomba</title>
<h1>Plomba</h1><p>This installation was built without the console (PLOMBA_WEB=skip, or no network at that moment).
In a checkout: <code>make web</code>, then start the collector again.
The API is at <a href="/api/v1/openapi.json">/api/v1</a>, the officer's page at <a href="/o/">/o/</a>.</p></html>
"""


@dataclass(slots=True, kw_only=True)
class Asset:
    """A file of the build; packed when it is first asked for."""

    name: str
    media: str
    data: bytes
    _packed: bytes | None = field(default=None)

    def packed(self) -> bytes | None:
        """The file as gzip, or None if that is not worth it."""
        if len(self.data) < PLAIN_BYTES_MAX:
            return None
        if self._packed is None:
            self._packed = gzip.compress(self.data, 6, mtime=0)
        return self._packed


def built() -> Mapping[str, Asset]:
    """The files of the build by name, the page as `index.html`; empty if there was none."""
    dist = files("collector").joinpath("web", "dist")
    return {asset.name: asset for asset in _assets(dist)} if dist.is_dir() else {}


def name_of(begins: str) -> str | None:
    """The file of the build whose name begins so; None without one."""
    assets = files("collector").joinpath("web", "dist", "assets")
    names = (file.name for file in assets.iterdir()) if assets.is_dir() else ()
    return next((name for name in names if name.startswith(begins)), None)


def add_console(api: FastAPI, assets: Mapping[str, Asset]) -> None:
    """The routes of the console."""

    async def page() -> Response:
        index = assets.get("index.html")
        if index is None:
            return HTMLResponse(MISSING, headers={"Cache-Control": "no-cache"})
        return HTMLResponse(index.data, headers={"Cache-Control": "no-cache"})

    async def asset(name: str, request: Request) -> Response:
        found = assets.get(name) if name != "index.html" else None
        if found is None:
            return PlainTextResponse("no such file: reload the page", status_code=404)
        headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
        packed = found.packed() if _takes_gzip(request) else None
        if packed is not None:
            headers["Content-Encoding"] = "gzip"
        return Response(packed or found.data, media_type=found.media, headers=headers)

    for path in CONSOLE_PAGES:
        api.add_api_route(path, page, methods=["GET"], include_in_schema=False)
    api.add_api_route(CONSOLE_ASSETS, asset, methods=["GET"], include_in_schema=False)


def _assets(dist: Traversable) -> Iterator[Asset]:
    index = dist / "index.html"
    if not index.is_file():
        return
    yield Asset(name="index.html", media=MEDIA[".html"], data=index.read_bytes())
    for file in (dist / "assets").iterdir():
        media = MEDIA.get(f".{file.name.rpartition('.')[2]}")
        if media is not None and file.is_file():
            yield Asset(name=file.name, media=media, data=file.read_bytes())


def _takes_gzip(request: Request) -> bool:
    said = request.headers.get("accept-encoding", "")
    return any(part.split(";")[0].strip() == "gzip" for part in said.split(","))
