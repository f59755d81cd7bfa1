"""Which fixes are kept (the profile table of EDGE section 2).

Law: a fix that is not kept lies within `line_m` of the straight way between its kept neighbours, taken at its own time; and where a
profile says `ahead_m`, the last kept place and its velocity never lead further astray than that.
"""

from array import array
from dataclasses import dataclass

from agent.recorder.plane import Point, distance_m, off_line_m, reckoned_off_m
from agent.recorder.settings import Profile
from wire.records import FixFlag, FixRecord

GAP_MS = 5_000
TURN_CM_S_MIN = 300  # a receiver's course at walking pace is noise
TIME_SLACK_MS = 100  # a receiver on its own second is never late by more
JUMP_MS_MAX = 2_000  # receiver's time against the unit's: beyond it the times have no common axis
WINDOW_FIXES_MAX = 256  # 6 KiB; at 1 Hz no profile looks back further than 120
KIND = 0b111


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A fix on its way: as it would be recorded, and where it really was."""

    record: FixRecord
    raw: Point
    mono_ms: int
    doubted: bool

    @property
    def point(self) -> Point:
        """Where the record says that it was: the ends of a line are what a reader sees."""
        return Point(t_ms=self.record.t_ms, lat_e7=self.record.lat_e7, lon_e7=self.record.lon_e7)


class Track:
    """The last kept fix, the newest one, and those between that will not be kept."""

    def __init__(self) -> None:
        self.newest: Seen | None = None
        self._kept: Seen | None = None
        self._times: array[int] = array("q")
        self._lats: array[int] = array("q")
        self._lons: array[int] = array("q")

    @property
    def pending(self) -> bool:
        """Whether the newest fix is not kept yet."""
        return self.newest is not self._kept

    def next_deadline(self) -> int | None:
        """When the newest fix becomes the last one before a gap, in mono_ms."""
        assert self.newest is not None or not self.pending
        return None if not self.pending or self.newest is None else self.newest.mono_ms + GAP_MS + 1

    def wake(self, mono_ms: int) -> list[FixRecord]:
        """The last fix before a gap is kept."""
        deadline = self.next_deadline()
        return [] if deadline is None or mono_ms < deadline else self.keep_newest()

    def keep_newest(self) -> list[FixRecord]:
        """The newest fix, if it is not kept yet: the last of a stand, of a gap, of a start; or its place is wanted now."""
        if not self.pending or self.newest is None:
            return []
        return [self._keep(self.newest)]

    def take(self, seen: Seen, profile: Profile, *, keep: bool, edge: bool) -> list[FixRecord]:
        """The fixes to be kept now that `seen` has come. `keep`: this one in any case; `edge`: the one before too."""
        kept: list[FixRecord] = []
        if edge or self._breaks(seen):
            kept += self.keep_newest()
            keep = True
        elif not self._holds(seen, profile):
            kept += self.keep_newest()
        self.newest = seen
        if keep or self._wanted(seen, profile):
            return [*kept, self._keep(seen)]
        self._times.append(seen.raw.t_ms)
        self._lats.append(seen.raw.lat_e7)
        self._lons.append(seen.raw.lon_e7)
        return kept

    def _keep(self, seen: Seen) -> FixRecord:
        self._kept = self.newest = seen
        del self._times[:], self._lats[:], self._lons[:]
        return seen.record

    def _breaks(self, seen: Seen) -> bool:
        """Whether `seen` has no way to the fix before it: first of all, after a gap, another kind, another time, a jump."""
        before = self.newest
        if before is None:
            return True
        passed_ms = seen.mono_ms - before.mono_ms
        told_ms = seen.record.t_ms - before.record.t_ms
        return (
            passed_ms > GAP_MS
            or told_ms < 0
            or abs(told_ms - passed_ms) > JUMP_MS_MAX
            or (seen.record.flags ^ before.record.flags) & (KIND | FixFlag.UNIT_CLOCK) != 0
            or seen.doubted
        )

    def _holds(self, seen: Seen, profile: Profile) -> bool:
        """Whether all that is not kept lies within the line from the last kept fix to `seen`."""
        assert self._kept is not None, "the first fix of all breaks"
        if profile.line_m is None:
            return True
        begin, end = self._kept.point, seen.point
        return all(
            off_line_m(begin, end, Point(t_ms=t_ms, lat_e7=lat_e7, lon_e7=lon_e7)) <= profile.line_m
            for t_ms, lat_e7, lon_e7 in zip(self._times, self._lats, self._lons, strict=True)
        )

    def _wanted(self, seen: Seen, profile: Profile) -> bool:
        """Whether a column of the table says that `seen` is to be kept, reckoned from the last kept one."""
        last = self._kept
        if last is None or len(self._times) >= WINDOW_FIXES_MAX:
            return True
        now, then = seen.record, last.record
        if now.t_ms - then.t_ms >= profile.time_s * 1_000 - TIME_SLACK_MS:
            return True
        if profile.distance_m is not None and (
            distance_m(last.point, seen.point) >= profile.distance_m
        ):
            return True
        if profile.turn_deg is not None and _turn_cdeg(then, now) >= profile.turn_deg * 100:
            return True
        if profile.speed_m_s is not None and _speed_change(then, now) >= profile.speed_m_s * 100:
            return True
        return profile.ahead_m is not None and profile.ahead_m < reckoned_off_m(
            last.point, seen.raw, speed_cm_s=then.speed_cm_s, course_cdeg=then.course_cdeg
        )


def _turn_cdeg(then: FixRecord, now: FixRecord) -> int:
    if then.course_cdeg is None or now.course_cdeg is None:
        return 0
    if min(then.speed_cm_s or 0, now.speed_cm_s or 0) <= TURN_CM_S_MIN:
        return 0
    turn = abs(now.course_cdeg - then.course_cdeg)
    return min(turn, 36_000 - turn)


def _speed_change(then: FixRecord, now: FixRecord) -> int:
    if then.speed_cm_s is None or now.speed_cm_s is None:
        return 0
    return abs(now.speed_cm_s - then.speed_cm_s)
