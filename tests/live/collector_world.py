"""What live tests of the collector share: free ports, a broker that can be killed, waiting without guessing."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from collector.io.broker import Broker, BrokerSettings

PORTS = range(20_000, 32_000)  # below the range from which the kernel takes ports for connections


def free_port() -> int:
    """A port on which nobody listens. Two calls give different ones with near certainty."""
    chooser = random.Random(time.monotonic_ns() ^ os.getpid())
    while True:
        port = chooser.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


async def until(true: Callable[[], object], seconds: float = 15) -> None:
    """Return as soon as `true()` is; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        await asyncio.sleep(0.02)


async def until_async(true: Callable[[], Awaitable[object]], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < end, f"not within {seconds} s"
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(broker: Broker) -> AsyncIterator[Broker]:
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(broker.run())
        try:
            await asyncio.wait_for(broker.url(), 20)
            yield broker
        finally:
            run.cancel()


def embedded(folder: Path) -> Broker:
    return Broker(BrokerSettings(mqtt_port=free_port()), folder / "broker")


def pid_of_broker(folder: Path) -> int:
    return int((folder / "broker" / "broker.pid").read_text())


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def kill_9(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def need_mosquitto() -> str:
    """The path of mosquitto, or a skip with its reason."""
    path = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    return path


@contextlib.asynccontextmanager
async def mosquitto(
    folder: Path, port: int, more: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Mosquitto on loopback with its store in `folder`."""
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
        f"autosave_on_changes true\nautosave_interval 1\nmax_inflight_messages 64\nuser root\n{more}\n"
    )
    process = await asyncio.create_subprocess_exec(
        need_mosquitto(),
        "-c",
        str(config),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: _listens(port))
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
