"""What is said to a lock: orders one at a time, acknowledgements after the commit, and what becomes of them."""

import pytest

from devices import Fact, MisuseError, SealAlive, SealAnswer, SealEvent, SealReport, SealSecret
from devices.jt701 import (
    Alarms,
    CardsAdd,
    CardsClear,
    CardsList,
    CardsRemove,
    ChangePassword,
    Channels,
    EnableDynamic,
    EnrolOff,
    Firmware,
    Interval,
    Jt701Reader,
    LongUnlocked,
    LowBattery,
    Order,
    SetTime,
    Stored,
    Tracking,
    UnlockDynamic,
    UnlockStatic,
)
from tests.devices.seal_cases import data_of

NOW_MS = 1_800_000_000_000
SEAL = "8000620011"
REPORT = data_of("jt701-m00")
ACK = b"(P69,0,86)"
UNLOCK = UnlockStatic(password="12#aAM")
FIRST = ("0008627839",)


def answers(facts: list[Fact]) -> list[tuple[str, bool | None, int | None]]:
    return [
        (fact.command, fact.ok, fact.wrong_passwords)
        for fact in facts
        if isinstance(fact, SealAnswer)
    ]


@pytest.mark.parametrize(("order", "said"), [
    (UNLOCK, b"(P43,12#aAM)"),
    (UnlockDynamic(password="113271"), b"(P52,3,113271)"),
    (EnableDynamic(), b"(P52,1,1,1,0)"),
    (Channels(sms=False, gprs=False, card=True, serial=True, bluetooth=False), b"(P59,1,0,0,1,1,0)"),
    (ChangePassword(new="abc123", old="888888"), b"(P44,abc123,888888)"),
    (CardsAdd(cards=FIRST * 2), b"(P41,1,1,2,0008627839,0008627839)"),
    (CardsRemove(cards=FIRST), b"(P41,1,2,1,0008627839)"),
    (CardsClear(), b"(P41,1,3)"),
    (CardsList(group=1), b"(P41,0,1)"),
    (EnrolOff(), b"(P42,0)"),
    (SetTime(time_ms=1_772_341_199_999), b"(P22,010326045959)"),
    (Interval(awake_s=60, asleep_min=30), b"(P04,1,60,30)"),
    (Tracking(), b"(P54,1,1)"),
    (LowBattery(percent=20), b"(P61,1,20)"),
    (LongUnlocked(minutes=10), b"(P38,1,10)"),
    (Alarms(switches=(True, False, True)), b"(P40,1,1,0,1)"),
    (Stored(), b"(P98,10,0)"),
    (Firmware(), b"(P01)"),
])  # fmt: skip
def test_each_order_has_its_bytes(order: Order, said: bytes) -> None:
    reader = Jt701Reader()
    reader.order(order, NOW_MS)
    assert reader.take_bytes() == said
    assert reader.take_bytes() == b""
    assert b"12#aAM" not in repr(order).encode()
    assert "888888" not in repr(order)


@pytest.mark.parametrize("order", [
    UnlockStatic(password=""),
    UnlockStatic(password="12)3456"),
    UnlockStatic(password="12,456"),
    UnlockStatic(password="12 456"),
    UnlockStatic(password="пароль"),
    UnlockDynamic(password="1" * 17),
    CardsAdd(cards=()),
    CardsAdd(cards=FIRST * 21),
    CardsAdd(cards=("862783",)),
    CardsRemove(cards=("00086278x9",)),
    CardsList(group=-1),
    SetTime(time_ms=0),
    SetTime(time_ms=10**18),
    Interval(awake_s=0, asleep_min=1),
    LowBattery(percent=101),
    LongUnlocked(minutes=0),
    Alarms(switches=()),
])  # fmt: skip
def test_what_cannot_be_said_is_our_mistake(order: Order) -> None:
    reader = Jt701Reader()
    with pytest.raises(MisuseError) as error:
        reader.order(order, NOW_MS)
    assert "1111111" not in str(error.value)
    assert (reader.take_bytes(), reader.next_deadline()) == (b"", None)


