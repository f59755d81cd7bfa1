"""What the ways in decide without a broker: ticks, subjects, keys, the broker's config."""

import asyncio
import os
import re
import stat
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from paho.mqtt.client import MQTTMessage

from collector.io import Arrived, BrokerLostError, TickBounds, clock
from collector.io.broker import BrokerError, BrokerSettings, config_text, find_binary
from collector.io.jetstream import StreamSettings, consumer_configs, stream_config, topic_of
from collector.io.key import KeyFileError, load, load_or_make
from collector.io.lanes import Lanes, take_tick
from collector.io.mqtt import WAITING_MAX, MqttIn, MqttSettings, endpoint
from wire import Refused
from wire.envelope import Aad, kid_of, open_envelope, seal, verify


def arrived(text: str) -> Arrived:
    """`a1`: unit a's payload 1."""
    return Arrived(topic=f"plomba/1/up/unit-{text[0]}/batch", payload=text.encode())


def lanes_of(*words: str) -> list[deque[Arrived]]:
    return [deque(arrived(text) for text in word.split()) for word in words]


def texts(some: list[Arrived]) -> str:
    return " ".join(one.payload.decode() for one in some)


@pytest.mark.parametrize(
    ("urgent", "batches", "messages_max", "unit_max", "tick", "left"),
    [
        ("", "", 4, 4, "", ""),
        ("a9", "a1 b1", 4, 4, "a9 a1 b1", ""),
        ("a9 b9", "a1 b1 c1", 3, 3, "a9 b9 a1", "b1 c1"),
        ("", "a1 a2 a3 b1 a4 c1", 9, 2, "a1 a2 b1 c1", "a3 a4"),  # one backlog holds nobody up
        ("a8 a9", "a1 b1", 9, 2, "a8 a9 b1", "a1"),  # urgent ones count as well
        ("", "a1 a2 a3 b1", 2, 1, "a1 b1", "a2 a3"),
    ],
)
def test_a_tick_takes_urgent_lanes_first_and_leaves_the_rest_in_order(
    urgent: str, batches: str, messages_max: int, unit_max: int, tick: str, left: str
) -> None:
    lanes = lanes_of(urgent, batches)
    bounds = TickBounds(messages_max=messages_max, unit_messages_max=unit_max)
    assert texts(take_tick(lanes, bounds)) == tick
    assert texts(list(lanes[0])) == ""
    assert texts(list(lanes[1])) == left


@given(
    words=st.lists(st.sampled_from("abc"), max_size=40),
    messages_max=st.integers(1, 9),
    unit_max=st.integers(1, 9),
)
def test_ticks_lose_nothing_and_keep_each_units_order(
    words: list[str], messages_max: int, unit_max: int
) -> None:
    lane = deque(arrived(f"{unit}{number}") for number, unit in enumerate(words))
    bounds = TickBounds(messages_max=messages_max, unit_messages_max=unit_max)
    taken: list[str] = []
    while lane:
        tick = take_tick([lane], bounds)
        assert 0 < len(tick) <= messages_max
        taken += [one.payload.decode() for one in tick]
    for unit in "abc":
        mine = [text for text in taken if text[0] == unit]
        assert mine == [f"{u}{number}" for number, u in enumerate(words) if u == unit]


async def test_a_lull_ends_the_waiting_for_a_fuller_tick() -> None:
    lanes = Lanes(1, TickBounds(wait_ms_max=60_000, lull_ms=1))
    lanes.put(0, arrived("a1"))
    assert await lanes.wait(None)
    assert texts(await lanes.tick()) == "a1"
    assert not await lanes.wait(0.001)


async def test_a_full_tick_waits_for_nothing() -> None:
    lanes = Lanes(1, TickBounds(messages_max=2, wait_ms_max=60_000, lull_ms=60_000))
    lanes.put(0, arrived("a1"))
    lanes.put(0, arrived("b1"))
    assert texts(await lanes.tick()) == "a1 b1"


async def test_whoever_waits_hears_of_the_loss_and_of_its_first_reason() -> None:
    lanes = Lanes(1, TickBounds())
    waiting = asyncio.ensure_future(lanes.wait(None))
    await asyncio.sleep(0)
    lanes.lose("cut")
    lanes.lose("closed")
    with pytest.raises(BrokerLostError, match="cut"):
        await waiting
    with pytest.raises(BrokerLostError, match="cut"):
        await lanes.tick()


@pytest.mark.parametrize("lane", ["batch", "early", "hello"])
def test_a_subject_of_the_stream_is_the_topic_again(lane: str) -> None:
    assert topic_of(f"part.1.uz-01a234bc.{lane}") == f"plomba/1/up/uz-01a234bc/{lane}"


