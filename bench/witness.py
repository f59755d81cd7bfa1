"""How much faster than the world the simulator plays a truck with all three devices, through its ptys, as it is read (DEVICES section 9).

Law: every byte is read and every report of the seal acknowledged; a run in which one byte went unheard is no run. The baseline is
the same play without ptys, process and reader: what the wires cost is the ratio.
"""

import os
import resource
import selectors
import statistics
import tempfile
import time
from pathlib import Path

from bench.machine import machine
from bench.simulator import Simulator
from bench.site import SiteError
from firmware_sim.scenario import Scenario, read_scenario
from firmware_sim.stage import Bytes, Stage

__all__ = ["run"]

WORLD_S = 3_000  # shorter than 65,535 rounds, so that the reader is started once
ROUNDS = 5
WORLD_S_PER_S_MIN = 500  # DEVICES section 9; reported, never a gate on a shared machine
READ_BYTES = 65_536
QUIET_S_MAX = 20.0  # a world that stands still so long is stuck
SCENARIO = f"""\
scenario = {{ name = "witness", seed = 4711, start = 2027-03-01T05:00:00Z, end_s = {WORLD_S} }}
track = {{ points = [[41.0, 69.0], [41.3, 69.3]], speed_km_h = 72 }}
receiver = {{ fix_after_s = 0 }}
seal = {{ id = "8000620011", armed = true, interval_s = 60 }}
reader = {{ tags = [{{ epc = "3034257BF7194E4000001A85" }}, {{ epc = "E20010710000529B0940B402", read_rate = 0.5 }}] }}
"""
START = bytes.fromhex("BB00070001030B7E BB001D0001001E7E BB0027000322FFFF4A7E")
SEAL_FRAME_BYTES = 62


def run(rounds: int = ROUNDS) -> dict[str, object]:
    """Ours and the baseline take turns; SiteError if the simulator does not play to its end."""
    with tempfile.TemporaryDirectory(prefix="plomba-witness-") as folder:
        file = Path(folder) / "witness.toml"
        file.write_text(SCENARIO, encoding="utf-8")
        began_cpu_s = _children_cpu_s()
        pairs = [(_played(file, Path(folder)), _staged()) for _ in range(rounds)]
        cpu_s = (_children_cpu_s() - began_cpu_s) / rounds
    ours, bare = ([WORLD_S / each[which] for each in pairs] for which in (0, 1))
    ratios = [mine / plain for mine, plain in zip(ours, bare, strict=True)]
    return {
        "bench": "simulator at --rate 0, receiver, seal and RFID reader polling",
        "world_s": WORLD_S,
        "world_s_per_s": round(statistics.median(ours)),
        "world_s_per_s_min": WORLD_S_PER_S_MIN,
        "world_s_per_cpu_s": round(WORLD_S / cpu_s),  # the simulator's own, its start included
        "baseline": "the same play in one process, without ptys",
        "baseline_world_s_per_s": round(statistics.median(bare)),
        "ratio_to_the_baseline": round(statistics.median(ratios), 2),
        "spread": [round(min(ratios), 2), round(max(ratios), 2)],
        "load_1_min": round(os.getloadavg()[0], 1),
        "machine": machine(),
    }


def _played(file: Path, folder: Path) -> float:
    """Seconds from the first byte that can be read to the last."""
    simulator = Simulator(file, folder / "ports", "--rate", "0")
    try:
        truck = _Truck(simulator)
        began = time.perf_counter()
        truck.listen()
        took = time.perf_counter() - began
        ended = simulator.heard("ended", QUIET_S_MAX)
    finally:
        simulator.close()
    if ended["ended"] != "end" or ended["unheard_bytes"] or not all(truck.heard_bytes.values()):
        raise SiteError(f"the play was not heard whole: {ended}, {truck.heard_bytes}")
    return took


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Truck:
    """All three ports open; reads what there is and answers as a unit would."""

    def __init__(self, simulator: Simulator) -> None:
        self.heard_bytes = {"gps": 0, "seal": 0, "rfid": 0}
        self._selector = selectors.DefaultSelector()
        self._held = b""
        for name, path in (
            ("gps", simulator.gps),
            ("seal", simulator.seal),
            ("rfid", simulator.rfid),
        ):
            port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            self._selector.register(port, selectors.EVENT_READ, name)
            if name == "rfid":
                os.write(port, START)

    def listen(self) -> None:
        """Until every port is gone."""
        while self._selector.get_map():
            ready = self._selector.select(QUIET_S_MAX)
            if not ready:
                raise SiteError(f"the simulator stood still for {QUIET_S_MAX:.0f} s")
            for key, _ in ready:
                self._hear(key.fd, str(key.data))

    def _hear(self, port: int, name: str) -> None:
        try:
            data = os.read(port, READ_BYTES)
        except OSError:  # what a pty says when its other end has closed
            data = b""
        if not data:
            self._selector.unregister(port)
            os.close(port)
            return
        self.heard_bytes[name] += len(data)
        if name == "seal":
            self._acknowledge(port, data)

    def _acknowledge(self, port: int, data: bytes) -> None:
        """Binary reports only: nothing else of this scenario's seal wants it."""
        self._held += data
        while (begin := self._held.find(b"$")) >= 0 and len(self._held) - begin >= SEAL_FRAME_BYTES:
            self._held = self._held[begin + SEAL_FRAME_BYTES - 1 :]
            os.write(port, b"(P69,0,%d)" % self._held[0])
            self._held = self._held[1:]


def _staged() -> float:
    scenario = read_scenario(SCENARIO, Path())
    assert isinstance(scenario, Scenario), scenario
    stage = Stage(scenario, start_ms=scenario.starts_ms(0))
    began = time.perf_counter()
    said = sum(isinstance(out, Bytes) for out in stage.feed("rfid", START))
    while not stage.done:
        said += sum(isinstance(out, Bytes) for out in stage.advance(stage.now_ms + 1_000))
    assert said > WORLD_S
    return time.perf_counter() - began
