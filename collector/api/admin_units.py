"""Units as an admin sees them: who is let in, with which key, in which part of the whole; never where they are (CONSOLE section 10).

Law: enrolment and revocation take two people; that the two differ is decided in `collector.enrol`, over names of users.
"""

import secrets
from base64 import b32encode
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Any

import segno
from fastapi import FastAPI, Path, Query, Request
from pydantic import Field
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.api.admin import ScopeOf
from collector.api.audit import keep
from collector.api.auth import Ask, Who
from collector.api.models import Answer
from collector.api.problems import ProblemError, not_found, refused
from collector.api.times import rfc3339
from collector.enrol import TOKEN_MS, Standing, Token
from collector.people import Actor, sees
from collector.people.authorize import beyond
from collector.people.sessions import TOKEN_BYTES
from collector.store import enrolments, people, schema
from collector.store.database import Store
from collector.store.enrolments import Enrolment, NotDone, Revoked
from collector.store.live import in_scope
from wire.topics import UNIT_ID

PAGE_MAX = 200
ENROLMENTS_MAX = 200

UnitId = Annotated[str, Path(pattern=f"^{UNIT_ID.pattern}$", description="WIRE section 1")]
_STATUS = {"nothing_waits": 404, "no_key": 404}


class AdminUnit(Answer):
    """What there is to look after of a unit; where it is, is nobody's here."""

    unit: str
    number: int
    scope: str
    enrolled_at: str
    keys_in_force: list[str] = Field(description="fingerprints, in four groups")


class AdminUnits(Answer):
    units: list[AdminUnit]
    more: str | None


class NewToken(Ask):
    unit: str = Field(pattern=f"^{UNIT_ID.pattern}$")


class UnitToken(Answer):
    """For one unit, once, 24 h; told once."""

    unit: str
    token: str = Field(description="base32, as `plomba-agent enrol` takes it")
    qr: list[str] = Field(description="the same as a QR code: a row a line, 1 for dark")
    until: str


class Asked(Answer):
    """A request to be let in."""

    unit: str
    fingerprint: str
    state: str = Field(description="waiting, approved, refused, expired")
    hardware: str
    asked_by: str = Field(description="who made the token: another person decides")
    decided_by: str | None
    posted: str
    until: str


class Enrolments(Answer):
    enrolments: list[Asked] = Field(description="the newest first")


class Fingerprint(Ask):
    fingerprint: str = Field(
        pattern=r"^[0-9a-fA-F ]{16,24}$", description="as the unit shows it: 16 hex digits"
    )


class Reason(Ask):
    reason: str = Field(min_length=1, max_length=500)


class Revocation(Answer):
    unit: str
    revoked: bool = Field(description="false: asked for; another person does it within 24 h")
    kids: list[str]


def add_admin_units(api: FastAPI, store: Store, now_ms: Callable[[], int]) -> None:
    """The routes."""
    _add_units(api, store, now_ms)
    _add_enrolments(api, store, now_ms)


