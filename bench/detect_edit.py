"""How long a new version of the rules keeps ingest waiting while 10,000 units are inside zones (DETECTION section 14).

Two waits are measured: of the loop while the new version is read and built beside the running one, and of each tick in which units
have their first fix under it.
"""

import asyncio
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from collector.app.rulebook import EMPTY, Watched
from collector.detect.engine import FRESH, Tick, UnitState
from collector.detect.engine.run import run as run_tick
from collector.detect.geo import Zone
from collector.detect.rules import Rulebook, Rules
from collector.detect.track import Batch
from collector.store.database import Store

UNITS = 10_000
TICK_BATCHES = 512
STEP_MS = 10_000
STEP_E7 = 4_500  # 50 m north a fix: nobody stands, few leave
BEAT_S = 0.001
EDITED = 0.01  # of the zones are redrawn, a few metres aside

Feature = dict[str, object]


def run(features: list[Feature], units: int = UNITS) -> dict[str, object]:
    """`features`: zones and borders, as bench.detect makes them."""
    before, after, beats = asyncio.run(_edited(features))
    ticks = {
        name: _ticks(rules, before, units) for name, rules in (("same", before), ("new", after))
    }
    usual_ms, new_ms = (statistics.median(ticks[name]) for name in ("same", "new"))
    return {
        "units_inside": units,
        "zones_redrawn": max(1, int(EDITED * len(features))),
        "loop_held_ms_worst": round(1_000 * max(beats), 1),
        "tick_ms": {"usual": round(usual_ms, 1), "first_under_new": round(new_ms, 1)},
        "tick_waits_ms_median": round(new_ms - usual_ms, 1),
        "tick_ms_worst": {name: round(max(some), 1) for name, some in ticks.items()},
        "goal_ms": 50,
    }


async def _edited(features: list[Feature]) -> tuple[Rules, Rules, list[float]]:
    """Both versions, by way of a store; and how late a loop was that had to be served each millisecond meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        async with await Store.open(f"sqlite:///{Path(folder) / 'bench.db'}") as store:
            watched = Watched(store)
            await _import(store, features, 1_000)
            await watched.refresh()
            before = watched.rulebook.versions[-1]
            await _import(store, _redrawn(features), 2_000)
            beats: list[float] = []
            async with asyncio.TaskGroup() as tasks:
                heart = tasks.create_task(_beat(beats), name="heart")
                await watched.refresh()
                heart.cancel()
            return before, watched.rulebook.versions[-1], beats


async def _import(store: Store, features: list[Feature], now_ms: int) -> None:
    text = json.dumps({"type": "FeatureCollection", "features": features})
    await store.import_rules(zones=text, routes=EMPTY, thresholds="", now_ms=now_ms)


async def _beat(beats: list[float]) -> None:
    last = time.perf_counter()
    while True:
        await asyncio.sleep(BEAT_S)
        now = time.perf_counter()
        beats.append(now - last - BEAT_S)
        last = now


def _redrawn(features: list[Feature]) -> list[Feature]:
    """Some of the stars, a few metres farther north."""
    moved = copy.deepcopy(features)
    for feature in moved[: max(1, int(EDITED * len(features)))]:
        geometry = feature["geometry"]
        assert isinstance(geometry, dict)
        (ring,) = geometry["coordinates"]
        geometry["coordinates"] = [[[lon, lat + 0.0001] for lon, lat in ring]]
    return moved


def _ticks(rules: Rules, before: Rules, units: int) -> list[float]:
    """Milliseconds of each tick of the third fix; the first two are judged by the version before."""
    states: dict[str, UnitState] = {}
    spent: list[float] = []
    for fix, book in enumerate((before, before, rules)):
        versions = (before,) if book is before else (before, book)
        spent = list(_round(Rulebook(versions=versions), states, before.zones, units, fix))
    return spent


def _round(
    book: Rulebook, states: dict[str, UnitState], zones: Mapping[str, Zone], units: int, fix: int
) -> Iterator[float]:
    places = [zone.shape.representative_point() for zone in zones.values()]
    for begin in range(0, units, TICK_BATCHES):
        numbers = range(begin, min(units, begin + TICK_BATCHES))
        batches = tuple(_batch(number, fix, places[number % len(places)]) for number in numbers)
        known = {batch.unit: states.get(batch.unit, FRESH) for batch in batches}
        now = time.perf_counter()
        result = run_tick(book, known, Tick(items=batches))
        yield 1_000 * (time.perf_counter() - now)
        states.update(result.states)


def _batch(number: int, fix: int, place: object) -> Batch:
    x, y = int(getattr(place, "x")), int(getattr(place, "y")) + fix * STEP_E7  # noqa: B009  # shapely brings no types
    cells = (fix, 10_000 + fix * STEP_MS, y, x, -1_000_000, 1_000, -1, 80, -1, -1, 1)
    return Batch(
        unit=f"unit-{number}",
        chain=bytes(16),
        batch_no=fix,
        first_seq=fix,
        count=1,
        fixes=np.array(cells, np.int64)[:, None],
        events=(),
    )
