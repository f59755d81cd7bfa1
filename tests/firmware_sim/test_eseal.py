import pytest
from hypothesis import given, strategies as st

from firmware_sim.eseal import Jt701d
from firmware_sim.seal_jt701d import (
    Access,
    Kind,
    OrderReader,
    Snapshot,
    Source,
    Wake,
    access_text,
    binary_frame,
    status_word,
)
from firmware_sim.seal_link import KEPT_MAX, Link
from tests.firmware_sim.acting import SEAL, SEAL_ID, Act, frames_of, polite, scenario

ROPE_IN = 'event = [{ at_s = 10, do = "rope_in" }]'
ARMED = SEAL.replace(" }", ", armed = true }")


def act(*tables: str, reply: bool = True, end_s: float = 4000) -> Act:
    return Act(scenario(*tables, end_s=end_s), polite if reply else None)


def seal_of(play: Act) -> str:
    return str(play.stage.devices["seal"].truth(play.stage.now_ms)["seal"])


def said_since(play: Act, at_s: float) -> list[str]:
    """Frames without their P45 head: place and time are the same in all."""
    return [shorter(frame) for frame in play.frames(at_s)]


def shorter(frame: str) -> str:
    words = frame.strip("()").split(",")
    if words[0] == "P45":
        return f"P45 {words[10]} {words[11]} {words[12]} {words[13]} {words[14]}"
    return frame


def do(play: Act, word: str, **args: object) -> list[str]:
    """What the seal says within 2 s of it."""
    now_s = play.stage.now_ms / 1000
    play.do(word, **args)
    play.to(now_s + 2)
    return said_since(play, now_s)


# -- bytes


def test_a_frame_has_the_bytes_of_a_captured_one() -> None:
    # The manual's example frame, but for cell, IMEI and signal, which the simulator has its own of.
    snapshot = Snapshot(
        seal_id=SEAL_ID,
        unix_ms=1_618_762_979_000,  # 2021-04-18T16:22:59Z
        lat=22.5805167,
        lon=113.9175717,
        fixed=True,
        speed_km_h=33.336,
        course_deg=304,
        mileage_km=45,
        sats=6,
        status=0x20E0,
        battery_percent=40,
        charging=False,
        wake=Wake.RTC,
    )
    frame = binary_frame(snapshot, Kind.LIVE, 0x56).hex().upper()
    assert frame.startswith(
        "2480006200111911003418042116225922348310113550543712980000002D060000000020E028"
    )
    assert frame.endswith("56")
    assert len(frame) == 62 * 2


def test_a_lock_event_has_the_words_of_a_captured_one() -> None:
    at = Snapshot(
        seal_id=SEAL_ID,
        unix_ms=1_594_951_574_000,
        lat=22.56035,
        lon=114.01640,
        fixed=True,
        speed_km_h=36,
        course_deg=270,
        mileage_km=5,
        sats=6,
        status=0x20E0,
        battery_percent=40,
        charging=False,
        wake=Wake.RTC,
    )
    access = Access(at=at, source=Source.CARD, verification=1, card="0008627839")
    assert access_text(access, 24) == (
        b"(8000620011,P45,170720,020614,22.56035,N,114.01640,E,A,36,270,1,1,0008627839,0,0,24,5)"
    )


@pytest.mark.parametrize(
    ("rope_in", "locked", "cover_closed", "alarm", "word"),
    [
        (False, False, True, 0, 0x2020),
        (True, True, True, 0, 0x20E0),
        (False, True, True, 8, 0x20A8),
        (False, True, True, 0, 0x20A0),
        (True, False, True, 0, 0x2060),
        (True, True, False, 0x1000, 0x10E0),
        (True, True, False, 0, 0x00E0),
    ],
)
def test_the_status_words_are_those_of_the_paper(
    *, rope_in: bool, locked: bool, cover_closed: bool, alarm: int, word: int
) -> None:
    made = status_word(rope_in=rope_in, locked=locked, cover_closed=cover_closed, alarm=alarm)
    assert made == word


@given(
    st.lists(st.sampled_from([b"(P69,0,1)", b"(P22,010327050000)", b"xx", b"(P01"])),
    st.integers(1, 9),
)
def test_orders_are_heard_alike_however_they_are_cut(pieces: list[bytes], step: int) -> None:
    data = b"".join(pieces)
    whole, cut = OrderReader(), OrderReader()
    orders = [order for at in range(0, len(data), step) for order in cut.feed(data[at : at + step])]
    assert orders == whole.feed(data)


# -- life


def test_arming_says_lock_report_and_password_and_sealed_when_it_is_answered() -> None:
    play = act(SEAL, ROPE_IN).to(12)
    said = said_since(play, 9)
    assert said[:2] == ["P45 5 0 0000000000 0 0", "live 20E0 wake 4"]
    assert said[2].startswith("(P52,2,")
    assert [line["seal_to"] for line in play.truths if "seal_to" in line] == ["armed", "sealed"]


