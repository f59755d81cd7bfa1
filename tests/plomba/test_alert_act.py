"""`plomba alert ack, take, shelve, reset, second, history, load` over a real store."""

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
    """A collector's directory with one latched alert in it."""

    async def fill() -> None:
        store = await Store.open(f"sqlite:///{tmp_path / 'collector.db'}")
        try:
            centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
            await centre.enrol(unit)
            unit.begin()
            unit.seal([panic(unit)])
            await centre.hear(unit, *(sealed.envelope for sealed in unit.sealed))
        finally:
            await store.close()

    asyncio.run(fill())
    return tmp_path


def alert_id(data: Path) -> str:
    async def read() -> str:
        store = await Store.open(f"sqlite:///{data / 'collector.db'}")
        try:
            async with store.read() as connection:
                from sqlalchemy import select  # noqa: PLC0415  # beside its only use

                from collector.store import schema  # noqa: PLC0415  # as above

                row = (await connection.execute(select(schema.alert.c.id))).one()
                return bytes(row.id).hex()
        finally:
            await store.close()

    return asyncio.run(read())


def run(data: Path, *args: str, code: int = exits.OK, user: str = "") -> str:
    env = {"SUDO_USER": user}
    result = RUNNER.invoke(app, ["alert", *args, "--data", str(data)], env=env)
    assert result.exit_code == code, result.output
    return result.output


def acts(data: Path, id_: str) -> list[tuple[str, str, str]]:
    rows = [json.loads(line) for line in run(data, "history", id_, "--json").splitlines()]
    return [(row["act"], row["state"], row["why"]) for row in rows]


def test_a_latched_alert_is_seen_taken_and_closed_by_two(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    id_ = alert_id(data)
    run(data, "ack", id_[:8], user="aziza")
    assert "in hand of os:root for aziza" in run(data, "take", id_, user="aziza")
    assert "no_outcome" in run(data, "reset", id_, "--reason", "x", code=exits.USAGE)
    run(data, "reset", id_, "--outcome", "FALSE", "--reason", "button", user="aziza")
    denied = run(data, "second", id_, code=exits.NOT_ALLOWED, user="aziza")
    assert "another person" in denied
    closed = run(data, "second", id_, "--json", user="bahrom")
    assert json.loads(closed)["state"] == "CLOSED"
    assert acts(data, id_) == [
        ("raise", "UNACKED", ""),
        ("ack", "ACKED", ""),
        ("take", "ACKED", ""),
        ("reset", "RESET_PROPOSED", "button"),
        ("second", "CLOSED", ""),
    ]
    load = json.loads(run(data, "load", "--since", "365d", "--json"))
    assert load["outcomes"] == {"FALSE": 1}


def test_what_may_not_be_done_is_refused_with_the_way_out(data: Path) -> None:
    id_ = alert_id(data)
    assert "never_shelved" in run(data, "shelve", id_, "--reason", "x", code=exits.NOT_ALLOWED)
    assert "possible: ack" in run(data, "second", id_, code=exits.FAILED)
    assert "6 to 32 hex digits" in run(data, "ack", "nonsense", code=exits.USAGE)
    assert "no alert begins with" in run(data, "ack", "f" * 32, code=exits.NOT_FOUND)
    assert "no span of time" in run(data, "load", "--since", "soon", code=exits.USAGE)
