"""The witness against the readers: written apart from the same papers, they must mean the same."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings, strategies as st

from devices import DataType, SealAnswer, SealEvent, SealReport, SealSecret
from devices.jt701 import Jt701Reader, UnlockDynamic, UnlockStatic
from firmware_sim.seal_jt701d import (
    Access,
    Kind,
    Snapshot,
    Source,
    Status,
    Wake,
    access_text,
    binary_frame,
)
from tests.firmware_sim.acting import SEAL, SEAL_ID, Act, scenario

MOMENTS = st.datetimes(datetime(2021, 1, 1), datetime(2079, 12, 31)).map(  # noqa: DTZ001 - made UTC below
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
SNAPSHOTS = st.builds(
    Snapshot,
    seal_id=st.from_regex(r"[1-9][0-9]{9}", fullmatch=True),
    unix_ms=MOMENTS.map(lambda moment: round(moment.timestamp() * 1000)),
    lat=st.floats(-89.9, 89.9),
    lon=st.floats(-179.9, 179.9),
    fixed=st.booleans(),
    speed_km_h=st.floats(0, 400),
    course_deg=st.floats(0, 359),
    mileage_km=st.integers(0, 10**6),
    sats=st.integers(0, 40),
    status=st.lists(st.sampled_from(list(Status))).map(lambda bits: sum(set(bits))),
    battery_percent=st.integers(0, 100),
    charging=st.booleans(),
    wake=st.sampled_from(list(Wake)),
).filter(
    lambda snapshot: abs(snapshot.lat) + abs(snapshot.lon) > 0.1
)  # 0/0 is no place to a reader


@settings(max_examples=100)
@given(SNAPSHOTS, st.sampled_from(list(Kind)), st.integers(0, 255))
def test_a_binary_frame_is_read_as_it_was_meant(
    snapshot: Snapshot, kind: Kind, serial: int
) -> None:
    [fact] = Jt701Reader().feed(binary_frame(snapshot, kind, serial), 0)
    assert isinstance(fact, SealReport)
    assert (fact.seal_id, fact.model, fact.serial) == (snapshot.seal_id, "JT701D", serial)
    types = {Kind.LIVE: DataType.LIVE, Kind.ALARM: DataType.ALARM, Kind.BACKLOG: DataType.BACKLOG}
    assert fact.data_type is types[kind]
    assert fact.time_ms == snapshot.unix_ms
    status = snapshot.status
    assert fact.locked is bool(status & Status.LOCKED)
    assert fact.rope_in is bool(status & Status.ROPE_IN)
    assert fact.cover_closed is bool(status & Status.COVER_CLOSED)
    assert fact.rope_cut is bool(status & Status.CUT)
    assert fact.cover_opened is bool(status & Status.COVER_OPENED)
    assert fact.illegal_card is bool(status & Status.ILLEGAL_CARD)
    assert fact.wrong_password is bool(status & Status.WRONG_PASSWORD)
    assert fact.long_unlocked is bool(status & Status.LONG_UNLOCKED)
    assert fact.low_battery is bool(status & Status.LOW_BATTERY)
    assert fact.motor_stuck is bool(status & Status.MOTOR_STUCK)
    assert fact.mileage_km == snapshot.mileage_km
    assert fact.charging is snapshot.charging
    assert fact.battery_percent == (None if snapshot.charging else snapshot.battery_percent)
    assert fact.ack == b"(P69,0,%d)" % serial
    if snapshot.fixed:
        assert fact.lat_e7 == pytest.approx(snapshot.lat * 1e7, abs=10)
        assert fact.lon_e7 == pytest.approx(snapshot.lon * 1e7, abs=10)
    else:
        assert fact.lat_e7 is None


@settings(max_examples=100)
@given(
    SNAPSHOTS,
    st.sampled_from(list(Source)),
    st.sampled_from([0, 1, 10, 98, 99]),
    st.integers(0, 255),
)
def test_a_lock_event_is_read_as_it_was_meant(
    snapshot: Snapshot, source: Source, verification: int, serial: int
) -> None:
    access = Access(
        at=snapshot, source=source, verification=verification, card="0008627839", wrong_count=3
    )
    [fact] = Jt701Reader().feed(access_text(access, serial), 0)
    assert isinstance(fact, SealEvent)
    names = {
        Source.CARD: "card",
        Source.ILLEGAL_CARD: "illegal_card",
        Source.STATIC_PASSWORD: "static_password",
        Source.AUTO_LOCK: "auto_lock",
        Source.DYNAMIC_PASSWORD: "dynamic_password",
    }
    assert (fact.source, fact.card, fact.serial) == (names[source], "0008627839", serial)
    assert fact.time_ms == snapshot.unix_ms
    assert fact.ack == b"(P69,0,%d)" % serial


class Unit:
    """The unit's side: the reader, and acknowledgements after a commit that always succeeds."""

    def __init__(self) -> None:
        self.reader = Jt701Reader(seal_id=SEAL_ID)
        self.facts: list[object] = []

    def __call__(self, data: bytes) -> bytes:
        acks = b""
        for fact in self.reader.feed(data, 0):
            self.facts.append(fact)
            if isinstance(fact, SealReport | SealEvent | SealSecret) and fact.ack is not None:
                acks += fact.ack
                self.reader.acknowledged(fact)
        return acks + self.reader.take_bytes()


def test_every_change_of_state_is_heard_and_none_twice() -> None:
    unit = Unit()
    play = Act(scenario(SEAL, 'event = [{ at_s = 10, do = "rope_in" }]', end_s=900), unit).to(30)
    for word in ("p43", "rope_out", "rope_in", "cut"):
        play.do(word)
        play.to(play.stage.now_ms / 1000 + 5)
    play.to(200)
    assert [line["seal_to"] for line in play.truths if "seal_to" in line] == [
        "armed", "sealed", "opened", "unarmed", "armed", "sealed", "cut",
    ]  # fmt: skip
    events = [fact.source for fact in unit.facts if isinstance(fact, SealEvent)]
    assert events == ["auto_lock", "static_password", "auto_lock"]
    cuts = [fact for fact in unit.facts if isinstance(fact, SealReport) and fact.rope_cut]
    assert len(cuts) == 1
    last = [fact for fact in unit.facts if isinstance(fact, SealReport)][-1]
    assert (last.locked, last.rope_in) == (True, False)
    assert play.truths[-1]["kept"] == 0


def test_the_unit_opens_with_the_password_that_the_seal_told_it() -> None:
    unit = Unit()
    play = Act(scenario(SEAL, 'event = [{ at_s = 10, do = "rope_in" }]', end_s=900), unit).to(30)
    [secret] = [fact for fact in unit.facts if isinstance(fact, SealSecret)]
    unit.reader.order(UnlockDynamic(password=secret.secret.decode()), 0)
    play.write("seal", unit.reader.take_bytes())
    play.to(33)
    [answer] = [fact for fact in unit.facts if isinstance(fact, SealAnswer)]
    assert answer.ok is True
    assert unit.reader.counters["bad"] == 0


def test_a_wrong_password_is_answered_with_its_count() -> None:
    unit = Unit()
    play = Act(scenario(SEAL, 'event = [{ at_s = 10, do = "rope_in" }]', end_s=900), unit).to(30)
    unit.reader.order(UnlockStatic(password="wrong"), 0)
    play.write("seal", unit.reader.take_bytes())
    play.to(33)
    [answer] = [fact for fact in unit.facts if isinstance(fact, SealAnswer)]
    assert (answer.ok, answer.wrong_passwords) == (False, 1)
