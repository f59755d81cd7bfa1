"""`plomba case` over a real store."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collector.store.database import Store
from plomba import exits
from plomba.__main__ import app
from tests.collector.fleet import Centre, FleetUnit
from tests.collector.test_tick import panic

RUNNER = CliRunner()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A collector's directory with an alert of each of two units."""

    async def fill() -> None:
        store = await Store.open(f"sqlite:///{tmp_path / 'collector.db'}")
        try:
            centre = Centre(store)
            for name in ("uz-01", "uz-02"):
                unit = FleetUnit(unit_id=name)
                await centre.enrol(unit)
                unit.begin()
                unit.seal([panic(unit)])
                await centre.hear(unit, *(sealed.envelope for sealed in unit.sealed))
        finally:
            await store.close()

    asyncio.run(fill())
    return tmp_path


def run(data: Path, group: str, *args: str, code: int = exits.OK, user: str = "aziza") -> str:
    result = RUNNER.invoke(app, [group, *args, "--data", str(data)], env={"SUDO_USER": user})
    assert result.exit_code == code, result.output
    return result.output


def alerts(data: Path) -> list[str]:
    async def read() -> list[str]:
        store = await Store.open(f"sqlite:///{data / 'collector.db'}")
        try:
            async with store.read() as connection:
                from sqlalchemy import select  # noqa: PLC0415  # beside its only use

                from collector.store import schema  # noqa: PLC0415  # as above

                alert = schema.alert.c
                rows = await connection.execute(select(alert.id).order_by(alert.unit))
                return [bytes(row.id).hex() for row in rows]
        finally:
            await store.close()

    return asyncio.run(read())


@pytest.mark.long
def test_a_case_from_the_alert_to_the_review(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    first, second = alerts(data)
    opened = json.loads(run(data, "case", "open", first[:8], "--json"))
    assert (opened["case"], opened["state"], opened["alerts"]) == (1, "OPEN", [first])
    again = json.loads(run(data, "case", "open", first, "--json"))
    assert again == opened, "an alert has one case"
    run(data, "case", "join", "1", second)
    assert "no_move" in run(data, "case", "arrive", "1", code=exits.FAILED)
    run(data, "case", "assign", "1", "--to", "op-07")
    run(data, "case", "dispatch", "1", "--to", "post 4")
    run(data, "case", "arrive", "1")
    assert "no_outcome" in run(data, "case", "resolve", "1", "--reason", "x", code=exits.USAGE)
    run(data, "case", "resolve", "1", "--outcome", "FALSE", "--reason", "a button")
    assert "another person" in run(data, "case", "review", "1", code=exits.NOT_ALLOWED)
    run(data, "case", "review", "1", user="bahrom")

    shown = json.loads(run(data, "case", "show", "1", "--json"))
    assert [row["act"] for row in shown["history"]] == [
        *("open", "join", "assign", "dispatch", "arrive", "resolve", "review"),
    ]
    assert shown["version"] == 7
    assert run(data, "case", "list", "--json") == ""
    assert json.loads(run(data, "case", "list", "--all", "--json"))["case"] == 1

    history = [
        json.loads(line) for line in run(data, "alert", "history", second, "--json").splitlines()
    ]
    assert [row["act"] for row in history] == [
        *("raise", "case", "assign", "dispatch", "arrive", "resolve", "review"),
    ]
    assert {row["state"] for row in history} == {"UNACKED"}, "seen is another fact"
    owners = [
        json.loads(line)["owner"]
        for line in run(data, "alert", "show", second, "--json").splitlines()
    ]
    assert owners == ["op-07"]
    load = json.loads(run(data, "alert", "load", "--since", "365d", "--json"))
    assert load["outcomes"] == {"FALSE": 2}
    assert "P1" in load["to_dispatch_s"]
    assert load["vehicle_hours"] == 2
    assert load["per_1000_vehicle_hours"] == 1_000.0


def test_what_is_not_there_is_said(data: Path) -> None:
    assert "plomba case list" in run(data, "case", "show", "9", code=exits.NOT_FOUND)
    run(data, "case", "assign", "9", "--to", "x", code=exits.NOT_FOUND)
    run(data, "case", "open", "abcdef", code=exits.NOT_FOUND)


def test_an_alert_belongs_to_one_case_and_a_resolved_one_takes_no_more(data: Path) -> None:
    first, second = alerts(data)
    run(data, "case", "open", first)
    run(data, "case", "open", second)
    assert "other_case" in run(data, "case", "join", "1", second, code=exits.FAILED)
    run(data, "case", "resolve", "1", "--outcome", "TEST", "--reason", "drill")
    assert "other_case" in run(data, "case", "join", "1", second, code=exits.FAILED)
    assert "TEST" in run(data, "case", "list", "--all", "--lang", "uz")
