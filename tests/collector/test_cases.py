"""The life of a case as a table (DETECTION section 9, Case)."""

from dataclasses import replace

import pytest

from collector.alerts import OUTCOMES, NotMoved
from collector.cases import LIFE, CaseAct, CaseEvent, CaseMoved, CaseStand, CaseState, decide

OPEN = CaseStand(state=CaseState.OPEN, version=1)
WHOLE = CaseAct(
    event=CaseEvent.ASSIGN,
    by="bahrom",
    is_supervisor=True,
    whom="post 4",
    reason="rope cut",
    outcome="TRUE_VIOLATION",
)


def act(event: CaseEvent, **more: object) -> CaseAct:
    return replace(WHOLE, event=event, **more)  # type: ignore[arg-type]  # tests name fields of CaseAct


def moved(stand: CaseStand, done: CaseAct) -> CaseMoved:
    said = decide(stand, done)
    assert isinstance(said, CaseMoved), said
    return said


def refused(stand: CaseStand, done: CaseAct) -> str:
    said = decide(stand, done)
    assert isinstance(said, NotMoved), said
    assert said.hint
    return said.code


def after(stand: CaseStand, done: CaseAct) -> CaseStand:
    said = moved(stand, done)
    return CaseStand(
        state=said.state,
        version=stand.version + 1,
        assignee=said.assignee,
        crew=said.crew,
        outcome=said.outcome,
        resolved_by=said.resolved_by,
    )


def test_a_case_goes_its_way_to_the_review_and_back() -> None:
    case = after(OPEN, act(CaseEvent.ASSIGN, whom=" aziza "))
    assert (case.state, case.assignee) == (CaseState.ASSIGNED, "aziza")
    case = after(case, act(CaseEvent.DISPATCH, whom="post 4"))
    assert (case.state, case.crew) == (CaseState.DISPATCHED, "post 4")
    case = after(case, act(CaseEvent.ARRIVE))
    case = after(case, act(CaseEvent.RESOLVE))
    assert (case.outcome, case.resolved_by) == ("TRUE_VIOLATION", "bahrom")
    case = after(case, act(CaseEvent.REVIEW, by="dilnoza"))
    assert case.state is CaseState.REVIEWED
    case = after(case, act(CaseEvent.REOPEN))
    assert case == CaseStand(state=CaseState.OPEN, version=7)


@pytest.mark.parametrize("state", CaseState)
@pytest.mark.parametrize("event", CaseEvent)
def test_no_key_no_move(state: CaseState, event: CaseEvent) -> None:
    stand = CaseStand(state=state, version=1, resolved_by="aziza")
    if event in LIFE[state]:
        assert moved(stand, act(event)).state is LIFE[state][event]
    else:
        assert refused(stand, act(event)) == "no_move"


def test_from_everywhere_a_case_can_be_reviewed() -> None:
    for state in CaseState:
        reached = {state}
        while True:
            more = reached | {to for one in reached for to in LIFE[one].values()}
            if more == reached:
                break
            reached = more
        assert CaseState.REVIEWED in reached


def test_nobody_acts_on_a_version_that_he_has_not_seen() -> None:
    case = replace(OPEN, version=3)
    assert refused(case, act(CaseEvent.ASSIGN, seen=2)) == "not_seen"
    assert moved(case, act(CaseEvent.ASSIGN, seen=3)).state is CaseState.ASSIGNED


def test_an_outcome_is_reviewed_by_another_person_and_a_supervisor() -> None:
    case = CaseStand(state=CaseState.RESOLVED, version=2, outcome="FALSE", resolved_by="bahrom")
    assert refused(case, act(CaseEvent.REVIEW)) == "same_person"
    assert refused(case, act(CaseEvent.REVIEW, by="aziza", is_supervisor=False)) == "not_allowed"
    assert moved(case, act(CaseEvent.REVIEW, by="aziza")).state is CaseState.REVIEWED
    reviewed = replace(case, state=CaseState.REVIEWED)
    assert refused(reviewed, act(CaseEvent.REOPEN, is_supervisor=False)) == "not_allowed"


@pytest.mark.parametrize(
    ("done", "code"),
    [
        (act(CaseEvent.RESOLVE, outcome="MAYBE"), "no_outcome"),
        (act(CaseEvent.RESOLVE, reason=" "), "no_reason"),
        (act(CaseEvent.ASSIGN, whom="  "), "no_name"),
        (act(CaseEvent.ASSIGN, whom="x" * 81), "no_name"),
        (act(CaseEvent.ASSIGN, reason="x" * 501), "long_reason"),
    ],
)
def test_what_is_missing_is_named(done: CaseAct, code: str) -> None:
    assert refused(OPEN, done) == code


def test_every_outcome_can_be_given() -> None:
    for outcome in OUTCOMES:
        assert moved(OPEN, act(CaseEvent.RESOLVE, outcome=outcome)).outcome == outcome


def test_a_crew_is_called_off_with_a_reason() -> None:
    sent = CaseStand(state=CaseState.DISPATCHED, version=3, assignee="aziza", crew="post 4")
    assert refused(sent, act(CaseEvent.RECALL, reason="")) == "no_reason"
    back = moved(sent, act(CaseEvent.RECALL))
    assert (back.state, back.crew, back.assignee) == (CaseState.ASSIGNED, None, "aziza")
