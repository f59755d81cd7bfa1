"""The life of a seal with a rope and a motor (DEVICES 8.2), as one table. Knows no bytes and no time.

Law: what is not in the table changes nothing and says nothing.
"""

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["LEVELS", "LIFE", "Happening", "Levels", "Row", "Say", "State", "moves_motor"]


class State(Enum):
    UNARMED = "unarmed"  # rope out, motor open
    ARMED = "armed"  # in, locked; the new password is not confirmed yet
    SEALED = "sealed"  # in, locked
    OPENED = "opened"  # in, open, by authority
    CUT = "cut"  # out, locked: no honest hand does that
    FORCED = "forced"  # in, open, by nobody's authority


class Happening(Enum):
    """What may happen to it. Which of the cases of a card or a password holds is decided outside, from its settings."""

    ROPE_IN = auto()
    ROPE_OUT = auto()
    CUT = auto()
    FORCE = auto()
    PASSWORD_TOLD = auto()  # the unit answered P52,2, or there is no dynamic password
    CARD_OPENS = auto()  # listed, inside its fence or no fence tied
    CARD_OUTSIDE = auto()
    CARD_UNKNOWN = auto()
    STATIC_RIGHT = auto()
    STATIC_WRONG = auto()  # also: the right one by a closed channel
    DYNAMIC_RIGHT = auto()
    DYNAMIC_WRONG = auto()
    FIFTH_WRONG = auto()
    RELOCK = auto()  # 60 s open without rope out
    LONG_UNLOCKED = auto()


class Say(Enum):
    """What it says about it, in this order on the line."""

    AUTO_LOCK = auto()  # P45, source 5
    CARD = auto()  # P45, source 1, the fence or 98
    CARD_OUTSIDE = auto()  # P45, source 1, 99
    CARD_REFUSED = auto()  # P45, source 2
    STATIC = auto()  # P45, source 4, 1
    STATIC_REFUSED = auto()  # P45, source 4, 0
    DYNAMIC = auto()  # P45, source 6, the fence or 98
    DYNAMIC_REFUSED = auto()  # P45, source 6, 0
    ANSWER_YES = auto()  # to the order, 1 and the count of wrong ones
    ANSWER_NO = auto()
    REPORT = auto()  # live frame, wake 1
    REPORT_ROPE = auto()  # live frame, wake 4
    ALARM_CUT = auto()  # alarm frame, bit 3
    ALARM_LONG = auto()  # bit 8
    ALARM_PASSWORD = auto()  # bit 9
    ALARM_CARD = auto()  # bit 10
    NEW_PASSWORD = auto()  # P52,2 every 60 s until it is confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    rope_in: bool
    locked: bool


LEVELS: dict[State, Levels] = {
    State.UNARMED: Levels(rope_in=False, locked=False),
    State.ARMED: Levels(rope_in=True, locked=True),
    State.SEALED: Levels(rope_in=True, locked=True),
    State.OPENED: Levels(rope_in=True, locked=False),
    State.CUT: Levels(rope_in=False, locked=True),
    State.FORCED: Levels(rope_in=True, locked=False),
}


@dataclass(frozen=True, slots=True)
class Row:
    to: State
    says: tuple[Say, ...] = ()


_ARMING = (Say.AUTO_LOCK, Say.REPORT_ROPE, Say.NEW_PASSWORD)


def _locked(state: State) -> dict[Happening, Row]:
    """The rows that ARMED and SEALED share."""
    return {
        Happening.CARD_OPENS: Row(State.OPENED, (Say.CARD,)),
        Happening.CARD_OUTSIDE: Row(state, (Say.CARD_OUTSIDE,)),
        Happening.CARD_UNKNOWN: Row(state, (Say.CARD_REFUSED, Say.ALARM_CARD)),
        Happening.STATIC_RIGHT: Row(State.OPENED, (Say.ANSWER_YES, Say.STATIC)),
        Happening.DYNAMIC_RIGHT: Row(State.OPENED, (Say.ANSWER_YES, Say.DYNAMIC)),
        Happening.STATIC_WRONG: Row(state, (Say.ANSWER_NO, Say.STATIC_REFUSED)),
        Happening.DYNAMIC_WRONG: Row(state, (Say.ANSWER_NO, Say.DYNAMIC_REFUSED)),
        Happening.FIFTH_WRONG: Row(state, (Say.ALARM_PASSWORD,)),
        Happening.CUT: Row(State.CUT, (Say.ALARM_CUT,)),
        Happening.FORCE: Row(State.FORCED, (Say.REPORT,)),
    }


def _open(state: State) -> dict[Happening, Row]:
    """Keys tried on UNARMED and OPENED: heard, answered, and nothing left to open."""
    return {
        Happening.CARD_OPENS: Row(state, (Say.CARD,)),
        Happening.CARD_OUTSIDE: Row(state, (Say.CARD_OUTSIDE,)),
        Happening.CARD_UNKNOWN: Row(state, (Say.CARD_REFUSED, Say.ALARM_CARD)),
        Happening.STATIC_RIGHT: Row(state, (Say.ANSWER_YES, Say.STATIC)),
        Happening.DYNAMIC_RIGHT: Row(state, (Say.ANSWER_YES, Say.DYNAMIC)),
        Happening.STATIC_WRONG: Row(state, (Say.ANSWER_NO, Say.STATIC_REFUSED)),
        Happening.DYNAMIC_WRONG: Row(state, (Say.ANSWER_NO, Say.DYNAMIC_REFUSED)),
        Happening.FIFTH_WRONG: Row(state, (Say.ALARM_PASSWORD,)),
        Happening.LONG_UNLOCKED: Row(state, (Say.ALARM_LONG,)),
    }


LIFE: dict[State, dict[Happening, Row]] = {
    State.UNARMED: {
        **_open(State.UNARMED),
        Happening.ROPE_IN: Row(State.ARMED, _ARMING),
    },
    State.ARMED: {
        **_locked(State.ARMED),
        Happening.PASSWORD_TOLD: Row(State.SEALED),
    },
    State.SEALED: _locked(State.SEALED),
    State.OPENED: {
        **_open(State.OPENED),
        Happening.ROPE_OUT: Row(State.UNARMED, (Say.REPORT_ROPE,)),
        Happening.RELOCK: Row(State.SEALED, (Say.AUTO_LOCK,)),
    },
    State.CUT: {
        Happening.ROPE_IN: Row(State.ARMED, _ARMING),
    },
    State.FORCED: {
        Happening.ROPE_OUT: Row(State.UNARMED, (Say.REPORT_ROPE,)),
        Happening.LONG_UNLOCKED: Row(State.FORCED, (Say.ALARM_LONG,)),
    },
}


def moves_motor(state: State, row: Row) -> bool:
    """Whether the bolt has to turn by its own motor: what a stuck one cannot do. Force needs no motor."""
    return LEVELS[state].locked != LEVELS[row.to].locked and row.to is not State.FORCED
