"""What the seal's reports mean, judged by order, place, time and card (DETECTION section 7.4). Here: the words that its rooms share.

Law: what a device does not report is None and starts nothing. An opening is judged once, here, by event time, by the same code in
an early copy and in order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from collector.detect import Hit, Place
from collector.detect.rules import Rulebook, Rules
from wire.records import SealBit

SEAL_ID_CHARS_MAX = 64
LEVELS = (SealBit.LOCKED, SealBit.ROPE_IN, SealBit.DOOR_CLOSED)
EARLY_CODES = frozenset(
    {
        "SEAL_OPEN_UNAUTHORISED",
        "SEAL_CASING_TAMPER",
        "DOOR_OPEN_UNAUTHORISED",
        "DRIVER_DISTRESS",
    }
)


class Life(IntEnum):
    UNKNOWN = 0
    SEALED = 1
    OPEN_BY_ORDER = 2
    OPEN_BAD = 3
    RECLOSED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Kind 5, as far as it is judged."""

    seal: str
    at_ms: int
    known: int
    true: int
    battery_percent: int | None
    cause: int | None

    def says(self, bit: SealBit) -> bool | None:
        return bool(self.true & bit) if self.known & bit else None

    @property
    def cut(self) -> str | None:
        if self.says(SealBit.ROPE_CUT):
            return "rope_cut"
        return "removed" if self.says(SealBit.REMOVED) else None

    @property
    def is_open(self) -> bool:
        if self.says(SealBit.OPENED_WHILE_SEALED):
            return True
        levels = [self.says(SealBit.LOCKED), self.says(SealBit.ROPE_IN)]
        if levels == [None, None]:
            return self.says(SealBit.DOOR_CLOSED) is False
        return False in levels

    @property
    def is_closed(self) -> bool:
        said = [self.says(bit) for bit in (*LEVELS, SealBit.COVER_CLOSED)]
        return True in said and False not in said and not self.is_open and self.cut is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Kind 6, as far as it is judged."""

    seal: str
    at_ms: int
    source: str | None
    authorised: bool | None
    opened: bool | None
    card: str | None
    wrong_passwords: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """One seal of a unit, as the evidence has it."""

    seal: str
    life: Life = Life.UNKNOWN
    seq: int = 0  # of the record that opened it
    opened_ms: int = 0
    zone: str | None = None  # of the order that opened it
    left_open_seq: int | None = None  # SEAL_LEFT_OPEN runs
    journey: str | None = None  # on which it was opened badly
    lost_seq: int | None = None  # SEAL_LOST runs
    lost_ms: int = 0
    lost_n: int = 0
    covered: bool = False  # SEAL_CASING_TAMPER said, cover not seen closed since
    strange: int = 0  # reports although it is not declared
    card: str | None = None  # of the last opening access
    card_ms: int = 0
    wrong_ms: tuple[int, ...] = ()  # of the last wrong passwords
    refused_seq: int | None = None  # SEAL_ACCESS_REFUSED runs
    refused_ms: int = 0
    illegal_card: bool = False  # the bit of the last report
    wrong_password: bool = False
    battery_seq: int | None = None  # BATTERY_LOW runs
    battery_n: int = 0
    battery_low: bool = False  # it is at P2
    stuck_seq: int | None = None  # DEVICE_FAULT motor_stuck runs


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    seals: tuple[Seal, ...] = ()  # sorted by id
    used: tuple[tuple[str, int], ...] = ()  # orders used, and until when they could be again


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    state: State
    hits: tuple[Hit, ...] = ()
    odd: bool = False  # the event's data are shorter or of other types than WIRE section 6 says


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a seal's event must not look up."""

    unit: str
    book: Rulebook
    near: Callable[[int], Place | None]  # a good fix within `place_s` of a time
    came_ms: int | None  # when the event's batch was first heard
    assume_sealed: bool = False  # an early copy: what is not known yet is taken as sealed


LOST_P1_MS = 900_000
REFUSED_MS = 3_600_000  # so long without another: over


def quiet(state: State) -> bool:
    """No seal stands open by order, to be watched fix by fix."""
    return all(seal.life is not Life.OPEN_BY_ORDER or is_left_open(seal) for seal in state.seals)


def due_ms(rules: Rules, state: State) -> int | None:
    """When time alone would say something, proved by the next fix."""
    times: list[int] = []
    for seal in state.seals:
        if seal.life is Life.OPEN_BY_ORDER and seal.left_open_seq is None:
            times.append(seal.opened_ms + rules.thresholds.relock_s * 1_000)
        if seal.lost_seq is not None and seal.lost_n == 1:
            times.append(seal.lost_ms + LOST_P1_MS)
        if seal.refused_seq is not None:
            times.append(seal.refused_ms + REFUSED_MS)
    return min(times, default=None)


def is_left_open(seal: Seal) -> bool:
    """SEAL_LEFT_OPEN is said: nothing more to watch for."""
    return seal.left_open_seq is not None
