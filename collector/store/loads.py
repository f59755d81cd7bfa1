"""What a tick reads before it judges: heads, chains, what waits, states. One query a table, whatever the number of units.

Law: reads on the writer's connection or beside it give the same; the fence at the commit tells if they grew old.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Row, Table, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.ingest import Arrival, Chain, Confession, Hole, Why
from collector.ingest.chains import CHAINS_KEPT, chains_named
from collector.ingest.pace import GapWatch
from collector.store import Fence, NowRow, UnitLoad, schema
from wire import Reason
from wire.batch import Genesis
from wire.envelope import Key

_T = TypeVar("_T")

IN_MAX = 500  # values in one list: older SQLite takes 999 parameters a statement

Place = tuple[int, bytes, int]  # unit_no, chain_id, batch_no


async def read_keys(connection: AsyncConnection) -> dict[bytes, Key]:
    """All evidence keys by kid, revoked ones too: they have their own verdict."""
    statement = select(schema.unit_key, schema.unit.c.unit_id).join(
        schema.unit, schema.unit.c.number == schema.unit_key.c.unit_no
    )
    return {
        row.kid: Key(
            unit_id=row.unit_id, public_key=row.public_key, revoked=row.revoked_ms is not None
        )
        for row in await connection.execute(statement)
    }


async def read_units(connection: AsyncConnection, unit_ids: Sequence[str]) -> dict[str, UnitLoad]:
    """The units of these names, as far as they are enrolled."""
    loads: dict[str, UnitLoad] = {}
    for some in parts(unit_ids):
        loads.update(await _read_some(connection, some))
    return loads


async def read_heads(
    connection: AsyncConnection, places: Iterable[tuple[int, int, int]]
) -> dict[tuple[int, int, int], bytes]:
    """Heads of stored batches by (unit_no, ordinal of the chain, batch_no)."""
    batch = schema.batch.c
    found: dict[tuple[int, int, int], bytes] = {}
    for some in parts(list(places), IN_MAX // 3):
        statement = select(batch.unit_no, batch.chain, batch.batch_no, batch.head).where(
            tuple_(batch.unit_no, batch.chain, batch.batch_no).in_(some)
        )
        for row in await connection.execute(statement):
            found[(row.unit_no, row.chain, row.batch_no)] = row.head
    return found


async def read_chains(
    connection: AsyncConnection, wanted: Iterable[tuple[int, bytes]]
) -> dict[int, list[Chain]]:
    """Chains by (unit_no, chain_id), and those that followed them; by unit."""
    found: dict[int, list[Chain]] = {}
    followers = await _read_chains(connection, wanted, found)
    await _read_chains(connection, followers, found)
    return found


async def _read_chains(
    connection: AsyncConnection, wanted: Iterable[tuple[int, bytes]], found: dict[int, list[Chain]]
) -> list[tuple[int, bytes]]:
    followers = []
    columns = schema.chain.c
    for some in parts(sorted(wanted), IN_MAX // 2):
        statement = select(schema.chain).where(tuple_(columns.unit_no, columns.chain_id).in_(some))
        for row in await connection.execute(statement):
            found.setdefault(row.unit_no, []).append(_chain(row))
            if row.successor is not None:
                followers.append((row.unit_no, row.successor))
    return followers


async def read_parked(connection: AsyncConnection, places: Sequence[Place]) -> dict[Place, bytes]:
    """Envelopes of parked batches."""
    parked = schema.parked.c
    found: dict[Place, bytes] = {}
    for some in parts(places, IN_MAX // 3):
        statement = select(parked.unit_no, parked.chain_id, parked.batch_no, parked.envelope).where(
            tuple_(parked.unit_no, parked.chain_id, parked.batch_no).in_(some)
        )
        for row in await connection.execute(statement):
            found[(row.unit_no, row.chain_id, row.batch_no)] = row.envelope
    return found


def arrival_of(row: Row[Any]) -> Arrival:
    """A parked batch as the chains see it."""
    genesis = None
    if row.genesis_reason is not None:
        genesis = Genesis(
            reason=row.genesis_reason,
            prev_chain=row.prev_chain,
            prev_batch_no=row.prev_batch_no,
            prev_head=row.prev_head,
            prev_seq=row.prev_seq,
        )
    return Arrival(
        chain_id=row.chain_id,
        batch_no=row.batch_no,
        head=row.head,
        prev=row.prev,
        first_seq=row.first_seq,
        count=row.records,
        sealed_ms=row.sealed_ms,
        time_quality=row.time_quality,
        boot_no=row.boot_no,
        sealed_mono_ms=row.sealed_mono_ms,
        size_bytes=row.size_bytes,
        is_early=row.is_early,
        reason=None if row.reason is None else Reason(row.reason),
        genesis=genesis,
    )


async def _read_some(connection: AsyncConnection, unit_ids: Sequence[str]) -> dict[str, UnitLoad]:
    unit, head = schema.unit.c, schema.unit_head.c
    rows = await connection.execute(
        select(unit.number, unit.unit_id, head.rev, head.chain_id, head.batch_no, head.head)
        .join(schema.unit_head, head.unit_no == unit.number)
        .where(unit.unit_id.in_(unit_ids))
    )
    heads = {row.number: row for row in rows}
    numbers = list(heads)
    waiting = await _waiting(connection, numbers)
    confessions = await _by_unit(connection, schema.confession, numbers)
    chains = await _newest_chains(connection, numbers)
    spoken_of = {
        (number, chain_id)
        for number in numbers
        for chain_id in chains_named(
            map(arrival_of, waiting.get(number, ())), map(_confession, confessions.get(number, ()))
        )
    }
    older = await read_chains(connection, spoken_of) if spoken_of else {}
    holes = await _by_unit(connection, schema.hole, numbers)
    gaps = await _by_unit(connection, schema.gap, numbers)
    states = await _by_unit(connection, schema.detector_state, numbers)
    nows = await _by_unit(connection, schema.unit_now, numbers)
    return {
        row.unit_id: UnitLoad(
            unit_no=number,
            unit_id=row.unit_id,
            fence=Fence(rev=row.rev, chain_id=row.chain_id, batch_no=row.batch_no, head=row.head),
            chains=(*map(_chain, chains.get(number, ())), *older.get(number, ())),
            waiting=tuple(
                (arrival_of(entry), entry.rx_ms, entry.early_ms)
                for entry in waiting.get(number, ())
            ),
            confessions=tuple(_confession(entry) for entry in confessions.get(number, ())),
            holes=tuple(_hole(entry) for entry in holes.get(number, ())),
            gap=next((_gap(entry) for entry in gaps.get(number, ())), None),
            state=next((entry.blob for entry in states.get(number, ())), None),
            now=next((_now(entry) for entry in nows.get(number, ())), None),
        )
        for number, row in heads.items()
    }


async def _by_unit(
    connection: AsyncConnection, table: Table, numbers: Sequence[int]
) -> dict[int, list[Row[Any]]]:
    by_unit: dict[int, list[Row[Any]]] = {}
    statement = select(table).where(table.c.unit_no.in_(numbers)).order_by(*table.primary_key)
    for row in await connection.execute(statement):
        by_unit.setdefault(row.unit_no, []).append(row)
    return by_unit


async def _newest_chains(
    connection: AsyncConnection, numbers: Sequence[int]
) -> dict[int, list[Row[Any]]]:
    chain = schema.chain
    newest = (
        select(chain.c.unit_no, func.max(chain.c.ordinal).label("ordinal"))
        .where(chain.c.unit_no.in_(numbers))
        .group_by(chain.c.unit_no)
        .subquery()
    )
    statement = (
        select(chain)
        .join(newest, newest.c.unit_no == chain.c.unit_no)
        .where(chain.c.ordinal > newest.c.ordinal - CHAINS_KEPT)
        .order_by(chain.c.unit_no, chain.c.ordinal)
    )
    by_unit: dict[int, list[Row[Any]]] = {}
    for row in await connection.execute(statement):
        by_unit.setdefault(row.unit_no, []).append(row)
    return by_unit


async def _waiting(
    connection: AsyncConnection, numbers: Sequence[int]
) -> dict[int, list[Row[Any]]]:
    parked = schema.parked.c
    columns = [column for column in parked if column.name not in {"envelope", "count"}]
    by_unit: dict[int, list[Row[Any]]] = {}
    statement = (
        select(*columns, parked["count"].label("records"))
        .where(parked.unit_no.in_(numbers))
        .order_by(parked.unit_no, parked.chain_id, parked.batch_no)
    )
    for row in await connection.execute(statement):
        by_unit.setdefault(row.unit_no, []).append(row)
    return by_unit


def _chain(row: Row[Any]) -> Chain:
    return Chain(
        **{
            name: getattr(row, name)
            for name in schema.chain.c.keys()  # noqa: SIM118 - columns are no dict
            if name != "unit_no"
        }
    )


def _confession(row: Row[Any]) -> Confession:
    return Confession(
        chain_id=row.chain_id,
        first_no=row.first_no,
        last_no=row.last_no,
        last_head=row.last_head,
        why=Why(row.why),
    )


def _hole(row: Row[Any]) -> Hole:
    return Hole(
        chain_id=row.chain_id,
        first_no=row.first_no,
        last_no=row.last_no,
        first_seq=row.first_seq,
        before=row.before,
        after=row.after,
        why=Why(row.why),
    )


def _gap(row: Row[Any]) -> GapWatch:
    return GapWatch(
        chain_id=row.chain_id,
        first_no=row.first_no,
        last_no=row.last_no,
        first_seq=row.first_seq,
        since_ms=row.since_ms,
        is_urged=row.is_urged,
        minutes=row.minutes,
        minute=row.minute,
        is_alerted=row.is_alerted,
    )


def _now(row: Row[Any]) -> NowRow:
    return NowRow(
        heard_ms=row.heard_ms,
        owes=row.owes,
        t_ms=row.t_ms,
        lat_e7=row.lat_e7,
        lon_e7=row.lon_e7,
        speed_cm_s=row.speed_cm_s,
        course_cdeg=row.course_cdeg,
        flags=row.flags,
    )


def parts(values: Iterable[_T], size: int = IN_MAX) -> Iterable[Sequence[_T]]:
    """Lists that are short enough for one statement."""
    all_values = list(values)
    return (all_values[begin : begin + size] for begin in range(0, len(all_values), size))
