"""A unit's state as the bytes that are committed with the batches it came from.

Law: `unpack(pack(state)) == state`. The blob begins with its version; old versions are read.
"""

from collector.detect import (
    Place,
    gnss,
    interference,
    motion,
    restate,
    silence,
    speed,
    stops,
    tags,
)
from collector.detect.engine import FRESH, Frame, UnitState
from collector.detect.route import blob as route_blob
from collector.detect.seals import blob as seals_blob
from collector.detect.zones import blob as zones_blob
from wire import MisuseError, Refused
from wire.canon import decode as read, encode

BLOB_BYTES_MAX = (
    4_096  # a unit's state is read and written with every tick that holds a batch of it
)
BLOB_VERSION = 2
BLOB_VERSIONS = (1, 2)  # what is still read: version 1 knew neither stops nor speed
_PLACE = ("seq", "t_ms", "lat_e7", "lon_e7", "u_cm")


def pack(state: UnitState) -> bytes:
    """The blob of a state; `unpack(pack(state)) == state`."""
    frame, prev = state.frame, state.frame.prev
    value: tuple[object, ...] = (
        BLOB_VERSION,
        frame.chains,
        frame.chains_before,
        None if prev is None else (prev.seq, prev.t_ms, prev.lat_e7, prev.lon_e7, prev.u_cm),
        int(frame.broken),
        frame.version,
        frame.top_m,
        frame.marks,
        gnss.pack(state.gate),
        motion.pack(state.motion),
        zones_blob.pack(state.zones),
        route_blob.pack(state.route),
        seals_blob.pack(state.seals),
        None if frame.journey is None else (frame.journey[0], int(frame.journey[1])),
        None if state.stops == FRESH.stops else stops.pack(state.stops),
        None if state.speed == FRESH.speed else speed.pack(state.speed),
        None if frame.start is None else (frame.start.seq, frame.start.t_ms),
        None
        if state.watch == FRESH.watch
        else silence.pack(state.watch, 0 if prev is None else prev.t_ms),
        None if state.sky == FRESH.sky else interference.pack(state.sky),
        None if state.tags == FRESH.tags else tags.pack(state.tags),
    )
    while value[-1] is None:  # what never ran costs nothing; `unpack` takes it as that
        value = value[:-1]
    blob = encode(value)  # type: ignore[arg-type]  # tuples of plain values all the way down: encode checks it
    assert len(blob) <= BLOB_BYTES_MAX, "a unit's state outgrew its row"
    return blob


def unpack(blob: bytes) -> UnitState:
    """The state that `pack` wrote. MisuseError for bytes that are no state of ours."""
    value = read(blob)
    if (
        isinstance(value, Refused)
        or not isinstance(value, list)
        or not value
        or value[0] not in BLOB_VERSIONS
    ):
        raise MisuseError("these bytes are no state of a unit")
    parts: list[list[list[list[int]]]] = value  # type: ignore[assignment]  # written by pack: each part's own unpack reads it
    _, chains, before, prev, broken, version, top_m, marks, *rest = parts
    gate, moved, zoned, routed, sealed, *more = rest
    journey, stopped, sped, start, watched, sky, tagged = [*more, *([None] * 7)][:7]
    frame = Frame(
        chains=tuple(chains),  # type: ignore[arg-type]  # see above
        chains_before=before,  # type: ignore[arg-type]  # see above
        prev=None if prev is None else Place(**dict(zip(_PLACE, prev, strict=True))),  # type: ignore[arg-type, redundant-expr]  # see above
        broken=bool(broken),
        version=None if version is None else (version[0], version[1]),  # type: ignore[arg-type, redundant-expr]  # see above
        top_m=top_m,  # type: ignore[arg-type]  # see above
        marks=tuple((number, t_ms) for number, t_ms in marks),  # type: ignore[misc]  # see above
        journey=None if journey is None else (str(journey[0]), bool(journey[1])),
        start=None if start is None else restate.Start(seq=start[0], t_ms=start[1]),  # type: ignore[arg-type]  # see above
    )
    fix_ms = 0 if frame.prev is None else frame.prev.t_ms
    return UnitState(
        frame=frame,
        gate=gnss.unpack(gate),
        motion=motion.unpack(moved),  # type: ignore[arg-type]  # see above
        zones=zones_blob.unpack(zoned),  # type: ignore[arg-type]  # see above
        route=route_blob.unpack(routed),  # type: ignore[arg-type]  # see above
        stops=stops.State() if stopped is None else stops.unpack(stopped),  # type: ignore[arg-type]  # see above
        speed=speed.State() if sped is None else speed.unpack(sped),  # type: ignore[arg-type]  # see above
        seals=seals_blob.unpack(sealed),  # type: ignore[arg-type]  # see above
        watch=silence.State() if watched is None else silence.unpack(watched, fix_ms),  # type: ignore[arg-type]  # see above
        sky=interference.State() if sky is None else interference.unpack(sky),  # type: ignore[arg-type]  # see above
        tags=tags.State() if tagged is None else tags.unpack(tagged),  # type: ignore[arg-type]  # see above
    )
