import pytest
from hypothesis import given, settings, strategies as st

from firmware_sim.scenario import Scenario, read_scenario
from tests.firmware_sim.acting import RECEIVER, SAMPLES, SEAL, Act, polite, scenario

BUSY = (
    "track = { points = [[41.0, 69.0], [41.05, 69.05]], speed_km_h = 72 }",
    "receiver = { fix_after_s = 10, ubx = true, baud = 38400 }",
    SEAL,
    """event = [
      { at_s = 5, do = "rope_in" }, { at_s = 20, do = "jam", for_s = 9 }, { at_s = 31.5, do = "cut" },
      { at_s = 40, do = "unplug", for_s = 5 }, { at_s = 50, do = "baud", baud = 115200 },
    ]""",
    """fault = [
      { device = "gps", kind = "bad_checksum", per_hour = 900 }, { device = "gps", kind = "noise", per_hour = 900 },
      { device = "gps", kind = "delay", per_hour = 300 }, { device = "seal", kind = "flipped_bits", per_hour = 300 },
    ]""",
)


def busy(seed: int = 4711) -> Scenario:
    head = f"scenario = {{ seed = {seed}, start = 2027-03-01T05:00:00Z, end_s = 70 }}"
    read = read_scenario("\n".join((head, *BUSY)), SAMPLES)
    assert isinstance(read, Scenario)
    return read


def said(play: Act) -> list[tuple[int, str, bytes, int]]:
    return [(each.at_ms, each.device, each.data, each.baud) for each in play.said]


WHOLE = Act(busy()).to(80, step_ms=80_000)


@settings(max_examples=15, deadline=None)  # steps of one millisecond take their time
@given(st.integers(1, 20_000))
def test_the_same_seed_says_the_same_bytes_at_the_same_time_at_any_pace(step_ms: int) -> None:
    play = Act(busy()).to(80, step_ms=step_ms)
    assert said(play) == said(WHOLE)
    assert play.truths == WHOLE.truths
    assert play.plugs == WHOLE.plugs


def test_another_seed_says_other_bytes() -> None:
    assert said(Act(busy(1)).to(80)) != said(WHOLE)


def test_every_fault_is_on_the_answer_sheet() -> None:
    told = WHOLE.notes("fault")
    assert set(told) >= {"bad_checksum", "noise"}
    damaged = Act(
        scenario(RECEIVER, 'fault = [{ device = "gps", kind = "bad_checksum", per_hour = 900 }]')
    ).end()
    wrong = 0
    for line in damaged.heard("gps").split(b"\r\n")[:-1]:
        body, _, digits = line[1:].partition(b"*")
        total = 0
        for byte in body:
            total ^= byte
        wrong += total != int(digits, 16)
    assert wrong == len(damaged.notes("fault")) > 5


def test_an_unplugged_device_is_not_heard_until_it_is_back() -> None:
    assert [(plug.at_ms, plug.device, plug.there) for plug in WHOLE.plugs] == [
        (40_000, "gps", False),
        (45_000, "gps", True),
    ]
    assert not [
        each for each in WHOLE.said if each.device == "gps" and 40_000 < each.at_ms < 45_000
    ]


def test_what_is_unplugged_may_be_plugged_in_by_hand_and_once_only() -> None:
    play = Act(scenario(RECEIVER)).to(5)
    assert play.do("unplug", device="gps")
    assert not play.do("unplug", device="gps")
    assert play.do("replug", device="gps")
    assert not play.do("replug", device="gps")
    assert [plug.there for plug in play.plugs] == [False, True]


def test_the_sheet_has_a_line_a_second_and_one_an_event() -> None:
    places = [line for line in WHOLE.truths if "lat" in line]
    assert [line["t_s"] for line in places] == [float(second) for second in range(70)]
    assert {line["seal"] for line in places} == {"unarmed", "armed", "cut"}
    assert [line["fix"] for line in places[9:14]] == [True] * 5
    assert WHOLE.notes("event") == ["rope_in", "jam", "cut", "unplug", "baud"]


def test_an_event_in_the_wrong_state_is_told_as_not_applied() -> None:
    play = Act(scenario(SEAL)).to(5)
    assert not play.do("cut")
    assert play.truths[-1]["applied"] is False


def test_the_end_waits_for_what_is_on_the_cable() -> None:
    play = Act(
        scenario(
            'receiver = { fix_after_s = 0, baud = 4800, sentences = ["RMC", "GGA"] }', end_s=3.05
        )
    ).end()
    assert play.heard("gps").count(b"RMC") == 4
    assert play.heard("gps").endswith(b"\r\n")
    assert play.stage.now_ms > 3050


def test_a_stage_without_a_sheet_writes_none() -> None:
    from firmware_sim.stage import Stage  # noqa: PLC0415 - the one test without an act

    stage = Stage(busy(), start_ms=0)
    assert not [out for out in stage.advance(70_000) if type(out).__name__ == "Truth"]


@pytest.mark.long
def test_a_border_run_with_a_polite_reader_leaves_nothing_kept() -> None:
    path = SAMPLES / "border-run.toml"
    read = read_scenario(path.read_text(encoding="utf-8").split("fault = [")[0], path.parent)
    assert isinstance(read, Scenario)
    play = Act(read, polite).end()
    assert play.truths[-1]["kept"] == 0
    assert [line["seal_to"] for line in play.truths if "seal_to" in line] == [
        "armed",
        "sealed",
        "cut",
    ]
