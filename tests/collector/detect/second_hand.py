"""Zones and the corridor once more, by a second hand: from the tables of DETECTION 4, 6 and 7 alone.

Law: no numpy, no GEOS and nothing of ours; plain loops over plain numbers, crossings as exact fractions. Where the tables are
silent a comment says what was taken.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

Xy = tuple[int, int]  # e7 degrees, x = longitude
Said = tuple[str, int, float]  # code (with its phase or side), when, a number or 0
Rings = Sequence[Sequence[Xy]]


class CloseCallError(Exception):
    """A chord's depth lies within a metre of what makes it a visit: the depth is searched no finer, so both may be right."""


class Fix(NamedTuple):
    t_ms: int
    x: int
    y: int
    u_m: float


# section 4


def metres(lat_e7: float) -> tuple[float, float]:
    """Of one e7 degree of longitude and of latitude (WGS 84)."""
    turn, e2 = math.radians(1e-7), 0.0066943799901413165
    root = math.sqrt(1 - e2 * math.sin(lat_e7 * turn) ** 2)
    return 6378137 / root * math.cos(lat_e7 * turn) * turn, 6378137 * (1 - e2) / root**3 * turn


def apart(a: Fix, b: Fix) -> float:
    k_lon, k_lat = metres((a.y + b.y) / 2)
    return math.hypot((b.x - a.x) * k_lon, (b.y - a.y) * k_lat)


def to_segment(p: tuple[float, float], a: Xy, b: Xy, k: tuple[float, float]) -> tuple[float, float]:
    """Metres to the nearest place of a segment, and its share of the segment."""
    px, py = (p[0] - a[0]) * k[0], (p[1] - a[1]) * k[1]
    ux, uy = (b[0] - a[0]) * k[0], (b[1] - a[1]) * k[1]
    share = min(max((px * ux + py * uy) / (ux * ux + uy * uy), 0.0), 1.0)
    return math.hypot(px - share * ux, py - share * uy), share


def side(a: Xy, b: Xy, p: tuple[Fraction | int, Fraction | int]) -> Fraction | int:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def edges(rings: Rings) -> list[tuple[Xy, Xy]]:
    return [edge for ring in rings for edge in pairwise([*ring, ring[0]])]


def holds(rings: Rings, p: tuple[Fraction | int, Fraction | int]) -> bool:
    """The boundary belongs to the zone; a hole is outside."""
    odd = False
    for a, b in edges(rings):
        turn = side(a, b, p)
        between = all(min(a[i], b[i]) <= p[i] <= max(a[i], b[i]) for i in (0, 1))
        if turn == 0 and between:
            return True
        if (a[1] > p[1]) is not (b[1] > p[1]):
            odd ^= (turn > 0) is (b[1] > a[1])
    return odd


def away(rings: Rings, p: tuple[float, float]) -> float:
    """Metres to the boundary."""
    k = metres(p[1])
    return min(to_segment(p, a, b, k)[0] for a, b in edges(rings))


def spans(rings: Rings, a: Xy, b: Xy) -> list[tuple[Fraction, Fraction]]:
    """The parts of the segment that lie in the zone, as shares of it; a touch is one of no length."""
    cuts = {Fraction(end) for end, place in ((0, a), (1, b)) if holds(rings, place)}
    for c, d in edges(rings):
        of_a, of_b, of_c, of_d = side(c, d, a), side(c, d, b), side(a, b, c), side(a, b, d)
        if of_a != of_b and of_a * of_b <= 0 and of_c * of_d <= 0:
            cuts.add(Fraction(of_a, of_a - of_b))
    found = [(cut, cut) for cut in sorted(cuts)]
    for low, high in pairwise(sorted(cuts)):
        middle = (low + high) / 2
        if holds(rings, (a[0] + middle * (b[0] - a[0]), a[1] + middle * (b[1] - a[1]))):
            at = next(number for number, span in enumerate(found) if span[1] == low)
            found[at : at + 2] = [(found[at][0], high)]
    return found


