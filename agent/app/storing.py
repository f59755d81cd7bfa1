"""From a closed batch to its commit, and only then to the acknowledgements that wait for it (EDGE sections 1 and 4).

Law: one commit after the other, in the order of hearing. A store that is slow or hangs holds up nobody but those who wait for its word.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent import Moment, StoredBatch, Weight
from agent.app.log import Troubles
from agent.app.waiting import Closed, Waiting
from agent.io.clock import Clock
from agent.io.source import Source
from agent.outbox import Outbox, OutboxError, OutboxFullError
from agent.sealer import OpenBatch
from devices import Fact
from wire.canon import decode, encode

STORE_AGAIN_S = 1.0
COMMIT_ERRORS = "commit_errors"  # counted for ever: its name in the outbox's memory
ACKS_WAITING_MAX = 1_024  # as many facts as may wait; a device repeats what was not acknowledged
PRESSED = 3  # what waits in memory is thinned as on a disk that is nearly full

At = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingAck:
    """A fact whose device waits until so many records are stored."""

    records: int
    source: str
    fact: Fact
    ack: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMemory:
    """What the outbox shall remember with the record that has this number."""

    records: int
    memory: Mapping[str, bytes | None]


class Storing:
    """What waits for the store, and the one task that hands it over."""

    def __init__(
        self,
        *,
        clock: Clock,
        outbox: Outbox,
        ports: Mapping[str, Source],
        moment: Callable[[], Moment],
        stored: Callable[[StoredBatch], None],
        counters: Counter[str],
        troubles: Troubles,
        late_ms: int,
        at: At,
    ) -> None:
        """`late_ms`: a batch that waits so long has a store that hangs."""
        self.waiting = Waiting()
        self.commit_ms_max = 0  # the longest wait for a commit
        self.turned_mono_ms = clock.mono_ms()  # when this task moved last
        self.commit_errors_ever = _count(outbox.memory(COMMIT_ERRORS))
        self._errors_told = self.commit_errors_ever  # as the store knows
        self._clock = clock
        self._outbox = outbox
        self._ports = ports
        self._moment = moment
        self._stored = stored
        self._counters = counters
        self._troubles = troubles
        self._late_ms = late_ms
        self._at = at
        self._one_at_a_time = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._moved = asyncio.Event()  # the oldest one is done
        self._records_done = 0  # stored, or given up with their acknowledgement
        self._dropped_told = 0
        self._acks: deque[WaitingAck] = deque()
        self._memories: deque[WaitingMemory] = deque()  # a few words of our own, ever

    # what is handed in

    def add(self, batch: OpenBatch) -> None:
        """To be committed in its turn."""
        self.waiting.add(batch, self._clock.mono_ms())
        if self.waiting.dropped > self._dropped_told:
            self._dropped_told = self.waiting.dropped
            self._troubles.begin("records_dropped", waiting=self.waiting.records)
        self._arrived.set()

    def remember_with(self, records: int, memory: Mapping[str, bytes | None]) -> None:
        """In the transaction of the record with that number."""
        self._memories.append(WaitingMemory(records=records, memory=memory))

    def acknowledge_after(self, records: int, source: str, fact: Fact, ack: bytes) -> None:
        """When so many records are stored; what nobody can wait for any more its device says again."""
        if len(self._acks) >= ACKS_WAITING_MAX:
            self.forget(source, fact)
            return
        self._acks.append(WaitingAck(records=records, source=source, fact=fact, ack=ack))
        self._release_acks()

    def forget(self, source: str, fact: Fact) -> None:
        """It will never be stored: its device shall say it again."""
        port = self._ports.get(source)
        if port is not None:
            port.forget(fact)

    # the task

    async def run(self) -> None:
        """For ever."""
        while True:
            self.turned_mono_ms = self._clock.mono_ms()
            self._arrived.clear()
            await self.work()
            await self._arrived.wait()

    def nudge(self) -> None:
        """Turn once, whether there is work or not."""
        self._arrived.set()

    async def work(self) -> None:
        """Commit all that waits now; whoever calls has his batch in the store when it ends."""
        while len(self.waiting):
            async with self._one_at_a_time:
                closed = self.waiting.hold_first()
                if closed is not None:
                    await self._store(closed)

    async def room(self, timeout_s: float) -> None:
        """Wait until another batch is done."""
        self._moved.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._moved.wait()
        except TimeoutError:
            return

    @property
    def pressure(self) -> int:
        """The store's own; or what its silence asks for."""
        oldest_ms = self.waiting.oldest_ms
        late = oldest_ms is not None and self._clock.mono_ms() - oldest_ms >= self._late_ms
        return max(self._outbox.pressure, PRESSED) if late else self._outbox.pressure

    async def _store(self, closed: Closed) -> None:
        """Commit it, however often it takes; what has no room and is no evidence is given up and counted."""
        while (stored := await self._try_to_store(closed)) is None:
            self.turned_mono_ms = self._clock.mono_ms()
            if "outbox_full" in self._troubles and closed.batch.weight < Weight.EVIDENCE:
                self._give_up(closed)
                return
            await asyncio.sleep(STORE_AGAIN_S)
        self.turned_mono_ms = self._clock.mono_ms()
        self._troubles.end("outbox_full")
        self._troubles.end("outbox_refuses")
        self._counters["batches"] += 1
        self._counters["records_stored"] += len(closed.batch.kept)
        self._done(closed)
        self._release_acks()
        self._stored(stored)

    async def _try_to_store(self, closed: Closed) -> StoredBatch | None:
        due = [one.memory for one in self._memories if one.records <= closed.through]
        memory = {name: value for one in due for name, value in one.items()}
        if self.commit_errors_ever > self._errors_told:
            memory[COMMIT_ERRORS] = encode(self.commit_errors_ever)
        began_ms = self._clock.mono_ms()
        try:
            stored = await self._outbox.store(closed.batch, self._moment(), memory=memory)
        except OutboxFullError as error:
            self._troubles.begin("outbox_full", hint=error.hint, bytes_used=error.bytes_used)
        except OutboxError as error:
            self._counters["commit_errors"] += 1
            self.commit_errors_ever += 1
            self._troubles.begin("outbox_refuses", error=str(error))
        else:
            self._errors_told = self.commit_errors_ever
            for _ in due:
                self._memories.popleft()
            self.commit_ms_max = max(self.commit_ms_max, self._clock.mono_ms() - began_ms)
            return stored
        return None

    def _give_up(self, closed: Closed) -> None:
        self._counters["records_without_room"] += len(closed.batch.kept)
        while self._acks and self._acks[0].records <= closed.through:
            waiting = self._acks.popleft()
            self.forget(waiting.source, waiting.fact)
        self._done(closed)

    def _done(self, closed: Closed) -> None:
        self.waiting.done(closed)
        self._records_done = closed.through
        self._moved.set()
        if not len(self.waiting):
            self._troubles.end("records_dropped", records=self.waiting.dropped)

    def _release_acks(self) -> None:
        while self._acks and self._acks[0].records <= self._records_done:
            waiting = self._acks.popleft()
            port = self._ports.get(waiting.source)
            self._at("ack")
            self._counters["acks"] += 1
            if port is not None:
                port.acknowledge(waiting.fact, waiting.ack)


def _count(cell: bytes | None) -> int:
    value = None if cell is None else decode(cell)
    return value if isinstance(value, int) else 0
