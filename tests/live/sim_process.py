"""`plomba-sim` as a process of its own, as everybody else meets it: its ptys, its lines, its control channel."""

import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
HEAD = 'scenario = { name = "live", seed = 4711, start = 2027-03-01T05:00:00Z, end_s = %s }\n'


class Sim:
    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.devices: dict[str, dict[str, object]] = {}
        self._lines: queue.Queue[dict[str, object]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def path(self, device: str) -> str:
        return str(self.folder / device)

    def line(self, key: str, wait_s: float = 20) -> dict[str, object]:
        """The next line that has `key`."""
        until_s = time.monotonic() + wait_s
        while True:
            line = self._lines.get(timeout=max(until_s - time.monotonic(), 0.01))
            if "device" in line:
                self.devices[str(line["device"])] = line
            if key in line:
                return line

    def tell(self, **wish: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(wish) + "\n")
        self.process.stdin.flush()

    def end(self, wait_s: float = 20) -> int:
        return self.process.wait(wait_s)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self._lines.put(json.loads(text))


@contextlib.contextmanager
def running(tmp_path: Path, tables: str, *options: str, end_s: float = 60) -> Iterator[Sim]:
    """A simulator playing `tables`, ready; ended and its links gone afterwards."""
    file = tmp_path / f"scenario-{len(list(tmp_path.iterdir()))}.toml"
    file.write_text(HEAD % end_s + tables, encoding="utf-8")
    folder = tmp_path / file.stem
    command = [
        sys.executable,
        "-m",
        "firmware_sim",
        "run",
        str(file),
        "--dir",
        str(folder),
        *options,
    ]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HOUSE
    )
    sim = Sim(process, folder)
    try:
        sim.line("ready")
        yield sim
    finally:
        process.terminate()
        process.wait(10)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def read_all(fd: int, *, quiet_s: float = 3.0, pause_s: float = 0.0, chunk: int = 4096) -> bytes:
    """All bytes until the pty is gone, or nothing came for `quiet_s`."""
    data = b""
    while select.select([fd], [], [], quiet_s)[0]:
        try:
            piece = os.read(fd, chunk)
        except OSError:
            break
        if not piece:
            break
        data += piece
        if pause_s:
            time.sleep(pause_s)
    return data