def test_the_password_is_told_every_minute_until_it_is_answered() -> None:
    play = act(SEAL, ROPE_IN, reply=False).to(200)
    told = [frame for frame in play.frames() if frame.startswith("(P52,2,")]
    assert len(told) == 4
    assert len(set(told)) == 1
    play.write("seal", told[0].encode())
    assert seal_of(play) == "sealed"


def test_without_dynamic_password_arming_seals_at_once() -> None:
    play = act(SEAL.replace(" }", ", dynamic = false }"), ROPE_IN).to(12)
    assert seal_of(play) == "sealed"
    assert not any(frame.startswith("(P52") for frame in play.frames())


def test_a_cut_is_an_alarm_once_and_then_a_level() -> None:
    play = act(ARMED).to(10)
    assert do(play, "cut") == ["alarm 20A8 wake 4"]
    play.to(130)
    assert said_since(play, 12) == ["live 20A0 wake 1"] * 2
    assert do(play, "cut") == []


def test_force_is_a_level_without_an_event() -> None:
    play = act(ARMED).to(10)
    assert do(play, "force") == ["live 2060 wake 1"]
    assert do(play, "rope_out") == ["live 2020 wake 4"]


@pytest.mark.parametrize(
    ("word", "args", "said", "state"),
    [
        ("card", {"card": "0008627839"}, ["P45 1 98 0008627839 0 0"], "opened"),
        ("card", {"card": "42"}, ["P45 2 0 0000000042 0 0", "alarm 24E0 wake 6"], "sealed"),
        ("p43", {}, ["(P43,1,0)", "P45 4 1 0000000000 1 0"], "opened"),
        ("p52", {}, ["(P52,3,1,0)", "P45 6 98 0000000000 1 0"], "opened"),
        ("p43", {"password": "no"}, ["(P43,0,1)", "P45 4 0 0000000000 0 1"], "sealed"),
        ("p52", {"password": "no"}, ["(P52,3,0,1)", "P45 6 0 0000000000 0 1"], "sealed"),
    ],
)
def test_keys_open_or_do_not(
    word: str, args: dict[str, object], said: list[str], state: str
) -> None:
    play = act(ARMED).to(10)
    assert do(play, word, **args) == said
    assert seal_of(play) == state


def test_outside_its_fence_a_card_is_refused_and_inside_it_names_it() -> None:
    fence = ", fences = [{ id = 7, lat = 41.0, lon = 69.0, radius_m = 200 }] }"
    drive = "track = { points = [[41.0, 69.0], [41.02, 69.0]], speed_km_h = 80 }"
    play = act(ARMED.replace(" }", fence), drive).to(3)
    play.to(45)
    assert do(play, "card", card="0008627839") == ["P45 1 99 0008627839 0 0"]
    assert do(play, "p52") == ["(P52,3,0,1)", "P45 6 0 0000000000 0 1"]
    near = act(ARMED.replace(" }", fence), drive).to(3)
    assert do(near, "card", card="0008627839") == ["P45 1 7 0008627839 0 0"]


def test_the_fifth_wrong_password_is_an_alarm_and_a_right_one_begins_anew() -> None:
    play = act(ARMED).to(10)
    for count in range(1, 5):
        assert do(play, "p43", password="no")[0] == f"(P43,0,{count})"
    assert do(play, "p43", password="no")[-1] == "alarm 22E0 wake 1"
    do(play, "p43")
    assert do(play, "p43", password="no")[0] == "(P43,0,1)"


def test_an_opened_seal_locks_again_after_a_minute_unless_the_rope_leaves() -> None:
    play = act(ARMED).to(10)
    do(play, "p43")
    play.to(71)
    assert seal_of(play) == "sealed"
    assert said_since(play, 69)[0] == "P45 5 0 0000000000 0 0"
    do(play, "p43")
    assert do(play, "rope_out") == ["live 2020 wake 4"]
    play.to(200)
    assert seal_of(play) == "unarmed"


def test_long_unlocked_is_said_once_a_time() -> None:
    play = act(SEAL.replace(" }", ", long_unlocked_min = 2 }")).to(600)
    assert [frame for frame in play.frames() if frame.startswith("alarm")] == ["alarm 2120 wake 1"]


def test_a_closed_channel_refuses_the_right_password() -> None:
    play = act(ARMED).to(10)
    play.write("seal", b"(P59,1,0,0,1,1,0)")
    assert play.to(11).frames(10) == ["(P59,0,0,1,1,0)"]
    assert do(play, "p43", channel="sms") == ["(P43,0,1)", "P45 4 0 0000000000 0 1"]
    assert do(play, "p43", channel="serial")[0] == "(P43,1,0)"


