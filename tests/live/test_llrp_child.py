"""The LLRP child with the real sllurp, against a small LLRP reader of our own: no reader hardware is at hand.

The server speaks LLRP 1.0.1 by its own hand: as much as sllurp needs to begin an inventory, then tag reports and keepalives.
"""

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from agent.io.clock import Clock
from agent.io.llrp import LlrpSettings, child_command, llrp_source
from agent.io.words import PortSettings
from agent.recorder.facts import LinkState
from agent.recorder.settings import Role
from devices import ReaderAnswer, TagRead
from tests.live.agent_world import free_port, until
from tests.live.test_agent_sources import Heard, child_pids, listening

pytestmark = pytest.mark.live

HOUSE = Path(__file__).resolve().parents[2]
EPC = bytes.fromhex("3034257BF7194E4000001A85")
LAST_SEEN_US = 1_803_877_210_000_000
OK = struct.pack("!HHHH", 287, 8, 0, 0)  # LLRPStatus: success
ANSWERS = {  # message type: its answer's type
    1: 11,  # GET_READER_CAPABILITIES
    2: 12,  # GET_READER_CONFIG
    3: 13,  # SET_READER_CONFIG
    20: 30,  # ADD_ROSPEC
    21: 31,  # DELETE_ROSPEC
    22: 32,  # START_ROSPEC
    23: 33,  # STOP_ROSPEC
    24: 34,  # ENABLE_ROSPEC
    41: 51,  # DELETE_ACCESSSPEC
}
START_ROSPEC, ENABLE_ROSPEC, KEEPALIVE_ACK = 22, 24, 72


def parameter(kind: int, body: bytes) -> bytes:
    return struct.pack("!HH", kind, 4 + len(body)) + body


def message(kind: int, number: int, body: bytes) -> bytes:
    return struct.pack("!HII", 1 << 10 | kind, 10 + len(body), number) + body


def capabilities() -> bytes:
    """Two antennas, two powers, one hop table, one mode."""
    general = struct.pack("!HHII", 2, 0, 25_882, 1) + struct.pack("!H", 4) + b"test"
    general += parameter(139, struct.pack("!HH", 1, 0)) + parameter(141, struct.pack("!HH", 0, 0))
    general += parameter(140, struct.pack("!HHB", 1, 1, 1))
    llrp = struct.pack("!BBHIIIII", 0, 0, 0, 1, 1, 1, 0, 0)
    powers = b"".join(
        parameter(145, struct.pack("!Hh", index, cdbm)) for index, cdbm in ((1, 1_000), (2, 3_000))
    )
    hops = parameter(147, struct.pack("!BBHI", 1, 0, 1, 865_700))
    mode = struct.pack("!IBBBBIIIII", 1, 0, 2, 0, 0, 250_000, 1_500, 6_250, 25_000, 6_250)
    band = powers + parameter(146, b"\x80" + hops) + parameter(328, parameter(329, mode))
    regulatory = struct.pack("!HH", 860, 2) + parameter(144, band)
    return OK + parameter(137, general) + parameter(142, llrp) + parameter(143, regulatory)


def report(number: int) -> bytes:
    tag = b"\x8d" + EPC + b"\x81" + struct.pack("!H", 2) + b"\x86" + struct.pack("!b", -52)
    tag += b"\x84" + struct.pack("!Q", LAST_SEEN_US) + b"\x88" + struct.pack("!H", 3)
    return message(61, number, parameter(240, tag))


