"""The unit's numbers (EDGE section 13): one real agent, real collector, real broker, TLS on, simulated hardware at 1 Hz.

Steady driving under seal, tags in the field of an RFID reader, the link cut for a while; then cuts of the rope, one after the other;
then the end. Law: every figure is taken from outside the agent: from the kernel, the serial line, the line to the broker, or the files
that were left.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random

from bench.accounts import body_of, positions_alone, read_store
from bench.agent_figures import Mark, Measured, Sealed, report_of
from bench.authority import server_context
from bench.latency import share_of
from bench.machine import in_memory
from bench.process import look
from bench.relay import CALM, Relay, Seen as Packet, Weather
from bench.relay_mqtt import Kind
from bench.simulator import Simulator
from bench.site import Site, SiteError, Unit, end, free_ports, tail
from bench.tap import Tap
from wire.records import EventKind

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

TAG_EVERY_S, TAG_AWAY_S = 180, 90  # one tag goes and comes back; gone is told after a minute
TAGS = (("3034257BF7194E4000001A85", 0.9), ("3034257BF7194E4000001A86", 0.6))
RESTLESS_TAG = "E20010710000529B0940B402"
WORLD_S = 93_600  # a day and an hour

RFID = """
[links.rfid]
device = "{device}"
protocol = "m100"
role = "rfid"
baud = 115200
region = "europe"
"""

COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}  # an installed unit finds its modules compiled

Say = Callable[[str], None]


def run(seconds: float, folder: Path | None, say: Say) -> dict[str, object]:
    """Play it and give every figure beside its goal. `folder` lies on the disk to be measured."""
    with ExitStack() as stack:
        home = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="plomba-agent-", dir=folder))
        )
        memory = in_memory()
        run_dir = None
        if memory is not None:
            made = tempfile.TemporaryDirectory(prefix="plomba-run-", dir=memory)
            run_dir = Path(stack.enter_context(made))
        measured = _Play(home, run_dir, seconds, say).play()
        fsync_ms = _fsync_ms(home)
    return report_of(measured, seconds, fsync_ms, _help_s())


def scenario_of() -> str:
    """The world: a truck that drives, its lock, and a reader with two tags that stay and one that comes and goes."""
    tags = [
        f'{{ epc = "{epc}", read_rate = {rate} }}' for epc, rate in (*TAGS, (RESTLESS_TAG, 0.3))
    ]
    goes = [
        f'{{ at_s = {at_s}, do = "tag_off", epc = "{RESTLESS_TAG}", for_s = {TAG_AWAY_S} }}'
        for at_s in range(TAG_EVERY_S, WORLD_S, TAG_EVERY_S)
    ]
    return f"""
