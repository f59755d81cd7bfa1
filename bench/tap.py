"""A listener on a serial line: everything that passes between a device and its reader, with the moment at which it passed.

Law: passes bytes on and changes none; whoever opens its end sees a port of the same rate.
"""

import os
import select
import termios
import threading
import time
import tty
from dataclasses import dataclass
from pathlib import Path

READ_BYTES_MAX = 4_096
LOOK_S = 0.5
PASSED_MAX = 100_000  # pieces: an hour of 1 Hz on three lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """Bytes that were passed on."""

    at_s: float  # on the monotonic axis
    up: bool  # from the device to its reader
    data: bytes


class Tap:
    """Opens `device` and offers itself as `link`."""

    def __init__(self, device: Path, link: Path, baud: int = 9_600) -> None:
        self.link = link
        self.passed: list[Passed] = []
        self._device = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._device)
        settings = termios.tcgetattr(self._device)
        settings[4] = settings[5] = getattr(termios, f"B{baud}")
        termios.tcsetattr(self._device, termios.TCSANOW, settings)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        link.symlink_to(os.ttyname(self._slave))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tap[{link.name}]", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(2 * LOOK_S)
        for fd in (self._device, self._master, self._slave):
            os.close(fd)
        self.link.unlink(missing_ok=True)

    def bytes_up(self) -> int:
        return sum(len(one.data) for one in self.passed if one.up)

    def since(self, at_s: float) -> list[Passed]:
        return [one for one in self.passed if one.at_s >= at_s]

    def _run(self) -> None:
        while not self._stopping.is_set():
            readable, _, _ = select.select([self._device, self._master], [], [], LOOK_S)
            for fd in readable:
                self._pass_on(fd)

    def _pass_on(self, fd: int) -> None:
        up = fd == self._device
        try:
            data = os.read(fd, READ_BYTES_MAX)
            os.write(self._master if up else self._device, data)
        except OSError:  # nobody reads: lost, as on a real line
            return
        if len(self.passed) < PASSED_MAX:
            self.passed.append(Passed(at_s=time.monotonic(), up=up, data=data))
