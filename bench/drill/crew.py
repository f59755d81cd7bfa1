"""One unit of a drill, with everything around it that can go wrong.

Law: it knows its state; what is done to it is the affair of `hands` and `plays`.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from bench.drill.issuer import Truck
from bench.relay import Relay
from bench.site import Unit


@dataclass(slots=True, kw_only=True)
class Crew:
    """One unit with its hardware, its line, its disk, and what is wrong with it just now."""

    unit: Unit
    truck: Truck
    relay: Relay
    disk: Path | None = None  # a small file system of its own
    clock: Path | None = None  # libfaketime's file
    trouble: str | None = None  # one lasting fault at a time
    armed: tuple[str, str, float] | None = (
        None  # fault, named point, and until when nobody else kills
    )
    back_at: float | None = None  # when a dead agent is started again
    is_played: bool = False  # a scene starts and kills it: nobody else looks after it

    @property
    def is_reserved(self) -> bool:
        return self.armed is not None and time.monotonic() < self.armed[2]

    @property
    def is_running(self) -> bool:
        process = self.unit.process
        return process is not None and process.poll() is None
