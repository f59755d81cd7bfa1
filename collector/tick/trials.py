"""What the store says of a stretch of time that a draft of the rules is tried on: how many ticks, and which alerts were raised.

Law: reads only. What ingest itself found follows from no rule, so no trial is held against it.
"""

from sqlalchemy import func, or_, select

from collector.detect import Level
from collector.store import schema, spell, witnessed
from collector.store.database import Store
from collector.tick.oddities import DEVICE_FAULT, LOG_INTEGRITY, UNDECIDABLE
from wire import Reason

OF_INGEST = frozenset({Reason.THROTTLED.value, UNDECIDABLE})  # values of a DEVICE_FAULT


async def count_ticks(store: Store, from_ms: int) -> int:
    """How many ticks are stored from that time on."""
    tick = schema.tick.c
    async with store.read() as connection:
        found = await connection.execute(select(func.count()).where(tick.now_ms >= from_ms))
        return int(found.scalar_one())


async def raised(store: Store, since_ms: int) -> list[tuple[str, str, int]]:
    """Code, unit and time of the alerts that the rules then in force have begun in the ticks since that time."""
    tick, finding = schema.tick.c, schema.finding.c
    wanted = (
        select(finding.code, finding.unit, finding.at_ms, finding.detail)
        .join(schema.tick, tick.number == finding.tick_no)
        .where(
            tick.now_ms >= since_ms,
            finding.n == 0,
            finding.level == Level.ALERT.value,
            finding.code != LOG_INTEGRITY,
            or_(finding.code != witnessed.CODE, finding.chain.is_not(None)),  # a person's word
        )
        .order_by(finding.number)
    )
    async with store.read() as connection:
        rows = (await connection.execute(wanted)).all()
    return [
        (row.code, row.unit, row.at_ms)
        for row in rows
        if row.code != DEVICE_FAULT or spell.read(row.detail)[0] not in OF_INGEST
    ]
