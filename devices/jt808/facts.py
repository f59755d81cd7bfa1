"""Frames into facts.

Kinds of `SealEvent` from this room: `access` (a card, a user, the platform, a password), `lock` (what tells of lock, shackle, shell,
battery and motor), `slave_lock` (at a sub-lock) and `event` (a number that no table names, or TLV 0B, whose numbers are not
published). An event comes with a `SealReport` behind it, which holds the flags and the acknowledgement. Waking up is no event.
"""

from devices import Fact, PositionSource, SealAlive, SealAnswer, SealEvent, SealReport
from devices.jt808.events import SLAVE_LOCKS, flag_of
from devices.jt808.frame import PROTOCOL, Event, Frame, Kind, Report, Slave

_ACCESS = frozenset({*range(0x03, 0x0F), 0x13})
_WAKES = frozenset({0x15, 0x16})


def facts_of(frame: Frame, at_ms: int) -> list[Fact]:
    """What `frame` means."""
    if frame.kind is Kind.REPLY:
        return [SealAnswer(at_ms=at_ms, seal_id=frame.seal_id, command=frame.message, ok=None)]
    if frame.report is None:
        return [SealAlive(at_ms=at_ms, seal_id=frame.seal_id)]
    facts: list[Fact] = []
    last = frame.reports[-1]
    for report in frame.reports:
        told = [event for event in report.extras.events if event.number not in _WAKES]
        facts += [_seal_event(frame, report, event, at_ms) for event in told]
        # One acknowledgement erases all of a 0704 in the lock: it hangs on the last record.
        ack = frame.ack if report is last else None
        facts.append(_seal_report(frame, report, ack, at_ms))
    return facts


def flags_of(report: Report) -> dict[str, bool | None]:
    """Levels and alarms that the report proves; what it does not say is not in here."""
    flags: dict[str, bool | None] = {}
    for event in report.extras.events:
        if event.locked is not None:
            flags["locked"] = event.locked
        if (flag := flag_of(event)) is not None:
            flags[flag] = True
    flags["removed"] = report.extras.removed
    flags["vibration"] = report.extras.vibration
    return flags


def slave_of(slave: Slave) -> dict[str, object]:
    """The sub-lock as plain values: what its TLV has."""
    values: dict[str, object] = {
        "id": slave.id,
        "card": slave.card,
        "battery_mv": slave.battery_mv,
        "battery_percent": slave.battery_percent,
        "locked": slave.locked,
        "state_raw": slave.state_raw,
        "rssi_raw": slave.rssi_raw,
    }
    return {key: value for key, value in values.items() if value is not None or key == "locked"}


def _seal_report(frame: Frame, report: Report, ack: bytes | None, at_ms: int) -> SealReport:
    extras = report.extras
    return SealReport(
        at_ms=at_ms,
        seal_id=frame.seal_id,
        protocol=PROTOCOL,
        model=None,
        data_type=report.data_type,
        time_ms=report.time_ms,
        time_ok=report.time_ok,
        lat_e7=report.lat_e7 if report.fix else None,
        lon_e7=report.lon_e7 if report.fix else None,
        reported_lat_e7=report.lat_e7,
        reported_lon_e7=report.lon_e7,
        position_source=PositionSource.GNSS if report.fix else None,
        speed_cm_s=_cm_s(report),
        course_cdeg=None if report.course_deg is None else report.course_deg * 100,
        sats=sats_of(report),
        battery_percent=battery_percent_of(report),
        charging=report.charging,
        battery_mv=extras.battery_mv,
        mileage_km=mileage_km_of(report),
        gsm=gsm_of(report),
        wake=None,  # its numbers are not published
        slaves=tuple(map(slave_of, extras.slaves)) if extras.slaves else (),
        serial=frame.serial,
        status_raw=report.status_raw,
        frame=frame.raw,
        ack=ack,
        **flags_of(report),
    )


def _seal_event(frame: Frame, report: Report, event: Event, at_ms: int) -> SealEvent:
    return SealEvent(
        at_ms=at_ms,
        seal_id=frame.seal_id,
        protocol=PROTOCOL,
        time_ms=report.time_ms,
        kind=_kind(event),
        source=event.source,
        authorised=event.authorised,
        opened=event.opened,
        locked=event.locked,
        card=event.card,
        alarm=event.is_alarm is True,
        lat_e7=report.lat_e7 if report.fix else None,
        lon_e7=report.lon_e7 if report.fix else None,
        position_source=PositionSource.GNSS if report.fix else None,
        speed_cm_s=_cm_s(report),
        serial=frame.serial,
        frame=frame.raw,
    )


def _kind(event: Event) -> str:
    if event.number is None or event.source is None:
        return "event"
    if event.number in SLAVE_LOCKS:
        return "slave_lock"
    return "access" if event.number in _ACCESS else "lock"


def sats_of(report: Report) -> int | None:
    return report.sats if report.extras.sats is None else report.extras.sats


def gsm_of(report: Report) -> int | None:
    return report.gsm if report.extras.gsm is None else report.extras.gsm


def mileage_km_of(report: Report) -> float | None:
    return report.mileage_km if report.extras.mileage_km is None else report.extras.mileage_km


def battery_percent_of(report: Report) -> int | None:
    if report.extras.battery_percent is None:
        return report.battery_percent
    return report.extras.battery_percent


def _cm_s(report: Report) -> int:
    return (report.speed_m_h + 18) // 36
