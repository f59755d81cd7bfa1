"""An LLRP reader through a child process (DEVICES section 6).

Law: no LLRP library is imported here. The child brings its own threads, reconnects and ends; all that is believed of it is its lines,
and all that is done about it is to end it and to start it again.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from agent.io.clock import Clock
from agent.io.foreign import Backoff, ForeignSource
from agent.io.inbox import Inbox
from agent.io.words import PortSettings
from devices.llrp import LlrpReader

QUIET_MS_MAX = 90_000  # three keepalives of 30 s
BACKOFF = Backoff(first_s=1.0, most_s=60.0, jitter=False)
END_S_MAX = 2.0  # a child that does not end when it is told to is killed


@dataclass(frozen=True, slots=True, kw_only=True)
class LlrpSettings:
    """`links.<name>` of the config, as far as the reader is concerned."""

    host: str
    port: int
    antennas: tuple[int, ...]
    power_cdbm: int | None  # None: the most that the reader's region allows


class _Child:
    """A child that prints lines. It ends by itself when we do: its standard input is our life."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout

    def fileno(self) -> int:
        return self._out.fileno()

    def read(self, bytes_max: int) -> bytes:
        return os.read(self._out.fileno(), bytes_max)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()


def child_command(settings: LlrpSettings) -> list[str]:
    """How the child is started."""
    command = [sys.executable, "-m", "agent.io.llrp_child", settings.host, str(settings.port)]
    command += ["--antennas", ",".join(map(str, settings.antennas))]
    if settings.power_cdbm is not None:
        command += ["--power-cdbm", str(settings.power_cdbm)]
    return command


def llrp_source(
    settings: PortSettings,
    command: Sequence[str],
    *,
    clock: Clock,
    inbox: Inbox,
    rng: Random,
    quiet_ms_max: int = QUIET_MS_MAX,
) -> ForeignSource:
    """The reader behind the child that `command` starts."""
    return ForeignSource(
        settings,
        reader=LlrpReader(name=settings.name),
        opens=lambda: _Child(command),
        backoff=BACKOFF,
        quiet_ms_max=quiet_ms_max,
        is_up_when_open=False,
        clock=clock,
        inbox=inbox,
        rng=rng,
    )