scenario = {{ name = "bench-agent", seed = 1, start = "now", end_s = {WORLD_S} }}
track = {{ points = [[41.2, 69.2], [41.2, 70.6], [41.4, 70.6], [41.4, 69.2]], speed_km_h = 60 }}
receiver = {{ fix_after_s = 1, noise_m = 2.0 }}
seal = {{ id = "{SEAL_ID}", armed = true, dynamic = false }}
reader = {{ tags = [{", ".join(tags)}] }}
event = [{", ".join(goes)}]
"""


class _Play:
    """One run of the site."""

    def __init__(self, folder: Path, run_dir: Path | None, seconds: float, say: Say) -> None:
        """`run_dir`: in memory, as systemd's is; None: this machine has no such place for us."""
        self._folder = folder
        self._run_dir = run_dir
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
        self._measured = Measured(run_dir_in_memory=run_dir is not None)

    def play(self) -> Measured:
        """Everything in its order; nothing is left running."""
        simulator: Simulator | None = None
        tap: Tap | None = None
        scenario = self._folder / "scenario.toml"
        scenario.write_text(scenario_of(), encoding="utf-8")
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
            more=RFID.format(device=simulator.rfid),
        )
        if self._run_dir is not None:
            (unit.folder / "run").symlink_to(self._run_dir)
        unit.env |= COMPILED
        text = unit.config.read_text(encoding="utf-8")
        unit.config.write_text(text.replace("mqtt://127.0.0.1", "mqtts://localhost"))
        (unit.folder / "state" / "identity" / "ca.pem").write_bytes(self._ca)
        return unit

    def _start(self, unit: Unit) -> None:
        imports = "import agent.app.unit, agent.app.commands, agent.app.kill"
        env = os.environ | COMPILED
        subprocess.run([sys.executable, "-c", imports], check=True, env=env)  # noqa: S603  # Python itself
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
        if "first_batch_committed" not in reached:  # before that nobody answers
            reached["first_batch_committed"] = now
            self._measured.start_cpu_s = look(unit.process.pid).cpu_s
        if status.get("lat_e7") is not None:
            reached.setdefault("fix_kept", now)
        stored = status.get("records_stored")
        if "fix_kept" in reached and status.get("records") == stored:
            reached.setdefault("fix_stored", now)
        links = status.get("links")
        states = [one["state"] for one in links] if isinstance(links, list) else []
        talks = states.count("talking") == 2  # seal and reader
        return talks and status.get("time_quality") == "gnss" and bool(status.get("receipts"))

    def _drive(self, unit: Unit) -> None:
        self._say(
            f"ready; {SETTLE_S:.0f} s to settle, then {self._seconds:.0f} s of driving under seal"
        )
        time.sleep(SETTLE_S)
        begin = self._mark("begin", unit)
        cut_s = min(self._seconds * CUT_SHARE, CUT_S_MAX)
        self._wait(begin, self._seconds * CUT_FROM)
        self._outer.set(Weather(name="cut", refuses=True))
        self._mark("cut", unit)
        self._say(f"the link is cut for {cut_s:.0f} s")
        self._wait(begin, self._seconds * CUT_FROM + cut_s)
        self._outer.set(CALM)
        mended = self._mark("mended", unit)
        while self._waiting(unit) > 1 and time.monotonic() - mended.mono_s < DRAIN_S_MAX:
            time.sleep(0.1)
        self._measured.drained_s = time.monotonic() - mended.mono_s
        self._mark("drained", unit)
        self._wait(begin, self._seconds)
        self._mark("end", unit)

    def _waiting(self, unit: Unit) -> int:
        status = self._site.status_of(unit) or {}
        waiting = status.get("batches_waiting")
        return waiting if isinstance(waiting, int) else 2

    def _mark(self, name: str, unit: Unit) -> Mark:
        assert unit.process is not None
        mark = Mark(
            mono_s=time.monotonic(),
            unix_ms=time.time_ns() // 1_000_000,
            process=look(unit.process.pid),
            air_bytes=self._air(),
        )
        self._measured.marks[name] = mark
        return mark

    def _air(self) -> Counter[str]:
        """All bytes so far: MQTT by what it says, what TLS adds, and the heads of the segments."""
        said: Counter[str] = Counter()
        for one in list(self._packets):
            what = one.packet.topic.rpartition("/")[2] or one.packet.kind.name.lower()
            said[what] += len(one.packet.data)
        with_tls = self._outer.up_bytes + self._outer.down_bytes
        heads = self._outer.air_bytes() - with_tls
        return said + Counter(tls=with_tls - said.total(), heads=heads)

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
        self._mark("cuts_end", unit)

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
        """What the collector holds of this unit, batch by batch."""
        for held in read_store(self._site.store):
            body = body_of(held.envelope)
            self._measured.batches.append(
                Sealed(
                    sealed_ms=held.sealed_ms,
                    times_ms=body.fixes.t_ms,
                    events=len(body.events),
                    tag_events=sum(event.kind == EventKind.TAGS for event in body.events),
                    envelope_bytes=len(held.envelope),
                    positions_bytes=positions_alone(held.envelope),
                )
            )


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
