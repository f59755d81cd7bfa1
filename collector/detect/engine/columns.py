"""A tick's rows as the screens see them: what was before each, which version, route and journey judge it.

Law: no Python loop over rows; loops are over units and versions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from collector.detect import Place
from collector.detect.engine import ALL, FRESH, BitArray, JourneyKey, States, UnitState
from collector.detect.engine.dues import named
from collector.detect.engine.edits import concerned_by_edit
from collector.detect.engine.places import cells_of
from collector.detect.engine.screens import screen_version
from collector.detect.geo import IntArray, RouteLine
from collector.detect.geo.lines import Progress
from collector.detect.rules import Journey, Rulebook
from collector.detect.track import Track


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The tick's rows as the screens see them."""

    track: Track
    starts: list[int]
    ends: list[int]
    mask: BitArray
    version: IntArray  # index into the rulebook's versions
    progress: Progress | None
    lasts: list[list[int]]  # the last row of each unit, as `cells_of` has it
    routes: list[RouteLine | None]  # of each unit
    journeys: list[JourneyKey | None]  # of each unit, at its first row
    all_rows: list[bool]  # units whose every row must be stepped: their route changes in this tick


def columns_of(book: Rulebook, states: States, track: Track) -> Columns:
    """Every screen over the whole track. Generous: what is marked for nothing is only slow."""
    ends: list[int] = track.ends.tolist()
    starts = [0, *ends[:-1]] if ends else []
    rows = len(track)
    known = [states.get(unit, FRESH) for unit in track.units]
    version = _versions(book, track.t_ms)
    routes, journeys, all_rows = _routes(book, track, starts, ends, version)
    lasts: list[list[int]] = []
    if rows:
        behind = np.maximum(track.ends - 1, 0)
        lasts = np.stack([column[behind] for column in cells_of(track)], axis=1).tolist()
    columns = Columns(
        track=track,
        starts=starts,
        ends=ends,
        mask=np.zeros(rows, np.uint8),
        version=version,
        progress=None,
        lasts=lasts,
        routes=routes,
        journeys=journeys,
        all_rows=all_rows,
    )
    if rows == 0:
        return columns
    first = np.array([start for start, end in zip(starts, ends, strict=True) if start < end])
    prevs = [
        state.frame.prev
        for state, start, end in zip(known, starts, ends, strict=True)
        if start < end
    ]
    before = _before(track, first, prevs)
    dt_ms = track.t_ms - before[0]
    mask = columns.mask
    edited: dict[tuple[int, tuple[int, int]], list[tuple[int, UnitState]]] = {}
    seen = [
        (state, journey)
        for state, journey, start, end in zip(known, journeys, starts, ends, strict=True)
        if start < end
    ]
    for at, (state, journey) in zip(first.tolist(), seen, strict=True):
        frame = state.frame
        if frame.prev is None or frame.version is None or frame.journey != journey:
            mask[at] = ALL
        elif frame.version != name_of(book, version[at]):
            edited.setdefault((int(version[at]), frame.version), []).append((at, state))
    for (number, before_edit), some in edited.items():
        rules, old = book.versions[number], named(book, before_edit)
        mask[concerned_by_edit(rules, old, track, some)] = ALL
    if len(book.versions) > 1:
        mask[1:][version[1:] != version[:-1]] = ALL
    progress: Progress | None = None
    for number in np.unique(version).tolist():
        rules = book.versions[number]
        at = np.flatnonzero(version == number)
        whole = slice(None) if len(at) == rows else at
        progress_here = screen_version(
            rules,
            known,
            track,
            routes,
            mask,
            whole,
            tuple(column[whole] for column in before),
            dt_ms[whole],
        )
        if len(at) == rows:
            progress = progress_here
        elif progress_here is not None:
            progress = _spread(progress, progress_here, at, rows)
    return replace(columns, progress=progress)


def _versions(book: Rulebook, t_ms: IntArray) -> IntArray:
    begins = np.array([rules.valid_from_ms for rules in book.versions], np.int64)
    return np.maximum(begins.searchsorted(t_ms, "right") - 1, 0)


def name_of(book: Rulebook, number: int) -> tuple[int, int]:
    rules = book.versions[number]
    return rules.version, rules.valid_from_ms


def _routes(
    book: Rulebook, track: Track, starts: list[int], ends: list[int], version: IntArray
) -> tuple[list[RouteLine | None], list[JourneyKey | None], list[bool]]:
    """Route and journey of each unit at its first row, and whether they are others at a later row."""
    routes: list[RouteLine | None] = []
    keys: list[JourneyKey | None] = []
    changing: list[bool] = []
    firsts = np.array([start for start, end in zip(starts, ends, strict=True) if start < end])
    limits: Iterator[tuple[int, int, int, int, int, int]] = iter(())
    if len(firsts):
        limits = zip(
            track.t_ms[firsts].tolist(),
            version[firsts].tolist(),
            np.minimum.reduceat(track.t_ms, firsts).tolist(),
            np.maximum.reduceat(track.t_ms, firsts).tolist(),
            np.minimum.reduceat(version, firsts).tolist(),
            np.maximum.reduceat(version, firsts).tolist(),
            strict=True,
        )
    for unit, start, end in zip(track.units, starts, ends, strict=True):
        if start == end:
            routes.append(None)
            keys.append(None)
            changing.append(False)
            continue
        first_ms, here, least_ms, most_ms, oldest, newest = next(limits)
        journeys = book.journeys.get(unit, ())
        journey = book.journey(unit, first_ms) if journeys else None
        keys.append(journey_key(journey))
        name = None if journey is None else journey.route
        routes.append(None if name is None else book.versions[here].routes.get(name))
        same = oldest == newest and (
            not journeys
            or (len(journeys) == 1 and journeys[0].since_ms <= least_ms)  # as for nearly all
            or book.journey(unit, least_ms) is book.journey(unit, most_ms)
        )
        changing.append(not same)
    return routes, keys, changing


def journey_key(journey: Journey | None) -> JourneyKey | None:
    return None if journey is None else (journey.id, journey.in_transit)


def _before(
    track: Track, first: IntArray, prevs: Sequence[Place | None]
) -> tuple[IntArray, IntArray, IntArray]:
    """Time, latitude and longitude of the fix before each row; a unit's first row asks its state."""
    shifted: list[IntArray] = []
    for column, name in ((track.t_ms, "t_ms"), (track.lat_e7, "lat_e7"), (track.lon_e7, "lon_e7")):
        before = np.empty_like(column)
        before[1:] = column[:-1]
        own = column[first].tolist()
        before[first] = [
            value if prev is None else getattr(prev, name)
            for value, prev in zip(own, prevs, strict=True)
        ]
        shifted.append(before)
    return shifted[0], shifted[1], shifted[2]


def _spread(so_far: Progress | None, here: Progress, at: IntArray, rows: int) -> Progress:
    """The progress of one version's rows, put where they stand in the track."""
    base = so_far or Progress(
        sure=np.zeros(rows, np.bool_),
        s_m=np.zeros(rows),
        d_m=np.full(rows, np.inf),
        segment=np.full(rows, -1, np.int64),
        top_before_m=np.full(rows, -1, np.int64),
        top_after_m=np.full(rows, -1, np.int64),
    )
    for name in ("sure", "s_m", "d_m", "segment", "top_before_m", "top_after_m"):
        getattr(base, name)[at] = getattr(here, name)
    return base
