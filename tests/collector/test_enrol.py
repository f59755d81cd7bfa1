"""Enrolment at the centre over a real store and its real routes: the checks in their order, one 401, two people (EVIDENCE section 3)."""

import json
import logging
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from collector.api.enrol import BODY_BYTES_MAX, Door, build_enrol_api
from collector.enrol import TOKEN_MS, Fault, Known, Standing, Token, Why
from collector.enrol.certificates import DAY_MS, Issuer, make_authority, read_csr
from collector.enrol.judging import LOW_ORDER, judge_enrolment
from collector.io import authority
from collector.io.key import KeyFileError
from collector.store import enrolments
from collector.store.database import Store
from collector.store.enrolments import NotDone, RevokeAsked, Revoked
from tests.collector.fleet import T0_MS, Centre, FleetUnit
from tests.wire.keys import private_key, public_key
from wire.enrol import NO_TOKEN, Request, make
from wire.envelope import kid_of

LOW = Path(__file__).parents[1] / "vectors" / "enrol" / "low_order_ed25519.json"
ISSUER_KEY = ec.generate_private_key(ec.SECP256R1())
ISSUER = Issuer(key=ISSUER_KEY, certificate=make_authority(ISSUER_KEY, now_ms=T0_MS, serial=7))
TLS_KEY = ec.generate_private_key(ec.SECP256R1())
TlsKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
UNIT = "uz-0001"
KEY = private_key(f"unit {UNIT}")


def csr_of(key: TlsKey, *names: tuple[x509.ObjectIdentifier, str]) -> bytes:
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return request.public_bytes(Encoding.PEM)


def csr(unit_id: str = UNIT, key: TlsKey = TLS_KEY) -> bytes:
    return csr_of(key, (NameOID.COMMON_NAME, unit_id))


def spki(key: TlsKey = TLS_KEY) -> bytes:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).digest()


def request(token: bytes, **other: Any) -> Request:  # noqa: ANN401  # any field of it
    words = Request(
        token_sha256=sha256(token).digest(),
        unit_id=UNIT,
        public_key=public_key(f"unit {UNIT}"),
        spki_sha256=spki(),
        hardware="PL-0042",
        nonce=b"n" * 16,
        at_ms=5,
    )
    return replace(words, **other)


def body(words: Request, csr_pem: bytes, key: Ed25519PrivateKey = KEY) -> dict[str, str]:
    return {"csr": csr_pem.decode(), "envelope": b64encode(make(words, key.sign)).decode()}


@dataclass(slots=True)
class Desk:
    """A store, its door, and the time."""

    store: Store
    client: httpx.AsyncClient
    now_ms: int = T0_MS
    issued: int = 0
    tokens: int = 0
    made: list[bytes] = field(default_factory=list)

    async def token(self, unit_id: str = UNIT, by: str = "anna") -> bytes:
        self.tokens += 1
        raw = bytes([self.tokens]) * 32
        token = Token(
            sha256=sha256(raw).digest(),
            unit_id=unit_id,
            made_by=by,
            made_ms=self.now_ms,
            expires_ms=self.now_ms + TOKEN_MS,
        )
        async with self.store.write() as connection:
            await enrolments.add_token(connection, token)
        return raw

    async def post(self, words: dict[str, str] | bytes) -> httpx.Response:
        content = words if isinstance(words, bytes) else json.dumps(words).encode()
        return await self.client.post("/api/v1/enrol", content=content)

    async def renew(self, words: dict[str, str]) -> httpx.Response:
        return await self.client.post("/api/v1/renew", content=json.dumps(words).encode())

    async def poll(self, nonce: bytes = b"n" * 16) -> httpx.Response:
        return await self.client.get(f"/api/v1/enrol/{nonce.hex()}")

    async def decide(
        self,
        actor: str = "boris",
        unit_id: str = UNIT,
        kid: bytes | None = None,
        *,
        approve: bool = True,
    ) -> enrolments.Enrolment | NotDone:
        async with self.store.write() as connection:
            return await enrolments.decide(
                connection,
                unit_id,
                kid or kid_of(public_key(f"unit {UNIT}")),
                actor=actor,
                approve=approve,
                now_ms=self.now_ms,
            )

    async def revoke(self, actor: str) -> RevokeAsked | Revoked | NotDone:
        async with self.store.write() as connection:
            return await enrolments.revoke(
                connection, UNIT, actor=actor, why="stolen", now_ms=self.now_ms
            )

    def serial(self) -> int:
        self.issued += 1
        return self.issued


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with await Store.open("sqlite://") as store, httpx.AsyncClient() as nobody:
        desk = Desk(store=store, client=nobody)
        door = Door(
            store=store,
            issuer=ISSUER,
            receipt_key=public_key("receipt"),
            order_key=public_key("order"),
            now_ms=lambda: desk.now_ms,
            new_serial=desk.serial,
            centre="plomba.example.org",
        )
        transport = httpx.ASGITransport(app=build_enrol_api(door, build="7"))
        async with httpx.AsyncClient(transport=transport, base_url="https://centre") as client:
            desk.client = client
            yield desk


