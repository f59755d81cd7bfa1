"""Where something is, in words for people: so many km in such a direction of a town (CONSOLE section 5).

Law: codes and parameters; the sentence is made where it is read. Without a list of towns there are no words, and nothing is made up.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parents[1] / "web" / "basemap" / "places.json"
FAR_KM = 300  # further away a town says nothing
KM_A_DEGREE = 111.195
DIRECTIONS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Towns with their numbers; the console knows their names by them."""

    numbers: Sequence[int] = ()
    at: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))  # lat, lon in degrees

    @classmethod
    def load(cls, path: Path = FILE) -> Self:
        """The towns of the basemap; none where there is no such file."""
        try:
            towns = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        return cls(
            numbers=[int(town["id"]) for town in towns],
            at=np.array([(town["lat"], town["lon"]) for town in towns], dtype=float).reshape(-1, 2),
        )

    def near(self, lat_e7: int | None, lon_e7: int | None) -> dict[str, object] | None:
        """`{"km": 12, "dir": "N", "of": number}` of the nearest town; None if the place or every town is unknown."""
        if lat_e7 is None or lon_e7 is None or not self.numbers:
            return None
        # Towns are near: on so short ways the earth is flat to a hundredth.
        north = (lat_e7 / 1e7 - self.at[:, 0]) * KM_A_DEGREE
        east = (lon_e7 / 1e7 - self.at[:, 1]) * KM_A_DEGREE * math.cos(math.radians(lat_e7 / 1e7))
        ways_km = np.hypot(north, east)
        nearest = int(ways_km.argmin())
        if ways_km[nearest] >= FAR_KM:
            return None
        turns = math.atan2(float(east[nearest]), float(north[nearest])) / math.tau
        return {
            "km": round(float(ways_km[nearest])),
            "dir": DIRECTIONS[round(turns * 8) % 8],
            "of": self.numbers[nearest],
        }
