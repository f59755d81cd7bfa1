"""Where a unit must not be: in a forbidden zone, out of its territory where no border post is."""

from dataclasses import replace

from collector.detect import Phase, Place
from collector.detect.geo.index import box_around
from collector.detect.geo.measure import to_edges_m
from collector.detect.geo.passing import holds
from collector.detect.zones import Crossing, Strayed, Visit
from collector.detect.zones.work import Work


def alert_inside(work: Work, visit: Visit, at: Place, value: str) -> Visit:
    work.tell(
        "FORBIDDEN_ZONE",
        visit.zone,
        at_ms=at.t_ms,
        seq=visit.seq,
        at=(at.lat_e7, at.lon_e7),
        phase=Phase.BEGIN,
        n=2 * visit.n,
        value=value,
    )
    return replace(visit, alert_seq=visit.seq)


def tell_strayed(work: Work, strayed: Strayed, at: Crossing, phase: Phase) -> None:
    work.tell(
        "FORBIDDEN_ZONE",
        strayed.zone,
        at_ms=at.at_ms,
        seq=strayed.seq,
        at=(at.lat_e7, at.lon_e7),
        phase=phase,
        n=strayed.n + int(phase is Phase.END),
        value="left_territory",
    )


def post_near(work: Work, crossing: Crossing) -> bool:
    """Whether a border post lies within reach of the place."""
    x, y = crossing.lon_e7, crossing.lat_e7
    return any(
        holds(zone, x, y) or to_edges_m(x, y, zone.edges) <= work.th.post_m
        for zone in work.rules.near(("border_post",), box_around(x, y, work.th.post_m))
    )
