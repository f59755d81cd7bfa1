"""Messages into facts.

Kinds of `SealEvent` from this room: `door`, `shock`, `drop`, `lock`, `remote_unlock`; an event that no page names is `event`. An
event comes with a `SealReport` behind it, which holds the levels and the acknowledgement.
"""

from devices import DataType, Fact, PositionSource, SealAlive, SealAnswer, SealEvent, SealReport
from devices.eseal.message import MODEL, PROTOCOL, Frame, Kind, Report


def facts_of(frame: Frame, at_ms: int) -> list[Fact]:
    if frame.kind is Kind.REPLY:
        return [_answer(frame, at_ms)]
    if frame.report is None:
        return [SealAlive(at_ms=at_ms, seal_id=frame.seal_id)]
    report = _seal_report(frame, frame.report, at_ms)
    if frame.kind is not Kind.EVENT:
        return [report]
    return [_seal_event(frame, frame.report, at_ms), report]


def _answer(frame: Frame, at_ms: int) -> SealAnswer:
    return SealAnswer(
        at_ms=at_ms, seal_id=frame.seal_id, command=frame.message, ok=True, values=frame.values
    )


def _seal_report(frame: Frame, report: Report, at_ms: int) -> SealReport:
    return SealReport(
        at_ms=at_ms,
        seal_id=frame.seal_id,
        protocol=PROTOCOL,
        model=MODEL,
        data_type=DataType.LIVE,  # this seal keeps no backlog and names no alarm
        time_ms=report.time_ms,
        time_ok=report.time_ok,
        lat_e7=report.lat_e7 if report.fix else None,
        lon_e7=report.lon_e7 if report.fix else None,
        reported_lat_e7=report.lat_e7,
        reported_lon_e7=report.lon_e7,
        position_source=PositionSource.GNSS if report.fix else None,
        speed_cm_s=_cm_s(report),
        course_cdeg=None if report.course_deg is None else report.course_deg * 100,
        locked=frame.locked,
        door_closed=report.door_closed,
        vibration=frame.vibration,
        battery_mv=report.battery_mv,
        serial=report.index,
        frame=frame.raw,
        ack=frame.ack,
    )


def _seal_event(frame: Frame, report: Report, at_ms: int) -> SealEvent:
    return SealEvent(
        at_ms=at_ms,
        seal_id=frame.seal_id,
        protocol=PROTOCOL,
        time_ms=report.time_ms,
        kind=frame.source or "event",
        source=frame.source,
        opened=True if frame.locked is False else None,
        locked=frame.locked,
        lat_e7=report.lat_e7 if report.fix else None,
        lon_e7=report.lon_e7 if report.fix else None,
        position_source=PositionSource.GNSS if report.fix else None,
        speed_cm_s=_cm_s(report),
        serial=report.index,
        frame=frame.raw,
    )


def _cm_s(report: Report) -> int:
    return (report.speed_m_h + 18) // 36
