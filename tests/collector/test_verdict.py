"""The officer's table: the first row wins, old data make nothing better, and green says until when it holds."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st

from collector.customs.verdict import (
    REASONS_MAX,
    AlertSeen,
    Claim,
    Code,
    Colour,
    Facts,
    Limits,
    SealLife,
    SealSeen,
    verdict,
)
from wire.records import SealBit as Bit

NOW = 1_795_330_000_000
S = 1_000
MIN = 60 * S
LIMITS = Limits()
SEAL = "7591225008"
CLOSED = int(Bit.LOCKED | Bit.ROPE_IN)


def seal(true: int = CLOSED, **more: Any) -> SealSeen:  # noqa: ANN401  # a test says what it likes
    said = {"reported_ms": NOW - 40 * S, "known": 0xFFFF, "battery_percent": 80, **more}
    return SealSeen(seal_id=SEAL, true=true, **{"life": SealLife.SEALED, **said})


def facts(**more: Any) -> Facts:  # noqa: ANN401  # as above
    said: dict[str, Any] = {
        "journey": "26UZ000001726001J6",
        "seals": [seal()],
        "fix_ms": NOW - 10 * S,
        "ingest_ms": NOW - 5 * S,
        "overdue_ms": NOW + 180 * MIN,
        **more,
    }
    return Facts(**said)


def alert(priority: str, code: str = "ROUTE_DEVIATION", of: str = "") -> AlertSeen:
    return AlertSeen(code=code, priority=priority, at_ms=NOW - MIN, seal=of)


ROWS: list[tuple[dict[str, Any], str, list[str]]] = [
    ({}, "green", []),
    # stop
    ({"seals": [seal(CLOSED | Bit.ROPE_CUT)]}, "red", ["rope_cut"]),
    ({"seals": [seal(Bit.REMOVED)]}, "red", ["removed"]),
    ({"seals": [seal(CLOSED | Bit.COVER_OPENED)]}, "red", ["cover_opened"]),
    ({"seals": [seal(CLOSED | Bit.OPENED_WHILE_SEALED)]}, "red", ["opened_while_sealed"]),
    ({"seals": [seal(Bit.ROPE_IN, life=SealLife.OPEN_BAD)]}, "red", ["opened"]),
    ({"seals": [seal(declared=False)]}, "red", ["foreign_seal"]),
    ({"alerts": [alert("P1", "FORBIDDEN_ZONE")]}, "red", ["alert"]),
    ({"stopped_ms": NOW - MIN}, "red", ["stop_order"]),
    ({"forked_ms": NOW - MIN}, "red", ["forked"]),
    ({"differs_ms": NOW - MIN}, "red", ["differs_reported"]),
    ({"code": Code.DIFFERS, "code_ms": NOW}, "red", ["head_mismatch"]),
    ({"code": Code.REVOKED, "code_ms": NOW}, "red", ["key_revoked"]),
    ({"key_revoked": True}, "red", ["key_revoked"]),
    ({"broken_ms": NOW - MIN}, "red", ["broken"]),
    # check
    ({"alerts": [alert("P2")]}, "amber", ["alert"]),
    ({"alerts": [alert("P3")]}, "amber", ["alert"]),
    ({"overdue_ms": NOW}, "amber", ["overdue"]),
    ({"claims": [Claim(number="01A123BC", journey="X")]}, "amber", ["other_journey"]),
    ({"journey": ""}, "amber", ["no_journey"]),
    ({"lacks": 3, "lacks_ms": NOW - 2 * MIN}, "amber", ["centre_lacks"]),
    ({"lacks": 3, "lacks_ms": NOW - MIN}, "green", []),  # on its way
    ({"code": Code.LACKS, "code_ms": NOW, "code_lacks": 2}, "amber", ["centre_lacks"]),
    ({"seals": [seal(battery_percent=14)]}, "amber", ["low_battery"]),
    ({"seals": [seal(battery_percent=15)]}, "green", []),
    ({"seals": [seal(CLOSED | Bit.LOW_BATTERY, battery_percent=None)]}, "amber", ["low_battery"]),
    ({"seals": [seal(Bit.ROPE_IN)]}, "amber", ["not_locked"]),
    (
        {"seals": [seal(Bit.OPENED_WHILE_SEALED, life=SealLife.OPEN_BY_ORDER)]},
        "amber",
        ["not_locked"],
    ),
    ({"seals": [seal(Bit.LOCKED)]}, "amber", ["not_locked"]),  # and no rope in it
    ({"seals": [seal(0, known=int(Bit.DOOR_CLOSED))]}, "amber", ["not_locked"]),
    # unknown
    ({"seals": [seal(0, known=0)]}, "green", []),  # closed, as the detectors have heard before
    *(
        ({"seals": [seal(0, known=0, life=life)]}, "grey", ["lock_unknown"])
        for life in (SealLife.UNKNOWN, SealLife.OPEN_BY_ORDER, SealLife.RECLOSED)
    ),
    ({"seals": [seal(CLOSED, known=int(Bit.ROPE_IN), life=SealLife.UNKNOWN)]}, "green", []),
    ({"found": False}, "grey", ["not_found"]),
    ({"fix_ms": None}, "grey", ["no_fix"]),
    ({"fix_ms": NOW - 15 * MIN}, "grey", ["old_fix"]),
    ({"fix_ms": NOW - 15 * MIN + 1}, "green", []),
    ({"seals": [seal(reported_ms=NOW - 15 * MIN)]}, "grey", ["seal_silent"]),
    ({"seals": [seal(reported_ms=None)]}, "grey", ["seal_unheard"]),
    ({"seals": []}, "grey", ["no_seal"]),
    ({"seals": [], "needs_seal": False}, "green", []),
    ({"seals": [seal(Bit.ROPE_IN, reported_ms=1)], "needs_seal": False}, "green", []),
    ({"ingest_ms": NOW - 6 * MIN}, "grey", ["centre_deaf"]),
    ({"ingest_ms": None}, "grey", ["centre_deaf"]),
    ({"from_network": False}, "grey", ["from_store"]),
    ({"code": Code.SAME, "code_ms": NOW - 15 * MIN}, "grey", ["old_code"]),
    ({"code": Code.SAME, "code_ms": NOW + 15 * MIN}, "grey", ["old_code"]),
    ({"code": Code.SAME, "code_ms": NOW - MIN}, "green", []),
    # the first row wins, and the reasons of the others stand behind its own
    ({"fix_ms": None, "stopped_ms": NOW}, "red", ["stop_order", "no_fix"]),
    ({"fix_ms": None, "alerts": [alert("P2")]}, "amber", ["alert", "no_fix"]),
    ({"from_network": False, "alerts": [alert("P1")]}, "red", ["alert", "from_store"]),
]


@pytest.mark.parametrize(("more", "colour", "codes"), ROWS)
def test_the_first_row_that_holds_gives_the_colour(
    more: dict[str, Any], colour: str, codes: list[str]
) -> None:
    judged = verdict(facts(**more), LIMITS, NOW)
    assert (judged.colour.value, [reason.code for reason in judged.reasons]) == (colour, codes)


def test_an_alert_that_repeats_what_the_seal_says_is_not_said_twice() -> None:
    cut = seal(Bit.ROPE_CUT, life=SealLife.OPEN_BAD)
    alerts = [alert("P1", "SEAL_OPEN_UNAUTHORISED", SEAL), alert("P1", "DRIVER_DISTRESS")]
    judged = verdict(facts(seals=[cut], alerts=alerts), LIMITS, NOW)
    assert [(one.code, one.name) for one in judged.reasons] == [
        ("rope_cut", ""),
        ("alert", "DRIVER_DISTRESS"),
    ]


def test_a_seal_that_was_closed_again_stays_red_while_its_alert_is_open() -> None:
    again = seal(life=SealLife.RECLOSED)
    alerts = [alert("P1", "SEAL_OPEN_UNAUTHORISED", SEAL)]
    assert verdict(facts(seals=[again], alerts=alerts), LIMITS, NOW).colour is Colour.RED
    assert verdict(facts(seals=[again]), LIMITS, NOW).colour is Colour.GREEN  # two people closed it


@pytest.mark.parametrize(
    ("more", "until_ms"),
    [
        ({}, NOW + 5 * MIN),
        ({"fix_ms": NOW - 13 * MIN}, NOW + 2 * MIN),
        ({"seals": [seal(reported_ms=NOW - 14 * MIN)]}, NOW + MIN),
        ({"ingest_ms": NOW - 5 * MIN}, NOW + MIN),
        ({"overdue_ms": NOW + 7}, NOW + 7),
        ({"lacks": 1, "lacks_ms": NOW - 90 * S}, NOW + 30 * S),
        ({"code": Code.SAME, "code_ms": NOW - 14 * MIN}, NOW + MIN),
    ],
)
def test_green_ends_with_the_first_thing_that_ends(more: dict[str, Any], until_ms: int) -> None:
    assert verdict(facts(**more), LIMITS, NOW).green_until_ms == until_ms


# laws

AGES = st.integers(-2 * MIN, 40 * MIN)
BITS = st.integers(0, 0xFFFF)


@st.composite
def any_seal(draw: st.DrawFn) -> SealSeen:
    age = draw(st.none() | AGES)
    known = draw(BITS)
    return SealSeen(
        seal_id=draw(st.sampled_from(["A1", "B2", "C3"])),
        declared=draw(st.sampled_from([True, True, True, False])),
        reported_ms=None if age is None else NOW - age,
        known=known,
        true=draw(st.sampled_from([CLOSED, CLOSED, 0]) | BITS) & known,
        battery_percent=draw(st.none() | st.integers(0, 100)),
        life=draw(st.sampled_from(SealLife)),
    )


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    """Mostly good ones, so that green is not rare."""

    def often(value: Any, other: st.SearchStrategy[Any]) -> Any:  # noqa: ANN401  # of any field
        return draw(other) if draw(st.integers(0, 7)) == 0 else value

    def past(most: int) -> int:
        return NOW - draw(st.integers(0, most))

    return Facts(
        found=often(True, st.just(False)),
        journey=often("J", st.just("")),
        needs_seal=often(True, st.just(False)),
        seals=often([seal(reported_ms=past(16 * MIN))], st.lists(any_seal(), max_size=3)),
        alerts=often(
            [],
            st.lists(
                st.builds(
                    AlertSeen,
                    code=st.sampled_from(["SEAL_OPEN_UNAUTHORISED", "BATTERY_LOW", "X"]),
                    priority=st.sampled_from(["P1", "P2", "P3"]),
                    at_ms=st.just(NOW),
                    seal=st.sampled_from(["", "A1"]),
                ),
                max_size=5,
            ),
        ),
        stopped_ms=often(None, st.just(NOW)),
        forked_ms=often(None, st.just(NOW)),
        differs_ms=often(None, st.just(NOW)),
        claims=often([], st.just([Claim(number="1", journey="2")])),
        overdue_ms=often(None, st.integers(NOW - MIN, NOW + 10 * MIN)),
        lacks=often(0, st.integers(0, 9)),
        lacks_ms=past(3 * MIN),
        code=often(None, st.sampled_from(Code)),
        code_ms=past(16 * MIN),
        fix_ms=often(past(16 * MIN), st.none()),
        ingest_ms=often(past(7 * MIN), st.none()),
        from_network=often(True, st.just(False)),
    )


@given(any_facts())
def test_at_most_three_reasons_and_none_for_green_alone(known: Facts) -> None:
    judged = verdict(known, LIMITS, NOW)
    assert len(judged.reasons) <= REASONS_MAX
    assert (judged.colour is Colour.GREEN) == (not judged.reasons)
    assert (judged.colour is Colour.GREEN) == (judged.green_until_ms is not None)


@given(any_facts())
def test_never_green_from_old_data(known: Facts) -> None:
    judged = verdict(known, LIMITS, NOW)
    if judged.green_until_ms is None:
        return
    assert known.found
    assert known.from_network
    assert known.fix_ms is not None
    assert known.ingest_ms is not None
    until_ms = judged.green_until_ms
    assert NOW < until_ms <= NOW + LIMITS.answer_ms_max
    assert until_ms <= known.fix_ms + LIMITS.fix_ms_max
    assert until_ms <= known.ingest_ms + LIMITS.ingest_ms_max
    if known.needs_seal:
        assert known.seals
        for one in known.seals:
            assert one.reported_ms is not None
            assert until_ms <= one.reported_ms + LIMITS.seal_ms_max


@given(any_facts(), st.integers(0, 20 * MIN))
def test_green_holds_as_long_as_it_says_and_comes_never_by_waiting(
    known: Facts, later_ms: int
) -> None:
    judged = verdict(known, LIMITS, NOW)
    then = verdict(known, LIMITS, NOW + later_ms)
    if judged.green_until_ms is not None:
        if NOW + later_ms < judged.green_until_ms:
            assert then.colour is Colour.GREEN
        elif judged.green_until_ms < NOW + LIMITS.answer_ms_max:
            assert then.colour is not Colour.GREEN
    elif known.code is None:  # a code from a clock that is ahead is right when its time comes
        assert then.colour is not Colour.GREEN


@given(any_facts(), st.integers(0, 20 * MIN), st.integers(0, 20 * MIN), st.integers(0, 20 * MIN))
def test_older_data_never_make_it_better(
    known: Facts, fix_older: int, seal_older: int, ingest_older: int
) -> None:
    def older(at_ms: int | None, by_ms: int) -> int | None:
        return None if at_ms is None else at_ms - by_ms

    aged = replace(
        known,
        fix_ms=older(known.fix_ms, fix_older),
        ingest_ms=older(known.ingest_ms, ingest_older),
        seals=[replace(one, reported_ms=older(one.reported_ms, seal_older)) for one in known.seals],
    )
    before, after = verdict(known, LIMITS, NOW), verdict(aged, LIMITS, NOW)
    if before.colour is Colour.GREEN:
        assert after.colour in {Colour.GREEN, Colour.GREY}
        if after.green_until_ms is not None:
            assert before.green_until_ms is not None
            assert after.green_until_ms <= before.green_until_ms
    else:
        assert after.colour is before.colour


@given(any_facts())
def test_what_came_out_of_the_phones_store_is_never_green(known: Facts) -> None:
    kept = verdict(replace(known, from_network=False), LIMITS, NOW)
    assert kept.colour is not Colour.GREEN
    asked = verdict(replace(known, from_network=True), LIMITS, NOW)
    assume(asked.colour is not Colour.GREEN)
    assert kept.colour is asked.colour
