"""The figures of the unit, from what was seen; and what the kernel and a serial line say. No agent runs here."""

import os
import tty
from dataclasses import replace
from pathlib import Path

import pytest

from bench import agent
from bench.accounts import positions_alone
from bench.agent_figures import Figure, Mark, Measured, Sealed, lines_of_figures, report_of
from bench.process import Seen, look
from bench.tap import Tap
from firmware_sim.scenario import Scenario, read_scenario
from plomba import bench as command
from tests.bench.test_accounts import GENESIS, SECOND, batch, fix, refusal

SEEN = Seen(
    rss_kib=44 * 1024,
    rss_peak_kib=45 * 1024,
    cpu_s=1.0,
    written_bytes=0,
    said_bytes=0,
    heard_bytes=0,
)


AT_S = {  # an hour, and a minute of cuts: seconds, processor, written, air
    "begin": (0.0, 1.0, 0, 0),
    "cut": (1_000.0, 11.0, 500_000, 50_000),
    "mended": (1_600.0, 16.0, 590_000, 50_000),
    "drained": (1_610.0, 17.0, 600_000, 90_000),
    "end": (3_600.0, 37.0, 1_600_000, 199_450),
    "cuts_end": (3_660.0, 38.0, 2_600_000, 300_000),
}


def marks() -> dict[str, Mark]:
    made = {}
    for name, (mono_s, cpu_s, written, air) in AT_S.items():
        seen = replace(SEEN, cpu_s=cpu_s, written_bytes=written)
        made[name] = Mark(
            mono_s=mono_s, unix_ms=round(mono_s * 1_000), process=seen, air_bytes={"batch": air}
        )
    return made


def sealed(first_s: int, count: int) -> Sealed:
    """A batch of a position a second, sealed at its last."""
    times_ms = tuple(range(first_s * 1_000, (first_s + count) * 1_000, 1_000))
    return Sealed(
        sealed_ms=times_ms[-1] + 1,
        times_ms=times_ms,
        events=1,
        tag_events=int(first_s == 0),
        envelope_bytes=7 * count,
        positions_bytes=6 * count,
    )


def measured() -> Measured:
    return Measured(
        start_s={"first_batch_committed": 0.8, "fix_kept": 2.0, "fix_stored": 2.5},
        marks=marks(),
        ropes=[{"acked_ms": float(n), "published_ms": 2.0 * n} for n in range(1, 101)],
        batches=[sealed(first_s, 20) for first_s in range(0, 3_660, 20)],
        term_s=0.2,
    )


def report() -> dict[str, object]:
    return report_of(measured(), 3_600, {"p50": 1.0, "p99": 10.0}, (0.05, 0.02))


def found(name: str) -> object:
    figures = report()["figures"]
    assert isinstance(figures, dict)
    return figures[name]["found"]


def test_each_figure_stands_beside_its_goal_and_what_is_missed_beside_its_obstacle() -> None:
    assert found("cpu_percent_of_a_core") == 1.0
    assert found("signed_bytes_a_position_without_link_positions_alone") == 6.0
    assert found("signed_bytes_a_position_without_link") == 7.0
    assert found("air_kb_an_hour_live") == pytest.approx(192, abs=0.1)
    assert found("event_committed_and_acknowledged_ms_p99") == 99.0
    assert found("event_published_ms_p95") == 190.0
    missed = report()["missed"]
    assert isinstance(missed, dict)
    assert list(missed) == [
        "air_kb_an_hour_live",
        "event_committed_and_acknowledged_ms_p99",
        "event_published_ms_p95",
    ]
    assert missed["event_committed_and_acknowledged_ms_p99"]["most"] == 60.0
    assert "segments" in missed["air_kb_an_hour_live"]["obstacle"]


def test_what_the_cuts_write_is_a_figure_of_its_own_and_in_no_other() -> None:
    assert found("written_bytes_a_position") == pytest.approx(1_600_000 / 3_600, abs=0.1)
    assert found("written_bytes_a_position_live") == pytest.approx(1_500_000 / 2_990, abs=0.1)
    assert found("written_bytes_a_position_without_link") == 150.0
    assert found("written_bytes_an_urgent_event") == 10_000.0
    missed = report()["missed"]
    assert isinstance(missed, dict)
    assert "written_bytes_an_urgent_event" not in missed


def test_the_signed_bytes_that_the_paper_promises_are_those_of_positions() -> None:
    heavy = replace(
        measured(), batches=[replace(one, positions_bytes=9 * 20) for one in measured().batches]
    )
    missed = report_of(heavy, 3_600, {"p50": 1.0, "p99": 10.0}, (0.05, 0.02))["missed"]
    assert isinstance(missed, dict)
    assert missed["signed_bytes_a_position_without_link_positions_alone"]["found"] == 9.0
    assert "signed_bytes_a_position_without_link" not in missed


def test_people_see_the_same_figures_as_a_table() -> None:
    lines = lines_of_figures(report())
    (line,) = (line for line in lines if line.startswith("event_published_ms_p95"))
    assert line.split() == ["event_published_ms_p95", "190", "100", "MISSED"]
    (line,) = (line for line in lines if line.startswith("written_bytes_an_urgent_event"))
    assert line.split() == ["written_bytes_an_urgent_event", "10000", "-", "-"]


def test_every_key_of_the_report_is_explained_by_the_command() -> None:
    told = command.agent.__doc__ or ""
    whole = report()
    for part in ("figures", "beside"):
        keys = whole[part]
        assert isinstance(keys, dict)
        for key in keys:
            assert key in told, key
    assert set(whole) - {"machine", "versions", "seconds", "links"} == {
        "figures",
        "beside",
        "missed",
    }


def test_a_figure_that_nobody_saw_is_missed_and_not_nought() -> None:
    assert Figure(name="x", found=None, most=1).is_met is False
    assert Figure(name="x", found=None, most=None).is_met is None


def test_the_world_of_the_run_is_one_that_the_simulator_plays(tmp_path: Path) -> None:
    scenario = read_scenario(agent.scenario_of(), tmp_path)
    assert isinstance(scenario, Scenario)
    assert scenario.reader is not None
    assert len(scenario.reader.tags) == 3
    assert {event.do for event in scenario.events} == {"tag_off"}


def test_positions_alone_are_weighed_as_the_same_batch_without_its_events() -> None:
    with_event = batch(1, [fix(SECOND), refusal(b"frame"), fix(SECOND + 1)], 1)
    without = batch(1, [fix(SECOND), fix(SECOND + 1)], 1)
    assert positions_alone(with_event.envelope) == len(without.envelope)
    assert positions_alone(batch(0, [GENESIS], 0).envelope) == 0


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