@pytest.mark.parametrize(("order", "answer", "outcome"), [
    (UNLOCK, "P43,1,0", ("P43", True, 0)),
    (UNLOCK, "P43,0,3", ("P43", False, 3)),
    (UNLOCK, "P43,7", ("P43", None, None)),
    (UnlockDynamic(password="1"), "P52,3,1,0", ("P52", True, 0)),
    (UnlockDynamic(password="1"), "P52,3,0,5", ("P52", False, 5)),
    (EnableDynamic(), "P52,1,1,1,0", ("P52", True, None)),
    (SetTime(time_ms=NOW_MS), "P22,1", ("P22", True, None)),
    (EnrolOff(), "P42,0", ("P42", True, None)),
    (ChangePassword(new="a", old="b"), "P44,1", ("P44", True, None)),
    (Firmware(), "P01,JT701D_V1.4", ("P01", True, None)),
])  # fmt: skip
def test_an_answer_ends_its_order(
    order: Order, answer: str, outcome: tuple[str, bool | None, int | None]
) -> None:
    reader = Jt701Reader()
    reader.order(order, NOW_MS)
    reader.take_bytes()
    assert answers(reader.feed(f"({SEAL},{answer})".encode(), NOW_MS + 900)) == [outcome]
    assert reader.next_deadline() is None
    assert reader.counters["unasked"] == 0
    assert reader.wake(NOW_MS + 60_000) == []


def test_no_answer_in_ten_seconds_is_an_answer_of_its_own_and_nothing_is_repeated() -> None:
    reader = Jt701Reader(seal_id=SEAL)
    reader.order(UNLOCK, NOW_MS)
    assert reader.take_bytes() == b"(P43,12#aAM)"
    assert reader.next_deadline() == NOW_MS + 10_000
    assert reader.wake(NOW_MS + 9_999) == []
    assert reader.wake(NOW_MS + 10_000) == [
        SealAnswer(at_ms=NOW_MS + 10_000, seal_id=SEAL, command="P43", ok=None)
    ]
    assert reader.take_bytes() == b""
    assert reader.next_deadline() is None
    assert reader.counters["unanswered"] == 1


def test_a_late_answer_is_told_and_belongs_to_nobody() -> None:
    reader = Jt701Reader()
    reader.order(UNLOCK, NOW_MS)
    reader.take_bytes()
    facts = reader.feed(f"({SEAL},P43,1,0)".encode(), NOW_MS + 10_000)
    assert answers(facts) == [("P43", None, None), ("P43", True, 0)]
    assert reader.counters["unasked"] == 1


def test_an_answer_to_nobody_is_told_and_counted() -> None:
    reader = Jt701Reader()
    assert answers(reader.feed(f"({SEAL},P43,1,0)".encode(), NOW_MS)) == [("P43", True, 0)]
    assert reader.counters["unasked"] == 1


def test_two_orders_go_one_after_the_other() -> None:
    reader = Jt701Reader()
    reader.order(UNLOCK, NOW_MS)
    reader.order(Firmware(), NOW_MS)
    assert reader.take_bytes() == b"(P43,12#aAM)"
    assert reader.take_bytes() == b""
    reader.feed(f"({SEAL},P43,1,0)".encode(), NOW_MS + 500)
    assert reader.take_bytes() == b"(P01)"
    assert reader.next_deadline() == NOW_MS + 10_500


def test_the_second_order_goes_when_the_first_got_no_answer() -> None:
    reader = Jt701Reader()
    reader.order(UNLOCK, NOW_MS)
    reader.order(Firmware(), NOW_MS)
    reader.take_bytes()
    reader.wake(NOW_MS + 10_000)
    assert reader.take_bytes() == b"(P01)"


def test_an_unlock_that_nobody_took_in_time_is_never_said() -> None:
    reader = Jt701Reader()
    reader.order(UNLOCK, NOW_MS)
    assert answers(reader.wake(NOW_MS + 10_000)) == [("P43", None, None)]
    assert reader.take_bytes() == b""


@pytest.mark.parametrize("other", ["P01,V1", "P52,3,1,0", "P42,2,0008932328", "P22,2", "@JT"])
def test_another_word_does_not_answer_an_unlock(other: str) -> None:
    reader = Jt701Reader()
    reader.order(UNLOCK, NOW_MS)
    reader.take_bytes()
    reader.feed(f"({SEAL},{other})".encode(), NOW_MS)
    assert reader.next_deadline() == NOW_MS + 10_000


def test_another_lock_does_not_answer_for_ours() -> None:
    reader = Jt701Reader(seal_id=SEAL)
    reader.order(UNLOCK, NOW_MS)
    reader.take_bytes()
    reader.feed(b"(8130630001,P43,1,0)", NOW_MS)
    assert reader.next_deadline() == NOW_MS + 10_000
    assert reader.counters["unasked"] == 1


def test_the_seventeenth_waiting_order_is_our_mistake() -> None:
    reader = Jt701Reader()
    for _ in range(17):  # one is out, sixteen wait
        reader.order(Firmware(), NOW_MS)
    with pytest.raises(MisuseError, match="16 orders"):
        reader.order(Firmware(), NOW_MS)