def depth(rings: Rings, a: Fix, b: Fix, span: tuple[Fraction, Fraction]) -> float:
    """The greatest distance to the boundary; nobody asks beyond 400 m."""
    low, high = map(float, span)
    shares = [low + (high - low) * n / 400 for n in range(401)]
    places = [(a.x + s * (b.x - a.x), a.y + s * (b.y - a.y)) for s in shares]
    return min(400.0, max(away(rings, place) for place in places))


# section 6


def standing() -> Callable[[Fix | None, Fix], bool]:
    """Says of each fix whether the unit stands."""
    mode, anchor, beyond, first_ms = "MOVING", Fix(0, 0, 0, 0), 0, 0

    def look(prev: Fix | None, fix: Fix) -> bool:
        nonlocal mode, anchor, beyond, first_ms
        if mode == "MOVING":
            slow = prev is not None and apart(prev, fix) * 1_000 < 1.5 * (fix.t_ms - prev.t_ms)
            mode, anchor = ("SETTLING", fix) if slow else (mode, anchor)
            return False
        far = apart(anchor, fix)
        if mode == "SETTLING":
            long = fix.t_ms - anchor.t_ms >= 60_000
            mode = "MOVING" if far > 60 else "STANDING" if long else mode
        elif far <= 60:
            mode = "STANDING"
        else:
            beyond, first_ms = (beyond + 1, first_ms) if mode == "LEAVING" else (1, fix.t_ms)
            gone = far > 150 or (beyond >= 3 and fix.t_ms - first_ms >= 30_000)
            mode = "MOVING" if gone and fix.u_m <= 100 else "LEAVING"
        return mode == "STANDING"

    return look


# section 7.1


def zone_hand(rings: Rings, fixes: Sequence[Fix], dwell_s: int | None = None) -> list[Said]:
    """One unit and one zone."""
    said: list[Said] = []
    state, t_x, count, since, entered, unseen, prev = "OUT", 0, 0, 0, 0, 0, None
    dwelt, look = False, standing()
    for fix in fixes:
        still, now = look(prev, fix), holds(rings, (fix.x, fix.y))
        if prev is None:
            if now:
                said.append(("ZONE_FOUND_INSIDE", fix.t_ms, 0))
                state, entered = "IN", fix.t_ms
        elif fix.t_ms - prev.t_ms > 180_000:  # a gap: 3 x interval_s
            middle = (prev.t_ms + fix.t_ms) // 2
            if state == "OUT" and now:
                state, t_x, count = "ENTERING", middle, 0
            elif state == "IN" and not now:
                state, t_x, count = "LEAVING", middle, 0
            elif state == "IN":
                unseen += (fix.t_ms - prev.t_ms) // 1_000
            elif state == "LEAVING" and now:
                state = "IN"
        else:
            a, b = (prev.x, prev.y), (fix.x, fix.y)
            for low, high in spans(rings, a, b):
                t_in, t_out = (prev.t_ms + round(s * (fix.t_ms - prev.t_ms)) for s in (low, high))
                if low > 0 and state == "OUT" and high < 1:
                    if still:
                        continue
                    deep = depth(rings, prev, fix, (low, high))
                    needed = min(400, max(fix.u_m, 15) + 0.02 * apart(prev, fix))
                    if abs(deep - needed) <= 1 and fix.u_m <= 100:
                        raise CloseCallError
                    if fix.u_m <= 100 and deep >= needed:
                        said += [("ZONE_ENTERED", t_in, 0), ("ZONE_EXITED", t_out, 0)]
                    else:
                        said.append(("ZONE_POSSIBLE_VISIT", t_in, deep))
                    continue
                if low > 0 and state in ("OUT", "LEAVING"):
                    said += [] if still else [("ZONE_CROSSED in", t_in, 0)]
                    if state == "OUT":
                        t_x, count, unseen = t_in, 0, 0
                    state = "ENTERING" if state == "OUT" else "IN"
                if high < 1 and state == "IN":  # so too between two crossings of one segment
                    said += [] if still else [("ZONE_CROSSED out", t_out, 0)]
                    state, t_x, count = "LEAVING", t_out, 0
        sure = fix.u_m <= 100 and not still
        if state == "ENTERING" and not now:
            said += [] if still else [("ZONE_POSSIBLE_VISIT", t_x, 0)]
            state = "OUT"
        elif state == "ENTERING" and sure:
            count += 1
            if count == 2 or away(rings, (fix.x, fix.y)) >= max(fix.u_m, 15):
                said.append(("ZONE_ENTERED", t_x, 0))
                state, entered, dwelt = "IN", t_x, False
        elif state == "LEAVING" and sure:
            far = away(rings, (fix.x, fix.y))
            count = count + 1 if far >= max(50, 2 * fix.u_m) else 0
            since = fix.t_ms if count == 1 else since
            over = fix.t_ms - since
            if count and (
                far >= 250 or (count >= 3 and over >= 30_000) or (count >= 2 and over >= 60_000)
            ):
                said.append(("ZONE_EXITED", t_x, unseen))
                state, unseen = "OUT", 0
        elif (
            state == "IN"
            and dwell_s
            and not dwelt
            and fix.u_m <= 100
            and fix.t_ms - entered >= dwell_s * 1_000
        ):
            said.append(("ZONE_DWELL", fix.t_ms, (fix.t_ms - entered) / 1_000))
            dwelt = True
        prev = fix
    return said


