"""The evidence key: made once, in a file that nobody else can read (EDGE section 10).

Law: a key file that others can read is no key. A secure element takes the same place: `public_key` and `sign`.
"""

import os
import stat
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wire.envelope import Signer

PEM_BYTES_MAX = 4_096  # a PKCS#8 Ed25519 key has 119
_PEM_LINES = (b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----")
_DER_HEAD = bytes.fromhex("302e020100300506032b657004220420")  # RFC 8410, section 7: then 32 bytes


class KeyFileError(Exception):
    """A key file that may not be used, and what to do about it."""

    def __init__(self, *, path: Path, fault: str, hint: str) -> None:
        super().__init__(f"{path}: {fault}; {hint}")
        self.path = path
        self.fault = fault
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceKey:
    """The unit's own key; the private half stays behind `sign`."""

    public_key: bytes  # 32 bytes, raw
    sign: Signer = field(repr=False, compare=False)


def load(path: Path) -> EvidenceKey:
    """The Ed25519 key in `path` (PKCS#8 PEM). KeyFileError if it is not there, not ours alone, or no such key."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise KeyFileError(
            path=path,
            fault=error.strerror or "cannot be opened",
            hint="enrol this unit: plomba-agent identity --help",
        ) from error
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise KeyFileError(
                path=path,
                fault="others can read or write it",
                hint="find out who did; then chmod 600 it, or enrol the unit anew",
            )
        if status.st_uid != os.geteuid():
            raise KeyFileError(
                path=path, fault="it belongs to another user", hint="run the agent as its owner"
            )
        pem = file.read(PEM_BYTES_MAX)
    try:
        key = _key_of(pem)
    except (ValueError, TypeError) as error:
        raise KeyFileError(
            path=path, fault="no PKCS#8 PEM key", hint="enrol the unit anew"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(path=path, fault="no Ed25519 key", hint="enrol the unit anew")
    return _evidence_key(key)


def make(path: Path) -> EvidenceKey:
    """A new key in `path`, 0600 and synced. KeyFileError if there is a file of that name already."""
    key = Ed25519PrivateKey.generate()
    head, end = _PEM_LINES
    pem = b"\n".join((head, b64encode(_DER_HEAD + key.private_bytes_raw()), end, b""))
    write_once(path, pem)
    return _evidence_key(key)


def write_once(path: Path, data: bytes) -> None:
    """`data` in a new file with 0600, synced with its folder. KeyFileError if it exists or cannot be made."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise KeyFileError(
            path=path,
            fault=error.strerror or "cannot be made",
            hint="an identity is made once; choose another directory for another unit",
        ) from error
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _key_of(pem: bytes) -> object:
    """The key in `pem`. Our own form is read by slicing: cryptography's readers of all forms hold 0.6 MiB for ever."""
    lines = pem.split()
    if b" ".join(lines[:3]) == _PEM_LINES[0] and b" ".join(lines[4:]) == _PEM_LINES[1]:
        der = b64decode(lines[3], validate=True)
        if len(der) == len(_DER_HEAD) + 32 and der.startswith(_DER_HEAD):
            return Ed25519PrivateKey.from_private_bytes(der[len(_DER_HEAD) :])
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415  # see above
        load_pem_private_key,
    )

    return load_pem_private_key(pem, password=None)


def _evidence_key(key: Ed25519PrivateKey) -> EvidenceKey:
    return EvidenceKey(public_key=key.public_key().public_bytes_raw(), sign=key.sign)
