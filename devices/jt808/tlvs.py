"""The TLVs behind a report: id u8, length u8, value (DEVICES section 4.4).

Law: an id that is not published, or a value of another size than is published, says nothing. The last of its kind counts; events and
sub-locks add up. A TLV that runs out of the frame ends the list.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Any

from devices.jt808.events import read_event
from devices.jt808.frame import Event, Extras, Slave

PASSWORD = 0x0B  # in 5501 and 5502
PASSWORD_BYTES = 8  # type, six characters, result
_CARD_BYTES = 6  # type, card u32, result
_SLAVES_MAX = 24  # a TLV has 255 bytes, a slave 11
_EVENTS_MAX = 16  # more in one message are noise that met its checksum
_SLAVE_63 = Struct(">6sHBBB")
_SLAVE_D5 = Struct(">5s5sBH")
_OPEN_D5 = 1 << 5
_NOT_REMOVED = 1 << 12  # in 0089
_STILL = 1 << 6  # in 00C5
_TILT = Struct(">hhh")


def tlvs_of(data: bytes, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Id, place of the value in `data`, value."""
    while start + 2 <= len(data):
        name, size = data[start], data[start + 1]
        start += 2
        if start + size > len(data):
            return
        yield name, start, data[start : start + size]
        start += size


def read_0200(data: bytes, start: int) -> Extras:
    """What the TLVs of a 0200 message add."""
    said: dict[str, Any] = {}
    events: list[Event] = []
    slaves: list[Slave] = []
    for name, _, value in tlvs_of(data, start):
        match name:
            case 0x60:
                event = read_event(value)
                if event is not None and len(events) < _EVENTS_MAX:
                    events.append(event)
            case 0x63:
                slaves += _slaves_63(value)
            case 0xD5:
                slaves += _slaves_d5(value)
            case 0xEB:
                said |= _read_eb(value)
            case 0x01 if len(value) == 4:
                said["mileage_km"] = int.from_bytes(value, "big") / 10
            case 0x30 if len(value) == 1:
                said["gsm"] = value[0]
            case 0x31 if len(value) == 1:
                said["sats"] = value[0]
            case 0x69 if len(value) == 2:
                said["battery_mv"] = int.from_bytes(value, "big") * 10
            case _:
                pass
    return Extras(events=tuple(events), slaves=tuple(slaves[:_SLAVES_MAX]), **said)


def read_55xx(data: bytes, start: int) -> Extras:
    """What the TLVs of 5501 and 5502 add; `wake_raw`, `alt_m` and `tilt` rest on captured frames."""
    said: dict[str, Any] = {}
    events: list[Event] = []
    for name, _, value in tlvs_of(data, start):
        match name:
            case 0x10 if len(value) == 1:
                said["wake_raw"] = value[0]
            case 0x02 if len(value) == 2:
                said["alt_m"] = int.from_bytes(value, "big", signed=True)
            case 0x0C if len(value) == 6:
                said["tilt"] = _TILT.unpack(value)
            case 0x0B if len(value) in {_CARD_BYTES, PASSWORD_BYTES}:
                if len(events) < _EVENTS_MAX:
                    events.append(_lock_event(value))
            case _:
                pass
    return Extras(events=tuple(events), **said)


def _lock_event(value: bytes) -> Event:
    by_card = len(value) == _CARD_BYTES
    return Event(
        number=None,
        source="lock",
        is_alarm=None,
        card=f"{int.from_bytes(value[1:5], 'big'):010d}" if by_card else None,
        type_raw=value[0],
        result_raw=value[-1],
        password_given=not by_card,
    )


def _slaves_63(value: bytes) -> list[Slave]:
    whole = len(value) // _SLAVE_63.size * _SLAVE_63.size
    return [
        Slave(
            id=name.hex().upper(),
            locked={ord("1"): True, ord("0"): False}.get(sealed),
            state_raw=f"{state:02X}",
            battery_mv=battery_mv,
            rssi_raw=rssi,
        )
        for name, battery_mv, sealed, state, rssi in _SLAVE_63.iter_unpack(value[:whole])
    ]


def _slaves_d5(value: bytes) -> list[Slave]:
    count = value[0] if value else 0
    if len(value) < 1 + count * _SLAVE_D5.size:
        return []
    return [
        Slave(
            id=name.hex().upper(),
            locked=state & _OPEN_D5 == 0,
            state_raw=f"{state:04X}",
            battery_percent=percent if percent <= 100 else None,
            card=card.hex().upper(),
        )
        for name, card, percent, state in _SLAVE_D5.iter_unpack(
            value[1 : 1 + count * _SLAVE_D5.size]
        )
    ]


def _read_eb(value: bytes) -> dict[str, Any]:
    """Sub-TLVs: length u16 of what follows, id u16, value."""
    said: dict[str, Any] = {}
    start = 0
    while start + 4 <= len(value):
        size = int.from_bytes(value[start : start + 2], "big")
        name = int.from_bytes(value[start + 2 : start + 4], "big")
        data = value[start + 4 : start + 2 + size]
        if size < 2 or len(data) != size - 2:
            break
        number = int.from_bytes(data, "big")
        match name:
            case 0x0089 if len(data) == 4:
                said["removed"] = number & _NOT_REMOVED == 0
            case 0x00C5 if len(data) == 4:
                said["vibration"] = number & _STILL == 0
            case 0x002D if len(data) in {2, 4}:
                said["battery_mv"] = number
            case 0x00A8 if len(data) == 1 and number <= 100:
                said["battery_percent"] = number
            case _:
                pass
        start += 2 + size
    return said
