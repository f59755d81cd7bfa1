"""Accounts, sessions and desks in the store.

Law: secrets stand here as hashes, but for that of the second factor, which is needed as it is. What may be done is decided in
`collector.people`; a change and the end of the sessions that it touches are one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.people import Role, sees
from collector.people.sessions import SESSIONS_MAX, End, Kind, Session, end_of
from collector.store import schema
from collector.store.feed import leave_scope, touch_unit
from collector.store.live import in_scope

SETUP_MS = 86_400_000  # so long a one-time code is good
IDS_MAX = 500  # in one question: SQLite takes no more than 32,766 words, and a plan of that size is slow to make


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who may log in, once it is set up and while it is not locked."""

    user_id: str
    name: str
    role: Role
    scope: str
    desk: str
    made_by: str
    made_ms: int
    locked_ms: int | None
    setup_until_ms: int | None
    password: str | None = field(repr=False)
    totp_secret: bytes | None = field(repr=False)
    totp_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A session, and why it is over if it is."""

    session: Session
    end: End | None


# accounts


async def account(connection: AsyncConnection, user_id: str) -> Account | None:
    table = schema.account
    found = await connection.execute(select(table).where(table.c.user_id == user_id))
    row = found.one_or_none()
    return None if row is None else _account(row)


async def accounts(
    connection: AsyncConnection, *, after: str = "", limit: int = 200, scope: str = ""
) -> list[Account]:
    """By name of user; those of whom `scope` sees all that they see."""
    table = schema.account
    mine = in_scope(table.c.scope, scope)
    found = await connection.execute(
        select(table).where(table.c.user_id > after, mine).order_by(table.c.user_id).limit(limit)
    )
    return [_account(row) for row in found]


async def has_admin(connection: AsyncConnection) -> bool:
    """Whether an admin's account exists, set up or not."""
    table = schema.account
    found = await connection.execute(
        select(func.count()).select_from(table).where(table.c.role == Role.ADMIN.value)
    )
    return int(found.scalar_one()) > 0


async def add_account(
    connection: AsyncConnection,
    *,
    user_id: str,
    name: str,
    role: Role,
    scope: str,
    desk: str,
    by: str,
    now_ms: int,
) -> bool:
    """A new account that nobody can log in to yet; False if the name is taken: it is never given anew."""
    try:
        async with connection.begin_nested():
            await connection.execute(
                schema.account.insert().values(
                    user_id=user_id,
                    name=name,
                    role=role.value,
                    scope=scope,
                    desk=desk,
                    totp_step=-1,
                    made_by=by,
                    made_ms=now_ms,
                )
            )
    except IntegrityError:
        return False
    return True


async def set_up_anew(
    connection: AsyncConnection, user_id: str, code: str, *, by: str, now_ms: int
) -> int:
    """Let `code` set this account up once. Password and second factor are gone, all its sessions end. Until when."""
    until_ms = now_ms + SETUP_MS
    await _change(
        connection,
        user_id,
        password=None,
        totp_secret=None,
        totp_step=-1,
        setup_sha256=_hash(code),
        setup_until_ms=until_ms,
    )
    await end_sessions(connection, user_id, by=by, now_ms=now_ms)
    return until_ms


async def by_code(connection: AsyncConnection, code: str, now_ms: int) -> Account | None:
    """Whose one-time code this is, while it is good."""
    table = schema.account
    found = await connection.execute(
        select(table).where(
            table.c.setup_sha256 == _hash(code),
            table.c.setup_until_ms > now_ms,
            table.c.locked_ms.is_(None),
        )
    )
    row = found.one_or_none()
    return None if row is None else _account(row)


async def set_password(
    connection: AsyncConnection,
    user_id: str,
    encoded: str,
    *,
    totp_secret: bytes | None = None,
) -> None:
    """A new password; with `totp_secret` the account is set up, and its one-time code is used up."""
    values: dict[str, Any] = {"password": encoded}
    if totp_secret is not None:
        values |= {
            "totp_secret": totp_secret,
            "totp_step": -1,
            "setup_sha256": None,
            "setup_until_ms": None,
        }
    await _change(connection, user_id, **values)


async def use_step(connection: AsyncConnection, user_id: str, step: int) -> bool:
    """Mark a step of the second factor as used; False if it was, by another request just now."""
    table = schema.account
    done = await connection.execute(
        update(table)
        .where(table.c.user_id == user_id, table.c.totp_step < step)
        .values(totp_step=step)
    )
    return done.rowcount == 1


