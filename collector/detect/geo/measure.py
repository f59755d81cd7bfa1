"""Metres on the ellipsoid, near by and far away (DETECTION section 4).

Local metres take the radii of curvature at the middle latitude: 2e-6 relative error on 1.5 km. A sphere is up to 0.3 % wrong.
"""

import math

import numpy as np

from collector.detect.geo import FloatArray, IntArray

A_M = 6_378_137.0  # WGS 84
F = 1 / 298.257223563
B_M = A_M * (1 - F)
E2 = F * (2 - F)
E7 = 10_000_000
HALF_TURN_E7 = 180 * E7
RAD_OF_E7 = math.pi / HALF_TURN_E7

EDGE_M_MAX = 5_000.0  # a geodesic edge is cut into pieces up to this: 0.7 m off on 100 km
VINCENTY_ROUNDS_MAX = 50  # three are enough for 200 km


def scale(lat_e7: float) -> tuple[float, float]:
    """Metres of one e7 degree of longitude and of latitude, at this latitude."""
    sine = math.sin(lat_e7 * RAD_OF_E7)
    root = math.sqrt(1 - E2 * sine * sine)
    return (
        A_M / root * math.cos(lat_e7 * RAD_OF_E7) * RAD_OF_E7,
        A_M * (1 - E2) / (root * root * root) * RAD_OF_E7,
    )


