"""Ptys that behave like serial ports, and who has them open; the one place to wait at. Knows bytes and rates, no device and no world.

Law: the slave side stays open here, so that openers may come and go; when the last one leaves, its lock goes with it. A rate that
the opener sets and the device does not speak makes garbage, both ways.
"""

import array
import ctypes
import fcntl
import os
import selectors
import struct
import termios
import time
import tty
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from firmware_sim.cable import at_wrong_rate
from firmware_sim.dials import Dial

__all__ = ["OPENER_GRACE_S", "Port", "PortError", "Ports", "monotonic_s", "unix_ms"]

PENDING_BYTES_MAX = (
    65_536  # paced: a minute of 9600 baud; then a reader that stands still loses bytes
)
QUEUE_BYTES_MAX = 4_000  # unpaced: what may lie unread in the tty, whose own queue holds 4,095
OPENER_GRACE_S = 0.3  # an opener sets its rate and flushes; what came before that would be lost
SPEEDS = {
    getattr(termios, f"B{baud}"): baud
    for baud in (4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
}
CODES = {baud: code for code, baud in SPEEDS.items()}
IN_CLOSE, IN_OPEN = 0x18, 0x20  # linux/inotify.h


class PortError(Exception):
    """A pty or its link cannot be made; says which and what to do."""


def monotonic_s() -> float:
    return time.monotonic()


def unix_ms() -> int:
    return time.time_ns() // 1_000_000


class Port:
    """One pty under a stable name."""

    def __init__(self, link: Path, baud: int, *, paced: bool) -> None:
        """`paced`: a serial line, which nobody has to listen to. Unpaced: no byte is lost, each waits for its reader."""
        self.link = link
        self.baud = baud
        self.openers = 0
        self.lost_bytes = 0
        self._paced = paced
        self._opened_s: float | None = None
        self._pending: list[
            tuple[bytearray, int]
        ] = []  # bytes, and the rate at which they were sent
        if link.exists() and not link.is_symlink():
            raise PortError(f"{link} is there already and no link; choose another --dir")
        self.master, self._slave = os.openpty()
        self.pty = os.ttyname(self._slave)
        os.set_blocking(self.master, False)
        self._set_up()
        fresh = link.with_name(f".{link.name}.{os.getpid()}")
        fresh.symlink_to(self.pty)
        fresh.replace(link)

    @property
    def fd(self) -> int:
        return self.master

    def told(self) -> dict[str, object]:
        """What `plomba-sim` says of it."""
        return {"path": str(self.link), "pty": self.pty, "baud": self.baud}

    def opened(self) -> None:
        self.openers += 1
        if self._opened_s is None:
            self._opened_s = monotonic_s()

    def closed(self) -> None:
        self.openers = max(self.openers - 1, 0)
        if self.openers == 0:
            self._opened_s = None
            self._let_go()

    def ready_in_s(self) -> float | None:
        """How long until an opener has surely set it up; None while nobody has it open."""
        if self._opened_s is None:
            return None
        return max(self._opened_s + OPENER_GRACE_S - monotonic_s(), 0.0)

    def send(self, data: bytes, baud: int) -> None:
        """Queue `data`; on a paced line nobody may be there to hear it, or too slow."""
        if self._paced and (self.openers == 0 or self.pending_bytes() > PENDING_BYTES_MAX):
            self.lost_bytes += len(data)
        elif self._pending and self._pending[-1][1] == baud:
            self._pending[-1][0].extend(data)
        else:
            self._pending.append((bytearray(data), baud))

    def push(self) -> None:
        """Write as much as the pty takes."""
        while self._pending:
            data, baud = self._pending[0]
            room = len(data) if self._paced else QUEUE_BYTES_MAX - self.unread_bytes()
            if room <= 0 or not self._write(data, baud, room):
                return
            if not data:
                del self._pending[0]

    def pending_bytes(self) -> int:
        return sum(len(data) for data, _ in self._pending)

    def unread_bytes(self) -> int:
        """What lies in the tty and has not been read."""
        count = array.array("i", [0])
        fcntl.ioctl(self._slave, termios.FIONREAD, count)
        return count[0]

    def read(self) -> bytes:
        """What the reader wrote, as the device's UART hears it."""
        try:
            data = os.read(self.master, 4096)
        except OSError:  # nothing there
            return b""
        return at_wrong_rate(data, self._opener_baud(), self.baud)

    def close(self) -> None:
        if self.link.is_symlink() and str(self.link.readlink()) == self.pty:
            self.link.unlink()
        os.close(self.master)
        os.close(self._slave)

    def _write(self, data: bytearray, baud: int, room: int) -> bool:
        """Takes from `data` what went out; False if the pty is full."""
        heard_baud = self._opener_baud()
        piece = bytes(data[:room])
        heard = at_wrong_rate(piece, baud, heard_baud)
        try:
            taken = os.write(self.master, heard) if heard else 0
        except BlockingIOError:
            return False
        # Garbage has no places to go on from: what does not fit is lost with the rest of it.
        del data[: taken if heard_baud == baud else len(piece)]
        return True

    def _opener_baud(self) -> int:
        """The rate that the opener has set; one that no device has counts as 300."""
        speed = termios.tcgetattr(self._slave)[4]
        return SPEEDS.get(speed, 300)

    def _set_up(self) -> None:
        """Raw, and at our rate, for openers that set neither."""
        tty.setraw(self._slave)
        settings = termios.tcgetattr(self._slave)
        settings[4] = settings[5] = CODES[self.baud]
        termios.tcsetattr(self._slave, termios.TCSANOW, settings)

    def _let_go(self) -> None:
        """What the last close of a real port does: nobody's lock, nothing left to read; the rate stays as it was set."""
        with suppress(OSError):
            fcntl.ioctl(self._slave, termios.TIOCNXCL)
        if self._paced:
            termios.tcflush(self._slave, termios.TCIFLUSH)


class Ports:
    """All ptys of one scenario in one folder, with one place to wait at; and the lines of devices that dial in by themselves."""

    def __init__(
        self, folder: Path, *, paced: bool, dials: Mapping[str, tuple[str, int]] | None = None
    ) -> None:
        """`dials`: which devices have no pty, and whom they call."""
        self.ports: dict[str, Port | Dial] = {}  # those that are plugged in
        self.lost_bytes = 0  # of those that are gone
        self._folder = folder
        self._paced = paced
        self._dials = dials or {}
        self._waited: dict[str, int] = {}  # fds of the ports that are waited at
        self._selector = selectors.DefaultSelector()
        self._watch = _Watch()
        self.wait_for(self._watch.fd, "watch")

    def wait_for(self, fd: int, name: str) -> None:
        """Wake up for `fd` as well, under `name`."""
        self._selector.register(fd, selectors.EVENT_READ, name)

    def forget(self, fd: int) -> None:
        self._selector.unregister(fd)

    def plug(self, name: str, baud: int) -> Port | Dial:
        if name in self._dials:
            self.ports[name] = Dial(*self._dials[name], baud, paced=self._paced)
            return self.ports[name]
        port = Port(self._folder / name, baud, paced=self._paced)
        self.ports[name] = port
        self._watch.add(name, port)
        return port

    def unplug(self, name: str) -> None:
        port = self.ports.pop(name)
        self.lost_bytes += port.lost_bytes
        self._watch.remove(name)
        self._follow(name, None)
        port.close()

    def wait(self, timeout_s: float | None) -> list[str]:
        """Names of what can be read. Openings and closings are noted on the way."""
        for name, port in self.ports.items():
            if isinstance(port, Dial):
                port.tend(monotonic_s())
                again_s = port.look_again_s()
                if again_s is not None:
                    timeout_s = again_s if timeout_s is None else min(timeout_s, again_s)
            if self._follow(name, port.fd):
                timeout_s = 0.0  # somebody has just answered: there may be something to do
        names = [str(key.data) for key, _ in self._selector.select(timeout_s)]
        for name, opened in self._watch.read():
            there = self.ports.get(name)
            if not isinstance(there, Port):
                continue
            if opened:
                there.opened()
            else:
                there.closed()
        return [name for name in names if name != "watch"]

    def push(self) -> None:
        for port in self.ports.values():
            port.push()

    def close(self) -> None:
        for name in list(self.ports):
            self.unplug(name)
        self._selector.close()
        os.close(self._watch.fd)

    def _follow(self, name: str, fd: int | None) -> bool:
        """Wait at the fd that a port has now; whether it is another one."""
        before = self._waited.get(name)
        if before == fd:
            return False
        if before is not None:
            with suppress(KeyError, ValueError):  # it may be closed already
                self._selector.unregister(before)
            del self._waited[name]
        if fd is not None:
            self.wait_for(fd, name)
            self._waited[name] = fd
        return True


class _Watch:
    """Who opens and closes a pty, by inotify: nothing else tells that another process has a tty open."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._names: dict[int, str] = {}

    def add(self, name: str, port: Port) -> None:
        number = self._libc.inotify_add_watch(self.fd, port.pty.encode(), IN_OPEN | IN_CLOSE)
        if number < 0:
            reason = os.strerror(ctypes.get_errno())
            raise PortError(f"inotify cannot watch {port.pty}: {reason}; see fs.inotify.max_user_*")
        self._names[number] = name

    def remove(self, name: str) -> None:
        for number in [number for number, each in self._names.items() if each == name]:
            self._libc.inotify_rm_watch(self.fd, number)
            del self._names[number]

    def read(self) -> Iterator[tuple[str, bool]]:
        """Each opening (True) and closing since the last call."""
        try:
            data = os.read(self.fd, 65_536)
        except BlockingIOError:
            return
        while data:
            number, mask, _, length = struct.unpack_from("iIII", data)
            data = data[16 + length :]
            if number in self._names and mask & (IN_OPEN | IN_CLOSE):
                yield self._names[number], bool(mask & IN_OPEN)
