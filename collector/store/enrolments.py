"""Tokens, requests, decisions, certificates and revocations in the store (EVIDENCE section 3).

Law: what decides is `collector.enrol`; each act and its row are one transaction. No token stands here, only its hash.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.enrol import TOKEN_MS, Fault, Known, Standing, Token
from collector.enrol.certificates import Csr
from collector.enrol.judging import is_open, judge_enrolment, judge_renewal, may_decide
from collector.store import schema
from collector.store.database import insert_unit
from collector.store.feed import touch_unit
from wire.enrol import Request
from wire.envelope import Key

TOKENS_MAX = 10_000  # kept for the record: the fleet's, several times over
RENEWALS_A_DAY_MAX = 24  # a unit tries once a day; more is a program gone wild
ASKED_MS_MAX = TOKEN_MS  # so long a wish to revoke waits for its second person

Issue = Callable[[bytes], bytes]  # from the csr that stands, the certificate as PEM


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDone:
    """Why nothing was changed, and what would be right."""

    code: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A request as it stands."""

    unit_id: str
    kid: bytes
    hardware: str
    asked_by: str
    posted_ms: int
    expires_ms: int
    standing: Standing
    decided_by: str | None
    unit_no: int | None
    certificate: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAsked:
    """The first of two people has spoken."""

    kids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """From this commit on these keys sign for nobody."""

    kids: tuple[bytes, ...]


# tokens and requests


async def add_token(connection: AsyncConnection, token: Token) -> None:
    """Keep the hash of a new token."""
    await connection.execute(
        schema.enrol_token.insert().values(
            token_sha256=token.sha256,
            unit_id=token.unit_id,
            made_by=token.made_by,
            made_ms=token.made_ms,
            expires_ms=token.expires_ms,
        )
    )


async def post(
    connection: AsyncConnection, request: Request, envelope: bytes, csr_pem: bytes, now_ms: int
) -> Enrolment | Fault:
    """Take a request whose form and signature hold. The same bytes again, after a kill or a lost answer, stand as they stood."""
    table = schema.enrolment
    there = await _by_nonce(connection, request.nonce)
    if there is not None and there.request_sha256 == sha256(envelope).digest():
        return _enrolment(there)
    known = await _known(connection, request, now_ms)
    csr = judge_enrolment(request, csr_pem, known, now_ms)
    if isinstance(csr, Fault):
        return csr
    assert known.token is not None
    await connection.execute(
        update(schema.enrol_token)
        .where(schema.enrol_token.c.token_sha256 == request.token_sha256)
        .values(used_ms=now_ms)
    )
    await connection.execute(
        table.insert().values(
            nonce=request.nonce,
            unit_id=request.unit_id,
            kid=request.kid,
            public_key=request.public_key,
            csr=csr_pem,
            request_sha256=sha256(envelope).digest(),
            hardware=request.hardware,
            asked_by=known.token.made_by,
            posted_ms=now_ms,
            expires_ms=now_ms + TOKEN_MS,
            standing=Standing.WAITING.value,
        )
    )
    row = await _by_nonce(connection, request.nonce)
    assert row is not None
    return _enrolment(row)


async def look(connection: AsyncConnection, nonce: bytes, now_ms: int) -> Enrolment | None:
    """How a request stands. None: expired, or no such request."""
    row = await _by_nonce(connection, nonce)
    return None if row is None or now_ms >= row.expires_ms else _enrolment(row)


async def fetch(
    connection: AsyncConnection, nonce: bytes, now_ms: int, issue: Issue
) -> Enrolment | None:
    """The same, and the certificate of an approved one, which is made at the first question after the approval."""
    row = await _by_nonce(connection, nonce)
    if row is None or now_ms >= row.expires_ms:
        return None
    if row.standing == Standing.APPROVED.value and row.certificate is None:
        certificate = issue(row.csr)
        await connection.execute(
            update(schema.enrolment)
            .where(schema.enrolment.c.nonce == nonce)
            .values(certificate=certificate)
        )
        await _note_issued(connection, row.unit_no, certificate, now_ms)
        row = await _by_nonce(connection, nonce)
        assert row is not None
    return _enrolment(row)


async def enrolments(connection: AsyncConnection, *, limit: int = 1_000) -> tuple[Enrolment, ...]:
    """The newest requests first."""
    table = schema.enrolment
    rows = await connection.execute(
        select(table).order_by(table.c.posted_ms.desc(), table.c.nonce).limit(limit)
    )
    return tuple(_enrolment(row) for row in rows)


