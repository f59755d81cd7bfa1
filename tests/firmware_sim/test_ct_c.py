import re

import pytest

from devices import SealEvent, SealReport
from devices.eseal import EsealReader
from tests.firmware_sim.acting import Act, scenario

SEAL = 'seal = { id = "1000821", protocol = "eseal", interval_s = 60 }'
ARMED = SEAL.replace(" }", ", armed = true }")


def acknowledge(data: bytes) -> bytes:
    """The collector's side: each report is answered with its number."""
    answers = b""
    for prefix, message, index in re.findall(rb"(##S,eSeal,\d+,256,3\.0\.8),([\w-]+),(\d+),", data):
        answers += b"%s,%s ACK,%s,E##\r\n" % (prefix, message, index)
    return answers


def act(*tables: str, reply: bool = True) -> Act:
    return Act(scenario(*tables, end_s=4000), acknowledge if reply else None)


def messages(play: Act, from_s: float = 0) -> list[str]:
    """Each line as message, door."""
    lines = play.heard("seal", from_s).decode("ascii").split("\r\n")[:-1]
    words = [line.split(",") for line in lines]
    return [f"{line[5]} {line[14]}" if len(line) > 10 else line[5] for line in words]


def do(play: Act, word: str, **args: object) -> list[str]:
    now_s = play.stage.now_ms / 1000
    play.do(word, **args)
    return messages(play.to(now_s + 2), now_s)


def test_it_starts_up_once_and_reports_from_then_on() -> None:
    assert messages(act(ARMED).to(130)) == ["Startup Close", "Normal Close", "Normal Close"]


@pytest.mark.parametrize(
    ("table", "word", "said", "state"),
    [
        (SEAL, "rope_in", ["Event-Lock Close"], "sealed"),
        (ARMED, "cut", ["Event-Door Open"], "cut"),
        (ARMED, "force", ["Event-Shock Open"], "forced"),
        (ARMED, "shock", ["Event-Shock Close"], "sealed"),
        (ARMED, "drop", ["Event-Drop Close"], "sealed"),
        (ARMED, "button", ["Button-Normal Close"], "sealed"),
        (ARMED, "door", ["Event-Door Open"], "sealed"),
        (SEAL, "cut", [], "unarmed"),
        (ARMED, "card", [], "sealed"),
    ],
)
def test_each_event_has_its_message(table: str, word: str, said: list[str], state: str) -> None:
    play = act(table).to(10)
    args: dict[str, object] = {"card": "42"} if word == "card" else {}
    assert do(play, word, **args) == said
    assert play.stage.devices["seal"].truth(play.stage.now_ms)["seal"] == state


def test_a_remote_unlock_opens_and_a_minute_later_it_is_locked() -> None:
    play = act(ARMED).to(10)
    play.write("seal", b"##S,eSeal,1000821,256,3.0.8,RC-Unlock,E##\r\n")
    play.to(80)
    assert messages(play, 10) == [
        "RC-Unlock ACK",
        "Event-RC-Unlock Open",
        "Normal Open",
        "Event-Lock Close",
    ]


def test_power_off_is_its_last_word() -> None:
    play = act(ARMED).to(10)
    play.write("seal", b"##S,eSeal,1000821,256,3.0.8,RC-Power Control,Power OFF,E##\r\n")
    assert messages(play.to(300), 10) == ["Termination Close"]
    play.do("restart")
    # Switched off it did not hear the acknowledgement, so its last word comes again.
    assert messages(play.to(310), 301) == ["Startup Close", "Termination Close"]


def test_another_seal_s_order_is_not_obeyed() -> None:
    play = act(ARMED).to(10)
    play.write("seal", b"##S,eSeal,1000822,256,3.0.8,RC-Unlock,E##\r\n")
    assert messages(play.to(20), 10) == []


def test_an_unheard_line_is_said_four_times_and_kept() -> None:
    play = act(ARMED.replace("60", "3000"), reply=False).to(200)
    assert messages(play) == ["Startup Close"] * 4
    assert play.truths[-1]["kept"] == 1


def test_after_a_silence_the_kept_ones_follow_a_fresh_one() -> None:
    play = act(ARMED).to(10)
    play.do("silent", for_s=120)
    play.to(100)
    play.do("cut")
    assert messages(play.to(200), 130) == [
        "Normal Open",
        "Normal Close",
        "Event-Door Open",
        "Normal Open",
    ]


def test_an_empty_one_is_silent_until_it_is_charged() -> None:
    play = act(ARMED).to(10)
    play.do("battery", percent=3)
    assert messages(play.to(100), 10) == []
    play.do("battery", charging=True)
    assert messages(play.to(200), 100) == ["Normal Close", "Normal Close"]


def test_a_jammer_takes_its_sky() -> None:
    jam = 'event = [{ at_s = 30, do = "jam", for_s = 60 }]'
    play = act(ARMED, "receiver = { fix_after_s = 0 }", jam).to(130)
    lines = play.heard("seal").decode("ascii").split("\r\n")[:-1]
    assert [line.split(",")[10] for line in lines] == ["A", "V", "A"]


def test_the_reader_understands_every_line_of_a_life() -> None:
    play = act(SEAL).to(10)
    for word in ("rope_in", "shock", "drop", "button", "cut", "rope_in", "force"):
        do(play, word)
    reader = EsealReader()
    facts = reader.feed(play.heard("seal"), 0)
    reports = [fact for fact in facts if isinstance(fact, SealReport)]
    events = [fact for fact in facts if isinstance(fact, SealEvent)]
    assert len(reports) == len(messages(play))
    assert len(events) >= 5
    refused = {k: v for k, v in reader.counters.items() if "malformed" in k or "truncated" in k}
    assert not any(refused.values())
    assert {report.seal_id for report in reports} == {"1000821"}
