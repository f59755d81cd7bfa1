"""What goes wrong under /o/, as a page: who stands beside a truck reads no JSON.

Law: status and headers stay as they were said; only the body becomes a page, and only for a browser that wants to show one.
"""

import json
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.api.guard import CHANGE_HEADER
from collector.api.officer import frame_of, html_of
from collector.api.officer_pages import Pages
from collector.api.problems import MEDIA

# Codes of problems that have words of their own; for any other: nothing was done.
WORDS: Mapping[str, str] = {
    "not_logged_in": "expired",
    "narrowed": "expired",
    "not_allowed": "role",
    "read_only_session": "role",
    "too_many": "wait",
    "busy": "wait",
    "cross_site": "old_page",
}


class Readable:
    """The middleware. See the law above."""

    def __init__(self, app: ASGIApp, *, pages: Pages) -> None:
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if not _is_page(scope):
            await self._app(scope, receive, send)
            return
        held: Message = {}

        async def sending(message: Message) -> None:
            nonlocal held
            is_head = message["type"] == "http.response.start"
            if is_head and Headers(raw=message["headers"]).get("content-type") == MEDIA:
                held = message
            elif held:  # a problem is one piece
                await self._say(scope, receive, send, held, json.loads(message["body"]))
            else:
                await send(message)

        await self._app(scope, receive, sending)

    async def _say(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        head: Mapping[str, Any],
        problem: Mapping[str, Any],
    ) -> None:
        request = Request(scope)
        scope["state"].setdefault("held", None)  # refused before anybody was asked who it is
        frame = frame_of(request, request.query_params.get("lang", ""))
        fault = f"officer.fault.{WORDS.get(problem['code'], 'failed')}"
        if frame.who:
            page = self._pages.form(frame, fault=fault)
        else:
            page = self._pages.login(frame, then="", fault=fault)
        said = html_of(request, page, status=head["status"])
        # What the guard has added stays, and so do Retry-After and its like; the page brings its own type and length.
        kept = MutableHeaders(raw=list(head["headers"]))
        for name in ("content-type", "content-length"):
            del kept[name]
        for name, value in kept.items():
            said.headers.setdefault(name, value)
        await said(scope, receive, send)


def _is_page(scope: Scope) -> bool:
    if scope["type"] != "http" or not scope["path"].lower().startswith("/o/"):
        return False
    headers = Headers(scope=scope)
    return "text/html" in headers.get("accept", "") and CHANGE_HEADER not in headers
