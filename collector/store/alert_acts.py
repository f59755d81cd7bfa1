"""What people do to alerts, and what time does: each move a row with who, when and why (DETECTION section 9).

Law: what may be done is decided in `collector.alerts`; here it is asked and written in one transaction.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alarm_load import Moved as LoadMove
from collector.alerts import (
    Act,
    Event,
    Mark,
    Moved,
    NotMoved,
    Stand,
    State,
    decide,
    may_mark,
    run_out,
)
from collector.store import schema
from collector.store.feed import next_feed
from collector.store.folds import refold
from collector.store.live import in_scope

RUN_OUT_MAX = 1_000  # of one tick: a shift that ends with more resting alerts is spread over two


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """An alert after an act."""

    id: bytes
    code: str
    unit: str
    state: State
    owner: str | None
    until_ms: int | None
    rev: int


async def find(connection: AsyncConnection, prefix: str) -> list[bytes]:
    """Ids of alerts that begin with these hex digits, two at most: one is meant, more are too many."""
    alert = schema.alert.c
    low = bytes.fromhex(prefix.ljust(32, "0"))
    high = bytes.fromhex(prefix.ljust(32, "f"))
    found = await connection.execute(
        select(alert.id).where(alert.id >= low, alert.id <= high).order_by(alert.id).limit(2)
    )
    return [row.id for row in found]


async def act(
    connection: AsyncConnection, id_: bytes, done: Act, now_ms: int, *, rev: int | None = None
) -> Acted | NotMoved | None:
    """Carry out what a person does; None if there is no such alert. `rev`: the revision that he has seen."""
    row = await _row(connection, id_)
    if row is None:
        return None
    if rev is not None and rev != row.rev:
        return _stale(row)
    moved = decide(_stand(row), done, now_ms)
    if isinstance(moved, NotMoved):
        return moved
    feed = await next_feed(connection)
    seen_by = done.by if done.event is Event.ACK else row.seen_by
    await _write(connection, row, moved, now_ms, feed, seen_by=seen_by)
    await note(
        connection,
        id_,
        done.event.value,
        moved.state.value,
        now_ms,
        who=done.by,
        why=done.reason,
        outcome=moved.outcome,
        until_ms=moved.until_ms,
    )
    if done.event is Event.ACK:
        await _ack_folded(connection, id_, done, now_ms, feed)
    await refold(connection, [row.unit], feed)
    return await _acted(connection, id_)


async def mark(
    connection: AsyncConnection, id_: bytes, done: Mark, now_ms: int, *, rev: int | None = None
) -> Acted | NotMoved | None:
    """Write down what moves nothing: who has it in hand, who was sent, a note, what it turned out to be."""
    row = await _row(connection, id_)
    if row is None:
        return None
    if (refused := _may_mark(row, done, rev)) is not None:
        return refused
    alert, feed = schema.alert, await next_feed(connection)
    await connection.execute(
        update(alert)
        .where(alert.c.id == id_)
        .values(
            owner=done.owner or row.owner,
            outcome=done.outcome or row.outcome,
            changed_ms=now_ms,
            rev=row.rev + 1,
            feed=feed,
        )
    )
    await note(
        connection,
        id_,
        done.what,
        row.state,
        now_ms,
        who=done.by,
        why=done.reason if done.owner in (None, done.by) else f"to {done.owner}: {done.reason}",
        outcome=done.outcome,
    )
    return await _acted(connection, id_)


async def refusal(
    connection: AsyncConnection, id_: bytes, done: Mark, *, rev: int | None = None
) -> NotMoved | None:
    """Why `mark` would not write this down of an alert that `find` has found; None: it would."""
    row = await _row(connection, id_)
    assert row is not None, "nothing ever deletes an alert"
    return _may_mark(row, done, rev)


async def acted(connection: AsyncConnection, id_: bytes) -> Acted:
    """An alert as it stands, after something else than an act of its own has touched it."""
    return await _acted(connection, id_)


async def take(
    connection: AsyncConnection, id_: bytes, by: str, now_ms: int
) -> Acted | NotMoved | None:
    """Whose hands it is in; seen, owned and outcome are three facts."""
    return await mark(connection, id_, Mark(what="take", by=by, owner=by), now_ms)


async def run_out_all(connection: AsyncConnection, now_ms: int, feed: int) -> list[bytes]:
    """End rests and proposals whose time is over."""
    alert = schema.alert
    due = await connection.execute(
        select(alert)
        .where(alert.c.until_ms <= now_ms)
        .order_by(alert.c.until_ms)
        .limit(RUN_OUT_MAX)
    )
    ended: list[bytes] = []
    units: set[str] = set()
    for row in due.all():
        moved = run_out(_stand(row), now_ms)
        if moved is None:
            continue
        await _write(connection, row, moved, now_ms, feed, seen_by=row.seen_by)
        await note(connection, row.id, "end", moved.state.value, now_ms, why="time is over")
        ended.append(row.id)
        units.add(row.unit)
    if ended:
        await refold(connection, units, feed)
    return ended


async def acts_of(connection: AsyncConnection, id_: bytes) -> list[Row[Any]]:
    """All that was done to an alert, in order."""
    acts = schema.alert_act
    found = await connection.execute(
        select(acts).where(acts.c.alert_id == id_).order_by(acts.c.number)
    )
    return list(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An alert with all that was found and done."""

    alert: Row[Any]
    findings: list[Row[Any]]
    acts: list[Row[Any]]


