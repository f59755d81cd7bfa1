"""A rope is cut: the centre knows once, at the time of the cut, with the network or after it was away. Over real processes."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench import latency
from bench.site import Unit
from plomba.demo.road import Road
from tests.live.site_world import SEAL_ID, World, world

pytestmark = pytest.mark.live

BACKLOG_MIN = 3  # batches of a second each: so long the network is away
EARLY_MS = (
    300  # the unit has its time from a sentence that was said and heard a moment after its instant
)
LATE_MS = 500  # the frame of the lock, on its own line
SCENARIO = f"""
scenario = {{{{ name = "outage", seed = 3, start = {{start}}, end_s = 3600 }}}}
track = {{{{ points = [[41.2, 69.2], [41.2, 69.6]], speed_km_h = 60 }}}}
receiver = {{{{ fix_after_s = 1, noise_m = 0 }}}}
seal = {{{{ id = "{SEAL_ID}", armed = true, dynamic = false }}}}
"""


def test_each_cut_is_one_stored_alert() -> None:
    report = latency.run(5)
    assert report["sound"], report
    assert (report["cuts"], report["alerts"], report["told"]) == (5, 5, 5)


def test_a_cut_without_network_is_raised_once_at_its_own_time_when_the_network_is_back(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as site:
        site.start_collector()
        begins = datetime.fromtimestamp(int(time.time()), UTC)
        road = Road(port=site.road_port, broker_port=site.site.mqtt_port)
        try:
            road.mend()
            unit = site.start_unit(
                "truck-1", SCENARIO.format(start=begins.isoformat()), broker_port=site.road_port
            )
            assert site.hardware is not None
            site.hardware.go()
            site.until(lambda: knows_time_and_seal(site, unit), what="time and seal are known")
            road.cut()
            site.until(
                lambda: site.status(unit)["uplink"] != "flowing", what="the unit misses its network"
            )
            cut_s = site.hardware.do("cut")["t_s"]
            assert isinstance(cut_s, int | float)
            cut_ms = round((begins.timestamp() + cut_s) * 1000)
            site.until(lambda: waiting(site, unit) > BACKLOG_MIN, what="batches wait on the unit")
            assert site.begun("SEAL_OPEN_UNAUTHORISED") == []
            mended_ms = round(time.time() * 1000)
            road.mend()
            site.until(lambda: site.begun("SEAL_OPEN_UNAUTHORISED"), what="the alert is stored")
            site.hardware.do("silent")
            site.hardware.do("silence")
            site.settle(unit)
            site.close_units()
        finally:
            road.close()
        (alert,) = site.begun("SEAL_OPEN_UNAUTHORISED")
        assert cut_ms - EARLY_MS <= alert.at_ms <= cut_ms + LATE_MS
        assert alert.received_ms is not None
        assert alert.received_ms >= mended_ms
        assert not alert.late  # less than two minutes is no remark
        accounts = site.accounts()
        assert (accounts.lost, accounts.twice, accounts.differing, accounts.holes) == (0, 0, 0, 0)
        assert accounts.kept <= 1  # what the unit said at its end, with nobody left to wait for


def waiting(site: World, unit: Unit) -> int:
    number = site.status(unit)["batches_waiting"]
    assert isinstance(number, int)
    return number


def knows_time_and_seal(site: World, unit: Unit) -> bool:
    status = site.status(unit)
    links = status.get("links")
    talks = isinstance(links, list) and any(link["state"] == "talking" for link in links)
    return talks and status.get("time_quality") == "gnss"
