"""What the ports heard, on its way to the one task that records it.

Law: full means that a port is not read. Nothing heard is thrown away here.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from agent.recorder.facts import AnyFact
from agent.timekeeper import TimeFact

FACTS_MAX = 1_024  # 20 s of everything that a unit can hear; then the ports wait


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardFact:
    """A fact, where it was heard, and when its last byte came."""

    source: str
    mono_ms: int
    fact: AnyFact | TimeFact
    memory: Mapping[str, bytes | None] = field(
        default_factory=lambda: MappingProxyType({})
    )  # what the outbox remembers in the transaction that stores the fact's records
    is_followed: bool = False  # by another fact of the same frame: all of it is stored, or none


class Inbox:
    """Many threads put, one task gets."""

    def __init__(self, loop: asyncio.AbstractEventLoop, facts_max: int = FACTS_MAX) -> None:
        self._loop = loop
        self._facts_max = facts_max
        self._facts: deque[HeardFact] = deque()
        self._room = threading.Condition()
        self._arrived = asyncio.Event()
        self.waits = 0  # how often a port had to wait

    def __len__(self) -> int:
        return len(self._facts)

    def put(self, fact: HeardFact, stop: threading.Event) -> None:
        """From a thread; waits for room unless `stop` is set."""
        with self._room:
            if len(self._facts) >= self._facts_max:
                self.waits += 1
                self._room.wait_for(
                    lambda: len(self._facts) < self._facts_max or stop.is_set(), timeout=None
                )
            self._facts.append(fact)
        try:
            self._loop.call_soon_threadsafe(self._arrived.set)
        except RuntimeError:  # the loop is closed: the unit has stopped
            return

    def post(self, fact: HeardFact) -> None:
        """From the loop's own thread, which may not wait: the unit's own words, a few a minute."""
        with self._room:
            self._facts.append(fact)
        self._arrived.set()

    def release(self) -> None:
        """Wake the threads that wait, to see that they shall stop."""
        with self._room:
            self._room.notify_all()

    async def get(self, timeout_s: float | None) -> HeardFact | None:
        """The oldest fact; None if none came in time, or somebody has nudged."""
        if not self._facts:
            self._arrived.clear()
            if not self._facts:
                try:
                    async with asyncio.timeout(timeout_s):
                        await self._arrived.wait()
                except TimeoutError:
                    return None
        return self._take()

    def nudge(self) -> None:
        """Wake the one who gets, from the loop's own thread: a deadline may have changed."""
        self._arrived.set()

    def _take(self) -> HeardFact | None:
        with self._room:
            if not self._facts:
                return None
            fact = self._facts.popleft()
            self._room.notify()
            return fact