def test_an_answer_that_would_show_a_password_is_told_without_it() -> None:
    facts = Jt701Reader().feed(f"({SEAL},P44,1,113271)({SEAL},P52,0,113271)".encode(), NOW_MS)
    assert len(facts) == 2
    assert "3271" not in repr(facts)


def test_the_dynamic_password_is_a_secret_that_is_told_each_time_it_comes() -> None:
    reader = Jt701Reader()
    for _ in range(2):
        [fact] = reader.feed(f"({SEAL},P52,2,113271)".encode(), NOW_MS)
        assert isinstance(fact, SealSecret)
        assert (fact.secret, fact.ack) == (b"113271", b"(P52,2,113271)")
        assert "113271" not in repr(fact)
    assert reader.take_bytes() == b""


def test_a_lock_that_asks_for_the_time_is_remembered_until_it_is_told() -> None:
    reader = Jt701Reader()
    wanted = [reader.wants_time]
    [fact] = reader.feed(f"({SEAL},P22,2)".encode(), NOW_MS)
    wanted.append(reader.wants_time)
    reader.order(SetTime(time_ms=NOW_MS), NOW_MS)
    wanted.append(reader.wants_time)
    assert wanted == [False, True, False]
    assert isinstance(fact, SealAlive)


class Shell:
    """Stores facts, then writes their acks: what the unit does, with a disk that may fail."""

    def __init__(self) -> None:
        self.reader = Jt701Reader()
        self.written: list[bytes] = []
        self.stored: list[Fact] = []
        self.open: list[Fact] = []

    def hear(self, data: bytes, at_ms: int) -> None:
        self.open += self.reader.feed(data, at_ms)
        self.write(self.reader.take_bytes())

    def commit(self) -> None:
        self.stored += self.open
        for fact in self.open:
            if isinstance(fact, SealReport | SealEvent) and fact.ack is not None:
                self.write(fact.ack)
                self.reader.acknowledged(fact)
        self.open = []

    def fail(self) -> None:
        for fact in self.open:
            self.reader.forget(fact)
        self.open = []

    def write(self, data: bytes) -> None:
        if data:
            self.written.append(data)


def test_nothing_is_acknowledged_before_it_is_stored() -> None:
    shell = Shell()
    shell.hear(REPORT, NOW_MS)
    shell.hear(REPORT, NOW_MS + 20_000)  # the ack is late, so the lock says it again
    assert shell.written == []
    shell.commit()
    assert shell.written == [ACK]
    assert len(shell.stored) == 1


def test_a_frame_that_comes_again_after_its_ack_is_dropped_and_acknowledged_again() -> None:
    shell = Shell()
    shell.hear(REPORT, NOW_MS)
    shell.commit()
    shell.hear(REPORT, NOW_MS + 20_000)
    shell.commit()
    assert shell.written == [ACK, ACK]
    assert len(shell.stored) == 1
    assert shell.reader.counters["repeated"] == 1


def test_a_commit_that_fails_sees_no_ack_and_the_frame_is_stored_once_when_it_comes_again() -> None:
    shell = Shell()
    shell.hear(REPORT, NOW_MS)
    shell.fail()
    assert shell.written == []
    shell.hear(REPORT, NOW_MS + 20_000)
    shell.commit()
    assert shell.written == [ACK]
    assert len(shell.stored) == 1


def test_sixty_four_frames_are_remembered() -> None:
    reader = Jt701Reader()
    frames = [REPORT[:-1] + bytes([serial]) for serial in range(65)]
    for frame in frames[:64]:
        assert len(reader.feed(frame, NOW_MS)) == 1
    assert reader.feed(frames[0], NOW_MS) == []
    assert len(reader.feed(frames[64], NOW_MS)) == 1
    assert reader.feed(frames[1], NOW_MS) == []
    assert len(reader.feed(frames[0], NOW_MS)) == 1


def test_heartbeats_and_answers_are_never_repeats() -> None:
    reader = Jt701Reader()
    words = f"({SEAL},@JT)({SEAL},P43,1,0)({SEAL},P42,2,0008932328)".encode()
    assert len(reader.feed(words + words, NOW_MS)) == 6
    assert reader.counters["repeated"] == 0


def test_acks_that_nobody_takes_do_not_pile_up() -> None:
    shell = Shell()
    shell.hear(REPORT, NOW_MS)
    shell.commit()
    for _ in range(300):
        shell.reader.feed(REPORT, NOW_MS)
    assert len(shell.reader.take_bytes()) <= 1_024
    assert shell.reader.counters["ack_dropped"] > 0
