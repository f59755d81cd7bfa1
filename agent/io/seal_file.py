"""What the unit keeps of a seal for itself alone: a file a seal, 0600, in `state_dir/seals` (DEVICES section 4.5).

Law: written whole beside, synced, and renamed; a file that others can read is refused. Nothing of it is shown or logged.
"""

import json
import os
from contextlib import suppress
from pathlib import Path

from agent.io.key import sync_folder
from agent.io.secret_file import SecretFileError, read_own
from agent.orders.contact import Keep

FILE_BYTES_MAX = 8_192  # a hundred cards of ten digits and two passwords
_VERSION = 1


def load(folder: Path, seal_id: str) -> Keep | None:
    """What was kept; None: nothing yet. SecretFileError if it may not be used."""
    path = _path(folder, seal_id)
    if not path.exists():
        return None
    data = read_own(path, FILE_BYTES_MAX)
    with suppress(ValueError, TypeError, KeyError):
        return _keep_of(json.loads(data))
    raise SecretFileError(f"{path.name}: cannot be read; the seal's password is in it")


def save(folder: Path, seal_id: str, keep: Keep) -> None:
    """Before this returns it is on the disk. OSError if it cannot be."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _path(folder, seal_id)
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        json.dump(_words(keep), file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(folder)


def _path(folder: Path, seal_id: str) -> Path:
    return folder / f"{seal_id}.json"  # the config lets only names of A-Z, a-z, 0-9, - and _ in


def _words(keep: Keep) -> dict[str, object]:
    return {
        "v": _VERSION,
        "password": keep.password,
        "next_password": keep.next_password,
        "done": sorted(keep.done),
        "cards": None if keep.cards is None else list(keep.cards),
    }


def _keep_of(words: dict[str, object]) -> Keep:
    if words["v"] != _VERSION:
        raise ValueError(words["v"])
    cards = words["cards"]
    return Keep(
        password=_text(words["password"]),
        next_password=_text(words["next_password"]),
        done=frozenset(map(str, _list(words["done"]))),
        cards=None if cards is None else tuple(map(str, _list(cards))),
    )


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(type(value))
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(type(value))
    return value
