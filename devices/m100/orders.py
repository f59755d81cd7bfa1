"""What we say to a module: orders as values, and their bytes (DEVICES section 5).

Law: nothing here writes, locks or kills a tag.
"""

from dataclasses import dataclass

from devices import MisuseError
from devices.conversation import Ask
from devices.m100 import frame
from devices.m100.frame import INFOS, REGIONS

POWER_CDBM_MAX = 3_300  # 2 W: more than any region allows at the antenna
_REGION_CODES = {name: code for code, name in REGIONS.items()}
_BAUD_UNIT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PollOnce:
    """One round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollMany:
    rounds: int  # 65535 at most; then it falls silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End PollMany."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetInfo:
    info: str  # hardware, software, manufacturer


@dataclass(frozen=True, slots=True, kw_only=True)
class SetQuery:
    """How many tags are expected (2**q slots a round), and in which session they answer."""

    q: int
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRegion:
    region: str  # a name of `frame.REGIONS`


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRegion:
    """Which one it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPower:
    power_cdbm: int  # of the chip; a module with an amplifier radiates more


@dataclass(frozen=True, slots=True, kw_only=True)
class GetPower:
    """Of the chip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHopping:
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverSleep:
    """A module that sleeps hears no tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectOff:
    """Poll all tags, not only selected ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanJammer:
    """How strong strangers are on each channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanChannel:
    """How strong each channel is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """Until the next byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBaud:
    """From now on it speaks at another rate, and so must the port."""

    baud: int


Order = (
    PollOnce
    | PollMany
    | Stop
    | GetInfo
    | SetQuery
    | SetRegion
    | GetRegion
    | SetPower
    | GetPower
    | SetHopping
    | NeverSleep
    | SelectOff
    | ScanJammer
    | ScanChannel
    | Sleep
    | SetBaud
)


def ask_of(order: Order) -> Ask:
    """The bytes of `order` and how its answer begins; MisuseError if this protocol cannot say it."""
    match order:
        case PollOnce():
            return _ask(frame.POLL_ONCE)
        case PollMany(rounds=rounds):
            return _ask(frame.POLL_MANY, b"\x22" + _u16("rounds", rounds, 1, 65_535))
        case Stop():
            return _ask(frame.STOP)
        case GetInfo(info=info):
            code = _one_of("info", info, INFOS)
            return _ask(frame.GET_INFO, bytes([INFOS.index(code)]), answer=(info,))
        case SetQuery(q=q, session=session):
            _u16("q", q, 0, 15), _u16("session", session, 0, 3)
            # DR 8, M 1, TRext on, all tags, target A
            return _ask(0x0E, (0x1000 | session << 8 | q << 3).to_bytes(2, "big"))
        case SetRegion(region=region):
            name = _one_of("region", region, tuple(_REGION_CODES))
            return _ask(frame.SET_REGION, bytes([_REGION_CODES[name]]))
        case GetRegion():
            return _ask(frame.GET_REGION)
        case SetPower(power_cdbm=power_cdbm):
            return _ask(frame.SET_POWER, _u16("power_cdbm", power_cdbm, 0, POWER_CDBM_MAX))
        case GetPower():
            return _ask(frame.GET_POWER)
        case SetHopping(on=on):
            return _ask(0xAD, b"\xff" if on else b"\x00")
        case NeverSleep():
            return _ask(0x1D, b"\x00")
        case SelectOff():
            return _ask(0x12, b"\x01")
        case ScanJammer():
            return _ask(frame.SCAN_JAMMER)
        case ScanChannel():
            return _ask(frame.SCAN_CHANNEL)
        case Sleep():
            return _ask(0x17)
        case SetBaud(baud=baud):
            if baud % _BAUD_UNIT:
                raise MisuseError(f"baud: a multiple of {_BAUD_UNIT}, is {baud}")
            return _ask(0x11, _u16("baud / 100", baud // _BAUD_UNIT, 12, 1_152))


def _ask(command: int, parameters: bytes = b"", *, answer: tuple[str, ...] = ()) -> Ask:
    said = bytes([0, command]) + len(parameters).to_bytes(2, "big") + parameters
    data = b"\xbb" + said + bytes([sum(said) & 0xFF, 0x7E])
    return Ask(command=f"{command:02X}", values=answer, data=data)


def _u16(name: str, number: int, least: int, most: int) -> bytes:
    if not least <= number <= most:
        raise MisuseError(f"{name}: {least} to {most}, is {number}")
    return number.to_bytes(2, "big")


def _one_of(name: str, value: str, values: tuple[str, ...]) -> str:
    if value not in values:
        raise MisuseError(f"{name}: one of {', '.join(values)}, is {value!r}")
    return value
