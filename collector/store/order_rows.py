"""Rows of orders, read and moved: what `orders` and `order_words` share.

Law: no row moves without its act, and no move that the table of `collector.desk.life` lacks.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.desk import ConfigWord, Given, OrderState, OrderWord
from collector.desk.life import OrderEvent, move
from collector.store import schema
from collector.store.dialect import upsert
from wire import Refused
from wire.orders import read_payload

OPEN = (OrderState.PENDING.value, OrderState.SENT.value)


async def write_move(
    connection: AsyncConnection,
    order: Given,
    event: OrderEvent,
    now_ms: int,
    *,
    who: str = "",
    why: str = "",
    word: OrderWord | ConfigWord | None = None,
    **changes: Any,  # noqa: ANN401 - columns of the row that change with it
) -> Given:
    """One move of an order by its table, with its row."""
    state = move(order.kind, order.state, event)
    assert state is not None, f"{order.state.value} knows no {event.value}"
    await change(connection, order.order_id, {"state": state.value, **changes})
    await write_act(
        connection, order.order_id, order.unit_no, now_ms, event.value, state, who, why, word
    )
    return replace(order, state=state, **changes)


async def write_act(
    connection: AsyncConnection,
    order_id: bytes,
    unit_no: int,
    now_ms: int,
    act: str,
    state: OrderState,
    who: str,
    why: str,
    word: OrderWord | ConfigWord | None = None,
) -> None:
    await connection.execute(
        schema.order_act.insert().values(
            order_id=order_id,
            unit_no=unit_no,
            at_ms=now_ms,
            act=act,
            state=state.value,
            who=who,
            why=why,
            chain_id=None if word is None else word.chain_id,
            seq=None if word is None else word.seq,
        )
    )


async def change(
    connection: AsyncConnection, order_id: bytes, changes: Mapping[str, object]
) -> None:
    order = schema.unit_order
    await connection.execute(update(order).where(order.c.order_id == order_id).values(**changes))


async def expire_open(connection: AsyncConnection, now_ms: int, *also: ColumnElement[bool]) -> None:
    columns = schema.unit_order.c
    over = await connection.execute(
        orders().where(columns.state.in_(OPEN), columns.not_after_ms < now_ms, *also)
    )
    for row in over:
        await write_move(connection, given_of(row), OrderEvent.EXPIRE, now_ms, settled_ms=now_ms)


async def counters_of(connection: AsyncConnection, unit_no: int) -> tuple[int, int]:
    """The newest counter and the newest version of a config that a unit was given."""
    table = schema.order_counter
    row = (await connection.execute(select(table).where(table.c.unit_no == unit_no))).one_or_none()
    return (0, 0) if row is None else (row.counter, row.config_version)


async def write_counters(
    connection: AsyncConnection, unit_no: int, counter: int, version: int
) -> None:
    await connection.execute(
        upsert(connection.dialect.name, schema.order_counter),
        [{"unit_no": unit_no, "counter": counter, "config_version": version}],
    )


async def unit_no_of(connection: AsyncConnection, unit_id: str) -> int | None:
    """The number of a unit, whose row is held until the end of the transaction: two people give one order after the other."""
    unit = schema.unit.c
    found = await connection.execute(
        select(unit.number).where(unit.unit_id == unit_id).with_for_update()
    )
    return found.scalar_one_or_none()


async def by_id(connection: AsyncConnection, order_id: bytes) -> Given | None:
    rows = await connection.execute(orders().where(schema.unit_order.c.order_id == order_id))
    row = rows.one_or_none()
    return None if row is None else given_of(row)


def orders() -> Select[Any]:
    return select(schema.unit_order, schema.unit.c.unit_id).join(
        schema.unit, schema.unit.c.number == schema.unit_order.c.unit_no
    )


def outlines() -> Select[Any]:
    """The same without their bytes, for who only asks how they stand: a config has 8 KiB."""
    columns = [one for one in schema.unit_order.c if one.name not in {"payload", "envelope"}]
    return select(
        *columns,
        literal(b"").label("payload"),
        literal(None).label("envelope"),
        schema.unit.c.unit_id,
    ).join(schema.unit, schema.unit.c.number == schema.unit_order.c.unit_no)


def given_of(row: Row[Any]) -> Given:
    """A row of `unit_order` with its unit_id."""
    return Given(
        order_id=row.order_id,
        unit_no=row.unit_no,
        unit_id=row.unit_id,
        kind=row.kind,
        counter=row.counter,
        issued_ms=row.issued_ms,
        not_before_ms=row.not_before_ms,
        not_after_ms=row.not_after_ms,
        state=OrderState(row.state),
        payload=row.payload,
        by=row.who,
        zone=row.zone,
        seal=row.seal,
        officer=row.officer,
        movement=row.movement,
        version=row.version,
        envelope=row.envelope,
        sent_ms=row.sent_ms,
        sent_n=row.sent_n,
        settled_ms=row.settled_ms,
        result=row.result,
        detail=row.detail,
        said_ms=row.said_ms,
    )


def data_of(order: Given) -> tuple[Any, ...]:
    """The order's data as it is signed (WIRE section 14)."""
    read = read_payload(order.payload)
    assert not isinstance(read, Refused), "the desk spelt it"
    return read.data
