"""The agent, with one of its parts frozen at SIGUSR2: `python frozen_agent.py PART --config FILE`.

PART: a task's name, `loop`, or what a thread of ours waits for: `serial`, `dns`, `sqlite` (for ever) or `disk` (5 s a commit).
"""

import asyncio
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from serial import Serial

from agent.__main__ import main
from agent.io.serial_port import SerialPort
from agent.outbox.store import Store

FOR_EVER_S = 3_600.0
frozen = threading.Event()


class Freezing:
    """Awaits what it is given, until the frost; then nothing ever comes of it."""

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._inner.__await__()
        send, value = steps.send, None
        while True:
            if frozen.is_set():
                yield from asyncio.get_running_loop().create_future().__await__()
            try:
                waits_for = send(value)
            except StopIteration as done:
                return done.value
            try:
                value = yield waits_for
                send = steps.send
            except BaseException as error:  # noqa: BLE001  # a cancellation goes on to the one inside
                value, send = error, steps.throw


async def freezing(inner: Coroutine[Any, Any, object]) -> object:
    return await Freezing(inner)


def freeze_task(part: str) -> None:
    make = asyncio.TaskGroup.create_task

    def create_task(
        group: asyncio.TaskGroup, coro: Coroutine[Any, Any, object], *, name: str | None = None
    ) -> asyncio.Task[object]:
        return make(group, freezing(coro) if name == part else coro, name=name)

    asyncio.TaskGroup.create_task = create_task  # type: ignore[assignment]  # the part is chosen by its name


def freeze_serial() -> None:
    digest = SerialPort._digest

    def stuck(self: SerialPort, port: Serial, data: bytes, mono_ms: int) -> None:
        if frozen.is_set():
            time.sleep(FOR_EVER_S)
        digest(self, port, data, mono_ms)

    SerialPort._digest = stuck  # type: ignore[method-assign]  # a driver that hangs


def freeze_dns() -> None:
    look_up = socket.getaddrinfo

    def stuck(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401  # whatever the library says
        if frozen.is_set():
            time.sleep(FOR_EVER_S)
        return look_up(*arguments, **more)

    socket.getaddrinfo = stuck


def freeze_sqlite(seconds: float) -> None:
    """Every COMMIT takes so long, in SQLite's own thread."""
    run = Store.run

    async def slow(self: Store, sql: str, *values: int | bytes | str) -> list[tuple[Any, ...]]:
        if frozen.is_set() and sql == "COMMIT":
            await self._connection._execute(time.sleep, seconds)  # type: ignore[no-untyped-call]  # its own queue
        return await run(self, sql, *values)

    Store.run = slow  # type: ignore[method-assign]  # a card that hangs


FREEZE: dict[str, Callable[[], None]] = {
    "serial": freeze_serial,
    "dns": freeze_dns,
    "sqlite": lambda: freeze_sqlite(FOR_EVER_S),
    "disk": lambda: freeze_sqlite(5.0),
    "loop": lambda: None,
}


def frost(part: str) -> None:
    frozen.set()
    if part == "loop":
        time.sleep(FOR_EVER_S)


if __name__ == "__main__":
    chosen, *arguments = sys.argv[1:]
    FREEZE.get(chosen, lambda: freeze_task(chosen))()
    signal.signal(signal.SIGUSR2, lambda *_: frost(chosen))
    sys.exit(main(arguments))
