"""Cases and their alerts: opened, moved and joined, each move a row with who, when and why (DETECTION section 9, Case).

Law: what may be done is decided in `collector.cases`; here it is asked and written in one transaction. An alert has one case at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import Mark, NotMoved
from collector.cases import (
    NAME_CHARS_MAX,
    CaseAct,
    CaseEvent,
    CaseMoved,
    CaseStand,
    CaseState,
    decide,
)
from collector.store import alert_acts, alert_reads, schema
from collector.store.feed import next_feed
from collector.store.live import in_scope

ALERTS_MAX = 200  # of one case: more is no incident but a rule that is wrong
OPEN, JOIN = "open", "join"  # acts that the life does not know: they have no state before


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case as it stands, with the ids of its alerts in the order in which they came to it."""

    number: int
    state: CaseState
    version: int
    opened_ms: int
    opened_by: str
    changed_ms: int
    assignee: str | None
    crew: str | None
    outcome: str | None
    resolved_by: str | None
    alerts: tuple[bytes, ...]


async def open_case(
    connection: AsyncConnection, alert_id: bytes, by: str, now_ms: int
) -> Case | None:
    """The case of an alert: the one it has, else a new one. None if there is no such alert."""
    if (number := await case_of(connection, alert_id)) is not None:
        return await read(connection, number)
    alert = schema.alert
    row = (
        await connection.execute(select(alert.c.state).where(alert.c.id == alert_id))
    ).one_or_none()
    if row is None:
        return None
    made = await connection.execute(
        schema.incident.insert().values(
            state=CaseState.OPEN.value,
            version=1,
            opened_ms=now_ms,
            opened_by=by,
            changed_ms=now_ms,
        )
    )
    key = made.inserted_primary_key
    assert key is not None, "one row was inserted"
    number = int(key[0])
    await connection.execute(
        schema.incident_alert.insert().values(alert_id=alert_id, incident=number, joined_ms=now_ms)
    )
    await _note(connection, number, 1, OPEN, CaseState.OPEN, now_ms, who=by, alert_id=alert_id)
    await alert_acts.note(connection, alert_id, "case", row.state, now_ms, who=by, why=str(number))
    return await read(connection, number)


async def join(
    connection: AsyncConnection, number: int, alert_id: bytes, by: str, now_ms: int
) -> Case | NotMoved | None:
    """Put an alert into a case that is not resolved yet; None if there is no such case or alert."""
    case = await read(connection, number)
    alert = schema.alert
    row = (
        await connection.execute(select(alert.c.state).where(alert.c.id == alert_id))
    ).one_or_none()
    if case is None or row is None:
        return None
    if alert_id in case.alerts:
        return case
    if (other := await case_of(connection, alert_id)) is not None:
        return NotMoved(code="other_case", hint=f"it belongs to case {other}")
    if case.state in (CaseState.RESOLVED, CaseState.REVIEWED):
        return NotMoved(
            code="no_move", hint=f"case {number} is {case.state.value}: reopen it first"
        )
    if len(case.alerts) >= ALERTS_MAX:
        return NotMoved(code="full_case", hint=f"a case holds {ALERTS_MAX} alerts at most")
    version = case.version + 1
    incident = schema.incident
    await connection.execute(
        schema.incident_alert.insert().values(alert_id=alert_id, incident=number, joined_ms=now_ms)
    )
    await connection.execute(
        update(incident)
        .where(incident.c.number == number)
        .values(version=version, changed_ms=now_ms)
    )
    await _note(connection, number, version, JOIN, case.state, now_ms, who=by, alert_id=alert_id)
    await alert_acts.note(connection, alert_id, "case", row.state, now_ms, who=by, why=str(number))
    return await read(connection, number)


