"""Whether a seal is heard, and whether it is the one that was declared."""

from dataclasses import replace

from collector.detect import Phase
from collector.detect.seals import Context, Report, Seal, State, Stepped
from collector.detect.seals.work import Work, kept, seal_of, work_on
from wire.columns import Event


def link_down(context: Context, state: State, event: Event) -> Stepped:
    """Kind 16: the reader of seals is gone, and all seals with it."""
    if len(event.data) < 2 or not all(isinstance(value, int) for value in event.data[:2]):
        return Stepped(state=state, odd=True)
    what, up = event.data[:2]
    if what != 1 or up:
        return Stepped(state=state)
    work = work_on(context, event, event.t_ms, state)
    known = {seal.seal for seal in state.seals}
    if work.journey is not None:
        known |= set(work.journey.seals)
    for name in sorted(known):
        stepped = kept(work, state, lost(work, seal_of(state, name), event.t_ms))
        state = stepped.state
    return Stepped(state=state, hits=tuple(work.hits))


def lost(work: Work, seal: Seal, at_ms: int) -> Seal:
    if seal.lost_seq is not None:
        return seal
    work.tell("SEAL_LOST", seal.seal, at_ms=at_ms, phase=Phase.BEGIN)
    return replace(seal, lost_seq=work.event.seq, lost_ms=at_ms, lost_n=1)


def heard(work: Work, seal: Seal, at_ms: int) -> Seal:
    if seal.lost_seq is None:
        return seal
    work.tell(
        "SEAL_LOST",
        seal.seal,
        at_ms=at_ms,
        seq=seal.lost_seq,
        phase=Phase.END,
        n=seal.lost_n,
        value=(at_ms - seal.lost_ms) / 1_000,
    )
    return replace(seal, lost_seq=None, lost_n=0)


def declared(work: Work, seal: Seal, report: Report) -> Seal:
    journey = work.journey
    if journey is None or not journey.seals or seal.seal in journey.seals:
        return replace(seal, strange=0)
    strange = min(seal.strange + 1, 3)
    if strange == 2:
        work.tell(
            "SEAL_ID_MISMATCH",
            seal.seal,
            at_ms=report.at_ms,
            data={"declared": list(journey.seals)},
        )
    return replace(seal, strange=strange)