class LlrpReaderServer:
    """One connection after the other."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._client: socket.socket | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()
        self.drop()

    def drop(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self.connections += 1
                self._client = client
                with client, contextlib.suppress(OSError, EOFError):
                    self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        connected = parameter(128, struct.pack("!Q", LAST_SEEN_US))
        connected += parameter(256, struct.pack("!H", 0))
        client.sendall(message(63, 1, parameter(246, connected)))
        client.settimeout(0.2)
        reading, number = False, 2
        while True:
            try:
                kind, message_id = self._next(client)
            except TimeoutError:
                if reading:
                    client.sendall(report(number) + message(62, number + 1, b""))
                    number += 2
                continue
            self.heard.append(kind)
            if kind in ANSWERS:
                body = capabilities() if kind == 1 else OK
                client.sendall(message(ANSWERS[kind], message_id, body))
            reading = reading or kind in {START_ROSPEC, ENABLE_ROSPEC}

    @staticmethod
    def _next(client: socket.socket) -> tuple[int, int]:
        head = client.recv(10, socket.MSG_WAITALL)
        if len(head) < 10:
            raise EOFError
        kind, size, number = struct.unpack("!HII", head)
        left = size - 10
        while left:
            got = len(client.recv(left))
            if not got:
                raise EOFError
            left -= got
        return kind & 0x3FF, number


@pytest.fixture(scope="module")
def sllurp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The locked packages, in a folder of their own: the house does not depend on them."""
    folder = tmp_path_factory.mktemp("sllurp")
    install = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--require-hashes", "--target", str(folder)),
        *("-r", str(HOUSE / "requirements" / "llrp.txt")),
    ]
    done = subprocess.run(install, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"sllurp cannot be installed here: {done.stderr.strip()[-200:]}")
    return folder


@pytest.fixture
def server() -> Iterator[LlrpReaderServer]:
    server = LlrpReaderServer()
    yield server
    server.close()


def command_of(port: int) -> list[str]:
    return child_command(
        LlrpSettings(host="127.0.0.1", port=port, antennas=(1, 2), power_cdbm=2_500)
    )


def test_the_real_library_reads_tags_and_the_child_is_back_when_it_is_killed_or_cut_off(
    sllurp: Path, server: LlrpReaderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{sllurp}{os.pathsep}{HOUSE}")
    heard = Heard()
    settings = PortSettings(
        name="portal", device="test:5084", protocol="llrp", role=Role.RFID, baud=None
    )
    source = llrp_source(
        settings, command_of(server.port), clock=Clock(), inbox=heard, rng=Random(1)
    )
    with listening(source):
        until(lambda: heard.count(TagRead) >= 3, 30, f"tags; the server heard {server.heard}")
        [*_, tag] = [one.fact for one in heard.heard if isinstance(one.fact, TagRead)]
        assert (tag.epc, tag.rssi_cdbm, tag.antenna, tag.count) == (EPC, -5_200, 2, 3)
        assert source.view().state == "talking"
        until(lambda: KEEPALIVE_ACK in server.heard, 10, "a keepalive is answered")
        [pid] = child_pids("agent.io.llrp_child")
        os.kill(pid, 9)
        until(lambda: server.connections == 2, 20, "another child")
        until(lambda: source.view().state == "talking", 20, "its tags")
        server.drop()
        until(lambda: server.connections == 3, 20, "a third one: sllurp itself does not reconnect")
        until(lambda: source.view().state == "talking", 20, "its tags")
    assert heard.states().count(LinkState.ABSENT) >= 2
    assert child_pids("agent.io.llrp_child") == []


def test_without_the_library_the_child_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with subprocess.Popen(
        command_of(free_port()), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert "pip install plomba[llrp]" in json.loads(child.stdout.readline())["fault"]
        assert child.wait(10) == 2


def test_nobody_listens_is_a_fault(sllurp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{sllurp}{os.pathsep}{HOUSE}")
    with subprocess.Popen(
        command_of(free_port()), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert "ConnectionRefusedError" in json.loads(child.stdout.readline())["fault"]
        assert child.wait(10) == 1


def test_a_child_ends_when_its_parent_does(
    sllurp: Path, server: LlrpReaderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{sllurp}{os.pathsep}{HOUSE}")
    with subprocess.Popen(
        command_of(server.port), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline()
        assert child.stdin is not None
        child.stdin.close()  # as when the agent is killed
        assert child.wait(10) == 0


def test_a_fault_of_the_child_is_an_answer_that_says_no() -> None:
    heard = Heard()
    settings = PortSettings(
        name="portal", device="test:5084", protocol="llrp", role=Role.RFID, baud=None
    )
    command = [sys.executable, "-c", 'print(\'{"fault":"no"}\')']
    with listening(llrp_source(settings, command, clock=Clock(), inbox=heard, rng=Random(1))):
        until(lambda: heard.count(ReaderAnswer) >= 1, 20, "the fault")
