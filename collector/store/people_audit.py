"""What people did and looked at, as rows from which the public log's leaves are made (EVIDENCE section 5: act, read, read-roll).

Law: only ever added to.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.people import Role
from collector.store import schema
from collector.store.dialect import insert
from collector.store.live import in_scope

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One change, refusal or log-in."""

    at_ms: int
    who: str
    role: str
    act: str
    obj: str
    scope: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One look at a track or at evidence."""

    at_ms: int
    who: str
    role: str
    obj: str
    purpose: str
    scope: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
    """Other looks of one hour."""

    hour_ms: int
    who: str
    obj: str
    times: int


async def note_act(connection: AsyncConnection, act: Act) -> None:
    await connection.execute(
        schema.act.insert().values(
            at_ms=act.at_ms,
            who=act.who,
            role=act.role,
            act=act.act,
            obj=act.obj,
            scope=act.scope,
            detail=act.detail,
        )
    )


async def note_read(connection: AsyncConnection, read: Read) -> None:
    await connection.execute(
        schema.read.insert().values(
            at_ms=read.at_ms,
            who=read.who,
            role=read.role,
            obj=read.obj,
            purpose=read.purpose,
            scope=read.scope,
            detail=read.detail,
        )
    )


async def roll(connection: AsyncConnection, rolled: Iterable[Rolled]) -> None:
    """Add to the hours' counts."""
    table = schema.read_roll
    for one in rolled:
        statement = insert(connection.dialect.name, table).values(
            hour_ms=one.hour_ms, who=one.who, obj=one.obj, times=one.times
        )
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["hour_ms", "who", "obj"],
                set_={"times": table.c.times + statement.excluded.times},
            )
        )


def acts(
    role: Role, scope: str, who: str, *, by: str = "", before: int | None = None
) -> Select[Any]:
    """Acts that this reader may see, the newest first."""
    return _page(schema.act, role, scope, who, by, before)


def reads(
    role: Role, scope: str, who: str, *, by: str = "", before: int | None = None
) -> Select[Any]:
    """Reads that this reader may see, the newest first."""
    return _page(schema.read, role, scope, who, by, before)


async def rolls(connection: AsyncConnection, from_ms: int, to_ms: int) -> list[Row[Any]]:
    """The counts of these hours, in the order in which a leaf takes them."""
    table = schema.read_roll
    return list(
        await connection.execute(
            select(table)
            .where(table.c.hour_ms >= from_ms, table.c.hour_ms < to_ms)
            .order_by(table.c.hour_ms, table.c.who, table.c.obj)
        )
    )


def _page(
    table: Table, role: Role, scope: str, who: str, by: str, before: int | None
) -> Select[Any]:
    statement = select(table).where(_may_see(table, role, scope, who))
    if by:
        statement = statement.where(table.c.who == by)
    if before is not None:
        statement = statement.where(table.c.number < before)
    return statement.order_by(table.c.number.desc())


def _may_see(table: Table, role: Role, scope: str, who: str) -> ColumnElement[bool]:
    """CONSOLE section 10: an auditor all, a supervisor his scope, an admin what admins did, everybody his own."""
    own = table.c.who == who
    if role in (Role.AUDITOR, Role.SUPERVISOR):
        return own | in_scope(table.c.scope, scope)
    if role is Role.ADMIN:
        return own | (table.c.role == Role.ADMIN.value)
    return own
