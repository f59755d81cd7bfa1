"""What a unit makes, keeps and pins on its way to an identity; no network (EDGE section 10, EVIDENCE section 3)."""

import io
import json
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from agent import Moment, Quality
from agent.app import enrol, enrol_renewal, enrolling
from agent.app.enrol import EnrolError, Pending
from agent.app.enrol_renewal import Renewal
from agent.app.identity import load
from agent.io.https import Door, door_of
from collector.enrol.certificates import Issuer, issue_unit, make_authority, read_csr
from tests.wire.keys import public_key
from wire import Refused
from wire.enrol import open_request

NOW_MS = 1_795_330_000_000
UNIT = "uz-0042"
DOOR = Door(host="centre.example.org", port=443)
KEY = ec.generate_private_key(ec.SECP256R1())
ISSUER = Issuer(key=KEY, certificate=make_authority(KEY, now_ms=NOW_MS, serial=7))


def prepared(folder: Path, token: bytes = b"t" * 32) -> Pending:
    return enrol.prepare(folder / "identity.new", unit_id=UNIT, token=token, hardware="PL-7")


def answer(waiting: Pending, **other: object) -> dict[str, object]:
    csr = read_csr(waiting.csr)
    assert not isinstance(csr, str)
    made = issue_unit(ISSUER, csr, now_ms=NOW_MS, serial=9).decode()
    said: dict[str, object] = {
        "certificate": made,
        "ca": ISSUER.pem.decode(),
        "receipt_key": public_key("receipt").hex(),
        "order_key": public_key("order").hex(),
        "unit_number": 17,
        "centre": "plomba.example.org",
    }
    return said | other


def finish(folder: Path, said: dict[str, object]) -> None:
    ca = folder / "ca.pem"
    ca.write_bytes(ISSUER.pem)
    identity = folder / "identity"
    enrol.finish(identity, folder / "identity.new", unit_id=UNIT, door=DOOR, ca_file=ca, said=said)


def test_a_request_holds_both_keys_and_the_hash_of_the_token(tmp_path: Path) -> None:
    waiting = prepared(tmp_path)
    request = open_request(waiting.envelope)
    assert not isinstance(request, Refused)
    assert request.token_sha256 == sha256(b"t" * 32).digest()
    csr = read_csr(waiting.csr)
    assert not isinstance(csr, str)
    assert (csr.common_name, csr.spki_sha256) == (UNIT, request.spki_sha256)
    for name in ("evidence.pem", "tls-key.pem"):
        assert (tmp_path / "identity.new" / name).stat().st_mode & 0o777 == 0o600
    assert b"t" * 32 not in b"".join(
        path.read_bytes() for path in (tmp_path / "identity.new").iterdir()
    )


def test_after_a_kill_the_same_request_goes_on(tmp_path: Path) -> None:
    waiting = prepared(tmp_path)
    assert enrol.pending(tmp_path / "identity.new", UNIT) == waiting
    with pytest.raises(EnrolError, match="is the beginning of uz-0042"):
        enrol.pending(tmp_path / "identity.new", "uz-0043")


def test_a_kill_before_the_request_is_whole_keeps_or_replaces_the_keys(tmp_path: Path) -> None:
    beside = tmp_path / "identity.new"
    first = prepared(tmp_path)
    (beside / "request.cose").unlink()
    assert enrol.pending(beside, UNIT) is None
    second = prepared(tmp_path)
    assert second.public_key == first.public_key
    assert second.nonce != first.nonce
    (beside / "request.cose").unlink()
    (beside / "evidence.pem").write_bytes(b"-----BEGIN PRI")  # the power went in the middle of it
    (beside / "tls-key.pem").write_bytes(b"")
    third = prepared(tmp_path)
    assert third.public_key != first.public_key


def test_what_the_centre_says_is_pinned_and_makes_an_identity(tmp_path: Path) -> None:
    waiting = prepared(tmp_path)
    finish(tmp_path, answer(waiting))
    enrolled = load(tmp_path / "identity", UNIT)
    assert enrolled.identity.public_key == waiting.public_key
    assert list(enrolled.pins.receipt_keys.values()) == [public_key("receipt")]
    assert (enrolled.pins.unit_number, enrolled.pins.centre) == (17, "plomba.example.org")
    assert enrolled.pins.enrol_server == "https://centre.example.org:443"
    assert not (tmp_path / "identity.new").exists()


