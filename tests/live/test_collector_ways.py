"""Both ways in against real brokers: what is not acknowledged comes again, urgent lanes go first, down goes out."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import nats
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from collector.io import Arrived, BrokerLostError, TickBounds, WayIn, jetstream, mqtt
from collector.io.broker import Broker, BrokerSettings
from collector.io.jetstream import StreamSettings
from collector.io.mqtt import MqttSettings
from tests.live.collector_world import (
    embedded,
    free_port,
    kill_9,
    mosquitto,
    pid_of_broker,
    running,
    until,
)

pytestmark = pytest.mark.live
BOUNDS = TickBounds(messages_max=64, wait_ms_max=300, lull_ms=100)
STREAM = StreamSettings(bounds=BOUNDS)


Opens = Callable[[Path, int], contextlib.AbstractAsyncContextManager[WayIn]]


class Unit:
    """A plain MQTT 3.1.1 client, as a unit is one."""

    def __init__(self, port: int, unit_id: str = "unit-1") -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.topic = f"plomba/1/up/{unit_id}/"
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        self.client.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, bytes(message.payload))
        )
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe(f"plomba/1/down/{unit_id}/+", qos=0)

    def say(self, lane: str, *payloads: bytes) -> None:
        for payload in payloads:
            self.client.publish(self.topic + lane, payload, qos=1).wait_for_publish(5)


@contextlib.contextmanager
def speaking(port: int, unit_id: str = "unit-1") -> Iterator[Unit]:
    unit = Unit(port, unit_id)
    try:
        yield unit
    finally:
        unit.client.disconnect()
        unit.client.loop_stop()


def said(tick: list[Arrived]) -> list[tuple[str, bytes]]:
    return [(arrived.topic.rpartition("/")[2], arrived.payload) for arrived in tick]


async def fetch(way: WayIn) -> list[Arrived]:
    return list(await asyncio.wait_for(way.fetch(), 10))


@contextlib.asynccontextmanager
async def by_jetstream(folder: Path, port: int) -> AsyncIterator[WayIn]:
    async with (
        running(embedded_on(folder, port)) as broker,
        jetstream.connect(await broker.url(), STREAM) as way,
    ):
        yield way


@contextlib.asynccontextmanager
async def by_mqtt(folder: Path, port: int) -> AsyncIterator[WayIn]:
    settings = MqttSettings(server=f"mqtt://127.0.0.1:{port}")
    async with mosquitto(folder, port), mqtt.connect(settings, BOUNDS) as way:
        yield way


def embedded_on(folder: Path, port: int) -> Broker:
    return Broker(BrokerSettings(mqtt_port=port), folder / "broker")


@pytest.mark.parametrize("by", [by_jetstream, by_mqtt])
async def test_lanes_in_receipts_out(by: Opens, tmp_path: Path) -> None:
    port = free_port()
    async with by(tmp_path, port) as way:
        with speaking(port) as unit:
            unit.say("batch", b"1", b"2")
            unit.say("hello", b"h")
            unit.say("early", b"e")
            tick = await fetch(way)
            while len(tick) < 4:
                tick += await fetch(way)
            assert sorted(said(tick)) == [
                ("batch", b"1"),
                ("batch", b"2"),
                ("early", b"e"),
                ("hello", b"h"),
            ]
            assert [one for one in said(tick) if one[0] == "batch"] == [
                ("batch", b"1"),
                ("batch", b"2"),
            ]
            assert {arrived.topic.split("/")[3] for arrived in tick} == {"unit-1"}
            await way.ack(tick)
            await way.send("plomba/1/down/unit-1/receipt", b"r")
            await until(lambda: unit.heard == [("plomba/1/down/unit-1/receipt", b"r")])


async def test_a_config_is_kept_by_mosquitto_for_a_unit_that_comes_later(tmp_path: Path) -> None:
    port = free_port()
    async with by_mqtt(tmp_path, port) as way:
        for version in (b"version 1", b"version 2"):
            await way.send("plomba/1/down/unit-1/config", version, retain=True)
        await way.send("plomba/1/down/unit-1/receipt", b"r")
        with speaking(port) as unit:
            await until(lambda: unit.heard == [("plomba/1/down/unit-1/config", b"version 2")])


@pytest.mark.parametrize("by", [by_jetstream, by_mqtt])
async def test_states_are_heard_as_hints_and_are_in_no_tick(by: Opens, tmp_path: Path) -> None:
    port = free_port()
    hints: list[tuple[str, bytes]] = []
    async with by(tmp_path, port) as way:
        await way.hear_states(lambda topic, payload: hints.append((topic, payload)))
        with speaking(port) as unit:
            unit.say("state", b"s")
            unit.say("batch", b"1")
            assert said(await fetch(way)) == [("batch", b"1")]
            await until(lambda: hints == [("plomba/1/up/unit-1/state", b"s")])


async def test_urgent_lanes_go_first_and_what_is_not_acknowledged_comes_again(
    tmp_path: Path,
) -> None:
    broker = embedded(tmp_path)
    async with running(broker):
        port = broker.mqtt_port
        async with jetstream.connect(await broker.url(), STREAM):
            pass  # makes the stream
        with speaking(port) as unit:
            unit.say("batch", *(b"%d" % number for number in range(100)))
            unit.say("early", b"e")
        async with jetstream.connect(await broker.url(), STREAM) as way:
            await asyncio.sleep(0.3)
            first = await fetch(way)
            assert said(first)[0] == ("early", b"e")
            assert len(first) == BOUNDS.unit_messages_max
            await way.ack(first[:10])
        async with jetstream.connect(await broker.url(), STREAM) as way:
            rest: list[Arrived] = []
            while len(rest) < 91:
                tick = await fetch(way)
                await way.ack(tick)
                rest += tick
            assert sorted(int(one.payload) for one in rest if one.payload != b"e") == list(
                range(9, 100)
            )


async def test_a_dead_broker_is_said_and_a_wiped_one_gets_its_stream_again(tmp_path: Path) -> None:
    broker = embedded(tmp_path)
    async with running(broker):
        async with jetstream.connect(await broker.url(), STREAM) as way:
            waiting = asyncio.ensure_future(way.fetch())
            await asyncio.sleep(0.1)
            kill_9(pid_of_broker(tmp_path))
            shutil.rmtree(tmp_path / "broker" / "store")
            with pytest.raises(BrokerLostError):
                await asyncio.wait_for(waiting, 5)
        await until(lambda: broker.starts == 2)
        async with jetstream.connect(await broker.url(), STREAM) as way:
            with speaking(broker.mqtt_port) as unit:
                unit.say("batch", b"again")
                assert said(await fetch(way)) == [("batch", b"again")]


async def test_a_stream_deleted_under_us_is_said(tmp_path: Path) -> None:
    broker = embedded(tmp_path)
    async with running(broker), jetstream.connect(await broker.url(), STREAM) as way:
        other = await nats.connect(await broker.url())
        await other.jetstream().delete_stream("UP")
        with pytest.raises(BrokerLostError):
            await asyncio.wait_for(way.fetch(), 12)
        await other.close()


async def test_another_number_of_partitions_makes_the_stream_anew(tmp_path: Path) -> None:
    broker = embedded(tmp_path)
    async with running(broker):
        async with jetstream.connect(await broker.url(), STREAM):
            pass
        four = StreamSettings(partitions=4, bounds=BOUNDS)
        async with jetstream.connect(await broker.url(), four) as way:
            with contextlib.ExitStack() as stack:
                for number in range(8):
                    stack.enter_context(speaking(broker.mqtt_port, f"unit-{number}")).say(
                        "batch", b"x"
                    )
                tick: list[Arrived] = []
                while len(tick) < 8:
                    tick += await fetch(way)


async def test_mosquitto_sends_again_what_was_not_acknowledged(tmp_path: Path) -> None:
    port = free_port()
    settings = MqttSettings(server=f"mqtt://127.0.0.1:{port}")
    async with mosquitto(tmp_path, port):
        async with mqtt.connect(settings, BOUNDS) as way:
            assert way.version == MQTTProtocolVersion.MQTTv5
            with speaking(port) as unit:
                unit.say("batch", b"1", b"2", b"3")
                tick: list[Arrived] = []
                while len(tick) < 3:
                    tick += await fetch(way)
                await way.ack(tick[:1])
                await asyncio.sleep(0.2)
        async with mqtt.connect(settings, BOUNDS) as way:
            tick = []
            while len(tick) < 2:
                tick += await fetch(way)
            assert sorted(one.payload for one in tick) == [b"2", b"3"]


async def test_a_killed_mosquitto_is_said(tmp_path: Path) -> None:
    port = free_port()
    settings = MqttSettings(server=f"mqtt://127.0.0.1:{port}")
    async with mosquitto(tmp_path, port) as process, mqtt.connect(settings, BOUNDS) as way:
        process.kill()
        with pytest.raises(BrokerLostError):
            await asyncio.wait_for(way.fetch(), 5)
    with pytest.raises(BrokerLostError, match="refused"):
        async with mqtt.connect(settings, BOUNDS):
            pass


async def test_a_broker_that_speaks_only_3_1_1_is_spoken_to_so(tmp_path: Path) -> None:
    broker = embedded(tmp_path)
    async with running(broker):
        settings = MqttSettings(server=f"mqtt://127.0.0.1:{broker.mqtt_port}")
        with pytest.raises(BrokerLostError, match="refuses the subscription"):
            async with mqtt.connect(settings, BOUNDS):
                pass  # the embedded broker lets nobody but its own collector listen to units
