"""The main way in: stream UP of a NATS server, by durable pull consumers (SCALE sections 2, 3 and 8).

Law: the stream is a buffer. It may be empty, full or newly made at any time; nothing is concluded from that.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    SubjectTransform,
)
from nats.js.errors import NotFoundError

from collector.io import Arrived, BrokerLostError, BrokerSickError, TickBounds
from collector.io.lanes import Lanes
from wire.topics import Up

STREAM = "UP"
ACK_WAIT_S = (
    60  # a tick takes far less; what is not acknowledged by then comes again and is a duplicate
)
ACKS_PENDING_MAX = 4_096  # more than two consumers' credit, so that the server never holds back
CREDIT_MAX = 1_024  # of each consumer: two ticks wait here while one is committed
CONNECT_S_MAX = 5
CHECK_S = 5  # an expired or deleted consumer is noticed after so long at the latest, and a stream that takes nothing
PINGS_MAX = 2
PROBES = 2  # one may meet a busy moment; two in a row do not

PROBE = "~"  # no unit_id: who speaks when nobody does, to see whether the stream still stores

LANES = (Up.EARLY, Up.HELLO, Up.BATCH)  # `state` is a hint and in no stream

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    partitions: int = 2
    bytes_max: int = 1 << 30
    age_s_max: int = 86_400
    bounds: TickBounds = field(default_factory=TickBounds)


def stream_config(settings: StreamSettings) -> StreamConfig:
    """UP: every lane of every unit, spread over the partitions when it is stored."""
    return StreamConfig(
        name=STREAM,
        subjects=[f"plomba.1.up.*.{lane.value}" for lane in LANES],
        subject_transform=SubjectTransform(
            src="plomba.1.up.*.*",
            dest=f"part.{{{{partition({settings.partitions},1)}}}}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}",
        ),
        retention=RetentionPolicy.WORK_QUEUE,  # what is acknowledged is committed, and has no business here
        discard=DiscardPolicy.NEW,  # the unit keeps what is refused; old ones in order are worth more
        storage=StorageType.FILE,
        max_bytes=settings.bytes_max,
        max_age=settings.age_s_max,
        num_replicas=1,
    )


def consumer_configs(partition: int) -> tuple[ConsumerConfig, ConsumerConfig]:
    """u<p> with the lanes that go first, and b<p>."""

    def of(name: str, lanes: Iterable[Up]) -> ConsumerConfig:
        return ConsumerConfig(
            durable_name=f"{name}{partition}",
            filter_subjects=[f"part.{partition}.*.{lane.value}" for lane in lanes],
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=ACKS_PENDING_MAX,
            max_deliver=-1,  # a unit may be silenced by nobody; bad bytes get a verdict and are acknowledged
        )

    return of("u", (Up.EARLY, Up.HELLO)), of("b", (Up.BATCH,))


def topic_of(subject: str) -> str:
    """The MQTT topic of a subject of the stream: `part.1.unit-7.batch` was `plomba/1/up/unit-7/batch`."""
    _, _, unit_id, lane = subject.split(".", 3)
    return f"plomba/1/up/{unit_id}/{lane}"


class JetStreamIn:
    """One connection with the consumers of its partitions. A WayIn."""

    def __init__(
        self, connection: Client, settings: StreamSettings, partitions: Sequence[int]
    ) -> None:
        self._connection = connection
        self._jetstream: JetStreamContext = connection.jetstream()
        self._settings = settings
        self._partitions = partitions
        self._lanes = Lanes(2 * len(partitions), settings.bounds)
        names = [f"u{p}" for p in partitions] + [f"b{p}" for p in partitions]
        self._pulls = [_Pull(name, self._lanes, lane) for lane, name in enumerate(names)]

    async def begin(self) -> None:
        """Make stream and consumers if they are not there, and ask for messages."""
        with _as_lost():
            await _ensure_stream(self._jetstream, self._settings)
            for partition in self._partitions:
                for consumer in consumer_configs(partition):
                    await _make_consumer(self._jetstream, consumer)
            for pull in self._pulls:
                await pull.begin(self._connection)

    async def fetch(self) -> list[Arrived]:
        while not await self._lanes.wait(CHECK_S):
            await self._check()
        tick = await self._lanes.tick()
        with _as_lost():
            for pull in self._pulls:
                await pull.top_up(self._connection)
        return tick

    async def ack(self, arrived: Sequence[Arrived]) -> None:
        with _as_lost():
            for one in arrived:
                assert isinstance(one.handle, Msg)
                await one.handle.ack()

    async def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:  # noqa: ARG002 - decision 0021: the desk says it again
        with _as_lost():
            await self._connection.publish(topic.replace("/", "."), payload)

    async def hear_states(self, hear: Callable[[str, bytes], None]) -> None:
        async def on_state(message: Msg) -> None:
            hear(message.subject.replace(".", "/"), message.data)

        with _as_lost():
            await self._connection.subscribe("plomba.1.up.*.state", cb=on_state)
            await self._connection.flush(CONNECT_S_MAX)

    def lose(self, why: str) -> None:
        """The connection has ended: whoever waits for a tick hears it."""
        self._lanes.lose(why)

    async def _check(self) -> None:
        """Consumers may be deleted, or their stream, while the connection stays: then nothing would ever come."""
        with _as_lost():
            for pull in self._pulls:
                await self._jetstream.consumer_info(STREAM, pull.consumer, timeout=CONNECT_S_MAX)
        # Once a write has failed (a full disk), nats-server refuses all further ones, also when there is room again, and
        # answers everything else as if nothing were wrong. A stream that is full for us is not idle: it is not asked.
        for left in reversed(range(PROBES)):
            try:
                await self._jetstream.publish(f"plomba.1.up.{PROBE}.hello", timeout=CONNECT_S_MAX)
            except (NatsError, OSError, TimeoutError) as error:
                if not left:
                    raise BrokerSickError(f"stream {STREAM} takes nothing: {error}") from error
            else:
                break


class _Pull:
    """The requests to one consumer. Its credit bounds what the server may send before a tick has taken it."""

    def __init__(self, consumer: str, lanes: Lanes, lane: int) -> None:
        self.consumer = consumer
        self._lanes = lanes
        self._lane = lane
        self._credit = 0
        self._inbox = ""

    async def begin(self, connection: Client) -> None:
        self._inbox = connection.new_inbox()
        await connection.subscribe(self._inbox, cb=self._take)
        await self.top_up(connection)

    async def top_up(self, connection: Client) -> None:
        # A request that is a bare number has no end: an idle night costs no message, and io needs no JSON.
        missing = CREDIT_MAX - self._credit - len(self._lanes.waiting[self._lane])
        if missing < CREDIT_MAX // 2:
            return
        self._credit += missing
        await connection.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self.consumer}",
            str(missing).encode(),
            reply=self._inbox,
        )

    async def _take(self, message: Msg) -> None:
        status = (message.headers or {}).get("Status")
        if status is not None:  # consumer deleted, leader changed: our requests are forgotten
            said = (message.headers or {}).get("Description", "")
            self._lanes.lose(f"consumer {self.consumer}: {status} {said}".strip())
            return
        self._credit -= 1
        topic = topic_of(message.subject)
        if topic.split("/")[3] == PROBE:
            await message.ack()
            return
        self._lanes.put(self._lane, Arrived(topic=topic, payload=message.data, handle=message))


@contextlib.asynccontextmanager
async def connect(
    url: str, settings: StreamSettings, partitions: Sequence[int] | None = None
) -> AsyncIterator[JetStreamIn]:
    """One connection, ready to fetch; BrokerLostError if it cannot be had.

    It is closed at the end and never mended, so that no request of an earlier life of the server is trusted.
    """
    way: JetStreamIn | None = None

    async def on_end(error: Exception | None = None) -> None:
        if way is not None:
            way.lose(str(error) or type(error).__name__ if error else "connection closed")

    async def on_closed() -> None:
        await on_end()

    with _as_lost():
        connection = await nats.connect(
            url,
            name="plomba-collector",
            allow_reconnect=False,
            connect_timeout=CONNECT_S_MAX,
            ping_interval=CHECK_S,
            max_outstanding_pings=PINGS_MAX,
            error_cb=on_end,
            disconnected_cb=on_closed,
            closed_cb=on_closed,
        )
    try:
        with _as_lost():
            way = JetStreamIn(connection, settings, partitions or tuple(range(settings.partitions)))
            await way.begin()
        yield way
    finally:
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            await connection.close()


async def _ensure_stream(jetstream: JetStreamContext, settings: StreamSettings) -> None:
    wanted = stream_config(settings)
    try:
        there = (await jetstream.stream_info(STREAM)).config
    except NotFoundError:
        log.info("making stream %s with %d partitions", STREAM, settings.partitions)
        await jetstream.add_stream(wanted)
        return
    if there.subject_transform == wanted.subject_transform:
        await jetstream.update_stream(wanted)
        return
    # Another number of partitions. The stream holds nothing that a unit would not send again.
    log.warning("stream %s has other partitions: making it anew", STREAM)
    await jetstream.delete_stream(STREAM)
    await jetstream.add_stream(wanted)


async def _make_consumer(jetstream: JetStreamContext, consumer: ConsumerConfig) -> None:
    # Always anew: what an earlier owner took and did not acknowledge would come only after ACK_WAIT_S and behind newer
    # batches; a new consumer of a work queue begins at the oldest, in order. And the earlier owner, if it lives, is told.
    assert consumer.durable_name is not None
    with contextlib.suppress(NotFoundError):
        await jetstream.delete_consumer(STREAM, consumer.durable_name)
    await jetstream.add_consumer(STREAM, consumer)


@contextlib.contextmanager
def _as_lost() -> Iterator[None]:
    try:
        yield
    except (NatsError, OSError, TimeoutError) as error:
        raise BrokerLostError(str(error) or type(error).__name__) from error
