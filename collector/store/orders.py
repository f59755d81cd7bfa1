"""Orders in the store: given, sent, settled, withdrawn, each change with its row (WIRE section 14).

Law: what decides is `collector.desk`; here it is asked and written in one transaction. Nothing is signed here.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.desk import ACTS, Given, NotGiven, OrderState, Wish, making, remote
from collector.desk.life import OrderEvent
from collector.store import GapCloseRow, schema
from collector.store.loads import IN_MAX
from collector.store.order_rows import (
    OPEN,
    by_id,
    change,
    counters_of,
    data_of,
    expire_open,
    given_of,
    orders,
    outlines,
    unit_no_of,
    write_act,
    write_counters,
    write_move,
)
from wire import LIM
from wire.orders import Order, OrderKind

GIVE = "give"  # the first act of an order; the others are events of its life


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """A config that sets what the newest one sets already: nothing was ordered."""

    order: Given


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    """An unlock order as the detectors must know it; None as withdrawn_ms: not withdrawn."""

    order_id: bytes
    unit_id: str
    seal: str
    movement: str
    zone: str | None
    area: tuple[int, ...]
    issued_ms: int
    not_before_ms: int
    not_after_ms: int
    withdrawn_ms: int | None = None


# people


async def give(
    connection: AsyncConnection, wish: Wish, now_ms: int
) -> Given | Unchanged | NotGiven:
    """Order what is wished: counter or version, order and act are one transaction."""
    unit_no = await unit_no_of(connection, wish.unit_id)
    if unit_no is None:
        return NotGiven(
            code="no_such_unit",
            hint=f"{wish.unit_id} is not enrolled: plomba unit add {wish.unit_id} --public-key HEX",
        )
    fault = making.fault_of(wish, now_ms)
    if fault is not None:
        return fault
    if wish.kind is OrderKind.SET_CONFIG:
        return await _give_config(connection, unit_no, wish, now_ms)
    await expire_open(connection, now_ms, schema.unit_order.c.unit_no == unit_no)
    waiting = await _open_of(connection, unit_no)
    if wish.kind in ACTS:
        first = [order for order in waiting if order.kind in ACTS]
        if first and not wish.supersedes:
            return _waits(first[0])
        counter = await _next_counter(connection, unit_no, now_ms)
    else:
        first, counter = [], 0
        if len(waiting) >= making.OPEN_MAX:
            return NotGiven(
                code="too_many",
                hint=f"{len(waiting)} orders of {wish.unit_id} wait: withdraw some (plomba unit order-withdraw ID)",
            )
    order = making.order_of(wish, counter=counter, now_ms=now_ms)
    if await by_id(connection, order.order_id) is not None:
        return NotGiven(code="just_given", hint="the same order was given this very millisecond")
    for old in first:
        why = f"superseded by {order.order_id.hex()}"
        await write_move(
            connection, old, OrderEvent.WITHDRAW, now_ms, who=wish.by, why=why, settled_ms=now_ms
        )
    return await _insert(connection, unit_no, wish, order, now_ms)


async def withdraw(
    connection: AsyncConnection, order_id: bytes, *, by: str, why: str, now_ms: int
) -> Given | NotGiven:
    """Take an order back. One that was sent may have been carried out by now: its result is still noted."""
    order = await by_id(connection, order_id)
    if order is None:
        return NotGiven(code="no_such_order", hint="plomba unit orders UNIT lists them")
    if order.kind == OrderKind.SET_CONFIG and order.sent_ms is not None:
        return NotGiven(
            code="config_is_out",
            hint="the unit may hold it: give another one instead, it goes before",
        )
    if not order.is_open or now_ms > order.not_after_ms:
        return NotGiven(
            code="not_open",
            hint=f"it is {order.state.value if not order.is_open else 'EXPIRED'} already",
        )
    return await write_move(
        connection, order, OrderEvent.WITHDRAW, now_ms, who=by, why=why, settled_ms=now_ms
    )


async def find(connection: AsyncConnection, prefix: str) -> tuple[Given, ...]:
    """The orders whose id begins with these hex digits, two at most: one is the order, two are one too many."""
    columns = schema.unit_order.c
    least = bytes.fromhex(prefix.ljust(32, "0"))
    most = bytes.fromhex(prefix.ljust(32, "f"))
    statement = orders().where(columns.order_id >= least, columns.order_id <= most).limit(2)
    return tuple(given_of(row) for row in await connection.execute(statement))


async def close_gap(
    connection: AsyncConnection, unit_id: str, *, by: str, why: str, now_ms: int, age_ms_min: int
) -> tuple[bytes, int, int] | NotGiven:
    """A supervisor gives up what a unit owes; the next tick closes it. The chain and the first and last number."""
    unit_no = await unit_no_of(connection, unit_id)
    if unit_no is None:
        return NotGiven(code="no_such_unit", hint=f"{unit_id} is not enrolled")
    gap = schema.gap
    row = (await connection.execute(select(gap).where(gap.c.unit_no == unit_no))).one_or_none()
    if row is None:
        return NotGiven(code="no_gap", hint=f"{unit_id} owes nothing")
    if now_ms - row.since_ms < age_ms_min:
        hours = -(-(row.since_ms + age_ms_min - now_ms) // 3_600_000)
        return NotGiven(
            code="too_young",
            hint=f"a gap may be closed 24 h after it was seen, in {hours} h: the unit may still bring it",
        )
    parked = schema.parked.c
    ahead = await connection.execute(  # a hello promises what may lie here already
        select(func.min(parked.batch_no)).where(
            parked.unit_no == unit_no,
            parked.chain_id == row.chain_id,
            parked.batch_no > row.first_no,
        )
    )
    next_no = ahead.scalar_one()
    last_no = row.last_no if next_no is None else min(row.last_no, next_no - 1)
    await connection.execute(
        schema.gap_close.insert().values(
            unit_no=unit_no,
            chain_id=row.chain_id,
            first_no=row.first_no,
            last_no=last_no,
            at_ms=now_ms,
            who=by,
            why=why,
        )
    )
    return row.chain_id, row.first_no, last_no


# the desk's own turns


async def open_orders(connection: AsyncConnection) -> tuple[Given, ...]:
    """The orders that may be due by time, oldest first, without their bytes; those that have expired meanwhile too.

    A config that was sent waits for its unit's hello: see `newest_configs`.
    """
    columns = schema.unit_order.c
    statement = (
        outlines()
        .where(
            columns.state.in_(OPEN),
            or_(
                columns.kind != int(OrderKind.SET_CONFIG),
                columns.state == OrderState.PENDING.value,
            ),
        )
        .order_by(columns.issued_ms, columns.order_id)
    )
    return tuple(given_of(row) for row in await connection.execute(statement))


async def newest_configs(
    connection: AsyncConnection, unit_ids: Collection[str]
) -> dict[str, Given]:
    """The newest config of each of these units that has one, without its bytes."""
    columns, unit = schema.unit_order.c, schema.unit.c
    found: dict[str, Given] = {}
    names = sorted(unit_ids)
    for begin in range(0, len(names), IN_MAX):
        statement = (
            outlines()
            .where(
                columns.kind == int(OrderKind.SET_CONFIG),
                columns.state != OrderState.WITHDRAWN.value,
                unit.unit_id.in_(names[begin : begin + IN_MAX]),
            )
            .order_by(columns.version)
        )
        found.update({row.unit_id: given_of(row) for row in await connection.execute(statement)})
    return found


async def send(
    connection: AsyncConnection,
    order_ids: Sequence[bytes],
    sign: Callable[[bytes], bytes],
    now_ms: int,
) -> list[Given]:
    """Note that these go out now, before they do; those that were closed meanwhile stay. With their envelopes."""
    sent: list[Given] = []
    for order_id in order_ids:
        order = await by_id(connection, order_id)
        is_config = order is not None and order.kind == OrderKind.SET_CONFIG
        if order is None or not (order.is_open or is_config):
            continue
        if order.state is OrderState.WITHDRAWN:
            continue
        changes: dict[str, Any] = {"sent_ms": now_ms, "sent_n": order.sent_n + 1}
        if order.envelope is None:
            changes["envelope"] = sign(order.payload)
        if order.state is OrderState.PENDING:
            order = await write_move(connection, order, OrderEvent.SEND, now_ms, **changes)
            if order.kind == OrderKind.RESEND_FROM:  # nothing but its batches answers it
                order = await write_move(
                    connection,
                    order,
                    OrderEvent.DONE,
                    now_ms,
                    why="asked once; its batches are the answer",
                    settled_ms=now_ms,
                )
        else:
            await change(connection, order.order_id, changes)
            order = replace(order, **changes)
        sent.append(order)
    return sent


async def gaps_to_close(connection: AsyncConnection) -> tuple[GapCloseRow, ...]:
    """Supervisors' acts that no tick has taken yet, oldest first."""
    act, unit = schema.gap_close.c, schema.unit.c
    statement = (
        select(act.number, unit.unit_id, act.chain_id, act.first_no, act.last_no)
        .join(schema.unit, unit.number == act.unit_no)
        .where(act.outcome.is_(None))
        .order_by(act.number)
    )
    return tuple(
        GapCloseRow(
            number=row.number,
            unit_id=row.unit_id,
            chain_id=row.chain_id,
            first_no=row.first_no,
            last_no=row.last_no,
        )
        for row in await connection.execute(statement)
    )


