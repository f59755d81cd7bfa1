"""The look around, once a second: lag, space, the kernel's clock, rates worth remembering, news of the store.

Law: it tells and decides nothing. What it finds becomes a fact like any other, or a line of the log.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from agent.app.facts import FactWay
from agent.app.line import Line
from agent.app.log import Troubles, warn
from agent.app.opening import UNFED
from agent.app.ports import Ports
from agent.app.view import View
from agent.config import Config
from agent.io import clock, disk
from agent.io.chrony import Chrony
from agent.io.clock import Clock
from agent.outbox import Outbox, OutboxError
from agent.recorder.facts import AnyFact, Health
from agent.timekeeper import TimeFact, Timekeeper

WATCH_S = 1.0
HEALTH_EVERY_MS = 30_000  # as often as the store is looked at; the recorder keeps one in 300 s
NTP_EVERY_MS = 60_000


class Watch:
    """What nobody else looks at."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        timekeeper: Timekeeper,
        outbox: Outbox,
        ports: Ports,
        way: FactWay,
        line: Line,
        view: View,
        troubles: Troubles,
        post: Callable[[AnyFact | TimeFact], None],
    ) -> None:
        self._config = config
        self._clock = clock
        self._timekeeper = timekeeper
        self._outbox = outbox
        self._ports = ports
        self._way = way
        self._line = line
        self._view = view
        self._troubles = troubles
        self._post = post
        self._chrony = None if config.chrony_sock is None else Chrony(config.chrony_sock)
        self._told_mono_ms = 0  # the newest epoch that chrony was told of
        self._cpu = (clock.mono_ms(), disk.cpu_ms())
        self.turned_mono_ms = clock.mono_ms()  # when this task moved last

    async def run(self) -> None:
        """For ever."""
        health_ms = ntp_ms = self._clock.mono_ms()
        while True:
            before_ms = self.turned_mono_ms = self._clock.mono_ms()
            await asyncio.sleep(WATCH_S)
            now_ms = self._clock.mono_ms()
            lag_ms = max(0, now_ms - before_ms - int(WATCH_S * 1000))
            self._view.lag_ms_max = max(self._view.lag_ms_max, lag_ms)
            self._tell_news()
            self._tell_chrony()
            if now_ms >= ntp_ms:
                ntp_ms = now_ms + NTP_EVERY_MS
                self._post(clock.ask_ntp())
            if now_ms >= health_ms:
                health_ms = now_ms + HEALTH_EVERY_MS
                self.post_health()
                await self._ports.remember_rates(self._way.moment())
                await self._lay_in()

    async def salvage(self) -> None:
        """What is left of a file that was set aside comes back between two seals; mostly there is none."""
        while True:
            more = False
            try:
                more = await self._outbox.salvage(self._way.moment())
            except OutboxError as error:
                self._troubles.begin("salvage_waits", error=str(error))
            else:
                self._troubles.end("salvage_waits")
            if not more:
                await asyncio.sleep(WATCH_S)

    def post_health(self) -> None:
        """A fact about the unit itself; how often it is kept is the recorder's."""
        now_ms, cpu_ms = self._clock.mono_ms(), disk.cpu_ms()
        passed_ms, used_ms = now_ms - self._cpu[0], cpu_ms - self._cpu[1]
        self._cpu = (now_ms, cpu_ms)
        space = disk.space(self._config.state_dir)
        self._post(
            Health(
                free_kib=None if space is None else space.free_bytes // 1024,
                backlog_batches=self._line.uplink.waiting_batches,
                rss_kib=disk.rss_kib(),
                cpu_permille=used_ms * 1000 // passed_ms if passed_ms > 0 else None,
                restarts=self._outbox.stats().starts_ever,
                store=self._store_words(),
                uplink=self._line.state.value,
            )
        )

    def kept(self, why: str) -> None:
        """What the keeper says; should systemd end us for it, the next start shall know."""
        unfed = self._config.run_dir / UNFED
        with suppress(OSError):  # then the next start does not know why
            if why and not self._view.keeper:
                unfed.write_text(why, encoding="utf-8")
            elif not why and self._view.keeper:
                unfed.unlink(missing_ok=True)
        self._view.kept(why)

    async def _lay_in(self) -> None:
        try:
            await self._outbox.lay_in()
        except OutboxError as error:
            self._troubles.begin("nothing_laid_in", error=str(error))
        else:
            self._troubles.end("nothing_laid_in")

    def _store_words(self) -> str:
        if self._outbox.spilled:
            return "spill"
        pressure = self._way.storing.pressure
        return "full" if pressure >= 4 else f"pressure {pressure}"

    def _tell_news(self) -> None:
        news = self._outbox.take_news()
        for one in news:
            warn(f"outbox_{one.trouble.value}", detail=one.detail)
        if news:
            self._line.nudge()

    def _tell_chrony(self) -> None:
        """Each epoch once: chrony weighs samples, and an old one said again would be a lie."""
        epoch_ms, offset_ms = (
            self._timekeeper.receiver_mono_ms,
            self._timekeeper.receiver_offset_ms,
        )
        if self._chrony is None or epoch_ms is None or offset_ms is None:
            return
        if epoch_ms > self._told_mono_ms:
            self._told_mono_ms = epoch_ms
            self._chrony.tell(utc_minus_mono_ms=offset_ms)
