"""A whole site on this machine, as real processes: one collector with its broker, some units. For the demo and the drill.

Law: programs are started by their command lines alone, as an operator would; nothing of theirs is called from inside.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from agent.io.status import StatusError, ask

PORTS = range(20_000, 32_000)  # below what the kernel gives to clients
START_S_MAX = 90.0
END_S_MAX = 15.0
NO_ENV: Mapping[str, str] = MappingProxyType({})


class SiteError(Exception):
    """A program of the site failed; the message says which, how, and what it said last."""


@dataclass(slots=True, kw_only=True)
class Unit:
    """One unit of the site, running or not."""

    unit_id: str
    folder: Path
    config: Path
    public_key: str
    process: subprocess.Popen[bytes] | None = None
    env: dict[str, str] = field(default_factory=dict)  # beside ours, for this agent alone

    @property
    def outbox(self) -> Path:
        return self.folder / "state" / "outbox" / "outbox.db"

    @property
    def log(self) -> Path:
        return self.folder / "agent.log"


@dataclass(slots=True, kw_only=True)
class Site:
    """Collector, broker and units under one folder."""

    folder: Path
    mqtt_port: int
    api_port: int
    units: list[Unit] = field(default_factory=list)
    collector: subprocess.Popen[bytes] | None = None
    config: Path | None = None  # of the collector, beside what its command line says
    keys: dict[str, str] = field(default_factory=dict)  # that the units pin; asked for once

    @property
    def data_dir(self) -> Path:
        return self.folder / "collector"

    @property
    def store(self) -> Path:
        return self.data_dir / "collector.db"

    @property
    def collector_log(self) -> Path:
        return self.folder / "collector.log"

    # Starting and ending

    def start_collector(self, config: Path | None = None) -> None:
        """Start the collector; it brings its broker."""
        arguments = ["collector", "run", "--data", str(self.data_dir)]
        arguments += ["--mqtt-port", str(self.mqtt_port), "--api-port", str(self.api_port)]
        arguments += ["--config", str(config)] if config is not None else []
        self.collector = spawn("plomba", arguments, self.collector_log)

    def wait_for_collector(self) -> None:
        """Wait until it answers; SiteError if it dies or stays silent."""
        until = time.monotonic() + START_S_MAX
        while time.monotonic() < until:
            if self.collector is not None and self.collector.poll() is not None:
                raise SiteError(
                    f"the collector ended with exit {self.collector.returncode}:\n{tail(self.collector_log)}"
                )
            if is_open(self.api_port) and is_open(self.mqtt_port):
                return
            time.sleep(0.05)
        raise SiteError(
            f"the collector does not answer after {START_S_MAX:.0f} s:\n{tail(self.collector_log)}"
        )

    def log_in(self, role: str = "supervisor") -> str:
        """A session for this site, as a local operator gets it: its token."""
        if not self.token_file.exists():
            words = ["login", "--local", "--role", role, "--data", str(self.data_dir)]
            run("plomba", ["--token-file", str(self.token_file), *words])
        return self.token_file.read_text(encoding="ascii").strip()

    @property
    def token_file(self) -> Path:
        return self.folder / "operator.token"

    def make_unit(
        self,
        unit_id: str,
        *,
        gps: Path,
        seal: Path,
        seal_id: str,
        broker_port: int | None = None,
        more: str = "",
        enrol: bool = True,
    ) -> Unit:
        """Give a unit its identity and its config (and `more` of it, in TOML), and enrol it."""
        if not self.keys:
            self.keys = json.loads(
                run("plomba", ["collector", "keys", "--data", str(self.data_dir), "--json"])
            )
        folder = self.folder / unit_id
        folder.mkdir(parents=True, exist_ok=True)
        made = json.loads(
            run(
                "agent",
                [
                    "identity",
                    *("--unit", unit_id),
                    *("--state", str(folder / "state")),
                    *("--receipt-key", self.keys["receipt_key"]),
                    *("--order-key", self.keys["order_key"]),
                    "--json",
                ],
            )
        )
        config = folder / "agent.toml"
        config.write_text(
            _AGENT_TOML.format(
                unit_id=unit_id,
                folder=folder,
                gps=gps,
                seal=seal,
                seal_id=seal_id,
                port=broker_port or self.mqtt_port,
            )
            + more
        )
        unit = Unit(unit_id=unit_id, folder=folder, config=config, public_key=made["public_key"])
        self.units.append(unit)
        if enrol:
            self.enrol(unit)
        return unit

    def enrol(self, unit: Unit) -> None:
        """Let the unit in, as an operator does by hand."""
        key = ("--public-key", unit.public_key)
        run("plomba", ["unit", "add", unit.unit_id, *key, "--data", str(self.data_dir)])

    def start_unit(self, unit: Unit, *more: str) -> None:
        """Start the agent of a unit."""
        words = ["--config", str(unit.config), *more]
        unit.process = spawn("agent", words, unit.log, env=unit.env)

    def status_of(self, unit: Unit) -> dict[str, object] | None:
        """What the running agent says of itself on its socket; None if it does not answer."""
        try:
            return ask(unit.folder / "run" / "status.sock", "/status.json")
        except StatusError:
            return None

    def broker_pid(self) -> int | None:
        """The broker's process, as its own pid file says."""
        for file in self.data_dir.rglob("broker.pid"):
            text = file.read_text(encoding="ascii").strip()
            if text.isdecimal() and Path(f"/proc/{text}").exists():
                return int(text)
        return None

    def end(self) -> None:
        """End everything, units first."""
        for unit in self.units:
            end(unit.process)
        end(self.collector)


