"""The demo's processes: real programs, started, watched and ended.

Law: none outlives the demo, and none dies unnoticed.
"""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

END_S_MAX = 15.0  # a collector commits its last tick and ends its broker well within this


class ProgramError(Exception):
    """A program of the demo failed; the message says which, how, and where its words lie."""


@dataclass(slots=True, kw_only=True)
class Program:
    """One running program and where it writes what it has to say."""

    name: str
    process: Process
    log: Path

    async def end(self) -> int:
        """Ask it to end; kill it if it does not. Its exit code."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.process.wait(), END_S_MAX)
        except TimeoutError:
            self.process.kill()
            return await self.process.wait()

    def fail_if_ended(self) -> None:
        """ProgramError if it has died."""
        if self.process.returncode is not None:
            raise ProgramError(
                f"{self.name} ended with exit {self.process.returncode}; its last words are in {self.log}:\n"
                + tail(self.log)
            )


async def start(
    name: str, module: str, arguments: Sequence[str], log: Path, *, talks: bool = False
) -> Program:
    """Start `python -m module arguments`; what it says on stderr (and stdout, unless `talks`) goes to `log`."""
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            stdin=PIPE if talks else DEVNULL,
            stdout=PIPE if talks else file,
            stderr=file,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # Ctrl-C is for the demo, which ends the others in their order
        )
    return Program(name=name, process=process, log=log)


async def run(module: str, arguments: Sequence[str], stdin: bytes = b"") -> bytes:
    """Run `python -m module arguments` to its end and give what it printed; ProgramError if it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate(stdin)
    if process.returncode != 0:
        words = err.decode(errors="replace").strip()
        raise ProgramError(f"{module} {' '.join(arguments)}: exit {process.returncode}: {words}")
    return out


def tail(log: Path, lines: int = 6) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
