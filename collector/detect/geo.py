"""Shapes and distances (DETECTION sections 4 and 5).

Law: knows no unit and no rule; topology is decided in integers.
"""

from dataclasses import dataclass

__all__ = ["ImportFault", "RouteLine", "Shapes", "Zone"]


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
    id: str
    kind: str
    name: str | None = None
    unit: str | None = None
    dwell_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RouteLine:
    id: str
    name: str | None = None
    unit: str | None = None
    half_width_m: float = 150.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shapes:
    """All that one import gave."""

    zones: tuple[Zone, ...] = ()
    routes: tuple[RouteLine, ...] = ()
    warnings: tuple[ImportFault, ...] = ()
