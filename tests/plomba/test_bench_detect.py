"""`plomba bench detect`: what it cannot measure, it says; figures are nightly's."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plomba import exits
from plomba.__main__ import app

RUNNER = CliRunner()


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--borders", "none.geojson"), exits.NOT_FOUND),
        (("--loads", "D"), exits.USAGE),
        (("--loads", ""), exits.USAGE),
        (("--units", "0"), exits.USAGE),
    ],
)
def test_what_cannot_be_measured_is_told(args: tuple[str, ...], code: int) -> None:
    assert RUNNER.invoke(app, ["bench", "detect", *args]).exit_code == code


@pytest.mark.slow
def test_a_small_fleet_is_measured_in_every_figure(tmp_path: Path) -> None:
    borders = tmp_path / "none.geojson"
    borders.write_text('{"type": "FeatureCollection", "features": []}')
    args = ["bench", "detect", "--units", "10", "--loads", "C", "--borders", str(borders), "--json"]
    args += ["--edited", "1000"]
    figures = json.loads(RUNNER.invoke(app, args).stdout)
    assert list(figures["loads"]) == ["C"]
    assert figures["loads"]["C"]["detection_positions_s"] > 0
    assert figures["edit"]["units_inside"] == 1_000
    assert figures["edit"]["tick_ms"]["usual"] > 0
