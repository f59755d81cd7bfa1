"""One event of a unit's seals while it is judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from collector.detect import Hit, Phase, Priority
from collector.detect.rules import Journey, Rules
from collector.detect.seals import Context, Seal, State, Stepped
from wire.columns import Event

SEALS_MAX = 64


@dataclass(slots=True, kw_only=True)
class Work:
    """One event while it is judged."""

    context: Context
    rules: Rules
    journey: Journey | None
    event: Event
    used: tuple[tuple[str, int], ...]
    hits: list[Hit] = field(default_factory=list)

    def tell(
        self,
        code: str,
        seal: str,
        *,
        at_ms: int,
        seq: int | None = None,
        phase: Phase = Phase.POINT,
        n: int = 0,
        value: str | float | None = None,
        priority: Priority | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        place = self.context.near(at_ms)
        self.hits.append(
            Hit(
                code=code,
                at_ms=at_ms,
                origin_seq=self.event.seq if seq is None else seq,
                subject=seal,
                phase=phase,
                n=n,
                priority=priority,
                lat_e7=None if place is None else place.lat_e7,
                lon_e7=None if place is None else place.lon_e7,
                seal=seal or None,
                value=value,
                data=dict(data or {}),
            )
        )


def work_on(context: Context, event: Event, at_ms: int, state: State) -> Work:
    return Work(
        context=context,
        rules=context.book.at(at_ms),
        journey=context.book.journey(context.unit, at_ms),
        event=event,
        used=tuple((order, until_ms) for order, until_ms in state.used if until_ms >= at_ms),
    )


def seal_of(state: State, name: str) -> Seal:
    for seal in state.seals:
        if seal.seal == name:
            return seal
    return Seal(seal=name)


def kept(work: Work, state: State, seal: Seal) -> Stepped:
    others = [other for other in state.seals if other.seal != seal.seal]
    while (
        len(others) >= SEALS_MAX
    ):  # the one that is nobody's is forgotten first, then the oldest news
        others.remove(min(others, key=lambda other: (other.strange == 0, other.opened_ms)))
    seals = tuple(sorted((*others, seal), key=lambda other: other.seal))
    return Stepped(state=State(seals=seals, used=work.used), hits=tuple(work.hits))
