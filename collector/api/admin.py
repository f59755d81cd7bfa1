"""Users, desks, and the sessions of walls and programs (CONSOLE section 2, Admin).

Law: an admin gives rights and takes them, and never his own. A change and its act are one transaction; a secret is told once.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response
from pydantic import Field
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.api.audit import keep
from collector.api.auth import Ask, Who, set_cookie
from collector.api.models import Answer
from collector.api.porter import Porter, RefusedError
from collector.api.problems import ProblemError, not_found, refused
from collector.api.times import maybe, rfc3339
from collector.people import SCOPE, USER_ID, Actor, Role, sees
from collector.people.authorize import beyond
from collector.people.sessions import DAY_MS, KIOSK_MS, TOKEN_BYTES, Kind, Session, opened
from collector.store import people
from collector.store.database import Store
from collector.store.people import Account

PAGE_MAX = 200
DESKS_MAX = 50  # CONSOLE section 7
TOKEN_DAYS_MAX = 366
NAME = r"^[^\x00-\x1f\x7f]*$"
DESK_ID = r"[a-z0-9-]{1,16}"

UserId = Annotated[str, Path(pattern=f"^{USER_ID.pattern}$")]
ScopeField = Annotated[str, Field(pattern=f"^{SCOPE.pattern}$", description="empty: all")]
DeskField = Annotated[str, Field(pattern=f"^(?:{DESK_ID})?$", description="empty: none")]


class User(Answer):
    user: str
    name: str
    role: str
    scope: str
    desk: str
    made_by: str
    made_at: str
    set_up: bool = Field(description="has a password, and a second factor")
    setup_until: str | None = Field(description="so long a one-time link is open; null: none is")
    locked_at: str | None


class Users(Answer):
    users: list[User]
    more: str | None


class NewUser(Ask):
    user: str = Field(pattern=f"^{USER_ID.pattern}$")
    name: str = Field(default="", max_length=64, pattern=NAME)
    role: Role
    scope: ScopeField = ""
    desk: DeskField = ""


class SetUpLink(Answer):
    """Told once: who has the code chooses the password."""

    user: str
    code: str
    path: str = Field(description="of the page that takes it; behind # nothing reaches a log")
    until: str


class RoleOf(Ask):
    role: Role


class ScopeOf(Ask):
    scope: ScopeField


class DeskOf(Ask):
    desk: DeskField


class Desk(Answer):
    desk: str
    name: str
    scope: str
    fallback: str = Field(description="hears its alerts while nobody sits there; empty: none")


class Desks(Answer):
    desks: list[Desk]


class NewDesk(Ask):
    desk: str = Field(pattern=f"^{DESK_ID}$")
    name: str = Field(default="", max_length=64, pattern=NAME)
    scope: ScopeField = ""
    fallback: DeskField = ""


class NewKiosk(Ask):
    name: str = Field(pattern=r"^[a-z0-9-]{1,24}$", description="of the screen")
    scope: ScopeField = ""
    desk: DeskField = ""


class NewToken(Ask):
    name: str = Field(pattern=r"^[a-z0-9-]{1,24}$", description="of the program")
    role: Role
    scope: ScopeField = ""
    days: int = Field(ge=1, le=TOKEN_DAYS_MAX)


class Given(Answer):
    """A secret, told once."""

    session: str
    token: str
    until: str


class OpenSession(Answer):
    session: str
    kind: str
    user: str
    role: str
    scope: str
    desk: str
    address: str
    began: str
    until: str
    seen: str


class OpenSessions(Answer):
    sessions: list[OpenSession]


def add_admin(api: FastAPI, store: Store, porter: Porter, now_ms: Callable[[], int]) -> None:
    """The routes of people, desks and sessions."""
    _add_users(api, store, porter, now_ms)
    _add_desks(api, store, now_ms)
    _add_sessions(api, store, porter, now_ms)


def _add_users(api: FastAPI, store: Store, porter: Porter, now_ms: Callable[[], int]) -> None:
    tags: Sequence[Any] = ["admin"]

    @api.get("/api/v1/admin/users", tags=[*tags], summary="Who may log in")
    async def users(
        who: Who,
        after: Annotated[str, Query(max_length=32)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> Users:
        async with store.read() as connection:
            found = await people.accounts(connection, after=after, limit=limit + 1, scope=who.scope)
        return Users(
            users=[_user(one, now_ms()) for one in found[:limit]],
            more=found[limit - 1].user_id if len(found) > limit else None,
        )

    @api.post("/api/v1/admin/users", tags=[*tags], summary="A new user, and his one-time link")
    async def add(who: Who, asked: NewUser, request: Request) -> SetUpLink:
        if asked.role is Role.UNIT:
            raise _bad("role", "a unit is enrolled, it does not log in")
        _check_part(who, asked.scope)
        async with store.write() as connection:
            await _desk_or_none(connection, asked.desk)
            if not await people.add_account(
                connection,
                user_id=asked.user,
                name=asked.name,
                role=asked.role,
                scope=asked.scope,
                desk=asked.desk,
                by=who.user_id,
                now_ms=now_ms(),
            ):
                raise _conflict("user_taken", f"{asked.user}: a name is never given anew")
            said = f"{asked.role.value} {asked.scope}".strip()
            await _keep(request, connection, "user-add", asked.user, said)
            return await _link(connection, asked.user, who)

    @api.post("/api/v1/admin/users/{user_id}/setup-link", tags=[*tags], summary="A new link")
    async def setup_link(who: Who, user_id: UserId, request: Request) -> SetUpLink:
        async with store.write() as connection:
            await _other(connection, user_id, who)
            link = await _link(connection, user_id, who)
            await _keep(request, connection, "user-setup-link", user_id)
        await porter.tell_ended()
        return link

    @api.post("/api/v1/admin/users/{user_id}/role", tags=[*tags], summary="Another role")
    async def role(who: Who, user_id: UserId, asked: RoleOf, request: Request) -> User:
        if asked.role is Role.UNIT:
            raise _bad("role", "a unit is enrolled, it does not log in")
        return await change(request, who, user_id, f"role {asked.role.value}", role=asked.role)

    @api.post("/api/v1/admin/users/{user_id}/scope", tags=[*tags], summary="Another scope")
    async def scope(who: Who, user_id: UserId, asked: ScopeOf, request: Request) -> User:
        _check_part(who, asked.scope)
        return await change(request, who, user_id, f"scope {asked.scope}", scope=asked.scope)

    @api.post("/api/v1/admin/users/{user_id}/desk", tags=[*tags], summary="Another desk")
    async def desk(who: Who, user_id: UserId, asked: DeskOf, request: Request) -> User:
        return await change(request, who, user_id, f"desk {asked.desk}", desk=asked.desk)

    @api.post("/api/v1/admin/users/{user_id}/lock", tags=[*tags], summary="Out, at once")
    async def lock(who: Who, user_id: UserId, request: Request) -> User:
        return await turn(request, who, user_id, locked=True)

    @api.post("/api/v1/admin/users/{user_id}/unlock", tags=[*tags], summary="In again")
    async def unlock(who: Who, user_id: UserId, request: Request) -> User:
        return await turn(request, who, user_id, locked=False)

    async def change(
        request: Request,
        who: Actor,
        user_id: str,
        detail: str,
        *,
        role: Role | None = None,
        scope: str | None = None,
        desk: str | None = None,
    ) -> User:
        async with store.write() as connection:
            await _other(connection, user_id, who)
            await _desk_or_none(connection, desk or "")
            await people.give(
                connection,
                user_id,
                by=who.user_id,
                now_ms=now_ms(),
                role=role,
                scope=scope,
                desk=desk,
            )
            await _keep(request, connection, "user-change", user_id, detail)
            changed = await people.account(connection, user_id)
        await porter.tell_ended()
        assert changed is not None
        return _user(changed, now_ms())

    async def turn(request: Request, who: Actor, user_id: str, *, locked: bool) -> User:
        async with store.write() as connection:
            await _other(connection, user_id, who)
            await people.lock(connection, user_id, locked=locked, by=who.user_id, now_ms=now_ms())
            await _keep(request, connection, "user-lock" if locked else "user-unlock", user_id)
            changed = await people.account(connection, user_id)
        await porter.tell_ended()
        assert changed is not None
        return _user(changed, now_ms())

    async def _keep(
        request: Request, connection: AsyncConnection, act: str, user_id: str, detail: str = ""
    ) -> None:
        await keep(request, connection, act, f"user/{user_id}", now_ms(), detail=detail)

    async def _link(connection: AsyncConnection, user_id: str, who: Actor) -> SetUpLink:
        code = secrets.token_urlsafe(TOKEN_BYTES)
        until_ms = await people.set_up_anew(
            connection, user_id, code, by=who.user_id, now_ms=now_ms()
        )
        return SetUpLink(user=user_id, code=code, path=f"/setup#{code}", until=rfc3339(until_ms))


def _add_desks(api: FastAPI, store: Store, now_ms: Callable[[], int]) -> None:
    @api.get("/api/v1/admin/desks", tags=["admin"], summary="The desks")
    async def desks(who: Who) -> Desks:
        async with store.read() as connection:
            rows = await people.desks(connection)
        return Desks(desks=[_desk(row) for row in rows if sees(who.scope, row.scope)])

    @api.post("/api/v1/admin/desks", tags=["admin"], summary="A desk, or other words for one")
    async def put(who: Who, asked: NewDesk, request: Request) -> Desk:
        _check_part(who, asked.scope)
        async with store.write() as connection:
            there = {row.desk_id: row.scope for row in await people.desks(connection)}
            if not sees(who.scope, there.get(asked.desk, who.scope)):
                raise not_found("desk", f"{asked.desk} is no desk of {who.scope}")
            if asked.desk not in there and len(there) >= DESKS_MAX:
                raise _conflict("too_many_desks", f"at most {DESKS_MAX}")
            if asked.fallback == asked.desk:
                raise _bad("fallback", "another desk than itself")
            await _desk_or_none(connection, asked.fallback)
            await _check_stands_in(connection, asked)
            await people.put_desk(
                connection,
                desk_id=asked.desk,
                name=asked.name,
                scope=asked.scope,
                fallback=asked.fallback,
                by=who.user_id,
                now_ms=now_ms(),
            )
            detail = f"scope {asked.scope}, fallback {asked.fallback}"
            await keep(request, connection, "desk", f"desk/{asked.desk}", now_ms(), detail=detail)
        return Desk(**asked.model_dump())


def _add_sessions(api: FastAPI, store: Store, porter: Porter, now_ms: Callable[[], int]) -> None:
    @api.get("/api/v1/admin/sessions", tags=["admin"], summary="Who is logged in")
    async def sessions(
        who: Who,
        user: Annotated[str, Query(max_length=64)] = "",
        kind: Annotated[Kind | None, Query(description="e.g. kiosk, machine")] = None,
    ) -> OpenSessions:
        kinds = () if kind is None else (kind,)
        async with store.read() as connection:
            found = await people.sessions(
                connection, now_ms(), kinds=kinds, user_id=user, scope=who.scope
            )
        return OpenSessions(sessions=[_session(one, address) for one, address in found])

    @api.post("/api/v1/admin/sessions/{session}/end", tags=["admin"], summary="End a session")
    async def end(
        who: Who,
        session: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")],
        request: Request,
    ) -> OpenSessions:
        id_ = bytes.fromhex(session)
        async with store.write() as connection:
            found = await people.find_session(connection, id_, now_ms())
            if (
                found is None
                or not sees(who.scope, found.session.scope)
                or not await people.end_session(connection, id_, by=who.user_id, now_ms=now_ms())
            ):
                raise not_found("session", "no such session stands")
            await keep(request, connection, "session-end", f"session/{session[:16]}", now_ms())
        await porter.tell_ended()
        return OpenSessions(sessions=[])

    @api.post("/api/v1/admin/kiosks", tags=["admin"], summary="Give a wall its screen, read only")
    async def kiosk(who: Who, asked: NewKiosk, request: Request) -> Given:
        return await give(
            request, who, Kind.KIOSK, f"kiosk:{asked.name}", Role.OPERATOR, asked.scope, asked.desk
        )

    @api.post("/api/v1/admin/tokens", tags=["admin"], summary="A token for a program")
    async def token(who: Who, asked: NewToken, request: Request) -> Given:
        if asked.role in (Role.UNIT, Role.ADMIN):
            raise _bad("role", "a program is no admin, and a unit is enrolled")
        return await give(
            request,
            who,
            Kind.MACHINE,
            f"machine:{asked.name}",
            asked.role,
            asked.scope,
            "",
            life_ms=asked.days * DAY_MS,
        )

    @api.post(
        "/api/v1/kiosk", tags=["session"], summary="A wall takes its session", status_code=204
    )
    async def claim(asked: Claim, request: Request, response: Response) -> None:
        try:
            secret, session = await porter.claim(asked.token, address=request.state.address)
        except RefusedError as error:
            raise refused(error.denied, wait_s=error.wait_s) from error
        set_cookie(response, secret, session, now_ms())

    async def give(
        request: Request,
        who: Actor,
        kind: Kind,
        user_id: str,
        role: Role,
        scope: str,
        desk: str,
        *,
        life_ms: int = KIOSK_MS,
    ) -> Given:
        _check_part(who, scope)
        secret = secrets.token_urlsafe(TOKEN_BYTES)
        session = opened(
            secret,
            kind,
            user_id=user_id,
            role=role,
            scope=scope,
            desk=desk,
            now_ms=now_ms(),
            life_ms=life_ms,
        )
        async with store.write() as connection:
            await _desk_or_none(connection, desk)
            await people.open_session(connection, session, address=f"given by {who.user_id}")
            part = f" {scope}" if scope else ""
            detail = f"{role.value}{part}, until {rfc3339(session.expires_ms)}"
            await keep(request, connection, f"{kind.value}-give", user_id, now_ms(), detail=detail)
        return Given(session=session.id.hex(), token=secret, until=rfc3339(session.expires_ms))


class Claim(Ask):
    token: str = Field(max_length=200, description="that an admin has given to this screen")


async def _other(connection: AsyncConnection, user_id: str, who: Actor) -> Account:
    """An account that is not the admin's own: nobody locks himself out, or in. One that sees more than he is not there."""
    found = await people.account(connection, user_id)
    if found is None or not sees(who.scope, found.scope):
        raise not_found("user", f"{user_id} has no account")
    if user_id == who.user_id:
        raise _conflict("own_account", "another admin changes yours")
    return found


