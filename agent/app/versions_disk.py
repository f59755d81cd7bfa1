"""The files of the versions that came by air: `config/current.toml` holds, `config/next.toml` is on probation (EDGE section 10).

Law: a version is written beside, synced and renamed; what holds is never written over in place. No write holds up the loop.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from agent.config import BadConfigError, Config, of_text, with_version
from agent.io.key import sync_folder

CURRENT = "current.toml"
NEXT = "next.toml"
WRITE_S_MAX = 20.0  # a card of 5 s a write needs three; then the thread is left behind

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """With which settings the process lives until it stops or takes others."""

    local_text: str  # of `--config FILE`, read once a process
    version_text: str  # what is laid over it; "" : nothing
    config: Config
    trial: int = 0  # the version that is on probation in this life; 0: none
    fault: str = ""  # why a version that should hold does not


class VersionFiles:
    """`<state_dir>/config/`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def current(self) -> bytes:
        """The version that holds; empty if there is none."""
        try:
            return (self._folder / CURRENT).read_bytes()
        except OSError:
            return b""

    def write_next(self, text: bytes) -> None:
        """Beside what holds, synced. OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / NEXT
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._folder)

    def promote(self) -> None:
        """What was on probation holds now. OSError."""
        (self._folder / NEXT).rename(self._folder / CURRENT)
        sync_folder(self._folder)

    def drop_next(self) -> None:
        """The version before goes on."""
        with contextlib.suppress(OSError):  # it is read by nobody
            (self._folder / NEXT).unlink(missing_ok=True)


def first_life(local_text: str) -> Life:
    """How a process begins: the version that holds, laid over the local file. BadConfigError if the local file cannot be used.

    Never the one on probation: if the process has ended in it, that was its fault until a later try proves otherwise.
    """
    local = of_text(local_text)
    current = VersionFiles(local.config_dir).current()
    if not current:
        return Life(local_text=local_text, version_text="", config=local)
    try:
        text = current.decode()
        config = with_version(local_text, text)
    except (BadConfigError, UnicodeDecodeError) as error:
        return Life(local_text=local_text, version_text="", config=local, fault=str(error))
    return Life(local_text=local_text, version_text=text, config=config)


def sha_of(text: bytes) -> bytes:
    """By which the outbox's memory knows a text again."""
    return sha256(text).digest()


async def off_the_loop(work: Callable[[], T]) -> T:
    """`work()` in a thread of its own; OSError from it, or if it takes too long."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: OSError | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # T, where there is no error

    def run() -> None:
        result: T | None = None
        fault: OSError | None = None
        try:
            result = work()
        except OSError as error:
            fault = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the unit has stopped
            loop.call_soon_threadsafe(finish, result, fault)

    threading.Thread(target=run, name="config", daemon=True).start()
    try:
        async with asyncio.timeout(WRITE_S_MAX):
            return await done
    except TimeoutError as error:
        raise OSError(0, f"no answer from the disk in {WRITE_S_MAX:.0f} s") from error