async def newest_act(connection: AsyncConnection, *, upto_ms: int = LIM) -> int:
    """The number of the newest change of any order up to that time; 0 before the first."""
    act = schema.order_act.c
    newest = await connection.execute(select(func.max(act.number)).where(act.at_ms <= upto_ms))
    return newest.scalar_one() or 0


async def unlocks(
    connection: AsyncConnection, *, above: int, upto: int, since_ms: int
) -> tuple[list[Unlock], dict[bytes, int]]:
    """Unlock orders given in the acts (above, upto], and when any were withdrawn in them; those over before `since_ms` are left out."""
    act, order, unit = schema.order_act.c, schema.unit_order.c, schema.unit.c
    span = (
        act.number > above,
        act.number <= upto,
        order.kind == int(OrderKind.UNLOCK),
        order.not_after_ms >= since_ms,
    )
    given = await connection.execute(
        select(schema.unit_order, unit.unit_id)
        .join(schema.order_act, act.order_id == order.order_id)
        .join(schema.unit, unit.number == order.unit_no)
        .where(*span, act.act == GIVE)
        .order_by(act.number)
    )
    found = [_unlock(row) for row in given]
    withdrawn = await connection.execute(
        select(act.order_id, act.at_ms)
        .join(schema.unit_order, act.order_id == order.order_id)
        .where(*span, act.act == OrderEvent.WITHDRAW.value)
    )
    return found, {row.order_id: row.at_ms for row in withdrawn}


