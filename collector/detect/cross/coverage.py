"""Where along a route the network has a hole: how long earlier passages were silent from there on (DETECTION section 7.6, `coverage`).

Law: learns from silences that were told and that nothing but the network explains; one of a jammer or of a dead battery teaches nothing.
"""

import math
from dataclasses import dataclass, replace

from collector.detect import Gap, whole

LEAST = 3  # one silence is no hole, two may be one thief
LASTED_MAX = 20  # of a mark: of so many the longest but one is the p95
MARKS_MAX = 256  # of a route: 512 km that are all holes
SHARE = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One route's holes."""

    mark: int  # of its shape: along another line the kilometres are others
    lasted: tuple[tuple[int, tuple[int, ...]], ...] = ()  # number of the 2 km, seconds; newest last


def hear(state: State | None, gap: Gap) -> State:
    """One more passage that was silent from there on."""
    if state is None or state.mark != gap.mark:
        state = State(mark=gap.mark)
    before = next((lasted for number, lasted in state.lasted if number == gap.number), ())
    others = tuple(one for one in state.lasted if one[0] != gap.number)
    here = (gap.number, (*before, gap.lasted_s)[-LASTED_MAX:])
    return replace(state, lasted=(*others, here)[-MARKS_MAX:])


def hole_s(state: State | None, mark: int, number: int) -> float | None:
    """How long a silence that began here is still no more than the network's; None where no hole is known.

    Asked of the 2 km before and behind as well: a batch more or less, and a silence begins in the next ones.
    """
    if state is None or state.mark != mark:
        return None
    lasted = sorted(s for at, some in state.lasted if abs(at - number) <= 1 for s in some)
    if len(lasted) < LEAST:
        return None
    return SHARE * lasted[math.ceil(0.95 * len(lasted)) - 1]


def pack(state: State) -> tuple[object, ...]:
    return (state.mark, state.lasted)


def unpack(packed: list[object]) -> State:
    mark, lasted = packed
    assert isinstance(lasted, list)
    return State(
        mark=whole(mark),
        lasted=tuple((whole(at), tuple(whole(s) for s in some)) for at, some in lasted),
    )
