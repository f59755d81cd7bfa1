"""One unit while a tick passes over it: its state in parts, and what it has said.

Law: nothing here looks at columns; a part is only ever replaced whole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from collector.detect import (
    Finding,
    Hit,
    Phase,
    Place,
    Sample,
    Settled,
    SettledAs,
    Signal,
    gnss,
    interference,
    motion,
    restate,
    route,
    seals,
    speed,
    tags,
    zones,
)
from collector.detect.cross import convoy, fleet
from collector.detect.engine import CHAINS_MAX, MARKS_MAX, SEQ_BITS, Frame, UnitState
from collector.detect.engine.dues import named
from collector.detect.engine.early import judge_alone
from collector.detect.engine.places import near_of
from collector.detect.engine.telling import finding_of
from collector.detect.geo.lines import MARK_M
from collector.detect.rules import Rulebook, Rules
from collector.detect.track import Batch
from wire.columns import Event

if TYPE_CHECKING:
    from collector.detect.cross.known import Word

OPENINGS = frozenset({"SEAL_OPENED", "SEAL_OPEN_UNAUTHORISED", "DOOR_OPEN_UNAUTHORISED"})
PLACED = ("ZONE_", "ROUTE_", "FORBIDDEN_ZONE", "LEGAL_ROUTE")  # findings that stand on places


class Unit:
    """The parts of a `UnitState`, and the findings so far."""

    def __init__(self, book: Rulebook, unit: str, state: UnitState) -> None:
        self.book, self.name = book, unit
        frame = state.frame
        self.chains, self.chains_before = frame.chains, frame.chains_before
        self.prev, self.broken, self.version = frame.prev, frame.broken, frame.version
        self.top_m, self.marks = frame.top_m, frame.marks
        self.journey, self.start = frame.journey, frame.start
        self.gate, self.motion, self.zones = state.gate, state.motion, state.zones
        self.route, self.seals = state.route, state.seals
        self.stops, self.speed, self.watch = state.stops, state.speed, state.watch
        self.sky, self.tags = state.sky, state.tags
        self.stale = False  # the state has changed since it was screened
        self.batch: Batch | None = None
        self.jumped = False  # the gate lets pass what it has just told as a teleport
        self.rolled = False  # the fix at hand bears a date that was put right by 1,024 weeks
        self.findings: list[Finding] = []
        self.settled: list[Settled] = []
        self.words: list[Word] = []  # for those that look at several units
        self.shares = unit in book.paired  # its journey with others

    def state(self) -> UnitState:
        return UnitState(
            frame=Frame(
                chains=self.chains,
                chains_before=self.chains_before,
                prev=self.prev,
                broken=self.broken,
                version=self.version,
                top_m=self.top_m,
                marks=self.marks,
                journey=self.journey,
                start=self.start,
            ),
            gate=self.gate,
            motion=self.motion,
            zones=self.zones,
            route=self.route,
            stops=self.stops,
            speed=self.speed,
            seals=self.seals,
            watch=self.watch,
            sky=self.sky,
            tags=self.tags,
        )

    def enter(self, batch: Batch) -> None:
        self.batch = batch
        if not self.chains or self.chains[-1] != batch.chain:
            dropped = max(0, len(self.chains) + 1 - CHAINS_MAX)
            self.chains = (*self.chains[dropped:], batch.chain)
            self.chains_before += dropped
        statement = None if self.start is None else restate.opening_statement(batch)
        if self.start is not None and statement is not None:
            self.stale = True
            self.seals = restate.moved(self.seals, self.start, statement)
            self.tags = restate.moved(self.tags, self.start, statement)
            self.sky = restate.moved(self.sky, self.start, statement)

    def hole(self) -> None:
        """No segment across it; what was only a candidate is dropped."""
        self.broken = True
        self.start = None  # another start may lie in it
        self.gate = replace(self.gate, held=())
        self.motion = motion.broken(self.motion)
        self.zones = zones.broken(self.zones)
        self.route = route.broken(self.route)
        self.speed = speed.broken(self.speed)
        self.sky = interference.broken(self.sky)

    def coded(self, seq: int) -> int:
        """A seq that also knows its chain: findings may end in another one than they began in."""
        return (self.chains_before + len(self.chains) - 1) << SEQ_BITS | seq

    def advance(self, top_m: int, t_ms: int) -> None:
        if top_m // MARK_M > self.top_m // MARK_M:
            self.marks = (*self.marks, (top_m // MARK_M, t_ms))[-MARKS_MAX:]
        elif top_m < self.top_m:
            self.marks = ()
        self.top_m = top_m

    def is_undated(self) -> bool:
        return self.start is not None and restate.is_undated(self.seals, self.start)

    def changed(self, rules: Rules) -> frozenset[str]:
        """The zones in which this version differs from the unit's last one."""
        return rules.changed_since(named(self.book, self.version))

    def context(self, before: Place | None, behind: Place | None) -> seals.Context:
        batch = self.batch
        assert batch is not None
        return seals.Context(
            unit=self.name,
            book=self.book,
            near=near_of(self.book, before, behind),
            came_ms=batch.received_ms if batch.early_ms is None else batch.early_ms,
        )

    def tell(self, hits: Iterable[Hit], confirmed_ms: int) -> None:
        assert self.batch is not None
        for hit in hits:
            ordinal = hit.origin_seq >> SEQ_BITS
            seq = hit.origin_seq & ((1 << SEQ_BITS) - 1)
            known = ordinal - self.chains_before
            chain = self.chains[known] if known >= 0 else bytes(16)
            if hit.code in OPENINGS:
                self.tags = tags.opened(self.tags, hit.at_ms)
            if (self.sky.runs or self.jumped) and hit.code.startswith(PLACED):
                jumped = {gnss.TELEPORT} if self.jumped else set()
                ran = sorted(jumped.union(interference.running(self.sky)))
                hit = replace(hit, data={**hit.data, "gnss": ran}) if ran else hit  # noqa: PLW2901  # the same hit, saying more
            if self.rolled:
                hit = replace(hit, data={**hit.data, "rollover": 1})  # noqa: PLW2901  # see above
            self.findings.append(
                finding_of(
                    self.name, chain, seq, hit, confirmed_ms, self.batch.received_ms, self.book
                )
            )
            if hit.code == interference.CODE:
                self._signal(hit)

    def _signal(self, hit: Hit) -> None:
        """Interference, as others near by may have it too."""
        assert self.batch is not None
        kind = None
        if hit.value == interference.JAMMING:
            self.watch = replace(self.watch, jammed_ms=hit.at_ms)
            kind = fleet.JAMMED if hit.phase is Phase.BEGIN else None
        elif hit.value == gnss.TELEPORT:
            jumped_m = hit.data["jumped_m"]
            assert isinstance(jumped_m, int)
            far = jumped_m > self.book.at(hit.at_ms).thresholds.fleet_jump_m
            kind = fleet.JUMPED if far else None
        if kind is not None and hit.lat_e7 is not None and hit.lon_e7 is not None:
            self.words.append(
                Signal(
                    unit=self.name,
                    kind=kind,
                    t_ms=hit.at_ms,
                    lat_e7=hit.lat_e7,
                    lon_e7=hit.lon_e7,
                    received_ms=self.batch.received_ms,
                )
            )

    def share(self, before: Place | None, place: Place) -> None:
        """The first place of its half minute, for those who share the journey; behind a long leg its beginning as well."""
        if before is not None and place.t_ms - before.t_ms > convoy.SAMPLE_MS:
            self._share(before)
        self._share(place)

    def _share(self, place: Place) -> None:
        """A place that is good enough to confirm anything."""
        assert self.batch is not None
        journey = self.book.journey(self.name, place.t_ms)
        if journey is None or not journey.in_transit or journey.id not in self.book.convoys:
            return
        if place.sharp:
            self.words.append(
                Sample(
                    unit=self.name,
                    journey=journey.id,
                    t_ms=place.t_ms,
                    lat_e7=place.lat_e7,
                    lon_e7=place.lon_e7,
                    u_cm=place.u_cm,
                    received_ms=self.batch.received_ms,
                    gnss=tuple(sorted(set(interference.running(self.sky)))),
                )
            )

    def tell_odd(self, event: Event) -> None:
        kind = f"kind {event.kind}"
        hit = Hit(
            code="ODD_EVENT",
            at_ms=event.t_ms,
            origin_seq=event.seq,
            subject=kind,
            value=kind,
        )
        self.tell((hit,), event.t_ms)

    def settle(self, batch: Batch, found: Sequence[Finding]) -> None:
        """What became of the findings that the early copy of this batch had raised."""
        in_order = {finding.id: finding for finding in found if finding.n == 0}
        for early in judge_alone(self.book, batch):
            now = in_order.get(early.id)
            if now is None:
                outcome = SettledAs.WITHDRAWN
            elif replace(now, received_ms=early.received_ms, late=early.late) == early:
                outcome = SettledAs.CONFIRMED
            else:
                outcome = SettledAs.AMENDED
            self.settled.append(Settled(id=early.id, outcome=outcome, finding=now or early))
