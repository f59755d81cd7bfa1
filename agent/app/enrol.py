"""How a unit is let in: keys made here, a request, two people there, and all that is pinned (EDGE section 10; EVIDENCE section 3).

Law: a private key never leaves. What is half done lies in `identity.new/` and goes on after a kill; an identity is never made over another.
"""

import base64
import json
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from agent.app.identity import (
    CA_FILE,
    CERT_FILE,
    DOOR_CA_FILE,
    EVIDENCE_FILE,
    PINS_FILE,
    TLS_KEY_FILE,
)
from agent.config import BadConfigError, pins_text, read_pins
from agent.io import clock, key
from agent.io.clock import Clock
from agent.io.https import Answer, Door, HttpsError, ask, door_of
from agent.io.key import KeyFileError
from agent.io.words import Tls
from wire import Refused
from wire.enrol import NO_TOKEN, Request, make, open_request

REQUEST_FILE = "request.cose"
CSR_FILE = "request.csr"
POLL_S = 10.0
WAIT_MS_MAX = 86_400_000  # a request waits 24 h for its second person
PATH = "/api/v1/enrol"
RENEW_PATH = "/api/v1/renew"

Say = Callable[[str], None]


class EnrolError(Exception):
    """Not let in; the message says why and what to do."""


class RefusedError(EnrolError):
    """The centre has said no."""


class UnreachableError(EnrolError):
    """The centre has said nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A request that is made and not answered yet."""

    public_key: bytes
    envelope: bytes
    csr: bytes
    nonce: bytes


def pending(beside: Path, unit_id: str) -> Pending | None:
    """What an earlier run has left, if its request is whole. EnrolError if it is another unit's."""
    try:
        envelope, csr = (beside / REQUEST_FILE).read_bytes(), (beside / CSR_FILE).read_bytes()
    except OSError:
        return None
    request = open_request(envelope)
    if isinstance(request, Refused):
        return None
    if request.unit_id != unit_id:
        raise EnrolError(
            f"{beside} is the beginning of {request.unit_id}: remove it, or name that unit"
        )
    return Pending(public_key=request.public_key, envelope=envelope, csr=csr, nonce=request.nonce)


def prepare(beside: Path, *, unit_id: str, token: bytes, hardware: str) -> Pending:
    """Both keys, where there are none yet, and a request under them; all of it on the disk before anything is sent."""
    try:
        beside.mkdir(mode=0o700, parents=True, exist_ok=True)
        evidence = _evidence(beside / EVIDENCE_FILE)
        tls = _tls_key(beside / TLS_KEY_FILE)
        csr = _csr(tls, unit_id)
        nonce = secrets.token_bytes(16)
        envelope = make(
            Request(
                token_sha256=sha256(token).digest(),
                unit_id=unit_id,
                public_key=evidence.public_key,
                spki_sha256=_spki(tls),
                hardware=hardware,
                nonce=nonce,
                at_ms=max(clock.system_ms(), 0),
            ),
            evidence.sign,
        )
        _write(beside / CSR_FILE, csr)
        _write(beside / REQUEST_FILE, envelope)  # the last: with it the request is whole
    except (OSError, KeyFileError) as error:
        raise EnrolError(f"{beside}: {error}; is the state directory ours to write?") from error
    return Pending(public_key=evidence.public_key, envelope=envelope, csr=csr, nonce=nonce)


def post(beside: Path, door: Door, ca_file: Path, waiting: Pending) -> None:
    """Ask to be let in. Asked again with the same bytes it is the same request."""
    answer = _ask(door, Tls(ca_file=ca_file), "POST", PATH, _body(waiting.csr, waiting.envelope))
    if answer.status == 202:
        return
    if answer.status == 401:
        (beside / REQUEST_FILE).unlink(missing_ok=True)  # the keys stay: another token may be good
        raise RefusedError(
            "the centre refuses the request: the token is used, expired or another unit's; ask for a new one"
        )
    raise UnreachableError(f"{door}: status {answer.status}: is that the centre's enrolment?")


