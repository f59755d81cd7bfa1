"""Where seals dial in by themselves: TCP in, batches of the gateway's own unit out (DEVICES 4.5).

Law: a frame is acknowledged after the commit of the batch that holds it. What is decided is `collector.gateway`'s; here are the
connections, `gateway_keeper` has the chain and `gateway_delivery` the way to the intake.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from collector.gateway import SEALS_MAX, Heard, Identity, Moment, Taken, chain
from collector.gateway.link import WAITING_FACTS_MAX, Link, LinkSettings
from collector.gateway.records import silences, tell
from collector.io import clock
from collector.io.gateway_delivery import Delivery, Hand
from collector.io.gateway_keeper import Keeper, moment
from collector.io.gateway_store import GatewayStore
from devices import Fact, SealAlive, SealEvent, SealReport
from wire.records import Record

__all__ = ["GatewayError", "GatewaySettings", "SealGateway"]

SEAL_S = 0.1  # a burst of rope, motor and alarm is one batch; with the commit the event is out within 200 ms
READ_BYTES = 4_096
WATCH_S = 5  # how exactly a silence is measured
WRITE_S_MAX = 10  # a seal that does not take its acknowledgement has gone
TOLD_END_MS = 60_000  # the same reason is in the log once a minute
QUIET_ENDS = frozenset({"closed", "lost", "idle"})  # what modems do all day

log = logging.getLogger(__name__)


class GatewayError(Exception):
    """The gateway cannot listen, and what an operator can do about it."""


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
    """Call `start` and `listen`, then run `serve`, `deliver` and `watch` as tasks; `stop` at the end."""

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
        self.keeper = Keeper(identity, store, self.counters)
        self.delivery = Delivery(
            self.keeper,
            receipt_keys=receipt_keys,
            order_keys=order_keys,
            hand=hand,
            bytes_max=settings.bytes_max,
            answer=self._say,
        )
        self._settings = settings
        self._server: asyncio.Server | None = None
        self._began_ms = 0
        self._under_way: set[bytes] = set()  # heard, not committed
        self._owed: list[_Owed] = []
        self._own: list[Record] = []  # records of our own that wait for the next batch
        self._lines: set[_Line] = set()
        self._heard = asyncio.Event()
        self._told_end: dict[str, int] = {}  # as many keys as there are reasons
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
        book = await self.keeper.open()
        self._began_ms = clock.now_ms()
        await self.keeper.begin(book, await self.delivery.compare(book))

    async def listen(self) -> None:
        """Take the address; nobody is answered before `serve`. Raises GatewayError."""
        host, _, port = self._settings.listen.rpartition(":")
        try:
            self._server = await asyncio.start_server(
                self._serve_one,
                *(host.strip("[]"), int(port)),
                limit=2 * READ_BYTES,
                start_serving=False,
            )
        except OSError as error:
            raise GatewayError(
                f"gateway.listen: {self._settings.listen}: {error.strerror}; choose another address"
            ) from error
        own = self.keeper.identity
        log.info(
            "gateway %s listens for seals at %s, key %s",
            *(own.unit_id, self._settings.listen, own.public_key.hex()),
        )

    async def stop(self) -> None:
        """Take what was heard, say so, and close. Without it the next start knows that we were killed."""
        with contextlib.suppress(Exception):  # the shelf may be what failed
            await self.keeper.look_again()
            await self.flush(clean=True)
        for line in list(self._lines):
            line.writer.close()
        log.info("gateway stopped: %s", dict(sorted(self.counters.items())))
        with contextlib.suppress(Exception):
            await self.keeper.close()

    # -- the three tasks

    async def serve(self) -> None:
        """Take connections and what they say, for ever."""
        assert self._server is not None
        async with self._server:
            await self._server.start_serving()
            while True:
                await self._heard.wait()
                await asyncio.sleep(SEAL_S)
                self._heard.clear()
                await self.flush()

    async def deliver(self) -> None:
        """Hand batches to the intake until each has its receipt, for ever."""
        await self.delivery.run()

    async def watch(self) -> None:
        """Tell of seals that have fallen silent, for ever."""
        silent_ms = self._settings.silent_s * 1000
        while True:
            await asyncio.sleep(WATCH_S)
            self.keeper.forget_old_frames(clock.now_ms())
            if not silent_ms:
                continue
            async with self._commits:
                at = moment()
                told = silences(self.keeper.states, at, silent_ms, self._began_ms)
                if told.records:
                    await self.keeper.commit(told, (), at)

    def tally(self) -> dict[str, int]:
        """What was counted since the start, on connections that stand too; and how many stand."""
        whole = Counter(self.counters)
        for line in self._lines:
            whole.update(line.link.totals())
        return {**whole, "open": len(self._lines)}

    def hear(self, topic: str, payload: bytes) -> bool:
        """Take a message of the collector that is for us; False for one that is not."""
        return self.delivery.hear(topic, payload)

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
            self.counters.update(line.link.totals())
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
            end = self.take(line, heard)
            if heard.reply:
                await self._write(line, heard.reply)
            if end is not None:
                return end
            while line.waiting >= WAITING_FACTS_MAX:
                line.free.clear()
                await line.free.wait()

    def take(self, line: _Line, heard: Heard) -> str | None:
        """Put facts where the next batch takes them; the reason if the connection is over."""
        at = moment()
        fresh: set[bytes] = set()  # an event and a report may come in one frame
        for fact in heard.facts:
            assert isinstance(fact, SealReport | SealEvent | SealAlive)
            if fact.seal_id not in self.keeper.states and len(self.keeper.states) >= SEALS_MAX:
                return "too_many_seals"
            if self.delivery.is_full and not isinstance(fact, SealAlive):
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
            if name in self.keeper.frames or name in self._under_way:
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
        told_ms = self._told_end.get(reason)
        if reason in QUIET_ENDS or (told_ms is not None and now_ms - told_ms < TOLD_END_MS):
            return
        self._told_end[reason] = now_ms
        log.warning("gateway ends a connection (%s): %s", seal_id or "no seal yet", reason)

    # -- batches

    async def flush(self, *, clean: bool = False) -> None:
        """One commit of all that was heard, then the acknowledgements."""
        async with self._commits:
            owed, self._owed = self._owed, []
            own, self._own = self._own, []
            at = moment()
            taken = [one.taken for one in owed if one.taken is not None]
            told = tell(taken, self.keeper.states, place_of=self.place_of(taken))
            last = (chain.stop_record(at),) if clean else ()
            told = replace(told, records=(*own, *told.records, *last))
            names = tuple({one.name for one in owed if one.taken is not None and one.name})
            try:
                stored = await self.keeper.commit(told, names, at, clean=clean)
            finally:
                self._under_way.difference_update(names)
            if not stored:
                self._own = own + self._own
        for one in owed:
            one.line.waiting -= 1
            one.line.free.set()
            # A repeat has no record of its own: what counts is that its frame is stored, by whichever commit.
            if stored and (one.name is None or one.name in self.keeper.frames):
                self._acknowledge(one)
            else:
                one.line.link.forget(one.fact)

    def place_of(self, taken: Sequence[Taken]) -> str:
        """The seal whose places are the unit's: the one that is set, else the only one there ever was."""
        if self._settings.place_of:
            return self._settings.place_of
        facts = [one.fact for one in taken if isinstance(one.fact, SealReport | SealEvent)]
        seals = {*self.keeper.states, *(fact.seal_id for fact in facts)}
        return seals.pop() if len(seals) == 1 else ""

    def _say(self, record: Record) -> None:
        """A record of our own, in the next batch."""
        self._own.append(record)
        self._heard.set()

    def _acknowledge(self, one: _Owed) -> None:
        one.line.link.acknowledged(one.fact)
        ack = one.fact.ack if isinstance(one.fact, SealReport | SealEvent) else None
        if ack is None or one.line.writer.is_closing():
            return
        if one.line.writer.transport.get_write_buffer_size() > READ_BYTES:
            return  # it does not read: it will say its frame again
        self.counters["acks"] += 1
        one.line.writer.write(ack)


def _name_of(frame: bytes) -> bytes:
    return blake2b(frame, digest_size=16).digest()