async def give(
    connection: AsyncConnection,
    user_id: str,
    *,
    by: str,
    now_ms: int,
    role: Role | None = None,
    scope: str | None = None,
    desk: str | None = None,
) -> None:
    """Another role, scope or desk. All sessions of the account end: a new one has a new id."""
    values = {
        "role": None if role is None else role.value,
        "scope": scope,
        "desk": desk,
    }
    await _change(
        connection, user_id, **{name: value for name, value in values.items() if value is not None}
    )
    await end_sessions(connection, user_id, by=by, now_ms=now_ms)


async def lock(
    connection: AsyncConnection, user_id: str, *, locked: bool, by: str, now_ms: int
) -> None:
    """Lock an account, and end all its sessions; or unlock it."""
    await _change(connection, user_id, locked_ms=now_ms if locked else None)
    if locked:
        await end_sessions(connection, user_id, by=by, now_ms=now_ms)


# sessions


async def open_session(connection: AsyncConnection, session: Session, *, address: str) -> None:
    """Keep a new session. Of one user's the oldest end if there are too many."""
    table = schema.session
    await connection.execute(
        table.insert().values(
            id=session.id,
            kind=session.kind.value,
            user_id=session.user_id,
            role=session.role.value,
            scope=session.scope,
            desk=session.desk,
            address=address,
            made_ms=session.made_ms,
            expires_ms=session.expires_ms,
            seen_ms=session.seen_ms,
        )
    )
    standing = (
        select(table.c.id)
        .where(
            table.c.user_id == session.user_id,
            table.c.ended_ms.is_(None),
            table.c.expires_ms > session.made_ms,
        )
        .order_by(table.c.made_ms.desc(), table.c.id)
        .offset(SESSIONS_MAX)
    )
    for row in (await connection.execute(standing)).all():
        await end_session(connection, row.id, by="", now_ms=session.made_ms)


async def find_session(connection: AsyncConnection, id_: bytes, now_ms: int) -> Found | None:
    """A session, and whether it still stands: by its time, its end, and what became of its user."""
    row = (await connection.execute(_with_user().where(schema.session.c.id == id_))).one_or_none()
    return None if row is None else _found(row, now_ms)


async def still_standing(
    connection: AsyncConnection, ids: Sequence[bytes], now_ms: int
) -> set[bytes]:
    """Those of these sessions that have not ended, in one look each 500."""
    standing: set[bytes] = set()
    for at in range(0, len(ids), IDS_MAX):
        some = ids[at : at + IDS_MAX]
        rows = await connection.execute(_with_user().where(schema.session.c.id.in_(some)))
        found = [_found(row, now_ms) for row in rows]
        standing |= {one.session.id for one in found if one.end is None}
    return standing


def _with_user() -> Select[Any]:
    table, who = schema.session, schema.account
    return select(
        table,
        who.c.locked_ms,
        who.c.role.label("role_now"),
        who.c.scope.label("scope_now"),
    ).outerjoin(who, who.c.user_id == table.c.user_id)


def _found(row: Row[Any], now_ms: int) -> Found:
    session = _session(row)
    end = end_of(session, now_ms)
    if end is None and row.locked_ms is not None:
        end = End.LOCKED
    now = (row.role_now, row.scope_now)
    if end is None and row.role_now is not None and now != (row.role, row.scope):
        end = End.CHANGED
    return Found(session=session, end=end)


async def sessions(
    connection: AsyncConnection,
    now_ms: int,
    *,
    kinds: Sequence[Kind] = (),
    user_id: str = "",
    scope: str = "",
) -> list[tuple[Session, str]]:
    """Those that stand, the newest first, each with its address; of whom `scope` sees all that they see."""
    table = schema.session
    statement = select(table).where(
        table.c.ended_ms.is_(None), table.c.expires_ms > now_ms, in_scope(table.c.scope, scope)
    )
    if kinds:
        statement = statement.where(table.c.kind.in_([kind.value for kind in kinds]))
    if user_id:
        statement = statement.where(table.c.user_id == user_id)
    found = await connection.execute(statement.order_by(table.c.made_ms.desc()).limit(1_000))
    return [(_session(row), row.address) for row in found]


async def touch(
    connection: AsyncConnection, id_: bytes, *, seen_ms: int, step_up_ms: int | None = None
) -> None:
    """Somebody sits there; with `step_up_ms`, and has shown the second factor."""
    table = schema.session
    values = {"seen_ms": seen_ms} | ({} if step_up_ms is None else {"step_up_ms": step_up_ms})
    await connection.execute(update(table).where(table.c.id == id_).values(**values))


