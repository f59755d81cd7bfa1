"""Where a person's bearer token lies: in a file of his own, readable by nobody else.

Law: a token goes to the collector it was given by, over TLS or the loopback, and nowhere else.
"""

import os
import stat
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit
from urllib.request import (
    HTTPRedirectHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

TOKEN_CHARS_MAX = 200
WORD, FILE = "PLOMBA_TOKEN", "PLOMBA_TOKEN_FILE"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class TokenError(Exception):
    """A token that cannot be used, and what to do about it."""


def token_for(url: str) -> str:
    """The token for the API at `url`: of the environment, of the file that is named, or of the last log-in; "" without one. Raises TokenError."""
    word = os.environ.get(WORD, "")
    if not word:
        named = os.environ.get(FILE, "")
        word = _read(Path(named)) if named else _read(_file_of(url), may_miss=True)
    if word and not may_send(url):
        raise TokenError(f"{url}: a token is not sent without TLS to another machine")
    return word.strip()[:TOKEN_CHARS_MAX]


class _Nowhere(HTTPRedirectHandler):
    """Follows nobody: whoever sends us on would have our token sent on, too."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: object, newurl: str
    ) -> None:
        del req, fp, code, msg, headers, newurl


def opener() -> OpenerDirector:
    """Asks the collector itself: no proxy of the environment, no other address."""
    return build_opener(ProxyHandler({}), _Nowhere())


def may_send(url: str) -> bool:
    """Whether a secret may go there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in LOOPBACK


def keep(url: str, token: str) -> Path:
    """Write the token down for the next commands; where. Raises TokenError."""
    named = os.environ.get(FILE, "")
    path = Path(named) if named else _file_of(url)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.unlink(missing_ok=True)  # of a process of this number that was killed here
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(f"{token}\n")
        beside.replace(path)
    except OSError as error:
        raise TokenError(
            f"{path}: {error.strerror}; name another file with --token-file"
        ) from error
    return path


def forget(url: str) -> None:
    """Take the file away. Raises TokenError."""
    named = os.environ.get(FILE, "")
    path = Path(named) if named else _file_of(url)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TokenError(
            f"{path}: {error.strerror}; the session is over, the file stays"
        ) from error


def _file_of(url: str) -> Path:
    home = os.environ.get("XDG_CONFIG_HOME", "") or Path.home() / ".config"
    parts = urlsplit(url)
    place = f"{parts.hostname or 'none'}-{parts.port or parts.scheme}".replace(":", "_")
    return Path(home) / "plomba" / "tokens" / place


def _read(path: Path, *, may_miss: bool = False) -> str:
    try:
        # a pipe has no other end that would have to be waited for
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if may_miss and isinstance(error, FileNotFoundError):
            return ""
        raise TokenError(f"{path}: {error.strerror}; plomba login makes one") from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise TokenError(f"{path}: is no file; name one with --token-file")
    with os.fdopen(fd, encoding="ascii", errors="replace") as file:
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise TokenError(f"{path}: others can read it; plomba logout, then log in anew")
        return file.read(TOKEN_CHARS_MAX + 2)
