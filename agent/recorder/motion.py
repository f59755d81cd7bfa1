"""Whether the positions say that the unit moves (EDGE section 2).

Law: between its two thresholds it keeps its mind.
"""

from agent.recorder.plane import Point, distance_m

MOVING_CM_S_MIN = 150
MOVING_FIXES_MIN = 3
STANDING_CM_S_MAX = 70
STANDING_MS_MIN = 60_000
ANCHOR_M_MAX = 30.0


class Motion:
    """Moving: 3 fixes over 1.5 m/s, or 30 m from the anchor. Standing: 60 s under 0.7 m/s within 30 m of it."""

    def __init__(self) -> None:
        self.moving: bool | None = None
        self._anchor: Point | None = None
        self._quiet_since_ms = 0
        self._fast = 0
        self._before: Point | None = None

    def take(self, point: Point, speed_cm_s: int | None, mono_ms: int) -> bool:
        """Look at one fix; True if the mind has changed."""
        speed = self._speed(point) if speed_cm_s is None else speed_cm_s
        self._before = point
        self._fast = self._fast + 1 if speed > MOVING_CM_S_MIN else 0
        if self._anchor is None:
            self._drop_anchor(point, mono_ms)
            return False
        far = distance_m(self._anchor, point) > ANCHOR_M_MAX
        now = self.moving
        if far or self._fast >= MOVING_FIXES_MIN:
            now = True
        if far or speed >= STANDING_CM_S_MAX:
            self._restless(point, mono_ms, far=far)
        elif mono_ms - self._quiet_since_ms >= STANDING_MS_MIN:
            now = False
        changed = now is not self.moving
        self.moving = now
        return changed

    def _restless(self, point: Point, mono_ms: int, *, far: bool) -> None:
        """A stand, or what might have become one, begins anew; a standing unit keeps its anchor until it leaves."""
        if far or self.moving is not False:
            self._drop_anchor(point, mono_ms)
        self._quiet_since_ms = mono_ms

    def _drop_anchor(self, point: Point, mono_ms: int) -> None:
        self._anchor = point
        self._quiet_since_ms = mono_ms

    def _speed(self, point: Point) -> float:
        before = self._before
        if before is None or point.t_ms <= before.t_ms:
            return 0.0
        return distance_m(before, point) * 100_000 / (point.t_ms - before.t_ms)
