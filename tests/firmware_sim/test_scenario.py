from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from firmware_sim import Event
from firmware_sim.scenario import Scenario, read_scenario
from firmware_sim.scenario_events import EVENTS, read_event
from tests.firmware_sim.acting import SAMPLES, SEAL, scenario

HEAD = 'scenario = { name = "x", start = 2027-03-01T05:00:00Z, end_s = 60 }\n'


def faults(text: str, folder: Path = SAMPLES) -> list[str]:
    read = read_scenario(text, folder)
    assert isinstance(read, list), "no fault was found"
    return [str(fault) for fault in read]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_each_sample_is_sound_and_tells_what_to_expect(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert isinstance(read_scenario(text, path.parent), Scenario)
    assert "xpected alerts" in text


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_no_sample_truck_drives_faster_than_trucks_may(path: Path) -> None:
    read = read_scenario(path.read_text(encoding="utf-8"), path.parent)
    assert isinstance(read, Scenario)
    from firmware_sim.world import World  # noqa: PLC0415 - beside the only test that drives

    world = World(read.track)
    assert max(world.at(t_ms).speed_m_s for t_ms in range(0, read.end_ms, 1000)) * 3.6 <= 90


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("scenario = ", "file: no TOML"),
        (HEAD, "no device"),
        (HEAD + "receiver = {}\nreciever = {}", "scenario file.reciever: unknown key; did you mean receiver?"),
        (HEAD + "receiver = { bauds = 9600 }", "receiver.bauds: unknown key; did you mean baud?"),
        (HEAD + "receiver = { baud = 1234 }", "receiver.baud: one of 4800, 9600"),
        (HEAD + "receiver = { hz = 2 }", "receiver.hz: one of 1, 5, 10; is 2"),
        (HEAD + "receiver = { hz = 10 }", "receiver.baud: 9600 carries 960 bytes/s"),
        (HEAD + 'receiver = { talker = "GL" }', "receiver.talker: one of GN, GP"),
        (HEAD + "receiver = { noise_m = -1 }", "receiver.noise_m: 0 to 1000; is -1"),
        (HEAD + 'receiver = { ubx = "yes" }', "receiver.ubx: true or false"),
        (HEAD + "receiver = { exact = true }", "receiver.exact: needs a recording"),
        (HEAD + 'receiver = { sentences = ["RMB"] }', "receiver.sentences: some of RMC"),
        (HEAD + "seal = {}", "seal.id: is missing"),
        (HEAD + 'seal = { id = "12" }', "seal.id: 10 digits for jt701"),
        (HEAD + 'seal = { id = "12", protocol = "eseal" }', "seal.id: 7 digits for eseal"),
        (HEAD + 'seal = { id = "8000620011", password = "a,b" }', "seal.password: none of ( ) , ="),
        (HEAD + 'seal = { id = "8000620011", cards = ["42"] }', "seal.cards: ten digits each"),
        (HEAD + 'seal = { id = "8000620011", dial = "localhost:7701" }', "seal.dial: an IP address and a port"),
        (HEAD + 'seal = { id = "8000620011", dial = "127.0.0.1" }', "seal.dial: an IP address and a port"),
        (HEAD + "reader = { tag = [] }", "reader.tag: unknown key; did you mean tags?"),
        (HEAD + 'reader = { tags = [{ epc = "30342" }] }', "reader.tags[0].epc: hex of 1 to 31 words"),
        (HEAD + "reader = { tags = [{}] }", "reader.tags[0].epc: hex of 1 to 31 words"),
        (HEAD + 'reader = { tags = [{ epc = "3034" }, { epc = "3034" }] }', "reader.tags[1].epc: 3034 is there already"),
        (HEAD + 'reader = { tags = [{ epc = "3034", from_s = 9, to_s = 3 }] }', "reader.tags[0].to_s: later than from_s"),
        (HEAD + 'reader = { tags = [{ epc = "3034", read_rate = 2 }] }', "reader.tags[0].read_rate: 0 to 1"),
        (HEAD + 'reader = { tags = [{ epc = "3034", gate = { lat = 41 } }] }', "reader.tags[0].gate.lon: is missing"),
        (HEAD + "reader = { sleep_min = 31 }", "reader.sleep_min: 0 to 30"),
        (HEAD + 'receiver = {}\nevent = [{ at_s = 1, do = "tag_off" }]', "tag_off happens to a rfid, and the scenario has none"),
        (HEAD + 'receiver = {}\ntrack = { file = "none.csv" }', "track.file: no such file"),
        (HEAD + "receiver = {}\ntrack = {}", "track.points: [[lat, lon], ...]"),
        (HEAD + "receiver = {}\ntrack = { points = [[91, 0]] }", "track.points: [lat, lon] in degrees"),
        (HEAD + 'receiver = {}\nevent = [{ at_s = 1, do = "vold" }]', "event[0].do: one of void"),
        (HEAD + 'receiver = {}\nevent = [{ at_s = 1, do = "cut" }]', "cut happens to a seal, and the scenario has none"),
        (HEAD + 'receiver = {}\nevent = [{ do = "void" }]', "event[0].at_s: is missing"),
        (HEAD + 'receiver = {}\nevent = [{ at_s = 60, do = "void" }]', "60 lies outside the play, 0 to 60"),
        (HEAD + 'receiver = {}\nevent = [{ at_s = 1, do = "void", depth_db = 3 }]', "event[0].depth_db: unknown key"),
        (HEAD + 'receiver = {}\nfault = [{ device = "gps", kind = "rust" }]', "fault[0].kind: one of bad_checksum"),
        (HEAD + SEAL + '\nfault = [{ device = "seal", kind = "bad_checksum" }]', "a seal's frames have no checksum"),
        (HEAD + "receiver = 3", "receiver: a table is wanted"),
        ("scenario = { end_s = 5 }\nreceiver = {}", "scenario.start: is missing"),
        ('scenario = { start = "soon", end_s = 5 }\nreceiver = {}', "scenario.start: a time with zone"),
        ("scenario = { start = 2027-03-01T05:00:00, end_s = 5 }\nreceiver = {}", "scenario.start: a time with zone"),
        ('scenario = { start = "now" }\nreceiver = {}', "scenario.end_s: is missing"),
        ('scenario = { start = "now", end_s = 60 }\nreceiver = {}\nevent = [{ at = 2027-03-01T05:00:00Z, do = "void" }]', "event[0].at: a time with zone, in a scenario whose start is fixed"),
        (HEAD + "receiver = {}\nseal = { id = 3 }", "seal.id: text is wanted"),
    ],
)  # fmt: skip
def test_a_fault_names_its_key_and_the_fix(text: str, says: str) -> None:
    assert any(says in fault for fault in faults(text)), faults(text)


