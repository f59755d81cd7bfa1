"""What the end-to-end tests share: a whole site of real processes, a truck's hardware that obeys, waiting without guessing."""

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.accounts import (
    Accounts,
    Found,
    Held,
    body_of,
    read_findings,
    read_store,
    read_unit,
    settle,
)
from bench.simulator import Simulator
from bench.site import Site, Unit, end, free_ports, run, tail
from wire.columns import Body, Columns

SEAL_ID = "8000620011"
OPENED_S = 0.5  # an opener sets its rate and flushes; what came before that would be lost
QUICK = """
[sealer]
age_open_s = 1
age_live_s = 1
age_standing_s = 1
age_offline_s = 1
"""  # nobody waits half a minute for the batch of a test


class World:
    """One collector with its broker, one unit, its hardware."""

    def __init__(self, folder: Path) -> None:
        mqtt_port, api_port, self.road_port = free_ports(3, random.Random(str(folder)))
        self.folder = folder
        self.site = Site(folder=folder, mqtt_port=mqtt_port, api_port=api_port)
        self.hardware: Simulator | None = None

    def start_collector(self, rules: str = "") -> None:
        config = self.folder / "collector.toml"
        (self.folder / "rules.toml").write_text(rules)
        config.write_text(f'[detect]\nrules_file = "{self.folder / "rules.toml"}"\n')
        self.site.start_collector(config)
        self.site.wait_for_collector()

    def draw(self, shapes: dict[str, object]) -> None:
        """Import zones and routes as an operator does."""
        file = self.folder / "shapes.geojson"
        file.write_text(json.dumps(shapes))
        for noun in ("zone", "route"):
            run("plomba", [noun, "import", str(file), "--data", str(self.site.data_dir)])

    def power_on(self, scenario: str, *, rate: float = 1) -> Simulator:
        """The hardware of `scenario`, whose world waits for its `go`."""
        file = self.folder / "scenario.toml"
        file.write_text(scenario)
        self.hardware = Simulator(file, self.folder / "hardware", "--hold", "--rate", str(rate))
        return self.hardware

    def start_unit(
        self,
        unit_id: str,
        scenario: str,
        *,
        rate: float = 1,
        broker_port: int | None = None,
        more: str = QUICK,
    ) -> Unit:
        """Hardware, then the agent; returns when the agent has opened its ports and speaks with the collector."""
        hardware = self.power_on(scenario, rate=rate)
        unit = self.site.make_unit(
            unit_id,
            gps=hardware.gps,
            seal=hardware.seal,
            seal_id=SEAL_ID,
            broker_port=broker_port,
            more=more,
        )
        self.site.start_unit(unit)
        self.until(
            lambda: self.status(unit).get("uplink") == "flowing" and self.has_ports(unit),
            what="the unit is ready",
        )
        time.sleep(OPENED_S)
        return unit

    def has_ports(self, unit: Unit) -> bool:
        """Whether the agent has every line of the hardware open."""
        assert self.hardware is not None
        assert unit.process is not None
        lines = {
            str(one.resolve()) for one in (self.hardware.gps, self.hardware.seal) if one.exists()
        }
        fds = Path(f"/proc/{unit.process.pid}/fd")
        try:
            return lines <= {str(fd.readlink()) for fd in fds.iterdir()}
        except FileNotFoundError:  # one was closed while we looked
            return False

    def status(self, unit: Unit) -> dict[str, object]:
        assert unit.process is not None
        assert unit.process.poll() is None, tail(unit.log)
        return self.site.status_of(unit) or {}

    def until(self, true: Callable[[], object], *, what: str, seconds: float = 30) -> None:
        """Return as soon as `true()` is."""
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, (
                f"not within {seconds} s: {what}\n{tail(self.site.collector_log)}\n"
                + "\n".join(tail(unit.log) for unit in self.site.units)
            )
            time.sleep(0.06)  # the API takes twenty requests a second of a session

    def settle(self, unit: Unit) -> None:
        """Wait until the unit has nothing more to say and the receipt for all that it said."""
        seen: list[object] = []

        def is_quiet() -> bool:
            status = self.status(unit)
            now = status.get("records")
            quiet = (
                status.get("batches_waiting") == 0
                and now == status.get("records_stored")
                and status.get("facts_waiting") == 0
            )
            seen[:] = [*seen[-4:], now] if quiet else []
            time.sleep(0.2)
            return len(seen) == 5 and len(set(seen)) == 1

        self.until(is_quiet, what="the unit has its receipts")

    def findings(self, level: str = "alert") -> list[Found]:
        return [one for one in read_findings(self.site.store) if one.level == level]

    def begun(self, code: str) -> list[Found]:
        """The alerts of `code`, each as it began."""
        return [
            one for one in self.findings() if one.code == code and one.phase in ("begin", "point")
        ]

    def stored(self) -> tuple[Held, ...]:
        return read_store(self.site.store)

    def chain(self) -> Body:
        """All that the centre holds of the only unit, in the unit's order."""
        bodies = [body_of(batch.envelope) for batch in self.stored()]
        columns = {
            name: tuple(value for body in bodies for value in getattr(body.fixes, name))
            for name in Columns.__slots__
        }
        events = tuple(event for body in bodies for event in body.events)
        return Body(fixes=Columns(**columns), events=events)

    def accounts(self) -> Accounts:
        """After `close_units`: what the unit's files and the store say of each other."""
        units = [read_unit(unit.outbox, unit.unit_id) for unit in self.site.units]
        return settle(units, self.stored())

    def close_units(self) -> None:
        for unit in self.site.units:
            end(unit.process)

    def close(self) -> None:
        self.site.end()
        if self.hardware is not None:
            self.hardware.close()


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """A world of which no process is left behind."""
    made = World(folder)
    try:
        yield made
    finally:
        made.close()
