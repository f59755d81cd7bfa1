"""The eSeal: messages, damage, any cutting, and the conversation."""

import pytest
from hypothesis import given, settings, strategies as st

from devices import Fact, MisuseError, Odd, SealAnswer, SealEvent, SealReport
from devices.eseal import EsealReader, Framer, PowerOff, RemoteUnlock
from devices.eseal.message import Frame
from tests.devices.cutting import check_each_offset
from tests.devices.seal_cases import Case, cases, data_of, differences, iso_ms, plain

NOW_MS = 1_800_000_000_000
GOOD = cases("eseal", "eseal_made")
BAD = cases("bad", protocol="eseal")
NORMAL = data_of("eseal-x00")
PREFIX = b"##S,eSeal,2000001,256,3.0.8"
NOT_IN_FACTS = {"kind", "acceleration_mg", "nfc", "rssi_dbm", "event"}  # the command's


def read(data: bytes) -> list[Fact]:
    return EsealReader().feed(data, NOW_MS)


def message(name: str, *, index: int = 7, place: str = "A,41.311081N 69.240562E") -> bytes:
    tail = f"{index},2026-11-22,10:15:00,15,{place},90,40,Open,1.02,0:0:3:0,3.9,-77,E##"
    return PREFIX + f",{name},{tail}".encode()


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_every_message_becomes_its_fact(case: Case) -> None:
    facts = read(case.data)
    [expect] = case.expect
    if expect["kind"] == "reply":
        [answer] = facts
        assert isinstance(answer, SealAnswer)
        assert (answer.seal_id, answer.ok) == (expect["seal_id"], True)
        return
    report = facts.pop()
    assert isinstance(report, SealReport)
    wanted = {key: value for key, value in expect.items() if key not in NOT_IN_FACTS}
    wanted["time_ms"] = iso_ms(wanted.pop("time"))
    speed = float(str(wanted.pop("speed_kmh")))
    assert abs((report.speed_cm_s or 0) * 0.036 - speed) <= 0.019  # half a cm/s
    assert differences(wanted, plain(report)) == []
    sources = [fact.source for fact in facts if isinstance(fact, SealEvent)]
    event = expect["event"]
    assert sources == ([event["source"]] if isinstance(event, dict) else [])


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_a_bad_message_gives_its_reason_and_no_fact(case: Case) -> None:
    reader = EsealReader()
    [odd] = reader.feed(case.data, NOW_MS)
    assert isinstance(odd, Odd)
    assert odd.reason == case.expect[0]["error"]
    assert reader.counters["malformed"] == 1


@pytest.mark.parametrize(("name", "source", "locked", "opened", "vibration"), [
    ("Event-Door", "door", None, None, None),
    ("Event-Shock", "shock", None, None, True),
    ("Event-Drop", "drop", None, None, None),
    ("Event-Lock", "lock", True, None, None),
    ("Event-RC-Unlock", "remote_unlock", False, True, None),
    ("Event-Flood", None, None, None, None),
])  # fmt: skip
def test_an_event_is_told_before_its_report_which_holds_the_ack(
    name: str, source: str | None, locked: object, opened: object, vibration: object
) -> None:
    event, report = read(message(name))
    assert isinstance(event, SealEvent)
    assert isinstance(report, SealReport)
    assert (event.kind, event.source) == (source or "event", source)
    assert (event.locked, event.opened, event.ack) == (locked, opened, None)
    assert (report.locked, report.vibration, report.door_closed) == (locked, vibration, False)
    assert report.ack == PREFIX + f",{name} ACK,7,E##\r\n".encode()


@pytest.mark.parametrize(
    "name", ["Normal", "Button-Normal", "Termination", "Startup", "Low-Battery"]
)
def test_a_report_is_no_event(name: str) -> None:
    [report] = read(message(name))
    assert isinstance(report, SealReport)
    assert (report.locked, report.vibration) == (None, None)


@pytest.mark.parametrize(("config", "ack"), [
    (None, None),
    ("180,30,30,16,1", PREFIX + b",Startup ACK,7,180,30,30,16,1,E##\r\n"),
])  # fmt: skip
def test_a_startup_is_answered_with_the_configured_string_or_not_at_all(
    config: str | None, ack: bytes | None
) -> None:
    [report] = EsealReader(config=config).feed(message("Startup"), NOW_MS)
    assert isinstance(report, SealReport)
    assert report.ack == ack


