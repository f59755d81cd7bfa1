"""The feed: one rising number for every transaction that changes what people see (CONSOLE section 7).

Law: it is taken inside the transaction that it names, and written into the rows which that changed; so "what is new since N" is
a question to an index, and good after any restart.
"""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.store import schema
from collector.store.dialect import upsert

_ID = 1  # the table has one row


async def next_feed(connection: AsyncConnection) -> int:
    """The number of the transaction that runs on `connection`."""
    # The row is the writers' queue: on an engine with many writers numbers become visible in their order only because of it.
    feed = schema.feed
    found = await connection.execute(
        update(feed)
        .where(feed.c.id == _ID)
        .values(number=feed.c.number + 1)
        .returning(feed.c.number)
    )
    return int(found.scalar_one())


async def newest_feed(connection: AsyncConnection) -> int:
    """The number of the newest change that is committed."""
    found = await connection.execute(select(schema.feed.c.number).where(schema.feed.c.id == _ID))
    return int(found.scalar_one())


async def touch_unit(connection: AsyncConnection, unit_no: int, feed: int | None = None) -> int:
    """What is shown of a unit is another now: its journey, its name; the feed number."""
    number = await next_feed(connection) if feed is None else feed
    unit = schema.unit
    await connection.execute(update(unit).where(unit.c.number == unit_no).values(feed=number))
    return number


async def leave_scope(connection: AsyncConnection, unit_no: int, scope: str, feed: int) -> None:
    """A unit is no more in `scope`: whoever watches that is told that it is gone."""
    await connection.execute(
        upsert(connection.dialect.name, schema.unit_left),
        [{"unit_no": unit_no, "scope": scope, "feed": feed}],
    )
