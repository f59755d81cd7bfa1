"""The unit's page over a real socket: what a phone sees, what a scanner reads, what a crowd can do (EDGE section 9)."""

import http.client
import json
import re
import shutil
import socket
import subprocess
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.io.status import ask
from tests.live.agent_world import (
    UNIT,
    Agent,
    Collector,
    Lock,
    Pty,
    free_port,
    gps_link,
    nmea_words,
    seal_link,
    until,
    world,
)
from wire.envelope import Key
from wire.handover import Statement, read, verify
from wire.hello import SoundHello, judge
from wire.orders import Order, OrderKind, make as make_order
from wire.topics import Up, up

pytestmark = pytest.mark.live

RSS_KIB_MAX = 45 * 1024
NONCE = bytes(range(16))


@dataclass
class Site:
    """A unit with receiver and lock that is in touch with its collector."""

    agent: Agent
    collector: Collector
    port: int
    public_key: bytes

    def get(self, target: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body

    def post(self, body: bytes) -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", "/order", body)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        return answer.status, said

    def numbers(self) -> dict[str, object]:
        return ask(self.agent.folder / "run" / "status.sock", "/status.json")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("face"), free_port()
    gps, lock = Pty(folder / "gps"), Lock(folder / "seal")
    for device in (gps, lock):
        device.plug_in()
    gps.talk(nmea_words(), 1.0)
    lock.work()
    links = gps_link(gps.name) + seal_link(lock.name)
    page = f'[status]\nlisten = "127.0.0.1:{port}"\naccept_orders = true\n'
    with world(folder, links=links, more=page) as (agent, _, collector):
        shutil.rmtree(agent.folder / "state")
        public_key = agent.enrol("--number", "4711", "--centre", "customs.example.uz")
        collector.unit_key = public_key
        agent.start()
        until(lambda: agent.status().get("uplink") == "flowing", 60)
        until(lambda: agent.status().get("time_quality") == "gnss", 60)
        yield Site(agent=agent, collector=collector, port=port, public_key=public_key)
    gps.unplug()
    lock.unplug()


def test_the_page_is_one_small_document_in_the_readers_language(site: Site) -> None:
    for accept, language, word in (
        ("ru", "ru", "Связь"),
        ("en-GB", "en", "Link"),
        ("", "uz", "Aloqa"),
    ):
        status, headers, body = site.get("/", **{"Accept-Language": accept})
        assert (status, headers["content-language"]) == (200, language)
        assert word in body.decode()
        assert len(body) <= 10_000
        assert headers["content-security-policy"].startswith("default-src 'none';")
        assert "set-cookie" not in headers
    assert site.get("/", Host="evil.example")[0] == 421
    assert site.get("/outbox/stats")[0] == 404  # through the socket only


def test_a_fresh_hello_bears_the_readers_nonce_and_our_signature(site: Site) -> None:
    time.sleep(1.1)  # one signature a second
    _, _, body = site.get(f"/status.json?nonce={NONCE.hex()}")
    numbers = json.loads(body)
    assert numbers["v"] == 1
    hello = urlsafe_b64decode(numbers["hello"] + "=" * (-len(numbers["hello"]) % 4))
    key = Key(unit_id=UNIT, public_key=site.public_key)
    judged = judge(hello, up(UNIT, Up.HELLO), lambda _: key)
    assert isinstance(judged, SoundHello)
    assert judged.hello.nonce == NONCE
    assert numbers["r1"]
    again = json.loads(site.get(f"/status.json?nonce={bytes(16).hex()}")[2])
    assert again["hello"] == numbers["hello"]


def said_in(address: str) -> Statement:
    statement = read(address.rsplit("/", 1)[1])
    assert isinstance(statement, Statement)
    return statement


def test_the_hand_over_code_names_a_batch_that_the_centre_has(site: Site) -> None:
    address = str(site.numbers()["handover"])
    assert address.startswith("HTTPS://CUSTOMS.EXAMPLE.UZ/O/H/")
    statement = said_in(address)
    assert verify(statement, site.public_key)
    assert statement.unit_number == 4711
    until(
        lambda: any(
            len(heads) > statement.batch_no and heads[statement.batch_no][:16] == statement.head
            for heads in site.collector.heads.values()
        ),
        20,
        "the collector has that head",
    )


def test_a_scanner_reads_the_page(site: Site, tmp_path: Path) -> None:
    browser, scanner = shutil.which("chromium"), shutil.which("zbarimg")
    if browser is None or scanner is None:
        pytest.skip("chromium or zbarimg is not installed: apt-get install chromium zbar-tools")
    shot = tmp_path / "page.png"
    subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={tmp_path}/profile", "--window-size=360,1400"),
            *(f"--screenshot={shot}", f"http://127.0.0.1:{site.port}/?lang=en"),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    done = subprocess.run(
        [scanner, "--raw", "-q", str(shot)], check=True, capture_output=True, text=True
    )
    statement = said_in(done.stdout.strip())
    assert verify(statement, site.public_key)


def test_counters_are_there_for_all_that_the_paper_names(site: Site) -> None:
    """All but `rung`, which is a number only while a series of dials runs."""
    status, headers, body = site.get("/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    said = body.decode()
    names = set(re.findall(r"^plomba_agent_([a-z_]+)", said, re.MULTILINE))
    wanted = """facts_total records_total batches_sealed_total batches_sent_total batches_covered_total bytes_up_total
        bytes_down_total card_written_bytes_total free_bytes free_inodes dials_total refusals_total receipts_total stalls_total
        commits_total commit_milliseconds_max loop_lag_milliseconds_max rss_kib link clock clock_offset_milliseconds
        store starts_ever_total commit_errors_total evictions_ever_total"""
    assert set(wanted.split()) <= names
    assert 'plomba_agent_facts_total{kind="Fix"}' in said
    assert 'plomba_agent_records_total{kind="access"}' in said


def order(site: Site, kind: int, data: tuple[object, ...]) -> bytes:
    words = Order(
        unit_id=UNIT,
        counter=0,
        kind=kind,
        issued_ms=1,
        not_before_ms=0,
        not_after_ms=4_000_000_000_000,
        order_id=bytes(16),
        data=data,  # type: ignore[arg-type]  # a test says what it likes
    )
    key = site.collector.order_key
    from wire.envelope import kid_of  # noqa: PLC0415  # beside its only use

    return make_order(words, kid_of(site.collector.public(key)), key.sign)


def test_an_order_that_somebody_carries_in_is_judged_and_obeyed(site: Site) -> None:
    nonce = b"carried by phone"
    assert site.post(order(site, OrderKind.REPORT_NOW, (0, nonce))) == (202, {"taken": True})
    until(
        lambda: any(one.hello.nonce == nonce for one in site.collector.hellos),
        20,
        "the hello that was ordered",
    )
    assert site.post(b"x" * 100)[0] == 429  # one a second
    time.sleep(1.1)
    status, said = site.post(b"x" * 100)
    assert (status, said) == (400, {"taken": False, "refused": "BadEnvelope"})


def test_e30_a_thousand_half_requests_hurt_nobody(site: Site) -> None:
    before = site.numbers()
    crowd: list[socket.socket] = []
    try:
        for _ in range(1_000):
            one = socket.create_connection(("127.0.0.1", site.port), timeout=5)
            crowd.append(one)
            try:
                one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half")
            except OSError:
                continue  # turned away at once
        after = site.numbers()  # the socket has places of its own
        assert after["unit"] == UNIT
        until(lambda: site.get("/")[0] == 200, 15, "the page is back")
    finally:
        for one in crowd:
            one.close()
    rss = site.numbers()["rss_kib"]
    assert isinstance(rss, int)
    assert isinstance(before["rss_kib"], int)
    assert rss - before["rss_kib"] < 2_048
    assert site.numbers()["uplink"] == "flowing"


def test_memory_stays_within_the_promise_with_page_and_code_drawn(site: Site) -> None:
    site.get("/")
    rss = site.numbers()["rss_kib"]
    assert isinstance(rss, int)
    assert rss <= RSS_KIB_MAX


def test_a_copy_of_the_running_store_is_whole(site: Site, tmp_path: Path) -> None:
    done = site.agent.run("outbox", "stats", "--json", "--config", str(site.agent.config))
    said = json.loads(done.stdout)
    assert (done.returncode, said["bad"], said["running"]) == (0, 0, True)
    done = site.agent.run(
        "outbox", "export", str(tmp_path / "o"), "--config", str(site.agent.config)
    )
    assert done.returncode == 0, done.stderr
    bundle = json.loads((tmp_path / "o" / "bundle.json").read_text())
    kinds = {path.split("/")[0] for path in bundle["files"]}
    assert {"batches", "hellos", "receipts"} <= kinds
    for path in (tmp_path / "o" / "batches").rglob("*.cose"):
        chain, number = bytes.fromhex(path.parent.name), int(path.stem)
        sent = site.collector.envelopes.get((chain, number))
        assert sent in (None, path.read_bytes())


def test_the_updater_is_told_that_the_unit_lives_and_that_it_moves(site: Site) -> None:
    done = site.agent.run("check", "--live", "--wait", "60", str(site.agent.config))
    assert done.returncode == 0, done.stdout
    done = site.agent.run("check", "--may-update", str(site.agent.config))
    assert done.returncode == 6
    assert "the truck moves" in done.stdout