async def let_in(desk: Desk) -> dict[str, Any]:
    token = await desk.token()
    assert (await desk.post(body(request(token), csr()))).status_code == 202
    await desk.decide()
    answer: dict[str, Any] = (await desk.poll()).json()
    return answer


async def test_a_unit_is_let_in_by_two_people_and_gets_all_that_it_pins(desk: Desk) -> None:
    token = await desk.token()
    asked = await desk.post(body(request(token), csr()))
    assert (asked.status_code, asked.json()["kid"]) == (202, request(token).kid.hex())
    assert (await desk.poll()).status_code == 202
    same = await desk.decide(actor="anna")
    assert isinstance(same, NotDone)
    assert same.code == "second_person"
    assert (await desk.poll()).status_code == 202
    done = await desk.decide(actor="boris")
    assert isinstance(done, enrolments.Enrolment)
    assert (done.standing, done.decided_by) == (Standing.APPROVED, "boris")
    answer = (await desk.poll()).json()
    assert (answer["unit"], answer["unit_number"]) == (UNIT, 1)
    assert answer["receipt_key"] == public_key("receipt").hex()
    assert answer["order_key"] == public_key("order").hex()
    assert answer["centre"] == "plomba.example.org"
    made = x509.load_pem_x509_certificate(answer["certificate"].encode())
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(answer["ca"].encode()))
    assert [(name.oid, name.value) for name in made.subject] == [(NameOID.COMMON_NAME, UNIT)]
    assert made.public_key() == TLS_KEY.public_key()
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert int(made.not_valid_after_utc.timestamp()) * 1_000 == T0_MS + 90 * DAY_MS
    assert [key.unit_id for key in (await desk.store.keys()).values()] == [UNIT]


async def test_asked_again_it_is_the_same_request_and_the_same_certificate(desk: Desk) -> None:
    token = await desk.token()
    words = body(request(token), csr())
    for _ in range(3):  # killed before it had the answer
        assert (await desk.post(words)).status_code == 202
    await desk.decide()
    first, second = await desk.poll(), await desk.poll()
    assert first.json() == second.json()
    assert desk.issued == 1


