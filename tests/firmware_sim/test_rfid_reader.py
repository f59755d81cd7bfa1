"""The RFID reader by the bytes of the manual, and by what happens to it and to its tags."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings, strategies as st

from firmware_sim import Event
from firmware_sim.rfid_frames import CommandEar, answer, notice, refusal, told_of
from firmware_sim.rfid_reader import RfidReader
from firmware_sim.rfid_settings import ORDERS, ReaderSpec, Tag
from firmware_sim.scenario_events import read_event
from firmware_sim.world import Track, Vertex, World
from tests.firmware_sim.acting import HERE, Act, scenario

ONE = "3034257BF7194E4000001A85"
TWO = "E20010710000529B0940B402"
SURE = f'{{ epc = "{ONE}", rssi_dbm = -52, read_rate = 1.0 }}'
HALF = f'{{ epc = "{TWO}", rssi_dbm = -70, read_rate = 0.5 }}'
NO_TAG, COMMAND_ERROR, BUSY = "BB01FF000115167E", "BB01FF000117187E", "BB01FF000120217E"
EUROPE = "BB00070001030B7E"
POLL_ONCE, STOP, STOPPED = "BB00220000227E", "BB00280000287E", "BB01280001002A7E"
SLEEP, SLEEPS = "BB00170000177E", "BB01170001001 97E".replace(" ", "")


def poll(rounds: int) -> str:
    body = bytes.fromhex("0027000322") + rounds.to_bytes(2, "big")
    return (b"\xbb" + body + bytes([sum(body) & 0xFF, 0x7E])).hex().upper()


def acting(*tags: str, more: str = "", end_s: float = 7200) -> Act:
    return Act(scenario(f"reader = {{ tags = [{', '.join(tags)}]{more} }}", end_s=end_s))


def frames(data: bytes) -> Iterator[bytes]:
    """Undamaged frames, by their length."""
    while data:
        size = 7 + int.from_bytes(data[3:5], "big")
        assert data[0] == 0xBB
        assert data[size - 1] == 0x7E
        assert data[size - 2] == sum(data[1 : size - 2]) & 0xFF
        yield data[:size]
        data = data[size:]


def ask(play: Act, *commands: str) -> list[str]:
    """What it answers to `commands` at once, as hex."""
    before = len(play.said)
    for command in commands:
        play.write("rfid", bytes.fromhex(command))
    play.to(play.stage.now_ms / 1000 + 0.04, step_ms=10)
    return [frame.hex().upper() for said in play.said[before:] for frame in frames(said.data)]


def polling(*tags: str, more: str = "", end_s: float = 7200) -> Act:
    play = acting(*tags, more=more, end_s=end_s)
    assert ask(play, EUROPE, poll(65535)) == ["BB0107000100097E"]
    return play


def epcs(play: Act, from_s: float = 0) -> Counter[str]:
    """How often each tag was told."""
    told = [f for f in frames(play.heard("rfid", from_s)) if f[1:3] == b"\x02\x22"]
    return Counter(f[8 : 6 + int.from_bytes(f[3:5], "big") - 3].hex().upper() for f in told)


# -- bytes


@pytest.mark.parametrize(
    ("frame", "captured"),
    [
        (notice(told_of(bytes.fromhex("30751FEB705C5904E3D50D70")), -55), "BB02220011C9300030751FEB705C5904E3D50D70"),
        (notice(told_of(bytes.fromhex("E20010710000529B0940B402")), -43), "BB02220011D53000E20010710000529B0940B402EB980C7E"),
        (notice(told_of(bytes.fromhex("E2806894000040018F22958C")), -33), "BB02220011DF3000E2806894000040018F22958C7C78A97E"),
        (notice(told_of(bytes.fromhex("03269201")), -49), "BB02220009CF1000032692012A796B7E"),
        (refusal(0x15), NO_TAG),
        (answer(0x28, b"\x00"), STOPPED),
        (answer(0x08, b"\x01"), "BB01080001010B7E"),
        (answer(0xB7, b"\x07\xd0"), "BB01B7000207D0917E"),
        (answer(0x03, b"\x02MagicRf"), "BB01030008024D616769635266A77E"),
    ],
)  # fmt: skip
def test_a_frame_has_the_bytes_of_a_captured_one(frame: bytes, captured: str) -> None:
    assert frame.hex().upper().startswith(captured)


@given(st.lists(st.sampled_from([EUROPE, POLL_ONCE, "00", "BB", "7E", poll(7), "BB00FFFF"])), st.integers(1, 9))  # fmt: skip
def test_commands_are_heard_alike_however_they_are_cut(pieces: list[str], step: int) -> None:
    data = bytes.fromhex("".join(pieces))
    whole, cut = CommandEar(), CommandEar()
    whole.hear(data)
    heard, heard_cut = list(iter(whole.next, None)), []
    for begin in range(0, len(data), step):
        cut.hear(data[begin : begin + step])
        heard_cut += list(iter(cut.next, None))
    assert heard == heard_cut


def test_a_command_behind_a_broken_one_is_heard() -> None:
    ear = CommandEar()
    ear.hear(bytes.fromhex("BB0027000322FF" + EUROPE + POLL_ONCE))
    ear.hear(bytes.fromhex("BB002200002F7E" + STOP))
    assert [command.code for command in iter(ear.next, None)] == [0x07, 0x22, 0x28]


@given(st.binary(max_size=300))
def test_any_bytes_are_heard_somehow_and_few_are_kept(data: bytes) -> None:
    ear = CommandEar()
    ear.hear(data)
    list(iter(ear.next, None))
    assert len(ear._held) < 71


# -- answers


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ("BB0003000100047E", "BB01030010004D31303020323664426D2056312E30927E"),
        ("BB0003000102067E", "BB01030008024D616769635266A77E"),
        ("BB0003000103077E", COMMAND_ERROR),
        ("BB00070001010 97E".replace(" ", ""), "BB0107000100097E"),
        ("BB00070001050D7E", COMMAND_ERROR),
        ("BB00B6000207D08F7E", "BB01B6000100B87E"),
        ("BB00B60002FFFFB67E", COMMAND_ERROR),
        ("BB00B70000B77E", "BB01B7000207D0917E"),
        ("BB000E00021020407E", "BB010E000100107E"),
        ("BB000D00000D7E", "BB010D00021020407E"),
        ("BB00AD0001FFAD7E", "BB01AD000100AF7E"),
        ("BB001D0001001E7E", "BB011D0001001F7E"),
        (STOP, STOPPED),
        (SLEEP, SLEEPS),
        ("BB004900 00497E".replace(" ", ""), COMMAND_ERROR),  # a write: this room has none
        ("BB00F20000F27E", COMMAND_ERROR),
    ],
)  # fmt: skip
def test_each_order_is_answered(order: str, says: str) -> None:
    assert ask(acting(), order) == [says]


def test_every_setting_has_its_answer_in_the_table_above() -> None:
    assert set(ORDERS) == {0x03, 0x07, 0x08, 0x0D, 0x0E, 0x1D, 0xAD, 0xB6, 0xB7}


@pytest.mark.parametrize("order", [POLL_ONCE, poll(65535), "BB00080000087E"])
def test_without_a_region_it_transmits_nothing_and_says_17(order: str) -> None:
    play = acting(SURE)
    assert ask(play, order) == [COMMAND_ERROR]
    assert not epcs(play.to(5))


def test_the_region_is_kept_and_told() -> None:
    assert ask(acting(), EUROPE, "BB00080000087E") == ["BB0107000100097E", "BB01080001030D7E"]


@pytest.mark.parametrize("order", ["BB0028000029 7E", "AA00280000 28DD", "BB0128000029 7E"])
def test_a_frame_that_is_not_ours_gets_no_answer(order: str) -> None:
    assert ask(acting(), order.replace(" ", "")) == []


# -- rounds


def test_polled_once_it_reads_one_round() -> None:
    play = acting(SURE)
    ask(play, EUROPE, POLL_ONCE)
    play.to(10)
    assert epcs(play) == {ONE: 1}


def test_an_empty_field_is_told_as_no_tag() -> None:
    play = acting()
    ask(play, EUROPE, poll(3))
    said = [frame.hex().upper() for frame in frames(play.to(10).heard("rfid"))]
    assert said[1:] == [NO_TAG] * 3


def test_each_round_takes_fifty_milliseconds_and_each_tag_its_chance() -> None:
    play = polling(SURE, HALF).to(60.04)
    told = epcs(play)
    assert told[ONE] == 1200
    assert told[TWO] == pytest.approx(600, abs=80)


def test_signal_strength_wanders_about_its_mean() -> None:
    play = polling(SURE).to(60)
    told = [f[5] - 256 for f in frames(play.heard("rfid")) if f[1:3] == b"\x02\x22"]
    assert sum(told) / len(told) == pytest.approx(-52, abs=0.3)
    assert len(set(told)) > 5


def test_the_count_of_65535_runs_out_after_54_minutes_and_no_stop_is_said() -> None:
    tag = Tag(epc=bytes.fromhex(ONE), read_rate=1.0)
    world = World(Track(vertices=(Vertex(t_ms=0, lat=41.0, lon=69.0),)))
    reader = RfidReader(ReaderSpec(tags=(tag,), sleep_min=0), world, start_ms=0, seed=1)
    reader.feed(bytes.fromhex(EUROPE + poll(65535)), 0)
    rounds, ended_ms = 0, 0
    while (due_ms := reader.next_due_ms()) is not None:
        reader.wake(due_ms)
        rounds, ended_ms = rounds + 1, due_ms
    assert (rounds, ended_ms) == (65_535, 65_535 * 50)
    said = Counter(each.data[1:3].hex() for each in reader.take() if each.data)
    assert said == {"0107": 1, "0222": 65_535}  # the region, and reads


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 5_000))
def test_the_same_seed_says_the_same_at_any_pace(step_ms: int) -> None:
    def said(step_ms: int) -> list[tuple[int, bytes]]:
        play = acting(SURE, HALF, end_s=60)
        play.write("rfid", bytes.fromhex(EUROPE + poll(65535)))
        play.to(20, step_ms=step_ms)
        return [(each.at_ms, each.data) for each in play.said if each.at_ms <= 20_000]

    assert said(step_ms) == said(20_000)


def test_a_stop_ends_the_rounds() -> None:
    play = polling(SURE).to(5)
    assert STOPPED in ask(play, STOP)
    stopped_s = play.stage.now_ms / 1000
    assert not epcs(play.to(20), stopped_s)


def test_no_round_says_more_than_the_line_carries() -> None:
    tags = [f'{{ epc = "{number:024X}", read_rate = 1.0 }}' for number in range(1, 40)]
    play = polling(*tags, more=", baud = 19200").to(30)
    last = play.said[-1]
    assert last.at_ms <= 30_000
    assert 30_000 - last.at_ms < 100
    assert len(epcs(play)) == 39  # chance lets each through at some time


def test_a_round_tells_apart_as_many_tags_as_it_has_slots() -> None:
    tags = [f'{{ epc = "{number:04X}", read_rate = 1.0 }}' for number in range(1, 20)]
    play = acting(*tags)
    ask(play, EUROPE, "BB000E00021010307E", POLL_ONCE)  # Q 2
    assert sum(epcs(play.to(1)).values()) == 4


# -- tags


def test_a_tag_is_read_while_it_is_there() -> None:
    play = polling(f'{{ epc = "{ONE}", from_s = 10, to_s = 20, read_rate = 1.0 }}').to(40)
    told = [s.at_ms for s in play.said if s.data[1:3] == b"\x02\x22"]
    assert (min(told) // 1000, max(told) // 1000) == (10, 19)


def test_a_tag_at_a_gate_is_read_while_the_truck_passes() -> None:
    drive = "track = { points = [[41.0, 69.0], [41.01, 69.0]], speed_km_h = 36 }"
    gate = (
        f'{{ epc = "{ONE}", read_rate = 1.0, gate = {{ lat = 41.004, lon = 69.0 }}, reach_m = 20 }}'
    )
    play = Act(scenario(drive, f"reader = {{ tags = [{gate}] }}", end_s=120))
    ask(play, EUROPE, poll(65535))
    play.to(100)
    told = [s.at_ms for s in play.said if s.data[1:3] == b"\x02\x22"]
    assert min(told) == pytest.approx(42_400, abs=200)  # 444.8 m at 10 m/s, less 20 m
    assert max(told) == pytest.approx(46_400, abs=200)
    assert ONE in {tag for line in play.truths for tag in line.get("tags", [])}  # type: ignore[attr-defined] # a list of texts


def test_a_tag_is_put_on_board_and_taken_away() -> None:
    play = polling(SURE).to(10)
    assert play.do("tag_on", epc=TWO, read_rate=1.0)
    assert set(epcs(play.to(20), 10.1)) == {ONE, TWO}
    assert play.do("tag_off", epc=TWO)
    assert not play.do("tag_off", epc=TWO)
    assert set(epcs(play.to(30), 20.1)) == {ONE}
    assert play.do("tag_off", for_s=10)  # all that are there
    assert not epcs(play.to(40), 30.1)
    assert set(epcs(play.to(50), 40.1)) == {ONE}  # and only what was there comes back


def test_a_tag_may_come_for_a_while() -> None:
    play = polling().to(10)
    play.do("tag_on", epc=ONE, read_rate=1.0, for_s=5)
    assert epcs(play.to(30))[ONE] == pytest.approx(100, abs=2)


def test_one_tag_more_changes_nothing_for_another() -> None:
    def rssi(play: Act) -> list[int]:
        return [f[5] for f in frames(play.to(20).heard("rfid")) if bytes.fromhex(TWO) in f]

    assert rssi(polling(HALF)) == rssi(polling(HALF, SURE))


# -- what happens to the reader


def test_a_dead_reader_says_nothing_and_has_forgotten_its_region_when_it_is_back() -> None:
    play = polling(SURE).to(10.02)  # nothing is on the cable just then
    assert play.do("reader_dead", for_s=20)
    assert not play.do("reader_dead")
    assert ask(play, STOP) == []
    assert not play.to(40).heard("rfid", 10.1)
    assert play.truths[-1]["reader"] == "idle"
    assert ask(play, poll(10)) == [COMMAND_ERROR]


def test_a_busy_air_is_told_in_place_of_tags() -> None:
    play = polling(SURE).to(10)
    play.do("reader_busy", for_s=10)
    said = Counter(f.hex().upper() for f in frames(play.to(19.9).heard("rfid", 10.1)))
    assert set(said) == {BUSY}
    assert epcs(play.to(30), 20.1)


@pytest.mark.parametrize("word", ["reader_restart", "unplug"])
def test_power_lost_is_settings_lost(word: str) -> None:
    play = polling(SURE).to(10)
    if word == "unplug":
        play.do("unplug", device="rfid")
        play.to(20)
        play.do("replug", device="rfid")
    else:
        play.do(word)
    assert not epcs(play.to(30), 10.1)
    assert ask(play, POLL_ONCE) == [COMMAND_ERROR]


def test_a_replug_by_itself_is_a_fresh_reader_too() -> None:
    play = polling(SURE).to(10)
    play.do("unplug", device="rfid", for_s=700)  # longer than its sleep
    play.to(720)
    assert play.truths[-1]["reader"] == "idle"
    assert ask(play, EUROPE, poll(3))[0] == "BB0107000100097E"


def test_an_idle_reader_falls_asleep_and_loses_the_byte_that_wakes_it() -> None:
    play = acting(more=", sleep_min = 1").to(59)
    assert ask(play, "BB00B70000B77E")  # of use: the minute begins anew
    assert play.to(118).notes("reader_to") == []
    assert play.to(125).notes("reader_to") == ["asleep"]
    assert ask(play, "BB00B70000B77E") == []
    assert ask(play, "BB00B70000B77E") == ["BB01B7000207D0917E"]


def test_one_zero_wakes_it_and_the_frame_behind_is_heard() -> None:
    play = acting(more=", sleep_min = 1").to(70)
    assert ask(play, "00BB00B70000B77E") == ["BB01B7000207D0917E"]


def test_a_reader_put_to_sleep_keeps_its_settings_and_polls_no_more() -> None:
    play = polling(SURE).to(5)
    said = ask(play, SLEEP + "00" + "BB00080000087E")
    assert said[-2:] == [SLEEPS, "BB01080001030D7E"]
    assert play.notes("reader_to") == ["polling", "asleep", "idle"]
    assert not epcs(play.to(20), 5.1)


def test_told_never_to_sleep_it_never_does_and_while_it_polls_neither() -> None:
    play = acting(more=", sleep_min = 1")
    ask(play, "BB001D0001001E7E")
    play.to(600, step_ms=10_000)
    assert play.truths[-1]["reader"] == "idle"
    reading = polling(SURE, more=", sleep_min = 1").to(200)
    assert reading.truths[-1]["reader"] == "polling"


def test_the_sheet_tells_which_tags_are_in_reach_each_second() -> None:
    play = polling(f'{{ epc = "{ONE}", from_s = 3, to_s = 6 }}').to(10)
    lines = [line["tags"] for line in play.truths if "lat" in line]
    assert lines[:10] == [[], [], [], [ONE], [ONE], [ONE], [], [], [], []]


def test_an_event_line_of_a_tag_names_its_faults() -> None:
    for line in ({"epc": "12"}, {}, {"epc": ONE, "gate": {"lat": 3}}, {"epc": ONE, "rssi": 3}):
        assert isinstance(read_event({"do": "tag_on", **line}, HERE, 0), list)
    assert isinstance(read_event({"do": "tag_off"}, HERE, 0), Event)
