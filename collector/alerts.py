"""An alert's life as a table (DETECTION section 9, after ISA-18.2).

Law: no key, no move. Nothing here knows who moves it, when, or where it is stored.
"""

from dataclasses import dataclass
from enum import Enum

from collector.detect import Finding, Phase
from collector.persons import same_person

__all__ = [
    "LATCHED",
    "LIFE",
    "LIFE_LATCHED",
    "MARKS",
    "OUTCOMES",
    "Act",
    "Event",
    "Mark",
    "Moved",
    "NotMoved",
    "Opening",
    "Stand",
    "State",
    "decide",
    "is_active",
    "may_mark",
    "move",
    "opening_of",
    "possible",
    "run_out",
]

HOUR_MS = 3_600_000
SHELVE_MS_MAX = {"P2": HOUR_MS, "P3": 4 * HOUR_MS}  # P1 is never shelved
PROPOSED_MS = HOUR_MS // 2  # so long a proposal to close waits for the second person
REST_MS_MAX = (
    30 * 24 * HOUR_MS
)  # suppressed or out of service: longer than a month it is forgotten, not resting
REASON_CHARS_MAX = 500

MARKS = (
    "take",
    "assign",
    "dispatch",
    "note",
    "resolve",
)  # what people say of an alert without moving it

# What an alert turned out to be (DETECTION section 9, Case): they label precision and risk
OUTCOMES = (
    "TRUE_VIOLATION",
    "INCIDENT_BEYOND_CONTROL",
    "AUTHORISED_ACTION",
    "TECHNICAL",
    "FALSE",
    "TEST",
)


class State(Enum):
    """Where an alert stands. On screen UNACKED is UNACK, CLEARED_UNACKED is RTNUN."""

    UNACKED = "UNACKED"
    ACKED = "ACKED"
    CLEARED_UNACKED = "CLEARED_UNACKED"  # over, but unseen: it stays on screen
    RESET_PROPOSED = "RESET_PROPOSED"  # one of two persons says that it may close
    SHELVED = "SHELVED"
    SUPPRESSED = "SUPPRESSED"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"
    CLOSED = "CLOSED"


class Event(Enum):
    """What happens to an alert: the first three by the detectors, the rest by people or the clock."""

    AGAIN = "again"
    WORSE = "worse"
    CLEAR = "clear"
    ACK = "ack"
    SHELVE = "shelve"
    RESET = "reset"  # propose to close a latched one
    SECOND = "second"  # another person confirms
    END = "end"  # the time of a shelving, suppression or proposal is over, or it is undone
    SUPPRESS = "suppress"
    TAKE_OUT = "take_out"


LATCHED = frozenset(  # the rows of DETECTION section 8 marked L: closed by two persons, never by the detector
    {
        "SEAL_OPEN_UNAUTHORISED",
        "SEAL_CASING_TAMPER",
        "SEAL_ID_MISMATCH",
        "DOOR_OPEN_UNAUTHORISED",
        "LOG_INTEGRITY",
        "DRIVER_DISTRESS",
    }
)

_FOUND = frozenset({Event.AGAIN, Event.WORSE, Event.CLEAR})  # by detectors, never by people
_LEAVE = {Event.SUPPRESS: State.SUPPRESSED, Event.TAKE_OUT: State.OUT_OF_SERVICE}
_RESTING = {Event.AGAIN: None, Event.WORSE: None, Event.CLEAR: None, Event.END: State.UNACKED}

# None: the same state; the move is counted, noted, and may sound. A missing key: refused.
LIFE: dict[State, dict[Event, State | None]] = {
    State.UNACKED: {
        Event.AGAIN: None,
        Event.WORSE: None,
        Event.CLEAR: State.CLEARED_UNACKED,
        Event.ACK: State.ACKED,
        Event.SHELVE: State.SHELVED,
        **_LEAVE,
    },
    State.ACKED: {
        Event.AGAIN: None,
        Event.WORSE: State.UNACKED,
        Event.CLEAR: State.CLOSED,
        Event.SHELVE: State.SHELVED,
        **_LEAVE,
    },
    State.CLEARED_UNACKED: {
        Event.AGAIN: State.UNACKED,
        Event.WORSE: State.UNACKED,
        Event.ACK: State.CLOSED,
    },
    State.RESET_PROPOSED: {
        Event.AGAIN: State.UNACKED,
        Event.WORSE: State.UNACKED,
        Event.CLEAR: None,
        Event.SECOND: State.CLOSED,
        Event.END: State.ACKED,
    },
    State.SHELVED: {
        Event.AGAIN: None,
        Event.WORSE: State.UNACKED,
        Event.CLEAR: None,
        Event.END: State.UNACKED,
        **_LEAVE,
    },
    State.SUPPRESSED: dict(_RESTING),
    State.OUT_OF_SERVICE: dict(_RESTING),
    State.CLOSED: {},  # what comes again is a new alert that names this one as `previous`
}

