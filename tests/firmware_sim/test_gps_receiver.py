import re
from datetime import date
from itertools import pairwise
from pathlib import Path
from statistics import pstdev

import pytest

from devices import Fix, GnssStatus, NoFix
from devices.nmea import NmeaReader
from firmware_sim.scenario import Scenario, read_scenario
from firmware_sim.stage import Bytes, Stage
from tests.firmware_sim.acting import RECEIVER, START_MS, Act, scenario
from tests.shared_data import shared

DRIVE = "track = { points = [[41.0, 69.0], [41.05, 69.05]], speed_km_h = 72 }"


def event(text: str) -> str:
    return f"event = [{{ {text} }}]"


def receiver(more: str) -> str:
    return f"receiver = {{ fix_after_s = 0, {more} }}"


def lines(play: Act, word: str) -> list[str]:
    text = play.heard("gps").decode("latin-1")  # there may be UBX between
    return re.findall(rf"\$..{word}[^\r]*", text)


def fields(play: Act, word: str, number: int) -> list[str]:
    return [line.split("*")[0].split(",")[number] for line in lines(play, word)]


def facts(play: Act) -> list[Fix | NoFix | GnssStatus]:
    reader = NmeaReader(not_before=date(2026, 1, 1))
    read = reader.feed(play.heard("gps"), START_MS) + reader.wake(START_MS + 10_000)
    return [fact for fact in read if isinstance(fact, Fix | NoFix | GnssStatus)]


