"""What Tile38, Traccar and ThingsBoard would say of the same rows: their published rules, written anew in a few lines.

Tile38: a fence compares the membership of an object's newest point with the one before (`enter`, `exit`; `cross` where the way between two
outside points meets the fence). Traccar: membership of each position, positions older than the newest are left out; a corridor is the
distance to a line by one sample, 25 m unless set. ThingsBoard: membership of each message, by its time of arrival. None of the three has
hysteresis, and none knows how good a fix is.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise

import numpy as np
import shapely

from collector.detect.geo import RouteLine, Zone
from collector.detect.geo.line import project_many
from plomba.tracks import Row

Transitions = dict[tuple[str, str, str], list[int]]
Stays = dict[tuple[str, str], list[tuple[int, int]]]


def flips(zones: Iterable[Zone], rows: Sequence[Row]) -> Transitions:
    """Entered and left by membership alone, at the time of the point that showed it."""
    found: Transitions = defaultdict(list)
    for unit, zone, times, inside in memberships(zones, rows):
        changes = np.flatnonzero(inside[1:] != inside[:-1]) + 1
        for at in changes.tolist():
            code = "ZONE_ENTERED" if inside[at] else "ZONE_EXITED"
            found[unit, zone, code].append(int(times[at]))
    return found


def stays(zones: Iterable[Zone], rows: Sequence[Row]) -> Stays:
    """From each first point inside to the last."""
    found: Stays = defaultdict(list)
    for unit, zone, times, inside in memberships(zones, rows):
        begin: int | None = None
        for at, is_in in enumerate(inside.tolist()):
            if is_in and begin is None:
                begin = int(times[at])
            elif not is_in and begin is not None:
                found[unit, zone].append((begin, int(times[at - 1])))
                begin = None
        if begin is not None:
            found[unit, zone].append((begin, int(times[-1])))
    return found


def memberships(
    zones: Iterable[Zone], rows: Sequence[Row]
) -> Iterable[tuple[str, str, np.ndarray, np.ndarray]]:
    """Unit, zone, times and whether each point was inside, for each zone that concerns the unit and was ever met."""
    some = list(zones)
    for unit, own in _by_unit(rows).items():
        lon = np.array([row.lon_e7 for row in own], np.float64)
        lat = np.array([row.lat_e7 for row in own], np.float64)
        times = np.array([row.t_ms for row in own], np.int64)
        for zone in some:
            if zone.unit not in (None, unit):
                continue
            inside = shapely.intersects_xy(zone.shape, lon, lat)
            if inside.any():
                yield unit, zone.id, times, inside


def departures(line: RouteLine, rows: Sequence[Row], *, width_m: float, samples: int) -> int:
    """How often so many samples in a row lie farther from the line than this."""
    lon = np.array([row.lon_e7 for row in rows], np.int64)
    lat = np.array([row.lat_e7 for row in rows], np.int64)
    off = project_many(line, lon, lat).d_m > width_m
    count, departed, run = 0, False, 0
    for is_off in off.tolist():
        run = run + 1 if is_off else 0
        if run == 0:
            departed = False
        elif run >= samples and not departed:
            departed = True
            count += 1
    return count


def leaps(rows: Sequence[Row], *, speed_m_s: float) -> int:
    """Steps that are faster than this: what a filter by speed alone would call a jump."""
    from collector.detect.geo.measure import distance_m  # noqa: PLC0415  # beside its only use

    count = 0
    for own in _by_unit(rows).values():
        for one, other in pairwise(own):
            dt_s = (other.t_ms - one.t_ms) / 1_000
            assert one.lon_e7 is not None
            assert one.lat_e7 is not None
            assert other.lon_e7 is not None
            assert other.lat_e7 is not None
            way_m = distance_m(one.lon_e7, one.lat_e7, other.lon_e7, other.lat_e7)
            count += dt_s > 0 and way_m / dt_s > speed_m_s
    return count


def _by_unit(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    sound = sorted(
        (row for row in rows if row.lat_e7 is not None), key=lambda row: (row.unit, row.t_ms)
    )
    return {unit: list(some) for unit, some in groupby(sound, key=lambda row: row.unit)}