# Where a latched alert moves otherwise: a detector never clears it, and a new finding always sounds.
LIFE_LATCHED: dict[State, dict[Event, State | None]] = {
    State.UNACKED: {Event.CLEAR: None},
    State.ACKED: {Event.AGAIN: State.UNACKED, Event.CLEAR: None, Event.RESET: State.RESET_PROPOSED},
}

# What a rest ends in when the cause went away meanwhile (column END of the table).
_CLEARED_END = {
    State.SHELVED: State.CLEARED_UNACKED,
    State.SUPPRESSED: State.CLOSED,
    State.OUT_OF_SERVICE: State.CLOSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The state in which a finding opens its alert, or the event that it is to one that is open."""

    state: State
    event: Event


def move(code: str, state: State, event: Event, *, cleared: bool = False) -> State | None:
    """The state after `event`, or None if the table has no such move: then the event is refused with its names.

    `cleared`: the cause of a shelved, suppressed or removed alert went away while it rested.
    """
    row = LIFE[state] | (LIFE_LATCHED.get(state, {}) if code in LATCHED else {})
    if event not in row:
        return None
    if event is Event.END and cleared and code not in LATCHED:
        return _CLEARED_END.get(state, row[event] or state)
    return row[event] or state


def opening_of(finding: Finding, worst_before: str | None) -> Opening:
    """What an alert finding does: the state of a new alert, and the event to an open one of its key.

    `worst_before`: the priority that the open alert has, None if there is none; "P1" is worse than "P2".
    """
    if finding.phase is Phase.END:
        opens = State.UNACKED if finding.code in LATCHED else State.CLEARED_UNACKED
        return Opening(state=opens, event=Event.CLEAR)
    is_worse = (
        worst_before is not None
        and finding.priority is not None
        and finding.priority.value < worst_before
    )
    return Opening(state=State.UNACKED, event=Event.WORSE if is_worse else Event.AGAIN)


def is_active(state: State) -> bool:
    """True while the cause holds as far as the detectors know."""
    return state not in (State.CLEARED_UNACKED, State.CLOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """An alert, as far as an act must know it."""

    code: str
    priority: str
    state: State
    cleared: bool
    withdrawn: bool  # the chain knows better than the early copy that raised it
    count: int  # its revision: how often it was told
    until_ms: int | None = None  # when a rest or a proposal is over
    proposed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a person does to an alert."""

    event: Event
    by: str
    is_supervisor: bool = False
    reason: str = ""
    outcome: str = ""
    until_ms: int | None = None
    seen: int | None = None  # the revision on the person's screen; None: the one that is


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a person notes about an alert. Seen, owned and outcome are three facts: these are the other two, and words."""

    what: str  # one of MARKS
    by: str
    reason: str = ""
    owner: str | None = None  # in whose hands it is from now on
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Where the alert stands after the act."""

    state: State
    until_ms: int | None = None
    proposed_by: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMoved:
    """Why not, and what would be possible."""

    code: str
    hint: str


def decide(stand: Stand, act: Act, now_ms: int) -> Moved | NotMoved:
    """Whether a person may do this now, and what it comes to (DETECTION section 9).

    Nobody acts on a revision that he has not seen. One person closes an alert that was withdrawn; two close a latched one.
    """
    if len(act.reason) > REASON_CHARS_MAX:
        return NotMoved(code="long_reason", hint=f"at most {REASON_CHARS_MAX} characters")
    if act.seen is not None and act.seen < stand.count:
        return NotMoved(code="not_seen", hint=f"it was told again: look at revision {stand.count}")
    if stand.withdrawn and act.event in (Event.ACK, Event.RESET) and is_active(stand.state):
        return Moved(state=State.CLOSED, outcome="TECHNICAL")
    after = move(stand.code, stand.state, act.event, cleared=stand.cleared)
    if after is None:
        return _no_move(stand, act.event)
    match act.event:
        case Event.SHELVE:
            return _shelved(stand, act, after, now_ms)
        case Event.SUPPRESS | Event.TAKE_OUT:
            return _rests(stand, act, after, now_ms)
        case Event.RESET:
            return _proposed(act, after, now_ms)
        case Event.SECOND:
            return _seconded(stand, act, after)
        case Event.ACK if after is State.CLOSED and act.outcome and act.outcome not in OUTCOMES:
            return _no_outcome()
        case _:
            return Moved(state=after, outcome=act.outcome or None)


def may_mark(stand: Stand, mark: Mark, outcome: str | None) -> NotMoved | None:
    """Why this may not be noted now; None if it may. `outcome`: what the alert has already turned out to be."""
    assert mark.what in MARKS
    if len(mark.reason) > REASON_CHARS_MAX:
        return NotMoved(code="long_reason", hint=f"at most {REASON_CHARS_MAX} characters")
    is_closed = stand.state is State.CLOSED
    match mark.what:
        case "note" if not mark.reason.strip():
            return NotMoved(code="no_reason", hint="say what is to be noted")
        case "take" | "assign" | "dispatch" if is_closed:
            return NotMoved(code="no_move", hint="it is closed: nobody needs to take it in hand")
        case "assign" if not mark.owner:
            return NotMoved(code="no_owner", hint="say to whom")
        case "resolve" if mark.outcome not in OUTCOMES:
            return _no_outcome()
        case "resolve" if is_closed and outcome is not None:
            return NotMoved(code="no_move", hint=f"it is closed as {outcome}")
        case "resolve" if stand.code in LATCHED and not is_closed and not stand.withdrawn:
            return NotMoved(code="no_move", hint="two persons close it: reset, then second")
        case _:
            return None


def possible(stand: Stand, outcome: str | None) -> tuple[str, ...]:
    """What people may do now, each by whoever has the right; `outcome`: what it has already turned out to be."""
    row = LIFE[stand.state] | (LIFE_LATCHED.get(stand.state, {}) if stand.code in LATCHED else {})
    acts = [event.value.replace("_", "-") for event in row if event not in _FOUND]
    if stand.priority not in SHELVE_MS_MAX and Event.SHELVE.value in acts:
        acts.remove(Event.SHELVE.value)
    names = {"end": "unshelve"}
    marks = [
        what
        for what in MARKS
        if may_mark(
            stand,
            Mark(what=what, by="", reason="x", owner="x", outcome=OUTCOMES[0]),
            outcome,
        )
        is None
    ]
    return (*(names.get(act, act) for act in acts), *marks)


def run_out(stand: Stand, now_ms: int) -> Moved | None:
    """What a rest or a proposal comes to whose time is over; None if it is not, or there is none."""
    if stand.until_ms is None or now_ms < stand.until_ms:
        return None
    after = move(stand.code, stand.state, Event.END, cleared=stand.cleared)
    return None if after is None else Moved(state=after)


def _no_move(stand: Stand, event: Event) -> NotMoved:
    row = LIFE[stand.state] | (LIFE_LATCHED.get(stand.state, {}) if stand.code in LATCHED else {})
    theirs = sorted(one.value for one in row if one not in _FOUND)
    possible = ", ".join(theirs) or "nothing more"
    return NotMoved(
        code="no_move",
        hint=f"an alert that is {stand.state.value} takes no {event.value}; possible: {possible}",
    )


def _no_outcome() -> NotMoved:
    return NotMoved(code="no_outcome", hint=f"--outcome is one of {', '.join(OUTCOMES)}")


def _shelved(stand: Stand, act: Act, after: State, now_ms: int) -> Moved | NotMoved:
    most_ms = SHELVE_MS_MAX.get(stand.priority)
    if most_ms is None:
        return NotMoved(code="never_shelved", hint=f"a {stand.priority} is not shelved: act on it")
    if not act.reason.strip():
        return NotMoved(code="no_reason", hint="say why: --reason")
    until_ms = now_ms + most_ms if act.until_ms is None else act.until_ms
    if not now_ms < until_ms <= now_ms + most_ms:
        return NotMoved(
            code="bad_until",
            hint=f"a {stand.priority} is shelved for {most_ms // HOUR_MS} h at most",
        )
    return Moved(state=after, until_ms=until_ms)


def _rests(stand: Stand, act: Act, after: State, now_ms: int) -> Moved | NotMoved:
    if not act.reason.strip():
        return NotMoved(code="no_reason", hint="say why: --reason")
    if stand.priority == "P1" and not act.is_supervisor:
        return NotMoved(code="not_allowed", hint="a P1 is taken out by a supervisor")
    if act.until_ms is None or not now_ms < act.until_ms <= now_ms + REST_MS_MAX:
        return NotMoved(code="bad_until", hint="say until when, 30 days ahead at most: --until")
    return Moved(state=after, until_ms=act.until_ms)


def _proposed(act: Act, after: State, now_ms: int) -> Moved | NotMoved:
    if act.outcome not in OUTCOMES:
        return _no_outcome()
    if not act.reason.strip():
        return NotMoved(code="no_reason", hint="say why it may close: --reason")
    return Moved(
        state=after, until_ms=now_ms + PROPOSED_MS, proposed_by=act.by, outcome=act.outcome
    )


def _seconded(stand: Stand, act: Act, after: State) -> Moved | NotMoved:
    if same_person(act.by, stand.proposed_by):
        return NotMoved(code="same_person", hint="another person confirms what you have proposed")
    if not act.is_supervisor:
        return NotMoved(code="not_allowed", hint="a supervisor confirms")
    return Moved(state=after)
