"""The drill itself: faults by a seeded plan, then peace, then the accounts.

Law: the seed chooses who dies and when; a run that killed nobody or promised nothing proves nothing and says so.
"""

import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.accounts import Accounts, read_findings, read_store, read_unit, settle
from bench.drill.issuer import Truck
from bench.drill.oracle import Judgement, Truth, judge
from bench.machine import machine
from bench.site import Site, SiteError, Unit, end, free_ports, kill, tail

PEACE_S_MAX = 120.0  # EDGE section 12: within this after the faults everything owed is there
LIVENESS_S_MAX = 5.0
RESERVED_S = 6.0  # an agent that shall die at a named point gets so long to come there
RESTART_S = (0.0, 0.6)  # how long a killed agent stays away

TARGETS = {
    "agent": 0.66,
    "agent at a named point": 0.12,
    "collector": 0.1,
    "broker": 0.09,
    "broker wiped": 0.03,
}
POINTS = (  # of the outbox and of the agent's loops: before BEGIN to after COMMIT, ack, publish, PUBACK, receipt, delete
    "store:begin",
    "store:signed",
    "store:inserted",
    "store:committing",
    "store:committed",
    "delete:before",
    "delete:after",
    "ack",
    "publish",
    "puback",
    "receipt",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how many, how hard."""

    seconds: float
    kills: int
    units: int
    seed: int


Say = Callable[[str], None]


def run(plan: Plan, folder: Path | None, say: Say) -> dict[str, object]:
    """Play the plan and give everything that was found, with `sound` true or false. `folder`: keep all files there."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return _Drill(plan, folder, say).play()
    with tempfile.TemporaryDirectory(prefix="plomba-drill-") as made:
        return _Drill(plan, Path(made), say).play()


class _Drill:
    """One run. Faults are counted by kind; deaths at named points only when they really happened."""

    def __init__(self, plan: Plan, folder: Path, say: Say) -> None:
        self._plan = plan
        self._folder = folder
        self._say = say
        self._rng = random.Random(plan.seed)  # noqa: S311  # a plan that can be repeated
        self._kills: Counter[str] = Counter()
        self._points: Counter[str] = Counter()
        mqtt_port, api_port = free_ports(2, self._rng)
        self._site = Site(folder=folder, mqtt_port=mqtt_port, api_port=api_port)
        self._trucks: list[Truck] = []
        self._due: list[tuple[float, Unit]] = []  # agents to start again, and when
        # By unit: the named point at which its agent will die, and until when nobody else may kill it.
        self._armed: dict[str, tuple[str, float]] = {}

    def play(self) -> dict[str, object]:
        try:
            self._begin()
            self._faults()
            peace_s = self._make_peace()
            live_s = self._liveness()
        except BaseException:
            self._end()
            raise
        self._end()
        return self._report(peace_s, live_s)

    def _begin(self) -> None:
        self._site.start_collector()
        self._site.wait_for_collector()
        for number in range(self._plan.units):
            unit_id = f"drill-{number}"
            hardware = self._folder / f"hardware-{number}"
            hardware.mkdir()
            truck = Truck(number, hardware)
            self._trucks.append(truck)
            unit = self._site.make_unit(
                unit_id, gps=truck.gps, seal=truck.seal, seal_id=truck.seal_id
            )
            truck.start()
            self._site.start_unit(unit)
        self._say(f"{self._plan.units} units, a collector and a broker run; the faults begin")

    def _faults(self) -> None:
        begin = time.monotonic()
        times = sorted(self._rng.uniform(1.0, self._plan.seconds) for _ in range(self._plan.kills))
        told = 0.0
        while times or time.monotonic() - begin < self._plan.seconds:
            now = time.monotonic() - begin
            self._restart_due()
            if times and now >= times[0]:
                if self._fault():
                    times.pop(0)
                else:
                    times[0] = (
                        now + 0.05
                    )  # the victim was dead already: another one, a moment later
            if now - told >= 10:
                told = now
                owed = sum(len(truck.ledger.owed) for truck in self._trucks)
                self._say(f"{now:4.0f} s, {sum(self._kills.values())} kills, {owed} records owed")
            time.sleep(0.01)

    def _fault(self) -> bool:
        """One fault; False if it met nobody alive."""
        what = self._rng.choices(list(TARGETS), list(TARGETS.values()))[0]
        match what:
            case "agent":
                done = self._kill_agent(self._rng.choice(self._site.units))
            case "agent at a named point":
                return self._arm(self._rng.choice(self._site.units))
            case "collector":
                done = kill(self._site.collector)
                if done:
                    self._site.start_collector()
            case "broker":
                done = self._kill_broker(wipe=False)
            case _:
                done = self._kill_broker(wipe=True)
        self._kills[what] += done
        return done

    def _kill_agent(self, unit: Unit) -> bool:
        if self._is_reserved(unit) or not kill(unit.process):
            return False
        self._armed.pop(unit.unit_id, None)
        self._due.append((time.monotonic() + self._rng.uniform(*RESTART_S), unit))
        return True

    def _arm(self, unit: Unit) -> bool:
        """Kill the agent now, and let the next one die by its own hand at a named point."""
        if self._is_reserved(unit) or not kill(unit.process):
            return False
        point = self._rng.choice(POINTS)
        self._armed[unit.unit_id] = (point, time.monotonic() + RESERVED_S)
        self._kills["agent"] += 1
        self._site.start_unit(unit, "--kill-at", f"{point}:{self._rng.randint(1, 8)}")
        return True

    def _is_reserved(self, unit: Unit) -> bool:
        """True while the unit's agent is on its way to the named point at which it will die."""
        armed = self._armed.get(unit.unit_id)
        return armed is not None and time.monotonic() < armed[1]

    def _kill_broker(self, *, wipe: bool) -> bool:
        pid = self._site.broker_pid()
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        if wipe:
            for store in self._site.data_dir.rglob("store"):
                shutil.rmtree(store, ignore_errors=True)
        return True

    def _restart_due(self) -> None:
        """Start agents whose time has come, and those that died at their named point."""
        collector = self._site.collector
        if collector is not None and collector.poll() is not None:
            raise SiteError(
                f"the collector ended by itself, exit {collector.returncode}:\n{tail(self._site.collector_log)}"
            )
        for unit in self._site.units:
            waits = any(other is unit for _, other in self._due)
            if unit.process is not None and unit.process.poll() is not None and not waits:
                point, _ = self._armed.pop(unit.unit_id, (None, 0.0))
                if point is None or unit.process.returncode != -signal.SIGKILL:
                    raise SiteError(
                        f"{unit.unit_id} ended by itself, exit {unit.process.returncode}: {unit.log}"
                    )
                self._points[point] += 1
                self._kills["agent at a named point"] += 1
                self._due.append((time.monotonic(), unit))
        due = [unit for at, unit in self._due if at <= time.monotonic()]
        self._due = [(at, unit) for at, unit in self._due if at > time.monotonic()]
        for unit in due:
            self._site.start_unit(unit)

    def _make_peace(self) -> float:
        """No more faults: wait until every unit has its receipts. Seconds that it took."""
        self._say("peace: waiting until every unit has its receipts")
        begin = time.monotonic()
        while time.monotonic() - begin < PEACE_S_MAX:
            self._restart_due()
            if all(self._has_receipts(unit) for unit in self._site.units):
                return time.monotonic() - begin
            time.sleep(0.5)
        return PEACE_S_MAX

    def _has_receipts(self, unit: Unit) -> bool:
        status = self._site.status_of(unit)
        waiting = None if status is None else status.get("batches_waiting")
        return (
            isinstance(waiting, int) and waiting <= 1
        )  # the open road goes on: one is always on its way

    def _liveness(self) -> float:
        """Seconds until the next record of every lock is acknowledged: the units still work."""
        before = {truck.unit_no: len(truck.ledger.owed) for truck in self._trucks}
        begin = time.monotonic()
        while time.monotonic() - begin < 4 * LIVENESS_S_MAX:
            if all(len(truck.ledger.owed) > before[truck.unit_no] for truck in self._trucks):
                break
            time.sleep(0.05)
        return time.monotonic() - begin

    def _end(self) -> None:
        for truck in self._trucks:
            truck.quiet.set()
        time.sleep(1.0)
        for truck in self._trucks:
            truck.stop()
        until = time.monotonic() + PEACE_S_MAX / 4
        while time.monotonic() < until and not all(
            self._is_empty(unit) for unit in self._site.units if unit.process is not None
        ):
            time.sleep(0.3)
        for unit in self._site.units:
            end(unit.process)
        time.sleep(0.5)
        end(self._site.collector)

    def _is_empty(self, unit: Unit) -> bool:
        status = self._site.status_of(unit)
        return status is not None and status.get("batches_waiting") == 0

    def _report(self, peace_s: float, live_s: float) -> dict[str, object]:
        stored = read_store(self._site.store)
        accounts = settle(
            [read_unit(unit.outbox, unit.unit_id) for unit in self._site.units], stored
        )
        truths = [
            Truth(unit=unit.unit_id, unit_no=truck.unit_no, ledger=truck.ledger)
            for unit, truck in zip(self._site.units, self._trucks, strict=True)
        ]
        judgement = judge(truths, stored, read_findings(self._site.store))
        proved = judgement.owed > 0 and sum(self._kills.values()) >= self._plan.kills
        return {
            "machine": machine(),
            "plan": asdict(self._plan),
            "sound": judgement.is_sound(accounts) and proved and live_s <= LIVENESS_S_MAX,
            "kills": dict(self._kills) | {"all": sum(self._kills.values())},
            "named_points": dict(self._points),
            "peace_s": round(peace_s, 1),
            "liveness_s": round(live_s, 2),
            "repeats_on_the_serial_line": sum(truck.ledger.repeats for truck in self._trucks),
            "accounts": _plain(accounts),
            "oracle": _plain(judgement),
        }


def _plain(found: Accounts | Judgement) -> dict[str, object]:
    values = asdict(found)
    values["faults"] = found.faults[:20]
    return values
