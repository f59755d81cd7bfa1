"""`plomba rule try`: a draft of the rules over what the store has kept, before anybody has to live with it (DETECTION section 3).

Law: the same engine over the same ticks; reads only.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits
from plomba.centre import (
    DATA,
    DataOption,
    JsonOption,
    Row,
    fail,
    read_store,
    say_json,
    say_table,
    span_ms,
)
from plomba.rule import EMPTY, read_rules
from plomba.zone import only, read_geojson, show_faults, show_warnings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collector.detect import Finding
    from collector.store import RulesRow
    from collector.store.database import Store

PROGRESS_MS = 5_000
DRAFT = 1 << 31  # the version of a draft: no stored one
BUDGET = 1  # alerts a unit and week, DETECTION section 8
COLUMNS = ("code", "unit", "week", "draft", "running")

Key = tuple[str, str, str]  # code, unit, week


@dataclass(slots=True)
class Trial:
    """Alerts begun by rule, unit and week: under the draft, and as the running rules raised them."""

    draft: Counter[Key] = field(default_factory=Counter)
    running: Counter[Key] = field(default_factory=Counter)
    known: set[bytes] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    ticks: int = 0
    positions: int = 0
    begin_ms: int | None = None
    end_ms: int = 0

    def take(self, findings: "Iterable[Finding]") -> None:
        """Count what begins; an early copy and the pass in order say the same alert."""
        for finding in begun(findings):
            if finding.id not in self.known:
                self.known.add(finding.id)
                self.draft[finding.code, finding.unit, week_of(finding.at_ms)] += 1

    def rows(self) -> list[Row]:
        """One for each rule, unit and week of either side, sorted."""
        return [
            {
                "code": code,
                "unit": unit,
                "week": week,
                "draft": self.draft[code, unit, week],
                "running": self.running[code, unit, week],
            }
            for code, unit, week in sorted(self.draft.keys() | self.running.keys())
        ]


def try_rules(
    rules: Annotated[
        Path | None,
        typer.Argument(help="Thresholds as TOML; else those in force.", show_default=False),
    ] = None,
    zones: Annotated[
        Path | None, typer.Option(help="GeoJSON whose zones replace all; else those in force.")
    ] = None,
    route: Annotated[
        Path | None, typer.Option(help="GeoJSON whose routes replace all; else those in force.")
    ] = None,
    since: Annotated[str, typer.Option(help="How far back: 30min, 12h, 7d.")] = "7d",
    warm_up: Annotated[
        str, typer.Option(help="How much before that is run through to know the units.")
    ] = "1d",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Run a draft of the rules over stored batches: alerts by rule, unit and week, beside what the running rules raised.

    Nothing is written. Exit 3 if a file or the store is not there, 6 if the draft has a fault.
    """
    if rules is None and zones is None and route is None:
        fail(exits.USAGE, "nothing to try: name a file of thresholds, --zones or --route")
    back_ms, warm_ms = span_ms(since), span_ms(warm_up)
    text = None if rules is None else read_rules(rules)
    shapes = [None if file is None else read_geojson(file) for file in (zones, route)]

    async def read(store: "Store", now_ms: int) -> Trial:
        versions = await store.rules()
        row = _draft(versions[-1] if versions else None, text, *shapes, as_json=as_json)
        return await run(store, row, since_ms=max(0, now_ms - back_ms), warm_ms=warm_ms)

    trial = read_store(data_dir, read)
    rows = trial.rows()
    if as_json:
        say_json(rows)
    else:
        say_table(COLUMNS, ([row[name] for name in COLUMNS] for row in rows))
    for line in summary(trial):
        typer.echo(line, err=True)