def test_the_stream_takes_every_lane_but_states_and_each_has_one_consumer() -> None:
    stream = stream_config(StreamSettings(partitions=3))
    assert stream.subjects == [f"plomba.1.up.*.{lane}" for lane in ("early", "hello", "batch")]
    assert stream.subject_transform is not None
    assert (
        stream.subject_transform.dest == "part.{{partition(3,1)}}.{{wildcard(1)}}.{{wildcard(2)}}"
    )
    urgent, batches = consumer_configs(2)
    assert (urgent.durable_name, urgent.filter_subjects) == (
        "u2",
        ["part.2.*.early", "part.2.*.hello"],
    )
    assert (batches.durable_name, batches.filter_subjects) == ("b2", ["part.2.*.batch"])


async def test_a_broker_that_floods_fills_no_memory() -> None:
    way = MqttIn(MqttSettings(server="mqtt://127.0.0.1"), TickBounds(), version=4)

    def say(lane: str, times: int) -> None:
        for _ in range(times):
            message = MQTTMessage(topic=b"plomba/1/up/uz-01/" + lane.encode())
            message.payload = b"x"
            way._on_message(way._client, None, message)

    heard: list[str] = []
    way._hear = lambda topic, _payload: heard.append(topic)
    say("state", WAITING_MAX + 1)
    await asyncio.sleep(0)
    assert (len(heard), way.dropped) == (WAITING_MAX, 1)
    say("batch", WAITING_MAX + 5)
    await asyncio.sleep(0)
    assert (sum(map(len, way._lanes.waiting)), way.dropped) == (WAITING_MAX, 6)
    assert len(await way.fetch()) == TickBounds().unit_messages_max
    say("early", 100)  # there is room for as many as were taken
    await asyncio.sleep(0)
    assert (sum(map(len, way._lanes.waiting)), way.dropped) == (WAITING_MAX, 42)


@pytest.mark.parametrize(
    ("server", "host", "port", "tls"),
    [
        ("mqtt://broker", "broker", 1_883, False),
        ("mqtt://10.0.0.7:1884/", "10.0.0.7", 1_884, False),
        ("mqtts://broker.example", "broker.example", 8_883, True),
        ("mqtts://[::1]:9000", "::1", 9_000, True),
    ],
)
def test_a_server_is_named_by_scheme_host_and_port(
    server: str, host: str, port: int, *, tls: bool
) -> None:
    assert endpoint(server) == (host, port, tls)


@pytest.mark.parametrize(
    "server", ["", "broker:1883", "http://broker", "mqtt://", "mqtt://b/topic", "mqtt://b:99999"]
)
def test_what_is_no_server_is_refused(server: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # urlsplit and we say it in our own words
        endpoint(server)


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "receipt.key"
    made = load_or_make(path)
    again = load_or_make(path)
    assert again == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert list(tmp_path.iterdir()) == [path]
    assert made.kid == kid_of(made.public_key)
    opened = open_envelope(seal(b"x" * 40, Aad.RECEIPT, made.kid, again.sign), Aad.RECEIPT)
    assert not isinstance(opened, Refused)
    assert verify(opened, Aad.RECEIPT, made.public_key)


def test_a_key_says_nothing_of_itself(tmp_path: Path) -> None:
    key = load_or_make(tmp_path / "k")
    assert "sign" not in repr(key)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "k"
    load_or_make(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=r"others can read it.*chmod 600"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"no key", b"\x00" * 100])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match="no PKCS#8 PEM key"):
        load(path)


def test_a_key_that_is_not_there_is_said_and_a_link_is_not_followed(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="start the collector once"):
        load(tmp_path / "none")
    load_or_make(tmp_path / "k")
    (tmp_path / "link").symlink_to(tmp_path / "k")
    with pytest.raises(KeyFileError):
        load(tmp_path / "link")


def test_the_broker_listens_to_units_on_one_port_and_gives_them_their_topics_only() -> None:
    text = config_text(BrokerSettings(mqtt_host="127.0.0.1", mqtt_port=20_001), Path("/d"), "word")
    assert re.findall(r"listen: (.*)", text) == ['"127.0.0.1:-1"', '"127.0.0.1:20001"']
    assert 'publish: ["plomba.1.up.*.*"], subscribe: ["plomba.1.down.*.*"]' in text
    assert re.findall(r'user: "collector", password: "(.*?)"', text) == ["word"]


def test_a_folder_that_the_broker_cannot_be_told_is_refused() -> None:
    with pytest.raises(BrokerError, match="without quotes"):
        config_text(BrokerSettings(), Path('/d"e'), "word")


def test_the_wheels_binary_is_found_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    binary = find_binary(BrokerSettings())
    assert binary is not None
    assert os.access(binary, os.X_OK)
    assert find_binary(BrokerSettings(binary=tmp_path / "none")) is None


def test_the_clock_goes_on() -> None:
    assert clock.now_ms() > 1_700_000_000_000
    assert clock.mono_ms() <= clock.mono_ms()
