"""Published test keys: seed = SHA-256("plomba test key " + name). Never use them for anything else."""

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wire.envelope import Key, kid_of

UNIT = "uz-01a234bc"


def private_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(
        sha256(b"plomba test key " + name.encode()).digest()
    )


def public_key(name: str) -> bytes:
    return private_key(name).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


UNIT_KEY = private_key(f"unit {UNIT}")
UNIT_PUBLIC = public_key(f"unit {UNIT}")
UNIT_KID = kid_of(UNIT_PUBLIC)
KEYS = {UNIT_KID: Key(unit_id=UNIT, public_key=UNIT_PUBLIC)}
