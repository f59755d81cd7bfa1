"""A device that dials in by itself over TCP, as a seal with a modem of its own does (DEVICES 4.5). The shape of a port, without a pty.

Law: it dials again for ever, with growing pauses; what it says while nobody is connected is lost, as on a serial line. What to
repeat, the device knows.
"""

import array
import fcntl
import select
import socket
import termios
from contextlib import suppress

__all__ = ["Dial"]

PENDING_BYTES_MAX = 65_536  # as on a pty
UNACKNOWLEDGED_BYTES_MAX = 4_000  # unpaced: what may be under way; the kernel's own buffer is large
AGAIN_S, AGAIN_S_MAX = 0.5, 10.0
CONNECT_S_MAX = 10.0
LOOK_S = 0.02  # while a connection is being made, nothing tells when it stands


class Dial:
    """One device's own connection to `host:port`."""

    def __init__(self, host: str, port: int, baud: int, *, paced: bool) -> None:
        self.baud = baud
        self.openers = 0  # one while it is connected
        self.lost_bytes = 0
        self.fd: int | None = None  # to wait at
        self._address = (host, port)
        self._paced = paced
        self._socket: socket.socket | None = None
        self._begun_s = 0.0
        self._now_s = 0.0  # as it was told last: the clock is `ptys`'
        self._next_s = 0.0
        self._pause_s = AGAIN_S
        self._pending = bytearray()

    def told(self) -> dict[str, object]:
        """What `plomba-sim` says of it."""
        host, port = self._address
        return {"dial": f"{host}:{port}", "baud": self.baud}

    def tend(self, now_s: float) -> None:
        """Dial if it is time, see whether it was answered."""
        self._now_s = now_s
        if self._socket is None:
            if now_s >= self._next_s:
                self._dial(now_s)
        elif not self.openers:
            self._look(self._socket, now_s)

    def look_again_s(self) -> float | None:
        """How long `tend` may wait; None while it is connected."""
        if self.openers:
            return None
        return LOOK_S if self._socket else max(self._next_s - self._now_s, 0.0)

    def ready_in_s(self) -> float | None:
        return 0.0 if self.openers else None

    def send(self, data: bytes, _baud: int) -> None:
        full = self._paced and len(self._pending) > PENDING_BYTES_MAX
        if full or (self._paced and not self.openers):
            self.lost_bytes += len(data)
        else:
            self._pending += data

    def push(self) -> None:
        """Write as much as the connection takes."""
        if self._socket is None or not self.openers:
            return
        room = len(self._pending)
        if not self._paced:
            room = min(room, max(UNACKNOWLEDGED_BYTES_MAX - self.unread_bytes(), 0))
        try:
            sent = self._socket.send(self._pending[:room]) if room else 0
        except BlockingIOError:
            return
        except OSError:
            self._hang_up()
            return
        del self._pending[:sent]

    def pending_bytes(self) -> int:
        return len(self._pending)

    def unread_bytes(self) -> int:
        """What the other end's kernel has not acknowledged yet."""
        if self._socket is None or not self.openers:
            return 0
        count = array.array("i", [0])
        with suppress(OSError):
            fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, count)
        return count[0]

    def read(self) -> bytes:
        """What came down the line; at its end the connection is given up, and dialled anew."""
        if self._socket is None or not self.openers:
            return b""
        try:
            data = self._socket.recv(4096)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        return data

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self.fd, self.openers = None, None, 0

    def _dial(self, now_s: float) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET)
        self._socket.setblocking(False)
        self._begun_s = now_s
        with suppress(OSError):  # `_look` sees what came of it
            self._socket.connect_ex(self._address)

    def _look(self, line: socket.socket, now_s: float) -> None:
        _, writable, _ = select.select([], [line], [], 0)
        if writable and line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.fd, self.openers, self._pause_s = line.fileno(), 1, AGAIN_S
        elif writable or now_s - self._begun_s > CONNECT_S_MAX:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close()
        self.lost_bytes += len(self._pending)
        self._pending.clear()
        self._next_s = self._now_s + self._pause_s
        self._pause_s = min(self._pause_s * 2, AGAIN_S_MAX)
