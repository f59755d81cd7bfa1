"""What an officer beside the truck should do, by what the unit knows (CONSOLE section 6, EDGE section 9).

Law: pure. The first row that holds gives the colour. Never green from old data: green says how long it stays so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from wire.records import SealBit

OLD_S = 900  # a fix, or a seal's report, of a quarter of an hour ago says nothing of now
ANSWER_S = 300  # an answer is green no longer than this
BEHIND_S = 120  # what waits longer is a backlog: the centre lacks it (WIRE section 10)
BATTERY_PERCENT_MIN = 15
REASONS_MAX = 3

_BROKEN = (
    (SealBit.ROPE_CUT, "rope_cut"),
    (SealBit.COVER_OPENED, "cover_opened"),
    (SealBit.REMOVED, "removed"),
    (SealBit.OPENED_WHILE_SEALED, "opened_while_sealed"),
)
_ODD = (
    (SealBit.ILLEGAL_CARD, "illegal_card"),
    (SealBit.WRONG_PASSWORD, "wrong_password"),
    (SealBit.MOTOR_STUCK, "motor_stuck"),
    (SealBit.LONG_UNLOCKED, "long_unlocked"),
)


class Colour(Enum):
    """CONSOLE section 6: stop, check, unknown, let go."""

    RED = "red"
    AMBER = "amber"
    GREY = "grey"
    GREEN = "green"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSeen:
    """A seal as the page shows it."""

    seal_id: str
    known: int
    true: int
    battery_percent: int | None
    silent: bool
    age_s: int | None  # None: not heard since the start

    @property
    def locked(self) -> bool | None:
        return bool(self.true & SealBit.LOCKED) if self.known & SealBit.LOCKED else None

    def alarms(self) -> tuple[str, ...]:
        """Names of all that is wrong with it."""
        found = [name for bit, name in (*_BROKEN, *_ODD) if self.true & bit]
        return (*found, "low_battery") if self.battery_is_low else tuple(found)

    @property
    def battery_is_low(self) -> bool:
        if self.battery_percent is not None:
            return self.battery_percent < BATTERY_PERCENT_MIN
        return bool(self.true & SealBit.LOW_BATTERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the verdict rests on."""

    seals: Sequence[SealSeen]
    fix_age_s: int | None
    time_quality: int
    waiting: int
    oldest_waiting_s: int | None
    at_home: bool  # a chain waits for the collector's word
    store: str  # ok, full, spill, silent
    distrusted: str  # the collector's receipt names another head than ours
    interference: bool
    stuck: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why; the sentence is made where the language is known."""

    code: str
    seal: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do, at most three reasons, and for how long it may be called green."""

    colour: Colour
    reasons: tuple[Reason, ...]
    green_s: int = 0


def verdict(known: Known) -> Verdict:
    """The first of stop, check, unknown that has a reason; else let go."""
    rows = (
        (Colour.RED, list(_stop(known))),
        (Colour.AMBER, list(_check(known))),
        (Colour.GREY, list(_unknown(known))),
    )
    reasons = tuple(reason for _, found in rows for reason in found)[:REASONS_MAX]
    for colour, found in rows:
        if found:
            return Verdict(colour=colour, reasons=reasons)
    ages = [seal.age_s for seal in known.seals] + [known.fix_age_s]
    green_s = min(ANSWER_S, *(OLD_S - age for age in ages if age is not None))
    return Verdict(colour=Colour.GREEN, reasons=(), green_s=green_s)


def _stop(known: Known) -> Iterator[Reason]:
    for seal in known.seals:
        for bit, name in _BROKEN:
            if seal.true & bit:
                yield Reason(code=name, seal=seal.seal_id)
                break
    if known.distrusted:
        yield Reason(code="head_mismatch")


def _check(known: Known) -> Iterator[Reason]:
    for seal in known.seals:
        broken = any(seal.true & bit for bit, _ in _BROKEN)
        if seal.locked is False and not broken:  # said already
            yield Reason(code="not_locked", seal=seal.seal_id)
        for bit, name in _ODD:
            if seal.true & bit:
                yield Reason(code=name, seal=seal.seal_id)
                break
        if seal.battery_is_low:
            yield Reason(code="low_battery", seal=seal.seal_id)
    if known.interference:
        yield Reason(code="interference")
    behind = known.oldest_waiting_s is not None and known.oldest_waiting_s > BEHIND_S
    if behind or known.at_home or known.stuck:
        yield Reason(code="centre_lacks", number=known.waiting)
    if known.store == "full":
        yield Reason(code="store_full")


def _unknown(known: Known) -> Iterator[Reason]:
    if known.time_quality == 0:
        yield Reason(code="no_time")
    if known.fix_age_s is None:
        yield Reason(code="no_fix")
    elif known.fix_age_s >= OLD_S:
        yield Reason(code="old_fix", number=known.fix_age_s)
    for seal in known.seals:
        if seal.age_s is None:
            yield Reason(code="seal_unheard", seal=seal.seal_id)
        elif seal.age_s >= OLD_S or seal.silent:
            yield Reason(code="seal_silent", seal=seal.seal_id, number=seal.age_s)
    if known.store == "spill":
        yield Reason(code="store_spill")
    if known.store == "silent":
        yield Reason(code="store_silent")
