"""`plomba alert show`, `history` and `catalogue` in three languages, over a real store."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collector.store.database import Store
from collector.texts.alerts import CODES
from collector.texts.page import page
from plomba import exits
from plomba.__main__ import app
from tests.collector.fleet import Centre, FleetUnit
from tests.collector.test_tick import panic
from tests.plomba.test_alert_act import alert_id, data, run  # noqa: F401  # `data` is a fixture
from wire.topics import Up

RUNNER = CliRunner()


def test_an_alert_is_told_whole_with_findings_and_history(data: Path) -> None:  # noqa: F811  # the fixture
    id_ = alert_id(data)
    run(data, "ack", id_, user="aziza")
    told = json.loads(run(data, "show", id_[:8], "--json", "--lang", "uz"))
    assert told["id"] == id_
    assert told["code"] == "DRIVER_DISTRESS"
    assert told["name"] == "Haydovchi yordam soʻramoqda"
    assert (told["priority"], told["minutes"], told["state"]) == ("P1", 2, "ACKED")
    assert told["sentence"].startswith("Qurilma uz-01: tashvish tugmasi bosilgan")
    assert [one["sentence"] for one in told["findings"]] == [told["sentence"]]
    assert [(one["act"], one["state"]) for one in told["history"]] == [
        ("raise", "UNACKED"),
        ("ack", "ACKED"),
    ]


def test_an_alert_is_told_in_the_language_of_the_reader(data: Path) -> None:  # noqa: F811  # the fixture
    id_ = alert_id(data)
    said = run(data, "show", id_, "--lang", "ru")
    assert "Что делать: Позвоните водителю, затем в полицию и скорую помощь." in said
    assert "Реакция: в течение 2 минут" in said
    assert "Состояние: Не квитирована" in said
    result = RUNNER.invoke(
        app, ["alert", "show", id_, "--data", str(data)], env={"LC_ALL": "", "LANG": "en_GB.UTF-8"}
    )
    assert "Answer: within 2 minutes" in result.output


def test_an_alert_that_was_told_ahead_says_since_when_it_waits_to_be_confirmed(
    tmp_path: Path,
) -> None:
    async def hear(*numbers: int, what: Up) -> None:
        store = await Store.open(f"sqlite:///{tmp_path / 'collector.db'}")
        try:
            centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
            if what is Up.EARLY:
                await centre.enrol(unit)
            sealed = [unit.begin(), unit.seal(), unit.seal([panic(unit)])]
            await centre.hear(unit, *(sealed[number].envelope for number in numbers), what=what)
        finally:
            await store.close()

    asyncio.run(hear(2, what=Up.EARLY))  # what lies before it has not come, and may never
    id_ = alert_id(tmp_path)
    told = json.loads(run(tmp_path, "show", id_, "--json"))
    assert told["unconfirmed_since"] == "2026-11-23T06:46:42Z"
    said = run(tmp_path, "show", id_, "--lang", "en")
    assert (
        f"unconfirmed: {told['unconfirmed_since']} (told ahead of its place in the record" in said
    )
    asyncio.run(hear(0, 1, what=Up.BATCH))
    told = json.loads(run(tmp_path, "show", id_, "--json"))
    assert told["unconfirmed_since"] is None
    assert "unconfirmed" not in run(tmp_path, "show", id_, "--lang", "en")


def test_a_history_names_its_alert(data: Path) -> None:  # noqa: F811  # the fixture
    id_ = alert_id(data)
    said = run(data, "history", id_, "--lang", "ru")
    assert said.startswith("Водитель зовёт на помощь (DRIVER_DISTRESS), uz-01")
    assert "Не квитирована" in said
    row = json.loads(run(data, "history", id_, "--json", "--lang", "en"))
    assert (row["name"], row["state"]) == ("Driver calls for help", "UNACKED")


def test_an_alert_that_is_not_there_and_a_language_that_is_not_ours_are_said(data: Path) -> None:  # noqa: F811  # the fixture
    run(data, "show", "abcdef", code=exits.NOT_FOUND)
    run(data, "show", "xyz", code=exits.USAGE)
    assert "uz, ru, en" in run(data, "show", alert_id(data), "--lang", "fr", code=exits.USAGE)


@pytest.mark.parametrize(("lang", "words"), [("uz", "Plomba"), ("ru", "Пломба"), ("en", "Seal")])
def test_the_catalogue_lists_every_code(lang: str, words: str) -> None:
    result = RUNNER.invoke(app, ["alert", "catalogue", "--lang", lang, "--json"])
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [row["code"] for row in rows] == list(CODES)
    assert rows[0]["name"].startswith(words)
    lost = next(row for row in rows if row["code"] == "CONTACT_LOST")
    assert (lost["priorities"], lost["minutes"]) == (["P3", "P2", "P1"], [60, 10, 2])


def test_one_command_draws_the_page(tmp_path: Path) -> None:
    there = tmp_path / "ALERTS.md"
    result = RUNNER.invoke(app, ["alert", "catalogue", "--write", str(there)])
    assert result.exit_code == exits.OK, result.output
    assert there.read_text(encoding="utf-8") == page()
