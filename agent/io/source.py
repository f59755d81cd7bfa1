"""What the unit wants of anything that it hears: a serial port, gpsd, an LLRP reader.

Law: vocabulary only.
"""

from collections.abc import Iterable
from typing import Protocol

from agent.io.words import PortSettings, PortView
from devices import Fact

__all__ = ["Source"]


class Source(Protocol):
    """Runs in a thread of its own; all of these return at once."""

    settings: PortSettings
    found_baud: int | None
    turned_mono_ms: int | None  # when the thread moved last; None: it need not

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended in time."""
        ...

    def write(self, data: bytes) -> bool:
        """Queue `data` for the device; False, and counted, if it cannot be said."""
        ...

    def acknowledge(self, fact: Fact, ack: bytes) -> None:
        """The transaction that holds `fact` is committed."""
        ...

    def remember(self, frames: Iterable[bytes]) -> None:
        """An earlier run has committed these frames. Before `start`."""
        ...

    def forget(self, fact: Fact) -> None:
        """`fact` will never be stored."""
        ...

    def view(self) -> PortView:
        """What the status page shows."""
        ...
