"""What an earlier run has committed of the seals: a lock repeats what was stored and not yet acknowledged when we died.

Law: the evidence itself is the memory. What is not in the newest batches was acknowledged long ago.
"""

from collections.abc import Iterable, Iterator

from wire import Refused
from wire.batch import read_body, read_payload
from wire.envelope import Aad, open_envelope
from wire.records import EventKind

_FRAME_AT = {
    EventKind.SEAL: 9,
    EventKind.ACCESS: 9,
}  # place of `frame` in the data (WIRE section 6)


def frames_of(envelopes: Iterable[bytes]) -> Iterator[bytes]:
    """The frames of seals in these batches, oldest first; what cannot be read is passed over."""
    for envelope in envelopes:
        opened = open_envelope(envelope, Aad.BATCH)
        header = opened if isinstance(opened, Refused) else read_payload(opened.payload)
        body = header if isinstance(header, Refused) else read_body(header)
        if isinstance(body, Refused):
            continue
        for event in body.events:
            place = _FRAME_AT.get(EventKind(event.kind)) if event.kind in _FRAME_AT else None
            frame = event.data[place] if place is not None and len(event.data) > place else None
            if isinstance(frame, bytes) and frame:
                yield frame
