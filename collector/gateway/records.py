"""What seals say, as records of WIRE sections 5 and 6.

Law: every report and every event is a record with its frame, byte for byte; which of them tells something new is said beside it. A
place becomes a fix only of the seal whose places are the unit's: fixes of two seals in one track would be a truck that jumps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from collector.gateway import Moment, SealState, States, Taken
from devices import DataType, PositionSource, SealAlive, SealEvent, SealReport
from wire import LIM
from wire.columns import round_fix
from wire.records import (
    Datum,
    EventKind,
    EventRecord,
    FixFlag,
    FixRecord,
    Record,
    SealBit,
    WireFixKind,
)

__all__ = ["Told", "silences", "tell"]

CHANGED, HEARTBEAT, SILENT, HEARD_AGAIN = 1, 2, 3, 4  # causes of WIRE section 6
NAME_BYTES_MAX = 64  # ids, words, cards: longer ones are no names
FRAME_BYTES_MAX = 1_100  # DEVICES section 1
SPEED_CM_S_MAX = 65_535
SATS_MAX = 255

_LEVELS = SealBit.LOCKED | SealBit.ROPE_IN | SealBit.COVER_CLOSED | SealBit.DOOR_CLOSED
_MILD = SealBit.VIBRATION | SealBit.LOW_BATTERY | SealBit.ENTER_FENCE | SealBit.EXIT_FENCE
_HISTORY = frozenset({DataType.BACKLOG, DataType.RECENT})  # what was says nothing of what is
_LOCK_WORDS = frozenset({"lock", "cut", "shackle_closed", "shackle_opened", "auto_lock"})
_PROVED = {  # words of an event that prove a bit (DEVICES 4.2 to 4.4)
    "cut": SealBit.ROPE_CUT,
    "shell_removed": SealBit.COVER_OPENED,
    "opened_while_sealed": SealBit.OPENED_WHILE_SEALED,
    "shock": SealBit.VIBRATION,
    "drop": SealBit.VIBRATION,
    "battery_empty": SealBit.LOW_BATTERY,
    "low_battery": SealBit.LOW_BATTERY,
    "motor_stuck": SealBit.MOTOR_STUCK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Records in the order of hearing, and what the seals are after them."""

    records: tuple[Record, ...]
    states: dict[str, SealState]  # those that changed
    urgent: bool


def tell(taken: Iterable[Taken], states: States, *, place_of: str = "") -> Told:
    """The records of what was heard. `place_of`: the seal whose places are fixes of the unit; "" for none."""
    sheet = _Sheet(states)
    for one in taken:
        match one.fact:
            case SealReport() as fact:
                sheet.report(fact, one.at, with_fix=fact.seal_id == place_of)
            case SealEvent() as fact:
                sheet.happened(fact, one.at)
            case SealAlive() as fact:
                sheet.alive(fact, one.at)
            case _:
                pass  # answers nobody asked for, passwords, remarks: counted where they were heard
    return sheet.told()


def silences(states: States, moment: Moment, silent_ms: int, since_ms: int) -> Told:
    """Seals that were not heard for `silent_ms`; who was not heard since the start counts from `since_ms`."""
    sheet = _Sheet(states)
    for seal_id, state in states.items():
        heard_ms = max(state.heard_ms, since_ms)
        if not state.silent and moment.utc_ms - heard_ms > silent_ms:
            sheet.silence(seal_id, moment, silent=True)
    return sheet.told()


