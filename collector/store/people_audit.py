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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads the audit."""

    who: str
    role: Role
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows: empty or None is no condition."""

    by: str = ""
    act: str = ""  # of a read: its purpose
    obj: str = ""  # how it begins
    from_ms: int | None = None
    to_ms: int | None = None
    before: int | None = None  # the number of the last row that was seen


def acts(reader: Reader, wanted: Wanted) -> Select[Any]:
    """Acts that this reader may see, the newest first."""
    return _page(schema.act, schema.act.c.act, reader, wanted)


def reads(reader: Reader, wanted: Wanted) -> Select[Any]:
    """Reads that this reader may see, the newest first."""
    return _page(schema.read, schema.read.c.purpose, reader, wanted)


def counted(reader: Reader, wanted: Wanted, skip: int) -> Select[Any]:
    """Counts of other looks, the newest hour first. Whose part they tell of is not kept: who sees a part sees his own."""
    table = schema.read_roll
    sees_all = reader.role is Role.AUDITOR and not reader.scope
    statement = select(table)
    if not sees_all:
        statement = statement.where(table.c.who == reader.who)
    if wanted.by:
        statement = statement.where(table.c.who == wanted.by)
    if wanted.obj:
        statement = statement.where(table.c.obj.startswith(wanted.obj, autoescape=True))
    if wanted.from_ms is not None:
        statement = statement.where(table.c.hour_ms > wanted.from_ms - HOUR_MS)
    if wanted.to_ms is not None:
        statement = statement.where(table.c.hour_ms < wanted.to_ms)
    return statement.order_by(table.c.hour_ms.desc(), table.c.who, table.c.obj).offset(skip)


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


def _page(table: Table, act: ColumnElement[Any], reader: Reader, wanted: Wanted) -> Select[Any]:
    column = table.c
    statement = select(table).where(_may_see(table, reader))
    if wanted.by:
        statement = statement.where(column.who == wanted.by)
    if wanted.act:
        statement = statement.where(act == wanted.act)
    if wanted.obj:
        statement = statement.where(column.obj.startswith(wanted.obj, autoescape=True))
    if wanted.from_ms is not None:
        statement = statement.where(column.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        statement = statement.where(column.at_ms < wanted.to_ms)
    if wanted.before is not None:
        statement = statement.where(column.number < wanted.before)
    return statement.order_by(column.number.desc())


def _may_see(table: Table, reader: Reader) -> ColumnElement[bool]:
    """CONSOLE section 10: an auditor all, a supervisor his scope, an admin what admins did, everybody his own."""
    own = table.c.who == reader.who
    if reader.role in (Role.AUDITOR, Role.SUPERVISOR):
        return own | in_scope(table.c.scope, reader.scope)
    if reader.role is Role.ADMIN:
        return own | (table.c.role == Role.ADMIN.value)
    return own