def fixed_seconds(play: Act) -> list[int]:
    fixes = (fact for fact in facts(play) if isinstance(fact, Fix))
    return [(fix.time_ms - START_MS) // 1000 for fix in fixes if fix.time_ms is not None]


def lost_seconds(play: Act) -> list[int]:
    fixed = set(fixed_seconds(play))
    return [second for second in range(max(fixed)) if second not in fixed]


def cn0(play: Act, second: int) -> list[float]:
    """C/N0 of all tracked satellites in the GSV of one second."""
    said = [each for each in play.said if each.device == "gps"]
    begun = [each for each in said if second * 1000 <= each.at_ms - 80 < second * 1000 + 1000]
    found = []
    for each in begun:
        line = each.data.decode("latin-1")
        if line[3:6] == "GSV":
            words = line.split("*")[0].split(",")[4:]
            found += [float(word) for word in words[3::4] if word]
    return found


def test_a_cold_start_is_blank_then_has_time_then_2d_then_3d() -> None:
    play = Act(scenario("receiver = { fix_after_s = 40, noise_m = 0 }", DRIVE)).to(60)
    assert fields(play, "RMC", 1)[:11] == [""] * 10 + ["050010.00"]
    assert fields(play, "RMC", 9)[:35] == [""] * 35
    assert set(fields(play, "RMC", 2)[:35]) == {"V"}
    assert set(fields(play, "GGA", 6)[:35]) == {"0"}
    assert set(fields(play, "RMC", 9)[35:]) == {"010327"}
    modes = [fields(play, "GSA", 2)[second * 2] for second in (34, 35, 39, 40)]
    assert modes == ["1", "2", "2", "3"]
    tracked = [len(cn0(play, second)) for second in (1, 10, 20, 39, 41)]
    assert tracked == sorted(tracked)
    assert tracked[-1] == 14


def test_without_noise_the_fix_is_the_truth() -> None:
    play = Act(scenario(RECEIVER, DRIVE, end_s=60)).end()
    fixes = [fact for fact in facts(play) if isinstance(fact, Fix)]
    assert len(fixes) == 60
    for fix in fixes:
        assert fix.time_ms is not None
        truth = play.stage._world.at(fix.time_ms - START_MS)
        assert (
            abs(fix.lat_e7 / 1e7 - truth.lat) < 1.4e-7
        )  # five decimals of a minute, and a rounding
        assert (
            abs(fix.lon_e7 / 1e7 - truth.lon) < 1.4e-7
        )  # five decimals of a minute, and a rounding
        assert fix.speed_cm_s == pytest.approx(2000, abs=1)
        assert fix.course_cdeg == pytest.approx(truth.course_deg * 100, abs=1)


@pytest.mark.long
def test_noise_wanders_by_as_much_as_it_says() -> None:
    play = Act(scenario(receiver("noise_m = 5.0"), end_s=1800)).to(1800, step_ms=60_000)
    north_m = [(f.lat_e7 / 1e7 - 41.3) * 111_195 for f in facts(play) if isinstance(f, Fix)]
    assert 2 < pstdev(north_m) < 9
    steps = [abs(b - a) for a, b in pairwise(north_m)]
    assert sum(steps) / len(steps) < 3  # it wanders; it does not jump


def test_satellites_are_heard_by_their_height_with_a_spread_that_is_real() -> None:
    play = Act(scenario(RECEIVER)).to(5)
    heard = cn0(play, 2)
    assert 30 <= min(heard) < 40
    assert 44 < max(heard) <= 48
    assert pstdev(heard) > 3


def test_all_sentences_are_read_without_a_complaint() -> None:
    names = ["RMC", "GGA", "GSA", "GSV", "VTG", "GLL", "GNS", "ZDA", "GST", "TXT"]
    table = receiver(f"sentences = {names}, baud = 38400, ubx = true".replace("'", '"'))
    play = Act(scenario(table, DRIVE, end_s=30)).end()
    reader = NmeaReader(not_before=date(2026, 1, 1))
    reader.feed(play.heard("gps"), 0)
    bad = {
        k: v for k, v in reader.counters.items() if v and k not in {"bytes", "sentences", "fixes"}
    }
    assert bad == {"ubx": 30}
    assert reader.counters["fixes"] >= 29


@pytest.mark.parametrize(("hz", "baud"), [(1, 9600), (5, 38400), (10, 115200)])
def test_it_speaks_as_often_as_asked(hz: int, baud: int) -> None:
    play = Act(scenario(receiver(f"hz = {hz}, baud = {baud}"), end_s=20)).end()
    assert len(fixed_seconds(play)) == 20 * hz
    assert len(lines(play, "GSV")) == 20 * 4  # the sky once a second


def test_bytes_come_after_the_latency_and_at_the_line_s_rate() -> None:
    play = Act(scenario(receiver("latency_ms = 200"), end_s=5)).end()
    first = next(each for each in play.said if each.at_ms < 1000)
    assert first.at_ms == 200 + int(len(first.data) * 10_000 / 9600)


def test_an_old_gps_only_receiver_knows_gps_only() -> None:
    play = Act(scenario(receiver('talker = "GP"'), end_s=5)).end()
    assert {line[:3] for line in play.heard("gps").decode().split("\r\n") if line} == {"$GP"}


# -- the events of 8.1


def test_void_is_no_fix_and_may_keep_a_stale_place() -> None:
    blank = Act(scenario(RECEIVER, event('at_s = 10, do = "void", for_s = 20'))).to(60)
    assert lost_seconds(blank) == list(range(10, 30))
    assert fields(blank, "RMC", 3)[15] == ""
    stale = Act(
        scenario(RECEIVER, DRIVE, event('at_s = 10, do = "void", for_s = 20, stale = true'))
    ).to(60)
    assert lost_seconds(stale) == list(range(10, 30))
    assert fields(stale, "RMC", 3)[15] == fields(stale, "RMC", 3)[9] != ""


def test_a_jump_moves_the_place_by_metres_and_back() -> None:
    play = Act(
        scenario(RECEIVER, event('at_s = 10, do = "jump", east_m = 300, north_m = 400, for_s = 5'))
    ).to(30)
    fixes = [fact for fact in facts(play) if isinstance(fact, Fix)]
    moved = [round((fix.lat_e7 / 1e7 - 41.3) * 111_195) for fix in fixes]
    assert moved[9:16] == [0, 400, 400, 400, 400, 400, 0]


def test_jamming_takes_all_signals_in_five_seconds_and_then_the_fix() -> None:
    play = Act(
        scenario(
            receiver("noise_m = 0, ubx = true"),
            event('at_s = 20, do = "jam", depth_db = 22, for_s = 30'),
        )
    ).to(90)
    assert max(cn0(play, 19)) - max(cn0(play, 25)) >= 20
    assert len(cn0(play, 25)) < len(cn0(play, 19))
    lost = lost_seconds(play)
    assert lost[0] <= 25
    assert lost[-1] == 49
    hdops = [float(word) for word in fields(play, "GGA", 8)[19:24]]
    assert hdops == sorted(hdops)
    states = [fact.jam_state for fact in facts(play) if isinstance(fact, GnssStatus)]
    assert states[0] == 1
    assert 3 in states
    assert states[-1] == 1


def test_a_tunnel_takes_low_satellites_first_and_the_rest_holds() -> None:
    play = Act(scenario(RECEIVER, event('at_s = 20, do = "tunnel", for_s = 60'))).to(100)
    before, half = cn0(play, 19), cn0(play, 30)
    assert 0 < len(half) < len(before)
    assert max(half) == max(before)
    assert min(half) > min(before)
    lost = lost_seconds(play)
    assert 30 < lost[0] <= 40
    assert lost[-1] == 79


def test_a_spoofer_is_too_loud_too_even_and_somewhere_else() -> None:
    wish = 'at_s = 10, do = "spoof", points = [[25.0, 55.0]], clock_s = -30, for_s = 20'
    play = Act(scenario(receiver("noise_m = 0, ubx = true"), event(wish))).to(60)
    heard = cn0(play, 15)
    assert len(heard) == 14
    assert 46 <= min(heard) <= max(heard) <= 48
    assert pstdev(heard) < 1
    assert fields(play, "RMC", 3)[15].startswith("2500.")
    assert fields(play, "RMC", 1)[15] == "045945.00"
    assert play.heard("gps").count(b"\xb5\x62\x01\x03") == 2  # captured, and used to it again
    assert fields(play, "RMC", 1)[35] == "050035.00"


def test_a_frozen_receiver_says_the_same_again_and_again() -> None:
    play = Act(scenario(RECEIVER, DRIVE, event('at_s = 10, do = "freeze", for_s = 10'))).to(40)
    assert len(set(lines(play, "RMC")[9:20])) == 1
    assert len(set(lines(play, "RMC")[19:30])) == 11


def test_a_rollover_is_1024_weeks_early() -> None:
    play = Act(scenario(RECEIVER, event('at_s = 10, do = "rollover"'))).to(30)
    assert fields(play, "RMC", 9)[5] == "010327"
    assert fields(play, "RMC", 9)[15] == "160707"


def test_the_antenna_is_told_when_it_breaks_and_when_it_is_back() -> None:
    wish = 'at_s = 10, do = "antenna", state = "SHORT", for_s = 10'
    play = Act(scenario(RECEIVER, event(wish))).to(40)
    assert fields(play, "TXT", 4) == ["ANTSTATUS=SHORT", "ANTSTATUS=OK"]


def test_silence_is_no_byte_at_all() -> None:
    play = Act(scenario(RECEIVER, event('at_s = 10, do = "silence", for_s = 20'))).to(60)
    times = [each.at_ms for each in play.said]
    assert not [at_ms for at_ms in times if 10_900 < at_ms < 30_000]
    assert lost_seconds(play) == list(range(10, 30))


def test_a_new_rate_is_told_to_the_line() -> None:
    play = Act(scenario(RECEIVER, event('at_s = 10, do = "baud", baud = 38400'))).to(20)
    assert {each.baud for each in play.said if each.at_ms < 10_000} == {9600}
    assert {each.baud for each in play.said if each.at_ms > 11_000} == {38400}


def test_an_event_changes_nothing_after_it_has_ended() -> None:
    plain = Act(scenario(receiver("noise_m = 5.0"), DRIVE)).to(100)
    shaken = Act(
        scenario(receiver("noise_m = 5.0"), DRIVE, event('at_s = 10, do = "jam", for_s = 20'))
    ).to(100)
    assert plain.heard("gps", 32) == shaken.heard("gps", 32)


# -- recordings


def test_a_recording_is_said_fix_by_fix_as_it_is(tmp_path: Path) -> None:
    rows = [
        "unit,time,lat,lon,speed_m_s,course_deg,hdop",
        "a,2026-03-01T05:00:00.000Z,41.2123456,69.2654321,12.345,271.5,0.9",
        "a,2026-03-01T05:00:01.250Z,-41.2123457,-69.2654322,,,",
        "a,2026-03-01T05:00:59.999Z,0.0000001,0.0,0,0,1.2",
    ]
    (tmp_path / "track.csv").write_text("\n".join(rows), encoding="utf-8")
    tables = ('track = { file = "track.csv" }', "receiver = { exact = true }")
    text = "\n".join(("scenario = { end_s = 62 }", *tables))

    play = read_scenario(text, tmp_path)
    assert isinstance(play, Scenario)
    fixes = [fact for fact in facts(Act(play).end()) if isinstance(fact, Fix)]
    assert [(f.time_ms, f.lat_e7, f.lon_e7, f.speed_cm_s, f.course_cdeg, f.hdop_centi) for f in fixes] == [
        (1_772_341_200_000, 412_123_456, 692_654_321, 1235, 27_150, 90),
        (1_772_341_201_250, -412_123_457, -692_654_322, None, None, None),
        (1_772_341_259_999, 1, 0, 0, 0, 120),
    ]  # fmt: skip


def test_a_recording_may_be_moved_to_a_start_of_ours(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time,lat,lon\n2018-03-01T00:00:00Z,41,69\n", encoding="utf-8")
    tables = ('track = { file = "t.csv" }', "receiver = { exact = true }")
    fixes = facts(Act(scenario(*tables, end_s=5, folder=tmp_path)).end())
    assert [fix.time_ms for fix in fixes if isinstance(fix, Fix)] == [START_MS]


def test_minutes_never_print_as_sixty() -> None:
    play = Act(scenario(RECEIVER, "track = { points = [[40.99999999999, 68.99999999999]] }")).to(3)
    assert fields(play, "RMC", 3)[0] == "4100.00000"
    assert fields(play, "RMC", 5)[0] == "06900.00000"


@pytest.mark.parametrize(
    "parts",
    [("barefoot", "x0001-001.csv"), ("truck_myanmar", "vehicle1-trip1.csv")],
    ids=lambda parts: parts[0],
)
def test_a_recorded_drive_comes_through_the_reader_place_for_place(parts: tuple[str, str]) -> None:
    folder = shared("traces", parts[0])
    text = f'scenario = {{}}\ntrack = {{ file = "{parts[1]}" }}\nreceiver = {{ exact = true, baud = 115200 }}'
    play = read_scenario(text, folder)
    assert isinstance(play, Scenario)
    assert play.start_ms is not None
    recorded = {
        play.start_ms + vertex.t_ms: vertex for vertex in play.track.vertices
    }  # the last of a time
    reader = NmeaReader(not_before=date(2009, 1, 1))
    stage = Stage(play, start_ms=play.start_ms)
    facts = []
    while not stage.done:
        outs = stage.advance(stage.now_ms + 60_000)
        facts += reader.feed(b"".join(out.data for out in outs if isinstance(out, Bytes)), 0)
    facts += reader.close(0)
    fixes = [fact for fact in facts if isinstance(fact, Fix)]
    assert [fix.time_ms for fix in fixes] == sorted(recorded)
    for fix in fixes:
        assert fix.time_ms is not None
        vertex = recorded[fix.time_ms]
        assert abs(fix.lat_e7 - vertex.lat * 1e7) <= 1
        assert abs(fix.lon_e7 - vertex.lon * 1e7) <= 1
        if vertex.speed_m_s is not None:
            assert fix.speed_cm_s == pytest.approx(vertex.speed_m_s * 100, abs=1)
