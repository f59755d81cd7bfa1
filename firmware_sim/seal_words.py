"""Which words of the JT701D tell which step of its life: the seam between `seal_life` and `seal_jt701d`, as tables."""

from firmware_sim.seal_jt701d import (
    LEVEL_BITS,
    Access,
    Kind,
    Snapshot,
    Source,
    Status,
    Wake,
    access_text,
    binary_frame,
)
from firmware_sim.seal_life import Happening, Say

__all__ = [
    "ACCESS",
    "ALARMS",
    "NO_FENCE",
    "OUTSIDE_FENCE",
    "WAKES",
    "WORDS",
    "plain",
    "write_record",
]

NO_FENCE, OUTSIDE_FENCE = 98, 99  # verification of P45; 1..10 is the number of a fence

# Source, verification (None: by the fence), password right.
ACCESS: dict[Say, tuple[Source, int | None, bool]] = {
    Say.AUTO_LOCK: (Source.AUTO_LOCK, 0, False),
    Say.CARD: (Source.CARD, None, False),
    Say.CARD_OUTSIDE: (Source.CARD, OUTSIDE_FENCE, False),
    Say.CARD_REFUSED: (Source.ILLEGAL_CARD, 0, False),
    Say.STATIC: (Source.STATIC_PASSWORD, 1, True),
    Say.STATIC_REFUSED: (Source.STATIC_PASSWORD, 0, False),
    Say.DYNAMIC: (Source.DYNAMIC_PASSWORD, None, True),
    Say.DYNAMIC_REFUSED: (Source.DYNAMIC_PASSWORD, 0, False),
}
ALARMS: dict[Say, Status] = {
    Say.ALARM_CUT: Status.CUT,
    Say.ALARM_LONG: Status.LONG_UNLOCKED,
    Say.ALARM_PASSWORD: Status.WRONG_PASSWORD,
    Say.ALARM_CARD: Status.ILLEGAL_CARD,
}


WORDS: dict[Happening, tuple[object, ...]] = {
    Happening.STATIC_RIGHT: ("P43",),
    Happening.STATIC_WRONG: ("P43",),
    Happening.DYNAMIC_RIGHT: ("P52", 3),
    Happening.DYNAMIC_WRONG: ("P52", 3),
}
WAKES: dict[Status, Wake] = {
    Status.CUT: Wake.ROPE,
    Status.ILLEGAL_CARD: Wake.RFID,
    Status.COVER_OPENED: Wake.COVER,
}
_ESCAPES = (("=\x15", ")"), ("=\x14", "("), ("=\x11", ","), ("=\x00", "="))


def plain(word: str) -> str:
    """A word of an order without the escapes that keep brackets, commas and = apart."""
    for escaped, meant in _ESCAPES:
        word = word.replace(escaped, meant)
    return word


def write_record(
    record: Snapshot | Access,
    serial: int,
    backlog: bool,  # noqa: FBT001 - the link gives it by place
) -> tuple[bytes, dict[str, object]]:
    """The bytes of one record, and what the answer sheet says about it."""
    if isinstance(record, Access):
        note: dict[str, object] = {"say": "P45", "source": int(record.source), "serial": serial}
        return access_text(record, serial), note
    alarm = record.status & ~LEVEL_BITS
    kind = Kind.BACKLOG if backlog else Kind.ALARM if alarm else Kind.LIVE
    note = {"say": kind.name.lower(), "status": f"{record.status:04X}", "serial": serial}
    return binary_frame(record, kind, serial), note
