"""The door of the API: what every request passes before any route sees it (EVIDENCE section 11, CONSOLE section 10).

Law: the route that answers is found by the framework's own matching, and its row in the table of rights decides. Nothing passes
without a row.
"""

import asyncio
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import FastAPI
from sqlalchemy.exc import OperationalError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.api import once
from collector.api.audit import Auditor, Call
from collector.api.auth import form_token, secrets_of
from collector.api.models import Problem
from collector.api.porter import Porter
from collector.api.problems import FAULT, STORE_DOWN, answer, problem_of
from collector.people import Actor, Denied
from collector.people.authorize import RIGHTS, Kept, Right, authorize
from collector.people.buckets import (
    EXPORTS,
    REFUSALS,
    REQUESTS,
    STRANGERS,
    Buckets,
    crowd_of,
    seconds,
)
from collector.store.database import Store

log = logging.getLogger(__name__)

STORE_DOWN_S = 10  # the intake tries at least as often
LOOPBACK = ("127.0.0.1", "::1", "localhost")
HEADERS_MAX = 100
FIELDS_MAX = 100
BODY_S_MAX = 10.0
# Nobody types it, PostgreSQL stores none, and whoever reads C stops there: in JSON, in a form, as it is.
NUL_SIGNS = (rb"\u0000", b"%00", b"\0")
Refuse = Callable[[Problem, Mapping[str, str] | None], Awaitable[None]]

SAFE = ("GET", "HEAD", "OPTIONS")
CHANGE_HEADER = "x-plomba"

_BASE = "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_SELF = (
    "default-src 'none'; script-src 'self'; {style}; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; worker-src 'self'; manifest-src 'self'; " + _BASE
)
CSP_CONSOLE = (
    _SELF.format(style="style-src 'self'")
    + "; require-trusted-types-for 'script'; trusted-types svelte-trusted-html default"
)
CSP_API = "default-src 'none'; " + _BASE
HEADERS = {
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Under which names the API answers, and whom it believes about where a request came from."""

    names: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()  # addresses of TLS proxies
    only_proxies: bool = False  # without TLS of our own, beyond loopback


def csp_officer(nonce: str) -> str:
    """For the pages under /o/: styles stand in the page, under a nonce; no image, font or frame, and short, for a slow line carries it."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        + _BASE
    )


def missing_rights(api: FastAPI) -> list[str]:
    """Routes that nobody has said who may ask: with one of these the API does not start."""
    missing = []
    for route in api.router.routes:
        path = getattr(route, "path", None)
        if path is None:  # an included router hides its routes until the first request
            missing.append(f"{type(route).__name__}: add its routes to the application itself")
            continue
        methods: set[str] = set(getattr(route, "methods", None) or {"GET"}) - {"HEAD", "OPTIONS"}
        missing += [
            f"{method} {path}" for method in sorted(methods) if (method, path) not in RIGHTS
        ]
    return missing


