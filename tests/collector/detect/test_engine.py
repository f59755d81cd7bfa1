"""The engine's laws: screening, ticks, state, early copies, holes, versions (DETECTION sections 2 and 3)."""

import math
from dataclasses import asdict, replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from collector.detect import silence
from collector.detect.engine import FRESH, ChainHole, Item, Tick, UnitState, every_row
from collector.detect.engine.blob import pack, unpack
from collector.detect.engine.run import run
from collector.detect.rules import Journey, Rules, build
from tests.collector.detect.worlds import (
    BEGIN_MS,
    At,
    Run,
    Unit,
    blobs,
    book_of,
    event,
    line,
    play,
    polygon,
    seal,
    shapes_of,
    sky,
    square,
    told,
)
from wire import MisuseError
from wire.columns import Event
from wire.records import EventKind, FixFlag

U_SHAPE = [(0, 0), (600, 0), (600, 600), (400, 600), (400, 200), (200, 200), (200, 600), (0, 600)]
ROAD = [(-6_000, 0), (-2_000, 0), (0, 300), (2_500, 300), (2_500, 2_000), (2_600, 2_000), (2_600, 300), (6_000, 0)]  # fmt: skip
COUNTRY = (
    square("post", -5_900, 0, 400, kind="border_post", dwell_s=120),
    square("closed", 900, 350, 150, kind="forbidden"),
    polygon("u", U_SHAPE, kind="plant"),
    square("wide", 1_500, 300, 1_200, dwell_s=60, speed_kmh=50),
    square("rest", -3_000, 0, 300, kind="stop", stop_s_max=900),
    square("swap", 4_000, 100, 300, kind="transfer"),
    polygon(
        "ring",
        [(2_000, 1_000), (3_000, 1_000), (3_000, 1_800), (2_000, 1_800)],
        [(2_400, 1_200), (2_400, 1_500), (2_700, 1_500), (2_700, 1_200)],
    ),
    square("land", 0, 0, 7_000, kind="territory"),
    square("tube", -1_000, 150, 200, kind="tunnel"),
    line("road", ROAD, **{"from": "post", "checkpoints": ["u"]}),
)
BOOK = book_of(*COUNTRY, route="road")
BOOK = replace(
    BOOK,
    journeys={
        "u": (
            replace(BOOK.journeys["u"][0], tags=tuple((bytes([n]) * 12).hex() for n in range(3))),
            Journey(id="k", unit="u", since_ms=BEGIN_MS + 3_600_000, state="arrived"),
        )
    },
)  # after an hour its journey is over


def along(s_m: float) -> tuple[float, float]:
    """The place on the road after so many metres, and straight on behind its end."""
    for (x1, y1), (x2, y2) in pairwise(ROAD):
        length = math.hypot(x2 - x1, y2 - y1)
        if s_m <= length or (x2, y2) == ROAD[-1]:
            return x1 + s_m * (x2 - x1) / length, y1 + s_m * (y2 - y1) / length
        s_m -= length
    raise AssertionError("the road has an end")


def sky_of(random: Random, t_s: float) -> Event:
    """What a receiver may say of its satellites, good and bad."""
    return sky(
        t_s,
        state=random.choice((2, 3, 3)),
        cn0=random.choice((4_500, 4_400, 3_000, None)),
        std=random.choice((600, 580, 100, None)),
        strong=random.choice((9, 8, 1, None)),
        jam=random.choice((None, 1, 1, 2, 3)),
        spoof=random.choice((None, 1, 1, 2)),
        antenna=random.choice((None, "OK", "OPEN")),
    )


