"""Silence and deadlines, on ticks; health and panic (DETECTION sections 7.6 and 7.7).

Law: a tick proves that nothing was heard; it never proves a place. Panic is here; the watch comes with its ticks.
"""

from collector.detect import Hit, Place
from wire.columns import Event
from wire.records import EventKind


def panic(event: Event, place: Place | None) -> Hit | None:
    """Kind 17: somebody asks for help. Needs no state, so an early copy says the same."""
    if event.kind != EventKind.PANIC:
        return None
    source = event.data[0] if event.data and isinstance(event.data[0], str) else None
    return Hit(
        code="DRIVER_DISTRESS",
        at_ms=event.t_ms,
        origin_seq=event.seq,
        lat_e7=None if place is None else place.lat_e7,
        lon_e7=None if place is None else place.lon_e7,
        value=source,
    )
