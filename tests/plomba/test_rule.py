"""`plomba rule try, list, show, import`: drafts over a real store, and versions of the rules."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from typer.testing import CliRunner

from collector.app.rulebook import drafted
from collector.detect.rules import BUILT_MS
from collector.store import RulesRow, schema
from collector.store.database import Store
from plomba import exits
from plomba.__main__ import app
from plomba.rule import EMPTY
from plomba.rule_try import run as try_run, week_of
from tests.collector.fleet import T0_MS, Centre, FleetUnit, fix
from tests.collector.test_tick import panic, rows

T = TypeVar("T")

RUNNER = CliRunner()
EVER = "99999d"  # the fleet's own time is not this machine's
WEEK = "2026-W47"
RUNNING = RulesRow(version=1, valid_from_ms=0, zones=EMPTY, routes=EMPTY, thresholds="")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collector's directory: a lorry that stood for 25 minutes, a panic in the middle, and a chain that lost its memory."""

    async def fill(store: Store) -> None:
        centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
        centre.ticker.rulebook = drafted(RUNNING, ())
        await centre.enrol(unit)
        unit.begin(more=[fix(T0_MS - 60_000, 413_000_000)])
        for minute in range(0, 26, 5):
            unit.clock_ms = T0_MS + minute * 60_000
            stood = [replace(fix(unit.clock_ms + n * 60_000), speed_cm_s=0) for n in range(5)]
            unit.seal([*stood, panic(unit)] if minute == 10 else stood)
        unit.clock_ms += 600_000
        unit.begin(3, forgets=True)
        for sealed in unit.sealed:
            await centre.hear(unit, sealed.envelope)

    folder = tmp_path_factory.mktemp("filled")
    in_store(folder, fill)
    return folder