@st.composite
def journeys(draw: st.DrawFn) -> list[Item]:
    """Legs of driving, standing, straying, turning back; with dirt between them, cut into batches."""
    interval = draw(st.sampled_from((1, 5, 10, 30, 60)))
    random = Random(draw(st.integers(0, 1 << 30)))
    records: list[At | Event] = []
    metres = 0.0
    t, s, aside = 0.0, draw(st.sampled_from((0.0, 0.0, 3_000.0, 9_000.0))), 0.0
    for _ in range(draw(st.integers(2, 7))):
        leg = draw(
            st.sampled_from(
                ("drive", "drive", "stand", "rest", "rush", "stray", "return", "back", "gap", "same", "jump",
                 "zero", "swap", "seal", "coarse",
                 "freeze", "flagged")
            )
        )  # fmt: skip
        speed = {"stand": 0.0, "rest": 0.0, "back": -15.0, "rush": 35.0}.get(
            leg, draw(st.sampled_from((8.0, 15.0, 22.0)))
        )
        rows = draw(st.integers(2, 40)) if leg not in ("gap", "same", "jump", "zero", "swap") else 1
        for _ in range(rows):
            if leg == "rest":  # long enough for a stop that nobody planned
                t += 240
            t += interval if leg != "gap" else draw(st.sampled_from((150, 200, 900, 4_000)))
            s = max(
                0.0,
                s + (0.0 if leg == "freeze" else speed) * interval * (20 if leg == "gap" else 1),
            )
            aside += {"stray": speed * interval / 2, "return": -speed * interval / 2}.get(leg, 0)
            aside = max(-400.0, min(aside, 3_000.0))
            x, y = along(s)
            if leg != "freeze":
                x, y = x + random.gauss(0, 3), y + random.gauss(0, 3)
            y += aside
            hdop = 30.0 if leg == "coarse" else None
            raw = {"zero": (0, 0), "swap": (690_000_000, 410_000_000)}.get(leg)
            jump = 20_000.0 if leg == "jump" else 0.0
            row = At(
                t_s=t - (interval if leg == "same" else 0),
                x_m=x + jump,
                y_m=y,
                hdop=hdop,
                raw=raw,
                speed_m_s=20.0 if leg == "freeze" else None,
                flags=1 | (FixFlag.JAMMING if leg == "flagged" else 0),
            )
            records.append(row)
            metres += max(0.0, speed) * interval
            if interval <= 30 and random.random() < 0.1:
                records.append(event(t, EventKind.ODOMETER, round(metres), "can"))
            if random.random() < 0.05:
                records.append(sky_of(random, t))
            if random.random() < 0.05:
                epcs = tuple(bytes([n]) * 12 for n in range(4) if random.random() < 0.7)
                ok, whole = int(random.random() < 0.9), int(random.random() < 0.7)
                records.append(event(t, EventKind.TAGS, "r", ok, whole, epcs, (), 0))
        if leg == "seal":
            shut, cut = random.random() < 0.5, random.random() < 0.2
            records.append(seal(t, locked=shut, rope_in=shut, rope_cut=cut))
        if random.random() < 0.2:
            records.append(event(t, 16, 1, 0, 5_000))
        if random.random() < 0.1:
            records.append(event(t, 2, 1, 0, "p", 1, None))  # a start, whose time is told anew
            shift_ms = random.choice((-40_000_000, 3_000, 40_000_000))
            now_ms = BEGIN_MS + round(t * 1_000)
            records.append(seal(t + 1 - shift_ms / 1_000, locked=True, rope_in=True))
            records.append(event(t + 2, 4, 1, now_ms - shift_ms, now_ms, 3))
    unit = Unit()
    items: list[Item] = []
    size = draw(st.integers(1, 60))
    for begin in range(0, len(records), size):
        items.append(unit.batch(*records[begin : begin + size], received_s=t))
        if random.random() < 0.05:
            items.append(ChainHole(unit="u", chain=unit.chain, first=0, last=0, why="dropped"))
    return items


def same(one: Run, other: Run) -> None:
    assert told(one) == told(other)
    assert blobs(one) == blobs(other)


@pytest.mark.long
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(journeys())
def test_screening_never_hides_a_finding(items: list[Item]) -> None:
    same(play(BOOK, items), play(BOOK, items, screen=every_row))


@st.composite
def edits(draw: st.DrawFn) -> tuple[Rules, ...]:
    """Versions that follow the first one: zones drawn anew, taken away, put where the road is, of another kind."""
    random = Random(draw(st.integers(0, 1 << 30)))
    features, versions = list(COUNTRY), [BOOK.versions[0]]
    valid_s = 0.0
    for number in range(1, draw(st.integers(2, 4))):
        valid_s += random.choice((5, 60, 300, 1_200))
        for at, feature in enumerate(features):
            name = feature["properties"]["id"]  # type: ignore[index]  # as `square` makes it
            if name == "road" or random.random() < 0.7:
                continue
            x, y = along(random.uniform(0, 12_000))
            size = random.choice((50, 300, 2_000))
            kind = random.choice(("area", "forbidden", "tunnel", "plant", "transfer"))
            features[at] = square(str(name), x, y, size, kind=kind)
        shapes = shapes_of(*features)
        valid_from_ms = BEGIN_MS + round(valid_s * 1_000)
        versions.append(build(shapes, version=number, valid_from_ms=valid_from_ms))
    return tuple(versions)