async def act(
    connection: AsyncConnection, number: int, done: CaseAct, now_ms: int
) -> Case | NotMoved | None:
    """Carry out what a person does; None if there is no such case. An outcome becomes the label of every alert of the case."""
    case = await read(connection, number)
    if case is None:
        return None
    stand = CaseStand(
        state=case.state,
        version=case.version,
        assignee=case.assignee,
        crew=case.crew,
        outcome=case.outcome,
        resolved_by=case.resolved_by,
    )
    moved = decide(stand, done)
    if isinstance(moved, NotMoved):
        return moved
    incident = schema.incident
    version = case.version + 1
    await connection.execute(
        update(incident)
        .where(incident.c.number == number)
        .values(
            state=moved.state.value,
            version=version,
            changed_ms=now_ms,
            assignee=moved.assignee,
            crew=moved.crew,
            outcome=moved.outcome,
            resolved_by=moved.resolved_by,
        )
    )
    await _note(
        connection,
        number,
        version,
        done.event.value,
        moved.state,
        now_ms,
        who=done.by,
        why=done.reason,
        whom=done.whom.strip() if done.event in (CaseEvent.ASSIGN, CaseEvent.DISPATCH) else "",
        outcome=moved.outcome if done.event is CaseEvent.RESOLVE else None,
    )
    await _tell_alerts(connection, case.alerts, done, moved, now_ms)
    return await read(connection, number)


async def by_alert(
    connection: AsyncConnection,
    alert_id: bytes,
    mark: Mark,
    now_ms: int,
    *,
    rev: int | None = None,
    is_supervisor: bool = False,
) -> Case | NotMoved | None:
    """What somebody says at an alert that has a case is a move of the case: the two never tell different stories.

    None: it has none, or the alert alone is meant. Who sends somebody in a case that nobody has, has it from then on.
    """
    number = await case_of(connection, alert_id)
    if number is None or mark.what not in ("assign", "dispatch", "resolve"):
        return None
    if (refused := await alert_acts.refusal(connection, alert_id, mark, rev=rev)) is not None:
        return refused
    case = await read(connection, number)
    assert case is not None, "it was found in this transaction"
    if mark.what == "dispatch" and case.state is CaseState.OPEN:
        own = CaseAct(event=CaseEvent.ASSIGN, by=mark.by, whom=mark.by)
        if isinstance(taken := await act(connection, number, own, now_ms), NotMoved):
            return taken
    whom = mark.owner if mark.what == "assign" else mark.reason
    done = CaseAct(
        event=CaseEvent(mark.what),
        by=mark.by,
        is_supervisor=is_supervisor,
        whom=(whom or "").strip()[:NAME_CHARS_MAX],
        reason=mark.reason,
        outcome=mark.outcome or "",
    )
    return await act(connection, number, done, now_ms)


async def case_of(connection: AsyncConnection, alert_id: bytes) -> int | None:
    """The number of an alert's case, if it has one."""
    link = schema.incident_alert.c
    found = await connection.execute(select(link.incident).where(link.alert_id == alert_id))
    return found.scalar_one_or_none()


async def read(connection: AsyncConnection, number: int) -> Case | None:
    """One case."""
    found = await connection.execute(
        select(schema.incident).where(schema.incident.c.number == number)
    )
    row = found.one_or_none()
    if row is None:
        return None
    return _case(row, (await _alerts_of(connection, [number])).get(number, ()))


async def listed(
    connection: AsyncConnection, *, open_only: bool, limit: int, scope: str = ""
) -> list[Case]:
    """Cases of which who has `scope` sees an alert, those that moved last first."""
    incident, link = schema.incident, schema.incident_alert.c
    statement = (
        select(incident)
        .order_by(incident.c.changed_ms.desc(), incident.c.number.desc())
        .limit(limit)
    )
    if open_only:
        over = (CaseState.RESOLVED.value, CaseState.REVIEWED.value)
        statement = statement.where(incident.c.state.not_in(over))
    if scope:
        mine = select(link.incident).where(link.alert_id.in_(alert_reads.ids_within(scope)))
        statement = statement.where(incident.c.number.in_(mine))
    rows = (await connection.execute(statement)).all()
    alerts = await _alerts_of(connection, [row.number for row in rows])
    return [_case(row, alerts.get(row.number, ())) for row in rows]


