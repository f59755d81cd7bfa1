"""A desk is handed over: the outgoing person signs a page that fills itself, the incoming one confirms it (CONSOLE section 3).

Law: what was signed is never changed. A desk has one hand-over that waits at most: a new one takes its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import State
from collector.store import alert_reads, schema
from collector.store.alert_reads import Wanted
from collector.store.live import in_scope

ROWS_MAX = 200  # of each kind: who hands over more has another trouble
NOTE_CHARS_MAX = 2_000
DUE_MS = 600_000  # unconfirmed for so long: the supervisor is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """One that was signed."""

    number: int
    desk: str
    at_ms: int
    outgoing: str
    note: str
    page: Mapping[str, Any]
    incoming: str | None
    confirmed_ms: int | None


async def page_of(connection: AsyncConnection, scope: str) -> dict[str, list[Row[Any]]]:
    """What stands open in a scope: rows of alerts by kind."""
    active, _ = await alert_reads.page(connection, Wanted(scope=scope, limit=ROWS_MAX))
    resting, _ = await alert_reads.page(
        connection, Wanted(view="shelved", scope=scope, limit=ROWS_MAX)
    )
    out = State.OUT_OF_SERVICE.value
    return {
        "open": active,
        "shelved": [row for row in resting if row.state != out],
        "out": [row for row in resting if row.state == out],
    }


async def critical_calls(connection: AsyncConnection, scope: str) -> int:
    """Critical alerts of a scope that nobody has acknowledged."""
    alert, unit = schema.alert, schema.unit
    found = await connection.execute(
        select(func.count())
        .select_from(alert.outerjoin(unit, unit.c.unit_id == alert.c.unit))
        .where(
            alert.c.state.in_([State.UNACKED.value, State.CLEARED_UNACKED.value]),
            alert.c.priority == "P1",
            in_scope(unit.c.scope, scope),
        )
    )
    return int(found.scalar_one())


async def sign(
    connection: AsyncConnection,
    desk: str,
    scope: str,
    *,
    by: str,
    note: str,
    page: Mapping[str, Sequence[str]],
    now_ms: int,
) -> Handover:
    """The outgoing person's word."""
    table = schema.handover
    made = await connection.execute(
        table.insert()
        .values(
            desk=desk,
            scope=scope,
            at_ms=now_ms,
            outgoing=by,
            note=note,
            page=msgpack.packb(dict(page)),
        )
        .returning(table)
    )
    return _handover(made.one())


async def newest(connection: AsyncConnection, desk: str) -> Handover | None:
    """The last hand-over of a desk."""
    table = schema.handover
    found = await connection.execute(
        select(table).where(table.c.desk == desk).order_by(table.c.number.desc()).limit(1)
    )
    row = found.one_or_none()
    return None if row is None else _handover(row)


async def confirm(connection: AsyncConnection, number: int, by: str, now_ms: int) -> None:
    """The incoming person's word."""
    table = schema.handover
    await connection.execute(
        update(table).where(table.c.number == number).values(incoming=by, confirmed_ms=now_ms)
    )


async def due(connection: AsyncConnection, scope: str, now_ms: int) -> list[str]:
    """Desks of a scope whose newest hand-over nobody has confirmed for ten minutes."""
    table = schema.handover
    last = select(func.max(table.c.number)).group_by(table.c.desk).scalar_subquery()
    found = await connection.execute(
        select(table.c.desk)
        .where(
            table.c.number.in_(last),
            table.c.confirmed_ms.is_(None),
            table.c.at_ms < now_ms - DUE_MS,
            in_scope(table.c.scope, scope),
        )
        .order_by(table.c.desk)
        .limit(50)
    )
    return [row.desk for row in found]


def _handover(row: Row[Any]) -> Handover:
    return Handover(
        number=row.number,
        desk=row.desk,
        at_ms=row.at_ms,
        outgoing=row.outgoing,
        note=row.note,
        page=msgpack.unpackb(row.page),
        incoming=row.incoming,
        confirmed_ms=row.confirmed_ms,
    )
