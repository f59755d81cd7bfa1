"""The witness's RFID reader on a real pty, spoken to as an open serial port."""

import contextlib
import os
import time
from collections import Counter
from pathlib import Path

import pytest
import serial

from tests.live.sim_process import read_all, running
from tests.live.test_sim_ptys import DRIVE, GPS, SEAL, opened

pytestmark = pytest.mark.live

ONE, TWO = "3034257BF7194E4000001A85", "E20010710000529B0940B402"
READER = f'reader = {{ tags = [{{ epc = "{ONE}", read_rate = 1.0 }}, {{ epc = "{TWO}", read_rate = 0.5 }}] }}\n'
START = "BB0003000100047E BB00070001030B7E BB00B6000207D08F7E BB001D0001001E7E BB0027000322FFFF4A7E"


def next_frame(port: serial.Serial) -> bytes:
    head = port.read(5)
    assert len(head) == 5, f"no frame, only {head.hex()}"
    return head + port.read(int.from_bytes(head[3:5], "big") + 2)


def test_a_reader_is_started_and_tells_its_tags(tmp_path: Path) -> None:
    with running(tmp_path, READER, end_s=600) as sim:
        assert sim.devices["rfid"]["path"] == sim.path("rfid")
        assert sim.devices["rfid"]["baud"] == 115_200
        with serial.Serial(sim.path("rfid"), 115_200, timeout=2, exclusive=True) as port:
            codes = []
            for order in START.split()[:-1]:
                port.write(bytes.fromhex(order))
                codes.append(next_frame(port)[2])
            assert codes == [0x03, 0x07, 0xB6, 0x1D]
            begun_s = time.monotonic()
            port.write(bytes.fromhex(START.rsplit(maxsplit=1)[-1]))
            told = Counter(next_frame(port)[8:20].hex().upper() for _ in range(60))
            assert 1.0 < time.monotonic() - begun_s < 6  # forty rounds of 50 ms
            assert set(told) == {ONE, TWO}
            sim.tell(do="tag_off", epc=ONE)
            sim.line("done")
            time.sleep(0.2)
            port.reset_input_buffer()
            assert ONE not in {next_frame(port)[8:20].hex().upper() for _ in range(10)}


def test_a_reader_that_was_unplugged_begins_anew(tmp_path: Path) -> None:
    with running(tmp_path, READER, end_s=600) as sim:
        with serial.Serial(sim.path("rfid"), 115_200, timeout=2, exclusive=True) as port:
            port.write(bytes.fromhex(START.replace(" ", "")))
            assert port.read(100)
            sim.tell(do="unplug", device="rfid")
            sim.line("done")
            assert not os.path.lexists(sim.path("rfid"))
        sim.tell(do="replug", device="rfid")
        sim.line("done")
        with serial.Serial(sim.path("rfid"), 115_200, timeout=2, exclusive=True) as port:
            port.write(bytes.fromhex("BB00220000227E"))
            assert next_frame(port).hex().upper() == "BB01FF000117187E"


def test_three_devices_at_once_lose_no_byte_unpaced(tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    with running(
        tmp_path, DRIVE + GPS + SEAL + READER, "--rate", "0", "--truth", str(truth), end_s=300
    ) as sim:
        rfid, gps, seal = (opened(sim, name) for name in ("rfid", "gps", "seal"))
        os.write(rfid, bytes.fromhex(START.replace(" ", "")))
        heard = dict.fromkeys((rfid, gps, seal), b"")
        for fd in heard:
            os.set_blocking(fd, False)
        while sim.process.poll() is None:
            for fd in heard:
                with contextlib.suppress(OSError):
                    heard[fd] += os.read(fd, 65_536)
            time.sleep(0.0005)
        for fd in heard:
            heard[fd] += read_all(fd, quiet_s=0.1)
            os.close(fd)
        assert sim.line("ended")["unheard_bytes"] == 0
    tags = heard[rfid].count(bytes.fromhex(ONE))
    assert 5_900 < tags <= 6_000  # a round each 50 ms, from when it was started
    assert heard[gps].count(b"RMC") == 300
    assert '"reader_to": "polling"' in truth.read_text(encoding="utf-8")
