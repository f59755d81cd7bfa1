"""A truck's hardware as a process of its own: `plomba-sim`, obeying words on its standard input.

Law: what happened and when is the simulator's word, taken from its own lines.
"""

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

from bench.site import SiteError, end, tail

ANSWER_S_MAX = 10.0
READY_S_MAX = 30.0


class Simulator:
    """One simulator; its links are `gps`, `seal` and `rfid` in the folder."""

    def __init__(self, scenario: Path, folder: Path, *more: str) -> None:
        self.gps = folder / "gps"
        self.seal = folder / "seal"
        self.rfid = folder / "rfid"
        self.log = folder / "simulator.log"
        folder.mkdir(parents=True, exist_ok=True)
        self._lines: queue.Queue[dict[str, object]] = queue.Queue()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                [
                    *(sys.executable, "-m", "firmware_sim", "run", str(scenario)),
                    *("--dir", str(folder), *more),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._ear = threading.Thread(target=self._listen, name="simulator", daemon=True)
        self._ear.start()
        try:
            self.heard("ready", READY_S_MAX)
        except SiteError:
            self.close()
            raise

    def go(self) -> None:
        """Let a world that was held begin."""
        self._say({"do": "go"})
        self.heard("done", ANSWER_S_MAX)

    def do(self, word: str, **arguments: object) -> dict[str, object]:
        """Let something happen now; the simulator's own word on when it did."""
        self._say({"do": word, **arguments})
        while (line := self.heard("done", ANSWER_S_MAX))["done"] != word:
            pass
        if not line["applied"]:
            raise SiteError(f"{word} changed nothing in the present state of the hardware: {line}")
        return line

    def heard(self, key: str, seconds: float) -> dict[str, object]:
        """The next line with `key` that it says; SiteError if none comes or it complains."""
        until = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(until - time.monotonic(), 0.01))
            except queue.Empty:
                raise SiteError(
                    f"the simulator said no {key!r} within {seconds:.0f} s:\n{tail(self.log)}"
                ) from None
            if "error" in line:
                raise SiteError(f"the simulator: {line['error']}")
            if key in line:
                return line

    def close(self) -> None:
        """Power off."""
        end(self._process)
        self._ear.join(ANSWER_S_MAX)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _say(self, words: dict[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