@pytest.mark.parametrize("config", ["", "1,E##", "a\nb", "я", "1" * 65])
def test_a_config_that_cannot_be_said_is_our_mistake(config: str) -> None:
    with pytest.raises(MisuseError, match="config"):
        EsealReader(config=config)


@pytest.mark.parametrize(("place", "lat_e7", "reported"), [
    ("A,41.311081N 69.240562E", 413_110_810, 413_110_810),
    ("A,41.311081S 69.240562W", -413_110_810, -413_110_810),
    ("V,41.311081N 69.240562E", None, 413_110_810),
    ("A,0.000000N 0.000000E", None, 0),
    ("A,41N 69E", 410_000_000, 410_000_000),
])  # fmt: skip
def test_a_place_counts_only_when_the_seal_vouches_for_it(
    place: str, lat_e7: int | None, reported: int
) -> None:
    [report] = read(message("Normal", place=place))
    assert isinstance(report, SealReport)
    assert (report.lat_e7, report.reported_lat_e7) == (lat_e7, reported)
    assert (report.position_source is None) is (lat_e7 is None)


@pytest.mark.parametrize(("old", "new"), [
    (b"41.311081N", b"91.311081N"),
    (b"69.240562E", b"181.240562E"),
    (b"41.311081N 69", b"41.311081N69"),
    (b",A,", b",B,"),
    (b"2026-11-22", b"26-11-22"),
    (b"10:15:00", b"10:15"),
    (b",40,", b",4x,"),
    (b",15,A", b",,A"),
    (b",90,", b",east,"),
    (b"Open", b"Ajar"),
    (b"0:0:3:0", b"0:0:3:"),
    (b"3.9", b"3.9V"),
    (b"-77", b""),
    (b"1.02", b"\xff"),
    (b"1.02", b"1\t2"),
    (b",E##", b",more,E##"),
    (b"eSeal", b"cSeal"),
    (b"2000001", b"20000x1"),
])  # fmt: skip
def test_a_field_that_cannot_be_read_refuses_the_message(old: bytes, new: bytes) -> None:
    [odd] = read(NORMAL.replace(old, new, 1))
    assert isinstance(odd, Odd)
    assert odd.reason == "malformed"


@pytest.mark.parametrize(
    "date", ["2026-02-30,10:15:00", "2026-11-22,24:15:00", "2000-01-01,00:00:09"]
)
def test_an_impossible_or_unset_clock_is_not_believed(date: str) -> None:
    [report] = read(NORMAL.replace(b"2026-11-22,10:15:00", date.encode()))
    assert isinstance(report, SealReport)
    assert report.time_ok is False


@pytest.mark.parametrize(("data", "wanted"), [
    (b"", []),
    (b"noise ## and # E##", []),
    (NORMAL + NORMAL, ["report", "report"]),
    (b"\r\n" + NORMAL + b"\r\n##", ["report"]),
    (NORMAL[:40] + NORMAL, ["truncated", "report"]),
    (NORMAL[:-1], ["truncated"]),
    (b"##S," + b"x" * 600 + NORMAL, ["too_long", "report"]),
    (b"###S,eSeal,1,1,1,Normal,E##", ["malformed"]),
    (b"##S,E##", ["malformed"]),
    (b"##S,eSeal##S,E##", ["truncated", "malformed"]),  # found by `plomba bench fuzz`
])  # fmt: skip
def test_what_comes_out_of_a_line(data: bytes, wanted: list[str]) -> None:
    framer = Framer()
    found = framer.feed(data) + framer.flush()
    assert [
        one.kind.value if isinstance(one, Frame) else one.reason.value for one in found
    ] == wanted


pieces = st.one_of(
    st.sampled_from(
        [*(case.data for case in GOOD + BAD), NORMAL[:50], b"#", b"##S", b",E##", b"\r\n"]
    ),
    st.binary(max_size=40),
    st.integers(300, 600).map(lambda size: b"##S," + b"x" * size),
)


@settings(max_examples=100)
@given(st.lists(pieces, max_size=8), st.lists(st.integers(1, 80), min_size=1, max_size=20))
def test_any_cutting_gives_the_same_facts_and_counters(
    parts: list[bytes], sizes: list[int]
) -> None:
    data = b"".join(parts)
    whole, cut = EsealReader(), EsealReader()
    facts = whole.feed(data, NOW_MS)
    got: list[Fact] = []
    at, turn = 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        got += cut.feed(data[at : at + size], NOW_MS)
        at, turn = at + size, turn + 1
    assert got == facts
    assert cut.wake(NOW_MS + 10_000) == whole.wake(NOW_MS + 10_000)
    assert cut.counters == whole.counters


