"""The collector's own keys: made once, kept in files that nobody else can read (EVIDENCE section 2).

Law: a key file that others can read is no key; the program refuses to start with it.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from wire.envelope import Signer, kid_of


class KeyFileError(Exception):
    """A key file that may not be used, and what to do about it."""

    def __init__(self, *, path: Path, fault: str, hint: str) -> None:
        super().__init__(f"{path}: {fault}; {hint}")
        self.path = path
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    public_key: bytes  # 32 bytes, raw
    kid: bytes
    sign: Signer = field(repr=False, compare=False)


def load_or_make(path: Path) -> SigningKey:
    """The Ed25519 key in `path` (PKCS#8 PEM); made there with 0600 if there is none yet.

    Raises KeyFileError for a file that others can read, that belongs to somebody else, or that holds no such key.
    """
    if not path.exists():
        _make(path)
    return load(path)


def load(path: Path) -> SigningKey:
    """The Ed25519 key in `path`; KeyFileError as above, and if it is not there."""
    pem = read_private(path)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise KeyFileError(
            path=path, fault="no PKCS#8 PEM key", hint="restore it from the backup"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(path=path, fault="no Ed25519 key", hint="restore it from the backup")
    public_key = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return SigningKey(public_key=public_key, kid=kid_of(public_key), sign=key.sign)


def read_private(path: Path) -> bytes:
    """A key file that is ours alone; KeyFileError if it is not, or not there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise KeyFileError(
            path=path,
            fault=error.strerror or "cannot be opened",
            hint="start the collector once with this data directory, it makes its keys",
        ) from error
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise KeyFileError(
                path=path,
                fault="others can read it",
                hint="find out who did, then chmod 600, or make a new key and let the units pin it",
            )
        if status.st_uid != os.geteuid():
            raise KeyFileError(
                path=path, fault="it belongs to another user", hint="run as its owner"
            )
        return file.read(65_536)  # a PKCS#8 key of ours has 119 to 241 bytes


def write_new(path: Path, data: bytes, mode: int) -> None:
    """`data` under a name that is not taken; one that is taken stays as it is."""
    # Written beside and linked: a kill in between leaves no half file under the name, and two starts at once make one.
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(beside)
        except FileExistsError:
            return
        _sync_folder(path.parent)
    finally:
        beside.unlink()


def _make(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    write_new(path, pem, 0o600)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