def scales(lat_e7: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`scale` of many latitudes."""
    sine = np.sin(lat_e7 * RAD_OF_E7)
    root = np.sqrt(1 - E2 * sine * sine)
    k_lon: FloatArray = A_M / root * np.cos(lat_e7 * RAD_OF_E7) * RAD_OF_E7
    k_lat: FloatArray = A_M * (1 - E2) / (root * root * root) * RAD_OF_E7
    return k_lon, k_lat


def distance_m(x1: float, y1: float, x2: float, y2: float) -> float:
    """Metres between two places, e7 degrees, x = longitude; the shorter way round."""
    k_lon, k_lat = scale((y1 + y2) / 2)
    dx = abs(x2 - x1)
    if dx > HALF_TURN_E7:
        dx = 2 * HALF_TURN_E7 - dx
    return math.hypot(dx * k_lon, (y2 - y1) * k_lat)


def distances_m(x1: IntArray, y1: IntArray, x2: IntArray, y2: IntArray) -> FloatArray:
    """`distance_m` of many pairs."""
    k_lon, k_lat = scales((y1 + y2) / 2)
    dx = np.abs(x2 - x1)
    dx = np.minimum(dx, 2 * HALF_TURN_E7 - dx)
    away: FloatArray = np.sqrt((dx * k_lon) ** 2 + ((y2 - y1) * k_lat) ** 2)
    return away


def to_edges_m(x: float, y: float, edges: IntArray) -> float:
    """Metres from a place to the nearest of some edges; inf if there is none. Good near by, where it is asked for."""
    if len(edges) == 0:
        return math.inf
    k_lon, k_lat = scale(y)
    px = (x - edges[:, 0]) * k_lon
    py = (y - edges[:, 1]) * k_lat
    ux = (edges[:, 2] - edges[:, 0]) * k_lon
    uy = (edges[:, 3] - edges[:, 1]) * k_lat
    along = np.clip((px * ux + py * uy) / (ux * ux + uy * uy), 0.0, 1.0)
    qx = px - along * ux
    qy = py - along * uy
    return math.sqrt(float((qx * qx + qy * qy).min()))


def nearest_on_edges(x: float, y: float, edges: IntArray) -> tuple[float, float]:
    """The place on the edges that is nearest to a place, e7 degrees."""
    k_lon, k_lat = scale(y)
    px = (x - edges[:, 0]) * k_lon
    py = (y - edges[:, 1]) * k_lat
    ux = (edges[:, 2] - edges[:, 0]) * k_lon
    uy = (edges[:, 3] - edges[:, 1]) * k_lat
    along = np.clip((px * ux + py * uy) / (ux * ux + uy * uy), 0.0, 1.0)
    best = int(((px - along * ux) ** 2 + (py - along * uy) ** 2).argmin())
    share = float(along[best])
    x1, y1, x2, y2 = (int(number) for number in edges[best])
    return x1 + share * (x2 - x1), y1 + share * (y2 - y1)


def cut_geodesic(points: IntArray) -> IntArray:
    """The line with every edge over 5 km cut along its great circle; all given points stay."""
    lengths = distances_m(points[:-1, 0], points[:-1, 1], points[1:, 0], points[1:, 1])
    if lengths.max(initial=0.0) <= EDGE_M_MAX:
        return points
    parts: list[IntArray] = []
    for index, length_m in enumerate(lengths.tolist()):
        parts.append(points[index : index + 1])
        if length_m > EDGE_M_MAX:
            pieces = math.ceil(length_m / EDGE_M_MAX)
            parts.append(_great_circle(points[index], points[index + 1], pieces))
    parts.append(points[-1:])
    return np.concatenate(parts)


def circle(x: int, y: int, radius_m: float, corners: int) -> IntArray:
    """A closed ring of corners at this distance, counter-clockwise; longitudes as they come, perhaps beyond 180."""
    azimuth = -2 * np.pi * np.arange(corners) / corners
    lat, lon = _direct(y * RAD_OF_E7, x * RAD_OF_E7, azimuth, radius_m)
    ring = np.stack([np.rint(lon / RAD_OF_E7), np.rint(lat / RAD_OF_E7)], axis=1).astype(np.int64)
    return np.concatenate([ring, ring[:1]])


def _great_circle(begin: IntArray, end: IntArray, pieces: int) -> IntArray:
    """The places between, ends left out."""
    lon = np.array([begin[0], end[0]]) * RAD_OF_E7
    lat = np.array([begin[1], end[1]]) * RAD_OF_E7
    ends = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    # from the chord: the angle between near unit vectors by arccos loses half of the digits
    angle = 2 * math.asin(min(1.0, float(np.linalg.norm(ends[1] - ends[0])) / 2))
    share = np.arange(1, pieces)[:, None] / pieces
    between = np.sin((1 - share) * angle) * ends[0] + np.sin(share * angle) * ends[1]
    out_lat = np.arctan2(between[:, 2], np.hypot(between[:, 0], between[:, 1]))
    out_lon = np.arctan2(between[:, 1], between[:, 0])
    return np.stack([np.rint(out_lon / RAD_OF_E7), np.rint(out_lat / RAD_OF_E7)], axis=1).astype(
        np.int64
    )


def _direct(
    lat: float, lon: float, azimuth: FloatArray, distance_m: float
) -> tuple[FloatArray, FloatArray]:
    """Vincenty's direct formula (Survey Review 23, 1975), radians: where a walk of this length ends."""
    u1 = math.atan((1 - F) * math.tan(lat))
    sin_u, cos_u = math.sin(u1), math.cos(u1)
    sin_a, cos_a = np.sin(azimuth), np.cos(azimuth)
    sigma1 = np.arctan2(math.tan(u1), cos_a)
    sin_alpha = cos_u * sin_a
    cos2_alpha = 1 - sin_alpha**2
    uu = cos2_alpha * (A_M**2 - B_M**2) / B_M**2
    big_a = 1 + uu / 16_384 * (4_096 + uu * (-768 + uu * (320 - 175 * uu)))
    big_b = uu / 1_024 * (256 + uu * (-128 + uu * (74 - 47 * uu)))
    sigma = distance_m / (B_M * big_a)
    for _ in range(VINCENTY_ROUNDS_MAX):
        cos_2m = np.cos(2 * sigma1 + sigma)
        turn = np.cos(sigma) * (2 * cos_2m**2 - 1)
        turn -= big_b / 6 * cos_2m * (4 * np.sin(sigma) ** 2 - 3) * (4 * cos_2m**2 - 3)
        delta = big_b * np.sin(sigma) * (cos_2m + big_b / 4 * turn)
        new = distance_m / (B_M * big_a) + delta
        if np.abs(new - sigma).max() < 1e-12:
            break
        sigma = new
    sin_s, cos_s = np.sin(sigma), np.cos(sigma)
    across = sin_u * sin_s - cos_u * cos_s * cos_a
    out_lat = np.arctan2(
        sin_u * cos_s + cos_u * sin_s * cos_a, (1 - F) * np.sqrt(sin_alpha**2 + across**2)
    )
    lam = np.arctan2(sin_s * sin_a, cos_u * cos_s - sin_u * sin_s * cos_a)
    c = F / 16 * cos2_alpha * (4 + F * (4 - 3 * cos2_alpha))
    cos_2m = np.cos(2 * sigma1 + sigma)
    bend = sigma + c * sin_s * (cos_2m + c * cos_s * (2 * cos_2m**2 - 1))
    return out_lat, lon + lam - (1 - c) * F * sin_alpha * bend
