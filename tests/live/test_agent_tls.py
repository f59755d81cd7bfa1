"""Our own CA and nobody else's, names that must fit, dates that we look at ourselves (EDGE sections 7 and 8)."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from tests.live.agent_world import Agent, Broker, until

pytestmark = pytest.mark.live

TODAY = dt.datetime.now(dt.UTC)  # a live test meets the real clock
DAY = dt.timedelta(days=1)
LONG_AGO = dt.datetime(
    2025, 6, 1, tzinfo=dt.UTC
)  # before clock.not_before: no clock is needed to see it


class Authority:
    """A CA that lives for one test."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(
            self.name, self.key.public_key(), TODAY + 365 * DAY, None, ca=True
        )

    def issue(self, host: str, until_day: dt.datetime) -> tuple[bytes, bytes]:
        """Certificate and key as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        made = self._sign(subject, key.public_key(), until_day, host, ca=False)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return made.public_bytes(Encoding.PEM), pem

    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        until_day: dt.datetime,
        host: str | None,
        *,
        ca: bool,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(until_day - 400 * DAY)
            .not_valid_after(until_day)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if host is not None:
            names = x509.SubjectAlternativeName([x509.DNSName(host)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())


def tls_broker(folder: Path, authority: Authority, host: str, until_day: dt.datetime) -> Broker:
    folder.mkdir(parents=True)
    certificate, key = authority.issue(host, until_day)
    (folder / "cert.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    return Broker("mosquitto", folder, f"certfile {folder}/cert.pem\nkeyfile {folder}/key.pem\n")


@pytest.fixture
def ours() -> Authority:
    return Authority("our CA")


def unit(folder: Path, broker: Broker, ca: bytes) -> Agent:
    agent = Agent(folder / "unit", broker.port)
    agent.enrol()
    agent.config.write_text(
        agent.config.read_text().replace("mqtt://127.0.0.1", "mqtts://localhost")
    )
    (folder / "unit" / "state" / "identity" / "ca.pem").write_bytes(ca)
    return agent


@pytest.fixture
def running(request: pytest.FixtureRequest) -> Iterator[list[Agent | Broker]]:
    things: list[Agent | Broker] = []
    yield things
    for thing in things:
        thing.kill() if isinstance(thing, Agent) else thing.stop()


def trouble(agent: Agent) -> str:
    return str(agent.status().get("broker_trouble") or "")


def test_a_broker_with_a_certificate_of_our_ca_is_trusted(
    tmp_path: Path, ours: Authority, running: list[Agent | Broker]
) -> None:
    broker = tls_broker(tmp_path / "b", ours, "localhost", TODAY + 30 * DAY)
    agent = unit(tmp_path, broker, ours.pem())
    running += [broker, agent]
    broker.start()
    agent.start()
    until(lambda: agent.status().get("uplink") == "greeting", 20)
    done = agent.run("check", str(agent.config), "--json")
    assert '"ok", "name": "broker localhost' in done.stdout


@pytest.mark.parametrize(
    ("host", "end", "foreign", "why"),
    [
        (
            "localhost",
            TODAY + 30 * DAY,
            True,
            "certificate: unable to get local issuer certificate",
        ),
        ("elsewhere.example.org", TODAY + 30 * DAY, False, "certificate: Hostname mismatch"),
        ("localhost", LONG_AGO, False, "expired"),
    ],
)
def test_another_ca_another_name_and_an_old_date_are_refused(
    tmp_path: Path,
    ours: Authority,
    running: list[Agent | Broker],
    host: str,
    end: dt.datetime,
    foreign: bool,  # noqa: FBT001  # a column of the table above
    why: str,
) -> None:
    broker = tls_broker(tmp_path / "b", ours, host, end)
    ca = Authority("another CA").pem() if foreign else ours.pem()
    agent = unit(tmp_path, broker, ca)
    running += [broker, agent]
    broker.start()
    agent.start()
    until(lambda: why in trouble(agent), 20, why)
    assert agent.status()["uplink"] in {"down", "dialling"}


def test_without_a_ca_nothing_is_dialled_and_it_is_said(
    tmp_path: Path, ours: Authority, running: list[Agent | Broker]
) -> None:
    broker = tls_broker(tmp_path / "b", ours, "localhost", TODAY + 30 * DAY)
    agent = unit(tmp_path, broker, b"")
    running.append(agent)
    agent.start()
    until(lambda: "TLS files" in trouble(agent), 20)
    assert agent.term()[0] == 0


FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


@pytest.mark.skipif(
    FAKETIME is None, reason="libfaketime is not installed: apt-get install libfaketime"
)
@pytest.mark.parametrize(
    ("end", "uplink"), [(TODAY + 30 * DAY, "greeting"), (LONG_AGO, "down")], ids=["good", "expired"]
)
def test_e26_a_board_that_believes_in_1970_connects_by_a_good_certificate_and_by_no_old_one(
    tmp_path: Path,
    ours: Authority,
    running: list[Agent | Broker],
    monkeypatch: pytest.MonkeyPatch,
    end: dt.datetime,
    uplink: str,
) -> None:
    broker = tls_broker(tmp_path / "b", ours, "localhost", end)
    agent = unit(tmp_path, broker, ours.pem())
    running += [broker, agent]
    broker.start()
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME", "@1970-01-05 00:00:00")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    agent.start()
    if uplink == "greeting":
        until(lambda: agent.status().get("uplink") == uplink, 20)
    else:
        until(lambda: "expired" in trouble(agent), 20)
    assert agent.status()["time_quality"] == "none"
    assert str(agent.events()[0]["at"]).startswith("1970-01-05")  # the system does believe it
