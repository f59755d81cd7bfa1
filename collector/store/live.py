"""What the map shows, as rows: each unit as it is now, and which of them have changed since a feed number (CONSOLE section 7).

Law: reads only, and every question takes the scope of who asks: of a foreign unit no row leaves the store.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    case,
    func,
    or_,
    select,
    true,
    union,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import State
from collector.detect.rules import OVER
from collector.store import schema
from collector.store.loads import IN_MAX
from wire.records import FixFlag

ROWS_MAX = 20_000  # units that one answer names; more is a new snapshot
UNITS_MAX = 100_000  # of a snapshot

RESTS = (State.SHELVED.value, State.SUPPRESSED.value, State.OUT_OF_SERVICE.value)
CALLS = (State.UNACKED.value, State.CLEARED_UNACKED.value)
_DOUBTED = int(FixFlag.JAMMING | FixFlag.SPOOFING | FixFlag.DOUBTED)


class Shown(IntFlag):
    """What a unit's dot says (CONSOLE section 7)."""

    SEALED = 1
    MOVING = 2
    ON_A_JOURNEY = 4
    SILENT = 8
    DOUBTFUL = 16
    GAP = 32
    OUT_OF_SERVICE = 64
    GONE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitNow:
    """A unit as the map shows it. Place, speed and course are None where nothing was ever said."""

    no: int
    scope: str
    shown: int  # Shown
    priority: int = 0  # of its worst open alert, 1 to 3; 0: none
    stage: int = 0  # of that: 1 acknowledged, 2 not, 3 at rest
    t_ms: int | None = None
    lat_e7: int | None = None
    lon_e7: int | None = None
    speed_cm_s: int | None = None
    course_cdeg: int | None = None


def in_scope(column: ColumnElement[Any], scope: str) -> ColumnElement[bool]:
    """Rows that an actor of `scope` sees: "" sees all, else its own and what lies below it."""
    if not scope:
        return true()
    return or_(column == scope, column.startswith(f"{scope}.", autoescape=True))


async def units_now(connection: AsyncConnection, now_ms: int, scope: str = "") -> list[UnitNow]:
    """All units of a scope by number, at most `UNITS_MAX`."""
    return await _now(connection, in_scope(schema.unit.c.scope, scope), None, now_ms)


async def units_named(
    connection: AsyncConnection, numbers: Iterable[int], now_ms: int, scope: str = ""
) -> list[UnitNow]:
    """These units, as far as they are in the scope, by number."""
    found: list[UnitNow] = []
    asked = sorted(set(numbers))
    for begin in range(0, len(asked), IN_MAX):
        some = asked[begin : begin + IN_MAX]
        wanted = and_(schema.unit.c.number.in_(some), in_scope(schema.unit.c.scope, scope))
        found += await _now(connection, wanted, some, now_ms)
    return found


async def changed_since(connection: AsyncConnection, since: int, until: int) -> list[int]:
    """Numbers of units of which something that is shown changed after `since` and up to `until`; one too many means too many."""
    unit, now, alert = schema.unit.c, schema.unit_now.c, schema.alert.c
    numbers = union(
        select(now.unit_no.label("no")).where(now.feed > since, now.feed <= until),
        select(unit.number.label("no")).where(unit.feed > since, unit.feed <= until),
        select(unit.number.label("no"))
        .join(schema.alert, alert.unit == unit.unit_id)
        .where(alert.feed > since, alert.feed <= until),
    )
    found = await connection.execute(numbers.limit(ROWS_MAX + 1))
    return [int(row[0]) for row in found]


async def gone_since(
    connection: AsyncConnection, since: int, until: int
) -> list[tuple[int, str, str]]:
    """Units that left a scope: number, the scope of then, the scope of now."""
    left, unit = schema.unit_left, schema.unit
    found = await connection.execute(
        select(left.c.unit_no, left.c.scope, unit.c.scope.label("is_in"))
        .join(unit, unit.c.number == left.c.unit_no)
        .where(left.c.feed > since, left.c.feed <= until)
        .limit(ROWS_MAX)
    )
    return [(row.unit_no, row.scope, row.is_in) for row in found]