def wait(
    door: Door, ca_file: Path, waiting: Pending, say: Say, *, poll_s: float = POLL_S
) -> dict[str, object]:
    """Ask until a second person has decided, 24 h at most; what is to be pinned."""
    pause, ticker = threading.Event(), Clock()
    end_ms = ticker.mono_ms() + WAIT_MS_MAX
    silent = False
    while ticker.mono_ms() < end_ms:
        try:
            answer = _ask(door, Tls(ca_file=ca_file), "GET", f"{PATH}/{waiting.nonce.hex()}")
        except UnreachableError as error:
            if not silent:
                say(f"{error}; asking on")
            silent = True
        else:
            silent = False
            if answer.status == 200:
                return answer.table()
            if answer.status == 410:
                raise RefusedError("turned down, or nobody has approved it within 24 h")
        pause.wait(poll_s)
    raise UnreachableError("nobody has approved it within 24 h; run the command again")


def finish(
    folder: Path, beside: Path, *, unit_id: str, door: Door, ca_file: Path, said: dict[str, object]
) -> None:
    """Pin what the centre says and make it the identity, all or nothing. EnrolError for what does not fit our keys."""
    certificate, ca = _text(said, "certificate"), _text(said, "ca")
    _check(certificate, ca, unit_id, beside / TLS_KEY_FILE)
    number, centre = said.get("unit_number"), said.get("centre")
    try:
        text = pins_text(
            unit_id=unit_id,
            receipt_key=bytes.fromhex(_text(said, "receipt_key")),
            order_key=bytes.fromhex(_text(said, "order_key")),
            unit_number=number if isinstance(number, int) else None,
            centre=centre if isinstance(centre, str) and centre else None,
            enrol_server=str(door),
        )
        _write(beside / PINS_FILE, text.encode())
        read_pins(beside / PINS_FILE)
        _write(beside / CA_FILE, ca.encode())
        _write(beside / DOOR_CA_FILE, ca_file.read_bytes())
        _write(beside / CERT_FILE, certificate.encode())
        for name, saved in (("log_vkey", "log.vkey"), ("policy", "policy.txt")):
            if isinstance(said.get(name), str):
                _write(beside / saved, _text(said, name).encode())
        for left in (beside / REQUEST_FILE, beside / CSR_FILE, *beside.glob("*.tmp")):
            left.unlink(missing_ok=True)
        key.sync_folder(beside)
        beside.rename(folder)
        key.sync_folder(folder.parent)
    except (OSError, ValueError, BadConfigError) as error:
        raise EnrolError(f"{beside}: {error}") from error


def give_up(beside: Path) -> None:
    """Forget a request that was turned down, and its keys: nobody has let them in."""
    for left in beside.iterdir() if beside.is_dir() else ():
        left.unlink()
    if beside.is_dir():
        beside.rmdir()


# renewal


def renew(folder: Path, *, unit_id: str, now_ms: int | None) -> str:
    """A new certificate for the same TLS key; what was done. `now_ms`: only if two thirds of its life are over."""
    try:
        pins = read_pins(folder / PINS_FILE)
        evidence = key.load(folder / EVIDENCE_FILE)
        tls = _load_tls(folder / TLS_KEY_FILE)
        ends_ms, due_ms = life_of(folder / CERT_FILE)
    except (OSError, ValueError, KeyFileError, BadConfigError) as error:
        raise EnrolError(f"{folder}: {error}") from error
    door = None if pins.enrol_server is None else door_of(pins.enrol_server)
    if door is None or pins.unit_id != unit_id:
        raise EnrolError(f"{folder} is not the identity of {unit_id} as a centre has enrolled it")
    if now_ms is not None and now_ms < due_ms:
        return f"not due before {due_ms}"
    csr = _csr(tls, unit_id)
    ours = Tls(
        ca_file=folder / DOOR_CA_FILE,
        cert_file=folder / CERT_FILE,
        key_file=folder / TLS_KEY_FILE,
    )
    answer = None
    if now_ms is None or now_ms < ends_ms:
        try:
            answer = _ask(door, ours, "POST", RENEW_PATH, _body(csr, b""))
        except UnreachableError:  # or the centre takes our certificate for expired
            answer = None
    if answer is None or answer.status == 401:
        envelope = make(
            Request(
                token_sha256=NO_TOKEN,
                unit_id=unit_id,
                public_key=evidence.public_key,
                spki_sha256=_spki(tls),
                hardware="",
                nonce=secrets.token_bytes(16),
                at_ms=max(clock.system_ms(), 0),
            ),
            evidence.sign,
        )
        only_ca = Tls(ca_file=folder / DOOR_CA_FILE)
        answer = _ask(door, only_ca, "POST", RENEW_PATH, _body(csr, envelope))
    if answer.status == 401:
        raise RefusedError("the centre renews no certificate of this key: is it revoked?")
    if answer.status != 200:
        raise UnreachableError(f"{door}: status {answer.status}")
    said = answer.table()
    certificate = _text(said, "certificate")
    _check(certificate, _text(said, "ca"), unit_id, folder / TLS_KEY_FILE)
    _write(folder / CERT_FILE, certificate.encode())
    return "renewed"


