"""Each status bit has its key and no other; each source and verification of P45 its verdict."""

from itertools import combinations

import pytest

from devices import SealEvent, SealReport
from devices.jt701 import Jt701Reader
from tests.devices.seal_cases import data_of, plain

NOW_MS = 1_800_000_000_000
BASE = 0x20E0  # healthy and sealed
STATUS_AT = 36
PLACE_KEYS = {"position_source", "fix_valid", "lat", "lon"}
KEYS_OF_BIT: dict[int, set[str]] = {
    0: PLACE_KEYS,
    1: {"enter_fence"},
    2: {"exit_fence"},
    3: {"rope_cut"},
    4: {"vibration"},
    5: set(),  # version 19 is acknowledged anyway
    6: {"rope_in"},
    7: {"locked"},
    8: {"long_unlocked"},
    9: {"wrong_password"},
    10: {"illegal_card"},
    11: {"low_battery"},
    12: {"cover_opened"},
    13: {"cover_closed"},
    14: {"motor_stuck"},
}


def said(status: int, version: int = 0x19) -> dict[str, object]:
    data = bytearray(data_of("jt701-m00"))
    data[6] = version
    data[STATUS_AT : STATUS_AT + 2] = status.to_bytes(2, "big")
    [report] = Jt701Reader().feed(bytes(data), NOW_MS)
    assert isinstance(report, SealReport)
    return plain(report)


@pytest.mark.parametrize("base", [BASE, 0x0000, 0x7FFE])
@pytest.mark.parametrize("bits", [*((bit,) for bit in range(15)), *combinations(range(15), 2)])
def test_a_flipped_bit_changes_its_key_and_no_other(bits: tuple[int, ...], base: int) -> None:
    before, after = said(base), said(base ^ sum(1 << bit for bit in bits))
    changed = {key for key in before if before[key] != after[key]}
    assert changed - {"status_raw"} == set().union(*(KEYS_OF_BIT[bit] for bit in bits))


def test_a_level_that_is_set_is_true_and_an_alarm_that_is_not_set_is_false() -> None:
    healthy = said(BASE)
    assert [healthy[key] for key in ("locked", "rope_in", "cover_closed")] == [True] * 3
    assert [healthy[key] for key in ("rope_cut", "cover_opened", "illegal_card")] == [False] * 3


@pytest.mark.parametrize("version", [0x17, 0x19])
def test_an_open_cover_shows_after_the_alarm_is_gone(version: int) -> None:
    assert said(0x00E0, version)["cover_closed"] is False
    assert said(0x00E0, version)["cover_opened"] is False


@pytest.mark.parametrize(("status", "cover"), [(0x00F0, None), (0x20F0, True)])
def test_an_old_lock_without_bit_13_says_nothing_of_its_cover(status: int, cover: object) -> None:
    data = bytearray(data_of("jt701-t18"))
    data[STATUS_AT : STATUS_AT + 2] = status.to_bytes(2, "big")
    [report] = Jt701Reader().feed(bytes(data), NOW_MS)
    assert isinstance(report, SealReport)
    assert report.cover_closed is cover


@pytest.mark.parametrize(("version", "bit_5", "ack"), [
    (0x19, True, b"(P69,0,86)"),
    (0x19, False, b"(P69,0,86)"),
    (0x17, True, b"(P35)"),
    (0x17, False, None),
])  # fmt: skip
def test_who_is_acknowledged_how(version: int, bit_5: object, ack: bytes | None) -> None:
    reply = said(BASE if bit_5 else BASE ^ 0x20, version)["reply"]
    assert reply == (ack.decode() if ack else None)


@pytest.mark.parametrize(("battery", "percent", "charging"), [
    (0, 0, False), (100, 100, False), (101, None, None), (254, None, None), (255, None, True),
])  # fmt: skip
def test_the_battery_byte(battery: int, percent: int | None, charging: object) -> None:
    data = bytearray(data_of("jt701-m00"))
    data[38] = battery
    [report] = Jt701Reader().feed(bytes(data), NOW_MS)
    assert isinstance(report, SealReport)
    assert (report.battery_percent, report.charging) == (percent, charging)


Verdict = tuple[bool | None, bool | None]
OPEN: Verdict = (True, True)
REFUSED: Verdict = (False, False)
OUTSIDE: Verdict = (False, True)
UNSAID: Verdict = (None, None)
BY_FENCE: dict[int, Verdict] = {0: REFUSED, 98: OPEN, 99: OUTSIDE} | dict.fromkeys(
    range(1, 11), OPEN
)
VERDICTS: dict[int, dict[int, Verdict]] = {
    1: BY_FENCE,
    2: dict.fromkeys(range(100), REFUSED),
    3: {},
    4: {0: REFUSED, 1: OPEN},
    5: {},
    6: BY_FENCE,
    7: {0: REFUSED, 1: OPEN},
    8: {},  # a source that no manual names
}
SOURCES = (
    None,
    "card",
    "illegal_card",
    "vehicle_card",
    "static_password",
    "auto_lock",
    "dynamic_password",
    "bluetooth",
    None,
)


def p45(source: int, verification: int, password_ok: int = 1, wrong: int = 2) -> SealEvent:
    text = (
        f"(8000620011,P45,221126,101500,41.311081,N,69.240562,E,A,0,0,{source},{verification},"
        f"0008627839,{password_ok},{wrong},30,120)"
    )
    [event] = Jt701Reader().feed(text.encode(), NOW_MS)
    assert isinstance(event, SealEvent)
    return event


@pytest.mark.parametrize("verification", range(100))
@pytest.mark.parametrize("source", range(9))
def test_each_source_and_verification_has_its_verdict(source: int, verification: int) -> None:
    event = p45(source, verification)
    opened, authorised = VERDICTS.get(source, {}).get(verification, UNSAID)
    assert (event.opened, event.authorised) == (opened, authorised)
    assert event.source == SOURCES[source]
    assert event.locked is (True if source == 5 else False if opened else None)
    has_fence = source in {1, 6} and 1 <= verification <= 10
    assert event.fence_id == (verification if has_fence else None)
    by_password = source in {4, 6, 7}
    assert event.password_ok is (True if by_password else None)
    assert event.wrong_passwords == (2 if by_password else None)
    assert event.kind == ("lock" if source == 5 else "access")
