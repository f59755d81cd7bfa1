"""The log: JSON, once when trouble begins and once when it ends, and never a flood (EDGE section 9, Logs)."""

import io
import json
import logging
import threading

import pytest

from agent.app import log
from agent.app.log import LINES_A_MINUTE_MAX, Troubles, say, tell_stacks, warn
from agent.io import clock


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the program would write to stderr."""
    out = io.StringIO()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr("sys.stderr", out)
    before = root.level
    log.set_up()
    yield_level = root.level
    assert yield_level == logging.INFO
    root.setLevel(before)
    logging.getLogger("plomba.agent").setLevel(logging.INFO)
    return out


def said(lines: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_the_event_comes_first_and_foreign_bytes_in_hex(lines: io.StringIO) -> None:
    say("heard", frame=b"\x00\xff\n", count=2)
    (line,) = said(lines)
    assert [*line][:3] == ["event", "at", "level"]
    assert (line["event"], line["frame"], line["count"]) == ("heard", "00ff0a", 2)
    assert lines.getvalue().count("\n") == 1


def test_a_trouble_is_told_when_it_begins_and_when_it_ends(lines: io.StringIO) -> None:
    troubles = Troubles()
    for _ in range(3):
        troubles.begin("broker_lost", why="refused")
    troubles.end("broker_lost")
    troubles.end("broker_lost")
    assert [line["event"] for line in said(lines)] == ["broker_lost", "broker_lost_over"]


def test_so_many_lines_a_minute_and_event_and_the_rest_is_counted() -> None:
    limit = log._Limit()

    def passes(event: str, minute: int) -> tuple[bool, int]:
        record = logging.LogRecord("x", logging.INFO, "", 0, event, (), None)
        record.created = minute * 60.0
        return limit.filter(record), getattr(record, "dropped", 0)

    flood = [passes("noise", 1) for _ in range(LINES_A_MINUTE_MAX + 7)]
    assert flood.count((True, 0)) == LINES_A_MINUTE_MAX
    assert passes("other", 1) == (True, 0)
    assert passes("noise", 2) == (True, 7)
    assert passes("noise", 2) == (True, 0)


def test_ever_new_events_are_one_flood_too() -> None:
    limit = log._Limit()
    passed = 0
    for number in range(5_000):
        record = logging.LogRecord("x", logging.INFO, "", 0, f"event {number}", (), None)
        record.created = 60.0
        passed += limit.filter(record)
    assert passed <= log.EVENTS_MAX + LINES_A_MINUTE_MAX
    assert len(limit._counts) <= log.EVENTS_MAX + 1


def test_an_exception_brings_its_trace(lines: io.StringIO) -> None:
    warn("died", exc_info=ValueError("torn"))
    (line,) = said(lines)
    assert "ValueError: torn" in str(line["trace"])


def test_stacks_name_every_thread(lines: io.StringIO) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="serial[gps]")
    thread.start()
    tell_stacks(())
    stop.set()
    thread.join()
    told = {line["thread"]: line["frames"] for line in said(lines)}
    assert "wait" in str(told["serial[gps]"])
    assert "MainThread" in told


def test_e11_a_system_clock_that_jumps_makes_no_trouble_longer(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles = Troubles()
    monkeypatch.setattr(clock, "system_ms", lambda: 0)
    troubles.begin("broker_lost")
    monkeypatch.setattr(clock, "system_ms", lambda: 4_000_000_000_000)
    troubles.end("broker_lost")
    assert said(lines)[-1]["lasted_s"] in {0, 1}
