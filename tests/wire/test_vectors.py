"""Every line of the wire vectors gives exactly its verdict, through the rooms and through the command."""

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from plomba.wire import judge, verdict_of

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "wire"


def cases(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", cases("batch"), ids=lambda case: str(case["name"]))
def test_every_batch_gives_its_verdict(case: dict[str, object]) -> None:
    verdict = verdict_of(case)
    assert verdict["verdict"] == case["expect"]
    assert verdict.get("link_kept", False) == case.get("link_kept", False)
    assert verdict.get("head") == case.get("head")
    if "events" in case:
        assert verdict["events"] == case["events"]
    fixes = case.get("fixes")
    rows = verdict.get("fixes")
    if isinstance(fixes, dict):
        assert isinstance(rows, list)
        sums = [sum(column) for column in zip(*rows, strict=True)]
        assert {"count": len(rows), "first": rows[0], "last": rows[-1], "sum": sums} == fixes
    elif fixes is not None:
        assert rows == fixes


@pytest.mark.parametrize("name", ["hello", "receipt", "order"])
def test_hellos_receipts_and_orders_give_their_verdicts(name: str) -> None:
    for case in cases(name):
        assert verdict_of(case)["verdict"] == case["expect"], case["name"]


def test_the_command_prints_a_line_a_case_and_tells_lines_that_are_none(tmp_path: Path) -> None:
    app = Typer()
    app.command()(judge)
    file = tmp_path / "cases.jsonl"
    file.write_text((VECTORS / "hello.jsonl").read_text() + "[]\nno json\n")
    result = CliRunner().invoke(app, [str(file)])
    assert result.exit_code == 1
    verdicts = [json.loads(line) for line in result.stdout.splitlines()]
    assert [verdict["verdict"] for verdict in verdicts] == [
        case["expect"] for case in cases("hello")
    ]
    assert result.stderr.count("no case") == 2
    assert CliRunner().invoke(app, [str(VECTORS / "batch.jsonl")]).exit_code == 0
    assert CliRunner().invoke(app, [str(tmp_path / "none.jsonl")]).exit_code == 3
