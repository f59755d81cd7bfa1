"""Which alert is told to whom, and when (DETECTION section 9): decides, never sends, knows no url.

Law: once per alert, once more each time it worsens or comes back after somebody had seen it; then, while nobody acknowledges,
the supervisor at his times. What is over and old makes no sound.
"""

from dataclasses import dataclass

from collector.alerts import State

__all__ = [
    "ESCALATE_S",
    "GATHER_S",
    "GATHER_S_MAX",
    "Change",
    "Due",
    "Target",
    "dues_of",
    "is_moot",
    "is_new_round",
    "is_worse",
]

ESCALATE_S = (60, 300, 1_800)  # DETECTION section 9: to the supervisor
OLD_MS = 24 * 3_600_000  # a P3 that is over and older makes no sound
GATHER_S = 60  # what is not critical waits so long, to come as one message; of the ten minutes that a P2 leaves one is gone
GATHER_S_MAX = 300
UNSEEN = frozenset({State.UNACKED, State.CLEARED_UNACKED})  # the states in which an alert calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Somebody who is told, by the name that the settings give."""

    name: str
    min_priority: str = "P2"  # this one and what is worse
    codes: tuple[str, ...] = ()  # none: all
    units: tuple[str, ...] = ()  # none: all
    language: str = "en"
    escalate_after_s: tuple[int, ...] = ()  # a supervisor: told only what is unacknowledged then
    gather_s: int = GATHER_S  # so long what is not critical waits for more


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a finding did to an alert. `before` is None for a new one."""

    code: str
    unit: str  # "": nobody's own
    before: State | None
    after: State
    priority_before: str | None
    priority: str
    count: int  # how often it was told by now
    at_ms: int
    is_over: bool
    others: tuple[str, ...] = ()  # units that it names besides: of an area, of a convoy


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A message that is to go out. (alert, step, target) names it for ever."""

    target: str
    step: str
    due_ms: int


def dues_of(change: Change, targets: tuple[Target, ...], now_ms: int) -> tuple[Due, ...]:
    """The messages that this change asks for, the later ones of the supervisor with it."""
    step = _step(change, now_ms)
    if step is None:
        return ()
    dues: list[Due] = []
    for target in targets:
        if not _concerns(target, change):
            continue
        if not target.escalate_after_s:
            waits_s = 0 if change.priority == "P1" else target.gather_s
            dues.append(Due(target=target.name, step=step, due_ms=now_ms + waits_s * 1_000))
        dues += [
            Due(target=target.name, step=f"{step}+{after_s}s", due_ms=now_ms + after_s * 1_000)
            for after_s in target.escalate_after_s
        ]
    return tuple(dues)


def is_moot(state: State) -> bool:
    """True if nobody needs to hear of an alert any more: somebody has acted, or a rule has."""
    return state not in UNSEEN


def is_new_round(change: Change) -> bool:
    """True if somebody had seen the alert before this: what still waits of then is no news now."""
    return change.before is not None and is_moot(change.before) and not is_moot(change.after)


def is_worse(change: Change) -> bool:
    """True if it calls for more than before: what still waits of then would say too little."""
    return change.priority_before is not None and change.priority < change.priority_before


def _step(change: Change, now_ms: int) -> str | None:
    if is_moot(change.after):
        return None
    if change.priority == "P3" and change.is_over and now_ms - change.at_ms > OLD_MS:
        return None
    if change.before is None:
        return "raise"
    if is_worse(change):
        return f"worse.{change.priority}"
    return f"again.{change.count}" if is_new_round(change) else None


def _concerns(target: Target, change: Change) -> bool:
    return (
        change.priority <= target.min_priority
        and (not target.codes or change.code in target.codes)
        and (not target.units or not {change.unit, *change.others}.isdisjoint(target.units))
    )
