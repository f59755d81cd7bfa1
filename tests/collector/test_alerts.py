"""An alert's life: every state has its row, every row leads to states, and no move is made without a key."""

import pytest
from hypothesis import given, strategies as st

from collector.alerts import LATCHED, LIFE, LIFE_LATCHED, Event, State, move, opening_of
from collector.detect import PRIORITIES, Finding, Level, Phase, Priority

LATCHED_CODE = "SEAL_OPEN_UNAUTHORISED"
PLAIN_CODE = "ROUTE_DEVIATION"

TABLE = """
state             again            worse            clear            ack     shelve   reset           end
UNACKED           UNACKED          UNACKED          CLEARED_UNACKED  ACKED   SHELVED  -               -
ACKED             ACKED            UNACKED          CLOSED           -       SHELVED  -               -
CLEARED_UNACKED   UNACKED          UNACKED          -                CLOSED  -        -               -
RESET_PROPOSED    UNACKED          UNACKED          RESET_PROPOSED   -       -        -               ACKED
SHELVED           SHELVED          UNACKED          SHELVED          -       -        -               UNACKED
SUPPRESSED        SUPPRESSED       SUPPRESSED       SUPPRESSED       -       -        -               UNACKED
OUT_OF_SERVICE    OUT_OF_SERVICE   OUT_OF_SERVICE   OUT_OF_SERVICE   -       -        -               UNACKED
CLOSED            -                -                -                -       -        -               -
"""


def test_the_table_is_the_papers() -> None:
    head, *rows = [line.split() for line in TABLE.strip().splitlines()]
    for state, *cells in rows:
        for event, cell in zip(head[1:], cells, strict=True):
            after = move(PLAIN_CODE, State(state), Event(event))
            assert (after.value if after else "-") == cell, f"{state} {event}"


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (State.UNACKED, Event.CLEAR, State.UNACKED),
        (State.ACKED, Event.CLEAR, State.ACKED),
        (State.ACKED, Event.AGAIN, State.UNACKED),
        (State.ACKED, Event.RESET, State.RESET_PROPOSED),
        (State.RESET_PROPOSED, Event.SECOND, State.CLOSED),
        (State.RESET_PROPOSED, Event.END, State.ACKED),
    ],
)
def test_a_latched_alert_is_closed_by_two_persons_and_never_by_a_detector(
    state: State, event: Event, after: State
) -> None:
    assert move(LATCHED_CODE, state, event) is after


def test_what_went_away_while_it_rested_does_not_come_back_as_new() -> None:
    assert move(PLAIN_CODE, State.SHELVED, Event.END, cleared=True) is State.CLEARED_UNACKED
    assert move(PLAIN_CODE, State.SUPPRESSED, Event.END, cleared=True) is State.CLOSED
    assert move(PLAIN_CODE, State.OUT_OF_SERVICE, Event.END, cleared=True) is State.CLOSED
    assert move(LATCHED_CODE, State.SHELVED, Event.END, cleared=True) is State.UNACKED


@pytest.mark.parametrize("state", [State.UNACKED, State.ACKED, State.SHELVED])
def test_an_alert_is_suppressed_or_taken_out_from_where_it_sounds(state: State) -> None:
    assert move(PLAIN_CODE, state, Event.SUPPRESS) is State.SUPPRESSED
    assert move(PLAIN_CODE, state, Event.TAKE_OUT) is State.OUT_OF_SERVICE


@given(st.sampled_from(sorted(PRIORITIES)), st.lists(st.sampled_from(list(Event)), max_size=30))
def test_any_events_leave_an_alert_in_a_state_that_has_a_row(
    code: str, events: list[Event]
) -> None:
    state = State.UNACKED
    for event in events:
        state = move(code, state, event) or state
        assert state in LIFE


def test_the_latched_rows_belong_to_codes_of_the_catalogue() -> None:
    assert set(PRIORITIES) >= LATCHED
    assert all(PRIORITIES[code] is Priority.P1 for code in LATCHED)
    assert set(LIFE_LATCHED) <= set(LIFE)


def finding(code: str, phase: Phase, priority: Priority) -> Finding:
    return Finding(
        id=bytes(16),
        n=0,
        code=code,
        level=Level.ALERT,
        priority=priority,
        phase=phase,
        unit="uz-1",
        chain=bytes(16),
        seq=1,
        at_ms=1,
        confirmed_ms=1,
        received_ms=1,
        late=False,
    )


def test_a_finding_that_begins_sounds_and_one_that_ends_clears() -> None:
    begun = opening_of(finding(PLAIN_CODE, Phase.BEGIN, Priority.P2), None)
    assert (begun.state, begun.event) == (State.UNACKED, Event.AGAIN)
    ended = opening_of(finding(PLAIN_CODE, Phase.END, Priority.P2), "P2")
    assert (ended.state, ended.event) == (State.CLEARED_UNACKED, Event.CLEAR)
    assert opening_of(finding(LATCHED_CODE, Phase.END, Priority.P1), None).state is State.UNACKED
    assert opening_of(finding("CONTACT_LOST", Phase.CHANGE, Priority.P1), "P3").event is Event.WORSE
    assert opening_of(finding("CONTACT_LOST", Phase.CHANGE, Priority.P3), "P3").event is Event.AGAIN