@pytest.fixture
def data(tmp_path: Path, filled: Path) -> Path:
    """A copy of it for one test."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return tmp_path


def in_store(data: Path, act: Callable[[Store], Awaitable[T]]) -> T:
    async def inside() -> T:
        async with await Store.open(f"sqlite:///{data / 'collector.db'}") as store:
            return await act(store)

    return asyncio.run(inside())


def rule(data: Path, *args: str, code: int = exits.OK) -> str:
    result = RUNNER.invoke(app, ["rule", *args, "--data", str(data)])
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


def tried(data: Path, *args: str) -> list[tuple[object, ...]]:
    lines = rule(data, "try", *args, "--since", EVER, "--json").splitlines()
    return [tuple(json.loads(line).values()) for line in lines]


def toml(tmp_path: Path, text: str) -> str:
    file = tmp_path / "draft.toml"
    file.write_text(text)
    return str(file)


def square(tmp_path: Path, **properties: object) -> str:
    ring = [[69.2, 41.3], [69.3, 41.3], [69.3, 41.4], [69.2, 41.4], [69.2, 41.3]]
    feature = {
        "type": "Feature",
        "properties": {"id": "closed", "kind": "forbidden", **properties},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    file = tmp_path / "zones.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return str(file)


def test_a_draft_shows_what_it_would_have_raised_beside_what_was(data: Path) -> None:
    assert tried(data, toml(data, "stop_alert_s = 600\n")) == [
        ("DRIVER_DISTRESS", "uz-01", WEEK, 1, 1),
        ("UNSCHEDULED_STOP", "uz-01", WEEK, 1, 0),
    ]


def test_a_draft_that_changes_nothing_raises_the_same(data: Path) -> None:
    """What ingest found, the chain that begins anew, is on neither side: no rule made it."""
    found = in_store(data, lambda store: rows(store, schema.finding))
    assert "LOG_INTEGRITY" in {row.code for row in found}
    assert tried(data, toml(data, "")) == [("DRIVER_DISTRESS", "uz-01", WEEK, 1, 1)]


def test_drafted_zones_are_tried_with_the_thresholds_in_force(data: Path) -> None:
    rule(data, "import", toml(data, "stop_alert_s = 600\n"))
    assert tried(data, "--zones", square(data)) == [
        ("DRIVER_DISTRESS", "uz-01", WEEK, 1, 1),
        ("FORBIDDEN_ZONE", "uz-01", WEEK, 1, 0),
        ("UNSCHEDULED_STOP", "uz-01", WEEK, 1, 0),
    ]


def test_a_trial_writes_nothing(data: Path) -> None:
    def all_rows() -> list[object]:
        async def read(store: Store) -> list[object]:
            return [await rows(store, table) for table in schema.metadata.sorted_tables]

        return in_store(data, read)

    before = all_rows()
    tried(data, toml(data, "stop_alert_s = 600\n"), "--zones", square(data))
    assert all_rows() == before


async def test_only_what_begins_in_the_time_counts_and_what_is_before_warms_up(data: Path) -> None:
    """From the middle of the log: the stop has begun before, its alert falls into the time; the panic does not."""
    row = replace(RUNNING, thresholds="stop_alert_s = 1100\n")
    async with await Store.open(f"sqlite:///{data / 'collector.db'}") as store:
        ticks = await rows(store, schema.tick)
        since_ms = ticks[4].now_ms
        warm = await try_run(store, row, since_ms=since_ms, warm_ms=86_400_000)
        cold = await try_run(store, row, since_ms=since_ms, warm_ms=0)
    stop = ("UNSCHEDULED_STOP", "uz-01", WEEK)
    assert (dict(warm.draft), dict(warm.running)) == ({stop: 1}, {})
    assert dict(cold.draft) == {}  # known only since the middle, it has not stood long enough
    assert (warm.ticks, warm.positions) == (len(ticks) - 4, 15)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ((), exits.USAGE, "nothing to try"),
        (("none.toml",), exits.NOT_FOUND, "none.toml"),
        (("draft.toml", "--since", "week"), exits.USAGE, "no span of time"),
        (("draft.toml",), exits.BAD, "late: is no threshold"),
        (("--zones", "draft.toml"), exits.BAD, "not_geojson"),
        (("--zones", "zones.geojson"), exits.BAD, "bad_property"),
    ],
)
def test_what_cannot_be_tried_is_told(
    data: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], code: int, said: str
) -> None:
    toml(data, "late = 1\n")
    square(data, dwell_s="long")
    monkeypatch.chdir(data)
    assert said in rule(data, "try", *args, code=code)


def test_where_nothing_was_ever_stored_there_is_nothing_to_read(tmp_path: Path) -> None:
    draft = toml(tmp_path, "late_s = 7\n")
    for args in (("try", draft), ("list",), ("show",)):
        assert "no collector has stored" in rule(tmp_path, *args, code=exits.NOT_FOUND)
    assert [path.name for path in tmp_path.iterdir()] == ["draft.toml"]


def test_imported_thresholds_are_a_version_and_leave_the_shapes_alone(data: Path) -> None:
    RUNNER.invoke(app, ["zone", "import", square(data), "--data", str(data)])
    said = rule(data, "import", toml(data, "late_s = 7\n[profile]\neaeu = true\n"))
    assert said == "2 thresholds are version 2 of the rules\n"
    listed = [json.loads(line) for line in rule(data, "list", "--json").splitlines()]
    assert [(row["version"], row["zones"], row["thresholds"]) for row in listed] == [
        (1, 1, {}),
        (2, 1, {"late_s": 7, "profile": {"eaeu": True}}),
    ]
    (shown,) = map(json.loads, rule(data, "show", "--json").splitlines())
    assert shown["thresholds"]["late_s"] == 7
    assert shown["thresholds"]["jump_m"] == 500
    assert shown["thresholds"]["built_ms"] == BUILT_MS  # as a centre judges, not as a replay does
    assert shown["thresholds"]["profile.eaeu"] is True
    assert shown["imported"] == ["late_s", "profile.eaeu"]
    assert "late_s = 7" in rule(data, "list")
    assert rule(data, "show", "9", code=exits.NOT_FOUND).startswith("there is no version 9")
    assert rule(data, "import", toml(data, "late = 7\n"), code=exits.BAD)
    assert len(in_store(data, lambda store: store.rules())) == 2


def test_a_week_is_the_one_of_iso_8601() -> None:
    assert [week_of(day * 86_400_000) for day in (18_627, 18_630, 18_631)] == [
        "2020-W53",
        "2020-W53",
        "2021-W01",
    ]
