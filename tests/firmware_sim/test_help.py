"""What a stranger reads first: the help holds every word that a scenario may hold."""

from pathlib import Path

import pytest

from firmware_sim.__main__ import SMALLEST, main
from firmware_sim.cable import FAULT_KINDS
from firmware_sim.scenario import Scenario, read_scenario
from firmware_sim.scenario_events import EVENTS, keys_of


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["check", "--help"]])
def test_the_help_names_every_event_with_its_keys_every_fault_and_every_exit(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    for do in EVENTS:
        keys = keys_of(do)
        assert (f"{do} ({', '.join(keys)})" if keys else do) in said
    assert all(kind in said for kind in FAULT_KINDS)
    assert "0 played or sound, 1 failed, 2 usage, 3 no such file, 6 faulty" in said


def test_the_smallest_scenario_of_the_help_is_sound() -> None:
    assert isinstance(read_scenario(SMALLEST, Path()), Scenario)


@pytest.mark.parametrize("rate", ["fast", "-1", "10001", "nan", ""])
def test_a_rate_that_is_none_is_refused_with_the_range(
    rate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "x.toml", "--rate", rate])
    assert ended.value.code == 2
    assert "0 to 10000" in capsys.readouterr().err
