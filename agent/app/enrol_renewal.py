"""The unit's certificate, renewed in time: asked daily, done at two thirds of its life (EDGE section 10).

Law: another process does it, so that what it needs to know of certificates takes no memory of a unit that runs for years.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

from agent import Moment, Quality
from agent.app.log import say, warn

DAY_S = 86_400.0
FIRST_S = 3_600.0  # a unit that has just started has better things to do
RENEW_S_MAX = 180.0  # two answers of 30 s each, twice
REST_S = 1.0  # how often the one who sleeps for a day shows the keeper that he lives


class Renewal:
    """Asks `plomba-agent renew` once a day, at a time of its own: ten thousand units were enrolled in one week."""

    def __init__(
        self, *, unit_id: str, state_dir: Path, moment: Callable[[], Moment], rng: Random
    ) -> None:
        self._command = (
            *(sys.executable, "-m", "agent", "renew"),
            *("--unit", unit_id, "--state", str(state_dir)),
        )
        self._moment = moment
        self._rng = rng
        self.turned_mono_ms = moment().mono_ms  # when it moved last, or has to have moved

    async def run(self) -> None:
        """Until it is cancelled."""
        await self._rest(FIRST_S + self._rng.uniform(0, DAY_S / 2))
        while True:
            self.turned_mono_ms = self._moment().mono_ms + round(RENEW_S_MAX * 1_000)
            await self.look()
            await self._rest(DAY_S * self._rng.uniform(0.9, 1.1))

    async def _rest(self, seconds: float) -> None:
        """On the unit's own axis, which counts sleep."""
        self.turned_mono_ms = self._moment().mono_ms
        due_ms = self.turned_mono_ms + seconds * 1_000
        while self.turned_mono_ms < due_ms:
            await asyncio.sleep(REST_S)
            self.turned_mono_ms = self._moment().mono_ms

    async def look(self) -> None:
        """Once; without a time that can be trusted nobody knows what is due."""
        moment = self._moment()
        if moment.quality < Quality.NTP:
            return
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *("--now-ms", str(moment.utc_ms)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:  # no memory for a second program just now: tomorrow again
            warn("not_renewed", why=str(error))
            return
        try:
            async with asyncio.timeout(RENEW_S_MAX):
                _, talk = await process.communicate()
        except TimeoutError:
            warn("not_renewed", why="no end in 180 s")
            return
        finally:
            if process.returncode is None:
                process.kill()
        words = talk.decode(errors="replace").strip()[-300:]
        if process.returncode == 0:
            say("certificate", detail=words)
        else:
            warn("not_renewed", why=words, code=process.returncode)