# -- conditions


def test_the_cover_is_an_alarm_once_and_a_level_after() -> None:
    play = act(ARMED).to(10)
    assert do(play, "cover", state="open") == ["alarm 10E0 wake 3"]
    assert play.to(63).frames(61) == ["live 00E0 wake 1"]
    assert do(play, "cover", state="closed") == ["live 20E0 wake 3"]
    assert do(play, "cover", state="closed") == []


def test_a_low_battery_is_an_alarm_after_ten_minutes() -> None:
    play = act(ARMED).to(10)
    do(play, "battery", percent=15)
    assert "alarm 28E0 wake 1" not in play.to(609).frames()
    assert "alarm 28E0 wake 1" in play.to(611).frames()


def test_an_empty_seal_is_silent_until_it_is_charged() -> None:
    play = act(ARMED).to(70)
    do(play, "battery", percent=3)
    assert play.to(600).frames(73) == []
    assert do(play, "battery", charging=True) == ["live 20E0 wake 5"]
    assert frames_of(play.heard("seal", 600))[-1][38] == 0xFF


def test_a_stuck_motor_fails_once() -> None:
    play = act(ARMED).to(10)
    do(play, "motor", stuck=True)
    assert do(play, "p43") == ["(P43,0,0)", "alarm 60E0 wake 1"]
    assert seal_of(play) == "sealed"
    assert do(play, "p43")[0] == "(P43,1,0)"


def test_a_restart_counts_from_nothing_and_asks_for_the_time_three_times() -> None:
    play = act(ARMED, reply=False).to(10)
    do(play, "restart")
    play.to(100)
    assert play.frames(10).count("(P22,2)") == 3
    assert "live 20E0 wake 0" in play.frames(10)
    again = act(ARMED, reply=False).to(10)
    do(again, "restart")
    again.write("seal", b"(P22,010327050010)")
    assert again.to(100).frames(10).count("(P22,2)") == 1
    assert "(P22,1)" in again.frames(10)
    assert frames_of(again.heard("seal", 11))[-1][-1] <= 2


def test_an_unheard_frame_is_said_four_times_and_then_kept() -> None:
    play = act(ARMED.replace(" }", ", interval_s = 3000 }"), reply=False).to(10)
    play.do("cut")
    play.to(300)
    alarms = [frame for frame in frames_of(play.heard("seal", 10)) if frame[:1] == b"$"]
    assert len([frame for frame in alarms if frame[37] & 8]) == 4
    assert len({frame for frame in alarms if frame[37] & 8}) == 1
    assert play.truths[-1]["kept"] == 2  # the first report, and the alarm


def test_kept_frames_come_as_backlog_oldest_first_after_a_live_one() -> None:
    play = act(ARMED).to(10)
    play.do("silent", for_s=300)
    play.to(100)
    play.do("cut")
    play.to(500)
    said = play.frames(10)
    assert said == [
        "(@JT)",
        "live 20A0 wake 1",
        "backlog 20E0 wake 1",
        "backlog 20A8 wake 4",
        *["backlog 20A0 wake 1"] * 4,
        "live 20A0 wake 1",
        "live 20A0 wake 1",
    ]
    times = [
        frame[10:16].hex() for frame in frames_of(play.heard("seal", 310)) if frame[7] & 15 == 3
    ]
    assert times == sorted(times)
    assert play.truths[-1]["kept"] == 0


def test_a_silent_seal_obeys_nothing() -> None:
    play = act(ARMED).to(10)
    play.do("silent", for_s=60)
    play.write("seal", b"(P43,12#aAM)")
    assert play.to(130).frames(60) == ["(@JT)", "live 20E0 wake 1", "backlog 20E0 wake 1"]
    assert seal_of(play) == "sealed"


def test_after_eighty_seconds_without_data_it_says_that_it_is_alive() -> None:
    play = act(ARMED.replace(" }", ", interval_s = 600 }")).to(300)
    assert play.frames(3) == ["(@JT)"] * 3


def test_a_jammer_takes_the_sky_from_the_seal_as_well() -> None:
    jam = 'event = [{ at_s = 30, do = "jam", for_s = 60 }]'
    play = act(ARMED, "receiver = { fix_after_s = 0 }", jam).to(130)
    flags = [frame[24] & 1 for frame in frames_of(play.heard("seal"))]
    assert flags == [1, 0, 1]


# -- orders


