"""The weather between a unit and its broker: a relay that counts, delays, loses, drops, refuses and goes deaf.

Law: it never changes a byte that it passes on, and never passes a part of a packet. What it did is counted; who asked for a fault can
see that it fell.
"""

import asyncio
import random
import socket
import ssl
import struct
import threading
import time
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.relay_mqtt import Kind, Packet, Splitter

READ_BYTES_MAX = 65_536
QUEUE_PACKETS_MAX = 1_024  # behind a slow line: then its sender is not read
ANSWER_S_MAX = 10.0
LOSS_WITHIN_S = 3.0  # a connection that is to be lost dies within this
SEGS_AT = 136  # of tcpi_segs_out in Linux's struct tcp_info; tcpi_segs_in follows
SEGMENT_HEAD_BYTES = 52  # IPv4 20, TCP 20, time stamps 12


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What holds from now on; the default is a good line."""

    name: str = "calm"
    refuses: bool = False  # nobody listens; open connections break
    deaf: bool = False  # connections are taken and stay, nothing passes
    drop_after: Kind | None = None  # ... of these down the line, the n-th, the connection breaks
    drop_after_n: int = 1
    drop_after_bytes: int | None = None  # both ways together
    loss: float = 0.0  # this share of new connections dies within seconds
    bytes_s: int | None = None  # each way
    delay_s: float = 0.0  # each way
    withholds: frozenset[Kind] = frozenset()  # these do not come down


CALM = Weather()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A packet that was passed on."""

    at_s: float  # on the monotonic axis
    link: int
    up: bool
    packet: Packet


class _Link:
    """One connection through the relay."""

    def __init__(self, number: int, near: StreamWriter, far: StreamWriter) -> None:
        self.number = number
        self.near = near
        self.far = far
        self.passed_bytes = 0
        self.passed: Counter[Kind] = Counter()  # down
        self.is_spoilt = False  # something of it was swallowed

    def abort(self) -> None:
        self.near.transport.abort()
        self.far.transport.abort()