async def test_whatever_fails_the_answer_is_one(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Each row fails at the named check and at no earlier one."""
    caplog.set_level(logging.WARNING)
    await desk.store.add_unit("uz-0009", public_key("unit uz-0009"), now_ms=T0_MS)
    token, other = await desk.token(), await desk.token("uz-0002")
    strange = await desk.token("UZ 1")
    used = await desk.token()
    assert (await desk.post(body(request(used, nonce=b"u" * 16), csr()))).status_code == 202
    async with desk.store.write() as connection:
        late = Token(
            sha256=sha256(b"late").digest(),
            unit_id=UNIT,
            made_by="anna",
            made_ms=0,
            expires_ms=T0_MS,
        )
        await enrolments.add_token(connection, late)
    fresh = private_key("fresh")
    mine: dict[str, Any] = {"public_key": public_key("fresh")}
    taken = private_key("unit uz-0009")
    rsa_key = rsa.generate_private_key(65_537, 2_048)
    two = csr_of(TLS_KEY, (NameOID.COMMON_NAME, UNIT), (NameOID.ORGANIZATION_NAME, "x"))
    good = body(request(token, **mine), csr(), fresh)
    broken = csr().replace(b"MI", b"NI", 1)
    rows: list[tuple[str, dict[str, str] | bytes]] = [
        ("bad_form", b"{"),
        ("bad_form", b"[]"),
        ("bad_form", b'{"csr": 5, "envelope": "aa"}'),
        ("bad_form", json.dumps({"csr": good["csr"]}).encode()),
        ("bad_form", {**good, "envelope": "?"}),
        ("bad_form", {**good, "envelope": b64encode(b"x" * 90).decode()}),
        ("bad_form", b" " * (BODY_BYTES_MAX + 1)),
        ("bad_form", {**good, "csr": "x" * 5_000}),
        ("bad_signature", {**good, "envelope": _flipped(good["envelope"])}),
        ("bad_token", body(request(b"nobody's", **mine), csr(), fresh)),
        ("bad_token", body(request(other, **mine), csr(), fresh)),
        ("bad_token", body(request(used, **mine), csr(), fresh)),
        ("bad_token", body(request(b"late", **mine), csr(), fresh)),
        ("kid_taken", body(request(token, public_key=public_key("unit uz-0009")), csr(), taken)),
        ("bad_csr", body(request(token, **mine), broken, fresh)),
        ("bad_csr", body(request(token, **mine), two, fresh)),
        ("bad_csr", body(request(token, **mine, spki_sha256=b"s" * 32), csr(), fresh)),
        ("bad_csr", body(request(token, **mine), csr("uz-0002"), fresh)),
        (
            "bad_csr",
            body(request(token, **mine, spki_sha256=spki(rsa_key)), csr(key=rsa_key), fresh),
        ),
        ("bad_unit_id", body(request(strange, **mine, unit_id="UZ 1"), csr("UZ 1"), fresh)),
    ]
    answers = set()
    for why, words in rows:
        caplog.clear()
        desk.now_ms += 6_000  # ten a minute: slower than the limit
        answer = await desk.post(words)
        answers.add((answer.status_code, answer.text))
        assert f"refused: {why}" in caplog.text, why
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    desk.now_ms += 6_000
    assert (await desk.post(good)).status_code == 202  # and the token was still good


def _flipped(text: str) -> str:
    raw = bytearray(b64decode(text))
    raw[-3] ^= 1
    return b64encode(bytes(raw)).decode()


def test_the_14_encodings_of_small_order_are_known() -> None:
    listed = json.loads(LOW.read_text())["encodings"]
    assert {bytes.fromhex(one) for one in listed} == LOW_ORDER


@pytest.mark.parametrize("encoding", sorted(LOW_ORDER))
async def test_a_key_of_small_order_is_refused_also_if_a_signature_holds(encoding: bytes) -> None:
    token = Token(sha256=sha256(b"t").digest(), unit_id=UNIT, made_by="a", made_ms=0, expires_ms=9)
    words = request(b"t", public_key=encoding)
    fault = judge_enrolment(words, csr(), Known(token=token, kid_taken=False), 5)
    assert isinstance(fault, Fault)
    assert fault.why is Why.LOW_ORDER


async def test_a_stranger_and_a_request_of_yesterday_are_gone(desk: Desk) -> None:
    assert (await desk.poll(b"x" * 16)).status_code == 410
    assert (await desk.client.get("/api/v1/enrol/zz")).status_code == 410
    token = await desk.token()
    await desk.post(body(request(token), csr()))
    desk.now_ms += TOKEN_MS
    assert (await desk.poll()).status_code == 410
    late = await desk.decide()
    assert isinstance(late, NotDone)
    assert late.code == "nothing_waits"


async def test_a_request_with_another_fingerprint_is_not_let_in_and_may_be_turned_down(
    desk: Desk,
) -> None:
    token = await desk.token()
    await desk.post(body(request(token), csr()))
    other = await desk.decide(kid=b"x" * 8)
    assert isinstance(other, NotDone)
    assert other.code == "other_key"
    refused = await desk.decide(approve=False)
    assert isinstance(refused, enrolments.Enrolment)
    assert (await desk.poll()).status_code == 410
    assert await desk.store.keys() == {}


async def test_a_name_with_a_key_in_force_is_not_given_again_and_after_revocation_it_is_the_same_unit(
    desk: Desk,
) -> None:
    first = await let_in(desk)
    fresh = private_key("fresh")
    token = await desk.token()
    words = request(token, public_key=public_key("fresh"), nonce=b"f" * 16)
    assert (await desk.post(body(words, csr(), fresh))).status_code == 202
    taken = await desk.decide(kid=words.kid)
    assert isinstance(taken, NotDone)
    assert taken.code == "unit_taken"
    asked = await desk.revoke("anna")
    assert isinstance(asked, RevokeAsked)
    assert isinstance(await desk.revoke("anna"), RevokeAsked)  # one person, twice
    assert not (await desk.store.keys())[request(token).kid].revoked
    assert isinstance(await desk.revoke("boris"), Revoked)
    assert (await desk.store.keys())[request(token).kid].revoked
    assert isinstance(await desk.revoke("boris"), NotDone)
    anew = await desk.decide(kid=words.kid)
    assert isinstance(anew, enrolments.Enrolment)
    assert anew.unit_no == first["unit_number"]


async def test_what_a_revoked_key_signs_is_refused_from_its_commit_on(desk: Desk) -> None:
    await let_in(desk)
    centre, unit = Centre(desk.store), FleetUnit(unit_id=UNIT)
    good = await centre.hear(unit, unit.begin().envelope)
    assert good.outgoing
    await desk.revoke("anna")
    await desk.revoke("boris")
    late = await centre.hear(unit, unit.seal().envelope, step_ms=11_000)
    assert late.verdicts == {"RevokedKey": 1}
    assert late.outgoing == ()


async def test_a_certificate_is_renewed_by_the_evidence_key_but_not_by_a_revoked_or_foreign_one(
    desk: Desk,
) -> None:
    await let_in(desk)
    desk.now_ms += 200 * DAY_MS  # it lay in a depot
    words = request(b"", token_sha256=NO_TOKEN)
    done = await desk.renew(body(words, csr()))
    made = x509.load_pem_x509_certificate(done.json()["certificate"].encode())
    assert int(made.not_valid_after_utc.timestamp()) * 1_000 == desk.now_ms + 90 * DAY_MS
    foreign = replace(words, public_key=public_key("fresh"))
    for odd in (
        body(foreign, csr(), private_key("fresh")),
        body(request(b"t"), csr()),  # with a token
        body(replace(words, unit_id="uz-0002"), csr("uz-0002")),
        body(words, csr(key=ec.generate_private_key(ec.SECP256R1()))),
        {"csr": csr().decode()},  # over TLS without a certificate
        {"csr": "x", "envelope": ""},
    ):
        assert (await desk.renew(odd)).status_code == 401
    await desk.revoke("anna")
    await desk.revoke("boris")
    assert (await desk.renew(body(words, csr()))).status_code == 401


async def test_a_unit_that_goes_wild_gets_no_more_certificates_that_day(desk: Desk) -> None:
    await let_in(desk)
    words = body(request(b"", token_sha256=NO_TOKEN), csr())
    codes = [(await desk.renew(words)).status_code for _ in range(30)]
    assert codes == [200] * 23 + [401] * 7
    desk.now_ms += TOKEN_MS
    assert (await desk.renew(words)).status_code == 200


async def test_nothing_else_of_the_api_is_served_at_this_door(desk: Desk) -> None:
    for path in ("/api/v1/units", "/healthz", "/openapi.json", "/docs", "/api/v1/enrol"):
        answer = await desk.client.get(path)
        assert answer.status_code in {404, 405}
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_csr_of_any_bytes_is_a_sentence() -> None:
    for pem in (b"", b"-----BEGIN CERTIFICATE REQUEST-----\n", b"\xff" * 300, csr()[:200]):
        assert isinstance(read_csr(pem), str)


def test_the_ca_is_made_once_and_the_listeners_certificate_follows_its_names(
    tmp_path: Path,
) -> None:
    first = authority.load_or_make(tmp_path, T0_MS)
    assert authority.load_or_make(tmp_path, T0_MS + 5).pem == first.pem
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    names = ("localhost", "10.0.0.7")
    path, key = authority.listener_files(tmp_path, first, names, T0_MS)
    pem = path.read_bytes()
    made = x509.load_pem_x509_certificates(pem)
    made[0].verify_directly_issued_by(made[1])
    authority.listener_files(tmp_path, first, names, T0_MS + DAY_MS)
    assert path.read_bytes() == pem
    authority.listener_files(tmp_path, first, (*names, "centre.example.org"), T0_MS)
    assert path.read_bytes() != pem
    newer = path.read_bytes()
    authority.listener_files(tmp_path, first, (*names, "centre.example.org"), T0_MS + 380 * DAY_MS)
    assert path.read_bytes() != newer
    key.chmod(0o640)
    with pytest.raises(KeyFileError, match="others can read"):
        authority.listener_files(tmp_path, first, names, T0_MS)
    (tmp_path / "ca.pem").unlink()
    (tmp_path / "ca.key").unlink()
    (tmp_path / "ca.pem").write_bytes(first.pem)
    with pytest.raises(KeyFileError, match=r"not the certificate of ca\.key"):
        authority.load_or_make(tmp_path, T0_MS)


async def test_a11_guessing_at_the_door_is_slowed(desk: Desk) -> None:
    statuses = [(await desk.post(b"{}")).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert (await desk.post(b"{}")).headers["retry-after"] == "6"
    assert (await desk.poll()).status_code == 410  # who waits for an answer is not slowed by it
    desk.now_ms += 6_000
    assert (await desk.post(b"{}")).status_code == 401
    statuses = [(await desk.poll()).status_code for _ in range(61)]
    assert statuses == [410] * 60 + [429]
