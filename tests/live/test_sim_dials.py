"""A seal that dials in over TCP, met by a listener that behaves and by one that does not."""

import socket
import time
from pathlib import Path

import pytest

from tests.live.sim_process import running

pytestmark = pytest.mark.live

SEAL = 'seal = {{ id = "8000620011", armed = true, dynamic = false, interval_s = 5, dial = "127.0.0.1:{port}" }}\n'


def listening() -> tuple[socket.socket, int]:
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(20)
    return server, server.getsockname()[1]


def frame_of(line: socket.socket) -> bytes:
    data = b""
    while len(data) < 62:
        piece = line.recv(62 - len(data))
        assert piece, "the seal has hung up"
        data += piece
    return data


def test_a_seal_dials_reports_and_is_told_what_to_do(tmp_path: Path) -> None:
    server, port = listening()
    with server, running(tmp_path, SEAL.format(port=port), end_s=600) as sim:
        assert sim.devices["seal"]["dial"] == f"127.0.0.1:{port}"
        line, _ = server.accept()
        with line:
            line.settimeout(20)
            first = frame_of(line)
            assert (first[:1], first[36:38].hex()) == (b"$", "20e0")
            line.sendall(b"(P69,0,%d)" % first[-1])
            sim.tell(do="cut")
            assert sim.line("done")["applied"]
            assert frame_of(line)[36:38].hex() == "20a8"


def test_it_dials_again_when_it_is_hung_up_on_and_repeats_what_nobody_acknowledged(
    tmp_path: Path,
) -> None:
    server, port = listening()
    with server, running(tmp_path, SEAL.format(port=port), "--rate", "10", end_s=6000) as sim:
        line, _ = server.accept()
        first = frame_of(line)
        line.close()  # rude: no acknowledgement
        line, _ = server.accept()
        with line:
            line.settimeout(20)
            heard: list[bytes] = []
            while first not in heard and len(heard) < 20:  # it repeats after 20 s of its world
                heard.append(frame_of(line))
                if heard[-1] != first:
                    line.sendall(b"(P69,0,%d)" % heard[-1][-1])
            assert heard[-1] == first
            sim.tell(do="unplug", device="seal")
            sim.line("done")
            while line.recv(4096):
                pass  # to the end of the line


def test_unpaced_the_world_waits_for_whom_it_calls(tmp_path: Path) -> None:
    server, port = listening()
    server.close()
    with running(tmp_path, SEAL.format(port=port), "--rate", "0", end_s=60) as sim:
        time.sleep(1.0)
        assert sim.process.poll() is None
        server = socket.create_server(("127.0.0.1", port))
        server.settimeout(20)
        line, _ = server.accept()
        reports = 0
        with server, line:
            line.settimeout(20)
            for _ in range(12):  # the first after two seconds, then one in five
                frame = frame_of(line)
                line.sendall(b"(P69,0,%d)" % frame[-1])
                reports += 1
            assert line.recv(1) == b""  # the world has ended
        assert reports == 12
        assert sim.end() == 0