class _Sheet:
    def __init__(self, states: States) -> None:
        self._states = states
        self._changed: dict[str, SealState] = {}
        self._records: list[Record] = []
        self._urgent = False

    def told(self) -> Told:
        return Told(records=tuple(self._records), states=self._changed, urgent=self._urgent)

    def report(self, fact: SealReport, at: Moment, *, with_fix: bool) -> None:
        before = self._state(fact.seal_id, fact.protocol)
        known, true = _bits(fact)
        is_new = (known, true) != (before.known, before.true) or not before.reported
        cause = HEARD_AGAIN if before.silent else CHANGED if is_new else HEARTBEAT
        self._urgent |= fact.data_type is DataType.ALARM or _is_worse(before, known, true)
        data = (
            _name(fact.seal_id),
            _name(fact.protocol),
            known,
            true,
            fact.data_type.value,
            _time(fact.time_ms) if fact.time_ok else None,
            _number(fact.battery_percent),
            _number(fact.serial),
            cause,
            _frame(fact.frame),
        )
        if with_fix and (fix := _fix(fact)) is not None:
            self._records.append(fix)
        self._add(EventKind.SEAL, at, data)
        now = replace(before, heard_ms=at.utc_ms, silent=False)
        if fact.data_type not in _HISTORY:
            percent = _number(fact.battery_percent)
            now = replace(now, known=known, true=true, battery_percent=percent, reported=True)
        self._changed[fact.seal_id] = now

    def happened(self, fact: SealEvent, at: Moment) -> None:
        """`access`; or `seal` for what tells of lock and rope, with no more than it proves."""
        before = self._state(fact.seal_id, fact.protocol)
        self._changed[fact.seal_id] = replace(before, heard_ms=at.utc_ms)
        tells_lock = fact.kind in _LOCK_WORDS
        tells_lock |= fact.kind != "access" and fact.source in _LOCK_WORDS
        if tells_lock:
            self._lock(fact, before, at)
            return
        self._urgent |= fact.authorised is not True
        data = (
            _name(fact.seal_id),
            _name(fact.protocol),
            _name(fact.source or fact.kind),
            None if fact.authorised is None else int(fact.authorised),
            None if fact.opened is None else int(fact.opened),
            None if fact.card is None else _name(fact.card),
            _number(fact.wrong_passwords),
            _time(fact.time_ms),
            _number(fact.serial),
            _frame(fact.frame),
        )
        self._add(EventKind.ACCESS, at, data)

    def alive(self, fact: SealAlive, at: Moment) -> None:
        state = self._changed.get(fact.seal_id) or self._states.get(fact.seal_id)
        if state is None:
            return  # who has never reported is nobody yet
        if state.silent:
            self.silence(fact.seal_id, at, silent=False)
        state = self._changed.get(fact.seal_id) or state
        self._changed[fact.seal_id] = replace(state, heard_ms=at.utc_ms)

    def silence(self, seal_id: str, at: Moment, *, silent: bool) -> None:
        before = self._state(seal_id, "")
        self._changed[seal_id] = replace(before, silent=silent)
        self._urgent |= silent
        cause = SILENT if silent else HEARD_AGAIN
        battery = before.battery_percent
        live = DataType.LIVE.value
        data = (_name(seal_id), before.protocol, 0, 0, live, None, battery, None, cause, None)
        self._add(EventKind.SEAL, at, data)

    def _lock(self, fact: SealEvent, before: SealState, at: Moment) -> None:
        known = SealBit(0)
        for word in (fact.kind, fact.source):
            known |= _PROVED.get(word or "", SealBit(0))
        true = known
        if fact.locked is not None:
            known |= SealBit.LOCKED
            true |= SealBit.LOCKED if fact.locked else SealBit(0)
        self._urgent |= fact.alarm or _is_worse(before, int(known), int(true))
        self._changed[fact.seal_id] = replace(
            before,
            heard_ms=at.utc_ms,
            known=before.known | known,
            true=(before.true & ~known) | true,
        )
        data = (
            _name(fact.seal_id),
            _name(fact.protocol),
            int(known),
            int(true),
            (DataType.ALARM if fact.alarm else DataType.LIVE).value,
            _time(fact.time_ms),
            None,
            _number(fact.serial),
            CHANGED,
            _frame(fact.frame),
        )
        self._add(EventKind.SEAL, at, data)

    def _add(self, kind: EventKind, at: Moment, data: Sequence[Datum]) -> None:
        self._records.append(
            EventRecord(kind=kind, t_ms=at.utc_ms, mono_ms=at.boot_ms, data=tuple(data))
        )

    def _state(self, seal_id: str, protocol: str) -> SealState:
        known = self._changed.get(seal_id) or self._states.get(seal_id)
        return known or SealState(protocol=_name(protocol))


def _bits(fact: SealReport) -> tuple[int, int]:
    known = true = 0
    for bit in SealBit:
        value: bool | None = getattr(fact, str(bit.name).lower())
        if value is not None:
            known |= bit
            true |= bit if value else 0
    return known, true


def _is_worse(before: SealState, known: int, true: int) -> bool:
    """A level falls, or an alarm rises."""
    fell = before.true & known & ~true & _LEVELS
    rose = true & ~before.true & ~(_LEVELS | _MILD)
    return bool(fell | rose)


def _fix(fact: SealReport) -> FixRecord | None:
    """The place of a report as a fix: only a live one by satellites, at the seal's own time."""
    told = fact.lat_e7, fact.lon_e7, fact.time_ms
    if None in told or not fact.time_ok or fact.data_type in _HISTORY:
        return None
    if fact.position_source is not PositionSource.GNSS:
        return None
    lat_e7, lon_e7, time_ms = told
    assert lat_e7 is not None
    assert lon_e7 is not None
    assert time_ms is not None
    if not 0 <= time_ms < LIM:
        return None
    speed, course, sats = fact.speed_cm_s, fact.course_cdeg, fact.sats
    fix = FixRecord(
        t_ms=time_ms,
        lat_e7=lat_e7,
        lon_e7=lon_e7,
        alt_dm=None,
        speed_cm_s=speed if speed is not None and 0 <= speed <= SPEED_CM_S_MAX else None,
        course_cdeg=None if course is None else course % 36_000,
        hdop_centi=None,
        err_cm=None,
        sats=sats if sats is not None and 0 <= sats <= SATS_MAX else None,
        flags=WireFixKind.GNSS | (FixFlag.MOVING if (speed or 0) > 0 else 0),
    )
    return round_fix(fix)


def _name(value: str) -> str:
    return value.encode("utf-8", "replace")[:NAME_BYTES_MAX].decode("utf-8", "ignore")


def _number(value: int | None) -> int | None:
    return value if value is not None and -LIM < value < LIM else None


def _time(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < LIM else None


def _frame(value: bytes) -> bytes | None:
    return value[:FRAME_BYTES_MAX] or None