async def _give_config(
    connection: AsyncConnection, unit_no: int, wish: Wish, now_ms: int
) -> Given | Unchanged | NotGiven:
    (text,) = wish.data
    assert isinstance(text, bytes)
    faults = remote.faults_of(text)
    if faults:
        return NotGiven(code="bad_config", hint=f"{faults[0].key}: {faults[0].hint}")
    newest = (await newest_configs(connection, [wish.unit_id])).get(wish.unit_id)
    if newest is not None and newest.state is not OrderState.REFUSED:
        whole = await by_id(connection, newest.order_id)
        assert whole is not None
        before = data_of(whole)[1]
        assert isinstance(before, bytes)
        if remote.says_the_same(before, text):
            return Unchanged(order=whole)
    counters = await counters_of(connection, unit_no)
    version = making.next_version(counters[1])
    if version is None:
        return NotGiven(code="no_more_versions", hint="this unit has had 2^32 - 1 of them")
    await write_counters(connection, unit_no, counters[0], version)
    order = making.order_of(replace(wish, data=(version, text)), counter=0, now_ms=now_ms)
    if newest is not None and newest.is_open:
        why = f"superseded by version {version}"
        await write_move(
            connection, newest, OrderEvent.WITHDRAW, now_ms, who=wish.by, why=why, settled_ms=now_ms
        )
    return await _insert(connection, unit_no, wish, order, now_ms)


async def _insert(
    connection: AsyncConnection, unit_no: int, wish: Wish, order: Order, now_ms: int
) -> Given:
    is_act = order.kind in ACTS
    names = [name for name in order.data[:3] if isinstance(name, str)] if is_act else [None] * 3
    version = order.data[0] if order.kind == OrderKind.SET_CONFIG else None
    await connection.execute(
        schema.unit_order.insert().values(
            order_id=order.order_id,
            unit_no=unit_no,
            kind=order.kind,
            counter=order.counter,
            version=version,
            issued_ms=order.issued_ms,
            not_before_ms=order.not_before_ms,
            not_after_ms=order.not_after_ms,
            state=OrderState.PENDING.value,
            seal=names[0],
            officer=names[1],
            movement=names[2],
            zone=wish.zone,
            who=wish.by,
            payload=making.payload_of(order),
            sent_n=0,
        )
    )
    await write_act(
        connection, order.order_id, unit_no, now_ms, GIVE, OrderState.PENDING, wish.by, wish.why
    )
    given = await by_id(connection, order.order_id)
    assert given is not None
    return given


async def _next_counter(connection: AsyncConnection, unit_no: int, now_ms: int) -> int:
    last, version = await counters_of(connection, unit_no)
    counter = making.next_counter(last, now_ms)
    await write_counters(connection, unit_no, counter, version)
    return counter


async def _open_of(connection: AsyncConnection, unit_no: int) -> list[Given]:
    columns = schema.unit_order.c
    rows = await connection.execute(
        orders()
        .where(
            columns.unit_no == unit_no,
            columns.state.in_(OPEN),
            columns.kind != int(OrderKind.SET_CONFIG),
        )
        .order_by(columns.issued_ms)
    )
    return [given_of(row) for row in rows]


def _waits(order: Given) -> NotGiven:
    kind = OrderKind(order.kind).name.lower()
    return NotGiven(
        code="order_waiting",
        hint=f"{order.unit_id} has a waiting {kind}, {order.order_id.hex()}, {order.state.value}: wait for its result, "
        f"withdraw it (plomba unit order-withdraw {order.order_id.hex()}), or give this one with --supersede",
    )


def _unlock(row: Row[Any]) -> Unlock:
    data = data_of(given_of(row))
    return Unlock(
        order_id=row.order_id,
        unit_id=row.unit_id,
        seal=row.seal,
        movement=row.movement,
        zone=row.zone,
        area=tuple(data[3]),
        issued_ms=row.issued_ms,
        not_before_ms=row.not_before_ms,
        not_after_ms=row.not_after_ms,
    )