async def end_session(connection: AsyncConnection, id_: bytes, *, by: str, now_ms: int) -> bool:
    """End one; False if none stood."""
    return await _end(connection, schema.session.c.id == id_, by=by, now_ms=now_ms) == 1


async def end_sessions(
    connection: AsyncConnection, user_id: str, *, by: str, now_ms: int, but: bytes = b""
) -> int:
    """End all of a user's, but one; how many."""
    table = schema.session.c
    return await _end(
        connection, and_(table.user_id == user_id, table.id != but), by=by, now_ms=now_ms
    )


# desks


async def put_desk(
    connection: AsyncConnection,
    *,
    desk_id: str,
    name: str,
    scope: str,
    fallback: str,
    by: str,
    now_ms: int,
) -> None:
    """A desk, or other words for one that there is."""
    table = schema.desk
    values = {"name": name, "scope": scope, "fallback": fallback}
    done = await connection.execute(
        update(table).where(table.c.desk_id == desk_id).values(**values)
    )
    if done.rowcount == 0:
        await connection.execute(
            table.insert().values(desk_id=desk_id, made_by=by, made_ms=now_ms, **values)
        )


async def desks(connection: AsyncConnection) -> list[Row[Any]]:
    table = schema.desk
    return list(await connection.execute(select(table).order_by(table.c.desk_id)))


async def desk_is_open(connection: AsyncConnection, desk_id: str, scope: str) -> bool:
    """Whether there is this desk, and who has `scope` may sit at it."""
    table = schema.desk
    found = await connection.execute(select(table.c.scope).where(table.c.desk_id == desk_id))
    of = found.scalar_one_or_none()
    return of is not None and sees(scope, of)


# scope


def unit_ids(scope: str) -> Select[tuple[str]]:
    """The names of the units that who has `scope` sees."""
    return select(schema.unit.c.unit_id).where(in_scope(schema.unit.c.scope, scope))


async def scope_of_unit(connection: AsyncConnection, unit_id: str) -> str | None:
    """None: no such unit."""
    unit = schema.unit
    found = await connection.execute(select(unit.c.scope).where(unit.c.unit_id == unit_id))
    return found.scalar_one_or_none()


async def set_unit_scope(connection: AsyncConnection, unit_id: str, scope: str) -> bool:
    """Put a unit into a part of the whole, and tell who watched it where it was; False if there is no such unit."""
    unit = schema.unit
    found = await connection.execute(
        select(unit.c.number, unit.c.scope).where(unit.c.unit_id == unit_id)
    )
    row = found.one_or_none()
    if row is None:
        return False
    if row.scope != scope:
        await connection.execute(
            update(unit).where(unit.c.number == row.number).values(scope=scope)
        )
        feed = await touch_unit(connection, row.number)
        await leave_scope(connection, row.number, row.scope, feed)
    return True


async def _change(connection: AsyncConnection, user_id: str, **values: Any) -> None:  # noqa: ANN401  # columns of one table
    table = schema.account
    done = await connection.execute(
        update(table).where(table.c.user_id == user_id).values(**values)
    )
    assert done.rowcount == 1, "whoever changes an account has found it"


async def _end(
    connection: AsyncConnection, which: ColumnElement[bool], *, by: str, now_ms: int
) -> int:
    table = schema.session
    done = await connection.execute(
        update(table).where(which, table.c.ended_ms.is_(None)).values(ended_ms=now_ms, ended_by=by)
    )
    return int(done.rowcount)


def _hash(code: str) -> bytes:
    return sha256(code.encode("utf-8", "surrogatepass")).digest()


def _account(row: Row[Any]) -> Account:
    return Account(
        user_id=row.user_id,
        name=row.name,
        role=Role(row.role),
        scope=row.scope,
        desk=row.desk,
        made_by=row.made_by,
        made_ms=row.made_ms,
        locked_ms=row.locked_ms,
        setup_until_ms=row.setup_until_ms,
        password=row.password,
        totp_secret=row.totp_secret,
        totp_step=row.totp_step,
    )


def _session(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        kind=Kind(row.kind),
        user_id=row.user_id,
        role=Role(row.role),
        scope=row.scope,
        desk=row.desk,
        made_ms=row.made_ms,
        expires_ms=row.expires_ms,
        seen_ms=row.seen_ms,
        step_up_ms=row.step_up_ms,
        ended_ms=row.ended_ms,
    )
