"""The issuing CA and our listener's certificate, as files of the data directory (EVIDENCE section 2).

Law: the CA is made once and never over another. Its key is read by the process that issues, and by nobody else.
"""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from collector.enrol.certificates import Issuer, is_stale, issue_server, make_authority
from collector.io.key import KeyFileError, read_private, write_new

CA_KEY = "ca.key"
CA_FILE = "ca.pem"
SERVER_KEY = "enrol.key"
SERVER_FILE = "enrol.pem"


def new_serial() -> int:
    """A certificate's number: 159 random bits, positive (RFC 5280, 4.1.2.2)."""
    return secrets.randbits(159) | 1 << 158


def load_or_make(data_dir: Path, now_ms: int) -> Issuer:
    """The issuing CA of this collector. KeyFileError if its files cannot be used."""
    key = _key(data_dir / CA_KEY)
    path = data_dir / CA_FILE
    if not path.exists():
        made = make_authority(key, now_ms=now_ms, serial=new_serial())
        write_new(path, made.public_bytes(Encoding.PEM), 0o644)
    certificate = _certificate(path)
    if certificate.public_key() != key.public_key():
        raise KeyFileError(
            path=path, fault="it is not the certificate of ca.key", hint="restore both together"
        )
    return Issuer(key=key, certificate=certificate)


def listener_files(
    data_dir: Path, issuer: Issuer, names: Sequence[str], now_ms: int
) -> tuple[Path, Path]:
    """Certificate and key of our own listener, made anew when its names change or its end is near."""
    key = _key(data_dir / SERVER_KEY)
    path = data_dir / SERVER_FILE
    if not path.exists() or is_stale(_certificate(path), names, now_ms):
        pem = issue_server(issuer, key.public_key(), names, now_ms=now_ms, serial=new_serial())
        beside = path.with_name(f"{path.name}.{os.getpid()}.new")
        beside.unlink(missing_ok=True)
        write_new(beside, pem + issuer.pem, 0o644)
        beside.replace(path)
    return path, data_dir / SERVER_KEY


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        write_new(
            path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600
        )
    try:
        key = load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError) as error:
        raise KeyFileError(
            path=path, fault="no PKCS#8 PEM key", hint="restore it from the backup"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyFileError(path=path, fault="no P-256 key", hint="restore it from the backup")
    return key


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise KeyFileError(
            path=path, fault=f"no certificate: {error}", hint="restore it from the backup"
        ) from error