async def told(connection: AsyncConnection, id_: bytes) -> Told:
    """All of an alert that `find` has found."""
    row = await _row(connection, id_)
    assert row is not None, "nothing ever deletes an alert"
    finding = schema.finding
    findings = await connection.execute(
        select(finding).where(finding.c.id == id_).order_by(finding.c.n)
    )
    return Told(alert=row, findings=list(findings), acts=await acts_of(connection, id_))


async def note(
    connection: AsyncConnection,
    id_: bytes,
    what: str,
    state: str,
    at_ms: int,
    *,
    who: str = "",
    why: str = "",
    outcome: str | None = None,
    until_ms: int | None = None,
) -> None:
    """A row of the alert's history; `who` is "" for detectors and time."""
    await connection.execute(
        schema.alert_act.insert().values(
            alert_id=id_,
            at_ms=at_ms,
            act=what,
            state=state,
            who=who,
            why=why,
            outcome=outcome,
            until_ms=until_ms,
        )
    )


async def _row(connection: AsyncConnection, id_: bytes) -> Row[Any] | None:
    found = await connection.execute(select(schema.alert).where(schema.alert.c.id == id_))
    return found.one_or_none()


def _stand(row: Row[Any]) -> Stand:
    return Stand(
        code=row.code,
        priority=row.priority,
        state=State(row.state),
        cleared=row.cleared,
        withdrawn=row.settled == "withdrawn",
        count=row._mapping["count"],  # noqa: SLF001 - the public name of a row as a mapping; a row has a method `count`
        until_ms=row.until_ms,
        proposed_by=row.proposed_by,
    )


async def _ack_folded(
    connection: AsyncConnection, id_: bytes, done: Act, now_ms: int, feed: int
) -> None:
    """Who acknowledges a row has seen those that are folded under it: its revision counts them."""
    alert = schema.alert
    found = await connection.execute(
        select(alert).where(alert.c.under == id_, alert.c.state != State.CLOSED.value)
    )
    for row in found.all():
        moved = decide(_stand(row), Act(event=Event.ACK, by=done.by), now_ms)
        if isinstance(moved, NotMoved):
            continue
        await _write(connection, row, moved, now_ms, feed, seen_by=done.by)
        await note(
            connection,
            row.id,
            Event.ACK.value,
            moved.state.value,
            now_ms,
            who=done.by,
            why=f"with {id_.hex()[:8]}, under which it is folded",
        )


def _may_mark(row: Row[Any], done: Mark, rev: int | None) -> NotMoved | None:
    if rev is not None and rev != row.rev:
        return _stale(row)
    return may_mark(_stand(row), done, row.outcome)


def _stale(row: Row[Any]) -> NotMoved:
    return NotMoved(code="stale", hint=f"it was changed meanwhile: look at revision {row.rev}")


async def _write(
    connection: AsyncConnection,
    row: Row[Any],
    moved: Moved,
    now_ms: int,
    feed: int,
    *,
    seen_by: str | None,
) -> None:
    alert = schema.alert
    await connection.execute(
        update(alert)
        .where(alert.c.id == row.id)
        .values(
            state=moved.state.value,
            until_ms=moved.until_ms,
            proposed_by=moved.proposed_by,
            outcome=moved.outcome or row.outcome,
            seen_by=None if moved.state is State.UNACKED else seen_by,
            changed_ms=now_ms,
            rev=row.rev + 1,
            feed=feed,
        )
    )


async def _acted(connection: AsyncConnection, id_: bytes) -> Acted:
    row = await _row(connection, id_)
    assert row is not None, "nothing ever deletes an alert"
    return Acted(
        id=row.id,
        code=row.code,
        unit=row.unit,
        state=State(row.state),
        owner=row.owner,
        until_ms=row.until_ms,
        rev=row.rev,
    )


async def moves_since(
    connection: AsyncConnection, since_ms: int, scope: str = ""
) -> list[LoadMove]:
    """The history of a scope's alerts from then on, and of those that were open then, in order of time."""
    acts, alert = schema.alert_act, schema.alert
    found = await connection.execute(
        select(acts, alert.c.code, alert.c.unit, alert.c.priority)
        .join(alert, alert.c.id == acts.c.alert_id)
        .outerjoin(schema.unit, schema.unit.c.unit_id == alert.c.unit)
        .where(
            (acts.c.at_ms >= since_ms) | (alert.c.state != State.CLOSED.value),
            in_scope(schema.unit.c.scope, scope),
        )
        .order_by(acts.c.number)
    )
    return [
        LoadMove(
            alert=row.alert_id,
            code=row.code,
            unit=row.unit,
            priority=row.priority,
            at_ms=row.at_ms,
            act=row.act,
            state=row.state,
            outcome=row.outcome,
        )
        for row in found
    ]
