"""From the outbox of messages to people: take, send, settle; one task a target, so that none waits for another.

Law: nothing here holds up a tick, and a message that was once under way is never sent again after a kill.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from sqlalchemy.exc import SQLAlchemyError

from collector.detect import Phase
from collector.io import clock
from collector.io.backoff import Trouble
from collector.io.notify import TargetSettings
from collector.store import StoreError, notifications, spell
from collector.store.database import Store
from collector.store.notifications import Message
from collector.texts.alerts import sentence
from collector.texts.messages import body_of, gathered, title_of

LOOK_S = 1.0  # how soon after its commit a message leaves
GATHERED_MAX = 20  # alerts in one message: a flood is one call, not two hundred
TRIES_MAX = 10
PAUSE_MS_MIN = 2_000
PAUSE_MS_MAX = 600_000  # never reached by ten tries, which end after 17 min at most

Send = Callable[[Path, str, str], Awaitable[str | None]]

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Notifying:
    """One target's way out."""

    store: Store
    settings: TargetSettings
    send: Send
    rng: Random
    now_ms: Callable[[], int] = clock.now_ms
    _trouble: Trouble = field(init=False)

    def __post_init__(self) -> None:
        self._trouble = Trouble(what=f"notify target {self.settings.name}")

    async def serve(self) -> None:
        """Look each second, for ever."""
        while True:
            try:
                while await self.step():
                    pass
            except (StoreError, SQLAlchemyError) as error:
                log.warning("notify target %s: store: %s", self.settings.name, type(error).__name__)
            await asyncio.sleep(LOOK_S)

    async def step(self) -> int:
        """Send what is due, all in one message; how many alerts were settled as sent."""
        name = self.settings.name
        async with self.store.write() as connection:
            taken = await notifications.take(connection, name, self.now_ms(), GATHERED_MAX)
        if not taken:
            return 0
        title, body = _said(taken, self.settings.language)
        why = await self.send(self.settings.url_file, title, body)
        async with self.store.write() as connection:
            now_ms = self.now_ms()
            if why is None:
                await notifications.settle(connection, name, [one.key for one in taken], now_ms)
            for one in taken if why is not None else ():
                assert why is not None
                if one.tries + 1 >= TRIES_MAX:
                    await notifications.bury(connection, name, one.key, now_ms=now_ms, why=why)
                else:
                    await notifications.put_back(
                        connection,
                        name,
                        one.key,
                        now_ms=now_ms,
                        due_ms=now_ms + pause_ms(one.tries, self.rng),
                        why=why,
                    )
        if why is None:
            self._trouble.works(clock.mono_ms())
            return len(taken)
        self._trouble.failed(why, clock.mono_ms())
        return 0


async def begin(store: Store, targets: Sequence[TargetSettings]) -> None:
    """Before the first message: set aside what nobody can answer for."""
    async with store.write() as connection:
        now_ms = clock.now_ms()
        broken = await notifications.bury_interrupted(connection, now_ms)
        names = [target.name for target in targets]
        strange = await notifications.bury_strangers(connection, names, now_ms)
    if broken:
        log.warning("%d messages were under way when the collector ended: set aside", broken)
    if strange:
        log.warning(
            "%d messages wait for targets that the settings name no more: set aside", strange
        )


def pause_ms(tries: int, rng: Random) -> int:
    """Full jitter: anything up to a bound that doubles, so that many do not come back at one moment."""
    return rng.randrange(min(PAUSE_MS_MAX, PAUSE_MS_MIN << tries) + 1)


def _said(taken: Sequence[Message], language: str) -> tuple[str, str]:
    by_alert = {one.alert_id: one for one in taken}  # two steps of one alert are said once
    return gathered([_one(message, language) for message in by_alert.values()], language)


def _one(message: Message, language: str) -> tuple[str, str]:
    alert, finding = message.alert, message.finding
    value, data = (None, {}) if finding is None else spell.read(finding.detail)
    told = sentence(
        alert.code,
        language,
        value=value,
        data=data,
        unit=alert.unit,
        seal=None if finding is None else finding.seal,
        zone=None if finding is None else finding.zone,
        route=None if finding is None else finding.route,
        phase=Phase.POINT if finding is None else Phase(finding.phase),
    )
    is_unseen = "+" in message.step
    title = title_of(alert.code, alert.unit, alert.priority, language, is_unseen=is_unseen)
    return title, body_of(alert.code, told, alert.priority, alert.at_ms, language)
