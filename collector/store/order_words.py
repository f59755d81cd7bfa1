"""What units say of orders, written in the transaction of its tick.

Law: a unit's word moves only an order that it was given, by its own id, kind and counter. What else it says is kept apart and counted.
"""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.desk import (
    ConfigWord,
    Given,
    NonceWord,
    OrderState,
    OrderWord,
    Word,
    result_name,
)
from collector.desk.life import OrderEvent, event_of
from collector.store import schema
from collector.store.dialect import insert
from collector.store.order_rows import (
    OPEN,
    counters_of,
    data_of,
    given_of,
    orders,
    write_counters,
    write_move,
)
from wire.orders import OrderKind

STRAYS_MAX = 64  # kept of a unit; the evidence of all lies in its batches
UNIT = "unit"  # who acts when it is the unit's own word


async def settle(
    connection: AsyncConnection, unit_no: int, words: Sequence[Word], now_ms: int
) -> dict[str, int]:
    """Move the orders that a unit speaks of; what it says of none of ours is kept apart. How often each happened."""
    counts: dict[str, int] = {}
    for word in words:
        outcome = await _settle_one(connection, unit_no, word, now_ms)
        if outcome is not None:
            counts[f"orders.{outcome}"] = counts.get(f"orders.{outcome}", 0) + 1
    return counts


async def _settle_one(
    connection: AsyncConnection, unit_no: int, word: Word, now_ms: int
) -> str | None:
    match word:
        case OrderWord():
            return await _settle_order(connection, unit_no, word, now_ms)
        case ConfigWord():
            return await _settle_config(connection, unit_no, word, now_ms)
        case NonceWord():
            return await _settle_report(connection, unit_no, word, now_ms)


async def _settle_order(
    connection: AsyncConnection, unit_no: int, word: OrderWord, now_ms: int
) -> str | None:
    row = (
        await connection.execute(
            orders().where(
                schema.unit_order.c.order_id == word.order_id,
                schema.unit_order.c.unit_no == unit_no,
            )
        )
    ).one_or_none()
    if row is None:
        return await _stray(connection, unit_no, word, now_ms, "never_given")
    order = given_of(row)
    if (order.kind, order.counter) != (word.kind, word.counter):
        return await _stray(connection, unit_no, word, now_ms, "other_order")
    if order.result is not None:
        if order.result == word.result:
            return None  # the same record again: an early copy, then its turn
        return await _stray(connection, unit_no, word, now_ms, "second_result")
    return await _said(connection, order, word, now_ms, word.detail)


async def _settle_config(
    connection: AsyncConnection, unit_no: int, word: ConfigWord, now_ms: int
) -> str | None:
    # A desk that was restored from an old copy learns here which versions are used
    await _raise_version(connection, unit_no, word.version)
    columns = schema.unit_order.c
    row = (
        await connection.execute(
            orders().where(
                columns.unit_no == unit_no,
                columns.kind == int(OrderKind.SET_CONFIG),
                columns.version == word.version,
            )
        )
    ).one_or_none()
    if row is None:
        return await _stray(connection, unit_no, word, now_ms, "never_given")
    order = given_of(row)
    if order.result == word.result:
        return None  # the same again
    return await _said(connection, order, word, now_ms, "")


async def _settle_report(
    connection: AsyncConnection, unit_no: int, word: NonceWord, now_ms: int
) -> str | None:
    columns = schema.unit_order.c
    rows = await connection.execute(
        orders().where(
            columns.unit_no == unit_no,
            columns.kind == int(OrderKind.REPORT_NOW),
            columns.state.in_((*OPEN, OrderState.EXPIRED.value)),
        )
    )
    for row in rows:
        order = given_of(row)
        if order.result is None and data_of(order)[1] == word.nonce:
            await write_move(
                connection, order, OrderEvent.DONE, now_ms, who=UNIT, why="a hello with its nonce",
                settled_ms=now_ms, result=0, said_ms=word.said_ms,
            )  # fmt: skip
            return "done"
    return None


async def _said(
    connection: AsyncConnection,
    order: Given,
    word: OrderWord | ConfigWord,
    now_ms: int,
    detail: str,
) -> str | None:
    event = event_of(order.kind, word.result)
    name = result_name(order.kind, word.result)
    await write_move(
        connection, order, event, now_ms, who=UNIT, why=f"{name} {detail}".strip(), word=word,
        settled_ms=now_ms, result=word.result, detail=detail, said_ms=word.said_ms,
    )  # fmt: skip
    return event.value


async def _stray(
    connection: AsyncConnection, unit_no: int, word: OrderWord | ConfigWord, now_ms: int, why: str
) -> str | None:
    stray = schema.order_stray
    held = await connection.execute(
        select(func.count()).select_from(stray).where(stray.c.unit_no == unit_no)
    )
    if held.scalar_one() >= STRAYS_MAX:
        return "stray"
    of_order = word if isinstance(word, OrderWord) else None
    written = await connection.execute(
        insert(connection.dialect.name, stray)
        .values(
            unit_no=unit_no,
            rx_ms=now_ms,
            why=why,
            chain_id=word.chain_id,
            seq=word.seq,
            order_id=None if of_order is None else of_order.order_id,
            kind=int(OrderKind.SET_CONFIG) if of_order is None else of_order.kind,
            counter=None if of_order is None else of_order.counter,
            version=word.version if isinstance(word, ConfigWord) else None,
            result=word.result,
            detail="" if of_order is None else of_order.detail,
        )
        .on_conflict_do_nothing()
    )
    return "stray" if written.rowcount else None


async def _raise_version(connection: AsyncConnection, unit_no: int, version: int) -> None:
    counter, last = await counters_of(connection, unit_no)
    if last < version < 1 << 32:
        await write_counters(connection, unit_no, counter, version)
