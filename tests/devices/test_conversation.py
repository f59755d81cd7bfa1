"""Remarks, remembered frames, and one order at a time."""

import pytest

from devices import Counters, MisuseError
from devices.conversation import Ask, Conversation, Remarks, Remembered, Sight

NOW_MS = 1_800_000_000_000
OPEN = Ask(command="P43", data=b"(P43,113271)")
ASK = Ask(command="P52", values=("3",), data=b"(P52,3,113271)")


def test_a_remark_is_cut_and_each_refusal_counted() -> None:
    counters = Counters()
    remarks = Remarks(protocol="jt701", counters=counters)
    [odd] = remarks.refuse("malformed", b"x" * 100, NOW_MS)
    assert (odd.protocol, odd.reason, odd.sample) == ("jt701", "malformed", b"x" * 64)
    assert remarks.refuse("malformed", b"x", NOW_MS + 9_999) == []
    assert counters == {"malformed": 2}


def test_a_clock_that_steps_back_silences_no_remark_for_long() -> None:
    remarks = Remarks(protocol="jt701", counters=Counters())
    remarks.refuse("malformed", b"", NOW_MS)
    assert len(remarks.refuse("malformed", b"", NOW_MS - 60_000)) == 1


def test_a_frame_goes_from_new_to_waiting_to_acknowledged_and_can_be_forgotten() -> None:
    remembered = Remembered()
    sights = [remembered.see(b"frame"), remembered.see(b"frame")]
    remembered.acknowledged(b"frame")
    sights.append(remembered.see(b"frame"))
    remembered.forget(b"frame")
    sights.append(remembered.see(b"frame"))
    assert sights == [Sight.NEW, Sight.WAITING, Sight.ACKNOWLEDGED, Sight.NEW]


def test_a_frame_that_was_never_seen_cannot_be_acknowledged() -> None:
    remembered = Remembered()
    remembered.acknowledged(b"frame")
    assert remembered.see(b"frame") is Sight.NEW


def test_an_order_is_taken_once_and_only_then_can_be_answered() -> None:
    conversation = Conversation()
    conversation.ask(OPEN, NOW_MS)
    assert not conversation.hear("P43", ("1", "0"), NOW_MS)
    assert [conversation.take_order(), conversation.take_order()] == [OPEN.data, b""]
    assert conversation.hear("P43", ("1", "0"), NOW_MS)
    assert not conversation.hear("P43", ("1", "0"), NOW_MS)
    assert conversation.deadline_ms is None


@pytest.mark.parametrize(("command", "values", "is_answer"), [
    ("P52", ("3", "1", "0"), True),
    ("P52", ("1",), False),
    ("P52", (), False),
    ("P43", ("3",), False),
])  # fmt: skip
def test_an_answer_begins_as_its_order_wants(
    command: str, values: tuple[str, ...], is_answer: object
) -> None:
    assert ASK.is_answered_by(command, values) is is_answer


def test_an_order_that_nobody_took_is_withdrawn_at_its_deadline() -> None:
    conversation = Conversation()
    conversation.ask(OPEN, NOW_MS)
    conversation.ask(ASK, NOW_MS)
    assert conversation.expire(NOW_MS + 9_999) is None
    assert conversation.expire(NOW_MS + 10_000) is OPEN
    assert conversation.take_order() == ASK.data
    assert conversation.deadline_ms == NOW_MS + 20_000


def test_what_waits_has_an_end() -> None:
    conversation = Conversation()
    for _ in range(17):
        conversation.ask(OPEN, NOW_MS)
    with pytest.raises(MisuseError):
        conversation.ask(OPEN, NOW_MS)
    assert conversation.acknowledge(b"a" * 1_024)
    assert not conversation.acknowledge(b"a")
    assert conversation.take_acks() == b"a" * 1_024
    assert conversation.acknowledge(b"a")


def test_an_order_shows_no_password() -> None:
    assert "113271" not in repr(OPEN)
