"""A Mosquitto of our own: the other broker that a site may run (SCALE section 1).

Law: started as an operator would start it, from a file; its store is in our folder and may be wiped.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

COLLECTOR_TOML = """\
[broker]
embedded = false

[mqtt]
server = "mqtt://127.0.0.1:{port}"
"""


@dataclass(slots=True, kw_only=True)
class Mosquitto:
    """One broker under one folder."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def program() -> str | None:
        """Where it is installed; None if it is not."""
        return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def start(self) -> None:
        program = self.program()
        assert program is not None, "asked for before"
        self.store.mkdir(parents=True, exist_ok=True)
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
            f"persistence true\npersistence_location {self.store}/\n"
            "autosave_on_changes true\nautosave_interval 20\n",
            encoding="utf-8",
        )
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  # a broker of our own
                [program, "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wipe(self) -> None:
        shutil.rmtree(self.store, ignore_errors=True)
