"""What a unit observes besides its devices' facts: states of its links, inputs, power, motion, and its own health.

Law: vocabulary only. The shell says what is; which of it becomes a record, and when, is the recorder's affair.
"""

from dataclasses import dataclass
from enum import Enum

from agent.recorder.settings import Role
from devices import Fact


class LinkState(Enum):
    """The states of a link (DEVICES section 7)."""

    ABSENT = "absent"
    BUSY = "busy"
    OPENING = "opening"
    HUNTING = "hunting"
    NOISE = "noise"
    MUTE = "mute"
    NO_FIX = "no_fix"
    FIX = "fix"
    SILENT = "silent"
    TALKING = "talking"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortState:
    """The state of one serial link; said at each change, harmless when said again."""

    name: str
    role: Role
    state: LinkState
    silent_ms: int | None = None  # since its last valid frame


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSilence:
    """One seal is silent, or is heard again: no valid frame for max(3 x its interval, 120 s)."""

    seal_id: str
    protocol: str
    silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkState:
    """The unit's way to its broker."""

    up: bool
    silent_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLevel:
    """One input: door, light, ignition ... Bounces are the recorder's to hold back."""

    name: str
    level: bool


class PowerSource(Enum):
    """Numbers of WIRE section 6, kind 10."""

    EXTERNAL = 1
    BATTERY = 2
    BATTERY_LOW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerState:
    """What feeds the unit."""

    source: PowerSource
    millivolt: int | None = None


class MotionSource(Enum):
    """Numbers of WIRE section 6, kind 15."""

    POSITIONS = 0
    IGNITION = 1
    ACCELEROMETER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionState:
    """Motion as another sense than the positions tells it."""

    moving: bool
    source: MotionSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Panic:
    """Somebody pressed the button."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Odometer:
    """Metres driven, by `source`."""

    metres: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The unit's own numbers. Handed in as often as the shell likes; `store` and `uplink` are words whose change is told at once."""

    free_kib: int | None
    backlog_batches: int
    rss_kib: int | None
    cpu_permille: int | None
    temperature_dc: int | None = None
    restarts: int = 0
    store: str = ""
    uplink: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDone:
    """What became of an order (WIRE section 14); `kind` and `result` are its numbers."""

    order_id: bytes
    kind: int
    counter: int
    result: int
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDone:
    """What became of a set of settings: 0 taken, 1 refused, 2 rolled back."""

    version: int
    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The unit stops on purpose: 1 ignition off, 2 update, 3 battery low, 4 ordered."""

    cause: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportNow:
    """Somebody wants the newest fix and the state of each seal, now (order `report_now`, what 1)."""


UnitFact = (
    PortState
    | SealSilence
    | NetworkState
    | InputLevel
    | PowerState
    | MotionState
    | Panic
    | Odometer
    | Health
    | OrderDone
    | ConfigDone
    | Stop
    | ReportNow
)

AnyFact = Fact | UnitFact