# section 7.2


class Line:
    """A route without twins: where a place lies along it."""

    def __init__(self, points: Sequence[Xy]) -> None:
        self.parts: list[tuple[Xy, Xy, tuple[float, float], float, float]] = []
        s = 0.0
        for a, b in pairwise(points):
            k = metres((a[1] + b[1]) / 2)
            length = math.hypot((b[0] - a[0]) * k[0], (b[1] - a[1]) * k[1])
            self.parts.append((a, b, k, s, length))
            s += length
        self.total = s

    def near(self, fix: Fix, low: float = 0.0, high: float = math.inf) -> tuple[float, float]:
        """Distance and s of the nearest place on the segments that touch low .. high."""
        best, at = (math.inf, 0.0), (0.0, 0.0)
        for a, b, k, s, length in self.parts:
            if s <= high and (s + length > low or s + length == self.total):
                d, share = to_segment((fix.x, fix.y), a, b, k)
                if d < best[0]:
                    best = (d, s + share * length)
                    at = (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))
        if best[0] >= 1_000:  # so far away the scale is that of the latitude between
            k = metres((fix.y + at[1]) / 2)
            return math.hypot((at[0] - fix.x) * k[0], (at[1] - fix.y) * k[1]), best[1]
        return best


class Corridor:
    """One unit on one route, outside of zones in which distance counts as 0."""

    def __init__(self, points: Sequence[Xy], w: float, alert: float, legal: float) -> None:
        self.line, self.w, self.alert, self.legal = Line(points), w, alert, legal
        self.said: list[Said] = []
        self.look, self.mode, self.prev = standing(), "BEFORE", Fix(0, 0, 0, 0)
        self.top = self.first_ms = self.near = self.near_ms = self.on_again = 0
        self.passed: tuple[int, int, int] | None = None  # where d passed w; fixes beyond, the first
        self.fall: tuple[int, int, int] | None = None  # fixes behind the progress; the first, its s
        self.other: tuple[int, int, int] | None = None  # fixes on another part; the last, its s
        self.back: list[int] | None = None  # s, the lowest s, whether it is the wrong way
        self.off_s = self.moving_ms = self.legal_n = self.told = self.told_d = self.max_d = 0
        self.far: tuple[int, int] = (0, 0)  # fixes beyond `alert`, the first
        self.is_legal = self.at_end = False

    def say(self, code: str, t_ms: int, value: float = 0) -> None:
        self.said.append((code, t_ms, value))

    def step(self, fix: Fix) -> None:
        first = not self.first_ms
        self.first_ms = self.first_ms or fix.t_ms
        still = self.look(None if first else self.prev, fix)
        dt_ms = 0 if first else fix.t_ms - self.prev.t_ms
        if self.mode == "BEFORE":
            self._before(fix)
        elif self.mode == "OFF":
            self._off(fix, 0 if still else dt_ms)
        elif self.mode != "DONE":
            self._on(fix, dt_ms, still=still)
        self.prev = fix

    def _closer(self, fix: Fix, d: float) -> bool:
        """Two fixes within half of the width."""
        if d > self.w / 2 or fix.u_m > 100:
            self.near = 0
            return False
        self.near, self.near_ms = self.near + 1, self.near_ms if self.near else fix.t_ms
        return self.near == 2

    def _before(self, fix: Fix) -> None:
        d, s = self.line.near(fix)
        if self._closer(fix, d):
            self.say("ROUTE_JOINED", self.near_ms, math.floor(s))
            self.mode, self.top, self.near = "ON", math.floor(s), 0
            self.at_end = s >= self.line.total - 300  # joined there: being there is no arrival
            self._arrive(fix, d, math.floor(s))
        elif not self.near and fix.t_ms - self.first_ms >= 1_800_000:
            self.say("ROUTE_LEFT", fix.t_ms, d)
            self._leave(0, d)

    def _leave(self, s: int, d: float) -> None:
        self.mode, self.off_s, self.max_d, self.far = "OFF", s, round(d), (0, 0)
        self.moving_ms = self.legal_n = self.told = self.near = 0
        self.passed = self.fall = self.other = self.back = None
        self.on_again = 0

    def _off(self, fix: Fix, moving_ms: int) -> None:
        d, s = self.line.near(fix)
        self.moving_ms += moving_ms
        self.max_d = max(self.max_d, round(d))
        if d >= self.w / 2 and fix.u_m <= 100:
            self.legal_n = self.legal_n + 1 if d > self.legal else 0
            self._deviate(fix, d)
        if self._closer(fix, d):
            skipped = math.floor(s) - self.off_s
            self.say("ROUTE_REJOINED", self.near_ms, skipped)
            if self.told:
                self.say("ROUTE_DEVIATION end", self.near_ms, self.max_d)
            if skipped >= 2_000:
                self.say("ROUTE_PART_SKIPPED", self.near_ms, skipped)
            self.mode, self.top, self.near, self.on_again = "ON", math.floor(s), 0, 2
            self.at_end = s >= self.line.total - 300 and self.off_s == 0
            self._arrive(fix, d, math.floor(s))
        elif self.legal_n >= 2 and not self.is_legal:
            self.say("LEGAL_ROUTE_DEVIATION begin", fix.t_ms, d)
            self.is_legal = True

    def _deviate(self, fix: Fix, d: float) -> None:
        if self.told:
            if d >= 2 * self.told_d:
                self.say("ROUTE_DEVIATION change", fix.t_ms, d)
                self.told, self.told_d = self.told + 1, round(d)
            return
        n, first_ms = self.far
        is_far = d > self.alert + 2 * fix.u_m
        self.far = (n + 1, first_ms if n else fix.t_ms) if is_far else (0, 0)
        long = self.far[0] >= 3 and fix.t_ms - self.far[1] >= 120_000
        if long or self.moving_ms >= 900_000:
            self.say("ROUTE_DEVIATION begin", self.far[1] if long else fix.t_ms, d)
            self.told, self.told_d = 1, max(round(d), round(self.w))

    def _on(self, fix: Fix, dt_ms: int, *, still: bool) -> None:
        mark = self.back[0] if self.back else self.top // 2_000 * 2_000
        window = (mark - 500, mark + 2_500 + 1.3 * 27.8 * dt_ms / 1_000)
        d, s_m = self.line.near(fix, *window)
        s = math.floor(s_m)
        if d > self.w / 2:
            if self._moved(fix, d):
                return
        else:
            self.other = None
        if self.back:
            self.back[0] = s
        if d <= self.w:
            self.passed, self.mode = None, "BACK" if self.back else "ON"
        else:
            if self.passed is None:
                before = self.line.near(self.prev, *window)[0]
                share = (self.w - before) / (d - before) if before < self.w else 1.0
                self.passed = (self.prev.t_ms + round(share * dt_ms), 0, 0)
            if self.mode != "LEAVING" and d > self.w + fix.u_m:
                self.mode, self.fall = "LEAVING", None
        if self.mode == "LEAVING":
            self._leaving(fix, d, s)
        elif d <= self.w:
            self._progress(fix, s, still=still)
            if self.is_legal and d <= self.w / 2 and fix.u_m <= 100:
                self.on_again += 1
                if self.on_again == 3:
                    self.say("LEGAL_ROUTE_DEVIATION end", fix.t_ms)
                    self.is_legal = False
            self._arrive(fix, d, s)

    def _moved(self, fix: Fix, d: float) -> bool:
        """The whole route is asked; a nearer part counts after three fixes that agree."""
        all_d, all_s = self.line.near(fix)
        if all_d > self.w / 2 or all_d >= d or fix.u_m > 100:
            self.other = None
            return False
        n, t_ms, s = self.other or (0, 0, 0)
        # agree: as far apart as a lorry can drive meanwhile, with 50 m for what two fixes may be off
        could = 1.3 * 27.8 * (fix.t_ms - t_ms) / 1_000 + fix.u_m + 50
        s_now = math.floor(all_s)
        self.other = (n + 1 if n and abs(s_now - s) <= could else 1, fix.t_ms, s_now)
        if self.other[0] < 3:
            return False
        if s_now - self.top >= 2_000:
            self.say("ROUTE_PART_SKIPPED", fix.t_ms, s_now - self.top)
        elif self.top - s_now >= 200:
            self.say("ROUTE_BACKWARD", fix.t_ms, self.top - s_now)
        self._end_wrong_way(fix)
        self.mode, self.top = "ON", s_now
        self.passed = self.fall = self.other = self.back = None
        return True

    def _leaving(self, fix: Fix, d: float, s: int) -> None:
        assert self.passed is not None
        if fix.u_m > 100:
            return
        at_ms, n, since_ms = self.passed
        since_ms = since_ms if n else fix.t_ms
        self.passed = (at_ms, n + 1, since_ms)
        far = d > 3 * self.w and self.other is None
        if far or (n + 1 >= 3 and fix.t_ms - since_ms >= 30_000):
            self.say("ROUTE_LEFT", at_ms, d)
            self._end_wrong_way(fix)
            self._leave(min(self.top, s) if self.back else self.top, d)

    def _progress(self, fix: Fix, s: int, *, still: bool) -> None:
        if self.back:
            _, low, wrong = self.back
            low = min(low, s)
            if s - low >= 500 and fix.u_m <= 100:
                self._end_wrong_way(fix)
                self.mode, self.top, self.back = "ON", s, None
                return
            if not wrong and self.top - s >= 2_000 and fix.u_m <= 100:
                self.say("ROUTE_WRONG_WAY begin", fix.t_ms, self.top - s)
                wrong = 1
            self.back = [s, low, wrong]
            return
        if self.top - s <= 100 or still:
            self.fall, self.top = None, max(self.top, s)
            return
        n, first_ms, first_s = self.fall or (0, fix.t_ms, s)
        self.fall = (n + 1, first_ms, first_s)
        took_s = (fix.t_ms - first_ms) / 1_000
        lasts = n + 1 >= 3 and took_s >= 30 and (first_s - s) / took_s > 2
        if self.top - s >= 200 and lasts and fix.u_m <= 100:
            self.say("ROUTE_BACKWARD", first_ms, self.top - s)
            self.mode, self.fall, self.back = "BACK", None, [s, s, 0]

    def _end_wrong_way(self, fix: Fix) -> None:
        if self.back and self.back[2]:
            self.say("ROUTE_WRONG_WAY end", fix.t_ms)

    def _arrive(self, fix: Fix, d: float, s: int) -> None:
        near_end = s >= self.line.total - 300 and d <= self.w
        self.at_end = self.at_end and near_end
        if near_end and not self.at_end and fix.u_m <= 100 and self.mode in ("ON", "BACK"):
            self.say("ROUTE_DONE", fix.t_ms, s)
            self._end_wrong_way(fix)
            if self.is_legal:
                self.say("LEGAL_ROUTE_DEVIATION end", fix.t_ms)
            self.mode = "DONE"


def corridor_hand(
    points: Sequence[Xy],
    fixes: Sequence[Fix],
    *,
    w: float = 150,
    alert: float = 500,
    legal: float = 50_000,
) -> list[Said]:
    hand = Corridor(points, w, alert, legal)
    for fix in fixes:
        hand.step(fix)
    return hand.said
