"""Where seals dial in by themselves: TCP in, batches of the gateway's own unit out (DEVICES 4.5).

Law: a frame is acknowledged after the commit of the batch that holds it, and a batch leaves for room only, with its receipt. What
is decided is `collector.gateway`'s; here are sockets, the clock and the shelf.
"""

import asyncio
import contextlib
import logging
import os
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from collector.gateway import SEALS_MAX, Heard, Identity, Moment, SealState, Taken, Tip, chain
from collector.gateway.link import WAITING_FACTS_MAX, Link, LinkSettings
from collector.gateway.records import Told, silences, tell
from collector.io import clock
from collector.io.backoff import PAUSE_MS_MIN, Trouble
from collector.io.gateway_store import FRAMES_MAX, FRAMES_MS, Book, GatewayStore, Waiting
from devices import Fact, SealAlive, SealEvent, SealReport
from wire import Refused
from wire.orders import Order, OrderKind, RefusedOrder
from wire.receipts import Receipt, RefusedReceipt
from wire.records import Record
from wire.topics import Down, Up, down, up

__all__ = ["GatewaySettings", "SealGateway"]

SEAL_S = 0.1  # a burst of rope, motor and alarm is one batch; with the commit the event is out within 200 ms
READ_BYTES = 4_096
WINDOW = 16  # batches in one hand-over, as a unit has in flight
EARLY_MAX = 8  # urgent ones that go ahead of a backlog
DELIVER_S = 0.4  # between two windows of a backlog: 40 a second, the collector bears 50 of one unit
HELLO_S = 300
WATCH_S = 5  # how exactly a silence is measured
WRITE_S_MAX = 10  # a seal that does not take its acknowledgement has gone
SAID_MAX = 256  # words of the collector that wait for us
TOLD_END_S = 60  # the same reason is in the log once a minute
ORDERS_REMEMBERED = 64

Said = tuple[str, bytes]  # topic and payload
Hand = Callable[[Sequence[Said]], Awaitable[None]]
T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """`[gateway]` of the config."""

    listen: str = ""  # host:port; empty: off
    unit: str = ""  # the gateway's own unit_id
    protocol: str = "auto"  # by the first bytes; or jt701, eseal, jt808
    key_file: Path | None = None  # gateway.key in the data directory
    seals: tuple[str, ...] = ()  # who may dial in; empty: any seal
    place_of: str = ""  # the seal whose places are the unit's fixes
    silent_s: int = 900  # SEAL_LOST after so long without a frame; 0: never
    idle_s: int = 300
    connections_max: int = 1_000
    bytes_max: int = 1 << 30  # without a receipt; then seals keep their frames
    utc_offset_min: int = 480  # of the clocks of jt808 locks
    eseal_config: str = ""  # what the Startup of an eSeal is acknowledged with


@dataclass(slots=True, eq=False)
class _Line:
    """One connection."""

    link: Link
    writer: asyncio.StreamWriter
    waiting: int = 0  # facts that are not committed
    free: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class _Owed:
    """A fact of a connection that waits for the commit. `taken` False: its frame is on its way already."""

    line: _Line
    fact: Fact
    taken: Taken | None
    name: bytes | None


