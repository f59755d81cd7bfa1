"""What a unit's hand-over code says against what the centre holds (CONSOLE section 6, WIRE section 15).

Law: reads only. A code proves what the unit said at its time; that it says all, nothing proves.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.customs.verdict import Code
from collector.store import names, schema
from wire.handover import HEAD_BYTES, Statement, verify

KEYS_MAX = 20_000  # in one directory: 1.5 MB, half of it packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """The code beside the centre's own newest batch of the unit."""

    unit_no: int
    code: Code
    lacks: int  # batches that the centre does not hold; only of LACKS
    our_no: int  # -1: none
    our_head: bytes  # its first 16 bytes; of DIFFERS: of the batch that bears the code's number


async def weigh(connection: AsyncConnection, statement: Statement) -> Weighed | None:
    """None: no unit of ours has said so."""
    unit_no = statement.unit_number
    key = schema.unit_key.c
    keys = await connection.execute(select(schema.unit_key).where(key.unit_no == unit_no))
    signed = [row for row in keys if verify(statement, row.public_key)]
    if not signed:
        return None
    newest = await _newest_chain(connection, unit_no)
    our_no = -1 if newest is None else newest.through
    our_head = b"" if newest is None or newest.head is None else newest.head[:HEAD_BYTES]
    code, lacks = Code.REVOKED, 0
    if any(row.revoked_ms is None for row in signed):
        code, lacks, of_number = await _compare(connection, statement, newest)
        if code is Code.DIFFERS:
            our_no, our_head = statement.batch_no, of_number
    return Weighed(unit_no=unit_no, code=code, lacks=lacks, our_no=our_no, our_head=our_head)


async def directory(connection: AsyncConnection, scope: str) -> list[Row[Any]]:
    """The keys in force of all units of this scope: by them a phone without the network tells whose word a code is."""
    unit, key = schema.unit.c, schema.unit_key.c
    rows = await connection.execute(
        select(unit.number, unit.unit_id, key.public_key)
        .join(schema.unit_key, key.unit_no == unit.number)
        .where(names.within(scope), key.revoked_ms.is_(None))
        .order_by(unit.number, key.added_ms)
        .limit(KEYS_MAX)
    )
    return list(rows)


async def _compare(
    connection: AsyncConnection, statement: Statement, newest: Row[Any] | None
) -> tuple[Code, int, bytes]:
    """The code names no chain: a batch of its number and head in any of them is the one."""
    unit_no, number = statement.unit_number, statement.batch_no
    batch, parked = schema.batch.c, schema.parked.c
    stored = list(
        await connection.execute(
            select(batch.chain, batch.head).where(
                batch.unit_no == unit_no, batch.batch_no == number
            )
        )
    )
    if any(row.head[:HEAD_BYTES] == statement.head for row in stored):
        return Code.SAME, 0, b""
    waiting = list(
        await connection.execute(
            select(parked.chain_id, parked.head).where(
                parked.unit_no == unit_no, parked.batch_no == number
            )
        )
    )
    through = -1 if newest is None else newest.through
    if not any(row.head[:HEAD_BYTES] == statement.head for row in waiting):
        ours = [row.head for row in stored if newest is not None and row.chain == newest.ordinal]
        ours += [
            row.head for row in waiting if newest is not None and row.chain_id == newest.chain_id
        ]
        if ours:
            return Code.DIFFERS, 0, ours[0][:HEAD_BYTES]
    between = (
        await connection.execute(
            select(func.count()).where(
                parked.unit_no == unit_no, parked.batch_no > through, parked.batch_no <= number
            )
        )
    ).scalar_one()
    return Code.LACKS, max(1, number - through - between), b""


async def _newest_chain(connection: AsyncConnection, unit_no: int) -> Row[Any] | None:
    chain = schema.chain.c
    rows = await connection.execute(
        select(schema.chain).where(chain.unit_no == unit_no).order_by(chain.ordinal.desc()).limit(1)
    )
    return rows.one_or_none()
