"""Units of one journey, and whether they are together: UNIT_SEPARATED (DETECTION section 7.7).

Law: two places are compared only at one moment, and only where both are known: between two fixes of 30 s each way, or of a unit that has
stood. A moment is judged when both units have told of it, or one of them is silent.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from collector.detect import Hit, Phase, Place, Sample, whole
from collector.detect.cross import Clocks, Told
from collector.detect.geo.measure import HALF_TURN_E7, distance_m
from collector.detect.rules import Thresholds

SAMPLE_MS = 30_000  # one place in so long (DETECTION section 2), and so far a place reaches
STILL_MS = 900_000  # a unit that stands tells so once in five minutes (EDGE), three times at least
STILL_M = 60.0  # as far as standing goes (section 6)
SAMPLES_MAX = 64  # of a unit: half an hour of waiting for the other one
UNITS_MAX = 8  # that share a journey


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One place of a unit, as the other one needs it."""

    t_ms: int
    lat_e7: int
    lon_e7: int
    u_cm: int
    received_ms: int | None
    gnss: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two units of the journey. Between them nothing is known before `through_ms` any more."""

    one: str
    other: str
    through_ms: int = 0
    compared_ms: int = 0  # the newest moment at which both places were known
    counted: int = 0  # moments in a row that speak for a change: apart, or together again
    first: Spot | None = None  # of them, where `one` was
    start_ms: int | None = None  # it runs since


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is kept of one journey."""

    tracks: tuple[tuple[str, tuple[Spot, ...]], ...] = ()  # by unit
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What must not be looked up: its units, and whether one is on it at a time."""

    id: str
    units: Sequence[str]  # rising; of more than UNITS_MAX the first
    holds: Callable[[str, int], bool]


@dataclass(slots=True, kw_only=True)
class _Work:
    th: Thresholds
    journey: Journey
    clocks: Clocks
    tracks: dict[str, tuple[Spot, ...]]
    told: list[Told]


def is_next(before: Place | None, place: Place) -> bool:
    """Whether a place is the first of its half minute."""
    return before is None or before.t_ms // SAMPLE_MS != place.t_ms // SAMPLE_MS


def hear(state: State, samples: Iterable[Sample]) -> State:
    """Places of the tick; a unit's in the order of its chain. One that is not behind the one before is left out."""
    tracks = dict(state.tracks)
    for sample in samples:
        track = tracks.get(sample.unit, ())
        if track and sample.t_ms <= track[-1].t_ms:
            continue
        spot = Spot(
            t_ms=sample.t_ms,
            lat_e7=sample.lat_e7,
            lon_e7=sample.lon_e7,
            u_cm=sample.u_cm,
            received_ms=sample.received_ms,
            gnss=sample.gnss,
        )
        tracks[sample.unit] = (*track, spot)[-SAMPLES_MAX:]
    return replace(state, tracks=tuple(sorted(tracks.items())))


def judge(
    th: Thresholds, state: State, journey: Journey, clocks: Clocks
) -> tuple[State | None, tuple[Told, ...]]:
    """Time has passed. None: the journey is over, and nothing is left to be known of it."""
    work = _Work(th=th, journey=journey, clocks=clocks, tracks=dict(state.tracks), told=[])
    known = {(pair.one, pair.other): pair for pair in state.pairs}
    pairs = tuple(
        _over(work, _follow(work, known.get(key) or Pair(one=key[0], other=key[1])))
        for key in combinations(journey.units[:UNITS_MAX], 2)
    )
    if not any(_is_there(work, unit) for unit in journey.units):
        return None, tuple(work.told)
    after = State(
        tracks=tuple((unit, _trimmed(unit, track, pairs)) for unit, track in state.tracks),
        pairs=pairs,
    )
    return (state if after == state else after), tuple(work.told)


def pack(state: State) -> tuple[object, ...]:
    return (
        tuple((unit, tuple(_spot_out(spot) for spot in track)) for unit, track in state.tracks),
        tuple(
            (
                pair.one,
                pair.other,
                pair.through_ms,
                pair.compared_ms,
                pair.counted,
                None if pair.first is None else _spot_out(pair.first),
                pair.start_ms,
            )
            for pair in state.pairs
        ),
    )


