"""The life of the whole: the store first, then everything else (EDGE sections 1, 4 and 9).

Law: one TaskGroup; a task that dies takes the program with it, by name. The first batch waits for nothing that it does not need:
what talks to ports, people and the centre is loaded behind it.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from agent import Quality
from agent.app.identity import Enrolled
from agent.app.opening import newest_sealed_ms, open_outbox, timekeeper_of
from agent.app.versions import PROBATION_MS
from agent.app.versions_disk import Life
from agent.io import memory
from agent.io.clock import Clock

STOP_ORDERED = 4  # WIRE section 6, kind 3
NOTHING: Mapping[str, bytes | None] = MappingProxyType({})

At = Callable[[str], None]


async def run(
    life: Life,
    enrolled: Enrolled,
    at: At,
    *,
    probation_ms: int = PROBATION_MS,
    config_file: Path | None = None,
) -> Life | None:
    """Until a signal says stop (None), or other settings want a life of their own. Raises StartError, or a group of what its tasks died of."""
    config = life.config
    memory.one_heap()
    ticker = Clock()
    timekeeper = timekeeper_of(config, ticker, newest_sealed_ms=0)
    moment = timekeeper.moment(mono_ms=ticker.mono_ms(), now_ms=ticker.now_ms())
    outbox = await open_outbox(config, enrolled, moment, at)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(outbox.run(), name="outbox")
            newest_ms = await newest_sealed_ms(outbox, moment)
            if moment.quality is Quality.NONE and newest_ms > moment.utc_ms:
                # A board without a clock wakes in the past: it cannot be earlier than what it holds (EDGE section 7).
                timekeeper = timekeeper_of(config, ticker, newest_sealed_ms=newest_ms)
            from agent.app.unit import Unit  # noqa: PLC0415  # see above

            unit = Unit(
                life,
                enrolled,
                at,
                ticker=ticker,
                timekeeper=timekeeper,
                outbox=outbox,
                probation_ms=probation_ms,
                config_file=config_file,
            )
            await unit.live(tasks)
            return unit.next_life
    finally:
        await outbox.abandon()
