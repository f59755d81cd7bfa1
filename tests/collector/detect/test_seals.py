"""Seals: the table of life, legality, early copies (DETECTION section 7.4; hard cases 28 to 33)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import pytest

from collector.detect import Finding, Priority, SettledAs
from collector.detect.engine import EarlyCopy, every_row
from collector.detect.engine.blob import pack, unpack
from collector.detect.engine.early import judge
from collector.detect.rules import Journey, Order, Rulebook
from collector.detect.seals import Life
from collector.detect.seals.reports import read_access, read_report
from tests.collector.detect.worlds import (
    BEGIN_MS,
    At,
    Run,
    Unit,
    blobs,
    book_of,
    codes,
    event,
    play,
    seal,
    square,
    told,
)
from wire.columns import Event


class Levels(TypedDict):
    locked: bool
    rope_in: bool


SHUT: Levels = {"locked": True, "rope_in": True}
OPEN: Levels = {"locked": False, "rope_in": True}
HOME = At(t_s=0, x_m=0, y_m=0)

BASE = book_of(square("yard", 0, 0, 500), square("far", 50_000, 0, 500))


def order(name: str = "o1", **changes: object) -> Order:
    plain = Order(
        id=name,
        seal="s1",
        journey="j",
        zone="yard",
        not_before_ms=BEGIN_MS,
        not_after_ms=BEGIN_MS + 3_600_000,
        known_ms=BEGIN_MS - 1_000,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # tests name fields of Order


def book(*orders: Order, sealed: bool = True, declared: tuple[str, ...] = ()) -> Rulebook:
    journey = Journey(id="j", unit="u", since_ms=0, sealed=sealed, seals=declared)
    return replace(BASE, orders={"s1": orders}, journeys={"u": (journey,)})


def tell(rules: Rulebook, *records: At | Event, received_s: float = 10_000) -> Run:
    """One batch; the same with every row stepped and record by record."""
    seen = play(rules, [Unit().batch(*records, received_s=received_s)])
    assert told(seen) == told(
        play(rules, [Unit().batch(*records, received_s=received_s)], screen=every_row)
    )
    return seen


def seal_codes(run_: Run) -> list[str]:
    return [code for code in codes(run_) if not code.startswith(("ZONE", "STOP"))]


def one(run_: Run, code: str) -> Finding:
    (found,) = [finding for finding in run_.findings if finding.code == code]
    return found


def test_a_seal_that_shuts_is_sealed_and_stays_so() -> None:
    seen = tell(book(), HOME, seal(1, **SHUT), seal(2, **SHUT), seal(3, cause=2, **SHUT))
    assert seal_codes(seen) == ["SEAL_SEALED"]


def test_what_a_seal_does_not_say_starts_nothing() -> None:
    assert seal_codes(tell(book(), HOME, seal(1), seal(2, vibration=True))) == []


def test_an_opening_by_order_is_legal_and_closes_again() -> None:
    seen = tell(book(order()), HOME, seal(1, **SHUT), seal(5, **OPEN), seal(60, **SHUT))
    assert seal_codes(seen) == ["SEAL_SEALED", "SEAL_OPENED", "SEAL_CLOSED"]
    assert one(seen, "SEAL_OPENED").data == {"order": "o1"}
    assert seen.states["u"].seals.used == (("o1", BEGIN_MS + 3_600_000),)


@pytest.mark.parametrize(
    ("reason", "given"),
    [
        ("no_order", ()),
        ("no_order", (order(seal="other"),)),
        ("no_order", (order(journey="other"),)),
        ("no_order", (order("a"), order("b"))),  # exactly one
        ("no_order", (order(known_ms=BEGIN_MS + 20_000_000),)),  # given afterwards
        ("withdrawn", (order(withdrawn_ms=BEGIN_MS + 1_000),)),
        ("wrong_time", (order(not_after_ms=BEGIN_MS + 2_000),)),
        ("wrong_place", (order(zone="far"),)),
        ("wrong_card", (order(cards=("4711",)),)),
    ],
)
def test_each_reason_makes_an_opening_illegal(reason: str, given: tuple[Order, ...]) -> None:
    rules = replace(book(*given), orders={"s1": tuple(one for one in given if one.seal == "s1")})
    seen = tell(rules, HOME, seal(1, **SHUT), seal(5, **OPEN))
    alert = one(seen, "SEAL_OPEN_UNAUTHORISED")
    assert alert.value == reason
    assert alert.priority is Priority.P1
    reasons = alert.data["reasons"]
    assert isinstance(reasons, Sequence)
    assert reason in reasons


def test_without_a_fix_within_two_minutes_the_place_is_unknown() -> None:
    seen = tell(book(order()), HOME, seal(1, **SHUT), seal(200, **OPEN))
    assert one(seen, "SEAL_OPEN_UNAUTHORISED").value == "place_unknown"


def test_a_fix_behind_in_the_same_batch_tells_the_place_too() -> None:
    seen = tell(book(order()), HOME, seal(1, **SHUT), seal(200, **OPEN), At(t_s=210, x_m=0, y_m=0))
    assert "SEAL_OPENED" in seal_codes(seen)


def test_a_place_that_its_uncertainty_moves_out_of_the_zone_is_the_wrong_one() -> None:
    edge = At(t_s=4, x_m=495, y_m=0)
    seen = tell(book(order()), HOME, seal(1, **SHUT), edge, seal(5, **OPEN))
    assert one(seen, "SEAL_OPEN_UNAUTHORISED").value == "wrong_place"


def test_the_card_of_an_access_opens_by_an_order_that_names_it() -> None:
    access = event(5, 6, "s1", "test", "card", 1, 1, "4711", None, None, 1, b"")
    seen = tell(book(order(cards=("4711",))), HOME, seal(1, **SHUT), access, seal(6, **OPEN))
    assert "SEAL_OPENED" in seal_codes(seen)


def test_case_31_two_openings_on_one_order_are_one_too_many() -> None:
    seen = tell(
        book(order()),
        HOME,
        seal(1, **SHUT),
        seal(5, **OPEN),
        seal(60, **SHUT),
        At(t_s=65, x_m=0, y_m=0),
        seal(70, **OPEN),
    )
    assert one(seen, "SEAL_OPEN_UNAUTHORISED").value == "used_up"


def test_case_32_a_rope_cut_under_a_valid_order_is_never_legal() -> None:
    seen = tell(book(order()), HOME, seal(1, **SHUT), seal(5, rope_cut=True, **OPEN))
    assert one(seen, "SEAL_OPEN_UNAUTHORISED").value == "rope_cut"


def test_case_33_a_second_tampering_sounds_again() -> None:
    seen = tell(
        book(),
        HOME,
        seal(1, **SHUT),
        seal(5, **OPEN),
        seal(6, **OPEN),
        seal(60, **SHUT),
        seal(70, **OPEN),
    )
    assert seal_codes(seen) == [
        "SEAL_SEALED",
        "SEAL_OPEN_UNAUTHORISED",
        "SEAL_CLOSED",
        "SEAL_OPEN_UNAUTHORISED",
    ]
    alerts = [f.id for f in seen.findings if f.code == "SEAL_OPEN_UNAUTHORISED"]
    assert len(set(alerts)) == 2
    assert seen.states["u"].seals.seals[0].life is Life.OPEN_BAD


def test_a_seal_that_was_never_closed_on_a_sealed_journey_is_bad() -> None:
    assert (
        one(tell(book(), HOME, seal(1, **OPEN)), "SEAL_OPEN_UNAUTHORISED").value == "never_sealed"
    )
    assert seal_codes(tell(book(sealed=False), HOME, seal(1, **OPEN))) == []


def test_a_legal_opening_left_open_is_told_when_time_is_over_and_ends_when_closed() -> None:
    rows = [At(t_s=60.0 * n, x_m=0, y_m=0) for n in range(1, 40)]
    seen = tell(book(order()), HOME, seal(1, **SHUT), seal(5, **OPEN), *rows, seal(2_400, **SHUT))
    found = [f for f in seen.findings if f.code == "SEAL_LEFT_OPEN"]
    assert [f.phase.value for f in found] == ["begin", "end"]
    assert found[0].value == "relock"
    assert found[0].at_ms == BEGIN_MS + 1_805_000


def test_a_legal_opening_that_drives_away_is_told_at_once() -> None:
    rows = [At(t_s=10.0 * n, x_m=100.0 * n, y_m=0) for n in range(1, 20)]
    seen = tell(book(order()), HOME, seal(1, **SHUT), seal(5, **OPEN), *rows)
    assert one(seen, "SEAL_LEFT_OPEN").value == "outside"


def test_a_lost_seal_is_heard_again_and_grows_urgent_after_a_quarter_of_an_hour() -> None:
    rows = [At(t_s=60.0 * n, x_m=0, y_m=0) for n in range(1, 20)]
    seen = tell(
        book(), HOME, seal(1, **SHUT), seal(5, cause=3), *rows, seal(1_300, cause=4, **SHUT)
    )
    found = [f for f in seen.findings if f.code == "SEAL_LOST"]
    assert [(f.phase.value, f.n, f.priority) for f in found] == [
        ("begin", 0, Priority.P2),
        ("change", 1, Priority.P1),
        ("end", 2, Priority.P2),
    ]


def test_a_dead_reader_loses_all_seals() -> None:
    seen = tell(book(declared=("s1", "s2")), HOME, seal(1, **SHUT), event(5, 16, 1, 0, 5_000))
    lost = [finding.seal for finding in seen.findings if finding.code == "SEAL_LOST"]
    assert lost == ["s1", "s2"]


def test_a_strange_seal_is_told_at_its_second_report() -> None:
    seen = tell(book(declared=("s9",)), HOME, seal(1, **SHUT), seal(2, **SHUT), seal(3, **SHUT))
    assert seal_codes(seen).count("SEAL_ID_MISMATCH") == 1


def test_a_cover_is_told_once_until_it_was_closed() -> None:
    seen = tell(
        book(),
        HOME,
        seal(1, **SHUT, cover_closed=True, cover_opened=False),
        seal(2, **SHUT, cover_opened=True),
        seal(3, **SHUT, cover_opened=True),
        seal(4, **SHUT, cover_closed=True, cover_opened=False),
        seal(5, **SHUT, cover_closed=False),
    )
    assert seal_codes(seen).count("SEAL_CASING_TAMPER") == 2


def test_refused_cards_and_three_wrong_passwords_are_told_and_end_after_an_hour() -> None:
    def access(t_s: float, card: str | None) -> Event:
        return event(t_s, 6, "s1", "test", "x", 0, 0, card, None, None, 1, b"")

    rows = [At(t_s=600.0 * n, x_m=0, y_m=0) for n in range(1, 9)]
    by_card = tell(book(), HOME, access(1, "666"), access(2, "666"), *rows)
    refused = [f.phase.value for f in by_card.findings if f.code == "SEAL_ACCESS_REFUSED"]
    assert refused == ["begin", "end"]
    two = tell(book(), HOME, access(1, None), access(2, None))
    assert seal_codes(two) == []
    three = tell(book(), HOME, access(1, None), access(2, None), access(3, None))
    assert one(three, "SEAL_ACCESS_REFUSED").value == "password"


def test_other_cards_in_the_lock_are_told_also_while_a_refusal_runs_and_no_card_is_refused() -> (
    None
):
    def access(t_s: float, source: str, authorised: int | None) -> Event:
        return event(
            t_s, 6, "s1", "test", source, authorised, None, "0008627839", None, None, 1, b""
        )

    seen = tell(
        book(),
        HOME,
        access(1, "illegal_card", 0),
        access(2, "cards_registered", None),
        access(3, "cards_changed", None),
        access(4, "illegal_card", 0),
    )
    found = [(f.phase.value, f.value) for f in seen.findings if f.code == "SEAL_ACCESS_REFUSED"]
    assert found == [
        ("begin", "card"),
        ("end", None),
        ("begin", "cards_registered"),
        ("end", None),
        ("begin", "cards_changed"),
    ]


def test_a_battery_is_low_lower_and_well_again() -> None:
    rows = [
        seal(n, battery=percent, **SHUT) for n, percent in enumerate((50, 14, 10, 4, 18, 25), 1)
    ]
    seen = tell(book(), HOME, *rows)
    found = [f for f in seen.findings if f.code == "BATTERY_LOW"]
    assert [(f.phase.value, f.priority, f.value) for f in found] == [
        ("begin", Priority.P3, 14),
        ("change", Priority.P2, 4),
        ("end", Priority.P3, 25),
    ]


def test_a_door_is_told_unless_the_seal_is_open_by_order() -> None:
    door = event(6, 8, "door", 1)
    assert "DOOR_OPEN_UNAUTHORISED" in seal_codes(tell(book(), HOME, seal(1, **SHUT), door))
    legal = tell(book(order()), HOME, seal(1, **SHUT), seal(5, **OPEN), door)
    assert "DOOR_OPEN_UNAUTHORISED" not in seal_codes(legal)


def test_panic_is_distress() -> None:
    seen = tell(book(), HOME, event(5, 17, "button"))
    assert one(seen, "DRIVER_DISTRESS").value == "button"


@pytest.mark.parametrize(
    "bad",
    [event(5, 5, "s1"), event(5, 5, 7, *([None] * 9)), event(5, 6, "s1", None), event(5, 16, "x"),
     event(5, 8, 1, 1), event(5, 5, "s" * 65, *([None] * 9))],
)  # fmt: skip
def test_data_of_other_types_are_odd_and_not_used(bad: Event) -> None:
    assert seal_codes(tell(book(), HOME, bad)) == ["ODD_EVENT"]


def test_backlog_frames_are_judged_at_the_seals_own_time() -> None:
    data = ("s1", "test", 3, 3, 2, BEGIN_MS - 5_000, None, 1, 1, b"")
    report = read_report(Event(seq=0, kind=5, t_ms=BEGIN_MS, mono_ms=0, data=data))
    assert report is not None
    assert report.at_ms == BEGIN_MS - 5_000
    assert read_access(event(0, 6, "s1")) is None


def test_case_28_a_cut_that_came_early_is_settled_under_the_same_id() -> None:
    unit = Unit()
    first = unit.batch(HOME, seal(1, **SHUT), received_s=900)
    cut = unit.batch(At(t_s=300, x_m=0, y_m=0), seal(301, rope_cut=True, **OPEN), received_s=400)
    early = play(book(), [EarlyCopy(batch=cut)])
    assert seal_codes(early) == ["SEAL_OPEN_UNAUTHORISED"]
    settled = replace(cut, received_ms=BEGIN_MS + 901_000, early_ms=BEGIN_MS + 400_000)
    in_order = play(book(), [first, settled])
    assert one(in_order, "SEAL_OPEN_UNAUTHORISED").id == early.findings[0].id
    (outcome,) = in_order.results[0].settled
    assert (outcome.id, outcome.outcome) == (early.findings[0].id, SettledAs.CONFIRMED)
    assert early.findings[0].late is False
    assert one(in_order, "SEAL_OPEN_UNAUTHORISED").late is True


def test_case_29_an_early_alert_is_withdrawn_when_the_fix_came_with_the_batch_before() -> None:
    unit = Unit()
    first = unit.batch(HOME, seal(1, **SHUT), At(t_s=290, x_m=0, y_m=0), received_s=900)
    opening = unit.batch(seal(300, **OPEN), received_s=310)
    early = play(book(order()), [EarlyCopy(batch=opening)])
    assert early.findings[0].value == "place_unknown"
    settled = replace(opening, early_ms=BEGIN_MS + 310_000, received_ms=BEGIN_MS + 900_000)
    in_order = play(book(order()), [first, settled])
    assert "SEAL_OPENED" in seal_codes(in_order)
    assert [one.outcome for one in in_order.results[0].settled] == [SettledAs.WITHDRAWN]


def test_an_early_alert_whose_reason_changes_is_amended() -> None:
    unit = Unit()
    first = unit.batch(HOME, seal(1, **SHUT), At(t_s=290, x_m=3_000, y_m=0), received_s=900)
    opening = unit.batch(seal(300, **OPEN), received_s=310, early_s=310)
    in_order = play(book(order()), [first, opening])
    (outcome,) = in_order.results[0].settled
    assert outcome.outcome is SettledAs.AMENDED
    assert outcome.finding.value == "wrong_place"


def test_case_30_an_order_withdrawn_between_opening_and_receipt_was_legal() -> None:
    seen = tell(book(order(withdrawn_ms=BEGIN_MS + 50_000)), HOME, seal(1, **SHUT), seal(5, **OPEN))
    assert "SEAL_OPENED" in seal_codes(seen)


def test_an_order_given_between_early_and_late_copy_legalises_nothing() -> None:
    unit = Unit()
    first = unit.batch(HOME, seal(1, **SHUT), received_s=900)
    opening = unit.batch(At(t_s=299, x_m=0, y_m=0), seal(300, **OPEN), received_s=900, early_s=310)
    rules = book(order(known_ms=BEGIN_MS + 600_000))
    assert one(play(rules, [first, opening]), "SEAL_OPEN_UNAUTHORISED").value == "no_order"


def test_a_heartbeat_of_an_open_seal_raises_nothing_early() -> None:
    assert judge(book(), Unit().batch(HOME, seal(5, cause=2, **OPEN))) == ()
    assert judge(book(), Unit().batch(HOME, seal(5, cause=1, **OPEN))) != ()


def test_case_18_every_life_survives_its_blob() -> None:
    unit = Unit()
    steps: list[At | Event] = [
        HOME,
        seal(1, vibration=True),
        seal(2, **SHUT),
        seal(5, **OPEN),
        seal(60, **SHUT),
    ]
    steps += [seal(70, **OPEN), seal(80, **SHUT)]
    lives = set()
    for result in play(book(order()), [unit.batch(one) for one in steps], cut=1).results:
        state = result.states["u"]
        assert unpack(pack(state)) == state
        lives |= {seal_.life for seal_ in state.seals.seals}
    assert lives == set(Life)


def test_the_blob_of_64_seals_fits() -> None:
    rows = [seal(1 + n, seal_id=f"{n:010d}", **SHUT) for n in range(80)]
    seen = play(book(), [Unit().batch(HOME, *rows)])
    assert len(seen.states["u"].seals.seals) == 64
    assert len(blobs(seen)["u"]) <= 4_096
