"""What an earlier run has committed of the seals: a lock repeats what was stored and not yet acknowledged when we died.

Law: the evidence itself is the memory. What is not in the newest batches was acknowledged long ago.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from agent import Kept
from wire import Refused
from wire.batch import read_body, read_payload
from wire.columns import Body
from wire.envelope import Aad, open_envelope
from wire.records import EventKind, EventRecord, FixFlag

_FRAME_AT = {
    EventKind.SEAL: 9,
    EventKind.ACCESS: 9,
}  # place of `frame` in the data (WIRE section 6)
# What the copies of a frame may take of a batch. More, and its first record alone bears it: a JT/T 808 lock that was without
# a network says up to 34 reports in 1 kB.
FRAMES_BYTES_MAX = 4_096
_DOUBTS = FixFlag.DOUBTED | FixFlag.JAMMING | FixFlag.SPOOFING


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the newest batches say of the place: a start must not make a jump unseen, or a doubt undone."""

    place: tuple[int, int, int] | None = (
        None  # t_ms, lat_e7, lon_e7 of the newest fix with a receiver's time
    )
    doubted_utc_ms: int | None = None  # newest fix or sky that was doubted, jammed or spoofed


def frames_of(envelopes: Iterable[bytes]) -> Iterator[bytes]:
    """The frames of seals in these batches, oldest first; what cannot be read is passed over."""
    for body in _bodies(envelopes):
        for event in body.events:
            place = _FRAME_AT.get(EventKind(event.kind)) if event.kind in _FRAME_AT else None
            frame = event.data[place] if place is not None and len(event.data) > place else None
            if isinstance(frame, bytes) and frame:
                yield frame


def of_one_frame(kept: Sequence[Kept]) -> list[Kept]:
    """Records that one frame made, so that one batch can hold them all."""
    frames = [_frame_in(one) for one in kept]
    if sum(map(len, frames)) <= FRAMES_BYTES_MAX:
        return list(kept)
    said: set[bytes] = set()
    found = []
    for one, frame in zip(kept, frames, strict=True):
        found.append(_without_frame(one) if frame in said else one)
        said |= {frame} - {b""}
    return found


def _frame_in(one: Kept) -> bytes:
    place = (
        _FRAME_AT.get(EventKind(one.record.kind)) if isinstance(one.record, EventRecord) else None
    )
    frame = one.record.data[place] if isinstance(one.record, EventRecord) and place else None
    return frame if isinstance(frame, bytes) else b""


def _without_frame(one: Kept) -> Kept:
    assert isinstance(one.record, EventRecord), "a frame was found in it"
    data = list(one.record.data)
    data[_FRAME_AT[EventKind(one.record.kind)]] = None
    return replace(one, record=replace(one.record, data=tuple(data)))


def before(envelopes: Iterable[bytes]) -> Before:
    """The newest place and the newest doubt in these batches, oldest first."""
    place: tuple[int, int, int] | None = None
    doubts: list[int] = []
    for body in _bodies(envelopes):
        fixes = body.fixes
        for t_ms, lat, lon, flags in zip(
            fixes.t_ms, fixes.lat_e7, fixes.lon_e7, fixes.flags, strict=True
        ):
            if not flags & FixFlag.UNIT_CLOCK:
                place = (t_ms, lat, lon)
            if flags & _DOUBTS:
                doubts.append(t_ms)
        doubts += [
            event.t_ms
            for event in body.events
            if event.kind == EventKind.GNSS and any(map(_is_bad, event.data[9:12:2]))
        ]
    return Before(place=place, doubted_utc_ms=max(doubts, default=None))


def _bodies(envelopes: Iterable[bytes]) -> Iterator[Body]:
    for envelope in envelopes:
        opened = open_envelope(envelope, Aad.BATCH)
        header = opened if isinstance(opened, Refused) else read_payload(opened.payload)
        body = header if isinstance(header, Refused) else read_body(header)
        if not isinstance(body, Refused):
            yield body


def _is_bad(state: object) -> bool:
    """Of jam_state or spoof_state (WIRE section 6, kind 11)."""
    return isinstance(state, int) and state >= 2
