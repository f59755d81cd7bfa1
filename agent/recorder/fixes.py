"""A receiver's fix as the record that WIRE section 5 wants."""

from agent import Moment
from devices import Fix, FixKind, TimeQuality
from wire.columns import round_fix
from wire.records import FixFlag, FixRecord, WireFixKind

KINDS: dict[FixKind, WireFixKind] = {  # MANUAL and SIMULATED are no evidence (WIRE section 5)
    FixKind.GNSS: WireFixKind.GNSS,
    FixKind.DGNSS: WireFixKind.DGNSS,
    FixKind.PPS: WireFixKind.PRECISE,
    FixKind.PRECISE: WireFixKind.PRECISE,
    FixKind.RTK_FLOAT: WireFixKind.RTK_FLOAT,
    FixKind.RTK_FIXED: WireFixKind.RTK_FIXED,
    FixKind.DEAD_RECKONING: WireFixKind.DEAD_RECKONING,
}
_DATED = (TimeQuality.GNSS, TimeQuality.ROLLED)


def fix_record(fix: Fix, moment: Moment, *, flags: int) -> FixRecord | None:
    """`fix` on the steps of grain 1, or None if it is manual or simulated."""
    kind = KINDS.get(fix.kind)
    if kind is None:
        return None
    t_ms = moment.utc_ms
    clock = FixFlag.UNIT_CLOCK
    if fix.time_ms is not None and fix.time_quality in _DATED:
        t_ms, clock = fix.time_ms, FixFlag(0)
    three_d = FixFlag.THREE_D if fix.mode == 3 else FixFlag(0)
    return round_fix(
        FixRecord(
            t_ms=t_ms,
            lat_e7=fix.lat_e7,
            lon_e7=fix.lon_e7,
            alt_dm=fix.alt_dm,
            speed_cm_s=fix.speed_cm_s,
            course_cdeg=fix.course_cdeg,
            hdop_centi=fix.hdop_centi,
            err_cm=fix.err_cm,
            sats=fix.sats,
            flags=kind | clock | three_d | flags,
        )
    )