@pytest.mark.parametrize(
    ("order", "answer"),
    [
        ("P01", "(P01,JT701D_20260801_V1.4)"),
        ("P04,1,30,60", "(P04,1,30,60)"),
        ("P04,0", "(P04,0,60,30)"),
        ("P22,010327050000", "(P22,1)"),
        ("P38,1,15", "(P38,1,15)"),
        ("P40,1,1,0,1", "(P40,1,1,0,1)"),
        ("P41,1,1,2,0000000001,0000000002", "(P41,1,1,2)"),
        ("P41,1,2,1,0008627839", "(P41,1,2,1)"),
        ("P41,1,3", "(P41,1,3)"),
        ("P41,0,1", "(P41,0,1,1,0008627839)"),
        ("P42,0", "(P42,0)"),
        ("P43,12#aAM", "(P43,1,0)"),
        ("P43,wrong", "(P43,0,1)"),
        ("P44,new123,12#aAM", "(P44,1)"),
        ("P44,new123,wrong", "(P44,0)"),
        ("P52,1,1,1,0", "(P52,1,1,1,0)"),
        ("P52,3,wrong", "(P52,3,0,1)"),
        ("P54,1,1", "(P54,1,1)"),
        ("P59,1,0,0,1,1,0", "(P59,0,0,1,1,0)"),
        ("P61,1,30", "(P61,1,30)"),
        ("P98,10,0", "(P98,10,0,0)"),
    ],
)
def test_each_order_is_obeyed_and_answered(order: str, answer: str) -> None:
    play = act(ARMED).to(10)
    play.write("seal", f"({order})".encode())
    assert play.to(11).frames(10)[0] == answer


@pytest.mark.parametrize(
    "order",
    ["P99", "P04", "P04,1,0", "P41,2", "P43", "P44,x", "P22,now", "P59,1,1", "P98,1", "P61,1,200"],
)
def test_what_the_manual_does_not_know_gets_no_answer(order: str) -> None:
    play = act(ARMED).to(10)
    play.write("seal", f"({order})".encode())
    assert play.to(12).frames(10) == []


def test_a_password_may_hold_what_frames_are_made_of_when_it_is_escaped() -> None:
    play = act(ARMED).to(10)
    play.write("seal", b"(P44,a=\x11b=\x00,12#aAM)(P43,a=\x11b=\x00)")
    assert play.to(12).frames(10)[:2] == ["(P44,1)", "(P43,1,0)"]


def test_a_new_interval_counts_from_its_order() -> None:
    play = act(ARMED).to(10)
    play.write("seal", b"(P04,1,15,60)")
    said = [s.at_ms // 1000 for s in play.to(60).said if s.at_ms > 11_000]
    assert said == [25, 40, 55]


def test_the_old_acknowledgement_takes_the_oldest() -> None:
    play = act(ARMED, reply=False).to(10)
    assert play.stage.devices["seal"].waits()
    play.write("seal", b"(P35)")
    assert not play.stage.devices["seal"].waits()


def test_no_order_that_the_paper_lists_is_missing() -> None:
    from firmware_sim.seal_settings import ORDERS  # noqa: PLC0415 - only here by its name

    paper = "P01 P04 P22 P35 P38 P40 P41 P42 P43 P44 P52 P54 P59 P61 P69 P98".split()  # noqa: SIM905 - as the paper has it
    assert sorted([*ORDERS, *Jt701d._ORDERS]) == paper


# -- patience


def link() -> Link[int]:
    return Link(lambda record, serial, backlog: (b"%d/%d/%d" % (record, serial, backlog), {}))


def test_numbers_come_round_and_nothing_is_lost() -> None:
    line = link()
    for record in range(300):
        line.say(record, 0, mute=False)
    assert line.kept() == 44
    assert line.acknowledged(43, 1, mute=False)[0].data.startswith(b"0/")


def test_memory_has_an_end_and_the_oldest_goes() -> None:
    line = link()
    for record in range(KEPT_MAX + 5):
        line.say(record, 0, mute=True)
    assert line.kept() == KEPT_MAX
    line.say(99_999, 0, mute=False)
    assert line.acknowledged(0, 1, mute=False)[0].data.startswith(b"5/")


def test_an_unheard_backlog_frame_stays_the_oldest() -> None:
    line = link()
    line.say(1, 0, mute=True)
    line.say(2, 0, mute=True)
    line.say(3, 0, mute=False)
    assert line.acknowledged(0, 1, mute=False)[0].data == b"1/1/1"
    assert line.wake(20_001, mute=False) == []
    line.say(4, 20_001, mute=False)
    assert line.acknowledged(2, 20_002, mute=False)[0].data == b"1/3/1"
    assert line.acknowledged(3, 20_003, mute=False)[0].data == b"2/4/1"


def test_an_acknowledgement_of_nothing_is_nothing() -> None:
    assert link().acknowledged(7, 0, mute=False) == []
    assert link().acknowledged(None, 0, mute=False) == []
