"""The stored ticks once more through the engine (DETECTION law 2, ARCHITECTURE: the way of the data).

Law: reads the store and writes nothing; the same ticks give the same findings, byte for byte.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.detect import Finding
from collector.detect.cross.known import NOTHING
from collector.detect.engine import ChainHole, EarlyCopy, Heard, Item, TimePassed, UnitState
from collector.detect.engine.run import run as run_engine
from collector.detect.rules import Rulebook
from collector.detect.track import Batch
from collector.store import StoreError, orders, schema
from collector.store.database import Store
from collector.store.orders import Unlock
from collector.tick.detecting import (
    IN_BATCH,
    IN_EARLY,
    IN_FORKED,
    IN_HEARD,
    IN_HOLE,
    IN_ORDERS,
    IN_TIME,
    Engine,
    judge_forked,
    run_items,
)
from collector.tick.ordering import learn, with_orders
from collector.tick.reading import batch_of, sheet_of
from wire import Refused
from wire.canon import decode

BATCHES_A_LOOK = 256  # three parameters each: below the 999 of the oldest SQLite

RulebookAt = Callable[[int], Rulebook]  # by the number of the version that was in force


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What one stored tick comes to."""

    tick_no: int
    now_ms: int
    findings: tuple[Finding, ...]
    positions: int  # that the engine was given
    units: frozenset[str]  # whose they were


async def replay(
    store: Store, rulebook_at: RulebookAt, *, engine: Engine = run_engine, from_ms: int = 0
) -> AsyncIterator[Replayed]:
    """All ticks from `from_ms` on, in their order. What ingest itself found (oddities of chains) is no part of it: that is in the chains.

    Where it begins in the middle of the log, nothing is known of the units but the orders of before. Raises StoreError where the
    log names a batch that is not stored.
    """
    states: dict[str, UnitState] = {}
    known = NOTHING
    unlocks: dict[bytes, Unlock] = {}
    number = -1
    while True:
        async with store.read() as connection:
            if number < 0:
                number = await _number_before(connection, from_ms)
                if number:
                    unlocks = await _unlocks(
                        connection, await orders.newest_act(connection, upto_ms=from_ms), 0
                    )
            row = await _next_tick(connection, number)
            if row is None:
                return
            number = row.number
            entries = unpack_intake(row.intake)
            for entry in entries:
                if entry[0] == IN_ORDERS:
                    unlocks = await _unlocks(connection, *entry[1:])
            rulebook = with_orders(rulebook_at(row.rules_version), unlocks.values())
            items: list[Item] = []
            forked: list[Finding] = []
            batches = await _batches(connection, entries)
            for entry in entries:
                if entry[0] == IN_ORDERS:
                    continue
                if entry[0] == IN_FORKED:
                    forked += judge_forked(rulebook, await _forked(connection, entry))
                elif entry[0] == IN_BATCH:
                    items.append(batches[entry[1], entry[2], entry[3]])
                else:
                    items.append(await _item(connection, row.now_ms, entry))
        detected = run_items(rulebook, engine, _of(items, states), items, known)
        states.update(detected.states)
        known = detected.known
        yield Replayed(
            tick_no=row.number,
            now_ms=row.now_ms,
            findings=(*forked, *detected.findings),
            positions=sum(batch.fixes.shape[1] for batch in batches.values()),
            units=frozenset(batch.unit for batch in batches.values()),
        )


def unpack_intake(blob: bytes) -> list[list[Any]]:
    """The entries of a tick's log, as `collector.store.commit.pack_intake` wrote them."""
    entries: list[list[Any]] = []
    at = 0
    while at < len(blob):
        end = at + 2 + int.from_bytes(blob[at : at + 2], "big")
        entry = decode(blob[at + 2 : end])
        if isinstance(entry, Refused) or not isinstance(entry, list):
            raise StoreError("the log of a tick is damaged: restore the store from its backup")
        entries.append(list(entry))
        at = end
    return entries


def _of(items: list[Item], states: Mapping[str, UnitState]) -> Mapping[str, UnitState]:
    """The states that the tick had at hand: of its units, and of all when time passed."""
    if any(isinstance(item, TimePassed) for item in items):
        return states
    names = {item.unit for item in items if isinstance(item, Batch | ChainHole | Heard)}
    names |= {item.batch.unit for item in items if isinstance(item, EarlyCopy)}
    return {name: states[name] for name in names if name in states}


async def _unlocks(connection: AsyncConnection, act_no: int, since_ms: int) -> dict[bytes, Unlock]:
    """The unlock orders as they stood after that change."""
    known: dict[bytes, Unlock] = {}
    given, withdrawn = await orders.unlocks(connection, above=0, upto=act_no, since_ms=since_ms)
    learn(known, given, withdrawn)
    return known


