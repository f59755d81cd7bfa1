"""The witness behind real ptys: rates, plugs, openers, back-pressure, the control channel."""

import contextlib
import fcntl
import os
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
import serial

from firmware_sim.scenario import Scenario, read_scenario
from firmware_sim.stage import Bytes, Stage
from tests.live.sim_process import HEAD, HOUSE, Sim, read_all, running
from tests.shared_data import shared

pytestmark = pytest.mark.live
TIOCGEXCL = 0x80045440  # asm-generic/ioctls.h; termios does not name it

GPS = "receiver = { fix_after_s = 0, noise_m = 3.0 }\n"
SEAL = 'seal = { id = "8000620011", password = "12#aAM", armed = true, interval_s = 2 }\n'
DRIVE = "track = { points = [[41.0, 69.0], [41.3, 69.3]], speed_km_h = 72 }\n"


def staged(tables: str, end_s: float, device: str) -> bytes:
    """What the device says, by the pure stage."""
    play = read_scenario(HEAD % end_s + tables, HOUSE)
    assert isinstance(play, Scenario)
    stage = Stage(play, start_ms=play.starts_ms(0))
    outs = []
    while not stage.done:
        outs += stage.advance(stage.now_ms + 1000)
    return b"".join(out.data for out in outs if isinstance(out, Bytes) and out.device == device)


def opened(sim: Sim, device: str = "gps") -> int:
    return os.open(sim.path(device), os.O_RDWR | os.O_NOCTTY)


def good_lines(data: bytes) -> int:
    return sum(line[:2] == b"$G" and line[-3:-2] == b"*" for line in data.split(b"\r\n"))


def heard(sim: Sim, baud: int, for_s: float) -> bytes:
    with serial.Serial(sim.path("gps"), baud, timeout=0.1, exclusive=True) as port:
        data, until_s = b"", time.monotonic() + for_s
        while time.monotonic() < until_s:
            data += port.read(256)
        return data


# -- the command


def test_it_tells_each_device_and_takes_its_links_away(tmp_path: Path) -> None:
    with running(tmp_path, GPS + SEAL) as sim:
        assert set(sim.devices) == {"gps", "seal"}
        for name, line in sim.devices.items():
            assert line["path"] == sim.path(name)
            assert os.path.realpath(sim.path(name)) == line["pty"]
            assert line["baud"] == 9600
        sim.process.send_signal(signal.SIGTERM)
        assert sim.line("ended")["ended"] == "stopped"
        assert sim.end() == 0
        assert list(sim.folder.iterdir()) == []