def test_what_does_not_fit_is_not_pinned_and_may_be_asked_again(tmp_path: Path) -> None:
    waiting = prepared(tmp_path)
    other = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, UNIT)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    foreign = read_csr(request.sign(other, SHA256()).public_bytes(Encoding.PEM))
    assert not isinstance(foreign, str)
    stranger = make_authority(other, now_ms=NOW_MS, serial=5).public_bytes(Encoding.PEM)
    wrong = issue_unit(ISSUER, foreign, now_ms=NOW_MS, serial=5).decode()
    for odd in (
        {"certificate": wrong},  # another key
        {"certificate": "x"},
        {"ca": stranger.decode()},
        {"receipt_key": "zz"},
        {"receipt_key": public_key("order").hex()},  # one key for both
        {"order_key": None},
    ):
        with pytest.raises(EnrolError):
            finish(tmp_path, answer(waiting, **odd))
        assert not (tmp_path / "identity").exists()
    finish(tmp_path, answer(waiting))
    assert (tmp_path / "identity").exists()


@pytest.mark.parametrize(
    ("address", "door"),
    [
        ("https://centre.example.org", DOOR),
        ("https://10.0.0.7:8443", Door(host="10.0.0.7", port=8_443)),
        ("http://centre.example.org", None),
        ("https://centre.example.org/api", None),
        ("https://user@centre.example.org", None),
        ("https://centre.example.org:99999", None),
        ("centre.example.org", None),
    ],
)
def test_a_door_is_https_a_host_and_a_port(address: str, door: Door | None) -> None:
    assert door_of(address) == door


def test_the_command_says_what_is_wrong_before_it_makes_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(ISSUER.pem)

    def run(unit: str, server: str, token: str, ca_file: Path, typed: str = "") -> int:
        return enrolling.enrol(
            unit,
            server,
            token,
            str(ca_file),
            str(tmp_path / "state"),
            hardware="",
            stdin=io.StringIO(typed),
        )

    door = "https://centre.example.org"
    assert run("A", door, "-", ca) == 2
    assert run(UNIT, "centre", "-", ca) == 2
    assert run(UNIT, door, "ABCDEF", ca) == 2
    assert run(UNIT, door, "-", tmp_path / "none.pem") == 2
    assert run(UNIT, door, "-", ca, "no token\n") == 2
    assert not (tmp_path / "state").exists()
    (tmp_path / "state" / "identity").mkdir(parents=True)
    assert run(UNIT, door, "-", ca, "x\n") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "a token in an argument is read by everybody" in said.err


async def test_without_a_trusted_time_nothing_is_renewed_and_a_failure_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moments = [
        Moment(mono_ms=0, now_ms=0, utc_ms=NOW_MS, quality=quality)
        for quality in (Quality.RTC, Quality.RTC, Quality.GNSS)
    ]
    renewal = Renewal(
        unit_id=UNIT, state_dir=tmp_path, moment=lambda: moments.pop(0), rng=Random(1)
    )
    await renewal.look()
    assert caplog.records == []
    await renewal.look()  # there is no identity
    [record] = caplog.records
    assert record.getMessage() == "not_renewed"
    assert "pins.toml" in json.dumps(record.__dict__, default=str)


async def test_who_sleeps_for_a_day_shows_the_keeper_that_he_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrol_renewal, "REST_S", 0)
    mono_ms = iter(range(0, 100_000, 1_000))
    turned: list[int] = []
    made: list[Renewal] = []

    def moment() -> Moment:
        turned.extend(one.turned_mono_ms for one in made)
        return Moment(mono_ms=next(mono_ms), now_ms=0, utc_ms=0, quality=Quality.NONE)

    made.append(Renewal(unit_id=UNIT, state_dir=tmp_path, moment=moment, rng=Random(1)))
    await made[0]._rest(3.0)
    assert turned == [0, 1_000, 2_000, 3_000]
    assert made[0].turned_mono_ms == 4_000