# small things


def _ask(door: Door, tls: Tls, method: str, path: str, body: bytes | None = None) -> Answer:
    try:
        return ask(door, tls, method, path, body)
    except HttpsError as error:
        raise UnreachableError(str(error)) from error


def _body(csr: bytes, envelope: bytes) -> bytes:
    said = {"csr": csr.decode(), "envelope": base64.b64encode(envelope).decode()}
    return json.dumps(said).encode()


def _text(said: dict[str, object], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str):
        raise EnrolError(f"the centre's answer has no {name}: is that the right address?")
    return value


def _check(certificate: str, ca: str, unit_id: str, tls_key: Path) -> None:
    """Our key, our name, signed by the CA that we are to pin."""
    try:
        made = x509.load_pem_x509_certificate(certificate.encode())
        authority = x509.load_pem_x509_certificate(ca.encode())
        made.verify_directly_issued_by(authority)
        names = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ours = _load_tls(tls_key).public_key()
    except (ValueError, TypeError, InvalidSignature, OSError) as error:
        raise EnrolError(f"the centre's certificate cannot be used: {error!r}") from error
    if made.public_key() != ours or [name.value for name in names] != [unit_id]:
        raise EnrolError("the centre's certificate is for another key or another unit")


def life_of(path: Path) -> tuple[int, int]:
    """When a certificate ends, and when two thirds of its life are over. OSError, ValueError if it is none."""
    made = x509.load_pem_x509_certificate(path.read_bytes())
    begin_ms = int(made.not_valid_before_utc.timestamp()) * 1_000
    end_ms = int(made.not_valid_after_utc.timestamp()) * 1_000
    return end_ms, begin_ms + (end_ms - begin_ms) * 2 // 3


def _evidence(path: Path) -> key.EvidenceKey:
    """The key of an earlier run; a half one, which nobody has seen, gives way."""
    try:
        return key.load(path)
    except KeyFileError:
        path.unlink(missing_ok=True)
        return key.make(path)


def _tls_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        return _load_tls(path)
    except (OSError, ValueError):
        path.unlink(missing_ok=True)
        made = ec.generate_private_key(ec.SECP256R1())
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key.write_once(path, pem)
        return made


def _load_tls(path: Path) -> ec.EllipticCurvePrivateKey:
    found = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path.name} is no P-256 key")  # noqa: TRY004  # a file's fault, not a caller's
    return found


def _csr(tls: ec.EllipticCurvePrivateKey, unit_id: str) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, unit_id)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(tls, SHA256())
    return request.public_bytes(Encoding.PEM)


def _spki(tls: ec.EllipticCurvePrivateKey) -> bytes:
    der = tls.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).digest()


def _write(path: Path, data: bytes) -> None:
    """Beside, synced, renamed: a kill leaves the old bytes or the new ones."""
    beside = path.with_name(f"{path.name}.tmp")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    key.sync_folder(path.parent)
