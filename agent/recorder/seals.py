"""What the seals say, and when it is worse than before (EDGE section 2).

Law: every change, every alarm frame and every backlog frame is a record, byte for byte; a seal that says nothing new is heard of
once a minute.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from agent import Kept, Moment, Weight
from agent.recorder.facts import SealSilence
from agent.recorder.words import event, frame_of, number, said, text, time, truth
from devices import DataType, SealEvent, SealReport
from wire.records import Datum, EventKind, SealBit

SEALS_MAX = (
    32  # a truck with sub-locks has a dozen; who sees more has a fault, and each still is a record
)
UNCHANGED_MS = 60_000
SERIALS = 256  # of a JT701D: one byte
SERIALS_MS_MAX = 600_000  # longer ago, half a round of serials may lie between

CHANGED = 1  # causes of WIRE section 6
HEARTBEAT = 2
SILENT = 3
HEARD_AGAIN = 4

_NO_BITS = SealBit(0)
_LEVELS = SealBit.LOCKED | SealBit.ROPE_IN | SealBit.COVER_CLOSED | SealBit.DOOR_CLOSED
_MILD = SealBit.VIBRATION | SealBit.LOW_BATTERY | SealBit.ENTER_FENCE | SealBit.EXIT_FENCE
_ALL = SealBit((1 << 16) - 1)
_ALARMS = _ALL & ~_LEVELS & ~_MILD
_NAMES = tuple((bit, str(bit.name).lower()) for bit in SealBit)
_HISTORY = (DataType.BACKLOG, DataType.RECENT)

_PROVED = {  # words of SealEvent.kind and .source that prove a bit (DEVICES sections 4.2 to 4.4)
    "cut": SealBit.ROPE_CUT,
    "shell_removed": SealBit.COVER_OPENED,
    "opened_while_sealed": SealBit.OPENED_WHILE_SEALED,
    "shock": SealBit.VIBRATION,
    "drop": SealBit.VIBRATION,
    "battery_empty": SealBit.LOW_BATTERY,
    "low_battery": SealBit.LOW_BATTERY,
    "motor_stuck": SealBit.MOTOR_STUCK,
}
_CARDS_WORDS = frozenset(("cards_registered", "cards_changed"))  # no card was shown
_LOCK_WORDS = frozenset(("lock", "cut", "shackle_closed", "shackle_opened", "auto_lock"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seal:
    """What one seal said last."""

    protocol: str
    known: SealBit = _NO_BITS
    true: SealBit = _NO_BITS
    levels: SealBit = _NO_BITS  # true ones; what a frame does not say of a level is as it was
    battery_percent: int | None = None
    told_ms: int | None = None  # when it was recorded last
    reported: bool = False  # in this start
    serial: int | None = None  # of its newest report of now, and that report's own time
    serial_ms: int | None = None
    silent: bool = False
    heard_again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SealState:
    """How a seal stands, for whoever looks on."""

    seal_id: str
    protocol: str
    known: SealBit
    true: SealBit
    battery_percent: int | None
    silent: bool


class Seals:
    """All seals of the unit."""

    def __init__(self) -> None:
        self._seals: dict[str, _Seal] = {}

    @property
    def locked(self) -> bool:
        """Whether one of them says that it is locked."""
        return any(seal.levels & SealBit.LOCKED for seal in self._seals.values())

    def now(self) -> tuple[SealState, ...]:
        """Each seal as it stands, the one heard of last at the end."""
        return tuple(
            SealState(
                seal_id=seal_id,
                protocol=seal.protocol,
                known=seal.known,
                true=seal.true,
                battery_percent=seal.battery_percent,
                silent=seal.silent,
            )
            for seal_id, seal in self._seals.items()
        )

    def report(self, fact: SealReport, moment: Moment, armed: Collection[str]) -> list[Kept]:
        """The record of one report, if it is to be one."""
        before = self._seals.get(fact.seal_id) or _Seal(protocol=text(fact.protocol))
        known, true = bits_of(fact)
        alarm = fact.data_type is DataType.ALARM
        worse = alarm or _is_worse(before, known, true)
        if not before.reported and fact.seal_id in armed and fact.data_type not in _HISTORY:
            worse = worse or not true & SealBit.LOCKED
        jumped = _jumped_back(before, fact)
        worse = worse or jumped
        changed = jumped or (known, true) != (before.known, before.true) or not before.reported
        again = before.silent or before.heard_again
        due = (
            before.told_ms is None
            or moment.mono_ms - before.told_ms >= UNCHANGED_MS
            or fact.data_type is DataType.BACKLOG
        )
        tells = changed or alarm or again or due
        self._remember(fact, before, known, true, moment, tells=tells)
        if not tells:
            return []
        cause = HEARD_AGAIN if before.silent else CHANGED if changed else HEARTBEAT
        routine = cause == HEARTBEAT and not alarm and fact.data_type not in _HISTORY
        return [
            event(
                EventKind.SEAL,
                moment,
                _data(fact, known, true, cause),
                urgent=worse,
                weight=Weight.ROUTINE if routine else Weight.EVIDENCE,
            )
        ]

    def happened(self, fact: SealEvent, moment: Moment) -> list[Kept]:
        """`access`, or `seal` for what tells of lock and rope."""
        if fact.kind in _LOCK_WORDS or (fact.kind != "access" and fact.source in _LOCK_WORDS):
            return [self._lock(fact, moment)]
        data = (
            text(fact.seal_id),
            text(fact.protocol),
            text(fact.kind if fact.kind in _CARDS_WORDS else fact.source or fact.kind),
            truth(fact.authorised),
            truth(fact.opened),
            said(fact.card),
            number(fact.wrong_passwords),
            time(fact.time_ms),
            number(fact.serial),
            frame_of(fact.frame),
        )
        return [event(EventKind.ACCESS, moment, data, urgent=fact.authorised is not True)]

    def _lock(self, fact: SealEvent, moment: Moment) -> Kept:
        """What the event proves, and nothing of what the seal said before: the frame does not say it."""
        known = true = _NO_BITS
        for word in (fact.kind, fact.source):
            known |= _PROVED.get(word or "", _NO_BITS)
        true |= known
        if fact.locked is not None:
            known |= SealBit.LOCKED
            true |= SealBit.LOCKED if fact.locked else _NO_BITS
        before = self._seals.get(fact.seal_id) or _Seal(protocol=text(fact.protocol))
        worse = fact.alarm or _is_worse(before, known, true)
        self._put(
            fact.seal_id,
            replace(
                before,
                known=before.known | known,
                true=(before.true & ~known) | true,
                levels=_levels_after(before, known, true),
                told_ms=moment.mono_ms,
            ),
        )
        data = (
            text(fact.seal_id),
            text(fact.protocol),
            int(known),
            int(true),
            (DataType.ALARM if fact.alarm else DataType.LIVE).value,
            time(fact.time_ms),
            None,
            number(fact.serial),
            CHANGED,
            frame_of(fact.frame),
        )
        return event(EventKind.SEAL, moment, data, urgent=worse)

    def silence(self, fact: SealSilence, moment: Moment) -> list[Kept]:
        """A seal that falls silent is worse; one that is heard again says so before it says what."""
        before = self._seals.get(fact.seal_id) or _Seal(protocol=text(fact.protocol))
        if before.silent is fact.silent:
            return []
        now = replace(before, silent=fact.silent, heard_again=not fact.silent)
        self._put(fact.seal_id, now)
        cause = SILENT if fact.silent else HEARD_AGAIN
        data = _state(fact.seal_id, replace(now, known=_NO_BITS, true=_NO_BITS), cause)
        return [event(EventKind.SEAL, moment, data, urgent=fact.silent)]

    def states(self, moment: Moment) -> list[Kept]:
        """The state of each seal as it is known now, because somebody asks."""
        return [
            event(EventKind.SEAL, moment, _state(seal_id, seal, HEARTBEAT), weight=Weight.EVENT)
            for seal_id, seal in self._seals.items()
            if seal.reported and not seal.silent
        ]

    def _remember(
        self,
        fact: SealReport,
        before: _Seal,
        known: SealBit,
        true: SealBit,
        moment: Moment,
        *,
        tells: bool,
    ) -> None:
        told_ms = moment.mono_ms if tells else before.told_ms
        if fact.data_type in _HISTORY:  # what was says nothing of what is
            self._put(fact.seal_id, replace(before, told_ms=told_ms))
            return
        now = _Seal(
            protocol=text(fact.protocol),
            known=known,
            true=true,
            levels=_levels_after(before, known, true),
            battery_percent=number(fact.battery_percent),
            told_ms=told_ms,
            reported=True,
            serial=fact.serial if fact.time_ok else before.serial,
            serial_ms=fact.time_ms if fact.time_ok else before.serial_ms,
        )
        self._put(fact.seal_id, now)

    def _put(self, seal_id: str, seal: _Seal) -> None:
        self._seals.pop(seal_id, None)
        self._seals[seal_id] = seal  # at the end: the one heard of longest ago is forgotten first
        if len(self._seals) > SEALS_MAX:
            del self._seals[next(iter(self._seals))]


def bits_of(fact: SealReport) -> tuple[SealBit, SealBit]:
    """What the seal said, and what of it is true (WIRE section 6, seal bits)."""
    known = true = _NO_BITS
    for bit, name in _NAMES:
        value: bool | None = getattr(fact, name)
        if value is not None:
            known |= bit
            true |= bit if value else _NO_BITS
    return known, true


def _jumped_back(before: _Seal, fact: SealReport) -> bool:
    """A later report with an earlier serial, and no restart between (DEVICES section 4.5): another one speaks in its name.

    Only where the serial is known to be one byte that wraps. Reports may arrive newest first, so the seal's own time decides.
    """
    if fact.protocol != "jt701" or fact.data_type in _HISTORY or fact.wake == "restart":
        return False
    if before.serial is None or fact.serial is None or not fact.time_ok:
        return False
    if fact.time_ms is None or before.serial_ms is None:
        return False
    if not 0 < fact.time_ms - before.serial_ms <= SERIALS_MS_MAX:
        return False
    return (fact.serial - before.serial) % SERIALS > SERIALS // 2


def _levels_after(before: _Seal, known: SealBit, true: SealBit) -> SealBit:
    """Some locks say a level only when it changes, and a sub-device says nothing of its lock."""
    return (before.levels & ~known) | (true & _LEVELS)


def _is_worse(before: _Seal, known: SealBit, true: SealBit) -> bool:
    """A level falls, or an alarm rises."""
    fell = before.levels & known & ~true
    rose = true & ~before.true & _ALARMS
    return bool(fell | rose)


def _data(fact: SealReport, known: SealBit, true: SealBit, cause: int) -> tuple[Datum, ...]:
    return (
        text(fact.seal_id),
        text(fact.protocol),
        int(known),
        int(true),
        fact.data_type.value,
        time(fact.time_ms) if fact.time_ok else None,
        number(fact.battery_percent),
        number(fact.serial),
        cause,
        frame_of(fact.frame),
    )


def _state(seal_id: str, seal: _Seal, cause: int) -> tuple[Datum, ...]:
    """What we know of a seal without a frame of its own."""
    return (
        text(seal_id),
        seal.protocol,
        int(seal.known),
        int(seal.true),
        DataType.LIVE.value,
        None,
        seal.battery_percent,
        None,
        cause,
        None,
    )
