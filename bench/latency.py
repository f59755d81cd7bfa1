"""Seal cut to alert: how long from the cut of a rope until the centre has committed its alert, and until a browser would hear of it.

The clock starts when the simulated lock is cut, before its frame crosses the serial line, and stops when another process reads the
alert's row from the collector's store. Law: the programs are the real ones, as processes, and none of them is asked for a time.
"""

import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.ear import Ear
from bench.machine import machine
from bench.simulator import Simulator
from bench.site import Site, SiteError, Unit, free_ports, tail

UNIT = "latency-1"
CODE = "SEAL_OPEN_UNAUTHORISED"
SEAL_ID = "8000620011"
POLL_S = 0.002  # the resolution: between two looks at the store
ALERT_S_MAX = 10.0
READY_S_MAX = 30.0
SETTLE_S = 3.0  # fixes and the time are there, the chain has begun
PAUSE_S = 2.2  # between cuts: more than 30 urgent records of a seal in a minute would be held back (EDGE section 2)
ARM_AFTER_S = 0.8
SERIAL_BYTES, BAUD = 62, 9_600  # one report of this lock, and its line: 65 ms of the figure

_SCENARIO = f"""
scenario = {{ name = "latency", seed = 1, start = "now", end_s = 86400 }}
track = {{ points = [[41.2, 69.2], [41.2, 70.2]], speed_km_h = 60 }}
receiver = {{ fix_after_s = 1, noise_m = 2.0 }}
seal = {{ id = "{SEAL_ID}", armed = true, dynamic = false }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One cut and what came of it."""

    stored_ms: float  # after the cut
    told_ms: float  # the same, on a stream of the API
    alerts: int


def run(cuts: int, seed: int = 1, folder: Path | None = None) -> dict[str, object]:
    """Cut a rope so often, and say how long each took; `sound` if each cut gave exactly one alert."""
    with tempfile.TemporaryDirectory(prefix="plomba-latency-", dir=folder) as made:
        found = _play(Path(made), cuts, random.Random(seed))  # noqa: S311  # a plan that can be repeated
    times_ms = sorted(cut.stored_ms for cut in found)
    told_ms = sorted(cut.told_ms for cut in found)
    return {
        "machine": machine(),
        "what": "from the cut of the rope to the alert's row, read by another process",
        "cuts": len(found),
        "alerts": sum(cut.alerts for cut in found),
        "sound": all(cut.alerts == 1 for cut in found),
        "p50_ms": round(share_of(times_ms, 0.50), 1),
        "p95_ms": round(share_of(times_ms, 0.95), 1),
        "max_ms": round(times_ms[-1], 1),
        "told": sum(cut.told_ms < ALERT_S_MAX * 1000 for cut in found),
        "told_p50_ms": round(share_of(told_ms, 0.50), 1),
        "told_p95_ms": round(share_of(told_ms, 0.95), 1),
        "resolution_ms": POLL_S * 1000,
        "of_it_on_the_serial_line_ms": round(SERIAL_BYTES * 10 / BAUD * 1000, 1),
    }


def share_of(ordered: Sequence[float], share: float) -> float:
    """The smallest of `ordered` that at least this share of them does not exceed."""
    assert ordered
    return ordered[max(-(-len(ordered) * round(share * 100) // 100) - 1, 0)]


def _play(folder: Path, cuts: int, rng: random.Random) -> list[Cut]:
    mqtt_port, api_port = free_ports(2, random.Random())  # noqa: S311  # only to find free ports
    site = Site(folder=folder, mqtt_port=mqtt_port, api_port=api_port)
    scenario = folder / "scenario.toml"
    scenario.write_text(_SCENARIO, encoding="utf-8")
    simulator: Simulator | None = None
    ear: Ear | None = None
    try:
        site.start_collector()
        site.wait_for_collector()
        simulator = Simulator(scenario, folder / "hardware")
        unit = site.make_unit(UNIT, gps=simulator.gps, seal=simulator.seal, seal_id=SEAL_ID)
        site.start_unit(unit)
        _wait_until_ready(site, unit)
        ear = Ear(api_port, site.log_in())
        if not ear.is_up.wait(READY_S_MAX):
            raise SiteError(f"the stream says nothing: {ear.cuts}")
        with closing(sqlite3.connect(f"file:{site.store}?mode=ro", uri=True)) as store:
            return [_cut(simulator, store, ear, rng) for _ in range(cuts)]
    finally:
        if ear is not None:
            ear.close()
        site.end()
        if simulator is not None:
            simulator.close()


def _wait_until_ready(site: Site, unit: Unit) -> None:
    """Until the lock is heard, the time is known and the collector has given receipts."""
    until = time.monotonic() + READY_S_MAX
    while time.monotonic() < until:
        if unit.process is not None and unit.process.poll() is not None:
            raise SiteError(f"{unit.unit_id} ended by itself:\n{tail(unit.log)}")
        status = site.status_of(unit) or {}
        links = status.get("links")
        talks = isinstance(links, list) and any(link["state"] == "talking" for link in links)
        if talks and status.get("time_quality") == "gnss" and status.get("receipts"):
            time.sleep(SETTLE_S)
            return
        time.sleep(0.1)
    raise SiteError(f"{unit.unit_id} is not ready after {READY_S_MAX:.0f} s:\n{tail(unit.log)}")


def _cut(simulator: Simulator, store: sqlite3.Connection, ear: Ear, rng: random.Random) -> Cut:
    """Cut, wait for the alert, put in a new rope. The phase against the receiver's seconds is left to chance."""
    time.sleep(rng.random())
    before = _newest(store)
    happened_ms = simulator.do("cut")["monotonic_ms"]
    assert isinstance(happened_ms, int | float)
    stored_ms = next(_alerts(store, before), None)
    if stored_ms is None:
        return Cut(stored_ms=ALERT_S_MAX * 1000, told_ms=ALERT_S_MAX * 1000, alerts=0)
    time.sleep(ARM_AFTER_S)
    told_ms = ear.first(CODE, happened_ms)
    simulator.do("rope_in")
    time.sleep(PAUSE_S - ARM_AFTER_S)
    alerts = store.execute(_COUNT, (before,)).fetchone()[0]
    return Cut(
        stored_ms=stored_ms - happened_ms,
        told_ms=ALERT_S_MAX * 1000 if told_ms is None else told_ms - happened_ms,
        alerts=alerts,
    )


_COUNT = """
SELECT count(*) FROM finding JOIN alert ON alert.id = finding.id
WHERE finding.code = 'SEAL_OPEN_UNAUTHORISED' AND finding.phase IN ('begin', 'point') AND finding.number > ?
"""


def _newest(store: sqlite3.Connection) -> int:
    newest = store.execute("SELECT coalesce(max(number), 0) FROM finding").fetchone()[0]
    assert isinstance(newest, int)
    return newest


def _alerts(store: sqlite3.Connection, before: int) -> Iterator[float]:
    """When an alert newer than `before` is seen, on the monotonic axis."""
    until = time.monotonic() + ALERT_S_MAX
    while time.monotonic() < until:
        if store.execute(_COUNT, (before,)).fetchone()[0]:
            yield time.monotonic() * 1000
            return
        time.sleep(POLL_S)
