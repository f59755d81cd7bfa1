"""A seal's password in a file that nobody else can read (EDGE section 6).

Law: a password file that others can read is no password. What it holds reaches the port and nothing else: no error, no log, no repr.
"""

import os
import stat
from pathlib import Path

SECRET_BYTES_MAX = 64  # a lock takes sixteen characters


class SecretFileError(Exception):
    """A password file that may not be used, and why; the message names no secret."""


def read_secret(path: Path) -> str:
    """The password in `path`, without the end of its line. SecretFileError if it is not there, not ours alone, or no text."""
    data = read_own(path, SECRET_BYTES_MAX + 1)
    text = data.decode("ascii", "replace").rstrip("\r\n")
    if not text or len(data) > SECRET_BYTES_MAX or "\ufffd" in text:
        raise SecretFileError(f"{path.name}: holds no password")
    return text


def read_own(path: Path, bytes_max: int) -> bytes:
    """What the plain file `path` holds, if nobody else can read it; SecretFileError otherwise."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SecretFileError(f"{path.name}: {error.strerror}") from error
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise SecretFileError(f"{path.name}: no plain file")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise SecretFileError(f"{path.name}: others can read it; chmod 600")
        if status.st_uid != os.geteuid():
            raise SecretFileError(f"{path.name}: belongs to another user")
        return file.read(bytes_max)