def test_a_start_that_shares_its_comma_with_the_end_means_the_same_however_it_is_cut() -> None:
    check_each_offset(EsealReader, b"##S,eSeal##S,E##" + NORMAL)


@pytest.mark.parametrize("case", GOOD + BAD, ids=lambda case: case.name)
def test_two_pieces_give_the_same_facts_at_each_offset(case: Case) -> None:
    facts = read(case.data)
    for offset in range(len(case.data) + 1):
        reader = EsealReader()
        assert (
            reader.feed(case.data[:offset], NOW_MS) + reader.feed(case.data[offset:], NOW_MS)
            == facts
        )


@settings(max_examples=100)
@given(st.binary(max_size=600), st.sampled_from(GOOD), st.integers(0, 500), st.integers(0, 255))
def test_garbage_and_damage_raise_nothing(noise: bytes, case: Case, at: int, byte: int) -> None:
    damaged = bytearray(case.data)
    damaged[at % len(damaged)] = byte
    reader = EsealReader()
    reader.feed(noise + bytes(damaged) + noise, NOW_MS)
    reader.wake(NOW_MS + 10_000)
    assert reader.next_deadline() is None


def test_an_order_waits_until_the_seal_has_told_its_prefix() -> None:
    reader = EsealReader()
    reader.order(RemoteUnlock(), NOW_MS)
    assert reader.take_bytes() == b""
    reader.feed(NORMAL, NOW_MS + 1_000)
    assert reader.take_bytes() == PREFIX + b",RC-Unlock,E##\r\n"
    [answer] = reader.feed(PREFIX + b",RC-Unlock ACK,,E##", NOW_MS + 2_000)
    assert isinstance(answer, SealAnswer)
    assert (answer.command, answer.ok, answer.values) == ("RC-Unlock", True, ())
    assert reader.next_deadline() is None
    assert reader.counters["unasked"] == 0


def test_power_off_has_its_words() -> None:
    reader = EsealReader()
    reader.feed(NORMAL, NOW_MS)
    reader.order(PowerOff(), NOW_MS)
    assert reader.take_bytes() == PREFIX + b",RC-Power Control,Power OFF,E##\r\n"


def test_an_order_to_a_silent_seal_ends_and_is_never_said_later() -> None:
    reader = EsealReader(seal_id="2000001")
    reader.order(RemoteUnlock(), NOW_MS)
    [answer] = reader.wake(NOW_MS + 10_000)
    assert answer == SealAnswer(
        at_ms=NOW_MS + 10_000, seal_id="2000001", command="RC-Unlock", ok=None
    )
    reader.feed(NORMAL, NOW_MS + 11_000)
    assert reader.take_bytes() == b""


def test_another_seal_neither_gives_its_prefix_nor_answers() -> None:
    reader = EsealReader(seal_id="2000002")
    reader.order(RemoteUnlock(), NOW_MS)
    reader.feed(NORMAL + PREFIX + b",RC-Unlock ACK,,E##", NOW_MS)
    assert reader.take_bytes() == b""
    assert reader.next_deadline() == NOW_MS + 10_000
    assert reader.counters["unasked"] == 1


def test_a_message_is_stored_once_and_acknowledged_after_its_commit() -> None:
    reader = EsealReader()
    [report] = reader.feed(NORMAL, NOW_MS)
    assert reader.feed(NORMAL, NOW_MS + 1) == []
    assert reader.take_bytes() == b""
    reader.acknowledged(report)
    assert reader.feed(NORMAL, NOW_MS + 2) == []
    assert isinstance(report, SealReport)
    assert reader.take_bytes() == report.ack
    reader.forget(report)
    assert len(reader.feed(NORMAL, NOW_MS + 3)) == 1


def test_half_a_message_is_not_joined_with_what_comes_much_later() -> None:
    reader = EsealReader()
    reader.feed(NORMAL[:50], NOW_MS)
    assert reader.next_deadline() == NOW_MS + 10_000
    [odd] = reader.feed(NORMAL[50:], NOW_MS + 10_000)
    assert isinstance(odd, Odd)
    assert odd.reason == "truncated"
