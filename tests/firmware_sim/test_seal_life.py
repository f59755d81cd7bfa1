import pytest

from firmware_sim.seal_life import LEVELS, LIFE, Happening, Say, State, moves_motor

CUT, FORCED, ARMED, SEALED, OPENED, UNARMED = (
    State.CUT,
    State.FORCED,
    State.ARMED,
    State.SEALED,
    State.OPENED,
    State.UNARMED,
)


def test_each_state_has_its_row_and_its_levels() -> None:
    assert set(LIFE) == set(LEVELS) == set(State)


@pytest.mark.parametrize(
    ("state", "happening", "to"),
    [
        (UNARMED, Happening.ROPE_IN, ARMED),
        (ARMED, Happening.PASSWORD_TOLD, SEALED),
        (SEALED, Happening.CARD_OPENS, OPENED),
        (ARMED, Happening.CARD_OPENS, OPENED),
        (SEALED, Happening.CARD_OUTSIDE, SEALED),
        (SEALED, Happening.CARD_UNKNOWN, SEALED),
        (ARMED, Happening.STATIC_RIGHT, OPENED),
        (SEALED, Happening.DYNAMIC_RIGHT, OPENED),
        (SEALED, Happening.STATIC_WRONG, SEALED),
        (ARMED, Happening.DYNAMIC_WRONG, ARMED),
        (SEALED, Happening.CUT, CUT),
        (ARMED, Happening.CUT, CUT),
        (SEALED, Happening.FORCE, FORCED),
        (OPENED, Happening.ROPE_OUT, UNARMED),
        (OPENED, Happening.RELOCK, SEALED),
        (OPENED, Happening.LONG_UNLOCKED, OPENED),
        (UNARMED, Happening.LONG_UNLOCKED, UNARMED),
        (FORCED, Happening.LONG_UNLOCKED, FORCED),
        (UNARMED, Happening.STATIC_RIGHT, UNARMED),
        (OPENED, Happening.CARD_OPENS, OPENED),
        (CUT, Happening.ROPE_IN, ARMED),
        (FORCED, Happening.ROPE_OUT, UNARMED),
    ],
)
def test_the_table_goes_as_the_paper_says(state: State, happening: Happening, to: State) -> None:
    assert LIFE[state][happening].to is to


@pytest.mark.parametrize(
    ("state", "happening"),
    [
        (UNARMED, Happening.CUT),
        (UNARMED, Happening.ROPE_OUT),
        (SEALED, Happening.ROPE_OUT),
        (OPENED, Happening.CUT),
        (CUT, Happening.CUT),
        (CUT, Happening.STATIC_RIGHT),
        (FORCED, Happening.CARD_OPENS),
    ],
)
def test_what_is_not_in_the_table_does_not_happen(state: State, happening: Happening) -> None:
    assert happening not in LIFE[state]


def test_only_cut_and_forced_are_reached_without_authority() -> None:
    ways = {
        (happening, row.to)
        for state in (ARMED, SEALED)
        for happening, row in LIFE[state].items()
        if not LEVELS[row.to].locked or not LEVELS[row.to].rope_in
    }
    assert ways == {
        (Happening.CARD_OPENS, OPENED),
        (Happening.STATIC_RIGHT, OPENED),
        (Happening.DYNAMIC_RIGHT, OPENED),
        (Happening.CUT, CUT),
        (Happening.FORCE, FORCED),
    }


def test_a_cut_needs_no_motor_and_an_opening_does() -> None:
    assert moves_motor(SEALED, LIFE[SEALED][Happening.CARD_OPENS])
    assert moves_motor(UNARMED, LIFE[UNARMED][Happening.ROPE_IN])
    assert not moves_motor(SEALED, LIFE[SEALED][Happening.CUT])
    assert not moves_motor(SEALED, LIFE[SEALED][Happening.FORCE])


def test_every_word_of_the_seal_is_said_somewhere() -> None:
    assert {say for rows in LIFE.values() for row in rows.values() for say in row.says} == set(Say)
