"""TLV 60: what was done at a lock (DEVICES section 4.4).

Source: two published pages of a tracking platform; no capture but of number 4 (DEVICES section 10).
"""

from dataclasses import dataclass

from devices.jt808.frame import Event

SLAVE_LOCKS = range(0x61, 0x67)
_SLAVE_BYTES = 6
_ALARM = 1


@dataclass(frozen=True, slots=True)
class _Means:
    source: str
    opened: bool | None = None
    authorised: bool | None = None
    locked: bool | None = None
    is_outside: bool = False


def _sealed(source: str) -> _Means:
    return _Means(source, locked=True)


def _unsealed(source: str) -> _Means:
    return _Means(source, opened=True, authorised=True, locked=False)


MEANINGS = {
    0x00: _Means("shackle_closed"),
    0x01: _Means("shackle_opened", locked=False),
    0x02: _sealed("auto_sealed"),
    0x03: _sealed("card_sealed"),
    0x04: _unsealed("card_unsealed"),
    0x05: _sealed("bluetooth_sealed"),
    0x06: _unsealed("bluetooth_unsealed"),
    0x07: _sealed("platform_sealed"),
    0x08: _unsealed("platform_unsealed"),
    0x09: _sealed("sms_sealed"),
    0x0A: _unsealed("sms_unsealed"),
    0x0B: _Means("unregistered_card_seal_refused"),
    0x0C: _Means("unregistered_card_unseal_refused", opened=False, authorised=False),
    0x0D: _Means("card_seal_refused_outside", is_outside=True),
    0x0E: _Means("card_unseal_refused_outside", opened=False, authorised=True, is_outside=True),
    0x0F: _Means("opened_while_sealed", opened=True, authorised=False, locked=False),
    0x10: _Means("shell_removed"),
    0x11: _Means("cut"),
    0x12: _Means("battery_empty"),
    0x13: _Means("wrong_password"),
    0x14: _sealed("auto_resealed"),
    0x15: _Means("wake"),
    0x16: _Means("wake"),
    0x17: _Means("low_battery"),
    0x18: _Means("motor_stuck"),
} | dict.fromkeys(SLAVE_LOCKS, _Means("slave_lock"))

_FLAGS = {  # which flag of the report an event sets
    0x0B: "illegal_card",
    0x0C: "illegal_card",
    0x0F: "opened_while_sealed",
    0x10: "cover_opened",
    0x11: "rope_cut",
    0x12: "low_battery",
    0x13: "wrong_password",
    0x17: "low_battery",
    0x18: "motor_stuck",
}
_UNKNOWN = _Means("")


def read_event(data: bytes) -> Event | None:
    """One TLV 60: number, type, and a card or user; None if it is too short to have a number and a type."""
    if len(data) < 3:
        return None
    number, content = int.from_bytes(data[:2], "big"), data[3:]
    means = MEANINGS.get(number, _UNKNOWN)
    slave_id = None
    if number in SLAVE_LOCKS:
        slave_id = content[:_SLAVE_BYTES].hex().upper() or None
        content = content[_SLAVE_BYTES:]
    return Event(
        number=number,
        source=means.source or None,
        is_alarm=data[2] == _ALARM,
        opened=means.opened,
        authorised=means.authorised,
        locked=means.locked,
        is_outside=means.is_outside,
        card=_text(content),
        slave_id=slave_id,
    )


def flag_of(event: Event) -> str | None:
    """The flag of DEVICES section 4.1 that the event sets."""
    return None if event.number is None else _FLAGS.get(event.number)


def _text(content: bytes) -> str | None:
    text = content.strip(b"\0 ")
    if not text or not text.isascii():
        return None
    said = text.decode("ascii")
    return said if said.isprintable() else None
