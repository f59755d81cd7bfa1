"""Where batches come in and receipts go out: jetstream, mqtt, clock.

Law: acknowledges a message only after the commit; decides nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Arrived", "BrokerLostError", "BrokerSickError", "TickBounds", "WayIn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message as it came. `handle` is the way's own: what it needs to acknowledge it."""

    topic: str  # with slashes, as in WIRE section 11
    payload: bytes
    handle: object = field(compare=False, repr=False, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickBounds:
    """When a tick is full (SCALE section 2)."""

    messages_max: int = (
        512  # one commit of this size leaves most of an alert's second to the browser
    )
    wait_ms_max: int = 50  # from the first message on
    lull_ms: int = 5  # nobody speaks for so long: waiting would only make the alert older
    unit_messages_max: int = 64  # one unit's backlog leaves room for the others (SCALE section 6)


class BrokerLostError(Exception):
    """The connection is of no use any more; open another one."""


class BrokerSickError(BrokerLostError):
    """Another connection does not help: the broker answers, and takes nothing any more."""


class WayIn(Protocol):
    """One connection to one broker. It is never mended: after BrokerLostError comes another one."""

    async def fetch(self) -> Sequence[Arrived]:
        """The messages of the next tick, urgent lanes first; waits until there is at least one."""
        ...

    async def ack(self, arrived: Sequence[Arrived]) -> None:
        """Let the broker forget these. Only after the commit."""
        ...

    async def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 0: what is lost here is asked for again (WIRE section 11).

        `retain` is a wish: a way whose broker cannot be told so from here says it to whoever listens now.
        """
        ...

    async def hear_states(self, hear: Callable[[str, bytes], None]) -> None:
        """Call `hear(topic, payload)` for every hint on `state` that comes from now on."""
        ...
