"""The unit's clocks and the way to chrony: real sockets, the kernel's own answers (EDGE section 7)."""

import socket
import struct
from pathlib import Path

from agent.io import clock
from agent.io.chrony import MAGIC, Chrony
from agent.io.clock import Clock


def test_two_axes_name_one_instant_alike() -> None:
    ticker = Clock()
    assert ticker.now_of(ticker.mono_ms()) - ticker.now_ms() <= 0
    assert ticker.now_of(5_000) - ticker.now_of(0) == 5_000


def test_kernel_and_board_answer_or_say_that_they_cannot() -> None:
    asked = clock.ask_ntp()
    assert abs(asked.utc_ms - clock.system_ms()) < 60_000
    rtc = clock.ask_rtc()
    assert rtc is None or rtc.utc_ms % 1_000 == 0
    assert len(clock.boot_id()) in {0, 16}


def test_chrony_is_told_how_far_the_system_is_off(tmp_path: Path) -> None:
    path = tmp_path / "plomba.sock"
    system_us, mono_us = clock.both_us()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(path))
        chrony = Chrony(path)
        chrony.tell(utc_minus_mono_ms=(system_us - mono_us) // 1_000 + 7_000)
        sample = heard.recv(64)
        chrony.close()
    assert len(sample) == struct.calcsize("@lldiiii")
    seconds, micros, offset_s, pulse, leap, _, magic = struct.unpack("@lldiiii", sample)
    assert abs(seconds * 1_000_000 + micros - system_us) < 60_000_000
    assert abs(offset_s - 7) < 0.1
    assert (pulse, leap, magic, chrony.sent) == (0, 0, MAGIC, 1)


def test_a_chrony_that_does_not_listen_is_no_trouble_and_is_found_when_it_does(
    tmp_path: Path,
) -> None:
    path = tmp_path / "plomba.sock"
    chrony = Chrony(path)
    chrony.tell(utc_minus_mono_ms=0)
    assert (chrony.sent, chrony.unheard) == (0, 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(path))
        chrony.tell(utc_minus_mono_ms=0)
        assert (chrony.sent, chrony.unheard) == (1, 1)
    chrony.tell(utc_minus_mono_ms=0)
    assert chrony.unheard == 2
    chrony.close()
