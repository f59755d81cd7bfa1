"""One person with two names is one (EVIDENCE section 11: two people)."""

from dataclasses import replace

import pytest

from collector.alerts import Act, Event, NotMoved, Stand, State, decide
from collector.enrol.judging import may_decide
from collector.persons import person_of, same_person

PROPOSED = Stand(
    code="SEAL_OPEN_UNAUTHORISED",
    priority="P1",
    state=State.RESET_PROPOSED,
    cleared=False,
    withdrawn=False,
    count=1,
    proposed_by="os:root for anna",
)
SECOND = Act(event=Event.SECOND, by="anna", is_supervisor=True)


@pytest.mark.parametrize("name", ["anna", "os:anna", "os:Anna", "os:root for anna"])
def test_one_name_after_another_is_the_same_person(name: str) -> None:
    assert person_of(name) == "anna"
    assert same_person(name, "anna")


@pytest.mark.parametrize("name", ["os:root", "bahrom", "os:root for bahrom", "kiosk:anna"])
def test_another_is_another(name: str) -> None:
    assert not same_person(name, "anna")


def test_nobody_is_not_the_same_as_somebody() -> None:
    assert not same_person("anna", None)


def test_nobody_closes_or_lets_in_by_two_names() -> None:
    refused = decide(PROPOSED, SECOND, 0)
    assert isinstance(refused, NotMoved)
    assert refused.code == "same_person"
    assert not isinstance(decide(PROPOSED, replace(SECOND, by="bahrom"), 0), NotMoved)
    assert may_decide("os:anna", "anna")
    assert not may_decide("os:anna", "bahrom")