# people


async def decide(
    connection: AsyncConnection,
    unit_id: str,
    kid: bytes,
    *,
    actor: str,
    approve: bool,
    now_ms: int,
) -> Enrolment | NotDone:
    """A second person lets in, or refuses, the unit whose key he has compared."""
    table = schema.enrolment
    rows = await connection.execute(
        select(table).where(table.c.unit_id == unit_id).order_by(table.c.posted_ms.desc())
    )
    row = next(
        (one for one in rows if is_open(Standing(one.standing), one.expires_ms, now_ms)), None
    )
    if row is None:
        return NotDone(code="nothing_waits", hint=f"no request of {unit_id} waits")
    if row.kid != kid:
        return NotDone(
            code="other_key",
            hint=f"the request of {unit_id} bears another key: somebody else may have posted it. Refuse it, make a new token",
        )
    fault = may_decide(row.asked_by, actor)
    if fault:
        return NotDone(code="second_person", hint=fault)
    unit_no = None
    if approve:
        let_in = await _let_in(connection, row, now_ms)
        if isinstance(let_in, NotDone):
            return let_in
        unit_no = let_in
        await _act(connection, unit_no, kid, now_ms, "enrol", actor, f"token by {row.asked_by}")
    standing = Standing.APPROVED if approve else Standing.REFUSED
    await connection.execute(
        update(table)
        .where(table.c.nonce == row.nonce)
        .values(standing=standing.value, decided_by=actor, decided_ms=now_ms, unit_no=unit_no)
    )
    found = await _by_nonce(connection, row.nonce)
    assert found is not None
    return _enrolment(found)


async def revoke(
    connection: AsyncConnection, unit_id: str, *, actor: str, why: str, now_ms: int
) -> RevokeAsked | Revoked | NotDone:
    """Two people take a unit's keys out of force: the first asks, the second, another, does it."""
    key, act = schema.unit_key, schema.key_act
    found = await connection.execute(
        select(key)
        .join(schema.unit, schema.unit.c.number == key.c.unit_no)
        .where(schema.unit.c.unit_id == unit_id, key.c.revoked_ms.is_(None))
    )
    keys = found.all()
    if not keys:
        return NotDone(code="no_key", hint=f"{unit_id} has no key in force")
    kids = tuple(row.kid for row in keys)
    asked = await connection.execute(
        select(act.c.who)
        .where(
            act.c.kid.in_(kids),
            act.c.act == "revoke_asked",
            act.c.at_ms > now_ms - ASKED_MS_MAX,
            act.c.who != actor,
        )
        .limit(1)
    )
    first = asked.scalar_one_or_none()
    for row in keys:
        what = "revoke_asked" if first is None else "revoke"
        await _act(connection, row.unit_no, row.kid, now_ms, what, actor, why)
    if first is None:
        return RevokeAsked(kids=kids)
    await connection.execute(update(key).where(key.c.kid.in_(kids)).values(revoked_ms=now_ms))
    await touch_unit(connection, keys[0].unit_no)
    return Revoked(kids=kids)


# certificates


async def renew_by_key(
    connection: AsyncConnection, request: Request, csr_pem: bytes, now_ms: int, issue: Issue
) -> bytes | Fault | NotDone:
    """A certificate for who speaks with an enrolled evidence key."""
    key = schema.unit_key
    found = await connection.execute(
        select(key, schema.unit.c.unit_id)
        .join(schema.unit, schema.unit.c.number == key.c.unit_no)
        .where(key.c.kid == request.kid)
    )
    row = found.one_or_none()
    known = None
    if row is not None:
        known = Key(
            unit_id=row.unit_id, public_key=row.public_key, revoked=row.revoked_ms is not None
        )
    csr = judge_renewal(request, csr_pem, lambda _kid: known)
    if isinstance(csr, Fault):
        return csr
    assert row is not None
    return await _renew(connection, row.unit_no, csr_pem, now_ms, issue)


async def renew_by_certificate(
    connection: AsyncConnection, csr: Csr, csr_pem: bytes, now_ms: int, issue: Issue
) -> bytes | NotDone:
    """A certificate for who came over TLS with one that is still good and bears the same name."""
    key = schema.unit_key
    found = await connection.execute(
        select(key.c.unit_no)
        .join(schema.unit, schema.unit.c.number == key.c.unit_no)
        .where(schema.unit.c.unit_id == csr.common_name, key.c.revoked_ms.is_(None))
        .limit(1)
    )
    unit_no = found.scalar_one_or_none()
    if unit_no is None:
        return NotDone(code="no_key", hint=f"{csr.common_name} has no key in force")
    return await _renew(connection, unit_no, csr_pem, now_ms, issue)


