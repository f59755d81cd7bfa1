"""The load of a desk from the history of its alerts (DETECTION section 9, Metrics)."""

from collector.alarm_load import WINDOW_MS, Load, Moved, bars_of, is_flooded, load_of

BEGIN_MS = 1_795_330_000_000
MINUTE_MS = 60_000


def moved(at_min: float, act: str = "raise", state: str = "UNACKED", **more: object) -> Moved:
    name = more.get("alert", f"{at_min}")
    outcome = more.get("outcome")
    return Moved(
        alert=str(name).encode(),
        code=str(more.get("code", "ROUTE_DEVIATION")),
        unit=str(more.get("unit", "uz-01")),
        priority=str(more.get("priority", "P2")),
        at_ms=BEGIN_MS + round(at_min * MINUTE_MS),
        act=act,
        state=state,
        outcome=None if outcome is None else str(outcome),
    )


def load(*moves: Moved, minutes: float = 120) -> Load:
    end_ms = BEGIN_MS + round(minutes * MINUTE_MS)
    return load_of(sorted(moves, key=lambda one: one.at_ms), begin_ms=BEGIN_MS, end_ms=end_ms)


def test_a_quiet_desk_has_nothing() -> None:
    found = load()
    assert (found.annunciated, found.floods, found.in_flood_percent) == (0, 0, 0.0)


def test_what_sounds_is_counted_by_windows_of_ten_minutes() -> None:
    found = load(*(moved(minute) for minute in (1, 2, 3, 15)))
    assert (found.annunciated, found.per_window_max) == (4, 3)
    assert found.per_window_mean == round(4 / 12, 2)
    shelved = moved(4, "again", "SHELVED")
    assert load(shelved).annunciated == 0


def test_stretches_hold_what_the_whole_holds_and_the_last_may_be_short() -> None:
    moves = [moved(minute) for minute in (0, 1, 59, 61, 149)]
    bars = bars_of(
        moves,
        begin_ms=BEGIN_MS,
        end_ms=BEGIN_MS + 150 * MINUTE_MS,
        bar_ms=60 * MINUTE_MS,
    )
    assert [one.annunciated for one in bars] == [3, 1, 1]
    assert [one.per_window_max for one in bars] == [2, 1, 1]
    assert [one.per_window_mean for one in bars] == [0.5, 0.17, 0.33]


def test_eleven_in_ten_minutes_are_a_flood_until_fewer_than_five_are_left() -> None:
    found = load(*(moved(n * 0.5) for n in range(11)))
    assert (found.floods, found.windows_over_10_percent) == (1, round(100 / 12, 1))
    # it began with the eleventh at minute 5 and ended when the seventh of eleven left the window, at minute 13
    assert found.in_flood_percent == round(100 * 8 / 120, 1)
    assert load(*(moved(n * 0.5) for n in range(10))).floods == 0


def test_whether_it_is_flooded_now_agrees_with_the_time_in_flood() -> None:
    minute_ms = 60_000
    eleven = [n * minute_ms // 2 for n in range(11)]
    assert not is_flooded(eleven[:10], eleven[9])
    assert is_flooded(eleven, eleven[10])
    over_ms = eleven[-5] + WINDOW_MS  # then four are left
    assert is_flooded(eleven, over_ms - 1)
    assert not is_flooded(eleven, over_ms + 1)
    assert not is_flooded([*eleven, over_ms + minute_ms], over_ms + minute_ms)
    assert not is_flooded([], 0)


def test_a_key_that_flaps_chatters() -> None:
    flaps = [
        moved(
            0.1 * n,
            "clear" if n % 2 else "again",
            "CLEARED_UNACKED" if n % 2 else "UNACKED",
            alert="a",
        )
        for n in range(4)
    ]
    assert load(*flaps).chattering == 1
    assert load(*flaps[:3]).chattering == 0


def test_an_alert_that_is_active_for_a_day_is_stale() -> None:
    old = moved(-1_500, alert="old")
    assert load(old).stale == 1
    assert load(old, moved(5, "clear", "CLEARED_UNACKED", alert="old")).stale == 0


def test_time_to_acknowledge_is_told_by_priority() -> None:
    found = load(
        moved(1, alert="a", priority="P1"),
        moved(2, "ack", "ACKED", alert="a", priority="P1"),
        moved(3, alert="b"),
        moved(8, "ack", "ACKED", alert="b"),
    )
    assert found.to_ack_s == {"P1": (60.0, 60.0), "P2": (300.0, 300.0)}
    assert found.by_priority_percent == {"P1": 50.0, "P2": 50.0, "P3": 0.0}


def test_precision_is_what_was_no_false_alarm_of_those_with_an_outcome() -> None:
    outcomes = ("TRUE_VIOLATION", "FALSE", "TECHNICAL", "AUTHORISED_ACTION", "TEST")
    found = load(*(moved(n, "ack", "CLOSED", alert=str(n), outcome=word) for n, word in enumerate(outcomes)))  # fmt: skip
    assert found.precision_percent == {"ROUTE_DEVIATION": 50.0}
    assert found.outcomes["TEST"] == 1


def test_the_ten_worst_keys_and_their_share() -> None:
    many = [moved(n * 1.0, unit="uz-07") for n in range(9)]
    found = load(*many, moved(30, unit="uz-08"))
    assert found.top[0] == ("ROUTE_DEVIATION", "uz-07", 9)
    assert found.top_percent == 100.0
    assert WINDOW_MS == 600_000
