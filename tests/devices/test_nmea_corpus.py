"""Real captures against what gpsd made of them (DEVICES section 9, 1 and 2).

A handful is in tests/vectors/nmea; the whole corpus is read where it is there.
"""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from devices import Fact, Fix
from devices.nmea import NmeaReader
from tests.devices.nmea_lines import Capture, capture, fixes, no_fixes
from tests.shared_data import shared

VECTORS = Path(__file__).parents[1] / "vectors" / "nmea"
POSITION_DEG = 1.01e-7
VALUE = 6e-4

# Frozen: it may shrink. Each line has its reason in the corpus' own list of exceptions.
EXPLAINED = {
    "nmea/april6_2019.log": {"missing": 1},  # gpsd left the date of before the rollover
    "nmea/ericsson-gru04-02-70sec.log": {"position": 2},  # gpsd took the coarser GLL
    "nmea/garmin38.log": {"altitude": 5},  # gpsd took $PGRMZ, in feet
    "nmea/tn204.log": {"altitude": 3},  # the same
    "mixed/ac12_binary.log": {"altitude": 4},  # gpsd reads the binary frames too
    "mixed/quectel-l76k-binary.log": {"missing": 129},  # the fixes are in binary frames
    "mixed/ublox-neo-m8l.log": {"missing": 189},  # the same
}
ROLLED_OVER = {"1999-08-22T00:02:31.420Z": "2019-04-07T00:02:31.420Z"}


@cache
def load(path: Path) -> Capture:
    return capture(path)


def corpus(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted(shared("gpsd", folder).glob("*.log"))]


def read(log: Capture) -> tuple[list[Fact], Counter[str]]:
    reader = NmeaReader(log.not_before, keep_digits=True)
    return reader.feed(log.data, 0) + reader.close(0), reader.counters


def iso(time_ms: int) -> str:
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fixes_by_time(facts: list[Fact]) -> dict[str, list[Fix]]:
    by_time: dict[str, list[Fix]] = {}
    for fix in fixes(facts):
        if fix.time_ms is not None:
            by_time.setdefault(iso(fix.time_ms), []).append(fix)
    return by_time


def number(said: dict[str, object], name: str) -> float | None:
    value = said.get(name)
    return value if isinstance(value, float) else float(str(value)) if value is not None else None


def differences(fix: Fix, said: dict[str, object]) -> list[str]:
    """In what a fix differs from gpsd's answer, where both say something."""
    digits = fix.digits or {}
    lat, lon = number(said, "lat"), number(said, "lon")
    assert lat is not None
    assert lon is not None
    differs = []
    if max(abs(fix.lat_e7 / 1e7 - lat), abs(fix.lon_e7 / 1e7 - lon)) > POSITION_DEG:
        differs.append("position")
    speed = None
    if "speed_kn" in digits:
        speed = float(digits["speed_kn"]) * 1852 / 3600
    elif "speed_km_h" in digits:
        speed = float(digits["speed_km_h"]) / 3.6
    altitude = float(digits["alt_m"]) if "alt_m" in digits else None
    course = float(digits["course_deg"]) % 360 if "course_deg" in digits else None
    for name, ours, theirs in (
        ("altitude", altitude, number(said, "altMSL")),
        ("speed", speed, number(said, "speed")),
        ("course", course, number(said, "track")),
    ):
        if ours is not None and theirs is not None and abs(ours - theirs) > VALUE:
            differs.append(name)
    return differs


def judge(log: Capture) -> tuple[Counter[str], Counter[str]]:
    """How many epochs of each class there are, and how many differ in what."""
    facts, _ = read(log)
    ours = fixes_by_time(facts)
    classes: Counter[str] = Counter()
    differs: Counter[str] = Counter()
    for time, answers in log.answers.items():
        with_fix = [number(said, "mode") in (2, 3) and "lat" in said for said in answers]
        if with_fix[-1]:
            classes["fix"] += 1
            found = ours.get(time, [])
            if not found:
                differs["missing"] += 1
                continue
            ways = [differences(fix, answers[-1]) for fix in found]
            closest = min(ways, key=len)
            differs.update(closest)
        elif any(with_fix):
            classes["undecided"] += 1
        else:
            classes["no fix"] += 1
            differs["false fix"] += time in ours
    return classes, +differs


