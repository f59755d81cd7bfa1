"""The way of a fact: heard, thinned, sealed, committed, and only then acknowledged (EDGE section 1).

Law: sequential on purpose. The order of the chain is the order of hearing; nothing is acknowledged before it is stored.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent import Kept, Moment, StoredBatch, Weight
from agent.app.log import Troubles
from agent.app.orders import Orders
from agent.app.seen import Seen
from agent.io.clock import Clock
from agent.io.inbox import HeardFact, Inbox
from agent.io.source import Source
from agent.outbox import Outbox, OutboxError, OutboxFullError
from agent.recorder import OrderDone, Recorder, SealSilence, Stop
from agent.sealer import Closing, OpenBatch, Sealer
from agent.timekeeper import NtpTime, RtcTime, Timekeeper
from devices import Fact, Fix, SealAnswer, SealEvent, SealReport, SealSecret
from wire.canon import decode, encode
from wire.records import FixRecord

PAUSE_MS_MAX = (
    1_000  # the longest that nobody looks at the deadlines: `link` and `state` may have moved them
)
STORE_AGAIN_S = 1.0
COMMIT_ERRORS = "commit_errors"  # counted for ever: its name in the outbox's memory
ACKS_WAITING_MAX = 1_024  # as many facts as may wait; a device repeats what was not acknowledged

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


class FactWay:
    """The one task between the ports and the outbox."""

    def __init__(
        self,
        *,
        clock: Clock,
        inbox: Inbox,
        timekeeper: Timekeeper,
        recorder: Recorder,
        sealer: Sealer,
        outbox: Outbox,
        ports: Mapping[str, Source],
        orders: Orders,
        stored: Callable[[StoredBatch], None],
        troubles: Troubles,
        at: At,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.newest_fix: tuple[FixRecord, int] | None = None  # and when it was heard
        self.committed_mono_ms: int | None = None
        self.commit_ms_max = 0  # the longest wait for a commit
        self.seen = Seen()
        self.turned_mono_ms = clock.mono_ms()  # when this task moved last
        self.commit_errors_ever = _count(outbox.memory(COMMIT_ERRORS))
        self._errors_told = self.commit_errors_ever  # as the store knows
        self._clock = clock
        self._inbox = inbox
        self._timekeeper = timekeeper
        self._recorder = recorder
        self._sealer = sealer
        self._outbox = outbox
        self._ports = ports
        self._orders = orders
        self._stored = stored
        self._troubles = troubles
        self._at = at
        self._mono_ms = clock.mono_ms()
        self._storing = False
        self._records_added = 0
        self._records_done = 0  # stored, or given up with their acknowledgement
        self._acks: deque[WaitingAck] = deque()
        self._memories: deque[WaitingMemory] = deque()  # a few words of our own, ever

    def moment(self) -> Moment:
        """Now, for whoever asks."""
        return self._moment_of(self._clock.mono_ms())

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then what was heard before is still taken."""
        while not stop.is_set():
            heard = await self._inbox.get(self._pause_s())
            if heard is not None:
                await self.take(heard)
            await self.wake()
        while len(self._inbox):
            heard = await self._inbox.get(0)
            if heard is not None:
                await self.take(heard)

    async def take(self, heard: HeardFact) -> None:
        """One fact: its records, the batches that they fill, the acknowledgement that is due."""
        self.counters["facts"] += 1
        # Facts of two ports may arrive a hair out of order; the axis of the cores never runs back.
        self._mono_ms = max(self._mono_ms, heard.mono_ms)
        fact = heard.fact
        if isinstance(fact, SealSecret):
            self._take_secret(fact, heard.source)
            return
        if isinstance(fact, Fix | NtpTime | RtcTime):
            clock_kept = self._timekeeper.take(
                fact, mono_ms=heard.mono_ms, heard_mono_ms=self._began_mono_ms(heard)
            )
            if clock_kept:
                await self._add(clock_kept)
        if isinstance(fact, NtpTime | RtcTime):
            return
        self.seen.heard(fact, self._mono_ms)
        kept = self._recorder.take(fact, self._moment_of(self._mono_ms), heard.source)
        self._note_fix(kept)
        if heard.memory:
            records = self._records_added + len(kept)
            self._memories.append(WaitingMemory(records=records, memory=heard.memory))
        if isinstance(fact, SealReport | SealEvent) and fact.ack is not None:
            await self._add_and_acknowledge(kept, heard.source, fact, fact.ack)
        else:
            await self._add(kept)
        if isinstance(fact, SealReport | SealEvent | SealAnswer | SealSilence):
            await self._orders.hear(fact, self)
        self._release_acks()

    async def wake(self) -> None:
        """Deadlines of the cores."""
        self.turned_mono_ms = self._clock.mono_ms()
        self._mono_ms = max(self._mono_ms, self._clock.mono_ms())
        self._recorder.pressure(self._outbox.pressure)
        for core in (self._timekeeper, self._recorder):
            due_ms = core.next_deadline()
            if due_ms is not None and self._mono_ms >= due_ms:
                kept = (
                    core.wake(self._mono_ms)
                    if isinstance(core, Timekeeper)
                    else core.wake(self._moment_of(self._mono_ms))
                )
                await self._add(kept)
        due_ms = self._sealer.next_deadline()
        if due_ms is not None and self._mono_ms >= due_ms:
            batch = self._sealer.wake(self._moment_of(self._mono_ms))
            if batch is not None:
                await self._store(batch)
        await self._orders.work(self)
        self._release_acks()

    async def record(self, fact: OrderDone, memory: Mapping[str, bytes | None]) -> None:
        """What became of an order: its record, and what belongs to it, in one transaction at once."""
        moment = self._moment_of(self._mono_ms)
        kept = self._recorder.take(fact, moment, "unit")
        records = self._records_added + len(kept)
        self._memories.append(WaitingMemory(records=records, memory=memory))
        await self._add(kept)
        batch = self._sealer.close_now(Closing.URGENT, moment)
        assert batch is not None, "it holds the result at least"
        await self._store(batch)

    async def note(self, fact: SealEvent) -> None:
        """What the unit itself has found out about a seal."""
        await self._add(self._recorder.take(fact, self._moment_of(self._mono_ms), "unit"))

    async def remember(self, memory: Mapping[str, bytes | None]) -> bool:
        """What an order wants committed before the act; False: nothing has happened."""
        try:
            await self._outbox.remember(memory, self.moment())
        except OutboxError as error:
            self.counters["commit_errors"] += 1
            self._troubles.begin("outbox_refuses", error=str(error))
            return False
        return True

    def deadlines(self) -> dict[str, int | None]:
        """Of the cores on this way; none while it waits for the store: they are asked again behind it."""
        if self._storing:
            return {}
        return {
            "timekeeper": self._timekeeper.next_deadline(),
            "recorder": self._recorder.next_deadline(),
            "sealer": self._sealer.next_deadline(),
            "orders": self._orders.next_deadline(),
        }

    async def stop(self, cause: int) -> None:
        """The last event, and whatever is still open: after it the chain may be called clean."""
        self._mono_ms = max(self._mono_ms, self._clock.mono_ms())
        moment = self._moment_of(self._mono_ms)
        await self._add(self._recorder.take(Stop(cause=cause), moment, "unit"))
        batch = self._sealer.close_now(Closing.STOP, moment)
        if batch is not None:
            await self._store(batch)
        self._release_acks()

    async def _add_and_acknowledge(
        self, kept: Sequence[Kept], source: str, fact: Fact, ack: bytes
    ) -> None:
        """A device waits for our word on `fact`; refused by a limit, it keeps it and says it again."""
        if not self._recorder.may_acknowledge:
            self.counters["acks_withheld"] += 1
            self._forget(source, fact)
            await self._add(kept)
            return
        before = self._records_added + len(kept)
        await self._add(kept, ack_waits=True)
        self._wait_for_store(before, source, fact, ack)

    async def _add(self, kept: Sequence[Kept], *, ack_waits: bool = False) -> None:
        self._records_added += len(kept)
        self.counters["records"] += len(kept)
        self.seen.kept(kept, self._mono_ms)
        moment = self._moment_of(self._mono_ms)
        self._sealer.state(sealed=self._recorder.sealed, moving=bool(self._recorder.moving))
        for batch in self._sealer.add(kept, moment, ack_waits=ack_waits):
            await self._store(batch)

    async def _store(self, batch: OpenBatch) -> None:
        """Commit `batch`, however often it takes; what has no room and is no evidence is given up and counted."""
        self._storing = True
        stored = await self._try_to_store(batch)
        while stored is None:
            self.turned_mono_ms = self._clock.mono_ms()
            if "outbox_full" in self._troubles and batch.weight < Weight.EVIDENCE:
                self._give_up(batch)
                self._storing = False
                return
            await asyncio.sleep(STORE_AGAIN_S)
            stored = await self._try_to_store(batch)
        self._storing = False
        self._troubles.end("outbox_full")
        self._troubles.end("outbox_refuses")
        self.committed_mono_ms = self._clock.mono_ms()
        self.counters["batches"] += 1
        self.counters["records_stored"] += len(batch.kept)
        self._records_done += len(batch.kept)
        self._release_acks()
        self._stored(stored)

    async def _try_to_store(self, batch: OpenBatch) -> StoredBatch | None:
        done = self._records_done + len(batch.kept)
        due = [one.memory for one in self._memories if one.records <= done]
        memory = {name: value for one in due for name, value in one.items()}
        if self.commit_errors_ever > self._errors_told:
            memory[COMMIT_ERRORS] = encode(self.commit_errors_ever)
        began_ms = self._clock.mono_ms()
        try:
            stored = await self._outbox.store(batch, self.moment(), memory=memory)
        except OutboxFullError as error:
            self._troubles.begin("outbox_full", hint=error.hint, bytes_used=error.bytes_used)
        except OutboxError as error:
            self.counters["commit_errors"] += 1
            self.commit_errors_ever += 1
            self._troubles.begin("outbox_refuses", error=str(error))
        else:
            self._errors_told = self.commit_errors_ever
            for _ in due:
                self._memories.popleft()
            self.commit_ms_max = max(self.commit_ms_max, self._clock.mono_ms() - began_ms)
            return stored
        return None

    def _give_up(self, batch: OpenBatch) -> None:
        self.counters["records_without_room"] += len(batch.kept)
        done = self._records_done + len(batch.kept)
        while self._acks and self._acks[0].records <= done:
            waiting = self._acks.popleft()
            self._forget(waiting.source, waiting.fact)
        self._records_done = done

    def _wait_for_store(self, records: int, source: str, fact: Fact, ack: bytes) -> None:
        if len(self._acks) >= ACKS_WAITING_MAX:
            self._forget(source, fact)
            return
        self._acks.append(WaitingAck(records=records, source=source, fact=fact, ack=ack))

    def _release_acks(self) -> None:
        while self._acks and self._acks[0].records <= self._records_done:
            waiting = self._acks.popleft()
            port = self._ports.get(waiting.source)
            self._at("ack")
            self.counters["acks"] += 1
            if port is not None:
                port.acknowledge(waiting.fact, waiting.ack)

    def _forget(self, source: str, fact: Fact) -> None:
        port = self._ports.get(source)
        if port is not None:
            port.forget(fact)

    def _take_secret(self, fact: SealSecret, source: str) -> None:
        """In memory only; then its lock may stop telling it. There is no record of it to wait for."""
        port = self._ports.get(source)
        if self._orders.secret(fact) and port is not None and fact.ack is not None:
            port.write(fact.ack)

    def _note_fix(self, kept: Sequence[Kept]) -> None:
        for one in kept:
            if isinstance(one.record, FixRecord):
                self.newest_fix = (one.record, self._mono_ms)

    def _began_mono_ms(self, heard: HeardFact) -> int:
        """When the fact began to be heard: a receiver's epoch is whole only when it has been quiet."""
        if not isinstance(heard.fact, Fix):
            return heard.mono_ms
        return heard.mono_ms - max(self._clock.now_of(heard.mono_ms) - heard.fact.at_ms, 0)

    def _moment_of(self, mono_ms: int) -> Moment:
        return self._timekeeper.moment(mono_ms=mono_ms, now_ms=self._clock.now_of(mono_ms))

    def _pause_s(self) -> float:
        deadlines = (
            self._timekeeper.next_deadline(),
            self._recorder.next_deadline(),
            self._sealer.next_deadline(),
            self._orders.next_deadline(),
        )
        now_ms = self._clock.mono_ms()
        due_ms = min((due for due in deadlines if due is not None), default=now_ms + PAUSE_MS_MAX)
        return min(max(due_ms - now_ms, 0), PAUSE_MS_MAX) / 1000


def _count(cell: bytes | None) -> int:
    value = None if cell is None else decode(cell)
    return value if isinstance(value, int) else 0
