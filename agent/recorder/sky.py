"""What the receiver says of itself and of the sky (EDGE section 2; WIRE section 6, kind 11).

Law: a state is told when it begins; numbers when they have really changed, and once a minute under seal.
"""

from dataclasses import replace

from agent import Kept, Moment, Weight
from agent.recorder.facts import LinkState
from agent.recorder.words import event, number, said
from devices import GnssStatus, NoFix
from wire.records import Datum, EventKind

HOLD_MS = 2_000  # a flag that flaps within a second is no jamming (seen on trackers)
EVERY_MS = 60_000
CN0_CDB_MIN = 300
COUNT_MIN = 4
JAMMED = 2  # warning, critical
SPOOFED = 2  # indicated, several

ABSENT = 0
DEAF = 1  # a receiver, and nothing of use from it
NO_FIX = 2
FIX = 3

STATES = {
    LinkState.ABSENT: ABSENT,
    LinkState.BUSY: ABSENT,
    LinkState.OPENING: ABSENT,
    LinkState.HUNTING: DEAF,
    LinkState.NOISE: DEAF,
    LinkState.MUTE: DEAF,
    LinkState.NO_FIX: NO_FIX,
    LinkState.FIX: FIX,
}
_BAD_ANTENNA = ("SHORT", "OPEN")
_Flags = tuple[str | None, int | None, int | None]


class Sky:
    """The receiver's state, the numbers told last, and flags that have to hold."""

    def __init__(self) -> None:
        self.state: int | None = None
        self._reason: int | None = None
        self._now: GnssStatus | None = None
        self._told: GnssStatus | None = None
        self._told_ms: int | None = None
        self._flags: _Flags = (None, None, None)
        self._flags_since_ms: int | None = None  # other flags than those told, since then

    @property
    def jammed(self) -> bool:
        """The receiver reports jamming, held."""
        return (self._flags[1] or 0) >= JAMMED

    @property
    def spoofed(self) -> bool:
        """The receiver reports spoofing, held."""
        return (self._flags[2] or 0) >= SPOOFED

    def no_fix(self, fact: NoFix, moment: Moment) -> list[Kept]:
        """First of a series."""
        self._reason = fact.reason.value
        return self._to(NO_FIX, moment)

    def fix(self, moment: Moment) -> list[Kept]:
        """There is a place again."""
        self._reason = None
        return self._to(FIX, moment)

    def link(self, state: LinkState, moment: Moment) -> list[Kept]:
        """The receiver's port."""
        told = STATES.get(state)
        if told is None or told >= NO_FIX:  # facts tell these two, and why
            return []
        self._reason = None
        return self._to(told, moment)

    def status(self, fact: GnssStatus, moment: Moment, *, sealed: bool) -> list[Kept]:
        """New numbers."""
        self._now = fact
        flags = (fact.antenna, fact.jam_state, fact.spoof_state)
        if flags == self._flags:
            self._flags_since_ms = None
        elif self._flags_since_ms is None:
            self._flags_since_ms = moment.mono_ms
        kept = self.wake(moment, sealed=sealed)
        if kept:
            return kept
        if self._told is None or _differs(fact, self._told) or self._is_due(moment, sealed=sealed):
            return [self._tell(moment)]
        return []

    def wake(self, moment: Moment, *, sealed: bool) -> list[Kept]:
        """Flags that have held; the minute under seal."""
        since_ms = self._flags_since_ms
        if since_ms is not None and moment.mono_ms - since_ms >= HOLD_MS and self._now is not None:
            before, now = self._flags, self._now
            self._flags = (now.antenna, now.jam_state, now.spoof_state)
            self._flags_since_ms = None
            return [self._tell(moment, urgent=sealed and _is_worse(before, self._flags))]
        return [self._tell(moment)] if self._is_due(moment, sealed=sealed) else []

    def next_deadline(self, *, sealed: bool) -> int | None:
        """When `wake` wants to be called, in mono_ms."""
        dues: list[int] = []
        if self._flags_since_ms is not None:
            dues.append(self._flags_since_ms + HOLD_MS)
        if sealed and self._told_ms is not None:
            dues.append(self._told_ms + EVERY_MS)
        return min(dues, default=None)

    def _is_due(self, moment: Moment, *, sealed: bool) -> bool:
        return sealed and self._told_ms is not None and moment.mono_ms - self._told_ms >= EVERY_MS

    def _to(self, state: int, moment: Moment) -> list[Kept]:
        if state == self.state:
            return []
        self.state = state
        return [self._tell(moment)]

    def _tell(self, moment: Moment, *, urgent: bool = False) -> Kept:
        due = self._told_ms is not None and self._now == self._told and not urgent
        self._told_ms = moment.mono_ms
        self._told = self._now
        return event(
            EventKind.GNSS,
            moment,
            self._data(),
            urgent=urgent,
            weight=Weight.ROUTINE if due else Weight.EVENT,
        )

    def _data(self) -> tuple[Datum, ...]:
        sky = self._now
        if sky is None or self.state in (ABSENT, DEAF):
            return (self.state or 0, self._reason, *(None,) * 11)
        antenna, jam_state, spoof_state = self._flags
        held = replace(sky, antenna=antenna, jam_state=jam_state, spoof_state=spoof_state)
        numbers = (held.in_view, held.tracked, held.used, held.cn0_top4_cdb, held.cn0_std_cdb)
        return (
            FIX if self.state is None else self.state,
            self._reason,
            *(number(one) for one in numbers),
            number(held.strong_25),
            said(held.antenna),
            number(held.jam_state),
            number(held.jam_level),
            number(held.spoof_state),
            number(held.agc_permille),
        )


def _is_worse(before: _Flags, now: _Flags) -> bool:
    jam = (now[1] or 0) >= JAMMED > (before[1] or 0)
    spoof = (now[2] or 0) >= SPOOFED > (before[2] or 0)
    antenna = now[0] in _BAD_ANTENNA and before[0] not in _BAD_ANTENNA
    return jam or spoof or antenna


def _differs(now: GnssStatus, then: GnssStatus) -> bool:
    return (
        _apart(now.cn0_top4_cdb, then.cn0_top4_cdb, CN0_CDB_MIN)
        or _apart(now.strong_25, then.strong_25, COUNT_MIN)
        or _apart(now.used, then.used, COUNT_MIN)
    )


def _apart(now: int | None, then: int | None, least: int) -> bool:
    if now is None or then is None:
        return now is not then
    return abs(now - then) >= least
