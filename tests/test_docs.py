"""What a person must know is written down: settings, alert codes, reasons, topics, exits, commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import tables
from agent.config.tables import ConfigTable
from collector.config import Config
from collector.detect import PRIORITIES
from plomba import exits
from wire import Reason
from wire.topics import Down, Up

HOUSE = Path(__file__).resolve().parents[1]
OPERATING = (HOUSE / "docs" / "OPERATING.md").read_text(encoding="utf-8")
WIRE_PAPER = (HOUSE / "docs" / "papers" / "WIRE.md").read_text(encoding="utf-8")
DETECTION_PAPER = (HOUSE / "docs" / "papers" / "DETECTION.md").read_text(encoding="utf-8")

UNIT_ONLY = {Reason.UNKNOWN_CHAIN, Reason.STALE, Reason.AHEAD, Reason.HEAD_MISMATCH}
ORDER_REASONS = set(list(Reason)[list(Reason).index(Reason.UNKNOWN_ORDER) :])


def words_of(table: type) -> Iterator[str]:
    """Names of the settings in a table of the config, and of those inside its tables."""
    yield from table.__annotations__


def test_every_setting_of_the_unit_is_in_operating() -> None:
    skipped = {"kind", "ProfileTable", "RecorderTable"}
    for name, table in vars(tables).items():
        if not name.endswith("Table") or name in skipped or name in {"Table", "ConfigTable"}:
            continue
        for word in words_of(table):
            assert f"`{word}" in OPERATING or f".{word}" in OPERATING, f"{name}.{word}"
    assert {"unit", "links", "uplink"} <= set(words_of(ConfigTable))


def test_every_setting_of_the_collector_is_in_operating_and_in_the_sample() -> None:
    sample = (HOUSE / "configs" / "collector" / "collector.toml").read_text(encoding="utf-8")
    for word in words_of(Config):
        assert f"`{word}" in OPERATING or word in sample, word


@pytest.mark.parametrize("code", sorted(PRIORITIES))
def test_every_alert_code_has_its_row_in_the_paper(code: str) -> None:
    assert code in DETECTION_PAPER


@pytest.mark.parametrize(
    "reason", [reason for reason in Reason if reason not in UNIT_ONLY | ORDER_REASONS]
)
def test_every_reason_against_a_message_says_what_to_do(reason: Reason) -> None:
    assert reason.value in OPERATING


def test_topics_and_exits_are_written_down() -> None:
    for what in [*Up, *Down]:
        assert f"/{what.value}`" in WIRE_PAPER
    said = OPERATING.split("## Exits of every command", 1)[1]
    for code in (
        exits.OK,
        exits.FAILED,
        exits.USAGE,
        exits.NOT_FOUND,
        exits.NOT_ALLOWED,
        exits.UNREACHABLE,
        exits.BAD,
    ):
        assert str(code) in said
