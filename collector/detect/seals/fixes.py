"""What a good fix proves of seals: that time has passed, and where the unit is."""

from dataclasses import replace

from collector.detect import Hit, Phase, Place, Priority
from collector.detect.geo.passing import edge_m, holds
from collector.detect.rules import Rules
from collector.detect.seals import LOST_P1_MS, Context, Life, Seal, State, is_left_open
from collector.detect.seals.access import ends_refused
from collector.detect.seals.work import Work, work_on
from wire.columns import Event


def step_fix(context: Context, state: State, place: Place) -> tuple[State, tuple[Hit, ...]]:
    """A good fix: proves that time has passed and where the unit is."""
    if not state.seals:
        return state, ()
    event = Event(seq=place.seq, kind=0, t_ms=place.t_ms, mono_ms=0, data=())
    work = work_on(context, event, place.t_ms, state)
    seals = tuple(_at_fix(work, seal, place) for seal in state.seals)
    return (replace(state, seals=seals), tuple(work.hits)) if work.hits else (state, ())


def _at_fix(work: Work, seal: Seal, place: Place) -> Seal:
    seal = ends_refused(work, seal, place.t_ms)
    if seal.lost_seq is not None and seal.lost_n == 1 and place.t_ms >= seal.lost_ms + LOST_P1_MS:
        work.tell(
            "SEAL_LOST",
            seal.seal,
            at_ms=seal.lost_ms + LOST_P1_MS,
            seq=seal.lost_seq,
            phase=Phase.CHANGE,
            n=1,
            priority=Priority.P1,
        )
        seal = replace(seal, lost_n=2)
    if seal.life is not Life.OPEN_BY_ORDER or is_left_open(seal):
        return seal
    due_ms = seal.opened_ms + work.rules.thresholds.relock_s * 1_000
    if place.t_ms >= due_ms:
        at_ms, value = due_ms, "relock"
    elif place.sharp and _outside(work.rules, seal.zone, place):
        at_ms, value = place.t_ms, "outside"
    else:
        return seal
    work.tell(
        "SEAL_LEFT_OPEN",
        seal.seal,
        at_ms=at_ms,
        seq=seal.seq,
        phase=Phase.BEGIN,
        value=value,
    )
    return replace(seal, left_open_seq=seal.seq)


def _outside(rules: Rules, name: str | None, place: Place) -> bool:
    zone = rules.zones.get(name) if name is not None else None
    number = rules.numbers.get(name) if name is not None else None
    if zone is None or number is None or holds(zone, place.lon_e7, place.lat_e7):
        return False
    away_m = edge_m(rules.index, number, place.lon_e7, place.lat_e7)
    return away_m > rules.thresholds.order_zone_m
