"""One fix while it is judged against the route."""

from dataclasses import dataclass, field, replace

from collector.detect import Fix, Hit, Phase, Place
from collector.detect.geo import RouteLine
from collector.detect.geo.line import Along, project_all
from collector.detect.route import Near
from collector.detect.rules import Rules, Thresholds

POSTS = ("border_post", "inland_post")  # zones in which a lorry is always allowed


@dataclass(slots=True, kw_only=True)
class Work:
    """One fix while it is judged."""

    rules: Rules
    line: RouteLine
    fix: Fix
    top_m: int
    allowed: bool  # in a zone where distance counts as 0
    inside: frozenset[str]
    standing: bool
    whole: Along | None
    hits: list[Hit] = field(default_factory=list)

    @property
    def th(self) -> Thresholds:
        return self.rules.thresholds

    @property
    def xy(self) -> tuple[int, int]:
        return self.fix.place.lon_e7, self.fix.place.lat_e7

    def on_all(self) -> Along:
        """The nearest place on the whole route."""
        if self.whole is None:
            self.whole = project_all(self.line, *self.xy)
        return self.whole

    def counted(self, d_m: float) -> float:
        return 0.0 if self.allowed else d_m

    def tell(
        self,
        code: str,
        place: Place,
        *,
        seq: int | None = None,
        phase: Phase = Phase.POINT,
        n: int = 0,
        value: float | None = None,
        data: dict[str, object] | None = None,
    ) -> None:
        self.hits.append(
            Hit(
                code=code,
                at_ms=place.t_ms,
                origin_seq=place.seq if seq is None else seq,
                subject=self.line.id,
                phase=phase,
                n=n,
                lat_e7=place.lat_e7,
                lon_e7=place.lon_e7,
                route=self.line.id,
                value=value,
                data=data or {},
            )
        )


def allowed(rules: Rules, line: RouteLine, inside: frozenset[str]) -> bool:
    for name in inside:
        if name in (line.begins, line.ends) or name in line.stops:
            return True
        zone = rules.zones.get(name)
        if zone is not None and zone.kind in POSTS:
            return True
    return False


def nearer(near: Near | None, place: Place) -> Near:
    return Near(place=place, count=1) if near is None else replace(near, count=near.count + 1)
