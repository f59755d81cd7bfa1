"""What the simulated seal says by its own hand, the reader understands: decode(sim.encode(x)) == x."""

from hypothesis import given, settings, strategies as st

from devices import DataType, PositionSource, SealEvent, SealReport
from devices.jt701 import CardsAdd, Jt701Reader, Order, SetTime, UnlockStatic
from firmware_sim.seal_jt701d import (
    Access,
    Kind,
    OrderReader,
    Snapshot,
    Source,
    Status,
    Wake,
    access_text,
    binary_frame,
)

NOW_MS = 1_800_000_000_000
DATA_TYPES = {
    Kind.LIVE: DataType.LIVE,
    Kind.ALARM: DataType.ALARM,
    Kind.BACKLOG: DataType.BACKLOG,
}
FLAGS = {
    Status.CUT: "rope_cut",
    Status.ROPE_IN: "rope_in",
    Status.LOCKED: "locked",
    Status.LONG_UNLOCKED: "long_unlocked",
    Status.WRONG_PASSWORD: "wrong_password",
    Status.ILLEGAL_CARD: "illegal_card",
    Status.LOW_BATTERY: "low_battery",
    Status.COVER_OPENED: "cover_opened",
    Status.COVER_CLOSED: "cover_closed",
    Status.MOTOR_STUCK: "motor_stuck",
}

snapshots = st.builds(
    Snapshot,
    seal_id=st.integers(0, 10**10 - 1).map("{:010d}".format),
    unix_ms=st.integers(1_000_000_000, 4_000_000_000).map(lambda seconds: seconds * 1_000),
    lat=st.floats(-90, 90).filter(lambda lat: abs(lat) > 0.001),
    lon=st.floats(-180, 180).filter(lambda lon: abs(lon) > 0.001),
    fixed=st.booleans(),
    speed_km_h=st.floats(0, 200),
    course_deg=st.floats(0, 360),
    mileage_km=st.integers(0, 100_000_000),
    sats=st.integers(0, 30),
    status=st.sets(st.sampled_from(list(FLAGS))).map(sum),
    battery_percent=st.integers(0, 100),
    charging=st.booleans(),
    wake=st.sampled_from(Wake),
)


def near(got_e7: int | None, wanted: float, slack: float) -> bool:
    return got_e7 is not None and abs(got_e7 / 1e7 - wanted) <= slack


@settings(max_examples=100)
@given(snapshots, st.sampled_from(Kind), st.integers(0, 255))
def test_a_simulated_frame_says_what_was_simulated(shot: Snapshot, kind: Kind, serial: int) -> None:
    [report] = Jt701Reader().feed(binary_frame(shot, kind, serial), NOW_MS)
    assert isinstance(report, SealReport)
    assert (report.seal_id, report.serial, report.data_type) == (
        shot.seal_id,
        serial,
        DATA_TYPES[kind],
    )
    assert (report.time_ms, report.sats, report.mileage_km) == (
        shot.unix_ms,
        shot.sats,
        shot.mileage_km,
    )
    assert near(report.reported_lat_e7, shot.lat, 1e-6)
    assert near(report.reported_lon_e7, shot.lon, 1e-6)
    assert (report.lat_e7 is not None) is shot.fixed
    assert report.position_source is (PositionSource.GNSS if shot.fixed else None)
    assert abs((report.speed_cm_s or 0) - shot.speed_km_h / 0.036) <= 27  # half a knot
    assert report.charging is shot.charging
    assert report.battery_percent == (None if shot.charging else shot.battery_percent)
    assert report.wake == shot.wake.name.lower()
    assert {name: getattr(report, name) for name in FLAGS.values()} == {
        name: bool(shot.status & bit) for bit, name in FLAGS.items()
    }
    assert report.ack == b"(P69,0,%d)" % serial


@settings(max_examples=100)
@given(
    snapshots,
    st.sampled_from(Source),
    st.integers(0, 99),
    st.booleans(),
    st.integers(0, 5),
    st.integers(0, 65_535),
)
def test_a_simulated_access_says_what_was_simulated(
    shot: Snapshot, source: Source, verification: int, password_ok: object, wrong: int, serial: int
) -> None:
    access = Access(
        at=shot,
        source=source,
        verification=verification,
        card="0008627839",
        password_ok=bool(password_ok),
        wrong_count=wrong,
    )
    [event] = Jt701Reader().feed(access_text(access, serial), NOW_MS)
    assert isinstance(event, SealEvent)
    assert (event.seal_id, event.serial, event.time_ms) == (shot.seal_id, serial, shot.unix_ms)
    assert (event.source, event.verification) == (source.name.lower(), verification)
    assert event.card == "0008627839"
    assert (event.lat_e7 is not None) is shot.fixed
    if shot.fixed:
        assert near(event.lat_e7, shot.lat, 6e-6)
    if source in {Source.STATIC_PASSWORD, Source.DYNAMIC_PASSWORD}:
        assert (event.password_ok, event.wrong_passwords) == (password_ok, wrong)
    assert event.ack == b"(P69,0,%d)" % serial


def test_the_simulated_seal_reads_our_orders() -> None:
    reader, seal = Jt701Reader(), OrderReader()
    orders: list[Order] = [
        UnlockStatic(password="12#aAM"),
        SetTime(time_ms=1_772_341_199_000),
        CardsAdd(cards=("0008627839",)),
    ]
    heard = []
    for number, order in enumerate(orders):
        reader.order(order, NOW_MS + number * 10_000)
        heard += seal.feed(reader.take_bytes())
        reader.wake(NOW_MS + (number + 1) * 10_000)
    assert heard == [
        ("P43", "12#aAM"),
        ("P22", "010326045959"),
        ("P41", "1", "1", "1", "0008627839"),
    ]
