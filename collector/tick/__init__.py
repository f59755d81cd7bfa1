"""One tick of the intake: judge, detect, commit in one transaction, then say which receipts are due (SCALE section 2).

Law: nothing is answered or acknowledged before the commit, and a tick that fails leaves nothing behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from collector.detect import Finding

__all__ = ["Message", "Outgoing", "TickResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What came on an up topic. `token` is the caller's own: it comes back in `acks`."""

    topic: str
    payload: bytes
    received_ms: int
    token: object = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What is to be published now that the tick is committed."""

    topic: str
    payload: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TickResult:
    """What a committed tick came to."""

    tick_no: int | None  # None: there was nothing to write
    outgoing: tuple[Outgoing, ...]  # receipts first, then orders
    findings: tuple[Finding, ...]  # new ones
    alerts: tuple[bytes, ...]  # ids of alerts that changed
    acks: tuple[object, ...]  # tokens of messages that the broker may forget
    lost: frozenset[str]  # units that another worker has moved: give up their partition
    verdicts: Mapping[str, int]  # how often each name of WIRE sections 8 and 9 was given
    next_due_ms: int  # call `run` again then, with or without messages
