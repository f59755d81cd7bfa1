"""The drill itself: faults by a seeded plan, then peace, then the accounts.

Law: the seed chooses who suffers what and when; a run in which a chosen fault never fell proves nothing and says so.
"""

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from bench.accounts import Accounts, read_findings, read_store, read_unit, settle
from bench.drill.crew import Crew
from bench.drill.disks import mount_small_disk, unmount
from bench.drill.faults import ON_A_DISK, USUAL, Fault, chosen, points, skipped
from bench.drill.hands import Hands, faketime_env
from bench.drill.issuer import Truck
from bench.drill.oracle import Judgement, Truth, judge
from bench.drill.plays import OFFLINE_S, PASSWORD
from bench.machine import machine
from bench.mosquitto import COLLECTOR_TOML, Mosquitto
from bench.relay import Relay, Seen
from bench.relay_mqtt import Kind
from bench.site import Site, SiteError, Unit, end, free_ports

PEACE_S_MAX = 120.0  # EDGE section 12: within this after the faults everything owed is there
LIVENESS_S_MAX = 5.0
MORE_S_MAX = 480.0  # beyond its time for faults that have met nobody yet, and for those that last
COMPLETE_OWED, COMPLETE_DUPLICATES = 5_000, 100  # the paper's long run
SPARE_BYTES = (
    16_384  # small, so that rows are deleted within a minute; more than a restored backup is old
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how many, how hard."""

    seconds: float
    kills: int  # faults of any kind; at least one of each that was chosen
    units: int
    seed: int
    faults: tuple[str, ...] = USUAL
    broker: str = "nats"  # or mosquitto
    long_stop: bool = False


Say = Callable[[str], None]


def run(plan: Plan, folder: Path | None, say: Say) -> dict[str, object]:
    """Play the plan and give everything that was found, with `sound` true or false. `folder`: keep all files there."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return _Drill(plan, folder, say).play()
    with tempfile.TemporaryDirectory(prefix="plomba-drill-") as made:
        return _Drill(plan, Path(made), say).play()


@dataclass(slots=True)
class _Wire:
    """What crossed the lines of all units: how often the same batch was said again."""

    seen: set[bytes] = field(default_factory=set)
    batches: int = 0

    def hear(self, seen: Seen) -> None:
        packet = seen.packet
        if seen.up and packet.kind is Kind.PUBLISH and packet.topic.endswith(("/batch", "/early")):
            self.batches += 1
            self.seen.add(sha256(packet.payload).digest()[:12])

    @property
    def duplicates(self) -> int:
        return self.batches - len(self.seen)


class _Drill:
    """One run."""

    def __init__(self, plan: Plan, folder: Path, say: Say) -> None:
        self._plan = plan
        self._folder = folder
        self._say = say
        self._rng = random.Random(plan.seed)  # noqa: S311  # a plan that can be repeated
        wanted = chosen(plan.faults, long_stop=plan.long_stop)
        self._skipped = skipped(wanted)
        self._faults = [one for one in wanted if one.name not in self._skipped]
        self._count = max(plan.kills, len(self._faults))
        self._todo = self._rng.sample(self._faults, len(self._faults))  # each once, then by weight
        mqtt_port, api_port, *self._road_ports = free_ports(2 + plan.units, self._rng)
        self._site = Site(folder=folder, mqtt_port=mqtt_port, api_port=api_port)
        self._mosquitto = self._other_broker()
        self._crews: list[Crew] = []
        self._wire = _Wire()
        self._stormed_s = plan.seconds
        self._hands = Hands(
            site=self._site, crews=self._crews, mosquitto=self._mosquitto, rng=self._rng
        )
        self._hands.keeps_backups = any(one.group == "collector" for one in self._faults)

    def play(self) -> dict[str, object]:
        try:
            self._begin()
            self._storm()
            peace_s = self._make_peace()
            live_s = self._liveness()
            self._end()
            return self._report(peace_s, live_s)
        finally:
            self._clear()

    def _other_broker(self) -> Mosquitto | None:
        if self._plan.broker != "mosquitto":
            return None
        if Mosquitto.program() is None:
            raise SiteError("mosquitto is not installed: apt-get install mosquitto")
        port = self._site.mqtt_port
        self._site.config = self._folder / "collector.toml"
        self._site.config.write_text(COLLECTOR_TOML.format(port=port), encoding="utf-8")
        return Mosquitto(folder=self._folder / "mosquitto", port=port)

    def _begin(self) -> None:
        if self._mosquitto is not None:
            self._mosquitto.start()
        self._site.start_collector(self._site.config)
        self._site.wait_for_collector()
        for number in range(self._plan.units):
            self._crews.append(self._man(number))
        for crew in self._crews:
            crew.truck.start()
            self._site.start_unit(crew.unit)
        self._say(
            f"{self._plan.units} units, a collector and a {self._plan.broker} broker run; {self._count} faults begin"
        )

    def _man(self, number: int) -> Crew:
        unit_id = f"drill-{number}"
        hardware = self._folder / f"hardware-{number}"
        hardware.mkdir()
        truck = Truck(number, hardware)
        disk = None
        if any(_wants_a_disk(one) for one in self._faults):
            disk = self._folder / unit_id / "state"
            mount_small_disk(disk)
        relay = Relay(
            port=self._road_ports[number],
            broker_port=self._site.mqtt_port,
            hear=self._wire.hear,
            seed=self._plan.seed + number,
        )
        unit = self._site.make_unit(
            unit_id,
            gps=truck.gps,
            seal=truck.seal,
            seal_id=truck.seal_id,
            broker_port=relay.port,
        )
        if any(one.group == "points" for one in self._faults):
            _set_for_points(unit, truck.seal_id)
        clock = None
        if any(one.group == "clock" for one in self._faults):
            clock = self._folder / f"clock-{number}"
            clock.write_text("+0\n", encoding="ascii")
            unit.env = faketime_env(clock)
        return Crew(unit=unit, truck=truck, relay=relay, disk=disk, clock=clock)

    def _storm(self) -> None:
        begin = time.monotonic()
        times = sorted(self._rng.uniform(1.0, self._plan.seconds) for _ in range(self._count))
        told = 0.0
        while (now := time.monotonic() - begin) < self._plan.seconds + MORE_S_MAX:
            if now >= self._plan.seconds and not (times or self._todo or self._hands.is_busy):
                break
            self._hands.tick()
            for fault in self._hands.missed:
                self._put_back(fault)
                times.append(now)
            self._hands.missed.clear()
            if times and now >= times[0]:
                fault = self._next()
                if self._hands.do(fault):
                    times.pop(0)
                else:  # the victim was dead already: another one, a moment later
                    times[0] = now + 0.05
                    self._put_back(fault)
            if now - told >= 10:
                told = now
                fired = sum(self._hands.fired.values())
                self._say(f"{now:4.0f} s, {fired} faults, {self._owed()} records owed")
            time.sleep(0.01)
        self._stormed_s = time.monotonic() - begin

    def _next(self) -> Fault:
        if self._todo:
            return self._todo.pop(0)
        return self._rng.choices(self._faults, [one.weight for one in self._faults])[0]

    def _put_back(self, fault: Fault) -> None:
        if not self._hands.fired[fault.name] and fault not in self._todo:
            self._todo.append(fault)

    def _owed(self) -> int:
        return sum(len(crew.truck.ledger.owed) for crew in self._crews)

    def _make_peace(self) -> float:
        """No more faults: wait until every unit has its receipts. Seconds that it took."""
        self._say("peace: waiting until every unit has its receipts")
        self._hands.calm()
        begin = time.monotonic()
        while time.monotonic() - begin < PEACE_S_MAX:
            self._hands.tick()
            if all(self._has_receipts(crew.unit) for crew in self._crews):
                return time.monotonic() - begin
            time.sleep(0.5)
        return PEACE_S_MAX

    def _has_receipts(self, unit: Unit) -> bool:
        status = self._site.status_of(unit)
        waiting = None if status is None else status.get("batches_waiting")
        # The open road goes on: one is always on its way.
        return isinstance(waiting, int) and waiting <= 1

    def _liveness(self) -> float:
        """Seconds until the next record of every lock is acknowledged: the units still work."""
        before = [len(crew.truck.ledger.owed) for crew in self._crews]
        begin = time.monotonic()
        while time.monotonic() - begin < 4 * LIVENESS_S_MAX:
            self._hands.tick()
            now = [len(crew.truck.ledger.owed) for crew in self._crews]
            if all(later > earlier for later, earlier in zip(now, before, strict=True)):
                break
            time.sleep(0.05)
        return time.monotonic() - begin

    def _end(self) -> None:
        for crew in self._crews:
            crew.truck.quiet.set()
        time.sleep(1.0)
        for crew in self._crews:
            crew.truck.stop()
        until = time.monotonic() + PEACE_S_MAX / 4
        while time.monotonic() < until and not all(
            self._is_empty(crew.unit) for crew in self._crews
        ):
            time.sleep(0.3)
        for crew in self._crews:
            end(crew.unit.process)
        time.sleep(0.5)
        end(self._site.collector)

    def _clear(self) -> None:
        """Nothing of ours stays behind, however it ended."""
        if self._crews:
            self._hands.calm()
        for crew in self._crews:
            if not crew.truck.stopping.is_set():
                crew.truck.stop()
            end(crew.unit.process)
        end(self._site.collector)
        for crew in self._crews:
            crew.relay.close()
            if crew.disk is not None:
                unmount(crew.disk)
        if self._mosquitto is not None:
            end(self._mosquitto.process)

    def _is_empty(self, unit: Unit) -> bool:
        status = self._site.status_of(unit)
        return status is not None and status.get("batches_waiting") == 0

    def _points_not_reached(self) -> dict[str, str]:
        """Each with its reason; nothing where nobody was sent to one."""
        if "points" not in self._plan.faults:
            return {}
        return {
            point: self._skipped.get(f"at {point}", "no agent came to it in this run")
            for point in points()
            if not self._hands.points[point]
        }

    def _report(self, peace_s: float, live_s: float) -> dict[str, object]:
        stored = read_store(self._site.store)
        units = [crew.unit for crew in self._crews]
        accounts = settle([read_unit(unit.outbox, unit.unit_id) for unit in units], stored)
        truths = [
            Truth(unit=crew.unit.unit_id, unit_no=crew.truck.unit_no, ledger=crew.truck.ledger)
            for crew in self._crews
        ]
        found = read_findings(self._site.store)
        hands = self._hands
        judgement = judge(truths, stored, found, cards=hands.cards, lost_heads=hands.lost_heads)
        fired = self._hands.fired
        unfired = [one.name for one in self._faults if not fired[one.name]]
        proves = judgement.owed > 0 and not unfired and sum(fired.values()) >= self._plan.kills
        is_complete = (
            proves
            and not self._skipped
            and judgement.owed >= COMPLETE_OWED
            and self._wire.duplicates >= COMPLETE_DUPLICATES
        )
        return {
            "machine": machine(),
            "plan": asdict(self._plan),
            "sound": judgement.is_sound(accounts) and proves and live_s <= LIVENESS_S_MAX,
            "proves": proves,
            "complete": is_complete,  # EDGE section 12: 5,000 owed, 100 duplicates on the wire, every fault
            "fired": dict(fired) | {"all": sum(fired.values())},
            "unfired": unfired,
            "skipped": self._skipped,
            "named_points": dict(self._hands.points),
            "points_tried": f"{len(self._hands.points)} of {len(points())}",
            "points_not_reached": self._points_not_reached(),
            "collector_exits_at_its_start": self._hands.collector_exits,
            "owed_a_minute": round(judgement.owed / self._stormed_s * 60),
            "duplicates_on_the_wire": self._wire.duplicates,
            "peace_s": round(peace_s, 1),
            "liveness_s": round(live_s, 2),
            "repeats_on_the_serial_line": sum(crew.truck.ledger.repeats for crew in self._crews),
            "accounts": _plain(accounts),
            "oracle": _plain(judgement),
        }


def _wants_a_disk(fault: Fault) -> bool:
    return fault.group == "disk" or (fault.point or "").startswith(ON_A_DISK)


def _set_for_points(unit: Unit, seal_id: str) -> None:
    """A spare that is soon full, batches that close soon without a line, and a lock that may be opened."""
    secret = unit.folder / "seal.secret"
    secret.touch(mode=0o600)
    secret.write_text(f"{PASSWORD}\n", encoding="ascii")
    text = unit.config.read_text(encoding="utf-8")
    spare = f"[outbox]\nspare_bytes = {SPARE_BYTES}\n"
    more = f"""
[sealer]
age_offline_s = {OFFLINE_S}

[seals.{seal_id}]
secret_file = "{secret}"
"""
    unit.config.write_text(text.replace("[outbox]\n", spare) + more, encoding="utf-8")


def _plain(found: Accounts | Judgement) -> dict[str, object]:
    values = asdict(found)
    values["faults"] = found.faults[:20]
    return values
