"""Who this unit is: key and pins in `<state>/identity/`, made once (EDGE section 10).

Law: an identity is never changed and never made over another one.
"""

from dataclasses import dataclass
from pathlib import Path

from agent import Identity
from agent.config import Pins, pins_text, read_pins
from agent.io import key
from agent.io.key import KeyFileError
from agent.io.words import Tls
from wire.envelope import kid_of

EVIDENCE_FILE = "evidence.pem"
PINS_FILE = "pins.toml"
CA_FILE = "ca.pem"
DOOR_CA_FILE = "enrol-ca.pem"  # of the centre's listener for enrolment and renewal
CERT_FILE = "tls.pem"
TLS_KEY_FILE = "tls-key.pem"


class IdentityError(Exception):
    """There is none, or there is one already; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What the identity directory says."""

    identity: Identity
    pins: Pins


def load(folder: Path, unit_id: str) -> Enrolled:
    """The identity in `folder`. IdentityError if its key may not be used or it is another unit's; BadConfigError for its pins."""
    try:
        found = key.load(folder / EVIDENCE_FILE)
    except KeyFileError as error:
        raise IdentityError(str(error)) from error
    pins = read_pins(folder / PINS_FILE)
    if pins.unit_id != unit_id:
        raise IdentityError(
            f"{folder} is the identity of {pins.unit_id}, the config says {unit_id}: set unit.id right or enrol anew"
        )
    identity = Identity(
        unit_id=unit_id,
        public_key=found.public_key,
        kid=kid_of(found.public_key),
        sign=found.sign,
    )
    return Enrolled(identity=identity, pins=pins)


def make(
    folder: Path,
    *,
    unit_id: str,
    receipt_key: bytes,
    order_key: bytes,
    unit_number: int | None = None,
    centre: str | None = None,
) -> bytes:
    """Make key and pins in `folder`, all or nothing; the raw public key. IdentityError if there is one already."""
    if folder.exists():
        raise IdentityError(f"{folder} exists: an identity is made once and never over another")
    beside = folder.with_name(f"{folder.name}.new")
    try:
        beside.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in beside.iterdir():  # of a run that was killed: nobody has seen that key
            left.unlink()
        made = key.make(beside / EVIDENCE_FILE)
        text = pins_text(
            unit_id=unit_id,
            receipt_key=receipt_key,
            order_key=order_key,
            unit_number=unit_number,
            centre=centre,
        )
        key.write_once(beside / PINS_FILE, text.encode())
        beside.rename(folder)
        key.sync_folder(folder.parent)
    except (OSError, KeyFileError) as error:
        raise IdentityError(f"{folder}: {error}; is the state directory ours to write?") from error
    return made.public_key


def fingerprint(public_key: bytes) -> str:
    """The key's name for people: its kid in four groups."""
    digits = kid_of(public_key).hex()
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))


def tls_files(folder: Path) -> Tls:
    """The CA of our brokers, and our certificate if the identity holds one."""
    cert = folder / CERT_FILE
    has_cert = cert.exists()
    return Tls(
        ca_file=folder / CA_FILE,
        cert_file=cert if has_cert else None,
        key_file=folder / TLS_KEY_FILE if has_cert else None,
    )