class Guard:
    """The middleware. See the law above."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: Store,
        porter: Porter,
        auditor: Auditor,
        front: Front,
        now_ms: Callable[[], int],
    ) -> None:
        self._app = app
        self._store = store
        self._porter = porter
        self._auditor = auditor
        self._front = front
        self._now_ms = now_ms
        self._requests = Buckets(REQUESTS)
        self._strangers = Buckets(STRANGERS)
        self._refusals = Buckets(REFUSALS)
        self._exports = Buckets(EXPORTS)
        self._told_ms = 0  # when the log heard last that the store is down

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            await self._serve_or_say(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)

    async def _serve_or_say(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A fault of ours is an answer like any other, and stands in the log; a store that is down is said as such."""
        state = scope.setdefault("state", {})
        state["nonce"] = secrets.token_urlsafe(16)
        send = _with_headers(scope["path"], state["nonce"], send)
        is_begun = False

        async def sending(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._serve(scope, receive, sending)
        except OperationalError as error:  # a full disk, a lock, a database that is away
            if is_begun:
                raise
            now_ms = self._now_ms()
            if abs(now_ms - self._told_ms) >= STORE_DOWN_S * 1_000:  # screens ask again and again
                self._told_ms = now_ms
                log.warning("not served: %.200s", error.orig)
            headers = {"Cache-Control": "no-store", "Retry-After": str(STORE_DOWN_S)}
            await answer(STORE_DOWN, headers)(scope, receive, send)
        except Exception:
            if not is_begun:
                await answer(FAULT, {"Cache-Control": "no-store"})(scope, receive, send)
            raise

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        state = scope["state"]

        async def refuse(problem: Problem, more: Mapping[str, str] | None = None) -> None:
            await answer(problem, {"Cache-Control": "no-store", **(more or {})})(
                scope, receive, send
            )

        fault = self._fault_of_form(scope, headers)
        if fault is not None:
            await refuse(_said(fault), None)
            return
        route, match = _route_of(scope)
        if route is None:
            await refuse(_said(_NO_ROUTE), None)
            return
        if match is Match.PARTIAL:
            await self._app(scope, receive, send)  # 405, said by the framework
            return
        path = str(getattr(route, "path", ""))
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        right = RIGHTS.get((method, path))
        now_ms = self._now_ms()
        address = _address(scope)
        held = await self._porter.find(secrets_of(headers, scope["path"]), now_ms)
        actor = None if held is None else held.actor
        state["held"], state["address"], state["is_kept"] = held, address, False
        wait_ms = (
            self._strangers.draw(crowd_of(address), now_ms)
            if actor is None
            else self._requests.draw(actor.session, now_ms)
        )
        if wait_ms:
            await refuse(_said(_TOO_MANY), _after(wait_ms))
            return
        call = _call(scope, method, path)
        denied = authorize(actor, right, now_ms)
        if denied is not None and right is not None and _sends_to_log_in(denied, right, method):
            await _to_log_in(right.login_page, scope)(scope, receive, send)
            return
        if denied is not None:
            await self._deny(actor, call, denied, refuse)
            return
        assert right is not None
        body = b""
        if method not in SAFE:
            read = await _body_of(headers, receive, right.body_bytes_max)
            if isinstance(read, Denied):
                await refuse(_said(read), {"Connection": "close"})
                return
            body = read
            if any(sign in body for sign in NUL_SIGNS):
                await refuse(_said(_NUL))
                return
            forged = _forgery(scope, headers, right, body, held.secret if held else "")
            if forged is not None and not (held is not None and held.is_bearer):
                await self._deny(actor, call, forged, refuse)
                return
            receive = _again(body, receive)
        if actor is None:
            await self._app(scope, receive, send)
            return
        if right.kept is Kept.EXPORT:
            wait_ms = self._exports.draw(actor.user_id, now_ms)
            if wait_ms:
                await refuse(_said(_TOO_MANY), _after(wait_ms))
                return
        if right.is_input and held is not None:
            await self._porter.saw_input(held.session, now_ms)
        if not right.once:
            await self._app(scope, receive, self._keeping(actor, right, call, state, send))
            return
        key = once.key_of(actor, scope["path"], headers.get(once.HEADER), body)
        if isinstance(key, Denied):
            await refuse(_said(key), None)
            return
        before = await once.begin(self._store, key, now_ms, secret=right.secret)
        if isinstance(before, Denied):
            await refuse(_said(before), None)
            return
        if before is not None:
            await before(send)
            return

        async def answering(send: Send) -> None:
            await self._app(scope, receive, self._keeping(actor, right, call, state, send))

        await once.run(answering, self._store, key, send, secret=right.secret)

    def _keeping(
        self, actor: Actor, right: Right, call: Call, state: dict[str, object], send: Send
    ) -> Send:
        """`send` that writes down what is answered before it is."""

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                if status < 400:
                    await self._auditor.answered(actor, right, call, is_kept=bool(state["is_kept"]))
                elif status == 403 or (status == 404 and actor.scope):
                    self._refusals.draw(actor.session, self._now_ms())
                    await self._auditor.refused(actor, call, str(status))
            await send(message)

        return keep

    async def _deny(self, actor: Actor | None, call: Call, denied: Denied, refuse: Refuse) -> None:
        if actor is None:
            more = {"WWW-Authenticate": "Bearer"} if denied.status == 401 else None
            await refuse(_said(denied), more)
            return
        wait_ms = self._refusals.draw(actor.session, self._now_ms())
        if wait_ms:
            await refuse(_said(_TOO_MANY), _after(wait_ms))
            return
        await self._auditor.refused(actor, call, denied.code)
        await refuse(_said(denied), None)

    def _fault_of_form(self, scope: Scope, headers: Headers) -> Denied | None:
        """What is wrong with a request whoever sent it."""
        if len(scope["headers"]) > HEADERS_MAX:
            return Denied(status=431, code="too_many_headers", hint=f"at most {HEADERS_MAX}")
        front, peer = self._front, (scope.get("client") or ("", 0))[0]
        if front.only_proxies and peer not in (*front.proxies, *LOOPBACK):
            return Denied(status=403, code="not_by_proxy", hint="come through the TLS proxy")
        if peer in front.proxies:
            _believe(scope, headers)
        # A page in a person's browser may be made to ask us under a name of its own: only our names are answered.
        if _host_of(headers) not in (*LOOPBACK, *front.names):
            return Denied(
                status=421, code="wrong_host", hint="this API does not answer under that name"
            )
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return _NUL
        if headers.get("content-encoding", "identity") != "identity":
            return Denied(status=415, code="encoded_body", hint="send the body as it is")
        return None


_NUL = Denied(status=400, code="nul", hint="a text of ours holds no NUL, however it is written")
_NO_ROUTE = Denied(
    status=404, code="no_such_route", hint="routes are listed at /api/v1/openapi.json"
)
_TOO_MANY = Denied(status=429, code="too_many", hint="wait, as Retry-After says")


def _said(denied: Denied) -> Problem:
    title = denied.code.replace("_", " ").capitalize()
    return problem_of(denied.status, denied.code, title, denied.hint)


def _after(wait_ms: int) -> dict[str, str]:
    return {"Retry-After": str(seconds(wait_ms))}


def _route_of(scope: Scope) -> tuple[BaseRoute | None, Match]:
    """The route that the framework itself will take."""
    partial = None
    for route in scope["app"].router.routes:
        match, child = route.matches(scope)
        if match is Match.FULL:
            scope["path_params"] = child.get("path_params", {})
            return route, match
        if match is Match.PARTIAL and partial is None:
            partial = route
    return partial, Match.PARTIAL if partial is not None else Match.NONE


def _call(scope: Scope, method: str, path: str) -> Call:
    params = scope.get("path_params", {})
    unit_id = str(params.get("unit_id", ""))
    return Call(
        method=method,
        path=path,
        obj=f"unit/{unit_id}" if unit_id else scope["path"].removeprefix("/api/v1/"),
        unit_id=unit_id
        or str(params.get("batch", "")).partition(".")[0],  # a batch's name begins so
        query=scope["query_string"].decode("latin-1"),
    )


def _sends_to_log_in(denied: Denied, right: Right, method: str) -> bool:
    return (
        bool(right.login_page) and method == "GET" and denied.code in ("not_logged_in", "narrowed")
    )


def _to_log_in(page: str, scope: Scope) -> Response:
    """There, and back again afterwards."""
    asked = scope["path"] + (
        "?" + scope["query_string"].decode("latin-1") if scope["query_string"] else ""
    )
    return RedirectResponse(f"{page}?next={quote(asked, safe='')}", status_code=303)


def _host_of(headers: Headers) -> str:
    try:
        return (urlsplit(f"//{headers.get('host', '')}").hostname or "").lower()
    except ValueError:
        return ""


def _believe(scope: Scope, headers: Headers) -> None:
    """Take the client's address and scheme from our own proxy: the last it has seen itself."""
    seen = [part.strip() for part in headers.get("x-forwarded-for", "").split(",")][-1]
    if seen:
        scope["client"] = (seen[:64], 0)
    if headers.get("x-forwarded-proto") in ("http", "https"):
        scope["scheme"] = headers["x-forwarded-proto"]


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


async def _body_of(headers: Headers, receive: Receive, bytes_max: int) -> bytes | Denied:
    """The whole body, bounded in size and time, before any route sees it."""
    said = headers.get("content-length", "0")
    if not said.isdecimal() or int(said) > bytes_max:
        return _too_large(bytes_max)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S_MAX):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return Denied(status=400, code="gone", hint="")
                body += message.get("body", b"")
                if len(body) > bytes_max:
                    return _too_large(bytes_max)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return Denied(status=408, code="too_slow", hint=f"a body comes within {BODY_S_MAX:.0f} s")


