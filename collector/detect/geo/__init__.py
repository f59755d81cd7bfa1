"""Shapes and distances (DETECTION sections 4 and 5).

Law: knows no unit that moves and no rule; topology is decided in integers. Here are the words; `measure` has metres, `geojson`
the import, `index` the edges in cells, `passing` what a segment does to a zone, `line` places along a route.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

__all__ = [
    "BoolArray",
    "FloatArray",
    "ImportFault",
    "IntArray",
    "RouteLine",
    "Shapes",
    "Zone",
]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFault:
    """Why a feature cannot be taken, or (as a warning) what was put right or ignored."""

    feature: int | None  # index; None: the whole file
    id: str | None
    code: str
    where: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Zone:
    """A prepared area. Coordinates are e7 degrees, x = longitude; GEOS gets the same integers as floats, all exact."""

    id: str
    kind: str
    shape: BaseGeometry  # prepared; preparing is lost when it is copied or pickled
    edges: IntArray  # (m, 4): x1, y1, x2, y2 of every ring, long ones cut
    bounds: tuple[int, int, int, int]
    mark: int  # of kind, shape and settings: tells a changed zone from an unchanged one of the same id
    name: str | None = None
    unit: str | None = None  # the only unit that it concerns
    dwell_s: int | None = None
    stop_s_max: int = 36_000
    speed_kmh: float | None = None
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RouteLine:
    """A prescribed road, ready to be measured along. Arrays have one element a segment."""

    id: str
    points: IntArray  # (n + 1, 2): x, y; repeated ones dropped, long edges cut
    x0: FloatArray  # begin of the segment, e7
    y0: FloatArray
    kx: FloatArray  # metres for one e7 degree at its middle
    ky: FloatArray
    ux: FloatArray  # the segment in metres
    uy: FloatArray
    len_m: FloatArray
    inv_m2: FloatArray  # 1 / len_m squared
    s0_m: FloatArray  # where it begins along the route
    total_m: float
    twin: BoolArray  # another part of the route is within 2 half widths, over 500 m away along it
    chunk_bounds: FloatArray  # (chunks, 4): of 32 segments each
    mark: int
    name: str | None = None
    unit: str | None = None
    half_width_m: float = 150.0
    alert_m: float = 500.0
    legal_m: float = 50_000.0
    plan_kmh: float = 60.0
    begins: str | None = None  # property `from`
    ends: str | None = None  # property `to`
    stops: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    checkpoint_s_m: tuple[int, ...] = ()  # where they lie along it; -1: no such zone
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shapes:
    """All that one import gave."""

    zones: tuple[Zone, ...] = ()
    routes: tuple[RouteLine, ...] = ()
    warnings: tuple[ImportFault, ...] = field(default_factory=tuple)
