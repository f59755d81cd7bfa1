"""From a receiver's fixes to kept ones: kind, doubt, motion, profile, and then the track (EDGE section 2).

Law: a doubted fix is flagged, never dropped for its doubt, never smoothed.
"""

from collections import Counter
from dataclasses import dataclass, replace

from agent import Kept, Moment
from agent.recorder.limits import FIXES_PER_S, Limits
from agent.recorder.motion import Motion
from agent.recorder.plane import Point, distance_m
from agent.recorder.settings import Profile, RecorderSettings
from agent.recorder.track import Seen, Track
from devices import Fix, FixKind, TimeQuality
from wire import LIM
from wire.columns import round_fix
from wire.records import FixFlag, FixRecord, WireFixKind

DOUBT_M_S = 70
DOUBTED_MS = 1_000  # at most one a second
FRESH_MS = 120_000  # an urgent batch shows where, if a fix is younger
TWIN_MS = 20  # the batch of an urgent event is open so long: in it the place stands once

KINDS: dict[FixKind, WireFixKind] = {  # MANUAL and SIMULATED are no evidence (WIRE section 5)
    FixKind.GNSS: WireFixKind.GNSS,
    FixKind.DGNSS: WireFixKind.DGNSS,
    FixKind.PPS: WireFixKind.PRECISE,
    FixKind.PRECISE: WireFixKind.PRECISE,
    FixKind.RTK_FLOAT: WireFixKind.RTK_FLOAT,
    FixKind.RTK_FIXED: WireFixKind.RTK_FIXED,
    FixKind.DEAD_RECKONING: WireFixKind.DEAD_RECKONING,
}
_DATED = (TimeQuality.GNSS, TimeQuality.ROLLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What decides about a fix besides itself."""

    sealed: bool
    pressure: int
    keep_all: bool  # for a minute after an urgent event
    flags: FixFlag  # jamming, spoofing, external power


class Fixes:
    """The unit's receiver."""

    def __init__(self, settings: RecorderSettings, counters: Counter[str]) -> None:
        self._settings = settings
        self._counters = counters
        self._motion = Motion()
        self._track = Track()
        self._limits = Limits(FIXES_PER_S)
        self._before: tuple[Point, int] | None = None
        self._doubted_ms: int | None = None
        self._written_ms: int | None = None  # when a fix was handed out last

    @property
    def moving(self) -> bool | None:
        """Whether the positions say that the unit moves; None: it does not know yet."""
        return self._motion.moving

    @property
    def newest(self) -> tuple[FixRecord, int] | None:
        """The newest fix, kept or not, and when it was heard."""
        seen = self._track.newest
        return None if seen is None else (seen.record, seen.mono_ms)

    @property
    def doubted_ms(self) -> int | None:
        """When a fix was doubted last; told at most once a second."""
        return self._doubted_ms

    def recall(self, place: Point, mono_ms: int) -> None:
        """Where an earlier start was last: the first fix of this one is measured against it."""
        self._before = (place, mono_ms)

    def take(
        self, fix: Fix, moment: Moment, source: str, state: State
    ) -> tuple[list[Kept], bool | None]:
        """The fixes to be kept; and, if it has changed, whether the unit moves."""
        record = fix_record(fix, moment, flags=state.flags)
        if record is None:
            self._counters[f"fix_{fix.kind.value}"] += 1
            return [], None
        point = Point(t_ms=record.t_ms, lat_e7=fix.lat_e7, lon_e7=fix.lon_e7)
        doubted = self._is_doubted(point, moment.mono_ms)
        self._before = (point, moment.mono_ms)
        turned = self._motion.take(point, fix.speed_cm_s, moment.mono_ms)
        if doubted and not self._may_doubt(moment.mono_ms):
            self._counters["fix_doubted_limited"] += 1
            return [], None
        flags = record.flags
        flags |= FixFlag.DOUBTED if doubted else 0
        flags |= FixFlag.MOVING if self.moving else 0
        seen = Seen(
            record=replace(record, flags=int(flags)),
            raw=point,
            mono_ms=moment.mono_ms,
            doubted=doubted,
        )
        records = self._track.take(
            seen,
            self.profile(state),
            keep=state.keep_all or turned,
            edge=turned and self.moving is True,  # the last of a stand
        )
        return self._within_limits(records, moment.mono_ms, source), (
            self.moving if turned else None
        )

    def twin(self, moment: Moment) -> list[Kept]:
        """The newest fix once more, for a batch that travels ahead: WIRE section 10, so that it carries its place."""
        newest = self._track.newest
        if newest is None or moment.mono_ms - newest.mono_ms > FRESH_MS:
            return []
        if self._track.pending:
            return self.keep_newest(moment.mono_ms)
        if self._written_ms is not None and moment.mono_ms - self._written_ms <= TWIN_MS:
            return []
        self._written_ms = moment.mono_ms
        return [Kept(record=newest.record)]

    def keep_newest(self, mono_ms: int) -> list[Kept]:
        """The newest fix, if it has not been kept."""
        return self._handed(self._track.keep_newest(), mono_ms)

    def wake(self, mono_ms: int) -> list[Kept]:
        """The last fix before a gap."""
        return self._handed(self._track.wake(mono_ms), mono_ms)

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, in mono_ms."""
        return self._track.next_deadline()

    def profile(self, state: State) -> Profile:
        """The row of the table that is in force. Who does not know whether it moves keeps as if it did."""
        settings = self._settings
        standing = self.moving is False
        match state.pressure, standing:
            case 0, _ if state.sealed:
                return settings.sealed_standing if standing else settings.sealed_moving
            case 0, _:
                return settings.open_standing if standing else settings.open_moving
            case 1, _:
                return settings.pressed_1_standing if standing else settings.pressed_1
            case 2, _:
                return settings.pressed_2_standing if standing else settings.pressed_2
            case _:
                return settings.pressed_3

    def _is_doubted(self, point: Point, mono_ms: int) -> bool:
        if self._before is None:
            return False
        before, before_mono_ms = self._before
        told_ms = point.t_ms - before.t_ms
        passed_ms = told_ms if told_ms > 0 else max(mono_ms - before_mono_ms, 1)
        return distance_m(before, point) * 1_000 > DOUBT_M_S * passed_ms

    def _may_doubt(self, mono_ms: int) -> bool:
        if self._doubted_ms is not None and mono_ms - self._doubted_ms < DOUBTED_MS:
            return False
        self._doubted_ms = mono_ms
        return True

    def _within_limits(self, records: list[FixRecord], mono_ms: int, source: str) -> list[Kept]:
        kept: list[FixRecord] = []
        for record in records:
            if self._limits.allows(source, mono_ms):
                self._limits.spend(source, mono_ms, 1)
                kept.append(record)
            else:
                self._counters["fix_limited"] += 1
        return self._handed(kept, mono_ms)

    def _handed(self, records: list[FixRecord], mono_ms: int) -> list[Kept]:
        if records:
            self._written_ms = mono_ms
        return [Kept(record=record) for record in records]


def fix_record(fix: Fix, moment: Moment, *, flags: FixFlag) -> FixRecord | None:
    """`fix` on the steps of grain 1, or None if it is manual or simulated."""
    kind = KINDS.get(fix.kind)
    if kind is None:
        return None
    t_ms = moment.utc_ms
    clock = FixFlag.UNIT_CLOCK
    if fix.time_ms is not None and fix.time_quality in _DATED and 0 <= fix.time_ms < LIM:
        t_ms, clock = fix.time_ms, FixFlag(0)
    three_d = FixFlag.THREE_D if fix.mode == 3 else FixFlag(0)
    return round_fix(
        FixRecord(
            t_ms=t_ms,
            lat_e7=fix.lat_e7,
            lon_e7=fix.lon_e7,
            alt_dm=fix.alt_dm,
            speed_cm_s=fix.speed_cm_s,
            course_cdeg=None if fix.course_cdeg is None else fix.course_cdeg % 36_000,
            hdop_centi=fix.hdop_centi,
            err_cm=fix.err_cm,
            sats=None if fix.sats is None or not 0 <= fix.sats <= 255 else fix.sats,
            flags=int(kind | clock | three_d | flags),
        )
    )
