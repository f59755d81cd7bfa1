"""Requests for certificates read, and certificates made: P-256, 90 days, CN = unit_id, clientAuth and nothing else (EVIDENCE section 2).

Law: pure. Keys, times and numbers are arguments; what a request says besides its key and CN is not looked at.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY_MS = 86_400_000
UNIT_DAYS = 90
CA_DAYS = 3_650
SERVER_DAYS = 397  # what clients of the web take at most
BACK_MS = 300_000  # a clock beside ours may be so far behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Csr:
    """What a sound request says."""

    common_name: str
    public_key: EllipticCurvePublicKey
    spki_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """The issuing CA."""

    key: EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def read_csr(pem: bytes) -> Csr | str:
    """The request in `pem`, or what is wrong with it: form, its own signature, a P-256 key, a subject that is one CN."""
    try:
        request = x509.load_pem_x509_csr(pem)
        sound = request.is_signature_valid
        key = request.public_key()
        subject = list(request.subject)
    except (ValueError, TypeError, x509.UnsupportedGeneralNameType) as error:
        return f"no certificate request: {error}"
    except Exception as error:  # noqa: BLE001  # foreign bytes in a foreign parser: whatever it raises, it is no request
        return f"no certificate request: {type(error).__name__}"
    if not sound:
        return "its signature fails"
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        return "its key is no P-256"
    if len(subject) != 1 or subject[0].oid != NameOID.COMMON_NAME:
        return "its subject is not one CN"
    return Csr(common_name=str(subject[0].value), public_key=key, spki_sha256=spki_of(key))


def spki_of(key: EllipticCurvePublicKey) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo."""
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def make_authority(key: EllipticCurvePrivateKey, *, now_ms: int, serial: int) -> x509.Certificate:
    """A CA that signs itself."""
    name = _name("Plomba issuing CA")
    builder = _builder(
        name, name, key.public_key(), now_ms=now_ms, days=CA_DAYS, serial=serial
    ).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = _usage(cert_sign=True)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        builder.add_extension(usage, critical=True)
        .add_extension(own, critical=False)
        .sign(key, SHA256())
    )


def issue_unit(issuer: Issuer, csr: Csr, *, now_ms: int, serial: int) -> bytes:
    """A unit's certificate as PEM."""
    builder = _leaf(
        issuer, csr.common_name, csr.public_key, now_ms=now_ms, days=UNIT_DAYS, serial=serial
    )
    client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return _signed(builder.add_extension(client, critical=False), issuer)


def issue_server(
    issuer: Issuer,
    key: EllipticCurvePublicKey,
    names: Sequence[str],
    *,
    now_ms: int,
    serial: int,
) -> bytes:
    """The certificate of our own listener as PEM."""
    builder = _leaf(issuer, names[0], key, now_ms=now_ms, days=SERVER_DAYS, serial=serial)
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
    return _signed(
        builder.add_extension(server, critical=False).add_extension(alternatives, critical=False),
        issuer,
    )


def is_stale(certificate: x509.Certificate, names: Sequence[str], now_ms: int) -> bool:
    """Whether our listener needs another certificate: it ends within 30 days, or bears other names."""
    ends_ms = int(certificate.not_valid_after_utc.timestamp()) * 1_000
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return True
    borne = [str(name.value) for name in found]
    return ends_ms - now_ms < 30 * DAY_MS or borne != list(names)


def _leaf(
    issuer: Issuer,
    common_name: str,
    key: EllipticCurvePublicKey,
    *,
    now_ms: int,
    days: int,
    serial: int,
) -> x509.CertificateBuilder:
    builder = _builder(
        _name(common_name), issuer.certificate.subject, key, now_ms=now_ms, days=days, serial=serial
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(cert_sign=False), critical=True)
        .add_extension(authority, critical=False)
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePublicKey,
    *,
    now_ms: int,
    days: int,
    serial: int,
) -> x509.CertificateBuilder:
    begin = datetime.fromtimestamp((now_ms - BACK_MS) // 1_000, UTC)
    end = datetime.fromtimestamp(now_ms // 1_000, UTC) + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _signed(builder: x509.CertificateBuilder, issuer: Issuer) -> bytes:
    return builder.sign(issuer.key, SHA256()).public_bytes(Encoding.PEM)


def _usage(*, cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=cert_sign,
        crl_sign=cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