def unpack(packed: list[list[list[object]]]) -> State:
    tracks, pairs = packed
    return State(
        tracks=tuple((str(unit), _spots_in(track)) for unit, track in tracks),
        pairs=tuple(
            Pair(
                one=str(one),
                other=str(other),
                through_ms=whole(through_ms),
                compared_ms=whole(compared_ms),
                counted=whole(counted),
                first=None if first is None else _spot_in(first),
                start_ms=None if start_ms is None else whole(start_ms),
            )
            for one, other, through_ms, compared_ms, counted, first, start_ms in pairs
        ),
    )


class _Wait:
    """Where a unit was is not known yet: its records have not come so far."""


WAIT = _Wait()


def _follow(work: _Work, pair: Pair) -> Pair:
    """Every moment at which one of them told its place, in order, up to the first that is to be waited for."""
    here, there = work.tracks.get(pair.one, ()), work.tracks.get(pair.other, ())
    times = {spot.t_ms for spot in (*here, *there) if spot.t_ms > pair.through_ms}
    for t_ms in sorted(times):
        one, other = _at(work, pair.one, here, t_ms), _at(work, pair.other, there, t_ms)
        if isinstance(one, _Wait) or isinstance(other, _Wait):
            break
        pair = replace(pair, through_ms=t_ms)
        if one is None or other is None:
            continue
        if t_ms // SAMPLE_MS != pair.compared_ms // SAMPLE_MS:  # both told of it, counted once
            pair = _compare(work, replace(pair, compared_ms=t_ms), one, other)
    return pair


def _at(work: _Work, unit: str, track: Sequence[Spot], t_ms: int) -> Spot | _Wait | None:
    """Where the unit was; None: nobody will ever know."""
    at = bisect_left(track, t_ms, key=lambda spot: spot.t_ms)
    before = track[at - 1] if at else None
    if at < len(track):
        if track[at].t_ms == t_ms:
            return track[at]
        return None if before is None else _between(before, track[at], t_ms)
    newest_ms = work.clocks.of(unit)
    if newest_ms is None:
        return None
    reach_ms = 0 if before is None else STILL_MS
    return WAIT if newest_ms < t_ms + reach_ms else None


def _between(before: Spot, behind: Spot, t_ms: int) -> Spot | None:
    """The place on the way from one to the other, where both are near in time or the unit has stood."""
    since_ms, until_ms = t_ms - before.t_ms, behind.t_ms - t_ms
    if max(since_ms, until_ms) > SAMPLE_MS:
        moved_m = distance_m(before.lon_e7, before.lat_e7, behind.lon_e7, behind.lat_e7)
        if since_ms + until_ms > STILL_MS or moved_m > STILL_M:
            return None
    share = since_ms / (since_ms + until_ms)
    dx = behind.lon_e7 - before.lon_e7
    if abs(dx) > HALF_TURN_E7:
        dx -= 2 * HALF_TURN_E7 if dx > 0 else -2 * HALF_TURN_E7
    lon_e7 = before.lon_e7 + round(dx * share)
    if abs(lon_e7) > HALF_TURN_E7:
        lon_e7 -= 2 * HALF_TURN_E7 if lon_e7 > 0 else -2 * HALF_TURN_E7
    received = [one for one in (before.received_ms, behind.received_ms) if one is not None]
    return Spot(
        t_ms=t_ms,
        lat_e7=before.lat_e7 + round((behind.lat_e7 - before.lat_e7) * share),
        lon_e7=lon_e7,
        u_cm=max(before.u_cm, behind.u_cm),
        received_ms=max(received, default=None),
        gnss=tuple(sorted({*before.gnss, *behind.gnss})),
    )


