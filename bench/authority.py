"""A certificate authority that lives for one run, so that a bench may speak TLS on loopback.

Law: nothing of it is kept, and nobody else trusts it.
"""

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAYS = dt.timedelta(days=30)
HOST = "localhost"


def server_context(folder: Path) -> tuple[ssl.SSLContext, bytes]:
    """A context for a server called `localhost`, and the CA that its clients must trust, as PEM."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench CA")])
    host_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    ca = _sign(ca_key, ca_name, ca_name, ca_key.public_key(), host=None)
    made = _sign(ca_key, ca_name, host_name, key.public_key(), host=HOST)
    cert_file, key_file = folder / "bench-cert.pem", folder / "bench-key.pem"
    cert_file.write_bytes(made.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    return context, ca.public_bytes(Encoding.PEM)


def _sign(
    ca_key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    host: str | None,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)  # a certificate must be valid today
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAYS)
        .not_valid_after(now + DAYS)
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
    )
    if host is not None:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
        )
    return builder.sign(ca_key, hashes.SHA256())
