"""The relay: passes whole packets, counts, and lets fall what it was told to. Over loopback, without any broker."""

import random
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from bench.relay import CALM, Relay, Seen, Weather
from bench.relay_mqtt import Kind, Splitter, packet_of
from bench.site import free_ports

CONNECT = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ab"
CONNACK = b"\x20\x02\x00\x00"
PUBLISH = b"\x32\x0c\x00\x03a/b\x00\x07hello"
PUBACK = b"\x40\x02\x00\x07"
LONG = b"\x30\x8d\x01\x00\x03a/b" + bytes(136)


@given(st.lists(st.sampled_from([CONNECT, PUBLISH, PUBACK, LONG]), max_size=8), st.randoms())
def test_any_cutting_gives_the_same_packets(packets: list[bytes], rng: random.Random) -> None:
    splitter, found, data = Splitter(), [], b"".join(packets)
    while data:
        cut = rng.randint(1, len(data))
        found += [one.data for one in splitter.feed(data[:cut])]
        data = data[cut:]
    assert found == packets


def test_packets_say_what_they_are() -> None:
    publish = packet_of(PUBLISH)
    assert (publish.kind, publish.topic, publish.message_id) == (Kind.PUBLISH, "a/b", 7)
    assert publish.payload == b"hello"
    assert packet_of(PUBACK).message_id == 7
    assert len(packet_of(LONG).payload) == 136


def test_what_is_no_mqtt_is_passed_on_as_it_comes() -> None:
    splitter = Splitter()
    assert [one.kind for one in splitter.feed(b"\x16\xff\xff\xff\xff\xff")] == [Kind.RAW]
    assert b"".join(one.data for one in splitter.feed(b"more")) == b"more"


class Echo:
    """A broker that acknowledges: CONNACK for the first packet, PUBACK for each other."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(near,), daemon=True).start()

    @staticmethod
    def _talk(near: socket.socket) -> None:
        with near:
            splitter = Splitter()
            try:
                while data := near.recv(4096):
                    for packet in splitter.feed(data):
                        near.sendall(CONNACK if packet.kind is Kind.CONNECT else PUBACK)
            except OSError:
                return


@pytest.fixture
def heard() -> list[Seen]:
    return []


@pytest.fixture
def relay(heard: list[Seen]) -> Iterator[Relay]:
    echo = Echo()
    (port,) = free_ports(1, random.Random())
    relay = Relay(port=port, broker_port=echo.port, hear=heard.append)
    yield relay
    relay.close()
    echo.socket.close()


def dial(relay: Relay) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", relay.port), 5)
    made.settimeout(5)
    return made


def all_of(near: socket.socket) -> bytes:
    """Until the other end breaks or closes."""
    data = b""
    try:
        while piece := near.recv(4096):
            data += piece
    except ConnectionError:
        pass
    return data


def test_a_calm_line_passes_and_counts(relay: Relay, heard: list[Seen]) -> None:
    with dial(relay) as near:
        near.sendall(CONNECT)
        assert near.recv(64) == CONNACK
        near.sendall(PUBLISH)
        assert near.recv(64) == PUBACK
        assert relay.up_bytes == len(CONNECT + PUBLISH)
        assert relay.down_bytes == len(CONNACK + PUBACK)
        assert relay.air_bytes() > relay.up_bytes + relay.down_bytes + 4 * 52
    assert [(one.up, one.packet.kind) for one in heard] == [
        (True, Kind.CONNECT),
        (False, Kind.CONNACK),
        (True, Kind.PUBLISH),
        (False, Kind.PUBACK),
    ]
    assert not relay.fallen


def test_it_drops_after_the_packet_that_it_was_told(relay: Relay) -> None:
    relay.set(Weather(name="after CONNACK", drop_after=Kind.CONNACK))
    with dial(relay) as near:
        near.sendall(CONNECT)
        assert all_of(near) == CONNACK
    relay.set(Weather(name="after PUBACK", drop_after=Kind.PUBACK, drop_after_n=2))
    with dial(relay) as near:
        near.sendall(CONNECT + PUBLISH + PUBLISH + PUBLISH)
        assert all_of(near) == CONNACK + 2 * PUBACK
    assert relay.fallen == {"after CONNACK": 1, "after PUBACK": 1}


@pytest.mark.long
def test_it_drops_after_bytes_loses_connections_and_withholds(relay: Relay) -> None:
    relay.set(Weather(name="bytes", drop_after_bytes=len(CONNECT) + 1))
    with dial(relay) as near:
        near.sendall(CONNECT)
        assert all_of(near) == CONNACK
    relay.set(Weather(name="loss", loss=1.0))
    with dial(relay) as near:
        assert all_of(near) == b""
    relay.set(Weather(name="no PUBACK", withholds=frozenset({Kind.PUBACK})))
    with dial(relay) as near:
        near.sendall(CONNECT + PUBLISH)
        assert near.recv(64) == CONNACK
        for _ in range(500):  # the answer to the second packet is on its way, in another thread
            if relay.fallen["no PUBACK: packets"]:
                break
            threading.Event().wait(0.01)
        relay.cut()
        assert all_of(near) == b""
    assert relay.fallen == {"bytes": 1, "loss": 1, "no PUBACK": 1, "no PUBACK: packets": 1}


def test_deaf_it_takes_connections_and_says_nothing_and_breaks_them_when_it_hears_again(
    relay: Relay,
) -> None:
    relay.set(Weather(name="deaf", deaf=True))
    with dial(relay) as near:
        near.sendall(CONNECT)
        near.settimeout(0.2)
        with pytest.raises(TimeoutError):
            near.recv(64)
        near.settimeout(5)
        relay.set(CALM)
        assert all_of(near) == b""
    with dial(relay) as near:
        near.sendall(CONNECT)
        assert near.recv(64) == CONNACK


def test_refusing_it_breaks_what_is_open_and_takes_nothing(relay: Relay) -> None:
    with dial(relay) as near:
        near.sendall(CONNECT)
        assert near.recv(64) == CONNACK
        relay.set(Weather(name="refuses", refuses=True))
        assert all_of(near) == b""
    with pytest.raises(ConnectionRefusedError):
        dial(relay)
    relay.set(CALM)
    dial(relay).close()
