"""The demo's course: start everything, play, cut and mend the network, end everything, count.

Law: whatever happens, no process of ours is left behind.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.accounts import Found, read_findings, read_store, read_unit, settle
from bench.site import Site, SiteError, Unit, end, free_ports, run, spawn, tail
from collector.api.static import built
from plomba.demo.incidents import OUTAGE_S, OUTAGE_UNIT, SCRIPT, faults_of, raised
from plomba.demo.road import Road
from plomba.demo.show import TruckView, View

if TYPE_CHECKING:
    from subprocess import Popen

LOOK_S = 0.5  # between two looks at everything
DRAIN_S_MAX = 45.0  # after the course: until every unit has its receipts
WAITING_MAX = 1  # the truck drives on: its newest batch is always on its way
READY_S_MAX = 10.0

Show = Callable[[View], None]
Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Truck:
    """One truck of the demo."""

    unit: Unit
    road: Road
    scenario: Path


class Demo:
    """One demo. `play` is everything; Ctrl-C ends its course as well as the time does."""

    def __init__(self, folder: Path, samples: Path, say: Say) -> None:
        self._folder = folder
        self._samples = samples
        self._say = say
        rng = random.Random()  # noqa: S311  # only to find free ports
        mqtt_port, api_port, *self._road_ports = free_ports(5, rng)
        self._site = Site(folder=folder, mqtt_port=mqtt_port, api_port=api_port)
        self._trucks: list[Truck] = []
        self._simulators: list[Popen[bytes]] = []
        self._played_s = 0.0
        self._token = ""
        self._link = ""  # to the console, good for one use; "" without one

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self._site.api_port}"

    def play(self, seconds: float | None, show: Show) -> dict[str, object]:
        """Play for so long (None: until Ctrl-C) and give the account."""
        try:
            self._begin()
            with suppress(KeyboardInterrupt):
                self._course(seconds, show)
            drained = self._drain(show)
        finally:
            # Units first: to a unit that still runs, a truck whose plugs are pulled is an incident.
            for truck in self._trucks:
                end(truck.unit.process)
            self._stop_simulators()
            self._site.end()
            for truck in self._trucks:
                truck.road.close()
        return self._account(drained=drained)

    def _begin(self) -> None:
        self._say("starting collector and broker ...")
        config = self._folder / "collector.toml"
        config.write_text(
            f'[detect]\nrules_file = "{self._samples / "rules.toml"}"\n', encoding="utf-8"
        )
        self._site.start_collector(config)
        self._site.wait_for_collector()
        self._token = self._site.log_in()
        shapes = str(self._samples / "demo.geojson")
        for noun in ("zone", "route"):
            run("plomba", [noun, "import", shapes, "--data", str(self._site.data_dir)])
        self._say("enrolling three units ...")
        for number, port in enumerate(self._road_ports, 1):
            self._trucks.append(self._make_truck(number, port))
            self._say(f"demo-{number} is enrolled")
        for truck in self._trucks:
            self._start_simulator(truck)
        for truck in self._trucks:
            self._site.start_unit(truck.unit)
        self._open_console()

    def _open_console(self) -> None:
        """A way into the console, if this installation has one."""
        if not built():
            self._say("without the console: it was not built (make web)")
            return
        words = ["login", "--local", "--link", "--json", "--data", str(self._site.data_dir)]
        self._link = json.loads(run("plomba", words))["link"]
        self._say(f"open the console (the link is good for one use):\n\n    {self._link}\n")

    def _make_truck(self, number: int, port: int) -> Truck:
        road = Road(port=port, broker_port=self._site.mqtt_port)
        road.mend()
        name = f"demo-{number}"
        hardware = self._folder / name / "hardware"
        unit = self._site.make_unit(
            name,
            gps=hardware / "gps",
            seal=hardware / "seal",
            seal_id=f"80006200{10 + number}",
            broker_port=port,
        )
        return Truck(unit=unit, road=road, scenario=self._samples / f"{name}.toml")

    def _start_simulator(self, truck: Truck) -> None:
        hardware = truck.unit.folder / "hardware"
        log = truck.unit.folder / "simulator.log"
        truth = truck.unit.folder / "truth.jsonl"
        process = spawn(
            "firmware_sim",
            ["run", str(truck.scenario), "--dir", str(hardware), "--truth", str(truth)],
            log,
        )
        self._simulators.append(process)
        until = time.monotonic() + READY_S_MAX
        while not (hardware / "seal").exists():
            if process.poll() is not None or time.monotonic() > until:
                raise SiteError(
                    f"the simulator of {truck.unit.unit_id} does not start:\n{tail(log)}"
                )
            time.sleep(0.02)

    def _course(self, seconds: float | None, show: Show) -> None:
        begin = time.monotonic()
        while seconds is None or self._played_s < seconds:
            self._played_s = time.monotonic() - begin
            self._play_outage()
            self._fail_if_dead()
            show(self._look())
            time.sleep(LOOK_S)

    def _play_outage(self) -> None:
        away = OUTAGE_S[0] <= self._played_s < OUTAGE_S[1]
        for truck in self._trucks:
            if truck.unit.unit_id != OUTAGE_UNIT or truck.road.is_up != away:
                continue
            truck.road.cut() if away else truck.road.mend()

    def _fail_if_dead(self) -> None:
        collector = self._site.collector
        if collector is not None and collector.poll() is not None:
            raise SiteError(
                f"the collector ended with exit {collector.returncode}:\n{tail(self._site.collector_log)}"
            )
        for truck in self._trucks:
            process = truck.unit.process
            if process is not None and process.poll() is not None:
                raise SiteError(
                    f"{truck.unit.unit_id} ended with exit {process.returncode}:\n{tail(truck.unit.log)}"
                )

    def _look(self, *notes: str) -> View:
        places = self._places()
        return View(
            played_s=self._played_s,
            trucks=[
                self._view_of(truck, places.get(truck.unit.unit_id, {})) for truck in self._trucks
            ],
            findings=self._findings(),
            notes=notes or self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        console = (f"console, one use: {self._link}",) if self._link else ()
        return (*console, f"API {self.api_url}   files {self._folder}   Ctrl-C ends it")

    def _view_of(self, truck: Truck, place: dict[str, object]) -> TruckView:
        status = self._site.status_of(truck.unit)
        known = status or {}
        return TruckView(
            unit=truck.unit.unit_id,
            link_up=truck.road.is_up,
            running=status is not None,
            records=_int(known.get("records")),
            waiting=_int(known.get("batches_waiting")),
            covered=_int(known.get("covered")),
            lat=_float(place.get("lat")),
            lon=_float(place.get("lon")),
            age_s=_float(place.get("age_s")),
        )

    def _places(self) -> dict[str, dict[str, object]]:
        """The centre's newest places, asked as any client would; empty while it does not answer."""
        from urllib.error import URLError
        from urllib.request import Request, urlopen

        asked = Request(  # noqa: S310  # our own loopback address
            f"{self.api_url}/api/v1/units", headers={"Authorization": f"Bearer {self._token}"}
        )
        try:
            with urlopen(asked, timeout=2) as answer:  # noqa: S310  # as above
                listed = json.load(answer)
        except (URLError, OSError, ValueError):
            return {}
        return {str(unit["unit"]): unit for unit in listed.get("units", [])}

    def _findings(self) -> Sequence[Found]:
        return read_findings(self._site.store)

    def _stop_simulators(self) -> None:
        for process in self._simulators:
            end(process)

    def _drain(self, show: Show) -> bool:
        """The course is over: wait until nothing but the newest batch of a unit is without its receipt."""
        for truck in self._trucks:
            truck.road.mend()
        until = time.monotonic() + DRAIN_S_MAX
        while time.monotonic() < until:
            statuses = [self._site.status_of(truck.unit) for truck in self._trucks]
            if all(
                status is not None and status.get("batches_waiting") == 0 for status in statuses
            ):
                return True
            show(self._look("the course is over; waiting for the last receipts"))
            time.sleep(LOOK_S)
        return False

    def _account(self, *, drained: bool) -> dict[str, object]:
        units = [read_unit(truck.unit.outbox, truck.unit.unit_id) for truck in self._trucks]
        accounts = settle(units, read_store(self._site.store))
        findings = self._findings()
        faults = accounts.faults + faults_of(findings, self._played_s)
        if not drained:
            faults.append(f"not every unit had its receipts within {DRAIN_S_MAX:.0f} s")
        sound = not faults and not (
            accounts.lost or accounts.twice or accounts.differing or accounts.holes
        )
        return {
            "sound": sound,
            "played_s": round(self._played_s, 1),
            "recorded": accounts.recorded,
            "sealed": accounts.sealed,
            "stored": accounts.stored,
            "stored_records": accounts.stored_records,
            "receipted": accounts.receipted,
            "kept_on_the_unit": accounts.kept,
            "lost": accounts.lost + accounts.differing,
            "twice": accounts.twice,
            "holes": accounts.holes,
            "alerts": [
                {"unit": unit, "code": code, "raised": count}
                for (unit, code), count in sorted(raised(findings).items())
            ],
            "script": [asdict(incident) for incident in SCRIPT],
            "faults": faults[:20],
        }


def _is_drained(status: dict[str, object] | None) -> bool:
    waiting = None if status is None else status.get("batches_waiting")
    return isinstance(waiting, int) and waiting <= WAITING_MAX


def _int(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
