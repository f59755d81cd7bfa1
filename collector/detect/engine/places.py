"""A row of the track as a place, and the place that an event happened at.

Law: no fix is smoothed; one that may be far from the truth, or is long past, is no place of an event.
"""

from collections.abc import Callable, Sequence

from collector.detect import Place
from collector.detect.geo import IntArray
from collector.detect.rules import Rulebook
from collector.detect.track import Track

ROW = 0, 1, 2, 3, 5, 7, 8, 10  # rows of a batch's block: seq, t, lat, lon, speed, hdop, err, flags


def cells_of(track: Track) -> tuple[IntArray, ...]:
    """The columns that a stepped row is made of, in the order of `ROW`."""
    return (
        track.seq,
        track.t_ms,
        track.lat_e7,
        track.lon_e7,
        track.speed_cm_s,
        track.hdop_centi,
        track.err_cm,
        track.flags,
    )


def place_of(row: Sequence[int], seq: int) -> Place:
    """Of a row of `ROW`."""
    _, t_ms, lat_e7, lon_e7, _, hdop, err, _ = row
    twice = 2 * err if err >= 0 else 9 * hdop if hdop >= 0 else 1_000
    return Place(seq=seq, t_ms=t_ms, lat_e7=lat_e7, lon_e7=lon_e7, u_cm=max(twice, 300))


def near_of(
    book: Rulebook, before: Place | None, behind: Place | None
) -> Callable[[int], Place | None]:
    """The fix before a time if it is good and near enough, else the one behind it in the same batch."""

    def near(t_ms: int) -> Place | None:
        most_ms = book.at(t_ms).thresholds.place_s * 1_000
        for place in (before, behind):
            if place is not None and place.sharp and abs(place.t_ms - t_ms) <= most_ms:
                return place
        return None

    return near
