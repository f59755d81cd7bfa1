"""Who asks, and the routes by which a session begins, widens and ends (CONSOLE section 10).

Law: a route learns who asks from `actor_of` and from nothing else.
"""

import hmac
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from pydantic import Field
from starlette.datastructures import Headers

from collector.api.models import Answer
from collector.api.porter import Held, Porter, RefusedError, Secret
from collector.api.problems import refused
from collector.api.times import maybe, rfc3339
from collector.people import Actor, Denied, totp
from collector.people.passwords import CHARS_MAX
from collector.people.sessions import COOKIES, STEP_UP_MS, WARN_MS, Kind, Session, narrows_ms

SECRET_CHARS_MAX = 200
NAMES = tuple(dict.fromkeys(name for name, _ in COOKIES.values()))


def actor_of(request: Request) -> Actor:
    """Who asks. The guard has let him through to this route."""
    actor = maybe_actor_of(request)
    if actor is None:  # an open route asks who is there: it must use `maybe_actor_of`
        raise refused(Denied(status=401, code="not_logged_in", hint="log in first"))
    return actor


def maybe_actor_of(request: Request) -> Actor | None:
    """Who asks, on a route that is open to strangers."""
    held = held_of(request)
    return None if held is None else held.actor


def held_of(request: Request) -> Held | None:
    """The session by which he asks."""
    held = request.state.held
    assert held is None or isinstance(held, Held)
    return held


Who = Annotated[Actor, Depends(actor_of)]


def form_token(secret: str) -> str:
    """What a plain form carries: bound to the session, of no use without it."""
    return hmac.new(secret.encode(), b"plomba form", sha256).hexdigest()


def secrets_of(headers: Headers, path: str) -> list[Secret]:
    """What a request shows to prove a session, the likeliest first."""
    scheme, _, word = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return [Secret(text=word.strip()[:SECRET_CHARS_MAX], is_bearer=True)]
    cookies: dict[str, str] = {}
    for part in headers.get("cookie", "")[:8_192].split(";"):
        name, _, value = part.strip().partition("=")
        if name in NAMES:
            cookies.setdefault(name, value[:SECRET_CHARS_MAX])
    names = reversed(NAMES) if path.lower().startswith("/o/") else NAMES
    return [Secret(text=cookies[name], is_bearer=False) for name in names if name in cookies]


