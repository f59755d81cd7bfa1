"""A file becomes tables, and every fault in it a named error: all of them, not the first (EDGE section 10).

Law: no value is guessed. What is not a setting of ours is an error, for it was meant to be one.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.inspect import DictType, Metadata, StructType, Type, UnionType, type_info
from msgspec.structs import FieldInfo, fields

from agent.config.tables import ConfigTable

NAME = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)  # of a link, of a seal
DEPTH_MAX = 8  # of tables and arrays in each other; our deepest key has three words
CONFIG_BYTES_MAX = 65_536  # a person writes it; one that comes by air has 8 KiB at most


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigError:
    """One setting that cannot be taken: which, and what would be right."""

    key: str
    hint: str

    def __str__(self) -> str:
        return f"{self.key}: {self.hint}" if self.key else self.hint


class BadConfigError(Exception):
    """All that is wrong with a file."""

    def __init__(self, errors: tuple[ConfigError, ...]) -> None:
        assert errors
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = errors


def read_text(path: Path) -> str:
    """What `path` holds; BadConfigError if it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadConfigError(
            (ConfigError(key="", hint=f"{path}: {error.strerror}; name the file with --config"),)
        ) from error
    if len(data) > CONFIG_BYTES_MAX:
        raise BadConfigError(
            (ConfigError(key="", hint=f"{path}: {len(data)} bytes, {CONFIG_BYTES_MAX} at most"),)
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadConfigError((ConfigError(key="", hint=f"{path}: not UTF-8, {error}"),)) from error


def raw_of(text: str) -> dict[str, Any]:
    """TOML as it stands; BadConfigError if it is none."""
    try:
        raw = tomllib.loads(text)
    except (
        ValueError,
        RecursionError,
    ) as error:  # a number of 5,000 digits, brackets by the thousand
        raise BadConfigError((ConfigError(key="", hint=f"this is no TOML: {error}"),)) from error
    if _is_deeper(raw, DEPTH_MAX):
        hint = f"tables in tables, more than {DEPTH_MAX} deep: no setting lies there"
        raise BadConfigError((ConfigError(key="", hint=hint),))
    return raw


def _is_deeper(value: object, depth_max: int) -> bool:
    """Level by level: nothing that a foreign file says may be walked without an end."""
    level: list[object] = [value]
    for _ in range(depth_max):
        level = [
            inner
            for outer in level
            for inner in (
                outer.values()
                if isinstance(outer, dict)
                else outer
                if isinstance(outer, list)
                else ()
            )
        ]
    return any(isinstance(one, dict | list) for one in level)


def faults_of(raw: Mapping[str, Any]) -> list[ConfigError]:
    """All faults of form; what has none converts to `ConfigTable`."""
    return _faults(ConfigTable, raw, "")


def _faults(table: type[Struct], raw: Mapping[str, Any], path: str) -> list[ConfigError]:
    known = {field.encode_name: field for field in fields(table)}
    errors = [
        ConfigError(key=path + name, hint=_unknown(name, known))
        for name in raw
        if name not in known
    ]
    for name, field in known.items():
        if name in raw:
            errors += _value_faults(field.type, raw[name], path + name)
        elif _is_required(field):
            errors.append(ConfigError(key=path + name, hint=f"is missing; {_says(field.type)}"))
    return errors


def _value_faults(wanted: Any, value: Any, key: str) -> list[ConfigError]:  # noqa: ANN401  # types and values of a foreign file
    kind = type_info(wanted)
    if isinstance(kind, StructType):
        if not isinstance(value, dict):
            return [ConfigError(key=key, hint=f"is a table: write [{key}]")]
        return _faults(kind.cls, value, f"{key}.")
    if isinstance(kind, DictType):
        return _named_tables(kind, value, key)
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        return [ConfigError(key=key, hint=f"{_says(wanted) or error}, is {_shown(value)}")]
    return []


def _named_tables(kind: DictType, value: Any, key: str) -> list[ConfigError]:  # noqa: ANN401  # as above
    if not isinstance(value, dict):
        return [ConfigError(key=key, hint=f"holds tables: write [{key}.NAME]")]
    assert isinstance(kind.value_type, StructType)
    errors: list[ConfigError] = []
    for name, table in value.items():
        if not NAME.fullmatch(name):
            hint = "a name has 1 to 32 of A-Z, a-z, 0-9, - and _"
            errors.append(ConfigError(key=f"{key}.{name}", hint=hint))
        errors += _value_faults(kind.value_type.cls, table, f"{key}.{name}")
    return errors


def _says(wanted: Any) -> str:  # noqa: ANN401  # as above
    """The words of a bound: what would be right."""
    kind = type_info(wanted)
    if isinstance(kind, StructType):
        return "a table with " + ", ".join(
            field.name for field in fields(kind.cls) if _is_required(field)
        )
    kinds: tuple[Type, ...] = kind.types if isinstance(kind, UnionType) else (kind,)
    for one in kinds:
        if isinstance(one, Metadata):
            words = (one.extra_json_schema or {}).get("description")
            if isinstance(words, str):
                return words
    return {"BoolType": "true or false", "StrType": "text", "IntType": "a whole number"}.get(
        type(kinds[0]).__name__, ""
    )


def _unknown(name: str, known: Mapping[str, FieldInfo]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # a good file never needs it, and it takes 0.2 MiB

    close = get_close_matches(name, known, n=1)
    if close:
        return f"there is no such setting; did you mean {close[0]}?"
    return f"there is no such setting here; known are {', '.join(known)}"


def _is_required(field: FieldInfo) -> bool:
    return field.default is NODEFAULT and field.default_factory is NODEFAULT


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