class SealGateway:
    """Call `start`, then run `serve`, `deliver` and `watch` as tasks; `stop` at the end."""

    def __init__(
        self,
        settings: GatewaySettings,
        identity: Identity,
        store: Callable[[], GatewayStore],
        *,
        receipt_keys: Mapping[bytes, bytes],
        order_keys: Mapping[bytes, bytes],
        hand: Hand,
    ) -> None:
        """`hand` gives messages to the intake and returns when they are committed and answered; what is said to us comes by `hear`."""
        self.counters: Counter[str] = Counter()
        self._settings = settings
        self._identity = identity
        self._open_store = store
        self._receipt_keys, self._order_keys = receipt_keys, order_keys
        self._hand_over = hand
        # One thread: SQLite's connection is used by one at a time, and a commit must not hold up the loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gateway-store")
        self._store: GatewayStore | None = None
        self._tip: Tip | None = None
        self._boot_no = 0
        self._states: dict[str, SealState] = {}
        self._frames: dict[bytes, int] = {}  # committed, by hash, in the order of hearing
        self._under_way: set[bytes] = set()  # heard, not committed
        self._owed: list[_Owed] = []
        self._asked: list[Record] = []  # records of our own that wait for the next batch
        self._lines: set[_Line] = set()
        self._heard = asyncio.Event()
        self._sealed = asyncio.Event()
        self._said: deque[Said] = deque(maxlen=SAID_MAX)
        self._orders: deque[bytes] = deque(maxlen=ORDERS_REMEMBERED)
        self._early: deque[Waiting] = deque(maxlen=EARLY_MAX)
        self._full = False
        self._began_ms = 0
        self._told_end: dict[str, int] = {}
        self._delivery = Trouble(what="gateway's own intake")
        self._shelf = Trouble(what="gateway's shelf")
        self._commits = asyncio.Lock()
        self._link_settings = LinkSettings(
            protocol=settings.protocol,
            seals=frozenset(settings.seals),
            idle_ms=settings.idle_s * 1000,
            utc_offset_min=settings.utc_offset_min,
            eseal_config=settings.eseal_config or None,
        )

    # -- start and stop

    async def start(self) -> None:
        """Open the shelf, ask the collector what it holds of us, and seal the first batch. Raises GatewayStoreError."""
        self._store = await self._in_thread(self._open_store)
        book = await self._in_thread(self._store.read)
        self._states, self._frames = book.states, book.frames
        boot_id = clock.boot_id()
        same_boot = bool(boot_id) and book.boot_id == boot_id
        self._boot_no = max(book.boot_no, 0) if same_boot else book.boot_no + 1
        self._began_ms = clock.now_ms()
        if book.set_aside is not None:
            log.error("the gateway's shelf was damaged: it lies at %s, a new chain", book.set_aside)
        begin = chain.begin_of(
            book.tip,
            same_boot=same_boot,
            clean=book.clean,
            store_lost=book.set_aside is not None,
        )
        ahead = await self._compare(book)
        if ahead is not None:
            begin = chain.Begin(reason=chain.REASON_ROLLED_BACK, before=ahead)
        await self._in_thread(self._store.begin, boot_id, self._boot_no)
        at = self._moment()
        records: list[Record] = []
        if begin.reason is None:
            self._tip = begin.before
        else:
            self._tip = chain.new_tip(self._identity, os.urandom(16))
            records.append(chain.genesis(begin, at))
        records.append(chain.boot_record(self._boot_no, at, clean=book.clean))
        await self._commit(records, Told(records=(), states={}, urgent=False), (), at)

    async def stop(self) -> None:
        """Take what was heard, say so, and close. Without it the next start knows that we were killed."""
        if self._store is None:
            return
        with contextlib.suppress(Exception):  # the shelf may be what failed
            # A commit may have been under way when its task was ended: the shelf knows where the chain is.
            self._tip = (await self._in_thread(self._store.read)).tip
            await self._flush(clean=True)
        for line in list(self._lines):
            line.writer.close()
        with contextlib.suppress(Exception):
            await self._in_thread(self._store.close)
        self._thread.shutdown(wait=False)

    # -- the three tasks

    async def serve(self) -> None:
        """Take connections, for ever."""
        host, _, port = self._settings.listen.rpartition(":")
        server = await asyncio.start_server(
            self._serve_one, host.strip("[]"), int(port), limit=2 * READ_BYTES
        )
        log.info(
            "gateway %s listens for seals at %s, key %s",
            *(self._identity.unit_id, self._settings.listen, self._identity.public_key.hex()),
        )
        async with server:
            while True:
                await self._heard.wait()
                await asyncio.sleep(SEAL_S)
                self._heard.clear()
                await self._flush()

    async def deliver(self) -> None:
        """Hand batches to the intake until each has its receipt, for ever."""
        hello_due_ms = 0
        while True:
            now_ms = clock.mono_ms()
            if now_ms >= hello_due_ms:
                hello_due_ms = now_ms + HELLO_S * 1000
                await self._try(self._greetings)
            done = await self._try(self._window)
            if done is None:
                continue  # it failed and has waited
            if done:
                await asyncio.sleep(DELIVER_S)
                continue
            self._sealed.clear()
            wait_s = max(hello_due_ms - clock.mono_ms(), 0) / 1000
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._sealed.wait(), wait_s)

    async def watch(self) -> None:
        """Tell of seals that have fallen silent."""
        silent_ms = self._settings.silent_s * 1000
        while True:
            await asyncio.sleep(WATCH_S)
            self._frames = _young(self._frames, clock.now_ms())
            if silent_ms:
                async with self._commits:
                    at = self._moment()
                    told = silences(self._states, at, silent_ms, self._began_ms)
                    if told.records:
                        await self._try_commit((), told, (), at)

    # -- what the collector says

    def hear(self, topic: str, payload: bytes) -> bool:
        """Take a message that is for us; False for one that is not."""
        words = {down(self._identity.unit_id, what): what for what in Down}
        if topic not in words:
            return False
        self._said.append((topic, payload))
        self._sealed.set()
        return True

    # -- one connection

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._lines) >= self._settings.connections_max:
            self._end("too_many_connections", None)
            writer.close()
            return
        line = _Line(Link(self._link_settings, clock.now_ms()), writer)
        self._lines.add(line)
        self.counters["connections"] += 1
        end = "closed"
        try:
            end = await self._talk(line, reader)
        except (OSError, TimeoutError):
            end = "lost"
        finally:
            self._lines.discard(line)
            self._end(end, line.link.seal_id)
            writer.close()

    async def _talk(self, line: _Line, reader: asyncio.StreamReader) -> str:
        """Read until the connection is over; the reason."""
        while True:
            wait_s = max(line.link.next_deadline() - clock.now_ms(), 0) / 1000
            try:
                async with asyncio.timeout(wait_s):
                    data = await reader.read(READ_BYTES)
            except TimeoutError:
                heard = line.link.wake(clock.now_ms())
            else:
                if not data:
                    return "closed"
                heard = line.link.feed(data, clock.now_ms())
            end = self._take(line, heard)
            if heard.reply:
                await self._write(line, heard.reply)
            if end is not None:
                return end
            while line.waiting >= WAITING_FACTS_MAX:
                line.free.clear()
                await line.free.wait()

    def _take(self, line: _Line, heard: Heard) -> str | None:
        """Put facts where the next batch takes them; the reason if the connection is over."""
        at = self._moment()
        fresh: set[bytes] = set()  # an event and a report may come in one frame
        for fact in heard.facts:
            assert isinstance(fact, SealReport | SealEvent | SealAlive)
            if fact.seal_id not in self._states and len(self._states) >= SEALS_MAX:
                return "too_many_seals"
            if self._full and not isinstance(fact, SealAlive):
                line.link.forget(fact)  # no room: the seal keeps it, and says it again
                self.counters["refused_full"] += 1
                continue
            name = None if isinstance(fact, SealAlive) else _name_of(fact.frame)
            self._owe(line, fact, name, at, fresh)
        return heard.end

    def _owe(
        self, line: _Line, fact: Fact, name: bytes | None, at: Moment, fresh: set[bytes]
    ) -> None:
        taken: Taken | None = Taken(fact=fact, at=at)
        if name is not None and name not in fresh:
            if name in self._frames or name in self._under_way:
                self.counters["repeated"] += 1
                taken = None  # known by its hash: only its acknowledgement is missing
            else:
                fresh.add(name)
                self._under_way.add(name)
        line.waiting += 1
        self._owed.append(_Owed(line, fact, taken, name))
        self._heard.set()

    async def _write(self, line: _Line, data: bytes) -> None:
        line.writer.write(data)
        async with asyncio.timeout(WRITE_S_MAX):
            await line.writer.drain()

    def _end(self, reason: str, seal_id: str | None) -> None:
        self.counters[f"end_{reason}"] += 1
        now_ms = clock.mono_ms()
        quiet = reason in {"closed", "lost", "idle"}
        if quiet or now_ms - self._told_end.get(reason, -(10**9)) < TOLD_END_S * 1000:
            return
        self._told_end[reason] = now_ms
        log.warning("gateway ends a connection (%s): %s", seal_id or "no seal yet", reason)

    # -- batches

    async def _flush(self, *, clean: bool = False) -> None:
        """One commit of all that was heard, then the acknowledgements."""
        async with self._commits:
            owed, self._owed = self._owed, []
            asked, self._asked = self._asked, []
            at = self._moment()
            taken = [one.taken for one in owed if one.taken is not None]
            told = tell(taken, self._states, place_of=self._place_of(taken))
            names = tuple({one.name for one in owed if one.taken is not None and one.name})
            last = (chain.stop_record(at),) if clean else ()
            try:
                told = replace(told, records=(*told.records, *last))
                stored = await self._try_commit(asked, told, names, at, clean=clean)
            finally:
                self._under_way.difference_update(names)
            if not stored:
                self._asked = asked + self._asked
        for one in owed:
            one.line.waiting -= 1
            one.line.free.set()
            # A repeat has no record of its own: what counts is that its frame is stored, by whichever commit.
            if stored and (one.name is None or one.name in self._frames):
                self._acknowledge(one)
            else:
                one.line.link.forget(one.fact)

    def _acknowledge(self, one: _Owed) -> None:
        one.line.link.acknowledged(one.fact)
        ack = one.fact.ack if isinstance(one.fact, SealReport | SealEvent) else None
        if ack is None or one.line.writer.is_closing():
            return
        if one.line.writer.transport.get_write_buffer_size() > READ_BYTES:
            return  # it does not read: it will say its frame again
        self.counters["acks"] += 1
        one.line.writer.write(ack)

    async def _try_commit(
        self,
        records: Sequence[Record],
        told: Told,
        names: Sequence[bytes],
        at: Moment,
        *,
        clean: bool = False,
    ) -> bool:
        """False if the shelf refused: nothing is acknowledged then, and the seals keep what they have."""
        now_ms = clock.mono_ms()
        try:
            await self._commit(records, told, names, at, clean=clean)
        except Exception as error:  # noqa: BLE001 - whatever a disk says, no seal may be told that its frame is stored
            self._shelf.failed(str(error), now_ms)
            self.counters["commit_errors"] += 1
            return False
        self._shelf.works(now_ms)
        return True

    async def _commit(
        self,
        records: Sequence[Record],
        told: Told,
        names: Sequence[bytes],
        at: Moment,
        *,
        clean: bool = False,
    ) -> None:
        assert self._store is not None
        assert self._tip is not None
        everything = (*records, *told.records)
        if not everything:
            self._states.update(told.states)  # heartbeats: who was heard, and no more
            return
        batches, tip = chain.make_batches(
            everything, self._tip, self._identity, boot_no=self._boot_no, at=at
        )
        await self._in_thread(
            partial(
                self._store.commit,
                batches,
                tip,
                urgent=told.urgent,
                states=told.states,
                frames=names,
                now_ms=at.utc_ms,
                clean=clean,
            )
        )
        self._tip = tip
        self._states.update(told.states)
        self._frames.update(dict.fromkeys(names, at.utc_ms))
        self.counters["batches"] += len(batches)
        self.counters["records"] += len(everything)
        if told.urgent:
            self._early.extend(
                Waiting(pos=one.batch_no, envelope=one.envelope, urgent=True) for one in batches
            )
        self._sealed.set()

    # -- delivery

    async def _try(self, step: Callable[[], Awaitable[bool]]) -> bool | None:
        """One step of the delivery; None if it failed, after the pause that it deserves."""
        try:
            done = await step()
        except Exception as error:  # noqa: BLE001 - the collector's store or ours: both are tried again
            await asyncio.sleep(self._delivery.failed(str(error)[:200], clock.mono_ms()))
            return None
        return done

    async def _greetings(self) -> bool:
        """A hello for each chain that still waits, the current one last."""
        assert self._store is not None
        holds = await self._in_thread(self._store.holds)
        at = self._moment()
        topic = up(self._identity.unit_id, Up.HELLO)
        await self._hand(
            [
                (topic, chain.greeting(hold, self._identity, boot_no=self._boot_no, at=at))
                for hold in holds
            ]
        )
        return True

    async def _window(self) -> bool:
        """Hand over the oldest batches; whether more wait. Raises if not one of them got its receipt."""
        assert self._store is not None
        await self._obey()
        before = await self._in_thread(self._store.waiting_count)
        await self._look_at_room()
        early = [one.envelope for one in self._early] if before > WINDOW else []
        self._early.clear()
        if not before:
            return False
        # Who gets no receipt asks with one batch: sixteen would fill the quarantine and teach nothing more.
        count_max = WINDOW if self._delivery.since_ms is None else 1
        window = await self._in_thread(self._store.waiting, count_max)
        name = self._identity.unit_id
        said = [(up(name, Up.EARLY), envelope) for envelope in early]
        said += [(up(name, Up.BATCH), one.envelope) for one in window]
        receipted = self.counters["receipted"]
        await self._hand(said)
        if self.counters["receipted"] == receipted:
            raise _NoReceiptError("no receipt: is its unit enrolled? plomba collector gateway")
        self._delivery.works(clock.mono_ms())
        self._delivery.pause_ms = PAUSE_MS_MIN
        await self._look_at_room()
        return await self._in_thread(self._store.waiting_count) > 0

    async def _look_at_room(self) -> None:
        """Whether seals may go on: beyond the bound they keep what they have."""
        assert self._store is not None
        full = await self._in_thread(self._store.bytes_used) > self._settings.bytes_max
        if full is not self._full:
            log.warning("the gateway's shelf %s", "is full" if full else "has room again")
        self._full = full

    async def _hand(self, said: Sequence[Said]) -> None:
        await self._hand_over(said)
        await self._obey()

    async def _compare(self, book: Book) -> Tip | None:
        """What the collector holds of our chain beyond what we know: then ours was rolled back (WIRE section 7)."""
        if book.tip is None or book.tip.batch_no < 0:
            return None
        assert self._store is not None
        holds = await self._in_thread(self._store.holds)
        at, topic = self._moment(), up(self._identity.unit_id, Up.HELLO)
        for hold in holds:
            await self._hand_over(
                [(topic, chain.greeting(hold, self._identity, boot_no=self._boot_no, at=at))]
            )
        known = await self._in_thread(self._store.known)
        ahead: Tip | None = None
        for topic, payload in self._said:
            if topic != down(self._identity.unit_id, Down.RECEIPT):
                continue
            word = chain.receipt_of(payload, self._identity, self._receipt_keys, known)
            receipt = word.receipt if isinstance(word, RefusedReceipt) else None
            if receipt is None or receipt.chain_id != book.tip.chain_id:
                continue
            if receipt.through_batch_no > book.tip.batch_no:
                ahead = Tip(
                    chain_id=receipt.chain_id,
                    batch_no=receipt.through_batch_no,
                    head=receipt.head,
                    next_seq=0,
                )
        return ahead

    async def _obey(self) -> None:
        """What the collector has said since we looked last."""
        while self._said:
            topic, payload = self._said.popleft()
            what = Down(topic.rsplit("/", 1)[-1])
            if what is Down.RECEIPT:
                await self._believe(payload)
            elif what in (Down.ORDER, Down.CONFIG):
                await self._judge_order(payload, what)

    async def _believe(self, payload: bytes) -> None:
        assert self._store is not None
        known = await self._in_thread(self._store.known)
        word = await self._in_thread(
            partial(chain.receipt_of, payload, self._identity, self._receipt_keys, known)
        )
        if isinstance(word, Receipt):
            covered = await self._in_thread(self._store.cover, word.chain_id, word.through_batch_no)
            self.counters["receipted"] += covered
        else:
            self.counters[f"receipt_{word.reason.value}"] += 1

    async def _judge_order(self, payload: bytes, what: Down) -> None:
        assert self._store is not None
        at = self._moment()
        word = chain.order_of(payload, what, self._identity, self._order_keys, at.utc_ms)
        if isinstance(word, Refused) and not isinstance(word, RefusedOrder):
            self.counters[f"order_{word.reason.value}"] += 1
            return
        order: Order = word.order if isinstance(word, RefusedOrder) else word
        if isinstance(word, Order) and order.kind == OrderKind.RESEND_FROM:
            chain_id, number = order.data
            assert isinstance(chain_id, bytes)
            assert isinstance(number, int)
            await self._in_thread(self._store.uncover, chain_id, number)
        elif isinstance(word, Order) and order.kind == OrderKind.REPORT_NOW:
            await self._greetings()
        elif order.order_id not in self._orders:
            self._orders.append(order.order_id)
            answer = chain.answer_to(word, at)
            if answer is not None:
                self._asked.append(answer)
                self._heard.set()

    # -- small things

    def _place_of(self, taken: Sequence[Taken]) -> str:
        """The seal whose places are the unit's: the one that is set, else the only one there ever was."""
        if self._settings.place_of:
            return self._settings.place_of
        facts = [one.fact for one in taken if isinstance(one.fact, SealReport | SealEvent)]
        seals = {*self._states, *(fact.seal_id for fact in facts)}
        return seals.pop() if len(seals) == 1 else ""

    def _moment(self) -> Moment:
        return Moment(utc_ms=clock.now_ms(), boot_ms=clock.boot_ms(), quality=clock.time_quality())

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(call, *arguments))


class _NoReceiptError(Exception):
    """The collector has committed nothing of what it was given."""


def _name_of(frame: bytes) -> bytes:
    return blake2b(frame, digest_size=16).digest()


def _young(frames: dict[bytes, int], now_ms: int) -> dict[bytes, int]:
    """The frames that may still be repeated; the newest of too many."""
    young = {name: at_ms for name, at_ms in frames.items() if now_ms - at_ms < FRAMES_MS}
    extra = len(young) - FRAMES_MAX
    return dict(list(young.items())[extra:]) if extra > 0 else young
