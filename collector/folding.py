"""Which alerts of a unit stand under another one, so that one incident is one row (DETECTION section 9: first-out, chattering).

Law: a critical alert is never folded, nothing is folded under what is closed or resting, and nothing under what is less grave.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.alarm_load import CHATTER_CHANGES, CHATTER_MS
from collector.alerts import State

FIRST_OUT_MS = 60_000
CHATTER_OVER_MS = 600_000  # so long without a change, and a key chatters no more

_CALLS = frozenset({State.UNACKED, State.CLEARED_UNACKED})
_LEADS = _CALLS | {State.ACKED, State.RESET_PROPOSED}

Key = tuple[str, str]  # code, subject: what chatters is one thing that goes on and off


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """An alert that is not closed, as far as folding must know it."""

    id: bytes
    key: Key
    priority: str
    state: State
    at_ms: int
    under: bytes | None = None  # as it stands now


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an alert stands in the list."""

    under: bytes | None = None
    folded: int = 0  # how many stand under it
    chatter_ms: int | None = None  # the newest change of a key that chatters


def fold(
    alerts: Iterable[Open], changes: Mapping[Key, Sequence[int]] | None = None
) -> dict[bytes, Place]:
    """The place of each of one unit's open alerts. `changes`: when a key began or ended, in event time."""
    chatter = {key: _chatters(sorted(times)) for key, times in (changes or {}).items()}
    leaders: list[Open] = []
    under: dict[bytes, bytes] = {}
    ordered = sorted(alerts, key=lambda one: (one.at_ms, one.id))
    for alert in ordered:
        leader = next(
            (one for one in leaders if _stands_under(alert, one, chatter.get(alert.key, ()))), None
        )
        if leader is None:
            leaders.append(alert)
        else:
            under[alert.id] = leader.id
    counts: dict[bytes, int] = {}
    for leader_id in under.values():
        counts[leader_id] = counts.get(leader_id, 0) + 1
    return {
        alert.id: Place(
            under=under.get(alert.id),
            folded=counts.get(alert.id, 0),
            chatter_ms=_newest(chatter.get(alert.key, ())),
        )
        for alert in ordered
    }


def _stands_under(alert: Open, leader: Open, chatter: Sequence[tuple[int, int]]) -> bool:
    if alert.priority == "P1" or leader.priority > alert.priority or leader.state not in _LEADS:
        return False
    if alert.state in _CALLS and leader.state not in _CALLS and alert.under != leader.id:
        return False  # what is new is not hidden under what somebody has already looked at
    if alert.at_ms - leader.at_ms <= FIRST_OUT_MS:
        return True
    return alert.key == leader.key and any(
        begins <= alert.at_ms <= ends and leader.at_ms <= ends for begins, ends in chatter
    )


def _chatters(times: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Spans in which a key chatters: from three changes after a first within a minute until ten minutes without one."""
    spans: list[tuple[int, int]] = []
    for at in range(CHATTER_CHANGES, len(times)):
        first, last = times[at - CHATTER_CHANGES], times[at]
        is_on = bool(spans) and last <= spans[-1][1]
        if is_on:
            spans[-1] = (spans[-1][0], last + CHATTER_OVER_MS)
        elif last - first <= CHATTER_MS:
            spans.append((first, last + CHATTER_OVER_MS))
    return tuple(spans)


def _newest(spans: Sequence[tuple[int, int]]) -> int | None:
    return spans[-1][1] - CHATTER_OVER_MS if spans else None