class Relay:
    """One port of this machine relayed to another, in a thread of its own."""

    def __init__(
        self,
        *,
        port: int,
        broker_port: int,
        mqtt: bool = True,
        context: ssl.SSLContext | None = None,
        hear: Callable[[Seen], None] | None = None,
        seed: int = 0,
    ) -> None:
        """`mqtt` false: bytes are passed as they come. `context`: TLS ends here. `hear`: in the relay's thread."""
        self.port = port
        self.up_bytes = 0
        self.down_bytes = 0
        self.links = 0  # ever
        self.fallen: Counter[str] = Counter()  # by the weather that it fell in
        self._broker_port = broker_port
        self._mqtt = mqtt
        self._context = context
        self._hear = hear
        self._rng = random.Random(seed)  # noqa: S311  # a plan that can be repeated
        self._weather = CALM
        self._listener: socket.socket | None = None
        self._taking: set[asyncio.Task[None]] = set()
        self._open: dict[int, _Link] = {}
        self._segments = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self._do(self._change(CALM))

    # from any thread

    @property
    def weather(self) -> Weather:
        return self._weather

    @property
    def open_links(self) -> int:
        return len(self._open)

    def set(self, weather: Weather) -> None:
        """From now on; connections that cannot live in it break."""
        self._do(self._change(weather))

    def cut(self) -> None:
        """Every open connection breaks; new ones are taken."""
        self._do(self._break())

    def air_bytes(self) -> int:
        """Both ways on the unit's side, with the heads of the segments that the kernel counted."""
        return self._do(self._air())

    def close(self) -> None:
        """Everything breaks, and the thread ends."""
        self._do(self._change(Weather(name="end", refuses=True)))
        self._do(_last_words())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ANSWER_S_MAX)
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(ANSWER_S_MAX)

    # in the relay's thread

    async def _change(self, weather: Weather) -> None:
        self._weather = weather
        if weather.refuses:
            listener, self._listener = self._listener, None
            if listener is not None:
                self._loop.remove_reader(listener)
                listener.close()
            await self._break()
            return
        if not weather.deaf:
            for link in [one for one in self._open.values() if one.is_spoilt]:
                self._fell(link)
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1_024)
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        # By hand: asyncio's server forgets a connection half made when it is closed beside it (3.11), and warns of it later.
        try:
            near, _ = listener.accept()
        except OSError:
            return
        near.setblocking(False)
        task = self._loop.create_task(self._take(near), name="relay[take]")
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)

    async def _take(self, near: socket.socket) -> None:
        reader = StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, near, ssl=self._context
            )
        except OSError:
            near.close()
            return
        await self._relay(reader, StreamWriter(transport, protocol, reader, self._loop))

    async def _break(self) -> None:
        for link in list(self._open.values()):
            self._fell(link)

    def _fell(self, link: _Link) -> None:
        if self._open.pop(link.number, None) is not None:
            self.fallen[self._weather.name] += 1
            self._segments += _segments(link.near)
            link.abort()

    async def _air(self) -> int:
        segments = self._segments + sum(_segments(link.near) for link in self._open.values())
        return self.up_bytes + self.down_bytes + segments * SEGMENT_HEAD_BYTES

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._broker_port)
        except OSError:
            writer.transport.abort()
            return
        self.links += 1
        link = _Link(self.links, writer, far_writer)
        if self._weather.refuses:  # it was on its way when the weather turned
            link.abort()
            return
        self._open[link.number] = link
        if self._rng.random() < self._weather.loss:
            self._loop.call_later(self._rng.uniform(0, LOSS_WITHIN_S), self._fell, link)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, link, up=True), name="relay[up]")
                tasks.create_task(self._pump(far_reader, link, up=False), name="relay[down]")
        finally:
            if self._open.pop(link.number, None) is not None:
                self._segments += _segments(link.near)
            link.abort()

    async def _pump(self, reader: StreamReader, link: _Link, *, up: bool) -> None:
        """Read and cut into packets; what is due goes out in a task beside."""
        queue: asyncio.Queue[tuple[float, Packet] | None] = asyncio.Queue(QUEUE_PACKETS_MAX)
        splitter = Splitter()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pour(queue, link, up=up), name="relay[pour]")
            try:
                while data := await reader.read(READ_BYTES_MAX):
                    self.up_bytes += len(data) * up
                    self.down_bytes += len(data) * (not up)
                    packets = (
                        splitter.feed(data) if self._mqtt else [Packet(kind=Kind.RAW, data=data)]
                    )
                    for packet in packets:
                        await queue.put((time.monotonic() + self._weather.delay_s, packet))
            except OSError:
                pass
            finally:
                await queue.put(None)

    async def _pour(
        self, queue: "asyncio.Queue[tuple[float, Packet] | None]", link: _Link, *, up: bool
    ) -> None:
        writer = link.far if up else link.near
        try:
            while (due := await queue.get()) is not None:
                at_s, packet = due
                await asyncio.sleep(max(0.0, at_s - time.monotonic()))
                weather = self._weather
                if weather.bytes_s is not None:
                    await asyncio.sleep(len(packet.data) / weather.bytes_s)
                if weather.deaf:
                    link.is_spoilt = True
                    self.fallen[f"{weather.name}: packets"] += 1
                elif up or packet.kind not in weather.withholds:
                    writer.write(packet.data)
                    await writer.drain()
                    self._passed(link, packet, up=up)
                else:
                    self.fallen[f"{weather.name}: packets"] += 1
        except OSError:
            pass
        finally:
            # The end of one way is the end of both: no broker of ours half-closes.
            link.abort()
            while not queue.empty():
                queue.get_nowait()

    def _passed(self, link: _Link, packet: Packet, *, up: bool) -> None:
        if self._hear is not None:
            self._hear(Seen(at_s=time.monotonic(), link=link.number, up=up, packet=packet))
        link.passed_bytes += len(packet.data)
        link.passed[packet.kind] += not up
        weather = self._weather
        too_many = (
            weather.drop_after is not None
            and link.passed[weather.drop_after] >= weather.drop_after_n
        )
        too_much = (
            weather.drop_after_bytes is not None and link.passed_bytes >= weather.drop_after_bytes
        )
        if too_many or too_much:
            self._fell_softly(link)

    def _fell_softly(self, link: _Link) -> None:
        """What was passed on is really sent before the connection breaks: the broker said it, the unit hears it."""
        if self._open.pop(link.number, None) is not None:
            self.fallen[self._weather.name] += 1
            self._segments += _segments(link.near)
            link.near.close()
            self._loop.call_soon(link.far.transport.abort)


def _segments(writer: StreamWriter) -> int:
    """Sent and received so far, as the kernel counts them; 0 where it does not tell."""
    found = writer.get_extra_info("socket")
    try:
        told = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SEGS_AT + 8)
    except (OSError, AttributeError):
        return 0
    return sum(struct.unpack_from("II", told, SEGS_AT)) if len(told) >= SEGS_AT + 8 else 0


async def _last_words() -> None:
    """Until the connections that broke have ended, so that no socket stays open."""
    for _ in range(3):  # one that was just taken has no task yet
        ending = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait_for(asyncio.gather(*ending, return_exceptions=True), ANSWER_S_MAX)
        await asyncio.sleep(0.02)
