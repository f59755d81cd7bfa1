"""An alert's life as a table (DETECTION section 9, after ISA-18.2).

Law: no key, no move. Nothing here knows who moves it, when, or where it is stored.
"""

from dataclasses import dataclass
from enum import Enum

from collector.detect import Finding, Phase

__all__ = [
    "LATCHED",
    "LIFE",
    "LIFE_LATCHED",
    "Event",
    "Opening",
    "State",
    "is_active",
    "move",
    "opening_of",
]


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
