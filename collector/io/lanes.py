"""What has come and is in no tick yet: urgent lanes before the others, one unit not before all (SCALE section 6).

Law: what a lane keeps of one unit stays in its order.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Sequence

from collector.io import Arrived, BrokerLostError, TickBounds


class Lanes:
    """Filled by a connection, emptied by ticks. How much waits here is bounded by whoever fills it."""

    def __init__(self, count: int, bounds: TickBounds) -> None:
        self.waiting: tuple[deque[Arrived], ...] = tuple(deque() for _ in range(count))
        self._bounds = bounds
        self._changed = asyncio.Event()
        self._lost: str | None = None

    def put(self, lane: int, arrived: Arrived) -> None:
        self.waiting[lane].append(arrived)
        self._changed.set()

    def lose(self, why: str) -> None:
        """The connection has ended: nobody waits for it any more. The first reason counts."""
        self._lost = self._lost or why
        self._changed.set()

    async def wait(self, seconds: float | None) -> bool:
        """True if something waits, at the latest after `seconds`; BrokerLostError after `lose`."""
        if not any(self.waiting):
            await self._change(seconds)
        self._need_connection()
        return any(self.waiting)

    async def tick(self) -> list[Arrived]:
        """The next tick: full, or 50 ms old, or followed by a lull. Empty if nothing waits."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._bounds.wait_ms_max / 1_000
        while self._count() < self._bounds.messages_max:
            left = min(until - loop.time(), self._bounds.lull_ms / 1_000)
            if left <= 0 or not await self._change(left):
                break
        self._need_connection()
        return take_tick(self.waiting, self._bounds)

    def _count(self) -> int:
        return sum(map(len, self.waiting))

    def _need_connection(self) -> None:
        if self._lost is not None:
            raise BrokerLostError(self._lost)

    async def _change(self, seconds: float | None) -> bool:
        if self._lost is not None:
            return False
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        return self._changed.is_set()


def take_tick(lanes: Sequence[deque[Arrived]], bounds: TickBounds) -> list[Arrived]:
    """The next tick, from the lanes in their order; what one unit has too much of stays, in its order, for the next."""
    tick: list[Arrived] = []
    of_unit: Counter[str] = Counter()
    for lane in lanes:
        stays: list[Arrived] = []
        while lane and len(tick) < bounds.messages_max:
            arrived = lane.popleft()
            speaker = arrived.topic.rpartition("/")[0]
            if of_unit[speaker] < bounds.unit_messages_max:
                of_unit[speaker] += 1
                tick.append(arrived)
            else:
                stays.append(arrived)
        lane.extendleft(reversed(stays))
    return tick
