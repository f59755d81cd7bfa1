"""Folds the alerts of a unit anew after some of them have changed.

Law: which stands under which is decided in `collector.folding`; here it is asked, and only rows that change are written.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import State
from collector.detect import Level, Phase
from collector.folding import CHATTER_OVER_MS, Key, Open, fold
from collector.store import schema
from collector.store.loads import IN_MAX

OPEN_MAX = 500  # of one unit: more is a fault of a rule, and each stands alone then
CHANGES_MAX = 2_000  # findings of one unit's open alerts that are looked at


async def refold(connection: AsyncConnection, units: Iterable[str], feed: int) -> set[bytes]:
    """Fold the open alerts of these units; ids of those whose place has changed, with their new revision."""
    names = sorted({unit for unit in units if unit})
    changed: set[bytes] = set()
    for begin in range(0, len(names), IN_MAX):
        for rows in (await _open(connection, names[begin : begin + IN_MAX])).values():
            changed |= await _fold_unit(connection, rows[:OPEN_MAX], feed)
    return changed


async def _open(connection: AsyncConnection, units: Sequence[str]) -> Mapping[str, list[Row[Any]]]:
    alert, finding = schema.alert, schema.finding
    found = await connection.execute(
        select(
            *(alert.c[name] for name in _COLUMNS),
            finding.c.zone,
            finding.c.route,
            finding.c.seal,
        )
        .outerjoin(finding, and_(finding.c.id == alert.c.id, finding.c.n == alert.c.last_n))
        .where(alert.c.unit.in_(units), alert.c.state != State.CLOSED.value)
        .order_by(alert.c.unit, alert.c.at_ms, alert.c.id)
    )
    rows: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in found:
        rows[row.unit].append(row)
    return rows


async def _fold_unit(
    connection: AsyncConnection, rows: Sequence[Row[Any]], feed: int
) -> set[bytes]:
    alone = len(rows) == 1 and rows[0].under is None and not rows[0].folded
    if alone and rows[0].chatter_ms is None:
        return set()
    places = fold([_as_open(row) for row in rows], await _changes(connection, rows))
    alert = schema.alert
    changed: set[bytes] = set()
    for row in rows:
        place = places[row.id]
        if (row.under, row.folded, row.chatter_ms) != (place.under, place.folded, place.chatter_ms):
            changed.add(row.id)
            await connection.execute(
                update(alert)
                .where(alert.c.id == row.id)
                .values(
                    under=place.under,
                    folded=place.folded,
                    chatter_ms=place.chatter_ms,
                    rev=alert.c.rev + 1,
                    feed=feed,
                )
            )
    return changed


async def _changes(
    connection: AsyncConnection, rows: Sequence[Row[Any]]
) -> Mapping[Key, Sequence[int]]:
    """When keys of these alerts began and ended, in event time."""
    finding = schema.finding.c
    found = await connection.execute(
        select(finding.code, finding.zone, finding.route, finding.seal, finding.at_ms)
        .where(
            finding.unit == rows[0].unit,
            finding.at_ms >= min(row.at_ms for row in rows) - CHATTER_OVER_MS,
            finding.level == Level.ALERT.value,
            finding.phase != Phase.CHANGE.value,
            finding.code.in_({row.code for row in rows}),
        )
        .order_by(finding.at_ms)
        .limit(CHANGES_MAX)
    )
    changes: dict[Key, list[int]] = defaultdict(list)
    for row in found:
        changes[_key(row)].append(row.at_ms)
    return changes


def _as_open(row: Row[Any]) -> Open:
    return Open(
        id=row.id,
        key=_key(row),
        priority=row.priority,
        state=State(row.state),
        at_ms=row.at_ms,
        under=row.under,
    )


def _key(row: Row[Any]) -> Key:
    return row.code, row.zone or row.route or row.seal or ""


_COLUMNS = (
    "id",
    "code",
    "unit",
    "priority",
    "state",
    "at_ms",
    "under",
    "folded",
    "chatter_ms",
)
