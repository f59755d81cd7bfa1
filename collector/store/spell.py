"""A finding's value and data as bytes of WIRE section 3, and back.

Law: read(write(value, data)) is value and data. What that format lacks (fractions, truth, names) is written as a tagged array.
"""

from typing import TypeGuard

from wire import MisuseError, Refused
from wire.canon import Encodable, decode, encode

Value = int | float | str | None

_FRACTION, _TRUTH, _ARRAY, _NAMED = "f", "b", "a", "n"


def write(value: Value, data: dict[str, object]) -> bytes:
    """The detail of a finding: [value, data, 1 if the value is a fraction spelt as text]."""
    is_fraction = isinstance(value, float)
    return encode(
        (repr(value) if isinstance(value, float) else value, _spell(data), int(is_fraction))
    )


def read(detail: bytes) -> tuple[Value, dict[str, object]]:
    """What `write` wrote; MisuseError for other bytes."""
    parts = decode(detail)
    if isinstance(parts, Refused) or not isinstance(parts, list) or len(parts) != 3:
        raise MisuseError("these bytes are no detail of a finding")
    value, data, is_fraction = parts
    named = _read(data)
    assert _is_named(named)
    assert value is None or isinstance(value, int | str)
    return (float(value) if is_fraction and value is not None else value), named


def _spell(value: object) -> Encodable:
    if isinstance(value, bool):
        return [_TRUTH, int(value)]
    if isinstance(value, float):
        return [_FRACTION, repr(value)]  # repr of a float reads back as the same float
    if value is None or isinstance(value, int | str | bytes):
        return value
    if isinstance(value, list | tuple):
        return [_ARRAY, *(_spell(entry) for entry in value)]
    if isinstance(value, dict):
        return [_NAMED, *(part for key, entry in value.items() for part in (key, _spell(entry)))]
    raise MisuseError(f"a finding's data holds a {type(value).__name__}")


def _read(value: object) -> object:
    if not isinstance(value, list):
        return value
    tag, parts = value[0], value[1:]
    if tag == _FRACTION:
        return float(parts[0])
    if tag == _TRUTH:
        return parts[0] == 1
    if tag == _NAMED:
        return {key: _read(entry) for key, entry in zip(parts[::2], parts[1::2], strict=True)}
    return [_read(entry) for entry in parts]


def _is_named(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)