def test_all_faults_are_told_at_once() -> None:
    text = HEAD + 'receiver = { hz = 3, bauds = 1 }\nevent = [{ at_s = 1, do = "x" }]'
    assert len(faults(text)) == 3


def test_a_start_of_now_lies_on_a_whole_second_and_as_long_ago_as_it_says() -> None:
    read = read_scenario('scenario = { start = "now-600", end_s = 5 }\nreceiver = {}', SAMPLES)
    assert isinstance(read, Scenario)
    assert read.starts_ms(1_800_000_000_999) == 1_799_999_400_000


def test_the_command_s_seed_wins() -> None:
    read = read_scenario(HEAD + "receiver = {}", SAMPLES, seed=7)
    assert isinstance(read, Scenario)
    assert read.seed == 7


@pytest.mark.parametrize(
    ("word", "dial"), [("127.0.0.1:7701", ("127.0.0.1", 7701)), ("[::1]:7701", ("::1", 7701))]
)
def test_a_seal_may_dial_in_by_itself(word: str, dial: tuple[str, int]) -> None:
    play = scenario(SEAL.replace(" }", f', dial = "{word}" }}'))
    assert play.seal is not None
    assert play.seal.dial == dial


def test_a_time_of_day_is_the_same_as_its_second() -> None:
    play = scenario(SEAL, 'event = [{ at = 2027-03-01T05:01:30Z, do = "cut" }]')
    assert [event.at_ms for event in play.events] == [90_000]


def test_each_event_of_the_table_can_be_said() -> None:
    needed: dict[str, dict[str, object]] = {
        "spoof": {"points": [[41.0, 69.0]]},
        "card": {"card": "0008627839"},
        "battery": {"percent": 4},
        "tag_on": {"epc": "3034257BF7194E4000001A85"},
    }
    for word in EVENTS:
        event = read_event({"do": word, **needed.get(word, {})}, SAMPLES, 0)
        assert isinstance(event, Event), (word, event)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({}, "control.do: one of"),
        ({"do": "cu"}, "did you mean cut?"),
        ({"do": "cut", "at_s": 3}, "control.at_s: unknown key"),
        ({"do": "card"}, "control.card: ten digits"),
        ({"do": "battery"}, "control.percent: say percent"),
        ({"do": "p43", "channel": "pigeon"}, "control.channel: one of sms"),
    ],
)
def test_a_wrong_control_line_is_answered(line: dict[str, object], says: str) -> None:
    answer = read_event(line, SAMPLES, 0)
    assert isinstance(answer, list)
    assert says in str(answer[0])


@given(st.text(max_size=200))
def test_any_text_gets_a_scenario_or_faults(text: str) -> None:
    assert isinstance(read_scenario(text, SAMPLES), Scenario | list)