def _add_units(api: FastAPI, store: Store, now_ms: Callable[[], int]) -> None:
    @api.get("/api/v1/admin/units", tags=["admin"], summary="Units, keys and scopes; no positions")
    async def units(
        who: Who,
        q: Annotated[str, Query(max_length=32, description="part of a unit_id")] = "",
        after: Annotated[str, Query(max_length=32)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> AdminUnits:
        unit, key = schema.unit.c, schema.unit_key.c
        statement = select(schema.unit).where(unit.unit_id > after, in_scope(unit.scope, who.scope))
        if q:
            statement = statement.where(unit.unit_id.contains(q, autoescape=True))
        async with store.read() as connection:
            rows = (
                await connection.execute(statement.order_by(unit.unit_id).limit(limit + 1))
            ).all()
            found = await connection.execute(
                select(key.unit_no, key.public_key)
                .where(key.unit_no.in_([row.number for row in rows]), key.revoked_ms.is_(None))
                .order_by(key.added_ms)
            )
            keys: dict[int, list[str]] = {}
            for row in found:
                digits = sha256(row.public_key).hexdigest()
                keys.setdefault(row.unit_no, []).append(_groups(digits[:16]))
        return AdminUnits(
            units=[_unit(row, keys.get(row.number, [])) for row in rows[:limit]],
            more=rows[limit - 1].unit_id if len(rows) > limit else None,
        )

    @api.post("/api/v1/admin/units/{unit_id}/scope", tags=["admin"], summary="Part of the whole")
    async def scope(who: Who, unit_id: UnitId, asked: ScopeOf, request: Request) -> ScopeOf:
        if (denied := beyond(who, asked.scope)) is not None:
            raise refused(denied)
        async with store.write() as connection:
            await _check_seen(connection, who, unit_id)
            await people.set_unit_scope(connection, unit_id, asked.scope)
            await keep(
                request,
                connection,
                "unit-scope",
                f"unit/{unit_id}",
                now_ms(),
                scope=asked.scope,
                detail=asked.scope,
            )
        return asked

    @api.post(
        "/api/v1/admin/units/{unit_id}/revoke", tags=["admin"], summary="Its keys, by two people"
    )
    async def revoke(who: Who, unit_id: UnitId, asked: Reason, request: Request) -> Revocation:
        async with store.write() as connection:
            await _check_seen(connection, who, unit_id)
            done = await enrolments.revoke(
                connection, unit_id, actor=who.user_id, why=asked.reason, now_ms=now_ms()
            )
            if isinstance(done, NotDone):
                raise _not_done(done)
            act = "revoke" if isinstance(done, Revoked) else "revoke-ask"
            await keep(request, connection, act, f"unit/{unit_id}", now_ms(), detail=asked.reason)
        return Revocation(
            unit=unit_id,
            revoked=isinstance(done, Revoked),
            kids=[kid.hex() for kid in done.kids],
        )


def _add_enrolments(api: FastAPI, store: Store, now_ms: Callable[[], int]) -> None:
    @api.post("/api/v1/admin/enrol-tokens", tags=["admin"], summary="A token for one unit")
    async def token(who: Who, asked: NewToken, request: Request) -> UnitToken:
        raw, at_ms = secrets.token_bytes(TOKEN_BYTES), now_ms()
        made = Token(
            sha256=sha256(raw).digest(),
            unit_id=asked.unit,
            made_by=who.user_id,
            made_ms=at_ms,
            expires_ms=at_ms + TOKEN_MS,
        )
        async with store.write() as connection:
            await enrolments.add_token(connection, made)
            await keep(request, connection, "enrol-token", f"unit/{asked.unit}", at_ms)
        text = b32encode(raw).decode().rstrip("=")
        return UnitToken(
            unit=asked.unit,
            token=text,
            qr=_qr(text),
            until=rfc3339(made.expires_ms),
        )

    @api.get("/api/v1/admin/enrolments", tags=["admin"], summary="Requests to be let in")
    async def listed() -> Enrolments:
        async with store.read() as connection:
            found = await enrolments.enrolments(connection, limit=ENROLMENTS_MAX)
        return Enrolments(enrolments=[_asked(one, now_ms()) for one in found])

    @api.post(
        "/api/v1/admin/enrolments/{unit_id}/approve",
        tags=["admin"],
        summary="Let it in: another person than who made the token",
    )
    async def approve(who: Who, unit_id: UnitId, asked: Fingerprint, request: Request) -> Asked:
        return await decide(request, who.user_id, unit_id, asked.fingerprint, let_in=True)

    @api.post("/api/v1/admin/enrolments/{unit_id}/refuse", tags=["admin"], summary="Turn it down")
    async def refuse(who: Who, unit_id: UnitId, asked: Fingerprint, request: Request) -> Asked:
        return await decide(request, who.user_id, unit_id, asked.fingerprint, let_in=False)

    async def decide(
        request: Request, by: str, unit_id: str, fingerprint: str, *, let_in: bool
    ) -> Asked:
        digits = "".join(fingerprint.split()).lower()
        if len(digits) != 16:
            raise ProblemError(
                status=422,
                code="bad_parameter",
                title="Bad parameter",
                detail="fingerprint: 16 hex digits, as the unit shows them",
            )
        async with store.write() as connection:
            done = await enrolments.decide(
                connection,
                unit_id,
                bytes.fromhex(digits),
                actor=by,
                approve=let_in,
                now_ms=now_ms(),
            )
            if isinstance(done, NotDone):
                raise _not_done(done)
            act = "enrol-approve" if let_in else "enrol-refuse"
            await keep(
                request, connection, act, f"unit/{unit_id}", now_ms(), detail=_groups(digits)
            )
        return _asked(done, now_ms())


async def _check_seen(connection: AsyncConnection, who: Actor, unit_id: str) -> None:
    """A unit of another part is not there."""
    scope = await people.scope_of_unit(connection, unit_id)
    if scope is None or not sees(who.scope, scope):
        raise not_found("unit", f"{unit_id} is not enrolled")


def _not_done(fault: NotDone) -> ProblemError:
    title = fault.code.replace("_", " ").capitalize()
    status = _STATUS.get(fault.code, 409)
    return ProblemError(status=status, code=fault.code, title=title, detail=fault.hint)


def _unit(row: Row[Any], keys: list[str]) -> AdminUnit:
    return AdminUnit(
        unit=row.unit_id,
        number=row.number,
        scope=row.scope,
        enrolled_at=rfc3339(row.enrolled_ms),
        keys_in_force=keys,
    )


def _asked(one: Enrolment, now_ms: int) -> Asked:
    is_over = one.standing is Standing.WAITING and now_ms >= one.expires_ms
    return Asked(
        unit=one.unit_id,
        fingerprint=_groups(one.kid.hex()),
        state="expired" if is_over else one.standing.value,
        hardware=one.hardware,
        asked_by=one.asked_by,
        decided_by=one.decided_by,
        posted=rfc3339(one.posted_ms),
        until=rfc3339(one.expires_ms),
    )


def _qr(text: str) -> list[str]:
    code = segno.make(text, error="m", micro=False)
    return ["".join("1" if dark else "0" for dark in row) for row in code.matrix]


def _groups(digits: str) -> str:
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))
