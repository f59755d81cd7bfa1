"""Jointech locks JT701 and JT701D, and the old JT600 trackers that share their line (DEVICES section 4.2).

Law: there is no checksum, so form and range of every field stand in for one; what does not fit is refused, and a frame that holds
the beginning of the next one was cut. Alarm bits are edges and level bits are states: both are passed on as they are.

`frame` holds the words, `binary` and `text` say what one frame means, `framing` cuts bytes into frames, `facts` turns frames into
facts, `orders` are the bytes to say, `reader` joins them.
"""

from devices.jt701.framing import Framer
from devices.jt701.orders import (
    Alarms,
    CardsAdd,
    CardsClear,
    CardsList,
    CardsRemove,
    ChangePassword,
    Channels,
    EnableDynamic,
    EnrolOff,
    Firmware,
    Interval,
    LongUnlocked,
    LowBattery,
    Order,
    SetTime,
    Stored,
    Tracking,
    UnlockDynamic,
    UnlockStatic,
)
from devices.jt701.reader import Jt701Reader

__all__ = [
    "Alarms",
    "CardsAdd",
    "CardsClear",
    "CardsList",
    "CardsRemove",
    "ChangePassword",
    "Channels",
    "EnableDynamic",
    "EnrolOff",
    "Firmware",
    "Framer",
    "Interval",
    "Jt701Reader",
    "LongUnlocked",
    "LowBattery",
    "Order",
    "SetTime",
    "Stored",
    "Tracking",
    "UnlockDynamic",
    "UnlockStatic",
]