async def _desk_or_none(connection: AsyncConnection, desk: str) -> None:
    if desk and not await people.desk_is_open(connection, desk, ""):
        raise _bad("desk", f"there is no desk {desk}")


def _check_part(who: Actor, scope: str) -> None:
    """Nobody gives more than he sees."""
    if (denied := beyond(who, scope)) is not None:
        raise refused(denied)


async def _check_stands_in(connection: AsyncConnection, asked: NewDesk) -> None:
    """Whoever sits at a fall-back desk sees all that comes to it, else nobody would hear it."""
    desks = await people.desks(connection)
    scopes = {row.desk_id: row.scope for row in desks} | {asked.desk: asked.scope}
    named = [(row.desk_id, row.fallback) for row in desks if row.desk_id != asked.desk]
    for desk, fallback in (*named, (asked.desk, asked.fallback)):
        if fallback and not sees(scopes.get(fallback, ""), scopes[desk]):
            raise _bad("fallback", f"{fallback} sees {scopes[fallback]}, and {desk} more than that")


def _bad(field: str, detail: str) -> ProblemError:
    return ProblemError(
        status=422, code="bad_parameter", title="Bad parameter", detail=f"{field}: {detail}"
    )


def _conflict(code: str, detail: str) -> ProblemError:
    title = code.replace("_", " ").capitalize()
    return ProblemError(status=409, code=code, title=title, detail=detail)


def _user(one: Account, now_ms: int) -> User:
    until_ms = one.setup_until_ms
    return User(
        user=one.user_id,
        name=one.name,
        role=one.role.value,
        scope=one.scope,
        desk=one.desk,
        made_by=one.made_by,
        made_at=rfc3339(one.made_ms),
        set_up=one.password is not None,
        setup_until=None if until_ms is None or until_ms <= now_ms else rfc3339(until_ms),
        locked_at=maybe(one.locked_ms),
    )


def _desk(row: Row[Any]) -> Desk:
    return Desk(desk=row.desk_id, name=row.name, scope=row.scope, fallback=row.fallback)


def _session(one: Session, address: str) -> OpenSession:
    return OpenSession(
        session=one.id.hex(),
        kind=one.kind.value,
        user=one.user_id,
        role=one.role.value,
        scope=one.scope,
        desk=one.desk,
        address=address,
        began=rfc3339(one.made_ms),
        until=rfc3339(one.expires_ms),
        seen=rfc3339(one.seen_ms),
    )
