"""A small country of zones and one road, and lorries that do everything a lorry does, for the laws and the hard cases."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from collector.detect import Finding
from collector.detect.cross.known import NOTHING, Known, changed, read
from collector.detect.engine import (
    FRESH,
    ChainHole,
    Heard,
    Item,
    Result,
    Screening,
    Tick,
    TimePassed,
    UnitState,
    marked_rows,
)
from collector.detect.engine.blob import pack
from collector.detect.engine.run import run
from collector.detect.geo import Shapes
from collector.detect.geo.geojson import read_zones
from collector.detect.geo.measure import scale
from collector.detect.rules import Journey, Rulebook, Rules, Thresholds, build
from collector.detect.track import Batch
from wire.columns import Event
from wire.records import SealBit

BEGIN_MS = 1_795_330_000_000
LAT_E7, LON_E7 = 410_000_000, 690_000_000
K_LON, K_LAT = scale(LAT_E7)
CHAIN = bytes(range(16))

Xy = tuple[float, float]  # metres east and north of the middle of the country


def place(x_m: float, y_m: float) -> tuple[int, int]:
    """e7 degrees: latitude, longitude."""
    return round(LAT_E7 + y_m / K_LAT), round(LON_E7 + x_m / K_LON)


def polygon(name: str, *rings: Sequence[Xy], **properties: object) -> dict[str, object]:
    def closed(ring: Sequence[Xy]) -> list[list[float]]:
        degrees = [place(x, y) for x, y in ring]
        points = [[lon / 1e7, lat / 1e7] for lat, lon in degrees]
        return [*points, points[0]]

    return {
        "type": "Feature",
        "properties": {"id": name, **properties},
        "geometry": {"type": "Polygon", "coordinates": [closed(ring) for ring in rings]},
    }


def square(
    name: str, x_m: float, y_m: float, half_m: float, **properties: object
) -> dict[str, object]:
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ring = [(x_m + half_m * x, y_m + half_m * y) for x, y in corners]
    return polygon(name, ring, **properties)


def line(name: str, points: Sequence[Xy], **properties: object) -> dict[str, object]:
    degrees = [place(x, y) for x, y in points]
    return {
        "type": "Feature",
        "properties": {"id": name, "kind": "route", **properties},
        "geometry": {
            "type": "LineString",
            "coordinates": [[lon / 1e7, lat / 1e7] for lat, lon in degrees],
        },
    }


def shapes_of(*features: dict[str, object]) -> Shapes:
    shapes = read_zones({"type": "FeatureCollection", "features": list(features)})
    assert isinstance(shapes, Shapes), shapes
    return shapes


def book_of(
    *features: dict[str, object],
    route: str | None = None,
    thresholds: Thresholds | None = None,
    units: Iterable[str] = ("u",),
    versions: tuple[Rules, ...] = (),
) -> Rulebook:
    rules = build(shapes_of(*features), thresholds=thresholds)
    journeys = {unit: (Journey(id="j", unit=unit, since_ms=0, route=route),) for unit in units}
    return Rulebook(versions=(rules, *versions), journeys=journeys)


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """One fix: seconds, metres."""

    t_s: float
    x_m: float
    y_m: float
    hdop: float | None = None
    speed_m_s: float | None = None
    flags: int = 1
    raw: tuple[int, int] | None = None  # latitude and longitude as the receiver said them


def fixes(*rows: At, first_seq: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    cells = [
        (
            first_seq + number,
            BEGIN_MS + round(row.t_s * 1_000),
            *(row.raw or place(row.x_m, row.y_m)),
            -1_000_000,
            -1 if row.speed_m_s is None else round(row.speed_m_s * 100),
            -1,
            -1 if row.hdop is None else round(row.hdop * 100),
            -1,
            -1,
            row.flags,
        )
        for number, row in enumerate(rows)
    ]
    if not cells:
        return np.empty((11, 0), np.int64)
    block: np.ndarray[tuple[int, int], np.dtype[np.int64]] = np.array(cells, np.int64).T.copy()
    return block


@dataclass(slots=True)
class Unit:
    """Seals records into batches, in order."""

    name: str = "u"
    chain: bytes = CHAIN
    number: int = 0
    next_seq: int = 0

    def batch(
        self,
        *rows: At | Event,
        received_s: float | None = None,
        early_s: float | None = None,
    ) -> Batch:
        first = self.next_seq
        seen: list[At] = []
        seqs: list[int] = []
        events: list[Event] = []
        for offset, row in enumerate(rows):
            if isinstance(row, At):
                seen.append(row)
                seqs.append(first + offset)
            else:
                events.append(
                    Event(
                        seq=first + offset,
                        kind=row.kind,
                        t_ms=row.t_ms,
                        mono_ms=0,
                        data=row.data,
                    )
                )
        block = fixes(*seen)
        if seqs:
            block[0] = seqs
        self.next_seq += len(rows)
        self.number += 1
        return Batch(
            unit=self.name,
            chain=self.chain,
            batch_no=self.number,
            first_seq=first,
            count=len(rows),
            fixes=block,
            events=tuple(events),
            received_ms=_ms(received_s),
            early_ms=_ms(early_s),
        )


def _ms(t_s: float | None) -> int | None:
    return None if t_s is None else BEGIN_MS + round(t_s * 1_000)


def seal(
    t_s: float, *, seal_id: str = "s1", cause: int = 1, battery: int | None = None, **bits: bool
) -> Event:
    """A report of a seal: `locked=True, rope_in=False` .. what is not named was not said."""
    known = true = 0
    for name, value in bits.items():
        bit = SealBit[name.upper()]
        known |= bit
        true |= bit if value else 0
    data = (seal_id, "test", known, true, 0, None, battery, 1, cause, b"")
    return Event(seq=0, kind=5, t_ms=BEGIN_MS + round(t_s * 1_000), mono_ms=0, data=data)


Datum = int | str | bytes | tuple[bytes, ...] | None


def sky(
    t_s: float,
    *,
    state: int = 3,
    cn0: int | None = 4_400,
    std: int | None = 600,
    strong: int | None = 9,
    jam: int | None = None,
    spoof: int | None = None,
    antenna: str | None = None,
) -> Event:
    """What a receiver says of its satellites; by default nothing is wrong."""
    data = (state, None, 12, 10, 9, cn0, std, strong, antenna, jam, None, spoof, None)
    return event(t_s, 11, *data)


def event(t_s: float, kind: int, *data: Datum) -> Event:
    return Event(seq=0, kind=kind, t_ms=BEGIN_MS + round(t_s * 1_000), mono_ms=0, data=data)


@dataclass(slots=True)
class Run:
    findings: list[Finding] = field(default_factory=list)
    states: dict[str, UnitState] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    known: Known = NOTHING

    def add(self, other: "Run") -> None:
        """What came after."""
        self.findings += other.findings
        self.states.update(other.states)
        self.results += other.results
        self.known = other.known


def play(
    book: Rulebook,
    items: Sequence[Item],
    *,
    cut: int = 10_000,
    screen: Screening = marked_rows,
    states: dict[str, UnitState] | None = None,
    known: Known = NOTHING,
) -> Run:
    """All items, so many a tick."""
    out = Run(states=dict(states or {}), known=known)
    for begin in range(0, len(items), cut):
        some = tuple(items[begin : begin + cut])
        units = {item.unit for item in some if isinstance(item, Batch | ChainHole)}
        units |= {item.unit for item in some if isinstance(item, Heard)}
        here = {unit: out.states.get(unit, FRESH) for unit in units}
        if any(isinstance(item, TimePassed) for item in some):
            here |= out.states  # time passes for all
        result = run(book, here, Tick(items=some, known=out.known), screen=screen)
        out.states.update(result.states)
        out.known = result.known or out.known
        out.findings += result.findings
        out.results.append(result)
    return out


def told(run_: Run) -> list[tuple[object, ...]]:
    """Findings in an order that no cutting changes."""
    keys = [
        (f.unit, f.confirmed_ms, f.seq, f.code, f.id, f.n, f.at_ms, str(f.value), str(f.data))
        for f in run_.findings
    ]
    return sorted(keys, key=str)


def blobs(run_: Run) -> dict[str, bytes]:
    return {unit: pack(state) for unit, state in run_.states.items()}


def together(run_: Run) -> dict[str, bytes | None]:
    """What several units have told, as its rows hold it; and the rows hold all of it."""
    rows = changed(NOTHING, run_.known)
    assert read({key: row for key, row in rows.items() if row is not None}) == run_.known
    return rows


def codes(run_: Run) -> list[str]:
    """What was found, in order; running ones with their phase."""
    return [
        f.code if f.phase.value == "point" else f"{f.code}.{f.phase.value}" for f in run_.findings
    ]
