"""The keeper: asks every task, the writer and every link to move, and feeds the watchdog only if all did (EDGE section 9).

Law: the rule is `agent.vitals`'. A unit that is not fed says why, once; systemd starts it clean.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from agent.app.log import Troubles
from agent.io.clock import Clock
from agent.io.watchdog import Watchdog
from agent.outbox import Outbox, OutboxError
from agent.vitals import Limits, Signs, trouble

STEPS = 15  # looks at the lag between two meals: one a second

Ages = Callable[[int], Mapping[str, int]]  # at mono_ms: how late each is, in ms


class Pulse:
    """Two tasks: one asks the writer, one asks the others and feeds."""

    def __init__(
        self,
        *,
        clock: Clock,
        watchdog: Watchdog,
        limits: Limits,
        outbox: Outbox,
        nudge: Callable[[], None],
        tasks: Ages,
        deadlines: Ages,
        links: Ages,
        troubles: Troubles,
        tell: Callable[[str], None],
    ) -> None:
        """`nudge`: makes every task turn that waits; `tell`: why the watchdog is not fed, empty if it is."""
        self.lag_ms_max = 0  # of this start
        self._clock = clock
        self._watchdog = watchdog
        self._limits = limits
        self._outbox = outbox
        self._nudge = nudge
        self._tasks = tasks
        self._deadlines = deadlines
        self._links = links
        self._troubles = troubles
        self._tell = tell
        self._asked_ms: int | None = None  # the writer, without answer
        self._questioned_ms = clock.mono_ms()  # the last question

    async def ask_writer(self) -> None:
        """One question at a time, through the queue and SQLite's own thread."""
        while True:
            chain = self._outbox.chains()[-1]
            self._asked_ms = self._clock.mono_ms()
            self._questioned_ms = self._asked_ms
            with suppress(OutboxError):  # it answers: what is wrong with the disk is told elsewhere
                await self._outbox.find(chain.chain_id, max(chain.batch_no, 0))
            self._asked_ms = None
            await asyncio.sleep(self._limits.feed_ms / 1000)

    async def run(self) -> None:
        """Feed at once, then every `feed_ms` if the unit lives."""
        self._feed(lag_ms=0)
        while True:
            self._nudge()
            self._feed(await self._watch_lag())

    async def _watch_lag(self) -> int:
        """The loop's longest lag in the time between two meals."""
        step_ms = self._limits.feed_ms / STEPS
        longest_ms = 0
        for _ in range(STEPS):
            before_ms = self._clock.mono_ms()
            await asyncio.sleep(step_ms / 1000)
            lag_ms = self._clock.mono_ms() - before_ms - int(step_ms)
            longest_ms = max(longest_ms, lag_ms)
        self.lag_ms_max = max(self.lag_ms_max, longest_ms)
        return longest_ms

    def _feed(self, lag_ms: int) -> None:
        mono_ms = self._clock.mono_ms()
        signs = Signs(
            lag_ms=lag_ms,
            writer_ms=0 if self._asked_ms is None else mono_ms - self._asked_ms,
            tasks_ms={**self._tasks(mono_ms), "question": mono_ms - self._questioned_ms},
            deadlines_ms=self._deadlines(mono_ms),
            links_ms=self._links(mono_ms),
            spilling=self._outbox.spilled,
        )
        why = trouble(signs, self._limits)
        self._tell(why)
        if why:
            self._troubles.begin("watchdog_not_fed", why=why)
        else:
            self._troubles.end("watchdog_not_fed")
            self._watchdog.feed()