def _too_large(bytes_max: int) -> Denied:
    return Denied(status=413, code="too_large", hint=f"at most {bytes_max} bytes")


def _again(body: bytes, receive: Receive) -> Receive:
    """`receive` that gives the body which was read already, then what comes."""
    told = False

    async def give() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


def _forgery(
    scope: Scope, headers: Headers, right: Right, body: bytes, secret: str
) -> Denied | None:
    """Why this change may have been sent by another site's page; None: it came from ours."""
    if right.form and CHANGE_HEADER not in headers:
        try:
            said = parse_qs(body.decode("latin-1"), max_num_fields=FIELDS_MAX).get("csrf", [""])[0]
        except ValueError:  # more fields than any form of ours has
            return _FORGED
        if secret and hmac.compare_digest(said.encode(), form_token(secret).encode()):
            return None
        # A log-in needs no session to bind a token to; who holds one that has narrowed logs in all the same.
        if (not secret or right.is_open) and _is_ours(scope, headers, absent=not secret):
            return None
        return _FORGED
    if headers.get(CHANGE_HEADER) == "1" and _is_ours(scope, headers, absent=False):
        return None
    return _FORGED


_FORGED = Denied(
    status=403,
    code="cross_site",
    hint="a change needs Sec-Fetch-Site: same-origin (or our own Origin) and X-Plomba: 1",
)


def _is_ours(scope: Scope, headers: Headers, *, absent: bool) -> bool:
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site == "same-origin"
    if origin is not None:
        return origin == f"{scope['scheme']}://{headers.get('host', '')}"
    return absent


def _with_headers(path: str, nonce: str, send: Send) -> Send:
    """`send` that adds what every answer bears."""
    is_api, is_officer = path.startswith("/api/"), path.lower().startswith("/o/")
    policy = CSP_API if is_api else csp_officer(nonce) if is_officer else CSP_CONSOLE

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Content-Security-Policy", policy)
            headers.setdefault(
                "Permissions-Policy", "camera=(self)" if is_officer else _NO_PERMISSIONS
            )
            if is_api or path == "/healthz":
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


_NO_PERMISSIONS = "camera=(), geolocation=(), microphone=()"
