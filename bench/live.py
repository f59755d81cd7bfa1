"""The live line: how fast a picture of the fleet is packed, and how small it is, beside the same rows as JSON.

The baseline takes turns with ours in one run: the rows as objects, written by `json` and zipped alike.
"""

import gzip
import json
import statistics
import time
from dataclasses import asdict
from random import Random
from typing import TYPE_CHECKING

from bench.machine import machine
from collector.api import frames
from collector.store.live import Shown, UnitNow

if TYPE_CHECKING:
    from collections.abc import Callable

T_S = 1_795_330_000
CHANGED = 333  # of 10,000 units with a fix in 30 s that change in a second
GZIP_LEVEL = 1  # CONSOLE section 7


def run(units: int, rounds: int) -> dict[str, object]:
    """Pack so many units so often; medians of the rounds."""
    rows = fleet(units, Random(1))  # noqa: S311  # a fleet that can be made again
    columns = frames.columns_of(rows)
    some = frames.columns_of(rows[:: max(units // CHANGED, 1)][:CHANGED])
    parts: dict[str, Callable[[], bytes]] = {
        "pack": lambda: frames.snapshot(columns, t_s=T_S, feed=1, scope=""),
        "columns_and_pack": lambda: frames.snapshot(
            frames.columns_of(rows), t_s=T_S, feed=1, scope=""
        ),
        "zip": lambda: gzip.compress(packed, GZIP_LEVEL),
        "units_event": lambda: frames.units_event(some, t_s=T_S, feed=1),
        "json_pack": lambda: as_json(rows),
        "json_zip": lambda: gzip.compress(plain, GZIP_LEVEL),
    }
    packed, plain = parts["pack"](), parts["json_pack"]()
    took: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            begin = time.perf_counter()
            part()
            took[name].append((time.perf_counter() - begin) * 1_000)
    sizes = {name: len(part()) for name, part in parts.items()}
    return {
        "machine": machine(),
        "units": units,
        "rounds": rounds,
        "ms": {name: round(statistics.median(times), 3) for name, times in took.items()},
        "bytes": {name: size for name, size in sizes.items() if name != "columns_and_pack"},
        "units_in_event": len(some),
        "packs_for_one_of_json": round(
            statistics.median(took["json_pack"]) / statistics.median(took["pack"]), 1
        ),
    }


def fleet(units: int, rng: Random) -> list[UnitNow]:
    """Units over Uzbekistan, most of them well."""
    return [
        UnitNow(
            no=no,
            scope="uz",
            shown=int(Shown.SEALED | Shown.ON_A_JOURNEY | (Shown.MOVING if no % 3 else 0)),
            priority=0 if rng.random() < 0.97 else rng.randrange(1, 4),
            stage=2,
            t_ms=(T_S - rng.randrange(120)) * 1_000,
            lat_e7=rng.randrange(371_000_000, 456_000_000),
            lon_e7=rng.randrange(559_000_000, 732_000_000),
            speed_cm_s=rng.randrange(2_500),
            course_cdeg=rng.randrange(36_000),
        )
        for no in range(1, units + 1)
    ]


def as_json(rows: list[UnitNow]) -> bytes:
    """The plain way."""
    return json.dumps([asdict(row) for row in rows], separators=(",", ":")).encode()
