"""Who else fell silent or was jammed near by: what tells a jammer from a hole in the network (DETECTION section 7.6).

Law: the newest word of each kind of each unit, for an hour; never a place of a unit that is well.
"""

from collections.abc import Iterable

from collector.detect import Place, Signal
from collector.detect.geo.measure import E7, distance_m

LOST, JAMMED = "lost", "jammed"
KINDS = (LOST, JAMMED)
KEPT_MS = 3_600_000  # silence is told after ten minutes and a half, and compared over ten more
NEAR_M, NEAR_MS = 5_000.0, 600_000
NEAR_E7 = E7 // 20  # 5.5 km of latitude: a glance before the distance
SIGNALS_MAX = 128


def hear(near: tuple[Signal, ...], signals: Iterable[Signal]) -> tuple[Signal, ...]:
    """The newest of each unit and kind; of too many the oldest are dropped."""
    fresh = [signal for signal in signals if signal.kind in KINDS]
    if not fresh:
        return near
    newest = {(one.unit, one.kind): one for one in near}
    for one in sorted(fresh, key=_order):
        before = newest.get((one.unit, one.kind))
        if before is None or before.t_ms <= one.t_ms:
            newest[one.unit, one.kind] = one
    return tuple(sorted(newest.values(), key=_order)[-SIGNALS_MAX:])


def kept(near: tuple[Signal, ...], now_ms: int) -> tuple[Signal, ...]:
    """Without what is too old to explain any silence."""
    if all(now_ms - one.t_ms <= KEPT_MS for one in near):
        return near
    return tuple(one for one in near if now_ms - one.t_ms <= KEPT_MS)


def others(near: tuple[Signal, ...], unit: str, place: Place | None, since_ms: int) -> int:
    """How many other units were lost or jammed within 5 km and 10 min of this one's silence."""
    if place is None:
        return 0
    return len(
        {
            one.unit
            for one in near
            if one.unit != unit
            and abs(one.t_ms - since_ms) <= NEAR_MS
            and abs(one.lat_e7 - place.lat_e7) <= NEAR_E7
            and distance_m(one.lon_e7, one.lat_e7, place.lon_e7, place.lat_e7) <= NEAR_M
        }
    )


def _order(signal: Signal) -> tuple[int, str, str]:
    return (signal.t_ms, signal.unit, signal.kind)
