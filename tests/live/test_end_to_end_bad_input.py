"""What goes wrong on the first day, over real processes: each is said with the way out, and no record is lost by it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.site import Unit
from tests.live.site_world import QUICK, SEAL_ID, World, world

pytestmark = pytest.mark.live

SCENARIO = f"""
scenario = {{ name = "first day", seed = 3, start = "now", end_s = 3600 }}
track = {{ points = [[41.2, 69.2], [41.2, 69.6]], speed_km_h = 60 }}
receiver = {{ fix_after_s = 1, noise_m = 0 }}
seal = {{ id = "{SEAL_ID}", armed = true, dynamic = false }}
"""
ONLY_A_RECEIVER = """
scenario = { name = "no lock", seed = 3, start = "now", end_s = 3600 }
track = { points = [[41.2, 69.2], [41.2, 69.6]], speed_km_h = 60 }
receiver = { baud = 9600, fix_after_s = 1, noise_m = 0 }
"""


def test_a_unit_that_nobody_enrolled_is_named_with_the_command_and_brings_everything_afterwards(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as site:
        site.start_collector()
        hardware = site.power_on(SCENARIO)
        unit = site.site.make_unit(
            "truck-9",
            gps=hardware.gps,
            seal=hardware.seal,
            seal_id=SEAL_ID,
            more=QUICK,
            enrol=False,
        )
        site.site.start_unit(unit)
        site.until(lambda: site.has_ports(unit), what="the ports are open")
        hardware.go()
        way_out = "plomba unit add truck-9 --public-key"
        site.until(lambda: way_out in site.site.collector_log.read_text(), what=way_out)
        site.until(lambda: waiting(site, unit) > 2, what="batches wait on the unit")
        assert site.stored() == ()
        site.site.enrol(unit)
        site.until(
            lambda: waiting(site, unit) <= 1, what="what waited has its receipts", seconds=60
        )
        hardware.do("silent")
        hardware.do("silence")
        site.settle(unit)
        site.close_units()
        accounts = site.accounts()
        assert (accounts.lost, accounts.twice, accounts.differing, accounts.holes) == (0, 0, 0, 0)
        assert accounts.stored > 2


def test_a_dead_port_a_wrong_rate_and_no_broker_are_each_said_and_the_unit_goes_on(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as site:
        hardware = site.power_on(ONLY_A_RECEIVER)
        unit = site.site.make_unit(
            "truck-9",
            gps=hardware.gps,
            seal=hardware.seal,
            seal_id=SEAL_ID,
            more=QUICK,
            enrol=False,
        )
        unit.config.write_text(unit.config.read_text().replace("baud = 9600", "baud = 38400", 1))
        hardware.go()
        lines = check(unit)
        assert lines["link gps"]["level"] == "warn"
        assert "another rate or protocol?" in lines["link gps"]["hint"]
        assert lines["link seal"]["level"] == "bad"
        assert lines["link seal"]["hint"]
        broker = lines[f"broker 127.0.0.1:{site.site.mqtt_port}"]
        assert broker["level"] == "bad"
        assert "is the broker running" in broker["hint"]
        site.site.start_unit(unit)
        site.until(lambda: states(site, unit) == {"gps": "noise", "seal": "absent"}, what="states")
        site.until(lambda: waiting(site, unit) > 0, what="what it knows is sealed")
        assert site.status(unit)["uplink"] != "flowing"


def check(unit: Unit) -> dict[str, dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "agent", "check", str(unit.config), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["name"]: line for line in lines}


def waiting(site: World, unit: Unit) -> int:
    number = site.status(unit).get("batches_waiting", 0)
    assert isinstance(number, int)
    return number


def states(site: World, unit: Unit) -> dict[str, str]:
    links = site.status(unit).get("links", [])
    assert isinstance(links, list)
    return {link["name"]: link["state"] for link in links}
