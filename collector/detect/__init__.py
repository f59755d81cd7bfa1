"""What happened: findings from facts, in event time, once (DETECTION).

Law: detectors do no I/O and read no clock; the same batches give the same findings, however ticks are cut.
"""

from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Finding", "Level", "Phase", "Priority"]


class Level(Enum):
    """A record is evidence without sound; an alert has a row in DETECTION section 8."""

    RECORD = "record"
    ALERT = "alert"


class Phase(Enum):
    POINT = "point"
    BEGIN = "begin"
    CHANGE = "change"
    END = "end"


class Priority(Enum):
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found. (id, n) is unique in the store; keys and order of the JSON form are DETECTION section 15."""

    id: bytes  # 16 bytes, from the evidence (DETECTION section 2, Ids)
    n: int  # running number within the id: begin 0, then every change and the end
    code: str
    level: Level
    priority: Priority | None  # None for records
    phase: Phase
    unit: str
    chain: bytes | None
    seq: int | None  # the record that began it; None without one
    at_ms: int  # when it happened: the first crossing, not its confirmation
    confirmed_ms: int  # event time of the fact that proved it
    received_ms: int | None
    late: bool | None
    lat_e7: int | None = None
    lon_e7: int | None = None
    zone: str | None = None
    route: str | None = None
    seal: str | None = None
    value: int | float | str | None = None  # m, s, m/s or %, or a word
    data: dict[str, object] = field(
        default_factory=dict
    )  # keys named in DETECTION section 7; plain values only
