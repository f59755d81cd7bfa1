"""The figures of the unit, from what was seen; and what the kernel and a serial line say. No agent runs here."""

import os
import tty
from dataclasses import replace
from pathlib import Path

import pytest

from bench import agent
from bench.agent import Mark, Measured
from bench.process import Seen, look
from bench.tap import Tap

SEEN = Seen(
    rss_kib=44 * 1024,
    rss_peak_kib=45 * 1024,
    cpu_s=1.0,
    written_bytes=0,
    said_bytes=0,
    heard_bytes=0,
)


def marks() -> list[Mark]:
    """An hour: 1,000 s live, 600 s without link, 10 s of draining, the rest live."""
    made = []
    for mono_s, cpu_s, written, air in (
        (0.0, 1.0, 0, 0),
        (1_000.0, 11.0, 500_000, 50_000),
        (1_600.0, 16.0, 590_000, 50_000),
        (1_610.0, 17.0, 600_000, 90_000),
        (3_600.0, 37.0, 1_500_000, 190_000),
    ):
        seen = replace(SEEN, cpu_s=cpu_s, written_bytes=written)
        made.append(Mark(mono_s=mono_s, unix_ms=0, process=seen, air_bytes=air))
    return made


def test_each_figure_stands_beside_its_target() -> None:
    measured = Measured(
        start_s={"first_batch_committed": 0.8, "fix_kept": 2.0, "fix_stored": 2.5},
        marks=marks(),
        ropes=[{"acked_ms": float(n), "published_ms": 2.0 * n} for n in range(1, 101)],
        positions=[1_000, 600, 10, 1_990],
        offline=[(420, 60)] * 10,
        term_s=0.2,
    )
    report = agent._report(measured, 3_600, {"p50": 1.0, "p99": 10.0}, (0.05, 0.02))
    figures = report["figures"]
    assert isinstance(figures, dict)
    found = {name: figure["found"] for name, figure in figures.items()}
    assert found["cpu_percent_of_a_core"] == 1.0
    assert found["written_bytes_a_position_live"] == 500.0
    assert found["written_bytes_a_position_without_link"] == 150.0
    assert found["signed_bytes_a_position_without_link"] == 7.0
    assert found["air_kb_an_hour_live"] == 180.0
    assert found["event_committed_and_acknowledged_ms_p99"] == 99.0
    assert found["event_published_ms_p95"] == 190.0
    assert report["missed"] == ["event_committed_and_acknowledged_ms_p99", "event_published_ms_p95"]


def test_a_figure_that_nobody_saw_is_missed_and_not_nought() -> None:
    figure = agent.Figure(name="x", found=None, most=1)
    assert not figure.is_met


def test_the_kernel_tells_of_another_process() -> None:
    seen = look(os.getpid())
    assert seen.rss_kib > 10_000
    assert seen.rss_peak_kib >= seen.rss_kib
    assert seen.said_bytes > 0
    with pytest.raises(OSError, match="No such"):
        look(4_194_305)  # above the greatest that Linux gives


def test_a_tap_passes_bytes_both_ways_and_knows_when(tmp_path: Path) -> None:
    device, far = os.openpty()
    tty.setraw(far)
    tap = Tap(Path(os.ttyname(far)), tmp_path / "port")
    reader = os.open(tmp_path / "port", os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(device, b"said")
        assert os.read(reader, 64) == b"said"
        os.write(reader, b"answered")
        assert os.read(device, 64) == b"answered"
        while len(tap.passed) < 2:
            pass
        assert [(one.up, one.data) for one in tap.passed] == [(True, b"said"), (False, b"answered")]
        assert tap.passed[0].at_s <= tap.passed[1].at_s
        assert tap.bytes_up() == 4
        assert tap.since(tap.passed[1].at_s)[-1].data == b"answered"
    finally:
        os.close(reader)
        tap.close()
        for fd in (device, far):
            os.close(fd)
    assert not (tmp_path / "port").exists()
