"""What a unit's seals went through, each row with how its record is proven: read from findings, reports and batches.

Law: reads only. A record is as good as the batch that holds it; what no batch holds is no evidence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.detect.engine.blob import unpack
from collector.store import roadside, schema
from wire import MisuseError

ROWS_MAX = 100
REPORTS_MAX = 20
LOGGED_MS = 60_000  # EVIDENCE section 11: by then a batch should stand in the log


class Proof(Enum):
    """What the centre can show for a record (CONSOLE section 2, evidence badge)."""

    PENDING = "PENDING"  # received and good; the log has time yet
    UNLOGGED = "UNLOGGED"  # good, and in no log
    BROKEN = "BROKEN"  # refused with its link kept, or told twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A custody row: what happened, and the batch that says so."""

    at_ms: int
    code: str
    seal: str | None
    by: str  # an officer; "": the unit's own record
    proof: Proof | None  # None: no record of the unit holds it
    chain: str | None = None
    batch_no: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """Cargo by its tags, as far as a whole round was heard."""

    expected: int
    aboard: int | None  # None: none was heard on this journey


async def custody(
    connection: AsyncConnection,
    unit_no: int,
    unit_id: str,
    now_ms: int,
    dated: Callable[[Row[Any]], int],
) -> list[Held]:
    """The newest rows first; `dated` says when a finding was, by what the unit has said of its time since."""
    rows = await _findings(connection, unit_no, unit_id)
    broken = await _forked(connection, unit_no)
    held = [_held(row, dated(row), broken, now_ms) for row in rows]
    held += [
        Held(
            at_ms=row.at_ms,
            code="REPORT_MATCHES" if row.matches else "REPORT_DIFFERS",
            seal=None,
            by=row.who,
            proof=None,
        )
        for row in await roadside.reports_of(connection, unit_no, REPORTS_MAX)
    ]
    return sorted(held, key=lambda one: -one.at_ms)[:ROWS_MAX]


async def tags_of(connection: AsyncConnection, unit_no: int) -> Tags | None:
    """None: the journey declares none, or the state is of another program."""
    state = schema.detector_state.c
    blob = (await connection.execute(select(state.blob).where(state.unit_no == unit_no))).scalar()
    if blob is None:
        return None
    try:
        found = unpack(blob).tags
    except (MisuseError, AssertionError, LookupError, TypeError, ValueError):
        return None
    if not found.expected:
        return None
    aboard = sum(byte.bit_count() for byte in found.aboard) if found.known else None
    return Tags(expected=found.expected, aboard=aboard)


async def _findings(connection: AsyncConnection, unit_no: int, unit_id: str) -> Sequence[Row[Any]]:
    finding, chain, batch = schema.finding, schema.chain, schema.batch
    is_custody: ColumnElement[bool] = or_(
        finding.c.seal.is_not(None), finding.c.code.in_(("TAGS_COMPLETE", "RFID_CARGO_MISMATCH"))
    )
    statement = (
        select(
            finding.c.number,
            finding.c.seq,
            finding.c.at_ms,
            finding.c.code,
            finding.c.seal,
            finding.c.chain,
            batch.c.batch_no,
            batch.c.rx_ms,
            batch.c.reason,
        )
        .outerjoin(chain, and_(chain.c.unit_no == unit_no, chain.c.chain_id == finding.c.chain))
        .outerjoin(
            batch,
            and_(
                batch.c.unit_no == unit_no,
                batch.c.chain == chain.c.ordinal,
                batch.c.first_seq <= finding.c.seq,
                batch.c.first_seq + batch.c.count > finding.c.seq,
            ),
        )
        .where(finding.c.unit == unit_id, is_custody)
        .order_by(finding.c.at_ms.desc(), finding.c.number.desc())
        .limit(ROWS_MAX)
    )
    return (await connection.execute(statement)).all()


async def _forked(connection: AsyncConnection, unit_no: int) -> set[tuple[bytes, int]]:
    fork = schema.fork.c
    rows = await connection.execute(
        select(fork.chain_id, fork.batch_no).where(fork.unit_no == unit_no).limit(ROWS_MAX)
    )
    return {(row.chain_id, row.batch_no) for row in rows}


def _held(row: Row[Any], at_ms: int, broken: set[tuple[bytes, int]], now_ms: int) -> Held:
    proof = None
    if row.batch_no is not None:
        if row.reason is not None or (row.chain, row.batch_no) in broken:
            proof = Proof.BROKEN
        else:
            proof = Proof.PENDING if now_ms - row.rx_ms < LOGGED_MS else Proof.UNLOGGED
    return Held(
        at_ms=at_ms,
        code=row.code,
        seal=row.seal,
        by="",
        proof=proof,
        chain=None if row.batch_no is None else row.chain.hex(),
        batch_no=row.batch_no,
    )
