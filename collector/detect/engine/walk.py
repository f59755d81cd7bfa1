"""One unit through the tick: its rows and its other facts, in chain order.

Law: a row is stepped if a screen marked it, or while any part of the unit is not quiet.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from collector.detect import (
    Fix,
    Place,
    gnss,
    interference,
    motion,
    restate,
    route,
    seals,
    silence,
    speed,
    zones,
)
from collector.detect.cross import convoy
from collector.detect.engine import (
    ALL,
    GATE,
    MOTION,
    ROUTE,
    SEALS,
    SKY,
    SPEED,
    ZONES,
    BitArray,
    ChainHole,
    Heard,
    Piece,
    Screening,
    UnitState,
)
from collector.detect.engine.columns import Columns, columns_of, name_of
from collector.detect.engine.dues import basis_of
from collector.detect.engine.events import step_event
from collector.detect.engine.fixes import judge_fix
from collector.detect.engine.places import cells_of, place_of
from collector.detect.engine.unit import Unit
from collector.detect.engine.watch import watched
from collector.detect.geo.line import Along, Whole, project_many
from collector.detect.geo.lines import MARK_M
from collector.detect.rules import Rulebook, Rules
from collector.detect.track import Batch, Track

if TYPE_CHECKING:
    from collector.detect.geo import RouteLine

RESCREEN_ROWS = 48  # so many rows are screened anew in the time in which they would be stepped


class Walk(Unit):
    """A unit on its way through the tick's columns."""

    def __init__(
        self,
        book: Rulebook,
        columns: Columns,
        bits: BitArray,
        screen: Screening,
        unit: str,
        number: int | None,
        state: UnitState,
    ) -> None:
        super().__init__(book, unit, state)
        self.track, self.columns, self.screen = columns.track, columns, screen
        self.bits = bits
        self.number = number
        self.begin = 0 if number is None else columns.starts[number]
        self.end = 0 if number is None else columns.ends[number]
        self.line = None if number is None else columns.routes[number]
        self.every = number is not None and columns.all_rows[number]
        self.lasts = columns.lasts
        self.shift = 0  # between a row of the track and of `columns`, which may have been made anew
        self.clean = True  # `prev` is the row before, as the screens took it
        self.basis: tuple[object, ...] | None = None
        self.screened = state
        self.stepped = 0
        self.rows: list[list[int]] | None = None
        self.off_rows: tuple[RouteLine, int, Whole] | None = None

    def go(self, pieces: Iterable[Piece]) -> None:
        """All pieces, in order."""
        row = self.begin
        for piece in pieces:
            if isinstance(piece, ChainHole):
                self.hole()
                continue
            if isinstance(piece, Heard):
                self.watch, hits = silence.heard(self.watch, piece.received_ms)
                self.findings += [
                    watched(self.book, self.name, self.state(), hit, piece.received_ms)
                    for hit in hits
                ]
                continue
            self.enter(piece)
            end = row + piece.fixes.shape[1]
            found = len(self.findings)
            for event in piece.events:
                behind = row + int(self.track.seq[row:end].searchsorted(event.seq))
                self._rows(row, behind)
                step_event(self, event, self._behind(behind, end))
                row = behind
            self._rows(row, end)
            row = end
            if piece.time_quality >= restate.TRUSTED:
                self.start = None  # what it says from here on needs no statement
            last = piece.first_seq + piece.count - 1
            newest_ms = self._newest_ms(piece)
            self.watch, hits, gap = silence.restored(self.watch, piece.events)
            self.tell(hits, newest_ms)
            if gap is not None:
                self.words.append(gap)
            self.watch = replace(
                self.watch,
                seq=self.coded(last),
                heard_ms=max(self.watch.heard_ms, piece.received_ms or 0),
                told_ms=newest_ms,
            )
            if piece.early_ms is not None:
                self.settle(piece, self.findings[found:])

    def _newest_ms(self, batch: Batch) -> int:
        """Event time of a batch's newest record."""
        times = [event.t_ms for event in batch.events]
        return max([*times, *batch.fixes[1].tolist()], default=batch.sealed_ms)

    def _rows(self, row: int, end: int) -> None:
        """The rows up to `end`: dull ones at once, the others one by one, by whom they may concern."""
        while row < end:
            if not self._as_screened(row):
                self._step(row, ALL)
                row += 1
                continue
            restless = self._restless(row)
            if not restless:
                marked = self.bits[row - self.shift : end - self.shift]
                dull = int((marked != 0).argmax()) if marked.any() else end - row
                if dull:
                    self._skip(row, row + dull)
                    row += dull
                    continue
            bits = int(self.bits[row - self.shift])
            self._step(row, restless | bits, untouched=not bits & ZONES)
            row += 1

    def _restless(self, row: int) -> int:
        """Those that a row concerns also if no screen has marked it."""
        bits = 0
        if not gnss.quiet(self.gate):
            bits = GATE
        if not motion.quiet(self.motion):
            bits |= MOTION
        if not zones.quiet(self.zones, standing=motion.standing(self.motion)):
            bits |= ZONES
        if not route.quiet(self.route):
            bits |= ROUTE | self._long(row)
        elif not self._followed(row):
            if self.end - row >= RESCREEN_ROWS:
                self._screen_again(row)
            else:
                bits |= ROUTE | self._long(row)
        if not speed.quiet(self.speed):
            bits |= SPEED
        if not interference.quiet(self.sky):
            bits |= SKY
        if not seals.quiet(self.seals):
            bits |= SEALS
        return bits

    def _as_screened(self, row: int) -> bool:
        """Whether the screens took this row as we come to it: the same fix before it, the same state."""
        if self.every or not self.clean or self.broken or self.prev is None:
            return False
        if not self.stale:
            return True
        if self.basis is None:
            self.basis = basis_of(self.book, self.screened.frame.version, self.screened)
        if basis_of(self.book, self.version, self) != self.basis:
            if self.end - row < RESCREEN_ROWS:
                return False
            self._screen_again(row)
        self.stale = False
        return True

    def _followed(self, row: int) -> bool:
        """Whether the screen followed the unit along the same route, from the same progress."""
        line, state = self.line, self.route
        if line is None or state.route != line.id or state.mark != line.mark:
            return line is None and state.route is None
        if state.mode is route.Mode.DONE:
            return self.screened.route.mode is route.Mode.DONE
        if state.mode is route.Mode.BEFORE:
            # where distance counts as 0 is looked at by the screen, so it has to be as it was then
            same_zones = zones.inside(self.zones) == zones.inside(self.screened.zones)
            return same_zones and state == self.screened.route
        progress = self.columns.progress
        if progress is None or not route.followed(self.screened.route):
            return False
        return int(progress.top_before_m[row - self.shift]) == self.top_m

    def _long(self, row: int) -> int:
        """ZONES where the route may stand for the chord although no screen has asked along it."""
        assert self.prev is not None
        dt_ms = self._row(row)[1] - self.prev.t_ms
        return ZONES if dt_ms >= route.BY_ROUTE_MS else 0

    def _screen_again(self, row: int) -> None:
        """The unit's rows from here on, from the state as it is now."""
        rest = slice(row, self.end)
        track = self.track
        size = self.end - row
        alone = Track(
            units=(self.name,),
            batches=track.batches,
            ends=np.array([size]),
            unit=np.zeros(size, np.int64),
            batch=track.batch[rest],
            seq=track.seq[rest],
            t_ms=track.t_ms[rest],
            lat_e7=track.lat_e7[rest],
            lon_e7=track.lon_e7[rest],
            speed_cm_s=track.speed_cm_s[rest],
            course_cdeg=track.course_cdeg[rest],
            hdop_centi=track.hdop_centi[rest],
            err_cm=track.err_cm[rest],
            sats=track.sats[rest],
            flags=track.flags[rest],
        )
        state = self.state()
        self.columns = columns_of(self.book, {self.name: state}, alone)
        self.bits, self.shift = self.screen(self.columns.mask), row
        self.line, self.every = self.columns.routes[0], self.columns.all_rows[0]
        self.screened, self.basis, self.stale = state, None, False

    def _skip(self, row: int, end: int) -> None:
        """Dull rows: only the frame goes on."""
        self._go_on(row, end)
        if self.shares:
            self._sample(row, end)
        self.prev = self._place(end - 1)
        self.version = name_of(self.book, self.columns.version[end - 1 - self.shift])

    def _sample(self, row: int, end: int) -> None:
        """What of these dull rows is for those who share the journey."""
        assert self.prev is not None
        halves = self.track.t_ms[row:end] // convoy.SAMPLE_MS
        before = np.concatenate(([self.prev.t_ms // convoy.SAMPLE_MS], halves[:-1]))
        for at in np.flatnonzero(halves != before).tolist():
            self.share(self._place(row + at - 1) if at else self.prev, self._place(row + at))

    def _place(self, row: int) -> Place:
        cells = self._row(row)
        return place_of(cells, self.coded(cells[0]))

    def _go_on(self, row: int, end: int) -> None:
        """Progress over rows that are dull for the route."""
        progress = self.columns.progress
        if progress is None or not route.followed(self.route):
            return
        begin, behind = row - self.shift, end - self.shift
        top_m = int(progress.top_after_m[behind - 1])
        if top_m // MARK_M > self.top_m // MARK_M:
            rising = progress.top_after_m[begin:behind]
            for mark in range(self.top_m // MARK_M + 1, top_m // MARK_M + 1):
                at = int(rising.searchsorted(mark * MARK_M))
                self.advance(mark * MARK_M, int(self.track.t_ms[row + at]))
        self.top_m = top_m

    def _row(self, row: int) -> list[int]:
        if self.rows is None:
            if row == self.end - 1 and self.number is not None:  # all that a dull unit is asked for
                return self.lasts[self.number]
            span = slice(self.begin, self.end)
            self.rows = np.stack([column[span] for column in cells_of(self.track)], axis=1).tolist()
        return self.rows[row - self.begin]

    def _step(self, row: int, bits: int, *, untouched: bool = False) -> None:
        self.stepped += 1
        cells = self._row(row)
        place = place_of(cells, self.coded(cells[0]))
        rules = self.book.versions[int(self.columns.version[row - self.shift])]
        fix = Fix(
            place=place,
            speed_cm_s=None if cells[4] < 0 else cells[4],
            flags=cells[7],
            prev=self.prev,
            broken=self.broken,
        )
        whole = None
        if bits & ROUTE and self.route.mode is route.Mode.OFF and self.end - row > 1:
            whole = self._whole(row)  # of units before joining few rows are stepped: not worth it
        if not bits & GATE:
            self._judge(rules, fix, place.t_ms, row, bits, whole, untouched=untouched)
            return
        assert self.batch is not None
        self.stale = True
        gated = gnss.step(rules.thresholds, self.gate, fix, self.batch.received_ms)
        self.gate = gated.state
        if gated.released and gated.released[-1].rollover:  # it happened when its weeks are added
            place = gated.released[-1].place
            rules = self.book.at(place.t_ms)
        self.tell(gated.hits, place.t_ms)
        for hit in gated.hits:
            if hit.code == "FIX_OUTLIER":
                self.sky, more = interference.outlier(rules, self.sky, place)
                self.tell(more, place.t_ms)
        self.clean = len(gated.released) == 1 and gated.released[0] is fix
        self.jumped = any(hit.value == gnss.TELEPORT for hit in gated.hits)
        for released in gated.released:
            self._judge(rules, released, place.t_ms, row, bits, whole if self.clean else None)
        self.jumped = False

    def _judge(
        self,
        rules: Rules,
        fix: Fix,
        confirmed_ms: int,
        row: int,
        bits: int,
        whole: Along | None,
        *,
        untouched: bool = False,
    ) -> None:
        self.rolled = fix.rollover
        if not judge_fix(self, rules, fix, confirmed_ms, bits, whole, untouched=untouched):
            self._go_on(row, row + 1)
        self.rolled = False

    def _behind(self, row: int, end: int) -> Place | None:
        """The place of a row of the same batch, behind an event."""
        if row == end:
            return None
        cells = self._row(row)
        return place_of(cells, self.coded(cells[0])) if cells[2] or cells[3] else None

    def _whole(self, row: int) -> Along | None:
        """The nearest place on the whole route, asked for all rows that are left together."""
        if self.line is None or self.route.route != self.line.id:
            return None
        if self.off_rows is None or self.off_rows[0] is not self.line:
            rest = slice(row, self.end)
            lon, lat = self.track.lon_e7[rest], self.track.lat_e7[rest]
            self.off_rows = (self.line, row, project_many(self.line, lon, lat))
        line, begin, whole = self.off_rows
        cells = self._row(row)
        return whole.at(line, row - begin, cells[3], cells[2])
