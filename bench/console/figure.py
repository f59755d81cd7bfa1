"""One number of the console: what was found, what may be there at most, how it was measured, how busy the machine was.

Law: a figure that could not be taken says why and is never met; nothing here measures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.latency import share_of

QUIET_LOAD_A_CORE = 1.0  # above it a time says as much of the neighbours as of us
SHORTEST_EVENT_MS = 16.0  # what a browser does not tell of an interaction took no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its goal."""

    what: str
    found: float | None
    unit: str
    most: float | None  # None: no goal, it stands beside one
    how: str
    beside: str = ""  # the baseline of the same run, in words
    load: float = 0.0  # load average of a minute when it was taken

    @property
    def is_met(self) -> bool | None:
        """None without a goal."""
        if self.most is None:
            return None
        return self.found is not None and self.found <= self.most


def shares(times: Sequence[float], *parts: float) -> list[float | None]:
    """Of the times in any order the smallest that at least so great a part of them does not exceed; None without times."""
    ordered = sorted(times)
    return [round(share_of(ordered, part), 1) if ordered else None for part in parts]


def inp_p75(told_ms: Iterable[float], asked: int) -> float | None:
    """p75 of `asked` interactions, of which a browser tells only those that were not short."""
    told = list(told_ms)[:asked]
    return shares([*told, *[SHORTEST_EVENT_MS] * (asked - len(told))], 0.75)[0]


def growth_percent(before: float, after: float) -> float:
    """How much more there is after than before."""
    return round((after - before) / before * 100, 1)


def times_of(found: float | None, baseline: float | None, name: str) -> str:
    """`found` as a multiple of what the same run found for `name`."""
    if not found or not baseline:
        return ""
    return f"{found / baseline:.1f} x {name} ({baseline:g})"


def missed(figures: Iterable[Figure]) -> list[str]:
    """The names of those with a goal that they do not reach."""
    return [figure.what for figure in figures if figure.is_met is False]
