"""`plomba detect replay --ticks`: what only passing time tells."""

import json
from pathlib import Path

from typer.testing import CliRunner

from plomba.__main__ import app

RUNNER = CliRunner()
HEAD = "time,lat,lon,speed_m_s,received\n"


def track(path: Path) -> Path:
    """Ten minutes on the road, a quarter of an hour of silence, five minutes more."""
    rows = [n for n in range(240) if not 60 <= n < 150]
    path.write_text(
        HEAD
        + "".join(
            f"{1_803_877_200 + 10 * n},{41 + n * 0.001:.6f},69.0,11,{1_803_877_202 + 10 * n}\n"
            for n in rows
        )
    )
    return path


def replay(*args: str) -> list[dict[str, object]]:
    result = RUNNER.invoke(app, ["detect", "replay", *args, "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(row) for row in result.stdout.splitlines()]


def test_a_silence_is_told_by_ticks_alone(tmp_path: Path) -> None:
    truck = str(track(tmp_path / "truck.csv"))
    assert replay(truck) == []
    found = replay(truck, "--ticks", "10", "--batch", "10")
    assert [(row["code"], row["phase"]) for row in found] == [
        ("CONTACT_LOST", "begin"),
        ("CONTACT_RESTORED", "point"),
        ("CONTACT_LOST", "end"),
    ]
    for more in (["--tick", "1"], ["--tick", "7"], ["--step-all"]):
        assert replay(truck, "--ticks", "10", "--batch", "10", *more) == found
