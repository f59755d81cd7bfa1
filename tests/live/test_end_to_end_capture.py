"""A real receiver's recorded bytes through the pty: the centre holds the very fixes that they say."""

from datetime import date
from pathlib import Path

import pytest

from bench.site import Unit
from devices import Fix, TimeQuality
from devices.nmea import NmeaReader
from firmware_sim.capture import without_comments
from tests.live.site_world import QUICK, World, world
from tests.shared_data import shared
from wire.columns import Columns
from wire.records import FixFlag

pytestmark = pytest.mark.live

BAUD = 9_600
NOT_BEFORE = "2000-01-01"  # the captures are old: their dates stand as they are
EVERY_FIX = f"""
[clock]
not_before = "{NOT_BEFORE}"

[recorder.open_moving]
time_s = 1

[recorder.open_standing]
time_s = 1
"""
HALF_STEPS = {  # of grain 1 (WIRE section 5): what is written lies so near to what was said
    "lat_e7": 5,
    "lon_e7": 5,
    "alt_dm": 5,
    "speed_cm_s": 5,
    "course_cdeg": 50,
    "hdop_centi": 5,
    "sats": 0,
}


def test_a_small_capture_arrives_fix_by_fix(tmp_path: Path) -> None:
    check_arrives(Path(__file__).parents[1] / "vectors" / "nmea" / "ublox-lea-4h.log", tmp_path)


def test_a_capture_of_a_modem_arrives_fix_by_fix(tmp_path: Path) -> None:
    """A hundred and a half of epochs, played in 25 s: a unit takes two fixes a second and a hundred at once."""
    check_arrives(shared("gpsd", "nmea", "telit-he910.log"), tmp_path, bytes_max=60_000, rate=2.5)


def check_arrives(log: Path, folder: Path, bytes_max: int | None = None, rate: float = 1) -> None:
    """Every fix of a dated epoch: time exact, each column to half a step of what our reader makes of the same bytes."""
    data = without_comments(log.read_bytes())[:bytes_max]
    (folder / "capture.nmea").write_bytes(data)
    with world(folder) as site:
        site.start_collector()
        unit = site.start_unit("truck-1", scenario_of(data), rate=rate, more=QUICK + EVERY_FIX)
        assert site.hardware is not None
        site.hardware.go()
        site.until(
            lambda: bytes_heard(site, unit) == len(data),
            what="all bytes are heard",
            seconds=len(data) * 10 / BAUD / rate + 20,
        )
        site.settle(unit)
        site.close_units()
        accounts = site.accounts()
        assert (accounts.lost, accounts.twice, accounts.differing, accounts.holes) == (0, 0, 0, 0)
        fixes = site.chain().fixes
    said = what_is_said(data)
    assert list(fixes.t_ms) == [fix.time_ms for fix in said]
    for number, fix in enumerate(said):
        assert not fixes.flags[number] & FixFlag.UNIT_CLOCK
        check_columns(fixes, number, fix)


def check_columns(fixes: Columns, number: int, fix: Fix) -> None:
    for name, half_step in HALF_STEPS.items():
        stored, spoken = getattr(fixes, name)[number], getattr(fix, name)
        if spoken is None:
            assert stored is None, name
        elif name == "course_cdeg":
            assert abs((stored - spoken + 18_000) % 36_000 - 18_000) <= half_step
        else:
            assert abs(stored - spoken) <= half_step, name


def what_is_said(data: bytes) -> list[Fix]:
    reader = NmeaReader(date.fromisoformat(NOT_BEFORE))
    facts = [*reader.feed(data, 0), *reader.close(0)]
    fixes = [fact for fact in facts if isinstance(fact, Fix)]
    assert len(fixes) > 1
    assert all(fix.time_quality is TimeQuality.GNSS for fix in fixes)
    return fixes


def scenario_of(data: bytes) -> str:
    end_s = len(data) * 10 // BAUD + 600  # the line stays when everything is said
    return (
        f'scenario = {{ name = "capture", seed = 1, end_s = {end_s} }}\n'
        f'capture = {{ file = "capture.nmea", baud = {BAUD}, pace = "baud" }}\n'
    )


def bytes_heard(site: World, unit: Unit) -> int:
    links = site.status(unit)["links"]
    assert isinstance(links, list)
    counters = next(link["counters"] for link in links if link["name"] == "gps")
    return int(counters.get("bytes", 0))
