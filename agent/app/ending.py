"""How the unit ends: by signal, for another life, or because a thread died (EDGE section 9).

Law: a stop ends within five seconds, whatever hangs. A second TERM is a power cut.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from agent.app.log import say, tell_stacks, warn
from agent.app.versions_disk import Life
from agent.config import faults_in

STOP_S_MAX = 4.5  # of the five that are promised


class Ending:
    """Whether the unit shall stop, and what comes after it."""

    def __init__(self, *, config_file: Path | None, tell: Callable[[], None]) -> None:
        """`config_file`: looked at before a HUP is obeyed. `tell`: where everything stands, to the log."""
        self.stop = asyncio.Event()
        self.next_life: Life | None = None
        self._config_file = config_file
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._last_resort: threading.Timer | None = None

    def listen(self) -> None:
        """To signals, and to threads that die."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._signalled)
        self._loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        self._loop.add_signal_handler(signal.SIGUSR1, self._tell_all)
        threading.excepthook = _thread_died

    def live_again(self, life: Life) -> None:
        """A clean stop, and then again in the same process, with other settings."""
        if not self.stop.is_set():
            self.next_life = life
            self._begin()

    def is_reached(self) -> None:
        """Everything has stopped; a life that follows shall not be ended by this one's last resort."""
        if self.next_life is not None and self._last_resort is not None:
            self._last_resort.cancel()

    def _signalled(self) -> None:
        if self.stop.is_set() and self.next_life is None:
            os._exit(1)  # twice: at once, as in a power cut
        self.next_life = None
        say("stopping")
        self._begin()

    def _hung_up(self) -> None:
        """The file has changed: if it is good leave, systemd starts the unit anew with it."""
        faults = [] if self._config_file is None else faults_in(self._config_file)
        if faults:
            warn("config_refused", errors=faults)
        elif not self.stop.is_set():
            say("config_good")
            self._signalled()

    def _tell_all(self) -> None:
        tell_stacks(asyncio.all_tasks(self._loop))
        self._tell()

    def _begin(self) -> None:
        self.stop.set()
        if self._last_resort is None:
            self._last_resort = threading.Timer(STOP_S_MAX, os._exit, args=(0,))
            self._last_resort.daemon = True
            self._last_resort.start()


def _thread_died(died: threading.ExceptHookArgs) -> None:
    """A port's thread ends by no error of its device: that was our bug, and a clean start is better than a deaf unit."""
    name = died.thread.name if died.thread is not None else "?"
    warn("thread_died", thread=name, error=repr(died.exc_value))
    if name.startswith("serial["):
        os._exit(1)