def set_cookie(response: Response, secret: str, session: Session, now_ms: int) -> None:
    """Give the browser a session to hold."""
    name, same_site = COOKIES[session.kind]
    response.set_cookie(
        name,
        secret,
        max_age=max(0, (session.expires_ms - now_ms) // 1_000),
        path="/",
        secure=True,
        httponly=True,
        samesite=same_site,
    )


def clear_cookies(response: Response) -> None:
    """Take it away again."""
    for name, same_site in COOKIES.values():
        response.delete_cookie(name, path="/", secure=True, httponly=True, samesite=same_site)


class Ask(Answer):
    """A body. Unknown fields are refused."""


class LogIn(Ask):
    user: str = Field(max_length=64)
    password: str = Field(max_length=CHARS_MAX)
    desk: str = Field(default="", max_length=16, description="at which to sit")
    token: bool = Field(default=False, description="answer with a bearer's token, set no cookie")


class SetUp(Ask):
    code: str = Field(max_length=SECRET_CHARS_MAX, description="the one-time code of the link")
    password: str = Field(max_length=CHARS_MAX)


class Password(Ask):
    password: str = Field(max_length=CHARS_MAX)


class NewPassword(Ask):
    old: str = Field(max_length=CHARS_MAX)
    new: str = Field(max_length=CHARS_MAX)


class Code(Ask):
    code: str = Field(pattern=r"^\d{6}$")


class Me(Answer):
    """Who asks, and how long his session goes on."""

    user: str
    role: str
    scope: str = Field(description="empty: all")
    desk: str
    read_only: bool
    until: str = Field(description="when the session ends")
    warn_at: list[str] = Field(description="when to warn of it")
    narrows_at: str | None = Field(description="without further input; null: never")
    narrowed: bool
    stepped_up_until: str | None
    form_token: str = Field(description="what a plain form carries as `csrf`")


class LoggedIn(Me):
    token: str | None = Field(description="of a bearer; shown once")


class Made(Answer):
    """An account that is set up. The second factor's secret is told this once."""

    user: str
    totp_secret: str
    totp_uri: str


def add_auth(api: FastAPI, porter: Porter) -> None:
    """The routes of one's own session."""

    @api.post("/api/v1/login", tags=["session"], summary="Begin a session")
    async def login(asked: LogIn, request: Request, response: Response) -> LoggedIn:
        try:
            secret, session = await porter.log_in(
                asked.user,
                asked.password,
                address=request.state.address,
                by_token=asked.token,
                desk=asked.desk,
            )
        except RefusedError as error:
            raise refused(error.denied, wait_s=error.wait_s) from error
        if not asked.token:
            set_cookie(response, secret, session, session.made_ms)
        me = _me(session, secret, narrowed=False)
        return LoggedIn(**me.model_dump(), token=secret if asked.token else None)

    @api.post("/api/v1/setup", tags=["session"], summary="Use a one-time set-up code")
    async def setup(asked: SetUp, request: Request) -> Made:
        try:
            user_id, secret = await porter.set_up(
                asked.code, asked.password, address=request.state.address
            )
        except RefusedError as error:
            raise refused(error.denied, wait_s=error.wait_s) from error
        return Made(user=user_id, totp_secret=totp.b32(secret), totp_uri=totp.uri(secret, user_id))

    @api.post(
        "/api/v1/enter", tags=["session"], summary="A local session, from now on this browser's"
    )
    async def enter(request: Request, response: Response) -> Me:
        try:
            secret, session = await porter.enter(_held(request), address=request.state.address)
        except RefusedError as error:
            raise refused(error.denied) from error
        set_cookie(response, secret, session, session.made_ms)
        return _me(session, secret, narrowed=False)

    @api.get("/api/v1/me", tags=["session"], summary="Who am I, and for how long")
    async def me(request: Request) -> Me:
        return _now(request)

    @api.post("/api/v1/me/input", tags=["session"], summary="Somebody sits here", status_code=204)
    async def saw_input() -> None:
        return None  # the guard has written it down

    @api.post("/api/v1/me/widen", tags=["session"], summary="Go on in full: the password again")
    async def widen(asked: Password, request: Request) -> Me:
        held = _held(request)
        try:
            await porter.widen(held.session, asked.password, address=request.state.address)
        except RefusedError as error:
            raise refused(error.denied, wait_s=error.wait_s) from error
        return await _anew(porter, held)

    @api.post("/api/v1/me/password", tags=["session"], summary="Another password", status_code=204)
    async def password(asked: NewPassword, request: Request) -> None:
        try:
            await porter.change_password(
                _held(request).session, asked.old, asked.new, address=request.state.address
            )
        except RefusedError as error:
            raise refused(error.denied, wait_s=error.wait_s) from error

    @api.post("/api/v1/step-up", tags=["session"], summary="Show the second factor")
    async def step_up(asked: Code, request: Request) -> Me:
        held = _held(request)
        try:
            await porter.step_up(held.session, asked.code)
        except RefusedError as error:
            raise refused(error.denied, wait_s=error.wait_s) from error
        return await _anew(porter, held)

    @api.post("/api/v1/logout", tags=["session"], summary="End this session", status_code=204)
    async def logout(request: Request, response: Response) -> None:
        await porter.log_out(_held(request).actor)
        clear_cookies(response)


def _held(request: Request) -> Held:
    held = held_of(request)
    assert held is not None, "the guard lets nobody here without one"
    return held


def _now(request: Request) -> Me:
    held = _held(request)
    return _me(held.session, held.secret, narrowed=held.actor.narrowed)


async def _anew(porter: Porter, held: Held) -> Me:
    again = await porter.again(held)
    return _me(again.session, again.secret, narrowed=again.actor.narrowed)


def _me(session: Session, secret: str, *, narrowed: bool) -> Me:
    stepped_ms = session.step_up_ms
    return Me(
        user=session.user_id,
        role=session.role.value,
        scope=session.scope,
        desk=session.desk,
        read_only=session.kind is Kind.KIOSK,
        until=rfc3339(session.expires_ms),
        warn_at=[rfc3339(session.expires_ms - before) for before in WARN_MS],
        narrows_at=maybe(narrows_ms(session)),
        narrowed=narrowed,
        stepped_up_until=None if stepped_ms is None else rfc3339(stepped_ms + STEP_UP_MS),
        form_token=form_token(secret),
    )
