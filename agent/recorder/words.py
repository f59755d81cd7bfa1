"""How an observation is spelt as an event, within the bounds of WIRE section 5.

Law: whatever a device says becomes something that may be signed: too long is cut, beyond every range is not said.
"""

from agent import Kept, Moment, Weight
from wire import LIM
from wire.records import Datum, EventKind, EventRecord

NAME_BYTES_MAX = 64  # ids, words, cards: longer ones are no names
FRAME_BYTES_MAX = 1_100  # the longest frame of a device (DEVICES section 1)

WEIGHTS = {  # EDGE section 4; what is not listed is an event like others
    EventKind.ALIVE: Weight.ROUTINE,
    EventKind.HEALTH: Weight.ROUTINE,
    EventKind.SEAL: Weight.EVIDENCE,
    EventKind.ACCESS: Weight.EVIDENCE,
    EventKind.ORDER_RESULT: Weight.EVIDENCE,
    EventKind.PANIC: Weight.EVIDENCE,
    EventKind.CONFIG: Weight.EVIDENCE,
}


def event(
    kind: EventKind,
    moment: Moment,
    data: tuple[Datum, ...],
    *,
    urgent: bool = False,
    weight: Weight | None = None,
) -> Kept:
    """One event at `moment`."""
    record = EventRecord(kind=kind, t_ms=moment.utc_ms, mono_ms=moment.mono_ms, data=data)
    return Kept(
        record=record,
        urgent=urgent,
        weight=WEIGHTS.get(kind, Weight.EVENT) if weight is None else weight,
    )


def text(value: str) -> str:
    """A name as UTF-8 that fits."""
    return value.encode("utf-8", "replace")[:NAME_BYTES_MAX].decode("utf-8", "ignore")


def said(value: str | None) -> str | None:
    """A word, if the device said one."""
    return None if value is None else text(value)


def number(value: int | None) -> int | None:
    """A number that fits the wire, else not said."""
    return value if value is not None and -LIM < value < LIM else None


def time(value: int | None) -> int | None:
    """A device's time that fits the wire, else not said."""
    return value if value is not None and 0 <= value < LIM else None


def truth(value: bool | None) -> int | None:  # noqa: FBT001  # it is what the device said
    """0, 1, or not said."""
    return None if value is None else int(value)


def frame_of(value: bytes) -> bytes | None:
    """What the device sent, byte for byte; None if nothing was."""
    return value[:FRAME_BYTES_MAX] or None
