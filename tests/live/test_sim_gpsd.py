"""A foreign judge: Debian's gpsd reads the witness, and must see what our reader sees (DEVICES 8.6)."""

import contextlib
import json
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import serial

from devices import Fix
from devices.nmea import NmeaReader
from tests.live.sim_process import Sim, running

pytestmark = pytest.mark.live

GPSD = shutil.which("gpsd") or shutil.which("gpsd", path="/usr/sbin:/usr/local/sbin")
PLACE_DEG_MAX = 1.01e-7  # as between gpsd and our reader over the logs
START_MS = 1_803_877_200_000  # 2027-03-01T05:00:00Z
RATE = 10  # ten world seconds a second
END_S = 240
VOID_S, JAM_S = range(60, 80), range(126, 160)  # a jammer of 22 dB has the fix within six seconds
TABLES = """
track = { points = [[41.0, 69.0], [41.05, 69.05], [41.05, 69.2]], speed_km_h = 72 }
receiver = { fix_after_s = 20, noise_m = 5.0, baud = 38400, ubx = UBX }
event = [
  { at_s = 60, do = "void", for_s = 20 },
  { at_s = 120, do = "jam", depth_db = 22, for_s = 40 },
]
fault = [
  { device = "gps", kind = "bad_checksum", per_hour = 120 },
  { device = "gps", kind = "noise", per_hour = 60 },
]
"""

Places = dict[int, tuple[float, float]]  # by Unix ms


@contextlib.contextmanager
def judging(sim: Sim, tmp_path: Path) -> Iterator[socket.socket]:
    """gpsd on the pty, and a client that watches it."""
    assert GPSD is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        GPSD,
        "-N",
        "-n",
        "-b",
        "-S",
        str(port),
        "-F",
        str(tmp_path / "gpsd.sock"),
        sim.path("gps"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = connected(port)
        client.sendall(b'?WATCH={"enable":true,"json":true};\n')
        yield client
        client.close()
    finally:
        process.terminate()
        process.wait(10)


def connected(port: int) -> socket.socket:
    until_s = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.1)


def judged(lines: list[bytes]) -> tuple[Places, set[int]]:
    """Places of the fix epochs, and the times of the epochs without any; EXCEPTIONS.md says which is which."""
    modes: dict[int, list[int]] = {}
    places: Places = {}
    for line in lines:
        said = json.loads(line) if line.startswith(b"{") else {}
        if said.get("class") != "TPV" or "time" not in said:
            continue
        time_ms = round(datetime.fromisoformat(said["time"]).timestamp() * 1000)
        modes.setdefault(time_ms, []).append(said["mode"])
        if said["mode"] >= 2 and "lat" in said:
            places[time_ms] = (said["lat"], said["lon"])
    fixes = {
        time_ms: places[time_ms]
        for time_ms, said in modes.items()
        if said[-1] >= 2 and time_ms in places
    }
    return fixes, {time_ms for time_ms, said in modes.items() if max(said) < 2}


def watched(client: socket.socket, sim: Sim) -> list[bytes]:
    """Everything that gpsd says until the play is over."""
    data, over_s = b"", None
    client.settimeout(0.2)
    while over_s is None or time.monotonic() < over_s:
        with contextlib.suppress(TimeoutError):
            data += client.recv(65_536)
        if over_s is None and sim.process.poll() is not None:
            over_s = time.monotonic() + 1
    return data.split(b"\n")


def ours(sim: Sim) -> Places:
    """What our reader makes of the same play on a pty of its own."""
    reader = NmeaReader(not_before=date(2026, 1, 1))
    facts = []
    with serial.Serial(sim.path("gps"), 38400, timeout=0, exclusive=True) as port:
        sim.tell(do="go")
        with contextlib.suppress(serial.SerialException, OSError):
            while sim.process.poll() is None:
                if select.select([port.fileno()], [], [], 0.05)[0]:
                    facts += reader.feed(port.read(4096), round(time.time() * 1000))
                facts += reader.wake(round(time.time() * 1000))
    facts += reader.close(round(time.time() * 1000))
    fixes = [fact for fact in facts if isinstance(fact, Fix)]
    return {
        fix.time_ms: (fix.lat_e7 / 1e7, fix.lon_e7 / 1e7)
        for fix in fixes
        if fix.time_ms is not None
    }


@pytest.mark.skipif(GPSD is None, reason="gpsd is not installed: apt-get install gpsd")
@pytest.mark.parametrize("ubx", ["false", "true"])
def test_gpsd_and_our_reader_see_the_same_fixes(tmp_path: Path, ubx: str) -> None:
    tables = TABLES.replace("UBX", ubx)
    options = ("--rate", str(RATE), "--hold")
    with (
        running(tmp_path, tables, *options, end_s=END_S) as for_gpsd,
        running(tmp_path, tables, *options, end_s=END_S) as for_us,
        judging(for_gpsd, tmp_path) as client,
    ):
        time.sleep(1)  # gpsd opens the pty when a client watches
        for_gpsd.tell(do="go")
        our_places = ours(for_us)
        fixes, no_fixes = judged(watched(client, for_gpsd))
    seconds = {(time_ms - START_MS) / 1000 for time_ms in our_places}
    assert not seconds & {float(second) for second in (*VOID_S, *JAM_S)}
    assert not {(time_ms - START_MS) / 1000 for time_ms in fixes} & {
        float(s) for s in (*VOID_S, *JAM_S)
    }
    assert not set(our_places) & no_fixes, "we report a fix where gpsd sees none"
    assert len(fixes) > 130
    missing = set(fixes) - set(our_places)
    assert not missing, (
        f"gpsd has fixes that we have not: {sorted((t - START_MS) / 1000 for t in missing)}"
    )
    wrong = [
        (time_ms - START_MS) / 1000
        for time_ms, (lat, lon) in fixes.items()
        if max(abs(lat - our_places[time_ms][0]), abs(lon - our_places[time_ms][1])) > PLACE_DEG_MAX
    ]
    assert not wrong
    print(f"{len(fixes)} fixes of gpsd, {len(our_places)} of ours, alike")  # noqa: T201 - the figure


def test_the_dates_of_this_test_are_what_they_say() -> None:
    assert datetime.fromtimestamp(START_MS / 1000, UTC).isoformat() == "2027-03-01T05:00:00+00:00"
