"""UHF RFID modules of the M100 family: M100, QM100, YRM100, R200 (DEVICES section 5).

Law: no tag is written, locked or killed: those commands do not exist here. Nothing is transmitted without a region that was
configured and confirmed. A tag is believed only if its own CRC fits as well as the frame's sum.

`frame` says what one frame means, `framing` cuts bytes into frames, `orders` are the bytes to say, `reader` joins them and keeps the
module polling.
"""

from devices.m100.frame import REGIONS
from devices.m100.framing import Framer
from devices.m100.orders import (
    GetInfo,
    GetPower,
    GetRegion,
    NeverSleep,
    Order,
    PollMany,
    PollOnce,
    ScanChannel,
    ScanJammer,
    SelectOff,
    SetBaud,
    SetHopping,
    SetPower,
    SetQuery,
    SetRegion,
    Sleep,
    Stop,
)
from devices.m100.reader import M100Reader

__all__ = [
    "REGIONS",
    "Framer",
    "GetInfo",
    "GetPower",
    "GetRegion",
    "M100Reader",
    "NeverSleep",
    "Order",
    "PollMany",
    "PollOnce",
    "ScanChannel",
    "ScanJammer",
    "SelectOff",
    "SetBaud",
    "SetHopping",
    "SetPower",
    "SetQuery",
    "SetRegion",
    "Sleep",
    "Stop",
]
