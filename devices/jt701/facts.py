"""Frames into facts.

Kinds of `SealEvent` from this room: `access` (P45: card, password, Bluetooth, vehicle card), `lock` (P45, source 5: it locked by
itself) and `cards_registered` (P42,2: cards enrolled at the lock, an alarm).
"""

from devices import DataType, Fact, SealAlive, SealAnswer, SealEvent, SealReport, SealSecret
from devices.jt701.frame import (
    PROTOCOL,
    Access,
    Answer,
    Frame,
    Head,
    Kind,
    Lock,
    Peripheral,
    Source,
)

LEVELS = {"rope_in": 1 << 6, "locked": 1 << 7, "cover_closed": 1 << 13}
ALARMS = {
    "enter_fence": 1 << 1,
    "exit_fence": 1 << 2,
    "rope_cut": 1 << 3,
    "vibration": 1 << 4,
    "long_unlocked": 1 << 8,
    "wrong_password": 1 << 9,
    "illegal_card": 1 << 10,
    "low_battery": 1 << 11,
    "cover_opened": 1 << 12,
    "motor_stuck": 1 << 14,
}
_BITS = tuple((LEVELS | ALARMS).items())
_HAS_COVER_LEVEL = frozenset(
    {0x17, 0x19}
)  # in other versions a bit 13 that is not set says nothing


def facts_of(frame: Frame, at_ms: int) -> list[Fact]:
    """What `frame` means; empty for a word that no manual explains."""
    match frame.kind:
        case Kind.REPORT | Kind.PERIPHERAL:
            return [_report(frame, frame.heads[0], at_ms)]
        case Kind.TRACKER:
            return [_report(frame, head, at_ms) for head in frame.heads] or [_alive(frame, at_ms)]
        case Kind.EVENT:
            assert frame.access is not None
            return [_event(frame, frame.access, frame.heads[0], at_ms)]
        case Kind.HEARTBEAT | Kind.TIME_REQUEST | Kind.OTHER:
            return [_alive(frame, at_ms)]
        case Kind.PASSWORD:
            assert frame.secret is not None
            secret = SealSecret(
                at_ms=at_ms, seal_id=frame.seal_id, secret=frame.secret, ack=frame.ack
            )
            return [secret]
        case Kind.REPLY:
            return _reply(frame, at_ms)


def flags_of(lock: Lock) -> dict[str, bool | None]:
    """Levels and alarms by name (DEVICES section 4.2, the table of bits)."""
    status = lock.status
    flags: dict[str, bool | None] = {name: status & bit != 0 for name, bit in _BITS}
    if not flags["cover_closed"] and lock.version not in _HAS_COVER_LEVEL:
        flags["cover_closed"] = None
    return flags


def is_enrolment(answer: Answer) -> bool:
    """P42,2: cards were enrolled at the lock itself. It looks like an answer, and nobody asked."""
    return answer.command == "P42" and (answer.values or ())[:1] == ("2",)


def slave_of(peripheral: Peripheral) -> dict[str, object]:
    """The sub-device as plain values."""
    temperature = peripheral.temperature_decic
    payload = peripheral.payload
    slave: dict[str, object] = {
        "sensor_id": peripheral.sensor_id,
        "time_ms": peripheral.time_ms,
        "time_ok": peripheral.time_ok,
        "index": peripheral.index,
        "battery_mv": peripheral.battery_mv,
        "level_percent": peripheral.level_percent,
        "rssi_dbm": peripheral.rssi_dbm,
        "type": peripheral.type,
    }
    if temperature is not None:
        slave |= {
            "temperature_c": temperature / 10,
            "humidity_percent": peripheral.humidity_percent,
        }
    if payload is not None:
        slave["payload"] = payload.hex().upper()
    return slave


def _report(frame: Frame, head: Head, at_ms: int) -> SealReport:
    lock = frame.lock
    flags: dict[str, bool | None] = flags_of(lock) if lock else {}
    return SealReport(
        at_ms=at_ms,
        seal_id=frame.seal_id,
        protocol=PROTOCOL,
        model=frame.model,
        data_type=frame.data_type or DataType.LIVE,  # WLNET does not say; it is never kept back
        time_ms=head.time_ms,
        time_ok=head.time_ok,
        lat_e7=head.lat_e7 if head.fix else None,
        lon_e7=head.lon_e7 if head.fix else None,
        reported_lat_e7=head.lat_e7,
        reported_lon_e7=head.lon_e7,
        position_source=head.source,
        speed_cm_s=_cm_s(head),
        course_cdeg=_cdeg(head),
        sats=lock.sats if lock else None,
        battery_percent=lock.battery_percent if lock else None,
        charging=lock.charging if lock else None,
        mileage_km=lock.mileage_km if lock else None,
        gsm=lock.gsm if lock else None,
        wake=lock.wake if lock else None,
        slaves=(slave_of(frame.peripheral),) if frame.peripheral else (),
        serial=frame.serial,
        status_raw=lock.status.to_bytes(2, "big") if lock else None,
        frame=frame.raw,
        ack=frame.ack,
        **flags,
    )


def _event(frame: Frame, access: Access, head: Head, at_ms: int) -> SealEvent:
    return SealEvent(
        at_ms=at_ms,
        seal_id=frame.seal_id,
        protocol=PROTOCOL,
        time_ms=head.time_ms,
        kind="lock" if access.source is Source.AUTO_LOCK else "access",
        source=access.source.name.lower() if access.source else None,
        verification=access.verification,
        authorised=access.authorised,
        opened=access.opened,
        locked=access.locked,
        fence_id=access.fence_id,
        card=access.card,
        password_ok=access.password_ok,
        wrong_passwords=access.wrong_passwords,
        lat_e7=head.lat_e7 if head.fix else None,
        lon_e7=head.lon_e7 if head.fix else None,
        position_source=head.source,
        speed_cm_s=_cm_s(head),
        serial=frame.serial,
        frame=frame.raw,
        ack=frame.ack,
    )


def _reply(frame: Frame, at_ms: int) -> list[Fact]:
    answer = frame.answer
    assert answer is not None
    values = answer.values or ()
    if is_enrolment(answer):
        return [
            SealEvent(
                at_ms=at_ms,
                seal_id=frame.seal_id,
                protocol=PROTOCOL,
                time_ms=None,
                kind="cards_registered",
                source="card",
                card=values[1] if len(values) == 2 else None,  # several: they stand in the frame
                alarm=True,
                frame=frame.raw,
            )
        ]
    return [
        SealAnswer(
            at_ms=at_ms,
            seal_id=frame.seal_id,
            command=answer.command,
            ok=answer.ok,
            wrong_passwords=answer.wrong_passwords,
            values=values,
        )
    ]


def _alive(frame: Frame, at_ms: int) -> SealAlive:
    return SealAlive(at_ms=at_ms, seal_id=frame.seal_id)


def _cm_s(head: Head) -> int:
    return (head.speed_m_h + 18) // 36


def _cdeg(head: Head) -> int | None:
    return None if head.course_deg is None else head.course_deg * 100
