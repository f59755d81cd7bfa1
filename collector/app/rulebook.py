"""From the imported texts to the rules that the detectors run with (DETECTION section 3).

Law: all or nothing, built beside the running rules. No rule reaches into the past, so older versions stay.
"""

import asyncio
import contextlib
import gc
import json
import logging
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, pairwise
from pathlib import Path

from sqlalchemy import func, select

from collector.api.shapes import changes, named_zones
from collector.app import StartError
from collector.detect.geo import RouteLine
from collector.detect.geo.geojson import read_zones
from collector.detect.rules import (
    Journey,
    Rulebook,
    Rules,
    RulesError,
    build,
    epochs,
    live_thresholds,
    thresholds_from,
)
from collector.store import JourneyRow, RulesRow, schema
from collector.store.database import Store

VERSIONS_MAX = 32  # kept ready for late facts; each costs its shapes in memory
BY_FILE = "file:detect.rules_file"  # who brought a version at the start
EMPTY = '{"type":"FeatureCollection","features":[]}'

# What holds before the first import, and for facts that are older than it: nothing is watched but the unit itself.
FIRST = Rules(version=0, thresholds=live_thresholds({}))

log = logging.getLogger(__name__)


class Watched:
    """The rulebook as the store has it; `refresh` notices what other processes have written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: tuple[RulesRow, ...] = ()
        self._rules: dict[int, tuple[Rules, ...]] = {}
        self._journeys: tuple[JourneyRow, ...] = ()
        self._journey_no: int | None = None  # journeys are only ever added
        self.rulebook = Rulebook(versions=(FIRST,), journeys=Journeys((), ()))

    async def refresh(self) -> bool:
        """Read what is new; True if `rulebook` is another one now."""
        newest = self._rows[-1].version if self._rows else 0
        rows = await self._store.rules(above=newest)
        newest_journey = await self._newest_journey()
        if not rows and newest_journey == self._journey_no:
            return False
        if newest_journey != self._journey_no:
            self._journeys, self._journey_no = await self._store.journeys(), newest_journey
        self._rows = (*self._rows, *rows)[-VERSIONS_MAX:]
        for row in self._rows:
            if row.version not in self._rules:
                # Seconds for large borders: in a thread, so that ticks go on with the rules of before.
                with _uncollected():
                    self._rules[row.version] = await asyncio.to_thread(rules_of, row)
                log.info("rules version %d is in force", row.version)
        versions = in_succession(self._rules[row.version] for row in self._rows)
        self.rulebook = Rulebook(
            versions=versions,
            journeys=await asyncio.to_thread(
                Journeys, self._journeys, versions[-1].routes.values()
            ),
        )
        return True

    async def _newest_journey(self) -> int | None:
        async with self._store.read() as connection:
            found = await connection.execute(select(func.max(schema.journey.c.number)))
            newest: int | None = found.scalar_one()
            return newest


def rules_of(row: RulesRow) -> tuple[Rules, ...]:
    """One imported version, prepared; more than one value if shapes in it are valid from or until some time."""
    features = [*_features(row.zones), *_features(row.routes)]
    shapes = read_zones(
        {"type": "FeatureCollection", "features": features},
        known_zones=frozenset(
            named_zones(features)
        ),  # zones may be replaced under a route that names them
    )
    # The import has read these texts already; a fault now means that this program is older than the one that wrote them.
    assert not isinstance(shapes, tuple), f"rules version {row.version}: {shapes}"
    rules = build(
        shapes,
        version=row.version,
        valid_from_ms=row.valid_from_ms,
        thresholds=live_thresholds(tomllib.loads(row.thresholds)),
    )
    return epochs(rules)


def drafted(row: RulesRow, journeys: Iterable[JourneyRow]) -> Rulebook:
    """The rulebook in which one version, stored or not, has always held: what a trial judges by."""
    versions = rules_of(row)
    routes = {line.id: line for rules in versions for line in rules.routes.values()}
    return Rulebook(versions=versions, journeys=Journeys(journeys, routes.values()))


def in_succession(versions: Iterable[tuple[Rules, ...]]) -> tuple[Rules, ...]:
    """All of them, rising in time: what a version plans for later ends where the next version begins."""
    rising = [(FIRST,), *versions]
    kept = [
        rules
        for these, after in pairwise(rising)
        for rules in these
        if rules.valid_from_ms < after[0].valid_from_ms or rules is these[0]
    ]
    return (*kept, *rising[-1])


async def keep_thresholds(store: Store, file: Path | None, now_ms: int) -> None:
    """Make the thresholds of `file` a new version of the rules if they differ from the newest; StartError for a bad file.

    Without a file those that were imported stay in force.
    """
    if file is None:
        return
    text = _read(file)
    rows = await store.rules()
    before = rows[-1].thresholds if rows else ""
    if _table(text) == _table(before):
        return
    newest = rows[-1] if rows else None
    zones, routes = (newest.zones, newest.routes) if newest else (EMPTY, EMPTY)
    version = await store.import_rules(
        zones=zones,
        routes=routes,
        thresholds=text,
        now_ms=now_ms,
        by=BY_FILE,
        changed=changes(newest, zones, routes, text),
    )
    log.info("thresholds of %s are version %d of the rules", file, version)


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
        thresholds_from(_table(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StartError(f"detect.rules_file: {file}: {error}") from error
    except RulesError as error:
        raise StartError(f"detect.rules_file: {file}: {error.key}: {error.hint}") from error
    return text


def _table(text: str) -> dict[str, object]:
    return tomllib.loads(text)


def _features(text: str) -> list[dict[str, object]]:
    features: list[dict[str, object]] = json.loads(text or EMPTY, parse_float=_number)["features"]
    return features


def _number(text: str) -> float:
    # a function of ours, not `float` itself: between two of them other threads may run. Read at a stretch, five borders of 7 MB
    # held ticks for 0.3 s
    return float(text)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: a pass over the 150,000 places of five borders held ticks for another 0.13 s."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Journeys(Mapping[str, tuple[Journey, ...]]):
    """Journeys by unit. A unit that has none is on one sealed journey in transit, on the route that names it.

    So it is in a replay (DETECTION section 15). CUSTOMS will say it of each unit; until then no seal is left unwatched.
    """

    def __init__(self, rows: Iterable[JourneyRow], routes: Iterable[RouteLine]) -> None:
        self._said = {
            unit: tuple(map(_journey, of_unit))
            for unit, of_unit in groupby(rows, key=lambda row: row.unit_id)
        }
        self._routes: dict[str, str | None] = {}
        for route in routes:
            if route.unit is not None:
                # Two routes for one unit: which one it is on is for a journey to say.
                self._routes[route.unit] = None if route.unit in self._routes else route.id
        self._assumed: dict[str, tuple[Journey, ...]] = {}

    def __getitem__(self, unit: str) -> tuple[Journey, ...]:
        said = self._said.get(unit) or self._assumed.get(unit)
        if said is None:
            said = (Journey(id=unit, unit=unit, since_ms=0, route=self._routes.get(unit)),)
            self._assumed[unit] = said
        return said

    def __iter__(self) -> Iterator[str]:
        return iter(self._said.keys() | self._assumed.keys())

    def __len__(self) -> int:
        return len(self._said.keys() | self._assumed.keys())


def _journey(row: JourneyRow) -> Journey:
    return Journey(
        id=row.id,
        unit=row.unit_id,
        since_ms=row.since_ms,
        state=row.state,
        sealed=row.sealed,
        seals=row.seals,
        tags=row.tags,
        route=row.route,
        limit_ms=row.limit_ms,
    )
