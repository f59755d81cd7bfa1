"""Since when a centre has listened, as its log tells it (decision 0086): a worker that takes over goes on where the last one stopped.

Law: silence is reckoned only while somebody listened. Who was away for longer than a minute has heard nothing of anybody.
"""

from dataclasses import dataclass

from sqlalchemy import select

from collector.store import schema
from collector.store.database import Store
from collector.tick import oddities
from collector.tick.detecting import IN_TIME
from collector.tick.replay import unpack_intake

TICK_MS = 10_000  # one `Tick` each 10 s (DETECTION section 2)
# So long what units say waits at the broker and is heard all the same: a program that systemd starts anew is back in seconds, a
# partition is taken over in five.
AWAY_MS_MAX = 60_000
DRAIN_MS = 10_000  # for what waits at the broker, before time passes again behind a start


@dataclass(frozen=True, slots=True, kw_only=True)
class Listened:
    """How far time was told, and since when somebody listened then."""

    since_ms: int
    told_ms: int

    def missed(self, now_ms: int) -> tuple[int, ...]:
        """The ticks that nobody told, and the one that is due now."""
        return (*range(self.told_ms + TICK_MS, now_ms, TICK_MS), now_ms)


async def read(store: Store, now_ms: int) -> Listened | None:
    """What the log tells of it, if its last `Tick` is at most a minute old."""
    tick = schema.tick.c
    recent = (
        select(tick.intake)
        .where(tick.now_ms >= now_ms - AWAY_MS_MAX, tick.now_ms <= now_ms)
        .order_by(tick.number.desc())
    )
    async with store.read() as connection:
        async for row in await connection.stream(recent):  # it stands within the newest ten seconds
            for entry in reversed(unpack_intake(row.intake)):
                if entry[0] == IN_TIME and len(entry) > 2:
                    return Listened(since_ms=entry[2], told_ms=entry[1])
    return None


async def floods(store: Store) -> dict[str, int]:
    """Units whose flood is told and not over, with the n of its begin: who told it may be dead."""
    alert = schema.alert.c
    running = select(alert.id, alert.unit, alert.last_n).where(
        alert.code == oddities.DEVICE_FAULT, alert.cleared.is_(False)
    )
    async with store.read() as connection:
        return {
            row.unit: row.last_n
            for row in await connection.execute(running)
            if bytes(row.id) == oddities.flood_id(row.unit)
        }