async def run(store: "Store", row: "RulesRow", *, since_ms: int, warm_ms: int) -> Trial:
    """The draft over the ticks since `since_ms`, and what the store says was raised in them."""
    from collector.app.rulebook import drafted
    from collector.io import clock
    from collector.tick.replay import replay
    from collector.tick.trials import count_ticks, raised

    book = drafted(row, await store.journeys())
    from_ms = max(0, since_ms - warm_ms)
    whole = await count_ticks(store, from_ms)
    trial, told_ms, gone = Trial(), clock.now_ms(), 0
    async for tick in replay(store, lambda _version: book, from_ms=from_ms):
        gone += 1
        if tick.now_ms >= since_ms:
            trial.ticks += 1
            trial.positions += tick.positions
            trial.begin_ms = tick.now_ms if trial.begin_ms is None else trial.begin_ms
            trial.end_ms = tick.now_ms
            trial.units |= tick.units
            trial.take(tick.findings)
        else:
            trial.known |= {finding.id for finding in begun(tick.findings)}
        if clock.now_ms() - told_ms >= PROGRESS_MS:
            told_ms = clock.now_ms()
            typer.echo(f"{gone} of {whole} ticks", err=True)
    for code, unit, at_ms in await raised(store, since_ms):
        trial.running[code, unit, week_of(at_ms)] += 1
    return trial


def begun(findings: "Iterable[Finding]") -> "list[Finding]":
    """The alerts among them that begin."""
    from collector.detect import Level

    return [one for one in findings if one.level is Level.ALERT and one.n == 0]


def week_of(t_ms: int) -> str:
    """`2026-W48`, ISO 8601, UTC."""
    year, week, _ = datetime.fromtimestamp(t_ms // 1_000, UTC).isocalendar()
    return f"{year}-W{week:02d}"


def summary(trial: Trial) -> list[str]:
    """What it comes to: totals by rule, and the load beside the budget."""
    if trial.begin_ms is None:
        return ["no tick is stored in this time"]
    codes = sorted({code for code, _, _ in trial.draft.keys() | trial.running.keys()})
    lines = []
    for code in codes:
        mine, theirs = (
            sum(count for (of, _, _), count in some.items() if of == code)
            for some in (trial.draft, trial.running)
        )
        lines.append(f"{code}: {mine} by the draft, {theirs} by the running rules")
    weeks = max(trial.end_ms - trial.begin_ms, 1) / (7 * 86_400_000)
    units = max(1, len(trial.units))
    load = ", ".join(
        f"{sum(some.values()) / units / weeks:.2f} {whose}"
        for some, whose in ((trial.draft, "by the draft"), (trial.running, "by the running rules"))
    )
    lines.append(f"{trial.ticks} ticks, {trial.positions} positions, {len(trial.units)} units")
    if weeks >= 1 / 7:  # of less than a day a week says nothing
        lines.append(f"alerts a unit and week: {load} (budget {BUDGET})")
    return lines


def _draft(
    newest: "RulesRow | None",
    thresholds: str | None,
    zones: object,
    routes: object,
    *,
    as_json: bool,
) -> "RulesRow":
    """The draft as a version that has always held; ends the command with 6 if its shapes have a fault."""
    import json

    from collector.api.shapes import named_zones
    from collector.detect.geo.geojson import read_zones
    from collector.store import RulesRow

    texts = [newest.zones, newest.routes] if newest else [EMPTY, EMPTY]
    for at, source in enumerate((zones, routes)):
        if source is not None:
            texts[at] = json.dumps(only(source, lines=at == 1), ensure_ascii=False)
    known = frozenset[str]()
    if routes is None:  # zones may be replaced under a route that names them
        known = frozenset(named_zones(json.loads(texts[1] or EMPTY)["features"]))
    features = [feature for text in texts for feature in json.loads(text or EMPTY)["features"]]
    shapes = read_zones({"type": "FeatureCollection", "features": features}, known_zones=known)
    if isinstance(shapes, tuple):
        show_faults(shapes, as_json=as_json)
        fail(exits.BAD, f"{len(shapes)} faults in the draft, nothing was tried")
    if zones is not None or routes is not None:
        show_warnings(shapes.warnings)
    return RulesRow(
        version=DRAFT,
        valid_from_ms=0,
        zones=texts[0],
        routes=texts[1],
        thresholds=thresholds if thresholds is not None else newest.thresholds if newest else "",
    )
