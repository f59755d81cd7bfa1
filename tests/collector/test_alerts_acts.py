"""What a person may do to an alert, and what time does (DETECTION section 9)."""

from dataclasses import replace

import pytest

from collector.alerts import (
    HOUR_MS,
    PROPOSED_MS,
    Act,
    Event,
    Moved,
    NotMoved,
    Stand,
    State,
    decide,
    run_out,
)

NOW_MS = 1_795_330_000_000
PLAIN = Stand(
    code="ROUTE_DEVIATION",
    priority="P2",
    state=State.UNACKED,
    cleared=False,
    withdrawn=False,
    count=1,
)
LATCHED = replace(PLAIN, code="SEAL_OPEN_UNAUTHORISED", priority="P1", state=State.ACKED)
PROPOSED = replace(
    LATCHED, state=State.RESET_PROPOSED, proposed_by="aziza", until_ms=NOW_MS + PROPOSED_MS
)


def act(event: Event, **more: object) -> Act:
    return replace(Act(event=event, by="bahrom"), **more)  # type: ignore[arg-type]  # tests name fields of Act


def code(stand: Stand, done: Act) -> str:
    said = decide(stand, done, NOW_MS)
    assert isinstance(said, NotMoved), said
    assert said.hint
    return said.code


def state(stand: Stand, done: Act) -> State:
    said = decide(stand, done, NOW_MS)
    assert isinstance(said, Moved), said
    return said.state


def test_seen_is_acknowledged_and_what_is_over_is_closed_by_it() -> None:
    assert state(PLAIN, act(Event.ACK)) is State.ACKED
    over = replace(PLAIN, state=State.CLEARED_UNACKED, cleared=True)
    assert state(over, act(Event.ACK, outcome="FALSE")) is State.CLOSED
    assert code(over, act(Event.ACK, outcome="WRONG")) == "no_outcome"


def test_nobody_acts_on_a_revision_that_he_has_not_seen() -> None:
    again = replace(PLAIN, count=3)
    assert code(again, act(Event.ACK, seen=2)) == "not_seen"
    assert state(again, act(Event.ACK, seen=3)) is State.ACKED


def test_two_persons_close_a_latched_alert() -> None:
    proposed = decide(LATCHED, act(Event.RESET, outcome="TRUE_VIOLATION", reason="cut"), NOW_MS)
    assert proposed == Moved(
        state=State.RESET_PROPOSED,
        until_ms=NOW_MS + PROPOSED_MS,
        proposed_by="bahrom",
        outcome="TRUE_VIOLATION",
    )
    assert state(PROPOSED, act(Event.SECOND, is_supervisor=True)) is State.CLOSED
    assert code(PROPOSED, act(Event.SECOND)) == "not_allowed"
    assert code(PROPOSED, act(Event.SECOND, by="aziza", is_supervisor=True)) == "same_person"
    assert code(LATCHED, act(Event.RESET, reason="cut")) == "no_outcome"
    assert code(LATCHED, act(Event.RESET, outcome="FALSE")) == "no_reason"
    assert code(PLAIN, act(Event.RESET, outcome="FALSE", reason="x")) == "no_move"


def test_a_proposal_that_nobody_confirms_falls_back() -> None:
    assert run_out(PROPOSED, NOW_MS + PROPOSED_MS - 1) is None
    assert run_out(PROPOSED, NOW_MS + PROPOSED_MS) == Moved(state=State.ACKED)
    assert state(PROPOSED, act(Event.END)) is State.ACKED


def test_one_person_closes_what_the_chain_has_withdrawn() -> None:
    withdrawn = replace(LATCHED, withdrawn=True, state=State.UNACKED)
    assert state(withdrawn, act(Event.ACK)) is State.CLOSED


@pytest.mark.parametrize(("priority", "hours"), [("P2", 1), ("P3", 4)])
def test_shelving_has_an_end_and_a_reason(priority: str, hours: int) -> None:
    stand = replace(PLAIN, priority=priority)
    most_ms = NOW_MS + hours * HOUR_MS
    said = decide(stand, act(Event.SHELVE, reason="road works"), NOW_MS)
    assert said == Moved(state=State.SHELVED, until_ms=most_ms)
    assert code(stand, act(Event.SHELVE)) == "no_reason"
    assert code(stand, act(Event.SHELVE, reason="x", until_ms=most_ms + 1)) == "bad_until"
    assert code(stand, act(Event.SHELVE, reason="x", until_ms=NOW_MS)) == "bad_until"
    shelved = replace(stand, state=State.SHELVED, until_ms=most_ms)
    assert run_out(shelved, most_ms) == Moved(state=State.UNACKED)
    assert run_out(replace(shelved, cleared=True), most_ms) == Moved(state=State.CLEARED_UNACKED)


def test_a_p1_is_never_shelved_and_taken_out_by_a_supervisor_alone() -> None:
    critical = replace(PLAIN, priority="P1")
    assert code(critical, act(Event.SHELVE, reason="x")) == "never_shelved"
    out = act(Event.TAKE_OUT, reason="garage", until_ms=NOW_MS + HOUR_MS)
    assert code(critical, out) == "not_allowed"
    assert state(critical, replace(out, is_supervisor=True)) is State.OUT_OF_SERVICE
    assert state(PLAIN, out) is State.OUT_OF_SERVICE
    assert code(PLAIN, replace(out, until_ms=None)) == "bad_until"


def test_what_is_closed_takes_nothing_and_says_so() -> None:
    closed = replace(PLAIN, state=State.CLOSED)
    for event in Event:
        assert code(closed, act(event, reason="x", outcome="FALSE")) == "no_move"
