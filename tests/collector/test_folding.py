"""First-out and chattering: one incident is one row, and nothing grave is hidden (DETECTION section 9)."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from collector.alerts import State
from collector.folding import CHATTER_OVER_MS, FIRST_OUT_MS, Key, Open, Place, fold

T0_MS = 1_795_330_000_000
SEAL: Key = ("SEAL_LOST", "7591225008")
ROUTE: Key = ("ROUTE_DEVIATION", "r1")


def alert(number: int, after_s: float, priority: str = "P2", **more: object) -> Open:
    plain = Open(
        id=bytes([number]) * 16,
        key=SEAL if number % 2 else ROUTE,
        priority=priority,
        state=State.UNACKED,
        at_ms=T0_MS + round(after_s * 1_000),
    )
    return replace(plain, **more)  # type: ignore[arg-type]  # tests name fields of Open


def under(*alerts: Open, **keys: object) -> dict[int, int | None]:
    places = fold(alerts)
    return {
        id_[0]: None if place.under is None else place.under[0] for id_, place in places.items()
    }


def test_alerts_of_a_minute_stand_under_the_first() -> None:
    assert under(alert(1, 0), alert(2, 30), alert(3, 60), alert(4, 60.001)) == {
        1: None,
        2: 1,
        3: 1,
        4: None,
    }
    assert fold([alert(1, 0), alert(2, 30), alert(3, 60)])[b"\1" * 16] == Place(folded=2)


def test_a_critical_one_stands_alone_and_leads_those_after_it() -> None:
    assert under(alert(1, 0, "P3"), alert(2, 10, "P1"), alert(3, 20, "P2")) == {
        1: None,
        2: None,
        3: 2,
    }


def test_nothing_stands_under_what_is_less_grave() -> None:
    assert under(alert(1, 0, "P3"), alert(2, 10, "P2"), alert(3, 20, "P3")) == {
        1: None,
        2: None,
        3: 1,
    }


@pytest.mark.parametrize("state", [State.SHELVED, State.SUPPRESSED, State.OUT_OF_SERVICE])
def test_nothing_stands_under_what_rests(state: State) -> None:
    assert under(alert(1, 0, state=state), alert(2, 10)) == {1: None, 2: None}


def test_what_is_new_is_not_hidden_under_what_was_looked_at_and_what_was_there_stays() -> None:
    seen = alert(1, 0, state=State.ACKED)
    assert under(seen, alert(2, 10)) == {1: None, 2: None}
    assert under(seen, alert(2, 10, under=seen.id)) == {1: None, 2: 1}
    assert under(seen, alert(2, 10, state=State.ACKED)) == {1: None, 2: 1}


def test_a_key_that_goes_on_and_off_is_one_row_until_ten_minutes_without() -> None:
    first, late = alert(1, 0), alert(3, 400)
    minute = [first.at_ms + 15_000 * change for change in range(4)]
    assert fold([first, late])[late.id].under is None
    told = fold([first, late], {SEAL: [*minute, late.at_ms]})
    assert told[late.id] == Place(under=first.id, chatter_ms=late.at_ms)
    assert told[first.id] == Place(folded=1, chatter_ms=late.at_ms)
    over = alert(5, 700)
    assert over.at_ms - minute[-1] > CHATTER_OVER_MS
    assert fold([first, over], {SEAL: [*minute, over.at_ms]})[over.id].under is None
    assert fold([first, late], {SEAL: [*minute[:3], late.at_ms]})[late.id].under is None
    assert fold([first, late], {ROUTE: minute})[late.id].under is None


alerts = st.lists(
    st.builds(
        alert,
        st.integers(1, 255),
        st.floats(0, 300),
        st.sampled_from(["P1", "P2", "P3"]),
        state=st.sampled_from([state for state in State if state is not State.CLOSED]),
    ),
    max_size=12,
    unique_by=lambda one: one.id,
)


@given(alerts)
def test_every_alert_has_its_place_and_leaders_lead_nobody_graver(found: list[Open]) -> None:
    places = fold(found)
    by_id = {one.id: one for one in found}
    assert set(places) == set(by_id)
    for id_, place in places.items():
        if place.under is None:
            continue
        leader, one = by_id[place.under], by_id[id_]
        assert places[leader.id].under is None
        assert one.priority != "P1"
        assert leader.priority <= one.priority
        assert 0 <= one.at_ms - leader.at_ms <= FIRST_OUT_MS
    assert sum(place.folded for place in places.values()) == sum(
        place.under is not None for place in places.values()
    )


@given(alerts)
def test_folding_what_is_folded_changes_nothing(found: list[Open]) -> None:
    places = fold(found)
    again = fold([replace(one, under=places[one.id].under) for one in found])
    assert {id_: place.under for id_, place in again.items()} == {
        id_: place.under for id_, place in places.items()
    }