async def _now(
    connection: AsyncConnection,
    wanted: ColumnElement[bool],
    numbers: Sequence[int] | None,
    now_ms: int,
) -> list[UnitNow]:
    unit, now = schema.unit, schema.unit_now
    rows = (
        await connection.execute(
            select(unit.c.number, unit.c.unit_id, unit.c.scope, now)
            .outerjoin(now, now.c.unit_no == unit.c.number)
            .where(wanted)
            .order_by(unit.c.number)
            .limit(UNITS_MAX)
        )
    ).all()
    names = None if numbers is None else [row.unit_id for row in rows]
    alerts = await _alerts(connection, names)
    journeys = await _journeys(connection, numbers, now_ms)
    gaps = await _numbers(connection, select(schema.gap.c.unit_no), schema.gap.c.unit_no, numbers)
    key = schema.unit_key.c
    keyed = await _numbers(
        connection, select(key.unit_no).where(key.revoked_ms.is_(None)), key.unit_no, numbers
    )
    return [
        _unit(
            row,
            alerts.get(row.unit_id),
            journeys.get(row.number, 0)
            | (Shown.GAP if row.number in gaps else 0)
            | (0 if row.number in keyed else Shown.GONE),
        )
        for row in rows
    ]


def _unit(row: Row[Any], alert: Row[Any] | None, shown: int) -> UnitNow:
    flags = row.flags or 0
    if flags & FixFlag.MOVING:
        shown |= Shown.MOVING
    if flags & _DOUBTED or (alert is not None and alert.doubtful):
        shown |= Shown.DOUBTFUL
    priority = stage = 0
    if alert is not None:
        shown |= Shown.SILENT if alert.silent else 0
        shown |= Shown.OUT_OF_SERVICE if alert.out else 0
        rests, rank = divmod(alert.rank, _RESTS_RANK)
        priority, is_seen = divmod(rank, 10)
        stage = 3 if rests else 1 if is_seen else 2
    return UnitNow(
        no=row.number,
        scope=row.scope,
        shown=int(shown),
        priority=priority,
        stage=stage,
        t_ms=row.t_ms,
        lat_e7=row.lat_e7,
        lon_e7=row.lon_e7,
        speed_cm_s=row.speed_cm_s,
        course_cdeg=row.course_cdeg,
    )


_RESTS_RANK = 1_000


async def _alerts(
    connection: AsyncConnection, names: Sequence[str] | None
) -> Mapping[str, Row[Any]]:
    """Of each unit with open alerts: its worst, and what its dot says because of them."""
    alert = schema.alert.c
    priority = case({"P1": 10, "P2": 20, "P3": 30}, value=alert.priority, else_=30)
    rank = case((alert.state.in_(RESTS), _RESTS_RANK), else_=0) + priority
    rank += case((alert.state.in_(CALLS), 0), else_=1)
    asked = (
        select(
            alert.unit,
            func.min(rank).label("rank"),
            func.max(_holds("CONTACT_LOST")).label("silent"),
            func.max(_holds("GNSS_INTERFERENCE")).label("doubtful"),
            func.max(case((alert.state == State.OUT_OF_SERVICE.value, 1), else_=0)).label("out"),
        )
        .where(alert.state != State.CLOSED.value)
        .group_by(alert.unit)
    )
    if names is not None:
        asked = asked.where(alert.unit.in_(names))
    return {row.unit: row for row in await connection.execute(asked)}


def _holds(code: str) -> ColumnElement[int]:
    alert = schema.alert.c
    return case((and_(alert.code == code, alert.cleared.is_(False)), 1), else_=0)


async def _journeys(
    connection: AsyncConnection, numbers: Sequence[int] | None, now_ms: int
) -> Mapping[int, int]:
    """What the newest journey of each unit lets its dot say."""
    journey = schema.journey.c
    newest_of = (
        select(journey.unit_no, func.max(journey.since_ms).label("since_ms"))
        .where(journey.since_ms <= now_ms)
        .group_by(journey.unit_no)
    )
    if numbers is not None:
        newest_of = newest_of.where(journey.unit_no.in_(numbers))
    last = newest_of.subquery()
    asked = (
        select(journey.unit_no, journey.state, journey.sealed)
        .join(
            last,
            and_(journey.unit_no == last.c.unit_no, journey.since_ms == last.c.since_ms),
        )
        .order_by(journey.number)
    )
    newest = {row.unit_no: row for row in await connection.execute(asked)}
    return {
        no: Shown.ON_A_JOURNEY | (Shown.SEALED if row.sealed else 0)
        for no, row in newest.items()
        if row.state.lower() not in OVER
    }


async def _numbers(
    connection: AsyncConnection,
    asked: Select[Any],
    column: ColumnElement[int],
    numbers: Sequence[int] | None,
) -> frozenset[int]:
    if numbers is not None:
        asked = asked.where(column.in_(numbers))
    return frozenset(row[0] for row in await connection.execute(asked))
