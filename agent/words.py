"""The words that the unit's rooms share; said as `from agent import Moment`.

Law: vocabulary only.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # names of types alone
    from wire.envelope import Signer
    from wire.records import Record


class Quality(IntEnum):
    """How well the unit knows the time (WIRE section 4, field 10)."""

    NONE = 0
    RTC = 1
    NTP = 2
    GNSS = 3


class Weight(IntEnum):
    """How dear a batch is when space runs out (EDGE section 4): the greatest of its records rules."""

    ROUTINE = 0  # fixes and routine
    EVENT = 1
    EVIDENCE = (
        2  # seal, access, order_result, panic, dropped, genesis, rotate, config: never dropped
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What time it is on the unit's axes, read once per wake and handed to every core."""

    mono_ms: int  # since boot, counts sleep: the only axis of deadlines
    now_ms: int  # looks like Unix time and never steps: for the device readers
    utc_ms: int  # the timekeeper's best UTC; 0 if it has none
    quality: Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this unit is, and the one hand that signs for it."""

    unit_id: str
    public_key: bytes  # 32 bytes, raw
    kid: bytes
    sign: "Signer" = field(repr=False)
    former_keys: tuple[
        bytes, ...
    ] = ()  # public keys before a `rotate`: rows they signed still wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What the shell knows of this start; `cause` is WIRE section 6, kind 2."""

    boot_id: bytes  # the kernel's own, new at each start of the operating system
    program: str
    cause: int = 0  # 0 unknown, 1 power, 2 watchdog, 3 update, 4 ordered
    secure_counter: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A record that the recorder wants in the chain."""

    record: "Record"
    urgent: bool = False
    weight: Weight = Weight.ROUTINE


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A batch that is committed in the outbox: what the uplink needs to know of it."""

    pos: int  # order of sending, never used twice
    chain_id: bytes
    batch_no: int
    first_seq: int
    count: int
    size_bytes: int  # of the envelope
    urgent: bool
    weight: Weight
    sealed_mono_ms: int  # on this boot's axis; batches of an earlier boot count as old: see outbox
    head: bytes
