"""The outline of a place as an order can say it: 3 to 32 corners that lie inside it (WIRE section 14, CUSTOMS section 5.3).

Law: an order never holds where its zone does not. What cannot be cut inward without a guess is refused.
"""

import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from collector.desk import NotGiven
from wire.orders import CORNERS

TOLERANCES = (
    24  # each 1.6 times the one before, from a millionth of the zone's size to a fifth of it
)


def corners_of(shape: BaseGeometry) -> tuple[int, ...] | NotGiven:
    """lat, lon, lat, lon ... of a ring inside `shape`, whose coordinates are e7 degrees, x = longitude.

    The ring is the shape itself where that has few enough corners; else it is cut inward until it has.
    """
    polygon = _only_part(shape)
    if isinstance(polygon, NotGiven):
        return polygon
    whole = _ring(polygon)
    if len(whole) // 2 in CORNERS:
        return whole
    left, low, right, high = polygon.bounds
    size = min(right - left, high - low)
    for step in range(TOLERANCES):
        tolerance = size * 1e-6 * 1.6**step
        inner = polygon.buffer(-tolerance, join_style="mitre").simplify(tolerance)
        if not isinstance(inner, Polygon) or inner.is_empty or inner.interiors:
            continue
        ring = _ring(inner)
        if len(ring) // 2 in CORNERS and polygon.covers(_polygon(ring)):
            return ring
    return NotGiven(
        code="no_outline",
        hint="its outline cannot be said in 32 corners: draw a simpler one inside it and name it with --area",
    )


def _only_part(shape: BaseGeometry) -> Polygon | NotGiven:
    parts = list(shape.geoms) if isinstance(shape, MultiPolygon) else [shape]
    if len(parts) != 1 or not isinstance(parts[0], Polygon):
        return NotGiven(
            code="no_outline",
            hint="it has several parts, an order has one outline: draw the part that is meant and name it with --area",
        )
    polygon = parts[0]
    if polygon.interiors:
        return NotGiven(
            code="no_outline",
            hint="it has a hole, an order's outline has none: draw one beside the hole and name it with --area",
        )
    return polygon


def _ring(polygon: Polygon) -> tuple[int, ...]:
    points = shapely.get_coordinates(polygon.exterior)[:-1]
    return tuple(round(value) for x, y in points.tolist() for value in (y, x))


def _polygon(ring: tuple[int, ...]) -> Polygon:
    return Polygon(list(zip(ring[1::2], ring[::2], strict=True)))
