"""Every captured and built frame means what the manual says: through the reader, however it is cut."""

import pytest

from devices import Fact, Odd, SealAlive, SealAnswer, SealEvent, SealReport, SealSecret
from devices.jt701 import Jt701Reader
from tests.devices.seal_cases import Case, cases, data_of, differences, iso_ms, plain

NOW_MS = 1_800_000_000_000
GOOD = cases("jt701", "jt701_made", "streams", protocol="jt701")
STREAMS = cases("streams", protocol="jt701")
BAD = cases("bad", protocol="jt701")
FACT_OF_KIND: dict[str, type[Fact] | tuple[type[Fact], ...]] = {
    "report": SealReport,
    "event": SealEvent,
    "heartbeat": SealAlive,
    "time_request": SealAlive,
    "password": SealSecret,
    "peripheral": SealReport,
    "reply": (SealAnswer, SealEvent),  # P42,2: cards enrolled at the lock
    "tracker": (SealReport, SealAlive),
}
# what only the command shows; a fact keeps the frame
NOT_IN_FACTS = {"kind", "record_count", "records", "cell", "fence_id", "peripheral", "answer"}


def read(data: bytes) -> list[Fact]:
    return Jt701Reader().feed(data, NOW_MS)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_every_frame_becomes_its_fact(case: Case) -> None:
    facts = read(case.data)
    for expect in case.expect:
        records = expect.get("records", [{}])
        assert isinstance(records, list)
        for record in records:  # the reported place is the first record's
            first = {} if len(records) > 1 else {k: expect[k] for k in expect if "reported" in k}
            shared = {k: expect[k] for k in expect if "reported" not in k}
            check(shared | first | record, facts.pop(0))
    assert not facts


def check(expect: dict[str, object], fact: Fact) -> None:
    assert isinstance(fact, FACT_OF_KIND[str(expect["kind"])])
    said = plain(fact)
    if expect["kind"] == "reply" or "time" not in expect:
        expect = {key: expect[key] for key in ("seal_id", "reply") if key in expect}
    wanted = {key: value for key, value in expect.items() if key not in NOT_IN_FACTS}
    if "time" in wanted:
        wanted["time_ms"] = iso_ms(wanted.pop("time"))
    if "speed_kmh" in wanted:
        speed = float(str(wanted.pop("speed_kmh")))
        assert abs(int(str(said["speed_cm_s"])) * 0.036 - speed) <= 0.019  # half a cm/s
    if isinstance(event := wanted.get("event"), dict):
        wanted["event"] = {key: event[key] for key in event if key != "refused_outside_fence"}
        for key in (
            "time_ok",
            "reported_lat",
            "reported_lon",
            "course_deg",
            "mileage_km",
            "illegal_card",
        ):
            wanted.pop(key, None)  # an access is told by its event; the rest stands in its frame
    assert differences(wanted, said) == []


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_a_bad_frame_gives_its_reason_and_no_fact(case: Case) -> None:
    reader = Jt701Reader()
    facts = reader.feed(case.data, NOW_MS) + reader.wake(NOW_MS + 10_000)
    assert [(type(fact), getattr(fact, "reason", None)) for fact in facts] == [
        (Odd, case.expect[0]["error"])
    ]
    assert reader.counters[str(case.expect[0]["error"])] == 1


@pytest.mark.parametrize("case", [*STREAMS, *GOOD[:12], *BAD], ids=lambda case: case.name)
def test_two_pieces_give_the_same_facts_and_counters_at_each_offset(case: Case) -> None:
    whole = Jt701Reader()
    facts = whole.feed(case.data, NOW_MS)
    for offset in range(len(case.data) + 1):
        cut = Jt701Reader()
        pieces = cut.feed(case.data[:offset], NOW_MS) + cut.feed(case.data[offset:], NOW_MS)
        assert pieces == facts
        assert cut.counters == whole.counters


@pytest.mark.parametrize("case", [*GOOD, *BAD], ids=lambda case: case.name)
def test_byte_by_byte_gives_the_same_facts(case: Case) -> None:
    reader = Jt701Reader()
    facts = [fact for byte in case.data for fact in reader.feed(bytes([byte]), NOW_MS)]
    assert facts == read(case.data)


def test_a_frame_is_evidence_byte_for_byte() -> None:
    data = data_of("jt701-m00")
    [report] = read(b"\r\n" + data + b"\r\n")
    assert isinstance(report, SealReport)
    assert report.frame == data


def test_a_sensor_stands_in_the_report_of_its_lock() -> None:
    [report] = read(data_of("jt701-t00"))
    assert isinstance(report, SealReport)
    [sensor] = report.slaves
    assert (sensor["sensor_id"], sensor["temperature_c"]) == ("1021220618", 28.5)
    assert report.locked is None
    assert report.ack == b"(P69,0,115)"


def test_frost_has_a_sign() -> None:
    data = data_of("jt701-t00").replace(b"\x01\x01\x1d\x43", b"\x01\x11\x1d\x43")
    [report] = read(data)
    assert isinstance(report, SealReport)
    assert report.slaves[0]["temperature_c"] == -28.5


def test_cards_enrolled_at_the_lock_are_an_alarm_and_no_answer() -> None:
    reader = Jt701Reader()
    [event] = reader.feed(data_of("jt701-m12"), NOW_MS)
    assert isinstance(event, SealEvent)
    assert (event.kind, event.alarm, event.card) == ("cards_registered", True, None)
    assert reader.counters["unasked"] == 0


def test_a_place_of_zeros_is_no_fix_whatever_its_flag_says() -> None:
    data = bytearray(data_of("jt701-m00"))
    data[16:24] = bytes(8)
    data[24] = 0x0F
    [report] = read(bytes(data))
    assert isinstance(report, SealReport)
    assert (report.lat_e7, report.reported_lat_e7, report.position_source) == (None, 0, None)


@pytest.mark.parametrize(
    ("place", "what"),
    [(1, 0xA0), (10, 0x3A), (14, 0x1F), (16, 0x91), (17, 0x60), (20, 0x1A), (20, 0x18), (21, 0x36)],
)
def test_a_digit_or_range_that_cannot_be_refuses_the_frame(place: int, what: int) -> None:
    data = bytearray(data_of("jt701-m00"))
    data[place] = what
    facts = read(bytes(data))
    assert all(isinstance(fact, Odd) and fact.reason == "malformed" for fact in facts)
    assert facts


@pytest.mark.parametrize("date", ["310221", "001321", "320121"])
def test_an_impossible_day_is_no_time_and_still_a_report(date: str) -> None:
    data = bytearray(data_of("jt701-m00"))
    data[10:13] = bytes.fromhex(date)
    [report] = read(bytes(data))
    assert isinstance(report, SealReport)
    assert (report.time_ms, report.time_ok, report.locked) == (None, False, True)
