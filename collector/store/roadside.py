"""What people do beside the road: an officer's word on the seal, a stop order and its end.

Law: an act is written once, whatever a phone repeats; none is ever changed.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.store import schema
from collector.store.dialect import insert

KEY_CHARS_MAX = 64  # CUSTOMS section 14
NOTE_CHARS_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An officer has looked at the seal."""

    key: str  # of idempotency, by its maker
    who: str
    unit_no: int
    journey: str  # empty: none was known
    matches: bool
    seen: str  # the colour on the officer's screen
    made_ms: int  # ours, less the time that it waited on a phone


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """The report as it stands; `is_new` False: it had come before."""

    number: int
    at_ms: int
    is_new: bool


async def report(connection: AsyncConnection, said: Report, now_ms: int) -> Reported | None:
    """Write it once; None if this person has used the key for something else."""
    table = schema.officer_report
    before = await _of_key(connection, said)
    if before is not None:
        same = (before.unit_no, before.journey, before.matches)
        if same != (said.unit_no, said.journey, said.matches):
            return None
        return Reported(number=before.number, at_ms=before.at_ms, is_new=False)
    written = await connection.execute(
        insert(connection.dialect.name, table)
        .values(
            key=said.key,
            who=said.who,
            unit_no=said.unit_no,
            journey=said.journey,
            matches=said.matches,
            seen=said.seen,
            made_ms=said.made_ms,
            at_ms=now_ms,
        )
        .returning(table.c.number)
    )
    return Reported(number=int(written.scalar_one()), at_ms=now_ms, is_new=True)


async def stop(
    connection: AsyncConnection, unit_no: int, *, who: str, why: str, now_ms: int
) -> bool:
    """Whoever meets the truck holds it; False if a stop order stands already."""
    table = schema.stop_order
    stands = await connection.execute(
        select(table.c.number).where(table.c.unit_no == unit_no, table.c.lifted_ms.is_(None))
    )
    if stands.first() is not None:
        return False
    await connection.execute(table.insert().values(unit_no=unit_no, at_ms=now_ms, who=who, why=why))
    return True


async def lift(
    connection: AsyncConnection, unit_no: int, *, who: str, why: str, now_ms: int
) -> bool:
    """The stop order is over; False if none stood."""
    table = schema.stop_order
    done = await connection.execute(
        update(table)
        .where(table.c.unit_no == unit_no, table.c.lifted_ms.is_(None))
        .values(lifted_ms=now_ms, lifted_by=who, lifted_why=why)
    )
    return done.rowcount > 0


async def reports_of(connection: AsyncConnection, unit_no: int, most: int) -> list[Row[Any]]:
    """What officers have said of a unit's seals, the newest first."""
    table = schema.officer_report
    rows = await connection.execute(
        select(table).where(table.c.unit_no == unit_no).order_by(table.c.number.desc()).limit(most)
    )
    return list(rows)


async def _of_key(connection: AsyncConnection, said: Report) -> Row[Any] | None:
    table = schema.officer_report
    rows = await connection.execute(
        select(table).where(table.c.who == said.who, table.c.key == said.key)
    )
    return rows.one_or_none()