async def _number_before(connection: AsyncConnection, from_ms: int) -> int:
    """The number of the last tick before that time; 0 before the first."""
    tick = schema.tick.c
    before = await connection.execute(select(func.max(tick.number)).where(tick.now_ms < from_ms))
    return before.scalar_one() or 0


async def _next_tick(connection: AsyncConnection, after: int) -> Row[Any] | None:
    tick = schema.tick
    statement = select(tick).where(tick.c.number > after).order_by(tick.c.number).limit(1)
    return (await connection.execute(statement)).one_or_none()


async def _batches(
    connection: AsyncConnection, entries: list[list[Any]]
) -> dict[tuple[int, int, int], Batch]:
    """The settled batches of a tick, all in one look: one by one they cost more than the engine."""
    named = [(entry[1], entry[2], entry[3]) for entry in entries if entry[0] == IN_BATCH]
    batch = schema.batch.c
    found: dict[tuple[int, int, int], Batch] = {}
    for begin in range(0, len(named), BATCHES_A_LOOK):
        place = tuple_(batch.unit_no, batch.chain, batch.batch_no)
        wanted = select(schema.batch).where(place.in_(named[begin : begin + BATCHES_A_LOOK]))
        for row in await connection.execute(wanted):
            found[row.unit_no, row.chain, row.batch_no] = batch_of(
                sheet_of(row.envelope), received_ms=row.rx_ms, early_ms=row.early_ms
            )
    if len(found) != len(named):
        raise StoreError(_LACKS)
    return found


async def _item(connection: AsyncConnection, now_ms: int, entry: list[Any]) -> Item:
    match entry:
        case [kind, unit_no, chain_id, batch_no, received_ms] if kind == IN_EARLY:
            envelope = await _early(connection, unit_no, chain_id, batch_no)
            return EarlyCopy(
                batch=batch_of(sheet_of(envelope), received_ms=received_ms, early_ms=None)
            )
        case [kind, unit_no, chain_id, first, last, why] if kind == IN_HOLE:
            unit = await _unit(connection, unit_no)
            return ChainHole(unit=unit, chain=chain_id, first=first, last=last, why=why)
        case [kind, unit_no, before_ms] if kind == IN_HEARD:
            return Heard(unit=await _unit(connection, unit_no), received_ms=now_ms - before_ms)
        case [kind, at_ms, *since] if kind == IN_TIME:
            return TimePassed(now_ms=at_ms, since_ms=since[0] if since else 0)
    raise StoreError("the log of a tick is of a newer program: replay it with that one")


async def _early(
    connection: AsyncConnection, unit_no: int, chain_id: bytes, batch_no: int
) -> bytes:
    """The envelope of an early copy: settled since, or still waiting, or kept as the proof of a fork."""
    batch, chain, parked, fork = schema.batch.c, schema.chain.c, schema.parked.c, schema.fork.c
    settled = (
        select(batch.envelope)
        .join(schema.chain, (chain.unit_no == batch.unit_no) & (chain.ordinal == batch.chain))
        .where(batch.unit_no == unit_no, chain.chain_id == chain_id, batch.batch_no == batch_no)
    )
    waiting = select(parked.envelope).where(
        parked.unit_no == unit_no, parked.chain_id == chain_id, parked.batch_no == batch_no
    )
    proof = select(fork.envelope).where(
        fork.unit_no == unit_no, fork.chain_id == chain_id, fork.batch_no == batch_no
    )
    for statement in (settled, waiting, proof):
        found = (await connection.execute(statement)).first()
        if found is not None:
            return bytes(found.envelope)
    raise StoreError(_LACKS)


async def _forked(connection: AsyncConnection, entry: list[Any]) -> Batch:
    _, unit_no, chain_id, batch_no, head, received_ms = entry
    fork = schema.fork.c
    row = await _one(
        connection,
        select(fork.envelope).where(
            fork.unit_no == unit_no,
            fork.chain_id == chain_id,
            fork.batch_no == batch_no,
            fork.head == head,
        ),
    )
    return batch_of(sheet_of(row.envelope), received_ms=received_ms, early_ms=None)


async def _unit(connection: AsyncConnection, unit_no: int) -> str:
    unit = schema.unit.c
    row = await _one(connection, select(unit.unit_id).where(unit.number == unit_no))
    return str(row.unit_id)


async def _one(connection: AsyncConnection, statement: Select[Any]) -> Row[Any]:
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise StoreError(_LACKS)
    return row


_LACKS = "the log of a tick names what is not stored: restore the store from its backup"
