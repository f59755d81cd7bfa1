"""The collector's two keys, and its gateway's, as files of its data directory.

Law: apart from the start of the collector, so that a command that only shows them loads no detector and no API.
"""

from dataclasses import dataclass
from pathlib import Path

from collector.config import Config
from collector.io.key import SigningKey, load_or_make


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What the collector signs with: two keys, so that who steals one cannot do the other's harm."""

    receipt: SigningKey
    order: SigningKey


def keys_of(data_dir: Path) -> Keys:
    """The collector's keys, made once in its data directory; raises KeyFileError."""
    return Keys(
        receipt=load_or_make(data_dir / "receipt.key"), order=load_or_make(data_dir / "order.key")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayKey:
    """Whose key it is, and where it lies."""

    unit_id: str
    path: Path
    key: SigningKey


def gateway_key(config: Config) -> GatewayKey:
    """The gateway's evidence key, made once; raises KeyFileError."""
    path = config.gateway.key_file or config.data_dir / "gateway.key"
    return GatewayKey(unit_id=config.gateway.unit, path=path, key=load_or_make(path))
