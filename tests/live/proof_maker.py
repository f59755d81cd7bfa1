"""A public log of a few leaves under test keys, as C2SP writes it: what a real one will say, for the eye that checks it."""

import base64
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wire import Refused
from wire.batch import Header, read_payload
from wire.envelope import Aad, open_envelope

ORIGIN = "plomba.test/log/2026"
WITNESSES = ("customs", "audit", "carriers")
SECONDS = 1_795_000_000
LOG, COSIGNATURE = b"\x01", b"\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A proof of inclusion, and the keys by which it is checked."""

    proof: str
    policy: str


def log_of(envelope: bytes) -> Made:
    """A log of two leaves: another's, then that of this batch; cosigned by two of three."""
    leaf, other = leaf_of(envelope), sha256(b"\x00another").digest()
    root = sha256(b"\x01" + other + sha256(b"\x00" + leaf).digest()).digest()
    body = f"{ORIGIN}\n2\n{_text(root)}\n"
    signed = [_line(ORIGIN, LOG, _key(ORIGIN).sign(body.encode()))]
    for name in WITNESSES[:2]:
        said = f"cosignature/v1\ntime {SECONDS}\n{body}".encode()
        mark = SECONDS.to_bytes(8, "big") + _key(f"{name}.test").sign(said)
        signed.append(_line(f"{name}.test", COSIGNATURE, mark))
    proof = (
        f"c2sp.org/tlog-proof@v1\nextra {_text(leaf)}\nindex 1\n{_text(other)}\n\n"
        f"{body}\n" + "".join(signed)
    )
    witnesses = "".join(
        f"witness {name} {_vkey(f'{name}.test', COSIGNATURE)}\n" for name in WITNESSES
    )
    policy = f"log {_vkey(ORIGIN, LOG)}\n{witnesses}group two 2 {' '.join(WITNESSES)}\nquorum two\n"
    return Made(proof=proof, policy=policy)


def leaf_of(envelope: bytes) -> bytes:
    """The line of the log for this batch (EVIDENCE section 5)."""
    opened = open_envelope(envelope, Aad.BATCH)
    assert not isinstance(opened, Refused)
    header = read_payload(opened.payload)
    assert isinstance(header, Header)
    fields: dict[str, str | int] = {
        "at": SECONDS * 1_000,
        "chain": header.chain_id.hex(),
        "count": header.count,
        "env": sha256(envelope).hexdigest(),
        "first": header.first_seq,
        "kid": opened.kid.hex(),
        "len": len(envelope),
        "no": header.batch_no,
        "rx": SECONDS * 1_000,
        "t": "batch",
        "unit": header.unit_id,
        "v": 1,
    }
    said = (
        f'"{key}":{value}' if isinstance(value, int) else f'"{key}":"{value}"'
        for key, value in fields.items()
    )
    return f"{{{','.join(said)}}}".encode()


def _key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(f"plomba test key {name}".encode()).digest())


def _spec(name: str, kind: bytes) -> tuple[bytes, bytes]:
    raw = kind + _key(name).public_key().public_bytes_raw()
    return sha256(f"{name}\n".encode() + raw).digest()[:4], raw


def _vkey(name: str, kind: bytes) -> str:
    mark, raw = _spec(name, kind)
    return f"{name}+{mark.hex()}+{_text(raw)}"


def _line(name: str, kind: bytes, signature: bytes) -> str:
    return f"— {name} {_text(_spec(name, kind)[0] + signature)}\n"


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