def _compare(work: _Work, pair: Pair, one: Spot, other: Spot) -> Pair:
    """One moment at which both places are known."""
    away_m = distance_m(one.lon_e7, one.lat_e7, other.lon_e7, other.lat_e7)
    runs = pair.start_ms is not None
    limit_m = work.th.together_m if runs else work.th.apart_m + (one.u_cm + other.u_cm) / 100
    if not (away_m < limit_m if runs else away_m > limit_m):
        return pair if pair.counted == 0 else replace(pair, counted=0, first=None)
    first = pair.first or one
    if pair.counted + 1 < work.th.paired_moments:
        return replace(pair, counted=pair.counted + 1, first=first)
    begun = pair if runs else replace(pair, start_ms=first.t_ms)
    received = [spot.received_ms for spot in (one, other) if spot.received_ms is not None]
    hit = _hit(work.journey.id, begun, first, Phase.END if runs else Phase.BEGIN, away_m)
    if one.gnss or other.gnss:
        hit = replace(hit, data={**hit.data, "gnss": sorted({*one.gnss, *other.gnss})})
    work.told.append(
        Told(
            unit=pair.one,
            hit=hit,
            confirmed_ms=one.t_ms,
            received_ms=max(received, default=None),
        )
    )
    return replace(begun, counted=0, first=None, start_ms=None if runs else begun.start_ms)


def _over(work: _Work, pair: Pair) -> Pair:
    """What runs is over when one of the two is on that journey no more, by its own records or by the clock."""
    if pair.start_ms is None or all(_is_there(work, unit) for unit in (pair.one, pair.other)):
        return pair
    now_ms = work.clocks.now_ms
    hit = _hit(work.journey.id, pair, None, Phase.END, None)
    work.told.append(
        Told(unit=pair.one, hit=replace(hit, at_ms=now_ms), confirmed_ms=now_ms, received_ms=None)
    )
    return replace(pair, counted=0, first=None, start_ms=None)


def _is_there(work: _Work, unit: str) -> bool:
    newest_ms = work.clocks.of(unit)
    return work.journey.holds(unit, work.clocks.now_ms if newest_ms is None else newest_ms)


def _hit(journey: str, pair: Pair, first: Spot | None, phase: Phase, away_m: float | None) -> Hit:
    assert pair.start_ms is not None
    return Hit(
        code="UNIT_SEPARATED",
        at_ms=pair.start_ms if first is None else first.t_ms,
        origin_seq=0,
        subject=f"{journey} {pair.one} {pair.other} {pair.start_ms}",
        phase=phase,
        n=0 if phase is Phase.BEGIN else 1,
        lat_e7=None if first is None else first.lat_e7,
        lon_e7=None if first is None else first.lon_e7,
        value=None if away_m is None else round(away_m, 1),
        data={"journey": journey, "units": [pair.one, pair.other]},
    )


def _trimmed(unit: str, track: tuple[Spot, ...], pairs: Sequence[Pair]) -> tuple[Spot, ...]:
    """What the other ones may still be compared with."""
    through_ms = min((one.through_ms for one in pairs if unit in (one.one, one.other)), default=0)
    behind = bisect_left(track, through_ms + 1, key=lambda spot: spot.t_ms)
    return track[max(0, behind - 1) :]


def _spot_out(spot: Spot) -> tuple[object, ...]:
    """What is rare costs nothing where it is not."""
    bare = (spot.t_ms, spot.lat_e7, spot.lon_e7, spot.u_cm, spot.received_ms)
    return (*bare, spot.gnss) if spot.gnss else bare


def _spots_in(packed: object) -> tuple[Spot, ...]:
    assert isinstance(packed, list)
    return tuple(_spot_in(spot) for spot in packed)


def _spot_in(packed: object) -> Spot:
    assert isinstance(packed, list)
    t_ms, lat_e7, lon_e7, u_cm, received_ms, *gnss = packed
    return Spot(
        t_ms=whole(t_ms),
        lat_e7=whole(lat_e7),
        lon_e7=whole(lon_e7),
        u_cm=whole(u_cm),
        received_ms=None if received_ms is None else whole(received_ms),
        gnss=tuple(str(name) for name in gnss[0]) if gnss else (),
    )
