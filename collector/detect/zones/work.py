"""One fix while it is judged against zones."""

from dataclasses import dataclass, field

from collector.detect import Fix, Hit, Phase, stamp
from collector.detect.geo import Zone
from collector.detect.geo.index import ZoneIndex
from collector.detect.geo.passing import Way, holds
from collector.detect.rules import Rules, Thresholds
from collector.detect.zones import Crossing


@dataclass(slots=True, kw_only=True)
class Work:
    """One fix while it is judged: what stays the same for every zone, and what has been found."""

    rules: Rules
    index: ZoneIndex
    fix: Fix
    standing: bool
    way: Way | None = None
    by_route: bool = False
    hits: list[Hit] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    held: dict[str, bool] = field(default_factory=dict)
    crossed: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def th(self) -> Thresholds:
        return self.rules.thresholds

    def holds(self, zone: Zone) -> bool:
        """Whether the zone holds the fix."""
        if zone.id not in self.held:
            self.held[zone.id] = holds(zone, self.fix.place.lon_e7, self.fix.place.lat_e7)
        return self.held[zone.id]

    def tell(
        self,
        code: str,
        zone: str,
        *,
        at_ms: int,
        seq: int,
        at: tuple[int, int] | None = None,
        phase: Phase = Phase.POINT,
        value: str | float | None = None,
        n: int = 0,
        data: dict[str, object] | None = None,
    ) -> None:
        """A finding; ZONE_CROSSED of the same zone at the same fix are numbered."""
        if code == "ZONE_CROSSED":
            n = self.told.get(zone, 0)
            self.told[zone] = n + 1
        lat_e7, lon_e7 = at if at is not None else (None, None)
        self.hits.append(
            Hit(
                code=code,
                at_ms=at_ms,
                origin_seq=seq,
                subject=zone,
                phase=phase,
                n=n,
                lat_e7=lat_e7,
                lon_e7=lon_e7,
                zone=zone,
                value=value,
                data=data or {},
            )
        )


def crossing_at(work: Work, share: float, zone: Zone, way: str) -> Crossing:
    """The instant and place at this share of the way."""
    n = work.crossed.get((zone.id, way), 0)
    work.crossed[zone.id, way] = n + 1
    place, prev = work.fix.place, work.fix.prev
    assert prev is not None
    assert work.way is not None
    x, y = work.way.at(share)
    return Crossing(
        at_ms=prev.t_ms + round(share * (place.t_ms - prev.t_ms)),
        before_ms=prev.t_ms,
        after_ms=place.t_ms,
        seq=place.seq,
        lat_e7=round(y),
        lon_e7=(round(x) + 1_800_000_000) % 3_600_000_000 - 1_800_000_000,
        n=n,
    )


def around(crossing: Crossing) -> dict[str, object]:
    return {"t0": stamp(crossing.before_ms), "t1": stamp(crossing.after_ms)}


def cross(work: Work, zone: Zone, crossing: Crossing, value: str) -> None:
    work.tell(
        "ZONE_CROSSED",
        zone.id,
        at_ms=crossing.at_ms,
        seq=crossing.seq,
        at=(crossing.lat_e7, crossing.lon_e7),
        value=value,
        data=around(crossing),
    )
