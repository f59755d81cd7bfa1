"""An RFID reader and its tags as a scenario describes them, and the module's own memory with the orders that set or tell it.

Law: an order with parameters that the manual does not know changes nothing and is answered with error 17.
"""

from collections.abc import Callable
from dataclasses import dataclass

from firmware_sim.rfid_frames import answer, refusal

__all__ = ["COMMAND_ERROR", "ORDERS", "Module", "ReaderSpec", "Tag"]

COMMAND_ERROR = 0x17
REGIONS = frozenset({1, 2, 3, 4, 6})  # China 900, US, Europe, China 800, Korea
POWER_CDBM_MAX = 3_000  # the strongest module of the family says 30 dBm
SLEEP_MIN_MAX = 30  # the manual: 1 to 30 minutes, 0 never
TELLS = {0: b"M100 26dBm V1.0", 1: b"V2.3.5", 2: b"MagicRf"}  # hardware, software, maker
DONE = b"\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One tag: from when to when it is there, and how well it is read where the reader reaches it."""

    epc: bytes
    from_ms: int = 0
    to_ms: int | None = None
    rssi_dbm: float = -55.0
    read_rate: float = 0.9  # of the rounds in which it is in reach
    gate: tuple[float, float] | None = None  # None: on board; else where it stands, lat and lon
    reach_m: float = 10.0  # of a tag at a gate


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSpec:
    tags: tuple[Tag, ...] = ()
    baud: int = 115_200
    sleep_min: int = 10  # what the module keeps until it is told otherwise; 0: never


@dataclass(slots=True, kw_only=True)
class Module:
    """What the module knows between power-on and power-off."""

    sleep_min: int
    region: int | None = None  # without one it does not transmit
    power_cdbm: int = 2_000
    query: bytes = b"\x10\x20"  # Q 4, session S0

    @property
    def slots(self) -> int:
        """How many tags one round can tell apart: 2 to the Q."""
        return 1 << (self.query[1] >> 3 & 0xF)


Parameters = bytes


def _info(_module: Module, parameters: Parameters) -> bytes:
    if len(parameters) != 1 or parameters[0] not in TELLS:
        return refusal(COMMAND_ERROR)
    return answer(0x03, parameters + TELLS[parameters[0]])


def _set_region(module: Module, parameters: Parameters) -> bytes:
    if len(parameters) != 1 or parameters[0] not in REGIONS:
        return refusal(COMMAND_ERROR)
    module.region = parameters[0]
    return answer(0x07, DONE)


def _region(module: Module, parameters: Parameters) -> bytes:
    if parameters or module.region is None:
        return refusal(COMMAND_ERROR)
    return answer(0x08, bytes([module.region]))


def _set_power(module: Module, parameters: Parameters) -> bytes:
    power_cdbm = int.from_bytes(parameters, "big")
    if len(parameters) != 2 or power_cdbm > POWER_CDBM_MAX:
        return refusal(COMMAND_ERROR)
    module.power_cdbm = power_cdbm
    return answer(0xB6, DONE)


def _power(module: Module, parameters: Parameters) -> bytes:
    return (
        refusal(COMMAND_ERROR) if parameters else answer(0xB7, module.power_cdbm.to_bytes(2, "big"))
    )


def _set_query(module: Module, parameters: Parameters) -> bytes:
    if len(parameters) != 2:
        return refusal(COMMAND_ERROR)
    module.query = parameters
    return answer(0x0E, DONE)


def _query(module: Module, parameters: Parameters) -> bytes:
    return refusal(COMMAND_ERROR) if parameters else answer(0x0D, module.query)


def _hopping(_module: Module, parameters: Parameters) -> bytes:
    return answer(0xAD, DONE) if parameters in {b"\xff", b"\x00"} else refusal(COMMAND_ERROR)


def _sleep_time(module: Module, parameters: Parameters) -> bytes:
    if len(parameters) != 1 or parameters[0] > SLEEP_MIN_MAX:
        return refusal(COMMAND_ERROR)
    module.sleep_min = parameters[0]
    return answer(0x1D, DONE)


ORDERS: dict[int, Callable[[Module, Parameters], bytes]] = {
    0x03: _info,
    0x07: _set_region,
    0x08: _region,
    0x0D: _query,
    0x0E: _set_query,
    0x1D: _sleep_time,
    0xAD: _hopping,
    0xB6: _set_power,
    0xB7: _power,
}
