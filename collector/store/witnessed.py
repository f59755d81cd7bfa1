"""What an officer sees against what the system says, as an alert: SEAL_ID_MISMATCH by an officer's word (DETECTION section 8).

Law: written in the transaction of his report, so that none is without the other. No batch tells it, and a replay of batches does not know it.
"""

from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import State
from collector.detect import PRIORITIES, Finding, Level, Phase, finding_key
from collector.notify import Target
from collector.store import commit, roadside, schema
from collector.store.roadside import Report, Reported
from collector.store.standing import Standing

CODE = "SEAL_ID_MISMATCH"
WORD = "officer"  # the finding's value: in three languages, `alert.SEAL_ID_MISMATCH.word.officer`
LATE_MS = 120_000  # DETECTION section 2, `late_s`
PLACE_MS = 900_000  # a truck that was seen a quarter of an hour ago may have gone
BEFORE_MAX = 50  # reports of a unit in which the one is looked for that has begun an alert


async def tell(
    connection: AsyncConnection,
    said: Report,
    reported: Reported,
    stands: Standing,
    targets: Sequence[Target],
    now_ms: int,
) -> bytes | None:
    """The alert that a new report begins, goes on with, or says to be over; None: it speaks of none."""
    open_id = await _open(connection, said)
    if said.matches and open_id is None:
        return None
    unit = stands.subject.unit_id
    id_ = open_id or _id(unit, reported.number)
    phase = Phase.END if said.matches else Phase.CHANGE if open_id else Phase.BEGIN
    fix_ms = stands.facts.fix_ms
    is_placed = fix_ms is not None and now_ms - fix_ms < PLACE_MS
    declared = [seal.seal_id for seal in stands.facts.seals if seal.declared]
    finding = Finding(
        id=id_,
        n=await _next_n(connection, id_),
        code=CODE,
        level=Level.ALERT,
        priority=PRIORITIES[CODE],
        phase=phase,
        unit=unit,
        chain=None,
        seq=None,
        at_ms=said.made_ms,
        confirmed_ms=said.made_ms,
        received_ms=now_ms,
        late=now_ms - said.made_ms > LATE_MS,
        lat_e7=stands.subject.lat_e7 if is_placed else None,
        lon_e7=stands.subject.lon_e7 if is_placed else None,
        seal=declared[0] if len(declared) == 1 else None,
        value=WORD,
        data={"declared": declared, "by": said.who, "journey": said.journey},
    )
    await commit.write_said(connection, finding, tuple(targets), now_ms)
    return id_


def _id(unit: str, report_no: int) -> bytes:
    return sha256(finding_key(unit, None, report_no, CODE, WORD)).digest()[:16]


async def _open(connection: AsyncConnection, said: Report) -> bytes | None:
    """The alert that an earlier report on this journey has begun, while it is not closed."""
    unit = schema.unit.c
    found = await connection.execute(select(unit.unit_id).where(unit.number == said.unit_no))
    name = str(found.scalar_one())
    before = await roadside.reports_of(connection, said.unit_no, BEFORE_MAX)
    ids = [_id(name, row.number) for row in before if row.journey == said.journey]
    alert = schema.alert.c
    rows = await connection.execute(
        select(alert.id)
        .where(alert.id.in_(ids), alert.state != State.CLOSED.value)
        .order_by(alert.begun_ms.desc())
        .limit(1)
    )
    id_: bytes | None = rows.scalar_one_or_none()
    return id_


async def _next_n(connection: AsyncConnection, id_: bytes) -> int:
    finding = schema.finding.c
    found = await connection.execute(select(func.max(finding.n)).where(finding.id == id_))
    newest = found.scalar_one()
    return 0 if newest is None else int(newest) + 1
