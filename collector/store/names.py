"""Under which numbers a truck is known: plate, trailer, container, seal, journey, unit. Written beside what they name, found by one look.

Law: a number is found however it was written (`ids.key_of`). What a journey of before was called finds nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.customs.ids import key_of
from collector.detect import Finding
from collector.detect.rules import OVER
from collector.store import JourneyRow, schema
from collector.store.dialect import insert

HITS_MAX = 20  # CONSOLE section 7: more is no answer, it is a list to be narrowed
ROWS_MAX = 256  # looked at for one number: a container that was on as many journeys
UNIT, PLATE, TRAILER, CONTAINER, SEAL, HEARD, JOURNEY = (
    *("unit", "plate", "trailer", "container", "seal", "heard", "journey"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A unit that a number leads to, and as what."""

    unit_no: int
    unit_id: str
    kind: str
    shown: str  # the number as it was entered


async def put_unit(connection: AsyncConnection, unit_no: int, unit_id: str, now_ms: int) -> None:
    await _put(connection, [_row(UNIT, unit_id, unit_no, 0, now_ms)])


async def put_plate(connection: AsyncConnection, unit_no: int, plate: str, now_ms: int) -> None:
    """The vehicle that the unit is built into, in place of the one before; empty: none."""
    known = schema.known_as
    await connection.execute(
        delete(known).where(
            known.c.unit_no == unit_no, known.c.kind == PLATE, known.c.journey_no == 0
        )
    )
    if plate:
        await _put(connection, [_row(PLATE, plate, unit_no, 0, now_ms)])


async def put_journey(
    connection: AsyncConnection, unit_no: int, journey_no: int, journey: JourneyRow
) -> None:
    """All numbers of a journey."""
    named = [(JOURNEY, journey.id), (PLATE, journey.tractor), (TRAILER, journey.trailer)]
    named += [(CONTAINER, number) for number in journey.containers]
    named += [(SEAL, number) for number in journey.seals]
    rows = [
        _row(kind, number, unit_no, journey_no, journey.since_ms)
        for kind, number in named
        if number
    ]
    await _put(connection, rows)


async def put_heard(
    connection: AsyncConnection, numbers: dict[str, int], findings: Iterable[Finding]
) -> None:
    """Seals that units have told of; `numbers`: of the units by name. Once a seal and unit."""
    rows = {
        (finding.seal, finding.unit): _row(
            HEARD, finding.seal, numbers[finding.unit], 0, finding.confirmed_ms
        )
        for finding in findings
        if finding.seal and finding.unit in numbers
    }
    await _put(connection, list(rows.values()))


async def search(
    connection: AsyncConnection, key: str, *, now_ms: int, scope: str = ""
) -> list[Hit]:
    """Units that are known under a number now, at most `HITS_MAX`; one hit a unit. `scope`: only units in it."""
    known, unit = schema.known_as.c, schema.unit.c
    statement = (
        select(schema.known_as, unit.unit_id)
        .join(schema.unit, unit.number == known.unit_no)
        .where(known.key == key, within(scope))
        .order_by(known.since_ms.desc())
        .limit(ROWS_MAX)
    )
    rows = list(await connection.execute(statement))
    current = await current_journeys(connection, {row.unit_no for row in rows}, now_ms)
    alive = [row for row in rows if _holds(row, current.get(row.unit_no))]
    hits: dict[int, Hit] = {}
    for row in _newest_heard(alive):
        hits.setdefault(
            row.unit_no,
            Hit(unit_no=row.unit_no, unit_id=row.unit_id, kind=row.kind, shown=row.shown),
        )
    return list(hits.values())[:HITS_MAX]


async def claimed(
    connection: AsyncConnection, unit_no: int, journey: str, numbers: Sequence[str], now_ms: int
) -> list[tuple[str, str]]:
    """Of these numbers those that another unit's journey claims now, with that journey."""
    keys = {key_of(number): number for number in numbers}
    if not keys:
        return []
    known = schema.known_as.c
    rows = list(
        await connection.execute(
            select(schema.known_as)
            .where(known.key.in_(list(keys)), known.unit_no != unit_no, known.journey_no > 0)
            .limit(ROWS_MAX)
        )
    )
    current = await current_journeys(connection, {row.unit_no for row in rows}, now_ms)
    found = {}
    for row in rows:
        other = current.get(row.unit_no)
        if other is not None and other.number == row.journey_no and other.id != journey:
            found[row.key] = (keys[row.key], other.id)
    return list(found.values())


async def current_journeys(
    connection: AsyncConnection, unit_nos: Iterable[int], now_ms: int
) -> dict[int, Row[Any]]:
    """The journey that each of these units is on; none where the newest is over."""
    journey = schema.journey.c
    rows = await connection.execute(
        select(schema.journey)
        .where(journey.unit_no.in_(sorted(set(unit_nos))), journey.since_ms <= now_ms)
        .order_by(journey.unit_no, journey.since_ms, journey.number)
    )
    newest = {row.unit_no: row for row in rows}
    return {unit_no: row for unit_no, row in newest.items() if row.state.lower() not in OVER}


def within(scope: str) -> ColumnElement[bool]:
    """Units that an actor of `scope` sees: all of them, or those at and under a dotted name."""
    column = schema.unit.c.scope
    if not scope:
        return true()
    return or_(column == scope, column.startswith(f"{scope}.", autoescape=True))


def _holds(row: Row[Any], journey: Row[Any] | None) -> bool:
    if row.journey_no:
        return journey is not None and journey.number == row.journey_no
    is_replaced = row.kind == PLATE and journey is not None and bool(journey.tractor)
    return (
        not is_replaced
    )  # a journey's own tractor goes before the vehicle that the unit is built into


def _newest_heard(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """A seal that several units have told of is where it was told of last, and where a journey declares it."""
    heard = [row for row in rows if row.kind == HEARD][:1]
    return [row for row in rows if row.kind != HEARD] + heard


def _row(kind: str, number: str, unit_no: int, journey_no: int, since_ms: int) -> dict[str, Any]:
    return {
        "key": key_of(number),
        "kind": kind,
        "unit_no": unit_no,
        "journey_no": journey_no,
        "shown": number,
        "since_ms": since_ms,
    }


async def _put(connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    rows = [row for row in rows if row["key"]]
    if not rows:
        return
    statement = insert(connection.dialect.name, schema.known_as)
    columns = [column.name for column in schema.known_as.primary_key]
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=columns,
            set_={"shown": statement.excluded.shown, "since_ms": statement.excluded.since_ms},
        ),
        rows,
    )
