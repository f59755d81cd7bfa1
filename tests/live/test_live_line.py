"""The live line over real processes: a collector that is killed again and again loses no row of the stream and doubles none."""

import gzip
import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from bench.ear import Ear
from bench.simulator import Simulator
from bench.site import Site, free_ports, is_open, tail
from collector.api import frames

pytestmark = pytest.mark.live

KILLS = 2
SEAL_ID = "8000620011"
SCENARIO = f"""
scenario = {{ name = "live", seed = 1, start = "now", end_s = 86400 }}
track = {{ points = [[41.2, 69.2], [41.2, 70.2]], speed_km_h = 60 }}
receiver = {{ fix_after_s = 1, noise_m = 2.0 }}
seal = {{ id = "{SEAL_ID}", armed = true, dynamic = false }}
"""


class Screen:
    """A browser as a model: what it shows after all that was said to it."""

    def __init__(self) -> None:
        self.units: dict[int, list[int]] = {}
        self.revs: dict[str, int] = {}
        self.resets: list[str] = []
        self._heard = 0

    def hear(self, ear: Ear) -> "Screen":
        for one in ear.heard[self._heard :]:
            self._heard += 1
            match one.name:
                case "units":
                    self._move(one.data["u"])
                case "alert":
                    rows = one.data["rows"]  # few alerts: never `reload`
                    assert isinstance(rows, list)
                    for row in rows:
                        assert row["rev"] >= self.revs.get(row["id"], 0), (
                            "an older row after a newer"
                        )
                        self.revs[row["id"]] = row["rev"]
                case "reset":
                    self.resets.append(str(one.data["why"]))
                case _:
                    pass
        return self

    def _move(self, numbers: Any) -> None:  # noqa: ANN401  # a list of JSON
        no = 0
        for at in range(0, len(numbers), 8):
            no += numbers[at]
            self.units[no] = [no, *numbers[at + 1 : at + 3], *numbers[at + 4 : at + 8]]


def until(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_collector_that_is_killed_loses_and_doubles_no_row_of_the_stream(tmp_path: Path) -> None:
    mqtt_port, api_port = free_ports(2, random.Random())
    site = Site(folder=tmp_path, mqtt_port=mqtt_port, api_port=api_port)
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    simulator, ear = None, None
    try:
        site.start_collector()
        until(lambda: serves(site), "the collector serves", 120)
        simulator = Simulator(scenario, tmp_path / "hardware")
        unit = site.make_unit("live-1", gps=simulator.gps, seal=simulator.seal, seal_id=SEAL_ID)
        site.start_unit(unit)
        ear = Ear(api_port, site.log_in())
        screen = Screen()
        until(lambda: screen.hear(ear).units, "a position on the stream")
        for number in range(KILLS):
            simulator.do("cut")
            if number % 2:
                until(lambda: len(screen.hear(ear).revs) > number, "the alert on the stream")  # noqa: B023  # asked and done with in its round
            assert site.collector is not None
            site.collector.send_signal(signal.SIGKILL)  # with an alert under way, or just told
            site.collector.wait()
            simulator.do("rope_in")
            site.start_collector()
            until(lambda: serves(site), "the collector serves", 120)
            until(lambda: len(screen.hear(ear).revs) > number, "the alert after the kill")  # noqa: B023  # asked and done with in its round
        simulator.do("silence")
        simulator.do("silent")
        until(lambda: agrees(site, screen.hear(ear)), "the screen shows what there is")
        assert len(ear.cuts) >= KILLS
        assert screen.resets == []
    finally:
        if ear is not None:
            ear.close()
        site.end()
        if simulator is not None:
            simulator.close()


def serves(site: Site) -> bool:
    """Open at both ends. On a machine that is busy its start takes a minute."""
    assert site.collector is not None
    assert site.collector.poll() is None, tail(site.collector_log)
    return is_open(site.api_port) and is_open(site.mqtt_port)


def agrees(site: Site, screen: Screen) -> bool:
    """Whether the screen shows what snapshot and list say."""
    _, rows = frames.read_snapshot(gzip.decompress(asked(site, "/live/snapshot")))
    units = {row[0]: [*row[:3], *row[4:]] for row in rows.tolist()}
    listed = json.loads(asked(site, "/alerts?view=all"))["rows"]
    return screen.units == units and screen.revs == {row["id"]: row["rev"] for row in listed}


def asked(site: Site, path: str) -> bytes:
    request = Request(
        f"http://127.0.0.1:{site.api_port}/api/v1{path}",
        headers={"Authorization": f"Bearer {site.log_in()}"},
    )
    with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
        body: bytes = answer.read()
        return body
