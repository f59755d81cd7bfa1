"""gpsd as the receiver, where a unit runs it already (DEVICES section 6).

Law: gpsd is asked to speak, and for nothing else.
"""

import socket
from random import Random

from agent.io.clock import Clock
from agent.io.foreign import Backoff, ForeignSource
from agent.io.inbox import Inbox
from agent.io.words import PortSettings
from devices.gpsd import WATCH, GpsdReader

CONNECT_S_MAX = 5.0  # it is on the unit or beside it
QUIET_MS_MAX = 10_000  # DEVICES section 6: then it is mute
BACKOFF = Backoff(first_s=1.0, most_s=30.0, jitter=True)


class _Client:
    """A connection that watches."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=CONNECT_S_MAX)
        try:
            self._socket.sendall(WATCH)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self, bytes_max: int) -> bytes:
        return self._socket.recv(bytes_max)

    def close(self) -> None:
        self._socket.close()


def gpsd_source(
    settings: PortSettings, address: tuple[str, int], *, clock: Clock, inbox: Inbox, rng: Random
) -> ForeignSource:
    """The receiver behind the gpsd at `address`."""
    return ForeignSource(
        settings,
        reader=GpsdReader(),
        opens=lambda: _Client(address),
        backoff=BACKOFF,
        quiet_ms_max=QUIET_MS_MAX,
        is_up_when_open=True,
        clock=clock,
        inbox=inbox,
        rng=rng,
    )
