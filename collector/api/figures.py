"""The figures of the strip: how old the newest word is, how many units, how the alerts stand (`stat` of CONSOLE section 7).

Law: counts what the scope holds and nothing else; unknown is null.
"""

from typing import Any

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import State
from collector.store import alert_reads, schema, shifts
from collector.store.alert_reads import Figures
from collector.store.live import in_scope
from wire.records import FixFlag

OLD_MS = 900_000  # CONSOLE section 6: a position of 15 minutes ago is no answer to "where is it"


async def stat_of(connection: AsyncConnection, scope: str, now_ms: int) -> dict[str, Any]:
    """What `stat` says of a scope. The age is of the newest batch of any unit, in the scope or not: it is the way in that is asked for."""
    newest = (await connection.execute(select(func.max(schema.unit_now.c.heard_ms)))).scalar_one()
    return {
        "t": now_ms,
        "ingest_age_s": None if newest is None else max(0, (now_ms - newest) // 1_000),
        "units": await _units(connection, scope, now_ms),
        **counts_of(await alert_reads.figures(connection, scope, now_ms)),
        "handovers_due": await shifts.due(connection, scope, now_ms),
    }


def counts_of(figures: Figures) -> dict[str, Any]:
    """As list and strip have it: by priority, not acknowledged and acknowledged."""
    return {
        "alerts": {name[1:]: list(both) for name, both in figures.by_priority.items()},
        "shelved": figures.shelved,
        "stale": figures.stale,
        "last10": figures.last10,
        "flood": figures.is_flood,
    }


async def _units(connection: AsyncConnection, scope: str, now_ms: int) -> dict[str, int]:
    unit, now, alert = schema.unit, schema.unit_now, schema.alert
    moves = and_(now.c.flags.op("&")(int(FixFlag.MOVING)) != 0, now.c.t_ms > now_ms - OLD_MS)
    row = (
        await connection.execute(
            select(
                func.count().label("all"),
                func.count(now.c.heard_ms).label("heard"),
                func.sum(case((now.c.t_ms > now_ms - OLD_MS, 1), else_=0)).label("fresh"),
                func.sum(case((moves, 1), else_=0)).label("moving"),
            )
            .select_from(unit.outerjoin(now, now.c.unit_no == unit.c.number))
            .where(in_scope(unit.c.scope, scope))
        )
    ).one()
    silent = await connection.execute(
        select(func.count(alert.c.unit.distinct()))
        .join(unit, unit.c.unit_id == alert.c.unit)
        .where(
            alert.c.state != State.CLOSED.value,
            alert.c.code == "CONTACT_LOST",
            alert.c.cleared.is_(False),
            in_scope(unit.c.scope, scope),
        )
    )
    return {
        "all": row.all,
        "heard": row.heard,
        "fresh": row.fresh or 0,
        "moving": row.moving or 0,
        "silent": silent.scalar_one(),
    }
