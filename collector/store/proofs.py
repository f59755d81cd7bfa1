"""What stands behind a stored batch: its neighbours in the chain, its key; and a unit's custody as far as the store knows it (EVIDENCE sections 4 and 5).

Law: reads only, within the scope of who asks; a foreign unit's batch is not there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.store import schema
from collector.store.live import in_scope

SEAL_CODES = ("RFID_CARGO_MISMATCH", "UNIT_SEPARATED", "DOOR_OPEN_UNAUTHORISED", "LOG_INTEGRITY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a batch stands."""

    unit: str
    chain_id: bytes
    batch_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A stored batch with its neighbours and its unit's keys."""

    row: Row[Any]
    before: Row[Any] | None  # the one before in its chain, as far as it is stored
    after: Row[Any] | None
    keys: dict[bytes, bytes]  # public keys by kid, revoked ones too


async def proof(connection: AsyncConnection, place: Place, scope: str) -> Proof | None:
    """None: no such batch is settled in this scope."""
    unit, chain, batch = schema.unit.c, schema.chain.c, schema.batch.c
    found = await connection.execute(
        select(unit.number, chain.ordinal)
        .join(schema.chain, chain.unit_no == unit.number)
        .where(
            unit.unit_id == place.unit,
            chain.chain_id == place.chain_id,
            in_scope(unit.scope, scope),
        )
    )
    home = found.one_or_none()
    if home is None:
        return None
    numbers = [place.batch_no - 1, place.batch_no, place.batch_no + 1]
    rows = {
        row.batch_no: row
        for row in await connection.execute(
            select(
                *(column for column in schema.batch.c if column.name != "count"),
                batch["count"].label("records"),
            ).where(
                batch.unit_no == home.number,
                batch.chain == home.ordinal,
                batch.batch_no.in_(numbers),
            )
        )
    }
    if place.batch_no not in rows:
        return None
    key = schema.unit_key.c
    keys = await connection.execute(
        select(key.kid, key.public_key).where(key.unit_no == home.number)
    )
    return Proof(
        row=rows[place.batch_no],
        before=rows.get(place.batch_no - 1),
        after=rows.get(place.batch_no + 1),
        keys={row.kid: row.public_key for row in keys},
    )


async def seal_findings(
    connection: AsyncConnection, unit: str, from_ms: int, to_ms: int, most: int
) -> list[Row[Any]]:
    """What was found of a unit's seals and cargo, the newest first."""
    finding = schema.finding
    found = await connection.execute(
        select(finding)
        .where(
            finding.c.unit == unit,
            finding.c.at_ms >= from_ms,
            finding.c.at_ms < to_ms,
            or_(
                finding.c.code.startswith("SEAL_", autoescape=True), finding.c.code.in_(SEAL_CODES)
            ),
        )
        .order_by(finding.c.at_ms.desc(), finding.c.number.desc())
        .limit(most)
    )
    return list(found)


async def batches_of(
    connection: AsyncConnection, unit_no: int, records: Iterable[tuple[bytes, int]]
) -> dict[tuple[bytes, int], Row[Any]]:
    """Number and time of receipt of the batch that holds each record (chain_id, seq), where it is settled."""
    chain = schema.chain.c
    ordinals = {
        row.chain_id: (row.ordinal, row.stored_no)
        for row in await connection.execute(select(schema.chain).where(chain.unit_no == unit_no))
    }
    found: dict[tuple[bytes, int], Row[Any]] = {}
    for chain_id, seq in sorted(set(records)):
        if chain_id not in ordinals:
            continue
        row = await _holds(connection, unit_no, *ordinals[chain_id], seq)
        if row is not None:
            found[chain_id, seq] = row
    return found


async def _holds(
    connection: AsyncConnection, unit_no: int, ordinal: int, newest: int, seq: int
) -> Row[Any] | None:
    """By halves along the chain, whose numbers and records rise together: no index knows records."""
    batch = schema.batch.c
    asked = select(batch.batch_no, batch.rx_ms, batch.first_seq, batch["count"].label("records"))
    least, most = 0, newest
    while least <= most:
        half = (least + most) // 2
        row = (
            await connection.execute(
                asked.where(
                    batch.unit_no == unit_no,
                    batch.chain == ordinal,
                    batch.batch_no >= least,
                    batch.batch_no <= half,
                )
                .order_by(batch.batch_no.desc())
                .limit(1)
            )
        ).one_or_none()
        if row is None or row.first_seq + row.records <= seq:
            least = half + 1
        elif row.first_seq > seq:
            most = row.batch_no - 1
        else:
            return row
    return None


async def acts_of(
    connection: AsyncConnection, unit_no: int, from_ms: int, to_ms: int, most: int
) -> dict[str, Sequence[Row[Any]]]:
    """What people did to a unit, by table, the newest first: journeys, orders, officers' reports, stop orders, keys."""
    tables = {
        "journey": (schema.journey, schema.journey.c.since_ms),
        "order": (schema.order_act, schema.order_act.c.at_ms),
        "report": (schema.officer_report, schema.officer_report.c.at_ms),
        "stop_order": (schema.stop_order, schema.stop_order.c.at_ms),
        "key": (schema.key_act, schema.key_act.c.at_ms),
    }
    return {
        name: list(
            await connection.execute(
                select(table)
                .where(table.c.unit_no == unit_no, at_ms >= from_ms, at_ms < to_ms)
                .order_by(at_ms.desc())
                .limit(most)
            )
        )
        for name, (table, at_ms) in tables.items()
    }
