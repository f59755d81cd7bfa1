"""Orders as the routes show them, read from the store.

Law: as in `reads`: never writes.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.api.models import ConfigVersion, Order, OrderAct
from collector.api.times import maybe, rfc3339
from collector.desk import NEVER_MS, Given, OrderState, result_name
from collector.store import schema
from collector.store.live import in_scope
from collector.store.order_rows import data_of, given_of, orders
from wire.orders import OrderKind

VERSIONS_MAX = 20  # of a unit's configs: who needs older ones has the store


async def unit_no(connection: AsyncConnection, unit_id: str, scope: str) -> int | None:
    """None: no such unit in this scope."""
    unit = schema.unit.c
    found = await connection.execute(
        select(unit.number).where(unit.unit_id == unit_id, in_scope(unit.scope, scope))
    )
    return found.scalar_one_or_none()


async def orders_of(
    connection: AsyncConnection, number: int, *, after: str, limit: int
) -> tuple[list[Order], str | None]:
    """A page of a unit's orders, newest first, and where the next begins."""
    columns = schema.unit_order.c
    statement = (
        orders()
        .where(columns.unit_no == number)
        .order_by(columns.issued_ms.desc(), columns.order_id.desc())
        .limit(limit + 1)
    )
    at_ms, _, last = after.partition(".")
    if at_ms.isdecimal() and len(last) == 32 and set(last) <= set("0123456789abcdef"):
        is_older = columns.issued_ms < int(at_ms)
        is_behind = and_(columns.issued_ms == int(at_ms), columns.order_id < bytes.fromhex(last))
        statement = statement.where(or_(is_older, is_behind))
    given = [given_of(row) for row in await connection.execute(statement)]
    acts = await _acts(connection, [order.order_id for order in given[:limit]])
    shown = [_order(order, acts.get(order.order_id, [])) for order in given[:limit]]
    if len(given) <= limit:
        return shown, None
    return shown, f"{given[limit - 1].issued_ms}.{given[limit - 1].order_id.hex()}"


async def strays_of(connection: AsyncConnection, number: int) -> int:
    stray = schema.order_stray
    found = await connection.execute(
        select(func.count()).select_from(stray).where(stray.c.unit_no == number)
    )
    return int(found.scalar_one())


async def configs_of(connection: AsyncConnection, number: int) -> list[ConfigVersion]:
    """The newest configs of a unit."""
    columns = schema.unit_order.c
    statement = (
        orders()
        .where(columns.unit_no == number, columns.kind == int(OrderKind.SET_CONFIG))
        .order_by(columns.version.desc())
        .limit(VERSIONS_MAX)
    )
    return [_config(given_of(row)) for row in await connection.execute(statement)]


async def _acts(
    connection: AsyncConnection, order_ids: Sequence[bytes]
) -> dict[bytes, list[Row[Any]]]:
    act = schema.order_act
    found: dict[bytes, list[Row[Any]]] = {}
    statement = select(act).where(act.c.order_id.in_(order_ids)).order_by(act.c.number)
    for row in await connection.execute(statement):
        found.setdefault(row.order_id, []).append(row)
    return found


def _order(order: Given, acts: Sequence[Row[Any]]) -> Order:
    corners = len(data_of(order)[3]) // 2 if order.kind == OrderKind.UNLOCK else None
    return Order(
        id=order.order_id.hex(),
        unit=order.unit_id,
        kind=OrderKind(order.kind).name.lower(),
        state=order.state.value,
        result=_result(order),
        detail=order.detail,
        seal=order.seal,
        officer=order.officer,
        movement=order.movement,
        zone=order.zone,
        corners=corners,
        counter=order.counter,
        version=order.version,
        by=order.by,
        issued_at=rfc3339(order.issued_ms),
        begins_at=rfc3339(max(order.not_before_ms, order.issued_ms)),
        until=None if order.not_after_ms == NEVER_MS else rfc3339(order.not_after_ms),
        sent_at=maybe(order.sent_ms),
        sent=order.sent_n,
        settled_at=maybe(order.settled_ms),
        said_at=maybe(order.said_ms),
        acts=[
            OrderAct(
                at=rfc3339(act.at_ms),
                act=act.act,
                state=act.state,
                by=act.who,
                why=act.why,
                chain=None if act.chain_id is None else act.chain_id.hex(),
                seq=act.seq,
            )
            for act in acts
        ],
    )


def _config(order: Given) -> ConfigVersion:
    version, text = data_of(order)
    return ConfigVersion(
        version=version,
        state=order.state.value,
        result=_result(order),
        by=order.by,
        issued_at=rfc3339(order.issued_ms),
        settled_at=None if order.state is OrderState.WITHDRAWN else maybe(order.settled_ms),
        text=text.decode(),
    )


def _result(order: Given) -> str | None:
    return None if order.result is None else result_name(order.kind, order.result)
