"""A unit from nothing to its first settled batch: real TLS at the centre's door and at the broker, two people, a kill in the middle."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from collector.enrol.certificates import issue_server
from collector.io import authority, clock
from tests.live.agent_world import free_port, listens, until

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
UNIT = "uz-0042"
ENROL = (
    "import sys; from agent.app.enrolling import enrol; a = sys.argv[1:];"
    " sys.exit(enrol(a[0], a[1], '-', a[2], a[3], hardware='PL-7', poll_s=0.3))"
)


class Centre:
    """A collector with a broker that lets in who shows a certificate of its CA, and with its door."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "centre"
        self.mqtt_port, self.door_port, self.api_port = free_port(), free_port(), free_port()
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self.data.mkdir(mode=0o700)
        issuer = authority.load_or_make(self.data, clock.now_ms())
        for name in ("broker", "collector"):
            key = ec.generate_private_key(ec.SECP256R1())
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (self.folder / f"{name}.key").write_bytes(pem)
            certificate = issue_server(
                issuer, key.public_key(), ["localhost"], now_ms=clock.now_ms(), serial=5
            )
            (self.folder / f"{name}.pem").write_bytes(certificate)
        self._start_broker()
        config = self.folder / "collector.toml"
        config.write_text(
            f'[broker]\nembedded = false\n[mqtt]\nserver = "mqtts://localhost:{self.mqtt_port}"\n'
            f'ca_file = "{self.data}/ca.pem"\n[api]\nport = {self.api_port}\n'
            f'[enrol]\nhost = "127.0.0.1"\nport = {self.door_port}\nnames = ["localhost"]\n'
        )
        self._run(
            [
                *(sys.executable, "-m", "plomba", "collector", "run"),
                *("--config", str(config), "--data", str(self.data)),
            ]
        )
        until(lambda: listens(self.door_port), 40, "the door opens")

    def _start_broker(self) -> None:
        path = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if path is None:
            pytest.skip("mosquitto is not installed: apt-get install mosquitto")
        config = self.folder / "mosquitto.conf"
        tls = f"cafile {self.data}/ca.pem\ncertfile {self.folder}/broker.pem\nkeyfile {self.folder}/broker.key\n"
        inner = (
            free_port()
        )  # the collector stands beside the broker: no certificate of a unit is its own
        config.write_text(
            "per_listener_settings true\nuser root\n"
            f"listener {self.mqtt_port} 127.0.0.1\n{tls}require_certificate true\n"
            "use_identity_as_username true\n"
            f"listener {inner} 127.0.0.1\n{tls}allow_anonymous true\n"
        )
        self._run([path, "-c", str(config)])
        until(lambda: listens(self.mqtt_port) and listens(inner), what="mosquitto")
        self.unit_port, self.mqtt_port = self.mqtt_port, inner

    def _run(self, command: list[str]) -> None:
        with (self.folder / "centre.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=subprocess.DEVNULL)
            )

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def plomba(self, who: str, *words: str) -> subprocess.CompletedProcess[str]:
        """As a person who has become root: until there are accounts that is who acts."""
        return subprocess.run(
            [sys.executable, "-m", "plomba", *words, "--data", str(self.data)],
            cwd=ROOT,
            env={**os.environ, "SUDO_USER": who},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def json(self, who: str, *words: str) -> dict[str, object]:
        done = self.plomba(who, *words, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout.splitlines()[0])
        return found

    def refusals(self) -> list[str]:
        found: list[dict[str, str]] = self.asked("/refusals")["refusals"]
        return [row["reason"] for row in found]

    def asked(self, path: str) -> dict[str, Any]:
        token = self.folder / "operator.token"
        if not token.exists():
            login = [sys.executable, "-m", "plomba", "--token-file", str(token), "login", "--local"]
            subprocess.run([*login, "--data", str(self.data)], cwd=ROOT, check=True, timeout=60)
        url = f"http://127.0.0.1:{self.api_port}/api/v1{path}"
        headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    if os.getuid() != 0:
        pytest.skip("two people are two users behind sudo: needs root")
    centre = Centre(tmp_path)
    try:
        centre.start()
        yield centre
    finally:
        centre.stop()


class Enrolling:
    """`plomba-agent enrol` as a process, with a short time between its questions."""

    def __init__(self, centre: Centre, state: Path, token: str, ca: Path | None = None) -> None:
        self._said = state.with_name(f"{state.name}.{token[:4]}.said")
        typed = state.with_name("typed")
        typed.write_text(f"{token}\n")
        words = [UNIT, f"https://localhost:{centre.door_port}"]
        words += [str(ca or centre.data / "ca.pem"), str(state)]
        with self._said.open("wb") as said, typed.open("rb") as stdin:
            self.process = subprocess.Popen(
                [sys.executable, "-c", ENROL, *words],
                cwd=ROOT,
                stdin=stdin,
                stdout=said,
                stderr=subprocess.DEVNULL,
            )
        centre.processes.append(self.process)

    def shown(self) -> str:
        """The fingerprint on its screen."""
        until(lambda: self._said.read_text().endswith("\n"), 30, "it shows its fingerprint")
        return self._said.read_text().strip()

    def ends(self) -> int:
        return self.process.wait(60)


def agent(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_unit_is_let_in_from_nothing_delivers_renews_and_is_revoked(
    centre: Centre, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    token = str(centre.json("anna", "unit", "enrol-token", UNIT)["token"])
    foreign = tmp_path / "foreign.pem"
    (tmp_path / "other").mkdir()
    foreign.write_bytes(authority.load_or_make(tmp_path / "other", clock.now_ms()).pem)
    assert Enrolling(centre, state, token, foreign).ends() == 5
    shutil.rmtree(state)

    first = Enrolling(centre, state, token)
    shown = first.shown()
    first.process.kill()  # the power goes; nobody types the token again
    first.ends()
    second = Enrolling(centre, state, "")
    assert second.shown() == shown
    waiting = centre.json("boris", "unit", "enrolments")
    assert (waiting["fingerprint"], waiting["hardware"]) == (shown, "PL-7")
    approve = ("unit", "approve", UNIT, "--fingerprint", shown)
    assert centre.plomba("anna", *approve).returncode == 4  # she has made the token
    assert second.process.poll() is None
    other = centre.plomba("boris", "unit", "approve", UNIT, "--fingerprint", "0" * 16)
    assert other.returncode == 6
    assert centre.json("boris", *approve)["number"] == 1
    assert second.ends() == 0
    names = {path.name for path in (state / "identity").iterdir()}
    keys = {"evidence.pem", "tls-key.pem"}
    assert names == keys | {"ca.pem", "enrol-ca.pem", "pins.toml", "tls.pem"}
    assert not (state / "identity.new").exists()
    assert Enrolling(centre, state, token).ends() == 1

    config = tmp_path / "unit.toml"
    config.write_text(
        f'[unit]\nid = "{UNIT}"\nstate_dir = "{state}"\nrun_dir = "{tmp_path}/run"\n'
        f'[uplink]\nservers = ["mqtts://localhost:{centre.unit_port}"]\n'
        f'[outbox]\nheadroom_bytes = 0\n[status]\nlisten = ""\n'
    )
    assert (
        '"name": "certificate", "detail": "89 days left"'
        in agent("check", str(config), "--json", "--offline").stdout
    )
    runs = [sys.executable, "-m", "agent", "--config", str(config)]
    unit = subprocess.Popen(runs, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _through(centre) >= 0, 40, "its first batch is settled")
        tls = state / "identity" / "tls.pem"
        before = tls.read_bytes()
        renew = ("renew", "--unit", UNIT, "--state", str(state))
        assert "not due" in agent(*renew, "--now-ms", str(clock.now_ms())).stderr
        assert tls.read_bytes() == before
        assert agent(*renew).returncode == 0  # by its certificate
        by_certificate = tls.read_bytes()
        assert agent(*renew, "--now-ms", "4000000000000").returncode == 0  # expired: by its key
        assert len({before, by_certificate, tls.read_bytes()}) == 3

        revoke = ("unit", "revoke", UNIT, "--reason", "stolen in Nukus")
        assert centre.json("anna", *revoke)["revoked"] is False
        assert centre.json("anna", *revoke)["revoked"] is False
        assert centre.json("boris", *revoke)["revoked"] is True
        assert agent(*renew).returncode == 4
        unit.terminate()  # its last words, and the first of the next start
        unit.wait(20)
        unit = subprocess.Popen(runs, cwd=ROOT, stderr=subprocess.DEVNULL)
        until(lambda: "RevokedKey" in centre.refusals(), 40, "revoked")
    finally:
        unit.kill()
        unit.wait()


def test_a_token_works_once_and_a_request_turned_down_leaves_nothing(
    centre: Centre, tmp_path: Path
) -> None:
    token = str(centre.json("anna", "unit", "enrol-token", UNIT)["token"])
    first = Enrolling(centre, tmp_path / "a", token)
    shown = first.shown()
    second = Enrolling(centre, tmp_path / "b", token)  # somebody has read it over a shoulder
    assert second.ends() == 4
    centre.json("boris", "unit", "refuse", UNIT, "--fingerprint", shown)
    assert first.ends() == 4
    assert not (tmp_path / "a" / "identity.new").exists()
    assert not (tmp_path / "a" / "identity").exists()
    words = ("enrol", "--unit", UNIT, "--ca", str(centre.data / "ca.pem"), "--state", str(tmp_path))
    door = f"https://localhost:{centre.door_port}"
    assert agent(*words, "--server", door, "--token", token).returncode == 2


def _through(centre: Centre) -> int:
    chain = centre.asked(f"/units/{UNIT}")["chain"]
    return -1 if chain is None else int(chain["through"])
