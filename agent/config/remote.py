"""What may be set by air, laid over the local file (EDGE section 10).

Law: a version from the centre changes pace, thresholds and brokers. It never says who the unit is, whom it believes, where things lie
or what hangs on its ports.
"""

from collections.abc import Mapping
from typing import Any

from agent.config.read import BadConfigError, ConfigError, raw_of
from agent.config.values import Config, of_raw

ALLOWED = frozenset(("recorder", "sealer", "uplink", "outbox", "status", "clock"))
NEVER = frozenset((("clock", "chrony_sock"),))  # a path, whatever table it stands in

Raw = Mapping[str, Any]


def remote_raw(text: str) -> Raw:
    """The tables of a version; BadConfigError with every word that no version may say."""
    raw = raw_of(text)
    hint = "is said in the unit's own file only, never by air"
    errors = [ConfigError(key=name, hint=hint) for name in raw if name not in ALLOWED]
    for table, key in sorted(NEVER):
        said = raw.get(table)
        if isinstance(said, Mapping) and key in said:
            errors.append(ConfigError(key=f"{table}.{key}", hint=hint))
    if errors:
        raise BadConfigError(tuple(errors))
    return raw


def laid_over(local: Raw, remote: Raw) -> dict[str, Any]:
    """Key by key: what the version does not say stays as the local file has it."""
    over = dict(local)
    for name, value in remote.items():
        below = over.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            over[name] = laid_over(below, value)
        else:
            over[name] = value
    return over


def with_version(local_text: str, version_text: str) -> Config:
    """The settings that hold under a version; BadConfigError with all that is wrong."""
    return of_raw(laid_over(raw_of(local_text), remote_raw(version_text)))


def says_the_same(local_text: str, one: str, other: str) -> bool:
    """Whether two versions, both sound, make the same settings: spelling and remarks do not count."""
    local = raw_of(local_text)
    return laid_over(local, remote_raw(one)) == laid_over(local, remote_raw(other))
