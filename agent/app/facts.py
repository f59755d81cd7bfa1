"""The way of a fact: heard, thinned, sealed, handed over to be committed, and only then acknowledged (EDGE section 1).

Law: one task hears, one commits, one follows orders, each in the order of hearing. Who hears waits for no disk; nothing is
acknowledged or acted on before it is stored.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

from agent import Kept, Moment, StoredBatch
from agent.app.heard import of_one_frame
from agent.app.log import Troubles
from agent.app.orders import Orders
from agent.app.seen import Seen
from agent.app.storing import Storing
from agent.io.clock import Clock
from agent.io.inbox import HeardFact, Inbox
from agent.io.source import Source
from agent.outbox import Outbox, OutboxError
from agent.recorder.core import Recorder
from agent.recorder.facts import AnyFact, OrderDone, SealSilence, Stop
from agent.sealer import Closing, Sealer
from agent.timekeeper import NtpTime, RtcTime, Timekeeper
from agent.vitals import Limits
from devices import Fact, Fix, SealAnswer, SealEvent, SealReport, SealSecret
from wire.records import FixRecord

PAUSE_MS_MAX = (
    1_000  # the longest that nobody looks at the deadlines: `link` and `state` may have moved them
)
FOR_ORDERS_MAX = 1_024  # while an order waits for its commit; a seal says its state again and again

USUAL = Limits()

At = Callable[[str], None]
SealWord = SealReport | SealEvent | SealAnswer | SealSilence


class FactWay:
    """Between the ports and the outbox: `run` hears, `storing` commits, `obey` follows orders."""

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
        limits: Limits = USUAL,
    ) -> None:
        """`limits`: how long the store may be silent before what waits for it is thinned."""
        self.counters: Counter[str] = Counter()
        self.newest_fix: tuple[FixRecord, int] | None = None  # and when it was heard
        self.seen = Seen()
        self.turned_mono_ms = clock.mono_ms()  # when the task that hears moved last
        self.obeyed_mono_ms = clock.mono_ms()  # and the one that follows orders
        self.storing = Storing(
            clock=clock,
            outbox=outbox,
            ports=ports,
            moment=self.moment,
            stored=stored,
            counters=self.counters,
            troubles=troubles,
            late_ms=limits.writer_ms_max,
            at=at,
        )
        self._clock = clock
        self._inbox = inbox
        self._timekeeper = timekeeper
        self._recorder = recorder
        self._sealer = sealer
        self._outbox = outbox
        self._ports = ports
        self._orders = orders
        self._troubles = troubles
        self._mono_ms = clock.mono_ms()
        self._records_added = 0
        self._begun: dict[str, list[Kept]] = {}  # of a frame that says more, by its source
        self._for_orders: deque[SealWord] = deque(maxlen=FOR_ORDERS_MAX)
        self._turned = asyncio.Event()  # for the task that follows orders
        self._is_obeying = False  # perhaps it waits for a commit

    def moment(self) -> Moment:
        """Now, for whoever asks."""
        return self._moment_of(self._clock.mono_ms())

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then what was heard before is still taken."""
        while not stop.is_set():
            if self.storing.waiting.has_room:
                heard = await self._inbox.get(self._pause_s())
                if heard is not None:
                    self.hear(heard)
            else:  # all of it evidence: the ports wait, and their devices say it again
                await self.storing.room(PAUSE_MS_MAX / 1000)
            self.wake()
            await asyncio.sleep(0)  # however much there is to hear, the others have their turn
        while len(self._inbox):
            heard = await self._inbox.get(0)
            if heard is not None:
                self.hear(heard)
        self._turned.set()

    async def run_orders(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        while not stop.is_set():
            await self._turned.wait()
            await self.obey()

    def hear(self, heard: HeardFact) -> None:
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
                self._add(clock_kept)
        if isinstance(fact, NtpTime | RtcTime):
            return
        self.seen.heard(fact, self._mono_ms)
        kept = self._recorder.take(fact, self._moment_of(self._mono_ms), heard.source)
        self._note_fix(kept)
        if heard.is_followed:
            # A frame that the store holds in part would count as stored, and be acknowledged, when its lock says it again
            self._begun.setdefault(heard.source, []).extend(kept)
            self._tell_orders(fact)
            return
        begun = self._begun.pop(heard.source, None)
        kept = kept if begun is None else of_one_frame([*begun, *kept])
        if heard.memory:
            self.storing.remember_with(self._records_added + len(kept), heard.memory)
        if isinstance(fact, SealReport | SealEvent) and fact.ack is not None:
            self._add_and_acknowledge(kept, heard.source, fact, fact.ack)
        else:
            self._add(kept)
        self._tell_orders(fact)

    def wake(self) -> None:
        """Deadlines of the cores; then it is the orders' turn."""
        self.turned_mono_ms = self._clock.mono_ms()
        self._mono_ms = max(self._mono_ms, self._clock.mono_ms())
        self._recorder.pressure(self.storing.pressure)
        for core in (self._timekeeper, self._recorder):
            due_ms = core.next_deadline()
            if due_ms is not None and self._mono_ms >= due_ms:
                kept = (
                    core.wake(self._mono_ms)
                    if isinstance(core, Timekeeper)
                    else core.wake(self._moment_of(self._mono_ms))
                )
                self._add(kept)
        due_ms = self._sealer_due_ms()
        if due_ms is not None and self._mono_ms >= due_ms:
            batch = self._sealer.wake(self._moment_of(self._mono_ms))
            if batch is not None:
                self.storing.add(batch)
        self._turned.set()

    async def obey(self) -> None:
        """What the seals have said since, and what is due: commits are waited for here, and nobody waits for this."""
        self._turned.clear()
        self._is_obeying = True
        while self._for_orders:
            await self._orders.hear(self._for_orders.popleft(), self)
        await self._orders.work(self)
        self._is_obeying = False
        self.obeyed_mono_ms = self._clock.mono_ms()

    async def record(self, fact: OrderDone, memory: Mapping[str, bytes | None]) -> None:
        """What became of an order: its record, and what belongs to it, in one transaction at once."""
        moment = self._moment_of(self._mono_ms)
        kept = self._recorder.take(fact, moment, "unit")
        self.storing.remember_with(self._records_added + len(kept), memory)
        self._add(kept)
        batch = self._sealer.close_now(Closing.URGENT, moment)
        assert batch is not None, "it holds the result at least"
        self.storing.add(batch)
        await self.storing.work()

    async def note(self, fact: SealEvent) -> None:
        """What the unit itself has found out about a seal."""
        self._add(self._recorder.take(fact, self._moment_of(self._mono_ms), "unit"))

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
        """Of the cores on this way. Orders that wait for a commit are asked again behind it."""
        return {
            "timekeeper": self._timekeeper.next_deadline(),
            "recorder": self._recorder.next_deadline(),
            "sealer": self._sealer_due_ms(),
            "orders": None if self._is_obeying else self._orders.next_deadline(),
        }

    def tasks_ms(self, mono_ms: int) -> dict[str, int]:
        """Since when each task has not turned. An order that waits for its commit is as late as the store is."""
        turned_ms = {
            "facts": self.turned_mono_ms,
            "store": self.storing.turned_mono_ms,
            "orders": max(
                self.obeyed_mono_ms,
                self.storing.turned_mono_ms if len(self.storing.waiting) else 0,
            ),
        }
        return {name: mono_ms - at_ms for name, at_ms in turned_ms.items()}

    async def stop(self, cause: int) -> None:
        """The last event, and whatever is still open: after it the chain may be called clean."""
        await self.obey()
        self._mono_ms = max(self._mono_ms, self._clock.mono_ms())
        moment = self._moment_of(self._mono_ms)
        for kept in self._begun.values():
            self._add(kept)
        self._add(self._recorder.take(Stop(cause=cause), moment, "unit"))
        batch = self._sealer.close_now(Closing.STOP, moment)
        if batch is not None:
            self.storing.add(batch)
        await self.storing.work()

    def _tell_orders(self, fact: AnyFact) -> None:
        if isinstance(fact, SealReport | SealEvent | SealAnswer | SealSilence):
            if len(self._for_orders) == FOR_ORDERS_MAX:
                self.counters["not_told_to_orders"] += 1
            self._for_orders.append(fact)

    def _add_and_acknowledge(
        self, kept: Sequence[Kept], source: str, fact: Fact, ack: bytes
    ) -> None:
        """A device waits for our word on `fact`; refused by a limit, it keeps it and says it again."""
        if not self._recorder.may_acknowledge:
            self.counters["acks_withheld"] += 1
            self.storing.forget(source, fact)
            self._add(kept)
            return
        self._add(kept, ack_waits=True)
        self.storing.acknowledge_after(self._records_added, source, fact, ack)

    def _add(self, kept: Sequence[Kept], *, ack_waits: bool = False) -> None:
        self._records_added += len(kept)
        self.counters["records"] += len(kept)
        self.seen.kept(kept, self._mono_ms)
        moment = self._moment_of(self._mono_ms)
        self._sealer.state(sealed=self._recorder.sealed, moving=bool(self._recorder.moving))
        for batch in self._sealer.add(kept, moment, ack_waits=ack_waits):
            self.storing.add(batch)

    def _sealer_due_ms(self) -> int | None:
        """When the open batch wants to be closed; it stays open while too many wait for their commit."""
        return None if self.storing.waiting.is_behind else self._sealer.next_deadline()

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
        now_ms = self._clock.mono_ms()
        dues = self.deadlines().values()
        due_ms = min((due for due in dues if due is not None), default=now_ms + PAUSE_MS_MAX)
        return min(max(due_ms - now_ms, 0), PAUSE_MS_MAX) / 1000
