"""What systemd is told: ready, alive, stopping (sd_notify(3), EDGE section 9).

Law: one datagram, nothing else; where nobody asks for it nothing is sent. Decides nothing: `agent.vitals` does.
"""

import os
import socket
from collections.abc import Mapping

_READY = b"READY=1"
_ALIVE = b"WATCHDOG=1"
_STOPPING = b"STOPPING=1"


class Watchdog:
    """The service manager, if there is one."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_us = _watchdog_us(environ)
        self.lost = 0  # datagrams that nobody took
        self._address = "\0" + name[1:] if name.startswith("@") else name

    def ready(self) -> None:
        """The first batch is committed."""
        self._send(_READY)

    def feed(self) -> None:
        self._send(_ALIVE)

    def stopping(self) -> None:
        self._send(_STOPPING)

    def _send(self, words: bytes) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.setblocking(False)  # a manager that does not read shall not stop the loop
            try:
                out.sendto(words, self._address)
            except OSError:
                self.lost += 1


def _watchdog_us(environ: Mapping[str, str]) -> int | None:
    """WATCHDOG_USEC, if it is meant for this process (sd_watchdog_enabled(3))."""
    pid, usec = environ.get("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
    if pid not in {"", str(os.getpid())} or not (usec.isascii() and usec.isdecimal()):
        return None
    return int(usec)