@pytest.mark.long
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(journeys(), edits(), st.integers(1, 4))
def test_an_edit_hides_nothing_from_whom_it_concerns(
    items: list[Item], versions: tuple[Rules, ...], cut: int
) -> None:
    book = replace(BOOK, versions=versions)
    seen = play(book, items, screen=every_row)
    same(play(book, items), seen)
    same(play(book, items, cut=cut), seen)


@pytest.mark.long
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(journeys(), st.integers(1, 5))
def test_cutting_a_chain_into_ticks_changes_nothing(items: list[Item], cut: int) -> None:
    same(play(BOOK, items), play(BOOK, items, cut=cut))


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(journeys())
def test_a_state_survives_its_blob(items: list[Item]) -> None:
    seen = play(BOOK, items, cut=1)
    for result in seen.results:
        for state in result.states.values():
            assert unpack(pack(state)) == state


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(journeys())
def test_no_finding_is_told_twice(items: list[Item]) -> None:
    keys = [(finding.id, finding.n) for finding in play(BOOK, items).findings]
    assert len(keys) == len(set(keys))


def test_a_blob_of_somebody_else_is_refused() -> None:
    for blob in (b"", b"\x91\x02", b"\xc1", b"\x93\x01\x01\x01"):
        with pytest.raises((MisuseError, ValueError)):
            unpack(blob)
    assert unpack(pack(FRESH)) == FRESH == UnitState()


def test_a_dull_unit_keeps_all_that_the_watch_knows() -> None:
    """Of a unit of which every row is dull the state is spelt out part by part: nothing may be forgotten there."""
    unit = Unit()
    book = book_of()

    def cruise(t_s: float) -> list[At]:
        return [At(t_s=t_s + n, x_m=15 * (t_s + n), y_m=0, speed_m_s=15) for n in range(10)]

    before = play(book, [unit.batch(*cruise(0), received_s=10)]).states["u"]
    told_of = silence.State(
        heard_ms=before.watch.heard_ms,
        told_ms=before.watch.told_ms,
        seq=before.watch.seq,
        out_of_power=True,
        jammed_ms=5,
        risk_ms=6,
        risk_n=2,
        risk_runs=True,
        exceeded=True,
        exceeded_n=3,
        journey="j",
    )
    batch = unit.batch(*cruise(10), received_s=20)
    states = {"u": replace(before, watch=told_of)}
    dull = run(book, states, Tick(items=(batch,)))
    walked = run(book, states, Tick(items=(batch,)), screen=every_row)
    assert (dull.stepped, walked.stepped) == (0, 10)
    assert dull.states == walked.states
    kept = dull.states["u"].watch
    moved = replace(kept, heard_ms=told_of.heard_ms, told_ms=told_of.told_ms, seq=told_of.seq)
    assert moved == told_of
    unset = {name for name in asdict(kept) if getattr(kept, name) == getattr(silence.State(), name)}
    assert unset == {
        "lost",
        "back",
    }  # a unit with either is walked; another field must be set above


def test_whom_an_edit_does_not_concern_is_not_stepped_and_goes_on_under_it() -> None:
    near, far = square("near", 500, 0, 400), square("far", 0, 9_000, 300)
    before = build(shapes_of(near, far), version=1)
    after = build(
        shapes_of(near, square("far", 0, 9_050, 300)), version=2, valid_from_ms=BEGIN_MS + 20_000
    )
    book = replace(book_of(), versions=(before, after))
    unit = Unit()
    batches = [
        unit.batch(
            *[
                At(t_s=t_s, x_m=400 + 5 * t_s, y_m=0, speed_m_s=5)
                for t_s in range(begin, begin + 10)
            ]
        )
        for begin in (0, 10, 20, 30)
    ]
    seen = play(book, batches, cut=1)
    assert [result.stepped for result in seen.results][2:] == [0, 0]
    assert seen.states["u"].frame.version == (2, BEGIN_MS + 20_000)
    assert {visit.zone for visit in seen.states["u"].zones.visits} == {"near"}
    same(seen, play(book, batches, cut=1, screen=every_row))
