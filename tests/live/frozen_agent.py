"""The agent, with one of its parts frozen at SIGUSR2: `python frozen_agent.py PART --config FILE`. PART: a task's name, `loop` or `serial`."""

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Coroutine, Generator
from typing import Any

from serial import Serial

from agent.__main__ import main
from agent.io.serial_port import SerialPort

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


def frost(part: str) -> None:
    frozen.set()
    if part == "loop":
        time.sleep(FOR_EVER_S)


if __name__ == "__main__":
    chosen, *arguments = sys.argv[1:]
    if chosen == "serial":
        freeze_serial()
    elif chosen != "loop":
        freeze_task(chosen)
    signal.signal(signal.SIGUSR2, lambda *_: frost(chosen))
    sys.exit(main(arguments))
