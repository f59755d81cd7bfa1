"""Rows 6 and 14 of EDGE section 11 at a length that the ordinary live run cannot wait for. Nightly."""

from pathlib import Path

import pytest

from bench import agent
from tests.live.test_e_line import check_e06

pytestmark = pytest.mark.slow


def test_e06_an_alarm_overtakes_three_days_of_backlog(tmp_path: Path) -> None:
    check_e06(tmp_path, batches=4_320)


def test_e14_a_position_costs_the_card_what_was_promised() -> None:
    report = agent.run(600, None, lambda _text: None)
    figures = report["figures"]
    assert isinstance(figures, dict)
    for way in ("live", "without_link"):
        figure = figures[f"written_bytes_a_position_{way}"]
        assert figure["found"] <= figure["most"], report
