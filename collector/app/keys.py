"""The collector's two keys, and its gateway's, as files of its data directory.

Law: apart from the start of the collector, so that a command that only shows them loads no detector and no API.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from collector.config import Config
from collector.io.key import KeyFileError, SigningKey, load_or_make

RECEIPT, ORDER = "receipt.key", "order.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What the collector signs with: two keys, so that who steals one cannot do the other's harm."""

    receipt: SigningKey
    order: SigningKey


def keys_of(data_dir: Path, store: Path | None = None, *, anew: bool = False) -> Keys:
    """The collector's keys, made once in its data directory; raises KeyFileError.

    Beside a `store` with units in it a lost key is not made again but for `anew`: units believe the one that they have pinned, and
    what a new one signs they would refuse in silence, until their stores are full.
    """
    store = store or data_dir / "collector.db"
    lost = [name for name in (RECEIPT, ORDER) if not (data_dir / name).exists()]
    if lost and not anew and _has_units(store):
        raise KeyFileError(
            path=data_dir / lost[0],
            fault=f"is not there, but {store} has units that believe no other",
            hint="restore it from the backup; if it is lost for ever, `plomba collector keys --anew` makes another, "
            "and each unit is enrolled anew",
        )
    return Keys(receipt=load_or_make(data_dir / RECEIPT), order=load_or_make(data_dir / ORDER))


def _has_units(store: Path) -> bool:
    if not store.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as base:
            return base.execute("select 1 from unit_key limit 1").fetchone() is not None
    except sqlite3.Error as error:
        return "no such table" not in str(error)  # what cannot be read may have them


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