def test_it_ends_by_itself_at_the_end(tmp_path: Path) -> None:
    with running(tmp_path, GPS, "--rate", "20", end_s=10) as sim:
        begun_s = time.monotonic()
        assert sim.line("ended")["ended"] == "end"
        assert sim.end() == 0
        assert 0.3 < time.monotonic() - begun_s < 3


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        (None, ["check"], 3),
        (None, ["run"], 3),
        ("scenario = {}", ["check"], 6),
        ("scenario = {}", ["run"], 6),
        (HEAD % 5 + GPS, ["check"], 0),
        (HEAD % 5 + GPS, ["run", "--rate", "-1"], 2),
        (HEAD % 5 + GPS, ["fly"], 2),
    ],
)
def test_exit_codes_tell_what_was_wrong(
    tmp_path: Path, text: str | None, words: list[str], code: int
) -> None:
    file = tmp_path / "s.toml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "firmware_sim", words[0], str(file), *words[1:]]
    done = subprocess.run(
        command, cwd=HOUSE, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == code
    assert bool(done.stderr) is (code != 0)


def test_a_file_in_the_way_of_a_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "gps").write_text("mine", encoding="utf-8")
    (tmp_path / "s.toml").write_text(HEAD % 5 + GPS, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "firmware_sim",
        "run",
        str(tmp_path / "s.toml"),
        "--dir",
        str(tmp_path / "d"),
    ]
    done = subprocess.run(
        command, cwd=HOUSE, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert "choose another --dir" in done.stderr
    assert (tmp_path / "d" / "gps").read_text(encoding="utf-8") == "mine"


# -- the line


def test_the_right_rate_gives_sentences_and_another_garbage(tmp_path: Path) -> None:
    with running(tmp_path, GPS, "--rate", "5", end_s=600) as sim:
        assert good_lines(heard(sim, 9600, 1.5)) > 20
        for wrong in (4800, 38400, 115200):
            garbage = heard(sim, wrong, 1.0)
            assert len(garbage) > 100
            assert good_lines(garbage) == 0
        assert good_lines(heard(sim, 9600, 1.5)) > 20


def test_a_receiver_that_changes_its_rate_is_found_at_the_new_one(tmp_path: Path) -> None:
    with running(tmp_path, GPS, "--rate", "5", end_s=600) as sim:
        sim.tell(do="baud", baud=38400)
        sim.line("done")
        time.sleep(0.5)  # what it had begun to say at the old rate
        assert good_lines(heard(sim, 9600, 1.0)) == 0
        assert good_lines(heard(sim, 38400, 1.5)) > 20


def test_an_unplugged_device_is_gone_and_comes_back_under_its_name(tmp_path: Path) -> None:
    with running(tmp_path, GPS, "--rate", "5", end_s=600) as sim:
        fd = opened(sim)
        assert os.read(fd, 64)
        before = Path(sim.path("gps")).resolve()
        sim.tell(do="unplug")
        sim.line("done")
        assert not os.path.lexists(sim.path("gps"))
        assert read_all(fd, quiet_s=2) is not None  # the rest, then the end of the line
        assert not before.exists()
        os.close(fd)
        sim.tell(do="replug")
        sim.line("done")
        assert good_lines(heard(sim, 9600, 1.5)) > 20


def test_a_second_opener_is_refused_and_a_later_one_is_not(tmp_path: Path) -> None:
    with running(tmp_path, GPS, "--rate", "5", end_s=600) as sim:
        with serial.Serial(sim.path("gps"), 9600, exclusive=True) as port:
            fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
            with pytest.raises(serial.SerialException):
                serial.Serial(sim.path("gps"), 9600, exclusive=True)
        # Its lock has gone with it, as at the last close of a real port; root would get in with it, too.
        locked, until = 1, time.monotonic() + 10
        while locked and time.monotonic() < until:
            time.sleep(0.2)  # the simulator has to see that the port was closed
            fd = opened(sim)
            locked = struct.unpack("i", fcntl.ioctl(fd, TIOCGEXCL, bytes(4)))[0]
            os.close(fd)
        assert locked == 0
        assert good_lines(heard(sim, 9600, 1.0)) > 10


def test_who_does_not_listen_has_missed_it(tmp_path: Path) -> None:
    with running(tmp_path, GPS, "--rate", "20", end_s=600) as sim:
        time.sleep(1.5)
        fd = opened(sim)
        first = read_all(fd, quiet_s=0.01, chunk=4096)
        os.close(fd)
        assert len(first) < 2000  # not the thirty seconds before
        sim.process.send_signal(signal.SIGTERM)
        assert int(str(sim.line("ended")["unheard_bytes"])) > 10_000


# -- as fast as it is read


@pytest.mark.parametrize(("pause_s", "chunk"), [(0.0, 4096), (0.002, 300)])
def test_unpaced_no_byte_is_lost_however_slow_the_reader(
    tmp_path: Path, pause_s: float, chunk: int
) -> None:
    tables = DRIVE + GPS
    with running(tmp_path, tables, "--rate", "0", end_s=200) as sim:
        time.sleep(0.5)  # nobody has it open: the world waits
        fd = opened(sim)
        data = read_all(fd, pause_s=pause_s, chunk=chunk)
        os.close(fd)
        assert sim.end() == 0
    assert data == staged(tables, 200, "gps")


def test_paced_and_unpaced_say_the_same_bytes(tmp_path: Path) -> None:
    tables = DRIVE + GPS + 'fault = [{ device = "gps", kind = "flipped_bits", per_hour = 3600 }]\n'
    with running(tmp_path, tables, "--rate", "30", "--hold", end_s=60) as sim:
        fd = opened(sim)
        sim.tell(do="go")
        data = read_all(fd, quiet_s=1)
        os.close(fd)
    assert data == staged(tables, 60, "gps")


def test_a_capture_goes_out_byte_for_byte(tmp_path: Path) -> None:
    log = shared("gpsd", "nmea", "gr601-w.log")
    with running(
        tmp_path, f'capture = {{ file = "{log}", baud = 4800 }}\n', "--rate", "0", end_s=6000
    ) as sim:
        fd = opened(sim)
        data = read_all(fd)
        os.close(fd)
    lines = log.read_bytes().splitlines(keepends=True)
    assert data == b"".join(line for line in lines if not line.startswith(b"#"))


def test_unpaced_the_world_runs_five_hundred_times_as_fast(tmp_path: Path) -> None:
    tables = DRIVE + GPS + SEAL
    with running(
        tmp_path, tables, "--rate", "0", "--truth", str(tmp_path / "truth"), end_s=3000
    ) as sim:
        fds = [opened(sim), opened(sim, "seal")]
        for fd in fds:
            os.set_blocking(fd, False)
        begun_s = time.monotonic()
        while sim.process.poll() is None:
            for fd in fds:
                with contextlib.suppress(OSError):
                    os.read(fd, 65536)
            time.sleep(0.0005)
        speed = 3000 / (time.monotonic() - begun_s)
        for fd in fds:
            os.close(fd)
    print(f"{speed:.0f} world seconds a second, with grace and waits for answers")  # noqa: T201 - the figure
    assert speed >= 300  # 500 on a machine of its own; this one may be shared
    assert (tmp_path / "truth").read_text(encoding="utf-8").count('"lat"') == 3000


# -- the control channel, and the seal's ear


def test_a_cut_on_request_is_an_alarm_frame_at_once(tmp_path: Path) -> None:
    waits_ms = []
    quiet = SEAL.replace("interval_s = 2", "interval_s = 600").replace(" }", ", dynamic = false }")
    with running(tmp_path, quiet, end_s=600) as sim:
        port = serial.Serial(sim.path("seal"), 9600, timeout=3, exclusive=True)
        for _ in range(10):
            sim.tell(do="cut")
            done = sim.line("done")
            assert (done["done"], done["by"], done["applied"]) == ("cut", "control", True)
            frame = b""
            while frame[-26:-24] != b"\x20\xa8":
                frame = port.read_until(b"$") + port.read(61)
                waits_ms.append(time.time() * 1000 - float(str(done["epoch_ms"])))
                port.write(b"(P69,0,%d)" % frame[-1])
            sim.tell(do="rope_in")
            sim.line("done")
            event = port.read_until(b")")
            port.write(b"(P69,0,%s)" % event.split(b",")[16])
            assert port.read(62)[-26:-24] == b"\x20\xe0"
        port.close()
        sim.tell(do="cu")
        assert "did you mean cut?" in str(sim.line("error")["error"])
    # A frame of 62 bytes takes 65 ms at 9600 baud.
    assert 50 < statistics.median(waits_ms) < 200


def test_the_seal_hears_its_orders(tmp_path: Path) -> None:
    with running(tmp_path, SEAL, end_s=600) as sim:
        with serial.Serial(sim.path("seal"), 9600, timeout=2, exclusive=True) as port:
            port.write(b"(P43,12#aAM)")
            assert b"(8000620011,P43,1,0)" in port.read_until(b"P45,")
        with serial.Serial(sim.path("seal"), 19200, timeout=1, exclusive=True) as port:
            port.write(b"(P01)")
            assert b"P01" not in port.read(200)


def test_held_the_world_begins_when_told(tmp_path: Path) -> None:
    with running(tmp_path, GPS, "--hold", "--rate", "10", end_s=10) as sim:
        fd = opened(sim)
        assert read_all(fd, quiet_s=1) == b""
        sim.tell(do="go")
        sim.line("done")
        assert read_all(fd, quiet_s=0.3).startswith(b"$GNRMC,050000.00,A")
        os.close(fd)


def test_without_an_answer_to_wait_for_unpaced_time_goes_on(tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    with running(tmp_path, SEAL, "--rate", "0", "--truth", str(truth), end_s=120) as sim:
        fd = opened(sim, "seal")
        assert read_all(fd).count(b"$\x80\x00b\x00\x11\x19") > 60  # said, and said again
        os.close(fd)
        assert sim.end() == 0
    assert '"say": "repeat"' in truth.read_text(encoding="utf-8")


def test_an_answering_reader_is_waited_for_and_nothing_is_said_twice(tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    with running(tmp_path, SEAL, "--rate", "0", "--truth", str(truth), end_s=60) as sim:
        port = serial.Serial(sim.path("seal"), 9600, timeout=2, exclusive=True)
        with contextlib.suppress(serial.SerialException), port:
            while len(frame := port.read_until(b"$") + port.read(61)) >= 61:
                time.sleep(0.02)  # a commit
                port.write(b"(P69,0,%d)" % frame[-1])
        assert sim.end() == 0
    told = truth.read_text(encoding="utf-8")
    assert told.count('"say": "live"') == 30 - 1
    assert '"say": "repeat"' not in told
    assert '"say": "backlog"' not in told
