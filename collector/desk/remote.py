"""What may be set by air: the unit's own tables as far as the centre can judge them (EDGE section 10).

Law: who the unit is, whom it believes, where things lie and what hangs on its ports is never said here. The unit judges again, over
its own file; this only spares it what can be known to be wrong.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from wire.orders import CONFIG_BYTES_MAX

NEVER = {
    "unit": "who the unit is",
    "links": "what hangs on its ports",
    "seals": "where its secrets lie",
    "clock.chrony_sock": "a path",
}
FAULTS_MAX = 50  # a file full of faults is told once


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One word of a config that no unit would take, and what would be right."""

    key: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A whole number within bounds."""

    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A text of this form."""

    pattern: str
    says: str
    length_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """true or false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A list of texts."""

    most: int
    pattern: str
    says: str


Setting = Number | Words | Switch | Texts
Tree = Mapping[str, "Setting | Tree"]

_SECONDS = Number(least=1, most=3_600)
_METRES = Number(least=1, most=10_000)
_PROFILE: Tree = {
    "time_s": _SECONDS,
    "line_m": _METRES,
    "distance_m": _METRES,
    "turn_deg": Number(least=1, most=180),
    "speed_m_s": Number(least=1, most=50),
    "ahead_m": _METRES,
}
_PROFILES = (
    "sealed_moving",
    "sealed_standing",
    "open_moving",
    "open_standing",
    "pressed_1",
    "pressed_1_standing",
    "pressed_2",
    "pressed_2_standing",
    "pressed_3",
)

SETTINGS: Tree = {
    "recorder": dict.fromkeys(_PROFILES, _PROFILE),
    "sealer": {
        "records_min": Number(least=1, most=300),
        "age_live_s": _SECONDS,
        "age_standing_s": _SECONDS,
        "age_offline_s": _SECONDS,
        "age_open_s": _SECONDS,
        "batch_bytes_max": Number(least=1_024, most=32_768),
    },
    "outbox": {
        "bytes_max": Number(least=1_048_576, most=68_719_476_736),
        "headroom_bytes": Number(least=0, most=68_719_476_736),
        "spare_bytes": Number(least=0, most=1_073_741_824),
        "delete_after": Words(pattern=r"^(receipt|proof)$", says="receipt or proof"),
    },
    "uplink": {
        "servers": Texts(
            most=8, pattern=r"mqtts?://[^\s/]+/?", says="1 to 8 addresses mqtts://HOST[:PORT]"
        ),
        "window_batches_max": Number(least=1, most=64),
        "backlog_bytes_s": Number(least=4_096, most=10_485_760),
        "messages_s": Number(least=1, most=50),
        "hello_s": Number(least=60, most=900),
        "message_bytes_max": Number(least=2_048, most=32_854),
        "keep_alive_s": Number(least=30, most=300),
        "metered": Switch(),
    },
    "status": {
        "listen": Words(
            pattern=r"^(\S+:\d{1,5})?$",
            says="an address and a port as 127.0.0.1:8470, or nothing",
            length_max=64,
        ),
        "host": Words(
            pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]*)?$",
            says="a name under which the page is asked for, or nothing",
            length_max=253,
        ),
        "accept_orders": Switch(),
    },
    "clock": {
        "not_before": Words(
            pattern=r"^\d{4}-\d{2}-\d{2}$", says="a day as 2026-01-31", length_max=10
        )
    },
}


def faults_of(text: bytes) -> tuple[Fault, ...]:
    """All that is wrong with a config for a unit; empty if the desk may give it."""
    if not 1 <= len(text) <= CONFIG_BYTES_MAX:
        return (Fault(key="", hint=f"1 to {CONFIG_BYTES_MAX} bytes, is {len(text)}"),)
    table = table_of(text)
    if isinstance(table, Fault):
        return (table,)
    found = list(_faults(SETTINGS, table, ""))
    return tuple(found[:FAULTS_MAX])


def table_of(text: bytes) -> dict[str, object] | Fault:
    """The TOML in `text` as it stands."""
    try:
        return tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        return Fault(key="", hint=f"is no UTF-8: {error}")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return Fault(key="", hint=f"is no TOML: {error}")


def says_the_same(one: bytes, other: bytes) -> bool:
    """Whether two configs set the same: spelling and remarks do not count."""
    tables = table_of(one), table_of(other)
    return tables[0] == tables[1] and not isinstance(tables[0], Fault)


def _faults(known: Tree, said: Mapping[str, object], path: str) -> Iterator[Fault]:
    for name, value in said.items():
        key = path + name
        wanted = known.get(name)
        if key in NEVER:
            yield Fault(
                key=key, hint=f"{NEVER[key]} is said in the unit's own file only, never by air"
            )
        elif wanted is None:
            yield Fault(key=key, hint=f"can not be set by air; known are {', '.join(known)}")
        elif not isinstance(wanted, Mapping):
            hint = _wrong(wanted, value)
            if hint is not None:
                yield Fault(key=key, hint=hint)
        elif isinstance(value, dict):
            yield from _faults(wanted, value, f"{key}.")
        else:
            yield Fault(key=key, hint=f"is a table: write [{key}]")


def _wrong(wanted: Setting, value: object) -> str | None:
    match wanted:
        case Number(least=least, most=most):
            good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
            return None if good else f"{least} to {most}, is {_shown(value)}"
        case Switch():
            return None if isinstance(value, bool) else f"true or false, is {_shown(value)}"
        case Words(pattern=pattern, says=says, length_max=length_max):
            good = (
                isinstance(value, str)
                and (length_max is None or len(value) <= length_max)
                and re.fullmatch(pattern, value) is not None
            )
            if good and says.startswith("a day"):
                good = _is_day(str(value))
            return None if good else f"{says}, is {_shown(value)}"
        case Texts(most=most, pattern=pattern, says=says):
            good = (
                isinstance(value, list)
                and 1 <= len(value) <= most
                and all(isinstance(one, str) and re.fullmatch(pattern, one) for one in value)
            )
            return None if good else f"{says}, is {_shown(value)}"


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
