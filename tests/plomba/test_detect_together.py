"""`plomba detect replay` over several units: a journey that they share, an area that is spoofed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plomba.__main__ import app

RUNNER = CliRunner()
HEAD = "unit,time,lat,lon,speed_m_s,received\n"
BEGIN_S = 1_803_877_200
PARTED_N, ROWS = 120, 300  # of ten seconds: the trailer stays behind

Line = tuple[int, str]


def lines() -> list[Line]:
    found = []
    for n in range(ROWS):
        for unit, way in (("lorry", n), ("seal", min(n, PARTED_N))):
            if way == n or n % 30 == 0:
                t_s = BEGIN_S + 10 * n
                row = f"{unit},{t_s},{41 + way * 0.001:.6f},69.0,11,{t_s + 2}\n"
                found.append((n, row))
    return found


def track(path: Path, some: list[Line]) -> str:
    path.write_text(HEAD + "".join(row for _, row in some))
    return str(path)


@pytest.fixture
def journey(tmp_path: Path) -> str:
    facts = tmp_path / "facts.jsonl"
    facts.write_text(
        "".join(
            json.dumps({"unit": unit, "time": BEGIN_S, "kind": "journey", "id": "J1"}) + "\n"
            for unit in ("lorry", "seal")
        )
    )
    return str(facts)


def replay(*args: str) -> list[str]:
    result = RUNNER.invoke(app, ["detect", "replay", *args, "--json"])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def apart(rows: list[str]) -> list[dict[str, object]]:
    return [row for row in map(json.loads, rows) if row["code"] == "UNIT_SEPARATED"]


def test_units_of_one_journey_that_part_are_told(tmp_path: Path, journey: str) -> None:
    both = track(tmp_path / "both.csv", lines())
    found = replay(both, "--facts", journey)
    (begin,) = apart(found)
    assert (begin["unit"], begin["phase"], begin["priority"]) == ("lorry", "begin", "P2")
    assert begin["data"] == {"journey": "J1", "units": ["lorry", "seal"]}
    assert apart(replay(both)) == []  # each is on a journey of its own
    for more in (["--tick", "1"], ["--tick", "7", "--batch", "10"], ["--step-all"]):
        assert replay(both, "--facts", journey, *more) == found


def test_the_order_of_arrival_and_ticks_change_only_when_it_was_received(
    tmp_path: Path, journey: str
) -> None:
    both = track(tmp_path / "both.csv", lines())

    def bare(*args: str) -> list[dict[str, object]]:
        rows = apart(replay(both, "--facts", journey, "--batch", "1", *args))
        return [{**row, "received": None, "late": None} for row in rows]

    straight = bare()
    assert len(straight) == 1
    for args in (["--deliver", "shuffle:3"], ["--deliver", "received"], ["--ticks", "30"]):
        assert bare(*args) == straight


def test_two_halves_and_their_state_give_the_lines_of_the_whole(
    tmp_path: Path, journey: str
) -> None:
    for cut in (PARTED_N - 10, PARTED_N + 5, PARTED_N + 40):
        state = str(tmp_path / f"state.{cut}")
        halves = [
            track(tmp_path / "one.csv", [one for one in lines() if one[0] < cut]),
            track(tmp_path / "two.csv", [one for one in lines() if one[0] >= cut]),
        ]
        parts = [apart(replay(half, "--facts", journey, "--state", state)) for half in halves]
        whole = track(tmp_path / "whole.csv", lines())
        fresh = str(tmp_path / f"fresh.{cut}")
        found = apart(replay(whole, "--facts", journey, "--state", fresh))
        bare = [{**row, "received": None} for row in found]
        assert [{**row, "received": None} for part in parts for row in part] == bare
        assert len(bare) == 1


def test_three_that_jump_into_one_cell_are_told_as_nobodys(tmp_path: Path) -> None:
    rows: list[Line] = []
    for number, unit in enumerate(("a", "b", "c")):
        for n in range(120):
            spoofed = n >= 60 + 6 * number
            lat = 42.5 + 0.0005 * number if spoofed else 41 + 0.02 * number + n * 0.001
            t_s = BEGIN_S + 10 * n
            rows.append((n, f"{unit},{t_s},{lat:.6f},69.0,11,{t_s + 2}\n"))
    found = replay(track(tmp_path / "fleet.csv", rows))
    fleets = [row for row in map(json.loads, found) if row["value"] == "fleet"]
    assert [(row["unit"], row["phase"], row["seq"]) for row in fleets] == [("", "begin", None)]
    assert fleets[0]["data"] == {"by": "jumped", "units": ["a", "b", "c"]}
    assert json.loads(found[0])["unit"] == ""  # no unit comes first
    assert replay(str(tmp_path / "fleet.csv"), "--deliver", "shuffle:5") == found
