"""`plomba devices seal`: what the bytes of an electronic seal say, one JSON line a frame (DEVICES section 4.1).

Law: every key stands in every line; null means that the frame does not say.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from plomba import exits

if TYPE_CHECKING:
    from devices.eseal.message import Frame as EsealFrame
    from devices.jt701.frame import Access, Cell, Frame as Jt701Frame, Head, Peripheral
    from devices.jt808.frame import Event as Jt808Event, Frame as Jt808Frame, Report as Jt808Report

KEYS = tuple(
    """
    protocol kind seal_id model message time time_ok lat lon fix_valid position_source reported_lat reported_lon
    speed_kmh course_deg sats mileage_km locked rope_in cover_closed door_closed rope_cut cover_opened removed
    opened_while_sealed illegal_card wrong_password motor_stuck vibration long_unlocked low_battery enter_fence
    exit_fence battery_percent charging battery_mv gsm cell fence_id wake wake_raw data_type serial record_count
    records event slaves peripheral answer nfc acceleration_mg rssi_dbm alt_m tilt product status_raw alarm_raw
    reply error
    """.split()  # noqa: SIM905  # sixty lines of one name each would hide the table
)
EVENT_KEYS = tuple(
    """
    source verification opened authorised fence_id refused_outside_fence card password_ok wrong_passwords serial
    event_id alarm slave_id type_raw result_raw password_given
    """.split()  # noqa: SIM905  # as above
)
READ_BYTES = 65_536
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Line = dict[str, object]


class Protocol(StrEnum):
    """The seals that we can read."""

    JT701 = "jt701"
    ESEAL = "eseal"
    JT808 = "jt808"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutter:
    """A fresh reader of one protocol that answers with lines."""

    feed: Callable[[bytes], list[Line]]
    flush: Callable[[], list[Line]]


def seal(
    file: Annotated[Path, typer.Argument(help="What the seal said; - for standard input.")],
    protocol: Annotated[Protocol, typer.Option(help="How the seal speaks.")],
    *,
    is_hex: Annotated[
        bool, typer.Option("--hex", help="FILE holds one frame a line, in hexadecimal digits.")
    ] = False,
    utc_offset: Annotated[
        int | None,
        typer.Option(
            help="Minutes that the seal's clock is ahead of UTC; 480 for jt808.", min=-840, max=840
        ),
    ] = None,
) -> None:
    """Say what each frame of an electronic seal means, one JSON object a line.

    Exit 0 whatever the bytes say, 2 for wrong usage, 3 if there is no such file.
    """
    if utc_offset is not None and protocol is not Protocol.JT808:
        typer.echo(f"--utc-offset is not used: {protocol.value} says UTC", err=True)
    try:
        with _open(file) as source:
            read = hex_lines if is_hex else stream_lines
            for line in read(protocol, source, utc_offset):
                sys.stdout.write(json.dumps(line) + "\n")
    except FileNotFoundError:
        typer.echo(f"{file}: no such file", err=True)
        raise typer.Exit(exits.NOT_FOUND) from None


def stream_lines(
    protocol: Protocol, source: BinaryIO, utc_offset_min: int | None = None
) -> Iterator[Line]:
    """One line a frame of a byte stream, and one for what is left over at its end."""
    cutter = cutter_of(protocol, utc_offset_min)
    while data := source.read(READ_BYTES):
        yield from cutter.feed(data)
    yield from cutter.flush()


def hex_lines(
    protocol: Protocol, source: Iterable[bytes], utc_offset_min: int | None = None
) -> Iterator[Line]:
    """One line a frame; every input line stands alone, before a fresh reader, and is never without an answer."""
    for text in source:
        if not text.strip() or text.startswith(b"#"):
            continue
        try:
            data = bytes.fromhex(text.decode("ascii"))
        except ValueError:  # also what is not ASCII
            yield _error(protocol, "malformed")
            continue
        cutter = cutter_of(protocol, utc_offset_min)
        yield from [*cutter.feed(data), *cutter.flush()] or [_error(protocol, "malformed")]


def cutter_of(protocol: Protocol, utc_offset_min: int | None = None) -> Cutter:
    match protocol:
        case Protocol.JT701:
            return _jt701_cutter()
        case Protocol.ESEAL:
            return _eseal_cutter()
        case Protocol.JT808:
            return _jt808_cutter(utc_offset_min)


def _jt701_cutter() -> Cutter:
    from devices.jt701.frame import Frame, Refused
    from devices.jt701.framing import Framer

    def lines(found: list[Frame | Refused]) -> list[Line]:
        return [
            jt701_line(frame)
            if isinstance(frame, Frame)
            else _error(Protocol.JT701, frame.reason.value)
            for frame in found
        ]

    framer = Framer()
    return Cutter(feed=lambda data: lines(framer.feed(data)), flush=lambda: lines(framer.flush()))


def _eseal_cutter() -> Cutter:
    from devices.eseal.framing import Framer
    from devices.eseal.message import Frame, Refused

    def lines(found: list[Frame | Refused]) -> list[Line]:
        return [
            eseal_line(frame)
            if isinstance(frame, Frame)
            else _error(Protocol.ESEAL, frame.reason.value)
            for frame in found
        ]

    framer = Framer()
    return Cutter(feed=lambda data: lines(framer.feed(data)), flush=lambda: lines(framer.flush()))


def _jt808_cutter(utc_offset_min: int | None) -> Cutter:
    from devices.jt808 import UTC_OFFSET_MIN
    from devices.jt808.frame import Frame, Refused
    from devices.jt808.framing import Framer

    def lines(found: list[Frame | Refused]) -> list[Line]:
        return [
            jt808_line(frame)
            if isinstance(frame, Frame)
            else _error(Protocol.JT808, frame.reason.value)
            for frame in found
        ]

    framer = Framer(UTC_OFFSET_MIN if utc_offset_min is None else utc_offset_min)
    return Cutter(feed=lambda data: lines(framer.feed(data)), flush=lambda: lines(framer.flush()))


def jt701_line(frame: "Jt701Frame") -> Line:
    """The line of one JT701 frame."""
    from devices.jt701.facts import flags_of

    line = dict.fromkeys(KEYS) | {
        "protocol": "jt701",
        "kind": frame.kind.value,
        "seal_id": frame.seal_id,
        "model": frame.model,
        "message": frame.word,
        "data_type": frame.data_type.name.lower() if frame.data_type else None,
        "serial": frame.serial,
        "reply": frame.ack.decode("ascii") if frame.ack is not None else None,
    }
    if frame.heads:
        line |= _jt701_place(frame.heads[0])
    if frame.word is None:
        line["record_count"] = len(frame.heads)
    if len(frame.heads) > 1:
        line["records"] = [_record(head) for head in frame.heads]
    if (lock := frame.lock) is not None:
        line |= flags_of(lock) | {
            "mileage_km": lock.mileage_km,
            "sats": lock.sats,
            "battery_percent": lock.battery_percent,
            "charging": lock.charging,
            "gsm": lock.gsm,
            "cell": _cell(lock.cell),
            "fence_id": lock.fence_id,
            "wake": lock.wake,
            "wake_raw": lock.wake_raw,
            "status_raw": f"{lock.status:04X}",
        }
    if frame.access is not None:
        line |= _jt701_event(frame.access, frame.serial)
    if frame.peripheral is not None:
        line["peripheral"] = _peripheral(frame.peripheral)
    if (answer := frame.answer) is not None:
        values = None if answer.values is None else list(answer.values)
        line["answer"] = {"command": answer.command, "values": values}
    return line


def eseal_line(frame: "EsealFrame") -> Line:
    """The line of one eSeal message."""
    from devices.eseal.message import MODEL, Kind

    line = dict.fromkeys(KEYS) | {
        "protocol": "eseal",
        "kind": frame.kind.value,
        "seal_id": frame.seal_id,
        "model": MODEL,
        "message": frame.message,
        "locked": frame.locked,
        "vibration": frame.vibration,
        "reply": frame.ack.decode("ascii") if frame.ack is not None else None,
    }
    if (report := frame.report) is not None:
        line |= _place(report.lat_e7, report.lon_e7, fix=report.fix) | {
            "time": _iso(report.time_ms),
            "time_ok": report.time_ok,
            "position_source": "gnss" if report.fix else None,
            "course_deg": report.course_deg,
            "speed_kmh": report.speed_m_h / 1_000,
            "door_closed": report.door_closed,
            "acceleration_mg": report.acceleration_mg,
            "nfc": list(report.nfc),
            "battery_mv": report.battery_mv,
            "rssi_dbm": report.rssi_dbm,
            "serial": report.index,
        }
    if frame.kind is Kind.EVENT:
        unnamed = frame.message if frame.source is None else None
        line["event"] = dict.fromkeys(EVENT_KEYS) | {"source": frame.source, "type_raw": unnamed}
    if frame.kind is Kind.REPLY:
        line["answer"] = {"command": frame.message, "values": list(frame.values)}
    return line


def jt808_line(frame: "Jt808Frame") -> Line:
    """The line of one JT/T 808 frame."""
    from devices.jt808.frame import Kind

    line = dict.fromkeys(KEYS) | {
        "protocol": "jt808",
        "kind": frame.kind.value,
        "seal_id": frame.seal_id,
        "message": frame.message,
        "serial": frame.serial,
        "reply": frame.ack.hex().upper() if frame.ack is not None else None,
    }
    if frame.kind is Kind.REPLY:
        line["answer"] = {"command": frame.message, "values": None}  # one of them may be a password
    if (report := frame.report) is not None:
        line |= _jt808_report(report) | {"record_count": len(frame.reports)}
    if frame.more:
        line["records"] = [_jt808_record(report) for report in frame.reports]
    return line


def _jt808_report(report: "Jt808Report") -> Line:
    from devices.jt808 import facts

    extras = report.extras
    return _place(report.lat_e7, report.lon_e7, fix=report.fix) | {
        "time": _iso(report.time_ms),
        "time_ok": report.time_ok,
        "position_source": "gnss" if report.fix else None,
        "speed_kmh": report.speed_m_h / 1_000,
        "course_deg": report.course_deg,
        "alt_m": report.alt_m if extras.alt_m is None else extras.alt_m,
        "sats": facts.sats_of(report),
        "mileage_km": facts.mileage_km_of(report),
        "battery_percent": facts.battery_percent_of(report),
        "charging": report.charging,
        "battery_mv": extras.battery_mv,
        "gsm": facts.gsm_of(report),
        "cell": None if report.cid is None else {"cid": report.cid, "lac": report.lac},
        "wake_raw": extras.wake_raw,
        "data_type": report.data_type.name.lower(),
        "event": _jt808_event(extras.events[0]) if extras.events else None,
        "slaves": [facts.slave_of(slave) for slave in extras.slaves] or None,
        "tilt": None if extras.tilt is None else list(extras.tilt),
        "product": report.product,
        "status_raw": report.status_raw.hex().upper(),
        "alarm_raw": report.alarm_raw.hex().upper(),
        **facts.flags_of(report),
    }


def _jt808_record(report: "Jt808Report") -> Line:
    keys = "time lat lon fix_valid speed_kmh course_deg".split()  # noqa: SIM905  # as above
    line = _jt808_report(report)
    return {key: line[key] for key in keys}


def _jt808_event(event: "Jt808Event") -> Line:
    return dict.fromkeys(EVENT_KEYS) | {
        "source": event.source,
        "opened": event.opened,
        "authorised": event.authorised,
        "refused_outside_fence": True if event.is_outside else None,
        "card": event.card,
        "event_id": event.number,
        "alarm": event.is_alarm,
        "slave_id": event.slave_id,
        "type_raw": event.type_raw,
        "result_raw": event.result_raw,
        "password_given": event.password_given,
    }


def _jt701_place(head: "Head") -> Line:
    return _place(head.lat_e7, head.lon_e7, fix=head.fix) | {
        "time": _iso(head.time_ms),
        "time_ok": head.time_ok,
        "position_source": head.source.value if head.source else None,
        "speed_kmh": head.speed_m_h / 1_000,
        "course_deg": head.course_deg,
    }


def _record(head: "Head") -> Line:
    place = _jt701_place(head)
    return {
        key: place[key] for key in ("time", "lat", "lon", "fix_valid", "speed_kmh", "course_deg")
    }


def _jt701_event(access: "Access", serial: int | None) -> Line:
    from devices.jt701.frame import Source

    event = dict.fromkeys(EVENT_KEYS) | {
        "source": access.source.name.lower() if access.source else None,
        "verification": access.verification,
        "opened": access.opened,
        "authorised": access.authorised,
        "fence_id": access.fence_id,
        "refused_outside_fence": access.refused_outside_fence,
        "card": access.card,
        "password_ok": access.password_ok,
        "wrong_passwords": access.wrong_passwords,
        "serial": serial,
        "type_raw": access.source_raw if access.source is None else None,
    }
    return {
        "event": event,
        "mileage_km": access.mileage_km,
        "locked": access.locked,
        "illegal_card": True if access.source is Source.ILLEGAL_CARD else None,
    }


def _peripheral(peripheral: "Peripheral") -> Line:
    from devices.jt701.facts import slave_of

    slave = slave_of(peripheral)
    del slave["time_ms"]
    return slave | {"time": _iso(peripheral.time_ms)}


def _cell(cell: "Cell") -> Line:
    place: Line = {"cid": cell.cid, "lac": cell.lac}
    return place if cell.mcc is None else place | {"mcc": cell.mcc, "mnc": cell.mnc}


def _place(lat_e7: int | None, lon_e7: int | None, *, fix: bool) -> Line:
    lat = None if lat_e7 is None else lat_e7 / 10_000_000
    lon = None if lon_e7 is None else lon_e7 / 10_000_000
    return {
        "lat": lat if fix else None,
        "lon": lon if fix else None,
        "fix_valid": fix,
        "reported_lat": lat,
        "reported_lon": lon,
    }


def _iso(time_ms: int | None) -> str | None:
    if time_ms is None:
        return None
    return (_EPOCH + timedelta(milliseconds=time_ms)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _error(protocol: Protocol, reason: str) -> Line:
    return dict.fromkeys(KEYS) | {"protocol": protocol.value, "error": reason}


def _open(file: Path) -> BinaryIO:
    return sys.stdin.buffer if str(file) == "-" else file.open("rb")