async def alerts_within(
    connection: AsyncConnection, alerts: Sequence[bytes], scope: str
) -> list[bytes]:
    """Those of a case's alerts that lie within a scope: a case is there for whoever sees one of them."""
    seen = alert_reads.ids_within(scope).where(schema.alert.c.id.in_(alerts))
    mine = set((await connection.execute(seen)).scalars())
    return [id_ for id_ in alerts if id_ in mine]


async def acts_of(connection: AsyncConnection, number: int) -> list[Row[Any]]:
    """All that was done to a case, in order."""
    acts = schema.incident_act
    found = await connection.execute(
        select(acts).where(acts.c.incident == number).order_by(acts.c.version)
    )
    return list(found)


async def vehicle_hours(
    connection: AsyncConnection, begin_ms: int, end_ms: int, scope: str = ""
) -> int:
    """Hours of the clock in which a unit has sealed something, summed over units: what alerts are counted against."""
    batch = schema.batch.c
    hours = (
        select(batch.unit_no, (batch.sealed_ms // 3_600_000).label("hour"))
        .join(schema.unit, schema.unit.c.number == batch.unit_no)
        .where(
            batch.sealed_ms >= begin_ms,
            batch.sealed_ms < end_ms,
            in_scope(schema.unit.c.scope, scope),
        )
        .distinct()
        .subquery()
    )
    return (await connection.execute(select(func.count()).select_from(hours))).scalar_one()


async def _tell_alerts(
    connection: AsyncConnection,
    alerts: Sequence[bytes],
    done: CaseAct,
    moved: CaseMoved,
    now_ms: int,
) -> None:
    """The case's move in the history of each of its alerts: times to dispatch and precision are reckoned from there."""
    alert, feed = schema.alert, await next_feed(connection)
    changed: dict[str, object] = {"changed_ms": now_ms, "rev": alert.c.rev + 1, "feed": feed}
    if done.event is CaseEvent.RESOLVE:
        changed["outcome"] = moved.outcome
    if done.event is CaseEvent.ASSIGN:
        changed["owner"] = moved.assignee
    for id_ in alerts:
        found = await connection.execute(
            update(alert).where(alert.c.id == id_).values(**changed).returning(alert.c.state)
        )
        await alert_acts.note(
            connection,
            id_,
            done.event.value,
            found.scalar_one(),
            now_ms,
            who=done.by,
            why=done.reason or done.whom,
            outcome=moved.outcome if done.event is CaseEvent.RESOLVE else None,
        )


async def _alerts_of(
    connection: AsyncConnection, numbers: Sequence[int]
) -> dict[int, tuple[bytes, ...]]:
    link = schema.incident_alert.c
    found = await connection.execute(
        select(link.incident, link.alert_id)
        .where(link.incident.in_(numbers))
        .order_by(link.joined_ms, link.alert_id)
    )
    by_case: dict[int, tuple[bytes, ...]] = {}
    for row in found:
        by_case[row.incident] = (*by_case.get(row.incident, ()), row.alert_id)
    return by_case


def _case(row: Row[Any], alerts: tuple[bytes, ...]) -> Case:
    return Case(
        number=row.number,
        state=CaseState(row.state),
        version=row.version,
        opened_ms=row.opened_ms,
        opened_by=row.opened_by,
        changed_ms=row.changed_ms,
        assignee=row.assignee,
        crew=row.crew,
        outcome=row.outcome,
        resolved_by=row.resolved_by,
        alerts=alerts,
    )


async def _note(
    connection: AsyncConnection,
    number: int,
    version: int,
    what: str,
    state: CaseState,
    at_ms: int,
    *,
    who: str,
    why: str = "",
    whom: str = "",
    outcome: str | None = None,
    alert_id: bytes | None = None,
) -> None:
    await connection.execute(
        schema.incident_act.insert().values(
            incident=number,
            version=version,
            at_ms=at_ms,
            act=what,
            state=state.value,
            who=who,
            why=why,
            whom=whom,
            outcome=outcome,
            alert_id=alert_id,
        )
    )
