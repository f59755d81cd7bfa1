"""The satellites above, and how strongly each is heard. A seed and a time in, `Seen` out.

Law: open sky only; what hides or drowns satellites (jam, tunnel, spoof) is laid over it by the receiver.
"""

from dataclasses import dataclass
from math import pi, radians, sin
from random import Random

__all__ = ["CN0_MAX_DBHZ", "CN0_MIN_DBHZ", "Body", "Sky"]

CN0_MIN_DBHZ = 30.0  # a satellite at the horizon, open sky (DEVICES 8.1)
CN0_MAX_DBHZ = 48.0  # one overhead
ORBIT_MS = 43_082_000  # half a sidereal day
DRIFT_DEG = 10.0  # how far an elevation wanders in an orbit: enough to be seen, too little to set
ELEVATION_DEG = (8.0, 86.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One satellite in the open sky."""

    system: str
    number: int
    elevation: float
    azimuth: float
    cn0_dbhz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Orbit:
    system: str
    number: int
    elevation: float
    azimuth: float
    phase: float
    louder_db: float


class Sky:
    def __init__(self, *, systems: tuple[str, ...], spread_db: float, rng: Random) -> None:
        """`spread_db`: how far satellites of one elevation differ, from faintest to strongest."""
        counts = {"gps": 11, "glonass": 0} if len(systems) == 1 else {"gps": 8, "glonass": 6}
        self._orbits = [
            _Orbit(
                system=system,
                number=number,
                # Spread evenly over the sky, so that every seed has a good geometry and low satellites.
                elevation=8 + 72 * (index + rng.random()) / counts[system],
                azimuth=rng.uniform(0, 360),
                phase=rng.uniform(0, 2 * pi),
                louder_db=rng.uniform(-spread_db / 2, spread_db / 2),
            )
            for system in systems
            for index, number in enumerate(_numbers(system, counts[system], rng))
        ]

    def at(self, t_ms: int) -> tuple[Body, ...]:
        """All satellites in view at world time `t_ms`, strongest first."""
        turn = 2 * pi * t_ms / ORBIT_MS
        bodies = [
            _body(orbit, orbit.elevation + DRIFT_DEG * sin(turn + orbit.phase), turn)
            for orbit in self._orbits
        ]
        return tuple(sorted(bodies, key=lambda body: -body.cn0_dbhz))


def _body(orbit: _Orbit, elevation: float, turn: float) -> Body:
    low, high = ELEVATION_DEG
    elevation = min(max(elevation, low), high)
    cn0 = CN0_MIN_DBHZ + (CN0_MAX_DBHZ - CN0_MIN_DBHZ) * sin(radians(elevation)) + orbit.louder_db
    return Body(
        system=orbit.system,
        number=orbit.number,
        elevation=elevation,
        azimuth=(orbit.azimuth + turn * 30) % 360,
        cn0_dbhz=min(max(cn0, CN0_MIN_DBHZ), CN0_MAX_DBHZ),
    )


def _numbers(system: str, count: int, rng: Random) -> list[int]:
    first, last = (1, 32) if system == "gps" else (65, 88)
    return sorted(rng.sample(range(first, last + 1), count))
