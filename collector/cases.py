"""The life of a case: what people make of one alert or several (DETECTION section 9, Case).

Law: no key, no move. A case says what came of the incident; whether an alert is seen, and by whom, is another fact.
"""

from dataclasses import dataclass
from enum import Enum

from collector.alerts import OUTCOMES, REASON_CHARS_MAX, NotMoved
from collector.persons import same_person

__all__ = [
    "LIFE",
    "NAME_CHARS_MAX",
    "CaseAct",
    "CaseEvent",
    "CaseMoved",
    "CaseStand",
    "CaseState",
    "decide",
]

NAME_CHARS_MAX = 80  # a person, a crew, a post: one line on the screen


class CaseState(Enum):
    """Where a case stands."""

    OPEN = "OPEN"
    ASSIGNED = "ASSIGNED"
    DISPATCHED = "DISPATCHED"
    ON_SITE = "ON_SITE"
    RESOLVED = "RESOLVED"
    REVIEWED = "REVIEWED"


class CaseEvent(Enum):
    """What people do to a case."""

    ASSIGN = "assign"
    DISPATCH = "dispatch"
    RECALL = "recall"  # the crew is called off
    ARRIVE = "arrive"
    RESOLVE = "resolve"
    REVIEW = "review"
    REOPEN = "reopen"


# What is assigned may be given to another, what is dispatched to another crew: who has it is told by the newest act.
LIFE: dict[CaseState, dict[CaseEvent, CaseState]] = {
    CaseState.OPEN: {
        CaseEvent.ASSIGN: CaseState.ASSIGNED,
        CaseEvent.RESOLVE: CaseState.RESOLVED,
    },
    CaseState.ASSIGNED: {
        CaseEvent.ASSIGN: CaseState.ASSIGNED,
        CaseEvent.DISPATCH: CaseState.DISPATCHED,
        CaseEvent.RESOLVE: CaseState.RESOLVED,
    },
    CaseState.DISPATCHED: {
        CaseEvent.DISPATCH: CaseState.DISPATCHED,
        CaseEvent.RECALL: CaseState.ASSIGNED,
        CaseEvent.ARRIVE: CaseState.ON_SITE,
    },
    CaseState.ON_SITE: {CaseEvent.RESOLVE: CaseState.RESOLVED},
    CaseState.RESOLVED: {CaseEvent.REVIEW: CaseState.REVIEWED},
    CaseState.REVIEWED: {CaseEvent.REOPEN: CaseState.OPEN},
}

_NEEDS_REASON = frozenset({CaseEvent.RECALL, CaseEvent.RESOLVE, CaseEvent.REOPEN})
_NEEDS_WHOM = frozenset({CaseEvent.ASSIGN, CaseEvent.DISPATCH})


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseStand:
    """A case, as far as an act must know it."""

    state: CaseState
    version: int  # how often it moved; the opening is 1
    assignee: str | None = None
    crew: str | None = None
    outcome: str | None = None
    resolved_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseAct:
    """What a person does to a case."""

    event: CaseEvent
    by: str
    is_supervisor: bool = False
    whom: str = ""  # of assign the person, of dispatch the crew or post
    reason: str = ""
    outcome: str = ""
    seen: int | None = None  # the version on the person's screen; None: the one that is


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseMoved:
    """Where the case stands after the act."""

    state: CaseState
    assignee: str | None
    crew: str | None
    outcome: str | None
    resolved_by: str | None


def decide(stand: CaseStand, act: CaseAct) -> CaseMoved | NotMoved:
    """Whether a person may do this to the case, and what it comes to.

    An outcome is reviewed by a supervisor, and by another person than the one who gave it: who labels an alert false must not be
    the only one who has looked. A case that is opened again keeps its history and forgets its outcome.
    """
    after = LIFE[stand.state].get(act.event)
    if act.seen is not None and act.seen != stand.version:
        return NotMoved(code="not_seen", hint=f"it has moved: look at version {stand.version}")
    if after is None:
        possible = ", ".join(sorted(one.value for one in LIFE[stand.state]))
        return NotMoved(
            code="no_move",
            hint=f"its case is {stand.state.value} and takes no {act.event.value}; possible: {possible}",
        )
    return _bad_words(act) or _not_allowed(stand, act) or _moved(stand, act, after)


def _bad_words(act: CaseAct) -> NotMoved | None:
    if len(act.reason) > REASON_CHARS_MAX:
        return NotMoved(code="long_reason", hint=f"at most {REASON_CHARS_MAX} characters")
    if act.event in _NEEDS_REASON and not act.reason.strip():
        return NotMoved(code="no_reason", hint="say why: --reason")
    if act.event in _NEEDS_WHOM and not 0 < len(act.whom.strip()) <= NAME_CHARS_MAX:
        return NotMoved(code="no_name", hint=f"say whom, {NAME_CHARS_MAX} characters at most: --to")
    if act.event is CaseEvent.RESOLVE and act.outcome not in OUTCOMES:
        return NotMoved(code="no_outcome", hint=f"--outcome is one of {', '.join(OUTCOMES)}")
    return None


def _not_allowed(stand: CaseStand, act: CaseAct) -> NotMoved | None:
    if act.event is CaseEvent.REVIEW and same_person(act.by, stand.resolved_by):
        return NotMoved(code="same_person", hint="another person reviews what you have resolved")
    if act.event in (CaseEvent.REVIEW, CaseEvent.REOPEN) and not act.is_supervisor:
        return NotMoved(code="not_allowed", hint=f"a supervisor does the {act.event.value}")
    return None


def _moved(stand: CaseStand, act: CaseAct, after: CaseState) -> CaseMoved:
    assignee, crew = stand.assignee, stand.crew
    outcome, resolved_by = stand.outcome, stand.resolved_by
    match act.event:
        case CaseEvent.ASSIGN:
            assignee = act.whom.strip()
        case CaseEvent.DISPATCH:
            crew = act.whom.strip()
        case CaseEvent.RECALL:
            crew = None
        case CaseEvent.RESOLVE:
            outcome, resolved_by = act.outcome, act.by
        case CaseEvent.REOPEN:
            assignee = crew = outcome = resolved_by = None
        case CaseEvent.ARRIVE | CaseEvent.REVIEW:
            pass
    return CaseMoved(
        state=after, assignee=assignee, crew=crew, outcome=outcome, resolved_by=resolved_by
    )
