"""Seals that dial in by themselves: a unit in the centre that writes down what they say (DEVICES 4.5).

Law: pure. Nothing is acknowledged to a seal before the batch that holds its frame is committed; no order is carried out here.

`link` is one connection and its bounds, `records` turns facts into records, `chain` makes batches of them and judges what the
collector says back. Sockets, clock and database are `collector.io.seal_gateway`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from devices import Fact
from wire.envelope import Signer

__all__ = [
    "Heard",
    "Identity",
    "Moment",
    "SealState",
    "Taken",
    "Tip",
]

SEALS_MAX = 10_000  # remembered by name, 300 bytes each; one more is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the gateway is: a unit like others, with a key of its own."""

    unit_id: str
    public_key: bytes
    kid: bytes
    sign: Signer = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One instant on the axes of a batch."""

    utc_ms: int
    boot_ms: int  # since the operating system began
    quality: int  # of utc_ms: WIRE section 4, time_quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A fact that shall become records, and when it was heard."""

    fact: Fact
    at: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a connection came to: facts, what to answer at once, and whether it is over."""

    facts: tuple[Fact, ...] = ()
    reply: bytes = field(default=b"", repr=False)
    end: str | None = None  # the reason for which the connection is to be closed


@dataclass(frozen=True, slots=True, kw_only=True)
class SealState:
    """What one seal said last, as far as it is committed."""

    protocol: str
    known: int = 0  # bits of WIRE section 6
    true: int = 0
    battery_percent: int | None = None
    heard_ms: int = 0
    silent: bool = False
    reported: bool = False


States = Mapping[str, SealState]  # by seal_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The end of the gateway's chain: what the next batch links to."""

    chain_id: bytes
    batch_no: int  # the newest; -1: none yet
    head: bytes  # of the newest; h0 before the first
    next_seq: int
