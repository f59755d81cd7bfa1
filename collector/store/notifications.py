"""The outbox of messages about alerts: written in the tick's transaction, taken and settled by the sender.

Law: a row that is taken is committed as `sending` before anything leaves, and is never taken again by itself: after a kill
nobody knows whether it went out, so it is set aside with that reason and not sent twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import State
from collector.notify import Change, Due, Target, dues_of, is_moot, is_new_round, is_worse
from collector.store import schema
from collector.store.dialect import insert

WAITING, SENDING, SENT, DEAD, MOOT = "waiting", "sending", "sent", "dead", "moot"
INTERRUPTED = "the collector ended while it was being sent: it may have arrived"
WHY_CHARS_MAX = 200
LETTERS_MAX = 1_000  # shown at once

Key = tuple[bytes, str]  # alert_id, step


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One that is taken: it leaves now, or never by itself."""

    alert_id: bytes
    step: str
    tries: int  # before this one
    due_ms: int
    alert: Row[Any]
    finding: Row[Any] | None  # the newest of the alert

    @property
    def key(self) -> Key:
        return self.alert_id, self.step


async def write(
    connection: AsyncConnection,
    changes: Iterable[tuple[bytes, Change]],
    targets: tuple[Target, ...],
    now_ms: int,
) -> None:
    """What the changes of a tick ask for. What is there already stays as it is."""
    table = schema.notification
    for alert_id, change in changes:
        if is_new_round(change):
            await connection.execute(
                update(table)
                .where(table.c.alert_id == alert_id, table.c.state == WAITING)
                .values(state=MOOT, changed_ms=now_ms, why="seen, and told again")
            )
        elif is_worse(change):
            await connection.execute(
                update(table)
                .where(
                    table.c.alert_id == alert_id,
                    table.c.state == WAITING,
                    table.c.step.not_like("%+%"),
                )
                .values(state=MOOT, changed_ms=now_ms, why="told as worse")
            )
        rows = [_row(alert_id, due, now_ms) for due in dues_of(change, targets, now_ms)]
        if rows:
            added = insert(connection.dialect.name, table).on_conflict_do_nothing()
            await connection.execute(added, rows)


async def take(connection: AsyncConnection, target: str, now_ms: int, most: int) -> list[Message]:
    """Mark as `sending` what is due to `target`, the oldest first; what nobody needs any more is settled as moot.

    What was written later than now is of a clock that was set back since: it waits as long as it was to wait, from now on.
    """
    table, alert = schema.notification, schema.alert
    await connection.execute(
        update(table)
        .where(table.c.target == target, table.c.state == WAITING, table.c.changed_ms > now_ms)
        .values(due_ms=table.c.due_ms - table.c.changed_ms + now_ms, changed_ms=now_ms)
    )
    due = await connection.execute(
        select(table)
        .where(table.c.target == target, table.c.state == WAITING, table.c.due_ms <= now_ms)
        .order_by(table.c.due_ms)
        .limit(most)
    )
    messages: list[Message] = []
    for row in due.all():
        found = await connection.execute(select(alert).where(alert.c.id == row.alert_id))
        told = found.one()
        is_needless = is_moot(State(told.state)) or told.settled == "withdrawn"
        state = MOOT if is_needless else SENDING
        await _set(connection, target, (row.alert_id, row.step), state=state, changed_ms=now_ms)
        if not is_needless:
            messages.append(
                Message(
                    alert_id=row.alert_id,
                    step=row.step,
                    tries=row.tries,
                    due_ms=row.due_ms,
                    alert=told,
                    finding=await _newest(connection, told),
                )
            )
    return messages


async def settle(
    connection: AsyncConnection, target: str, keys: Sequence[Key], now_ms: int
) -> None:
    """The service has taken them."""
    for key in keys:
        await _set(connection, target, key, state=SENT, changed_ms=now_ms, why="")


async def put_back(
    connection: AsyncConnection, target: str, key: Key, *, now_ms: int, due_ms: int, why: str
) -> None:
    """Not taken: again at `due_ms`."""
    await _set(
        connection,
        target,
        key,
        state=WAITING,
        due_ms=due_ms,
        tries=schema.notification.c.tries + 1,
        changed_ms=now_ms,
        why=why[:WHY_CHARS_MAX],
    )


async def bury(
    connection: AsyncConnection, target: str, key: Key, *, now_ms: int, why: str
) -> None:
    """Not taken, and not tried again."""
    await _set(
        connection,
        target,
        key,
        state=DEAD,
        tries=schema.notification.c.tries + 1,
        changed_ms=now_ms,
        why=why[:WHY_CHARS_MAX],
    )


async def bury_interrupted(connection: AsyncConnection, now_ms: int) -> int:
    """At the start: what was being sent when the collector ended. How many there were."""
    table = schema.notification
    done = await connection.execute(
        update(table)
        .where(table.c.state == SENDING)
        .values(state=DEAD, changed_ms=now_ms, why=INTERRUPTED)
    )
    return done.rowcount


async def bury_strangers(connection: AsyncConnection, targets: Sequence[str], now_ms: int) -> int:
    """At the start: what waits for a target that the settings name no more."""
    table = schema.notification
    done = await connection.execute(
        update(table)
        .where(table.c.state == WAITING, table.c.target.not_in(targets))
        .values(state=DEAD, changed_ms=now_ms, why="the settings name no such target")
    )
    return done.rowcount


async def letters(
    connection: AsyncConnection, *, state: str = "", alert_id: bytes | None = None
) -> list[Row[Any]]:
    """Messages as they stand, the newest first."""
    table, alert = schema.notification, schema.alert
    statement = (
        select(table, alert.c.code, alert.c.unit)
        .join(alert, alert.c.id == table.c.alert_id)
        .order_by(table.c.changed_ms.desc(), table.c.step)
        .limit(LETTERS_MAX)
    )
    if state:
        statement = statement.where(table.c.state == state)
    if alert_id is not None:
        statement = statement.where(table.c.alert_id == alert_id)
    return list(await connection.execute(statement))


def _row(alert_id: bytes, due: Due, now_ms: int) -> dict[str, Any]:
    return {
        "alert_id": alert_id,
        "step": due.step,
        "target": due.target,
        "due_ms": due.due_ms,
        "state": WAITING,
        "tries": 0,
        "changed_ms": now_ms,
        "why": "",
    }


async def _set(
    connection: AsyncConnection,
    target: str,
    key: Key,
    **values: Any,  # noqa: ANN401 - columns of the table
) -> None:
    table = schema.notification
    await connection.execute(
        update(table)
        .where(table.c.alert_id == key[0], table.c.step == key[1], table.c.target == target)
        .values(**values)
    )


async def _newest(connection: AsyncConnection, alert: Row[Any]) -> Row[Any] | None:
    finding = schema.finding
    found = await connection.execute(
        select(finding).where(finding.c.id == alert.id, finding.c.n == alert.last_n)
    )
    return found.one_or_none()
