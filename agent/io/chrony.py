"""The receiver's time handed to chrony, which may set the system's clock; we never do (EDGE section 7).

Law: sends and forgets. A chrony that does not listen is no trouble of the unit.
"""

import socket
import struct
from pathlib import Path

from agent.io import clock

MAGIC = 0x534F434B  # "SOCK": chrony's refclock_sock.c, struct sock_sample
_SAMPLE = struct.Struct("@lldiiii")  # timeval, offset in s, pulse, leap, padding, magic


class Chrony:
    """A datagram socket to `refclock SOCK <path>` of chrony.conf."""

    def __init__(self, path: Path) -> None:
        self.sent = 0
        self.unheard = 0
        self._path = path
        self._socket: socket.socket | None = None

    def tell(self, *, utc_minus_mono_ms: int) -> None:
        """What the receiver says now, beside what the system's clock says."""
        system_us, mono_us = clock.both_us()
        offset_s = (mono_us + utc_minus_mono_ms * 1_000 - system_us) / 1e6
        sample = _SAMPLE.pack(*divmod(system_us, 1_000_000), offset_s, 0, 0, 0, MAGIC)
        try:
            if self._socket is None:
                self._socket = socket.socket(
                    socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
                )
                self._socket.connect(str(self._path))
            self._socket.send(sample)
        except OSError:
            self.unheard += 1
            self.close()
        else:
            self.sent += 1

    def close(self) -> None:
        """Let go of the socket; the next word opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
