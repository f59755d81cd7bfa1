"""What the settings speak of when they speak of ports and brokers.

Law: vocabulary only; whoever reads settings loads no driver and no client for it.
"""

from dataclasses import dataclass
from pathlib import Path

from agent.recorder.settings import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSettings:
    """`links.<name>` of the config."""

    name: str
    device: str  # of a foreign program its address
    protocol: str
    role: Role
    baud: int | None  # None: hunt (NMEA only), or no serial port at all


@dataclass(frozen=True, slots=True, kw_only=True)
class PortView:
    """What the status page shows of a port."""

    name: str
    device: str
    role: str
    state: str
    detail: str
    baud: int | None
    counters: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a broker listens."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Our own CA and, if the broker wants it, our certificate."""

    ca_file: Path
    cert_file: Path | None = None
    key_file: Path | None = None
