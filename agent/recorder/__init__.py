"""Which facts become records, and how urgent they are (EDGE section 2).

Law: a fix that is not kept lies within the promised distance of the line between its kept neighbours.
"""

from agent.recorder.core import Recorder
from agent.recorder.facts import (
    AnyFact,
    ConfigDone,
    Health,
    InputLevel,
    LinkState,
    MotionSource,
    MotionState,
    NetworkState,
    Odometer,
    OrderDone,
    Panic,
    PortState,
    PowerSource,
    PowerState,
    ReportNow,
    Role,
    SealSilence,
    Stop,
    UnitFact,
)
from agent.recorder.seals import SealState
from agent.recorder.settings import Profile, RecorderSettings

__all__ = [
    "AnyFact",
    "ConfigDone",
    "Health",
    "InputLevel",
    "LinkState",
    "MotionSource",
    "MotionState",
    "NetworkState",
    "Odometer",
    "OrderDone",
    "Panic",
    "PortState",
    "PowerSource",
    "PowerState",
    "Profile",
    "Recorder",
    "RecorderSettings",
    "ReportNow",
    "Role",
    "SealSilence",
    "SealState",
    "Stop",
    "UnitFact",
]