async def _renew(
    connection: AsyncConnection, unit_no: int, csr_pem: bytes, now_ms: int, issue: Issue
) -> bytes | NotDone:
    table = schema.certificate
    count = await connection.execute(
        select(func.count())
        .select_from(table)
        .where(table.c.unit_no == unit_no, table.c.issued_ms > now_ms - TOKEN_MS)
    )
    if count.scalar_one() >= RENEWALS_A_DAY_MAX:
        return NotDone(code="too_many", hint="it has had enough certificates for a day")
    certificate = issue(csr_pem)
    await _note_issued(connection, unit_no, certificate, now_ms)
    return certificate


async def _note_issued(
    connection: AsyncConnection, unit_no: int, certificate: bytes, now_ms: int
) -> None:
    await connection.execute(
        schema.certificate.insert().values(
            sha256=sha256(certificate).digest(),
            unit_no=unit_no,
            issued_ms=now_ms,
            certificate=certificate,
        )
    )


async def _known(connection: AsyncConnection, request: Request, now_ms: int) -> Known:
    token, key = schema.enrol_token, schema.unit_key
    found = await connection.execute(
        select(token).where(token.c.token_sha256 == request.token_sha256)
    )
    row = found.one_or_none()
    taken = await connection.execute(select(func.count()).where(key.c.kid == request.kid))
    waits = await connection.execute(
        select(func.count()).where(
            schema.enrolment.c.kid == request.kid,
            schema.enrolment.c.standing == Standing.WAITING.value,
            schema.enrolment.c.expires_ms > now_ms,
        )
    )
    return Known(
        token=None
        if row is None
        else Token(
            sha256=row.token_sha256,
            unit_id=row.unit_id,
            made_by=row.made_by,
            made_ms=row.made_ms,
            expires_ms=row.expires_ms,
            used_ms=row.used_ms,
        ),
        kid_taken=bool(taken.scalar_one() or waits.scalar_one()),
    )


async def _let_in(connection: AsyncConnection, row: Row[Any], now_ms: int) -> int | NotDone:
    """The unit's number: a new one, or that of a unit whose keys are all revoked and which is enrolled anew."""
    unit, key = schema.unit, schema.unit_key
    if (await connection.execute(select(key.c.kid).where(key.c.kid == row.kid))).first():
        return NotDone(code="kid_taken", hint="this key is another's: refuse the request")
    found = await connection.execute(select(unit.c.number).where(unit.c.unit_id == row.unit_id))
    unit_no = found.scalar_one_or_none()
    if unit_no is None:
        unit_no = await insert_unit(connection, row.unit_id, now_ms)
    else:
        in_force = select(key.c.kid).where(key.c.unit_no == unit_no, key.c.revoked_ms.is_(None))
        if (await connection.execute(in_force)).first():
            return NotDone(
                code="unit_taken",
                hint=f"{row.unit_id} has a key in force; if this is the same box enrolled anew, revoke that key first",
            )
    await connection.execute(
        key.insert().values(
            kid=row.kid, unit_no=unit_no, public_key=row.public_key, added_ms=now_ms
        )
    )
    await touch_unit(connection, int(unit_no))
    return int(unit_no)


async def _act(
    connection: AsyncConnection,
    unit_no: int,
    kid: bytes,
    at_ms: int,
    act: str,
    who: str,
    why: str,
) -> None:
    await connection.execute(
        schema.key_act.insert().values(
            unit_no=unit_no, kid=kid, at_ms=at_ms, act=act, who=who, why=why
        )
    )


async def _by_nonce(connection: AsyncConnection, nonce: bytes) -> Row[Any] | None:
    table = schema.enrolment
    return (await connection.execute(select(table).where(table.c.nonce == nonce))).one_or_none()


def _enrolment(row: Row[Any]) -> Enrolment:
    return Enrolment(
        unit_id=row.unit_id,
        kid=row.kid,
        hardware=row.hardware,
        asked_by=row.asked_by,
        posted_ms=row.posted_ms,
        expires_ms=row.expires_ms,
        standing=Standing(row.standing),
        decided_by=row.decided_by,
        unit_no=row.unit_no,
        certificate=row.certificate,
    )
