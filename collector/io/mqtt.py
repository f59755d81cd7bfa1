"""The other way in: any MQTT broker that a site already runs (SCALE section 1), tried with Mosquitto.

Law: one client object a connection, never mended by the library; PUBACK only after the commit.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from paho.mqtt.client import (
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from collector.io import Arrived, BrokerLostError, TickBounds
from collector.io.lanes import Lanes

PORTS = {"mqtt": 1_883, "mqtts": 8_883}
KEEPALIVE_S = 30
CONNECT_S_MAX = 15  # name, TCP, TLS, CONNACK, SUBACK
STOP_S_MAX = 2  # then the thread is left behind: it is a daemon
SESSION_S = (
    86_400  # how long the broker holds messages for us while we are away; units hold them anyway
)
RECEIVE_MAX = 512  # one tick; Mosquitto's own default is 20, see `max_inflight_messages`
PACKET_BYTES_MAX = 65_536
WAITING_MAX = (
    8 * RECEIVE_MAX
)  # messages that are in no tick yet: no window holds QoS 0 back, nor a broker that keeps none
UNSUPPORTED_VERSION = (0x84, 1)  # as MQTT 5 says it, as 3.1.1 says it

UP_FILTERS = tuple(f"plomba/1/up/+/{lane}" for lane in ("early", "hello", "batch"))
STATE_FILTER = "plomba/1/up/+/state"
URGENT = ("early", "hello")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """`[mqtt]` of the config."""

    server: str = ""  # mqtt://host[:port] or mqtts://host[:port]
    client_id: str = (
        "plomba-collector"  # keeps its session; each collector on one broker needs its own
    )
    share: str = "plomba"  # the group of the shared subscription; "" for none (MQTT 3.1.1 has none)
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None  # mqtts: only this authority is trusted
    cert_file: Path | None = None
    key_file: Path | None = None


def endpoint(server: str) -> tuple[str, int, bool]:
    """Host, port and whether with TLS; ValueError for what is no such address."""
    parts = urlsplit(server)
    if parts.scheme not in PORTS or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f"{server!r} is not mqtt://host[:port] or mqtts://host[:port]")
    return parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme == "mqtts"


class MqttIn:
    """One connection to one broker. A WayIn."""

    def __init__(self, settings: MqttSettings, bounds: TickBounds, *, version: int) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._lanes = Lanes(2, bounds)  # urgent, batch
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._granted: asyncio.Future[None] = self._loop.create_future()
        self._hear: Callable[[str, bytes], None] | None = None
        self._came = self._gone = 0  # messages, counted in paho's thread and in ours
        self.dropped = 0
        self.version = version
        self._client = self._make_client()

    async def begin(self) -> None:
        """Connect and subscribe; BrokerLostError if that fails within 15 s."""
        host, port, _ = endpoint(self._settings.server)
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                # A thread of its own: the name may be slow to resolve, and paho would wait for it here.
                await asyncio.to_thread(self._connect, host, port)
                self._client.loop_start()
                await self._connected
                self._subscribe()
                await self._granted
        except TimeoutError as error:
            raise BrokerLostError(f"no answer from {host}:{port}") from error
        except (OSError, ValueError) as error:
            raise BrokerLostError(f"{host}:{port}: {error}") from error

    async def fetch(self) -> list[Arrived]:
        await self._lanes.wait(None)
        tick = await self._lanes.tick()
        self._gone += len(tick)
        return tick

    async def ack(self, arrived: Sequence[Arrived]) -> None:
        for one in arrived:
            assert isinstance(one.handle, tuple)
            mid, qos = one.handle
            if self._client.ack(mid, qos) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise BrokerLostError("an acknowledgement could not be sent")

    async def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        # What is retained must not be lost on its way to the broker: nobody would ask for it there (WIRE section 11)
        published = self._client.publish(topic, payload, qos=int(retain), retain=retain)
        if published.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise BrokerLostError("a message could not be sent")

    async def hear_states(self, hear: Callable[[str, bytes], None]) -> None:
        """Call `hear(topic, payload)` for every hint, the retained ones first."""
        self._hear = hear
        self._client.subscribe(STATE_FILTER, qos=0)

    async def close(self) -> None:
        self._client.disconnect()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(self._client.loop_stop), STOP_S_MAX)

    def _make_client(self) -> Client:
        settings = self._settings
        five = self.version == MQTTProtocolVersion.MQTTv5
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=None if five else False,
            protocol=MQTTProtocolVersion(self.version),
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.suppress_exceptions = False
        if settings.username:
            password = (
                settings.password_file.read_text(encoding="utf-8").strip()
                if settings.password_file
                else None
            )
            client.username_pw_set(settings.username, password)
        if endpoint(settings.server)[2]:
            context = ssl.create_default_context(
                cafile=str(settings.ca_file) if settings.ca_file else None
            )
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if settings.cert_file is not None:
                context.load_cert_chain(settings.cert_file, settings.key_file)
            client.tls_set_context(context)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _connect(self, host: str, port: int) -> None:
        if self.version == MQTTProtocolVersion.MQTTv5:
            wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has not typed it
            wishes.SessionExpiryInterval = SESSION_S
            wishes.ReceiveMaximum = RECEIVE_MAX
            wishes.MaximumPacketSize = PACKET_BYTES_MAX
            self._client.connect(host, port, KEEPALIVE_S, clean_start=False, properties=wishes)
        else:
            self._client.connect(host, port, KEEPALIVE_S)

    def _subscribe(self) -> None:
        shared = self.version == MQTTProtocolVersion.MQTTv5 and self._settings.share
        prefix = f"$share/{self._settings.share}/" if shared else ""
        self._client.subscribe([(prefix + name, 1) for name in UP_FILTERS])

    # paho calls these in its own thread: each hands over to the loop and does nothing else

    def _on_connect(
        self,
        _client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._connect_answered, reason)

    def _on_subscribe(
        self,
        _client: Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._subscribe_answered, reasons)

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        if self._came - self._gone >= WAITING_MAX:
            # Not acknowledged and without a receipt: who sent it sends it again
            self.dropped += 1
            if self.dropped == 1:
                log.warning("more than %d messages wait: what comes is dropped", WAITING_MAX)
            return
        self._came += 1
        self._loop.call_soon_threadsafe(self._take, message)

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._note_loss, str(reason))

    def _connect_answered(self, reason: ReasonCode) -> None:
        if self._connected.done():
            return
        if reason.is_failure:
            error: Exception = (
                _OldBrokerError(str(reason))
                if reason.value in UNSUPPORTED_VERSION
                else BrokerLostError(f"broker refuses us: {reason}")
            )
            self._connected.set_exception(error)
        else:
            self._connected.set_result(None)

    def _subscribe_answered(self, reasons: list[ReasonCode]) -> None:
        if self._granted.done():
            return
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self._granted.set_exception(
                BrokerLostError(f"broker refuses the subscription: {refused[0]}")
            )
        else:
            self._granted.set_result(None)

    def _take(self, message: MQTTMessage) -> None:
        word = message.topic.rsplit("/", 1)[-1]
        if word == "state":
            self._gone += 1
            if self._hear is not None:
                self._hear(message.topic, bytes(message.payload))
            return
        arrived = Arrived(
            topic=message.topic, payload=bytes(message.payload), handle=(message.mid, message.qos)
        )
        self._lanes.put(0 if word in URGENT else 1, arrived)

    def _note_loss(self, why: str) -> None:
        self._lanes.lose(why)
        for answer in (self._connected, self._granted):
            if not answer.done():
                answer.set_exception(BrokerLostError(why))
                answer.exception()  # seen: nobody may be waiting for this one


class _OldBrokerError(BrokerLostError):
    """It speaks MQTT 3.1.1 and not 5."""


@contextlib.asynccontextmanager
async def connect(settings: MqttSettings, bounds: TickBounds) -> AsyncIterator[MqttIn]:
    """One connection, ready to fetch; BrokerLostError if it cannot be had. MQTT 5, or 3.1.1 if the broker wants that."""
    way = MqttIn(settings, bounds, version=MQTTProtocolVersion.MQTTv5)
    try:
        try:
            await way.begin()
        except _OldBrokerError:
            await way.close()
            log.info("broker speaks MQTT 3.1.1: no shared subscription, so run one collector only")
            way = MqttIn(settings, bounds, version=MQTTProtocolVersion.MQTTv311)
            await way.begin()
        yield way
    finally:
        await way.close()
