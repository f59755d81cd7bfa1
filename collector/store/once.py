"""Changes by the key that their sender chose: the same again is answered as it was, and done once (CUSTOMS section 14).

Law: a key belongs to who sent it and to one path. What failed leaves no row: it may be tried again.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.store import schema
from collector.store.dialect import insert

KEPT_MS = 7 * 86_400_000
RUNNING_MS_MAX = 60_000  # a request that has not ended by then died with its process
ANSWER_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Whose key it is, and for what."""

    who: str
    path: str
    key: str
    body_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What is known of an earlier request with this key."""

    same_body: bool
    status: int | None  # None: it runs yet
    answer: bytes


async def begin(connection: AsyncConnection, key: Key, now_ms: int) -> Before | None:
    """None: this is the first with this key, and it is noted; else what the first came to."""
    table = schema.once
    await connection.execute(delete(table).where(table.c.at_ms < now_ms - KEPT_MS))
    statement = insert(connection.dialect.name, table).values(
        who=key.who, path=key.path, key=key.key, body_sha256=key.body_sha256, at_ms=now_ms
    )
    done = await connection.execute(statement.on_conflict_do_nothing())
    if done.rowcount == 1:
        return None
    row = (await connection.execute(select(table).where(*_is(key)))).one()
    if row.status is None and now_ms - row.at_ms >= RUNNING_MS_MAX:
        await connection.execute(
            update(table).where(*_is(key)).values(at_ms=now_ms, body_sha256=key.body_sha256)
        )
        return None
    return Before(
        same_body=row.body_sha256 == key.body_sha256, status=row.status, answer=row.answer or b""
    )


async def end(connection: AsyncConnection, key: Key, status: int, answer: bytes) -> None:
    """What it came to, to be said again for a week. An empty answer is said by its status alone."""
    assert len(answer) <= ANSWER_BYTES_MAX
    table = schema.once
    await connection.execute(update(table).where(*_is(key)).values(status=status, answer=answer))


async def forget(connection: AsyncConnection, key: Key) -> None:
    """It failed: nothing was done."""
    await connection.execute(delete(schema.once).where(*_is(key)))


def _is(key: Key) -> tuple[ColumnElement[bool], ...]:
    table = schema.once.c
    return (table.who == key.who, table.path == key.path, table.key == key.key)
