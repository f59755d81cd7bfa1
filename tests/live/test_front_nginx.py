"""The nginx front as it is shipped, with a real nginx: headers, limits, a stream that is not held back, and whom the collector believes."""

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import httpx
import pytest

from bench.authority import server_context
from collector.api.guard import HEADERS, Front
from collector.people import Role
from tests.collector.api_rig import CHANGE, PASSWORD
from tests.collector.api_thread import running

pytestmark = pytest.mark.live

NAME = "localhost"
LOGIN = {"user": "anna", "password": PASSWORD, "token": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a browser sees, and what stands behind it."""

    url: str
    plain_url: str
    behind: str
    trust: ssl.SSLContext

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=self.trust, timeout=20)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    path = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        why = "nginx is not installed: apt-get install nginx-light"
        if os.environ.get("PLOMBA_CI"):
            pytest.fail(why)
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("front")
    _, authority = server_context(folder)
    plain, port = _free_port(), _free_port()
    front = Front(names=(NAME,), proxies=("127.0.0.1",))
    with running(folder / "data", users=(("anna", Role.OPERATOR),), front=front) as centre:
        config = _config(folder, plain=plain, port=port, behind=centre.port)
        log = (folder / "nginx.log").open("w", encoding="utf-8")
        with log, subprocess.Popen([path, "-p", folder, "-c", config], stderr=log) as nginx:
            try:
                made = Site(
                    url=f"https://{NAME}:{port}",
                    plain_url=f"http://{NAME}:{plain}",
                    behind=centre.url,
                    trust=ssl.create_default_context(cadata=authority.decode()),
                )
                _wait(port)
                yield made
            finally:
                nginx.send_signal(signal.SIGTERM)


def _config(folder: Path, *, plain: int, port: int, behind: int) -> Path:
    """The file as it is shipped, but for names, ports and paths."""
    text = files("configs").joinpath("fronts", "nginx.conf").read_text(encoding="utf-8")
    for old, new in (
        ("server 127.0.0.1:8480;", f"server 127.0.0.1:{behind};"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("plomba.example", NAME),
        ("/etc/plomba/api.pem", str(folder / "bench-cert.pem")),
        ("/etc/plomba/api.key", str(folder / "bench-key.pem")),
    ):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "plomba.conf").write_text(text, encoding="utf-8")
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    whole = folder / "whole.conf"
    whole.write_text(
        f"daemon off; {user} worker_processes 1; pid {folder}/pid; error_log stderr;"
        f"events {{}} http {{ access_log off; {places} include {folder}/plomba.conf; }}",
        encoding="utf-8",
    )
    return whole


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("nginx does not listen")


def test_pages_and_api_come_through_with_the_collectors_own_headers(site: Site) -> None:
    with site.client() as client:
        for path, status in (
            ("/healthz", 200),
            ("/o/login", 200),
            ("/o/", 303),
            ("/O/H/AAAA", 303),
            ("/api/v1/me", 401),
            ("/api/v1/openapi.json", 401),
        ):
            answer = client.get(path)
            assert answer.status_code == status, path
            behind = httpx.get(site.behind + path, headers={"Host": NAME})
            for name in (*HEADERS, "Content-Security-Policy"):
                words = [
                    re.sub("nonce-[^']*", "nonce", one.headers.get(name, ""))
                    for one in (answer, behind)
                ]
                assert words[0] == words[1] != "", (path, name)
            assert "nginx/" not in answer.headers.get("server", ""), (
                "its version is nobody's business"
            )
    answer = httpx.get(f"{site.plain_url}/o/?lang=uz")
    assert (answer.status_code, answer.headers["location"]) == (301, f"https://{NAME}/o/?lang=uz")


def test_a_change_of_our_own_page_passes_and_nobody_chooses_his_address(site: Site) -> None:
    with site.client() as client:
        mine = {"Origin": site.url, "X-Plomba": "1", "X-Forwarded-For": "203.0.113.9"}
        answer = client.post("/api/v1/login", json=LOGIN, headers=mine)
        assert answer.status_code == 200, answer.text
        bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
        assert client.get("/api/v1/me", headers=bearer).json()["user"] == "anna"
        foreign = {"Origin": "https://evil.example", "X-Plomba": "1"}
        assert client.post("/api/v1/login", json=LOGIN, headers=foreign).status_code == 403


def test_a_stream_is_not_held_back(site: Site) -> None:
    with site.client() as client:
        token = client.post("/api/v1/login", json=LOGIN, headers=CHANGE).json()["token"]
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {token}"}
        with client.stream("GET", "/api/v1/live/stream", headers=headers) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            heard = b""
            for part in stream.iter_raw():
                heard += part
                if b"event: deploy" in heard:
                    break
        assert time.monotonic() - began < 10  # a front that gathers would hold it for its 30 s


def test_what_is_too_much_ends_at_the_front_in_the_collectors_words(site: Site) -> None:
    with site.client() as client:
        for path, size, status, code in (
            ("/api/v1/login", 65_537, 413, "too_large"),
            ("/api/v1/login", 60_000, 422, "bad_parameter"),
            ("/api/v1/fences", 1 << 20, 401, "not_logged_in"),
            ("/api/v1/fences", (1 << 20) + 1, 413, "too_large"),
        ):
            answer = client.post(path, content=b"x" * size, headers=CHANGE)
            assert (answer.status_code, answer.json()["code"]) == (status, code), (path, size)
            assert answer.headers["content-type"] == "application/problem+json"
        answer = client.get("/healthz", headers={"X-Filler": "x" * 40_000})
        assert (answer.status_code, answer.json()["code"]) == (431, "too_large_head")


def test_who_guesses_is_slowed_at_the_front_too(site: Site) -> None:
    with site.client() as client:
        wrong = {"user": "nobody", "password": "not this one, friend"}
        answers = [client.post("/o/login", data=wrong, headers=CHANGE) for _ in range(30)]
        assert {answer.status_code for answer in answers} <= {401, 429}
        assert answers[-1].status_code == 429
        assert "retry-after" in answers[-1].headers
