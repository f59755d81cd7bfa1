"""What an officer beside the truck should do: stop, check, unknown, let go (CONSOLE section 6).

Law: pure. The first row that holds gives the colour. Old data make an answer less certain, never better: green says until when it is so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from wire.records import SealBit

__all__ = [
    "REASONS_MAX",
    "AlertSeen",
    "Claim",
    "Code",
    "Colour",
    "Facts",
    "Limits",
    "Reason",
    "SealLife",
    "SealSeen",
    "Verdict",
    "verdict",
]

REASONS_MAX = 3  # a phone in the sun, gloves, a driver who waits


class Colour(Enum):
    """Stop, check, unknown, let go."""

    RED = "red"
    AMBER = "amber"
    GREY = "grey"
    GREEN = "green"


class SealLife(Enum):
    """What the detectors have judged of a seal, as far as it matters beside the truck."""

    UNKNOWN = "unknown"
    SEALED = "sealed"
    OPEN_BY_ORDER = "open_by_order"
    OPEN_BAD = "open_bad"
    RECLOSED = "reclosed"  # after a bad opening: its alert stays until two people close it


class Code(Enum):
    """What the unit's signed hand-over code says against what the centre holds."""

    SAME = "same"
    LACKS = "lacks"  # the centre lacks the newest batches
    DIFFERS = "differs"  # another batch under the same number
    REVOKED = "revoked"  # signed by a key that is out of force


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Settings `officer.*`."""

    fix_ms_max: int = (
        900_000  # a fix or a seal's report of a quarter of an hour ago says nothing of now
    )
    seal_ms_max: int = 900_000
    answer_ms_max: int = 300_000  # an answer is green no longer than this
    ingest_ms_max: int = 360_000  # 4 times 3 batches of 30 s: the centre hears no unit at all
    behind_ms_max: int = 120_000  # what is missing for longer is a backlog (WIRE section 10)
    battery_percent_min: int = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSeen:
    """A seal that the unit has reported, or that its journey declares."""

    seal_id: str
    declared: bool = True  # by the journey; True also where the journey names no seals
    reported_ms: int | None = None  # by event time, never later than it was received; None: never
    known: int = 0  # bits of its newest report (WIRE section 6)
    true: int = 0
    battery_percent: int | None = None
    life: SealLife = SealLife.UNKNOWN
    opened_ms: int | None = None  # of the opening that `life` speaks of

    def says(self, bit: SealBit) -> bool | None:
        """What the newest report says of a bit; None: nothing."""
        return bool(self.true & bit) if self.known & bit else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSeen:
    """An alert that is not closed, whether shelved, suppressed or out of service."""

    code: str
    priority: str  # P1 critical, P2 high, P3 medium
    at_ms: int
    seal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A number of this truck that another journey claims too."""

    number: str
    journey: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the centre knows of one truck. `found` False: nothing."""

    found: bool = True
    journey: str = ""  # empty: none is known
    needs_seal: bool = True  # the journey is under seal
    seals: Sequence[SealSeen] = ()
    alerts: Sequence[AlertSeen] = ()
    stopped_ms: int | None = None  # a stop order stands since
    forked_ms: int | None = None  # two histories under the unit's key
    broken_ms: int | None = None  # a stored batch of then is not what the unit has signed
    key_revoked: bool = False  # no key of the unit is in force
    differs_ms: int | None = (
        None  # an officer has reported that the seal differs, and none since that it matches
    )
    claims: Sequence[Claim] = ()
    overdue_ms: int | None = None  # the journey's time limit, whether over or not
    lacks: int = 0  # batches that the unit holds and the centre does not
    lacks_ms: int = 0  # since when
    code: Code | None = None  # the officer came by the unit's code
    code_ms: int = 0  # the unit's time in it
    code_lacks: int = 0
    fix_ms: int | None = None  # by event time, never later than it was received
    ingest_ms: int | None = None  # the newest batch of any unit
    from_network: bool = True  # False: out of the phone's store


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why; the sentence is made where the language is known."""

    code: str
    seal: str = ""  # or another number that it is about
    number: int = 0
    name: str = ""  # an alert's code, a journey
    at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do, at most three reasons, and until when it may be called green."""

    colour: Colour
    reasons: tuple[Reason, ...]
    green_until_ms: int | None = None  # only of green


def verdict(facts: Facts, limits: Limits, now_ms: int) -> Verdict:
    """The first of stop, check, unknown that has a reason; else let go, for as long as it holds."""
    rows = (
        (Colour.RED, tuple(_stop(facts))),
        (Colour.AMBER, tuple(_check(facts, limits, now_ms))),
        (Colour.GREY, tuple(_unknown(facts, limits, now_ms))),
    )
    for colour, found in rows:
        if found:
            reasons = tuple(reason for _, some in rows for reason in some)[:REASONS_MAX]
            return Verdict(colour=colour, reasons=reasons)
    return Verdict(
        colour=Colour.GREEN, reasons=(), green_until_ms=min(_ends(facts, limits, now_ms))
    )


def _ends(facts: Facts, limits: Limits, now_ms: int) -> Iterator[int]:
    """When what makes it green today would by itself make it something else."""
    yield now_ms + limits.answer_ms_max
    for began_ms, ms_max in (
        (facts.fix_ms, limits.fix_ms_max),
        (facts.ingest_ms, limits.ingest_ms_max),
        (facts.overdue_ms, 0),
        (facts.lacks_ms if facts.lacks else None, limits.behind_ms_max),
        (facts.code_ms if facts.code is not None else None, limits.fix_ms_max),
        *((seal.reported_ms, limits.seal_ms_max) for seal in _watched(facts)),
    ):
        if began_ms is not None:
            yield began_ms + ms_max


# Bits of a report that say by themselves that the seal is broken, worst first. The unit's own page names them alike.
_BROKEN = (
    (SealBit.ROPE_CUT, "rope_cut"),
    (SealBit.COVER_OPENED, "cover_opened"),
    (SealBit.REMOVED, "removed"),
    (SealBit.OPENED_WHILE_SEALED, "opened_while_sealed"),
)
# Alerts that only repeat what a seal, the journey or the chain has said already.
_OF_SEAL = frozenset(("SEAL_OPEN_UNAUTHORISED", "SEAL_CASING_TAMPER"))


def _stop(facts: Facts) -> Iterator[Reason]:
    said: set[tuple[str, str]] = set()
    for seal in facts.seals:
        broken = _broken(seal)
        if broken:
            said |= {(code, seal.seal_id) for code in _OF_SEAL}
            yield Reason(code=broken, seal=seal.seal_id, at_ms=seal.opened_ms)
        if not seal.declared:
            said.add(("SEAL_ID_MISMATCH", seal.seal_id))
            yield Reason(code="foreign_seal", seal=seal.seal_id, at_ms=seal.reported_ms)
    if facts.differs_ms is not None:
        said |= {("SEAL_ID_MISMATCH", seal.seal_id) for seal in facts.seals if seal.declared}
        said.add(("SEAL_ID_MISMATCH", ""))
        yield Reason(code="differs_reported", at_ms=facts.differs_ms)
    if facts.stopped_ms is not None:
        yield Reason(code="stop_order", at_ms=facts.stopped_ms)
    if facts.code is Code.DIFFERS:
        yield Reason(code="head_mismatch", at_ms=facts.code_ms)
    if facts.code is Code.REVOKED or facts.key_revoked:
        yield Reason(code="key_revoked")
    if facts.broken_ms is not None:
        yield Reason(code="broken", at_ms=facts.broken_ms)
    if facts.forked_ms is not None:
        said.add(("LOG_INTEGRITY", ""))
        yield Reason(code="forked", at_ms=facts.forked_ms)
    for alert in _alerts(facts, "P1", "P1"):
        if (alert.code, alert.seal) not in said:
            yield _of_alert(alert)


def _check(facts: Facts, limits: Limits, now_ms: int) -> Iterator[Reason]:
    said: set[tuple[str, str]] = set()
    for seal in _watched(facts):
        if _is_open(seal) and not _broken(seal):
            said.add(("SEAL_LEFT_OPEN", seal.seal_id))
            yield Reason(code="not_locked", seal=seal.seal_id, at_ms=seal.opened_ms)
    if facts.overdue_ms is not None and now_ms >= facts.overdue_ms:
        said.add(("TIME_LIMIT_EXCEEDED", ""))
        yield Reason(code="overdue", name=facts.journey, at_ms=facts.overdue_ms)
    for claim in facts.claims:
        yield Reason(code="other_journey", seal=claim.number, name=claim.journey)
    if facts.found and not facts.journey and any(map(_is_closed, facts.seals)):
        yield Reason(code="no_journey")
    if facts.code is Code.LACKS:
        yield Reason(code="centre_lacks", number=facts.code_lacks)
    elif facts.lacks and now_ms - facts.lacks_ms >= limits.behind_ms_max:
        yield Reason(code="centre_lacks", number=facts.lacks, at_ms=facts.lacks_ms)
    for seal in facts.seals:
        if _is_low(seal, limits):
            said.add(("BATTERY_LOW", seal.seal_id))
            yield Reason(code="low_battery", seal=seal.seal_id)
    for alert in _alerts(facts, "P2", "P9"):
        if (alert.code, alert.seal) not in said and (alert.code, "") not in said:
            yield _of_alert(alert)


def _unknown(facts: Facts, limits: Limits, now_ms: int) -> Iterator[Reason]:
    if not facts.found:
        yield Reason(code="not_found")
        return
    if not facts.from_network:
        yield Reason(code="from_store")
    if facts.ingest_ms is None or now_ms - facts.ingest_ms >= limits.ingest_ms_max:
        yield Reason(code="centre_deaf", at_ms=facts.ingest_ms)
    if facts.fix_ms is None:
        yield Reason(code="no_fix")
    elif now_ms - facts.fix_ms >= limits.fix_ms_max:
        yield Reason(code="old_fix", number=_age_s(now_ms, facts.fix_ms))
    for seal in _watched(facts):
        if seal.reported_ms is None:
            yield Reason(code="seal_unheard", seal=seal.seal_id)
        elif now_ms - seal.reported_ms >= limits.seal_ms_max:
            yield Reason(
                code="seal_silent", seal=seal.seal_id, number=_age_s(now_ms, seal.reported_ms)
            )
        elif not _is_known_closed(seal) and not _is_open(seal) and not _broken(seal):
            yield Reason(code="lock_unknown", seal=seal.seal_id)
    if facts.needs_seal and not facts.seals:
        yield Reason(code="no_seal")
    if facts.code is not None and abs(now_ms - facts.code_ms) >= limits.fix_ms_max:
        yield Reason(code="old_code", at_ms=facts.code_ms)


def _watched(facts: Facts) -> Sequence[SealSeen]:
    """Seals that must be closed and heard: those of a journey under seal."""
    return facts.seals if facts.needs_seal else ()


def _broken(seal: SealSeen) -> str:
    """How it is broken; empty if it is not. What an order allowed is no break, but for a rope that is cut."""
    by_order = seal.life is SealLife.OPEN_BY_ORDER
    for bit, name in _BROKEN:
        if seal.says(bit) and not (by_order and bit is SealBit.OPENED_WHILE_SEALED):
            return name
    return "opened" if seal.life is SealLife.OPEN_BAD else ""


def _is_closed(seal: SealSeen) -> bool:
    return bool(seal.says(SealBit.LOCKED)) or seal.life is SealLife.SEALED


def _is_open(seal: SealSeen) -> bool:
    """As the detectors see it: by lock and rope, or by the door of one that has neither."""
    levels = (seal.says(SealBit.LOCKED), seal.says(SealBit.ROPE_IN))
    return False in levels or (levels == (None, None) and seal.says(SealBit.DOOR_CLOSED) is False)


def _is_known_closed(seal: SealSeen) -> bool:
    """Whether anybody has ever heard that it is closed: silence about the lock is none."""
    levels = (SealBit.LOCKED, SealBit.ROPE_IN, SealBit.DOOR_CLOSED, SealBit.COVER_CLOSED)
    return seal.life is SealLife.SEALED or any(map(seal.says, levels))


def _is_low(seal: SealSeen, limits: Limits) -> bool:
    if seal.battery_percent is not None:
        return seal.battery_percent < limits.battery_percent_min
    return bool(seal.says(SealBit.LOW_BATTERY))


def _alerts(facts: Facts, worst: str, mildest: str) -> list[AlertSeen]:
    """Those of some priorities, the worst first, then the newest."""
    found = [alert for alert in facts.alerts if worst <= alert.priority <= mildest]
    return sorted(found, key=lambda alert: (alert.priority, -alert.at_ms))


def _of_alert(alert: AlertSeen) -> Reason:
    return Reason(code="alert", name=alert.code, seal=alert.seal, at_ms=alert.at_ms)


def _age_s(now_ms: int, at_ms: int) -> int:
    return max(0, now_ms - at_ms) // 1_000