_AGENT_TOML = """\
[unit]
id = "{unit_id}"
state_dir = "{folder}/state"
run_dir = "{folder}/run"

[links.gps]
device = "{gps}"
protocol = "nmea"
role = "gps"
baud = 9600

[links.seal]
device = "{seal}"
protocol = "jt701"
role = "seal"
baud = 9600
seal_id = "{seal_id}"

[uplink]
servers = ["mqtt://127.0.0.1:{port}"]

[outbox]
headroom_bytes = 0

[status]
listen = ""
"""


def free_ports(count: int, rng: random.Random) -> list[int]:
    """Ports of this machine that nobody listens on just now."""
    found: list[int] = []
    while len(found) < count:
        port = rng.choice(PORTS)
        if port not in found and not is_open(port):
            found.append(port)
    return found


def is_open(port: int) -> bool:
    """True if somebody listens on that port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def spawn(
    module: str, arguments: Sequence[str], log: Path, *, env: Mapping[str, str] = NO_ENV
) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments`, its words going to `log`."""
    with log.open("ab") as file:
        return subprocess.Popen(  # noqa: S603  # our own programs
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(env),
            start_new_session=True,  # Ctrl-C is for us, who end the others in their order
        )


def run(module: str, arguments: Sequence[str], *, env: Mapping[str, str] = NO_ENV) -> bytes:
    """Run `python -m module arguments` to its end and give what it printed; SiteError if it fails."""
    done = subprocess.run(  # noqa: S603  # our own programs
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        check=False,
        env=os.environ | dict(env),
    )
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise SiteError(f"{module} {' '.join(arguments)}: exit {done.returncode}: {words}")
    return done.stdout


def kill(process: subprocess.Popen[bytes] | None) -> bool:
    """End it by kill -9, no warning. False if it was dead already."""
    if process is None or process.poll() is not None:
        return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


def end(process: subprocess.Popen[bytes] | None) -> int | None:
    """Ask it to end, and kill it if it does not; its exit code."""
    if process is None:
        return None
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(END_S_MAX)
    except subprocess.TimeoutExpired:
        kill(process)
        return process.returncode


def ordered(
    site: Site, unit: Unit, what: str, *words: str, seconds: float
) -> subprocess.Popen[bytes]:
    """The operator's command that orders `what`, on its way; the order is good for so long."""
    until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
    more = ("--until", until, "--supersede", "--data", str(site.data_dir))
    command = ["unit", "order", unit.unit_id, what, *words, *more]
    return spawn("plomba", command, site.folder / "orders.log")


def fallen(unit: Unit) -> SiteError:
    """An agent that ended and had no reason to."""
    code = None if unit.process is None else unit.process.returncode
    return SiteError(f"{unit.unit_id} ended by itself, exit {code}:\n{tail(unit.log)}")


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
