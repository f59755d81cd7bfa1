"""Facts and moments for the tests of the unit's cores: what a test does not speak of has a harmless value."""

from agent import Kept, Moment, Quality
from devices import DataType, Fix, FixKind, GnssStatus, SealReport, TagRead, TimeQuality
from wire.records import EventKind, EventRecord, FixRecord

UTC = 1_795_330_000_000
M_E7 = 89.83  # ten-millionths of a degree of latitude in a metre


def at(mono_ms: int) -> Moment:
    return Moment(mono_ms=mono_ms, now_ms=UTC + mono_ms, utc_ms=UTC + mono_ms, quality=Quality.GNSS)


def fix_at(
    mono_ms: int,
    *,
    north_m: float = 0.0,
    east_m: float = 0.0,
    speed_cm_s: int | None = 0,
    course_cdeg: int | None = 0,
    kind: FixKind = FixKind.GNSS,
    time_ms: int | None = None,
    dated: bool = True,
) -> Fix:
    """A fix on the equator, so that a metre is a metre in both directions."""
    return Fix(
        at_ms=UTC + mono_ms,
        time_ms=(UTC + mono_ms if time_ms is None else time_ms) if dated else None,
        time_quality=TimeQuality.GNSS if dated else TimeQuality.NONE,
        tod_ms=None,
        lat_e7=round(north_m * M_E7),
        lon_e7=690_000_000 + round(east_m * M_E7),
        alt_dm=4_550,
        speed_cm_s=speed_cm_s,
        course_cdeg=course_cdeg,
        hdop_centi=90,
        sats=9,
        err_cm=None,
        kind=kind,
        mode=3,
        said_by=("RMC",),
    )


def report(
    *,
    seal_id: str = "0074019031",
    data_type: DataType = DataType.LIVE,
    locked: bool | None = True,
    rope_in: bool | None = True,
    rope_cut: bool | None = False,
    vibration: bool | None = None,
    low_battery: bool | None = None,
    serial: int | None = 41,
    time_ok: bool = True,
) -> SealReport:
    return SealReport(
        at_ms=UTC,
        seal_id=seal_id,
        protocol="jt701",
        model="JT701D",
        data_type=data_type,
        time_ms=UTC,
        time_ok=time_ok,
        locked=locked,
        rope_in=rope_in,
        rope_cut=rope_cut,
        vibration=vibration,
        low_battery=low_battery,
        battery_percent=78,
        serial=serial,
        frame=b"$frame",
        ack=b"(P69,0,41)",
    )


def sky(
    *,
    antenna: str | None = "OK",
    jam_state: int | None = 1,
    spoof_state: int | None = 1,
    cn0_top4_cdb: int | None = 4_200,
    used: int | None = 9,
) -> GnssStatus:
    return GnssStatus(
        at_ms=UTC,
        in_view=12,
        tracked=10,
        used=used,
        systems=(),
        cn0_top4_cdb=cn0_top4_cdb,
        cn0_std_cdb=400,
        strong_25=9,
        antenna=antenna,
        jam_state=jam_state,
        jam_level=20,
        spoof_state=spoof_state,
        agc_permille=500,
    )


def tag(epc: bytes, reader: str = "m100") -> TagRead:
    return TagRead(
        at_ms=UTC, epc=epc, pc=0x3400, rssi_cdbm=-5_500, antenna=1, count=1, reader=reader
    )


def fixes(kept: list[Kept]) -> list[FixRecord]:
    return [one.record for one in kept if isinstance(one.record, FixRecord)]


def events(kept: list[Kept], kind: EventKind | None = None) -> list[EventRecord]:
    found = [one.record for one in kept if isinstance(one.record, EventRecord)]
    return [one for one in found if kind is None or one.kind == kind]
