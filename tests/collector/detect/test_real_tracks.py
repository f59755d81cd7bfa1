"""The engine's laws over tracks that were driven: screening, ticks, order of arrival, restart, takeover (DETECTION sections 2, 13).

Every detector has its part in it: zones, the driver's own route, stops and speed lie in the tracks; seals, tags, the sky, power
and doors are said beside them.
"""

import gzip
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest

from collector.detect import Finding
from collector.detect.engine import UnitState, every_row
from collector.detect.engine.blob import pack, unpack
from collector.detect.geo import Shapes
from collector.detect.geo.geojson import read_zones
from collector.detect.rules import Rulebook
from plomba.facts import FactLine
from plomba.replay import Plan, Replay, key_of, line_of, replay, rulebook
from plomba.tracks import Row, time_ms
from tests.shared_data import shared

SECONDS_MAX = 900  # of a track: its bends and fences come soon enough
UNITS = ("00000003", "00000027")  # loops, standing, many fences


@cache
def world() -> tuple[Rulebook, tuple[Row, ...], tuple[FactLine, ...]]:
    """A few drives with all that they meet, received late and in bursts."""
    random = Random(11)
    rows: list[Row] = []
    facts: list[FactLine] = []
    for unit in UNITS:
        own = drive_of(unit)
        own = [row for row in own if row.t_ms - own[0].t_ms < SECONDS_MAX * 1_000]
        some = [replace(row, received_ms=row.t_ms + 60_000 * random.randint(0, 20)) for row in own]
        rows += some
        facts += [fact for row in some[::40] for fact in said_beside(random, row)]
    shapes = shapes_of(
        shared("traces", "kubicka", "zones.geojson.gz"),
        shared("traces", "kubicka", "routes.geojson.gz"),
    )
    return rulebook(shapes, None, facts, UNITS, None), tuple(rows), tuple(facts)


def drive_of(unit: str) -> list[Row]:
    with gzip.open(shared("traces", "kubicka", "tracks.csv.gz"), "rt") as file:
        names = next(file).strip().split(",")
        cells = [dict(zip(names, line.split(","), strict=True)) for line in file if unit in line]
    return [
        Row(
            unit=unit,
            t_ms=time_ms(cell["time"]),
            lat_e7=round(float(cell["lat"]) * 1e7),
            lon_e7=round(float(cell["lon"]) * 1e7),
        )
        for cell in cells
        if cell["unit"] == unit
    ]


def shapes_of(*paths: Path) -> Shapes:
    features = [
        feature
        for path in paths
        for feature in json.loads(gzip.decompress(path.read_bytes()))["features"]
    ]
    shapes = read_zones({"type": "FeatureCollection", "features": features})
    assert isinstance(shapes, Shapes)
    return shapes


def said_beside(random: Random, row: Row) -> list[FactLine]:
    """What a unit's devices might say at this moment, good and bad."""
    shut = random.random() < 0.7
    spoken: list[tuple[str, dict[str, object]]] = [
        ("seal", {"seal": "s1", "locked": shut, "rope_in": shut, "cause": "change"}),
        (
            "tags",
            {
                "epcs": ["00" * 12, "11" * 12][: random.randint(0, 2)],
                "reader_ok": random.random() < 0.8,
            },
        ),
        (
            "gnss",
            {
                "state": 3,
                "cn0_top4_cdb": random.choice((4_500, 3_000)),
                "jam_state": random.choice((1, 3)),
            },
        ),
        ("power", {"source": random.choice(("external", "battery")), "millivolt": 12_000}),
        ("door", {"level": random.randint(0, 1)}),
        ("odo", {"metres": (row.t_ms // 100) % 1_000_000, "source": "can"}),
    ]
    return [
        FactLine(
            kind=kind,
            unit=row.unit,
            t_ms=row.t_ms,
            received_ms=row.received_ms,
            seq=None,
            said=words,
        )
        for kind, words in random.sample(spoken, 2)
    ]


def lines(findings: list[Finding]) -> bytes:
    """As `plomba detect replay --json` prints them."""
    return b"\n".join(json.dumps(line_of(one)).encode() for one in findings)


def apart_from_arrival(findings: list[Finding]) -> bytes:
    return lines([replace(one, received_ms=None, late=None) for one in findings])


def blobs(states: dict[str, UnitState]) -> dict[str, bytes]:
    return {unit: pack(state) for unit, state in states.items()}


@cache
def usual() -> Replay:
    return replay(*world(), Plan())


def same(other: Replay) -> None:
    assert lines(other.findings) == lines(usual().findings)
    assert blobs(other.states) == blobs(usual().states)


@pytest.mark.long
def test_the_drives_make_findings_of_every_detector() -> None:
    codes = {finding.code for finding in usual().findings}
    assert {
        "ZONE_ENTERED",
        "ZONE_EXITED",
        "ROUTE_JOINED",
        "SEAL_OPEN_UNAUTHORISED",
        "GNSS_INTERFERENCE",
    } <= codes
    assert len(codes) >= 12


def test_stepping_every_row_says_the_same() -> None:
    same(replay(*world(), Plan(screen=every_row)))


@pytest.mark.parametrize(("batch_rows", "tick_batches"), [(60, 1), (60, 7)])
def test_cutting_ticks_otherwise_says_the_same(batch_rows: int, tick_batches: int) -> None:
    same(replay(*world(), Plan(batch_rows=batch_rows, tick_batches=tick_batches)))


def test_a_replay_is_the_same_byte_for_byte() -> None:
    same(replay(*world(), Plan()))


@pytest.mark.parametrize("deliver", ["received", "shuffle:5"])
def test_another_order_of_arrival_changes_only_when_it_came(deliver: str) -> None:
    other = replay(*world(), Plan(deliver=deliver))
    assert apart_from_arrival(other.findings) == apart_from_arrival(usual().findings)


def test_a_restart_and_a_takeover_midway_go_on_from_the_blobs() -> None:
    """Three processes, one behind the other; only packed states pass from hand to hand."""
    book, rows, facts = world()
    begins = {unit: min(row.t_ms for row in rows if row.unit == unit) for unit in UNITS}
    found: list[Finding] = []
    states: dict[str, UnitState] = {}
    next_seq: dict[str, int] = {}
    for number in range(3):
        low, high = (1_000 * SECONDS_MAX * (number + end) // 3 for end in (0, 1))
        part = [row for row in rows if low <= row.t_ms - begins[row.unit] < high]
        beside = [fact for fact in facts if low <= fact.t_ms - begins[fact.unit] < high]
        here = replay(book, part, beside, Plan(), states, next_seq)
        found += here.findings
        states = {unit: unpack(blob) for unit, blob in blobs(here.states).items()}
        next_seq = here.next_seq
    found.sort(key=key_of)
    # a batch ends where a process did, and with it when the rest of its rows came
    assert apart_from_arrival(found) == apart_from_arrival(usual().findings)
    assert blobs(states).keys() == blobs(usual().states).keys()