def vectors() -> list[Path]:
    return [path for path in sorted(VECTORS.glob("*.log")) if Path(f"{path}.chk").exists()]


@pytest.mark.parametrize("path", vectors(), ids=lambda path: path.stem)
def test_the_captures_at_hand_are_read_as_gpsd_reads_them(path: Path) -> None:
    classes, differs = judge(load(path))
    assert differs == EXPLAINED.get(f"nmea/{path.name}", {})
    assert classes["fix"] > 0 or path.stem in ("tn200-all", "skytraq-err")


def test_the_captures_at_hand_have_fixes_and_epochs_without() -> None:
    classes = sum((judge(load(path))[0] for path in vectors()), Counter[str]())
    assert classes == {"fix": 35, "no fix": 6, "undecided": 2}


@pytest.mark.parametrize("name", ["oncore-binary", "trimble-lassen_iq-3dfix"])
def test_binary_protocols_hold_no_epoch(name: str) -> None:
    facts, counters = read(load(VECTORS / f"{name}.log"))
    assert fixes(facts) == []
    assert no_fixes(facts) == []
    assert counters["binary"] > 0


def test_the_rollover_is_put_right() -> None:
    facts, _ = read(load(VECTORS / "april6_2019.log"))
    assert set(fixes_by_time(facts)) == set(ROLLED_OVER.values())


# The whole corpus


def test_e12_the_whole_corpus_is_read_as_gpsd_reads_it_outside_the_frozen_list() -> None:
    paths = corpus("nmea", "mixed")
    classes: Counter[str] = Counter()
    differs: dict[str, dict[str, int]] = {}
    for path in paths:
        log = load(path)
        counts, wrong = judge(log)
        classes += counts
        if wrong:
            differs[log.name] = dict(wrong)
    assert differs == EXPLAINED
    assert len(paths) == 62
    assert classes == {"fix": 1_435, "no fix": 127, "undecided": 2}


def test_e12_noise_gives_no_fix_at_all() -> None:
    for path in corpus("noise"):
        facts, _ = read(load(path))
        assert fixes(facts) == [], path.name
        assert no_fixes(facts) == [], path.name


# Any cutting


def pieces(data: bytes, rng: random.Random) -> Iterator[bytes]:
    at = 0
    size_max = rng.choice([2, 7, 40, 130, 1_000])
    while at < len(data):
        size = rng.randint(1, size_max)
        yield data[at : at + size]
        at += size


def check_cuttings(path: Path, seeds: range) -> None:
    log = load(path)
    expected = read(log)
    for seed in seeds:
        rng = random.Random(seed)
        reader = NmeaReader(log.not_before, keep_digits=True)
        facts: list[Fact] = []
        for piece in pieces(log.data, rng):
            facts += reader.feed(piece, 0)
        assert (facts + reader.close(0), reader.counters) == expected, (path.name, seed)


def check_byte_by_byte(path: Path) -> None:
    log = load(path)
    reader = NmeaReader(log.not_before, keep_digits=True)
    facts: list[Fact] = []
    for byte in range(len(log.data)):
        facts += reader.feed(log.data[byte : byte + 1], 0)
    assert (facts + reader.close(0), reader.counters) == read(log)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.log")), ids=lambda path: path.stem)
def test_e12_each_vector_reads_alike_however_it_is_cut(path: Path) -> None:
    check_byte_by_byte(path)
    check_cuttings(path, range(10))


@pytest.mark.parametrize("folder", ["nmea", "mixed", "noise"])
def test_the_corpus_reads_alike_in_pieces(folder: str) -> None:
    for path in corpus(folder):
        check_cuttings(path, range(1))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(40))
def test_forty_logs_read_alike_byte_by_byte_and_at_two_hundred_cuttings(number: int) -> None:
    by_size = sorted(corpus("nmea"), key=lambda path: path.stat().st_size)
    path = [*corpus("mixed", "noise"), *by_size][number]
    check_byte_by_byte(path)
    check_cuttings(path, range(200))
