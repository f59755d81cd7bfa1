"""Alerts as people list them: by view, in the order of the control room, and what of them is new since a feed number.

Law: reads only, and every question takes the scope of who asks. An alert belongs where its unit belongs; one of no unit is seen by those who see all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, exists, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alarm_load import SOUNDS, STALE_MS, WINDOW_MS, is_flooded
from collector.alerts import State
from collector.detect import Level
from collector.store import schema
from collector.store.live import CALLS, RESTS, in_scope

ACTIVE = (State.UNACKED, State.ACKED, State.CLEARED_UNACKED, State.RESET_PROPOSED)
HOLDS = (State.UNACKED.value, State.ACKED.value, State.RESET_PROPOSED.value)
FLOOD_BACK_MS = (
    3 * 3_600_000
)  # a flood that began earlier and never came to eleven in ten minutes since is over
DIGITS_MAX = 18  # below 2^63
SOUNDS_MAX = (
    10_000  # of that time: a desk hears 6 an hour, and a flood of a thousand is one all the same
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which alerts are asked for."""

    view: str = "active"  # mine, shelved, all
    scope: str = ""
    owner: str = ""  # of `mine`
    unit: str = ""
    under: bytes | None = None  # those that are folded under this one
    after: str = ""
    limit: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How the alerts of a scope stand."""

    by_priority: dict[str, tuple[int, int]] = field(default_factory=dict)  # not acknowledged, acked
    shelved: int = 0  # with what is suppressed or out of service
    stale: int = 0
    last10: int = 0  # annunciated in ten minutes
    is_flood: bool = False


async def page(connection: AsyncConnection, wanted: Wanted) -> tuple[list[Row[Any]], str | None]:
    """A page of alerts, and the cursor behind it if there are more."""
    alert = schema.alert.c
    asked = alert_rows().where(in_scope(_scope(), wanted.scope))
    if wanted.unit:
        asked = asked.where(alert.unit == wanted.unit)
    if wanted.under is not None:
        asked = asked.where(alert.under == wanted.under)
    by_rank = wanted.view != "all" and wanted.under is None
    asked = asked.where(_in_view(wanted)).limit(wanted.limit + 1)
    if by_rank:
        asked = asked.where(_behind(wanted.after)).order_by(_rank(), alert.at_ms, alert.id)
    else:
        asked = asked.where(_before(wanted.after)).order_by(alert.at_ms.desc(), alert.id.desc())
    rows = list(await connection.execute(asked))
    if len(rows) <= wanted.limit:
        return rows, None
    last = rows[wanted.limit - 1]
    cursor = f"{last.at_ms}.{last.id.hex()}"
    return rows[: wanted.limit], f"{last.rank}.{cursor}" if by_rank else cursor


async def since(
    connection: AsyncConnection, begin: int, until: int, *, scope: str = "", most: int
) -> list[Row[Any]]:
    """Alerts that changed after `begin` and up to `until`, in the order of their changes; `most` + 1 at most."""
    feed = schema.alert.c.feed
    found = await connection.execute(
        alert_rows()
        .where(feed > begin, feed <= until, in_scope(_scope(), scope))
        .order_by(feed, schema.alert.c.id)
        .limit(most + 1)
    )
    return list(found)


async def events(connection: AsyncConnection, wanted: Wanted) -> tuple[list[Row[Any]], str | None]:
    """A page of what was found and is no alert, the newest first, and the cursor behind it if there is more."""
    finding, unit = schema.finding, schema.unit
    asked = (
        select(finding, unit.c.number.label("unit_no"))
        .outerjoin(unit, unit.c.unit_id == finding.c.unit)
        .where(finding.c.level == Level.RECORD.value, in_scope(unit.c.scope, wanted.scope))
        .order_by(finding.c.number.desc())
        .limit(wanted.limit + 1)
    )
    if wanted.unit:
        asked = asked.where(finding.c.unit == wanted.unit)
    if is_number(wanted.after):
        asked = asked.where(finding.c.number < int(wanted.after))
    rows = list(await connection.execute(asked))
    more = rows[wanted.limit - 1].number if len(rows) > wanted.limit else None
    return rows[: wanted.limit], None if more is None else str(more)


async def scope_of_desk(connection: AsyncConnection, desk: str, scope: str) -> str | None:
    """The scope of a desk that lies within `scope`; None if there is none."""
    table = schema.desk
    found = await connection.execute(
        select(table.c.scope).where(table.c.desk_id == desk, in_scope(table.c.scope, scope))
    )
    return found.scalar_one_or_none()


async def desks_within(connection: AsyncConnection, scope: str, most: int) -> list[str]:
    """The names of the desks whose scope lies within `scope`."""
    table = schema.desk
    found = await connection.execute(
        select(table.c.desk_id)
        .where(in_scope(table.c.scope, scope))
        .order_by(table.c.desk_id)
        .limit(most)
    )
    return list(found.scalars())


async def one(connection: AsyncConnection, id_: bytes, scope: str = "") -> Row[Any] | None:
    """An alert as a row of the list; None if there is none, or none for this scope."""
    found = await connection.execute(
        alert_rows().where(schema.alert.c.id == id_, in_scope(_scope(), scope))
    )
    return found.one_or_none()


async def figures(connection: AsyncConnection, scope: str, now_ms: int) -> Figures:
    """The counts of the strip, and whether the desk is flooded."""
    alert = schema.alert.c
    counted = await connection.execute(
        select(
            alert.priority,
            alert.state,
            func.count().label("n"),
            func.sum(case((_is_stale(now_ms), 1), else_=0)).label("stale"),
        )
        .select_from(_alerts_with_units())
        .where(alert.state != State.CLOSED.value, in_scope(_scope(), scope))
        .group_by(alert.priority, alert.state)
    )
    by_priority = {"P1": (0, 0), "P2": (0, 0), "P3": (0, 0)}
    shelved = stale = 0
    for row in counted:
        stale += row.stale
        if row.state in RESTS:
            shelved += row.n
            continue
        calls, seen = by_priority.get(row.priority, (0, 0))
        is_calling = row.state in CALLS
        by_priority[row.priority] = (
            calls + (row.n if is_calling else 0),
            seen + (0 if is_calling else row.n),
        )
    times = await _sounded(connection, scope, now_ms)
    return Figures(
        by_priority=by_priority,
        shelved=shelved,
        stale=stale,
        last10=sum(now_ms - at_ms < WINDOW_MS for at_ms in times),
        is_flood=is_flooded(times, now_ms),
    )


def alert_rows() -> Select[Any]:
    """Each alert with its newest finding and its unit: what a row of the list is made of."""
    alert, finding, parked = schema.alert, schema.finding, schema.parked
    told = finding.alias()
    first = select(func.min(told.c.number)).where(told.c.id == alert.c.id).scalar_subquery()
    waits = exists().where(
        parked.c.unit_no == schema.unit.c.number,
        parked.c.chain_id == finding.c.chain,
        parked.c.first_seq <= finding.c.seq,
        parked.c.first_seq + parked.c["count"] > finding.c.seq,
    )
    return select(
        *(column for column in alert.c if column.name != "count"),
        alert.c["count"].label("times"),  # a row has a method of that name
        *(finding.c[name] for name in _OF_FINDING),
        schema.unit.c.number.label("unit_no"),
        _scope().label("scope"),
        first.label("first_number"),
        and_(alert.c.settled.is_(None), waits).label("is_early"),
        _rank().label("rank"),
    ).select_from(
        _alerts_with_units().outerjoin(
            finding, and_(finding.c.id == alert.c.id, finding.c.n == alert.c.last_n)
        )
    )


async def unconfirmed_since(connection: AsyncConnection, alert_id: bytes) -> int | None:
    """Since when an alert stands that was told ahead of its place in the record, if that place has not come yet."""
    rows = await connection.execute(alert_rows().where(schema.alert.c.id == alert_id))
    row = rows.one()
    return int(row.begun_ms) if row.is_early else None


def _alerts_with_units() -> Any:  # noqa: ANN401 - a join has no public type of its own
    alert, unit = schema.alert, schema.unit
    return alert.outerjoin(unit, unit.c.unit_id == alert.c.unit)


def ids_within(scope: str) -> Select[tuple[bytes]]:
    """The ids of all alerts that who has `scope` sees."""
    alerts = select(schema.alert.c.id).select_from(_alerts_with_units())
    return alerts.where(in_scope(_scope(), scope))


def _scope() -> ColumnElement[Any]:
    return schema.unit.c.scope


def _rank() -> ColumnElement[int]:
    """The order of the control room: who calls before who was seen, the graver first."""
    alert = schema.alert.c
    calls = case((alert.state.in_(CALLS), 0), else_=10)
    return calls + case({"P1": 1, "P2": 2}, value=alert.priority, else_=3)


def _in_view(wanted: Wanted) -> ColumnElement[bool]:
    alert = schema.alert.c
    match wanted.view:
        case "active":
            is_active = alert.state.in_([state.value for state in ACTIVE])
            return is_active if wanted.under is not None else is_active & alert.under.is_(None)
        case "mine":
            return (alert.owner == wanted.owner) & (alert.state != State.CLOSED.value)
        case "shelved":
            return alert.state.in_(RESTS)
        case _:
            return true()


def _behind(after: str) -> ColumnElement[bool]:
    """What comes after a cursor in the order of the control room; a cursor that is none of ours begins at the top."""
    rank, _, rest = after.partition(".")
    at_ms, _, last = rest.partition(".")
    id_ = id_of(last)
    if not (is_number(rank) and is_number(at_ms) and id_):
        return true()
    alert, place, at = schema.alert.c, _rank(), int(rank)
    return or_(
        place > at,
        and_(place == at, alert.at_ms > int(at_ms)),
        and_(place == at, alert.at_ms == int(at_ms), alert.id > id_),
    )


def _before(after: str) -> ColumnElement[bool]:
    at_ms, _, last = after.partition(".")
    id_ = id_of(last)
    if not (is_number(at_ms) and id_):
        return true()
    alert = schema.alert.c
    return or_(alert.at_ms < int(at_ms), and_(alert.at_ms == int(at_ms), alert.id < id_))


def is_number(text: str) -> bool:
    """Digits that a column of the store can hold."""
    return text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX


def id_of(text: str) -> bytes:
    """An id of 32 hex digits; empty for anything else."""
    try:
        return bytes.fromhex(text) if len(text) == 32 else b""
    except ValueError:
        return b""


def _is_stale(now_ms: int) -> ColumnElement[bool]:
    alert = schema.alert.c
    return and_(
        alert.state.in_(HOLDS), alert.cleared.is_(False), alert.begun_ms < now_ms - STALE_MS
    )


async def _sounded(connection: AsyncConnection, scope: str, now_ms: int) -> Sequence[int]:
    """When alerts of the scope were annunciated, in order; what is folded makes no sound of its own."""
    act, alert = schema.alert_act.c, schema.alert.c
    found = await connection.execute(
        select(act.at_ms)
        .select_from(_alerts_with_units().join(schema.alert_act, act.alert_id == alert.id))
        .where(
            act.at_ms > now_ms - FLOOD_BACK_MS,
            act.act.in_(SOUNDS),
            act.state == State.UNACKED.value,
            alert.under.is_(None),
            in_scope(_scope(), scope),
        )
        .order_by(act.at_ms)
        .limit(SOUNDS_MAX)
    )
    return [row.at_ms for row in found]


_OF_FINDING = (
    "chain",
    "seq",
    "phase",
    "late",
    "lat_e7",
    "lon_e7",
    "zone",
    "route",
    "seal",
    "detail",
)
