"""Whom this unit believes: the collector's keys, pinned at enrolment (WIRE section 1).

Law: what is not pinned is not believed. Nothing but an enrolment changes this file.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agent.config.read import BadConfigError, ConfigError, read_text
from wire.envelope import kid_of
from wire.topics import is_unit_id

UNIT_NUMBER_MAX = (1 << 32) - 1
HOST_CHARS_MAX = 64
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DOOR = re.compile(r"https://[A-Za-z0-9.:\[\]-]{1,80}", re.ASCII)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?", re.ASCII)


class PinsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`pins.toml`."""

    unit: str
    receipt_key: str
    order_key: str
    receipt_key_next: str | None = None
    order_key_next: str | None = None
    unit_number: int | None = None
    centre: str | None = None
    enrol_server: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """The pinned public keys by kid; at most one successor of each."""

    unit_id: str
    receipt_keys: Mapping[bytes, bytes] = field(repr=False)
    order_keys: Mapping[bytes, bytes] = field(repr=False)
    unit_number: int | None = None  # the collector's number of this unit, for its hand-over code
    centre: str | None = None  # host of the officer's page there
    enrol_server: str | None = None  # where the certificate is renewed


def read_pins(path: Path) -> Pins:
    """The pins in `path`; BadConfigError with all that is wrong."""
    try:
        table = msgspec.convert(tomllib.loads(read_text(path)), PinsTable)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadConfigError((ConfigError(key=str(path), hint=f"enrol anew: {error}"),)) from error
    errors = [
        ConfigError(key=f"{path.name}: {name}", hint="64 hex digits, a to f small")
        for name, key in _keys(table).items()
        if key is not None and not _HEX.fullmatch(key)
    ]
    if not is_unit_id(table.unit):
        errors.append(ConfigError(key=f"{path.name}: unit", hint=f"no unit id: {table.unit!r}"))
    if table.receipt_key == table.order_key:
        hint = "two different keys: who signs receipts may open no seal"
        errors.append(ConfigError(key=f"{path.name}: order_key", hint=hint))
    if table.unit_number is not None and not 0 <= table.unit_number <= UNIT_NUMBER_MAX:
        errors.append(ConfigError(key=f"{path.name}: unit_number", hint="0 to 2^32-1"))
    if table.centre is not None and not is_host(table.centre):
        errors.append(ConfigError(key=f"{path.name}: centre", hint="a host's name, 64 characters"))
    if table.enrol_server is not None and not _DOOR.fullmatch(table.enrol_server):
        hint = "https://HOST:PORT, as it was at enrolment"
        errors.append(ConfigError(key=f"{path.name}: enrol_server", hint=hint))
    if errors:
        raise BadConfigError(tuple(errors))
    return Pins(
        unit_id=table.unit,
        receipt_keys=_by_kid(table.receipt_key, table.receipt_key_next),
        order_keys=_by_kid(table.order_key, table.order_key_next),
        unit_number=table.unit_number,
        centre=table.centre,
        enrol_server=table.enrol_server,
    )


def is_host(text: str) -> bool:
    """Whether `text` may stand in the hand-over code's address: with more than 64 characters a QR has too fine a grain."""
    return len(text) <= HOST_CHARS_MAX and _HOST.fullmatch(text) is not None


def pins_text(
    *,
    unit_id: str,
    receipt_key: bytes,
    order_key: bytes,
    unit_number: int | None = None,
    centre: str | None = None,
    enrol_server: str | None = None,
) -> str:
    """What `read_pins` reads."""
    more = "" if unit_number is None else f"unit_number = {unit_number}\n"
    more += "" if centre is None else f'centre = "{centre}"\n'
    more += "" if enrol_server is None else f'enrol_server = "{enrol_server}"\n'
    return (
        "# Pinned at enrolment. A change here is a change of whom this unit believes.\n"
        f'unit = "{unit_id}"\n'
        f'receipt_key = "{receipt_key.hex()}"\n'
        f'order_key = "{order_key.hex()}"\n'
        f"{more}"
    )


def _keys(table: PinsTable) -> dict[str, str | None]:
    return {
        "receipt_key": table.receipt_key,
        "order_key": table.order_key,
        "receipt_key_next": table.receipt_key_next,
        "order_key_next": table.order_key_next,
    }


def _by_kid(*keys: str | None) -> dict[bytes, bytes]:
    raw = [bytes.fromhex(key) for key in keys if key is not None]
    return {kid_of(key): key for key in raw}
